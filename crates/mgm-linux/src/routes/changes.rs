//! [`Changes`]: which sources may have another reverse path after some events.

use mgm::rpf::Prefix;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of changed networks that are looked at one by one. More are cheaper together.
const MAX_NETWORKS: usize = 64;

/// The sources that may have another reverse path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// The sources in these networks.
    Networks(BTreeSet<Prefix>),
    /// Every source.
    Everything,
}

impl Changes {
    /// Returns what these events may have changed.
    pub(super) fn of(messages: &[RouteNetlinkMessage]) -> Changes {
        let mut networks = BTreeSet::new();
        for message in messages {
            match message {
                RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                    if concerns_sources(route)
                        && let Some(network) = network_of(route)
                    {
                        networks.insert(network);
                    }
                }
                // An interface that goes down takes its routes with it without a message for each.
                RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)
                    if link.header.interface_family == AddressFamily::Unspec =>
                {
                    return Changes::Everything;
                }
                RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_) => {}
                // Rules and next hops.
                _ => return Changes::Everything,
            }
        }
        if networks.len() > MAX_NETWORKS { Changes::Everything } else { Changes::Networks(networks) }
    }
}

/// Returns whether a route can lead to a source. The kernel's own multicast entries are routes of the multicast type.
fn concerns_sources(route: &RouteMessage) -> bool {
    !matches!(route.header.kind, RouteType::Multicast | RouteType::Broadcast)
        && matches!(route.header.address_family, AddressFamily::Inet | AddressFamily::Inet6)
}

/// Returns the network of a route; `None` if its prefix is longer than an address.
fn network_of(route: &RouteMessage) -> Option<Prefix> {
    let destination = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::from(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::from(*address)),
        _ => None,
    });
    let default: IpAddr = match route.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    Prefix::new(destination.unwrap_or(default), route.header.destination_prefix_length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::link::LinkMessage;

    fn route(network: &str, length: u8, kind: RouteType) -> RouteNetlinkMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        (message.header.kind, message.header.destination_prefix_length) = (kind, length);
        let destination = RouteAddress::Inet(network.parse().unwrap());
        message.attributes = vec![RouteAttribute::Destination(destination)];
        RouteNetlinkMessage::NewRoute(message)
    }

    #[test]
    fn a_changed_route_concerns_the_sources_of_its_network() {
        let events = [
            route("10.1.0.0", 16, RouteType::Unicast),
            route("10.1.0.0", 16, RouteType::Unicast),
            route("239.1.2.3", 32, RouteType::Multicast),
            route("10.2.0.0", 99, RouteType::Unicast),
        ];
        let expected = BTreeSet::from(["10.1.0.0/16".parse().unwrap()]);
        assert_eq!(Changes::of(&events), Changes::Networks(expected));
    }

    #[test]
    fn links_and_many_routes_concern_every_source() {
        let link = RouteNetlinkMessage::NewLink(LinkMessage::default());
        assert_eq!(Changes::of(&[link]), Changes::Everything);
        let many: Vec<_> = (0..65).map(|n| route(&format!("10.{n}.0.0"), 16, RouteType::Unicast)).collect();
        assert_eq!(Changes::of(&many), Changes::Everything);
        assert!(matches!(Changes::of(&many[1..]), Changes::Networks(networks) if networks.len() == 64));
    }
}
