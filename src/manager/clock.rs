//! The manager's clock: what [`GroupManager::advance`](super::GroupManager::advance) was told last, and when the next
//! entry's lifetime is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Both are nanoseconds since the manager was made: enough for 584 years.
///
/// `wake` is written under the membership lock and read without it, so that an advance with nothing to do takes no lock.
/// It may be too early (an entry ended otherwise), which costs one look under the lock. An advance that overlaps the
/// making of an entry may miss that entry's deadline; the next one does not, because both words are `SeqCst`: what was
/// stored before it began is what it reads.
pub(super) struct Clock {
    now: AtomicU64,
    wake: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { now: AtomicU64::new(0), wake: AtomicU64::new(u64::MAX) }
    }
}

/// Nanoseconds, as many as fit.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Clock {
    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.now.load(Ordering::SeqCst))
    }

    /// Moves the clock, never back: whether a deadline is over. Wait-free.
    pub(super) fn advance(&self, to: Duration) -> bool {
        let to = nanos(to);
        let mut now = self.now.load(Ordering::SeqCst);
        if now < to {
            now = self.now.fetch_max(to, Ordering::SeqCst).max(to);
        }
        self.wake.load(Ordering::SeqCst) <= now
    }

    /// Sets the next deadline. To be called under the membership lock.
    pub(super) fn wake_at(&self, deadline: Option<Duration>) {
        self.wake.store(deadline.map_or(u64::MAX, nanos), Ordering::SeqCst);
    }
}
