//! Who takes part in `mgm forward`: the manager, the protocols, the way back to sources.

use crate::churn::Live;
use crate::config::{Config, ProtocolName, USUAL, list};
use anyhow::{Context, bail};
use mgm::forwarding::Family;
use mgm::manager::{GroupManager, Interface, ManagerConfig, RpfLookup};
use mgm::plane::capture::{CaptureRouter, Recording};
use mgm::protocol::gmp::{GmpConfig, GroupMembership};
use mgm::protocol::static_joins::StaticJoins;
use mgm::rpf::{LearnedRoutes, Prefix, RouteTable};
use std::sync::Arc;

/// Everybody at their places.
pub(crate) struct Setup {
    pub(crate) router: CaptureRouter,
    /// It takes every interface it runs on, joins or not, so that these have an owner in the routing role as well.
    pub(crate) _statics: StaticJoins,
    /// Which interfaces nobody else can have.
    pub(crate) live: Live,
}

/// A router for a recording.
pub(crate) fn set_up(recording: &Recording, config: Option<&Config>, churn: u16) -> anyhow::Result<Setup> {
    let mut ports = recording.ports();
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
        connected.extend(interface.addresses.iter().map(|address| (*address, port)));
    }

    let (routes, learned): (Arc<dyn RpfLookup>, _) = match config {
        Some(config) => {
            let routes = config.routes.iter();
            // That the interfaces are there was checked when the file was read, and just now.
            let routes = routes.filter_map(|(prefix, name)| Some((*prefix, place(name)?)));
            let route = |(network, port): (ipnet::IpNet, usize)| {
                let prefix = Prefix::new(network.addr(), network.prefix_len()).ok()?;
                Some((prefix, ports[port].interface(Family::of(network.addr()))))
            };
            (Arc::new(RouteTable::new(connected.into_iter().chain(routes).filter_map(route))), None)
        }
        None => {
            let learned = Arc::new(LearnedRoutes::new());
            (learned.clone(), Some(learned))
        }
    };
    let usual = ManagerConfig::default();
    let manager = Arc::new(GroupManager::new(
        usual
            .clone()
            .with_clients(16 + 64 * u32::from(churn))
            .with_interfaces(usual.interfaces + 2 * ports.len() as u32 + Live::OWN * u32::from(churn))
            .with_entries(1 << 20)
            .with_entries_per_interface(1 << 19)
            .with_negative_entries(1 << 19)
            .with_negative_entries_per_interface(1 << 18)
            .with_remembered_flows(1 << 19),
        routes,
    )?);

    // The routing role first: IGMP's memberships would not survive its coming later.
    let statics = StaticJoins::new(manager.clone())?;
    let igmp = GroupMembership::new(manager.clone(), Family::V4, GmpConfig::default())?;
    let mld = GroupMembership::new(manager.clone(), Family::V6, GmpConfig::default())?;
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
            .map(|family| ports[port].interface(family))
            .into_iter()
            .try_for_each(take)
            .with_context(|| format!("interface \"{}\"", ports[port].name))?;
    }
    for (name, membership) in config.into_iter().flat_map(|config| &config.joins) {
        let port = place(name).with_context(|| format!("interface \"{name}\""))?;
        let interface = ports[port].interface(membership.family());
        statics.join(interface, *membership)?;
    }
    Ok(Setup { router: CaptureRouter::new(manager, [igmp, mld], ports, learned), _statics: statics, live })
}
