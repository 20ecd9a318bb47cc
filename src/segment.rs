//! Memory of one segment of an array: zeroed by the system where possible, aligned to a cache line or a large page.

use crate::memory::{LARGE_PAGE, NoMemory, granted, in_large_pages};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// The element of a segmented array.
///
/// # Safety
/// If `ZEROED` holds, memory filled with zeros is a valid value of the type, equal to the one that [`empty`](Self::empty)
/// makes. The size of the type is not zero.
pub(crate) unsafe trait Element: Sized {
    /// Whether an empty element consists of zeros. Segments of such elements are not written to when they are made, so
    /// their untouched pages take no memory.
    const ZEROED: bool;

    /// Makes the element that a new segment is filled with.
    fn empty() -> Self;
}

// SAFETY: zeros are the number 0, which is what `default` makes.
unsafe impl Element for crate::sync::Word {
    const ZEROED: bool = true;

    fn empty() -> Self {
        Self::default()
    }
}

/// The pages that a segment should lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Pages of the usual size, for segments of which little may be used.
    Small,
    /// Large pages, for segments that fill one: reads all over a large segment would else wait for address translation.
    Large,
}

/// What stands right before a segment: the allocation that the segment lies in.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    memory: *mut u8,
    octets: usize,
}

const LINE: usize = 64;

/// Returns the alignment of a segment's first octet: that of its elements, and at least a cache line, so that an element of
/// one line lies in one, or a large page, for segments that fill one.
const fn alignment<T>(octets: usize, pages: Pages) -> usize {
    let pages = if matches!(pages, Pages::Large) && octets >= LARGE_PAGE { LARGE_PAGE } else { LINE };
    if align_of::<T>() > pages { align_of::<T>() } else { pages }
}

/// Allocates a segment of `len` empty elements. The caller owns it and frees it with [`free`].
///
/// # Errors
/// [`NoMemory`].
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn allocate<T: Element>(len: usize, pages: Pages) -> Result<NonNull<T>, NoMemory> {
    // Loom's atomics have to be made one by one.
    let zeroed = T::ZEROED && !cfg!(loom);
    let octets = size_of::<T>().checked_mul(len).ok_or(NoMemory)?;
    let alignment = alignment::<T>(octets, pages);
    // The allocation has room to align the segment in it. The allocator is asked for little alignment only, because
    // zeroed memory of a larger one is written to by std.
    let space = octets.checked_add(alignment).ok_or(NoMemory)?;
    let layout = Layout::from_size_align(space, align_of::<Header>().max(size_of::<Header>()))
        .map_err(|_| NoMemory)?;
    granted()?;
    let memory = if zeroed {
        // SAFETY: the layout is not empty: it has room for the alignment.
        unsafe { alloc_zeroed(layout) }
    } else {
        // SAFETY: as above.
        unsafe { alloc(layout) }
    };
    if memory.is_null() {
        return Err(NoMemory);
    }
    // At least a header's size, since the memory and the alignment are multiples of it; at most the alignment.
    let ahead = alignment - memory.addr() % alignment;
    // SAFETY: the allocation has room for `alignment` octets more than the segment.
    let segment = unsafe { memory.add(ahead) };
    if pages == Pages::Large {
        in_large_pages(segment, octets);
    }
    // SAFETY: there is room for a header between the memory's begin and the segment.
    let header = unsafe { segment.cast::<Header>().sub(1) };
    // SAFETY: as above, and the segment is aligned to a multiple of a header's alignment and size.
    unsafe { header.write(Header { memory, octets: space }) };
    let first = segment.cast::<T>();
    assert!(first.is_aligned(), "a segment is aligned to its elements");
    if !zeroed {
        for at in 0..len {
            // SAFETY: element `at` lies in the segment, which is aligned for the type.
            let element = unsafe { first.add(at) };
            // SAFETY: as above, and no other thread knows of the memory.
            unsafe { element.write(T::empty()) };
        }
    }
    NonNull::new(first).ok_or(NoMemory)
}

/// Drops the elements of a segment and frees its memory.
///
/// # Safety
/// `first` came from [`allocate`] with this `len`, has not been freed, and no thread uses it any more.
pub(crate) unsafe fn free<T>(first: NonNull<T>, len: usize) {
    // SAFETY: `allocate` left room for a header there.
    let header = unsafe { first.cast::<Header>().sub(1) };
    // SAFETY: `allocate` wrote the header.
    let header = unsafe { header.read() };
    let elements = NonNull::slice_from_raw_parts(first, len);
    // SAFETY: all elements are initialized, and no thread uses them.
    unsafe { elements.drop_in_place() };
    if let Ok(layout) = Layout::from_size_align(header.octets, align_of::<Header>().max(size_of::<Header>()))
    {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(header.memory, layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[repr(align(4096))]
    struct OverAligned(#[expect(dead_code, reason = "for its size")] u8);
    // SAFETY: zero is the number that `empty` has.
    unsafe impl Element for OverAligned {
        const ZEROED: bool = true;
        fn empty() -> Self {
            OverAligned(0)
        }
    }

    /// Aligned to more than a large page.
    #[repr(align(0x40_0000))]
    struct BeyondLargePages(#[expect(dead_code, reason = "for its size")] u8);
    // SAFETY: zero is the number that `empty` has.
    unsafe impl Element for BeyondLargePages {
        const ZEROED: bool = true;
        fn empty() -> Self {
            BeyondLargePages(0)
        }
    }

    struct Owning(Arc<()>);
    std::thread_local! { static SHARED: Arc<()> = Arc::default(); }
    // SAFETY: it says that zeros are no value.
    unsafe impl Element for Owning {
        const ZEROED: bool = false;
        fn empty() -> Self {
            Owning(SHARED.with(Arc::clone))
        }
    }

    #[test]
    fn segments_are_aligned_to_their_elements_and_to_lines() {
        for pages in [Pages::Small, Pages::Large] {
            for len in [1, 3, 1024] {
                let segment = allocate::<OverAligned>(len, pages).unwrap();
                assert!(segment.is_aligned());
                // SAFETY: allocated just now, and used nowhere else.
                unsafe { free(segment, len) };
            }
        }
        // Several at once: the first may be aligned by chance.
        let segments =
            [1, 2, 1, 1, 3].map(|len| (allocate::<BeyondLargePages>(len, Pages::Large).unwrap(), len));
        for (segment, len) in segments {
            assert!(segment.is_aligned());
            // SAFETY: as above.
            unsafe { free(segment, len) };
        }
        let segment = allocate::<Owning>(5, Pages::Small).unwrap();
        assert_eq!(segment.addr().get() % LINE, 0);
        // SAFETY: as above.
        unsafe { free(segment, 5) };
    }

    #[test]
    fn elements_are_made_and_dropped_once() {
        let segment = allocate::<Owning>(5, Pages::Small).unwrap();
        // SAFETY: the segment is there, and its first element is initialized.
        let first = unsafe { segment.as_ref() };
        assert_eq!(Arc::strong_count(&first.0), 1 + 5);
        // SAFETY: as above.
        unsafe { free(segment, 5) };
        assert_eq!(SHARED.with(Arc::strong_count), 1);
    }

    #[test]
    fn an_impossible_length_is_refused() {
        assert!(allocate::<OverAligned>(usize::MAX / 2, Pages::Small).is_err());
    }
}
