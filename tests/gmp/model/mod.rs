//! A plain model of the router side of IGMPv3 and MLDv2 on one interface, written from the tables of RFC 3376 and RFC 3810.
//!
//! It is slow and obvious on purpose: lists that are searched from the front, times as integers of milliseconds, and timers
//! that are looked at one after the other. It shares no code with the crate and does not know its types.
//!
//! Names are those of RFC 3376. RFC 3810 has the same tables (sections 7.2.1, 7.4.1, 7.4.2, 7.5, 7.6.1 to 7.6.3, 8.3.1 and 8.3.2
//! there) with other names: Filter Timer for Group Timer, MALI for GMI, LLQT for LMQT. The two differ in the codes of times, and
//! in MLDv1, which stands where IGMPv2 stands.

mod codes;
mod group;
mod network;
pub(crate) mod octets;

pub(crate) use codes::{Family, from_code, to_code};
pub(crate) use group::Group;
pub(crate) use network::Network;

use std::collections::BTreeSet;
use std::net::IpAddr;

/// A time or an interval, in milliseconds.
pub(crate) type Ms = u64;

/// A set of sources.
pub(crate) type Sources = BTreeSet<IpAddr>;

/// The types of group records (RFC 3376 section 4.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    IsIn,
    IsEx,
    ToIn,
    ToEx,
    Allow,
    Block,
}

/// The versions of IGMP. MLDv1 is `V2` here, and MLDv2 is `V3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V1,
    V2,
    V3,
}

/// A query, as it is on the wire: codes, not times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) version: Version,
    /// The Max Resp Code, or Maximum Response Code.
    pub(crate) code: u16,
    /// The queried group; `None` in a general query.
    pub(crate) group: Option<IpAddr>,
    pub(crate) sources: Sources,
    /// The S flag.
    pub(crate) suppress: bool,
    pub(crate) qrv: u8,
    pub(crate) qqic: u8,
}

/// The mode that the router is configured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It sends nothing, beside another router that may be the querier.
    Listening,
    /// It takes part in the election and sends queries while it is elected.
    Querier,
}

/// The configured values of RFC 3376 section 8. What is not in here follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The version of the queries that the router sends (section 7.3.1).
    pub(crate) version: Version,
    pub(crate) robustness: u64,
    pub(crate) query_interval: Ms,
    pub(crate) response_interval: Ms,
    pub(crate) last_member_interval: Ms,
    pub(crate) last_member_count: Option<u64>,
    pub(crate) startup_interval: Ms,
    pub(crate) startup_count: u64,
}
