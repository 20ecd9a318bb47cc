//! [`Port`]: a router interface as a plane sees it.

use super::{Link, MacAddress};
use crate::forwarding::{Family, VifIndex};
use crate::manager::{GroupManager, Interface};

/// A router interface. A plane knows its ports by their places: the capture plane's port at place `n` is the recording's
/// interface number `n`.
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
    arrivals: Vec<[VifIndex; 2]>,
    /// For each number, the place of its port; [`Self::NOWHERE`] for what is none of this plane's.
    places: Vec<u32>,
    /// The same, but for ports whose packets do not begin with an Ethernet header, which are nowhere here: so that a packet path
    /// which is for the others need not ask.
    ethernet: Vec<u32>,
    links: Vec<Link>,
}

impl Numbering {
    /// What no interface has: of a port on which nobody ever took anything. No entry names it.
    const NONE: VifIndex = VifIndex(u32::MAX);

    /// No port's place: there are not so many.
    const NOWHERE: u32 = u32::MAX;

    pub(super) fn new(manager: &GroupManager, links: impl Iterator<Item = Link>) -> Numbering {
        let links = Vec::from_iter(links);
        let ports = links.len();
        let number = |place, family| manager.vif_index(Port::interface(place, family)).unwrap_or(Self::NONE);
        let arrivals: Vec<_> =
            (0..ports).map(|place| [Family::V4, Family::V6].map(|family| number(place, family))).collect();
        let known = arrivals.iter().flatten().filter(|number| **number != Self::NONE);
        let most = known.map(|number| number.0 as usize + 1).max().unwrap_or_default().max(2 * ports);
        let nowhere = || vec![Self::NOWHERE; most];
        let (places, ethernet) = (nowhere(), nowhere());
        let mut numbering = Numbering { arrivals, places, ethernet, links };
        for place in 0..ports {
            numbering.arrivals[place].into_iter().for_each(|number| numbering.know(number, place));
        }
        numbering
    }

    /// Remembers whose a number is, if there is room.
    fn know(&mut self, number: VifIndex, place: usize) {
        let at = number.0 as usize;
        if let Some(known) = self.places.get_mut(at) {
            *known = place as u32;
        }
        let has_header = self.links.get(place).is_some_and(|link| link.has_ethernet_header());
        if let Some(known) = self.ethernet.get_mut(at).filter(|_| has_header) {
            *known = place as u32;
        }
    }

    #[cfg_attr(not(feature = "capture"), allow(dead_code, reason = "the capture plane asks so"))]
    pub(super) fn arrival(&self, place: usize, family: Family) -> VifIndex {
        self.arrivals.get(place).map_or(Self::NONE, |numbers| numbers[usize::from(family == Family::V6)])
    }

    /// `None`: an interface that is no port of this plane's.
    #[inline]
    pub(super) fn place(&self, number: VifIndex) -> Option<usize> {
        let place = *self.places.get(number.0 as usize)?;
        (place != Self::NOWHERE).then_some(place as usize)
    }

    /// By the numbers of interfaces, the places of ports whose packets begin with an Ethernet header; of an interface that is
    /// none, or was none when it was last looked for, a place that no port has.
    #[inline]
    pub(super) fn ethernet(&self) -> &[u32] {
        &self.ethernet
    }

    /// The numbers of a port's IPv4 interface and of its IPv6 interface, looked for again if nobody had taken one. Wait-free.
    pub(super) fn arrivals_now(&mut self, manager: &GroupManager, place: usize) -> [VifIndex; 2] {
        let Some(numbers) = self.arrivals.get_mut(place) else { return [Self::NONE; 2] };
        for (number, family) in numbers.iter_mut().zip([Family::V4, Family::V6]) {
            if *number == Self::NONE
                && let Some(now) = manager.vif_index(Port::interface(place, family))
            {
                *number = now;
            }
        }
        *numbers
    }

    /// The place of the port with a number that was not known to be one's. Wait-free.
    #[cold]
    pub(super) fn place_now(&mut self, manager: &GroupManager, number: VifIndex) -> Option<usize> {
        let place = Port::place(manager.interface(number)?).filter(|place| *place < self.arrivals.len())?;
        // No allocation here: a number there is no room for is looked for again.
        self.know(number, place);
        Some(place)
    }
}
