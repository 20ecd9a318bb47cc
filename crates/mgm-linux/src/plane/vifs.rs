//! [`VifTable`]: which interface has which vif number.
//!
//! The kernel's entries name vif numbers, and deleting a vif leaves the entries that name it. So a number that was deleted is
//! *retired*: it names no interface until no entry of the kernel names it any more.

use crate::mroute::{MAX_VIFS, MfcEntry, Vif};
use mgm::manager::Interface;
use std::collections::BTreeMap;

/// An interface that was given to the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) ifindex: u32,
    pub(super) threshold: u8,
    /// The vif number; `None` between the end of one and the beginning of the next.
    pub(super) vif: Option<u16>,
    /// Whether the kernel refused the interface the last time. Then it is not tried again by itself.
    pub(super) refused: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Number {
    #[default]
    Free,
    Names(Interface),
    Retired,
}

/// The interfaces of the plane and their vif numbers.
#[derive(Debug, Default)]
pub(super) struct VifTable {
    given: BTreeMap<Interface, Given>,
    numbers: [Number; MAX_VIFS],
}

impl VifTable {
    /// Adds an interface, without a number yet. Returns whether it is new.
    pub(super) fn give(&mut self, interface: Interface, ifindex: u32, threshold: u8) -> bool {
        if self.given.contains_key(&interface) {
            return false;
        }
        self.given.insert(interface, Given { ifindex, threshold, vif: None, refused: false });
        true
    }

    /// Removes an interface. Its number is retired. Returns what was given, with that number.
    pub(super) fn take_back(&mut self, interface: Interface) -> Option<Given> {
        let given = self.get(interface)?;
        self.retire(interface);
        self.given.remove(&interface);
        Some(given)
    }

    /// Returns the interfaces in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Interface, Given)> + '_ {
        self.given.iter().map(|(interface, given)| (*interface, *given))
    }

    /// Returns an interface.
    pub(super) fn get(&self, interface: Interface) -> Option<Given> {
        self.given.get(&interface).copied()
    }

    /// Returns the interface that a number names.
    pub(super) fn interface(&self, number: u16) -> Option<Interface> {
        match self.numbers.get(usize::from(number))? {
            Number::Names(interface) => Some(*interface),
            Number::Free | Number::Retired => None,
        }
    }

    /// Gives an interface a free number; `None` if it has one, is not there, or no number is free.
    pub(super) fn number(&mut self, interface: Interface) -> Option<Vif> {
        let given = self.given.get_mut(&interface).filter(|given| given.vif.is_none())?;
        let (number, slot) = (0..).zip(&mut self.numbers).find(|(_, slot)| **slot == Number::Free)?;
        *slot = Number::Names(interface);
        (given.vif, given.refused) = (Some(number), false);
        Some(Vif { number, ifindex: given.ifindex, threshold: given.threshold })
    }

    /// Takes a number back that the kernel refused.
    pub(super) fn refuse(&mut self, interface: Interface) {
        let Some(given) = self.given.get_mut(&interface) else { return };
        given.refused = true;
        if let Some(number) = given.vif.take() {
            self.set(number, Number::Free);
        }
    }

    /// Retires the number of an interface, which stays given. Returns the number.
    pub(super) fn retire(&mut self, interface: Interface) -> Option<u16> {
        let number = self.given.get_mut(&interface)?.vif.take()?;
        self.set(number, Number::Retired);
        Some(number)
    }

    /// Returns whether any number is retired.
    pub(super) fn has_retired(&self) -> bool {
        self.numbers.contains(&Number::Retired)
    }

    /// Returns the retired numbers, one bit each.
    pub(super) fn retired(&self) -> u32 {
        (0..)
            .zip(&self.numbers)
            .filter(|(_, slot)| **slot == Number::Retired)
            .fold(0, |all, (n, _)| all | 1 << n)
    }

    /// Frees the retired numbers among `swept`, one bit each, that are not in `named`.
    pub(super) fn free(&mut self, swept: u32, named: u32) {
        for number in 0..MAX_VIFS as u16 {
            if (swept & !named) >> number & 1 == 1 && self.numbers[usize::from(number)] == Number::Retired {
                self.set(number, Number::Free);
            }
        }
    }

    fn set(&mut self, number: u16, to: Number) {
        if let Some(slot) = self.numbers.get_mut(usize::from(number)) {
            *slot = to;
        }
    }
}

/// Returns the numbers by which an entry can forward, one bit each. The incoming number counts only beside an outgoing one.
pub(super) fn named_by(entry: &MfcEntry) -> u32 {
    let outgoing =
        (0..).zip(entry.ttls).filter(|(_, ttl)| *ttl > 0).fold(0, |all, (vif, _)| all | 1_u32 << vif);
    if outgoing == 0 { 0 } else { outgoing | 1_u32.checked_shl(entry.parent.into()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_number_is_not_used_before_it_was_swept() {
        let mut table = VifTable::default();
        let (one, two) = (Interface::v4(1), Interface::v4(2));
        assert!(table.give(one, 11, 1) && table.give(two, 12, 5) && !table.give(one, 13, 1));
        assert_eq!(table.number(one), Some(Vif { number: 0, ifindex: 11, threshold: 1 }));
        assert_eq!(table.number(one), None, "it has a number");
        assert_eq!((table.retire(one), table.interface(0)), (Some(0), None));
        assert_eq!(table.number(two).map(|vif| vif.number), Some(1));
        assert_eq!(table.number(one).map(|vif| vif.number), Some(2));
        assert!(table.has_retired());
        table.free(1, 1);
        assert_eq!(table.retired(), 1, "an entry names it still");
        table.free(0b111, 0);
        assert_eq!(table.retired(), 0);
        assert_eq!((table.interface(1), table.interface(2)), (Some(two), Some(one)), "numbers in use stay");
        assert_eq!(table.take_back(two).and_then(|given| given.vif), Some(1), "the number to delete");
        assert_eq!((table.retired(), table.get(two)), (0b10, None));
    }

    #[test]
    fn the_33rd_interface_has_no_number() {
        let mut table = VifTable::default();
        (0..33).for_each(|index| assert!(table.give(Interface::v6(index), index, 1)));
        let numbered = (0..33).filter_map(|index| table.number(Interface::v6(index))).count();
        assert_eq!(numbered, MAX_VIFS);
        table.refuse(Interface::v6(7));
        assert_eq!(table.number(Interface::v6(32)).map(|vif| vif.number), Some(7));
    }

    #[test]
    fn entries_name_the_numbers_they_forward_by() {
        let flow = mgm::forwarding::Flow::new([10, 0, 0, 1].into(), [239, 0, 0, 1].into()).unwrap();
        let mut entry = MfcEntry { flow, parent: 3, ttls: [0; MAX_VIFS] };
        assert_eq!(named_by(&entry), 0, "a negative entry forwards by none");
        entry.ttls[31] = 1;
        assert_eq!(named_by(&entry), 1 << 31 | 1 << 3);
    }
}
