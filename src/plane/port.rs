//! [`Port`]: a router interface as a plane sees it.

use super::{Link, MacAddress};
use crate::forwarding::{Family, InterfaceNumber};
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

/// Not a constant, so that the check of a number is a branch, which is guessed, and not one step more for every copy.
#[cold]
fn beyond() -> usize {
    usize::MAX
}

/// Which ports the interface numbers of forwarding entries are, and the other way round.
pub(super) struct Numbering {
    /// For each port, the number of its IPv4 interface and that of its IPv6 interface.
    arrivals: Vec<[InterfaceNumber; 2]>,
    /// For each number, the place of its port; [`Self::NOWHERE`] for what is none of this plane's.
    places: Vec<u32>,
}

impl Numbering {
    /// What no interface has: of a port on which nobody ever took anything. No entry names it.
    const NONE: InterfaceNumber = InterfaceNumber(u32::MAX);

    /// No port's place: there are not so many.
    const NOWHERE: u32 = u32::MAX;

    pub(super) fn new(manager: &GroupManager, ports: usize) -> Numbering {
        let number =
            |place, family| manager.interface_number(Port::interface(place, family)).unwrap_or(Self::NONE);
        let arrivals: Vec<_> =
            (0..ports).map(|place| [Family::V4, Family::V6].map(|family| number(place, family))).collect();
        let mut places = vec![Self::NOWHERE; 2 * ports];
        for (place, numbers) in (0..).zip(&arrivals) {
            for number in numbers.iter().filter(|number| **number != Self::NONE) {
                let at = number.0 as usize;
                places.resize(places.len().max(at + 1), Self::NOWHERE);
                places[at] = place;
            }
        }
        Numbering { arrivals, places }
    }

    #[cfg_attr(not(feature = "capture"), allow(dead_code, reason = "the capture plane asks so"))]
    pub(super) fn arrival(&self, place: usize, family: Family) -> InterfaceNumber {
        self.arrivals.get(place).map_or(Self::NONE, |numbers| numbers[usize::from(family == Family::V6)])
    }

    /// `None`: an interface that is no port of this plane's.
    #[inline]
    pub(super) fn place(&self, number: InterfaceNumber) -> Option<usize> {
        let place = *self.places.get(number.0 as usize)?;
        (place != Self::NOWHERE).then_some(place as usize)
    }

    /// The place of a port; of an interface that is none, or was none when it was last looked for, one that no port has.
    #[inline]
    pub(super) fn place_or_beyond(&self, number: InterfaceNumber) -> usize {
        match self.places.get(number.0 as usize) {
            Some(place) => *place as usize,
            None => beyond(),
        }
    }

    /// The numbers of a port's IPv4 interface and of its IPv6 interface, looked for again if nobody had taken one. Wait-free.
    pub(super) fn arrivals_now(&mut self, manager: &GroupManager, place: usize) -> [InterfaceNumber; 2] {
        let Some(numbers) = self.arrivals.get_mut(place) else { return [Self::NONE; 2] };
        for (number, family) in numbers.iter_mut().zip([Family::V4, Family::V6]) {
            if *number == Self::NONE
                && let Some(now) = manager.interface_number(Port::interface(place, family))
            {
                *number = now;
            }
        }
        *numbers
    }

    /// The place of the port with a number that was not known to be one's. Wait-free.
    #[cold]
    pub(super) fn place_now(&mut self, manager: &GroupManager, number: InterfaceNumber) -> Option<usize> {
        let place = Port::place(manager.interface(number)?).filter(|place| *place < self.arrivals.len())?;
        // No allocation here: a number there is no room for is looked for again.
        if let Some(known) = self.places.get_mut(number.0 as usize) {
            *known = place as u32;
        }
        Some(place)
    }
}
