//! [`PendingFlow`]: a flow without an entry, and the count of its packets that arrived meanwhile.
//!
//! Packets are counted here until the flow has counters of its own. The thread that takes the counts over seals them in the
//! same step that reads them. A packet is either among the counts, or learns that they are sealed and looks the flow up
//! again.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Marks a sealed count.
const SEALED: u64 = 1 << 63;

/// Not in the queue, because the queue was full when the flow's last packet arrived.
const PARKED: u32 = 0;
/// Parked, and no packet arrived for an interval.
const PARKED_LONG: u32 = 1;
/// In the queue.
const QUEUED: u32 = 2;

/// A flow that waits for its entry. All accesses are `Relaxed` and pair with each other: each word carries all that is read
/// by it.
#[derive(Debug)]
pub struct PendingFlow {
    state: AtomicU32,
    uninitialized: AtomicU64,
    overflow: AtomicU64,
}

/// The packets that were counted of a pending flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that arrived while the flow was queued.
    pub uninitialized: u64,
    /// Packets that found the queue full.
    pub overflow: u64,
}

/// The counts are sealed: the flow is not pending any more.
#[derive(Debug)]
pub struct Sealed;

impl PendingFlow {
    /// Returns a flow that is about to be queued.
    #[must_use]
    pub fn new() -> PendingFlow {
        PendingFlow {
            state: AtomicU32::new(QUEUED),
            uninitialized: AtomicU64::new(0),
            overflow: AtomicU64::new(0),
        }
    }

    /// Moves a parked flow to the queued state. Returns whether this caller did: it has to queue the flow.
    pub fn unpark(&self) -> bool {
        self.change(PARKED, QUEUED) || self.change(PARKED_LONG, QUEUED)
    }

    /// Parks the flow because the queue has no room. Must be called by the thread that is to queue it.
    pub fn park(&self) {
        self.state.store(PARKED, Ordering::Relaxed);
    }

    /// Begins another interval without packets. Returns whether this caller may drop the flow, because no packet arrived in
    /// the last interval.
    pub fn age(&self) -> bool {
        if self.change(PARKED_LONG, QUEUED) {
            return true;
        }
        self.change(PARKED, PARKED_LONG);
        false
    }

    /// Returns whether the flow is queued.
    pub fn is_queued(&self) -> bool {
        self.state.load(Ordering::Relaxed) == QUEUED
    }

    fn change(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Counts a packet that arrived while the flow was queued. Lock-free.
    ///
    /// # Errors
    /// [`Sealed`].
    pub fn count_uninitialized(&self) -> Result<(), Sealed> {
        count(&self.uninitialized)
    }

    /// Counts a packet that found the queue full. Lock-free.
    ///
    /// # Errors
    /// [`Sealed`].
    pub fn count_overflow(&self) -> Result<(), Sealed> {
        self.change(PARKED_LONG, PARKED);
        count(&self.overflow)
    }

    /// Seals the counts and returns them; `None` for every call but the first.
    pub fn seal(&self) -> Option<Counts> {
        // The first word decides which caller seals.
        let uninitialized = seal(&self.uninitialized)?;
        let overflow = seal(&self.overflow).unwrap_or_default();
        Some(Counts { uninitialized, overflow })
    }
}

fn count(word: &AtomicU64) -> Result<(), Sealed> {
    // Adds in any case: what is added to a sealed word is never read.
    if word.fetch_add(1, Ordering::Relaxed) & SEALED == 0 { Ok(()) } else { Err(Sealed) }
}

fn seal(word: &AtomicU64) -> Option<u64> {
    if planted!("upcall-late-seal") {
        let count = word.load(Ordering::Relaxed);
        return (word.fetch_or(SEALED, Ordering::Relaxed) & SEALED == 0).then_some(count);
    }
    let before = word.fetch_or(SEALED, Ordering::Relaxed);
    (before & SEALED == 0).then_some(before)
}
