//! Memory that may be refused. Every allocation that can fail with an error is made here or in
//! `segment.rs`, so that a test can make each of them fail in turn.
//!
//! Allocations inside collections of other crates (trees, maps, queues, the epoch's bags) cannot be refused: they end the
//! process. Calls that add to such a collection first ask [`room_for_records`], before they have changed anything. That
//! is a probe, not a reservation: another thread may take the memory before it is used.

use crate::faults;
use std::fmt;

/// There is no memory. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory: retry when there is some")
    }
}

impl std::error::Error for NoMemory {}

/// Returns whether the allocation that is about to be made may be made: always, except in tests that refuse it.
///
/// # Errors
/// [`NoMemory`].
#[inline(always)]
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn granted() -> Result<(), NoMemory> {
    if faults::memory_is_granted() { Ok(()) } else { Err(NoMemory) }
}

/// The size of a large page.
pub(crate) const LARGE_PAGE: usize = 2 << 20;

/// Advises the system to put untouched memory into large pages, as far as whole ones fit.
///
/// Scattered reads of many megabytes wait for address translation as long as for the memory. The advice changes nothing
/// but time, and is not given on systems without such pages.
pub(crate) fn in_large_pages(memory: *mut u8, octets: usize) {
    let begin = memory.addr().next_multiple_of(LARGE_PAGE);
    let end = (memory.addr() + octets) / LARGE_PAGE * LARGE_PAGE;
    #[cfg(all(target_os = "linux", not(miri)))]
    if begin < end {
        let begin_at = memory.wrapping_add(begin - memory.addr());
        // SAFETY: the pages are the caller's, and the advice changes nothing of their content.
        let _ = unsafe { libc::madvise(begin_at.cast(), end - begin, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (begin, end);
}

#[cfg(feature = "manager")]
pub(crate) use collections::*;

/// Boxes and collections, for the rooms above the handle table.
#[cfg(feature = "manager")]
mod collections {
    use super::{NoMemory, granted, in_large_pages};
    use std::alloc::Layout;
    use std::collections::{HashSet, VecDeque};
    use std::hash::{BuildHasher, Hash};
    use std::mem::MaybeUninit;
    use std::sync::Arc;

    /// The memory that one record takes in all the trees that it stands in, if it splits a node on each of eight levels of
    /// each. The nodes of one level take less than 8 KiB together. (An entry takes a little more for each interface.)
    const RECORDS: usize = 64 << 10;

    /// Allocates a box for a value.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, NoMemory> {
        let layout = Layout::new::<T>();
        if layout.size() == 0 {
            return Ok(Box::new(value));
        }
        granted()?;
        // SAFETY: the layout is not empty.
        let memory = unsafe { std::alloc::alloc(layout) }.cast::<T>();
        if memory.is_null() {
            return Err(NoMemory);
        }
        // SAFETY: the memory is for a value of the type, and no other thread knows of it.
        unsafe { memory.write(value) };
        // SAFETY: allocated as a box is, by the same allocator and with the value's layout, and initialized.
        Ok(unsafe { Box::from_raw(memory) })
    }

    /// Allocates an `Arc` for a value. std has none that can be refused, so this is a probe, as [`room_for_records`].
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn shared<T>(value: T) -> Result<Arc<T>, NoMemory> {
        /// As large as the allocation of an `Arc<T>`.
        struct WithCounts<T>(#[expect(dead_code, reason = "for its size")] [usize; 2], MaybeUninit<T>);
        boxed(MaybeUninit::<WithCounts<T>>::uninit())?;
        Ok(Arc::new(value))
    }

    /// Makes an empty vector with room for `room` values.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn vec<T>(room: usize) -> Result<Vec<T>, NoMemory> {
        let mut vec = Vec::new();
        reserve(&mut vec, room)?;
        Ok(vec)
    }

    /// Makes a slice of the values of an iterator, which are at most `max`.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn slice<T>(max: usize, items: impl Iterator<Item = T>) -> Result<Box<[T]>, NoMemory> {
        let mut slice = vec::<T>(max)?;
        in_large_pages(slice.as_mut_ptr().cast(), max.saturating_mul(size_of::<T>()));
        slice.extend(items.take(max));
        // In place with `max` values; with fewer, the system's allocator shrinks it in place.
        Ok(slice.into_boxed_slice())
    }

    /// Reserves room for `more` values, which can then be pushed without an allocation.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
        if vec.capacity() - vec.len() >= more {
            return Ok(());
        }
        granted()?;
        let reserved = if vec.capacity() == 0 { vec.try_reserve_exact(more) } else { vec.try_reserve(more) };
        reserved.map_err(|_| NoMemory)
    }

    /// Reserves room for `more` values in a set.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn reserve_in_set<T: Eq + Hash, S: BuildHasher>(
        set: &mut HashSet<T, S>,
        more: usize,
    ) -> Result<(), NoMemory> {
        if set.capacity() - set.len() >= more {
            return Ok(());
        }
        granted()?;
        set.try_reserve(more).map_err(|_| NoMemory)
    }

    /// Reserves room for one value at the end of a queue.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn reserve_one<T>(queue: &mut VecDeque<T>) -> Result<(), NoMemory> {
        if queue.capacity() > queue.len() {
            return Ok(());
        }
        granted()?;
        queue.try_reserve(1).map_err(|_| NoMemory)
    }

    /// Probes whether there is memory for the records that one call adds to trees and maps.
    #[cfg_attr(mgm_instrumented, track_caller)]
    pub(crate) fn room_for_records() -> Result<(), NoMemory> {
        vec::<u8>(RECORDS).map(drop)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn granted_memory_holds_its_values() {
            assert_eq!(boxed(String::from("red")).as_deref().map(String::as_str), Ok("red"));
            assert_eq!(boxed(()), Ok(Box::new(())));
            assert_eq!(slice(3, 1..=3).as_deref(), Ok(&[1, 2, 3][..]));
            assert_eq!(slice(3, 1..=2).as_deref(), Ok(&[1, 2][..]));
            assert_eq!(slice(0, 1..=2).as_deref(), Ok(&[][..]));
            let mut vec = vec::<u8>(5).unwrap();
            let room = vec.capacity();
            reserve(&mut vec, 5).unwrap();
            assert_eq!(vec.capacity(), room);
            let mut queue = VecDeque::new();
            reserve_one(&mut queue).unwrap();
            queue.push_back(1);
            room_for_records().unwrap();
        }

        #[test]
        fn an_impossible_size_is_refused() {
            assert_eq!(vec::<u64>(usize::MAX / 8), Err(NoMemory));
            assert_eq!(reserve(&mut vec![1_u64], usize::MAX / 8), Err(NoMemory));
        }
    }
}
