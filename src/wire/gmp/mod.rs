//! The messages of IGMPv1, v2, v3 and of MLDv1, v2, parsed from octets.
//!
//! ```text
//!  IGMPv1/v2 (RFC 1112 appendix I, RFC 2236 section 2)    IGMPv3 report (RFC 3376 section 4.2)
//!  +--------+--------+----------------+                   +--------+--------+----------------+
//!  | type   | time   | checksum       |                   | 0x22   | 0      | checksum       |
//!  +--------+--------+----------------+                   +--------+--------+----------------+
//!  | group                            |                   | 0               | records        |
//!  +----------------------------------+                   +-----------------+----------------+
//!                                                         | record, record, ...              |
//!  MLDv1 (RFC 2710 section 3)                             +----------------------------------+
//!  +--------+--------+----------------+
//!  | type   | code   | checksum       |                   a record (MLDv2, RFC 3810 section 5.2: the same with
//!  +--------+--------+----------------+                   type 143 and addresses of 16 octets)
//!  | time            | 0              |                   +--------+--------+----------------+
//!  +-----------------+----------------+                   | kind   | aux    | sources        |
//!  | group, 16 octets                 |                   +--------+--------+----------------+
//!  +----------------------------------+                   | group; sources; aux words        |
//!                                                         +----------------------------------+
//! ```
//!
//! The parsers validate a message as a whole: its length, its checksum, and that every record ends within it. The
//! result borrows from the octets. Octets behind the last record are additional data: checksummed and ignored (RFC 3376
//! section 4.2.11, RFC 3810 section 5.2.11). A record's auxiliary data is skipped.

mod query;
mod records;
mod write;

pub use query::{GmpVersion, Query};
pub use records::{Record, RecordKind, Records};
pub use write::{ALL_HOSTS, ALL_NODES, QueryToSend};

use super::checksum;
use records::Address;
use std::net::{IpAddr, Ipv6Addr};
use zerocopy::FromBytes;
use zerocopy::byteorder::network_endian::U16;

const IGMP_QUERY: u8 = 0x11;
const IGMP_V1_REPORT: u8 = 0x12;
const IGMP_V2_REPORT: u8 = 0x16;
const IGMP_LEAVE: u8 = 0x17;
const IGMP_V3_REPORT: u8 = 0x22;
const MLD_QUERY: u8 = 130;
const MLD_V1_REPORT: u8 = 131;
const MLD_DONE: u8 = 132;
const MLD_V2_REPORT: u8 = 143;

/// Returns whether an ICMPv6 type is a type of MLD: 130, 131, 132 or 143.
#[must_use]
pub const fn is_mld(icmpv6_type: u8) -> bool {
    matches!(icmpv6_type, MLD_QUERY | MLD_V1_REPORT | MLD_DONE | MLD_V2_REPORT)
}

/// A datagram that carries an IGMP or MLD message.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The source address of the datagram.
    pub source: IpAddr,
    /// The destination address of the datagram.
    pub destination: IpAddr,
    /// The hop limit or time to live.
    pub hop_limit: u8,
    /// Whether the datagram has the Router Alert option (RFC 2113, RFC 2711).
    pub router_alert: bool,
    /// The message: the payload of IPv4 protocol 2, or the whole ICMPv6 message behind the extension headers.
    pub payload: &'a [u8],
}

/// A well-formed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A router's query for listeners.
    Query(Query<'a>),
    /// A host's report of one group, without sources: IGMPv1, IGMPv2, MLDv1.
    Report {
        /// The version; MLDv1 is [`GmpVersion::V2`].
        version: GmpVersion,
        /// The reported group.
        group: IpAddr,
    },
    /// A host's message that it leaves a group: IGMPv2 leave, MLDv1 done.
    Leave {
        /// The group that the host leaves.
        group: IpAddr,
    },
    /// A host's report of groups and sources: IGMPv3, MLDv2.
    Records(Records<'a>),
    /// A message of another IGMP or ICMPv6 type.
    Other(u8),
}

/// The reason why octets are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The message has fewer octets than its type requires.
    #[error("the message has {have} octets and needs at least {min}: it was cut short")]
    Short {
        /// The number of octets present.
        have: usize,
        /// The number of octets that the type requires.
        min: usize,
    },
    /// The checksum is wrong.
    #[error("the checksum is wrong: the message was damaged on its way")]
    Checksum,
    /// A query has a length that no version has (RFC 3376 section 7.1, RFC 3810 section 8.1).
    #[error("the query has {0} octets: no version has that length")]
    QueryLength(usize),
    /// A query's list of sources runs beyond the end of the message.
    #[error("the query's list of sources runs beyond the end of the message")]
    QuerySources,
    /// The record of a report at this position, counted from 0, runs beyond the end of the message.
    #[error("record {0} runs beyond the end of the report")]
    Record(u16),
}

