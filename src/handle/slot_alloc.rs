//! [`SlotAllocator`]: where free slots come from (see `slot.rs` for the life of a slot, `slot_reclaim.rs` for retired ones).
//!
//! A thread works with the shard that its id selects. It takes free slots from the shard's free list and puts retired ones
//! into the shard's limbo, so threads do not meet unless there are more of them than shards. Slots that another thread freed
//! come back with the batches. A thread without a free slot looks for one in this order:
//!
//! 1. a ready batch of its own shard;
//! 2. a chunk of slots that were never used, so that neighbours in a cache line belong to one thread; or the batches and
//!    lists of other shards. Theirs come first once enough slots circulate. Their batches also come first where no retired
//!    slot of the thread's own shard waits, unless the shard is new: other threads then retire what this one inserts;
//! 3. attempts to advance the epoch, until a batch is ready; in a table with ownership also pauses, for 100 ms at most.

use super::alive_count::AliveCount;
use super::batches::Batches;
use super::dropping::{self, Panics};
use super::epoch;
use super::error::{InsertRefusal, Standstill};
use super::free_list::FreeList;
use super::handle::INDEX_BITS;
use super::layout::Layout;
use super::limbo::{Chain, Limbo};
use super::points;
use super::slot_array::SlotArray;
use super::state_word::NIL;
use super::thread_id;
use crate::cfg::handle::{
    ADVANCES, FEW_ADVANCES, IN_CIRCULATION, MAX_CHUNK, MAX_SHARDS, MIN_CHUNKS, PATIENT_ADVANCES,
};
use crate::faults;
use crate::memory::NoMemory;
use crate::sync::{Ordering, Word, yield_now};
use crossbeam_utils::CachePadded;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The time after which reclamation counts as standing still.
const LONG: Duration = Duration::from_millis(100);
/// The pause between two looks of an insert that waits.
const PAUSE: Duration = Duration::from_millis(1);

/// The counts of free lists wrap here.
const POPPED_MASK: u64 = u64::MAX >> INDEX_BITS;

/// Shards for each processor. Ids of threads that have ended are taken by others, so the ids of two running threads may
/// differ by more than the number of processors.
const SHARDS_PER_PROCESSOR: usize = 4;

/// The lists of the threads with the same id, modulo the number of shards.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) free: FreeList,
    pub(super) limbo: Limbo,
}

/// Distributes the free slots of a table. See the top of this file.
pub(super) struct SlotAllocator<L: Layout> {
    shards: Box<[CachePadded<Shard>]>,
    pub(super) batches: Arc<Batches>,
    limit: u32,
    /// The number of unused slots that are handed out at a time: a power of two.
    chunk: u32,
    /// The generation before the first one of every slot.
    base_generation: u32,
    /// The generation that exhausts a slot: `u32::MAX`, except in tests.
    pub(super) last_generation: u32,
    /// The number of slots that have ever been handed out, in chunks: slots from this index on are unused.
    high_water: CachePadded<Word>,
    /// The objects that are alive.
    pub(super) count: L::Count,
}

/// The slots of a table and their allocator.
///
/// The frequent operations are inlined into the caller: a pop of the thread's own free list, and a push into its limbo.
/// Everything else is a tail call, so that the short path saves no registers.
pub(super) struct Slots<'t, T, L: Layout> {
    pub(super) array: &'t SlotArray<T, L>,
    pub(super) allocator: &'t SlotAllocator<L>,
}

impl<T, L: Layout> Clone for Slots<'_, T, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, L: Layout> Copy for Slots<'_, T, L> {}

