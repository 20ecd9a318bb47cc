//! The Internet checksum (RFC 1071).

use etherparse::IpNumber;
use etherparse::checksum::Sum16BitWords;
use std::net::Ipv6Addr;

/// Returns whether the checksum within `octets` is right. Covers an IPv4 header, or an IGMP message.
pub(crate) fn is_right(octets: &[u8]) -> bool {
    Sum16BitWords::new().add_slice(octets).ones_complement() == 0
}

/// Returns the checksum of octets that have zeros in its place, in network byte order.
pub(crate) fn of(octets: &[u8]) -> [u8; 2] {
    Sum16BitWords::new().add_slice(octets).ones_complement().to_ne_bytes()
}

/// Returns the checksum of an ICMPv6 message that has zeros in its place, in network byte order.
pub(crate) fn of_icmpv6(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> [u8; 2] {
    sum_icmpv6(message, source, destination).to_ne_bytes()
}

/// Returns whether the checksum of an ICMPv6 message is right. It covers the pseudo-header too (RFC 8200 section 8.1).
pub(crate) fn is_right_icmpv6(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    u32::try_from(message.len()).is_ok() && sum_icmpv6(message, source, destination) == 0
}

/// Returns the complement of the sum over an ICMPv6 message and its pseudo-header.
fn sum_icmpv6(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> u16 {
    // A longer message is refused before, and none is written.
    let length = message.len() as u32;
    Sum16BitWords::new()
        .add_16bytes(source.octets())
        .add_16bytes(destination.octets())
        .add_4bytes(length.to_be_bytes())
        .add_2bytes([0, IpNumber::IPV6_ICMP.0])
        .add_slice(message)
        .ones_complement()
}
