//! The slots' memory: segments of one size behind a small directory. A segment is made when its first slot is needed,
//! and neither moves nor goes away while the table lives, so a slot may be looked at through any handle, however old,
//! by anybody, without asking.

use crate::faults;
use crate::handle::points;
#[cfg(not(loom))]
use crate::memory::{LARGE_PAGE, in_large_pages};
use crate::sync::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// How many segments there can be. A power of two, so that the index of a handle, split in two, needs no check of its
/// own: a place in the directory is all that the upper half can say.
pub(super) const SEGMENTS: usize = if cfg!(loom) { 2 } else { 1 << 8 };

/// What may lie in a segment.
///
/// # Safety
/// `size_of::<Self>() > 0`, and memory filled with zeros is a value of the type.
pub(super) unsafe trait Zeroed: Sized {
    /// A segment holds `1 << SEGMENT_BITS` slots, whatever the table's capacity: what is not written to costs address
    /// space only. Fixed, because a look-up that has to ask for it takes half as long again.
    const SEGMENT_BITS: u32;
    #[cfg(loom)]
    fn unused() -> Self;
}

pub(super) struct Segments<S: Zeroed> {
    /// In the table itself, which spares a look-up one step.
    directory: [AtomicPtr<S>; SEGMENTS],
    capacity: u32,
}

// SAFETY: a `Segments<S>` owns its slots as a `Vec<S>` would, and hands out only `&S`.
unsafe impl<S: Zeroed + Send> Send for Segments<S> {}
// SAFETY: as above; through `&Segments<S>` only `&S` is reached.
unsafe impl<S: Zeroed + Sync> Sync for Segments<S> {}

/// One segment.
struct Segment<'s, S> {
    number: u32,
    first: NonNull<S>,
    slots: PhantomData<&'s [S]>,
}

impl<S> Clone for Segment<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Segment<'_, S> {}

impl<'s, S: Zeroed> Segment<'s, S> {
    /// The slot of this segment that an index names.
    #[inline(always)]
    fn slot(self, index: u32) -> &'s S {
        let offset = index as usize & ((1 << S::SEGMENT_BITS) - 1);
        // SAFETY: a segment holds `1 << SEGMENT_BITS` slots and `offset` is less.
        let slot = unsafe { self.first.add(offset) };
        // SAFETY: it points to an initialized slot of a segment that is freed only by dropping the `Segments` that `'s` borrows.
        unsafe { slot.as_ref() }
    }
}

impl<S: Zeroed> Segments<S> {
    /// Room for `capacity` slots, none of them allocated yet.
    pub(super) fn new(capacity: u32) -> Self {
        Segments { directory: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())), capacity }
    }

    const SLOTS: usize = 1 << S::SEGMENT_BITS;

    /// The slot, unless its segment was never needed. (An index beyond the capacity may name a slot that is never used.)
    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> Option<&S> {
        Some(self.segment(index)?.slot(index))
    }

    /// The segment that a slot is in.
    #[inline(always)]
    fn segment(&self, index: u32) -> Option<Segment<'_, S>> {
        let number = index >> S::SEGMENT_BITS;
        // Acquire, paired with the compare-and-swap in `ensure`: the segment's zeros.
        let first = NonNull::new(self.directory.get(number as usize)?.load(Ordering::Acquire))?;
        Some(Segment { number, first, slots: PhantomData })
    }

    /// For looking at slots one after the other, most of which are in the segment of the one before: a chain of slots is gone
    /// along faster when the directory is not asked at each step.
    pub(super) fn along<'s>(&'s self) -> impl FnMut(u32) -> Option<&'s S> {
        let mut here: Option<Segment<'s, S>> = None;
        move |index| {
            let segment = match here {
                Some(segment) if segment.number == index >> S::SEGMENT_BITS => segment,
                _ => *here.insert(self.segment(index)?),
            };
            Some(segment.slot(index))
        }
    }

    /// The slot, allocating its segment if need be; `None` beyond the capacity and when there is no memory.
    pub(super) fn ensure(&self, index: u32) -> Option<&S> {
        if index >= self.capacity {
            return None;
        }
        let entry = self.directory.get((index >> S::SEGMENT_BITS) as usize)?;
        // Acquire, as in `get`.
        if entry.load(Ordering::Acquire).is_null() {
            let made = allocate::<S>(Self::SLOTS, Pages::of(index >> S::SEGMENT_BITS));
            if made.is_null() {
                return None;
            }
            faults::point(points::SEGMENT_ALLOCATED);
            // Release on success, paired with `get`. Nothing is read through what a failure finds.
            if entry.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: made just now with this length, and shown to nobody.
                unsafe { free(made, Self::SLOTS, Pages::of(index >> S::SEGMENT_BITS)) };
            }
        }
        self.get(index)
    }
}

impl<S: Zeroed> Drop for Segments<S> {
    fn drop(&mut self) {
        for (entry, number) in self.directory.iter().zip(0..) {
            // Acquire, as in `get`; whoever dropped the table has synchronized with its users.
            let segment = entry.load(Ordering::Acquire);
            if !segment.is_null() {
                // SAFETY: made by `allocate` with this length, and nobody borrows the table any more.
                unsafe { free(segment, Self::SLOTS, Pages::of(number)) };
            }
        }
    }
}

