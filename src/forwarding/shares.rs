//! [`Share`]: what one worker counted.
//!
//! A flow has a cache line of its own in each worker's share, for what is counted of every packet; what is counted seldom
//! stands elsewhere, in memory that costs nothing until something is counted there:
//!
//! ```text
//!            +------------+---------+--------+-----------------+--------------+--------+
//! a flow     | generation | packets | octets | wrong interface | no receivers | copies |   64 octets
//!            +------------+---------+--------+-----------------+--------------+--------+
//! and seldom | generation | discards | header errors | queue overflow | uninitialized  |
//!            +------------+---------+--------+-----------------+--------------+--------+
//! ```
//!
//! Nobody clears a block when its number is given back: some worker may still hold an entry that says to count there, and
//! waiting until none does would tie the counters to grace periods. Instead the generation says whose counts these are.
//! The worker that meets a newer generation clears the block, its own, and goes on; one that meets an older generation
//! counts for a flow that is gone, and drops it. Whoever sums up takes a block only if it has the generation asked for
//! before and after reading the counts. Generations never recur, so that is enough, and needs no second try.
//!
//! The packets copied to one outgoing interface of a flow are a word, which has its generation in it:
//!
//! ```text
//!            63         40   39   38             0
//!           +--------------+-----+----------------+
//! a copy    |  generation  | lap |    packets     |   8 octets
//!           +--------------+-----+----------------+
//!            +------------+------+-------------+----------------------+----------+
//! and seldom | generation | laps | TTL too low | fragmentation needed | discards |
//!            +------------+------+-------------+----------------------+----------+
//! ```
//!
//! One word is one instant: it is read at once, and begun anew with a single store. Its count goes round after 2^39
//! packets; how often it did is counted with what is seldom, before the word is stored. The bit `lap` is the last bit of
//! the laps that belong to the word, so who reads between those two stores sees that the laps are one ahead.
//!
//! Only one worker at a time writes a share, so adding is a load and a store. The arrays never move and are made larger
//! when a number is opened, so a worker never allocates.

use super::counters::{FlowNumber, OutgoingNumber};
use super::growing::{Growing, Use};
use crate::faults::{self, Point};
use crate::memory::NoMemory;
use crate::prefetch::prefetch;
use crate::sync::{Arc, AtomicU32, AtomicU64, OnceLock, Ordering, Word, fence};

/// How many counters of a flow are counted up by every packet that concerns them.
pub(super) const OFTEN: usize = 5;
/// How many are not.
pub(super) const SELDOM: usize = 4;

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
struct Line(Block<OFTEN>);

const _: () = assert!(cfg!(loom) || size_of::<Line>() == 64);

/// One worker's counts of every flow.
#[derive(Default)]
pub(super) struct Share {
    often: Growing<Line>,
    seldom: Growing<Block<SELDOM>>,
    /// By outgoing number, as are those below.
    copies: Growing<Word>,
    /// The laps first.
    copies_seldom: Growing<Block<SELDOM>>,
    next: OnceLock<Arc<Share>>,
}

/// Every share that was ever made: a list that only grows.
#[derive(Default)]
pub(super) struct Shares {
    first: OnceLock<Arc<Share>>,
}

