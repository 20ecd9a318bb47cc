//! The Internet checksum (RFC 1071).

use etherparse::IpNumber;
use etherparse::checksum::Sum16BitWords;
use std::net::Ipv6Addr;

/// Returns whether the checksum within `octets` is right. Covers an IPv4 header, or an IGMP message.
pub(crate) fn is_right(octets: &[u8]) -> bool {
    Sum16BitWords::new().add_slice(octets).ones_complement() == 0
}

/// Returns whether the checksum of an ICMPv6 message is right. It covers the pseudo-header too (RFC 8200 section 8.1).
pub(crate) fn is_right_icmpv6(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    let Ok(length) = u32::try_from(message.len()) else { return false };
    let sum = Sum16BitWords::new()
        .add_16bytes(source.octets())
        .add_16bytes(destination.octets())
        .add_4bytes(length.to_be_bytes())
        .add_2bytes([0, IpNumber::IPV6_ICMP.0])
        .add_slice(message);
    sum.ones_complement() == 0
}
