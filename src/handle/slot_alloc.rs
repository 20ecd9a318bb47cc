//! [`SlotAllocator`]: where free slots come from and where retired ones go (see `slot.rs` for the life of a slot).
//!
//! A thread works with the shard that its id selects. It takes free slots from the shard's free list and puts retired ones
//! into the shard's limbo, so threads do not meet unless there are more of them than shards. Slots that another thread freed
//! come back with the batches. A thread without a free slot looks for one in this order:
//!
//! 1. a ready batch, of its own shard rather than another's;
//! 2. a chunk of slots that were never used, so that neighbours in a cache line belong to one thread; or the lists of other
//!    shards, which come first once enough slots circulate;
//! 3. attempts to advance the epoch, until a batch is ready.

use super::Handle;
use super::epoch;
use super::error::{InsertRefusal, Stale};
use super::free_list::{FreeList, Links};
use super::layout::Layout;
use super::limbo::{Batches, Chain, Head, Limbo};
use super::points;
use super::slot::Slot;
use super::slot_array::SlotArray;
use super::state_word::NIL;
use super::thread_id;
use crate::cfg::handle::{
    ADVANCES, BATCH, IN_CIRCULATION, MAX_CHUNK, MAX_SHARDS, MIN_CHUNKS, PATIENT_ADVANCES,
};
use crate::faults;
use crate::memory::NoMemory;
use crate::sync::{Ordering, Word, yield_now};
use crossbeam_utils::CachePadded;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, LazyLock};

/// Shards for each processor. Ids of threads that have ended are taken by others, so the ids of two running threads may
/// differ by more than the number of processors.
const SHARDS_PER_PROCESSOR: usize = 4;

/// The lists of the threads with the same id, modulo the number of shards.
#[derive(Debug, Default)]
struct Shard {
    free: FreeList,
    limbo: Limbo,
}

/// Distributes the free slots of a table. See the top of this file.
pub(super) struct SlotAllocator {
    shards: Box<[CachePadded<Shard>]>,
    batches: Arc<Batches>,
    limit: u32,
    /// The number of unused slots that are handed out at a time: a power of two.
    chunk: u32,
    /// The generation before the first one of every slot.
    base_generation: u32,
    /// The generation that exhausts a slot: `u32::MAX`, except in tests.
    pub(super) last_generation: u32,
    /// The number of slots that have ever been handed out, in chunks: slots from this index on are unused.
    high_water: CachePadded<Word>,
    /// The number of retired slots that a [`Retired`](super::Retired) keeps out of limbo. A count, by Relaxed accesses.
    kept: CachePadded<Word>,
}

/// The slots of a table and their allocator.
///
/// The frequent operations are inlined into the caller: a pop of the thread's own free list, and a push into its limbo.
/// Everything else is a tail call, so that the short path saves no registers.
pub(super) struct Slots<'t, T, L: Layout> {
    pub(super) array: &'t SlotArray<T, L>,
    pub(super) allocator: &'t SlotAllocator,
}

impl<T, L: Layout> Clone for Slots<'_, T, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, L: Layout> Copy for Slots<'_, T, L> {}

