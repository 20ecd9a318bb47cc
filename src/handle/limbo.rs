//! Limbo: retired slots that a reader may still see.
//!
//! A retired slot is pushed on its thread's [`Limbo`], a stack linked through the dead state words. Every so often the
//! whole stack is swapped out and becomes a batch (see `batches.rs`).
//!
//! ```text
//!         63                     50 49              26 25  24 23                0
//!        +-------------------------+------------------+------+-------------------+
//! limbo  |            0            |      slots       |  0   |  first slot       |
//!        +-------------------------+------------------+------+-------------------+
//! ```
//!
//! No tags are needed: a push onto a limbo is right whatever lies below, and only whole stacks are taken. The slot that was
//! pushed first is linked to none.

use super::free_list::Links;
use super::handle::{INDEX_BITS, INDEX_MASK};
use super::points;
use super::state_word::NIL;
use crate::faults;
use crate::sync::{Ordering, Word};

/// The position of the number of slots, here and in the word of a batch.
pub(super) const COUNT_SHIFT: u32 = INDEX_BITS + 2;

/// Returns the number of slots of a word.
pub(super) const fn count(word: u64) -> u64 {
    word >> COUNT_SHIFT & INDEX_MASK
}

const fn first(word: u64) -> u32 {
    (word & INDEX_MASK) as u32
}

/// A chain of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) first: u32,
    pub(super) count: u64,
}

impl Chain {
    /// Returns the chain that a word names, if it names one.
    pub(super) fn of(word: u64) -> Option<Chain> {
        (count(word) > 0).then_some(Chain { first: first(word), count: count(word) })
    }
}

/// The slots that threads of one shard retired and that are in no batch yet.
#[derive(Debug)]
pub(super) struct Limbo {
    head: Word,
}

/// A reading of a limbo's word.
#[derive(Clone, Copy)]
pub(super) struct Head(u64);

impl Head {
    /// Returns the slot that was pushed last, or the link to none.
    #[inline]
    pub(super) fn first(self) -> u32 {
        first(self.0)
    }
}

impl Default for Limbo {
    fn default() -> Self {
        Limbo { head: Word::new(u64::from(NIL)) }
    }
}

impl Limbo {
    /// Reads the head of the stack.
    #[inline]
    pub(super) fn head(&self) -> Head {
        // Relaxed: nothing is read through it.
        Head(self.head.load(Ordering::Relaxed))
    }

    /// Pushes a slot that the caller retired and linked to the first one of `head`. Returns the number of slots afterwards.
    #[inline]
    pub(super) fn push(&self, slots: &impl Links, index: u32, mut head: Head) -> u64 {
        loop {
            let pushed = (count(head.0) + 1) << COUNT_SHIFT | u64::from(index);
            faults::point(points::LIMBO_PUSHING);
            // Release, paired with `take`: the link, and that the slot was retired before. The grace period rests on the
            // latter: slots are retired before their batch is given to the epoch. Later pushes are read-modify-writes and
            // keep the order for the slots below.
            match self.head.compare_exchange(head.0, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return count(pushed),
                Err(now) => head = Head(now),
            }
            slots.set_link(index, head.first());
        }
    }

    /// Takes all slots that wait here.
    pub(super) fn take(&self) -> Option<Chain> {
        // A Relaxed read first, to spare the cache lines of idle shards.
        if self.count() == 0 {
            return None;
        }
        // Acquire, paired with `push`.
        Chain::of(self.head.swap(u64::from(NIL), Ordering::Acquire))
    }

    /// Returns the number of slots that wait here.
    pub(super) fn count(&self) -> u64 {
        // Relaxed: a count.
        count(self.head.load(Ordering::Relaxed))
    }

    /// Takes the slots that wait here, when no other thread uses the table any more.
    pub(super) fn leftover(&mut self) -> Option<Chain> {
        self.take()
    }
}