impl Shares {
    /// A new share with room for so many flows and outgoing interfaces of flows.
    pub(super) fn push(&self, flows: usize, outgoing: usize) -> Result<Arc<Share>, NoMemory> {
        let share = Arc::new(Share::default());
        share.make_room(flows, outgoing)?;
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
    /// So many outgoing interfaces of flows can have a number.
    pub(super) const MOST_OUTGOING: usize = Growing::<Word>::MOST;

    /// Makes room for the numbers with indexes below these.
    pub(super) fn make_room(&self, flows: usize, outgoing: usize) -> Result<(), NoMemory> {
        self.often.make_room(flows, Use::Most)?;
        self.seldom.make_room(flows, Use::Few)?;
        self.copies.make_room(outgoing, Use::Most)?;
        self.copies_seldom.make_room(outgoing, Use::Few)
    }

    /// To be called by the share's one worker only.
    #[inline]
    pub(super) fn add(&self, number: FlowNumber, counter: usize, n: u64) {
        if counter < OFTEN {
            if let Some(line) = self.often.get(number.index) {
                line.0.add(number.generation, counter, n);
            }
        } else if let Some(block) = self.seldom.get(number.index) {
            block.add(number.generation, counter - OFTEN, n);
        }
    }

    /// The same, of several counters that every packet counts up. To be called by the share's one worker only.
    #[inline]
    pub(super) fn add_often<const M: usize>(&self, number: FlowNumber, counters: [(usize, u64); M]) {
        if let Some(line) = self.often.get(number.index) {
            line.0.add_all(number.generation, counters);
        }
    }

    #[inline]
    pub(super) fn prefetch(&self, number: FlowNumber) {
        if let Some(line) = self.often.get(number.index) {
            prefetch(line);
        }
    }

    #[inline]
    pub(super) fn prefetch_outgoing(&self, number: OutgoingNumber) {
        if let Some(word) = self.copies.get(number.index) {
            prefetch(word);
        }
    }

    /// What this worker has counted under a number.
    pub(super) fn read(&self, number: FlowNumber) -> ([u64; OFTEN], [u64; SELDOM]) {
        let often = self.often.get(number.index).and_then(|line| line.0.read(number.generation));
        let seldom = self.seldom.get(number.index).and_then(|block| block.read(number.generation));
        (often.unwrap_or_default(), seldom.unwrap_or_default())
    }

    /// Counts packets copied to an outgoing interface. To be called by the share's one worker only.
    #[inline]
    pub(super) fn copied(&self, number: OutgoingNumber, n: u32) {
        let Some(word) = self.copies.get(number.index) else { return };
        // Relaxed: only this thread writes the word, or it took the share over through the counters' lock.
        let now = CopyWord(word.load(Ordering::Relaxed));
        // Where the packets do not go round, nothing but they is different.
        let new = CopyWord(now.0.wrapping_add(n.into()));
        if now.generation() == number.generation && (now.0 ^ new.0) < LAP_BIT {
            // Release: pairs with the load in `read_outgoing`: who sees the word sees its laps.
            word.store(new.0, Ordering::Release);
        } else {
            self.copied_anew(word, now, number, n);
        }
    }

    /// The same, where the word is an older number's, or goes round.
    #[cold]
    fn copied_anew(&self, word: &Word, mut now: CopyWord, number: OutgoingNumber, n: u32) {
        if now.generation() > number.generation {
            return;
        }
        if now.generation() < number.generation {
            now = CopyWord::new(number.generation);
        }
        let new = now.plus(n);
        let laps = || {
            if new.lap() != now.lap() {
                self.add_seldom(number, LAPS, 1);
            }
        };
        if !cfg!(feature = "bug-lap-after-word") {
            laps();
            faults::point(Point::CountLapping);
        }
        // Release: as above.
        word.store(new.0, Ordering::Release);
        if cfg!(feature = "bug-lap-after-word") {
            laps();
        }
    }

    /// Counts something else of an outgoing interface. To be called by the share's one worker only.
    pub(super) fn add_seldom(&self, number: OutgoingNumber, counter: usize, n: u64) {
        if let Some(block) = self.copies_seldom.get(number.index) {
            block.add(number.generation, counter, n);
        }
    }

    /// What this worker has counted of an outgoing interface: the packets, and the rest by their counters. Wait-free.
    pub(super) fn read_outgoing(&self, number: OutgoingNumber) -> (u64, [u64; SELDOM]) {
        // Acquire: pairs with the store in `copied`.
        let word = self.copies.get(number.index).map_or(0, |word| word.load(Ordering::Acquire));
        let seldom = self.copies_seldom.get(number.index).and_then(|block| block.read(number.generation));
        let seldom = seldom.unwrap_or_default();
        let word = CopyWord(word);
        let packets = if word.generation() == number.generation { word.packets(seldom[LAPS]) } else { 0 };
        (packets, seldom)
    }
}

/// Where the laps are among what is counted seldom of an outgoing interface.
const LAPS: usize = 0;

/// How many bits a word has for packets, before it goes round. Few in models, for them to see that happen.
const PACKET_BITS: u32 = if cfg!(loom) { 1 } else { 39 };
const LAP_BIT: u64 = 1 << PACKET_BITS;
const GENERATION_SHIFT: u32 = 40;

/// The last generation of an outgoing number.
pub(super) const LAST_OUTGOING_GENERATION: u32 = (1 << (64 - GENERATION_SHIFT)) - 1;

/// The word of an outgoing interface.
#[derive(Clone, Copy)]
struct CopyWord(u64);

impl CopyWord {
    fn new(generation: u32) -> CopyWord {
        CopyWord(u64::from(generation) << GENERATION_SHIFT)
    }

    fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    fn lap(self) -> u64 {
        self.0 & LAP_BIT
    }

    /// With `n` packets more, which are fewer than go round.
    fn plus(self, n: u32) -> CopyWord {
        const BELOW: u64 = (1 << (PACKET_BITS + 1)) - 1;
        CopyWord(self.0 & !BELOW | (self.0 + u64::from(n)) & BELOW)
    }

    /// The packets, where the laps were read after the word.
    fn packets(self, laps: u64) -> u64 {
        // One lap at most: nobody is held up between those two loads for as long as 2^39 packets take.
        let ahead = laps & 1 != self.lap() >> PACKET_BITS;
        let laps = laps.saturating_sub(ahead.into());
        (laps << PACKET_BITS).wrapping_add(self.0 & (LAP_BIT - 1))
    }
}

impl<const N: usize> Block<N> {
    #[inline]
    fn add(&self, generation: u32, counter: usize, n: u64) {
        self.add_all(generation, [(counter, n)]);
    }

    #[inline]
    fn add_all<const M: usize>(&self, generation: u32, counters: [(usize, u64); M]) {
        // Relaxed: only this thread writes the block, or it took the share over through the counters' lock.
        let present = self.generation.load(Ordering::Relaxed);
        if present != generation {
            if present > generation {
                return;
            }
            self.restart(generation);
        }
        for (counter, n) in counters {
            let Some(count) = self.counts.0.get(counter) else { continue };
            // Relaxed: a count stands for itself; `read` asks for no order among counts of one generation.
            count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
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
        #[cfg(not(feature = "bug-restart-unmarked"))]
        self.generation.store(0, Ordering::Relaxed);
        // Pairs with the fence in `read`: who sees a count stored below sees the old generation gone.
        fence(Ordering::Release);
        self.counts.0.iter().for_each(|count| {
            count.store(0, Ordering::Relaxed);
            faults::point(Point::CountsHalfCleared);
        });
        // Release: pairs with the first load of `read`.
        self.generation.store(generation, Ordering::Release);
    }
}
