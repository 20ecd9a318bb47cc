//! One question to the kernel: which route leads to an address.

use crate::netlink::{NetlinkError, NetlinkSocket};
use mgm::manager::Route;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the kernel says of the way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ifindex: u32,
    pub(super) neighbour: Option<IpAddr>,
    pub(super) route: Route,
}

/// Asks the kernel; `None` if no route leads there.
pub(super) fn ask(socket: &mut NetlinkSocket, address: IpAddr) -> Result<Option<Found>, NetlinkError> {
    match socket.get(RouteNetlinkMessage::GetRoute(question(address))) {
        Ok(Some(RouteNetlinkMessage::NewRoute(message))) => Ok(found(&message)),
        Ok(_) => Ok(None),
        // The kernel says by an error that there is no route, or that a route forbids the destination.
        Err(NetlinkError::Refused(error))
            if matches!(
                error.raw_os_error(),
                Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::ENOENT)
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns the question for the route itself rather than for its use by one packet (`RTM_F_FIB_MATCH`).
fn question(address: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.flags = RouteFlags::FibMatch;
    (message.header.address_family, message.header.destination_prefix_length) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    message.attributes.push(RouteAttribute::Destination(address.into()));
    message
}

/// Returns what a route says. Of several next hops the first is taken, so that the reverse path of a source stays the same.
fn found(message: &RouteMessage) -> Option<Found> {
    if !matches!(message.header.kind, RouteType::Unicast | RouteType::Local) {
        return None;
    }
    let unspecified: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut ifindex, mut neighbour, mut network) = (None, None, unspecified);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::Destination(address) => network = ip(address).unwrap_or(unspecified),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => neighbour = gateway(attribute),
            RouteAttribute::MultiPath(hops) => {
                let first: &RouteNextHop = hops.first()?;
                ifindex = Some(first.interface_index);
                neighbour = first.attributes.iter().find_map(gateway);
            }
            _ => {}
        }
    }
    let prefix_length = message.header.destination_prefix_length;
    let route = Route { protocol: u8::from(message.header.protocol).into(), network, prefix_length };
    Some(Found { ifindex: ifindex?, neighbour, route })
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(kind: RouteType, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        (message.header.address_family, message.header.kind) = (AddressFamily::Inet, kind);
        message.header.destination_prefix_length = 24;
        message.attributes = attributes;
        message
    }

    #[test]
    fn a_route_names_interface_neighbour_and_network() {
        let inet = |text: &str| RouteAddress::Inet(text.parse().unwrap());
        let message = route(
            RouteType::Unicast,
            vec![
                RouteAttribute::Destination(inet("10.1.0.0")),
                RouteAttribute::Oif(4),
                RouteAttribute::Gateway(inet("10.9.0.1")),
            ],
        );
        let found = found(&message).unwrap();
        assert_eq!((found.ifindex, found.neighbour), (4, Some("10.9.0.1".parse().unwrap())));
        assert_eq!((found.route.network, found.route.prefix_length), ("10.1.0.0".parse().unwrap(), 24));
    }

    #[test]
    fn the_first_of_several_next_hops_is_taken() {
        let mut hop = RouteNextHop::default();
        hop.interface_index = 7;
        let mut other = RouteNextHop::default();
        other.interface_index = 8;
        let message = route(RouteType::Unicast, vec![RouteAttribute::MultiPath(vec![hop, other])]);
        assert_eq!(found(&message).map(|found| found.ifindex), Some(7));
        assert_eq!(found(&route(RouteType::Unicast, vec![RouteAttribute::MultiPath(Vec::new())])), None);
    }

    #[test]
    fn a_route_that_forbids_is_no_reverse_path() {
        assert_eq!(found(&route(RouteType::BlackHole, vec![RouteAttribute::Oif(1)])), None);
        assert_eq!(found(&route(RouteType::Unicast, Vec::new())), None, "no interface");
    }
}
