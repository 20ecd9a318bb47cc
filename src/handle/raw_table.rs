//! [`RawTable`]: the slots of a table and everything that both kinds of tables do with them.

use super::alive_count::{AliveCount, ExactCount};
use super::builder::Parameters;
use super::dropping::{Contained, Panics};
use super::epoch;
use super::error::{InsertError, InsertRefusal, Stale};
use super::layout::Layout;
use super::points;
use super::retired::IntoLimbo;
use super::slot::Slot;
use super::slot_alloc::{SlotAllocator, Slots};
use super::slot_array::SlotArray;
use super::state_word::NIL;
use super::{Handle, Ref, Retired};
use crate::faults;
use crate::prefetch::prefetch;
use std::fmt;

/// A free slot that belongs to the thread, given back when dropped.
pub(super) struct PoppedSlot<'t, T, L: Layout> {
    slots: Slots<'t, T, L>,
    index: u32,
}

impl<T, L: Layout> Drop for PoppedSlot<'_, T, L> {
    fn drop(&mut self) {
        self.slots.push_back(self.index);
    }
}

/// A table without its public interface. `HandleTable` and `OwnershipTable` document the operations.
pub struct RawTable<T, L: Layout> {
    pub(super) array: SlotArray<T, L>,
    pub(super) parameters: Parameters,
    pub(super) words: L::OwnerWords,
    pub(super) allocator: SlotAllocator<L>,
}

impl<T, L: Layout> RawTable<T, L> {
    pub(super) fn new(parameters: Parameters) -> Self {
        // Never more slots than a table can have, for the sum of limit and room may be.
        let room = L::garbage_room(parameters.limit).min(Slot::<T, L>::MAX_LIMIT - parameters.limit);
        let slots = parameters.limit + room;
        let array = SlotArray::new(slots);
        let allocator = SlotAllocator::new(slots, array.segment_len(), parameters.first_generation);
        RawTable { array, parameters, words: L::OwnerWords::default(), allocator }
    }

