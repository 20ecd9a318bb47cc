//! [`HandleTable`]: the public face (see `slot.rs` for the life of a slot, and `vacancy.rs` for how they go round).

use super::claim::{ClaimSlot, ClaimSlots, ClaimStep};
use super::epoch;
use super::error::{CapacityError, ClaimError, Full, OwnersError, ReleaseError, RetireError, Stale};
use super::layout::{Claims, Layout, Plain, Shape};
use super::reader::{Guard, Reader};
use super::segments::Segments;
use super::slot::{NIL, Slot};
use super::vacancy::{Stock, Vacancies};
use super::{Handle, Kind, OwnerWord, OwnerWords, ResourceId};
use crate::faults;
use crate::handle::points;
use crate::prefetch::prefetch;
use crate::sync::Arc;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
    owners: L::OwnerWords,
    pub(super) vacancies: Vacancies,
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
        if handle.kind() != Some(self.shape.kind) {
            return Err(Stale);
        }
        self.stock().retire(slot, handle)
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
    pub fn new_resource(&self) -> Result<ResourceId, OwnersError> {
        Ok(self.new_resource_pair()?[0])
    }

    /// Two new things that can be owned, whose words share one cache line. Lock-free; allocates now and then.
    ///
    /// # Errors
    /// [`OwnersError`] when the table has as many as it can have, and when there is no memory.
    pub fn new_resource_pair(&self) -> Result<[ResourceId; 2], OwnersError> {
        self.owners.append()
    }

    /// The owner words, to check stamps against.
    #[must_use]
    pub fn owners(&self) -> &Arc<OwnerWords> {
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
    /// let wire = clients.new_resource().unwrap();
    /// let word = clients.claim(red, wire).unwrap();
    /// assert_eq!(clients.claim(blue, wire), Err(ClaimError::Owned(red)));
    /// assert_eq!(clients.check_and_retire(red), Err(RetireError::StillOwns(1)));
    /// clients.release(red, wire).unwrap();
    /// assert!(!clients.owners().unchanged(wire, word));
    /// assert_eq!(clients.check_and_retire(red), Ok(()));
    /// ```
    #[inline]
    pub fn claim(&self, handle: Handle, owner: ResourceId) -> Result<OwnerWord, ClaimError> {
        self.step().claim(handle, owner)
    }

    /// Gives up `owner`: the free word as it now stands. Lock-free, never allocates.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing changed then.
    #[inline]
    pub fn release(&self, handle: Handle, owner: ResourceId) -> Result<OwnerWord, ReleaseError> {
        self.step().release(handle, owner)
    }

    /// Who owns it. Lock-free, never allocates.
    #[inline]
    #[must_use]
    pub fn owner_of(&self, owner: ResourceId) -> Option<Handle> {
        self.step().owner_of(owner)
    }

    /// Retires the handle if it owns nothing, in one step. The object's destructor runs once no reader can see it (see
    /// [`HandleTable`]). Lock-free; never allocates until the object is retired.
    ///
    /// # Errors
    /// [`RetireError`]; nothing changed then.
    #[inline]
    pub fn check_and_retire(&self, handle: Handle) -> Result<(), RetireError> {
        self.step().check_and_retire(handle)?;
        self.stock().retired(handle)
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
        HandleTable {
            slots: Segments::new(shape.capacity),
            shape,
            owners: L::OwnerWords::default(),
            vacancies: Vacancies::new(shape.capacity),
        }
    }

    #[inline]
    fn stock(&self) -> Stock<'_, T, L> {
        Stock { slots: &self.slots, vacancies: &self.vacancies }
    }

    /// Puts an object in and names it. Lock-free. Allocates a segment of slots now and then, never moving any.
    ///
    /// At capacity it drops what no reader can see any more, and pushes the epoch a bounded number of times to get
    /// there: a table with removed objects and without pinned readers has room.
    ///
    /// # Errors
    /// [`Full`] gives the value back when the capacity is reached, objects included that are removed but that a reader
    /// may still see, slots whose generations are used up (after 2^32 - 1 objects each), and vacant ones that a thread
    /// which was stopped in the middle of an insert or a removal was about to give back (at most 128 for each such
    /// thread); also when there is no memory for more slots.
    pub fn insert(&self, value: T) -> Result<Handle, Full<T>> {
        match self.stock().take_near() {
            // SAFETY: the stock gave us this slot, and nobody else.
            Some(index) => unsafe { self.open(index, value) },
            None => self.insert_far(value),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_far(&self, value: T) -> Result<Handle, Full<T>> {
        match self.stock().take() {
            // SAFETY: the stock gave us this slot, and nobody else.
            Some(index) => unsafe { self.open(index, value) },
            None => Err(Full(value)),
        }
    }

    /// Puts an object into a slot.
    ///
    /// # Safety
    /// The slot is vacant and the caller's alone.
    #[inline]
    unsafe fn open(&self, index: u32, value: T) -> Result<Handle, Full<T>> {
        let Some(slot) = self.slots.get(index) else { return Err(Full(value)) };
        faults::point(points::SLOT_TAKEN);
        // SAFETY: the caller's word.
        Ok(unsafe { slot.open(self.shape.kind, index, value) })
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
        self.stock().reclaim()
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
    pub unsafe fn get_unpinned(&self, index: u32) -> Option<(Handle, &T)> {
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
        faults::point(points::REF_PINNED);
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
        self.vacancies.live()
    }

    /// Whether about no object is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every object that is live throughout the walk, and perhaps some that are not.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, Guard<'_, T>)> {
        (0..self.vacancies.used()).filter_map(move |index| {
            let handle = self.slots.get(index)?.occupant()?;
            self.get(handle).map(|value| (handle, value))
        })
    }

    /// About how many removed objects still wait for readers, or for somebody to drop them.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.vacancies.pending()
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
    Owner(ResourceId),
    /// A word of a descriptor: see the picture in `descriptor.rs`.
    Descriptor { seat: u16, word: &'static str },
}

#[cfg(all(test, not(loom)))]
impl<T> HandleTable<T, Claims> {
    /// Which word is at an address that a stepping hook was told.
    pub(super) fn place_of(&self, address: usize) -> Option<Place> {
        let in_slots = (0..self.vacancies.used()).find_map(|index| {
            let slot = self.slots.get(index)?;
            if slot.state().address() == address {
                return Some(Place::State(index));
            }
            (slot.claim().word.address() == address).then_some(Place::Claim(index))
        });
        let in_owners = || {
            (0..)
                .map(ResourceId)
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
        for slot in (0..self.vacancies.used()).filter_map(|index| self.slots.get(index)) {
            if slot.occupant().is_some() {
                drop_value(slot);
            }
        }
        for chain in self.vacancies.leftovers() {
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
