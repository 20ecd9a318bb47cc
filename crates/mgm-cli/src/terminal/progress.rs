//! A progress bar on standard error, if that is a terminal and the work takes long.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Work that is done earlier shows no bar.
const DELAY: Duration = Duration::from_secs(1);

/// The progress of some work.
pub(crate) struct Progress {
    unit: &'static str,
    total: u64,
    started: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Returns the progress of work that begins now. A `total` of 0 means that it is not known.
    pub(crate) fn new(unit: &'static str, total: u64) -> Progress {
        Progress { unit, total, started: Instant::now(), terminal: stderr().is_terminal(), bar: None }
    }

    pub(crate) fn set_position(&mut self, position: u64) {
        if !self.terminal || (self.bar.is_none() && self.started.elapsed() < DELAY) {
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
            let bar = bar.with_style(style(template));
            bar.with_message(self.unit).with_elapsed(self.started.elapsed())
        });
        bar.set_position(position);
    }

    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Returns a spinner with a message, or nothing if standard error is no terminal.
pub(crate) fn spinner() -> Option<ProgressBar> {
    let spinner = || ProgressBar::new_spinner().with_style(style("{spinner} {elapsed} {msg}"));
    stderr().is_terminal().then(spinner)
}

/// Returns a bar of time with a message, or nothing if standard error is no terminal.
pub(crate) fn time_bar(length: Duration) -> Option<ProgressBar> {
    let template = "{bar:20} {elapsed} elapsed, {eta} left: {msg}";
    stderr().is_terminal().then(|| ProgressBar::new(length.as_secs()).with_style(style(template)))
}

/// Returns the style of a template. All templates are constants of this file; a wrong one would give the default style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
