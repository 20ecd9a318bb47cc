//! A router for the manager's tests.

use mgm::forwarding::{Family, Flow};
use mgm::handle::Handle;
use mgm::manager::{
    Client, CreationAlert, FlowState, GroupManager, Interface, ManagerConfig, Membership, MembershipError,
    NewFlowError, Protocol, ReversePath, StateChange,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Returns IPv4 interface `n`.
pub(crate) fn v4(n: u32) -> Interface {
    Interface::v4(n)
}

/// Parses "source group".
pub(crate) fn flow(text: &str) -> Flow {
    let (source, group) = text.split_once(' ').unwrap();
    Flow::new(source.parse().unwrap(), group.parse().unwrap()).unwrap()
}

/// Parses "source group", with `*` for any; "* *" is every IPv4 group.
pub(crate) fn membership(text: &str) -> Membership {
    match text.split_once(' ').unwrap() {
        ("*", "*") => Membership::everything(Family::V4),
        ("*", group) => Membership::any_source(group.parse().unwrap()).unwrap(),
        (source, group) => Membership::one_source(source.parse().unwrap(), group.parse().unwrap()).unwrap(),
    }
}

/// A manager and its routes: every source is reached through interface 1 unless [`Router::route`] changes
/// that.
pub(crate) struct Router {
    pub(crate) manager: Arc<GroupManager>,
    routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>>,
}

impl Router {
    pub(crate) fn new() -> Router {
        Router::with(ManagerConfig::default())
    }

    pub(crate) fn with(config: ManagerConfig) -> Router {
        let routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>> = Arc::default();
        let table = routes.clone();
        let lookup = move |source: IpAddr| {
            let known = table.lock().unwrap().get(&source).copied();
            let interface = known.unwrap_or(Some(Interface::of(Family::of(source), 1)))?;
            Some(ReversePath::through(interface))
        };
        Router { manager: Arc::new(GroupManager::new(config, Arc::new(lookup)).unwrap()), routes }
    }

    /// Sets the interface through which a source is reached, or `None` for no route.
    pub(crate) fn route(&self, source: &str, interface: Option<Interface>) {
        self.routes.lock().unwrap().insert(source.parse().unwrap(), interface);
    }

    /// Registers routing protocol `id` and takes IPv4 interfaces for it.
    pub(crate) fn client(&self, id: u32, interfaces: &[u32]) -> Handle {
        self.client_with(id, interfaces, Arc::new(()))
    }

    pub(crate) fn client_with(&self, id: u32, interfaces: &[u32], client: Arc<dyn Client>) -> Handle {
        let handle = self.manager.register(Protocol::new(id, 0), client).unwrap();
        interfaces.iter().for_each(|n| self.manager.take(handle, v4(*n)).unwrap());
        handle
    }

    /// Registers IGMP and takes IPv4 interfaces for it.
    pub(crate) fn igmp(&self, interfaces: &[u32]) -> Handle {
        self.client(Protocol::IGMP, interfaces)
    }

    pub(crate) fn igmp_with(&self, interfaces: &[u32], client: Arc<dyn Client>) -> Handle {
        self.client_with(Protocol::IGMP, interfaces, client)
    }

    pub(crate) fn add(
        &self,
        client: Handle,
        n: u32,
        what: &str,
        effect: StateChange,
    ) -> Result<(), MembershipError> {
        self.manager.add_membership(client, v4(n), membership(what), effect)
    }

    pub(crate) fn delete(
        &self,
        client: Handle,
        n: u32,
        what: &str,
        effect: StateChange,
    ) -> Result<(), MembershipError> {
        self.manager.delete_membership(client, v4(n), membership(what), effect)
    }

    pub(crate) fn join(&self, client: Handle, n: u32, what: &str) {
        self.add(client, n, what, StateChange::Join).unwrap();
    }

    pub(crate) fn leave(&self, client: Handle, n: u32, what: &str) {
        self.delete(client, n, what, StateChange::Join).unwrap();
    }

    pub(crate) fn new_flow(&self, what: &str) -> Result<FlowState, NewFlowError> {
        self.manager.new_flow(flow(what))
    }

    /// Returns the interfaces to which a packet path would copy a packet of the flow; `None` if the table has
    /// no live entry.
    pub(crate) fn outgoing(&self, what: &str) -> Option<Vec<u32>> {
        outgoing(&self.manager, &flow(what)).map(|out| out.into_iter().map(|i| i.index()).collect())
    }

    /// Returns the number of memberships.
    pub(crate) fn memberships(&self) -> usize {
        self.manager.memberships().len()
    }
}

/// Returns the interfaces to which a packet path would copy a packet of the flow; `None` if the table has no
/// live entry.
pub(crate) fn outgoing(manager: &GroupManager, flow: &Flow) -> Option<BTreeSet<Interface>> {
    let forwarding = manager.forwarding();
    let mut reader = forwarding.reader();
    let entry = reader.lookup(flow)?;
    if entry.incoming().is_some_and(|incoming| !incoming.stamp.is_current(forwarding.owners())) {
        return None;
    }
    Some(entry.live_outgoing().map(|o| manager.interface(o.interface).unwrap()).collect())
}

/// The arguments of a creation alert: the flow, the incoming interface, the outgoing ones and whether IGMP is
/// enabled there.
pub(crate) type Asked = (Flow, Interface, Vec<(Interface, bool)>);

/// A client that vetoes some interfaces in creation alerts, and records the alerts.
#[derive(Default)]
pub(crate) struct Vetoing {
    pub(crate) vetoed: Mutex<BTreeSet<Interface>>,
    pub(crate) asked: Mutex<Vec<Asked>>,
}

impl Vetoing {
    pub(crate) fn new(interfaces: &[u32]) -> Arc<Vetoing> {
        let vetoing = Vetoing::default();
        vetoing.vetoed.lock().unwrap().extend(interfaces.iter().map(|n| v4(*n)));
        Arc::new(vetoing)
    }

    /// Returns the alerts since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Client for Vetoing {
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let offered = alert.outgoing().iter().map(|o| (o.interface(), o.igmp_enabled())).collect();
        self.asked.lock().unwrap().push((alert.flow(), alert.incoming(), offered));
        let vetoed = self.vetoed.lock().unwrap();
        alert.outgoing_mut().iter_mut().filter(|o| vetoed.contains(&o.interface())).for_each(|o| o.veto());
    }
}
