//! [`Share`]: what one worker counted, one cache line a flow.
//!
//! A flow's counters stand in a block of their own in each worker's share:
//!
//! ```text
//! +------------+---------+--------+-----------------+--------------+--------+
//! | generation | packets | octets | wrong interface | no receivers | copies |
//! +------------+---------+--------+-----------------+--------------+--------+
//! ```
//!
//! Nobody clears a block when its number is given back: some worker may still hold an entry that says to count there, and
//! waiting until none does would tie the counters to grace periods. Instead the generation says whose counts these are.
//! The worker that meets a newer generation clears the block, its own, and goes on; one that meets an older generation
//! counts for a flow that is gone, and drops it. Whoever sums up takes a block only if it has the generation asked for
//! before and after reading the counts. Generations never recur, so that is enough, and needs no second try.
//!
//! Only one worker at a time writes a share, so adding is a load and a store. Blocks sit in segments of doubling size that
//! never move; the segments are made when a number is opened, so a worker never allocates.

use super::counters::FlowNumber;
use crate::sync::{Arc, AtomicU32, AtomicU64, OnceLock, Ordering, fence};

/// How many counters a flow has.
pub(super) const COUNTERS: usize = 5;

const FIRST_SEGMENT: usize = if cfg!(any(loom, test)) { 2 } else { 64 };
const SEGMENTS: usize = 24;

#[derive(Default)]
#[repr(align(64))]
struct Block {
    /// Whose counts these are; 0 for nobody's, which no number has.
    generation: AtomicU32,
    counts: [AtomicU64; COUNTERS],
}

/// One worker's counts of every flow.
#[derive(Default)]
pub(super) struct Share {
    segments: [OnceLock<Box<[Block]>>; SEGMENTS],
    next: OnceLock<Arc<Share>>,
}

/// Every share that was ever made: a list that only grows.
#[derive(Default)]
pub(super) struct Shares {
    first: OnceLock<Arc<Share>>,
}

impl Shares {
    /// A new share with room for `numbers` numbers.
    pub(super) fn push(&self, numbers: usize) -> Arc<Share> {
        let share = Arc::new(Share::default());
        share.make_room(numbers);
        let mut place = &self.first;
        loop {
            // Holding the counters' lock is not relied on: the place is ours only if ours is what it then holds.
            let holder = place.get_or_init(|| share.clone());
            if Arc::ptr_eq(holder, &share) {
                return share;
            }
            place = &holder.next;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Share>> {
        std::iter::successors(self.first.get(), |share| share.next.get())
    }
}

impl Share {
    /// Makes blocks for the indexes below `numbers`.
    pub(super) fn make_room(&self, numbers: usize) {
        let Some(last) = numbers.checked_sub(1) else { return };
        let (last, _) = place(last as u32);
        for (at, segment) in self.segments.iter().enumerate().take(last + 1) {
            segment.get_or_init(|| (0..FIRST_SEGMENT << at).map(|_| Block::default()).collect());
        }
    }

    fn block(&self, number: FlowNumber) -> Option<&Block> {
        let (segment, offset) = place(number.index);
        self.segments.get(segment)?.get()?.get(offset)
    }

    /// To be called by the share's one worker only.
    pub(super) fn add(&self, number: FlowNumber, counter: usize, n: u64) {
        let Some(block) = self.block(number) else { return };
        // Relaxed: only this thread writes the block, or it took the share over through the counters' lock.
        let present = block.generation.load(Ordering::Relaxed);
        if present != number.generation {
            if present > number.generation {
                return;
            }
            block.restart(number.generation);
        }
        let Some(count) = block.counts.get(counter) else { return };
        // Relaxed: a count stands for itself; `read` asks for no order among counts of one generation.
        count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// What this worker has counted under a number.
    pub(super) fn read(&self, number: FlowNumber) -> [u64; COUNTERS] {
        let Some(block) = self.block(number) else { return [0; COUNTERS] };
        // Acquire: pairs with the last store of `restart`, so that the counts are no older than the cleared ones.
        if block.generation.load(Ordering::Acquire) != number.generation {
            return [0; COUNTERS];
        }
        let counts = std::array::from_fn(|at| block.counts[at].load(Ordering::Relaxed));
        // The fence pairs with the one in `restart`: if a count above was stored after that one, the load below sees
        // the generation gone.
        fence(Ordering::Acquire);
        if block.generation.load(Ordering::Relaxed) != number.generation {
            return [0; COUNTERS];
        }
        counts
    }
}

impl Block {
    /// Clears the counts for a new generation.
    fn restart(&self, generation: u32) {
        #[cfg(not(feature = "bug-restart-unmarked"))]
        self.generation.store(0, Ordering::Relaxed);
        // Pairs with the fence in `read`: who sees a count stored below sees the old generation gone.
        fence(Ordering::Release);
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        // Release: pairs with the first load of `read`.
        self.generation.store(generation, Ordering::Release);
    }
}

/// Which segment, and where in it.
fn place(index: u32) -> (usize, usize) {
    let shifted = index as usize + FIRST_SEGMENT;
    let segment = (shifted / FIRST_SEGMENT).ilog2() as usize;
    (segment, shifted - (FIRST_SEGMENT << segment))
}
