//! The visible state, and the canonical form of states between which no future call can distinguish.

use super::flows::{Arrival, FlowStage, OwnerDecision};
use super::ownership::IgmpTenure;
use super::renewal::Unswept;
use super::{Role, Spec};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, Membership, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A visible entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryView {
    /// The flow.
    pub flow: Flow,
    /// The incoming interface.
    pub incoming: Option<Interface>,
    /// The outgoing interfaces.
    pub outgoing: BTreeSet<Interface>,
    /// When the entry's lifetime ends.
    pub expires: Duration,
}

impl Spec {
    /// Returns every membership with the protocol of its member.
    #[must_use]
    pub fn memberships(&self) -> BTreeSet<(Interface, Membership, Protocol)> {
        let live = self.memberships.iter().filter(|(_, join)| self.is_current(join.version));
        live.filter_map(|((membership, key), join)| {
            Some((key.0, *membership, self.protocol_of(join.client)?))
        })
        .collect()
    }

    /// Returns every entry, in the order of flows.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryView> {
        let entries = self.flows.iter().filter_map(|(flow, stage)| match stage {
            FlowStage::Installed(entry) if self.still_arrives(&entry.arrival) => Some(EntryView {
                flow: *flow,
                incoming: entry.arrival.interface(),
                outgoing: self.outgoing(flow, &entry.arrival, &entry.decisions, Unswept::Ignored),
                expires: entry.deadline,
            }),
            _ => None,
        });
        entries.collect()
    }

    /// Returns every client with the interfaces that it owns.
    #[must_use]
    pub fn clients(&self) -> BTreeMap<Protocol, BTreeSet<Interface>> {
        let owned = |client| {
            let keys = self.owners.iter().filter(|(_, owner)| *owner == client);
            keys.map(|(key, _)| key.0).collect()
        };
        self.clients.iter().map(|(client, protocol)| (*protocol, owned(client))).collect()
    }

    /// Returns every client with its protocol.
    pub fn registered(&self) -> impl Iterator<Item = (super::ClientId, Protocol)> {
        self.clients.iter().map(|(client, protocol)| (*client, *protocol))
    }

    /// Returns the interfaces that have a place, in the order of places.
    #[must_use]
    pub fn known(&self) -> &[Interface] {
        &self.known
    }

    /// Returns the flows that were published without the manager.
    #[must_use]
    pub fn foreign(&self) -> &BTreeSet<Flow> {
        &self.foreign
    }

    /// Replaces the state by its canonical form, so that states are equal if no future call can distinguish them.
    ///
    /// The caller makes no call at the time, has [followed up](Self::follow_up) every change of owner, and has delivered
    /// every notice.
    pub fn canonicalize(&mut self) {
        self.end_flows(|spec, entry| !spec.still_arrives(&entry.arrival));
        let past = self.clone();
        self.memberships.retain(|_, join| past.is_current(join.version));
        self.igmp.retain(|interface, _| past.owners.contains_key(&(*interface, Role::Igmp)));
        self.changes.clear();
        let now = self.clone();
        for ((_, key), join) in &mut self.memberships {
            join.version = now.version(*key);
        }
        for tenure in self.igmp.values_mut() {
            *tenure = IgmpTenure { number: 0, notified: 0, queued: 0 };
        }
        let mut events = BTreeSet::new();
        for stage in self.flows.values_mut() {
            let decisions = match stage {
                FlowStage::Building { decisions, .. } => decisions,
                FlowStage::Installed(entry) => {
                    if let Arrival::On { interface, version, .. } = &mut entry.arrival {
                        *version = now.arrival_version(*interface);
                    }
                    events.extend([Some(entry.incarnation), entry.negative_since].into_iter().flatten());
                    &mut entry.decisions
                }
            };
            decisions.retain(|key, decision| {
                let current = |version: &_| past.is_current(*version);
                decision.veto = decision.veto.filter(current).map(|_| now.version(*key));
                let edit = decision.edit.filter(|(_, version)| current(version));
                decision.edit = edit.map(|(add, _)| (add, now.version(*key)));
                *decision != OwnerDecision::default()
            });
        }
        let events: BTreeMap<u64, u64> = events.into_iter().zip(1..).collect();
        for stage in self.flows.values_mut() {
            if let FlowStage::Installed(entry) = stage {
                entry.incarnation = events[&entry.incarnation];
                entry.negative_since = entry.negative_since.map(|event| events[&event]);
            }
        }
        self.events = events.len() as u64;
    }
}

impl fmt::Display for Spec {
    /// Writes clients, owners, memberships and entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clients {:?}, owners {:?}", self.clients, self.owners)?;
        let memberships: Vec<_> =
            self.memberships().into_iter().map(|(at, membership, _)| (membership, at)).collect();
        let entries: Vec<_> =
            self.entries().into_iter().map(|entry| (entry.flow, entry.incoming, entry.outgoing)).collect();
        write!(f, ", memberships {memberships:?}, entries {entries:?}")
    }
}
