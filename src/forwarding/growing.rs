//! [`Growing`]: an array that grows without moving, read without waiting.

use crate::memory::NoMemory;
use crate::sync::OnceLock;

const FIRST_SEGMENT: usize = if cfg!(any(loom, test)) { 2 } else { 64 };
const SEGMENTS: usize = 26;

/// What zeroes are a value of: they come from the system as they are, and cost nothing until they are written to.
#[cfg(not(loom))]
pub(super) trait Zeroes: zerocopy::FromZeros + zerocopy::KnownLayout {}
#[cfg(not(loom))]
impl<T: zerocopy::FromZeros + zerocopy::KnownLayout> Zeroes for T {}

#[cfg(loom)]
pub(super) trait Zeroes: Default {}
#[cfg(loom)]
impl<T: Default> Zeroes for T {}

/// Places that begin as zeroes, in segments of doubling size that never move.
pub(super) struct Growing<T> {
    segments: [OnceLock<Box<[T]>>; SEGMENTS],
}

impl<T> Default for Growing<T> {
    fn default() -> Self {
        Growing { segments: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl<T: Zeroes> Growing<T> {
    /// So many places there can be.
    pub(super) const MOST: usize = (FIRST_SEGMENT << SEGMENTS) - FIRST_SEGMENT;

    /// Makes the places below `len`. May block on others that do.
    pub(super) fn make_room(&self, len: usize) -> Result<(), NoMemory> {
        let Some(last) = len.checked_sub(1) else { return Ok(()) };
        let (last, _) = place(last as u32);
        for (at, segment) in self.segments.iter().enumerate().take(last + 1) {
            if segment.get().is_none() {
                let made = zeroes(FIRST_SEGMENT << at)?;
                segment.get_or_init(|| made);
            }
        }
        Ok(())
    }

    /// A place, if it was made. Wait-free.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (segment, offset) = place(index);
        self.segments.get(segment)?.get()?.get(offset)
    }
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

/// Which segment, and where in it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let shifted = index as usize + FIRST_SEGMENT;
    let segment = (shifted / FIRST_SEGMENT).ilog2() as usize;
    (segment, shifted - (FIRST_SEGMENT << segment))
}
