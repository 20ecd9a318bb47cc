//! Where retired slots go: into the limbo of the thread's shard, and from there in batches back to free lists.

use super::Handle;
use super::alive_count::AliveCount;
use super::dropping::{self, Panics};
use super::epoch;
use super::error::Stale;
use super::free_list::Links;
use super::layout::Layout;
use super::limbo::{Chain, Head, Limbo};
use super::points;
use super::slot::Slot;
use super::slot_alloc::{Shard, SlotAllocator, Slots};
use super::state_word::NIL;
use crate::cfg::handle::{BATCH, PATIENT_ADVANCES};
use crate::faults;

impl<T, L: Layout> Slots<'_, T, L> {
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
        if self.into_limbo(shard, handle, head) { self.close_and_drop(&shard.limbo) } else { Ok(()) }
    }

    /// Puts the slot of a handle that the caller retired and kept into limbo. Lock-free. Runs no destructor, since the
    /// caller may hold a lock that a destructor needs.
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
        self.allocator.count.entered_limbo();
        if self.into_limbo(shard, handle, head) {
            self.close_batch(&shard.limbo);
        }
    }

    /// Pushes a retired slot. Returns whether the limbo is full.
    #[inline]
    fn into_limbo(self, shard: &Shard, handle: Handle, head: Head) -> bool {
        faults::point(points::SLOT_RETIRED);
        shard.limbo.push(self.array, handle.index(), head).is_multiple_of(BATCH)
    }

    /// Makes a batch of a full limbo.
    #[cold]
    #[inline(never)]
    fn close_batch(self, limbo: &Limbo) {
        if !self.allocator.batches.close(limbo, self.allocator.shard_number()) {
            epoch::advance();
        }
    }

    /// Makes a batch of a full limbo, and drops values if many are ready. Inserting threads take ready batches when they
    /// need slots; where no thread inserts, the values are dropped here. Always `Ok`: the answer of a caller for which this
    /// is the last step.
    #[cold]
    #[inline(never)]
    fn close_and_drop(self, limbo: &Limbo) -> Result<(), Stale> {
        self.close_batch(limbo);
        let mut panics = Panics::default();
        while self.allocator.batches.is_backlogged() {
            let Some(chain) = self.take_ready() else { break };
            self.drop_values(chain, self.allocator.shard(), &mut panics);
        }
        panics.pass_on();
        Ok(())
    }

    /// Takes one ready batch and drops its values; returns one of the slots, and pushes the others to the shard.
    pub(super) fn reclaim_batch(self, shard: &Shard, panics: &mut Panics) -> Option<u32> {
        self.reclaim_chain(self.take_ready()?, shard, panics)
    }

    /// Does the same with a batch of the calling thread's shard.
    pub(super) fn reclaim_own_batch(self, shard: &Shard, panics: &mut Panics) -> Option<u32> {
        let SlotAllocator { batches, .. } = self.allocator;
        let chain =
            dropping::is_allowed().then(|| batches.take_ready_of(self.allocator.shard_number()))??;
        self.reclaim_chain(chain, shard, panics)
    }

    fn reclaim_chain(self, chain: Chain, shard: &Shard, panics: &mut Panics) -> Option<u32> {
        self.drop_values(chain, shard, panics);
        shard.free.pop(self.array)
    }

    /// Takes a ready batch, if there is one and the calling thread may run destructors.
    fn take_ready(self) -> Option<Chain> {
        dropping::is_allowed().then(|| self.allocator.batches.take_ready(self.allocator.shard_number()))?
    }

    /// Returns whether the slots of every batch that the calling thread has taken are free without a walk along them: there are
    /// no destructors to run, and no slot is exhausted.
    ///
    /// The generation of a slot grows once from one of its batches to the next.
    fn is_free_as_it_is(self) -> bool {
        let SlotAllocator { batches, .. } = self.allocator;
        !std::mem::needs_drop::<T>() && batches.grace_periods() < self.allocator.generations()
    }

    /// Drops the values of a batch that belongs to the caller, and pushes the slots to the shard, linked as they are but for
    /// exhausted ones.
    fn drop_values(self, chain: Chain, shard: &Shard, panics: &mut Panics) {
        faults::point(points::BATCH_RECLAIMED);
        if self.is_free_as_it_is() {
            faults::point(points::SLOTS_DROPPED);
            if shard.free.push_to_empty(chain.first) {
                self.allocator.batches.arrived(self.allocator.shard_number(), chain.count);
                return;
            }
        }
        let (mut first, mut last, mut gap) = (NIL, NIL, false);
        let (mut next, mut left) = (chain.first, chain.count);
        let mut cursor = self.array.cursor();
        let step = || {
            left = left.checked_sub(1)?;
            let index = next;
            let slot = cursor(index)?;
            next = slot.link();
            if slot.is_exhausted(self.allocator.last_generation) {
                gap = true;
            } else {
                if first == NIL {
                    first = index;
                } else if gap {
                    self.array.set_link(last, index);
                }
                (last, gap) = (index, false);
            }
            Some(slot)
        };
        // SAFETY: the slots were retired, so each holds a value. Their batch is ready, so every reader that could see them has
        // unpinned. The batch, and so its slots, belong to the calling thread.
        unsafe { panics.drop_values(step) };
        faults::point(points::SLOTS_DROPPED);
        if first != NIL {
            shard.free.push(self.array, first, last);
        }
        self.allocator.batches.arrived(self.allocator.shard_number(), chain.count);
    }

    /// Drops the values that no reader can see any more, with a bounded number of attempts to advance the epoch. Returns how
    /// many slots still wait.
    pub(super) fn reclaim(self) -> usize {
        let mut panics = Panics::default();
        for _ in 0..PATIENT_ADVANCES {
            if !dropping::is_allowed() {
                break;
            }
            self.allocator.close_and_advance();
            while let Some(chain) = self.take_ready() {
                self.drop_values(chain, self.allocator.shard(), &mut panics);
            }
            if self.allocator.pending() == 0 {
                break;
            }
        }
        panics.pass_on();
        let pending = self.allocator.pending();
        if pending > 0 {
            // For a later question: that is when the standing still began.
            self.allocator.batches.standing_since();
        }
        pending
    }
}
