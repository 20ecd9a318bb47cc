//! [`OwnershipTable`]: the table of objects that can own resources.

use super::claim::ClaimProtocol;
use super::common::{Table, sealed, table_methods};
use super::error::{
    ClaimError, InsertError, InsertRefusal, LimitError, NewResourceError, ReleaseError, RetireError,
    Standstill,
};
use super::layout::Claims;
use super::owner_words::{OwnerWord, OwnerWords, ResourceId};
use super::raw_table::{PoppedSlot, RawTable};
use super::slot_array::SlotArray;
use super::{Builder, Handle, Iter, Keys, Kind, Reader, Ref, Retired};
use crate::sync::Arc;

/// A lock-free table of objects that can own resources; an object is retired only when it owns none.
///
/// A resource has at most one owner. [`claim`](Self::claim) makes an object its owner, [`release`](Self::release) frees it,
/// and [`check_and_retire`](Self::check_and_retire) removes an object that owns nothing; each takes effect in one step. All
/// of them are lock-free: a thread that is stopped in the middle of an operation delays no other, because a thread that
/// needs the same object finishes the operation first. No operation fails because of another one that itself fails.
///
/// Claims and releases by *one* object are serialized, and under contention every thread helps the others: a mutex would be
/// faster there. Claims by different objects do not meet.
///
/// An insert takes a short lock, so that the limit is exact. Dropping a [`Retired`] runs no destructor, so that a caller may do
/// it with a lock: values are dropped by inserts, [`vacancy`](Self::vacancy) and [`reclaim`](Self::reclaim).
///
/// Everything else is as in a [`HandleTable`](super::HandleTable), destructors included.
///
/// ```
/// use mgm::handle::{ClaimError, OwnershipTable, RetireError};
/// let clients = OwnershipTable::with_limit(10).unwrap();
/// let (red, blue) = (clients.insert("red").unwrap(), clients.insert("blue").unwrap());
/// let wire = clients.new_resource().unwrap();
/// let word = clients.claim(red, wire).unwrap();
/// assert_eq!(clients.claim(blue, wire), Err(ClaimError::Owned(red)));
/// assert_eq!(clients.check_and_retire(red).unwrap_err(), RetireError::StillOwns(1));
/// clients.release(red, wire).unwrap();
/// assert!(!clients.owners().unchanged(wire, word));
/// assert_eq!(*clients.check_and_retire(red).unwrap(), "red");
/// ```
pub struct OwnershipTable<T> {
    pub(super) raw: RawTable<T, Claims>,
}

table_methods!(
    OwnershipTable,
    Claims,
    "2^20 - 2 objects",
    "May wait for an insert of another thread, which has a short lock; removals and claims never wait.\n\n\
     If two threads each insert an object and then look for the other's, by a guessed handle or a walk, one of them finds it.",
    "[`InsertRefusal::Full`]: as many objects were alive, at an instant of the call, as the limit says. Retired objects \
     that wait for readers have as many slots of their own as the limit, and 256 at least (as far as a table can have so \
     many). [`InsertRefusal::NoFreeSlot`]: those are used up, too, and no reader has released one within 100 ms; the error \
     tells how many objects wait and what holds them back. The call does not wait where reclamation stands still already."
);

