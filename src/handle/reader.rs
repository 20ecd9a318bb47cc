//! Reading objects: the [`Ref`] that pins for one access, and the [`Reader`] that stays pinned.

use super::common::sealed::Table as _;
use super::epoch::{Participant, Pin};
use super::{Handle, Table};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// Keeps one object readable, removed or not, until dropped.
///
/// A `Ref` that is kept holds back the reuse of every slot that is retired meanwhile, in all tables of the process: keep it
/// short. It pins the thread, so it cannot be sent to another thread or held over an await point of a task that may move.
pub struct Ref<'t, T> {
    value: &'t T,
    /// Keeps `value` readable; never read.
    _pin: Pin,
}

impl<'t, T> Ref<'t, T> {
    /// # Safety
    /// `pin` was pinned before the load that found the handle of `value` live.
    pub(super) unsafe fn new(value: &'t T, pin: Pin) -> Self {
        Ref { value, _pin: pin }
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ref").field(&self.value).finish()
    }
}

impl<T: fmt::Display> fmt::Display for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Reads a table from one thread and stays pinned between calls, so that a look-up costs two loads and two compares.
///
/// `P` points to the table: a reference, or an [`Arc`](std::sync::Arc) for a Reader that is stored beside other things and
/// borrows nothing.
///
/// Objects that are retired while a Reader is pinned are not reclaimed before the Reader's next call after that, or the end
/// of its [`Pinned`]. So a Reader that goes idle should [`park`](Self::park), or be dropped. A Reader that neither calls nor
/// parks holds back reclamation in every table of the process. Inserts then return
/// [`InsertRefusal::NoFreeSlot`](super::InsertRefusal::NoFreeSlot) when the slots are used up, and everything else goes on.
///
/// Every call of a pinned Reader is wait-free, and does nothing for the epoch: where the epoch has advanced, it adds a load, a
/// store and a fence. The first call, and the first one after [`park`](Self::park), pins: every 128th pin of a Reader tries
/// to advance the epoch and frees up to eight of its bags, which is lock-free. No method runs the destructor of a value.
///
/// ```
/// use mgm::handle::HandleTable;
/// let table = HandleTable::new();
/// let red = table.insert("red").unwrap();
/// let blue = table.insert("blue").unwrap();
/// let mut reader = table.reader();
/// assert_eq!(reader.get(red), Some(&"red"));
/// let pinned = reader.pin();
/// let (a, b) = (pinned.get(red), pinned.get(blue));
/// table.remove(red).unwrap();
/// assert_eq!(pinned.get(red), None);
/// assert_eq!((a, b), (Some(&"red"), Some(&"blue")), "found objects stay readable");
/// reader.park();
/// ```
///
/// # Owned Readers
///
/// A Reader of an `Arc` has no lifetime. A worker can store it beside its other fields:
///
/// ```
/// use mgm::handle::{HandleTable, Handle, Reader};
/// use std::sync::Arc;
///
/// struct Worker {
///     names: Reader<Arc<HandleTable<String>>>,
/// }
///
/// impl Worker {
///     fn greet(&mut self, handle: Handle) -> Option<String> {
///         Some(format!("hello, {}", self.names.get(handle)?))
///     }
/// }
///
/// let table = Arc::new(HandleTable::new());
/// let handle = table.insert("red".to_owned()).unwrap();
/// let names = Arc::clone(&table);
/// let greeting = std::thread::spawn(move || {
///     let mut worker = Worker { names: Reader::new(names) };
///     worker.greet(handle)
/// });
/// assert_eq!(greeting.join().unwrap().as_deref(), Some("hello, red"));
/// ```
///
/// # Threads and await points
///
/// A Reader is a participant of the epoch on the thread that made it, and the participant belongs to that thread. So a Reader
/// cannot be sent, and a future that holds one over an await point is not `Send`. Even on a single-threaded runtime, a task
/// that waits with a pinned Reader would hold back reclamation in every table for as long as it waits. In asynchronous code:
///
/// - use [`with`](super::HandleTable::with) or [`get`](super::HandleTable::get) between await points; each pins for itself;
/// - or keep one Reader for each thread of the runtime in a `thread_local!`, and [`park`](Self::park) it before the thread
///   goes idle;
/// - or put an `Arc` into the table, and clone it out: the clone may be held over an await point.
///
/// A reference does not outlive the next call:
///
/// ```compile_fail,E0499
/// # let table = mgm::handle::HandleTable::new();
/// # let red = table.insert("red").unwrap();
/// let mut reader = table.reader();
/// let first = reader.get(red);
/// let second = reader.get(red);
/// println!("{first:?} {second:?}");
/// ```
///
/// and a Reader stays on its thread:
///
/// ```compile_fail,E0277
/// # let table = mgm::handle::HandleTable::<u32>::new();
/// let mut reader = table.reader();
/// std::thread::scope(|scope| { scope.spawn(move || reader.park()); });
/// ```
pub struct Reader<P> {
    table: P,
    participant: Participant,
}

