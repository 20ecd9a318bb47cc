//! The state word of a slot: whether an object lives in the slot, and under which handle.
//!
//! ```text
//!        63                          32 31        24 23                     0
//!       +------------------------------+------------+------------------------+
//! live  |          generation          |    kind    |       own index        |   = the bits of the handle
//!       +------------------------------+------------+------------------------+
//! dead  |          generation          |     0      |    link to a slot      |
//!       +------------------------------+------------+------------------------+
//! ```
//!
//! The word of a live slot *is* the handle, so checking a handle is one load and one compare. The word is written once
//! when an object is inserted and once when it is removed, and never in between. The word of a dead slot has kind 0, which
//! no handle has.

use super::handle::{GENERATION_SHIFT, INDEX_MASK};

/// The link to no slot. No slot has this index: limits end below it.
pub(super) const NIL: u32 = INDEX_MASK as u32;

/// Returns the state word of a dead slot.
#[inline]
pub(super) const fn dead(generation: u32, link: u32) -> u64 {
    (generation as u64) << GENERATION_SHIFT | link as u64
}

/// Returns the state word with another link.
#[inline]
pub(super) const fn with_link(state: u64, link: u32) -> u64 {
    state & !INDEX_MASK | link as u64
}

/// Returns the generation of the object that lives in the slot, or that lived there last.
#[inline]
pub(super) const fn generation(state: u64) -> u32 {
    (state >> GENERATION_SHIFT) as u32
}

/// Returns the link of a dead slot.
#[inline]
pub(super) const fn link(state: u64) -> u32 {
    (state & INDEX_MASK) as u32
}
