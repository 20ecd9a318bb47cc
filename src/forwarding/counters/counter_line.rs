//! [`CounterLine`]: a cache line of counters that one worker writes and any thread reads.
//!
//! No thread clears a line when its identifier is freed. A worker may still hold an entry that refers to the line, and
//! waiting until none does would tie the counters to grace periods. Instead, the line stores the generation of the
//! identifier that its counts belong to. A worker that meets an older generation than its own clears the line and goes
//! on. A worker that meets a newer generation counts for a freed identifier, and drops the count. A reader accepts the
//! counts only if the line has the requested generation before and after it loads them. Generations never recur, so the
//! reader needs no retry.

use super::counter_id::NO_PLACE;
use super::totals::FlowCounter;
use crate::faults;
use crate::forwarding::points;
use crate::segment::Element;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// The number of a flow's counters that every forwarded packet changes, at the beginning of its first line.
pub(super) const HOT: usize = 3;

/// The number of counters in a line. All but the [`HOT`] ones are places of outgoing interfaces. Models have one place.
pub(super) const LINE: usize = if cfg!(loom) { 4 } else { 7 };

const _: () = assert!(LINE <= NO_PLACE as usize);

/// Counters, and the generation that they belong to.
#[derive(Default)]
#[repr(C)]
pub(super) struct Block<const N: usize> {
    /// The generation of the counts; 0, which no identifier has, before the first use and while the counts are being
    /// cleared.
    generation: AtomicU32,
    counts: Counts<N>,
}

#[repr(transparent)]
struct Counts<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Counts(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// A block that fills one cache line.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct CounterLine(Block<LINE>);

const _: () = assert!(cfg!(loom) || size_of::<CounterLine>() == 64);

// SAFETY: an empty block is a generation 0 and counts 0, which are zeros (`repr(C)`, atomic integers), and it has a
// size.
unsafe impl<const N: usize> Element for Block<N> {
    const ZEROED: bool = true;

    fn empty() -> Self {
        Block::default()
    }
}

// SAFETY: as above.
unsafe impl Element for CounterLine {
    const ZEROED: bool = true;

    fn empty() -> Self {
        CounterLine::default()
    }
}

impl CounterLine {
    /// Returns the line for counting under a generation, cleared if its counts belonged to an older one; `None` if they
    /// belong to a newer one, or if the table has not `allocated` the generation. Only the worker of the shard calls this.
    #[inline]
    pub(super) fn current(
        &self,
        generation: u32,
        allocated: impl FnOnce() -> bool,
    ) -> Option<CurrentLine<'_>> {
        let block = &self.0;
        block.is_current(generation, allocated).then_some(CurrentLine(block))
    }

    /// Returns the counts of a generation, if the line has it. Wait-free.
    pub(super) fn read(&self, generation: u32) -> Option<[u64; LINE]> {
        self.0.read(generation)
    }
}

/// A line that belongs to the generation that the worker counts under.
#[derive(Clone, Copy)]
pub(in crate::forwarding) struct CurrentLine<'s>(&'s Block<LINE>);

impl CurrentLine<'_> {
    /// Adds to one of the flow's hot counters.
    #[inline]
    pub(super) fn add(self, counter: usize, n: u64) {
        self.0.count(counter, n);
    }

    /// Adds copies at a place, unless the line has no such place.
    #[inline]
    pub(in crate::forwarding) fn add_copies(self, place: u8, n: u64) {
        self.0.count(place.into(), n);
    }

    /// Adds a copy at each of the `len` places from `first` on that has its bit set in `made`.
    #[inline]
    pub(in crate::forwarding) fn add_run(self, first: u8, len: u8, made: u64) {
        let Some(places) = self.0.counts.0.get(usize::from(first)..) else { return };
        let all = places.iter().take(len.into());
        let whole = (1 << (len & 63)) - 1;
        if made & whole == whole {
            all.for_each(|count| add(count, 1));
        } else {
            all.enumerate().filter(|(at, _)| made >> at & 1 == 1).for_each(|(_, count)| add(count, 1));
        }
    }

    /// Counts a forwarded packet in the first line of its flow.
    #[inline]
    pub(in crate::forwarding) fn add_forwarded(self, octets: u64, copies: u64) {
        let counts =
            [(FlowCounter::Packets, 1), (FlowCounter::Octets, octets), (FlowCounter::Copies, copies)];
        counts.into_iter().for_each(|(counter, n)| self.0.count(counter as usize, n));
    }
}

/// Adds to a count that only this thread writes.
#[inline]
fn add(count: &AtomicU64, n: u64) {
    // Relaxed: the counts of one generation are independent; `read` requires no order among them.
    count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl<const N: usize> Block<N> {
    /// Adds to a counter, unless the block belongs to a newer generation. Only the worker of the shard calls this.
    #[inline]
    pub(super) fn add(&self, generation: u32, counter: usize, n: u64, allocated: impl FnOnce() -> bool) {
        if self.is_current(generation, allocated) {
            self.count(counter, n);
        }
    }

    /// Returns whether the block belongs to this generation, after clearing it if it belonged to an older one.
    #[inline]
    fn is_current(&self, generation: u32, allocated: impl FnOnce() -> bool) -> bool {
        // Relaxed: only this worker stores it; a worker that adopted the shard is ordered after the previous one by the
        // counters' lock.
        let present = self.generation.load(Ordering::Relaxed);
        present == generation || self.advance(present, generation, allocated)
    }

    #[cold]
    fn advance(&self, present: u32, generation: u32, allocated: impl FnOnce() -> bool) -> bool {
        if present > generation || !(allocated() || planted!("foreign-counter-restarts")) {
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

    /// Returns the counts of a generation, if the block has it. Wait-free.
    pub(super) fn read(&self, generation: u32) -> Option<[u64; N]> {
        // Acquire: pairs with the last store of `restart`, so that the counts are no older than the cleared ones.
        if self.generation.load(Ordering::Acquire) != generation {
            return None;
        }
        // Relaxed: the fences below and in `restart` order these loads.
        let counts = std::array::from_fn(|at| self.counts.0[at].load(Ordering::Relaxed));
        // Pairs with the fence in `restart`: if a count above was stored after that fence, the load below no longer
        // returns the generation.
        fence(Ordering::Acquire);
        // Relaxed: ordered after the counts by the fence.
        (self.generation.load(Ordering::Relaxed) == generation).then_some(counts)
    }

    /// Clears the counts for a new generation.
    fn restart(&self, generation: u32) {
        if !planted!("restart-unmarked") {
            // Relaxed: the fence below orders it before the cleared counts.
            self.generation.store(0, Ordering::Relaxed);
        }
        // Pairs with the fence in `read`: a reader of a count stored below sees that the old generation is gone.
        fence(Ordering::Release);
        self.counts.0.iter().for_each(|count| {
            // Relaxed: ordered by the fence above and the store below.
            count.store(0, Ordering::Relaxed);
            faults::point(points::COUNTS_HALF_CLEARED);
        });
        // Release: pairs with the first load of `read`.
        self.generation.store(generation, Ordering::Release);
    }
}
