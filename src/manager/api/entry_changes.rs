//! [`ChangeSubscription`]: the flows with changed entries, for planes that keep a copy of the entries.
//!
//! Each subscriber has a bounded queue. A flow is in a queue at most once. A queue that overflows forgets its flows and
//! reports [`EntryChange::Overflow`] instead: the subscriber then compares its copy with every entry.

use crate::forwarding::{Flow, ForwardingTable};
use parking_lot::{Mutex, RwLock};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A change of the manager's forwarding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryChange {
    /// The entry of this flow was published, replaced or withdrawn, once or several times.
    Flow(Flow),
    /// The queue overflowed: the entry of any flow may have changed.
    Overflow,
}

/// A subscription to changes of entries. Dropping it ends the subscription, and waits for wakes that are running, except inside
/// a wake.
///
/// [`GroupManager::subscribe_changes`](crate::manager::GroupManager::subscribe_changes) makes one. A change is queued right
/// after it is made. A subscriber that takes a flow out of the queue and then looks it up sees that change or a later one,
/// and every later one is queued again.
///
/// Stamps that cease to be current are no changes: after a release the manager replaces or withdraws the entries that
/// depended on it, and these changes are queued.
pub struct ChangeSubscription {
    queue: Arc<ChangeQueue>,
    feed: ChangeFeed,
}

impl ChangeSubscription {
    /// Takes the next change out of the queue; `None` when there is none. May wait for a writer that is adding one.
    #[must_use]
    pub fn try_next(&self) -> Option<EntryChange> {
        let mut pending = self.queue.pending.lock();
        if std::mem::take(&mut pending.overflowed) {
            return Some(EntryChange::Overflow);
        }
        pending.flows.pop_first().map(EntryChange::Flow)
    }
}

impl Drop for ChangeSubscription {
    fn drop(&mut self) {
        // Relaxed: read under the lock of the list, or by this very thread.
        self.queue.ended.store(true, Ordering::Relaxed);
        // Inside a wake this thread reads the list, and must not wait for itself: the next subscription that begins or ends
        // removes the queue.
        if WAKING.get() == 0 {
            self.feed.remove_ended();
        }
    }
}

impl fmt::Debug for ChangeSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeSubscription").field("limit", &self.queue.limit).finish_non_exhaustive()
    }
}

struct ChangeQueue {
    pending: Mutex<Pending>,
    limit: usize,
    /// Called after a change was queued.
    wake: Box<dyn Fn() + Send + Sync>,
    /// Whether the subscription was dropped.
    ended: AtomicBool,
}

thread_local! {
    /// The number of wakes that this thread is inside of.
    static WAKING: Cell<u32> = const { Cell::new(0) };
}

/// Notes that this thread is inside a wake.
struct Waking;

impl Waking {
    fn enter() -> Waking {
        WAKING.set(WAKING.get() + 1);
        Waking
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        WAKING.set(WAKING.get() - 1);
    }
}

#[derive(Default)]
struct Pending {
    flows: BTreeSet<Flow>,
    overflowed: bool,
}

impl ChangeQueue {
    fn push(&self, flow: Flow) {
        // Relaxed: as the store.
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut pending = self.pending.lock();
            if pending.flows.len() < self.limit {
                pending.flows.insert(flow);
            } else if !pending.flows.contains(&flow) {
                pending.flows.clear();
                pending.overflowed = true;
            }
        }
        let _waking = Waking::enter();
        (self.wake)();
    }
}

/// The queues of all subscribers.
#[derive(Clone, Default)]
pub(in crate::manager) struct ChangeFeed {
    queues: Arc<RwLock<Vec<Arc<ChangeQueue>>>>,
}

impl ChangeFeed {
    /// Removes the queues of dropped subscriptions. What their wakes own is dropped without a lock.
    fn remove_ended(&self) {
        let ended: Vec<_> = {
            let mut queues = self.queues.write();
            let is_ended = |queue: &mut Arc<ChangeQueue>| queue.ended.load(Ordering::Relaxed);
            queues.extract_if(.., is_ended).collect()
        };
        drop(ended);
    }

