//! [`Flow`]: a (source, group) pair, the key of every forwarding entry.

use std::fmt;
use std::hash::{Hash, Hasher};
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
// The words of an IPv6 flow are the group and the source, upper halves first. An IPv4 flow is in the first word: the group
// above the source. The others are 0. An IPv6 group begins with ff (RFC 4291 section 2.7) and an IPv4 group with e
// (RFC 5771 section 3), so the first word tells the family and is all of an IPv4 flow. The order of the words is the order
// of flows. The alignment is that of a slot's state word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "(IpAddr, IpAddr)", try_from = "(IpAddr, IpAddr)"))]
pub struct Flow {
    words: [u64; 4],
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
        match (source, group) {
            (IpAddr::V4(source), IpAddr::V4(group)) => Flow::of_v4(source, group),
            (IpAddr::V6(source), IpAddr::V6(group)) => Flow::of_v6(source, group),
            _ => None,
        }
        .ok_or_else(|| Flow::why_not(source, group))
    }

    /// Returns the reason why two addresses are no flow.
    #[cold]
    pub(super) fn why_not(source: IpAddr, group: IpAddr) -> FlowError {
        if Family::of(source) != Family::of(group) {
            FlowError::FamiliesDiffer(source, group)
        } else if group.is_multicast() {
            FlowError::NotASource(source)
        } else {
            FlowError::GroupNotMulticast(group)
        }
    }

    /// Makes the flow of an IPv4 source and group, or returns `None` where [`Flow::new`] returns an error.
    #[inline]
    pub(crate) fn of_v4(source: Ipv4Addr, group: Ipv4Addr) -> Option<Flow> {
        let is_flow = group.is_multicast() && !source.is_multicast() && !source.is_unspecified();
        is_flow.then(|| Flow::from_v4(source, group))
    }

    /// As [`of_v4`](Self::of_v4), of IPv6.
    fn of_v6(source: Ipv6Addr, group: Ipv6Addr) -> Option<Flow> {
        let is_flow = group.is_multicast() && !source.is_multicast() && !source.is_unspecified();
        is_flow.then(|| Flow::from_v6(source.to_bits(), group.to_bits()))
    }

    #[inline]
    const fn from_v4(source: Ipv4Addr, group: Ipv4Addr) -> Flow {
        Flow::from_first_word((group.to_bits() as u64) << 32 | source.to_bits() as u64)
    }

    /// Makes the IPv4 flow with this first word.
    #[inline]
    pub(super) const fn from_first_word(word: u64) -> Flow {
        Flow { words: [word, 0, 0, 0] }
    }

    const fn from_v6(source: u128, group: u128) -> Flow {
        Flow { words: [(group >> 64) as u64, group as u64, (source >> 64) as u64, source as u64] }
    }

    /// Returns the address of the sender.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        let [first, _, high, low] = self.words;
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(first as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(join(high, low))),
        }
    }

    /// Returns the group that the source sends to.
    #[inline]
    #[must_use]
    pub const fn group(&self) -> IpAddr {
        let [first, low, ..] = self.words;
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits((first >> 32) as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(join(first, low))),
        }
    }

    /// Returns the family of both addresses.
    #[inline]
    #[must_use]
    pub const fn family(&self) -> Family {
        if self.words[0] >= 0xff << 56 { Family::V6 } else { Family::V4 }
    }

    /// Compares two flows with a single branch. Look-ups compare keys only after the fingerprint matched, so the keys
    /// are nearly always equal.
    #[inline(always)]
    pub(super) const fn is(&self, other: &Flow) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, other.words);
        (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0
    }

    /// Returns the words: see the top of the structure.
    #[inline(always)]
    pub(super) const fn words(&self) -> [u64; 4] {
        self.words
    }

    /// Returns the source as an integer.
    #[cfg(feature = "manager")]
    pub(crate) const fn source_number(&self) -> u128 {
        to_integer(self.source())
    }

    /// Returns the low 32 bits of the group.
    #[inline]
    pub(crate) const fn low_group_bits(&self) -> u32 {
        let [first, low, ..] = self.words;
        match self.family() {
            Family::V4 => (first >> 32) as u32,
            Family::V6 => low as u32,
        }
    }

    /// Returns a lower bound of the flows of a source, where flows are ordered by source.
    #[cfg(feature = "manager")]
    pub(crate) const fn lower_bound_of(source: IpAddr) -> Flow {
        match source {
            IpAddr::V4(source) => Flow::from_v4(source, Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(source) => Flow::from_v6(source.to_bits(), 0xff << 120),
        }
    }

    /// Returns an upper bound of the flows of a source, where flows are ordered by source.
    #[cfg(feature = "manager")]
    pub(crate) const fn upper_bound_of(source: IpAddr) -> Flow {
        match source {
            IpAddr::V4(source) => Flow::from_v4(source, AFTER_GROUPS),
            IpAddr::V6(source) => Flow::from_v6(source.to_bits(), u128::MAX),
        }
    }

    /// Returns the lower bound of the keys of a group, where a walk of the group's flows starts.
    #[must_use]
    pub const fn first_of(group: IpAddr) -> Flow {
        match group {
            // An address that begins with ff is no group, and would be taken for one of IPv6.
            IpAddr::V4(group) if group.octets()[0] == 0xff => {
                Flow::from_v4(Ipv4Addr::UNSPECIFIED, AFTER_GROUPS)
            }
            IpAddr::V4(group) => Flow::from_v4(Ipv4Addr::UNSPECIFIED, group),
            IpAddr::V6(group) => Flow::from_v6(0, group.to_bits()),
        }
    }
}

/// An IPv4 address above every group that does not begin with ff, as IPv6 groups do.
const AFTER_GROUPS: Ipv4Addr = Ipv4Addr::new(0xfe, 255, 255, 255);

/// Hashes the words one by one. Hashers handle numbers faster than octets of any length.
impl Hash for Flow {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.iter().for_each(|word| state.write_u64(*word));
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

const fn join(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
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
