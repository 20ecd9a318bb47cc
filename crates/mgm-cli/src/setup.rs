//! The router of `mgm forward` and `mgm soak`: the manager, its protocols and its routes.

use crate::config::{Config, DEFAULT_PROTOCOLS, ProtocolName, list};
use crate::terminal::plain::plain;
use anyhow::{Context, bail};
use ipnet::IpNet;
use mgm::forwarding::Family;
use mgm::manager::{GroupManager, Interface, ManagerConfig, RpfLookup};
use mgm::plane::Port;
use mgm::plane::capture::{CaptureRouter, Recording};
use mgm::protocol::gmp::{GmpConfig, GmpObserver, GroupMembership};
use mgm::protocol::static_joins::StaticJoins;
use mgm::rpf::{LearnedRoutes, Prefix, RouteTable};
use mgm_verify::churn::{CaptureInterfaces, INTERFACES_OF_THREAD};
use std::collections::HashMap;
use std::sync::Arc;

/// A router with its protocols.
pub(crate) struct Setup {
    pub(crate) router: CaptureRouter,
    /// Owns its interfaces in the routing role, with or without joins. It must live as long as the router.
    pub(crate) _static_joins: StaticJoins,
    /// The interfaces that the protocols own.
    pub(crate) capture: CaptureInterfaces,
}

/// Sets up a router for a recording, with room for this number of churn threads.
///
/// `observer` hears of each change of what hosts want.
pub(crate) fn set_up(
    recording: &Recording,
    config: Option<&Config>,
    churn: u16,
    observer: Option<Arc<dyn GmpObserver>>,
) -> anyhow::Result<Setup> {
    let mut ports = recording.ports();
    let default = if config.is_some() { Vec::new() } else { DEFAULT_PROTOCOLS.to_vec() };
    let mut protocols = vec![default; ports.len()];
    // The port of each interface of the configuration.
    let mut named: HashMap<&str, usize> = HashMap::new();
    let mut enabled = vec![config.is_none(); ports.len()];
    let mut connected = Vec::new();
    for interface in config.into_iter().flat_map(|config| &config.interfaces) {
        let found = recording.interfaces().iter().position(|known| known.name == interface.capture);
        let Some(port) = found else {
            let names = list(recording.interfaces().iter().map(|interface| &interface.name));
            let name = plain(&interface.capture);
            bail!("{}: the capture has no interface \"{name}\", only {names}", interface.place);
        };
        named.insert(&interface.name, port);
        enabled[port] = interface.enabled;
        if !interface.enabled {
            continue;
        }
        ports[port].name.clone_from(&interface.name);
        ports[port].mac = interface.mac.unwrap_or(ports[port].mac);
        protocols[port].clone_from(&interface.protocols);
        connected.extend(interface.addresses.iter().map(|address| (*address, port)));
    }

    let (routes, learned): (Arc<dyn RpfLookup>, _) = match config {
        Some(config) => {
            // Every route has an interface of the file, and the loop above has found each of these in the capture.
            let routes =
                config.routes.iter().filter_map(|(prefix, name)| Some((*prefix, *named.get(&**name)?)));
            (Arc::new(route_table(&ports, connected.iter().copied().chain(routes))), None)
        }
        None => {
            let learned = Arc::new(LearnedRoutes::new());
            (learned.clone(), Some(learned))
        }
    };
    let manager = Arc::new(GroupManager::new(manager_config(ports.len(), churn), routes)?);

    // The routing role comes first: IGMP's memberships end when the routing protocol of their interface changes.
    let static_joins = StaticJoins::new(manager.clone())?;
    let listener = |family, settings: Option<GmpConfig>| -> anyhow::Result<GroupMembership> {
        let listener = GroupMembership::new(manager.clone(), family, settings.unwrap_or_default())?;
        Ok(match &observer {
            Some(observer) => listener.with_observer(observer.clone()),
            None => listener,
        })
    };
    let igmp = listener(Family::V4, config.map(|config| config.igmp.clone()))?;
    let mld = listener(Family::V6, config.map(|config| config.mld.clone()))?;
    let mut capture = CaptureInterfaces::default();
    for (port, protocols) in protocols.iter().enumerate() {
        let take = |interface: Interface| -> anyhow::Result<()> {
            if protocols.contains(&ProtocolName::Static) {
                static_joins.take(interface)?;
                capture.routing.push(interface);
            }
            let (listener, name) = match interface.family() {
                Family::V4 => (&igmp, ProtocolName::Igmp),
                Family::V6 => (&mld, ProtocolName::Mld),
            };
            if protocols.contains(&name) {
                let addresses = connected
                    .iter()
                    .filter(|(address, of)| *of == port && Family::of(address.addr()) == interface.family());
                let addresses = addresses.map(|(address, _)| (address.addr(), address.prefix_len()));
                listener.set_addresses(interface, addresses.collect());
                listener.take(interface)?;
                capture.igmp.push(interface);
            }
            Ok(())
        };
        [Family::V4, Family::V6]
            .map(|family| ports[port].interface(family))
            .into_iter()
            .try_for_each(take)
            .with_context(|| format!("interface \"{}\"", plain(&ports[port].name)))?;
    }
    for (name, membership) in config.into_iter().flat_map(|config| &config.joins) {
        let port = *named.get(&**name).with_context(|| format!("interface \"{}\"", plain(name)))?;
        if enabled[port] {
            let interface = ports[port].interface(membership.family());
            static_joins.join(interface, *membership)?;
        }
    }
    let own = config.into_iter().flat_map(|config| &config.interfaces).filter_map(|interface| interface.mac);
    let inactive = enabled.iter().enumerate().filter(|(_, enabled)| !**enabled).map(|(port, _)| port);
    let router = CaptureRouter::new(manager, [igmp, mld], ports, learned)
        .with_own_addresses(own)
        .with_inactive_ports(inactive);
    Ok(Setup { router, _static_joins: static_joins, capture })
}

