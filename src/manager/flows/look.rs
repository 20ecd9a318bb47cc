//! Finding flows, and looking at their entries.

use super::record::{EntryView, Life, Record};
use super::{Flows, With};
use crate::forwarding::{Flow, VifIndex};
use crate::handle::OwnerWords;
use crate::manager::upstream::PathInfo;
use crate::manager::{Membership, ReversePath};
use std::net::IpAddr;
use std::ops::Bound;

impl Flows {
    /// The flows that a membership covers and that have an entry or are getting one.
    pub(in crate::manager) fn covered(&self, membership: Membership) -> Vec<Flow> {
        use Membership::{AnySource, Everything, OneSource};
        let active =
            |(flow, record): (&Flow, &Record)| (!matches!(record.life, Life::Idle { .. })).then_some(*flow);
        match membership {
            OneSource(flow) => self.records.get_key_value(&flow).and_then(active).into_iter().collect(),
            AnySource(group) => {
                let from = Flow::first_of(group.address());
                let of_group =
                    self.records.range(from..).take_while(|(flow, _)| flow.group() == group.address());
                of_group.filter_map(active).collect()
            }
            Everything(family) => {
                let of_family = self.records.iter().filter(|(flow, _)| flow.family() == family);
                of_family.filter_map(active).collect()
            }
        }
    }

    /// The flows whose entry has to do with an interface.
    pub(in crate::manager) fn mentioning(&self, number: VifIndex) -> Vec<Flow> {
        let from = self.mentions.range((number, Flow::first_of(IpAddr::from([0; 4])))..);
        from.take_while(|(n, _)| *n == number).map(|(_, flow)| *flow).collect()
    }

    pub(in crate::manager) fn is_mentioned(&self, number: VifIndex) -> bool {
        let from = (number, Flow::first_of(IpAddr::from([0; 4])));
        self.mentions.range(from..).next().is_some_and(|(n, _)| *n == number)
    }

    /// The entries behind a flow, or all of them, in the order of flows.
    pub(in crate::manager) fn entries(
        &self,
        after: Option<Flow>,
        owners: &OwnerWords,
    ) -> impl Iterator<Item = EntryView<'_>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.records
            .range((from, Bound::Unbounded))
            .filter_map(|(flow, record)| record.view(*flow))
            .filter(|entry| entry.upstream.holds(owners))
    }

    /// The entry of a flow.
    pub(in crate::manager) fn entry(&self, flow: &Flow, owners: &OwnerWords) -> Option<EntryView<'_>> {
        self.records.get(flow)?.view(*flow).filter(|entry| entry.upstream.holds(owners))
    }

    /// At most `most` entries behind a flow, or of all of them: each with its life and what the routes said of its source.
    pub(in crate::manager) fn routed_after(
        &self,
        after: Option<Flow>,
        most: usize,
    ) -> Vec<(Flow, u64, Option<ReversePath>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries =
            self.records.range((from, Bound::Unbounded)).filter_map(|(flow, record)| match &record.life {
                Life::Entry(entry) => Some((*flow, entry.life, entry.path.routed)),
                _ => None,
            });
        entries.take(most).collect()
    }

    /// The routes say something else of an entry's source, if it is still that entry. It ends when that is another
    /// interface; whether it has.
    pub(in crate::manager) fn reroute(
        &mut self,
        flow: Flow,
        life: u64,
        routed: Option<ReversePath>,
        with: With<'_>,
    ) -> bool {
        let Some(Record { life: Life::Entry(entry), .. }) = self.records.get_mut(&flow) else { return false };
        if entry.life != life {
            return false;
        }
        let before = std::mem::replace(&mut entry.path.routed, routed);
        let towards = |path: Option<ReversePath>| {
            path.map(|path| path.interface).filter(|interface| interface.family() == flow.family())
        };
        if towards(before) != towards(routed) {
            self.end(flow, with);
            return true;
        }
        // What a client has put in its place stays.
        let (neighbour, route) = (|path: ReversePath| path.neighbour, |path: ReversePath| path.route);
        if entry.path.neighbour == before.and_then(neighbour) {
            entry.path.neighbour = routed.and_then(neighbour);
        }
        if entry.path.route == before.and_then(route) {
            entry.path.route = routed.and_then(route);
        }
        false
    }

    /// What an entry has to say of the way to its source, to be changed.
    pub(in crate::manager) fn path_mut(&mut self, flow: &Flow) -> Option<&mut PathInfo> {
        match self.records.get_mut(flow) {
            Some(Record { life: Life::Entry(entry), .. }) => Some(&mut entry.path),
            _ => None,
        }
    }
}
