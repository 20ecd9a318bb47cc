//! [`ForwardingTable`]: the public face, and the writers' side of it.

use super::hash::FlowHash;
use super::lanes::Lanes;
use super::reader::ForwardingReader;
use super::ways::AllWays;
use super::{Counters, Entry, Flow, FlowCounterId, NewEntry, OifCounterId};
use crate::faults;
use crate::forwarding::points;
use crate::handle::{Handle, HandleTable, OwnerWords};
use crate::memory::NoMemory;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};

/// Why an entry was not published. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The table holds as many entries as it may, or a stalled reader holds back too many that are gone.
    #[error(
        "the forwarding table is full ({0} entries): withdraw some, let stalled readers go on, or make it with a \
         larger capacity"
    )]
    Full(u32),
    /// So many flows meet at one place of the table that look-ups would become slow. Which those are, the table's own seed
    /// decides, which nobody knows: it does not happen by chance, nor can anybody bring it about.
    #[error("too many flows meet where {0} would stand: withdraw some, or make the table anew")]
    Crowded(Flow),
    /// The flow has an entry already.
    #[error("the flow {0} has an entry already: replace it")]
    Exists(Flow),
    /// The flow has no entry.
    #[error("the flow {0} has no entry: publish one")]
    Missing(Flow),
    /// There is no memory for the entry, for its place, or for its counters. (Where there is none for more slots, the table is
    /// [`Full`](PublishError::Full).)
    #[error("there is no memory for the entry: try again when there is some")]
    NoMemory,
}

impl From<NoMemory> for PublishError {
    fn from(NoMemory: NoMemory) -> PublishError {
        PublishError::NoMemory
    }
}

/// (source, group) → entry, for both families.
///
/// Readers are wait-free: a look-up takes no lock, tries nothing twice, makes no read-modify-write and runs nobody's
/// destructor. It never misses a flow whose entry is being replaced, nor one that stands while the table grows. Writers
/// may block one another, never a reader.
///
/// An entry that was replaced or withdrawn is kept until no reader can see it any more. A reader that stalls in the
/// middle of a burst therefore holds entries back, at most a quarter of the capacity and a few; then publishing answers
/// [`PublishError::Full`], and look-ups and withdrawals go on.
///
/// The table grows with its entries, up to the capacity, and never shrinks. Growing delays the writer that causes it by
/// a time proportional to the number of entries.
pub struct ForwardingTable {
    pub(super) entries: HandleTable<Entry>,
    /// The first array of lanes; later ones hang on it.
    pub(super) lanes: Lanes,
    pub(super) hash: FlowHash,
    writer: Mutex<Writing>,
    live: AtomicUsize,
    capacity: u32,
    owners: Arc<OwnerWords>,
    counters: Counters,
    /// Nothing of loom's: no model watches.
    watcher: std::sync::OnceLock<Box<Watcher>>,
}

/// What writers know, of whom there is one at a time.
struct Writing {
    /// How many entries there are.
    live: u32,
    ways: AllWays,
}

/// Who is told which flow's entry was published, replaced or withdrawn.
type Watcher = dyn Fn(Flow) + Send + Sync;

/// So many slots beside a quarter of the capacity. None under loom, whose models want to see slots reused.
const SPARE_SLOTS: u32 = if cfg!(loom) { 0 } else { 256 };

/// With the slots beside them, these are fewer than a handle table has.
const MAX_CAPACITY: u32 = 1 << 23;

impl ForwardingTable {
    /// A table of at most `capacity` entries whose stamps are checked against `owners`. Above 2^23 entries, a capacity is
    /// taken as 2^23.
    #[must_use]
    pub fn new(capacity: u32, owners: Arc<OwnerWords>) -> ForwardingTable {
        ForwardingTable::with_hash(capacity, owners, FlowHash::new())
    }

