//! A window that cannot be explained: shown as a timeline, kept as a file, checked again.

use super::check::{self, Event};
use super::spec::State;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::Path;

/// A window, and the states it may have begun in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Violation {
    /// The command that made it.
    pub(crate) command: String,
    pub(crate) begins: HashSet<State>,
    pub(crate) events: Vec<Event>,
}

impl Violation {
    /// Leaves out what has nothing to do with it: calls that begin after a part of the window that cannot be explained
    /// already, when nothing outside that part overlaps it.
    pub(crate) fn shorten(&mut self) {
        self.events.sort_by_key(|event| event.began);
        for length in 1..self.events.len() {
            let (part, rest) = self.events.split_at(length);
            let apart = part.iter().all(|event| rest.iter().all(|later| event.ended < later.began));
            if apart && check::ends(part, &self.begins).is_empty() {
                self.events.truncate(length);
                return;
            }
        }
    }

    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    pub(crate) fn load(path: &Path) -> anyhow::Result<Violation> {
        let name = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(name)?;
        let violation: Violation = serde_json::from_str(&text).with_context(name)?;
        if violation.events.len() > check::MOST || violation.begins.is_empty() {
            bail!("{}: not a window of at most {} calls with a state to begin in", name(), check::MOST);
        }
        Ok(violation)
    }

    /// Whether it still cannot be explained.
    pub(crate) fn holds(&self) -> bool {
        check::ends(&self.events, &self.begins).is_empty()
    }
}

impl fmt::Display for Violation {
    /// Each call on a line of its own, from when to when it took, against the window's time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const COLUMNS: u64 = 48;
        let first = self.events.iter().map(|event| event.began).min().unwrap_or(0);
        let last = self.events.iter().map(|event| event.ended).max().unwrap_or(1);
        let column = |time: u64| ((time - first) * COLUMNS / (last - first).max(1)) as usize;
        writeln!(f, "{} ns, and no order of these calls gives these answers", last - first)?;
        for state in &self.begins {
            writeln!(f, "beginning in {state:?}")?;
        }
        for event in &self.events {
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
        Ok(())
    }
}
