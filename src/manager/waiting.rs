//! [`Waiting`]: a flow that has no entry yet, and the packets of it that came in the meantime.
//!
//! Packets are counted here until the flow has counters of its own. Whoever takes the counts over closes them, with the
//! same step that reads them: a packet is either among them, or is told that it came too late and looks again.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How the counts end.
const CLOSED: u64 = 1 << 63;

/// Not in the queue, because that was full when the flow's last packet came.
const PARKED: u32 = 0;
/// Parked, and nothing came for a while.
const PARKED_LONG: u32 = 1;
const QUEUED: u32 = 2;

/// See the top of this file. Orderings are relaxed: each word says all that is read by it.
pub struct Waiting {
    place: AtomicU32,
    uninitialized: AtomicU64,
    overflow: AtomicU64,
}

/// How many packets there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That came while the flow was queued.
    pub uninitialized: u64,
    /// That found the queue full.
    pub overflow: u64,
}

/// The counts are closed: the flow does not wait any more.
#[derive(Debug)]
pub struct Closed;

impl Waiting {
    /// A flow that is about to be queued.
    #[must_use]
    pub fn new() -> Waiting {
        Waiting {
            place: AtomicU32::new(QUEUED),
            uninitialized: AtomicU64::new(0),
            overflow: AtomicU64::new(0),
        }
    }

    /// Whether it was parked, and is the caller's to queue now.
    pub fn unpark(&self) -> bool {
        self.go(PARKED, QUEUED) || self.go(PARKED_LONG, QUEUED)
    }

    /// There is no room for it in the queue. To be called by who has it to queue.
    pub fn park(&self) {
        self.place.store(PARKED, Ordering::Relaxed);
    }

    /// Nothing may come for a while again. Whether it is the caller's now because nothing has come since the last time.
    pub fn age(&self) -> bool {
        if self.go(PARKED_LONG, QUEUED) {
            return true;
        }
        self.go(PARKED, PARKED_LONG);
        false
    }

    /// Whether it is in the queue.
    pub fn is_queued(&self) -> bool {
        self.place.load(Ordering::Relaxed) == QUEUED
    }

    fn go(&self, from: u32, to: u32) -> bool {
        self.place.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A packet came while the flow was queued. Lock-free.
    pub fn uninitialized(&self) -> Result<(), Closed> {
        count(&self.uninitialized)
    }

    /// A packet found the queue full. Lock-free.
    pub fn overflow(&self) -> Result<(), Closed> {
        self.go(PARKED_LONG, PARKED);
        count(&self.overflow)
    }

    /// Closes the counts; `None` for all but the first.
    pub fn close(&self) -> Option<Counts> {
        // The first word decides whose the close is.
        let uninitialized = close(&self.uninitialized)?;
        let overflow = close(&self.overflow).unwrap_or_default();
        Some(Counts { uninitialized, overflow })
    }
}

fn count(word: &AtomicU64) -> Result<(), Closed> {
    // Added in any case: what is added to a closed word counts for nothing.
    if word.fetch_add(1, Ordering::Relaxed) & CLOSED == 0 { Ok(()) } else { Err(Closed) }
}

fn close(word: &AtomicU64) -> Option<u64> {
    if planted!("upcall-late-seal") {
        let count = word.load(Ordering::Relaxed);
        return (word.fetch_or(CLOSED, Ordering::Relaxed) & CLOSED == 0).then_some(count);
    }
    let before = word.fetch_or(CLOSED, Ordering::Relaxed);
    (before & CLOSED == 0).then_some(before)
}
