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
    let (link, rest) = frame.split_first_chunk::<ETHERNET_HEADER>()?;
    match u16::from_be_bytes([link[12], link[13]]) {
        0x0800 => plain_v4(rest),
        0x86dd => plain_v6(rest),
        _ => None,
    }
}

#[inline]
fn plain_v4(rest: &[u8]) -> Option<Data<'_>> {
    const IGMP: u8 = 2;
    let header = rest.first_chunk::<20>()?;
    let (source, group) = (address_v4(header, 12), address_v4(header, 16));
    let [ttl, protocol] = [header[8], header[9]];
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fits = length >= header.len() && length <= rest.len();
    // One branch for everything: of a packet that is forwarded nothing is true here.
    let questionable = header[0] != 0x45
        || !fits
        || ttl <= 1
        || protocol == IGMP
        || !is_intact(header)
        // 224.0.0.0/24.
        || group.to_bits() >> 8 == 0xe0_0000
        || source.is_link_local()
        || source.is_loopback()
        || source.is_broadcast();
    if questionable {
        return None;
    }
    // A flow has a multicast group, and no multicast nor unspecified source.
    let flow = Flow::of_v4(source, group)?;
    Some(Data { flow, datagram: rest.get(..length)? })
}

#[inline]
fn plain_v6(rest: &[u8]) -> Option<Data<'_>> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
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
fn address_v4(header: &[u8; 20], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
}

#[inline]
fn address_v6(header: &[u8; 40], at: usize) -> Ipv6Addr {
    Ipv6Addr::from_octets(std::array::from_fn(|n| header[at + n]))
}

/// Whether the checksum of an IPv4 header is right: its words add up to all ones (RFC 1071), in whichever byte order.
#[inline]
fn is_intact(header: &[u8; 20]) -> bool {
    let (words, _) = header.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum == 0xffff
}
