//! IGMP and MLD messages, built octet by octet as the RFCs draw them. The checksums are computed here, not by
//! the crate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const IS_IN: u8 = 1;
pub(crate) const IS_EX: u8 = 2;
pub(crate) const TO_IN: u8 = 3;
pub(crate) const TO_EX: u8 = 4;
pub(crate) const ALLOW: u8 = 5;
pub(crate) const BLOCK: u8 = 6;

/// The destination of MLDv2 reports: ff02::16.
pub(crate) const ALL_MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Parses an address.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Computes the checksum of RFC 1071 as section 4.1 describes it.
fn sum(octets: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Writes an IGMP message's checksum.
pub(crate) fn seal(mut message: Vec<u8>) -> Vec<u8> {
    message[2..4].fill(0);
    let checksum = sum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Writes an ICMPv6 message's checksum (RFC 8200 section 8.1).
pub(crate) fn seal6(mut message: Vec<u8>, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    message[2..4].fill(0);
    let mut covered = [source.octets(), destination.octets()].concat();
    covered.extend((message.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, 58]);
    covered.extend(&message);
    let checksum = sum(&covered);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Builds a record with auxiliary data.
pub(crate) fn record_with_auxiliary(kind: u8, group: &str, sources: &[&str], auxiliary: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, (auxiliary.len() / 4) as u8];
    record.extend((sources.len() as u16).to_be_bytes());
    record.extend(octets(ip(group)));
    sources.iter().for_each(|source| record.extend(octets(ip(source))));
    record.extend(auxiliary);
    record
}

/// Builds a record.
pub(crate) fn record(kind: u8, group: &str, sources: &[&str]) -> Vec<u8> {
    record_with_auxiliary(kind, group, sources, &[])
}

fn old(kind: u8, time: u8, group: &str) -> Vec<u8> {
    let mut message = vec![kind, time, 0, 0];
    message.extend(octets(ip(group)));
    seal(message)
}

pub(crate) fn v1_report(group: &str) -> Vec<u8> {
    old(0x12, 0, group)
}

pub(crate) fn v2_report(group: &str) -> Vec<u8> {
    old(0x16, 0, group)
}

pub(crate) fn leave(group: &str) -> Vec<u8> {
    old(0x17, 0, group)
}

pub(crate) fn v2_query(group: &str) -> Vec<u8> {
    old(0x11, 100, group)
}

/// Builds an IGMPv3 query: `codes` are the maximum response code and the QQIC.
pub(crate) fn v3_query(group: &str, sources: &[&str], flags: u8, codes: [u8; 2]) -> Vec<u8> {
    let mut message = vec![0x11, codes[0], 0, 0];
    message.extend(octets(ip(group)));
    message.extend([flags, codes[1]]);
    message.extend((sources.len() as u16).to_be_bytes());
    sources.iter().for_each(|source| message.extend(octets(ip(source))));
    seal(message)
}

/// Builds an IGMPv1 or IGMPv2 query with a maximum response code.
pub(crate) fn older_query(code: u8, group: &str) -> Vec<u8> {
    old(0x11, code, group)
}

/// Builds an MLDv2 query to a destination: `codes` are the maximum response code and the QQIC.
pub(crate) fn mld_query(
    group: &str,
    sources: &[&str],
    flags: u8,
    codes: (u16, u8),
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Vec<u8> {
    let mut message = vec![130, 0, 0, 0];
    message.extend(codes.0.to_be_bytes());
    message.extend([0, 0]);
    message.extend(octets(ip(group)));
    message.extend([flags, codes.1]);
    message.extend((sources.len() as u16).to_be_bytes());
    sources.iter().for_each(|source| message.extend(octets(ip(source))));
    seal6(message, source, destination)
}

pub(crate) fn v3_report(records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = vec![0x22, 0, 0, 0, 0, 0];
    message.extend((records.len() as u16).to_be_bytes());
    records.iter().for_each(|record| message.extend(record));
    seal(message)
}

/// Builds an MLDv1 message.
pub(crate) fn mld_v1(kind: u8, group: &str, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    message.extend(octets(ip(group)));
    seal6(message, source, destination)
}

/// Builds an MLDv2 report to ff02::16.
pub(crate) fn mld_v2(records: &[Vec<u8>], source: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![143, 0, 0, 0, 0, 0];
    message.extend((records.len() as u16).to_be_bytes());
    records.iter().for_each(|record| message.extend(record));
    seal6(message, source, ALL_MLDV2_ROUTERS)
}

/// The destination of the IPv4 messages of the tests; nothing depends on it.
pub(crate) const ALL_ROUTERS: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 22));
