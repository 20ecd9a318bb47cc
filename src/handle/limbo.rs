//! Where retired slots wait until no reader can see them.
//!
//! A retired slot is pushed on its thread's [`Limbo`], a stack linked through the dead state words. Every so often the
//! whole stack is swapped out and becomes a batch in one of the table's [`Batches`], and a small closure is handed to
//! the epoch; when the grace period is over, the closure marks the batch as mature and does nothing else. An inserting
//! or retiring thread then takes the batch, drops the values and has vacant slots. Readers never do: whatever a value's
//! destructor is up to, it does not happen on the packet path.
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
//! Nothing here allocates (the epoch does, a little, for each batch). With every batch cell taken, because some reader
//! does not move, the stacks simply grow: there are never more slots than the table's capacity.
//!
//! No tags: a push onto a limbo is right whatever lies below, and only whole stacks and whole batches are taken.

use super::epoch;
use super::free_list::Links;
use super::handle::{INDEX_BITS, INDEX_MASK};
use super::slot::NIL;
use crate::faults;
use crate::handle::points;
use crate::sync::{Ordering, Word};
use std::sync::Arc;

const PHASE_SHIFT: u32 = INDEX_BITS;
const PHASE_MASK: u64 = 3 << PHASE_SHIFT;
const COUNT_SHIFT: u32 = PHASE_SHIFT + 2;

const EMPTY: u64 = 0;
/// Reserved by a thread that is closing a batch.
const FILLING: u64 = 1 << PHASE_SHIFT;
const WAITING: u64 = 2 << PHASE_SHIFT;
/// From waiting to mature.
const RIPEN: u64 = 1 << PHASE_SHIFT;
const MATURE: u64 = WAITING + RIPEN;

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

/// A limbo's word.
#[derive(Clone, Copy)]
pub(super) struct Head(u64);

impl Head {
    /// The slot that was pushed last, or none.
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
    /// How the stack looks now.
    #[inline]
    pub(super) fn look(&self) -> Head {
        // Relaxed: nothing is read through it.
        Head(self.head.load(Ordering::Relaxed))
    }

    /// Adds a slot that the caller retired, and linked to the first one of `head`; how many there are now.
    #[inline]
    pub(super) fn push(&self, slots: &impl Links, index: u32, mut head: Head) -> u64 {
        loop {
            let pushed = (count(head.0) + 1) << COUNT_SHIFT | u64::from(index);
            faults::point(points::LIMBO_PUSHING);
            // Release, paired with `take`: the link, and that the slot was retired before. The latter is what the
            // grace period rests on: retired before the batch is given to the epoch. Later pushes are
            // read-modify-writes and keep the order for those below.
            match self.head.compare_exchange(head.0, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return count(pushed),
                Err(now) => head = Head(now),
            }
            slots.set_link(index, head.first());
        }
    }

    fn take(&self) -> Option<Chain> {
        // Relaxed look first, to spare idle shards' cache lines; Acquire, paired with `push`.
        if self.count() == 0 {
            return None;
        }
        Chain::of(self.head.swap(u64::from(NIL), Ordering::Acquire))
    }

    /// How many slots wait here.
    pub(super) fn count(&self) -> u64 {
        // Relaxed: a count.
        count(self.head.load(Ordering::Relaxed))
    }

    /// What waits here, when nobody else uses the table any more.
    pub(super) fn leftover(&mut self) -> Option<Chain> {
        self.take()
    }
}

/// How many cells there are for each shard: those of a batch that waits and of the next.
const CELLS_EACH: usize = 2;

/// The batches of one table, in a fixed number of cells.
#[derive(Debug)]
pub(super) struct Batches {
    cells: Box<[Word]>,
    /// How many slots were ever put into batches.
    closed: Word,
    /// How many slots somebody is about to put on a free list: of batches whose values are being dropped, and of new chunks.
    in_hand: Word,
}

impl Batches {
    pub(super) fn new(shards: usize) -> Self {
        let cells = if cfg!(loom) { 1 } else { shards * CELLS_EACH };
        Batches {
            cells: (0..cells).map(|_| Word::new(EMPTY)).collect(),
            closed: Word::new(0),
            in_hand: Word::new(0),
        }
    }

    /// Every cell, those of one shard first: so that its threads find their own slots again before others'.
    fn cells_from(&self, shard: usize) -> impl Iterator<Item = usize> + use<> {
        let cells = self.cells.len();
        (0..cells).map(move |n| (shard * CELLS_EACH + n) % cells)
    }

