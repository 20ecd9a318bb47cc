//! [`Port`]: a router interface as the capture plane sees it.

use crate::forwarding::{Family, InterfaceNumber};
use crate::manager::{GroupManager, Interface};
use crate::plane::rewrite::{ETHERNET_HEADER, ethernet_header, lower_hop_limit};
use crate::plane::{CannotForward, Link, MacAddress};
use std::net::IpAddr;

/// A router interface whose packets come from a recording. The recording's interface number `n` is the port at place `n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What it is called.
    pub name: String,
    /// What packets that leave here begin with.
    pub link: Link,
    /// Whom packets that leave here are from.
    pub mac: MacAddress,
}

impl Port {
    /// How protocols name the port at a place: interfaces are numbered from 1, as systems number theirs.
    #[must_use]
    pub fn interface(place: usize, family: Family) -> Interface {
        // No recording has 2^32 interfaces.
        Interface::of(family, place as u32 + 1)
    }

    /// The place of the port that protocols name so, of however many there are.
    #[must_use]
    pub fn place(interface: Interface) -> Option<usize> {
        let place = interface.index().checked_sub(1)?;
        interface.next_hop().is_unspecified().then_some(place as usize)
    }
}

/// Which ports the interface numbers of forwarding entries are, and the other way round.
pub(super) struct Numbering {
    /// For each port, the number of its IPv4 interface and that of its IPv6 interface.
    arrivals: Vec<[InterfaceNumber; 2]>,
    /// For each number, the place of its port.
    places: Vec<Option<u32>>,
}

impl Numbering {
    /// What no interface has: of a port on which nobody ever took anything. No entry names it.
    const NONE: InterfaceNumber = InterfaceNumber(u32::MAX);

    pub(super) fn new(manager: &GroupManager, ports: usize) -> Numbering {
        let number =
            |place, family| manager.interface_number(Port::interface(place, family)).unwrap_or(Self::NONE);
        let arrivals: Vec<_> =
            (0..ports).map(|place| [Family::V4, Family::V6].map(|family| number(place, family))).collect();
        let mut places = Vec::new();
        for (place, numbers) in (0..).zip(&arrivals) {
            for number in numbers.iter().filter(|number| **number != Self::NONE) {
                let at = number.0 as usize;
                places.resize(places.len().max(at + 1), None);
                places[at] = Some(place);
            }
        }
        Numbering { arrivals, places }
    }

    pub(super) fn arrival(&self, place: usize, family: Family) -> InterfaceNumber {
        self.arrivals.get(place).map_or(Self::NONE, |numbers| numbers[usize::from(family == Family::V6)])
    }

    /// `None`: an interface that is no port of this plane's.
    pub(super) fn place(&self, number: InterfaceNumber) -> Option<usize> {
        self.places.get(number.0 as usize).copied().flatten().map(|place| place as usize)
    }
}

/// A packet on its way out: one hop older already, with room for a link header before it.
#[derive(Default)]
pub(super) struct Copy {
    octets: Vec<u8>,
}

impl Copy {
    pub(super) fn load(&mut self, datagram: &[u8]) -> Result<(), CannotForward> {
        self.octets.resize(ETHERNET_HEADER, 0);
        self.octets.truncate(ETHERNET_HEADER);
        self.octets.extend_from_slice(datagram);
        lower_hop_limit(&mut self.octets[ETHERNET_HEADER..])
    }

    /// As it leaves through a port, once it was loaded.
    pub(super) fn through(&mut self, port: &Port, group: IpAddr) -> &[u8] {
        if port.link.has_ethernet_header() {
            self.octets[..ETHERNET_HEADER].copy_from_slice(&ethernet_header(group, port.mac));
            &self.octets
        } else {
            &self.octets[ETHERNET_HEADER..]
        }
    }
}
