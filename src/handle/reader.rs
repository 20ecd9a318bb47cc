//! Reading values: the [`Guard`] that pins for one look, and the [`Reader`] that stays pinned.

use super::epoch::{Participant, Pin};
use super::{Handle, HandleTable, Layout, Plain};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// Keeps one object readable, removed or not, until dropped.
///
/// A guard that is kept holds back the reuse of every slot that is retired meanwhile, in all tables of the process: keep
/// it short.
pub struct Guard<'t, T> {
    value: &'t T,
    /// What makes `value` readable; never read.
    _pin: Pin,
}

impl<'t, T> Guard<'t, T> {
    /// # Safety
    /// `pin` was pinned before the load that found the handle of `value` live.
    pub(super) unsafe fn new(value: &'t T, pin: Pin) -> Self {
        Guard { value, _pin: pin }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.value).finish()
    }
}

/// Reads a table from one thread, staying pinned between calls: a look-up costs two loads and two compares.
///
/// What is retired while a Reader is pinned is not reused before the Reader's next call after that (or the end of its
/// burst), so a Reader that goes idle should [`park`](Self::park), or be dropped. A Reader that neither calls nor parks
/// holds back reclamation in every table of the process; inserts then answer [`Full`](super::Full) when their capacity
/// is used up, and everything else goes on.
///
/// Every method is wait-free, but for a bounded chore every so often that the epoch spreads over all who take part in
/// it; none runs a destructor of a value.
///
/// ```
/// use mgm::handle::HandleTable;
/// let table = HandleTable::new();
/// let red = table.insert("red").unwrap();
/// let blue = table.insert("blue").unwrap();
/// let mut reader = table.reader();
/// assert_eq!(reader.get(red), Some(&"red"));
/// let burst = reader.burst();
/// let (a, b) = (burst.get(red), burst.get(blue));
/// table.remove(red).unwrap();
/// assert_eq!(burst.get(red), None);
/// assert_eq!((a, b), (Some(&"red"), Some(&"blue")), "what was found stays readable");
/// reader.park();
/// ```
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
pub struct Reader<'t, T, L: Layout = Plain> {
    table: &'t HandleTable<T, L>,
    participant: Participant,
}

impl<'t, T, L: Layout> Reader<'t, T, L> {
    pub(super) fn new(table: &'t HandleTable<T, L>) -> Self {
        Reader { table, participant: Participant::new() }
    }

    /// The object, if the handle is live. The reference lasts until the next call.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Option<&T> {
        self.participant.refresh();
        #[cfg(mgm_bug = "extra-load")]
        self.participant.refresh();
        // SAFETY: pinned just now or earlier, and until the next call of a method that takes `&mut self`; the
        // reference borrows `self` and ends before.
        unsafe { self.table.find(handle) }
    }

    /// Many look-ups under one check: all they return stays valid as long as the Reader is left alone.
    #[inline]
    pub fn burst(&mut self) -> Burst<'_, T, L> {
        self.participant.refresh();
        Burst { table: self.table, _reader: PhantomData }
    }

    /// Lets reclamation go on without this Reader until its next call.
    pub fn park(&mut self) {
        self.participant.park();
    }
}

impl<T, L: Layout> fmt::Debug for Reader<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Look-ups whose results all stay valid until the Reader is used again.
pub struct Burst<'r, T, L: Layout = Plain> {
    table: &'r HandleTable<T, L>,
    /// Pinned for as long as this borrow lasts.
    _reader: PhantomData<&'r Reader<'r, T, L>>,
}

impl<'r, T, L: Layout> Burst<'r, T, L> {
    /// The object, if the handle is live. Wait-free: one load and one compare.
    #[inline]
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<&'r T> {
        // SAFETY: the Reader was pinned before the burst was made and stays so while it is borrowed, which `'r` ends
        // with.
        unsafe { self.table.find(handle) }
    }

    /// Asks for the cache line in which slot `index` begins, to be read soon. Changes nothing but time.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        self.table.prefetch(index);
    }

    /// The object in slot `index`, its generation unchecked: for structures that publish indices of this table.
    /// Wait-free. `None` if the table never had such a slot, which keeps no promise below.
    ///
    /// # Safety
    /// There is a place, an atomic of the caller's, such that
    ///
    /// - this thread read `index` from it after this burst began, by a load that is `Acquire` or stronger;
    /// - the value read was stored there, by a store or read-modify-write that is `Release` or stronger, after the call
    ///   of [`insert`](HandleTable::insert) that put the object into this slot returned;
    /// - whoever removes that object first overwrites the place, and every other place where the index stands, so that
    ///   the overwriting happens before the call of [`remove`](HandleTable::remove) begins. (A place to which a burst
    ///   finds its way only through another atomic may instead be made unreachable by overwriting that one.)
    ///
    /// (Then a burst that found the index began before the object could be retired in a way that this burst does not
    /// hold back: the overwriting comes before the retirement, which comes before the epoch is asked for a grace
    /// period; a burst that is not waited for began after that, and reads what was overwritten.)
    #[inline]
    #[must_use]
    pub unsafe fn get_published(&self, index: u32) -> Option<&'r T> {
        // SAFETY: passed on: by the second point the acquire load synchronized with what came after the slot opened;
        // by the first and third the object had not been retired, or not for a grace period, when the burst began.
        unsafe { self.table.find_published(index) }
    }
}

impl<T, L: Layout> fmt::Debug for Burst<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Burst").finish_non_exhaustive()
    }
}
