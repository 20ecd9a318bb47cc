//! [`HandleTable`]: the public face, and how slots go round (see `slot.rs` for their life).
//!
//! A table is its segments of slots, a few shards, and the cells for batches. A thread works with the shard of its seat:
//! it takes vacant slots from the shard's free list and puts retired ones into the shard's limbo, so threads do not meet
//! unless there are more of them than shards. Slots that another thread freed come home with the batches: whoever runs
//! out of vacant slots takes a mature batch, its own shard's rather than another's. Next it is given a chunk of slots that
//! were never used, so that neighbours in a cache line belong to one thread, or goes to other shards' lists: that first once
//! enough slots are under way. Last it pushes the epoch.

use super::claim::{ClaimSlot, ClaimSlots, ClaimStep};
use super::epoch;
use super::error::{CapacityError, ClaimError, Full, OwnersError, ReleaseError, RetireError, Stale};
use super::free_list::{FreeList, Links};
use super::layout::{Claims, Layout, Plain, Shape};
use super::limbo::{Batches, Chain, Limbo};
use super::reader::{Guard, Reader};
use super::seat;
use super::segments::Segments;
use super::slot::{NIL, Slot};
use super::{Handle, Kind, OwnerId, OwnerWord, Owners};
use crate::faults::{self, Point};
use crate::prefetch::prefetch;
use crate::sync::{Arc, Ordering, Word, yield_now};
use crossbeam_utils::CachePadded;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;

/// How many slots a shard gathers before it makes a batch of them.
const BATCH: u64 = if cfg!(loom) { 3 } else { 64 };

/// How many shards a table has at most, and how many for each processor: seats of threads that have ended are taken by
/// others, so that two that run may be further apart than their number.
const MOST_SHARDS: usize = if cfg!(loom) { 1 } else { 16 };
const SHARDS_EACH: usize = 4;

/// Slots that were never used are handed out so many at a time, where the table has many times more: neighbours share a
/// cache line, and should be one thread's.
const MOST_CHUNK: u32 = if cfg!(loom) { 1 } else { 64 };

/// So many slots for each shard may be vacant or in limbo before a thread without any goes to another's list rather than
/// to those that were never used: where lists are as short as that, meeting there costs more than memory.
const IN_CIRCULATION: u64 = if cfg!(loom) { 0 } else { 8 * BATCH };

/// How often an insert that finds nothing vacant pushes the epoch, and from which time on it lets others run before.
/// Three pushes see a batch through if nobody is pinned; the rest is for those who are, for the moment.
const PUSHES: u32 = if cfg!(loom) { 2 } else { 16 };
const PATIENT_PUSHES: u32 = if cfg!(loom) { 2 } else { 4 };

/// A lock-free table of objects named by generation-tagged handles.
///
/// The objects' destructors run on inserting and removing threads (and on whoever drops the table), once no reader can
/// see the object any more: usually while a later object goes in or out, or when [`reclaim`](Self::reclaim) is called.
/// A destructor that panics panics there, after all else of its batch is done.
///
/// ```
/// use mgm::handle::HandleTable;
/// let table = HandleTable::new();
/// let handle = table.insert(String::from("red")).unwrap();
/// assert_eq!(table.with(handle, String::len), Some(3));
/// table.remove(handle).unwrap();
/// assert!(!table.validate(handle));
/// ```
pub struct HandleTable<T, L: Layout = Plain> {
    slots: Segments<Slot<T, L>>,
    shape: Shape,
    owners: L::Owners,
    shards: Box<[CachePadded<Shard>]>,
    batches: std::sync::Arc<Batches>,
    /// How many slots have ever been handed out, in chunks.
    fresh: CachePadded<Word>,
    /// The generation a slot is worn out with: `u32::MAX`, except where a test wants to get there.
    pub(super) last_generation: u32,
}

/// What threads with the same seat, modulo the number of shards, work with.
#[derive(Debug, Default)]
struct Shard {
    free: FreeList,
    limbo: Limbo,
}

impl<T, L: Layout> Links for Segments<Slot<T, L>> {
    fn link(&self, index: u32) -> u32 {
        // Every index on a list was in use once, so its segment is there.
        self.get(index).map_or(NIL, Slot::link)
    }

