//! [`Membership`]: the packets that receivers want; [`StateChange`]: the scope of an add or a delete.

use crate::forwarding::{Family, Flow, FlowError};
use std::fmt;
use std::net::IpAddr;

/// The packets that receivers want: one source's packets to a group, every packet to a group, or every group.
///
/// There are no ranges: `MgmAddGroupMembershipEntry` in the Windows SDK takes a wildcard or one address for the source and
/// for the group.
///
/// ```
/// use mgm::manager::Membership;
/// let any = Membership::any_source("239.1.2.3".parse().unwrap()).unwrap();
/// assert_eq!(any.to_string(), "(*, 239.1.2.3)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Membership {
    /// (*, *): every group of a family.
    Everything(Family),
    /// (*, g): a group, from any source. [`Membership::any_source`] makes it and checks the group.
    AnySource(Group),
    /// (s, g): the packets of one source to a group.
    OneSource(Flow),
}

/// A multicast group address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "IpAddr", try_from = "IpAddr"))]
pub struct Group(IpAddr);

impl Group {
    /// Returns the group of an address.
    ///
    /// # Errors
    /// [`FlowError::GroupNotMulticast`] when the address is not a multicast address.
    pub fn new(address: IpAddr) -> Result<Group, FlowError> {
        if address.is_multicast() { Ok(Group(address)) } else { Err(FlowError::GroupNotMulticast(address)) }
    }

    /// Returns the address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

impl From<Group> for IpAddr {
    fn from(group: Group) -> IpAddr {
        group.address()
    }
}

impl TryFrom<IpAddr> for Group {
    type Error = FlowError;

    fn try_from(address: IpAddr) -> Result<Group, FlowError> {
        Group::new(address)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Membership {
    /// Returns (*, *) of a family.
    #[must_use]
    pub const fn everything(family: Family) -> Membership {
        Membership::Everything(family)
    }

    /// Returns (*, g).
    ///
    /// # Errors
    /// [`FlowError::GroupNotMulticast`].
    pub fn any_source(group: IpAddr) -> Result<Membership, FlowError> {
        Group::new(group).map(Membership::AnySource)
    }

    /// Returns (s, g).
    ///
    /// # Errors
    /// [`FlowError`] when the addresses cannot be a source and a group of one family.
    pub fn one_source(source: IpAddr, group: IpAddr) -> Result<Membership, FlowError> {
        Flow::new(source, group).map(Membership::OneSource)
    }

    /// Returns the group; `None` for (*, *).
    #[must_use]
    pub const fn group(&self) -> Option<IpAddr> {
        match self {
            Membership::Everything(_) => None,
            Membership::AnySource(group) => Some(group.address()),
            Membership::OneSource(flow) => Some(flow.group()),
        }
    }

    /// Returns the source; `None` for any source.
    #[must_use]
    pub const fn source(&self) -> Option<IpAddr> {
        match self {
            Membership::OneSource(flow) => Some(flow.source()),
            _ => None,
        }
    }

    /// Returns the membership of the same group for any source; (*, *) stays as it is.
    pub(in crate::manager) fn widened(self) -> Membership {
        match self {
            Membership::OneSource(flow) => Membership::AnySource(Group(flow.group())),
            wide => wide,
        }
    }

    /// Returns the address family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Membership::Everything(family) => *family,
            Membership::AnySource(group) => Family::of(group.address()),
            Membership::OneSource(flow) => flow.family(),
        }
    }

    /// Returns whether the membership covers a flow.
    #[must_use]
    pub fn covers(&self, flow: &Flow) -> bool {
        match self {
            Membership::Everything(family) => *family == flow.family(),
            Membership::AnySource(group) => group.address() == flow.group(),
            Membership::OneSource(one) => one == flow,
        }
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Membership::Everything(_) => f.write_str("(*, *)"),
            Membership::AnySource(group) => write!(f, "(*, {group})"),
            Membership::OneSource(flow) => write!(f, "{flow}"),
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The scope of an add or a delete: `MGM_JOIN_STATE_FLAG`, `MGM_FORWARD_STATE_FLAG`, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateChange {
    /// Changes the membership, and with it every entry the membership covers.
    Join,
    /// Changes only the entries that exist now: adds or removes the interface as an outgoing one. Later entries follow
    /// the memberships alone.
    Forward,
    /// Does both.
    JoinAndForward,
}
