//! [`SlotArray`]: the slots of a table, in segments of one size.
//!
//! The size of a segment is known when the table is compiled, because a look-up that must load it takes half as long
//! again. It is bounded in octets, so a table of large values does not reserve far ahead of what it holds. In a table
//! with a limit below a segment, the only segment has just as many slots as the limit needs.

use super::claim::{ClaimSlot, ClaimSlots};
use super::free_list::Links;
use super::layout::{Claims, Layout};
use super::points;
use super::slot::Slot;
use super::state_word::NIL;
use crate::cfg::handle::SLOT_SEGMENTS;
use crate::faults;
use crate::memory::NoMemory;
use crate::segment::Pages;
use crate::segmented_array::{Geometry, SegmentedArray};
use std::marker::PhantomData;

/// Maps the index of a slot to its place: the upper part is a segment, the lower part an offset.
struct SlotGeometry<T, L> {
    /// The number of slots in a segment, which is a power of two, minus one.
    mask: u32,
    slots: PhantomData<fn() -> (T, L)>,
}

// SAFETY: an offset is at most `mask`, one less than the length of every segment.
unsafe impl<T, L: Layout> Geometry for SlotGeometry<T, L> {
    #[inline(always)]
    fn segment(&self, index: u32) -> usize {
        (index >> Slot::<T, L>::SEGMENT_BITS) as usize
    }

    #[inline(always)]
    fn offset(&self, index: u32) -> usize {
        // The constant mask is redundant, and lets the compiler truncate the index instead of masking it.
        (index & ((1 << Slot::<T, L>::SEGMENT_BITS) - 1) & self.mask) as usize
    }

    fn len(&self, _segment: usize) -> usize {
        self.mask as usize + 1
    }
}

/// The slots of a table. See the top of this file.
pub(super) struct SlotArray<T, L: Layout> {
    slots: SegmentedArray<Slot<T, L>, SlotGeometry<T, L>, SLOT_SEGMENTS>,
    limit: u32,
}

impl<T, L: Layout> SlotArray<T, L> {
    /// Makes room for `limit` slots. Allocates nothing.
    pub(super) fn new(limit: u32) -> Self {
        let len = limit.next_power_of_two().min(1 << Slot::<T, L>::SEGMENT_BITS);
        SlotArray { slots: SegmentedArray::new(SlotGeometry { mask: len - 1, slots: PhantomData }), limit }
    }

    /// Returns the number of slots in a segment.
    pub(super) fn segment_len(&self) -> u32 {
        self.slots.geometry().mask + 1
    }

    /// Returns the slot of an index, unless its segment was never needed.
    ///
    /// An index beyond the limit may lead to the slot of another index. The state word of that slot tells: a live one
    /// holds the slot's own index.
    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> Option<&Slot<T, L>> {
        self.slots.get(index)
    }

    /// Returns a function like [`get`](Self::get), for walks along chains.
    pub(super) fn cursor<'a>(&'a self) -> impl FnMut(u32) -> Option<&'a Slot<T, L>> {
        self.slots.cursor()
    }

    /// Returns the slot of an index, and allocates its segment if need be.
    ///
    /// # Errors
    /// [`NoMemory`] when there is none, and for an index beyond the limit.
    pub(super) fn ensure(&self, index: u32) -> Result<&Slot<T, L>, NoMemory> {
        if index >= self.limit {
            return Err(NoMemory);
        }
        // The first segment may be the only one. Look-ups in a table of many slots would wait for address translation.
        let pages = if index >> Slot::<T, L>::SEGMENT_BITS == 0 { Pages::Small } else { Pages::Large };
        self.slots.ensure(index, pages, || faults::point(points::SEGMENT_ALLOCATED))
    }
}

impl<T, L: Layout> Links for SlotArray<T, L> {
    #[inline]
    fn link(&self, index: u32) -> u32 {
        // Every index on a list was in use once, so its segment is there.
        self.get(index).map_or(NIL, Slot::link)
    }

    #[inline]
    fn set_link(&self, index: u32, link: u32) {
        if let Some(slot) = self.get(index) {
            slot.set_link(link);
        }
    }
}

impl<T> ClaimSlots for SlotArray<T, Claims> {
    #[inline]
    fn claim_slot(&self, index: u32) -> Option<ClaimSlot<'_>> {
        self.get(index).map(|slot| ClaimSlot { state: slot.state(), claim: &slot.claim().0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Plain;
    use super::*;

    #[test]
    fn every_index_below_the_limit_has_its_own_slot() {
        for limit in [1, 2, 3, 16, 17, 127, 128, 129, 1000, 70_000] {
            let slots = SlotArray::<u64, Plain>::new(limit);
            assert!(slots.get(0).is_none(), "no segment is made before it is needed");
            for index in 0..limit {
                slots.ensure(index).unwrap().set_link(index);
            }
            assert!((0..limit).all(|index| slots.get(index).unwrap().link() == index));
            for index in [limit, (1 << 24) - 1, u32::MAX] {
                assert!(slots.ensure(index).is_err());
                assert!(slots.get(index).is_none_or(|slot| slot.occupant().is_none()));
            }
        }
    }

    #[test]
    fn a_segment_is_bounded_in_octets_and_by_the_limit() {
        type Large = Slot<[u64; 1 << 10], Plain>;
        #[repr(align(4096))]
        struct OverAligned;
        type Page = Slot<OverAligned, Plain>;
        assert_eq!(Slot::<[u64; 7], Plain>::SEGMENT_BITS, 16, "64 octets in 65536 slots: 4 MiB");
        assert_eq!(Slot::<[u64; 7], Plain>::MAX_LIMIT, (1 << 24) - 1);
        assert_eq!(Slot::<[u64; 8], Plain>::SEGMENT_BITS, 15);
        assert_eq!((Large::SEGMENT_BITS, Large::MAX_LIMIT), (8, 1 << 16));
        assert_eq!((Page::SEGMENT_BITS, Page::MAX_LIMIT), (10, 1 << 18));
        assert_eq!(Slot::<u64, Claims>::SEGMENT_BITS, 12);
        assert_eq!(SlotArray::<u64, Plain>::new(5).segment_len(), 8);
        assert_eq!(SlotArray::<u64, Plain>::new(1 << 20).segment_len(), 1 << 16);
    }
}
