//! What a client can say of receivers: which packets they want, and how its word is to be taken.

use crate::forwarding::{Family, Flow, FlowError};
use std::fmt;
use std::net::IpAddr;

/// What receivers want: one source's packets to a group, anybody's packets to a group, or everything.
///
/// There are no ranges: `MgmAddGroupMembershipEntry` in the Windows SDK takes a wildcard or one address for each of both.
///
/// ```
/// use mgm::manager::Membership;
/// let anybody = Membership::any_source("239.1.2.3".parse().unwrap()).unwrap();
/// assert_eq!(anybody.to_string(), "(*, 239.1.2.3)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Membership {
    /// (*, *): every group of a family.
    Everything(Family),
    /// (*, g): a group, from any source. Made by [`Membership::any_source`], which checks the group.
    AnySource(Group),
    /// (s, g): one source's packets to a group.
    OneSource(Flow),
}

/// A multicast group address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "IpAddr", try_from = "IpAddr"))]
pub struct Group(IpAddr);

impl Group {
    /// A group.
    ///
    /// # Errors
    /// [`FlowError::GroupNotMulticast`] when the address is not a multicast address.
    pub fn new(address: IpAddr) -> Result<Group, FlowError> {
        if address.is_multicast() { Ok(Group(address)) } else { Err(FlowError::GroupNotMulticast(address)) }
    }

    /// Its address.
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

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Membership {
    /// (*, *) for a family.
    #[must_use]
    pub const fn everything(family: Family) -> Membership {
        Membership::Everything(family)
    }

    /// (*, g).
    ///
    /// # Errors
    /// [`FlowError::GroupNotMulticast`].
    pub fn any_source(group: IpAddr) -> Result<Membership, FlowError> {
        Group::new(group).map(Membership::AnySource)
    }

    /// (s, g).
    ///
    /// # Errors
    /// [`FlowError`] when the addresses cannot be a source and a group of one family.
    pub fn one_source(source: IpAddr, group: IpAddr) -> Result<Membership, FlowError> {
        Flow::new(source, group).map(Membership::OneSource)
    }

    /// The group; `None` for (*, *).
    #[must_use]
    pub const fn group(&self) -> Option<IpAddr> {
        match self {
            Membership::Everything(_) => None,
            Membership::AnySource(group) => Some(group.address()),
            Membership::OneSource(flow) => Some(flow.group()),
        }
    }

    /// The source; `None` for any.
    #[must_use]
    pub const fn source(&self) -> Option<IpAddr> {
        match self {
            Membership::OneSource(flow) => Some(flow.source()),
            _ => None,
        }
    }

    /// The same group's from any source.
    pub(super) fn of_any_source(self) -> Membership {
        match self {
            Membership::OneSource(flow) => Membership::AnySource(Group(flow.group())),
            wide => wide,
        }
    }

    /// The family of the addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Membership::Everything(family) => *family,
            Membership::AnySource(group) => Family::of(group.address()),
            Membership::OneSource(flow) => flow.family(),
        }
    }

    /// Whether a flow's packets are among those wanted.
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
            Membership::AnySource(group) => write!(f, "(*, {group:?})"),
            Membership::OneSource(flow) => write!(f, "{flow}"),
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How an add or a delete is to be taken: `MGM_JOIN_STATE_FLAG`, `MGM_FORWARD_STATE_FLAG`, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateChange {
    /// The membership itself changes, and every entry it affects with it.
    Join,
    /// Only the entries there are now change: the interface becomes, or stops being, an outgoing one in them. An entry that
    /// is made later is made from the memberships.
    Forward,
    /// Both.
    JoinAndForward,
}
