//! Queries as octets, written and read by the figures of RFC 3376 section 4.1, RFC 3810 section 5.1 and RFC 2710 section 3.

use super::{Family, Query, Sources, Version};
use crate::support::igmp_messages::{seal, seal6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the destination of a query: all systems, or the queried group (RFC 3376 section 4.1.12).
pub(crate) fn destination(family: Family, query: &Query) -> IpAddr {
    match (query.group, family) {
        (Some(group), _) => group,
        (None, Family::Igmp) => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)),
        (None, Family::Mld) => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
    }
}

/// Writes a query as an IGMP or ICMPv6 message, with its checksum.
pub(crate) fn write(family: Family, query: &Query, from: IpAddr) -> Vec<u8> {
    let (mut octets, unspecified) = match family {
        Family::Igmp => (vec![0x11, query.code as u8, 0, 0], IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Family::Mld => {
            let code = query.code.to_be_bytes();
            (vec![130, 0, 0, 0, code[0], code[1], 0, 0], IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        }
    };
    push(&mut octets, query.group.unwrap_or(unspecified));
    if query.version == Version::V3 {
        octets.extend([u8::from(query.suppress) << 3 | query.qrv, query.qqic]);
        octets.extend((query.sources.len() as u16).to_be_bytes());
        query.sources.iter().for_each(|source| push(&mut octets, *source));
    }
    match (from, destination(family, query)) {
        (IpAddr::V6(from), IpAddr::V6(to)) => seal6(octets, from, to),
        _ => seal(octets),
    }
}

/// Reads a query. Fails the test if the octets are not one.
pub(crate) fn read(family: Family, octets: &[u8]) -> Query {
    let (kind, length, older) = match family {
        Family::Igmp => (0x11, 4, 8),
        Family::Mld => (130, 16, 24),
    };
    assert_eq!(octets[0], kind, "{octets:02x?}");
    let code = match family {
        Family::Igmp => octets[1].into(),
        Family::Mld => u16::from_be_bytes([octets[4], octets[5]]),
    };
    let group = address(&octets[older - length..older]);
    let mut query = Query {
        version: if family == Family::Igmp && code == 0 { Version::V1 } else { Version::V2 },
        code,
        group: (!group.is_unspecified()).then_some(group),
        sources: Sources::new(),
        suppress: false,
        qrv: 0,
        qqic: 0,
    };
    if octets.len() > older {
        let count = usize::from(u16::from_be_bytes([octets[older + 2], octets[older + 3]]));
        // Section 4.1.10: nothing beyond the fields is sent.
        assert_eq!(octets.len(), older + 4 + length * count, "{octets:02x?}");
        query.version = Version::V3;
        query.suppress = octets[older] & 8 != 0;
        query.qrv = octets[older] & 7;
        assert_eq!(octets[older] >> 4, 0, "the reserved bits: {octets:02x?}");
        query.qqic = octets[older + 1];
        query.sources = octets[older + 4..].chunks(length).map(address).collect();
        assert_eq!(query.sources.len(), count, "a source is listed twice: {octets:02x?}");
    }
    query
}

fn push(octets: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => octets.extend(v4.octets()),
        IpAddr::V6(v6) => octets.extend(v6.octets()),
    }
}

fn address(octets: &[u8]) -> IpAddr {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).unwrap().into(),
        _ => <[u8; 16]>::try_from(octets).unwrap().into(),
    }
}
