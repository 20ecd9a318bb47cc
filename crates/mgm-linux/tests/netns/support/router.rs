//! [`Router`]: three namespaces in a row, and a manager with a kernel plane in the middle one.
//!
//! ```text
//! source eth0 ----- wan router lan ------ eth0 host
//!   10.1.0.2/24    10.1.0.1   10.2.0.1    10.2.0.2/24
//!   fd01::2/64     fd01::1     fd02::1    fd02::2/64
//! ```

use super::{Namespace, Network};
use mgm::forwarding::{Family, Flow};
use mgm::handle::Handle;
use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership, Protocol, StateChange};
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
        let routes = RouteTable::new([(network_of_source.parse().expect("a prefix"), up)]);
        let manager = Arc::new(GroupManager::new(config, Arc::new(routes)).expect("a manager"));
        let client = manager.register(Protocol::new(0x4000_0001, 0), Arc::new(())).expect("registered");
        [up, lan].iter().for_each(|interface| manager.take(client, *interface).expect("taken"));
        let mut router =
            Router { plane: None, manager, client, up, lan, source, router, host, network };
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

    /// Returns the lines of `ip mroute show` in the router's namespace.
    pub(crate) fn mroute(&self) -> Vec<String> {
        let family = if self.up.family() == Family::V4 { "-4" } else { "-6" };
        let text = self.router.run(&format!("ip {family} mroute show"));
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }
}
