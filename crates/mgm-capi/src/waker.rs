//! Wakes the manager's thread.

use parking_lot::RwLock;
use std::thread::Thread;

/// The manager's thread, while it runs.
#[derive(Default)]
pub(crate) struct Waker(RwLock<Option<Thread>>);

impl Waker {
    /// Sets the thread that [`wake`](Self::wake) wakes.
    pub(crate) fn set(&self, thread: Option<Thread>) {
        *self.0.write() = thread;
    }

    /// Wakes the thread. Never waits: while [`set`](Self::set) holds the lock the wake-up is skipped, and the thread's
    /// next tick does the work.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.0.try_read()
            && let Some(thread) = &*thread
        {
            thread.unpark();
        }
    }
}
