//! Making the entry of a new flow: the way to its source, the offer to the owners, their answers.

use super::alert::OfferedInterface;
use super::client_code;
use super::flows::{Account, Begun};
use super::interfaces::{InterfaceRecord, Role};
use super::ownership::Owned;
use super::records::Share;
use super::upstream::{PathInfo, Upstream};
use super::{
    CreationAlert, FlowState, GroupManager, Interface, NewFlowError, Protocol, ReversePath,
    ReversePathQuestion,
};
use crate::faults;
use crate::forwarding::{Flow, Incoming, Outgoing, PublishError, Stamp};
use crate::handle::Handle;
use crate::manager::points;
use crate::memory::NoMemory;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How often everything is asked again because the incoming interface changed hands meanwhile, or the routes changed.
const ROUNDS: usize = 8;

/// One owner's part of an offer.
struct Offer {
    client: Handle,
    /// Each interface, with whose share it is and the stamp of its ownership.
    interfaces: Vec<(OfferedInterface, (Share, Stamp))>,
}

impl GroupManager {
    /// A packet of a flow met no entry, or one whose incoming interface has changed hands: make one. After `Ok` the
    /// forwarding table has the flow's entry.
    ///
    /// The packets have to arrive on the interface towards their source, which the caller's [`Routes`](super::Routes) name.
    /// Its owner (the routing protocol, else IGMP) is asked: it may have them arrive on another interface of its own.
    /// The outgoing interfaces are those that have a membership covering the flow, without the incoming one; each owner of
    /// some is asked by its creation alert whether it wants to keep the flow off them, in the order of protocols. A flow
    /// without receivers, without a route, or whose incoming interface nobody owns gets a negative entry, so that its
    /// next packet need not ask again.
    ///
    /// Runs callbacks, with no lock held. May wait for the membership lock, but never for another thread that is making
    /// the same flow's entry.
    ///
    /// # Errors
    /// [`NewFlowError`]; when it is `Building`, look again shortly.
    pub fn new_flow(&self, flow: Flow) -> Result<FlowState, NewFlowError> {
        self.new_flow_with(flow, &[])
    }

    /// The same, with the packet to show to the owner of the interface towards the source: from its IP header on, or as
    /// much of it as there is.
    ///
    /// # Errors
    /// [`NewFlowError`].
    pub fn new_flow_with(&self, flow: Flow, packet: &[u8]) -> Result<FlowState, NewFlowError> {
        self.make_flow(flow, packet, None)
    }

    /// The same, with the interface where the packet arrived: the entry is on its account
    /// ([`ManagerConfig::entries_per_interface`](super::ManagerConfig::entries_per_interface)), which a sender that writes
    /// false sources into packets cannot choose.
    ///
    /// # Errors
    /// [`NewFlowError`].
    pub fn new_flow_from(
        &self,
        flow: Flow,
        arrival: Interface,
        packet: &[u8],
    ) -> Result<FlowState, NewFlowError> {
        self.make_flow(flow, packet, self.vif_index(arrival))
    }

