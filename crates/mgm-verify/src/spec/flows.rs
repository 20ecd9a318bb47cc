//! Forwarding entries: created by a flow's first packet, ended by time, by changes of routes and by the caller.

use super::renewal::{Transition, Unswept};
use super::{ClientId, Outcome, OwnershipKey, OwnershipVersion, Role, Spec};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, Membership, Protocol};
use serde::{Deserialize, Serialize};
use serde_with::serde_as;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Where a flow's packets arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Arrival {
    /// There is no route.
    NoRoute,
    /// The route leads to an interface that was never taken.
    UnknownInterface(Interface),
    /// They arrive on a known interface while the version is current.
    On {
        /// The interface.
        interface: Interface,
        /// The version of its owner.
        version: OwnershipVersion,
        /// Whether it has an owner. Without one nothing is forwarded.
        owned: bool,
    },
}

impl Arrival {
    /// Returns the known interface.
    #[must_use]
    pub fn interface(&self) -> Option<Interface> {
        match self {
            Arrival::On { interface, .. } => Some(*interface),
            _ => None,
        }
    }
}

/// An outgoing interface of a new flow, offered to one of its owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedInterface {
    /// The interface, and the owner's role.
    pub key: OwnershipKey,
    /// The version of the ownership.
    pub version: OwnershipVersion,
    /// Whether IGMP owns the interface in its role.
    pub igmp: bool,
}

/// The result of [`begin_flow`](Spec::begin_flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowBegin {
    /// The call is answered at once.
    Answered(Outcome),
    /// The caller asks the owners and then calls [`finish_flow`](Spec::finish_flow).
    Started,
}

/// The result of [`finish_flow`](Spec::finish_flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFinish {
    /// The entry is made, or cannot be made.
    Answered(Outcome),
    /// The incoming interface has changed owner: the caller asks all owners again.
    Retry,
}

/// The decision of an owner about a flow on its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct OwnerDecision {
    pub(super) veto: Option<OwnershipVersion>,
    /// A FORWARD add (true) or delete (false).
    pub(super) edit: Option<(bool, OwnershipVersion)>,
}

pub(super) type OwnerDecisions = BTreeMap<OwnershipKey, OwnerDecision>;

#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct InstalledEntry {
    pub(super) arrival: Arrival,
    /// The upstream interface that the routes gave.
    pub(super) routed: Option<Interface>,
    #[serde_as(as = "Vec<(_, _)>")]
    pub(super) decisions: OwnerDecisions,
    /// The outgoing interfaces at the last renewal.
    pub(super) outgoing: BTreeSet<Interface>,
    pub(super) deadline: Duration,
    /// Distinguishes this entry from every other entry of the flow.
    pub(super) incarnation: u64,
    /// The event at which the entry became negative.
    pub(super) negative_since: Option<u64>,
}

impl InstalledEntry {
    /// Returns whether the entry depends on an interface.
    pub(super) fn mentions(&self, interface: Interface) -> bool {
        let decided = self.decisions.keys().map(|key| key.0);
        let mut all = self.outgoing.iter().copied().chain(self.arrival.interface()).chain(decided);
        all.any(|mentioned| mentioned == interface)
    }
}

#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum FlowStage {
    /// The caller waits for the owners' answers.
    Building {
        #[serde_as(as = "Vec<(_, _)>")]
        decisions: OwnerDecisions,
        /// The keys of owners that have acted since they were asked.
        acted: BTreeSet<OwnershipKey>,
    },
    Installed(InstalledEntry),
}

