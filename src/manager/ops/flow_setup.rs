//! Making the entry of a new flow: the reverse path to its source, the offer to the owners, their answers.

use super::ownership::Ownership;
use crate::faults;
use crate::foreign_code::has_stack_room;
use crate::forwarding::{Flow, Incoming, Outgoing, PublishError, Stamp};
use crate::handle::Handle;
use crate::manager::api::OfferedInterface;
use crate::manager::flows::{BeginOutcome, PathInfo, Upstream};
use crate::manager::points;
use crate::manager::state::{InterfaceRecord, QuotaKey, Role, RoleKey};
use crate::manager::{
    CreationAlert, FlowRequest, FlowState, GroupManager, Interface, NewFlowError, Protocol, ReversePath,
    ReversePathQuestion,
};
use crate::memory::NoMemory;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The number of times that the owners are asked again because the incoming interface changed its owner meanwhile, or the
/// routes changed.
const MAX_ATTEMPTS: usize = 8;

/// The offer to one owner.
struct Offer {
    client: Handle,
    /// Each interface, with the owner's role and the stamp of its ownership.
    interfaces: Vec<(OfferedInterface, (RoleKey, Stamp))>,
}

impl GroupManager {
    /// Makes the entry of a new flow. To be called for a packet that found no entry, or one with an incoming
    /// interface that changed its owner. After `Ok` the forwarding table has the flow's entry. A [`Flow`] alone is a request as well.
    ///
    /// The flow's packets have to arrive on the interface towards their source, which the
    /// [`RpfLookup`](crate::manager::RpfLookup) names. The owner of that interface (the routing protocol, else IGMP) is asked
    /// and may choose another interface of its own. The outgoing interfaces are those with a membership that covers the flow,
    /// except the incoming one. Each owner of some is asked, in the order of protocols, by a creation alert, and may veto them.
    /// A flow without receivers, without a route, or without an owner of its incoming interface gets a negative entry, so that
    /// its next packet causes no further questions.
    ///
    /// Runs callbacks, with no lock held. May wait for the membership lock, but never for another thread that makes the entry
    /// of the same flow.
    ///
    /// # Errors
    /// [`NewFlowError`]; after `Building`, look the flow up again shortly.
    pub fn new_flow<'p>(&self, request: impl Into<FlowRequest<'p>>) -> Result<FlowState, NewFlowError> {
        let FlowRequest { flow, packet, arrival } = request.into();
        let arrival = arrival.and_then(|arrival| self.vif_index(arrival));
        self.make_flow(flow, packet, arrival)
    }

    /// As [`new_flow`](Self::new_flow); the entry is charged to `arrival`, if there is one.
    pub(super) fn make_flow(
        &self,
        flow: Flow,
        packet: &[u8],
        arrival: QuotaKey,
    ) -> Result<FlowState, NewFlowError> {
        if !leaves_its_link(flow.group()) {
            return Err(NewFlowError::NotForwarded(flow));
        }
        if !has_stack_room() {
            return Err(NewFlowError::TooDeep(flow));
        }
        {
            let mut state = self.state.lock();
            let (flows, ctx) = self.split(&mut state);
            match flows.begin(flow, ctx).map_err(|NoMemory| NewFlowError::NoMemory(flow))? {
                BeginOutcome::Live(state) => return Ok(state),
                BeginOutcome::Building => return Err(NewFlowError::Building(flow)),
                BeginOutcome::Foreign => return Err(NewFlowError::Foreign(flow)),
                BeginOutcome::Started => {}
            }
            // Spares the questions when it is known already that there is no room.
            if arrival.is_some() && flows.check_quota(arrival).is_err() {
                flows.abandon(flow, ctx);
                return Err(NewFlowError::Full(flow));
            }
        }
        // From here on only this thread builds the flow's entry, until the guard is dropped.
        let mut building = Building { manager: self, flow, unfinished: true };
        faults::point(points::FLOW_BUILDING);
        for _ in 0..MAX_ATTEMPTS {
            if let Some(state) = self.try_make(flow, packet, arrival)? {
                building.unfinished = false;
                return Ok(state);
            }
        }
        Err(NewFlowError::Building(flow))
    }

    /// Asks the owners once and publishes the entry. Returns `None` when the answers are outdated.
    fn try_make(
        &self,
        flow: Flow,
        packet: &[u8],
        arrival: QuotaKey,
    ) -> Result<Option<FlowState>, NewFlowError> {
        let version = self.route_version.get();
        let routed = self.reverse_path(flow.source());
        let (upstream, path) = self.upstream(flow, packet, routed);
        let outgoing = {
            let mut state = self.state.lock();
            let (flows, ctx) = self.split(&mut state);
            flows.propose(flow, &upstream, ctx)
        };
        let outgoing = outgoing.map_err(|NoMemory| NewFlowError::NoMemory(flow))?;
        let vetoes = self.ask_owners(flow, &upstream, &outgoing);
        self.update_state(|locked| {
            if self.route_version.get() != version {
                return Ok(None);
            }
            let (flows, ctx) = self.split(&mut locked.state);
            match flows.publish(flow, upstream, path, &vetoes, arrival, ctx) {
                Ok(state) => {
                    if state.is_some() {
                        self.notify_of_transitions(locked, &[]);
                    }
                    Ok(state)
                }
                Err(PublishError::Exists(_) | PublishError::Missing(_)) => Err(NewFlowError::Foreign(flow)),
                Err(PublishError::Full(_) | PublishError::Crowded(_)) => Err(NewFlowError::Full(flow)),
                Err(PublishError::NoMemory) => Err(NewFlowError::NoMemory(flow)),
            }
        })
    }

    /// Returns where the flow's packets have to arrive: the answer of the routes, as changed by the owner of the interface
    /// that they name.
    fn upstream(&self, flow: Flow, packet: &[u8], routed: Option<ReversePath>) -> (Upstream, PathInfo) {
        let Some(path) = routed.filter(|path| path.interface.family() == flow.family()) else {
            return (Upstream::NoRoute, PathInfo { routed, ..PathInfo::default() });
        };
        let info = |path: ReversePath| PathInfo { neighbour: path.neighbour, route: path.route, routed };
        let Some(record) = self.interfaces.find(path.interface) else {
            return (Upstream::Unknown(path.interface), info(path));
        };
        let ownership = self.ownership(&record);
        match self.ask_reverse_path(flow, packet, path, &ownership) {
            Some((upstream, answer)) => (upstream, info(answer)),
            None => (known(&record, &ownership), info(path)),
        }
    }

    /// Asks the owner of the RPF interface where the flow's packets have to arrive. Returns its answer if it names an
    /// interface that the owner owns.
    fn ask_reverse_path(
        &self,
        flow: Flow,
        packet: &[u8],
        path: ReversePath,
        ownership: &Ownership,
    ) -> Option<(Upstream, ReversePath)> {
        let (role, client) = Role::BOTH.into_iter().find_map(|role| Some((role, ownership.by(role)?)))?;
        let channel = self.clients.channel(&self.state.lock(), client)?;
        let mut question = ReversePathQuestion::new(flow, packet, path);
        let table = &self.clients.table;
        channel.ask(table, "reverse_path", |client| client.reverse_path(&mut question))?;
        let answer = question.path();
        let record =
            self.interfaces.find(answer.interface).filter(|_| answer.interface.family() == flow.family())?;
        // The ownership, and the stamp that makes the entry depend on it, at one instant.
        let ownership = self.ownership(&record);
        (ownership.by(role) == Some(client)).then(|| (known(&record, &ownership), answer))
    }

    /// Asks the owners of the outgoing interfaces, and returns their vetoes.
    fn ask_owners(&self, flow: Flow, upstream: &Upstream, outgoing: &[Outgoing]) -> Vec<(RoleKey, Stamp)> {
        let incoming = upstream.incoming().and_then(|incoming| self.interface(incoming.interface));
        let Some(incoming) = incoming else { return Vec::new() };
        let mut vetoes = Vec::new();
        for offer in self.offers(outgoing).into_values() {
            vetoes.extend(self.ask_owner(flow, incoming, offer));
        }
        vetoes
    }

    fn ask_owner(&self, flow: Flow, incoming: Interface, offer: Offer) -> Vec<(RoleKey, Stamp)> {
        // The offer was made before other owners were asked, which may have taken long. A client is not offered an interface
        // that it has released meanwhile, and not called once it has left.
        let owners = self.clients.table.owners();
        let (mut interfaces, keys): (Vec<_>, Vec<_>) =
            offer.interfaces.into_iter().filter(|(_, (_, stamp))| stamp.is_current(owners)).unzip();
        if interfaces.is_empty() {
            return Vec::new();
        }
        let channel = self.clients.channel(&self.state.lock(), offer.client);
        let Some(channel) = channel else { return Vec::new() };
        let mut alert = CreationAlert::new(flow, incoming, &mut interfaces);
        let table = &self.clients.table;
        let answered = channel.ask(table, "creation_alert", |client| client.creation_alert(&mut alert));
        let answers = interfaces.iter().zip(keys);
        answers.filter(|(offered, _)| answered.is_some() && !offered.enabled()).map(|(_, key)| key).collect()
    }

    /// Groups the outgoing interfaces by owner, in the order of protocols. An interface with two owners is offered to both.
    fn offers(&self, outgoing: &[Outgoing]) -> BTreeMap<Protocol, Offer> {
        let mut offers = BTreeMap::new();
        let owners = self.clients.table.owners();
        for out in outgoing {
            let Some(record) = self.interfaces.get(out.interface) else { continue };
            let ownership = self.ownership(&record);
            // After a change of ownership it is no outgoing interface any more, whichever client owns it by now.
            if !out.stamp.is_current(owners) {
                continue;
            }
            for role in Role::BOTH {
                let Some(client) = ownership.by(role) else { continue };
                let Some(protocol) = self.clients.protocol(client) else { continue };
                let offer: &mut Offer =
                    offers.entry(protocol).or_insert_with(|| Offer { client, interfaces: Vec::new() });
                // One protocol with two handles: it has registered again between two reads.
                if offer.client != client {
                    continue;
                }
                let igmp = ownership.by(Role::Igmp).is_some();
                let offered = OfferedInterface::new(record.interface, igmp);
                let key = RoleKey::new(record.vif, role);
                offer.interfaces.push((offered, (key, ownership.stamp(&record, role))));
            }
        }
        offers
    }
}