    pub(super) fn with_hash(capacity: u32, owners: Arc<OwnerWords>, hash: FlowHash) -> ForwardingTable {
        let capacity = capacity.min(MAX_CAPACITY);
        // Beside the entries that stand, those that wait for readers need slots.
        let slots = capacity + capacity / 4 + SPARE_SLOTS;
        ForwardingTable {
            entries: HandleTable::with_capacity(slots.max(1)).expect("at least 1 slot and at most 2^24 - 1"),
            lanes: Lanes::default(),
            hash,
            writer: Mutex::new(Writing { live: 0, ways: AllWays::new(owners.clone()) }),
            live: AtomicUsize::new(0),
            capacity,
            owners,
            counters: Counters::new(capacity),
            watcher: std::sync::OnceLock::new(),
        }
    }

    /// Has `watcher` called after each publishing, replacing and withdrawing, for planes that keep a copy of the entries
    /// elsewhere, in a kernel or in hardware. Whether it could be set: there is one for the life of the table.
    ///
    /// It is called by the writer, who may hold locks of his own: it must only note the flow for others to look at, and
    /// must not panic. It is not told of stamps that cease to hold; whoever ends an ownership that entries hang on replaces
    /// or withdraws these soon after.
    pub fn watch(&self, watcher: impl Fn(Flow) + Send + Sync + 'static) -> bool {
        self.watcher.set(Box::new(watcher)).is_ok()
    }

    fn changed(&self, flow: Flow) {
        if let Some(watcher) = self.watcher.get() {
            watcher(flow);
        }
    }

    /// The owner words that stamps are checked against.
    #[must_use]
    pub fn owners(&self) -> &Arc<OwnerWords> {
        &self.owners
    }

    /// The counters of the flows.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A number to count a new flow under, its counters at zero. To be given back with [`Self::free_counter`]. May block.
    ///
    /// # Errors
    /// [`PublishError::Full`] when as many flows have a number as the table may hold entries; [`PublishError::NoMemory`].
    pub fn alloc_counter(&self) -> Result<FlowCounterId, PublishError> {
        self.counters.open()
    }

    /// Gives a flow's number back once its entry is withdrawn; whether it was open. It is used again, with its counters
    /// at zero: what a worker still counts under the old one is not counted under the new one. So are those of its outgoing
    /// interfaces. May block.
    pub fn free_counter(&self, number: FlowCounterId) -> bool {
        self.counters.close(number)
    }

    /// A number to count the packets under that are copied to one outgoing interface of a flow, its counters at zero. The
    /// first four of a flow are counted in the same cache line as the flow's packets, seven in each further one. To be given back
    /// with [`Self::close_outgoing_number`], or with the flow's. [`OifCounterId::NONE`] for a flow whose number is not open, and
    /// when there are 2^28 lines already. May block.
    ///
    /// # Errors
    /// [`NoMemory`] when there is none for its counters.
    pub fn alloc_oif_counter(&self, flow: FlowCounterId) -> Result<OifCounterId, NoMemory> {
        self.counters.open_outgoing(flow)
    }

    /// Gives the number of an outgoing interface back once no entry names it; whether it was open. May block.
    pub fn close_outgoing_number(&self, number: OifCounterId) -> bool {
        self.counters.close_outgoing(number)
    }

    /// Makes a flow's first entry visible, in one step. May block on other writers.
    ///
    /// # Errors
    /// [`PublishError::Full`], [`PublishError::Exists`], [`PublishError::Crowded`], [`PublishError::NoMemory`].
    pub fn publish(&self, entry: NewEntry<'_>) -> Result<(), PublishError> {
        let flow = entry.flow;
        let hash = self.hash.of(&flow);
        let mut writing = self.writer.lock();
        let mut lanes = self.lanes.newest();
        if self.written(lanes, hash, &flow).is_some() {
            return Err(PublishError::Exists(flow));
        }
        if writing.live >= self.capacity {
            return Err(PublishError::Full(self.capacity));
        }
        if writing.live as usize >= lanes.limit() {
            lanes = lanes.grow()?;
        }
        if lanes.is_crowded(hash) {
            return Err(PublishError::Crowded(flow));
        }
        let handle = self.insert(&entry, &mut writing.ways)?;
        faults::point(points::ENTRY_UNPUBLISHED);
        let there_was_room = lanes.put(hash, handle.index());
        faults::point(points::ENTRY_UNCOUNTED);
        debug_assert!(there_was_room, "arrays have more lanes than the table has entries");
        self.set_live(&mut writing, |live| live + 1);
        drop(writing);
        self.changed(flow);
        Ok(())
    }

