//! [`Query`]: what a query of IGMP or MLD says.
//!
//! ```text
//!  IGMP (RFC 3376 section 4.1)                            MLD (RFC 3810 section 5.1)
//!  +--------+--------+----------------+                   +--------+--------+----------------+
//!  | 0x11   | time   | checksum       |                   | 130    | 0      | checksum       |
//!  +--------+--------+----------------+                   +--------+--------+----------------+
//!  | group                            |                   | time            | 0              |
//!  +------+-+-----+--------+----------+                   +-----------------+----------------+
//!  | 0    |S| QRV | QQIC   | sources  |                   | group, 16 octets                 |
//!  +------+-+-----+--------+----------+                   +------+-+-----+--------+----------+
//!  | source, source, ...              |                   | 0    |S| QRV | QQIC   | sources  |
//!  +----------------------------------+                   +------+-+-----+--------+----------+
//! ```
//!
//! The queries of IGMPv1, IGMPv2 and MLDv1 end behind the group.

use super::records::{Address, Addresses, Sources};
use super::{Malformed, Message, address, number};
use std::net::IpAddr;
use std::time::Duration;
use zerocopy::FromBytes;

/// A version of IGMP, or the version of MLD that does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GmpVersion {
    /// IGMPv1 (RFC 1112): hosts do not tell that they leave. MLD has no such version.
    V1,
    /// IGMPv2 (RFC 2236), MLDv1 (RFC 2710).
    V2,
    /// IGMPv3 (RFC 3376, RFC 9776), MLDv2 (RFC 3810, RFC 9777).
    V3,
}

/// A router's query for listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The version, which the length tells, and in IGMPv1 a maximum response time of zero (RFC 3376 section 7.1, RFC 3810
    /// section 8.1).
    pub version: GmpVersion,
    /// The queried group. The unspecified address stands for all groups (a general query).
    pub group: IpAddr,
    /// The maximum response time: listeners answer within it. Floating-point codes are decoded. 10 seconds in IGMPv1, which
    /// does not tell it (RFC 2236 section 4).
    pub max_response_time: Duration,
    /// The S flag: routers that hear this query do not lower their timers. False in older versions.
    pub suppress: bool,
    /// The querier's robustness variable (QRV): 0 if it exceeds 7, and in older versions.
    pub robustness: u8,
    /// The querier's query interval (QQIC), decoded: zero in older versions.
    pub query_interval: Duration,
    sources: Addresses<'a>,
}

impl<'a> Query<'a> {
    /// Returns the queried sources in their order. They can be any addresses.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = IpAddr> + Clone + use<'a> {
        Sources { list: self.sources }
    }

    /// Returns whether the query asks for all groups.
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.group.is_unspecified()
    }
}

/// Decodes an eight-bit code of RFC 3376 section 4.1.1: from 128 on it is a floating-point number.
pub(super) const fn decode(code: u8) -> u32 {
    match code {
        0..128 => code as u32,
        _ => (code as u32 & 0xf | 0x10) << ((code >> 4 & 7) + 3),
    }
}

/// Decodes a sixteen-bit code of RFC 3810 section 5.1.3: from 32768 on it is a floating-point number.
pub(super) const fn decode_wide(code: u16) -> u32 {
    match code {
        0..0x8000 => code as u32,
        _ => (code as u32 & 0xfff | 0x1000) << ((code >> 12 & 7) + 3),
    }
}

/// Parses what version 3 and MLDv2 have behind the group, at `offset`.
fn newest<'a, A: Address>(
    octets: &'a [u8],
    offset: usize,
    addresses: fn(&'a [A]) -> Addresses<'a>,
) -> Result<(bool, u8, Duration, Addresses<'a>), Malformed> {
    let behind = octets.get(offset..).unwrap_or_default();
    let &[flags, interval, _, _, ref list @ ..] = behind else {
        return Err(Malformed::QueryLength(octets.len()));
    };
    let count = number(octets, offset + 2)?;
    let (sources, _) =
        <[A]>::ref_from_prefix_with_elems(list, count.into()).map_err(|_| Malformed::QuerySources)?;
    let interval = Duration::from_secs(decode(interval).into());
    Ok((flags & 8 != 0, flags & 7, interval, addresses(sources)))
}

/// Parses an IGMP query of at least 8 octets.
pub(super) fn parse_igmp(octets: &[u8]) -> Result<Message<'_>, Malformed> {
    let group = address::<[u8; 4]>(octets, 4)?;
    let tenths = |tenths: u32| Duration::from_millis(100 * u64::from(tenths));
    let code = octets.get(1).copied().unwrap_or(0);
    if octets.len() == 8 {
        let (version, time) = match code {
            0 => (GmpVersion::V1, Duration::from_secs(10)),
            code => (GmpVersion::V2, tenths(code.into())),
        };
        return Ok(Message::Query(Query {
            version,
            group,
            max_response_time: time,
            suppress: false,
            robustness: 0,
            query_interval: Duration::ZERO,
            sources: Addresses::V4(&[]),
        }));
    }
    let (suppress, robustness, query_interval, sources) = newest(octets, 8, Addresses::V4)?;
    Ok(Message::Query(Query {
        version: GmpVersion::V3,
        group,
        max_response_time: tenths(decode(code)),
        suppress,
        robustness,
        query_interval,
        sources,
    }))
}

/// Parses an MLD query of at least 24 octets.
pub(super) fn parse_mld(octets: &[u8]) -> Result<Message<'_>, Malformed> {
    let (code, group) = (number(octets, 4)?, address::<[u8; 16]>(octets, 8)?);
    let milliseconds = |time: u32| Duration::from_millis(time.into());
    if octets.len() == 24 {
        return Ok(Message::Query(Query {
            version: GmpVersion::V2,
            group,
            max_response_time: milliseconds(code.into()),
            suppress: false,
            robustness: 0,
            query_interval: Duration::ZERO,
            sources: Addresses::V6(&[]),
        }));
    }
    let (suppress, robustness, query_interval, sources) = newest(octets, 24, Addresses::V6)?;
    Ok(Message::Query(Query {
        version: GmpVersion::V3,
        group,
        max_response_time: milliseconds(decode_wide(code)),
        suppress,
        robustness,
        query_interval,
        sources,
    }))
}