impl<P: Deref<Target: Table>> Reader<P> {
    /// Makes a Reader for the calling thread, of the table that `table` points to.
    #[must_use]
    pub fn new(table: P) -> Self {
        Reader { table, participant: Participant::new() }
    }

    /// Returns the object, if the handle is live. The reference lasts until the next call.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Option<&<P::Target as Table>::Value> {
        self.participant.refresh();
        if cfg!(mgm_bug = "extra-load") {
            self.participant.refresh();
        }
        // SAFETY: pinned by `refresh`, and until the next call of a method that takes `&mut self`; the reference borrows
        // `self` and ends before.
        unsafe { self.table.raw().find(handle) }
    }

    /// Begins a series of look-ups. All their results stay valid until the Reader is used again.
    #[inline]
    pub fn pin(&mut self) -> Pinned<'_, P::Target> {
        self.participant.refresh();
        Pinned { table: &self.table, _participant: PhantomData }
    }

    /// Returns the pointer to the table.
    #[must_use]
    pub fn table(&self) -> &P {
        &self.table
    }
}

impl<P> Reader<P> {
    /// Unpins until the next call, so that reclamation does not wait for this Reader.
    pub fn park(&mut self) {
        self.participant.park();
    }
}

impl<P> fmt::Debug for Reader<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Look-ups of one table. All their results stay valid until the Reader is used again. Made by [`Reader::pin`].
pub struct Pinned<'r, B> {
    table: &'r B,
    /// Stays pinned for as long as this borrow lasts.
    _participant: PhantomData<&'r Participant>,
}

impl<'r, B: Table> Pinned<'r, B> {
    /// Returns the object, if the handle is live. Wait-free: one load and one compare.
    #[inline]
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<&'r B::Value> {
        // SAFETY: the Reader was pinned before `self` was made, and stays pinned while it is borrowed, which `'r` ends with.
        unsafe { self.table.raw().find(handle) }
    }

    /// Requests the cache line in which slot `index` begins, to be read soon. Changes nothing but time.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        self.table.raw().prefetch(index);
    }

    /// Returns the object in slot `index` without checking its generation: for structures that publish indices of this
    /// table. Wait-free. Returns `None` if the table never had such a slot; the contract below excludes that.
    ///
    /// # Safety
    /// There is a place, an atomic of the caller's, such that
    ///
    /// - this thread read `index` from it after `self` was made, by a load that is `Acquire` or stronger;
    /// - the value that was read was stored there, by a store or read-modify-write that is `Release` or stronger, after the
    ///   call of [`insert`](super::HandleTable::insert) that put the object into this slot returned;
    /// - a thread that removes that object first overwrites the place, and every other place that holds the index, so that
    ///   the overwriting happens before the call of [`remove`](super::HandleTable::remove) begins. (If readers reach a place
    ///   only through another atomic, the thread may instead make it unreachable by overwriting that one.)
    ///
    /// (Then a reader that found the index was pinned before the object could be retired without waiting for it: the
    /// overwriting comes before the retirement, which comes before the epoch is asked for a grace period. A reader that is
    /// not waited for was pinned after that, and reads the overwritten place.)
    #[inline]
    #[must_use]
    pub unsafe fn get_published(&self, index: u32) -> Option<&'r B::Value> {
        // SAFETY: passed on. By the second point the acquire load synchronized with a store that follows the slot's opening.
        // By the first and third point the object had not been retired, or not for a grace period, when this thread was
        // pinned.
        unsafe { self.table.raw().find_published(index) }
    }
}

impl<B> Clone for Pinned<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Pinned<'_, B> {}

impl<B> fmt::Debug for Pinned<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").finish_non_exhaustive()
    }
}
