//! The two layouts of a table, and its shape.

use super::Kind;
use super::owner::OwnerWords;
use crate::sync::{Arc, Ordering, SteppedWord};
use crossbeam_utils::CachePadded;

mod sealed {
    /// What a layout puts into slots and tables. Out of reach of other crates, so that a layout cannot be made there.
    pub trait Layout: Send + Sync + 'static {
        /// Index bits of a table at most. Segments are as many as a directory has places at that.
        const MAX_BITS: u32;
        /// Zero bytes large; its alignment is the slot's.
        type Line: Default + Send + Sync;
        /// The claim word, if slots have one.
        type ClaimWord: super::ClaimWord;
        /// The owner words, if the table has them.
        type OwnerWords: Default + Send + Sync;
    }
}

/// What a slot carries besides its state and its value: [`Plain`] or [`Claims`].
pub trait Layout: sealed::Layout {}

/// A table without ownership: a slot is state and value.
#[derive(Debug)]
pub enum Plain {}

/// A table whose objects can own things: a slot carries the claim word too, and has a cache line to itself.
#[derive(Debug)]
pub enum Claims {}

impl sealed::Layout for Plain {
    const MAX_BITS: u32 = super::handle::INDEX_BITS;
    type Line = ();
    type ClaimWord = ();
    type OwnerWords = ();
}

impl sealed::Layout for Claims {
    const MAX_BITS: u32 = super::owner::SLOT_BITS;
    type Line = CachePadded<()>;
    type ClaimWord = ObjectClaims;
    type OwnerWords = Arc<OwnerWords>;
}

impl Layout for Plain {}
impl Layout for Claims {}

/// The claim word of a slot, or its absence. All its bytes may be zero.
pub trait ClaimWord: Default + Send + Sync {
    /// Makes it the word of an object that holds nothing yet; the slot is the caller's alone.
    fn open(&self, generation: u32);
}

impl ClaimWord for () {
    fn open(&self, _generation: u32) {}
}

/// The claim word of an object that can own things (see `claim.rs`).
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct ObjectClaims {
    pub(super) word: SteppedWord,
}

impl ClaimWord for ObjectClaims {
    #[inline]
    fn open(&self, generation: u32) {
        // Release, paired with the claim step's loads of the word: whoever still looks at it with a handle of an earlier
        // generation learns that it is stale; and such a handle is stale already, so nothing hangs on who learns it here
        // first. The handle itself is published by the state word's store, next, and whoever loads that finds this.
        self.word.store(super::claim::idle(generation, 0), Ordering::Release);
    }
}

/// How a table is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The kind of its handles.
    pub kind: Kind,
    /// How many objects it holds at most, garbage that waits for readers included.
    pub capacity: u32,
}
