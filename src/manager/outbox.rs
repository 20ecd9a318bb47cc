//! [`Outbox`]: what waits to be told to one client, and who tells it.
//!
//! Whoever has queued something then delivers all there is, unless somebody is at it: to that thread he leaves it. So one
//! thing is told after the other, what is queued from inside a callback comes after that callback, and a slow client delays
//! its own notices and the one call that delivers them. It does not suffice that the first to queue delivers: he may be busy
//! with another client, which is slow.
//!
//! ```text
//!          deliver, by whoever comes first
//!   idle --------------------------------> being delivered <---+
//!     ^                                          |   |          |
//!     |      nothing left, under the lock        |   | the next |
//!     +------------------------------------------+   +----------+
//! ```
//!
//! That nothing is left is found, and that nobody delivers is noted, under one lock: between the two somebody could queue
//! something and leave it to a thread that does not look again (the feature `bug-outbox-late-rest` plants that).
//!
//! It is bounded. What does not fit is counted, and the client is told to look again once it has worked off what did fit.

use crate::faults;
use crate::manager::points;
use crate::memory;
use crate::sync::Mutex;
use std::collections::VecDeque;

/// See the top of this file.
pub struct Outbox<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    queue: VecDeque<T>,
    lost: u64,
    delivering: bool,
}

/// What is to be told next.
#[derive(Debug)]
pub enum Next<T> {
    /// This.
    Item(T),
    /// That so many did not fit.
    Lost(u64),
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Outbox { state: Mutex::new(State { queue: VecDeque::new(), lost: 0, delivering: false }) }
    }
}

impl<T> Outbox<T> {
    /// Queues an item, or counts it as lost when as many wait as there is `room`, or there is no memory for it. The caller has
    /// to deliver then.
    pub fn push(&self, item: T, room: usize) {
        let mut state = self.state.lock();
        if state.queue.len() < room && memory::reserve_one(&mut state.queue).is_ok() {
            state.queue.push_back(item);
        } else {
            state.lost += 1;
        }
    }

    /// Queues an item that must not be lost. When there is no room it goes together with the first that `merge` has it go
    /// together with: whether it does. The caller has to deliver then.
    pub fn push_or_merge(&self, item: T, room: usize, merge: impl FnMut(&mut T) -> bool) -> bool {
        let mut state = self.state.lock();
        let merged = state.queue.len() >= room && state.queue.iter_mut().any(merge);
        if !merged {
            state.queue.push_back(item);
        }
        merged
    }

    /// Tells everything that is queued, with no lock held, unless another thread is at it.
    pub fn deliver(&self, mut tell: impl FnMut(Next<T>)) {
        {
            let mut state = self.state.lock();
            if state.delivering {
                return;
            }
            state.delivering = true;
        }
        while let Some(next) = self.next() {
            faults::point(points::NOTICE_DEQUEUED);
            tell(next);
        }
    }

    /// What is next; when nothing is, nobody is delivering any more.
    fn next(&self) -> Option<Next<T>> {
        let mut state = self.state.lock();
        if let Some(item) = state.queue.pop_front() {
            return Some(Next::Item(item));
        }
        if state.lost > 0 {
            return Some(Next::Lost(std::mem::take(&mut state.lost)));
        }
        if planted!("outbox-late-idle") {
            drop(state);
            state = self.state.lock();
        }
        state.delivering = false;
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn told(outbox: &Outbox<u32>) -> Vec<String> {
        let mut told = Vec::new();
        outbox.deliver(|next| told.push(format!("{next:?}")));
        told
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_last() {
        let outbox = Outbox::default();
        (1..=4).for_each(|n| outbox.push(n, 2));
        assert_eq!(told(&outbox), ["Item(1)", "Item(2)", "Lost(2)"]);
        outbox.push(5, 2);
        assert_eq!(told(&outbox), ["Item(5)"], "there is room again");
    }

    #[test]
    fn what_must_not_be_lost_goes_together_only_when_there_is_no_room() {
        let outbox = Outbox::default();
        let same = |n: &mut u32| *n == 7;
        assert!(!outbox.push_or_merge(7, 2, same));
        assert!(!outbox.push_or_merge(7, 2, same), "there is room");
        assert!(outbox.push_or_merge(7, 2, same));
        assert!(!outbox.push_or_merge(8, 2, |n| *n == 8), "nothing to go together with");
        assert_eq!(told(&outbox), ["Item(7)", "Item(7)", "Item(8)"]);
    }

    #[test]
    fn what_is_queued_while_something_is_told_comes_after_it() {
        let outbox = Outbox::default();
        outbox.push(1, 9);
        let mut told = Vec::new();
        outbox.deliver(|next| {
            if let Next::Item(1) = next {
                outbox.push(2, 9);
                outbox.deliver(|_| panic!("somebody is at it already"));
            }
            told.push(format!("{next:?}"));
        });
        assert_eq!(told, ["Item(1)", "Item(2)"]);
    }
}
