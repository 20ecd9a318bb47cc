//! [`Share`]: what one worker counted.
//!
//! What is counted of every packet of a flow stands in a cache line of the flow's own in each worker's share, with the copies
//! to its first four outgoing interfaces; of seven more there is a line in each further one. What is counted seldom stands
//! elsewhere, in memory that costs nothing until something is counted there:
//!
//! ```text
//!               +------------+---------+--------+--------+--------+-----+-----+-----+
//! a flow's line | generation | packets | octets | copies | to 1st | 2nd | 3rd | 4th |   64 octets
//!               +------------+---------+--------+--------+--------+-----+-----+-----+
//! further ones  | generation | to 5th  | 6th    | 7th    | 8th    | 9th | 10th| 11th|   64 octets
//!               +------------+---------+--------+--------+--------+-----+-----+-----+
//! and seldom    | generation | three counters for each of these seven              |   176 octets
//!               +------------+------------------------------------------------------+
//! ```
//!
//! The three of an outgoing interface are copies not made for its TTL, for its MTU, and for another reason; in the place of nine
//! for the first three stand the six of what is counted seldom of the flow.
//!
//! So a packet that is copied to no more than four interfaces counts in one line, found once.
//!
//! Nobody clears a line when its number is given back: some worker may still hold an entry that says to count there, and
//! waiting until none does would tie the counters to grace periods. Instead the generation says whose counts these are.
//! The worker that meets a newer generation clears the line, its own, and goes on; one that meets an older generation
//! counts for a flow that is gone, and drops it. Whoever sums up takes a line only if it has the generation asked for
//! before and after reading the counts. Generations never recur, so that is enough, and needs no second try.
//!
//! Only one worker at a time writes a share, so adding is a load and a store. The arrays never move and are made larger
//! when a number is opened, so a worker never allocates.

use super::growing::{Growing, Use};
use super::numbers::{LineId, MAX_LINES, NOWHERE, OifCounterId};
use crate::faults;
use crate::forwarding::points;
use crate::memory::NoMemory;
use crate::prefetch::prefetch;
use crate::sync::{Arc, AtomicU32, AtomicU64, OnceLock, Ordering, fence};

/// How many counters of a flow are counted up by every packet that is forwarded.
pub(super) const OFTEN: usize = 3;
/// How many are not.
pub(super) const SELDOM: usize = 6;
/// How many counters of an outgoing interface are not.
pub(super) const COPY_SELDOM: usize = 3;
/// How many a line has: a flow's first has those that are counted often, then places. Models have one such place.
pub(super) const LINE: usize = if cfg!(loom) { 4 } else { 7 };

const _: () = assert!(SELDOM <= OFTEN * COPY_SELDOM);

const _: () = assert!(LINE <= NOWHERE as usize);

/// Counters, and whose they are.
#[derive(Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros, zerocopy::KnownLayout))]
#[repr(C)]
struct Block<const N: usize> {
    /// Whose counts these are; 0 for nobody's, which no number has.
    generation: AtomicU32,
    counts: Counts<N>,
}