impl SlotAllocator {
    /// Makes the allocator of a table with this limit. Its slots begin with `first_generation`, which is not 0. A chunk
    /// has at most `segment_len` slots, a power of two, so that it lies in one segment.
    pub(super) fn new(limit: u32, segment_len: u32, first_generation: u32) -> SlotAllocator {
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
            kept: CachePadded::new(Word::new(0)),
        }
    }

    /// Returns the shard of the calling thread.
    fn shard(&self) -> &Shard {
        &self.shards[self.shard_number()]
    }

    fn shard_number(&self) -> usize {
        self.shard_of(thread_id::shard_hint())
    }

    #[inline]
    fn shard_of(&self, thread_id: usize) -> usize {
        // The number of shards is a power of two.
        thread_id & (self.shards.len() - 1)
    }

    /// Returns the same shard, unless the thread's id is not known yet.
    #[inline]
    fn known_shard(&self) -> Option<&Shard> {
        Some(self.shards.get(self.shard_of(thread_id::known_shard_hint()?))?)
    }

    /// Returns the index from which on slots are unused.
    pub(super) fn high_water(&self) -> u32 {
        // Relaxed: an object that is live throughout the caller's walk was inserted before the walk. Either the caller knows
        // that, or it cannot ask for the object.
        self.high_water.load(Ordering::Relaxed) as u32
    }

    /// Returns about how many slots are live: exact when nothing changes meanwhile.
    pub(super) fn live(&self) -> usize {
        // Slots that ever came into use, from free lists or as the first of a chunk, minus those that were ever retired.
        let popped: u64 = self.shards.iter().map(|shard| shard.free.popped()).sum();
        // Relaxed: a count.
        let used = popped + self.high_water.load(Ordering::Relaxed).div_ceil(u64::from(self.chunk));
        usize::try_from(used.saturating_sub(self.batches.closed() + self.in_limbo() + self.kept()))
            .unwrap_or(usize::MAX)
    }

    /// Returns about how many slots were retired and are not free yet.
    pub(super) fn pending(&self) -> usize {
        usize::try_from(self.kept() + self.in_limbo() + self.batches.pending()).unwrap_or(usize::MAX)
    }

    /// Returns why an insert found no slot.
    #[cold]
    fn refusal(&self) -> InsertRefusal {
        let (alive, waiting) = (self.live(), self.pending());
        if waiting == 0 && alive >= self.limit as usize {
            InsertRefusal::Full { limit: self.limit }
        } else {
            InsertRefusal::NoFreeSlot { alive, waiting, standstill: None }
        }
    }

    fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Counts a slot that was retired and is kept out of limbo.
    pub(super) fn keep(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    fn in_limbo(&self) -> u64 {
        self.shards.iter().map(|shard| shard.limbo.count()).sum()
    }

    /// Makes batches of all slots in limbo, and tries once to advance the epoch.
    fn close_and_advance(&self) {
        for shard in &self.shards {
            self.batches.close(&shard.limbo, self.shard_number());
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
        shard.free.pop(self.array).map_or_else(|| self.refill_or_steal(shard), Ok)
    }

    fn refill_or_steal(self, shard: &Shard) -> Result<u32, InsertRefusal> {
        if let Some(index) = self.reclaim_batch(shard) {
            return Ok(index);
        }
        let SlotAllocator { shards, high_water, .. } = self.allocator;
        let steal = || shards.iter().find_map(|shard| shard.free.pop(self.array));
        let mut no_memory = false;
        let mut open_chunk = || {
            self.open_chunk(shard).unwrap_or_else(|NoMemory| {
                no_memory = true;
                None
            })
        };
        // Relaxed: a heuristic.
        let circulating = high_water.load(Ordering::Relaxed).saturating_sub(self.allocator.live() as u64);
        let few = circulating < IN_CIRCULATION * shards.len() as u64;
        let found = if few { open_chunk().or_else(steal) } else { steal().or_else(open_chunk) };
        if let Some(index) = found {
            return Ok(index);
        }
        for attempt in 0..ADVANCES {
            // Read before the search: a slot that is not pending any more is free or in use by then.
            let pending = self.allocator.pending() > 0;
            if let Some(index) = self.reclaim_batch(shard).or_else(steal) {
                return Ok(index);
            }
            if !pending {
                break;
            }
            if attempt >= PATIENT_ADVANCES {
                yield_now();
            }
            self.allocator.close_and_advance();
        }
        if no_memory {
            return Err(InsertRefusal::NoMemory);
        }
        self.reclaim_batch(shard).or_else(steal).ok_or_else(|| self.allocator.refusal())
    }

    /// Takes a chunk of unused slots: returns the first and pushes the others to the shard.
    fn open_chunk(self, shard: &Shard) -> Result<Option<u32>, NoMemory> {
        let SlotAllocator { limit, chunk, base_generation, high_water, batches, .. } = self.allocator;
        let (limit, chunk) = (u64::from(*limit), u64::from(*chunk));
        // Acquire, here and below, paired with the exchange: a thread that sees a chunk taken sees its slots in transit.
        let mut next = high_water.load(Ordering::Acquire);
        while next < limit {
            // A chunk lies in one segment: both are powers of two.
            self.array.ensure(next as u32)?;
            let end = (next + chunk).min(limit);
            // A thread that finds no slot meanwhile waits a little for those that are neither unused nor on a list.
            let rest = end - next - 1;
            batches.departed(rest);
            let taken = if planted!("chunk-twice") {
                high_water.store(end, Ordering::Relaxed);
                Ok(next)
            } else {
                high_water.compare_exchange(next, end, Ordering::Release, Ordering::Acquire)
            };
            if let Err(now) = taken {
                batches.arrived(rest);
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
            batches.arrived(rest);
            return Ok(Some(first));
        }
        Ok(None)
    }

    /// Gives back a free slot that the caller popped and did not use.
    #[cold]
    pub(super) fn push_back(self, index: u32) {
        // Counted as retired, since the pop counted it as live.
        self.allocator.batches.unused();
        self.allocator.shard().free.push(self.array, index, index);
    }

    /// Retires a handle and puts its slot into limbo. The effect is wait-free; the rest is lock-free.
    #[inline]
    pub(super) fn retire(self, slot: &Slot<T, L>, handle: Handle) -> Result<(), Stale> {
        match self.allocator.known_shard() {
            Some(shard) => self.retire_into(shard, slot, handle),
            None => self.retire_first(slot, handle),
        }
    }

    /// Retires the first handle of a thread.
    #[cold]
    #[inline(never)]
    fn retire_first(self, slot: &Slot<T, L>, handle: Handle) -> Result<(), Stale> {
        self.retire_into(self.allocator.shard(), slot, handle)
    }

    #[inline]
    fn retire_into(self, shard: &Shard, slot: &Slot<T, L>, handle: Handle) -> Result<(), Stale> {
        let head = shard.limbo.head();
        if !slot.retire(handle, head.first()) {
            return Err(Stale);
        }
        self.into_limbo(shard, handle, head)
    }

    /// Puts the slot of a handle that the caller retired and kept into limbo. Lock-free.
    #[inline]
    pub(super) fn retired(self, handle: Handle) {
        match self.allocator.known_shard() {
            Some(shard) => self.retired_into(shard, handle),
            None => self.retired_first(handle),
        }
    }

    /// Puts the first slot that a thread retired into limbo.
    #[cold]
    #[inline(never)]
    fn retired_first(self, handle: Handle) {
        self.retired_into(self.allocator.shard(), handle);
    }

    #[inline]
    fn retired_into(self, shard: &Shard, handle: Handle) {
        let head = shard.limbo.head();
        if let Some(slot) = self.array.get(handle.index()) {
            slot.link_retired(handle, head.first());
        }
        self.allocator.kept.fetch_add(u64::MAX, Ordering::Relaxed);
        let _ = self.into_limbo::<Infallible>(shard, handle, head);
    }

    #[inline]
    fn into_limbo<E>(self, shard: &Shard, handle: Handle, head: Head) -> Result<(), E> {
        faults::point(points::SLOT_RETIRED);
        let waiting = shard.limbo.push(self.array, handle.index(), head);
        if waiting.is_multiple_of(BATCH) { self.close_batch(&shard.limbo) } else { Ok(()) }
    }

    /// Makes a batch of a full limbo. Always `Ok`: the answer of callers for which this is the last step.
    #[cold]
    #[inline(never)]
    fn close_batch<E>(self, limbo: &Limbo) -> Result<(), E> {
        let SlotAllocator { batches, .. } = self.allocator;
        let shard = self.allocator.shard_number();
        if !batches.close(limbo, shard) {
            epoch::advance();
        }
        // Inserting threads take ready batches when they need slots. Where no thread inserts, the values are dropped here.
        while batches.is_backlogged() {
            let Some(chain) = batches.take_ready(shard) else { break };
            self.drop_values(chain, self.allocator.shard());
        }
        Ok(())
    }

    /// Takes one ready batch and drops its values; returns one of the slots, and pushes the others to the shard.
    fn reclaim_batch(self, shard: &Shard) -> Option<u32> {
        let chain = self.allocator.batches.take_ready(self.allocator.shard_number())?;
        self.drop_values(chain, shard);
        shard.free.pop(self.array)
    }

    /// Drops the values of a batch that belongs to the caller, and pushes the slots to the shard, linked as they are but for
    /// exhausted ones. If destructors panic, panics at the end.
    fn drop_values(self, chain: Chain, shard: &Shard) {
        faults::point(points::BATCH_RECLAIMED);
        let mut panicked = None;
        let (mut first, mut last, mut gap) = (NIL, NIL, false);
        let mut next = chain.first;
        let mut cursor = self.array.cursor();
        for _ in 0..chain.count {
            let index = next;
            let Some(slot) = cursor(index) else { break };
            next = slot.link();
            // SAFETY: the slot was retired, so it holds a value. Its batch is ready, so every reader that could see it has
            // unpinned. The batch, and so the slot, belongs to the calling thread.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { slot.drop_value() }));
            // The first panic is passed on below; later ones have been reported by the panic hook.
            panicked = panicked.or(dropped.err());
            if slot.is_exhausted(self.allocator.last_generation) {
                gap = true;
                continue;
            }
            if first == NIL {
                first = index;
            } else if gap {
                self.array.set_link(last, index);
            }
            (last, gap) = (index, false);
        }
        faults::point(points::SLOTS_DROPPED);
        if first != NIL {
            shard.free.push(self.array, first, last);
        }
        self.allocator.batches.arrived(chain.count);
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Drops the values that no reader can see any more, with a bounded number of attempts to advance the epoch. Returns how
    /// many slots still wait.
    pub(super) fn reclaim(self) -> usize {
        for _ in 0..PATIENT_ADVANCES {
            self.allocator.close_and_advance();
            while let Some(chain) = self.allocator.batches.take_ready(self.allocator.shard_number()) {
                self.drop_values(chain, self.allocator.shard());
            }
            if self.allocator.pending() == 0 {
                break;
            }
        }
        self.allocator.pending()
    }
}
