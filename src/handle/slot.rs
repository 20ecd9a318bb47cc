//! A slot: one state word, one value, and in tables with ownership one claim word.
//!
//! ```text
//!        63                          32 31        24 23                     0
//!       +------------------------------+------------+------------------------+
//! live  |          generation          |    kind    |       own index        |   = the handle's bits
//!       +------------------------------+------------+------------------------+
//! dead  |          generation          |     0      |    link to a slot      |
//!       +------------------------------+------------+------------------------+
//! ```
//!
//! The word of a live slot *is* the handle, so checking a handle is one load and one compare. It is written once when
//! the object goes in and once when it is taken out, and never in between. The word of a dead slot matches no `u64`
//! that leads to this slot: its kind is 0, so a number equal to it would have to say as index what the word has as
//! link, and a link never names the slot it is in. (A slot that was never used reads 0; for slot 0 that number is no
//! handle at all, for every other slot its link is another's index.)
//!
//! The life of a slot, and whose it is:
//!
//! ```text
//!   vacant ----insert----> live ----retire----> in limbo --grace period--> mature --drop the value--> vacant
//!   whoever popped it      everybody's          its list's                 whoever took its batch     or worn out
//! ```
//!
//! The generation grows when an object goes in. A slot that has used up its generations is worn out and goes on no
//! free list again, so what was stale once is stale for ever.

use super::handle::{GENERATION_SHIFT, Handle, INDEX_MASK, Kind};
use super::layout::{ClaimWord, Layout};
use super::segments::{SEGMENTS, Zeroed};
use crate::faults;
use crate::handle::points;
use crate::sync::{Ordering, SteppedWord, UnsafeCell};
use std::mem::MaybeUninit;

/// The link that leads nowhere. No slot has this index: capacities end below it.
pub(super) const NIL: u32 = INDEX_MASK as u32;

/// The state word of a dead slot.
pub(super) const fn dead(generation: u32, link: u32) -> u64 {
    (generation as u64) << GENERATION_SHIFT | link as u64
}

const fn generation_of(state: u64) -> u32 {
    (state >> GENERATION_SHIFT) as u32
}

