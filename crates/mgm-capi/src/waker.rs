//! Wakes the manager's thread.

use parking_lot::RwLock;
use std::thread::Thread;

/// The manager's thread, while it runs.
static THREAD: RwLock<Option<Thread>> = RwLock::new(None);

/// Sets the thread that [`wake`] wakes.
pub(crate) fn set(thread: Option<Thread>) {
    *THREAD.write() = thread;
}

/// Wakes the thread. Never waits: while [`set`] holds the lock the wake-up is skipped, and the thread's next tick does
/// the work.
pub(crate) fn wake() {
    if let Some(thread) = THREAD.try_read()
        && let Some(thread) = &*thread
    {
        thread.unpark();
    }
}