    /// Adds a subscriber. The first one attaches the feed to the table, so that without subscribers publishing costs
    /// nothing more.
    pub(in crate::manager) fn subscribe(
        &self,
        table: &ForwardingTable,
        limit: usize,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> ChangeSubscription {
        let ended = AtomicBool::new(false);
        let queue = Arc::new(ChangeQueue { pending: Mutex::default(), limit, wake, ended });
        self.remove_ended();
        self.queues.write().push(queue.clone());
        let queues = self.queues.clone();
        // Without effect when the feed is attached already: a table has one watcher, and only this feed sets it.
        _ = table.watch(move |flow| queues.read().iter().for_each(|queue| queue.push(flow)));
        ChangeSubscription { queue, feed: self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn flow(n: u8) -> Flow {
        Flow::new([10, 0, 0, n].into(), [239, 0, 0, 1].into()).unwrap()
    }

    fn drain(subscription: &ChangeSubscription) -> Vec<EntryChange> {
        std::iter::from_fn(|| subscription.try_next()).collect()
    }

    fn push(feed: &ChangeFeed, n: u8) {
        feed.queues.read().iter().for_each(|queue| queue.push(flow(n)));
    }

    fn subscribe(feed: &ChangeFeed, limit: usize, wakes: &Arc<AtomicU32>) -> ChangeSubscription {
        let table = ForwardingTable::new(1, Arc::default());
        let wakes = wakes.clone();
        feed.subscribe(&table, limit, Box::new(move || _ = wakes.fetch_add(1, Ordering::Relaxed)))
    }

    #[test]
    fn each_subscriber_gets_each_changed_flow_once() {
        let (feed, wakes) = (ChangeFeed::default(), Arc::default());
        let (one, other) = (subscribe(&feed, 9, &wakes), subscribe(&feed, 9, &wakes));
        [2, 1, 2].into_iter().for_each(|n| push(&feed, n));
        assert_eq!(wakes.load(Ordering::Relaxed), 6);
        assert_eq!(drain(&one), [1, 2].map(|n| EntryChange::Flow(flow(n))));
        drop(one);
        push(&feed, 3);
        assert_eq!(drain(&other), [1, 2, 3].map(|n| EntryChange::Flow(flow(n))));
    }

    #[test]
    fn an_overflow_is_reported_instead_of_the_flows() {
        let (feed, wakes) = (ChangeFeed::default(), Arc::default());
        let (short, long) = (subscribe(&feed, 2, &wakes), subscribe(&feed, 9, &wakes));
        [1, 2, 2, 3, 4].into_iter().for_each(|n| push(&feed, n));
        assert_eq!(drain(&short), [EntryChange::Overflow, EntryChange::Flow(flow(4))]);
        assert_eq!(drain(&long), [1, 2, 3, 4].map(|n| EntryChange::Flow(flow(n))));
        push(&feed, 5);
        assert_eq!(drain(&short), [EntryChange::Flow(flow(5))]);
    }

    /// The wake owns the subscription, and drops it when it is called.
    #[test]
    fn a_subscription_may_be_dropped_inside_its_own_wake() {
        let (feed, wakes) = (ChangeFeed::default(), Arc::<AtomicU32>::default());
        let table = ForwardingTable::new(1, Arc::default());
        let own = Arc::new(Mutex::new(None));
        let (taken, counted) = (own.clone(), wakes.clone());
        let wake = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(taken.lock().take());
        };
        let subscription = feed.subscribe(&table, 9, Box::new(wake));
        let queue = Arc::downgrade(&subscription.queue);
        *own.lock() = Some(subscription);
        let (done, finished) = std::sync::mpsc::channel();
        let pushing = feed.clone();
        std::thread::spawn(move || {
            push(&pushing, 1);
            push(&pushing, 2);
            _ = done.send(());
        });
        finished.recv_timeout(std::time::Duration::from_secs(20)).expect("the wake does not wait for itself");
        assert_eq!(wakes.load(Ordering::Relaxed), 1, "not woken after the end");
        let other = subscribe(&feed, 9, &wakes);
        assert!(queue.upgrade().is_none(), "the queue is removed by the next subscription");
        drop(other);
    }
}
