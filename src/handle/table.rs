//! [`HandleTable`]: the table without ownership.

use super::common::{Table, sealed, table_methods};
use super::error::{InsertError, LimitError, Stale, Standstill};
use super::layout::Plain;
use super::raw_table::RawTable;
use super::{Builder, Handle, Iter, Keys, Kind, Reader, Ref, Retired};

/// A lock-free table of objects named by generation-tagged handles.
///
/// Threads insert, remove and read through `&self`. Values are dropped on inserting and removing threads (and on the thread
/// that drops the table), once no reader can see them any more: usually while a later object is inserted or removed, or
/// when [`reclaim`](Self::reclaim) is called.
///
/// # Destructors
///
/// A destructor may panic. Every other value is dropped all the same, once. The call that ran destructors then panics at its
/// end, with a message that tells how many have. The payload of a destructor's panic is not passed on, since dropping it may
/// panic again.
///
/// A destructor may use every table. Where it would run destructors in turn, they nest to a depth of three only: further ones
/// are left to the calls that are under way, and an insert that finds no slot without them is refused. So a list of values,
/// each of which removes the next, needs little stack however long it is.
///
/// ```
/// use mgm::handle::HandleTable;
/// let table = HandleTable::new();
/// let handle = table.insert(String::from("red")).unwrap();
/// assert_eq!(table.with(handle, String::len), Some(3));
/// table.remove(handle).unwrap();
/// assert!(!table.contains(handle));
/// ```
pub struct HandleTable<T> {
    pub(super) raw: RawTable<T, Plain>,
}

table_methods!(
    HandleTable,
    Plain,
    "2^24 - 1 objects",
    "Lock-free.\n\n\
     The object is visible to every thread that the handle reaches from the inserting thread, by whatever way. That is all: if \
     two threads each insert an object and then look for the other's, by a guessed handle or a walk, both may find nothing. \
     An [`OwnershipTable`](super::OwnershipTable) promises that one of them finds the other's.",
    "The limit counts slots. So an insert is refused, too, while removed objects wait for readers, in all the slots that \
     are left: [`InsertRefusal::NoFreeSlot`](super::InsertRefusal::NoFreeSlot) tells how many wait and what holds them back. \
     So do slots that have used up their generations (after at least 2^31 objects each), and free slots that a stopped thread \
     was about to give back in the middle of an insert or a removal, at most 128 for each such thread."
);

impl<T> HandleTable<T> {
    /// Removes the object: its handle is stale from now on. Its value is dropped once no reader can see it (see
    /// [`HandleTable`]). The effect is wait-free; the recycling of the slot is lock-free.
    ///
    /// # Errors
    /// [`Stale`] when the handle names no object of this table.
    pub fn remove(&self, handle: Handle) -> Result<(), Stale> {
        self.raw.remove(handle)
    }

    /// Removes the object and returns it, readable until the [`Retired`] is dropped. One of the threads that remove an object
    /// gets it. Needs no pin. As many objects as one likes may be held that way; each keeps its slot.
    ///
    /// The value stays in the table for readers that found it before, so it cannot be moved out. To get values back, insert
    /// `Arc`s and clone them, or use an `Option` in a lock.
    ///
    /// ```
    /// use mgm::handle::HandleTable;
    /// let table = HandleTable::new();
    /// let handle = table.insert(String::from("red")).unwrap();
    /// assert_eq!(table.take(handle).as_deref().map(String::as_str), Some("red"));
    /// assert!(table.take(handle).is_none());
    /// ```
    pub fn take(&self, handle: Handle) -> Option<Retired<'_, T>> {
        self.raw.take(handle)
    }

    /// Removes the objects for which `keep` returns `false`, among those that are live throughout the walk and perhaps
    /// others. Other threads may insert and remove meanwhile.
    ///
    /// The calling thread is pinned during each call of `keep`, as in [`with`](Self::with): slots that `keep` frees are not used
    /// again before it returns, so an insert from `keep` may find the table full.
    ///
    /// ```
    /// use mgm::handle::HandleTable;
    /// let table = HandleTable::new();
    /// let handles = [1, 2, 3].map(|number| table.insert(number).unwrap());
    /// table.retain(|_, number| number % 2 == 1);
    /// assert_eq!(handles.map(|handle| table.contains(handle)), [true, false, true]);
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(Handle, &T) -> bool) {
        for handle in self.keys() {
            if self.with(handle, |value| keep(handle, value)) == Some(false) {
                // Stale if another thread has removed it meanwhile.
                let _ = self.remove(handle);
            }
        }
    }

    /// Removes every object that is live throughout the call, and perhaps some that are inserted meanwhile.
    pub fn clear(&self) {
        for handle in self.keys() {
            // Stale if another thread has removed it meanwhile.
            let _ = self.remove(handle);
        }
    }
}
