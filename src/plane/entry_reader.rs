//! [`EntryReader`]: a reader of the forwarding table that owns its manager.

use crate::forwarding::{Entry, Flow, ForwardingReader, ForwardingTable, LookupBurst};
use crate::manager::GroupManager;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Reads the forwarding table of a manager, and keeps the manager alive.
///
/// Unlike a [`ForwardingReader`] it borrows nothing, so a worker can store it beside an [`Arc`] of the manager. It is not
/// `Send`: the thread that uses it makes it.
///
/// ```
/// use mgm::manager::{GroupManager, ManagerConfig};
/// use mgm::plane::EntryReader;
/// use std::sync::Arc;
///
/// struct Worker {
///     manager: Arc<GroupManager>,
///     reader: EntryReader,
/// }
///
/// let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None))?);
/// let mut worker = Worker { reader: EntryReader::new(manager.clone()), manager };
/// let flow = mgm::forwarding::Flow::new("192.0.2.7".parse()?, "239.1.2.3".parse()?)?;
/// assert!(worker.reader.lookup(&flow).is_none());
/// worker.reader.park();
/// # let _ = worker.manager;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EntryReader {
    /// Borrows from `manager`. Initialized by [`Self::new`], dropped by `drop`, and never given out.
    ///
    /// It is not a plain field: a function that is passed one may assume that the references in it are valid until the
    /// function returns, even if the function drops the manager.
    reader: MaybeUninit<ForwardingReader<'static>>,
    manager: Arc<GroupManager>,
}

impl fmt::Debug for EntryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryReader").finish_non_exhaustive()
    }
}

impl EntryReader {
    /// Makes a reader for the calling thread. May block, and allocates; no other function of it does either.
    #[must_use]
    pub fn new(manager: Arc<GroupManager>) -> EntryReader {
        let table: *const ForwardingTable = manager.forwarding_table();
        // SAFETY: the manager keeps the table alive and in place, and `manager`, an `Arc` of it, keeps the manager alive.
        // `drop` ends the reader, and with it this reference, before `manager` is dropped. No method gives the reference
        // out with this lifetime: they shorten it to a borrow of `self`.
        let table: &'static ForwardingTable = unsafe { &*table };
        EntryReader { reader: MaybeUninit::new(table.reader()), manager }
    }

    #[inline]
    fn reader(&mut self) -> &mut ForwardingReader<'static> {
        // SAFETY: `new` initializes it, and only `drop` ends it.
        unsafe { self.reader.assume_init_mut() }
    }

    /// Returns the manager.
    #[must_use]
    pub fn manager(&self) -> &Arc<GroupManager> {
        &self.manager
    }

    /// Returns the entry of a flow. Wait-free.
    #[inline]
    pub fn lookup(&mut self, flow: &Flow) -> Option<&Entry> {
        self.reader().lookup(flow)
    }

    /// Returns the entries of many flows, in their order. See [`ForwardingReader::lookup_burst`]. Wait-free.
    #[inline]
    pub fn lookup_burst<'r>(&'r mut self, flows: &'r [Flow]) -> LookupBurst<'r> {
        self.reader().lookup_burst(flows)
    }

    /// Lets reclamation proceed without this reader until its next call.
    pub fn park(&mut self) {
        self.reader().park();
    }
}

impl Drop for EntryReader {
    fn drop(&mut self) {
        // SAFETY: `new` initialized it, and nothing uses it after this.
        unsafe { self.reader.assume_init_drop() };
    }
}
