//! [`ForwardingTable`]: the public interface, and the writers' side.

use super::buckets::BucketArray;
use super::counters::Counters;
use super::counters::counter_id::{FlowCounterId, OifCounterId};
use super::entry::Entry;
use super::error::PublishError;
use super::flow::Flow;
use super::hash::FlowHash;
use super::new_entry::{NewEntry, VifIndex};
use super::paths::{PathListTable, SharedPaths};
use super::reader::ForwardingReader;
use super::stamp::Stamp;
use crate::faults;
use crate::forwarding::points;
use crate::handle::{Handle, HandleTable, OwnerWords, Standstill};
use crate::memory::NoMemory;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};
use std::fmt;

/// Maps (source, group) to entries, for both address families.
///
/// Readers are wait-free: a look-up takes no lock, retries nothing, makes no read-modify-write and runs no destructor.
/// It never misses a flow while its entry is being replaced or the table grows. Writers may block each other, but never
/// a reader.
///
/// A replaced or withdrawn entry is kept until no reader can see it any more. A reader that stalls in the middle of a
/// burst therefore holds entries back: at most a quarter of the capacity and 256 more. Publishing then returns
/// [`PublishError::Full`], while look-ups and withdrawals go on.
///
/// The table grows with its entries up to its capacity, and never shrinks. Growing delays the writer that causes it by
/// a time proportional to the number of entries.
pub struct ForwardingTable {
    entries: HandleTable<Entry>,
    /// The first bucket array; later arrays are linked to it.
    pub(super) buckets: BucketArray,
    hash: FlowHash,
    writer: Mutex<Writer>,
    live: AtomicUsize,
    capacity: u32,
    owners: Arc<OwnerWords>,
    counters: Counters,
    /// The standard library's type, also under loom: no model sets a watcher.
    watcher: std::sync::OnceLock<Box<Watcher>>,
}

/// The state that only the writer with the lock uses.
struct Writer {
    /// The number of entries.
    live: u32,
    path_lists: PathListTable,
}

/// Is called with the flow of each entry that was published, replaced or withdrawn.
type Watcher = dyn Fn(Flow) + Send + Sync;

/// The slots beyond a quarter of the capacity for entries that wait for readers. None under loom, so that models see
/// slots reused.
const SPARE_SLOTS: u32 = if cfg!(loom) { 0 } else { 256 };

/// The largest capacity. With its spare slots it is smaller than the limit of a handle table.
pub(crate) const MAX_CAPACITY: u32 = 1 << 23;

impl ForwardingTable {
    /// Makes a table of at most `capacity` entries, with stamps that are checked against `owners`. A capacity above
    /// 2^23 is taken as 2^23.
    #[must_use]
    pub fn new(capacity: u32, owners: Arc<OwnerWords>) -> ForwardingTable {
        ForwardingTable::with_hash(capacity, owners, FlowHash::new())
    }

    pub(super) fn with_hash(capacity: u32, owners: Arc<OwnerWords>, hash: FlowHash) -> ForwardingTable {
        let capacity = capacity.min(MAX_CAPACITY);
        // Removed entries need slots until their grace period has ended.
        let slots = capacity + capacity / 4 + SPARE_SLOTS;
        ForwardingTable {
            entries: HandleTable::with_limit(slots.max(1)).expect("at least 1 slot and at most 2^24 - 1"),
            buckets: BucketArray::default(),
            hash,
            writer: Mutex::new(Writer { live: 0, path_lists: PathListTable::new(owners.clone()) }),
            live: AtomicUsize::new(0),
            capacity,
            owners,
            counters: Counters::new(capacity),
            watcher: std::sync::OnceLock::new(),
        }
    }

    /// Registers the one watcher of the table, which is called after each publish, replace and withdraw. Returns
    /// `false` if the table has a watcher already. Planes use it to mirror the entries in a kernel or in hardware.
    ///
    /// The writer calls it, possibly with locks held: the watcher must only note the flow for another thread, and must
    /// not panic. It is not called when a stamp ceases to be current. The thread that ends an ownership replaces or
    /// withdraws the entries that depend on it soon afterwards. May block on other writers.
    ///
    /// A change that a look-up after this call does not find is reported.
    pub fn watch(&self, watcher: impl Fn(Flow) + Send + Sync + 'static) -> bool {
        // A writer changes the table under this lock and looks for the watcher afterwards. If it had the lock before, the
        // change is visible here; if it has it later, it finds the watcher.
        let _writer = self.writer.lock();
        self.watcher.set(Box::new(watcher)).is_ok()
    }

    fn notify(&self, flow: Flow) {
        if let Some(watcher) = self.watcher.get() {
            watcher(flow);
        }
    }

    /// Returns the owner words that stamps are checked against.
    #[must_use]
    pub fn owners(&self) -> &Arc<OwnerWords> {
        &self.owners
    }

