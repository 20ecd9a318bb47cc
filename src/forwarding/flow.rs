//! [`Flow`]: a (source, group) pair, the key of every forwarding entry.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address family.
///
/// The families are independent: an IPv4 protocol and an IPv6 protocol can run on one wire without seeing each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address. An IPv4-mapped IPv6 address is an IPv6 address.
    #[inline]
    #[must_use]
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

/// One multicast flow: the packets of one source to one group.
///
/// Flows are ordered by family, then group, then source, each address compared as its octets in network order. Walks
/// list flows in this order.
///
/// ```
/// use mgm::forwarding::Flow;
/// let flow = Flow::new("192.0.2.7".parse().unwrap(), "232.1.2.3".parse().unwrap()).unwrap();
/// assert_eq!(flow.to_string(), "(192.0.2.7, 232.1.2.3)");
/// assert!(Flow::new("192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap()).is_err());
/// ```
// Both addresses are stored as integers, so that comparing and hashing need no branch on the family. An IPv6 group
// begins with ff (RFC 4291 section 2.7), and no IPv4 address stored as an integer does. The alignment is that of a
// slot's state word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "(IpAddr, IpAddr)", try_from = "(IpAddr, IpAddr)"))]
#[repr(C, packed(8))]
pub struct Flow {
    group: u128,
    source: u128,
}

/// The reason why two addresses do not form a [`Flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The group is not a multicast address.
    #[error("{0} is not a multicast group: give one of 224.0.0.0/4 or ff00::/8")]
    GroupNotMulticast(IpAddr),
    /// The source is a multicast address or the unspecified address, which no packet can carry as its source.
    #[error("{0} cannot be a source: give the unicast address of a sender")]
    NotASource(IpAddr),
    /// The addresses are of different families.
    #[error("source {0} and group {1} are of different address families")]
    FamiliesDiffer(IpAddr, IpAddr),
}

impl Flow {
    /// Makes the flow of one source and one group.
    ///
    /// # Errors
    /// [`FlowError`] when the addresses cannot be a source and a group of one family.
    pub fn new(source: IpAddr, group: IpAddr) -> Result<Flow, FlowError> {
        if Family::of(source) != Family::of(group) {
            return Err(FlowError::FamiliesDiffer(source, group));
        }
        if !group.is_multicast() {
            return Err(FlowError::GroupNotMulticast(group));
        }
        if source.is_multicast() || source.is_unspecified() {
            return Err(FlowError::NotASource(source));
        }
        Ok(Flow { source: to_integer(source), group: to_integer(group) })
    }

    /// Makes the flow of an IPv4 source and group, or returns `None` where [`Flow::new`] returns an error.
    #[inline]
    pub(crate) fn of_v4(source: Ipv4Addr, group: Ipv4Addr) -> Option<Flow> {
        let is_flow = group.is_multicast() && !source.is_multicast() && !source.is_unspecified();
        is_flow.then(|| Flow { source: source.to_bits().into(), group: group.to_bits().into() })
    }

    /// Returns the address of the sender.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.to_address(self.source)
    }

    /// Returns the group that the source sends to.
    #[inline]
    #[must_use]
    pub const fn group(&self) -> IpAddr {
        self.to_address(self.group)
    }

    /// Returns the family of both addresses.
    #[inline]
    #[must_use]
    pub const fn family(&self) -> Family {
        // Tests the upper half only, which avoids a comparison of 128 bits.
        if (self.group >> 64) as u64 >= 0xff << 56 { Family::V6 } else { Family::V4 }
    }

    #[inline]
    const fn to_address(self, integer: u128) -> IpAddr {
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(integer as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(integer)),
        }
    }

    /// Compares two flows with a single branch. Look-ups compare keys only after the fingerprint matched, so the keys
    /// are nearly always equal.
    #[inline(always)]
    pub(super) const fn is(&self, other: &Flow) -> bool {
        (self.group ^ other.group) | (self.source ^ other.source) == 0
    }

    /// Returns source and group as integers.
    #[inline]
    pub(crate) const fn numbers(&self) -> (u128, u128) {
        (self.source, self.group)
    }

    /// Returns a lower bound of the flows of a source, where flows are ordered by source.
    #[cfg(feature = "manager")]
    pub(crate) const fn lower_bound_of(source: IpAddr) -> Flow {
        let group = match source {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => 0xff << 120,
        };
        Flow { source: to_integer(source), group }
    }

    /// Returns an upper bound of the flows of a source, where flows are ordered by source.
    #[cfg(feature = "manager")]
    pub(crate) const fn upper_bound_of(source: IpAddr) -> Flow {
        let group = match source {
            IpAddr::V4(_) => u32::MAX as u128,
            IpAddr::V6(_) => u128::MAX,
        };
        Flow { source: to_integer(source), group }
    }

    /// Returns the lower bound of the keys of a group, where a walk of the group's flows starts.
    #[must_use]
    pub const fn first_of(group: IpAddr) -> Flow {
        Flow { source: 0, group: to_integer(group) }
    }
}

/// Converts to the pair (source, group).
impl From<Flow> for (IpAddr, IpAddr) {
    fn from(flow: Flow) -> (IpAddr, IpAddr) {
        (flow.source(), flow.group())
    }
}

impl TryFrom<(IpAddr, IpAddr)> for Flow {
    type Error = FlowError;

    fn try_from((source, group): (IpAddr, IpAddr)) -> Result<Flow, FlowError> {
        Flow::new(source, group)
    }
}

const fn to_integer(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.source(), self.group())
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
