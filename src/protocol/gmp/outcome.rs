//! The outcomes of calls of a [`GroupMembership`](super::GroupMembership).

use super::GmpConfigError;
use crate::manager::{Interface, RegisterError, TakeError};
use crate::wire::gmp::Malformed;
use std::net::IpAddr;

/// The outcome of a message. All but [`Malformed`](Received::Malformed) were well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A host's report, leave or done. It was applied.
    Report,
    /// A router's query.
    Query,
    /// A well-formed message that has no effect.
    Ignored(Ignored),
    /// The octets are not a message. The whole message is ignored.
    Malformed(Malformed),
}

/// The reason why a well-formed message has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// The message is neither a report nor a leave nor a query.
    #[error("a message of type {0}")]
    OtherType(u8),
    /// The datagram is of the other address family.
    #[error("a datagram of the other address family")]
    OtherFamily,
    /// The message arrived on an interface that this client has not taken.
    #[error("{0} is not taken")]
    NotTaken(Interface),
    /// An MLD message has a hop limit other than 1.
    #[error("hop limit {0}: the message may come from beyond the link")]
    HopLimit(u8),
    /// The source of an MLD message is not a link-local address.
    #[error("source {0} is not a link-local address")]
    NotLinkLocal(IpAddr),
    /// The reported address is not a group.
    #[error("{0} is not a multicast group")]
    NotAGroup(IpAddr),
    /// An IGMP message has a TTL other than 1.
    #[error("TTL {0}: the message may come from beyond the link")]
    Ttl(u8),
    /// The datagram has no Router Alert option.
    #[error("no Router Alert option: the message may come from beyond the link")]
    NoRouterAlert,
    /// The source of an IGMP message is in no network of its interface.
    #[error("source {0} is in no network of the interface")]
    NotFromLink(IpAddr),
    /// A report or leave without sources is for a group of a source-specific range.
    #[error("{0} is in a source-specific range, and the message names no source")]
    SourceSpecificRange(IpAddr),
    /// A leave of a group with hosts of IGMPv1, which cannot tell that they stay (RFC 3376 section 7.3.2).
    #[error("a leave of {0}, where a host of IGMPv1 is present")]
    OlderHost(IpAddr),
}

/// The reason why a [`GroupMembership`](super::GroupMembership) was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GmpError {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] GmpConfigError),
    /// The manager refused the registration.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// The reason why an interface was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GmpTakeError {
    /// The interface is of the other address family.
    #[error("{0} is of the other address family: IGMP takes IPv4 interfaces, MLD takes IPv6 ones")]
    OtherFamily(Interface),
    /// The manager refused.
    #[error(transparent)]
    Refused(#[from] TakeError),
}
