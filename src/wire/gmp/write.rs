//! [`QueryToSend`]: a query that a router sends, written to octets.

use super::GmpVersion;
use super::query::{decode, decode_wide};
use super::{IGMP_QUERY, MLD_QUERY};
use crate::wire::checksum;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The destination of IGMP's general queries: all systems of a network.
pub const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// The destination of MLD's general queries: all nodes of a link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The most sources that one query names: more do not fit an Ethernet frame (RFC 3376 section 4.1.8, RFC 3810 section 5.1.10).
const V4_SOURCES: usize = 366;
const V6_SOURCES: usize = 89;

/// A query that a router sends.
///
/// ```
/// use mgm::wire::gmp::{GmpVersion, Message, QueryToSend, parse_igmp};
/// use std::{net::Ipv4Addr, time::Duration};
///
/// let query = QueryToSend {
///     version: GmpVersion::V3,
///     group: Ipv4Addr::new(232, 1, 1, 1).into(),
///     max_response_time: Duration::from_secs(1),
///     suppress: false,
///     robustness: 2,
///     query_interval: Duration::from_secs(125),
///     sources: vec![Ipv4Addr::new(192, 0, 2, 7).into()],
/// };
/// let octets = query.octets(Ipv4Addr::new(10, 0, 0, 1).into());
/// let Ok(Message::Query(parsed)) = parse_igmp(&octets) else { panic!("a query") };
/// assert_eq!((parsed.max_response_time, parsed.sources().len()), (Duration::from_secs(1), 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryToSend {
    /// The version of the message.
    pub version: GmpVersion,
    /// The group to ask for. The unspecified address of the family asks for all groups.
    pub group: IpAddr,
    /// The maximum response time. What the code cannot express is rounded down.
    pub max_response_time: Duration,
    /// The S flag. Only the newest version has it.
    pub suppress: bool,
    /// The robustness variable: 1 to 7. Only the newest version has it.
    pub robustness: u8,
    /// The query interval. What the code cannot express is rounded down. Only the newest version has it.
    pub query_interval: Duration,
    /// The sources to ask for, of the group's family. Only the newest version has them; it names at most 366 of IPv4, and 89 of
    /// IPv6.
    pub sources: Vec<IpAddr>,
}

impl QueryToSend {
    /// Returns the address that the query is sent to: the group, or every host of the link for a general query.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        match self.group {
            group if !group.is_unspecified() => group,
            IpAddr::V4(_) => ALL_HOSTS.into(),
            IpAddr::V6(_) => ALL_NODES.into(),
        }
    }

    /// Returns the most sources that one query of the group's family names.
    #[must_use]
    pub const fn max_sources(group: IpAddr) -> usize {
        match group {
            IpAddr::V4(_) => V4_SOURCES,
            IpAddr::V6(_) => V6_SOURCES,
        }
    }

    /// Writes the message: the payload of an IPv4 datagram of protocol 2, or an ICMPv6 message.
    ///
    /// `source` is the address of the sender, which the checksum of MLD covers with [`destination`](Self::destination).
    #[must_use]
    pub fn octets(&self, source: IpAddr) -> Vec<u8> {
        match (self.group, source) {
            (IpAddr::V6(group), IpAddr::V6(source)) => self.mld(group, source),
            (IpAddr::V6(group), IpAddr::V4(_)) => self.mld(group, Ipv6Addr::UNSPECIFIED),
            (IpAddr::V4(group), _) => self.igmp(group),
        }
    }

    fn igmp(&self, group: Ipv4Addr) -> Vec<u8> {
        let tenths = self.max_response_time.as_millis() / 100;
        let code = match self.version {
            GmpVersion::V1 => 0,
            // Zero would make it a query of version 1.
            GmpVersion::V2 => u8::try_from(tenths).unwrap_or(u8::MAX).max(1),
            GmpVersion::V3 => encode(tenths),
        };
        let mut octets = vec![IGMP_QUERY, code, 0, 0];
        octets.extend(group.octets());
        if self.version == GmpVersion::V3 {
            self.write_newest(&mut octets);
        }
        let sum = checksum::of(&octets);
        octets[2..4].copy_from_slice(&sum);
        octets
    }

    fn mld(&self, group: Ipv6Addr, source: Ipv6Addr) -> Vec<u8> {
        let time = self.max_response_time.as_millis();
        let code = match self.version {
            GmpVersion::V1 | GmpVersion::V2 => u16::try_from(time).unwrap_or(u16::MAX),
            GmpVersion::V3 => encode_wide(time),
        };
        let mut octets = vec![MLD_QUERY, 0, 0, 0];
        octets.extend(code.to_be_bytes());
        octets.extend([0, 0]);
        octets.extend(group.octets());
        if self.version == GmpVersion::V3 {
            self.write_newest(&mut octets);
        }
        let destination = if group.is_unspecified() { ALL_NODES } else { group };
        let sum = checksum::of_icmpv6(&octets, source, destination);
        octets[2..4].copy_from_slice(&sum);
        octets
    }

    fn write_newest(&self, octets: &mut Vec<u8>) {
        let robustness = if self.robustness > 7 { 0 } else { self.robustness };
        let count = self.sources.len().min(QueryToSend::max_sources(self.group));
        octets.push(u8::from(self.suppress) << 3 | robustness);
        octets.push(encode(self.query_interval.as_secs().into()));
        octets.extend((count as u16).to_be_bytes());
        for source in &self.sources[..count] {
            match (self.group, source) {
                (IpAddr::V4(_), IpAddr::V4(source)) => octets.extend(source.octets()),
                (IpAddr::V4(_), IpAddr::V6(_)) => octets.extend(Ipv4Addr::UNSPECIFIED.octets()),
                (IpAddr::V6(_), IpAddr::V6(source)) => octets.extend(source.octets()),
                (IpAddr::V6(_), IpAddr::V4(source)) => octets.extend(source.to_ipv6_mapped().octets()),
            }
        }
    }
}

/// Returns the eight-bit code of the greatest number that is at most `number`.
fn encode(number: u128) -> u8 {
    let above = (0..=u8::MAX).rev().find(|&code| u128::from(decode(code)) <= number);
    above.unwrap_or(0)
}

/// Returns the sixteen-bit code of the greatest number that is at most `number`.
fn encode_wide(number: u128) -> u16 {
    match u16::try_from(number) {
        Ok(code @ 0..0x8000) => code,
        _ => {
            let (mut low, mut high) = (0x8000, u16::MAX);
            while low < high {
                let middle = high - (high - low) / 2;
                if u128::from(decode_wide(middle)) <= number { low = middle } else { high = middle - 1 }
            }
            low
        }
    }
}