    fn set_link(&self, index: u32, link: u32) {
        if let Some(slot) = self.get(index) {
            slot.set_link(link);
        }
    }
}

impl<T> ClaimSlots for Segments<Slot<T, Claims>> {
    #[inline]
    fn claim_slot(&self, index: u32) -> Option<ClaimSlot<'_>> {
        self.get(index).map(|slot| ClaimSlot { state: slot.state(), claim: &slot.claim().word })
    }
}

impl<T> HandleTable<T, Plain> {
    /// A table of the default kind with the largest capacity. Allocates nothing for slots yet.
    #[must_use]
    pub fn new() -> Self {
        Self::build(Shape { kind: Kind::DEFAULT, capacity: Self::MOST })
    }

    const MOST: u32 = NIL;

    /// A table of the default kind that holds at most `capacity` objects.
    ///
    /// # Errors
    /// [`CapacityError`] for 0 and for more than 2^24 - 1.
    pub fn with_capacity(capacity: u32) -> Result<Self, CapacityError> {
        Self::with_shape(Shape { kind: Kind::DEFAULT, capacity })
    }

    /// A table made to measure.
    ///
    /// # Errors
    /// [`CapacityError`] for a capacity of 0 and of more than 2^24 - 1.
    pub fn with_shape(shape: Shape) -> Result<Self, CapacityError> {
        shape.check(Self::MOST).map(Self::build)
    }

    /// Takes the object out of the table: from now on its handle is stale. Its destructor runs once no reader can see
    /// it (see [`HandleTable`]). The effect is wait-free; what follows, tidying up, is lock-free.
    ///
    /// # Errors
    /// [`Stale`] when the handle names nothing.
    pub fn remove(&self, handle: Handle) -> Result<(), Stale> {
        let slot = self.slots.get(handle.index()).ok_or(Stale)?;
        // Only what is live, kind included, can be taken out.
        if handle.kind() != Some(self.shape.kind) || !slot.retire(handle) {
            return Err(Stale);
        }
        self.retired(handle.index());
        Ok(())
    }
}

impl<T> Default for HandleTable<T, Plain> {
    fn default() -> Self {
        Self::new()
    }
}

/// Ownership. All of it is lock-free: a thread that is stopped in the middle of an operation delays nobody, because
/// whoever it would be in the way of finishes what it began. No operation fails because of another that itself fails.
/// Claims and releases of *one* object are serialized, and under contention everyone helps everyone: a mutex would be
/// faster there. Claims by different objects do not meet.
impl<T> HandleTable<T, Claims> {
    const MOST: u32 = (1 << super::owner::SLOT_BITS) - 2;

    /// A table whose objects can own things: at most `capacity` objects.
    ///
    /// # Errors
    /// [`CapacityError`] for 0 and for more than 2^20 - 2.
    pub fn with_claims(capacity: u32) -> Result<Self, CapacityError> {
        Self::with_claims_shape(Shape { kind: Kind::DEFAULT, capacity })
    }

    /// The same, made to measure.
    ///
    /// # Errors
    /// [`CapacityError`] for a capacity of 0 and of more than 2^20 - 2.
    pub fn with_claims_shape(shape: Shape) -> Result<Self, CapacityError> {
        shape.check(Self::MOST).map(Self::build)
    }

