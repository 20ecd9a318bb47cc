//! [`Vacancies`]: where vacant slots come from, and where retired ones go (see `slot.rs` for a slot's life).
//!
//! A thread works with the shard of its seat: it takes vacant slots from the shard's free list and puts retired ones into the
//! shard's limbo, so threads do not meet unless there are more of them than shards. Slots that another thread freed come home
//! with the batches: whoever runs out of vacant slots takes a mature batch, its own shard's rather than another's. Next it is
//! given a chunk of slots that were never used, so that neighbours in a cache line belong to one thread, or goes to other
//! shards' lists: that first once enough slots are under way. Last it pushes the epoch.

use super::Handle;
use super::epoch;
use super::error::Stale;
use super::free_list::{FreeList, Links};
use super::layout::Layout;
use super::limbo::{Batches, Chain, Head, Limbo};
use super::seat;
use super::segments::Segments;
use super::slot::{NIL, Slot};
use crate::faults;
use crate::handle::points;
use crate::sync::{Ordering, Word, yield_now};
use crossbeam_utils::CachePadded;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, LazyLock};

/// How many slots a shard gathers before it makes a batch of them.
const BATCH: u64 = if cfg!(loom) { 3 } else { 128 };

/// How many shards a table has at most, and how many for each processor: seats of threads that have ended are taken by
/// others, so that two that run may be further apart than their number.
const MAX_SHARDS: usize = if cfg!(loom) { 1 } else { 16 };
const SHARDS_EACH: usize = 4;

/// Slots that were never used are handed out so many at a time, where the table has so many times more: neighbours share a
/// cache line, and should be one thread's.
const MAX_CHUNK: u32 = if cfg!(loom) { 2 } else { 64 };
const CHUNKS: u32 = if cfg!(loom) { 2 } else { 64 };

/// So many slots for each shard may be vacant or in limbo before a thread without any goes to another's list rather than
/// to those that were never used: where lists are as short as that, meeting there costs more than memory.
const IN_CIRCULATION: u64 = if cfg!(loom) { 0 } else { 512 };

/// How often an insert that finds nothing vacant pushes the epoch, and from which time on it lets others run before.
/// Three pushes see a batch through if nobody is pinned; the rest is for those who are, for the moment.
const PUSHES: u32 = if cfg!(loom) { 2 } else { 16 };
const PATIENT_PUSHES: u32 = if cfg!(loom) { 2 } else { 4 };

/// What threads with the same seat, modulo the number of shards, work with.
#[derive(Debug, Default)]
struct Shard {
    free: FreeList,
    limbo: Limbo,
}

impl<T, L: Layout> Links for Segments<Slot<T, L>> {
    #[inline]
    fn link(&self, index: u32) -> u32 {
        // Every index on a list was in use once, so its segment is there.
        self.get(index).map_or(NIL, Slot::link)
    }

    #[inline]
    fn set_link(&self, index: u32, link: u32) {
        if let Some(slot) = self.get(index) {
            slot.set_link(link);
        }
    }
}

/// See the top of this file.
pub(super) struct Vacancies {
    shards: Box<[CachePadded<Shard>]>,
    batches: Arc<Batches>,
    capacity: u32,
    /// The generation a slot is worn out with: `u32::MAX`, except where a test wants to get there.
    pub(super) last_generation: u32,
    /// How many slots have ever been handed out, in chunks.
    fresh: CachePadded<Word>,
}

/// A table's slots, and which of them are vacant.
///
/// What threads do most, taking a vacant slot from their own shard's list and putting a retired one into its limbo, is inlined
/// where it is asked for, and all else is the last thing that does, so that the short way saves no registers.
pub(super) struct Stock<'t, T, L: Layout> {
    pub(super) slots: &'t Segments<Slot<T, L>>,
    pub(super) vacancies: &'t Vacancies,
}

impl<T, L: Layout> Clone for Stock<'_, T, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, L: Layout> Copy for Stock<'_, T, L> {}

impl Vacancies {
    pub(super) fn new(capacity: u32) -> Vacancies {
        // Asked once: the answer costs some system calls.
        static THREADS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        let shards = (*THREADS * SHARDS_EACH).next_power_of_two().min(MAX_SHARDS);
        Vacancies {
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            batches: Arc::new(Batches::new(shards)),
            capacity,
            last_generation: u32::MAX,
            fresh: CachePadded::new(Word::new(0)),
        }
    }

    /// The shard of the calling thread.
    fn shard(&self) -> &Shard {
        &self.shards[self.shard_number()]
    }

    fn shard_number(&self) -> usize {
        self.shard_of(seat::hint())
    }

    #[inline]
    fn shard_of(&self, seat: usize) -> usize {
        // The number of shards is a power of two.
        seat & (self.shards.len() - 1)
    }

    /// The same, unless that is not known yet.
    #[inline]
    fn shard_by_now(&self) -> Option<&Shard> {
        Some(self.shards.get(self.shard_of(seat::hint_by_now()?))?)
    }

