//! [`Router`]: three namespaces in a row, and a manager with a kernel plane in the middle one.
//!
//! ```text
//! source eth0 ----- wan router lan ------ eth0 host
//!   10.1.0.2/24    10.1.0.1   10.2.0.1    10.2.0.2/24
//!   fd01::2/64     fd01::1     fd02::1    fd02::2/64
//! ```

use super::{Namespace, Network, eventually};
use mgm::forwarding::{Family, Flow};
use mgm::handle::Handle;
use mgm::manager::{
    EntryRecord, GroupManager, Interface, ManagerConfig, Membership, Protocol, RpfLookup, StateChange,
};
use mgm::rpf::RouteTable;
use mgm_linux::plane::{KernelPlane, KernelPlaneConfig};
use std::net::IpAddr;
use std::sync::Arc;

/// The networks are first, so that the plane ends before its namespace.
pub(crate) struct Router {
    pub(crate) plane: Option<KernelPlane>,
    pub(crate) manager: Arc<GroupManager>,
    /// A routing protocol that owns both interfaces.
    pub(crate) client: Handle,
    pub(crate) up: Interface,
    pub(crate) lan: Interface,
    pub(crate) source: Namespace,
    pub(crate) router: Namespace,
    pub(crate) host: Namespace,
    pub(crate) network: Network,
}

impl Router {
    pub(crate) fn new(family: Family) -> Router {
        Router::with(family, ManagerConfig::default())
    }

    pub(crate) fn with(family: Family, config: ManagerConfig) -> Router {
        Router::with_routes(family, config, |_, source_network, wan| {
            Arc::new(RouteTable::new([(source_network.parse().expect("a prefix"), wan)]))
        })
    }

    /// Makes a router with other routes. They are made of the router's namespace, the source's network, and the interface there.
    pub(crate) fn with_routes(
        family: Family,
        config: ManagerConfig,
        routes: impl FnOnce(&Namespace, &str, Interface) -> Arc<dyn RpfLookup>,
    ) -> Router {
        let mut network = Network::new();
        let [source, router, host] = ["source", "router", "host"].map(|role| network.namespace(role));
        network.connect(
            (&source, "eth0", &["10.1.0.2/24", "fd01::2/64"]),
            (&router, "wan", &["10.1.0.1/24", "fd01::1/64"]),
        );
        network.connect(
            (&router, "lan", &["10.2.0.1/24", "fd02::1/64"]),
            (&host, "eth0", &["10.2.0.2/24", "fd02::2/64"]),
        );
        source.run("ip route add default via 10.1.0.1");
        host.run("ip route add default via 10.2.0.1");
        let [up, lan] = ["wan", "lan"].map(|device| Interface::of(family, router.ifindex(device)));
        let network_of_source = if family == Family::V4 { "10.1.0.0/24" } else { "fd01::/64" };
        let routes = routes(&router, network_of_source, up);
        let manager = Arc::new(GroupManager::new(config, routes).expect("a manager"));
        let client = manager.register(Protocol::new(0x4000_0001, 0), Arc::new(())).expect("registered");
        [up, lan].iter().for_each(|interface| manager.take(client, *interface).expect("taken"));
        let mut router = Router { plane: None, manager, client, up, lan, source, router, host, network };
        router.start(KernelPlaneConfig::default());
        router
    }

    /// Starts a plane with both interfaces.
    pub(crate) fn start(&mut self, config: KernelPlaneConfig) {
        let (manager, family) = (self.manager.clone(), self.up.family());
        let plane = self.router.enter(|| KernelPlane::start(manager, family, config)).expect("a plane");
        for interface in [self.up, self.lan] {
            plane.add_interface(interface, interface.index(), 1).expect("a vif");
        }
        self.plane = Some(plane);
    }

    pub(crate) fn plane(&self) -> &KernelPlane {
        self.plane.as_ref().expect("a plane that runs")
    }

    /// Adds or deletes a membership (*, group) on the interface towards the host.
    pub(crate) fn join(&self, group: &str) {
        let membership = Membership::any_source(group.parse().expect("a group")).expect("a group");
        self.manager.add_membership(self.client, self.lan, membership, StateChange::Join).expect("joined");
    }

    /// Returns the flow from the source to a group.
    pub(crate) fn flow(&self, group: &str) -> Flow {
        let source = if self.up.family() == Family::V4 { "10.1.0.2" } else { "fd01::2" };
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        Flow::new(parse(source), parse(group)).expect("a flow")
    }

    /// Checks that `ip mroute show` and the plane have the manager's entries and no others.
    pub(crate) fn assert_same_entries(&self) {
        let expected = || -> Vec<String> {
            let name = |interface: &Interface| if *interface == self.up { "wan" } else { "lan" };
            let line = |entry: &EntryRecord| {
                let (source, group) = (entry.flow.source(), entry.flow.group());
                let outgoing: Vec<_> = entry.outgoing.iter().map(|out| name(&out.interface)).collect();
                format!("({source},{group}) {}", outgoing.join(" "))
            };
            self.manager.entries().iter().map(line).collect()
        };
        let shown = || -> Vec<String> {
            let mut lines: Vec<String> = self.mroute().iter().map(|line| shown_entry(line)).collect();
            // The manager's order: by group, then by source.
            lines.sort_by_key(|line| self.sort_key(line));
            lines
        };
        eventually("ip mroute shows the manager's entries", || {
            shown() == expected() && self.plane().entries().len() == expected().len()
        });
    }

    fn sort_key(&self, line: &str) -> Option<(IpAddr, IpAddr)> {
        let (flow, _) = line.strip_prefix('(')?.split_once(')')?;
        let (source, group) = flow.split_once(',')?;
        Some((group.parse().ok()?, source.parse().ok()?))
    }

    /// Returns the lines of `ip mroute show` in the router's namespace.
    pub(crate) fn mroute(&self) -> Vec<String> {
        let family = if self.up.family() == Family::V4 { "-4" } else { "-6" };
        let text = self.router.run(&format!("ip {family} mroute show"));
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }
}

/// Returns the flow and the outgoing interfaces of a line of `ip mroute show`.
fn shown_entry(line: &str) -> String {
    let (flow, rest) = line.split_once(" Iif: ").expect("an incoming interface");
    let outgoing = rest.split_once(" Oifs: ").map(|(_, oifs)| oifs.split_once(" State:").expect("a state").0);
    format!("{flow} {}", outgoing.unwrap_or_default())
}