impl Spec {
    /// Begins a flow at its first packet: answers at once, or leaves the rest to the caller.
    pub fn begin_flow(&mut self, flow: Flow) -> FlowBegin {
        if !leaves_its_link(flow.group()) {
            return FlowBegin::Answered(Outcome::NotForwarded);
        }
        match self.flows.get(&flow) {
            Some(FlowStage::Building { .. }) => return FlowBegin::Answered(Outcome::Building),
            Some(FlowStage::Installed(entry)) if self.still_arrives(&entry.arrival) => {
                let outgoing = self.outgoing(&flow, &entry.arrival, &entry.decisions, Unswept::Ignored);
                return FlowBegin::Answered(state(&outgoing));
            }
            None if self.foreign.contains(&flow) => return FlowBegin::Answered(Outcome::Foreign),
            _ => {}
        }
        self.flows
            .insert(flow, FlowStage::Building { decisions: OwnerDecisions::new(), acted: BTreeSet::new() });
        FlowBegin::Started
    }

    /// Returns where packets arrive if the routes place their source behind `interface`.
    #[must_use]
    pub fn arrival_by_route(&self, interface: Option<Interface>) -> Arrival {
        match interface {
            None => Arrival::NoRoute,
            Some(interface) if !self.known.contains(&interface) => Arrival::UnknownInterface(interface),
            Some(interface) => Arrival::On {
                interface,
                version: self.arrival_version(interface),
                owned: self.deciding_owner(interface).is_some(),
            },
        }
    }

    /// Returns where packets arrive if the deciding owner of the routed interface answers `answer`: there, if the client
    /// owns that interface in the same role.
    #[must_use]
    pub fn arrival_by_answer(
        &self,
        flow: &Flow,
        client: ClientId,
        role: Role,
        answer: Interface,
    ) -> Option<Arrival> {
        let own = self.owners.get(&(answer, role)) == Some(&client) && answer.family() == flow.family();
        own.then(|| Arrival::On { interface: answer, version: self.arrival_version(answer), owned: true })
    }

    /// Returns the outgoing interfaces of a flow that is being built, by owner, in the order of protocols. Actions of owners
    /// up to now precede the question.
    pub fn offer_to_owners(
        &mut self,
        flow: &Flow,
        arrival: &Arrival,
    ) -> BTreeMap<Protocol, (ClientId, Vec<OfferedInterface>)> {
        let mut offers = BTreeMap::new();
        let Some(FlowStage::Building { decisions, acted }) = self.flows.get_mut(flow) else { return offers };
        acted.clear();
        let decisions = decisions.clone();
        let outgoing = self.outgoing(flow, arrival, &decisions, Unswept::Ignored);
        for interface in self.known.iter().filter(|known| outgoing.contains(known)) {
            for role in [Role::Routing, Role::Igmp] {
                let key = (*interface, role);
                let Some(owner) = self.owners.get(&key) else { continue };
                let Some(protocol) = self.clients.get(owner) else { continue };
                let igmp = self.owners.contains_key(&(*interface, Role::Igmp));
                let (_, offered) = offers.entry(*protocol).or_insert((*owner, Vec::new()));
                offered.push(OfferedInterface { key, version: self.version(key), igmp });
            }
        }
        offers
    }

    /// Installs the entry. A veto yields to a later action of its owner and to a change of owner.
    pub fn finish_flow(
        &mut self,
        flow: Flow,
        arrival: Arrival,
        routed: Option<Interface>,
        vetoes: &[(OwnershipKey, OwnershipVersion)],
    ) -> FlowFinish {
        let became_known =
            matches!(arrival, Arrival::UnknownInterface(interface) if self.known.contains(&interface));
        if became_known || !self.still_arrives(&arrival) {
            return FlowFinish::Retry;
        }
        let Some(FlowStage::Building { mut decisions, acted }) = self.flows.remove(&flow) else {
            return FlowFinish::Answered(Outcome::Building);
        };
        if self.foreign.contains(&flow) {
            return FlowFinish::Answered(Outcome::Foreign);
        }
        for (key, version) in vetoes {
            if !acted.contains(key) && self.is_current(*version) {
                decisions.entry(*key).or_default().veto = Some(*version);
            }
        }
        let outgoing = self.outgoing(&flow, &arrival, &decisions, Unswept::Ignored);
        let answer = state(&outgoing);
        self.events += 1;
        let incarnation = self.events;
        let deadline = self.now + self.limits.entry_lifetime;
        let transition = match arrival {
            Arrival::On { interface, version, .. } if outgoing.is_empty() => {
                Some(Transition { flow, incarnation, interface, version, forwards: false })
            }
            _ => None,
        };
        let entry = InstalledEntry {
            arrival,
            routed,
            decisions,
            outgoing,
            deadline,
            incarnation,
            negative_since: None,
        };
        self.flows.insert(flow, FlowStage::Installed(entry));
        self.list_negative(flow);
        if let Some(transition) = transition {
            self.notify_of_transition(&transition, &BTreeSet::new());
        }
        FlowFinish::Answered(answer)
    }