    /// Makes a batch of what waits in `limbo`, gives it to the epoch and pushes that once; whether there was anything and
    /// a cell for it.
    pub(super) fn close(self: &Arc<Self>, limbo: &Limbo, shard: usize) -> bool {
        if limbo.count() == 0 {
            return false;
        }
        let Some(at) = self.cells_from(shard).find(|&at| {
            let cell = &self.cells[at];
            // Acquire, paired with the emptying in `take_mature`, though nothing of it is read; Relaxed look first.
            cell.load(Ordering::Relaxed) == EMPTY
                && cell.compare_exchange(EMPTY, FILLING, Ordering::Acquire, Ordering::Relaxed).is_ok()
        }) else {
            return false;
        };
        let cell = &self.cells[at];
        faults::point(points::BATCH_FILLING);
        let Some(chain) = limbo.take() else {
            // Release, paired with the next closing's acquire, as above. Somebody else took the stack.
            cell.store(EMPTY, Ordering::Release);
            return false;
        };
        faults::point(points::BATCH_TAKEN);
        // Relaxed: a count. It grows before the slots leave `pending`'s sight and may be seen early or late.
        self.closed.fetch_add(chain.count, Ordering::Relaxed);
        let waiting = chain.count << COUNT_SHIFT | WAITING | u64::from(chain.first);
        // Release, paired with `take_mature`: the links, which `take` above has acquired.
        cell.store(waiting, Ordering::Release);
        faults::point(points::BATCH_UNDEFERRED);
        if planted!("no-grace-on-reuse") {
            self.ripen(at);
            return true;
        }
        let batches = Arc::clone(self);
        // An Arc and an index: small enough for the epoch to keep it without a box.
        epoch::after_grace(move || batches.ripen(at));
        true
    }

    fn ripen(&self, at: usize) {
        faults::point(points::BATCH_MARKING);
        // Release, paired with `take_mature`: that every reader which was pinned has unpinned, which the epoch has
        // made happen before this call. A read-modify-write, so it passes on the release of `close` too.
        self.cells[at].fetch_add(RIPEN, Ordering::Release);
    }

    /// Takes a mature batch: its slots are the caller's alone, their values still in place. The caller says
    /// [`done`](Self::done) when the slots are vacant.
    pub(super) fn take_mature(&self, shard: usize) -> Option<Chain> {
        self.cells_from(shard).find_map(|at| {
            let cell = &self.cells[at];
            // Relaxed look; the compare-and-swap acquires, paired with `ripen` and `close`. A batch that came and
            // went in between and reads the same is as mature as the one that was looked at.
            let word = cell.load(Ordering::Relaxed);
            if word & PHASE_MASK != MATURE {
                return None;
            }
            // First up, then out of the cell, so that `pending` does not miss it.
            self.in_hand(count(word));
            faults::point(points::BATCH_RECLAIMING);
            if cell.compare_exchange(word, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Chain::of(word);
            }
            self.done(count(word));
            None
        })
    }

    /// The caller is about to have so many slots that nobody else knows of, until it says [`done`](Self::done).
    pub(super) fn in_hand(&self, slots: u64) {
        // Relaxed: a count.
        self.in_hand.fetch_add(slots, Ordering::Relaxed);
    }

    /// So many slots that were in hand are not any more: they are vacant now.
    pub(super) fn done(&self, slots: u64) {
        // Release, paired with `pending`: whoever sees them gone from there finds them on a free list.
        self.in_hand.fetch_add(slots.wrapping_neg(), Ordering::Release);
    }

    /// Whether more than half of the cells are mature: nobody inserts, so somebody else should drop the values.
    pub(super) fn is_overripe(&self) -> bool {
        // Relaxed: a look.
        let mature =
            self.cells.iter().filter(|cell| cell.load(Ordering::Relaxed) & PHASE_MASK == MATURE).count();
        mature > self.cells.len() / 2
    }

    /// How many slots are in batches or in somebody's hands.
    pub(super) fn pending(&self) -> u64 {
        // Relaxed: a count.
        let waiting: u64 = self.cells.iter().map(|cell| count(cell.load(Ordering::Relaxed))).sum();
        // Acquire, paired with `done`.
        waiting + self.in_hand.load(Ordering::Acquire)
    }

    /// How many slots were ever put into batches.
    pub(super) fn closed(&self) -> u64 {
        // Relaxed: a count.
        self.closed.load(Ordering::Relaxed)
    }

    /// Every batch, mature or not, when nobody uses the table any more. Closures that are still out may ripen cells
    /// meanwhile and later, which touches nothing but the cells.
    pub(super) fn leftovers(&self) -> impl Iterator<Item = Chain> {
        // Acquire, paired with `close`.
        self.cells.iter().filter_map(|cell| Chain::of(cell.load(Ordering::Acquire)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A batch that is being closed and looked mature would be taken half made: only threads that meet there would show it.
    #[test]
    fn each_phase_is_one_of_its_own() {
        let phases = [EMPTY, FILLING, WAITING, MATURE];
        assert_eq!(phases.map(|phase| phase >> PHASE_SHIFT), [0, 1, 2, 3]);
        assert!(phases.iter().all(|phase| phase & !PHASE_MASK == 0));
    }
}