const fn at_least(octets: &[u8], min: usize) -> Result<(), Malformed> {
    if octets.len() < min { Err(Malformed::Short { have: octets.len(), min }) } else { Ok(()) }
}

/// Returns the address at an offset. The caller has checked that the message is long enough.
fn address<A: Address>(octets: &[u8], offset: usize) -> Result<IpAddr, Malformed> {
    match octets.get(offset..).and_then(|octets| A::read_from_prefix(octets).ok()) {
        Some((address, _)) => Ok(address.into()),
        None => Err(Malformed::Short { have: octets.len(), min: offset + size_of::<A>() }),
    }
}

/// Returns the number at an offset. The caller has checked that the message is long enough.
fn number(octets: &[u8], offset: usize) -> Result<u16, Malformed> {
    match octets.get(offset..).and_then(|octets| U16::read_from_prefix(octets).ok()) {
        Some((number, _)) => Ok(number.get()),
        None => Err(Malformed::Short { have: octets.len(), min: offset + 2 }),
    }
}

/// Parses an IGMP message: the whole payload of an IPv4 datagram of protocol 2.
///
/// ```
/// use mgm::wire::gmp::{Message, parse_igmp};
/// let leave = [0x17, 0, 0xf9, 0xfb, 239, 0, 0, 3];
/// assert_eq!(parse_igmp(&leave), Ok(Message::Leave { group: "239.0.0.3".parse().unwrap() }));
/// ```
///
/// # Errors
/// [`Malformed`]: the whole message is to be ignored.
pub fn parse_igmp(payload: &[u8]) -> Result<Message<'_>, Malformed> {
    at_least(payload, 8)?;
    if !checksum::is_right(payload) {
        return Err(Malformed::Checksum);
    }
    Ok(match payload[0] {
        // A query of more than 8 octets is a version 3 query (RFC 3376 section 7.1).
        IGMP_QUERY => query::parse_igmp(payload)?,
        // Octets appended to the older messages are checksummed and ignored (RFC 2236 section 2.5).
        kind @ (IGMP_V1_REPORT | IGMP_V2_REPORT) => Message::Report {
            version: if kind == IGMP_V1_REPORT { GmpVersion::V1 } else { GmpVersion::V2 },
            group: address::<[u8; 4]>(payload, 4)?,
        },
        IGMP_LEAVE => Message::Leave { group: address::<[u8; 4]>(payload, 4)? },
        IGMP_V3_REPORT => Message::Records(Records::parse(&payload[8..], number(payload, 6)?, false)?),
        other => Message::Other(other),
    })
}

/// Parses an MLD message: a whole ICMPv6 message. Its checksum covers the addresses of the datagram.
///
/// Returns [`Message::Other`] for any other ICMPv6 message with a right checksum.
///
/// # Errors
/// [`Malformed`]: the whole message is to be ignored.
pub fn parse_mld(icmpv6: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> Result<Message<'_>, Malformed> {
    at_least(icmpv6, 4)?;
    if !checksum::is_right_icmpv6(icmpv6, source, destination) {
        return Err(Malformed::Checksum);
    }
    let kind = icmpv6[0];
    match kind {
        MLD_V2_REPORT => at_least(icmpv6, 8)?,
        MLD_QUERY | MLD_V1_REPORT | MLD_DONE => at_least(icmpv6, 24)?,
        _ => {}
    }
    Ok(match kind {
        MLD_QUERY => query::parse_mld(icmpv6)?,
        MLD_V1_REPORT => Message::Report { version: GmpVersion::V2, group: address::<[u8; 16]>(icmpv6, 8)? },
        MLD_DONE => Message::Leave { group: address::<[u8; 16]>(icmpv6, 8)? },
        MLD_V2_REPORT => Message::Records(Records::parse(&icmpv6[8..], number(icmpv6, 6)?, true)?),
        other => Message::Other(other),
    })
}