    #[inline]
    pub(super) fn slots(&self) -> Slots<'_, T, L> {
        Slots { array: &self.array, allocator: &self.allocator }
    }

    #[inline]
    pub(super) fn insert(&self, value: T) -> Result<Handle, InsertError<T>> {
        if self.allocator.count.exact().is_some() {
            return self.insert_made(0, value, |value, _| value);
        }
        match self.slots().pop_local() {
            // SAFETY: the slot was popped, so it belongs to this thread.
            Some(index) => unsafe { self.open(index, value) },
            None => self.insert_slowly(value),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_slowly(&self, value: T) -> Result<Handle, InsertError<T>> {
        let value = Contained::new(value);
        match self.pop_slowly() {
            // SAFETY: the slot was popped, so it belongs to this thread.
            Ok(index) => unsafe { self.open(index, value.into_inner()) },
            Err(reason) => Err(InsertError::new(value.into_inner(), reason)),
        }
    }

    /// Pops a free slot from wherever there is one. Apart from the insert: its result needs no memory without it.
    fn pop_slowly(&self) -> Result<u32, InsertRefusal> {
        self.slots().pop()
    }

    /// Puts an object into a slot.
    ///
    /// # Safety
    /// The slot is free and belongs to the caller.
    #[inline]
    unsafe fn open(&self, index: u32, value: T) -> Result<Handle, InsertError<T>> {
        // Every index on a list was in use once, so its slot is there.
        let Some(slot) = self.array.get(index) else {
            return Err(InsertError::new(value, InsertRefusal::NoMemory));
        };
        faults::point(points::SLOT_TAKEN);
        let handle = slot.next_handle(self.parameters.kind, index);
        // SAFETY: passed on.
        unsafe { slot.open(handle, 0, value) };
        Ok(handle)
    }

    pub(super) fn insert_with_key<F: FnOnce(Handle) -> T>(&self, make: F) -> Result<Handle, InsertError<F>> {
        self.insert_made(0, make, |make, handle| make(handle))
    }

    /// Inserts the object that `make` makes of `from`, with a label.
    pub(super) fn insert_made<F>(
        &self,
        label: u64,
        from: F,
        make: impl FnOnce(F, Handle) -> T,
    ) -> Result<Handle, InsertError<F>> {
        let from = Contained::new(from);
        match self.vacant_slot() {
            Ok(popped) => self.fill(popped, label, from.into_inner(), make),
            Err(reason) => Err(InsertError::new(from.into_inner(), reason)),
        }
    }

    /// Pops a free slot. May run destructors.
    pub(super) fn vacant_slot(&self) -> Result<PoppedSlot<'_, T, L>, InsertRefusal> {
        let limit = self.parameters.limit;
        let refusal = |count: &ExactCount| {
            let turn = count.turn();
            self.is_full(count, turn.outer()).then_some(InsertRefusal::Full { limit })
        };
        let count = self.allocator.count.exact();
        // A table that is full for certain costs no search for a slot.
        if let Some(count) = count
            && count.estimate() >= u64::from(limit)
            && let Some(full) = refusal(count)
        {
            return Err(full);
        }
        let slots = self.slots();
        match slots.pop_local().map_or_else(|| slots.pop(), Ok) {
            Ok(index) => Ok(PoppedSlot { slots, index }),
            Err(reason) => Err(count.and_then(refusal).unwrap_or(reason)),
        }
    }

    /// Returns the handle that the next object in a popped slot will have.
    pub(super) fn next_handle(&self, popped: &PoppedSlot<'_, T, L>) -> Option<Handle> {
        let slot = self.array.get(popped.index)?;
        Some(slot.next_handle(self.parameters.kind, popped.index))
    }

    /// Puts the object that `make` makes of `from` into a slot. Runs no destructor of another object.
    pub(super) fn fill<F>(
        &self,
        popped: PoppedSlot<'_, T, L>,
        label: u64,
        from: F,
        make: impl FnOnce(F, Handle) -> T,
    ) -> Result<Handle, InsertError<F>> {
        faults::point(points::SLOT_TAKEN);
        let count = self.allocator.count.exact();
        // Dropped before `popped`, and after the object is visible.
        let turn = count.map(ExactCount::turn);
        if let (Some(count), Some(turn)) = (count, &turn)
            && self.is_full(count, turn.outer())
        {
            return Err(InsertError::new(from, InsertRefusal::Full { limit: self.parameters.limit }));
        }
        let index = popped.index;
        // Every index on a list was in use once, so its slot is there.
        let Some(slot) = self.array.get(index) else {
            return Err(InsertError::new(from, InsertRefusal::NoMemory));
        };
        let handle = slot.next_handle(self.parameters.kind, index);
        let value = make(from, handle);
        std::mem::forget(popped);
        if let Some(turn) = &turn {
            turn.inserted();
        }
        // SAFETY: the slot was popped, so it is free and belongs to this thread; the handle is its next one, since no other
        // thread writes the word of a free slot.
        unsafe { slot.open(handle, label, value) };
        Ok(handle)
    }

    /// Returns whether as many objects are alive as the limit says, beside `outer` ones that the calling thread is about to
    /// insert. The caller has the turn to insert.
    ///
    /// The walk finds the exact number in the one case that matters. No object is inserted meanwhile, so a slot that is seen
    /// live was live when the walk began: as many live ones as the limit were alive at that instant. With fewer, an object
    /// was retired meanwhile or before, and there is room when the walk ends.
    fn is_full(&self, count: &ExactCount, outer: u64) -> bool {
        let limit = u64::from(self.parameters.limit);
        if count.estimate() + outer < limit {
            return false;
        }
        let mut next = 0;
        let live = std::iter::from_fn(|| self.next_live(&mut next)).count() as u64;
        live + outer >= limit
    }

    /// Removes an object from a table without ownership and returns it.
    pub(super) fn take(&self, handle: Handle) -> Option<Retired<'_, T>> {
        let slot = self.array.get(handle.index())?;
        // SAFETY: `retire` has retired the handle for this thread, by an exchange that read the handle and acquired what
        // opened the slot.
        slot.retire(handle, NIL).then(|| unsafe { self.retired(slot, handle) })
    }

    /// Returns the object of a handle that the caller has retired.
    ///
    /// # Safety
    /// The caller retired the handle of this slot, and puts the slot into limbo only by the value that is returned.
    /// Before, it acquired what opened the slot.
    #[inline]
    pub(super) unsafe fn retired<'t>(&'t self, slot: &'t Slot<T, L>, handle: Handle) -> Retired<'t, T> {
        // SAFETY: the slot held a live object until the caller retired it, and its grace period begins only when the
        // `Retired` is dropped. So no pin is needed to keep the value until then.
        let value = unsafe { slot.value() };
        self.allocator.count.retired();
        Retired::new(self, handle, value)
    }

    /// Removes an object from a table without ownership.
    pub(super) fn remove(&self, handle: Handle) -> Result<(), Stale> {
        let slot = self.array.get(handle.index()).ok_or(Stale)?;
        self.slots().retire(slot, handle)
    }

    #[inline]
    pub(super) fn contains(&self, handle: Handle) -> bool {
        self.array.get(handle.index()).is_some_and(|slot| slot.holds(handle))
    }

    /// Returns the object, if the handle is live.
    ///
    /// # Safety
    /// The caller was pinned before the call and stays pinned while it uses the reference.
    #[inline]
    pub(super) unsafe fn find(&self, handle: Handle) -> Option<&T> {
        let slot = self.array.get(handle.index())?;
        // SAFETY: `holds` has acquired what opened the slot, and the object was live after the caller was pinned.
        slot.holds(handle).then(|| unsafe { slot.value() })
    }

    #[inline]
    pub(super) fn prefetch(&self, index: u32) {
        if let Some(slot) = self.array.get(index) {
            prefetch(slot);
        }
    }

    /// Returns the object in a slot.
    ///
    /// # Safety
    /// As [`Pinned::get_published`](super::Pinned::get_published).
    #[inline]
    pub(super) unsafe fn find_published(&self, index: u32) -> Option<&T> {
        // SAFETY: by the contract, the slot held a live object after the caller was pinned, and the caller learned this by an
        // acquire load.
        self.array.get(index).map(|slot| unsafe { slot.value() })
    }

    /// Returns the object in a slot and its handle, without pinning.
    ///
    /// # Safety
    /// As `get_unpinned` of the tables.
    pub(super) unsafe fn find_unpinned(&self, index: u32) -> Option<(Handle, &T)> {
        let slot = self.array.get(index)?;
        // An index beyond the limit leads to another slot.
        let handle = slot.occupant().filter(|handle| handle.index() == index)?;
        // SAFETY: `occupant` has acquired what opened the slot. By the contract the slot does not enter limbo, so no pin
        // is needed to outlast its grace period.
        Some((handle, unsafe { slot.value() }))
    }

    #[inline]
    pub(super) fn get(&self, handle: Handle) -> Option<Ref<'_, T>> {
        let pin = epoch::pin();
        faults::point(points::REF_PINNED);
        // SAFETY: pinned before, and until the `Ref` is dropped.
        let value = unsafe { self.find(handle) }?;
        // SAFETY: as the constructor asks: this pin.
        Some(unsafe { Ref::new(value, pin) })
    }

    /// Returns the handle of the first live object at `*index` or above, and sets `*index` to the index after it.
    pub(super) fn next_live(&self, index: &mut u32) -> Option<Handle> {
        while *index < self.allocator.high_water() {
            let at = *index;
            *index += 1;
            if let Some(handle) = self.array.get(at).and_then(Slot::occupant) {
                return Some(handle);
            }
        }
        None
    }
}