/// Returns the routes of a configuration: the networks of its interfaces and its `[[route]]`s, each with a port.
fn route_table(ports: &[Port], routes: impl Iterator<Item = (IpNet, usize)>) -> RouteTable {
    let route = |(network, port): (IpNet, usize)| {
        let prefix = Prefix::new(network.addr(), network.prefix_len()).ok()?;
        Some((prefix, ports[port].interface(Family::of(network.addr()))))
    };
    RouteTable::new(routes.filter_map(route))
}

/// Returns the limits of a manager for this number of ports and churn threads.
fn manager_config(ports: usize, churn: u16) -> ManagerConfig {
    let default = ManagerConfig::default();
    let interfaces = default.interfaces + 2 * ports as u32 + INTERFACES_OF_THREAD * u32::from(churn);
    let entries = entries(ports);
    default
        // Few, so that the churn uses the same slots again and again.
        .with_clients(16 + 64 * u32::from(churn))
        .with_interfaces(interfaces)
        .with_entries(entries)
        .with_entries_per_interface(entries / 2)
        .with_negative_entries(entries / 2)
        .with_negative_entries_per_interface(entries / 4)
        .with_remembered_flows(entries / 2)
}

/// The octets that all entries together may take. SECURITY.md has the octets of one entry.
const ENTRIES_BUDGET: u64 = 2 << 30;
const ENTRY_OCTETS: u64 = 1_300;
const ENTRY_OCTETS_EACH_PORT: u64 = 170;
const MAX_ENTRIES: u64 = 1 << 20;

/// Returns the maximum number of entries for this number of ports.
///
/// A sender chooses the flows, and hosts and VLAN tags choose the outgoing interfaces of each. The limit assumes that each entry
/// has every port as an outgoing interface.
pub(crate) fn entries(ports: usize) -> u32 {
    let octets = ENTRY_OCTETS.saturating_add(ENTRY_OCTETS_EACH_PORT.saturating_mul(ports as u64));
    // At least 4, so that a quarter is a limit too. At most MAX_ENTRIES: fits a u32.
    (ENTRIES_BUDGET / octets).clamp(4, MAX_ENTRIES) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_any_number_of_ports_fit_the_budget() {
        assert_eq!([1, 4, 2_000].map(entries), [1 << 20, 1 << 20, 6_292]);
        // The described interfaces and those of frames, at their most.
        for ports in [1, 4, 64, 999, 2_000, 4_096, 65_536 + 4_096] {
            let octets = u64::from(entries(ports)) * (1_300 + 170 * ports as u64);
            assert!(octets <= 2 << 30, "{ports}: {octets}");
            assert!(octets > 1 << 30, "{ports}: {octets}");
        }
        assert_eq!(entries(usize::MAX), 4);
        let config = manager_config(2_000, 1);
        assert_eq!((config.entries, config.entries_per_interface), (6_292, 3_146));
        assert_eq!((config.negative_entries, config.remembered_flows), (3_146, 3_146));
    }
}
