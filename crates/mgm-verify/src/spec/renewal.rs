//! Renewal of entries: their outgoing interfaces follow from memberships, edits and vetoes.

use super::flows::{Arrival, FlowStage, InstalledEntry, OwnerDecision, OwnerDecisions};
use super::{ClientId, OwnershipKey, OwnershipVersion, Role, Spec};
use mgm::forwarding::Flow;
use mgm::manager::Interface;
use std::collections::BTreeSet;

/// An entry that has got its first outgoing interface (`forwards`) or has lost its last one.
pub(super) struct Transition {
    pub(super) flow: Flow,
    pub(super) incarnation: u64,
    pub(super) interface: Interface,
    pub(super) version: OwnershipVersion,
    pub(super) forwards: bool,
}

/// The interface that is renewed in entries, and the reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The interface is swept: dead decisions about it are removed.
    Swept(Interface),
    /// A membership on the interface has changed.
    Changed(Interface),
}

/// Whether dead memberships and decisions that were not swept yet still count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unswept {
    /// As in the entry that is published.
    Included,
    /// As for a packet, which checks the stamp of each outgoing interface.
    Ignored,
}

impl Spec {
    /// Returns the outgoing interfaces of a flow: the members of (s,g), (\*,g) and (\*,\*), changed by FORWARD edits and
    /// vetoes, without the incoming interface. A veto of the routing protocol removes the interface; a veto of IGMP removes
    /// IGMP's part of it.
    pub(super) fn outgoing(
        &self,
        flow: &Flow,
        arrival: &Arrival,
        decisions: &OwnerDecisions,
        unswept: Unswept,
    ) -> BTreeSet<Interface> {
        let Arrival::On { interface: incoming, owned: true, .. } = *arrival else { return BTreeSet::new() };
        let kept = unswept == Unswept::Included;
        let covering = self.memberships.iter().filter(|((membership, _), _)| membership.covers(flow));
        let covering: Vec<(OwnershipKey, bool)> =
            covering.map(|((_, key), join)| (*key, self.is_current(join.version))).collect();
        let mut keys: BTreeSet<OwnershipKey> =
            covering.iter().filter(|(_, alive)| kept || *alive).map(|(key, _)| *key).collect();
        // A dead decision yields to what is live.
        let counts = |key: &OwnershipKey, version| {
            self.is_current(version) || kept && !covering.iter().any(|(other, alive)| other == key && *alive)
        };
        for (key, decision) in decisions {
            match decision.edit {
                Some((true, version)) if counts(key, version) => _ = keys.insert(*key),
                Some((false, version)) if counts(key, version) => _ = keys.remove(key),
                _ => {}
            }
        }
        let vetoes = |key: &OwnershipKey, by| {
            let veto = decisions.get(&(key.0, by)).and_then(|decision| decision.veto);
            veto.is_some_and(|version| counts(key, version))
        };
        let allowed = keys.iter().filter(|key| !vetoes(key, key.1) && !vetoes(key, Role::Routing));
        allowed.map(|key| key.0).filter(|interface| *interface != incoming).collect()
    }

    /// Renews what entries have of one interface, in the order of flows, and notifies of the entries that have begun or ceased
    /// to forward. What an entry has of other interfaces changes with their own memberships and sweeps.
    pub(super) fn renew(&mut self, flows: Vec<Flow>, renewal: Renewal, causers: &BTreeSet<ClientId>) {
        let mut transitions = Vec::new();
        for flow in flows {
            let Some(FlowStage::Installed(entry)) = self.flows.get(&flow) else { continue };
            let mut entry = entry.clone();
            if !self.still_arrives(&entry.arrival) {
                self.flows.remove(&flow);
                continue;
            }
            entry.decisions.retain(|key, decision| {
                if renewal == Renewal::Swept(key.0) {
                    decision.veto = decision.veto.filter(|version| self.is_current(*version));
                    decision.edit = decision.edit.filter(|(_, version)| self.is_current(*version));
                }
                *decision != OwnerDecision::default()
            });
            let wanted = self.outgoing(&flow, &entry.arrival, &entry.decisions, Unswept::Included);
            let mut outgoing = entry.outgoing.clone();
            let (Renewal::Swept(interface) | Renewal::Changed(interface)) = renewal;
            match wanted.contains(&interface) {
                true => outgoing.insert(interface),
                false => outgoing.remove(&interface),
            };
            if let Arrival::On { interface, version, .. } = entry.arrival
                && outgoing.is_empty() != entry.outgoing.is_empty()
            {
                let forwards = !outgoing.is_empty();
                let incarnation = entry.incarnation;
                transitions.push(Transition { flow, incarnation, interface, version, forwards });
            }
            entry.outgoing = outgoing;
            self.flows.insert(flow, FlowStage::Installed(entry));
            self.list_negative(flow);
        }
        transitions.iter().for_each(|transition| self.notify_of_transition(transition, causers));
    }

    /// Updates the list of negative entries. A new one evicts the oldest when the list is full.
    pub(super) fn list_negative(&mut self, flow: Flow) {
        let Some(FlowStage::Installed(entry)) = self.flows.get_mut(&flow) else { return };
        match (entry.outgoing.is_empty(), entry.negative_since) {
            (true, None) => {
                self.events += 1;
                entry.negative_since = Some(self.events);
            }
            (false, Some(_)) => entry.negative_since = None,
            _ => {}
        }
        let since = |(flow, stage): (&Flow, &FlowStage)| match stage {
            FlowStage::Installed(InstalledEntry { negative_since: Some(since), .. }) => Some((*since, *flow)),
            _ => None,
        };
        let negative: BTreeSet<(u64, Flow)> = self.flows.iter().filter_map(since).collect();
        if let Some((_, oldest)) = negative.first().filter(|_| negative.len() > self.limits.negative_entries)
        {
            self.flows.remove(oldest);
        }
    }

    /// Returns whether packets still arrive where the entry expects them.
    pub(super) fn still_arrives(&self, arrival: &Arrival) -> bool {
        match arrival {
            Arrival::On { version, .. } => self.is_current(*version),
            _ => true,
        }
    }

    pub(super) fn entries_where(&self, matches: impl Fn(&Flow, &InstalledEntry) -> bool) -> Vec<Flow> {
        let entries = self.flows.iter().filter_map(|(flow, stage)| match stage {
            FlowStage::Installed(entry) if matches(flow, entry) => Some(*flow),
            _ => None,
        });
        entries.collect()
    }

    pub(super) fn end_flows(&mut self, ends: impl Fn(&Spec, &InstalledEntry) -> bool) {
        let ended = self.entries_where(|_, entry| ends(self, entry));
        ended.iter().for_each(|flow| _ = self.flows.remove(flow));
    }
}
