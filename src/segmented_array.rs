//! [`SegmentedArray`]: an array that grows by whole segments and never moves an element, so that readers never wait.
//!
//! ```text
//!   directory   [ * | * | null | null | ... ]      one pointer for each segment there can be
//!                 |   |
//!                 |   +--> segment 1: elements
//!                 +------> segment 0: elements
//! ```
//!
//! A thread that needs an element first allocates its segment and publishes it by a compare-and-swap of the directory's
//! pointer. A thread that loses this race frees its own segment and uses the other one. Segments are freed only when the
//! array is dropped, so an element may be read through any index, however old, for as long as the array lives.
//!
//! A [`Geometry`] maps an index to a segment and a place in it: [`Doubling`], or one of the room that uses the array.

use crate::memory::NoMemory;
use crate::segment::{self, Element, Pages};
use crate::sync::{AtomicPtr, Ordering};
use std::ptr::{self, NonNull};

/// Maps indices to segments.
///
/// # Safety
/// For every index, its `offset` is less than the `len` of its `segment`. Neither changes as long as the geometry lives.
pub(crate) unsafe trait Geometry {
    /// Returns the segment that an index lies in.
    fn segment(&self, index: u32) -> usize;

    /// Returns the place of an index in its segment. Apart from the segment, so that a geometry with offsets that take a load
    /// makes it beside that of the directory.
    fn offset(&self, index: u32) -> usize;

    /// Returns the number of elements of a segment; at least 1.
    fn len(&self, segment: usize) -> usize;
}

/// Segments that double in size: the first holds `FIRST` elements, a power of two and at least 2.
///
/// An index plus `FIRST` lies in the segment of its highest bit, at the offset that its other bits say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Doubling<const FIRST: u32>;

impl<const FIRST: u32> Doubling<FIRST> {
    /// The number of elements that an array can have.
    #[allow(dead_code, reason = "owner words have a limit of their own")]
    pub(crate) const MAX_LEN: u32 = u32::MAX - FIRST + 1;

    const VALID: () = assert!(FIRST >= 2 && FIRST.is_power_of_two());
}

// SAFETY: the offset has no bit at or above the highest bit, so it is less than the length of that bit's segment, which
// is two to its power. The one exception is a sum of 0, which is said to be at offset 1 of segment 0: that segment has a
// length of 2.
unsafe impl<const FIRST: u32> Geometry for Doubling<FIRST> {
    #[inline(always)]
    fn segment(&self, index: u32) -> usize {
        const { Self::VALID };
        // The last `FIRST` indices wrap to segments below the first one, which are never made.
        (index.wrapping_add(FIRST) | 1).ilog2() as usize
    }

    #[inline(always)]
    fn offset(&self, index: u32) -> usize {
        (index.wrapping_add(FIRST) ^ 1 << self.segment(index)) as usize
    }

    fn len(&self, segment: usize) -> usize {
        (1 << segment).max(2)
    }
}

/// The directory of a [`Doubling`] array: a place for each bit of an index, which spares a check.
pub(crate) const DOUBLING_SEGMENTS: usize = u32::BITS as usize;

/// An array of segments that double in size.
pub(crate) type DoublingArray<T, const FIRST: u32> = SegmentedArray<T, Doubling<FIRST>, DOUBLING_SEGMENTS>;

/// An append-only array of elements in at most `SEGMENTS` segments. See the top of this file.
///
/// The directory lies in the array itself, which spares a look-up one step.
pub(crate) struct SegmentedArray<T, G: Geometry, const SEGMENTS: usize> {
    directory: [AtomicPtr<T>; SEGMENTS],
    geometry: G,
}

// SAFETY: the array owns its elements as a `Vec<T>` would, and gives out only `&T`.
unsafe impl<T: Send, G: Geometry + Send, const N: usize> Send for SegmentedArray<T, G, N> {}
// SAFETY: as above. An element that one thread makes may be dropped by another, hence `Send`.
unsafe impl<T: Send + Sync, G: Geometry + Sync, const N: usize> Sync for SegmentedArray<T, G, N> {}

impl<T, G: Geometry + Default, const N: usize> Default for SegmentedArray<T, G, N> {
    fn default() -> Self {
        SegmentedArray::new(G::default())
    }
}

impl<T, G: Geometry, const N: usize> SegmentedArray<T, G, N> {
    /// Makes an array without segments. Allocates nothing.
    pub(crate) fn new(geometry: G) -> Self {
        SegmentedArray { directory: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())), geometry }
    }

    /// Returns the geometry.
    pub(crate) fn geometry(&self) -> &G {
        &self.geometry
    }

    /// Returns the first element of a segment, if the segment is there.
    #[inline(always)]
    fn segment(&self, segment: usize) -> Option<NonNull<T>> {
        // Acquire, paired with the compare-and-swap in `ensure`: the segment's elements.
        NonNull::new(self.directory.get(segment)?.load(Ordering::Acquire))
    }

    /// Returns the address of an element, valid as long as the array lives; `None` if its segment was never made.
    /// Wait-free.
    #[inline(always)]
    pub(crate) fn pointer(&self, index: u32) -> Option<NonNull<T>> {
        let first = self.segment(self.geometry.segment(index))?;
        // SAFETY: the offset is below the segment's length, by the contract of `Geometry`.
        Some(unsafe { first.add(self.geometry.offset(index)) })
    }

    /// Returns an element; `None` if its segment was never made. Wait-free.
    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let element = self.pointer(index)?;
        // SAFETY: it points to an initialized element of a segment that is freed only by dropping `self`.
        Some(unsafe { element.as_ref() })
    }

    /// Returns a function like [`get`](Self::get) that remembers the last segment. A walk along elements of which most
    /// lie in the segment of the one before reads the directory less often.
    pub(crate) fn cursor<'a>(&'a self) -> impl FnMut(u32) -> Option<&'a T> {
        let mut here: Option<(usize, NonNull<T>)> = None;
        move |index| {
            let segment = self.geometry.segment(index);
            let first = match here {
                Some((number, first)) if number == segment => first,
                _ => here.insert((segment, self.segment(segment)?)).1,
            };
            // SAFETY: as in `pointer`.
            let element = unsafe { first.add(self.geometry.offset(index)) };
            // SAFETY: as in `get`.
            Some(unsafe { element.as_ref() })
        }
    }
}

