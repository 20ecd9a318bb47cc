//! [`Interface`]: the name under which protocols take, release and join.

use crate::forwarding::Family;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An interface of the router, named by (family, index, next hop).
///
/// The next hop is unspecified for broadcast and point-to-point interfaces. On a point-to-multipoint interface it names
/// one link, and two links are two interfaces here. IPv4 and IPv6 on one wire are two interfaces as well, so that
/// protocols of the two families never compete for an interface.
///
/// ```
/// use mgm::manager::Interface;
/// let lan = Interface::v4(3);
/// assert_ne!(lan, Interface::v6(3));
/// assert_ne!(lan, Interface::with_next_hop(3, "192.0.2.1".parse().unwrap()));
/// assert_eq!(lan.to_string(), "interface 3 (IPv4)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Interface {
    index: u32,
    next_hop: IpAddr,
}

impl Interface {
    /// Returns the IPv4 name of a broadcast or point-to-point interface.
    #[must_use]
    pub const fn v4(index: u32) -> Interface {
        Interface { index, next_hop: IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    }

    /// Returns the IPv6 name of a broadcast or point-to-point interface.
    #[must_use]
    pub const fn v6(index: u32) -> Interface {
        Interface { index, next_hop: IpAddr::V6(Ipv6Addr::UNSPECIFIED) }
    }

    /// Returns the name of a broadcast or point-to-point interface in a family.
    #[must_use]
    pub const fn of(family: Family, index: u32) -> Interface {
        match family {
            Family::V4 => Interface::v4(index),
            Family::V6 => Interface::v6(index),
        }
    }

    /// Returns the name of one link of a point-to-multipoint interface. Its family is that of the next hop.
    #[must_use]
    pub const fn with_next_hop(index: u32, next_hop: IpAddr) -> Interface {
        Interface { index, next_hop }
    }

    /// Returns the interface index.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Returns the next hop; it is unspecified for broadcast and point-to-point interfaces.
    #[must_use]
    pub const fn next_hop(&self) -> IpAddr {
        self.next_hop
    }

    /// Returns the address family.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.next_hop)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family() {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        if self.next_hop.is_unspecified() {
            write!(f, "interface {} ({family})", self.index)
        } else {
            write!(f, "interface {} via {} ({family})", self.index, self.next_hop)
        }
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
