//! [`CounterShard`]: the counters of one worker.
//!
//! Each worker has a shard. In it, a cache line of the flow's own holds the hot counters, which every forwarded packet
//! changes, and the copies to the flow's first four outgoing interfaces. Each further line holds the copies to seven
//! more. The cold counters are in a separate array, with memory that costs nothing until it is written:
//!
//! ```text
//!               +------------+---------+--------+--------+--------+-----+-----+-----+
//! first line    | generation | packets | octets | copies | to 1st | 2nd | 3rd | 4th |   64 octets
//!               +------------+---------+--------+--------+--------+-----+-----+-----+
//! further lines | generation | to 5th  | 6th    | 7th    | 8th    | 9th | 10th| 11th|   64 octets
//!               +------------+---------+--------+--------+--------+-----+-----+-----+
//! cold block    | generation | three counters for each of these seven              |   176 octets
//!               +------------+------------------------------------------------------+
//! ```
//!
//! The three cold counters of an outgoing interface are copies not made because of its TTL, because of its MTU, and for
//! another reason. In the cold block of a first line, the nine counters of the first three positions are the six cold
//! counters of the flow.
//!
//! A packet with at most four copies is therefore counted in one line, which is looked up once. Only one worker at a
//! time writes a shard, so that adding is a load and a store. The arrays never move, and grow when an identifier is
//! allocated, so that a worker never allocates memory.

use super::counter_id::{LineId, MAX_LINES, OifCounterId};
use super::counter_line::{Block, CounterLine, CurrentLine, HOT, LINE};
use super::generations::Generations;
use crate::memory::NoMemory;
use crate::prefetch::prefetch;
use crate::segment::Pages;
use crate::segmented_array::{Doubling, DoublingArray};
use crate::sync::{Arc, OnceLock};

/// The number of a flow's other counters.
pub(super) const COLD: usize = 6;
/// The number of an outgoing interface's counters beside its copies.
pub(super) const OIF_COLD: usize = 3;
/// The positions of those counters.
pub(super) const OIF_TTL_TOO_LOW: usize = 0;
pub(super) const OIF_FRAGMENTATION_NEEDED: usize = 1;
pub(in crate::forwarding) const OIF_DISCARDS: usize = 2;

const _: () = assert!(COLD <= HOT * OIF_COLD);

/// The number of lines in the first segment. It is small in tests and models, which then reach growth early.
pub(super) const FIRST_SEGMENT: u32 = if cfg!(any(loom, test)) { 2 } else { 64 };

/// One worker's counters of every flow.
#[derive(Default)]
pub(in crate::forwarding) struct CounterShard {
    lines: DoublingArray<CounterLine, FIRST_SEGMENT>,
    /// The cold block with the same index as its line.
    cold: DoublingArray<Block<{ LINE * OIF_COLD }>, FIRST_SEGMENT>,
    generations: Arc<Generations>,
    next: OnceLock<Arc<CounterShard>>,
}

/// An append-only list of every shard that was ever made.
#[derive(Default)]
pub(super) struct CounterShards {
    first: OnceLock<Arc<CounterShard>>,
}

impl CounterShards {
    /// Appends a new shard with room for this number of lines.
    pub(super) fn push(
        &self,
        lines: usize,
        generations: &Arc<Generations>,
    ) -> Result<Arc<CounterShard>, NoMemory> {
        let shard = Arc::new(CounterShard { generations: generations.clone(), ..CounterShard::default() });
        shard.make_room(lines)?;
        let mut link = &self.first;
        loop {
            // The list does not rely on the counters' lock: the shard is appended where the link holds this shard
            // afterwards.
            let linked = link.get_or_init(|| shard.clone());
            if Arc::ptr_eq(linked, &shard) {
                return Ok(shard);
            }
            link = &linked.next;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<CounterShard>> {
        std::iter::successors(self.first.get(), |shard| shard.next.get())
    }
}

impl CounterShard {
    /// Makes room for this number of lines.
    pub(super) fn make_room(&self, lines: usize) -> Result<(), NoMemory> {
        let lines = u32::try_from(lines).map_err(|_| NoMemory)?;
        self.lines.ensure_len(lines, Pages::Large)?;
        self.cold.ensure_len(lines, Pages::Small)
    }

    /// Adds to a counter of a flow, which its first line identifies. Only the worker of the shard calls this.
    #[inline]
    pub(super) fn add(&self, first: LineId, counter: usize, n: u64) {
        if counter < HOT {
            if let Some(line) = self.line(first) {
                line.add(counter, n);
            }
        } else {
            self.add_to_block(first, counter - HOT, n);
        }
    }

    fn add_to_block(&self, line: LineId, at: usize, n: u64) {
        if let Some(block) = self.cold.get(line.index) {
            block.add(line.generation, at, n, || self.generations.has(line));
        }
    }

    /// Returns a line for counting, cleared if its counts belonged to an older generation; `None` if the identifier is
    /// no longer in use. Only the worker of the shard calls this.
    #[inline]
    pub(in crate::forwarding) fn line(&self, id: LineId) -> Option<CurrentLine<'_>> {
        self.lines.get(id.index)?.current(id.generation, || self.generations.has(id))
    }

    #[inline]
    pub(in crate::forwarding) fn prefetch(&self, id: LineId) {
        if let Some(line) = self.lines.get(id.index) {
            prefetch(line);
        }
    }

    /// Returns the hot and the cold counters of a flow, which its first line identifies. Wait-free.
    pub(super) fn read(&self, first: LineId) -> ([u64; HOT], [u64; COLD]) {
        let (line, cold) = (self.read_line(first), self.read_block(first));
        (std::array::from_fn(|at| line[at]), std::array::from_fn(|at| cold[at]))
    }

    fn read_line(&self, id: LineId) -> [u64; LINE] {
        self.lines.get(id.index).and_then(|line| line.read(id.generation)).unwrap_or_default()
    }

    fn read_block(&self, id: LineId) -> [u64; LINE * OIF_COLD] {
        self.cold.get(id.index).and_then(|block| block.read(id.generation)).unwrap_or([0; _])
    }

    /// Adds to a cold counter of an outgoing interface. Only the worker of the shard calls this.
    pub(in crate::forwarding) fn add_cold(&self, id: OifCounterId, counter: usize, n: u64) {
        self.add_to_block(id.line(), usize::from(id.place()) * OIF_COLD + counter, n);
    }

    /// Returns the copies to an outgoing interface, and its cold counters. Wait-free.
    pub(super) fn read_oif(&self, id: OifCounterId) -> (u64, [u64; OIF_COLD]) {
        let (line, place) = (id.line(), usize::from(id.place()));
        let copies = self.read_line(line).get(place).copied();
        let cold =
            self.read_block(line).get(place * OIF_COLD..).and_then(|counts| counts.first_chunk().copied());
        (copies.unwrap_or_default(), cold.unwrap_or_default())
    }
}

const _: () = assert!(MAX_LINES <= Doubling::<FIRST_SEGMENT>::MAX_LEN as usize);
