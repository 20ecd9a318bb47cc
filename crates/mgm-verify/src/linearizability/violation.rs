//! A window that is not linearizable: shortened, shown as a timeline, kept as a file, and checked again.

use super::{MAX_EVENTS, end_states};
use crate::history::{Answer, Call, Event, Window};
use crate::spec::{Outcome, Spec};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;

/// A window that is not linearizable, and the states in which it may have begun.
#[derive(Serialize, Deserialize)]
pub struct Violation {
    /// The command of the run.
    pub command: String,
    /// The states in which the window may have begun.
    pub starts: Vec<Spec>,
    /// The window.
    pub window: Window,
}

impl Violation {
    /// Removes calls that the violation does not need.
    ///
    /// It first cuts the window after a part that is not linearizable by itself and that no later call overlaps. It then
    /// removes each call that changes nothing, as long as the rest is not linearizable. The remaining calls happened
    /// exactly as they are shown.
    pub fn shorten(&mut self) {
        self.window.events.sort_by_key(|event| event.began);
        for length in 1..self.window.events.len() {
            let (part, rest) = self.window.events.split_at(length);
            if part.iter().all(|event| rest.iter().all(|later| event.ended < later.began)) {
                let last = part.iter().map(|event| event.ended).max().unwrap_or(0);
                let mut shorter = self.window.clone();
                shorter.events.truncate(length);
                let all = shorter.deliveries.iter_mut().flat_map(|clients| clients.values_mut());
                all.for_each(|deliveries| deliveries.retain(|delivery| delivery.at <= last));
                if self.violates(&shorter) {
                    self.window = shorter;
                    break;
                }
            }
        }
        for at in (0..self.window.events.len()).rev() {
            if changes_nothing(&self.window.events[at]) {
                let mut shorter = self.window.clone();
                shorter.events.remove(at);
                if self.violates(&shorter) {
                    self.window = shorter;
                }
            }
        }
    }

    fn violates(&self, window: &Window) -> bool {
        end_states(window, &self.starts.iter().cloned().collect()).is_empty()
    }

    /// Writes the violation to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Reads a file that [`save`](Violation::save) wrote.
    ///
    /// # Errors
    /// If the file cannot be read or holds anything else.
    pub fn load(path: &Path) -> anyhow::Result<Violation> {
        const WANTED: &str = "mgm stress writes such a file, mgm-stress-SEED.json, when it finds a violation";
        let text = fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        let violation: Violation = serde_json::from_str(&text)
            .with_context(|| format!("{} is no violation file; {WANTED}", path.display()))?;
        if violation.window.events.len() > MAX_EVENTS || violation.starts.is_empty() {
            bail!(
                "{} is no violation file: it needs a state to begin in and at most {MAX_EVENTS} calls; {WANTED}",
                path.display()
            );
        }
        Ok(violation)
    }

    /// Returns whether the window is still not linearizable.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violates(&self.window)
    }
}

/// Returns whether a call with this answer leaves the state as it is.
fn changes_nothing(event: &Event) -> bool {
    match (&event.call, &event.answer) {
        (Call::OwnerOf(_) | Call::Resolve(_) | Call::Memberships | Call::Entries | Call::Clients, _) => true,
        // Calls about memberships may have swept dead members before they were refused.
        (Call::NewFlow(_) | Call::Add(..) | Call::Delete(..), _)
        | (_, Answer::Handle(_) | Answer::Outcome(Outcome::Ok)) => false,
        _ => true,
    }
}

impl fmt::Display for Violation {
    /// Writes one line for each call, with its place in the window's time, and one for each callback.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const COLUMNS: u64 = 48;
        let events = &self.window.events;
        let first = events.iter().map(|event| event.began).min().unwrap_or(0);
        let last = events.iter().map(|event| event.ended).max().unwrap_or(1).max(first + 1);
        let column = |time: u64| ((time.clamp(first, last) - first) * COLUMNS / (last - first)) as usize;
        let draw = |mark: &dyn Fn(usize) -> char| (0..=COLUMNS as usize).map(mark).collect::<String>();
        writeln!(f, "no order of these calls explains their answers; the window lasted {} ns", last - first)?;
        if let Some(start) = self.starts.first() {
            writeln!(f, "beginning with {start}")?;
        }
        if self.starts.len() > 1 {
            writeln!(f, "(or in one of {} other states that the calls before allow)", self.starts.len() - 1)?;
        }
        for event in events {
            let (from, to) = (column(event.began), column(event.ended));
            let bar = draw(&|at| match at {
                at if at == from || at == to => '|',
                at if (from..to).contains(&at) => '-',
                _ => ' ',
            });
            writeln!(f, "thread {:<3} {bar}  {:?} -> {:?}", event.thread, event.call, event.answer)?;
        }
        for (client, deliveries) in self.window.deliveries.iter().flatten() {
            for delivery in deliveries {
                let mark = column(delivery.at);
                let bar = draw(&|at| if at == mark { '*' } else { ' ' });
                writeln!(f, "callback   {bar}  client {client}: {:?}", delivery.callback)?;
            }
        }
        Ok(())
    }
}