    /// Puts a new entry in the place of a flow's present one, in one step: no reader sees the flow without an entry. May
    /// block on other writers.
    ///
    /// # Errors
    /// [`PublishError::Missing`]; [`PublishError::Full`] when no room is left beside the entry that is replaced;
    /// [`PublishError::NoMemory`].
    pub fn replace(&self, entry: NewEntry<'_>) -> Result<(), PublishError> {
        let flow = entry.flow;
        let hash = self.hash.of(&flow);
        let mut writing = self.writer.lock();
        let lanes = self.lanes.newest();
        let Some(old) = self.written(lanes, hash, &flow) else {
            return Err(PublishError::Missing(flow));
        };
        let new = self.insert(&entry, &mut writing.ways)?;
        lanes.replace(hash, old.index(), new.index());
        faults::point(points::ENTRY_REPLACED);
        self.retire(old);
        drop(writing);
        self.changed(flow);
        Ok(())
    }

    /// Takes a flow's entry away; whether there was one. May block on other writers.
    pub fn withdraw(&self, flow: &Flow) -> bool {
        let hash = self.hash.of(flow);
        let mut writing = self.writer.lock();
        let lanes = self.lanes.newest();
        let Some(old) = self.written(lanes, hash, flow) else { return false };
        // The lane goes before the entry: what an index in a lane leads to has not begun to wait for its readers.
        lanes.remove(hash, old.index());
        faults::point(points::ENTRY_WITHDRAWN);
        self.retire(old);
        self.set_live(&mut writing, |live| live - 1);
        drop(writing);
        self.changed(*flow);
        true
    }

    /// How many entries there are, about. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        // Relaxed: a number, nothing is read by it.
        self.live.load(Ordering::Relaxed)
    }

    /// Whether there is about no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many entries that were replaced or withdrawn still wait for readers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.entries.pending()
    }

    /// A reader for this thread. It is not `Send`.
    #[must_use]
    pub fn reader(&self) -> ForwardingReader<'_> {
        ForwardingReader::new(self)
    }

    /// The present entry of a flow. For who holds the writer lock.
    fn written(&self, lanes: &Lanes, hash: u64, flow: &Flow) -> Option<Handle> {
        lanes.find(hash, |index| {
            let (handle, entry) = self.standing(index)?;
            entry.flow().is(flow).then_some(handle)
        })
    }

    /// An entry that a lane leads to. For who holds the writer lock.
    fn standing(&self, index: u32) -> Option<(Handle, &Entry)> {
        // SAFETY: only writers remove entries, under the lock that the caller holds, and after they have taken them from the
        // lanes; nobody else has the handles.
        unsafe { self.entries.get_unpinned(index) }
    }

    /// Puts an entry where lanes can lead to it.
    fn insert(&self, entry: &NewEntry<'_>, ways: &mut AllWays) -> Result<Handle, PublishError> {
        let entry = Entry::try_new(entry, ways)?;
        self.entries.insert(entry).map_err(|_| PublishError::Full(self.capacity))
    }

    /// Lets go of an entry that no lane leads to any more.
    fn retire(&self, old: Handle) {
        let removed = self.entries.remove(old);
        debug_assert!(removed.is_ok(), "only the writer that took an entry from its lane removes it");
    }

    fn set_live(&self, writing: &mut Writing, change: impl Fn(u32) -> u32) {
        writing.live = change(writing.live);
        // Relaxed: only for `len`.
        self.live.store(writing.live as usize, Ordering::Relaxed);
    }
}