impl<L: Layout> SlotAllocator<L> {
    /// Makes the allocator of a table with this limit. Its slots begin with `first_generation`, which is not 0. A chunk
    /// has at most `segment_len` slots, a power of two, so that it lies in one segment.
    pub(super) fn new(limit: u32, segment_len: u32, first_generation: u32) -> Self {
        // Computed once: the answer costs some system calls.
        static PROCESSORS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        let shards = (*PROCESSORS * SHARDS_PER_PROCESSOR).next_power_of_two().min(MAX_SHARDS);
        SlotAllocator {
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            batches: Arc::new(Batches::new(shards)),
            limit,
            chunk: (1 << (limit / MIN_CHUNKS).max(1).ilog2()).min(MAX_CHUNK).min(segment_len),
            base_generation: first_generation - 1,
            last_generation: u32::MAX,
            high_water: CachePadded::new(Word::new(0)),
            count: L::Count::default(),
        }
    }

    /// Returns the shard of the calling thread.
    pub(super) fn shard(&self) -> &Shard {
        &self.shards[self.shard_number()]
    }

    pub(super) fn shard_number(&self) -> usize {
        self.shard_of(thread_id::shard_hint())
    }

    #[inline]
    fn shard_of(&self, thread_id: usize) -> usize {
        // The number of shards is a power of two.
        thread_id & (self.shards.len() - 1)
    }

    /// Returns the same shard, unless the thread's id is not known yet.
    #[inline]
    pub(super) fn known_shard(&self) -> Option<&Shard> {
        Some(self.shards.get(self.shard_of(thread_id::known_shard_hint()?))?)
    }

    /// Returns the number of objects that a slot can hold one after the other.
    pub(super) fn generations(&self) -> u64 {
        u64::from(self.last_generation - self.base_generation)
    }

    /// Sets the number of slots that were ever popped, of one shard, and retired.
    #[cfg(test)]
    pub(super) fn set_past_pops(&self, pops: u64) {
        self.shards[self.shard_number()]
            .free
            .head
            .store(pops << INDEX_BITS | u64::from(NIL), Ordering::SeqCst);
        self.batches.set_closed(pops);
    }

    /// Returns the index from which on slots are unused.
    pub(super) fn high_water(&self) -> u32 {
        // SeqCst, paired with the exchange in `open_chunk`: a walk that begins after an insert in the one order of all SeqCst
        // accesses reaches the slot.
        self.high_water.load(Ordering::SeqCst) as u32
    }

    /// Returns about how many slots are live: exact when nothing changes meanwhile.
    pub(super) fn live(&self) -> usize {
        usize::try_from(self.count.alive(self.in_use())).unwrap_or(usize::MAX)
    }

    /// Returns about how many slots are neither free nor in limbo: those of live objects, and of retired ones that a
    /// `Retired` keeps out of limbo.
    fn in_use(&self) -> u64 {
        // Slots that ever came into use, from free lists or as the first of a chunk, minus those that were ever retired.
        // The counts of free lists wrap at 2^40. So the whole is computed modulo 2^40, and is right, because it is less
        // than 2^24. A difference in the upper half is a negative one: a slot was counted as retired before it was
        // counted as popped.
        let popped = self.shards.iter().map(|shard| shard.free.popped()).fold(0, u64::wrapping_add);
        // Relaxed: a count.
        let chunks = self.high_water.load(Ordering::Relaxed).div_ceil(u64::from(self.chunk));
        let retired = self.batches.closed().wrapping_add(self.in_limbo());
        let in_use = popped.wrapping_add(chunks).wrapping_sub(retired)
            & if planted!("counts-unwrapped") { u64::MAX } else { POPPED_MASK };
        if in_use > POPPED_MASK / 2 { 0 } else { in_use }
    }

    /// Returns about how many slots were retired and are not free yet.
    pub(super) fn pending(&self) -> usize {
        let in_use = self.in_use();
        let kept = in_use.saturating_sub(self.count.alive(in_use));
        usize::try_from(kept + self.in_limbo() + self.batches.pending()).unwrap_or(usize::MAX)
    }

