//! [`WorkerCounters`]: counts packets from one worker.

use super::counter_id::{FlowCounterId, OifCounterId};
use super::counter_shards::{CounterShard, OIF_DISCARDS, OIF_FRAGMENTATION_NEEDED, OIF_TTL_TOO_LOW};
use super::state::CounterState;
use super::totals::{FlowCounter, OifCounter};
use crate::sync::Arc;
use std::fmt;

/// Counts packets from one worker. Only this value writes its shard of the counters.
///
/// Dropping it loses no count. It can be sent to another thread, and has no lifetime parameter.
pub struct WorkerCounters {
    shard: Arc<CounterShard>,
    state: Arc<CounterState>,
}

impl WorkerCounters {
    pub(super) fn new(shard: Arc<CounterShard>, state: Arc<CounterState>) -> WorkerCounters {
        WorkerCounters { shard, state }
    }

    /// Adds to a counter of a flow. Wait-free: loads and stores of one cache line that only this worker writes.
    ///
    /// Adds nothing if the identifier was freed and allocated again. An identifier of another table adds nothing either, and
    /// sets nothing back, unless it is equal to one of this table. Tables begin with generations that are chosen at random,
    /// so that this is unlikely: about one chance in 2^31 for each identifier.
    #[inline]
    pub fn add(&mut self, id: FlowCounterId, counter: FlowCounter, n: u64) {
        self.shard.add(id.line, counter as usize, n);
    }

    /// Counts a forwarded packet of the flow of [`Entry::counter`](crate::forwarding::Entry::counter). `octets` is the length
    /// of the packet, IP header included; `copies` is the number of copies made.
    ///
    /// It has the effect of an [`add`](Self::add) of 1 packet, of the octets and of the copies. The copies of each outgoing
    /// interface are counted in addition, by [`add_oif`](Self::add_oif): neither call counts for the other. Wait-free.
    #[inline]
    pub fn forwarded(&mut self, id: FlowCounterId, octets: u64, copies: u64) {
        if let Some(line) = self.shard.line(id.line) {
            line.add_forwarded(octets, copies);
        }
    }

    /// Prefetches the first line of a flow, which every packet changes. A hint without other effects.
    #[inline]
    pub fn prefetch(&self, id: FlowCounterId) {
        self.shard.prefetch(id.line);
    }

    /// Prefetches the line of an outgoing interface. A hint without other effects.
    #[inline]
    pub fn prefetch_oif(&self, id: OifCounterId) {
        self.shard.prefetch(id.line());
    }

    /// Adds to a counter of an outgoing interface of a flow, as [`add`](Self::add). `id` is the
    /// [`Outgoing::counter`](crate::forwarding::Outgoing::counter) of the interface. Changes no counter of the flow itself.
    /// Wait-free.
    #[inline]
    pub fn add_oif(&mut self, id: OifCounterId, counter: OifCounter, n: u32) {
        match counter {
            OifCounter::Packets => {
                if let Some(line) = self.shard.line(id.line()) {
                    line.add_copies(id.place(), n.into());
                }
            }
            OifCounter::TtlTooLow => self.shard.add_cold(id, OIF_TTL_TOO_LOW, n.into()),
            OifCounter::FragmentationNeeded => self.shard.add_cold(id, OIF_FRAGMENTATION_NEEDED, n.into()),
            OifCounter::Discards => self.shard.add_cold(id, OIF_DISCARDS, n.into()),
        }
    }

    /// Returns the shard of this worker.
    #[inline]
    pub(in crate::forwarding) fn shard(&self) -> &CounterShard {
        &self.shard
    }
}

impl Drop for WorkerCounters {
    fn drop(&mut self) {
        // The lock orders this worker's stores before those of the worker that adopts the shard.
        self.state.control.lock().idle.push(self.shard.clone());
    }
}

impl fmt::Debug for WorkerCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerCounters").finish_non_exhaustive()
    }
}