    /// Returns the counters of the flows.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Allocates the counters of a new flow, all at zero. [`Self::free_counter`] frees them. May block.
    ///
    /// # Errors
    /// [`PublishError::Full`] when as many flows have counters as the table may hold entries;
    /// [`PublishError::NoMemory`].
    pub fn alloc_counter(&self) -> Result<FlowCounterId, PublishError> {
        self.counters.alloc()
    }

    /// Frees the counters of a flow after its entry was withdrawn, with those of its outgoing interfaces. Returns
    /// `false` if they were free already. May block.
    ///
    /// They are allocated again under another identifier, at zero. What a worker still counts under the old identifier
    /// does not count under the new one.
    pub fn free_counter(&self, id: FlowCounterId) -> bool {
        self.counters.free(id)
    }

    /// Allocates the counters of one outgoing interface of a flow, all at zero. [`Self::free_oif_counter`] frees them,
    /// or [`Self::free_counter`] with those of the flow. May block.
    ///
    /// The first four interfaces of a flow are counted in the same cache line as the flow's packets, and seven in each
    /// further line. Returns [`OifCounterId::NONE`] for a flow with free counters, and when 2^28 lines are in use.
    ///
    /// # Errors
    /// [`NoMemory`] when the allocator refuses memory for the counters.
    pub fn alloc_oif_counter(&self, flow: FlowCounterId) -> Result<OifCounterId, NoMemory> {
        self.counters.alloc_oif(flow)
    }

    /// Frees the counters of an outgoing interface that no entry refers to. Returns `false` if they were free already.
    /// May block.
    pub fn free_oif_counter(&self, id: OifCounterId) -> bool {
        self.counters.free_oif(id)
    }

    /// Publishes a flow's first entry in one step. May block on other writers.
    ///
    /// # Errors
    /// [`PublishError::Full`], [`PublishError::Exists`], [`PublishError::Crowded`], [`PublishError::NoMemory`].
    pub fn publish(&self, entry: NewEntry<'_>) -> Result<(), PublishError> {
        self.publish_shared(entry).map(drop)
    }

    /// Publishes as [`publish`](Self::publish) does, and returns the outgoing interfaces.
    pub(crate) fn publish_shared(&self, entry: NewEntry<'_>) -> Result<SharedPaths, PublishError> {
        let flow = entry.flow;
        let hash = self.hash.of(&flow);
        let mut writer = self.writer.lock();
        let mut buckets = self.buckets.current();
        if self.find_handle(buckets, hash, &flow).is_some() {
            return Err(PublishError::Exists(flow));
        }
        if writer.live >= self.capacity {
            return Err(PublishError::Full(self.capacity));
        }
        if writer.live as usize >= buckets.limit() {
            buckets = buckets.grow()?;
        }
        if buckets.is_crowded(hash) {
            return Err(PublishError::Crowded(flow));
        }
        let entry = Entry::try_new(&entry, &mut writer.path_lists)?;
        let paths = SharedPaths::new(entry.paths().clone());
        let handle = self.insert(entry)?;
        faults::point(points::ENTRY_UNPUBLISHED);
        let inserted = buckets.insert(hash, handle.index());
        faults::point(points::ENTRY_UNCOUNTED);
        debug_assert!(inserted, "arrays have more lanes than the table has entries");
        self.change_live(&mut writer, |live| live + 1);
        drop(writer);
        self.notify(flow);
        Ok(paths)
    }

    /// Replaces a flow's entry with a new one in one step: a reader finds the old entry or the new one. May block on
    /// other writers.
    ///
    /// # Errors
    /// [`PublishError::Missing`]; [`PublishError::Full`] when no slot is left for the new entry beside the old one;
    /// [`PublishError::NoMemory`].
    pub fn replace(&self, entry: NewEntry<'_>) -> Result<(), PublishError> {
        let flow = entry.flow;
        let hash = self.hash.of(&flow);
        let mut writer = self.writer.lock();
        let buckets = self.buckets.current();
        let Some(old) = self.find_handle(buckets, hash, &flow) else {
            return Err(PublishError::Missing(flow));
        };
        let new = self.insert(Entry::try_new(&entry, &mut writer.path_lists)?)?;
        buckets.replace(hash, old.index(), new.index());
        faults::point(points::ENTRY_REPLACED);
        self.retire(old);
        drop(writer);
        self.notify(flow);
        Ok(())
    }

