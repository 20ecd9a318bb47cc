//! The clock of the process, which every room and the manager of the process use.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Returns the time since the first call in this process. Never goes back.
///
/// Planes advance the manager by this clock, and the IGMP and MLD services their timers.
#[must_use]
pub fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
