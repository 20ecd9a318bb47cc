//! Memory that may be refused: every allocation of our own that a call can be refused for the lack of is made here, and so
//! can be made to fail, one after the other, by a test (feature `faults`).
//!
//! What lies inside collections of others (trees, maps, queues, the epoch's bags) cannot be refused there: it ends the
//! process. Calls that add to such a collection ask [`room_for_records`] first, before they have changed anything. That is
//! a look and no promise: others may take the memory before it is used.

use crate::faults;
use std::alloc::Layout;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// There is no memory. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for it: try again when there is some")]
pub struct NoMemory;

/// What one record takes in all the trees that it stands in, if it splits a node on each of eight levels of each: the nodes
/// of one level come to less than 8 KB together. (An entry takes a little more for each of its interfaces.)
const RECORDS: usize = 64 << 10;

/// Whether the allocation that is about to be made may be made: always, but in tests.
#[inline(always)]
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn granted() -> Result<(), NoMemory> {
    if faults::memory_is_granted() { Ok(()) } else { Err(NoMemory) }
}

/// A value in a box.
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
    // SAFETY: it is memory for a value of the type, and nobody else's.
    unsafe { memory.write(value) };
    // SAFETY: allocated as a box is, by the same allocator and with the value's layout, and initialized.
    Ok(unsafe { Box::from_raw(memory) })
}

/// A value that is shared. std has none that can be refused, so that this is a look and no promise, as [`room_for_records`].
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn shared<T>(value: T) -> Result<Arc<T>, NoMemory> {
    /// As large as what a value is shared in.
    struct WithCounts<T>(#[expect(dead_code, reason = "it is never made")] [usize; 2], MaybeUninit<T>);
    boxed(MaybeUninit::<WithCounts<T>>::uninit())?;
    Ok(Arc::new(value))
}

/// An empty vector with room for so many.
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn vec<T>(room: usize) -> Result<Vec<T>, NoMemory> {
    let mut vec = Vec::new();
    reserve(&mut vec, room)?;
    Ok(vec)
}

/// What a large page holds.
pub(crate) const LARGE_PAGE: usize = 2 << 20;

/// Asks the system to have memory that was not touched yet, and of which most will be, in large pages as far as whole ones fit: what
/// is read here and there in many megabytes waits for the translation of addresses as long as for the memory. A hint that
/// changes nothing but time; does nothing where there is no such thing.
pub(crate) fn in_large_pages(memory: *mut u8, octets: usize) {
    let begin = memory.addr().next_multiple_of(LARGE_PAGE);
    let end = (memory.addr() + octets) / LARGE_PAGE * LARGE_PAGE;
    #[cfg(all(target_os = "linux", not(miri)))]
    if begin < end {
        let begin_at = memory.wrapping_add(begin - memory.addr());
        // SAFETY: the pages are the caller's, and the advice changes nothing of what is in them.
        let _ = unsafe { libc::madvise(begin_at.cast(), end - begin, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (begin, end);
}

/// A slice of what an iterator yields, which is not more than `most`.
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn slice<T>(most: usize, items: impl Iterator<Item = T>) -> Result<Box<[T]>, NoMemory> {
    let mut slice = vec::<T>(most)?;
    in_large_pages(slice.as_mut_ptr().cast(), most.saturating_mul(size_of::<T>()));
    slice.extend(items.take(most));
    // In place where there are as many; else the system's allocator makes it smaller in place.
    Ok(slice.into_boxed_slice())
}

/// Room for so many more, which pushing then needs no memory for.
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    if vec.capacity() - vec.len() >= more {
        return Ok(());
    }
    granted()?;
    let reserved = if vec.capacity() == 0 { vec.try_reserve_exact(more) } else { vec.try_reserve(more) };
    reserved.map_err(|_| NoMemory)
}

/// Room for so many more in a set.
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

/// Room for one more at the end of a queue.
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn reserve_one<T>(queue: &mut VecDeque<T>) -> Result<(), NoMemory> {
    if queue.capacity() > queue.len() {
        return Ok(());
    }
    granted()?;
    queue.try_reserve(1).map_err(|_| NoMemory)
}

/// Whether there is memory now for what one call adds to trees and maps.
#[cfg_attr(mgm_instrumented, track_caller)]
pub(crate) fn room_for_records() -> Result<(), NoMemory> {
    vec::<u8>(RECORDS).map(drop)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_there() {
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
    fn what_no_machine_has_is_refused() {
        assert_eq!(vec::<u64>(usize::MAX / 8), Err(NoMemory));
        assert_eq!(reserve(&mut vec![1_u64], usize::MAX / 8), Err(NoMemory));
    }
}