    fn step(&self) -> ClaimStep<'_, Segments<Slot<T, Claims>>> {
        ClaimStep { slots: &self.slots, owners: &self.owners }
    }

    /// A new thing that can be owned. Its word has a cache line to itself.
    ///
    /// # Errors
    /// [`OwnersError`] when the table has as many as it can have, and when there is no memory.
    pub fn new_owner(&self) -> Result<OwnerId, OwnersError> {
        Ok(self.new_owner_pair()?[0])
    }

    /// Two new things that can be owned, whose words share one cache line. Lock-free; allocates now and then.
    ///
    /// # Errors
    /// [`OwnersError`] when the table has as many as it can have, and when there is no memory.
    pub fn new_owner_pair(&self) -> Result<[OwnerId; 2], OwnersError> {
        self.owners.append()
    }

    /// The owner words, to check stamps against.
    #[must_use]
    pub fn owners(&self) -> &Arc<Owners> {
        &self.owners
    }

    /// Makes the handle's object the owner of `owner`: the word as it now stands. Lock-free, never allocates.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing changed then. An object that owns it already is told that it is owned, by itself.
    ///
    /// ```
    /// use mgm::handle::{ClaimError, HandleTable, RetireError};
    /// let clients = HandleTable::with_claims(10).unwrap();
    /// let (red, blue) = (clients.insert("red").unwrap(), clients.insert("blue").unwrap());
    /// let wire = clients.new_owner().unwrap();
    /// let word = clients.claim(red, wire).unwrap();
    /// assert_eq!(clients.claim(blue, wire), Err(ClaimError::Owned(red)));
    /// assert_eq!(clients.retire_if_unheld(red), Err(RetireError::Held(1)));
    /// clients.release(red, wire).unwrap();
    /// assert!(!clients.owners().unchanged(wire, word));
    /// assert_eq!(clients.retire_if_unheld(red), Ok(()));
    /// ```
    #[inline]
    pub fn claim(&self, handle: Handle, owner: OwnerId) -> Result<OwnerWord, ClaimError> {
        self.step().claim(handle, owner)
    }

    /// Gives up `owner`: the free word as it now stands. Lock-free, never allocates.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing changed then.
    #[inline]
    pub fn release(&self, handle: Handle, owner: OwnerId) -> Result<OwnerWord, ReleaseError> {
        self.step().release(handle, owner)
    }

    /// Who owns it. Lock-free, never allocates.
    #[inline]
    #[must_use]
    pub fn owner_of(&self, owner: OwnerId) -> Option<Handle> {
        self.step().owner_of(owner)
    }

    /// Retires the handle if it owns nothing, in one step. The object's destructor runs once no reader can see it (see
    /// [`HandleTable`]). Lock-free; never allocates until the object is retired.
    ///
    /// # Errors
    /// [`RetireError`]; nothing changed then.
    #[inline]
    pub fn retire_if_unheld(&self, handle: Handle) -> Result<(), RetireError> {
        self.step().retire_if_unheld(handle)?;
        self.retired(handle.index());
        Ok(())
    }
}

impl Shape {
    fn check(self, most: u32) -> Result<Self, CapacityError> {
        if self.capacity == 0 || self.capacity > most {
            return Err(CapacityError { asked: self.capacity, most });
        }
        Ok(self)
    }
}

impl<T, L: Layout> HandleTable<T, L> {
    fn build(shape: Shape) -> Self {
        // Asked once: the answer costs some system calls.
        static THREADS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        let shards = (*THREADS * SHARDS_EACH).next_power_of_two().min(MOST_SHARDS);
        HandleTable {
            slots: Segments::new(shape.capacity),
            shape,
            owners: L::Owners::default(),
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            batches: std::sync::Arc::new(Batches::new(shards)),
            fresh: CachePadded::new(Word::new(0)),
            last_generation: u32::MAX,
        }
    }

    fn shard(&self) -> &Shard {
        &self.shards[self.shard_number()]
    }

    fn shard_number(&self) -> usize {
        // The number of shards is a power of two.
        seat::hint() & (self.shards.len() - 1)
    }

    /// Puts an object in and names it. Lock-free. Allocates a segment of slots now and then, never moving any.
    ///
    /// At capacity it drops what no reader can see any more, and pushes the epoch a bounded number of times to get
    /// there: a table with removed objects and without pinned readers has room.
    ///
    /// # Errors
    /// [`Full`] gives the value back when the capacity is reached, objects included that are removed but that a reader
    /// may still see, and slots whose generations are used up (after 2^32 - 1 objects each); also when there is no
    /// memory for more slots.
    pub fn insert(&self, value: T) -> Result<Handle, Full<T>> {
        let Some(index) = self.vacant() else { return Err(Full(value)) };
        let Some(slot) = self.slots.get(index) else { return Err(Full(value)) };
        faults::point(Point::SlotVacant);
        // SAFETY: `vacant` gave us this slot, and nobody else.
        Ok(unsafe { slot.open(self.shape.kind, index, value) })
    }

    /// A vacant slot, which is the caller's alone then.
    #[inline]
    fn vacant(&self) -> Option<u32> {
        let shard = self.shard();
        shard.free.pop(&self.slots).or_else(|| self.vacant_elsewhere(shard))
    }

