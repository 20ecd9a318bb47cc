//! [`PortMap`]: which port each interface number of the forwarding entries is.

use super::{Link, Port};
use crate::forwarding::{Family, VifIndex};
use crate::manager::{GroupManager, Interface};

/// Translates between the ports of a plane and the interface numbers ([`VifIndex`]) of forwarding entries.
///
/// A protocol may take an interface at any time, and only then has it a number. So the map looks for missing numbers again
/// when it is [asked](Self::refresh_arrivals) to. Nothing here allocates after [`new`](Self::new).
#[derive(Debug)]
pub struct PortMap {
    ports: Vec<MappedPort>,
    /// The interface index and the port index of each port, ordered.
    by_interface: Vec<(u32, u32)>,
    /// The ports by the place of their interface number.
    by_place: Vec<KnownPort>,
    /// The same, for ports with an Ethernet header without tags. A packet path that serves only those reads no link.
    ethernet_by_place: Vec<KnownPort>,
    /// The manager's version of the numbers by which `arrivals` were last looked for.
    version: u64,
}

/// The port of an interface number.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownPort {
    /// The whole number: another generation of the place is another interface.
    vif: VifIndex,
    port: u32,
}

impl KnownPort {
    /// The port of no number: an index that no port has.
    const NONE: KnownPort = KnownPort { vif: VifIndex::NONE, port: u32::MAX };

    /// Returns the port of an interface number, by place.
    #[inline(always)]
    pub(super) fn find(by_place: &[KnownPort], vif: VifIndex) -> Option<usize> {
        let known = by_place.get(vif.place() as usize)?;
        (known.vif == vif).then_some(known.port as usize)
    }
}

#[derive(Debug)]
struct MappedPort {
    index: u32,
    link: Link,
    /// The numbers of the IPv4 and the IPv6 interface.
    arrivals: [VifIndex; 2],
}

impl PortMap {
    /// Stands for an interface that no protocol has taken. No entry contains it.
    const NO_VIF: VifIndex = VifIndex::NONE;

