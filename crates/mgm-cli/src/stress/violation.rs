//! A window that cannot be explained: shown as a timeline, kept as a file, checked again.

use super::calls::{Answer, Call};
use super::check::{self, Event, Window};
use anyhow::{Context, bail};
use mgm_verify::spec::{Outcome, Spec};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;

/// A window, and the states it may have begun in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Violation {
    /// The command that made it.
    pub(crate) command: String,
    pub(crate) begins: Vec<Spec>,
    pub(crate) window: Window,
}

impl Violation {
    /// Leaves out what has nothing to do with it: calls that begin after a part of the window that cannot be explained
    /// already, when nothing outside that part overlaps it; and calls that change nothing, if the rest cannot be explained
    /// without them either: what is left has happened just so.
    pub(crate) fn shorten(&mut self) {
        self.window.events.sort_by_key(|event| event.began);
        for length in 1..self.window.events.len() {
            let (part, rest) = self.window.events.split_at(length);
            if part.iter().all(|event| rest.iter().all(|later| event.ended < later.began)) {
                let last = part.iter().map(|event| event.ended).max().unwrap_or(0);
                let mut shorter = self.window.clone();
                shorter.events.truncate(length);
                let all = shorter.heard.iter_mut().flat_map(|heard| heard.values_mut());
                all.for_each(|heard| heard.retain(|heard| heard.at <= last));
                if self.fails(&shorter) {
                    self.window = shorter;
                    break;
                }
            }
        }
        for at in (0..self.window.events.len()).rev() {
            if changes_nothing(&self.window.events[at]) {
                let mut shorter = self.window.clone();
                shorter.events.remove(at);
                if self.fails(&shorter) {
                    self.window = shorter;
                }
            }
        }
    }

    fn fails(&self, window: &Window) -> bool {
        check::ends(window, &self.begins.iter().cloned().collect()).is_empty()
    }

    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    pub(crate) fn load(path: &Path) -> anyhow::Result<Violation> {
        let name = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(name)?;
        let violation: Violation = serde_json::from_str(&text).with_context(name)?;
        if violation.window.events.len() > check::MOST || violation.begins.is_empty() {
            bail!("{}: not a window of at most {} calls with a state to begin in", name(), check::MOST);
        }
        Ok(violation)
    }

    /// Whether it still cannot be explained.
    pub(crate) fn holds(&self) -> bool {
        self.fails(&self.window)
    }
}

/// Whether the call, as it was answered, leaves everything as it is.
fn changes_nothing(event: &Event) -> bool {
    match (&event.call, &event.answer) {
        (Call::OwnerOf(_) | Call::Resolve(_) | Call::Memberships | Call::Entries, _) => true,
        // Calls about memberships may have cleared away what was over before they were refused.
        (Call::NewFlow(_) | Call::Add(..) | Call::Delete(..), _)
        | (_, Answer::Handle(_) | Answer::Is(Outcome::Ok)) => false,
        _ => true,
    }
}

impl fmt::Display for Violation {
    /// Each call on a line of its own, from when to when it took, against the window's time; and when each client was told
    /// what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const COLUMNS: u64 = 48;
        let events = &self.window.events;
        let first = events.iter().map(|event| event.began).min().unwrap_or(0);
        let last = events.iter().map(|event| event.ended).max().unwrap_or(1).max(first + 1);
        let column = |time: u64| ((time.clamp(first, last) - first) * COLUMNS / (last - first)) as usize;
        writeln!(f, "{} ns, and no order of these calls gives these answers", last - first)?;
        if let Some(begin) = self.begins.first() {
            writeln!(f, "beginning with {begin}")?;
        }
        if self.begins.len() > 1 {
            writeln!(
                f,
                "(or in another of {} states that what came before leaves possible)",
                self.begins.len()
            )?;
        }
        for event in events {
            let (from, to) = (column(event.began), column(event.ended));
            let bar: String = (0..=COLUMNS as usize)
                .map(|at| match at {
                    at if at == from || at == to => '|',
                    at if (from..to).contains(&at) => '-',
                    _ => ' ',
                })
                .collect();
            writeln!(f, "thread {:<3} {bar}  {:?} -> {:?}", event.thread, event.call, event.answer)?;
        }
        for (client, heard) in self.window.heard.iter().flatten() {
            for heard in heard {
                let mark = column(heard.at);
                let bar: String =
                    (0..=COLUMNS as usize).map(|at| if at == mark { '*' } else { ' ' }).collect();
                writeln!(f, "told       {bar}  client {client}: {:?}", heard.sound)?;
            }
        }
        Ok(())
    }
}
