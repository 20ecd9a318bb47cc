//! The log of a router: lines on standard error, or structured lines in the journal.

use crate::router::config::LogTarget;
use anyhow::{Context, anyhow};
use std::io::{IsTerminal, stderr};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Sends what is logged from now on to its target.
pub(super) fn start(target: LogTarget, level: LevelFilter) -> anyhow::Result<()> {
    let set = match target {
        LogTarget::Stderr => set_global_default(
            tracing_subscriber::fmt()
                .with_max_level(level)
                .without_time()
                .with_target(false)
                .with_writer(stderr)
                .with_ansi(stderr().is_terminal())
                .finish(),
        ),
        LogTarget::Journald => {
            let journal = tracing_journald::layer()
                .context("[router] log: the journal cannot be reached: is systemd-journald there? Or write log = \"stderr\"")?;
            set_global_default(Registry::default().with(level).with(journal))
        }
    };
    set.map_err(|error| anyhow!("the log cannot be started: {error}"))
}
