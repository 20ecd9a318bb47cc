//! What callers see of an interface: [`GmpInterfaceState`], [`GroupState`], and the queries to send.

use crate::manager::Interface;
use crate::wire::gmp::{GmpVersion, QueryToSend};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The querier of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Querier {
    /// This router.
    This {
        /// The address that it sends queries from.
        address: IpAddr,
    },
    /// Another router.
    Other {
        /// The address of that router.
        address: IpAddr,
        /// The time at which it is taken to be gone, unless it is heard again.
        until: Duration,
    },
}

/// What a leave does on an interface at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaveActs {
    /// State ends the last member query time after the querier asked.
    AfterQuery,
    /// State ends with the last tracked host that wants it.
    AtOnce,
}

/// The limits that an interface has reached: it refused state since it was taken, or since
/// [`forget_everything`](super::GroupMembership::forget_everything).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsReached {
    /// Records for further groups were refused.
    pub groups: bool,
    /// Hosts of a group were refused.
    pub hosts: bool,
    /// Sources were left out.
    pub sources: bool,
}

impl LimitsReached {
    /// Returns whether any limit was reached.
    #[must_use]
    pub const fn any(self) -> bool {
        self.groups || self.hosts || self.sources
    }
}

/// The state of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GmpInterfaceState {
    /// The querier; `None` where none is heard and this router is none.
    pub querier: Option<Querier>,
    /// The version of the querier's last query; `None` without a querier.
    pub version: Option<GmpVersion>,
    /// The robustness variable in use.
    pub robustness: u8,
    /// The query interval in use.
    pub query_interval: Duration,
    /// The query response interval in use.
    pub query_response_interval: Duration,
    /// The time after which state lapses that no report renews.
    pub group_membership_interval: Duration,
    /// What a leave does.
    pub leave: LeaveActs,
    /// The number of groups with state.
    pub groups: usize,
    /// The number of sources with state, over all groups.
    pub sources: usize,
    /// The limits that were reached.
    pub limits_reached: LimitsReached,
}

/// The filter mode of a group on an interface (RFC 3376 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterMode {
    /// Only the listed sources are wanted.
    Include,
    /// Every source but the blocked ones is wanted.
    Exclude,
}

/// The state of a group on an interface (RFC 3376 section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupState {
    /// The group.
    pub group: IpAddr,
    /// The filter mode.
    pub mode: FilterMode,
    /// The time at which EXCLUDE ends; `None` in INCLUDE.
    pub until: Option<Duration>,
    /// The sources with a running timer, each with the time at which it ends. In EXCLUDE this is the requested list.
    pub sources: BTreeMap<IpAddr, Duration>,
    /// The blocked sources: the exclude list. Empty in INCLUDE.
    pub blocked: BTreeSet<IpAddr>,
    /// The oldest version among the hosts of the group (RFC 3376 section 7.3.2).
    pub compatibility: GmpVersion,
    /// The tracked hosts, in order; empty without tracking.
    pub hosts: Vec<IpAddr>,
}

/// A query that this router sends as querier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmission {
    /// The time at which the query was due.
    pub at: Duration,
    /// The interface to send it on.
    pub interface: Interface,
    /// The source address of the datagram: this router's address on the interface.
    pub source: IpAddr,
    /// The query.
    pub query: QueryToSend,
}

impl Transmission {
    /// Returns the destination address of the datagram.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        self.query.destination()
    }

    /// Writes the message. The datagram around it has TTL or hop limit 1 and the Router Alert option, and IPv4 precedence 0xc0
    /// (RFC 3376 section 4, RFC 3810 section 5).
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        self.query.octets(self.source)
    }
}
