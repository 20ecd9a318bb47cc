//! [`Flow`]: a (source, group) pair, the key of everything that is forwarded.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address family. Families never meet: an IPv4 and an IPv6 protocol can share a wire without seeing each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address. An IPv4-mapped IPv6 address is an IPv6 address.
    #[inline]
    #[must_use]
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

/// One multicast flow: what one source sends to one group.
///
/// Ordered by family, then group, then source, each address as its octets in network order: the order of walks.
///
/// ```
/// use mgm::forwarding::Flow;
/// let flow = Flow::new("192.0.2.7".parse().unwrap(), "232.1.2.3".parse().unwrap()).unwrap();
/// assert_eq!(flow.to_string(), "(192.0.2.7, 232.1.2.3)");
/// assert!(Flow::new("192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap()).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "(IpAddr, IpAddr)", try_from = "(IpAddr, IpAddr)"))]
pub struct Flow {
    source: IpAddr,
    group: IpAddr,
}

/// Why two addresses are not a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// The group is not a multicast address.
    #[error("{0} is not a multicast group: give one of 224.0.0.0/4 or ff00::/8")]
    GroupNotMulticast(IpAddr),
    /// The source is a multicast or the unspecified address, which no packet can be from.
    #[error("{0} cannot be a source: give the unicast address of a sender")]
    NotASource(IpAddr),
    /// The addresses are of different families.
    #[error("source {0} and group {1} are of different address families")]
    FamiliesDiffer(IpAddr, IpAddr),
}

impl Flow {
    /// The flow of one source and one group.
    ///
    /// # Errors
    /// [`FlowError`] when the addresses cannot be a source and a group of one family.
    #[inline]
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
        Ok(Flow { source, group })
    }

    /// The sender.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// The group it sends to.
    #[inline]
    #[must_use]
    pub const fn group(&self) -> IpAddr {
        self.group
    }

    /// The family of both.
    #[inline]
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.group)
    }

    /// The smallest key of a group: a place to start a walk of its flows.
    pub(crate) const fn first_of(group: IpAddr) -> Flow {
        let source = match group {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Flow { source, group }
    }
}

/// (source, group).
impl From<Flow> for (IpAddr, IpAddr) {
    fn from(flow: Flow) -> (IpAddr, IpAddr) {
        (flow.source, flow.group)
    }
}

impl TryFrom<(IpAddr, IpAddr)> for Flow {
    type Error = FlowError;

    fn try_from((source, group): (IpAddr, IpAddr)) -> Result<Flow, FlowError> {
        Flow::new(source, group)
    }
}

impl Ord for Flow {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.group, self.source).cmp(&(other.group, other.source))
    }
}

impl PartialOrd for Flow {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.source, self.group)
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
