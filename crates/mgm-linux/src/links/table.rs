//! [`LinkTable`]: the interfaces, as the messages of the kernel tell.

use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An interface of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The index.
    pub index: u32,
    /// The name.
    pub name: String,
    /// Whether the administrator has set it up (`IFF_UP`).
    pub up: bool,
    /// Whether it can carry packets: it is up, and so is its carrier (`IFF_RUNNING`).
    pub running: bool,
    /// Whether it can carry multicast packets (`IFF_MULTICAST`).
    pub multicast: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// Whether it is a point-to-point interface.
    pub point_to_point: bool,
    /// The largest packet, in octets.
    pub mtu: u32,
    /// The addresses that can be used, each with the length of its network's prefix, in the kernel's order.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A change of the interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// An interface is there.
    Appeared(Link),
    /// An interface has another name, other flags or other addresses than before.
    Changed {
        /// The interface before.
        before: Link,
        /// The interface now.
        now: Link,
    },
    /// An interface is gone. Another one with its name may appear with another index.
    Vanished(Link),
}

/// The interfaces by index.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkTable {
    links: BTreeMap<u32, Link>,
}

impl LinkTable {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Applies a message of the kernel. Returns the change, if there is one.
    pub(super) fn apply(&mut self, message: &RouteNetlinkMessage) -> Option<LinkEvent> {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.set_link(link),
            // A bridge tells by a message of its own family that a port has left: the port's interface stays.
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.links.remove(&link.header.index).map(LinkEvent::Vanished)
            }
            RouteNetlinkMessage::NewAddress(address) => self.change_address(address, true),
            RouteNetlinkMessage::DelAddress(address) => self.change_address(address, false),
            _ => None,
        }
    }

    /// Returns the events that lead from this table to another.
    pub(super) fn differences(&self, to: &LinkTable) -> Vec<LinkEvent> {
        let gone = self.iter().filter(|link| to.get(link.index).is_none());
        let mut events: Vec<_> = gone.cloned().map(LinkEvent::Vanished).collect();
        for now in to.iter().cloned() {
            match self.get(now.index).cloned() {
                None => events.push(LinkEvent::Appeared(now)),
                Some(before) if before != now => events.push(LinkEvent::Changed { before, now }),
                Some(_) => {}
            }
        }
        events
    }

    fn set_link(&mut self, message: &LinkMessage) -> Option<LinkEvent> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let (index, flags) = (message.header.index, message.header.flags);
        let before = self.links.get(&index).cloned();
        let mut now = Link {
            index,
            name: before.as_ref().map_or(String::new(), |before| before.name.clone()),
            up: flags.contains(LinkFlags::Up),
            running: flags.contains(LinkFlags::Up | LinkFlags::Running),
            multicast: flags.contains(LinkFlags::Multicast),
            loopback: flags.contains(LinkFlags::Loopback),
            point_to_point: flags.contains(LinkFlags::Pointopoint),
            mtu: before.as_ref().map_or(0, |before| before.mtu),
            addresses: before.as_ref().map_or(Vec::new(), |before| before.addresses.clone()),
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => now.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => now.mtu = *mtu,
                _ => {}
            }
        }
        self.links.insert(index, now.clone());
        match before {
            None => Some(LinkEvent::Appeared(now)),
            Some(before) => (before != now).then_some(LinkEvent::Changed { before, now }),
        }
    }

    /// Adds or removes an address. One that another host may have too is not usable.
    fn change_address(&mut self, message: &AddressMessage, added: bool) -> Option<LinkEvent> {
        let address = address_of(message)?;
        let unusable = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
        let usable = added && !message.header.flags.intersects(unusable);
        let link = self.links.get_mut(&message.header.index)?;
        let before = link.clone();
        let known = link.addresses.iter().position(|known| *known == address);
        match (usable, known) {
            (true, None) => link.addresses.push(address),
            (false, Some(at)) => _ = link.addresses.remove(at),
            _ => return None,
        }
        Some(LinkEvent::Changed { before, now: link.clone() })
    }
}

