//! The slots' memory: segments of one size behind a small directory. A segment is made when its first slot is needed,
//! and neither moves nor goes away while the table lives, so a slot may be looked at through any handle, however old,
//! by anybody, without asking.

use crate::faults::{self, Point};
use crate::sync::{AtomicPtr, Ordering};
use std::ptr;

/// How many entries a directory has at most.
const DIRECTORY: u32 = 128;

/// What may lie in a segment.
///
/// # Safety
/// `size_of::<Self>() > 0`, and memory filled with zeros is a value of the type.
pub(super) unsafe trait Zeroed: Sized {
    #[cfg(loom)]
    fn unused() -> Self;
}

pub(super) struct Segments<S> {
    directory: Box<[AtomicPtr<S>]>,
    /// A segment holds `1 << shift` slots.
    shift: u32,
}

// SAFETY: a `Segments<S>` owns its slots as a `Vec<S>` would, and hands out only `&S`.
unsafe impl<S: Send> Send for Segments<S> {}
// SAFETY: as above; through `&Segments<S>` only `&S` is reached.
unsafe impl<S: Sync> Sync for Segments<S> {}

impl<S: Zeroed> Segments<S> {
    /// Room for `capacity` slots, none of them allocated yet.
    pub(super) fn new(capacity: u32) -> Self {
        let slots = capacity.div_ceil(DIRECTORY).next_power_of_two();
        // Small tables do not need many tiny segments, nor tiny tables one large one.
        let slots = slots.max(capacity.next_power_of_two().min(16));
        let shift = slots.trailing_zeros();
        let entries = capacity.div_ceil(slots);
        Segments { directory: (0..entries).map(|_| AtomicPtr::new(ptr::null_mut())).collect(), shift }
    }

    const fn slots_in_segment(&self) -> usize {
        1 << self.shift
    }

    /// The slot, unless the index is beyond the capacity or its segment was never needed.
    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> Option<&S> {
        let entry = self.directory.get((index >> self.shift) as usize)?;
        // Acquire, paired with the compare-and-swap in `ensure`: the segment's zeros.
        let segment = entry.load(Ordering::Acquire);
        if segment.is_null() {
            return None;
        }
        let offset = index as usize & (self.slots_in_segment() - 1);
        // SAFETY: a segment holds `slots_in_segment` slots and `offset` is less.
        let slot = unsafe { segment.add(offset) };
        // SAFETY: it points to an initialized slot of a segment that is freed only by dropping `self`.
        Some(unsafe { &*slot })
    }

    /// The slot, allocating its segment if need be; `None` beyond the capacity and when there is no memory.
    pub(super) fn ensure(&self, index: u32) -> Option<&S> {
        let entry = self.directory.get((index >> self.shift) as usize)?;
        // Acquire, as in `get`.
        if entry.load(Ordering::Acquire).is_null() {
            let made = allocate::<S>(self.slots_in_segment());
            if made.is_null() {
                return None;
            }
            faults::point(Point::SegmentMade);
            // Release on success, paired with `get`. Nothing is read through what a failure finds.
            if entry.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: made just now with this length, and shown to nobody.
                unsafe { free(made, self.slots_in_segment()) };
            }
        }
        self.get(index)
    }
}

impl<S> Drop for Segments<S> {
    fn drop(&mut self) {
        for entry in &self.directory {
            // Acquire, as in `get`; whoever dropped the table has synchronized with its users.
            let segment = entry.load(Ordering::Acquire);
            if !segment.is_null() {
                // SAFETY: made by `allocate` with this length, and nobody borrows the table any more.
                unsafe { free(segment, 1 << self.shift) };
            }
        }
    }
}

#[cfg(not(loom))]
fn allocate<S: Zeroed>(slots: usize) -> *mut S {
    match std::alloc::Layout::array::<S>(slots) {
        _ if crate::memory::granted().is_err() => ptr::null_mut(),
        // SAFETY: the layout is not empty: a slot has a size and a segment a slot at least.
        Ok(layout) => unsafe { std::alloc::alloc_zeroed(layout) }.cast(),
        Err(_) => ptr::null_mut(),
    }
}

/// # Safety
/// `segment` came from [`allocate`] with the same number of slots and is used no more.
#[cfg(not(loom))]
unsafe fn free<S>(segment: *mut S, slots: usize) {
    if let Ok(layout) = std::alloc::Layout::array::<S>(slots) {
        // SAFETY: allocated with this layout. The slots need no drop of their own: they are atomics and a
        // `MaybeUninit`, whose value the table has dropped.
        unsafe { std::alloc::dealloc(segment.cast(), layout) };
    }
}

#[cfg(loom)]
fn allocate<S: Zeroed>(slots: usize) -> *mut S {
    let slots: Box<[S]> = (0..slots).map(|_| S::unused()).collect();
    Box::into_raw(slots).cast()
}

/// # Safety
/// `segment` came from [`allocate`] with the same number of slots and is used no more.
#[cfg(loom)]
unsafe fn free<S>(segment: *mut S, slots: usize) {
    // SAFETY: this is the box `allocate` gave away.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(segment, slots)) });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Word;

    // SAFETY: an atomic has a size and may be zero.
    unsafe impl Zeroed for Word {}

    #[test]
    fn every_index_below_the_capacity_has_one_slot_of_its_own() {
        for capacity in [1, 2, 3, 16, 17, 127, 128, 129, 1000, 5000] {
            let segments = Segments::<Word>::new(capacity);
            assert!(segments.directory.len() <= DIRECTORY as usize);
            assert!(segments.get(0).is_none(), "nothing is allocated before it is needed");
            for index in 0..capacity {
                let word = segments.ensure(index).unwrap();
                assert_eq!(word.swap(u64::from(index) + 1, Ordering::Relaxed), 0);
            }
            for index in 0..capacity {
                assert_eq!(segments.get(index).unwrap().load(Ordering::Relaxed), u64::from(index) + 1);
            }
            for index in [(1 << 24) - 1, u32::MAX] {
                assert!(segments.get(index).is_none());
                assert!(segments.ensure(index).is_none());
            }
        }
    }

    #[test]
    fn the_largest_table_has_a_small_directory() {
        let segments = Segments::<Word>::new((1 << 24) - 1);
        assert_eq!(segments.directory.len(), DIRECTORY as usize);
    }

    #[test]
    fn threads_that_need_the_same_segment_get_the_same() {
        let segments = Segments::<Word>::new(64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for index in 0..64 {
                        segments.ensure(index).unwrap().fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!((0..64).all(|i| segments.get(i).unwrap().load(Ordering::Relaxed) == 4));
    }
}
