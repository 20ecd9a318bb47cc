//! A short path for the most common headers: Ethernet without tags, then IPv4 without options, or IPv6 with UDP or TCP
//! directly behind.
//!
//! These functions recognise [`Data`](super::Class::Data) only, and only where no rule is left open. For every other frame
//! [`classify`](super::classify) applies all rules in their order. A property test shows that the two agree.

use super::Data;
use crate::forwarding::Flow;
use crate::wire::ETHERNET_HEADER;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the datagram of a frame with common headers; `None` if the frame needs all rules.
#[inline]
pub(super) fn classify_fast(frame: &[u8]) -> Option<Data<'_>> {
    classify_fast_v4(frame).or_else(|| classify_fast_v6(frame))
}

/// Does the same for IPv4 only.
// Inlined into the one loop that calls it: a call that returns its result in memory takes half as long again.
#[inline(always)]
pub(in crate::plane) fn classify_fast_v4(frame: &[u8]) -> Option<Data<'_>> {
    const IGMP: u32 = 2;
    let rest = behind(frame, 0x0800)?;
    let header = rest.first_chunk::<20>()?;
    let words: [u32; 5] =
        std::array::from_fn(|n| u32::from_be_bytes(std::array::from_fn(|octet| header[4 * n + octet])));
    let [version_and_length, _, hops_and_protocol, source, group] = words;
    let length = usize::from(version_and_length as u16);
    let sum: u64 = words.map(u64::from).iter().sum();
    let is_common = version_and_length >> 24 == 0x45
        && length >= 20
        && length <= rest.len()
        && hops_and_protocol >> 24 > 1
        && hops_and_protocol >> 16 & 0xff != IGMP
        // The 16-bit words add up to all ones (RFC 1071) if the 32-bit words add up to a multiple of that.
        && sum.is_multiple_of(0xffff)
        // A group, and not of 224.0.0.0/24.
        && (0xe000_0100..0xf000_0000).contains(&group)
        // Neither a group nor an address above the groups.
        && (1..0xe000_0000).contains(&source)
        && source >> 24 != 127
        // Not of 169.254.0.0/16.
        && source >> 16 != 0xa9fe;
    if !is_common {
        return None;
    }
    let flow = Flow::of_v4(Ipv4Addr::from_bits(source), Ipv4Addr::from_bits(group))?;
    Some(Data { flow, datagram: rest.get(..length)? })
}

/// Returns the octets behind an Ethernet header of this type.
#[inline(always)]
fn behind(frame: &[u8], ether_type: u16) -> Option<&[u8]> {
    let (link, rest) = frame.split_first_chunk::<ETHERNET_HEADER>()?;
    (u16::from_be_bytes([link[12], link[13]]) == ether_type).then_some(rest)
}

fn classify_fast_v6(frame: &[u8]) -> Option<Data<'_>> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let rest = behind(frame, 0x86dd)?;
    let header = rest.first_chunk::<40>()?;
    let (source, group) = (address_v6(header, 8), address_v6(header, 24));
    let [next, hop_limit] = [header[6], header[7]];
    let length = header.len() + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let [first, scope, ..] = group.octets();
    let needs_all_rules = header[0] >> 4 != 6
        || length > rest.len()
        || hop_limit <= 1
        || (next != UDP && next != TCP)
        || first != 0xff
        // A group of link-local or smaller scope.
        || scope & 0x0f <= 2
        || source.is_unicast_link_local()
        || source.is_loopback();
    if needs_all_rules {
        return None;
    }
    let flow = Flow::new(source.into(), group.into()).ok()?;
    Some(Data { flow, datagram: rest.get(..length)? })
}

#[inline]
fn address_v6(header: &[u8; 40], at: usize) -> Ipv6Addr {
    Ipv6Addr::from_octets(std::array::from_fn(|n| header[at + n]))
}
