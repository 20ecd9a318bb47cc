//! [`PacketCounts`]: counts one packet and its copies, with the flow's line looked up once.

use super::counters::counter_id::FlowCounterId;
use super::counters::oif_counters::{Packed, Places};
use super::counters::{CounterShard, CurrentLine, OIF_DISCARDS, WorkerCounters};
use super::entry::Entry;

impl WorkerCounters {
    /// Returns the counters of a flow, for a packet and its copies. Wait-free, as are the methods of the result.
    #[inline]
    pub(crate) fn packet(&mut self, flow: FlowCounterId) -> PacketCounts<'_> {
        let shard = self.shard();
        PacketCounts { shard, line: shard.line(flow.line) }
    }

    /// Prefetches the lines that count an entry's copies, but for the flow's first line. A hint without other effects.
    #[inline]
    pub(crate) fn prefetch_copies(&self, entry: &Entry) {
        let Packed::Runs(runs) = entry.oif_counters().unpack() else { return };
        for run in runs {
            self.shard().prefetch(run.line);
        }
    }
}

/// The counters of a flow, in one worker.
pub(crate) struct PacketCounts<'w> {
    shard: &'w CounterShard,
    /// The flow's first line; `None` if its identifier is no longer in use, or is another table's.
    line: Option<CurrentLine<'w>>,
}

impl<'w> PacketCounts<'w> {
    /// Returns the counters of an entry's copies, if all of them are in the flow's first line.
    #[inline]
    pub(crate) fn near(&self, entry: &Entry) -> Option<NearCounts<'w>> {
        match entry.oif_counters().unpack() {
            Packed::Places(places) => Some(NearCounts { line: self.line, places }),
            Packed::Runs(_) => None,
        }
    }

    /// Counts a copy to each outgoing path of an entry of this flow that has its bit set in `made`. The lowest bit
    /// stands for the path at position `first`.
    pub(crate) fn add_copies(&self, entry: &Entry, first: usize, made: u64) {
        let Packed::Runs(runs) = entry.oif_counters().unpack() else {
            let Some(near) = self.near(entry) else { return };
            near.add_copies(made.checked_shl(first as u32).unwrap_or_default());
            return;
        };
        let mut at = 0_usize;
        for run in runs {
            // The bits of `made` from the run's first path on; a run has fewer paths than a line has places.
            let from_here = match at.checked_sub(first) {
                Some(behind) => made.checked_shr(behind as u32),
                None => made.checked_shl((first - at) as u32),
            };
            at += usize::from(run.len);
            if let Some(line) = self.shard.line(run.line) {
                line.add_run(run.first, run.len, from_here.unwrap_or_default());
            }
        }
    }

    /// Counts discarded copies, chosen as in [`add_copies`](Self::add_copies).
    #[cold]
    pub(crate) fn add_discards(&self, entry: &Entry, first: usize, discarded: u64) {
        for at in set_bits(discarded) {
            self.shard.add_cold(entry.oif_counter(first + at), OIF_DISCARDS, 1);
        }
    }

    /// Counts the packet, as [`WorkerCounters::forwarded`].
    #[inline]
    pub(crate) fn forwarded(&self, octets: u64, copies: u64) {
        if let Some(line) = self.line {
            line.add_forwarded(octets, copies);
        }
    }
}

/// The counters of a flow with all of its copies counted in its first line.
#[derive(Clone, Copy)]
pub(crate) struct NearCounts<'w> {
    line: Option<CurrentLine<'w>>,
    places: Places,
}

impl NearCounts<'_> {
    /// Counts a copy to each outgoing path with its bit set, the lowest for the first path. Returns the number of
    /// copies.
    #[inline]
    pub(crate) fn add_copies(self, made: u64) -> u64 {
        let mut copies = 0;
        self.places.each(made, |place| {
            copies += 1;
            if let Some(line) = self.line {
                line.add_copies(place, 1);
            }
        });
        copies
    }
}

/// Returns the positions of the bits that are set.
fn set_bits(all: u64) -> impl Iterator<Item = usize> {
    (0..u64::BITS as usize).filter(move |at| all >> at & 1 == 1)
}