/// One slot. All its bytes may be zero: that is a slot that was never used.
#[repr(C)]
pub(super) struct Slot<T, L: Layout> {
    line: L::Line,
    state: SteppedWord,
    claim: L::ClaimWord,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T, L: Layout> Slot<T, L> {
    /// A slot that was never used. Outside loom these are made by zeroing memory.
    #[cfg(loom)]
    pub(super) fn unused() -> Self {
        Slot {
            line: L::Line::default(),
            state: SteppedWord::new(0),
            claim: L::ClaimWord::default(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    pub(super) fn state(&self) -> &SteppedWord {
        &self.state
    }

    pub(super) fn claim(&self) -> &L::ClaimWord {
        &self.claim
    }

    /// Whether the handle's object lives in this slot.
    #[inline(always)]
    pub(super) fn is(&self, handle: Handle) -> bool {
        // SeqCst, paired with `retire` and with the store in `open`: of two threads that each retire one handle and
        // then check the other's, one must see the other's gone. It acquires what `open` released: the value.
        self.state.load(Ordering::SeqCst) == handle.bits()
    }

    /// The handle of the object that lives here, if one does.
    pub(super) fn occupant(&self) -> Option<Handle> {
        // Acquire, paired with the store in `open`.
        let handle = Handle::from(self.state.unstepped().load(Ordering::Acquire));
        handle.kind().is_some().then_some(handle)
    }

    /// Puts a value into a vacant slot and makes it live under a new generation.
    ///
    /// # Safety
    /// The slot is vacant, it is slot `index`, and it is the caller's alone: the caller popped it from a free list or
    /// was given its fresh index.
    pub(super) unsafe fn open(&self, kind: Kind, index: u32, value: T) -> Handle {
        // Relaxed: only who owns a vacant slot writes its word, and that was handed over with it.
        let generation = generation_of(self.state.unstepped().load(Ordering::Relaxed)) + 1;
        let handle = Handle::issue(generation, kind, index);
        self.value.with_mut(|cell| {
            // SAFETY: nobody else reads or writes the cell. Earlier readers of it are gone: the slot is fresh, or came
            // through limbo, whose batch matured after every reader that could see the last value had unpinned; the
            // free list's release and acquire hand that order on to us. New readers look only after the store below.
            unsafe { (*cell).write(value) };
        });
        self.claim.open(generation);
        faults::point(points::SLOT_HALF_OPENED);
        let order = if planted!("publish-relaxed") { Ordering::Relaxed } else { Ordering::Release };
        // Release, paired with `is` and `occupant`: publishes the value and the claim word. No stronger, since nobody
        // can ask for this handle before it has been returned.
        self.state.store(handle.bits(), order);
        handle
    }

    /// Takes the handle's object out of sight. One caller gets `true`: from then on the slot is that caller's to put
    /// into limbo, while readers that found it earlier still read the value. It is linked to `link` from the beginning: a
    /// thread that went on with the word right away would wait for this exchange to be over.
    #[inline]
    pub(super) fn retire(&self, handle: Handle, link: u32) -> bool {
        // SeqCst, paired with `is`. The release half is not needed for the value, which `retire` does not touch.
        self.state
            .compare_exchange(
                handle.bits(),
                dead(handle.generation(), link),
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .is_ok()
    }

    /// The value.
    ///
    /// # Safety
    /// The slot held a live object at some instant after the caller was pinned, which the caller learned by an acquire
    /// (or stronger) load that read what was written after [`open`](Self::open), and the caller stays pinned for as
    /// long as the reference is used.
    #[inline(always)]
    pub(super) unsafe fn value(&self) -> &T {
        self.value.with(|cell| {
            // SAFETY: the cell was written before the slot became live, and the caller's acquire ordered that before
            // this. It is neither dropped nor written again before the object was retired and a grace period passed,
            // and none passes that began after the caller was pinned while it stays pinned. Between these two, the
            // cell is only read.
            let value = unsafe { &*cell };
            // SAFETY: for the same reasons it is initialized.
            unsafe { value.assume_init_ref() }
        })
    }

    /// Drops the value in place.
    ///
    /// # Safety
    /// The slot holds a value, nobody can read it any more, and the slot is the caller's alone. It holds none after.
    pub(super) unsafe fn drop_value(&self) {
        self.value.with_mut(|cell| {
            // SAFETY: by the contract the cell is ours.
            let value = unsafe { &mut *cell };
            // SAFETY: by the contract it holds a value.
            unsafe { value.assume_init_drop() };
        });
    }

    /// Where this dead slot links to.
    pub(super) fn link(&self) -> u32 {
        // Relaxed: either the slot is the caller's, or (a popper that lost) the compare-and-swap of the list's head
        // tells that what was read here is worthless. The head's acquire orders the owner's link before this.
        (self.state.unstepped().load(Ordering::Relaxed) & INDEX_MASK) as u32
    }

    /// Links this dead slot, which is the caller's alone, to another.
    pub(super) fn set_link(&self, link: u32) {
        let state = self.state.unstepped();
        // Relaxed: published by the compare-and-swap of the list's head that follows.
        state.store(state.load(Ordering::Relaxed) & !INDEX_MASK | u64::from(link), Ordering::Relaxed);
    }

    /// The same for a slot that the caller has just retired under this handle. Without a load, which would wait for the exchange
    /// that retired it.
    #[inline]
    pub(super) fn link_retired(&self, handle: Handle, link: u32) {
        // Relaxed: as above.
        self.state.unstepped().store(dead(handle.generation(), link), Ordering::Relaxed);
    }

    /// Whether this slot, dead and the caller's, has used up its generations, of which `last` is the last.
    pub(super) fn is_worn_out(&self, last: u32) -> bool {
        // Relaxed: only who owns a dead slot writes its word.
        generation_of(self.state.unstepped().load(Ordering::Relaxed)) >= last
    }
}

// SAFETY: a slot holds a state word at least; its words and its `MaybeUninit` may be zero, and so may the words a
// layout adds (see `ClaimWord`), and a `Line` has no bytes.
unsafe impl<T, L: Layout> Zeroed for Slot<T, L> {
    // So that the directory has a place for every index there can be. Under loom slots are costly, and few.
    const SEGMENT_BITS: u32 = if cfg!(loom) { 4 } else { L::MAX_BITS - SEGMENTS.ilog2() };

    #[cfg(loom)]
    fn unused() -> Self {
        Slot::unused()
    }
}

// SAFETY: a slot gives out `&T` to several threads, and drops on one thread what another put in.
unsafe impl<T: Send + Sync, L: Layout> Sync for Slot<T, L> {}
