//! [`Outbox`]: the notices that wait for one client, delivered by one thread at a time.
//!
//! The thread that queued a notice delivers the whole queue, unless another thread is already delivering it. So notices are
//! delivered one after the other; a notice queued from inside a callback is delivered after that callback; and a slow client
//! delays only its own notices and the call that delivers them. It would not suffice that the thread that queued the first
//! notice delivers: it may be busy with another client, which is slow.
//!
//! ```text
//!          deliver, by the first thread
//!   idle --------------------------------> delivering <---+
//!     ^                                      |   |        |
//!     |      queue empty, under the lock     |   | next   |
//!     +--------------------------------------+   +--------+
//! ```
//!
//! The delivering thread finds the queue empty and clears the flag under one lock. Otherwise another thread could queue a
//! notice between the two steps and leave it to a thread that does not look again (the planted bug `outbox-late-idle`).
//!
//! The queue is bounded. The outbox counts the notices that do not fit, and reports the count after the others.

use crate::faults;
use crate::manager::points;
use crate::memory;
use crate::sync::Mutex;
use std::collections::VecDeque;
use std::fmt;

/// A bounded queue of notices. See the top of this file.
pub struct Outbox<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    queue: VecDeque<T>,
    lost: u64,
    /// Whether a thread is delivering.
    delivering: bool,
}

/// The next delivery of an outbox.
#[derive(Debug)]
pub enum Next<T> {
    /// A queued item.
    Item(T),
    /// The number of items that were lost.
    Lost(u64),
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Outbox { state: Mutex::new(State { queue: VecDeque::new(), lost: 0, delivering: false }) }
    }
}

impl<T> fmt::Debug for Outbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

/// A thread that delivers. Ends the delivery when the thread unwinds: the next delivery goes on with the queue.
struct Delivering<'o, T>(&'o Outbox<T>);

impl<T> Drop for Delivering<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().delivering = planted!("outbox-stays-busy");
    }
}

impl<T> Outbox<T> {
    /// Returns an outbox that is held: threads queue items and leave them until [`release`](Self::release).
    #[cfg_attr(loom, allow(dead_code, reason = "models make less"))]
    pub fn held() -> Outbox<T> {
        Outbox { state: Mutex::new(State { queue: VecDeque::new(), lost: 0, delivering: true }) }
    }

    /// Ends the hold of [`held`](Self::held). The caller has to deliver afterwards.
    #[cfg_attr(loom, allow(dead_code, reason = "models make less"))]
    pub fn release(&self) {
        self.state.lock().delivering = false;
    }

    /// Queues an item; counts it as lost when `limit` items wait or there is no memory. The caller has to deliver
    /// afterwards.
    pub fn push(&self, item: T, limit: usize) {
        let mut state = self.state.lock();
        if state.queue.len() < limit && memory::reserve_one(&mut state.queue).is_ok() {
            state.queue.push_back(item);
        } else {
            state.lost += 1;
        }
    }

    /// Queues an item that must not be lost. At the limit it is merged into the first item for which `merge` returns true;
    /// without such an item it is queued beyond the limit. Returns whether it was merged. The caller has to deliver
    /// afterwards.
    pub fn push_or_merge(&self, item: T, limit: usize, merge: impl FnMut(&mut T) -> bool) -> bool {
        let mut state = self.state.lock();
        let merged = state.queue.len() >= limit && state.queue.iter_mut().any(merge);
        if !merged {
            state.queue.push_back(item);
        }
        merged
    }

    /// Delivers every queued item, with no lock held, unless another thread is delivering.
    pub fn deliver(&self, mut deliver: impl FnMut(Next<T>)) {
        {
            let mut state = self.state.lock();
            if state.delivering {
                return;
            }
            state.delivering = true;
        }
        let delivering = Delivering(self);
        while let Some(next) = self.next() {
            faults::point(points::NOTICE_DEQUEUED);
            deliver(next);
        }
        // `next` has ended the delivery.
        std::mem::forget(delivering);
    }

    /// Takes the next item out of the queue. When there is none, ends the delivery in the same step.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(outbox: &Outbox<u32>) -> Vec<String> {
        let mut delivered = Vec::new();
        outbox.deliver(|next| delivered.push(format!("{next:?}")));
        delivered
    }

    #[test]
    fn lost_items_are_counted_and_reported_last() {
        let outbox = Outbox::default();
        (1..=4).for_each(|n| outbox.push(n, 2));
        assert_eq!(delivered(&outbox), ["Item(1)", "Item(2)", "Lost(2)"]);
        outbox.push(5, 2);
        assert_eq!(delivered(&outbox), ["Item(5)"], "there is room again");
    }

    #[test]
    fn items_merge_only_at_the_limit() {
        let outbox = Outbox::default();
        let same = |n: &mut u32| *n == 7;
        assert!(!outbox.push_or_merge(7, 2, same));
        assert!(!outbox.push_or_merge(7, 2, same), "there is room");
        assert!(outbox.push_or_merge(7, 2, same));
        assert!(!outbox.push_or_merge(8, 2, |n| *n == 8), "nothing to merge with");
        assert_eq!(delivered(&outbox), ["Item(7)", "Item(7)", "Item(8)"]);
    }

    #[test]
    fn an_item_queued_during_a_delivery_comes_after_it() {
        let outbox = Outbox::default();
        outbox.push(1, 9);
        let mut delivered = Vec::new();
        outbox.deliver(|next| {
            if let Next::Item(1) = next {
                outbox.push(2, 9);
                outbox.deliver(|_| panic!("this thread is delivering already"));
            }
            delivered.push(format!("{next:?}"));
        });
        assert_eq!(delivered, ["Item(1)", "Item(2)"]);
    }

    #[test]
    fn a_delivery_that_unwinds_leaves_the_rest_to_the_next() {
        let outbox = Outbox::default();
        (1..=2).for_each(|n| outbox.push(n, 9));
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            outbox.deliver(|_| panic!("on purpose"));
        }));
        assert!(unwound.is_err());
        assert_eq!(delivered(&outbox), ["Item(2)"]);
    }

    #[test]
    fn a_held_outbox_keeps_its_items_until_released() {
        let outbox = Outbox::held();
        outbox.push(1, 9);
        outbox.deliver(|_| panic!("it is held"));
        outbox.release();
        assert_eq!(delivered(&outbox), ["Item(1)"]);
    }
}