/// Returns the local address of a message. On a point-to-point interface the other attribute is the peer's.
fn address_of(message: &AddressMessage) -> Option<(IpAddr, u8)> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    Some((address?, message.header.prefix_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, flags: LinkFlags) -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        (message.header.index, message.header.flags) = (index, flags);
        message.attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Mtu(1500)];
        RouteNetlinkMessage::NewLink(message)
    }

    fn address(index: u32, address: &str, flags: AddressHeaderFlags) -> AddressMessage {
        let mut message = AddressMessage::default();
        (message.header.index, message.header.flags, message.header.prefix_len) = (index, flags, 64);
        message.attributes = vec![AddressAttribute::Address(address.parse().unwrap())];
        message
    }

    #[test]
    fn links_appear_change_and_vanish() {
        let mut table = LinkTable::default();
        let appeared = table.apply(&link(3, "eth0", LinkFlags::empty()));
        assert!(matches!(appeared, Some(LinkEvent::Appeared(link)) if link.name == "eth0" && !link.up));
        assert_eq!(table.apply(&link(3, "eth0", LinkFlags::empty())), None, "the same again");
        let changed = table.apply(&link(3, "lan", LinkFlags::Up | LinkFlags::Running));
        let Some(LinkEvent::Changed { before, now }) = changed else { panic!("{changed:?}") };
        assert_eq!((before.name.as_str(), now.name.as_str(), now.running), ("eth0", "lan", true));
        let mut gone = LinkMessage::default();
        gone.header.index = 3;
        gone.header.interface_family = AddressFamily::Bridge;
        assert_eq!(table.apply(&RouteNetlinkMessage::DelLink(gone.clone())), None, "it left a bridge");
        gone.header.interface_family = AddressFamily::Unspec;
        assert!(matches!(table.apply(&RouteNetlinkMessage::DelLink(gone)), Some(LinkEvent::Vanished(_))));
    }

    #[test]
    fn tentative_addresses_are_not_there_yet() {
        let mut table = LinkTable::default();
        _ = table.apply(&link(3, "eth0", LinkFlags::Up));
        let new = |flags| RouteNetlinkMessage::NewAddress(address(3, "fe80::1", flags));
        assert_eq!(table.apply(&new(AddressHeaderFlags::Tentative)), None);
        assert!(table.apply(&new(AddressHeaderFlags::Permanent)).is_some());
        assert_eq!(table.get(3).unwrap().addresses, [("fe80::1".parse().unwrap(), 64)]);
        assert_eq!(table.apply(&new(AddressHeaderFlags::Permanent)), None, "it is known");
        let removed = RouteNetlinkMessage::DelAddress(address(3, "fe80::1", AddressHeaderFlags::Permanent));
        assert!(table.apply(&removed).is_some());
        assert!(table.get(3).unwrap().addresses.is_empty());
        let unknown = RouteNetlinkMessage::NewAddress(address(9, "fe80::1", AddressHeaderFlags::Permanent));
        assert_eq!(table.apply(&unknown), None, "an address of no interface");
    }

    #[test]
    fn the_differences_of_two_tables_lead_from_one_to_the_other() {
        let (mut old, mut new) = (LinkTable::default(), LinkTable::default());
        [link(1, "a", LinkFlags::Up), link(2, "b", LinkFlags::Up)].iter().for_each(|m| _ = old.apply(m));
        [link(2, "c", LinkFlags::Up), link(3, "a", LinkFlags::Up)].iter().for_each(|m| _ = new.apply(m));
        let kinds = old.differences(&new);
        assert!(
            matches!(kinds.as_slice(), [LinkEvent::Vanished(a), LinkEvent::Changed { .. }, LinkEvent::Appeared(b)]
                if a.index == 1 && b.index == 3)
        );
        assert!(new.differences(&new).is_empty());
    }
}