/// What a segment's memory is asked for in.
#[derive(Clone, Copy, PartialEq)]
enum Pages {
    /// Those that are there: of a table's first segment, which may be all there is.
    Small,
    /// Large ones, if it fills one: where many slots are in use, most look-ups would wait for a small one's address.
    Large,
}

impl Pages {
    fn of(segment: u32) -> Pages {
        if segment == 0 { Pages::Small } else { Pages::Large }
    }
}

/// What a segment's beginning is aligned to: at least a cache line, so that a slot of one line is in one line.
#[cfg(not(loom))]
const fn alignment<S>(slots: usize, pages: Pages) -> usize {
    const LINE: usize = 64;
    let fills_one = size_of::<S>() * slots >= LARGE_PAGE;
    if matches!(pages, Pages::Large) && fills_one {
        LARGE_PAGE
    } else if align_of::<S>() > LINE {
        align_of::<S>()
    } else {
        LINE
    }
}

/// The memory of a segment, with room to align it: zeroed memory that nobody has to write to comes from the system with
/// little alignment only.
#[cfg(not(loom))]
fn spacious<S>(slots: usize, pages: Pages) -> Option<std::alloc::Layout> {
    let layout = std::alloc::Layout::array::<S>(slots).ok()?;
    let octets = layout.size().checked_add(alignment::<S>(slots, pages))?;
    std::alloc::Layout::from_size_align(octets, align_of::<*mut u8>()).ok()
}

#[cfg(not(loom))]
fn allocate<S: Zeroed>(slots: usize, pages: Pages) -> *mut S {
    match spacious::<S>(slots, pages) {
        _ if crate::memory::granted().is_err() => ptr::null_mut(),
        Some(layout) => {
            // SAFETY: the layout is not empty: it has room to spare.
            let memory = unsafe { std::alloc::alloc_zeroed(layout) };
            if memory.is_null() {
                return ptr::null_mut();
            }
            // At least a pointer further on, since memory is aligned to one; at most what is to spare.
            let alignment = alignment::<S>(slots, pages);
            let ahead = alignment - memory.addr() % alignment;
            // SAFETY: within what is to spare.
            let segment = unsafe { memory.add(ahead) };
            if pages == Pages::Large {
                in_large_pages(segment, size_of::<S>() * slots);
            }
            // SAFETY: before the segment there is room for a pointer, aligned as the memory is.
            unsafe { segment.cast::<*mut u8>().wrapping_sub(1).write(memory) };
            segment.cast()
        }
        None => ptr::null_mut(),
    }
}

/// # Safety
/// `segment` came from [`allocate`] with the same number of slots and kind of pages and is used no more.
#[cfg(not(loom))]
unsafe fn free<S>(segment: *mut S, slots: usize, pages: Pages) {
    if let Some(layout) = spacious::<S>(slots, pages) {
        // SAFETY: `allocate` has noted there where the memory begins.
        let memory = unsafe { segment.cast::<*mut u8>().wrapping_sub(1).read() };
        // SAFETY: allocated with this layout. The slots need no drop of their own: they are atomics and a
        // `MaybeUninit`, whose value the table has dropped.
        unsafe { std::alloc::dealloc(memory, layout) };
    }
}

#[cfg(loom)]
fn allocate<S: Zeroed>(slots: usize, _pages: Pages) -> *mut S {
    let slots: Box<[S]> = (0..slots).map(|_| S::unused()).collect();
    Box::into_raw(slots).cast()
}

/// # Safety
/// `segment` came from [`allocate`] with the same number of slots and kind of pages and is used no more.
#[cfg(loom)]
unsafe fn free<S>(segment: *mut S, slots: usize, _pages: Pages) {
    // SAFETY: this is the box `allocate` gave away.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(segment, slots)) });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Word;

    // SAFETY: an atomic has a size and may be zero.
    unsafe impl Zeroed for Word {
        const SEGMENT_BITS: u32 = 4;
    }

    #[test]
    fn every_index_below_the_capacity_has_one_slot_of_its_own() {
        for capacity in [1, 2, 3, 16, 17, 127, 128, 129, 1000, 4096] {
            let segments = Segments::<Word>::new(capacity);
            assert!(segments.get(0).is_none(), "nothing is allocated before it is needed");
            for index in 0..capacity {
                let word = segments.ensure(index).unwrap();
                assert_eq!(word.swap(u64::from(index) + 1, Ordering::Relaxed), 0);
            }
            for index in 0..capacity {
                assert_eq!(segments.get(index).unwrap().load(Ordering::Relaxed), u64::from(index) + 1);
            }
            for index in [capacity, (1 << 24) - 1, u32::MAX] {
                assert!(segments.ensure(index).is_none());
                assert!(segments.get(index).is_none_or(|word| word.load(Ordering::Relaxed) == 0));
            }
        }
    }

    #[test]
    fn segments_begin_with_a_line() {
        let segments = Segments::<Word>::new(1 << 12);
        for index in (0..1 << 12).step_by(16) {
            let slot = std::ptr::from_ref(segments.ensure(index).unwrap());
            assert_eq!(slot.addr() % 64, 0);
        }
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
