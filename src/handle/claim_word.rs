//! The claim word of a slot: how many resources the slot's object owns, and whether an operation on it is announced.
//!
//! ```text
//!              63 62         49 48                                    0
//! claim  busy | 1 | thread id:14|              sequence:49              |   an operation of this object is announced
//!             +---+---+---------------------------+---------------------+
//!        idle | 0 | C |       generation:32       |      count:30       |   C: closing, the object is being retired
//!              63  62  61                       30 29                  0
//! ```
//!
//! The busy form is a [`Ticket`]: it names a descriptor (`descriptor.rs`) and one use of it. `claim.rs` describes the
//! protocol.

use super::owner_words::OwnerWords;
use crate::cfg::handle::THREAD_IDS;
use crate::sync::{Ordering, SteppedWord};

pub(super) const BUSY: u64 = 1 << 63;
pub(super) const CLOSING: u64 = 1 << 62;
const COUNT_BITS: u32 = 30;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
pub(super) const SEQUENCE_BITS: u32 = 49;
pub(super) const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

// A ticket fits beside the busy bit, every thread id into a ticket, and the number of all owner words into a count.
const _: () = assert!(THREAD_IDS <= 1 << (63 - SEQUENCE_BITS) && OwnerWords::MAX < 1 << COUNT_BITS);

/// Which use of which descriptor a busy claim word names. It never recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) thread_id: u16,
    pub(super) sequence: u64,
}

/// Returns the claim word of an object that owns `count` resources.
#[inline]
pub(super) const fn idle(generation: u32, count: u32) -> u64 {
    (generation as u64) << COUNT_BITS | count as u64
}

/// Returns the claim word of an object with an announced operation.
#[inline]
pub(super) const fn busy(ticket: Ticket) -> u64 {
    BUSY | (ticket.thread_id as u64) << SEQUENCE_BITS | ticket.sequence
}

/// The fields of a claim word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimState {
    Busy(Ticket),
    Idle { generation: u32, count: u32, closing: bool },
}

impl ClaimState {
    #[inline]
    pub(super) const fn of(word: u64) -> Self {
        if word & BUSY != 0 {
            let thread_id = ((word & !BUSY) >> SEQUENCE_BITS) as u16;
            ClaimState::Busy(Ticket { thread_id, sequence: word & SEQUENCE_MASK })
        } else {
            ClaimState::Idle {
                generation: (word >> COUNT_BITS) as u32,
                count: (word & COUNT_MASK) as u32,
                closing: word & CLOSING != 0,
            }
        }
    }
}

/// The claim word in a slot, or its absence. Zeros are a valid value.
pub trait ClaimField: Default + Send + Sync {
    /// Resets the word for a new object that owns nothing. Only the thread that opens the slot calls this.
    fn open(&self, generation: u32);
}

/// A table without ownership has no claim words.
impl ClaimField for () {
    #[inline(always)]
    fn open(&self, _generation: u32) {}
}

/// The claim word of an object that can own resources.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct ClaimWord(pub(super) SteppedWord);

impl ClaimField for ClaimWord {
    #[inline]
    fn open(&self, generation: u32) {
        // Release, paired with the claim protocol's loads of the word: a thread that still reads it with a handle of an
        // earlier generation finds that handle stale. Such a handle is stale already, so it does not matter whether the
        // thread learns it here first. The new handle is published by the store of the state word, which comes next; a
        // thread that loads the state word finds this value.
        self.0.store(idle(generation, 0), Ordering::Release);
    }
}