    #[cold]
    fn vacant_elsewhere(&self, shard: &Shard) -> Option<u32> {
        if let Some(index) = self.reap(shard) {
            return Some(index);
        }
        let steal = || self.shards.iter().find_map(|shard| shard.free.pop(&self.slots));
        let never_used = || self.never_used(shard);
        // Relaxed: a look.
        let circulating = self.fresh.load(Ordering::Relaxed).saturating_sub(self.len() as u64);
        let few = circulating < IN_CIRCULATION * self.shards.len() as u64;
        let found = if few { never_used().or_else(steal) } else { steal().or_else(never_used) };
        if found.is_some() {
            return found;
        }
        for push in 0..PUSHES {
            // Asked before looking: what is pending no more then is vacant or in use now.
            let pending = self.pending() > 0;
            if let Some(index) = self.reap(shard).or_else(steal) {
                return Some(index);
            }
            if !pending {
                return None;
            }
            if push >= PATIENT_PUSHES {
                yield_now();
            }
            self.push_on();
        }
        self.reap(shard).or_else(steal)
    }

    /// The first of a chunk of slots; the others go to the shard.
    fn never_used(&self, shard: &Shard) -> Option<u32> {
        let (capacity, chunk) = (u64::from(self.shape.capacity), u64::from(self.chunk()));
        // Relaxed, here and below: the number only shares out indices; segments are published on their own.
        let mut fresh = self.fresh.load(Ordering::Relaxed);
        while fresh < capacity {
            // A chunk is in one segment: both are powers of two.
            self.slots.ensure(fresh as u32)?;
            let end = (fresh + chunk).min(capacity);
            match self.fresh.compare_exchange(fresh, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    faults::point(Point::ChunkInHand);
                    let (first, rest) = (fresh as u32, fresh as u32 + 1..end as u32);
                    for index in rest.clone().rev().skip(1) {
                        self.slots.set_link(index, index + 1);
                    }
                    if let (Some(second), Some(last)) = (rest.clone().next(), rest.last()) {
                        shard.free.push(&self.slots, second, last);
                    }
                    return Some(first);
                }
                Err(now) => fresh = now,
            }
        }
        None
    }

    /// How many slots are handed out at a time: a power of two, and few where there are few.
    fn chunk(&self) -> u32 {
        let share = (self.shape.capacity / 64).max(1);
        (1 << share.ilog2()).min(MOST_CHUNK)
    }

    /// Looks after a slot that the caller retired.
    fn retired(&self, index: u32) {
        faults::point(Point::SlotRetired);
        let limbo = &self.shard().limbo;
        let waiting = limbo.push(&self.slots, index);
        if waiting.is_multiple_of(BATCH) {
            self.batch_gathered(limbo);
        }
    }

    #[cold]
    fn batch_gathered(&self, limbo: &Limbo) {
        if !self.batches.close(limbo, self.shard_number()) {
            epoch::advance();
        }
        // Inserting threads take mature batches when they need slots. Where nobody inserts, the values go here.
        while self.batches.is_overripe() {
            let Some(chain) = self.batches.take_mature(self.shard_number()) else { break };
            self.drop_values(chain, self.shard());
        }
    }

    /// Gives all that waits in limbo to the epoch, and pushes it.
    fn push_on(&self) {
        for shard in &self.shards {
            self.batches.close(&shard.limbo, self.shard_number());
        }
        epoch::advance();
    }

    /// Takes one mature batch and drops its values; one of the slots for the caller, the others for the shard.
    fn reap(&self, shard: &Shard) -> Option<u32> {
        let chain = self.batches.take_mature(self.shard_number())?;
        self.drop_values(chain, shard);
        shard.free.pop(&self.slots)
    }

    /// Drops the values of a batch that is the caller's alone, and gives the slots to the shard. If destructors panic,
    /// so does this, at the end.
    fn drop_values(&self, chain: Chain, shard: &Shard) {
        faults::point(Point::BatchInHand);
        let mut panicked = None;
        let (mut first, mut last) = (NIL, NIL);
        let mut next = chain.first;
        for _ in 0..chain.count {
            let index = next;
            let Some(slot) = self.slots.get(index) else { break };
            next = slot.link();
            // SAFETY: the slot was retired, so it holds a value, and its batch is mature, so every reader who could
            // see it has unpinned; the batch and so the slot is ours alone.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { slot.drop_value() }));
            // The first panic is passed on below; later ones have been reported by the panic hook.
            panicked = panicked.or(dropped.err());
            if slot.is_worn_out(self.last_generation) {
                continue;
            }
            if last == NIL {
                last = index;
            } else {
                slot.set_link(first);
            }
            first = index;
        }
        faults::point(Point::SlotsInHand);
        if first != NIL {
            shard.free.push(&self.slots, first, last);
        }
        self.batches.done(chain.count);
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Drops every removed object that no reader can see any more, pushing the epoch a bounded number of times, and
    /// tells how many still wait. For when destructors should not wait for the next insert.
    ///
    /// ```
    /// use std::sync::Arc;
    /// let table = mgm::handle::HandleTable::new();
    /// let object = Arc::new(());
    /// let handle = table.insert(object.clone()).unwrap();
    /// table.remove(handle).unwrap();
    /// while table.reclaim() > 0 {}
    /// assert_eq!(Arc::strong_count(&object), 1);
    /// ```
    pub fn reclaim(&self) -> usize {
        for _ in 0..PATIENT_PUSHES {
            self.push_on();
            while let Some(chain) = self.batches.take_mature(self.shard_number()) {
                self.drop_values(chain, self.shard());
            }
            if self.pending() == 0 {
                break;
            }
        }
        self.pending()
    }

    /// Whether the handle names a live object of this table. Wait-free: one load and one compare.
    #[inline]
    #[must_use]
    pub fn validate(&self, handle: Handle) -> bool {
        self.slots.get(handle.index()).is_some_and(|slot| slot.is(handle))
    }

    /// The object, if the handle is live.
    ///
    /// # Safety
    /// The caller was pinned before the call and stays so while it uses the reference.
    #[inline]
    pub(super) unsafe fn find(&self, handle: Handle) -> Option<&T> {
        let slot = self.slots.get(handle.index())?;
        // SAFETY: `is` has acquired what opened the slot, and the object was live after the caller was pinned.
        slot.is(handle).then(|| unsafe { slot.value() })
    }

    #[inline]
    pub(super) fn prefetch(&self, index: u32) {
        if let Some(slot) = self.slots.get(index) {
            prefetch(slot);
        }
    }

    /// The object in a slot.
    ///
    /// # Safety
    /// As [`Burst::get_published`](super::Burst::get_published).
    #[inline]
    pub(super) unsafe fn find_published(&self, index: u32) -> Option<&T> {
        // SAFETY: the caller's word that the slot held a live object after it was pinned, learned by an acquire load.
        self.slots.get(index).map(|slot| unsafe { slot.value() })
    }

    /// The object in a slot and its handle, without pinning; `None` if none is live there. Wait-free. For structures that
    /// publish indices of this table and know when objects go.
    ///
    /// # Safety
    /// The object that lives in the slot, if one does, is not removed as long as the reference is used, nor while this is
    /// called: the caller holds whoever could do so back.
    #[must_use]
    pub unsafe fn get_unremoved(&self, index: u32) -> Option<(Handle, &T)> {
        let slot = self.slots.get(index)?;
        let handle = slot.occupant()?;
        // SAFETY: `occupant` has acquired what opened the slot. In the place of a pin, by which a removed object outlasts its
        // removal, stands the caller's word that it is not removed.
        Some((handle, unsafe { slot.value() }))
    }

    /// The object, kept readable by the guard. Wait-free, but for a bounded chore of the epoch every so often.
    #[inline]
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<Guard<'_, T>> {
        let pin = epoch::pin();
        faults::point(Point::GuardPinned);
        // SAFETY: pinned before, and until the guard is dropped.
        let value = unsafe { self.find(handle) }?;
        // SAFETY: as the constructor asks: this pin.
        Some(unsafe { Guard::new(value, pin) })
    }

    /// Runs `f` on the object.
    #[inline]
    pub fn with<R>(&self, handle: Handle, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.get(handle).map(|value| f(&value))
    }

    /// A reader for this thread.
    #[must_use]
    pub fn reader(&self) -> Reader<'_, T, L> {
        Reader::new(self)
    }

    /// About how many objects are live: right when nobody inserts or removes meanwhile.
    #[must_use]
    pub fn len(&self) -> usize {
        // Slots that ever came into use, from free lists or as the first of a chunk, less those that were ever retired.
        let popped: u64 = self.shards.iter().map(|shard| shard.free.popped()).sum();
        let waiting: u64 = self.shards.iter().map(|shard| shard.limbo.count()).sum();
        // Relaxed: a count.
        let used = popped + self.fresh.load(Ordering::Relaxed).div_ceil(u64::from(self.chunk()));
        usize::try_from(used.saturating_sub(self.batches.closed() + waiting)).unwrap_or(usize::MAX)
    }

    /// Whether about no object is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every object that is live throughout the walk, and perhaps some that are not.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, Guard<'_, T>)> {
        // Relaxed: an object that is live throughout was inserted before, which the caller knows or cannot ask for.
        let used = self.fresh.load(Ordering::Relaxed) as u32;
        (0..used).filter_map(move |index| {
            let handle = self.slots.get(index)?.occupant()?;
            self.get(handle).map(|value| (handle, value))
        })
    }

    /// About how many removed objects still wait for readers, or for somebody to drop them.
    #[must_use]
    pub fn pending(&self) -> usize {
        let waiting: u64 = self.shards.iter().map(|shard| shard.limbo.count()).sum();
        usize::try_from(waiting + self.batches.pending()).unwrap_or(usize::MAX)
    }
}