    pub(super) fn make_flow(
        &self,
        flow: Flow,
        packet: &[u8],
        arrival: Account,
    ) -> Result<FlowState, NewFlowError> {
        if !leaves_its_link(flow.group()) {
            return Err(NewFlowError::DropCounters(flow));
        }
        if !client_code::has_room() {
            return Err(NewFlowError::TooDeep(flow));
        }
        {
            let mut state = self.state.lock();
            let (flows, with) = self.split(&mut state);
            match flows.begin(flow, with).map_err(|NoMemory| NewFlowError::NoMemory(flow))? {
                Begun::Live(state) => return Ok(state),
                Begun::Building => return Err(NewFlowError::Building(flow)),
                Begun::Foreign => return Err(NewFlowError::Foreign(flow)),
                Begun::Started => {}
            }
            // Not worth asking anybody about, when it is known already that there is no room.
            if arrival.is_some() && flows.check_account(arrival).is_err() {
                flows.abandon(flow, with);
                return Err(NewFlowError::Full(flow));
            }
        }
        // From here on the flow is being built, by this thread alone; it is not any more when this goes out of scope.
        let mut building = Building { manager: self, flow, unfinished: true };
        faults::point(points::FLOW_BUILDING);
        for _ in 0..ROUNDS {
            let changes = self.routing.changes();
            let routed =
                self.clients.code.run("the routes", || self.routes.reverse_path(flow.source())).flatten();
            let (upstream, path) = self.upstream(flow, packet, routed);
            let outgoing = {
                let mut state = self.state.lock();
                let (flows, with) = self.split(&mut state);
                flows.ask(flow, &upstream, with)
            };
            let outgoing = outgoing.map_err(|NoMemory| NewFlowError::NoMemory(flow))?;
            let vetoes = self.ask_owners(flow, &upstream, &outgoing);
            let mut change = self.change_state();
            if self.routing.changes() != changes {
                continue;
            }
            let (flows, with) = self.split(&mut change.state);
            match flows.finish(flow, upstream, path, &vetoes, arrival, with) {
                Ok(Some(state)) => {
                    building.unfinished = false;
                    self.tell_of_entries(&mut change, &[]);
                    return Ok(state);
                }
                Ok(None) => {}
                Err(PublishError::Exists(_) | PublishError::Missing(_)) => {
                    return Err(NewFlowError::Foreign(flow));
                }
                Err(PublishError::Full(_) | PublishError::Crowded(_)) => {
                    return Err(NewFlowError::Full(flow));
                }
                Err(PublishError::NoMemory) => return Err(NewFlowError::NoMemory(flow)),
            }
        }
        Err(NewFlowError::Building(flow))
    }

    /// Where the flow's packets have to arrive, and whose that is now: as the routes have it, or as the owner of the
    /// interface they name answers.
    fn upstream(&self, flow: Flow, packet: &[u8], routed: Option<ReversePath>) -> (Upstream, PathInfo) {
        let Some(path) = routed.filter(|path| path.interface.family() == flow.family()) else {
            return (Upstream::NoRoute, PathInfo { routed, ..PathInfo::default() });
        };
        let info = |path: ReversePath| PathInfo { neighbour: path.neighbour, route: path.route, routed };
        let Some(record) = self.interfaces.find(path.interface) else {
            return (Upstream::Unknown(path.interface), info(path));
        };
        let owned = self.owned(record);
        match self.ask_reverse_path(flow, packet, path, &owned) {
            Some((upstream, answer)) => (upstream, info(answer)),
            None => (known(record, &owned), info(path)),
        }
    }

    /// Asks the owner of the interface towards the source: where its packets have to arrive, if it answers an interface
    /// that is its own.
    fn ask_reverse_path(
        &self,
        flow: Flow,
        packet: &[u8],
        path: ReversePath,
        owned: &Owned,
    ) -> Option<(Upstream, ReversePath)> {
        let (role, client) =
            [Role::Routing, Role::Igmp].into_iter().find_map(|role| Some((role, owned.by(role)?)))?;
        let outlet = self.clients.outlet(client)?;
        let mut question = ReversePathQuestion { flow, packet, path };
        outlet.ask(self, "reverse_path", |client| client.reverse_path(&mut question))?;
        let answer = question.path;
        let record =
            self.interfaces.find(answer.interface).filter(|_| answer.interface.family() == flow.family())?;
        // Whether it is the client's own, and the stamp that makes the entry depend on that, at one instant.
        let owned = self.owned(record);
        (owned.by(role) == Some(client)).then(|| (known(record, &owned), answer))
    }

    /// Asks the owners of the outgoing interfaces, and gathers their vetoes.
    fn ask_owners(&self, flow: Flow, upstream: &Upstream, outgoing: &[Outgoing]) -> Vec<(Share, Stamp)> {
        let Some(incoming) = upstream.incoming().and_then(|incoming| self.interface(incoming.interface))
        else {
            return Vec::new();
        };
        let mut vetoes = Vec::new();
        for offer in self.offers(outgoing).into_values() {
            vetoes.extend(self.ask_owner(flow, incoming, offer));
        }
        vetoes
    }