    /// Replaces a flow's entry with one that differs from it in one outgoing interface, as [`replace`](Self::replace) does:
    /// without it, or with it under a stamp, counted by that counter. `before` are the outgoing interfaces of the entry, in the
    /// order of interfaces. Returns those of the new entry.
    ///
    /// The cost hardly depends on the number of outgoing interfaces.
    ///
    /// # Errors
    /// As [`replace`](Self::replace); [`PublishError::Missing`] too if the entry has other outgoing interfaces than `before`.
    pub(crate) fn change(
        &self,
        flow: &Flow,
        before: &SharedPaths,
        interface: VifIndex,
        outgoing: Option<(Stamp, OifCounterId)>,
    ) -> Result<SharedPaths, PublishError> {
        let hash = self.hash.of(flow);
        let mut writer = self.writer.lock();
        let buckets = self.buckets.current();
        let found =
            buckets.find(hash, |index| self.entry_of_lane(index).filter(|(_, entry)| entry.flow().is(flow)));
        let unchanged = |(_, entry): &(Handle, &Entry)| {
            before.list().is_some_and(|list| std::sync::Arc::ptr_eq(list, entry.paths()))
        };
        let Some((old, entry)) = found.filter(unchanged) else { return Err(PublishError::Missing(*flow)) };
        let (stamp, counter) = outgoing.unzip();
        let Some(changed) = writer.path_lists.change(entry.paths(), interface, stamp)? else {
            return Ok(before.clone());
        };
        let entry = entry.changed(changed, counter.unwrap_or(OifCounterId::NONE))?;
        let paths = SharedPaths::new(entry.paths().clone());
        let new = self.insert(entry)?;
        buckets.replace(hash, old.index(), new.index());
        faults::point(points::ENTRY_REPLACED);
        self.retire(old);
        drop(writer);
        self.notify(*flow);
        Ok(paths)
    }

    /// Returns the number of paths and pieces of path lists that a change of one interface has copied so far. For tests of what a
    /// change costs.
    #[doc(hidden)]
    #[must_use]
    pub fn paths_copied(&self) -> u64 {
        self.writer.lock().path_lists.copied()
    }

    /// Withdraws a flow's entry. Returns `false` if there was none. May block on other writers.
    pub fn withdraw(&self, flow: &Flow) -> bool {
        let hash = self.hash.of(flow);
        let mut writer = self.writer.lock();
        let buckets = self.buckets.current();
        let Some(old) = self.find_handle(buckets, hash, flow) else { return false };
        // Empties the lane before the entry is retired: an index in a lane never leads to an entry with a grace period
        // under way.
        buckets.remove(hash, old.index());
        faults::point(points::ENTRY_WITHDRAWN);
        self.retire(old);
        self.change_live(&mut writer, |live| live - 1);
        drop(writer);
        self.notify(*flow);
        true
    }

    /// Returns the number of entries, which may have changed by the time it returns. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        // Relaxed: the number orders no other access.
        self.live.load(Ordering::Relaxed)
    }

    /// Returns whether the number of entries is 0, as [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the approximate number of replaced or withdrawn entries that still wait for readers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.entries.pending()
    }

    /// Returns for how long reclamation has stood still and how many pinned readers hold it back; `None` when it goes on.
    #[must_use]
    pub fn standstill(&self) -> Option<Standstill> {
        self.entries.standstill()
    }

    /// Makes a reader for the calling thread. It is not `Send`.
    #[must_use]
    pub fn reader(&self) -> ForwardingReader<'_> {
        ForwardingReader::new(self.entries.reader(), &self.hash, &self.buckets)
    }

    /// Returns the handle of a flow's entry. The caller holds the writer lock.
    fn find_handle(&self, buckets: &BucketArray, hash: u64, flow: &Flow) -> Option<Handle> {
        buckets.find(hash, |index| {
            let (handle, entry) = self.entry_of_lane(index)?;
            entry.flow().is(flow).then_some(handle)
        })
    }

    /// Returns the entry that a lane leads to, and its handle. The caller holds the writer lock.
    fn entry_of_lane(&self, index: u32) -> Option<(Handle, &Entry)> {
        // SAFETY: only writers remove entries, with the lock that the caller holds, and after they have emptied the
        // entry's lane. No other code has the handles.
        unsafe { self.entries.get_unpinned(index) }
    }

    /// Puts an entry into a slot, where no lane leads to it yet.
    fn insert(&self, entry: Entry) -> Result<Handle, PublishError> {
        self.entries.insert(entry).map_err(|_| PublishError::Full(self.capacity))
    }

    /// Retires an entry that no lane leads to any more.
    fn retire(&self, old: Handle) {
        let removed = self.entries.remove(old);
        debug_assert!(removed.is_ok(), "only the writer that emptied the entry's lane removes it");
    }

    fn change_live(&self, writer: &mut Writer, change: impl Fn(u32) -> u32) {
        writer.live = change(writer.live);
        // Relaxed: only `len` loads it.
        self.live.store(writer.live as usize, Ordering::Relaxed);
    }
}

impl fmt::Debug for ForwardingTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardingTable")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