/// A word of the claim step, by name.
#[cfg(all(test, not(loom)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The state word of a slot.
    State(u32),
    /// The claim word of a slot.
    Claim(u32),
    /// An owner word.
    Owner(OwnerId),
    /// A word of a descriptor: see the picture in `descriptor.rs`.
    Descriptor { seat: u16, word: &'static str },
}

#[cfg(all(test, not(loom)))]
impl<T> HandleTable<T, Claims> {
    /// Which word is at an address that a stepping hook was told.
    pub(super) fn place_of(&self, address: usize) -> Option<Place> {
        let used = self.fresh.load(Ordering::Relaxed) as u32;
        let in_slots = (0..used).find_map(|index| {
            let slot = self.slots.get(index)?;
            if slot.state().address() == address {
                return Some(Place::State(index));
            }
            (slot.claim().word.address() == address).then_some(Place::Claim(index))
        });
        let in_owners = || {
            (0..)
                .map(OwnerId)
                .map_while(|id| Some((id, self.owners.stepped(id)?)))
                .find_map(|(id, word)| (word.address() == address).then_some(Place::Owner(id)))
        };
        let in_descriptors = || {
            (0..).zip(super::descriptor::all()).find_map(|(seat, descriptor)| {
                let (word, _) = descriptor.words().into_iter().find(|(_, w)| w.address() == address)?;
                Some(Place::Descriptor { seat, word })
            })
        };
        in_slots.or_else(in_owners).or_else(in_descriptors)
    }
}

