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
    /// The port index by interface number; [`Self::NO_PORT`] for interfaces of other planes.
    by_vif: Vec<u32>,
    /// The same, for ports with an Ethernet header only. A packet path that serves only those reads no link.
    ethernet_by_vif: Vec<u32>,
}

#[derive(Debug)]
struct MappedPort {
    index: u32,
    link: Link,
    /// The numbers of the IPv4 and the IPv6 interface.
    arrivals: [VifIndex; 2],
}

impl PortMap {
    /// The number of no interface: it stands for an interface that no protocol has taken. No entry contains it.
    const NO_VIF: VifIndex = VifIndex(u32::MAX);

    /// An index that no port has.
    const NO_PORT: u32 = u32::MAX;

    /// Maps these ports, in the order of their port indices. Of two ports with one interface index, the first counts.
    #[must_use]
    pub fn new<'p>(manager: &GroupManager, ports: impl IntoIterator<Item = &'p Port>) -> PortMap {
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
        let vifs = known.map(|vif| vif.0 as usize + 1).max().unwrap_or_default().max(2 * ports.len());
        let arrivals: Vec<_> = ports.iter().map(|port| port.arrivals).collect();
        let (by_vif, ethernet_by_vif) = (vec![Self::NO_PORT; vifs], vec![Self::NO_PORT; vifs]);
        let mut map = PortMap { ports, by_interface, by_vif, ethernet_by_vif };
        for (port, arrivals) in arrivals.into_iter().enumerate() {
            arrivals.into_iter().for_each(|vif| map.insert(vif, port));
        }
        map
    }

    /// Records the port of a number, if there is room.
    fn insert(&mut self, vif: VifIndex, port: usize) {
        let at = vif.0 as usize;
        if let Some(known) = self.by_vif.get_mut(at) {
            *known = port as u32;
        }
        let has_header = self.ports.get(port).is_some_and(|port| port.link.has_ethernet_header());
        if let Some(known) = self.ethernet_by_vif.get_mut(at).filter(|_| has_header) {
            *known = port as u32;
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

    /// Returns the numbers of a port's IPv4 and IPv6 interface, and looks for those that were missing. Wait-free.
    pub fn refresh_arrivals(&mut self, manager: &GroupManager, port: usize) -> [VifIndex; 2] {
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

    /// Returns the port index of an interface number, as it was known last. Wait-free.
    #[inline]
    #[must_use]
    pub fn port(&self, vif: VifIndex) -> Option<usize> {
        let port = *self.by_vif.get(vif.0 as usize)?;
        (port != Self::NO_PORT).then_some(port as usize)
    }

    /// Returns the port index of an interface number that was unknown before. Wait-free.
    #[cold]
    pub fn refresh_port(&mut self, manager: &GroupManager, vif: VifIndex) -> Option<usize> {
        let port = self.port_of(manager.interface(vif)?)?;
        // Allocates nothing: a number without room in the map is looked for again each time.
        self.insert(vif, port);
        Some(port)
    }

    /// Returns the port indices by interface number, of ports with an Ethernet header.
    ///
    /// For all other numbers, known or not, it holds an index that no port has.
    #[inline]
    pub(super) fn ethernet_by_vif(&self) -> &[u32] {
        &self.ethernet_by_vif
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
}
