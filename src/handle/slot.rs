//! A slot: a state word, a value, and in tables with ownership a claim word and a label.
//!
//! The life of a slot, and which thread may use it:
//!
//! ```text
//!   free ------insert-----> live ----remove----> in limbo --grace period--> ready --drop the value--> free,
//!   the thread that         any                  its list's                 the thread that took      or exhausted
//!   popped it               thread                                          its batch
//! ```
//!
//! The generation grows when an object is inserted. A slot that has used up its generations is exhausted and never enters
//! a free list again, so a stale handle stays stale.

use super::claim_word::ClaimField;
use super::handle::{Handle, Kind};
use super::label::LabelField;
use super::layout::Layout;
use super::points;
use super::state_word::{self, dead};
use crate::cfg;
use crate::faults;
use crate::segment::Element;
use crate::sync::{Ordering, SteppedWord, UnsafeCell};
use std::mem::MaybeUninit;

/// One slot. Zeros are a slot that was never used.
#[repr(C)]
pub(super) struct Slot<T, L: Layout> {
    align: L::Align,
    state: SteppedWord,
    claim: L::Claim,
    label: L::Label,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T, L: Layout> Slot<T, L> {
    /// The logarithm of the number of slots in a segment: as many as the directory needs to cover every index, unless
    /// the slots are so large that a segment would pass its limit in octets.
    pub(super) const SEGMENT_BITS: u32 = {
        let needed = cfg::handle::max_segment_bits(L::INDEX_BITS);
        match (cfg::handle::MAX_SEGMENT_OCTETS / size_of::<Self>()).checked_ilog2() {
            Some(bits) if bits < needed => bits,
            Some(_) => needed,
            None => 0,
        }
    };

    /// The largest limit of a table of such slots.
    pub(super) const MAX_LIMIT: u32 = {
        let slots = (cfg::handle::SLOT_SEGMENTS as u32) << Self::SEGMENT_BITS;
        if slots < L::MAX_LIMIT { slots } else { L::MAX_LIMIT }
    };

    pub(super) fn state(&self) -> &SteppedWord {
        &self.state
    }

    pub(super) fn claim(&self) -> &L::Claim {
        &self.claim
    }

    pub(super) fn label(&self) -> &L::Label {
        &self.label
    }

    /// Returns whether the handle's object lives in this slot.
    #[inline(always)]
    pub(super) fn holds(&self, handle: Handle) -> bool {
        // SeqCst, paired with `retire` and, in tables with ownership, with the store in `open`: of two threads that each
        // change one handle and then check the other's, one finds the other's changed. It acquires what `open` released: the value.
        self.state.load(Ordering::SeqCst) == handle.to_bits()
    }

    /// Returns the handle of the object that lives here, if one does.
    pub(super) fn occupant(&self) -> Option<Handle> {
        // SeqCst, paired with the store in `open` and with `retire`, as in `holds`. A dead word has kind 0 and is no handle.
        Handle::from_bits(self.state.unstepped().load(Ordering::SeqCst))
    }

    /// Returns the handle that the next object of this free slot will have.
    ///
    /// Only the thread to which the slot belongs may rely on it.
    #[inline]
    pub(super) fn next_handle(&self, kind: Kind, index: u32) -> Handle {
        // Relaxed: only the thread to which a free slot belongs writes its word, and the slot was passed on with it.
        let generation = state_word::generation(self.state.unstepped().load(Ordering::Relaxed)) + 1;
        Handle::new(generation, kind, index)
    }

    /// Puts a value and a label into a free slot and makes it live under the slot's next handle.
    ///
    /// # Safety
    /// The slot is free, and it belongs to the calling thread, which popped it from a free list or was given its unused
    /// index. `handle` is the slot's [`next_handle`](Self::next_handle).
    #[inline]
    pub(super) unsafe fn open(&self, handle: Handle, label: u64, value: T) {
        self.value.with_mut(|cell| {
            // SAFETY: no other thread reads or writes the cell. Its earlier readers are gone: the slot is unused, or it
            // came through limbo, where its batch became ready after every reader that could see the last value had
            // unpinned. The free list's release and acquire pass that order on to this thread. New readers read the
            // cell only after the store below.
            unsafe { (*cell).write(value) };
        });
        self.claim.open(handle.generation());
        self.label.set(label);
        faults::point(points::SLOT_HALF_OPENED);
        let order = match L::PUBLISH {
            _ if planted!("publish-relaxed") => Ordering::Relaxed,
            _ if planted!("publish-release") => Ordering::Release,
            order => order,
        };
        // Release at least, paired with `holds` and `occupant`: publishes the value and the claim word. SeqCst in tables with
        // ownership, paired with the same loads: of two threads that each insert an object and then look for the other's, by
        // a guessed handle or a walk, one finds it. In plain tables a guess may miss an insert that has just returned.
        self.state.store(handle.to_bits(), order);
    }

    /// Makes the handle's object invisible. Exactly one call for a handle returns `true`; the slot then belongs to its
    /// caller, which must put it into limbo. Readers that found the object earlier go on reading the value.
    ///
    /// The slot is linked to `link` by the same access. A thread that stored the link afterwards would wait for this
    /// exchange to complete.
    #[inline]
    pub(super) fn retire(&self, handle: Handle, link: u32) -> bool {
        let dead = dead(handle.generation(), link);
        // SeqCst, paired with `holds`. The value needs no release, since `retire` does not touch it.
        self.state.compare_exchange(handle.to_bits(), dead, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Returns the value.
    ///
    /// # Safety
    /// The slot held a live object at some instant after the caller was pinned. The caller learned this by an acquire (or
    /// stronger) load that read a value written after [`open`](Self::open). The caller stays pinned as long as the
    /// reference is used.
    #[inline(always)]
    pub(super) unsafe fn value(&self) -> &T {
        self.value.with(|cell| {
            debug_assert!(cell.is_aligned(), "segments are aligned to their slots");
            // SAFETY: the cell was written before the slot became live, and the caller's acquire ordered that before
            // this read. The cell is neither dropped nor written again before the object was retired and a grace period
            // passed. A grace period that began after the caller was pinned does not pass while the caller stays pinned.
            // Between these two, the cell is only read.
            let value = unsafe { &*cell };
            // SAFETY: for the same reasons it is initialized.
            unsafe { value.assume_init_ref() }
        })
    }

    /// Drops the value in place.
    ///
    /// # Safety
    /// The slot holds a value, no thread can read it any more, and the slot belongs to the caller. The slot holds no value
    /// afterwards.
    pub(super) unsafe fn drop_value(&self) {
        self.value.with_mut(|cell| {
            // SAFETY: by the contract, no other thread accesses the cell.
            let value = unsafe { &mut *cell };
            // SAFETY: by the contract, it holds a value.
            unsafe { value.assume_init_drop() };
        });
    }

    /// Gives a slot that was never used the generation before its first one, and a link. The slot belongs to the caller.
    pub(super) fn prepare(&self, generation: u32, link: u32) {
        // Relaxed: published by the compare-and-swap of a list's head, or read by the same thread.
        self.state.unstepped().store(dead(generation, link), Ordering::Relaxed);
    }

    /// Returns the link of this dead slot.
    pub(super) fn link(&self) -> u32 {
        // Relaxed. If the slot belongs to the caller, no other thread writes it. If the caller is a popper that has lost
        // its race, the compare-and-swap of the list's head fails, and the value read here is not used. The acquire of
        // the head orders the link before this load.
        state_word::link(self.state.unstepped().load(Ordering::Relaxed))
    }

    /// Links this dead slot, which belongs to the caller, to another one.
    pub(super) fn set_link(&self, link: u32) {
        let state = self.state.unstepped();
        // Relaxed: published by the compare-and-swap of the list's head that follows.
        state.store(state_word::with_link(state.load(Ordering::Relaxed), link), Ordering::Relaxed);
    }

    /// Links a slot that the caller has just retired under this handle. A load would wait for the exchange that retired
    /// it.
    #[inline]
    pub(super) fn link_retired(&self, handle: Handle, link: u32) {
        // Relaxed: as above.
        self.state.unstepped().store(dead(handle.generation(), link), Ordering::Relaxed);
    }

    /// Returns whether this dead slot, which belongs to the caller, has used up its generations up to `last`.
    pub(super) fn is_exhausted(&self, last: u32) -> bool {
        // Relaxed: only the thread to which a dead slot belongs writes its word.
        state_word::generation(self.state.unstepped().load(Ordering::Relaxed)) >= last
    }
}

// SAFETY: zeros are a valid state word, a valid claim field and label (see `ClaimField`, `LabelField`) and a `MaybeUninit`; `Align` has no octets.
// They equal the slot that `empty` makes. A slot holds at least a state word, so its size is not zero.
unsafe impl<T, L: Layout> Element for Slot<T, L> {
    const ZEROED: bool = true;

    fn empty() -> Self {
        Slot {
            align: L::Align::default(),
            state: SteppedWord::new(0),
            claim: L::Claim::default(),
            label: L::Label::default(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

// SAFETY: a slot gives out `&T` to several threads, and one thread may drop what another has inserted.
unsafe impl<T: Send + Sync, L: Layout> Sync for Slot<T, L> {}
