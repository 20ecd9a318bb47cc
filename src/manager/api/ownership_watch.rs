//! [`OwnershipWatch`]: code that runs when something derived from an interface's ownership has ended.
//!
//! A plane that reads entries itself needs no watch: the stamps tell it. A plane that keeps a copy where no stamps are
//! checked has to take the copies of an interface out of use before the call that ended them returns.

use super::Interface;
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;

type Watch = Box<dyn Fn(Interface) + Send + Sync>;

/// A running watch of ownership. Dropping it ends the watch; a call that another thread has begun may still be running then.
///
/// [`GroupManager::watch_ownership`](crate::manager::GroupManager::watch_ownership) makes one.
pub struct OwnershipWatch {
    watch: Arc<Watch>,
    watches: OwnershipWatches,
}

impl Drop for OwnershipWatch {
    fn drop(&mut self) {
        let mut list = self.watches.list.write();
        *list = list.iter().filter(|watch| !Arc::ptr_eq(watch, &self.watch)).cloned().collect();
    }
}

impl fmt::Debug for OwnershipWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnershipWatch").finish_non_exhaustive()
    }
}

/// The watches of a manager.
#[derive(Clone)]
pub(in crate::manager) struct OwnershipWatches {
    /// Replaced as a whole, so that a thread that calls the watches holds no lock and allocates nothing.
    list: Arc<RwLock<Arc<[Arc<Watch>]>>>,
}

impl Default for OwnershipWatches {
    fn default() -> OwnershipWatches {
        OwnershipWatches { list: Arc::new(RwLock::new(Arc::new([]))) }
    }
}

impl OwnershipWatches {
    /// Adds a watch.
    pub(in crate::manager) fn add(&self, watch: Watch) -> OwnershipWatch {
        let watch = Arc::new(watch);
        let mut list = self.list.write();
        *list = list.iter().cloned().chain([watch.clone()]).collect();
        OwnershipWatch { watch, watches: self.clone() }
    }

    /// Has `run` call every watch with an interface.
    pub(in crate::manager) fn call(&self, interface: Interface, run: impl Fn(&dyn Fn())) {
        let list = self.list.read().clone();
        list.iter().for_each(|watch| run(&|| watch(interface)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[test]
    fn each_watch_is_called_until_it_is_dropped() {
        let (watches, seen) = (OwnershipWatches::default(), Arc::<Mutex<Vec<_>>>::default());
        let add = |name: &'static str| {
            let seen = seen.clone();
            watches.add(Box::new(move |interface| seen.lock().push((name, interface))))
        };
        let (one, other) = (add("one"), add("other"));
        watches.call(Interface::v4(1), |watch| watch());
        drop(one);
        watches.call(Interface::v6(2), |watch| watch());
        drop(other);
        watches.call(Interface::v4(3), |watch| watch());
        let expected = [("one", Interface::v4(1)), ("other", Interface::v4(1)), ("other", Interface::v6(2))];
        assert_eq!(*seen.lock(), expected);
    }
}
