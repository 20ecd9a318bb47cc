//! The messages of IGMPv1, v2, v3 and of MLDv1, v2, read from bytes.
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
//! A message is judged whole before anything of it is handed out: its length, its checksum and that every record ends
//! within it. What is handed out borrows from the bytes. Octets behind the last record are additional data: checksummed
//! and ignored (RFC 3376 section 4.2.11, RFC 3810 section 5.2.11); a record's auxiliary data is skipped.

use etherparse::checksum::Sum16BitWords;
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

/// Whether an ICMPv6 type is one of MLD's: 130, 131, 132 or 143.
#[must_use]
pub const fn is_mld(icmpv6_type: u8) -> bool {
    matches!(icmpv6_type, MLD_QUERY | MLD_V1_REPORT | MLD_DONE | MLD_V2_REPORT)
}

/// A well-formed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A router asks who listens.
    Query {
        /// To which group; the unspecified address: to any.
        group: IpAddr,
    },
    /// A host reports one group, with no word of sources: IGMPv1, IGMPv2, MLDv1.
    Report {
        /// The group it listens to.
        group: IpAddr,
    },
    /// A host no longer listens to a group: IGMPv2 leave, MLDv1 done.
    Leave {
        /// The group it listened to.
        group: IpAddr,
    },
    /// A host reports groups and sources: IGMPv3, MLDv2.
    Records(Records<'a>),
    /// A message of another kind: the IGMP or ICMPv6 type.
    Other(u8),
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than its kind of message has.
    #[error("{have} bytes where the message has at least {least}: it was cut short")]
    Short {
        /// How many there are.
        have: usize,
        /// How many there would have to be.
        least: usize,
    },
    /// The checksum is wrong.
    #[error("the checksum is wrong: the message was damaged on its way")]
    Checksum,
    /// A query of a length that no version has (RFC 3376 section 7.1, RFC 3810 section 8.1).
    #[error("a query of {0} bytes: no version has that length")]
    QueryLength(usize),
    /// A query's list of sources runs beyond the end.
    #[error("the query's list of sources runs beyond its end")]
    QuerySources,
    /// A report's record runs beyond the end: which one, the first being 0.
    #[error("record {0} runs beyond the report's end")]
    Record(u16),
}

/// What a record says of a host's listening (RFC 3376 section 4.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// MODE_IS_INCLUDE: it listens to these sources.
    IsInclude,
    /// MODE_IS_EXCLUDE: it listens to all but these sources.
    IsExclude,
    /// CHANGE_TO_INCLUDE_MODE: from now on it listens to these sources.
    ToInclude,
    /// CHANGE_TO_EXCLUDE_MODE: from now on it listens to all but these sources.
    ToExclude,
    /// ALLOW_NEW_SOURCES: it listens to these sources too.
    Allow,
    /// BLOCK_OLD_SOURCES: it no longer listens to these sources.
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

/// An address as it lies in a message.
trait Address: FromBytes + Immutable + KnownLayout + Unaligned + Copy + Into<IpAddr> {}
impl Address for [u8; 4] {}
impl Address for [u8; 16] {}

/// What a record begins with.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RecordHead<A> {
    kind: u8,
    auxiliary_words: u8,
    sources: U16,
    group: A,
}

/// The addresses behind a head, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses<'a> {
    V4(&'a [[u8; 4]]),
    V6(&'a [[u8; 16]]),
}

/// The records of an IGMPv3 or MLDv2 report, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: u16,
    v6: bool,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it says; `None` for a kind that no RFC knows, to be ignored (RFC 3376 section 4.2.12).
    pub kind: Option<RecordKind>,
    /// Of which group: any address, for a host can write anything.
    pub group: IpAddr,
    sources: Addresses<'a>,
}

