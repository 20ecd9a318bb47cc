//! [`RawTable`]: the slots of a table and everything that both kinds of tables do with them.

use super::builder::Parameters;
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
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A table without its public interface. `HandleTable` and `OwnershipTable` document the operations.
pub struct RawTable<T, L: Layout> {
    pub(super) array: SlotArray<T, L>,
    pub(super) parameters: Parameters,
    pub(super) words: L::OwnerWords,
    pub(super) allocator: SlotAllocator,
}

impl<T, L: Layout> RawTable<T, L> {
    pub(super) fn new(parameters: Parameters) -> Self {
        let array = SlotArray::new(parameters.limit);
        let allocator =
            SlotAllocator::new(parameters.limit, array.segment_len(), parameters.first_generation);
        RawTable { array, parameters, words: L::OwnerWords::default(), allocator }
    }

    #[inline]
    pub(super) fn slots(&self) -> Slots<'_, T, L> {
        Slots { array: &self.array, allocator: &self.allocator }
    }

    #[inline]
    pub(super) fn insert(&self, value: T) -> Result<Handle, InsertError<T>> {
        match self.slots().pop_local() {
            // SAFETY: the slot was popped, so it belongs to this thread.
            Some(index) => unsafe { self.open(index, value) },
            None => self.insert_slowly(value),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_slowly(&self, value: T) -> Result<Handle, InsertError<T>> {
        match self.slots().pop() {
            // SAFETY: the slot was popped, so it belongs to this thread.
            Ok(index) => unsafe { self.open(index, value) },
            Err(reason) => Err(InsertError::new(value, reason)),
        }
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
        self.insert_labelled(0, make)
    }

    pub(super) fn insert_labelled<F: FnOnce(Handle) -> T>(
        &self,
        label: u64,
        make: F,
    ) -> Result<Handle, InsertError<F>> {
        /// Gives the slot back if the closure panics.
        struct Popped<'t, T, L: Layout>(Slots<'t, T, L>, u32);
        impl<T, L: Layout> Drop for Popped<'_, T, L> {
            fn drop(&mut self) {
                self.0.push_back(self.1);
            }
        }
        let slots = self.slots();
        let index = match slots.pop_local().map_or_else(|| slots.pop(), Ok) {
            Ok(index) => index,
            Err(reason) => return Err(InsertError::new(make, reason)),
        };
        // Every index on a list was in use once, so its slot is there.
        let Some(slot) = self.array.get(index) else {
            return Err(InsertError::new(make, InsertRefusal::NoMemory));
        };
        let popped = Popped(slots, index);
        let handle = slot.next_handle(self.parameters.kind, index);
        let value = make(handle);
        std::mem::forget(popped);
        faults::point(points::SLOT_TAKEN);
        // SAFETY: the slot was popped, so it is free and belongs to this thread; the handle is its next one, since no other
        // thread writes the word of a free slot.
        unsafe { slot.open(handle, label, value) };
        Ok(handle)
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
    /// The caller retired the handle, whose slot this is, and puts the slot into limbo only by the value that is returned.
    /// Before, it acquired what opened the slot.
    #[inline]
    pub(super) unsafe fn retired<'t>(&'t self, slot: &'t Slot<T, L>, handle: Handle) -> Retired<'t, T> {
        // SAFETY: the slot held a live object until the caller retired it, and its grace period begins only when the
        // `Retired` is dropped. So no pin is needed to keep the value until then.
        let value = unsafe { slot.value() };
        self.allocator.keep();
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
    fn into_limbo(&self, handle: Handle) {
        self.slots().retired(handle);
    }
}

impl<T, L: Layout> Drop for RawTable<T, L> {
    fn drop(&mut self) {
        // Drops the objects that are live and those that wait in limbo or in batches; each is in one of these places. No
        // thread borrows the table any more, through a `Ref` or a Reader.
        let mut panicked = None;
        let mut drop_value = |slot: &Slot<T, L>| {
            // SAFETY: the slot is live, or retired and not reclaimed, so it holds a value; no other thread uses the table.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { slot.drop_value() }));
            if panicked.is_none() {
                panicked = dropped.err();
            }
        };
        for slot in (0..self.allocator.high_water()).filter_map(|index| self.array.get(index)) {
            if slot.occupant().is_some() {
                drop_value(slot);
            }
        }
        for chain in self.allocator.leftovers() {
            let mut next = chain.first;
            for slot in (0..chain.count).map_while(|_| {
                let slot = self.array.get(next)?;
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

impl<T, L: Layout> fmt::Debug for RawTable<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTable")
            .field("parameters", &self.parameters)
            .field("len", &self.allocator.live())
            .field("pending", &self.allocator.pending())
            .finish_non_exhaustive()
    }
}