impl<T, L: Layout> Drop for HandleTable<T, L> {
    fn drop(&mut self) {
        // Objects that are live, and those that wait in limbo or in batches; each is in one of these places. Nobody
        // borrows the table any more, guards and Readers included.
        let mut panicked = None;
        let mut drop_value = |slot: &Slot<T, L>| {
            // SAFETY: the slot is live or was retired and not reaped, so it holds a value; nobody else is left.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { slot.drop_value() }));
            if panicked.is_none() {
                panicked = dropped.err();
            }
        };
        // Relaxed: whoever drops the table has synchronized with its users.
        let used = self.fresh.load(Ordering::Relaxed) as u32;
        for slot in (0..used).filter_map(|index| self.slots.get(index)) {
            if slot.occupant().is_some() {
                drop_value(slot);
            }
        }
        let limbos: Vec<Chain> = self.shards.iter_mut().filter_map(|shard| shard.limbo.leftover()).collect();
        for chain in limbos.into_iter().chain(self.batches.leftovers()) {
            let mut next = chain.first;
            for slot in (0..chain.count).map_while(|_| {
                let slot = self.slots.get(next)?;
                next = slot.link();
                Some(slot)
            }) {
                drop_value(slot);
            }
        }
        if let Some(panic) = panicked
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl<T, L: Layout> std::fmt::Debug for HandleTable<T, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandleTable")
            .field("shape", &self.shape)
            .field("len", &self.len())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
