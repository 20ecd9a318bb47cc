//! [`Rundown`]: run-down protection. Users enter while an object is alive; the thread that ends the object waits for the
//! last user to leave.
//!
//! ```text
//!   63                             1   0
//!  +---------------------------------+---+
//!  |   number of threads inside      | c |   c: closed
//!  +---------------------------------+---+
//! ```
//!
//! A callback enters first and checks afterwards whether its client is still registered. So at the instant a deregistration
//! takes effect each callback either has not checked yet, and will turn back, or has checked and is inside. Closing changes
//! the word by which callbacks enter: a callback that entered before is in the count that the closing thread waits for, and
//! a later one finds the run-down closed. The opposite order, checking before entering, leaves a gap: the client leaves, the
//! count is zero, the closing thread does not wait, and the callback runs afterwards (the planted bug `rundown-late-entry`).

use crate::faults;
use crate::manager::points;
use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering};
use std::fmt;

const CLOSED: usize = 1;
const INSIDE: usize = 2;

/// Run-down protection of one object. See the top of this file.
#[derive(Default)]
pub struct Rundown {
    word: AtomicUsize,
    waiting: Mutex<()>,
    empty: Condvar,
}

/// A thread inside a [`Rundown`], until this guard is dropped.
#[derive(Debug)]
pub struct RundownGuard<'r> {
    rundown: &'r Rundown,
}

impl fmt::Debug for Rundown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rundown").finish_non_exhaustive()
    }
}

impl Rundown {
    /// Enters, unless the run-down is closed or `is_alive` returns false. Wait-free except for `is_alive`.
    pub fn enter(&self, is_alive: impl Fn() -> bool) -> Option<RundownGuard<'_>> {
        if planted!("rundown-late-entry") {
            if !is_alive() {
                return None;
            }
            // Widens the gap: a yield returns at once where no other thread waits for the processor.
            #[cfg(not(loom))]
            std::thread::sleep(std::time::Duration::from_micros(20));
            self.word.fetch_add(INSIDE, Ordering::Acquire);
            return Some(RundownGuard { rundown: self });
        }
        // Acquire: pairs with `close`, so that `is_alive` sees what the closing thread did before. The place in the word's
        // modification order decides: before the closing, and the closing thread waits; after it, and `before` is closed.
        let before = self.word.fetch_add(INSIDE, Ordering::Acquire);
        faults::point(points::RUNDOWN_ENTERED);
        let guard = RundownGuard { rundown: self };
        (before & CLOSED == 0 && is_alive()).then_some(guard)
    }

    /// Closes the run-down: no thread enters any more. Wait-free. Must be called once the object is not alive any more.
    pub fn close(&self) {
        // Release: pairs with `enter`.
        self.word.fetch_or(CLOSED, Ordering::Release);
    }

    /// Blocks until no thread is inside. The run-down must be closed, or the wait may never end. What the threads did
    /// inside happened before the return.
    pub fn wait(&self) {
        // Acquire: pairs with the subtraction in `RundownGuard::drop`.
        self.empty.wait_while(&self.waiting, || self.word.load(Ordering::Acquire) >= INSIDE);
    }
}

impl Drop for RundownGuard<'_> {
    fn drop(&mut self) {
        // Release: pairs with the load in `wait`, so that what the thread did inside comes before the return of `wait`.
        let before = self.rundown.word.fetch_sub(INSIDE, Ordering::Release);
        if before == INSIDE | CLOSED {
            // The lock: a waiting thread either has not read the word yet, or waits by now and is woken.
            let _waiting = self.rundown.waiting.lock();
            self.rundown.empty.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_enters_once_closed_or_dead() {
        let rundown = Rundown::default();
        let (first, second) = (rundown.enter(|| true), rundown.enter(|| true));
        assert!(first.is_some() && second.is_some());
        assert!(rundown.enter(|| false).is_none());
        rundown.close();
        assert!(rundown.enter(|| true).is_none());
        drop((first, second));
        rundown.wait();
    }

    #[test]
    fn waiting_ends_when_the_last_thread_leaves() {
        let rundown = Rundown::default();
        let guard = rundown.enter(|| true).unwrap();
        rundown.close();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| rundown.wait());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(guard);
            waiting.join().unwrap();
        });
    }
}
