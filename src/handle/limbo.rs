//! Limbo: retired slots that a reader may still see.
//!
//! A retired slot is pushed on its thread's [`Limbo`], a stack linked through the dead state words. Every so often the
//! whole stack is swapped out and becomes a batch in one of the table's [`Batches`], and a small closure is given to the
//! epoch. When the grace period is over, the closure marks the batch as ready and does nothing else. An inserting or
//! retiring thread then takes the batch, drops the values and has free slots. Readers never do: a value's destructor never
//! runs on the packet path.
//!
//! ```text
//!         63                     50 49              26 25  24 23                0
//!        +-------------------------+------------------+------+-------------------+
//! limbo  |            0            |      slots       |  0   |  first slot       |
//!        +-------------------------+------------------+------+-------------------+
//! batch  |            0            |      slots       | phase|  first slot       |   all 0: no batch here
//!        +-------------------------+------------------+------+-------------------+
//! ```
//!
//! Nothing here allocates (the epoch does, a little, for each batch). When every batch cell is taken, because a reader does
//! not move, the stacks simply grow: there are never more slots than the table's limit.
//!
//! No tags are needed: a push onto a limbo is right whatever lies below, and only whole stacks and whole batches are taken.

use super::epoch;
use super::free_list::Links;
use super::handle::{INDEX_BITS, INDEX_MASK};
use super::points;
use super::state_word::NIL;
use crate::cfg::handle::{CELLS_PER_SHARD, batch_cells};
use crate::faults;
use crate::sync::{Ordering, Word};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const PHASE_SHIFT: u32 = INDEX_BITS;
const PHASE_MASK: u64 = 3 << PHASE_SHIFT;
const COUNT_SHIFT: u32 = PHASE_SHIFT + 2;

const EMPTY: u64 = 0;
/// Reserved by a thread that is making a batch.
const FILLING: u64 = 1 << PHASE_SHIFT;
/// Waiting for the grace period.
const WAITING: u64 = 2 << PHASE_SHIFT;
/// The step from waiting to ready.
const MARK: u64 = 1 << PHASE_SHIFT;
const READY: u64 = WAITING + MARK;