    fn ask_owner(&self, flow: Flow, incoming: Interface, offer: Offer) -> Vec<(Share, Stamp)> {
        // All this was gathered before other owners were asked, which may have taken long: a client is not told of an
        // interface that it has given up in the meantime, and not called at all once it has left.
        let owners = self.clients.table.owners();
        let (mut interfaces, shares): (Vec<_>, Vec<_>) =
            offer.interfaces.into_iter().filter(|(_, (_, stamp))| stamp.holds(owners)).unzip();
        if interfaces.is_empty() {
            return Vec::new();
        }
        let Some(outlet) = self.clients.outlet(offer.client) else { return Vec::new() };
        let mut alert = CreationAlert { flow, incoming, outgoing: &mut interfaces };
        let answered = outlet.ask(self, "creation_alert", |client| client.creation_alert(&mut alert));
        let answers = interfaces.iter().zip(shares);
        answers
            .filter(|(offered, _)| answered.is_some() && !offered.enabled)
            .map(|(_, share)| share)
            .collect()
    }

    /// The outgoing interfaces by owner, in the order of protocols. An interface with two owners is offered to both.
    fn offers(&self, outgoing: &[Outgoing]) -> BTreeMap<Protocol, Offer> {
        let mut offers = BTreeMap::new();
        let owners = self.clients.table.owners();
        for out in outgoing {
            let Some(record) = self.interfaces.get(out.interface) else { continue };
            let owned = self.owned(record);
            // Once it has changed hands it is nobody's outgoing interface, whoever has it by now.
            if !out.stamp.holds(owners) {
                continue;
            }
            for role in [Role::Routing, Role::Igmp] {
                let Some(client) = owned.by(role) else { continue };
                let Some(protocol) = self.clients.protocol(client) else { continue };
                let offer: &mut Offer =
                    offers.entry(protocol).or_insert_with(|| Offer { client, interfaces: Vec::new() });
                // One name, two handles: it has registered anew between two looks.
                if offer.client != client {
                    continue;
                }
                let igmp = owned.by(Role::Igmp).is_some();
                let offered = OfferedInterface { interface: record.interface, igmp, enabled: true };
                offer.interfaces.push((offered, ((record.number, role), owned.stamp(record, role))));
            }
        }
        offers
    }
}

/// An interface that was taken once as the way in.
fn known(record: &InterfaceRecord, owned: &Owned) -> Upstream {
    let incoming = Incoming { interface: record.number, stamp: owned.arrival_stamp(record) };
    let somebody = owned.by(Role::Routing).or(owned.by(Role::Igmp)).is_some();
    Upstream::Known { incoming, owned: somebody }
}

/// A flow that is being built: it ceases to be, whatever happens.
struct Building<'a> {
    manager: &'a GroupManager,
    flow: Flow,
    unfinished: bool,
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        if self.unfinished {
            let mut state = self.manager.state.lock();
            let (flows, with) = self.manager.split(&mut state);
            flows.abandon(self.flow, with);
        }
    }
}

/// Whether a group's packets are forwarded at all: not those of 224.0.0.0/24 (RFC 5771 section 4), nor of the IPv6 scopes
/// reserved, interface-local and link-local (RFC 4291 section 2.7).
pub(super) fn leaves_its_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[..3] != [224, 0, 0],
        IpAddr::V6(group) => group.octets()[1] & 0x0F > 2,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{ManagerConfig, Membership, StateChange};
    use super::*;
    use std::sync::Arc;

    /// Between a release's effect and its sweep the entry still lists the interface.
    #[test]
    fn a_flow_whose_last_receivers_have_just_been_released_is_negative_before_the_sweep() {
        let routes = |_| Some(ReversePath::through(Interface::v4(1)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
        let (up, lan) = (Interface::v4(1), Interface::v4(2));
        manager.take(client, up).unwrap();
        manager.take(client, lan).unwrap();
        let group = "239.1.1.1".parse().unwrap();
        manager
            .add_membership(client, lan, Membership::any_source(group).unwrap(), StateChange::Join)
            .unwrap();
        let flow = Flow::new("192.0.2.1".parse().unwrap(), group).unwrap();
        assert_eq!(manager.new_flow(flow), Ok(FlowState::Active));
        // The effect alone, as when the releasing thread is stopped right behind it.
        let record = manager.interfaces.find(lan).unwrap();
        manager.clients.table.release(client, record.owner(Role::Routing)).unwrap();
        assert_eq!(manager.new_flow(flow), Ok(FlowState::Negative));
    }
}