    /// How many slots are handed out at a time: a power of two, and few where there are few.
    fn chunk(&self) -> u32 {
        let share = (self.capacity / CHUNKS).max(1);
        (1 << share.ilog2()).min(MAX_CHUNK)
    }

    /// Slots with this index and above were never used.
    pub(super) fn used(&self) -> u32 {
        // Relaxed: an object that is live throughout what follows was inserted before, which the caller knows or cannot ask for.
        self.fresh.load(Ordering::Relaxed) as u32
    }

    /// About how many slots are live: right when nothing changes meanwhile.
    pub(super) fn live(&self) -> usize {
        // Slots that ever came into use, from free lists or as the first of a chunk, less those that were ever retired.
        let popped: u64 = self.shards.iter().map(|shard| shard.free.popped()).sum();
        // Relaxed: a count.
        let used = popped + self.fresh.load(Ordering::Relaxed).div_ceil(u64::from(self.chunk()));
        usize::try_from(used.saturating_sub(self.batches.closed() + self.in_limbo())).unwrap_or(usize::MAX)
    }

    /// About how many slots were retired and are not vacant yet.
    pub(super) fn pending(&self) -> usize {
        usize::try_from(self.in_limbo() + self.batches.pending()).unwrap_or(usize::MAX)
    }

    fn in_limbo(&self) -> u64 {
        self.shards.iter().map(|shard| shard.limbo.count()).sum()
    }

    /// Gives all that waits in limbo to the epoch, and pushes it.
    fn push_on(&self) {
        for shard in &self.shards {
            self.batches.close(&shard.limbo, self.shard_number());
        }
        epoch::advance();
    }

    /// All that was retired and not dropped, when nobody else uses the table any more.
    pub(super) fn leftovers(&mut self) -> Vec<Chain> {
        let limbos = self.shards.iter_mut().filter_map(|shard| shard.limbo.leftover());
        limbos.chain(self.batches.leftovers()).collect()
    }
}

