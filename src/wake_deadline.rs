//! [`WakeDeadline`]: the next deadline of some state, readable without the lock of that state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The next deadline in nanoseconds; [`u64::MAX`] when there is none.
///
/// It is written under the lock of the state that it belongs to. The store in [`set`](Self::set) and the load in
/// [`is_due`](Self::is_due) are `SeqCst` and pair with each other: a check that begins after the store sees it.
#[derive(Debug)]
pub(crate) struct WakeDeadline(AtomicU64);

impl Default for WakeDeadline {
    fn default() -> Self {
        WakeDeadline(AtomicU64::new(u64::MAX))
    }
}

impl WakeDeadline {
    /// Sets the deadline; `None` when there is none.
    pub(crate) fn set(&self, deadline: Option<Duration>) {
        self.0.store(deadline.map_or(u64::MAX, nanos), Ordering::SeqCst);
    }

    /// Returns whether the deadline has passed at `now`, given in nanoseconds. One load.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.0.load(Ordering::SeqCst) <= now
    }
}

/// Converts a time to nanoseconds, at most [`u64::MAX`].
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_due_once_it_has_passed() {
        let wake = WakeDeadline::default();
        assert!(!wake.is_due(u64::MAX - 1));
        wake.set(Some(Duration::from_nanos(5)));
        assert!(!wake.is_due(4) && wake.is_due(5) && wake.is_due(6));
        wake.set(None);
        assert!(!wake.is_due(6));
    }
}
