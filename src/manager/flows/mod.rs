//! The records of flows, and the entries that follow from them.
//!
//! A record keeps what owners said of the flow beside their memberships ([`FlowOverrides`]), each with the stamp of the
//! ownership under which it was said. The published entry is a pure function of the memberships and the record
//! ([`FlowOverrides::outgoing`]): a change of either publishes the entry again, and dead stamps count for nothing.
//!
//! ```text
//!            new flow                  answered, published
//!   (none) ------------> Building ---------------------------> Entry
//!     ^ forgotten           ^                                    |
//!     |                     | new flow                           | lifetime over, flushed, evicted,
//!     +------------------ Idle <---------------------------------+ owner of the incoming interface changed
//! ```
//!
//! An idle record keeps the counter of a flow that has no entry.

mod build;
mod end;
mod lookup;
mod overrides;
mod record;
mod renew;
mod upstream;

pub(super) use build::BeginOutcome;
pub(super) use overrides::Action;
use overrides::{FlowOverrides, MemberFilter};
pub(super) use record::EntryView;
use record::FlowRecord;
pub(super) use renew::Reason;
pub(super) use upstream::{PathInfo, Upstream};

use super::state::{BySource, Clock, EntryQuotas, InterfaceTable, MembershipTable};
use super::{Interface, LimitCounters, ManagerConfig};
use crate::forwarding::{Flow, ForwardingTable, Incoming, VifIndex, WorkerCounters};
use crate::handle::OwnerWords;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// An entry that lost its last outgoing interface or gained its first.
pub(super) struct Transition {
    pub(super) flow: Flow,
    /// The id of the entry.
    pub(super) entry_id: u64,
    pub(super) incoming: Incoming,
    pub(super) negative: bool,
}

/// The limits of the flow table, and the lifetime of entries.
struct Limits {
    entries: usize,
    entries_per_interface: usize,
    negative: usize,
    negative_per_interface: usize,
    idle: usize,
    lifetime: Duration,
}

/// What the flow table reads and publishes to.
#[derive(Clone, Copy)]
pub(super) struct FlowContext<'a> {
    pub(super) members: &'a MembershipTable,
    pub(super) table: &'a ForwardingTable,
    pub(super) interfaces: &'a InterfaceTable,
}

impl FlowContext<'_> {
    fn owners(&self) -> &OwnerWords {
        self.table.owners()
    }

    /// Has every later change of the interface's owner words followed by a sweep.
    fn mark_in_use(&self, vif: VifIndex) {
        if let Some(record) = self.interfaces.get(vif) {
            record.set_in_use(true);
        }
    }
}

/// Every flow that has an entry, is getting one, or keeps its counters.
pub(super) struct FlowTable {
    records: BTreeMap<Flow, FlowRecord>,
    limits: Limits,
    clock: Arc<Clock>,
    /// Counts packets that arrive before their flow has an entry.
    counts: WorkerCounters,
    pub(super) limit_counters: LimitCounters,
    /// What the owners of incoming interfaces are still to be notified of.
    transitions: Vec<Transition>,
    /// The number of the last event. Events order the entries of the lists below.
    events: u64,
    /// The entries by the end of their lifetime.
    deadlines: BTreeSet<(Duration, Flow)>,
    /// The negative entries, by the event that made each negative.
    negative: BTreeMap<u64, Flow>,
    /// The idle records, by the event that made each idle.
    idle: BTreeMap<u64, Flow>,
    quotas: EntryQuotas,
    /// The entries that depend on each interface.
    mentions: BTreeSet<(VifIndex, Flow)>,
    /// The entries with an incoming interface that was never taken.
    unknown: BTreeSet<(Interface, Flow)>,
    /// The entries by source.
    by_source: BTreeSet<BySource>,
}

impl FlowTable {
    pub(super) fn new(config: &ManagerConfig, clock: Arc<Clock>, counts: WorkerCounters) -> FlowTable {
        FlowTable {
            records: BTreeMap::new(),
            limits: Limits {
                entries: config.entries as usize,
                entries_per_interface: config.entries_per_interface as usize,
                negative: config.negative_entries as usize,
                negative_per_interface: config.negative_entries_per_interface as usize,
                idle: config.remembered_flows as usize,
                lifetime: config.entry_lifetime,
            },
            clock,
            counts,
            limit_counters: LimitCounters::default(),
            transitions: Vec::new(),
            events: 0,
            deadlines: BTreeSet::new(),
            negative: BTreeMap::new(),
            idle: BTreeMap::new(),
            quotas: EntryQuotas::default(),
            mentions: BTreeSet::new(),
            unknown: BTreeSet::new(),
            by_source: BTreeSet::new(),
        }
    }

    /// Takes the transitions since the last call.
    pub(super) fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Returns the end of the first lifetime.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
