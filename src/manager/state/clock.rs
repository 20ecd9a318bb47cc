//! [`Clock`]: the time of [`GroupManager::advance`](crate::manager::GroupManager::advance), and the next deadline.

use crate::wake_deadline::{WakeDeadline, nanos};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The manager's clock, in nanoseconds since the manager was made: enough for 584 years.
///
/// The deadline is written under the membership lock and read without it, so that an advance with nothing to do takes no
/// lock. It may be too early (an entry ended otherwise), which costs one look under the lock. An advance that overlaps the
/// making of an entry may miss that entry's deadline. The next advance does not miss it: both words are `SeqCst`, so it reads
/// what was stored before it began.
#[derive(Default)]
pub(in crate::manager) struct Clock {
    now: AtomicU64,
    wake: WakeDeadline,
}

impl Clock {
    /// Returns the time of the latest advance.
    pub(in crate::manager) fn now(&self) -> Duration {
        Duration::from_nanos(self.now.load(Ordering::SeqCst))
    }

    /// Moves the clock forward, never back. Returns whether a deadline has passed. Wait-free.
    pub(in crate::manager) fn advance(&self, to: Duration) -> bool {
        let to = nanos(to);
        let mut now = self.now.load(Ordering::SeqCst);
        if now < to {
            now = self.now.fetch_max(to, Ordering::SeqCst).max(to);
        }
        self.wake.is_due(now)
    }

    /// Sets the next deadline. Must be called under the membership lock.
    pub(in crate::manager) fn wake_at(&self, deadline: Option<Duration>) {
        self.wake.set(deadline);
    }
}
