//! [`Port`]: a router interface of a plane.

use super::{Link, MacAddress};
use crate::forwarding::Family;
use crate::manager::Interface;

/// A router interface of a plane.
///
/// A plane numbers its ports from 0, in the order in which it was given them: that is the *port index*. Protocols name a
/// port by the *interface index* that the plane gives it, as the operating system or the configuration numbers its
/// interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name, for reports.
    pub name: String,
    /// The interface index, by which protocols name the port. Distinct for each port of a plane.
    pub index: u32,
    /// The link header of packets that leave through this port.
    pub link: Link,
    /// The source address of packets that leave through this port.
    pub mac: MacAddress,
}

impl Port {
    /// Returns the interface by which protocols of an address family name this port.
    #[must_use]
    pub const fn interface(&self, family: Family) -> Interface {
        Interface::of(family, self.index)
    }
}