    /// Returns why an insert found no slot.
    #[cold]
    fn refusal(&self) -> InsertRefusal {
        let (alive, waiting) = (self.live(), self.pending());
        if planted!("full-with-room")
            || waiting == 0 && alive >= self.limit as usize && self.count.exact().is_none()
        {
            InsertRefusal::Full { limit: self.limit }
        } else {
            InsertRefusal::NoFreeSlot { alive, waiting, standstill: self.standstill() }
        }
    }

    /// Returns for how long reclamation has stood still, if retired slots wait and pinned readers hold them back.
    pub(super) fn standstill(&self) -> Option<Standstill> {
        let since = self.batches.standing_since()?;
        let pinned = epoch::pinned();
        (pinned > 0).then_some(Standstill { since, pinned })
    }

    fn in_limbo(&self) -> u64 {
        self.shards.iter().map(|shard| shard.limbo.count()).sum()
    }

    /// Returns whether reclamation has stood still for so long that a few more attempts do not help.
    fn has_stood_still(&self) -> bool {
        self.standstill().is_some_and(|standstill| standstill.since > LONG)
    }

    /// Makes batches of all slots in limbo, and tries once to advance the epoch.
    pub(super) fn close_and_advance(&self) {
        for (number, shard) in self.shards.iter().enumerate() {
            self.batches.close(&shard.limbo, number);
        }
        epoch::advance();
    }

    /// Returns the retired slots with values that are not dropped, when no other thread uses the table any more.
    pub(super) fn leftovers(&mut self) -> Vec<Chain> {
        let limbos = self.shards.iter_mut().filter_map(|shard| shard.limbo.leftover());
        limbos.chain(self.batches.leftovers()).collect()
    }
}

