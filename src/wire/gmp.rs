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

use super::checksum;
use std::net::{IpAddr, Ipv6Addr};
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

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
    /// The message: the payload of IPv4 protocol 2, or the whole ICMPv6 message behind the extension headers.
    pub payload: &'a [u8],
}

/// A well-formed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A router's query for listeners.
    Query {
        /// The queried group. The unspecified address stands for all groups (a general query).
        group: IpAddr,
    },
    /// A host's report of one group, without sources: IGMPv1, IGMPv2, MLDv1.
    Report {
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

/// The kind of a record (RFC 3376 section 4.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// MODE_IS_INCLUDE: the host listens to these sources.
    IsInclude,
    /// MODE_IS_EXCLUDE: the host listens to all but these sources.
    IsExclude,
    /// CHANGE_TO_INCLUDE_MODE: from now on the host listens to these sources.
    ToInclude,
    /// CHANGE_TO_EXCLUDE_MODE: from now on the host listens to all but these sources.
    ToExclude,
    /// ALLOW_NEW_SOURCES: the host listens to these sources too.
    Allow,
    /// BLOCK_OLD_SOURCES: the host no longer listens to these sources.
    Block,
}

impl RecordKind {
    const fn of(octet: u8) -> Option<RecordKind> {
        Some(match octet {
            1 => RecordKind::IsInclude,
            2 => RecordKind::IsExclude,
            3 => RecordKind::ToInclude,
            4 => RecordKind::ToExclude,
            5 => RecordKind::Allow,
            6 => RecordKind::Block,
            _ => return None,
        })
    }
}

/// An address in network byte order, as a message contains it.
trait Address: FromBytes + Immutable + KnownLayout + Unaligned + Copy + Into<IpAddr> {}
impl Address for [u8; 4] {}
impl Address for [u8; 16] {}

/// The fixed part of a record.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RecordHeader<A> {
    kind: u8,
    auxiliary_words: u8,
    sources: U16,
    group: A,
}

/// The addresses of a record, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses<'a> {
    V4(&'a [[u8; 4]]),
    V6(&'a [[u8; 16]]),
}

/// An iterator over the records of an IGMPv3 or MLDv2 report, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: u16,
    v6: bool,
}

/// A record of an IGMPv3 or MLDv2 report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The kind; `None` for a kind that no RFC defines, which receivers ignore (RFC 3376 section 4.2.12).
    pub kind: Option<RecordKind>,
    /// The group field: any address, since a host can write anything.
    pub group: IpAddr,
    sources: Addresses<'a>,
}

impl<'a> Record<'a> {
    /// Returns the listed sources in their order. They can be any addresses.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = IpAddr> + Clone + use<'a> {
        Sources { list: self.sources }
    }
}

#[derive(Clone)]
struct Sources<'a> {
    list: Addresses<'a>,
}

impl Iterator for Sources<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        match &mut self.list {
            Addresses::V4(list) => list.split_off_first().map(|&octets| octets.into()),
            Addresses::V6(list) => list.split_off_first().map(|&octets| octets.into()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.list {
            Addresses::V4(list) => list.len(),
            Addresses::V6(list) => list.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Sources<'_> {}

/// Splits the first record off `octets`.
fn split_record<'a, A: Address>(
    octets: &'a [u8],
    addresses: fn(&'a [A]) -> Addresses<'a>,
) -> Option<(Record<'a>, &'a [u8])> {
    let (header, rest) = RecordHeader::<A>::ref_from_prefix(octets).ok()?;
    let (sources, rest) = <[A]>::ref_from_prefix_with_elems(rest, header.sources.get().into()).ok()?;
    let rest = rest.get(4 * usize::from(header.auxiliary_words)..)?;
    let record =
        Record { kind: RecordKind::of(header.kind), group: header.group.into(), sources: addresses(sources) };
    Some((record, rest))
}

impl<'a> Records<'a> {
    /// Validates all records, so that the iterator cannot end early.
    fn parse(octets: &'a [u8], count: u16, v6: bool) -> Result<Records<'a>, Malformed> {
        let records = Records { rest: octets, left: count, v6 };
        let whole = records.clone().count();
        if whole < usize::from(count) {
            // `whole` is less than `count`, a u16.
            return Err(Malformed::Record(whole as u16));
        }
        Ok(records)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (record, rest) = if self.v6 {
            split_record(self.rest, Addresses::V6)
        } else {
            split_record(self.rest, Addresses::V4)
        }?;
        self.rest = rest;
        Some(record)
    }
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

/// Parses a query. One of the newest version lists sources, behind four further octets; `older` is the length before.
fn query<'a, A: Address>(octets: &[u8], older: usize) -> Result<Message<'a>, Malformed> {
    let group = address::<A>(octets, older - size_of::<A>())?;
    match octets.len() - older {
        0 => {}
        1..4 => return Err(Malformed::QueryLength(octets.len())),
        more => {
            let sources = usize::from(number(octets, older + 2)?);
            if (more - 4) / size_of::<A>() < sources {
                return Err(Malformed::QuerySources);
            }
        }
    }
    Ok(Message::Query { group })
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
        IGMP_QUERY => query::<[u8; 4]>(payload, 8)?,
        // Octets appended to the older messages are checksummed and ignored (RFC 2236 section 2.5).
        IGMP_V1_REPORT | IGMP_V2_REPORT => Message::Report { group: address::<[u8; 4]>(payload, 4)? },
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
        MLD_QUERY => query::<[u8; 16]>(icmpv6, 24)?,
        MLD_V1_REPORT => Message::Report { group: address::<[u8; 16]>(icmpv6, 8)? },
        MLD_DONE => Message::Leave { group: address::<[u8; 16]>(icmpv6, 8)? },
        MLD_V2_REPORT => Message::Records(Records::parse(&icmpv6[8..], number(icmpv6, 6)?, true)?),
        other => Message::Other(other),
    })
}