const fn count(word: u64) -> u64 {
    word >> COUNT_SHIFT
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
    fn of(word: u64) -> Option<Chain> {
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

    fn take(&self) -> Option<Chain> {
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

/// The batches of one table, in a fixed number of cells.
#[derive(Debug)]
pub(super) struct Batches {
    cells: Box<[Word]>,
    /// The number of slots that were ever put into batches.
    closed: Word,
    /// The number of slots that a thread is about to put on a free list: of batches being reclaimed, and of new chunks.
    in_transit: Word,
    progress: Progress,
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
        Batches {
            cells: (0..batch_cells(shards)).map(|_| Word::new(EMPTY)).collect(),
            closed: Word::new(0),
            in_transit: Word::new(0),
            progress: Progress::default(),
        }
    }

    /// Returns every cell, those of one shard first: so that its threads find their own slots before those of others.
    fn cells_from(&self, shard: usize) -> impl Iterator<Item = usize> + use<> {
        let cells = self.cells.len();
        (0..cells).map(move |n| (shard * CELLS_PER_SHARD + n) % cells)
    }

    /// Makes a batch of the slots in `limbo`, gives it to the epoch and tries once to advance it. Returns whether there were
    /// slots and a cell for them.
    pub(super) fn close(self: &Arc<Self>, limbo: &Limbo, shard: usize) -> bool {
        if limbo.count() == 0 {
            return false;
        }
        let Some(at) = self.cells_from(shard).find(|&at| {
            let cell = &self.cells[at];
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
        let cell = &self.cells[at];
        faults::point(points::BATCH_FILLING);
        let Some(chain) = limbo.take() else {
            // Another thread took the stack. Release, paired with the next closing's acquire, as above.
            cell.store(EMPTY, Ordering::Release);
            return false;
        };
        faults::point(points::BATCH_TAKEN);
        // Relaxed: a count. It grows before the slots leave `pending`'s sight and may be seen early or late.
        self.closed.fetch_add(chain.count, Ordering::Relaxed);
        let waiting = chain.count << COUNT_SHIFT | WAITING | u64::from(chain.first);
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
        self.cells[at].fetch_add(MARK, Ordering::Release);
    }

    /// Takes a ready batch. Its slots then belong to the caller, their values still in place. The caller calls
    /// [`arrived`](Self::arrived) when the slots are free.
    pub(super) fn take_ready(&self, shard: usize) -> Option<Chain> {
        self.cells_from(shard).find_map(|at| {
            let cell = &self.cells[at];
            // Relaxed: the compare-and-swap acquires, paired with `mark_ready` and `close`. If another batch came and went
            // in between and the cell reads the same, that batch is as ready as the one that was read.
            let word = cell.load(Ordering::Relaxed);
            if word & PHASE_MASK != READY {
                return None;
            }
            // Counted first, then taken out of the cell, so that `pending` does not miss the slots.
            self.departed(count(word));
            faults::point(points::BATCH_RECLAIMING);
            if cell.compare_exchange(word, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Chain::of(word);
            }
            self.arrived(count(word));
            None
        })
    }

    /// Notes that the caller is about to have `slots` slots that stand on no list, until it calls
    /// [`arrived`](Self::arrived).
    pub(super) fn departed(&self, slots: u64) {
        // Relaxed: a count.
        self.in_transit.fetch_add(slots, Ordering::Relaxed);
    }

    /// Notes that `slots` slots are on a free list, or used up.
    pub(super) fn arrived(&self, slots: u64) {
        // Release, paired with `pending`: a thread that does not count them there any more finds them on a free list.
        self.in_transit.fetch_add(slots.wrapping_neg(), Ordering::Release);
    }

    /// Returns whether more than half of the cells are ready: no thread inserts, so retiring threads should drop the
    /// values.
    pub(super) fn is_backlogged(&self) -> bool {
        // Relaxed: a heuristic.
        let is_ready = |cell: &&Word| cell.load(Ordering::Relaxed) & PHASE_MASK == READY;
        self.cells.iter().filter(is_ready).count() > self.cells.len() / 2
    }

    /// Returns for how long a batch has waited without the end of a grace period, as far as this was called; `None` if no
    /// batch waits. Reads the clock.
    pub(super) fn standing_since(&self) -> Option<Duration> {
        if cfg!(loom) {
            return None;
        }
        let Progress { ended, seen, at } = &self.progress;
        let waits = |cell: &Word| cell.load(Ordering::Relaxed) & PHASE_MASK == WAITING;
        if !self.cells.iter().any(waits) {
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

    /// Returns the number of slots in batches or in transit.
    pub(super) fn pending(&self) -> u64 {
        // Relaxed: a count.
        let waiting: u64 = self.cells.iter().map(|cell| count(cell.load(Ordering::Relaxed))).sum();
        // Acquire, paired with `arrived`.
        waiting + self.in_transit.load(Ordering::Acquire)
    }

    /// Counts a slot that was popped and pushed back unused as one that came and went.
    pub(super) fn unused(&self) {
        // Relaxed: a count.
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn set_closed(&self, slots: u64) {
        self.closed.store(slots, Ordering::SeqCst);
    }

    /// Returns the number of slots that were ever put into batches.
    pub(super) fn closed(&self) -> u64 {
        // Relaxed: a count.
        self.closed.load(Ordering::Relaxed)
    }

    /// Returns every batch, ready or not, when no other thread uses the table any more. Closures that the epoch still has
    /// may mark cells meanwhile and later, which touches nothing but the cells.
    pub(super) fn leftovers(&self) -> impl Iterator<Item = Chain> {
        // Acquire, paired with `close`.
        self.cells.iter().filter_map(|cell| Chain::of(cell.load(Ordering::Acquire)))
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
}
