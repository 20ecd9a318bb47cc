//! [`Growing`]: an array that grows without moving, read without waiting.

use crate::memory::NoMemory;
use crate::sync::{AtomicPtr, Ordering};
use std::ptr;

/// The first segment holds this many places, each further one twice as many as the one before: so that a place, counted from
/// here on, is in the segment of its highest bit, at what its other bits say.
const FIRST_SEGMENT: u32 = if cfg!(any(loom, test)) { 2 } else { 64 };

/// What zeroes are a value of: they come from the system as they are, and cost nothing until they are written to.
#[cfg(not(loom))]
pub(super) trait Zeroes: zerocopy::FromZeros + zerocopy::KnownLayout {}
#[cfg(not(loom))]
impl<T: zerocopy::FromZeros + zerocopy::KnownLayout> Zeroes for T {}

#[cfg(loom)]
pub(super) trait Zeroes: Default {}
#[cfg(loom)]
impl<T: Default> Zeroes for T {}

/// How many of the places of a segment are going to be used, which says what pages it should be in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Most, soon after they were made.
    Most,
    /// Few: the rest should take no memory.
    Few,
}

/// Places that begin as zeroes, in segments of doubling size that never move.
pub(super) struct Growing<T> {
    /// By the highest bit of what is in them: the first ones are never made. As many as there are bits, which spares a check.
    segments: [AtomicPtr<T>; u32::BITS as usize],
}

impl<T> Default for Growing<T> {
    fn default() -> Self {
        Growing { segments: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())) }
    }
}

// SAFETY: a `Growing<T>` owns its places as a `Vec<T>` would, and hands out only `&T`.
unsafe impl<T: Send> Send for Growing<T> {}
// SAFETY: as above; through `&Growing<T>` only `&T` is reached.
unsafe impl<T: Send + Sync> Sync for Growing<T> {}

impl<T: Zeroes> Growing<T> {
    /// So many places there can be.
    pub(super) const MOST: usize = (u32::MAX - FIRST_SEGMENT) as usize + 1;

    /// Makes the places below `len`. Lock-free; may allocate.
    pub(super) fn make_room(&self, len: usize, use_of_them: Use) -> Result<(), NoMemory> {
        let Some(last) = len.checked_sub(1) else { return Ok(()) };
        let (last, _) = place(last as u32);
        for at in FIRST_SEGMENT.ilog2() as usize..=last {
            // Acquire, as in `get`.
            if self.segments[at].load(Ordering::Acquire).is_null() {
                let made: *mut T = Box::into_raw(zeroes::<T>(1 << at)?).cast();
                if use_of_them == Use::Most {
                    crate::memory::in_large_pages(made.cast(), size_of::<T>() << at);
                }
                // Release, paired with `get`. Nothing is read through what a failure finds.
                let exchange = (Ordering::Release, Ordering::Relaxed);
                if self.segments[at].compare_exchange(ptr::null_mut(), made, exchange.0, exchange.1).is_err()
                {
                    // SAFETY: made just now as a segment of this length, and shown to nobody.
                    unsafe { free(at, made) };
                }
            }
        }
        Ok(())
    }

    /// A place, if it was made. Wait-free.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (at, offset) = place(index);
        // Acquire, paired with the exchange in `make_room`: the segment's zeroes.
        let segment = self.segments[at].load(Ordering::Acquire);
        if segment.is_null() {
            return None;
        }
        // SAFETY: `place` gives an offset below the length of the segment.
        let place = unsafe { segment.add(offset) };
        // SAFETY: it points into a segment that is freed only by dropping `self`.
        Some(unsafe { &*place })
    }
}

impl<T> Drop for Growing<T> {
    fn drop(&mut self) {
        for (at, segment) in self.segments.iter().enumerate() {
            // Acquire, as in `get`; whoever drops this has synchronized with its users.
            let segment = segment.load(Ordering::Acquire);
            if !segment.is_null() {
                // SAFETY: made by `make_room` with this length, and nobody borrows it any more.
                unsafe { free(at, segment) };
            }
        }
    }
}

/// Gives a segment back.
///
/// # Safety
/// `zeroes` made it for this place among the segments, and nobody uses it.
unsafe fn free<T>(at: usize, segment: *mut T) {
    // SAFETY: a box of so many places, by the caller's word.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(segment, 1 << at)) });
}

#[cfg(not(loom))]
fn zeroes<T: Zeroes>(len: usize) -> Result<Box<[T]>, NoMemory> {
    crate::memory::granted()?;
    <[T] as zerocopy::FromZeros>::new_box_zeroed_with_elems(len).map_err(|_| NoMemory)
}

#[cfg(loom)]
fn zeroes<T: Zeroes>(len: usize) -> Result<Box<[T]>, NoMemory> {
    Ok((0..len).map(|_| T::default()).collect())
}

/// Which segment, and where in it. Of an index that no place can have, a segment that was never made.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let counted = index.wrapping_add(FIRST_SEGMENT);
    // The last ones go round, to below the first segment. 0 has no highest bit, 1 has the lowest.
    let at = (counted | 1).ilog2();
    (at as usize, (counted ^ 1 << at) as usize)
}
