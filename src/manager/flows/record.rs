//! [`FlowRecord`]: what the manager keeps of one flow.

use super::{FlowContext, FlowOverrides, PathInfo, Upstream};
use crate::forwarding::{
    Flow, FlowCounter, FlowCounterId, ForwardingTable, OifCounterId, Outgoing, VifIndex, WorkerCounters,
};
use crate::handle::OwnerWords;
use crate::manager::FlowState;
use crate::manager::state::{QuotaKey, RoleKey};
use crate::memory::{self, NoMemory};
use std::collections::BTreeSet;
use std::time::Duration;

/// The present entry of a flow.
pub(super) struct PublishedEntry {
    /// Identifies the entry. No two entries have the same id.
    pub(super) id: u64,
    /// The interface that the entry is charged to.
    pub(super) quota: QuotaKey,
    pub(super) upstream: Upstream,
    pub(super) path: PathInfo,
    pub(super) outgoing: Vec<Outgoing>,
    /// The begin of the lifetime: when the entry was made, or a client last set its timeout.
    pub(super) made: Duration,
    pub(super) deadline: Duration,
    /// The event that made the entry negative.
    pub(super) negative: Option<u64>,
    /// The interfaces that the entry depends on.
    pub(super) mentioned: BTreeSet<VifIndex>,
}

/// The phase of a flow. See the diagram at the top of the room.
pub(super) enum Phase {
    Idle {
        /// The event that made the record idle.
        since: u64,
    },
    Building {
        /// The roles in which an owner acted since the owners were asked. Such an action is later than the answer and
        /// overrides it.
        acted: BTreeSet<RoleKey>,
    },
    Entry(Box<PublishedEntry>),
}

/// Packets that arrived before the flow had a counter.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EarlyCounts {
    /// Packets that arrived while the entry was being made.
    pub(super) uninitialized: u64,
    /// Packets that found the queue full.
    pub(super) overflow: u64,
}

/// What the manager keeps of one flow.
pub(super) struct FlowRecord {
    pub(super) counter: Option<FlowCounterId>,
    /// The counter of each interface that ever was an outgoing one, ordered by interface.
    pub(super) oif_counters: Vec<(VifIndex, OifCounterId)>,
    /// Packets to be counted once the flow has a counter.
    pub(super) early: EarlyCounts,
    pub(super) overrides: FlowOverrides,
    pub(super) phase: Phase,
}

/// An entry as a query sees it.
pub(in crate::manager) struct EntryView<'a> {
    pub(in crate::manager) flow: Flow,
    pub(in crate::manager) counter: Option<FlowCounterId>,
    pub(in crate::manager) upstream: Upstream,
    pub(in crate::manager) path: PathInfo,
    pub(in crate::manager) outgoing: &'a [Outgoing],
    pub(in crate::manager) made: Duration,
    pub(in crate::manager) deadline: Duration,
}

impl EntryView<'_> {
    /// Returns the interfaces that the entry depends on.
    pub(in crate::manager) fn interfaces(&self) -> impl Iterator<Item = VifIndex> {
        let incoming = self.upstream.incoming().map(|incoming| incoming.interface);
        incoming.into_iter().chain(self.outgoing.iter().map(|outgoing| outgoing.interface))
    }
}

impl FlowRecord {
    /// Returns an idle record, which the caller moves to another phase.
    pub(super) fn new() -> FlowRecord {
        FlowRecord {
            counter: None,
            oif_counters: Vec::new(),
            early: EarlyCounts::default(),
            overrides: FlowOverrides::default(),
            phase: Phase::Idle { since: 0 },
        }
    }

    /// Returns the entry of the flow, if it has one.
    pub(super) fn view(&self, flow: Flow) -> Option<EntryView<'_>> {
        let Phase::Entry(entry) = &self.phase else { return None };
        Some(EntryView {
            flow,
            counter: self.counter,
            upstream: entry.upstream,
            path: entry.path,
            outgoing: &entry.outgoing,
            made: entry.made,
            deadline: entry.deadline,
        })
    }

    /// Counts the packets that arrived before the flow had a counter.
    pub(super) fn count_early(&mut self, counts: &mut WorkerCounters, counter: FlowCounterId) {
        // Most flows have none: then the memory of the rarely used counters stays untouched.
        if self.early != EarlyCounts::default() {
            let EarlyCounts { uninitialized, overflow } = std::mem::take(&mut self.early);
            counts.add(counter, FlowCounter::Uninitialized, uninitialized);
            counts.add(counter, FlowCounter::QueueOverflow, overflow);
        }
    }
}

/// Returns the state of an entry. Some of its interfaces may have been released and not swept yet.
pub(super) fn live_state(outgoing: &[Outgoing], owners: &OwnerWords) -> FlowState {
    let live = outgoing.iter().any(|out| out.stamp.is_current(owners));
    if live { FlowState::Active } else { FlowState::Negative }
}

/// Returns the state of an entry with these outgoing interfaces.
pub(super) fn state(outgoing: &[Outgoing]) -> FlowState {
    if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active }
}

/// Sets the counter of each outgoing interface: the counter it had before in this flow, else a new one.
pub(super) fn assign_counters(
    oif_counters: &mut Vec<(VifIndex, OifCounterId)>,
    outgoing: &mut [Outgoing],
    counter: FlowCounterId,
    ctx: FlowContext<'_>,
) -> Result<(), NoMemory> {
    let find = |counters: &[(VifIndex, OifCounterId)], interface: VifIndex| {
        counters.binary_search_by_key(&interface, |(interface, _)| *interface)
    };
    for outgoing in outgoing {
        let mut at = find(oif_counters, outgoing.interface);
        if at.is_err() {
            // Numbers that name nothing any more do not come back.
            oif_counters.retain(|(interface, oif_counter)| {
                let named = ctx.interfaces.get(*interface).is_some();
                if !named {
                    ctx.table.free_oif_counter(*oif_counter);
                }
                named
            });
            at = find(oif_counters, outgoing.interface);
        }
        if let Err(at) = at {
            memory::reserve(oif_counters, 1)?;
            oif_counters.insert(at, (outgoing.interface, ctx.table.alloc_oif_counter(counter)?));
        }
        let (Ok(at) | Err(at)) = at;
        outgoing.counter = oif_counters[at].1;
    }
    Ok(())
}

/// Frees the counters of a flow.
pub(super) fn free_counters(
    counter: FlowCounterId,
    oif_counters: &mut Vec<(VifIndex, OifCounterId)>,
    table: &ForwardingTable,
) {
    for (_, oif_counter) in oif_counters.drain(..) {
        table.free_oif_counter(oif_counter);
    }
    table.free_counter(counter);
}