impl<T, L: Layout> Slots<'_, T, L> {
    /// Pops a free slot of the calling thread's shard, if there is one. It then belongs to the caller. Lock-free.
    #[inline]
    pub(super) fn pop_local(self) -> Option<u32> {
        self.allocator.known_shard()?.free.pop(self.array)
    }

    /// Returns a free slot from wherever there is one. It then belongs to the caller. Lock-free.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn pop(self) -> Result<u32, InsertRefusal> {
        let shard = self.allocator.shard();
        if let Some(index) = shard.free.pop(self.array) {
            return Ok(index);
        }
        let mut panics = Panics::default();
        let found = self.refill_or_steal(shard, &mut panics);
        if panics.is_due()
            && let Ok(index) = found
        {
            self.push_back(index);
        }
        panics.pass_on();
        found
    }

    fn refill_or_steal(self, shard: &Shard, panics: &mut Panics) -> Result<u32, InsertRefusal> {
        let SlotAllocator { shards, high_water, batches, .. } = self.allocator;
        let number = self.allocator.shard_number();
        if let Some(index) = self.reclaim_own_batch(shard, panics) {
            return Ok(index);
        }
        // Relaxed: a heuristic.
        let circulating = || high_water.load(Ordering::Relaxed).saturating_sub(self.allocator.live() as u64);
        let are_few = || circulating() < IN_CIRCULATION * shards.len() as u64;
        let others = shards.len() > 1;
        // Own slots come back soon, or will once the shard is in use. Until then, unused ones are better than those of others.
        let is_young = || shard.free.popped() < IN_CIRCULATION;
        let few = others && (is_young() || shard.limbo.count() > 0 || batches.awaits(number)) && are_few();
        if others
            && !few
            && let Some(index) = self.reclaim_batch(shard, panics)
        {
            return Ok(index);
        }
        let steal = || shards.iter().find_map(|shard| shard.free.pop(self.array));
        let mut no_memory = false;
        let mut open_chunk = || {
            self.open_chunk(shard).unwrap_or_else(|NoMemory| {
                no_memory = true;
                None
            })
        };
        let found = if few || are_few() {
            open_chunk().or_else(|| self.reclaim_batch(shard, panics)).or_else(steal)
        } else {
            steal().or_else(open_chunk)
        };
        if let Some(index) = found {
            return Ok(index);
        }
        // A destructor of a value should not try for long.
        let few = no_memory || dropping::is_nested() || self.allocator.has_stood_still();
        let attempts = match dropping::is_allowed() {
            _ if planted!("full-with-room") => 0,
            true if few => FEW_ADVANCES,
            true => ADVANCES,
            false => 0,
        };
        for attempt in 0..attempts {
            // Read before the search: a slot that is not pending any more is free or in use by then.
            let pending = self.allocator.pending() > 0;
            if let Some(index) = self.reclaim_batch(shard, panics).or_else(steal) {
                return Ok(index);
            }
            if !pending {
                break;
            }
            if attempt >= PATIENT_ADVANCES {
                // On a busy machine each yield takes long, and a stalled reader makes all of them futile.
                if self.allocator.has_stood_still() {
                    break;
                }
                yield_now();
            }
            self.allocator.close_and_advance();
        }
        // Inserts into a table with ownership may wait. A reader that lost its processor goes on within some
        // milliseconds: it does not count as stalled.
        if self.allocator.count.exact().is_some() && !few && attempts > 0 && !cfg!(loom) {
            let deadline = Instant::now() + LONG;
            while self.allocator.pending() > 0 && Instant::now() < deadline {
                if let Some(index) = self.reclaim_batch(shard, panics).or_else(steal) {
                    return Ok(index);
                }
                std::thread::sleep(PAUSE);
                self.allocator.close_and_advance();
            }
        }
        let found = self.reclaim_batch(shard, panics).or_else(steal);
        found.ok_or_else(|| if no_memory { InsertRefusal::NoMemory } else { self.allocator.refusal() })
    }

    /// Takes a chunk of unused slots: returns the first and pushes the others to the shard.
    fn open_chunk(self, shard: &Shard) -> Result<Option<u32>, NoMemory> {
        let SlotAllocator { limit, chunk, base_generation, high_water, batches, .. } = self.allocator;
        let (limit, chunk) = (u64::from(*limit), u64::from(*chunk));
        // Acquire, here and below, paired with the exchange, which is SeqCst for `high_water`: a thread that sees a chunk taken sees its slots in transit.
        let mut next = high_water.load(Ordering::Acquire);
        while next < limit {
            // A chunk lies in one segment: both are powers of two.
            self.array.ensure(next as u32)?;
            let end = (next + chunk).min(limit);
            // A thread that finds no slot meanwhile waits a little for those that are neither unused nor on a list.
            let rest = end - next - 1;
            let number = self.allocator.shard_number();
            batches.departed(number, rest);
            let taken = if planted!("chunk-twice") {
                high_water.store(end, Ordering::Relaxed);
                Ok(next)
            } else {
                high_water.compare_exchange(next, end, Ordering::SeqCst, Ordering::Acquire)
            };
            if let Err(now) = taken {
                batches.arrived(number, rest);
                next = now;
                continue;
            }
            faults::point(points::CHUNK_TAKEN);
            let (first, second, last) = (next as u32, next as u32 + 1, end as u32 - 1);
            let prepare = |index, link| {
                if let Some(slot) = self.array.get(index) {
                    slot.prepare(*base_generation, link);
                }
            };
            // A slot of zeros has generation 0.
            if *base_generation > 0 {
                prepare(first, NIL);
            }
            if rest > 0 {
                (second..last).for_each(|index| prepare(index, index + 1));
                prepare(last, NIL);
                shard.free.push(self.array, second, last);
            }
            batches.arrived(number, rest);
            return Ok(Some(first));
        }
        Ok(None)
    }

    /// Gives back a free slot that the caller popped and did not use.
    #[cold]
    pub(super) fn push_back(self, index: u32) {
        // Counted as retired, since the pop counted it as live.
        self.allocator.batches.unused(self.allocator.shard_number());
        self.allocator.shard().free.push(self.array, index, index);
    }
}
