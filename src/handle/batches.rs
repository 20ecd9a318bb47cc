//! Batches: slots that were retired together and share a grace period.
//!
//! A thread that has retired enough slots makes a batch of its limbo in one of the table's cells, and gives a small closure to
//! the epoch. When the grace period is over, the closure marks the batch as ready and does nothing else. An inserting or
//! retiring thread then takes the batch, drops the values and has free slots. Readers never do: a value's destructor never
//! runs on the packet path.
//!
//! ```text
//!         63                     50 49              26 25  24 23                0
//!        +-------------------------+------------------+------+-------------------+
//! batch  |          shard          |      slots       | phase|  first slot       |   all 0: no batch here
//!        +-------------------------+------------------+------+-------------------+
//! ```
//!
//! A batch names the shard that its slots were retired in. A thread takes the batches of its own shard first, and does not
//! mix its slots with those of other threads without need: threads that use neighbouring slots wait for each other's cache
//! lines.
//!
//! Nothing here allocates (the epoch does, a little, for each batch). When every cell is taken, because a reader does not move,
//! the stacks in limbo simply grow: there are never more slots than the table's limit. Only whole batches are taken, so cells
//! need no tags.

use super::epoch;
use super::handle::INDEX_BITS;
use super::limbo::{COUNT_SHIFT, Chain, Limbo, count};
use super::points;
use crate::cfg::handle::CELLS_PER_SHARD;
use crate::faults;
use crate::sync::{Ordering, Word};
use crossbeam_utils::CachePadded;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const PHASE_SHIFT: u32 = INDEX_BITS;
const PHASE_MASK: u64 = 3 << PHASE_SHIFT;
const SHARD_SHIFT: u32 = COUNT_SHIFT + INDEX_BITS;

const EMPTY: u64 = 0;
/// Reserved by a thread that is making a batch.
const FILLING: u64 = 1 << PHASE_SHIFT;
/// Waiting for the grace period.
const WAITING: u64 = 2 << PHASE_SHIFT;
/// The step from waiting to ready.
const MARK: u64 = 1 << PHASE_SHIFT;
const READY: u64 = WAITING + MARK;

const fn shard(word: u64) -> u64 {
    word >> SHARD_SHIFT
}

/// The batches of one table, in a fixed number of cells.
#[derive(Debug)]
pub(super) struct Batches {
    shards: Box<[CachePadded<ShardBatches>]>,
    /// In lines of its own, which also parts the count of an `Arc` from the address above.
    progress: CachePadded<Progress>,
}

/// Cells and counts of one shard. Only the threads of the shard write them while they find room there.
#[derive(Debug)]
struct ShardBatches {
    cells: [Word; CELLS_PER_SHARD],
    /// The number of slots that were ever put into batches.
    closed: Word,
    /// The number of slots that a thread of the shard is about to put on a free list: of batches being reclaimed, and of new
    /// chunks. A thread may end in another shard than it began in, so only the sum over all shards, which wraps, tells.
    in_transit: Word,
}

/// When the last grace period of a table's batches ended, as far as inserting and retiring threads have looked. Counts and
/// times that order nothing, with Relaxed accesses, and none of loom's.
#[derive(Debug, Default)]
struct Progress {
    /// The number of grace periods that have ended.
    ended: AtomicU64,
    /// That number, plus one, at the first of the looks that found it and a batch that waited; 0 if none waited.
    seen: AtomicU64,
    /// The time of that look, in nanoseconds.
    at: AtomicU64,
}

