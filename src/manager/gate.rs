//! [`Gate`]: lets a client's callbacks run for as long as the client is registered, and has whoever sees it off wait for
//! the last of them.
//!
//! ```text
//!   63                             1   0
//!  +---------------------------------+---+
//!  |  how many callbacks are inside  | c |   c: closed
//!  +---------------------------------+---+
//! ```
//!
//! A callback goes in first and looks afterwards whether its client is still registered. So at the instant a
//! deregistration takes effect each callback has either not looked yet, and will turn back; or has looked, and is inside.
//! Closing counts on the other half of that: it changes the same word that callbacks go in by. Who went in before is in
//! the count that closing waits for, who comes after sees the gate closed. The opposite order, looking before going in,
//! leaves a gap between the two in which the client leaves, the count is zero, nobody waits, and the callback runs after
//! all: the feature `bug-gate-late-entry` plants it.

use crate::faults;
use crate::manager::points;
use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering};

const CLOSED: usize = 1;
const INSIDE: usize = 2;

/// See the top of this file.
#[derive(Default)]
pub struct Gate {
    word: AtomicUsize,
    waiting: Mutex<()>,
    empty: Condvar,
}

/// A callback that was let in, until this is dropped.
pub struct Inside<'g> {
    gate: &'g Gate,
}

impl Gate {
    /// Goes in, unless the gate is closed or the client is not `registered` any more. Wait-free but for `registered`.
    pub fn enter(&self, registered: impl Fn() -> bool) -> Option<Inside<'_>> {
        if planted!("rundown-late-entry") {
            if !registered() {
                return None;
            }
            // Wide enough a gap for real threads to fall into now and then.
            #[cfg(not(loom))]
            std::thread::yield_now();
            self.word.fetch_add(INSIDE, Ordering::Acquire);
            return Some(Inside { gate: self });
        }
        // Acquire: pairs with `close`, so that what the one who closes did before is seen by the look below. Its place
        // in the word's order is what matters: before the closing, and then it is waited for, or after, and then it sees it.
        let before = self.word.fetch_add(INSIDE, Ordering::Acquire);
        faults::point(points::RUNDOWN_ENTERED);
        let inside = Inside { gate: self };
        (before & CLOSED == 0 && registered()).then_some(inside)
    }

    /// Lets nobody in from now on. Wait-free. To be called once the client is not registered any more.
    pub fn close(&self) {
        // Release: pairs with `enter`.
        self.word.fetch_or(CLOSED, Ordering::Release);
    }

    /// Waits until nobody is inside; the gate must be closed, or that may never be. What callbacks did inside has
    /// happened then.
    pub fn wait(&self) {
        // Acquire: pairs with the subtraction of those who left.
        self.empty.wait_while(&self.waiting, || self.word.load(Ordering::Acquire) >= INSIDE);
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Release: pairs with the load in `wait`; what the callback did comes before.
        let before = self.gate.word.fetch_sub(INSIDE, Ordering::Release);
        if before == INSIDE | CLOSED {
            // The lock: who waits has either not looked yet, or is waiting by now and hears it.
            let _waiting = self.gate.waiting.lock();
            self.gate.empty.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nobody_goes_in_once_it_is_closed_or_the_client_has_left() {
        let gate = Gate::default();
        let (first, second) = (gate.enter(|| true), gate.enter(|| true));
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(|| false).is_none());
        gate.close();
        assert!(gate.enter(|| true).is_none());
        drop((first, second));
        gate.wait();
    }

    #[test]
    fn waiting_ends_with_the_last_one_inside() {
        let gate = Gate::default();
        let inside = gate.enter(|| true).unwrap();
        gate.close();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(inside);
            waiting.join().unwrap();
        });
    }
}