    /// Maps these ports, in the order of their port indices. Of two ports with one interface index, the first counts.
    #[must_use]
    pub fn new<'p>(manager: &GroupManager, ports: impl IntoIterator<Item = &'p Port>) -> PortMap {
        let version = manager.interfaces_version();
        let ports: Vec<_> = (ports.into_iter())
            .map(|port| MappedPort {
                index: port.index,
                link: port.link,
                arrivals: [Family::V4, Family::V6]
                    .map(|family| manager.vif_index(port.interface(family)).unwrap_or(Self::NO_VIF)),
            })
            .collect();
        let mut by_interface: Vec<_> = (0..).zip(&ports).map(|(at, port)| (port.index, at)).collect();
        by_interface.sort_unstable();
        by_interface.dedup_by_key(|(index, _)| *index);
        let known = ports.iter().flat_map(|port| port.arrivals).filter(|vif| *vif != Self::NO_VIF);
        let vifs = known.map(|vif| vif.place() as usize + 1).max().unwrap_or_default().max(2 * ports.len());
        let arrivals: Vec<_> = ports.iter().map(|port| port.arrivals).collect();
        let (by_place, ethernet_by_place) = (vec![KnownPort::NONE; vifs], vec![KnownPort::NONE; vifs]);
        let mut map = PortMap { ports, by_interface, by_place, ethernet_by_place, version };
        for (port, arrivals) in arrivals.into_iter().enumerate() {
            arrivals.into_iter().for_each(|vif| map.insert(vif, port));
        }
        map
    }

    /// Records the port of a number, if there is room.
    fn insert(&mut self, vif: VifIndex, port: usize) {
        if vif == Self::NO_VIF {
            return;
        }
        let (at, new) = (vif.place() as usize, KnownPort { vif, port: port as u32 });
        if let Some(known) = self.by_place.get_mut(at) {
            *known = new;
        }
        let is_untagged = |link: Link| link.has_ethernet_header() && link.vlans().is_empty();
        let has_header = self.ports.get(port).is_some_and(|port| is_untagged(port.link));
        if let Some(known) = self.ethernet_by_place.get_mut(at).filter(|_| has_header) {
            *known = new;
        }
    }

    /// Returns the port index of an interface. Wait-free.
    #[must_use]
    pub fn port_of(&self, interface: Interface) -> Option<usize> {
        if !interface.next_hop().is_unspecified() {
            return None;
        }
        let at = self.by_interface.binary_search_by_key(&interface.index(), |(index, _)| *index).ok()?;
        self.by_interface.get(at).map(|(_, port)| *port as usize)
    }

    /// Returns the number of the interface on which packets of a family arrive at a port, as it was known last.
    ///
    /// If no protocol had taken the interface, returns a number that no entry contains. Wait-free.
    #[must_use]
    pub fn arrival(&self, port: usize, family: Family) -> VifIndex {
        self.ports.get(port).map_or(Self::NO_VIF, |port| port.arrivals[usize::from(family == Family::V6)])
    }

    /// Returns the numbers of a port's IPv4 and IPv6 interface, and looks for those that were missing or are outdated.
    /// Lock-free.
    pub fn refresh_arrivals(&mut self, manager: &GroupManager, port: usize) -> [VifIndex; 2] {
        // Before the look-ups: a number that is lost after them is looked for the next time.
        let version = manager.interfaces_version();
        if version != self.version {
            self.version = version;
            self.forget_outdated(manager);
        }
        let Some(port) = self.ports.get_mut(port) else { return [Self::NO_VIF; 2] };
        for (vif, family) in port.arrivals.iter_mut().zip([Family::V4, Family::V6]) {
            if *vif == Self::NO_VIF
                && let Some(now) = manager.vif_index(Interface::of(family, port.index))
            {
                *vif = now;
            }
        }
        port.arrivals
    }

    /// Forgets the numbers of interfaces that have lost theirs.
    #[cold]
    fn forget_outdated(&mut self, manager: &GroupManager) {
        for port in &mut self.ports {
            for (vif, family) in port.arrivals.iter_mut().zip([Family::V4, Family::V6]) {
                if manager.vif_index(Interface::of(family, port.index)) != Some(*vif) {
                    *vif = Self::NO_VIF;
                }
            }
        }
    }

    /// Returns the port index of an interface number, as it was known last. Wait-free.
    #[inline]
    #[must_use]
    pub fn port(&self, vif: VifIndex) -> Option<usize> {
        KnownPort::find(&self.by_place, vif)
    }

    /// Returns the port index of an interface number that was unknown before. Wait-free.
    #[cold]
    pub fn refresh_port(&mut self, manager: &GroupManager, vif: VifIndex) -> Option<usize> {
        let port = self.port_of(manager.interface(vif)?)?;
        // Allocates nothing: a number without room in the map is looked for again each time.
        self.insert(vif, port);
        Some(port)
    }

    /// Returns the ports with an Ethernet header without tags, by the place of their interface number ([`KnownPort::find`]).
    #[inline]
    pub(super) fn ethernet_by_place(&self) -> &[KnownPort] {
        &self.ethernet_by_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::ManagerConfig;
    use crate::plane::MacAddress;
    use std::sync::Arc;

    #[test]
    fn ports_are_found_by_their_interface_index() {
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap();
        let port = |index| Port {
            name: format!("p{index}"),
            index,
            link: Link::Ethernet,
            mac: MacAddress::for_interface(index),
        };
        let mut map = PortMap::new(&manager, &[port(700), port(3), port(700)]);
        assert_eq!(map.port_of(Interface::v4(700)), Some(0), "the first of two ports counts");
        assert_eq!(map.port_of(Interface::v6(3)), Some(1));
        assert_eq!(map.port_of(Interface::v4(4)), None);
        let link = Interface::with_next_hop(3, "192.0.2.1".parse().unwrap());
        assert_eq!(map.port_of(link), None, "a port is not one link of an interface");
        assert_eq!(map.arrival(1, Family::V4), map.arrival(9, Family::V4), "not taken, and no such port");
        assert_eq!(map.refresh_port(&manager, VifIndex(0)), None);

        let client = manager.register(crate::manager::Protocol::new(1, 0), Arc::new(())).unwrap();
        manager.take(client, Interface::v4(3)).unwrap();
        let vif = manager.vif_index(Interface::v4(3)).unwrap();
        assert_eq!(map.refresh_arrivals(&manager, 1)[0], vif);
        assert_eq!(map.arrival(1, Family::V4), vif);
        assert_eq!(map.port(vif).or_else(|| map.refresh_port(&manager, vif)), Some(1));
        assert_eq!(map.port(vif), Some(1));
    }

    /// An interface that has lost its place, and has another number when it is taken again.
    #[test]
    fn a_port_follows_its_interface_to_another_number() {
        let config = ManagerConfig::default().with_interfaces(1);
        let manager = GroupManager::new(config, Arc::new(|_| None)).unwrap();
        let client = manager.register(crate::manager::Protocol::new(1, 0), Arc::new(())).unwrap();
        let port =
            Port { name: "p".into(), index: 1, link: Link::Ethernet, mac: MacAddress::for_interface(1) };
        let take = |interface| {
            manager.take(client, interface).unwrap();
            manager.release(client, interface).unwrap();
            manager.vif_index(interface).unwrap()
        };
        let first = take(Interface::v4(1));
        let mut map = PortMap::new(&manager, &[port]);
        assert_eq!((map.arrival(0, Family::V4), map.port(first)), (first, Some(0)));
        let other = take(Interface::v4(2));
        assert_eq!(other.place(), first.place());
        assert_eq!(map.port(other), None, "another interface at the same place");
        assert_eq!(map.refresh_arrivals(&manager, 0)[0], VifIndex::NONE);
        let second = take(Interface::v4(1));
        assert_eq!(map.refresh_arrivals(&manager, 0)[0], second);
        assert_eq!(map.port(second).or_else(|| map.refresh_port(&manager, second)), Some(0));
        assert_eq!(map.port(first), None);
    }
}