impl<T, L: Layout> Stock<'_, T, L> {
    /// A vacant slot of the calling thread's shard, if it has one. The slot is the caller's alone then. Lock-free.
    #[inline]
    pub(super) fn take_near(self) -> Option<u32> {
        self.vacancies.shard_by_now()?.free.pop(self.slots)
    }

    /// A vacant slot, from wherever there is one. Lock-free.
    pub(super) fn take(self) -> Option<u32> {
        let shard = self.vacancies.shard();
        shard.free.pop(self.slots).or_else(|| self.take_elsewhere(shard))
    }

    fn take_elsewhere(self, shard: &Shard) -> Option<u32> {
        if let Some(index) = self.reap(shard) {
            return Some(index);
        }
        let Vacancies { shards, fresh, .. } = self.vacancies;
        let steal = || shards.iter().find_map(|shard| shard.free.pop(self.slots));
        let never_used = || self.never_used(shard);
        // Relaxed: a look.
        let circulating = fresh.load(Ordering::Relaxed).saturating_sub(self.vacancies.live() as u64);
        let few = circulating < IN_CIRCULATION * shards.len() as u64;
        let found = if few { never_used().or_else(steal) } else { steal().or_else(never_used) };
        if found.is_some() {
            return found;
        }
        for push in 0..PUSHES {
            // Asked before looking: what is pending no more then is vacant or in use now.
            let pending = self.vacancies.pending() > 0;
            if let Some(index) = self.reap(shard).or_else(steal) {
                return Some(index);
            }
            if !pending {
                return None;
            }
            if push >= PATIENT_PUSHES {
                yield_now();
            }
            self.vacancies.push_on();
        }
        self.reap(shard).or_else(steal)
    }

    /// The first of a chunk of slots; the others go to the shard.
    fn never_used(self, shard: &Shard) -> Option<u32> {
        let Vacancies { capacity, fresh, batches, .. } = self.vacancies;
        let (capacity, chunk) = (u64::from(*capacity), u64::from(self.vacancies.chunk()));
        // Acquire, here and below, paired with the exchange: who sees a chunk gone sees that it is in somebody's hands.
        let mut next = fresh.load(Ordering::Acquire);
        while next < capacity {
            // A chunk is in one segment: both are powers of two.
            self.slots.ensure(next as u32)?;
            let end = (next + chunk).min(capacity);
            // Who finds no slot meanwhile waits a little for those that are neither unused any more nor on a list yet.
            let rest = end - next - 1;
            batches.in_hand(rest);
            let taken = if planted!("chunk-twice") {
                fresh.store(end, Ordering::Relaxed);
                Ok(next)
            } else {
                fresh.compare_exchange(next, end, Ordering::Release, Ordering::Acquire)
            };
            if let Err(now) = taken {
                batches.done(rest);
                next = now;
                continue;
            }
            faults::point(points::CHUNK_TAKEN);
            let (first, second, last) = (next as u32, next as u32 + 1, end as u32 - 1);
            if rest > 0 {
                (second..last).for_each(|index| self.slots.set_link(index, index + 1));
                shard.free.push(self.slots, second, last);
            }
            batches.done(rest);
            return Some(first);
        }
        None
    }

    /// Retires a handle, whose slot this is, and looks after the slot. The effect is wait-free, what follows is lock-free.
    #[inline]
    pub(super) fn retire(self, slot: &Slot<T, L>, handle: Handle) -> Result<(), Stale> {
        match self.vacancies.shard_by_now() {
            Some(shard) => self.retire_into(shard, slot, handle),
            None => self.retire_first(slot, handle),
        }
    }

    /// A thread's first.
    #[cold]
    #[inline(never)]
    fn retire_first(self, slot: &Slot<T, L>, handle: Handle) -> Result<(), Stale> {
        self.retire_into(self.vacancies.shard(), slot, handle)
    }

    #[inline]
    fn retire_into(self, shard: &Shard, slot: &Slot<T, L>, handle: Handle) -> Result<(), Stale> {
        let head = shard.limbo.look();
        if !slot.retire(handle, head.first()) {
            return Err(Stale);
        }
        self.into_limbo(shard, handle, head)
    }

    /// Looks after the slot of a handle that the caller retired. Lock-free. Always `Ok`.
    #[inline]
    pub(super) fn retired<E>(self, handle: Handle) -> Result<(), E> {
        match self.vacancies.shard_by_now() {
            Some(shard) => self.retired_into(shard, handle),
            None => self.retired_first(handle),
        }
    }

    /// A thread's first.
    #[cold]
    #[inline(never)]
    fn retired_first<E>(self, handle: Handle) -> Result<(), E> {
        self.retired_into(self.vacancies.shard(), handle)
    }

    #[inline]
    fn retired_into<E>(self, shard: &Shard, handle: Handle) -> Result<(), E> {
        let head = shard.limbo.look();
        if let Some(slot) = self.slots.get(handle.index()) {
            slot.link_retired(handle, head.first());
        }
        self.into_limbo(shard, handle, head)
    }

    #[inline]
    fn into_limbo<E>(self, shard: &Shard, handle: Handle, head: Head) -> Result<(), E> {
        faults::point(points::SLOT_RETIRED);
        let waiting = shard.limbo.push(self.slots, handle.index(), head);
        if waiting.is_multiple_of(BATCH) { self.batch_gathered(&shard.limbo) } else { Ok(()) }
    }

    /// Always `Ok`: the answer of those who have this done last.
    #[cold]
    #[inline(never)]
    fn batch_gathered<E>(self, limbo: &Limbo) -> Result<(), E> {
        let Vacancies { batches, .. } = self.vacancies;
        let shard = self.vacancies.shard_number();
        if !batches.close(limbo, shard) {
            epoch::advance();
        }
        // Inserting threads take mature batches when they need slots. Where nobody inserts, the values go here.
        while batches.is_overripe() {
            let Some(chain) = batches.take_mature(shard) else { break };
            self.drop_values(chain, self.vacancies.shard());
        }
        Ok(())
    }

    /// Takes one mature batch and drops its values; one of the slots for the caller, the others for the shard.
    fn reap(self, shard: &Shard) -> Option<u32> {
        let chain = self.vacancies.batches.take_mature(self.vacancies.shard_number())?;
        self.drop_values(chain, shard);
        shard.free.pop(self.slots)
    }

    /// Drops the values of a batch that is the caller's alone, and gives the slots to the shard, linked as they are but for those
    /// that are worn out. If destructors panic, so does this, at the end.
    fn drop_values(self, chain: Chain, shard: &Shard) {
        faults::point(points::BATCH_RECLAIMED);
        let mut panicked = None;
        let (mut first, mut last, mut gap) = (NIL, NIL, false);
        let mut next = chain.first;
        let mut along = self.slots.along();
        for _ in 0..chain.count {
            let index = next;
            let Some(slot) = along(index) else { break };
            next = slot.link();
            // SAFETY: the slot was retired, so it holds a value, and its batch is mature, so every reader who could
            // see it has unpinned; the batch and so the slot is ours alone.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { slot.drop_value() }));
            // The first panic is passed on below; later ones have been reported by the panic hook.
            panicked = panicked.or(dropped.err());
            if slot.is_worn_out(self.vacancies.last_generation) {
                gap = true;
                continue;
            }
            if first == NIL {
                first = index;
            } else if gap {
                self.slots.set_link(last, index);
            }
            (last, gap) = (index, false);
        }
        faults::point(points::SLOTS_DROPPED);
        if first != NIL {
            shard.free.push(self.slots, first, last);
        }
        self.vacancies.batches.done(chain.count);
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Drops the values of what no reader can see any more, pushing the epoch a bounded number of times; how many slots still
    /// wait.
    pub(super) fn reclaim(self) -> usize {
        for _ in 0..PATIENT_PUSHES {
            self.vacancies.push_on();
            while let Some(chain) = self.vacancies.batches.take_mature(self.vacancies.shard_number()) {
                self.drop_values(chain, self.vacancies.shard());
            }
            if self.vacancies.pending() == 0 {
                break;
            }
        }
        self.vacancies.pending()
    }
}
