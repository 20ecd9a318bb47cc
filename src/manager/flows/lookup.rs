//! Finding flows and their entries.

use super::record::{EntryView, FlowRecord, Phase};
use super::{FlowContext, FlowTable, PathInfo};
use crate::forwarding::{Family, Flow, VifIndex};
use crate::manager::state::{BySource, Network};
use crate::manager::{Membership, ReversePath};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Bound;

impl FlowTable {
    /// Returns the flows that a membership covers and that have an entry or are getting one.
    pub(in crate::manager) fn covered(&self, membership: Membership) -> Vec<Flow> {
        use Membership::{AnySource, Everything, OneSource};
        let not_idle = |(flow, record): (&Flow, &FlowRecord)| {
            (!matches!(record.phase, Phase::Idle { .. })).then_some(*flow)
        };
        match membership {
            OneSource(flow) => self.records.get_key_value(&flow).and_then(not_idle).into_iter().collect(),
            AnySource(group) => {
                let from = Flow::first_of(group.address());
                let of_group =
                    self.records.range(from..).take_while(|(flow, _)| flow.group() == group.address());
                of_group.filter_map(not_idle).collect()
            }
            Everything(family) => {
                let first_v6 = Flow::lower_bound_of(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
                let range = match family {
                    Family::V4 => (Bound::Unbounded, Bound::Excluded(first_v6)),
                    Family::V6 => (Bound::Included(first_v6), Bound::Unbounded),
                };
                self.records.range(range).filter_map(not_idle).collect()
            }
        }
    }

    /// Returns the flows with an entry that depends on an interface.
    pub(in crate::manager) fn mentioning(&self, vif: VifIndex) -> Vec<Flow> {
        let from = self.mentions.range((vif, Flow::first_of(IpAddr::from([0; 4])))..);
        from.take_while(|(v, _)| *v == vif).map(|(_, flow)| *flow).collect()
    }

    /// Returns whether any entry depends on an interface.
    pub(in crate::manager) fn is_mentioned(&self, vif: VifIndex) -> bool {
        let from = (vif, Flow::first_of(IpAddr::from([0; 4])));
        self.mentions.range(from..).next().is_some_and(|(v, _)| *v == vif)
    }

    /// Returns whether any entry depends on an interface or is charged to it.
    pub(in crate::manager) fn needs(&self, vif: VifIndex) -> bool {
        self.is_mentioned(vif) || self.quotas.charges(vif)
    }

    /// Returns the entries after a flow, or all of them, in the order of flows, including those that are dead and not swept.
    pub(in crate::manager) fn entries(&self, after: Option<Flow>) -> impl Iterator<Item = EntryView<'_>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.records.range((from, Bound::Unbounded)).filter_map(|(flow, record)| record.view(*flow))
    }

    /// Returns the entry of a flow, even if it is dead and not swept.
    pub(in crate::manager) fn entry(&self, flow: &Flow) -> Option<EntryView<'_>> {
        self.records.get(flow)?.view(*flow)
    }

    /// Returns at most `max` entries in the order of sources, each with its id and the answer of the routes: those with a source in
    /// `network`, or all, from the first on or after a flow.
    pub(in crate::manager) fn routed_after(
        &self,
        network: Option<Network>,
        after: Option<Flow>,
        max: usize,
    ) -> Vec<(Flow, u64, Option<ReversePath>)> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(BySource(after)));
        let range = network.map_or((from, Bound::Unbounded), |network| network.flows(after));
        let entries = self.by_source.range(range).filter_map(|BySource(flow)| {
            let Phase::Entry(entry) = &self.records.get(flow)?.phase else { return None };
            Some((*flow, entry.id, entry.path.routed))
        });
        entries.take(max).collect()
    }

    /// Applies a new answer of the routes to an entry, if it is still the entry with this id. Ends the entry when the
    /// answer names another interface, and returns whether it did. Otherwise updates neighbour and route, except where a
    /// client replaced them.
    pub(in crate::manager) fn reroute(
        &mut self,
        flow: Flow,
        entry_id: u64,
        routed: Option<ReversePath>,
        ctx: FlowContext<'_>,
    ) -> bool {
        let Some(FlowRecord { phase: Phase::Entry(entry), .. }) = self.records.get_mut(&flow) else {
            return false;
        };
        if entry.id != entry_id {
            return false;
        }
        let before = std::mem::replace(&mut entry.path.routed, routed);
        let interface = |path: Option<ReversePath>| {
            path.map(|path| path.interface).filter(|interface| interface.family() == flow.family())
        };
        if interface(before) != interface(routed) {
            self.end(flow, ctx);
            return true;
        }
        let (neighbour, route) = (|path: ReversePath| path.neighbour, |path: ReversePath| path.route);
        if entry.path.neighbour == before.and_then(neighbour) {
            entry.path.neighbour = routed.and_then(neighbour);
        }
        if entry.path.route == before.and_then(route) {
            entry.path.route = routed.and_then(route);
        }
        false
    }

    /// Returns what an entry keeps of its reverse path, to be changed.
    pub(in crate::manager) fn path_mut(&mut self, flow: &Flow) -> Option<&mut PathInfo> {
        match self.records.get_mut(flow) {
            Some(FlowRecord { phase: Phase::Entry(entry), .. }) => Some(&mut entry.path),
            _ => None,
        }
    }
}