/// Returns the upstream through a known interface.
fn known(record: &InterfaceRecord<'_>, ownership: &Ownership) -> Upstream {
    let incoming = Incoming { interface: record.vif, stamp: ownership.arrival_stamp(record) };
    Upstream::Known { incoming, owned: ownership.deciding().is_some() }
}

/// A flow in the building phase. Dropping it ends the building phase unless the entry was published.
struct Building<'a> {
    manager: &'a GroupManager,
    flow: Flow,
    unfinished: bool,
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        if self.unfinished {
            let mut state = self.manager.state.lock();
            let (flows, ctx) = self.manager.split(&mut state);
            flows.abandon(self.flow, ctx);
        }
    }
}

/// Returns whether packets to a group are forwarded at all: not those of 224.0.0.0/24 (RFC 5771 section 4), nor of the IPv6
/// scopes reserved, interface-local and link-local (RFC 4291 section 2.7).
pub(super) fn leaves_its_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[..3] != [224, 0, 0],
        IpAddr::V6(group) => group.octets()[1] & 0x0F > 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::{ManagerConfig, Membership, StateChange};
    use std::sync::Arc;

    /// Between a release and its sweep the entry still lists the interface.
    #[test]
    fn a_flow_is_negative_before_the_sweep_of_its_last_receivers() {
        let routes = |_| Some(ReversePath::through(Interface::v4(1)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
        let (up, lan) = (Interface::v4(1), Interface::v4(2));
        manager.take(client, up).unwrap();
        manager.take(client, lan).unwrap();
        let group = "239.1.1.1".parse().unwrap();
        let membership = Membership::any_source(group).unwrap();
        manager.add_membership(client, lan, membership, StateChange::Join).unwrap();
        let flow = Flow::new("192.0.2.1".parse().unwrap(), group).unwrap();
        assert_eq!(manager.new_flow(flow), Ok(FlowState::Active));
        // Only the effect, as if the releasing thread were stopped right after it.
        let record = manager.interfaces.find(lan).unwrap();
        manager.clients.table.release(client, record.owner(Role::Routing)).unwrap();
        assert_eq!(manager.new_flow(flow), Ok(FlowState::Negative));
    }
}