impl<T> OwnershipTable<T> {
    fn protocol(&self) -> ClaimProtocol<'_, SlotArray<T, Claims>> {
        ClaimProtocol { slots: &self.raw.array, words: &self.raw.words }
    }

    /// Makes a resource, without an owner. Its owner word has a cache line to itself.
    ///
    /// # Errors
    /// [`NewResourceError`] when the table has as many as it can have, and when there is no memory.
    pub fn new_resource(&self) -> Result<ResourceId, NewResourceError> {
        Ok(self.new_resource_pair()?[0])
    }

    /// Makes two resources with owner words in one cache line. Lock-free. Allocates now and then.
    ///
    /// # Errors
    /// As [`new_resource`](Self::new_resource).
    pub fn new_resource_pair(&self) -> Result<[ResourceId; 2], NewResourceError> {
        self.raw.words.append()
    }

    /// Returns the owner words, to check stamps against.
    #[must_use]
    pub fn owners(&self) -> &Arc<OwnerWords> {
        &self.raw.words
    }

    /// Makes the handle's object the owner of a resource, and returns the owner word after the change. Lock-free, never
    /// allocates.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing changed then. An object that owns the resource already gets [`ClaimError::Owned`] with its
    /// own handle.
    #[inline(always)]
    pub fn claim(&self, handle: Handle, id: ResourceId) -> Result<OwnerWord, ClaimError> {
        self.protocol().claim(handle, id, None)
    }

    /// Makes the handle's object the owner of a resource as [`claim`](Self::claim) does, if the owner word is still `seen`.
    /// Lock-free, never allocates.
    ///
    /// Words never recur, so the owner has not changed between the reading of `seen` and the claim. What a caller decided by
    /// that word still holds when the claim takes effect.
    ///
    /// # Errors
    /// As [`claim`](Self::claim); and [`ClaimError::Changed`] if the word is another one.
    ///
    /// ```
    /// # use mgm::handle::{ClaimError, OwnershipTable};
    /// let clients = OwnershipTable::with_limit(10).unwrap();
    /// let red = clients.insert("red").unwrap();
    /// let wire = clients.new_resource().unwrap();
    /// let seen = clients.owners().word(wire).unwrap();
    /// clients.claim(red, wire).unwrap();
    /// clients.release(red, wire).unwrap();
    /// assert_eq!(clients.claim_unchanged(red, wire, seen), Err(ClaimError::Changed));
    /// ```
    #[inline(always)]
    pub fn claim_unchanged(
        &self,
        handle: Handle,
        id: ResourceId,
        seen: OwnerWord,
    ) -> Result<OwnerWord, ClaimError> {
        self.protocol().claim(handle, id, Some(seen))
    }

    /// Frees a resource that the handle's object owns, and returns the owner word after the change. Lock-free, never
    /// allocates.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing changed then.
    #[inline(always)]
    pub fn release(&self, handle: Handle, id: ResourceId) -> Result<OwnerWord, ReleaseError> {
        self.protocol().release(handle, id, None)
    }

    /// Frees a resource as [`release`](Self::release) does, if the owner word is still `seen`. Lock-free, never allocates.
    ///
    /// # Errors
    /// As [`release`](Self::release); and [`ReleaseError::Changed`] if the word is another one.
    #[inline(always)]
    pub fn release_unchanged(
        &self,
        handle: Handle,
        id: ResourceId,
        seen: OwnerWord,
    ) -> Result<OwnerWord, ReleaseError> {
        self.protocol().release(handle, id, Some(seen))
    }

    /// Changes the stamp of a resource that has no owner, if its owner word still reads `seen`. Returns whether it did.
    /// Wait-free.
    ///
    /// No operation that saw the former word takes effect any more, and whatever is derived from that word is outdated.
    #[cfg(feature = "manager")]
    pub(crate) fn touch(&self, id: ResourceId, seen: OwnerWord) -> bool {
        self.protocol().touch(id, seen)
    }

    /// Returns the owner of a resource, if it has one. Lock-free, never allocates.
    #[inline]
    #[must_use]
    pub fn owner_of(&self, id: ResourceId) -> Option<Handle> {
        self.protocol().owner_of(id)
    }

    /// Retires the handle if its object owns nothing, in one step, and returns the object. Lock-free; never allocates until
    /// the object is retired.
    ///
    /// The object is readable until the [`Retired`] is dropped. Its value is dropped afterwards, once no reader can see it.
    ///
    /// # Errors
    /// [`RetireError`]; nothing changed then.
    #[inline]
    pub fn check_and_retire(&self, handle: Handle) -> Result<Retired<'_, T>, RetireError> {
        self.protocol().check_and_retire(handle)?;
        // Always there: the protocol found it.
        let slot = self.raw.array.get(handle.index()).ok_or(RetireError::Stale)?;
        // SAFETY: the protocol retired the handle for this thread, after it had loaded the handle from the state word.
        Ok(unsafe { self.raw.retired(slot, handle) })
    }

    /// Inserts the object that `make` returns, with a label. As [`insert_with_key`](Self::insert_with_key): `make` runs under the
    /// lock of inserts, and may insert into the same table itself.
    ///
    /// A label is a number of the caller's that [`label`](Self::label) reads without a pin. The label of an object that is
    /// inserted in another way is 0.
    ///
    /// # Errors
    /// [`InsertError`] returns `make`, uncalled.
    pub fn insert_labelled<F: FnOnce(Handle) -> T>(
        &self,
        label: u64,
        make: F,
    ) -> Result<Handle, InsertError<F>> {
        self.raw.insert_made(label, make, |make, handle| make(handle))
    }

    /// Takes a free slot for an object that is inserted later. The destructors that an insert may run are run here, so that
    /// [`Vacancy::insert_labelled`] runs none: it can be called with a lock that a destructor might need.
    ///
    /// # Errors
    /// The reason why there is no free slot, as of an insert.
    pub fn vacancy(&self) -> Result<Vacancy<'_, T>, InsertRefusal> {
        Ok(Vacancy { table: &self.raw, slot: self.raw.vacant_slot()? })
    }

    /// Returns the label of the object, if the handle is live. Wait-free, without a pin: three loads and two compares.
    #[inline]
    #[must_use]
    pub fn label(&self, handle: Handle) -> Option<u64> {
        let slot = self.raw.array.get(handle.index())?;
        // `holds` acquires the label that was stored before this handle. A label of a later object was stored after this
        // handle was retired, which `get` acquires, and the second `holds` reads.
        let label = slot.holds(handle).then(|| slot.label().get())?;
        slot.holds(handle).then_some(label)
    }
}

/// A free slot of an [`OwnershipTable`], for one object. Made by [`OwnershipTable::vacancy`]; given back when dropped.
pub struct Vacancy<'t, T> {
    table: &'t RawTable<T, Claims>,
    slot: PoppedSlot<'t, T, Claims>,
}

impl<T> Vacancy<'_, T> {
    /// Returns the handle that the object will have.
    #[must_use]
    pub fn next_handle(&self) -> Option<Handle> {
        self.table.next_handle(&self.slot)
    }

    /// Inserts the object that `make` returns, with a label. Runs no destructor of another object, and no code of the
    /// caller but `make`. As [`OwnershipTable::insert_labelled`].
    ///
    /// # Errors
    /// [`InsertError`] with [`InsertRefusal::Full`], if as many objects are alive as the limit says.
    pub fn insert_labelled<F: FnOnce(Handle) -> T>(
        self,
        label: u64,
        make: F,
    ) -> Result<Handle, InsertError<F>> {
        self.table.fill(self.slot, label, make, |make, handle| make(handle))
    }
}

impl<T> std::fmt::Debug for Vacancy<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vacancy").finish_non_exhaustive()
    }
}
