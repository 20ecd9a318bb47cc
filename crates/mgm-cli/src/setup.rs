//! Who takes part in `mgm forward`: the manager, the protocols, the way back to sources.

use crate::churn::Live;
use crate::config::{Config, ProtocolName, USUAL, list};
use anyhow::{Context, bail};
use ipnet::IpNet;
use mgm::forwarding::Family;
use mgm::manager::{GroupManager, Interface, ManagerConfig, ReversePath, Routes};
use mgm::plane::MacAddress;
use mgm::plane::capture::{LearnedRoutes, Port, Recording, Router};
use mgm::protocol::igmp::{Igmp, IgmpConfig};
use mgm::protocol::static_joins::StaticJoins;
use std::net::IpAddr;
use std::sync::Arc;

/// The routes of a configuration: the networks of the interfaces, and what is said besides.
struct RoutingTable {
    /// The longest prefix first; of two that are equal, a network of an interface.
    routes: Vec<(IpNet, usize)>,
}

impl RoutingTable {
    fn new(connected: Vec<(IpNet, usize)>, routes: Vec<(IpNet, usize)>) -> RoutingTable {
        let mut routes: Vec<_> = connected.into_iter().chain(routes).collect();
        routes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
        RoutingTable { routes }
    }
}

impl Routes for RoutingTable {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let (_, place) = self.routes.iter().find(|(prefix, _)| prefix.contains(&source))?;
        Some(ReversePath::through(Port::interface(*place, Family::of(source))))
    }
}

/// Everybody at their places.
pub(crate) struct Setup {
    pub(crate) router: Router,
    /// It takes every interface it runs on, joins or not, so that these have an owner in the routing role as well.
    pub(crate) _statics: StaticJoins,
    /// Which interfaces nobody else can have.
    pub(crate) live: Live,
}

/// A router for a recording.
pub(crate) fn set_up(recording: &Recording, config: Option<&Config>, churn: u16) -> anyhow::Result<Setup> {
    let mut ports: Vec<Port> = (1..)
        .zip(recording.interfaces())
        .map(|(number, interface)| Port {
            name: interface.name.clone(),
            link: interface.link,
            mac: interface.mac.unwrap_or(MacAddress::for_interface(number)),
        })
        .collect();
    let mut protocols = vec![if config.is_some() { Vec::new() } else { USUAL.to_vec() }; ports.len()];
    let place = |name: &str| recording.interfaces().iter().position(|interface| interface.name == name);
    let mut connected = Vec::new();
    for interface in config.into_iter().flat_map(|config| &config.interfaces) {
        let Some(port) = place(&interface.name) else {
            let names = list(recording.interfaces().iter().map(|interface| &interface.name));
            bail!("{}: \"{}\" is no interface of the capture, only {names}", interface.place, interface.name);
        };
        ports[port].mac = interface.mac.unwrap_or(ports[port].mac);
        protocols[port].clone_from(&interface.protocols);
        connected.extend(interface.addresses.iter().map(|address| (address.trunc(), port)));
    }

    let (routes, learned): (Arc<dyn Routes>, _) = match config {
        Some(config) => {
            let routes = config.routes.iter();
            // That the interfaces are there was checked when the file was read, and just now.
            let routes = routes.filter_map(|(prefix, name)| Some((*prefix, place(name)?))).collect();
            (Arc::new(RoutingTable::new(connected, routes)), None)
        }
        None => {
            let learned = Arc::new(LearnedRoutes::new());
            (learned.clone(), Some(learned))
        }
    };
    let usual = ManagerConfig::default();
    let manager = Arc::new(GroupManager::new(
        ManagerConfig {
            // Few, so that the slots of those that come and go are used again and again.
            clients: 16 + 64 * u32::from(churn),
            interfaces: usual.interfaces + 2 * ports.len() as u32 + Live::OWN * u32::from(churn),
            entries: 1 << 20,
            entries_per_interface: 1 << 19,
            negative_entries: 1 << 19,
            negative_entries_per_interface: 1 << 18,
            remembered_flows: 1 << 19,
            ..usual
        },
        routes,
    )?);

    // The routing role first: IGMP's memberships would not survive its coming later.
    let statics = StaticJoins::new(manager.clone())?;
    let igmp = Igmp::new(manager.clone(), Family::V4, IgmpConfig::default())?;
    let mld = Igmp::new(manager.clone(), Family::V6, IgmpConfig::default())?;
    let mut live = Live::default();
    for (port, protocols) in protocols.iter().enumerate() {
        let take = |interface: Interface| -> anyhow::Result<()> {
            if protocols.contains(&ProtocolName::Static) {
                statics.take(interface)?;
                live.routing.push(interface);
            }
            let (listener, name) = match interface.family() {
                Family::V4 => (&igmp, ProtocolName::Igmp),
                Family::V6 => (&mld, ProtocolName::Mld),
            };
            if protocols.contains(&name) {
                listener.take(interface)?;
                live.igmp.push(interface);
            }
            Ok(())
        };
        [Family::V4, Family::V6]
            .map(|family| Port::interface(port, family))
            .into_iter()
            .try_for_each(take)
            .with_context(|| format!("interface \"{}\"", ports[port].name))?;
    }
    for (name, membership) in config.into_iter().flat_map(|config| &config.joins) {
        let port = place(name).with_context(|| format!("interface \"{name}\""))?;
        let interface = Port::interface(port, membership.family());
        statics.join(interface, *membership)?;
    }
    Ok(Setup { router: Router::new(manager, [igmp, mld], ports, learned), _statics: statics, live })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_and_then_the_interface() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let table = RoutingTable::new(
            vec![(net("10.1.0.0/16"), 0), (net("fd00::/64"), 1)],
            vec![(net("0.0.0.0/0"), 2), (net("10.1.2.0/24"), 3), (net("10.1.0.0/16"), 4)],
        );
        let way = |source: &str| table.reverse_path(source.parse().unwrap()).map(|path| path.interface);
        assert_eq!(way("10.1.2.9"), Some(Port::interface(3, Family::V4)));
        assert_eq!(way("10.1.3.9"), Some(Port::interface(0, Family::V4)));
        assert_eq!(way("192.0.2.1"), Some(Port::interface(2, Family::V4)));
        assert_eq!(way("fd00::9"), Some(Port::interface(1, Family::V6)));
        assert_eq!(way("fd01::9"), None);
    }
}