    /// Does the whole of a flow's setup, with clients that answer nothing.
    pub fn new_flow(&mut self, flow: Flow, routed: Option<Interface>) -> Outcome {
        if let FlowBegin::Answered(outcome) = self.begin_flow(flow) {
            return outcome;
        }
        let routed = routed.filter(|interface| interface.family() == flow.family());
        match self.finish_flow(flow, self.arrival_by_route(routed), routed, &[]) {
            FlowFinish::Answered(outcome) => outcome,
            FlowFinish::Retry => Outcome::Building,
        }
    }

    /// Advances the clock. Removes entries at the end of their lifetime, without a notice.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
        self.end_flows(|spec, entry| entry.deadline <= spec.now);
    }

    /// Removes every entry.
    pub fn flush(&mut self) {
        self.end_flows(|_, _| true);
    }

    /// Sets the time-out of a negative entry, as a client's answer to a prune alert. Does nothing if the flow has another
    /// incarnation by now.
    pub fn set_timeout(&mut self, (flow, incarnation): (Flow, u64), timeout: Duration) {
        if let Some(FlowStage::Installed(entry)) = self.flows.get_mut(&flow)
            && entry.incarnation == incarnation
            && entry.negative_since.is_some()
        {
            entry.deadline = self.now + timeout;
        }
    }

    /// Applies a change of routes: removes entries with another incoming interface by now, and notifies the old and the new
    /// owner of the RPF interface of each joined source. Returns the number of removed entries.
    pub fn routes_changed(&mut self, routes: impl Fn(&Flow) -> Option<Interface>) -> usize {
        let elsewhere = self.entries_where(|flow, entry| entry.routed != routes(flow));
        elsewhere.iter().for_each(|flow| _ = self.flows.remove(flow));
        let joined: Vec<Flow> = self.rpf_joins.keys().copied().collect();
        joined.into_iter().for_each(|flow| self.reroute_source(flow, routes(&flow)));
        elsewhere.len()
    }

    fn reroute_source(&mut self, flow: Flow, interface: Option<Interface>) {
        self.sweep_dead(Membership::OneSource(flow), None);
        if let Some(join) = self.rpf_joins.get_mut(&flow) {
            join.interface = interface;
            self.settle_rpf_owner(flow);
        }
    }

    /// Publishes a flow in the forwarding table without the manager.
    pub fn publish_foreign(&mut self, flow: Flow) -> Outcome {
        let taken = matches!(self.flows.get(&flow), Some(FlowStage::Installed(_)));
        if taken || !self.foreign.insert(flow) { Outcome::Foreign } else { Outcome::Ok }
    }

    /// Withdraws such a flow.
    pub fn withdraw_foreign(&mut self, flow: Flow) {
        self.foreign.remove(&flow);
    }
}

/// Returns false for groups of link-local or smaller scope (RFC 5771 section 4, RFC 4291 section 2.7).
fn leaves_its_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => !group.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(group) => group.octets()[1] & 0x0F > 2,
    }
}

fn state(outgoing: &BTreeSet<Interface>) -> Outcome {
    if outgoing.is_empty() { Outcome::Negative } else { Outcome::Active }
}
