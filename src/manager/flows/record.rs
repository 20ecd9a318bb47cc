//! [`FlowRecord`]: what the manager keeps of one flow.

use super::{FlowContext, FlowOverrides, PathInfo, Upstream};
use crate::forwarding::{
    Flow, FlowCounter, FlowCounterId, ForwardingTable, OifCounterId, Outgoing, SharedPaths, Stamp, VifIndex,
    WorkerCounters,
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
    /// The outgoing interfaces, in order.
    pub(super) paths: SharedPaths,
    /// The begin of the lifetime: when the entry was made, or a client last set its timeout.
    pub(super) made: Duration,
    pub(super) deadline: Duration,
    /// The event that made the entry negative.
    pub(super) negative: Option<u64>,
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
    paths: &'a SharedPaths,
    oif_counters: &'a [(VifIndex, OifCounterId)],
    pub(in crate::manager) made: Duration,
    pub(in crate::manager) deadline: Duration,
}

impl EntryView<'_> {
    /// Returns the interfaces that the entry depends on.
    pub(in crate::manager) fn interfaces(&self) -> impl Iterator<Item = VifIndex> {
        let incoming = self.upstream.incoming().map(|incoming| incoming.interface);
        incoming.into_iter().chain(self.paths.iter().map(|(interface, _)| interface))
    }

    /// Returns the outgoing interfaces, in order.
    pub(in crate::manager) fn outgoing(&self) -> impl Iterator<Item = Outgoing> {
        self.paths.iter().map(|(interface, stamp)| {
            let counter = find_counter(self.oif_counters, interface).ok().map(|at| self.oif_counters[at].1);
            Outgoing::new(interface, stamp, counter.unwrap_or(OifCounterId::NONE))
        })
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
            paths: &entry.paths,
            oif_counters: &self.oif_counters,
            made: entry.made,
            deadline: entry.deadline,
        })
    }

    /// Returns the interfaces that the flow's entry depends on, some of them twice.
    pub(super) fn mentioned(&self, entry: &PublishedEntry) -> impl Iterator<Item = VifIndex> {
        let incoming = entry.upstream.incoming().map(|incoming| incoming.interface);
        let outgoing = entry.paths.iter().map(|(interface, _)| interface);
        incoming.into_iter().chain(outgoing).chain(self.overrides.interfaces())
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
pub(super) fn live_state(paths: &SharedPaths, owners: &OwnerWords) -> FlowState {
    let live = paths.iter().any(|(_, stamp): (_, Stamp)| stamp.is_current(owners));
    if live { FlowState::Active } else { FlowState::Negative }
}

fn find_counter(counters: &[(VifIndex, OifCounterId)], interface: VifIndex) -> Result<usize, usize> {
    counters.binary_search_by_key(&interface, |(interface, _)| *interface)
}

/// Returns the counter of an outgoing interface: the counter it had before in this flow, else a new one.
pub(super) fn counter_of(
    oif_counters: &mut Vec<(VifIndex, OifCounterId)>,
    interface: VifIndex,
    counter: FlowCounterId,
    ctx: FlowContext<'_>,
) -> Result<OifCounterId, NoMemory> {
    let mut at = find_counter(oif_counters, interface);
    // Before it grows, so that a look at all of them comes with as many new ones.
    if at.is_err() && oif_counters.len() == oif_counters.capacity() {
        // Numbers that name nothing any more do not come back.
        oif_counters.retain(|(interface, oif_counter)| {
            let named = ctx.interfaces.get(*interface).is_some();
            if !named {
                ctx.table.free_oif_counter(*oif_counter);
            }
            named
        });
        at = find_counter(oif_counters, interface);
    }
    match at {
        Ok(at) => Ok(oif_counters[at].1),
        Err(at) => {
            memory::reserve(oif_counters, 1)?;
            let made = ctx.table.alloc_oif_counter(counter)?;
            oif_counters.insert(at, (interface, made));
            Ok(made)
        }
    }
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