impl<T, L: Layout> IntoLimbo for RawTable<T, L> {
    #[inline]
    fn enter_limbo(&self, handle: Handle) {
        self.slots().retired(handle);
    }
}

impl<T, L: Layout> Drop for RawTable<T, L> {
    fn drop(&mut self) {
        // Drops the objects that are live and those that wait in limbo or in batches; each is in one of these places. No
        // thread borrows the table any more, through a `Ref` or a Reader.
        let mut panics = Panics::default();
        let mut all = (0..self.allocator.high_water()).filter_map(|index| self.array.get(index));
        // SAFETY: these slots are live, so each holds a value; no other thread uses the table.
        unsafe { panics.drop_values(|| all.find(|slot| slot.occupant().is_some())) };
        for chain in self.allocator.leftovers() {
            let (mut next, mut left) = (chain.first, chain.count);
            let step = || {
                left = left.checked_sub(1)?;
                let slot = self.array.get(next)?;
                next = slot.link();
                Some(slot)
            };
            // SAFETY: these slots are retired and not reclaimed, so each holds a value; no other thread uses the table.
            unsafe { panics.drop_values(step) };
        }
        panics.pass_on();
    }
}

impl<T, L: Layout> fmt::Debug for RawTable<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTable")
            .field("parameters", &self.parameters)
            .field("len", &self.allocator.live())
            .field("pending", &self.allocator.pending())
            .finish_non_exhaustive()
    }
}