impl<T: Element, G: Geometry, const N: usize> SegmentedArray<T, G, N> {
    /// Returns an element, and makes its segment before if need be. Lock-free; may allocate.
    ///
    /// Calls `allocated` when a segment is allocated and not published yet.
    ///
    /// # Errors
    /// [`NoMemory`] when there is none, and for an index beyond the directory.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn ensure(&self, index: u32, pages: Pages, allocated: impl FnOnce()) -> Result<&T, NoMemory> {
        let segment = self.geometry.segment(index);
        let entry = self.directory.get(segment).ok_or(NoMemory)?;
        // Acquire, as in `segment`.
        if entry.load(Ordering::Acquire).is_null() {
            let len = self.geometry.len(segment);
            let new = segment::allocate::<T>(len, pages)?;
            allocated();
            // Release on success, paired with `segment`: the elements. Nothing is read through the value of a failure.
            let exchange =
                entry.compare_exchange(ptr::null_mut(), new.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
            if exchange.is_err() {
                // SAFETY: allocated just now with this length, and no other thread knows of it.
                unsafe { segment::free(new, len) };
            }
        }
        self.get(index).ok_or(NoMemory)
    }
}

#[cfg(feature = "manager")]
impl<T: Element, const FIRST: u32> DoublingArray<T, FIRST> {
    /// Makes the segments of all elements below `len`. Lock-free; may allocate.
    ///
    /// # Errors
    /// [`NoMemory`]. Segments that were made stay.
    #[allow(dead_code, reason = "for arrays that are prepared ahead")]
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn ensure_len(&self, len: u32, pages: Pages) -> Result<(), NoMemory> {
        let Some(last) = len.checked_sub(1) else { return Ok(()) };
        for segment in FIRST.ilog2() as usize..=self.geometry.segment(last) {
            self.ensure((1 << segment) - FIRST, pages, || ())?;
        }
        Ok(())
    }
}

impl<T, G: Geometry, const N: usize> Drop for SegmentedArray<T, G, N> {
    fn drop(&mut self) {
        for (segment, entry) in self.directory.iter().enumerate() {
            // Acquire, as in `segment`; the thread that drops the array has synchronized with its other users.
            if let Some(first) = NonNull::new(entry.load(Ordering::Acquire)) {
                // SAFETY: made by `ensure` with this length, and no thread borrows the array any more.
                unsafe { segment::free(first, self.geometry.len(segment)) };
            }
        }
    }
}

impl<T, G: Geometry, const N: usize> std::fmt::Debug for SegmentedArray<T, G, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let made = (0..N).filter(|&segment| self.segment(segment).is_some()).count();
        f.debug_struct("SegmentedArray").field("segments", &made).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Word;
    use std::collections::BTreeSet;

    type Words = DoublingArray<Word, 4>;

    #[test]
    fn indices_lie_at_different_places_within_their_segments() {
        let geometry = Doubling::<64>;
        let mut seen = BTreeSet::new();
        let ends = (0..1000).chain(u32::MAX - 100..=u32::MAX);
        for index in ends {
            let (segment, offset) = (geometry.segment(index), geometry.offset(index));
            assert!(segment < DOUBLING_SEGMENTS && offset < geometry.len(segment));
            assert!(seen.insert((segment, offset)));
            assert_eq!(segment < 6, index >= Doubling::<64>::MAX_LEN, "only the last ones wrap");
        }
    }

    #[test]
    fn elements_stay_where_they_are_made() {
        let words = Words::default();
        assert!(words.get(0).is_none(), "no segment is made before it is needed");
        for index in 0..1000 {
            let word = words.ensure(index, Pages::Small, || ()).unwrap();
            assert_eq!(word.swap(u64::from(index) + 1, Ordering::Relaxed), 0);
        }
        let mut cursor = words.cursor();
        for index in 0..1000 {
            assert_eq!(words.get(index).unwrap().load(Ordering::Relaxed), u64::from(index) + 1);
            assert!(ptr::eq(cursor(index).unwrap(), words.get(index).unwrap()));
        }
        assert!(words.get(5000).is_none());
        assert!(words.get(u32::MAX).is_none());
    }

    #[cfg(feature = "manager")]
    #[test]
    fn room_is_made_for_all_elements_below_a_length() {
        let words = Words::default();
        words.ensure_len(0, Pages::Small).unwrap();
        assert!(words.get(0).is_none());
        words.ensure_len(13, Pages::Small).unwrap();
        assert!((0..28).all(|index| words.get(index).is_some()));
        assert!(words.get(28).is_none());
    }

    #[test]
    fn segments_begin_with_a_cache_line() {
        let words = Words::default();
        for segment in 2..12 {
            let first = ptr::from_ref(words.ensure((1 << segment) - 4, Pages::Large, || ()).unwrap());
            assert_eq!(first.addr() % 64, 0);
        }
    }

    #[test]
    fn threads_that_need_one_segment_get_the_same() {
        let words = Words::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for index in 0..64 {
                        words.ensure(index, Pages::Small, || ()).unwrap().fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!((0..64).all(|index| words.get(index).unwrap().load(Ordering::Relaxed) == 4));
    }
}