#[cfg_attr(not(loom), derive(zerocopy::FromZeros, zerocopy::KnownLayout))]
#[repr(transparent)]
struct Counts<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Counts(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// A block with a cache line to itself.
#[derive(Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros, zerocopy::KnownLayout))]
#[repr(C, align(64))]
struct Line(Block<LINE>);

const _: () = assert!(cfg!(loom) || size_of::<Line>() == 64);

/// One worker's counts of every flow.
#[derive(Default)]
pub(super) struct Share {
    lines: Growing<Line>,
    /// Of the line with the same index.
    seldom: Growing<Block<{ LINE * COPY_SELDOM }>>,
    next: OnceLock<Arc<Share>>,
}

/// Every share that was ever made: a list that only grows.
#[derive(Default)]
pub(super) struct Shares {
    first: OnceLock<Arc<Share>>,
}

impl Shares {
    /// A new share with room for so many lines.
    pub(super) fn push(&self, lines: usize) -> Result<Arc<Share>, NoMemory> {
        let share = Arc::new(Share::default());
        share.make_room(lines)?;
        let mut place = &self.first;
        loop {
            // Holding the counters' lock is not relied on: the place is ours only if ours is what it then holds.
            let holder = place.get_or_init(|| share.clone());
            if Arc::ptr_eq(holder, &share) {
                return Ok(share);
            }
            place = &holder.next;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Share>> {
        std::iter::successors(self.first.get(), |share| share.next.get())
    }
}

impl Share {
    /// Makes room for so many lines.
    pub(super) fn make_room(&self, lines: usize) -> Result<(), NoMemory> {
        self.lines.make_room(lines, Use::Most)?;
        self.seldom.make_room(lines, Use::Few)
    }

    /// Adds to a counter of a flow, named by its first line. To be called by the share's one worker only.
    #[inline]
    pub(super) fn add(&self, first: LineId, counter: usize, n: u64) {
        if counter < OFTEN {
            if let Some(LineNow(line)) = self.line(first) {
                line.count(counter, n);
            }
        } else {
            self.count_seldom(first, counter - OFTEN, n);
        }
    }

    fn count_seldom(&self, line: LineId, at: usize, n: u64) {
        if let Some(block) = self.seldom.get(line.index) {
            block.add(line.generation, at, n);
        }
    }

    /// A line to count in: cleared if it was an older number's. To be called by the share's one worker only.
    #[inline]
    pub(super) fn line(&self, number: LineId) -> Option<LineNow<'_>> {
        let line = &self.lines.get(number.index)?.0;
        line.is_now(number.generation).then_some(LineNow(line))
    }

    #[inline]
    pub(super) fn prefetch(&self, number: LineId) {
        if let Some(line) = self.lines.get(number.index) {
            prefetch(line);
        }
    }

    /// What this worker has counted of a flow, named by its first line.
    pub(super) fn read(&self, first: LineId) -> ([u64; OFTEN], [u64; SELDOM]) {
        let (line, seldom) = (self.read_line(first), self.read_seldom(first));
        (std::array::from_fn(|at| line[at]), std::array::from_fn(|at| seldom[at]))
    }

    fn read_line(&self, number: LineId) -> [u64; LINE] {
        let line = self.lines.get(number.index).and_then(|line| line.0.read(number.generation));
        line.unwrap_or_default()
    }

    fn read_seldom(&self, number: LineId) -> [u64; LINE * COPY_SELDOM] {
        let block = self.seldom.get(number.index).and_then(|block| block.read(number.generation));
        block.unwrap_or([0; _])
    }

    /// Counts something else than copies of an outgoing interface. To be called by the share's one worker only.
    pub(super) fn add_seldom(&self, number: OifCounterId, counter: usize, n: u64) {
        self.count_seldom(number.line(), usize::from(number.place()) * COPY_SELDOM + counter, n);
    }

    /// What this worker has counted of an outgoing interface: the packets, and the rest by their counters. Wait-free.
    pub(super) fn read_outgoing(&self, number: OifCounterId) -> (u64, [u64; COPY_SELDOM]) {
        let (line, place) = (number.line(), usize::from(number.place()));
        let packets = self.read_line(line).get(place).copied();
        let seldom = self
            .read_seldom(line)
            .get(place * COPY_SELDOM..)
            .and_then(|counts| counts.first_chunk().copied());
        (packets.unwrap_or_default(), seldom.unwrap_or_default())
    }
}

const _: () = assert!(MAX_LINES <= Growing::<Line>::MOST);

/// A line that counts for its number now.
#[derive(Clone, Copy)]
pub(super) struct LineNow<'s>(&'s Block<LINE>);

impl LineNow<'_> {
    /// Counts copies at a place; nowhere where there is none.
    #[inline]
    pub(super) fn copied(self, place: u8, n: u64) {
        self.0.count(place.into(), n);
    }

    /// Counts a copy at each of `len` places from `first` on whose bits are set.
    #[inline]
    pub(super) fn copied_some(self, first: u8, len: u8, made: u64) {
        let Some(places) = self.0.counts.0.get(usize::from(first)..) else { return };
        let all = places.iter().take(len.into());
        let whole = (1 << (len & 63)) - 1;
        if made & whole == whole {
            all.for_each(|count| add(count, 1));
        } else {
            all.enumerate().filter(|(at, _)| made >> at & 1 == 1).for_each(|(_, count)| add(count, 1));
        }
    }

    /// Adds to several of the first counters.
    #[inline]
    pub(super) fn add_all<const M: usize>(self, counters: [(usize, u64); M]) {
        counters.into_iter().for_each(|(counter, n)| self.0.count(counter, n));
    }
}

/// Adds to a count that only this thread writes.
#[inline]
fn add(count: &AtomicU64, n: u64) {
    // Relaxed: a count stands for itself; `read` asks for no order among counts of one generation.
    count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl<const N: usize> Block<N> {
    #[inline]
    fn add(&self, generation: u32, counter: usize, n: u64) {
        if self.is_now(generation) {
            self.count(counter, n);
        }
    }

    /// Whether this is that generation's now: it becomes so if it was an older one's.
    #[inline]
    fn is_now(&self, generation: u32) -> bool {
        // Relaxed: only this thread writes the block, or it took the share over through the counters' lock.
        let present = self.generation.load(Ordering::Relaxed);
        present == generation || self.becomes(present, generation)
    }

    #[cold]
    fn becomes(&self, present: u32, generation: u32) -> bool {
        if present > generation {
            return false;
        }
        self.restart(generation);
        true
    }

    #[inline]
    fn count(&self, counter: usize, n: u64) {
        if let Some(count) = self.counts.0.get(counter) {
            add(count, n);
        }
    }

    /// The counts of a generation, if they are.
    fn read(&self, generation: u32) -> Option<[u64; N]> {
        // Acquire: pairs with the last store of `restart`, so that the counts are no older than the cleared ones.
        if self.generation.load(Ordering::Acquire) != generation {
            return None;
        }
        let counts = std::array::from_fn(|at| self.counts.0[at].load(Ordering::Relaxed));
        // The fence pairs with the one in `restart`: if a count above was stored after that one, the load below sees
        // the generation gone.
        fence(Ordering::Acquire);
        (self.generation.load(Ordering::Relaxed) == generation).then_some(counts)
    }

    /// Clears the counts for a new generation.
    fn restart(&self, generation: u32) {
        if !planted!("restart-unmarked") {
            self.generation.store(0, Ordering::Relaxed);
        }
        // Pairs with the fence in `read`: who sees a count stored below sees the old generation gone.
        fence(Ordering::Release);
        self.counts.0.iter().for_each(|count| {
            count.store(0, Ordering::Relaxed);
            faults::point(points::COUNTS_HALF_CLEARED);
        });
        // Release: pairs with the first load of `read`.
        self.generation.store(generation, Ordering::Release);
    }
}
