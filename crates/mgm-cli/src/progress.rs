//! A progress bar, on a terminal, when it takes long.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Nothing is shown before.
const LONG: Duration = Duration::from_secs(1);

pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    started: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many; 0 when that is not known.
    pub(crate) fn new(what: &'static str, total: u64) -> Progress {
        Progress { what, total, started: Instant::now(), terminal: stderr().is_terminal(), bar: None }
    }

    pub(crate) fn at(&mut self, position: u64) {
        if !self.terminal || (self.bar.is_none() && self.started.elapsed() < LONG) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let (bar, template) = if self.total == 0 {
                (ProgressBar::no_length(), "{spinner} {human_pos} {msg}, {per_sec}")
            } else {
                (
                    ProgressBar::new(self.total),
                    "{wide_bar} {percent}% {human_pos} {msg}, {per_sec}, {eta} left",
                )
            };
            // The template is one of the two above.
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.with_style(style).with_message(self.what).with_elapsed(self.started.elapsed())
        });
        bar.set_position(position);
    }

    pub(crate) fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