impl<'a> Record<'a> {
    /// The sources it lists, in their order: any addresses.
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

/// The record that `bytes` begins with, and what is behind it.
fn split_record<'a, A: Address>(
    bytes: &'a [u8],
    addresses: fn(&'a [A]) -> Addresses<'a>,
) -> Option<(Record<'a>, &'a [u8])> {
    let (head, rest) = RecordHead::<A>::ref_from_prefix(bytes).ok()?;
    let (sources, rest) = <[A]>::ref_from_prefix_with_elems(rest, head.sources.get().into()).ok()?;
    let rest = rest.get(4 * usize::from(head.auxiliary_words)..)?;
    let record =
        Record { kind: RecordKind::of(head.kind), group: head.group.into(), sources: addresses(sources) };
    Some((record, rest))
}

impl<'a> Records<'a> {
    /// Judges all of them, so that the iterator need not.
    fn parse(bytes: &'a [u8], count: u16, v6: bool) -> Result<Records<'a>, Malformed> {
        let records = Records { rest: bytes, left: count, v6 };
        let whole = records.clone().count();
        if whole < usize::from(count) {
            // `whole` is less than a u16.
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

const fn at_least(bytes: &[u8], least: usize) -> Result<(), Malformed> {
    if bytes.len() < least { Err(Malformed::Short { have: bytes.len(), least }) } else { Ok(()) }
}

/// The address at an offset; the caller has made sure that it is there.
fn address<A: Address>(bytes: &[u8], offset: usize) -> Result<IpAddr, Malformed> {
    match bytes.get(offset..).and_then(|bytes| A::read_from_prefix(bytes).ok()) {
        Some((address, _)) => Ok(address.into()),
        None => Err(Malformed::Short { have: bytes.len(), least: offset + size_of::<A>() }),
    }
}

/// The number at an offset; the caller has made sure that it is there.
fn number(bytes: &[u8], offset: usize) -> Result<u16, Malformed> {
    match bytes.get(offset..).and_then(|bytes| U16::read_from_prefix(bytes).ok()) {
        Some((number, _)) => Ok(number.get()),
        None => Err(Malformed::Short { have: bytes.len(), least: offset + 2 }),
    }
}

/// A query: of the older versions' length, or of the newest one's, which lists sources behind four octets more.
fn query<'a, A: Address>(bytes: &[u8], older: usize) -> Result<Message<'a>, Malformed> {
    let group = address::<A>(bytes, older - size_of::<A>())?;
    match bytes.len() - older {
        0 => {}
        1..4 => return Err(Malformed::QueryLength(bytes.len())),
        more => {
            let sources = usize::from(number(bytes, older + 2)?);
            if (more - 4) / size_of::<A>() < sources {
                return Err(Malformed::QuerySources);
            }
        }
    }
    Ok(Message::Query { group })
}

/// Reads an IGMP message: the payload of an IPv4 packet of protocol 2, whole.
///
/// ```
/// use mgm::protocol::igmp::wire::{Message, parse_igmp};
/// let leave = [0x17, 0, 0xf9, 0xfb, 239, 0, 0, 3];
/// assert_eq!(parse_igmp(&leave), Ok(Message::Leave { group: "239.0.0.3".parse().unwrap() }));
/// ```
///
/// # Errors
/// [`Malformed`], and then nothing of the message counts.
pub fn parse_igmp(payload: &[u8]) -> Result<Message<'_>, Malformed> {
    at_least(payload, 8)?;
    if Sum16BitWords::new().add_slice(payload).ones_complement() != 0 {
        return Err(Malformed::Checksum);
    }
    Ok(match payload[0] {
        // A version 2 query is longer than its 8 octets only if it is a version 3 query (RFC 3376 section 7.1).
        IGMP_QUERY => query::<[u8; 4]>(payload, 8)?,
        // Hosts may append octets to the older messages: they are checksummed and ignored (RFC 2236 section 2.5).
        IGMP_V1_REPORT | IGMP_V2_REPORT => Message::Report { group: address::<[u8; 4]>(payload, 4)? },
        IGMP_LEAVE => Message::Leave { group: address::<[u8; 4]>(payload, 4)? },
        IGMP_V3_REPORT => Message::Records(Records::parse(&payload[8..], number(payload, 6)?, false)?),
        other => Message::Other(other),
    })
}

/// Reads an MLD message: an ICMPv6 message, whole, and the addresses of the packet it came in, which its checksum covers.
///
/// Any other ICMPv6 message is [`Message::Other`], once its checksum is right.
///
/// # Errors
/// [`Malformed`], and then nothing of the message counts.
pub fn parse_mld(icmpv6: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> Result<Message<'_>, Malformed> {
    at_least(icmpv6, 4)?;
    let length = u32::try_from(icmpv6.len()).map_err(|_| Malformed::Checksum)?;
    let sum = Sum16BitWords::new()
        .add_16bytes(source.octets())
        .add_16bytes(destination.octets())
        .add_4bytes(length.to_be_bytes())
        .add_2bytes([0, etherparse::IpNumber::IPV6_ICMP.0])
        .add_slice(icmpv6);
    if sum.ones_complement() != 0 {
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