/// Returns the time since this was first called, in nanoseconds.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Batches {
    pub(super) fn new(shards: usize) -> Self {
        let shard = || ShardBatches {
            cells: std::array::from_fn(|_| Word::new(EMPTY)),
            closed: Word::new(0),
            in_transit: Word::new(0),
        };
        Batches {
            shards: (0..shards).map(|_| CachePadded::new(shard())).collect(),
            progress: CachePadded::default(),
        }
    }

    /// Returns every cell, those of one shard first: so that its threads find their own slots before those of others.
    fn cells_from(&self, shard: usize) -> impl Iterator<Item = usize> + use<> {
        let cells = self.shards.len() * CELLS_PER_SHARD;
        (0..cells).map(move |n| (shard * CELLS_PER_SHARD + n) % cells)
    }

    fn cell(&self, at: usize) -> &Word {
        &self.shards[at / CELLS_PER_SHARD].cells[at % CELLS_PER_SHARD]
    }

    fn cells(&self) -> impl Iterator<Item = &Word> {
        self.shards.iter().flat_map(|shard| &shard.cells)
    }

    /// Makes a batch of the slots in `limbo`, which is that of a shard, gives it to the epoch and tries once to advance it. Returns whether there were
    /// slots and a cell for them.
    pub(super) fn close(self: &Arc<Self>, limbo: &Limbo, shard: usize) -> bool {
        if limbo.count() == 0 {
            return false;
        }
        let Some(at) = self.cells_from(shard).find(|&at| {
            let cell = self.cell(at);
            // Acquire, paired with the emptying in `take_ready`, though nothing of it is read; a Relaxed read first.
            cell.load(Ordering::Relaxed) == EMPTY
                && cell.compare_exchange(EMPTY, FILLING, Ordering::Acquire, Ordering::Relaxed).is_ok()
        }) else {
            self.standing_since();
            return false;
        };
        if !self.cells_from(shard).take(CELLS_PER_SHARD).any(|own| own == at) {
            // The shard's own cells still wait. Here, and not at every batch, since a look reads the clock.
            self.standing_since();
        }
        let cell = self.cell(at);
        faults::point(points::BATCH_FILLING);
        let Some(chain) = limbo.take() else {
            // Another thread took the stack. Release, paired with the next closing's acquire, as above.
            cell.store(EMPTY, Ordering::Release);
            return false;
        };
        faults::point(points::BATCH_TAKEN);
        // Relaxed: a count. It grows before the slots leave `pending`'s sight and may be seen early or late.
        self.shards[shard].closed.fetch_add(chain.count, Ordering::Relaxed);
        let of_shard = (shard as u64) << SHARD_SHIFT;
        let waiting = of_shard | chain.count << COUNT_SHIFT | WAITING | u64::from(chain.first);
        // Release, paired with `take_ready`: the links, which `take` above has acquired.
        cell.store(waiting, Ordering::Release);
        faults::point(points::BATCH_UNDEFERRED);
        if planted!("no-grace-on-reuse") {
            self.mark_ready(at);
            return true;
        }
        let batches = Arc::clone(self);
        // An Arc and an index: small enough for the epoch to keep the closure without a box.
        epoch::after_grace(move || batches.mark_ready(at));
        true
    }

    fn mark_ready(&self, at: usize) {
        faults::point(points::BATCH_MARKING);
        self.progress.ended.fetch_add(1, Ordering::Relaxed);
        // Release, paired with `take_ready`: that every reader which was pinned has unpinned, which the epoch has ordered
        // before this call. A read-modify-write, so it passes on the release of `close` too.
        self.cell(at).fetch_add(MARK, Ordering::Release);
    }

    /// Takes a ready batch, one of the shard's own if there is one. Its slots then belong to the caller, their values still in
    /// place. The caller calls [`arrived`](Self::arrived) when the slots are free.
    pub(super) fn take_ready(&self, shard: usize) -> Option<Chain> {
        let of_others = || self.take_ready_if(shard, |_| true);
        self.take_ready_of(shard).or_else(|| if self.shards.len() > 1 { of_others() } else { None })
    }

    /// Takes a ready batch of slots that were retired in a shard, as [`take_ready`](Self::take_ready) does.
    pub(super) fn take_ready_of(&self, shard: usize) -> Option<Chain> {
        self.take_ready_if(shard, |word| self::shard(word) == shard as u64)
    }

    /// Returns whether a batch of slots that were retired in a shard waits for the end of its grace period.
    pub(super) fn awaits(&self, shard: usize) -> bool {
        // Relaxed: a heuristic.
        let waits = |word: u64| word & PHASE_MASK == WAITING && self::shard(word) == shard as u64;
        self.cells_from(shard).any(|at| waits(self.cell(at).load(Ordering::Relaxed)))
    }

    fn take_ready_if(&self, shard: usize, is_sought: impl Fn(u64) -> bool) -> Option<Chain> {
        self.cells_from(shard).find_map(|at| {
            let cell = self.cell(at);
            // Relaxed: the compare-and-swap acquires, paired with `mark_ready` and `close`. If another batch came and went
            // in between and the cell reads the same, that batch is as ready as the one that was read.
            let word = cell.load(Ordering::Relaxed);
            if word & PHASE_MASK != READY || !is_sought(word) {
                return None;
            }
            // Counted first, then taken out of the cell, so that `pending` does not miss the slots.
            self.departed(shard, count(word));
            faults::point(points::BATCH_RECLAIMING);
            if cell.compare_exchange(word, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Chain::of(word);
            }
            self.arrived(shard, count(word));
            None
        })
    }

    /// Notes that the caller, of this shard, is about to have `slots` slots that stand on no list, until it calls
    /// [`arrived`](Self::arrived).
    pub(super) fn departed(&self, shard: usize, slots: u64) {
        // Relaxed: a count.
        self.shards[shard].in_transit.fetch_add(slots, Ordering::Relaxed);
    }

    /// Notes that `slots` slots are on a free list, or used up.
    pub(super) fn arrived(&self, shard: usize, slots: u64) {
        // Release, paired with `pending`: a thread that does not count them there any more finds them on a free list.
        self.shards[shard].in_transit.fetch_add(slots.wrapping_neg(), Ordering::Release);
    }

    /// Returns whether more than half of the cells are ready: no thread inserts, so retiring threads should drop the
    /// values.
    pub(super) fn is_backlogged(&self) -> bool {
        // Relaxed: a heuristic.
        let is_ready = |cell: &&Word| cell.load(Ordering::Relaxed) & PHASE_MASK == READY;
        2 * self.cells().filter(is_ready).count() > self.shards.len() * CELLS_PER_SHARD
    }

    /// Returns for how long a batch has waited without the end of a grace period, as far as this was called; `None` if no
    /// batch waits. Reads the clock.
    pub(super) fn standing_since(&self) -> Option<Duration> {
        if cfg!(loom) {
            return None;
        }
        let Progress { ended, seen, at } = &*self.progress;
        let waits = |cell: &Word| cell.load(Ordering::Relaxed) & PHASE_MASK == WAITING;
        if !self.cells().any(waits) {
            seen.store(0, Ordering::Relaxed);
            return None;
        }
        let (now, ended) = (now(), ended.load(Ordering::Relaxed) + 1);
        if seen.load(Ordering::Relaxed) == ended {
            return Some(Duration::from_nanos(now.saturating_sub(at.load(Ordering::Relaxed))));
        }
        at.store(now, Ordering::Relaxed);
        seen.store(ended, Ordering::Relaxed);
        Some(Duration::ZERO)
    }

    /// Returns the number of grace periods that have ended. A thread that took a batch sees at least as many as any slot of it
    /// has been through: the count is incremented before the batch is marked, and the taking acquired the mark.
    pub(super) fn grace_periods(&self) -> u64 {
        self.progress.ended.load(Ordering::Relaxed)
    }

    /// Returns the number of slots in batches or in transit.
    pub(super) fn pending(&self) -> u64 {
        // Relaxed: a count.
        let waiting: u64 = self.cells().map(|cell| count(cell.load(Ordering::Relaxed))).sum();
        // Acquire, paired with `arrived`.
        let in_transit = self.shards.iter().map(|shard| shard.in_transit.load(Ordering::Acquire));
        // A sum below 0 is that of counts which were read at different times.
        waiting + in_transit.fold(0, u64::wrapping_add).cast_signed().max(0).cast_unsigned()
    }

    /// Counts a slot that was popped and pushed back unused as one that came and went.
    pub(super) fn unused(&self, shard: usize) {
        // Relaxed: a count.
        self.shards[shard].closed.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn set_closed(&self, slots: u64) {
        self.shards[0].closed.store(slots, Ordering::SeqCst);
    }

    /// Returns the number of slots that were ever put into batches.
    pub(super) fn closed(&self) -> u64 {
        // Relaxed: a count.
        self.shards.iter().map(|shard| shard.closed.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }

    /// Returns every batch, ready or not, when no other thread uses the table any more. Closures that the epoch still has
    /// may mark cells meanwhile and later, which touches nothing but the cells.
    pub(super) fn leftovers(&self) -> impl Iterator<Item = Chain> {
        // Acquire, paired with `close`.
        self.cells().filter_map(|cell| Chain::of(cell.load(Ordering::Acquire)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch that is being made and reads as ready would be taken half made; only threads that meet there would show it.
    #[test]
    fn the_phases_are_distinct() {
        let phases = [EMPTY, FILLING, WAITING, READY];
        assert_eq!(phases.map(|phase| phase >> PHASE_SHIFT), [0, 1, 2, 3]);
        assert!(phases.iter().all(|phase| phase & !PHASE_MASK == 0));
    }

    #[test]
    fn a_batch_is_of_the_shard_that_its_slots_were_retired_in() {
        let slots = 5 << COUNT_SHIFT | READY | 3;
        let batches = Batches::new(4);
        // Shard 3's batch in the first cell of shard 1, where there was room.
        let cell = &batches.shards[1].cells[0];
        cell.store(3 << SHARD_SHIFT | (slots - MARK), Ordering::Relaxed);
        assert!(batches.awaits(3) && !batches.awaits(1));
        assert_eq!(batches.take_ready(3), None);
        cell.fetch_add(MARK, Ordering::Relaxed);
        assert!(!batches.awaits(3));
        assert_eq!(batches.take_ready_of(1), None);
        assert_eq!(batches.take_ready_of(3), Some(Chain { first: 3, count: 5 }));
        assert_eq!(batches.take_ready_of(3), None);
        cell.store(3 << SHARD_SHIFT | slots, Ordering::Relaxed);
        batches.shards[2].cells[0].store(1 << SHARD_SHIFT | 7 << COUNT_SHIFT | READY | 4, Ordering::Relaxed);
        assert_eq!(batches.take_ready(1), Some(Chain { first: 4, count: 7 }), "the shard's own first");
        assert_eq!(batches.take_ready(1), Some(Chain { first: 3, count: 5 }));
        assert_eq!(batches.take_ready(1), None);
    }
}
