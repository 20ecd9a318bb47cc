//! The headers that most packets have, read without detours: Ethernet without tags, then IPv4 without options, or IPv6 with
//! UDP or TCP right behind.
//!
//! Only what is [`Data`](super::Class::Data) is recognised here, and only where no question is left; whatever else a frame
//! may be, [`classify`](super::classify) finds out in its own order. That the two agree on what this one recognises is a
//! property test.

use super::Data;
use crate::forwarding::Flow;
use crate::plane::rewrite::ETHERNET_HEADER;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The packet to forward that a frame plainly is; `None` when that takes a closer look.
#[inline]
pub(super) fn plain(frame: &[u8]) -> Option<Data<'_>> {
    plain_v4(frame).or_else(|| plain_v6(frame))
}

/// The same, of IPv4 only.
// Into the one loop that does little else: a call, and what it answers with in memory, would take half as long again.
#[inline(always)]
pub(in crate::plane) fn plain_v4(frame: &[u8]) -> Option<Data<'_>> {
    const IGMP: u32 = 2;
    let rest = behind(frame, 0x0800)?;
    let header = rest.first_chunk::<20>()?;
    let words: [u32; 5] =
        std::array::from_fn(|n| u32::from_be_bytes(std::array::from_fn(|octet| header[4 * n + octet])));
    let [version_and_length, _, hops_and_protocol, source, group] = words;
    let length = usize::from(version_and_length as u16);
    let sum: u64 = words.map(u64::from).iter().sum();
    let is_plain = version_and_length >> 24 == 0x45
        && length >= 20
        && length <= rest.len()
        && hops_and_protocol >> 24 > 1
        && hops_and_protocol >> 16 & 0xff != IGMP
        // Its words of 16 bits add up to all ones (RFC 1071). So they do where longer ones add up to a multiple of that.
        && sum.is_multiple_of(0xffff)
        // A group, and not of 224.0.0.0/24.
        && (0xe000_0100..0xf000_0000).contains(&group)
        // No group, nor anything beyond groups.
        && (1..0xe000_0000).contains(&source)
        && source >> 24 != 127
        // Not of 169.254.0.0/16.
        && source >> 16 != 0xa9fe;
    if !is_plain {
        return None;
    }
    let flow = Flow::of_v4(Ipv4Addr::from_bits(source), Ipv4Addr::from_bits(group))?;
    Some(Data { flow, datagram: rest.get(..length)? })
}

/// What is behind an Ethernet header of this type.
#[inline(always)]
fn behind(frame: &[u8], ether_type: u16) -> Option<&[u8]> {
    let (link, rest) = frame.split_first_chunk::<ETHERNET_HEADER>()?;
    (u16::from_be_bytes([link[12], link[13]]) == ether_type).then_some(rest)
}

fn plain_v6(frame: &[u8]) -> Option<Data<'_>> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let rest = behind(frame, 0x86dd)?;
    let header = rest.first_chunk::<40>()?;
    let (source, group) = (address_v6(header, 8), address_v6(header, 24));
    let [next, hop_limit] = [header[6], header[7]];
    let length = header.len() + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let [first, scope, ..] = group.octets();
    let questionable = header[0] >> 4 != 6
        || length > rest.len()
        || hop_limit <= 1
        || (next != UDP && next != TCP)
        || first != 0xff
        // Nothing beyond its link.
        || scope & 0x0f <= 2
        || source.is_unicast_link_local()
        || source.is_loopback();
    if questionable {
        return None;
    }
    let flow = Flow::new(source.into(), group.into()).ok()?;
    Some(Data { flow, datagram: rest.get(..length)? })
}

#[inline]
fn address_v6(header: &[u8; 40], at: usize) -> Ipv6Addr {
    Ipv6Addr::from_octets(std::array::from_fn(|n| header[at + n]))
}
