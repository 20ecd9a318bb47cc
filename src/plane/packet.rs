//! [`classify`]: what a router has to know of a frame before it looks up where to forward it.
//!
//! A frame is judged in this order, and by the first thing that settles it:
//!
//! 1. Not an IP datagram, or not to a multicast group: [`Class::NotMulticast`]. Nothing but the destination address is
//!    looked at for this.
//! 2. A datagram whose header cannot be right, or that was cut short: [`Class::Malformed`].
//! 3. A message of IGMP or MLD: [`Class::Control`], for the protocol to judge.
//! 4. One that must not leave its link, by its group or its source: [`Class::LinkLocal`].
//! 5. One whose hops are used up: [`Class::TtlExpired`].
//! 6. All else is [`Class::Data`], to be forwarded by its flow.

use crate::forwarding::Flow;
use crate::protocol::igmp::wire::is_mld;
use etherparse::checksum::Sum16BitWords;
use etherparse::{EtherType, Ethernet2HeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the frames of a capture interface begin with.
///
/// Source: the LINKTYPE_ values at <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// An Ethernet header (LINKTYPE_ETHERNET).
    Ethernet,
    /// Linux's cooked header (LINKTYPE_LINUX_SLL).
    LinuxCooked,
    /// Linux's cooked header, version 2 (LINKTYPE_LINUX_SLL2).
    LinuxCooked2,
    /// Nothing: the IP header comes first (LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6).
    Ip,
    /// An address family of four octets in some machine's byte order (LINKTYPE_NULL, LINKTYPE_LOOP).
    Loopback,
    /// A link this crate cannot read; its frames are [`Class::NotMulticast`].
    Unknown(u32),
}

impl Link {
    /// The link of a LINKTYPE_ value. 12 and 14 are what some systems wrote for LINKTYPE_RAW.
    #[must_use]
    pub const fn from_linktype(value: u32) -> Link {
        match value {
            0 | 108 => Link::Loopback,
            1 => Link::Ethernet,
            12 | 14 | 101 | 228 | 229 => Link::Ip,
            113 => Link::LinuxCooked,
            276 => Link::LinuxCooked2,
            other => Link::Unknown(other),
        }
    }

    /// Whether a packet that leaves here gets an Ethernet header. Cooked headers only say what Linux received: what it
    /// sent there is shown as Ethernet.
    #[must_use]
    pub const fn has_ethernet_header(self) -> bool {
        !matches!(self, Link::Ip | Link::Loopback)
    }
}

/// What a frame is to a multicast router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class<'f> {
    /// None of its business.
    NotMulticast,
    /// Nothing to believe.
    Malformed(Defect),
    /// A message of IGMP or MLD.
    Control(Control<'f>),
    /// To 224.0.0.0/24, to an IPv6 group of reserved, interface-local or link-local scope, or from a link-local address
    /// (RFC 5771 section 4, RFC 4291 sections 2.5.6 and 2.7, RFC 3927 section 2.6.2).
    LinkLocal,
    /// Its TTL or hop limit is 1 or 0.
    TtlExpired,
    /// A packet to forward.
    Data(Data<'f>),
}

/// Why nothing of a frame is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The frame ends within its link header.
    #[error("the frame ends within its link header")]
    LinkHeader,
    /// The frame ends within its IP header.
    #[error("the frame ends within its IP header")]
    Header,
    /// The version of the IP header is not the one the link header announces.
    #[error("the IP version is not the one announced")]
    Version,
    /// An IPv4 header length less than 20, or more than there is.
    #[error("the IPv4 header length cannot be right")]
    HeaderLength,
    /// A datagram longer than what was captured of it, or shorter than its own header.
    #[error("the datagram was cut short, or its length cannot be right")]
    Length,
    /// A wrong IPv4 header checksum.
    #[error("the IPv4 header checksum is wrong")]
    HeaderChecksum,
    /// A source address that no datagram can be from.
    #[error("the source address cannot be one")]
    Source,
    /// An IPv6 extension header that runs beyond the datagram.
    #[error("an IPv6 extension header runs beyond the datagram")]
    ExtensionHeader,
    /// A message of IGMP or MLD of which this is only a fragment.
    #[error("only a fragment of an IGMP or MLD message")]
    Fragment,
}

/// A message of IGMP or MLD, not judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'f> {
    /// The payload of an IPv4 datagram of protocol 2.
    Igmp {
        /// Who sent it.
        source: Ipv4Addr,
        /// Where to.
        destination: Ipv4Addr,
        /// What is left of its time to live.
        ttl: u8,
        /// The message.
        message: &'f [u8],
    },
    /// An ICMPv6 message of one of MLD's types.
    Mld {
        /// Who sent it.
        source: Ipv6Addr,
        /// Where to.
        destination: Ipv6Addr,
        /// What is left of its hops; MLD is never sent with more than 1 (RFC 3810 section 5).
        hop_limit: u8,
        /// The message.
        message: &'f [u8],
    },
}

/// A packet to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'f> {
    /// Whose.
    pub flow: Flow,
    /// From the IP header to the end of its payload; what the link added behind is left out.
    pub datagram: &'f [u8],
}

/// What a frame is to a multicast router. Never panics, whatever the octets.
#[must_use]
pub fn classify(link: Link, frame: &[u8]) -> Class<'_> {
    if link == Link::Ethernet
        && let Some(data) = plain(frame)
    {
        return Class::Data(data);
    }
    classify_with_care(link, frame)
}

/// The same for every frame there may be.
fn classify_with_care(link: Link, frame: &[u8]) -> Class<'_> {
    match strip(link, frame) {
        Ok(Payload::V4(datagram)) => classify_v4(datagram),
        Ok(Payload::V6(datagram)) => classify_v6(datagram),
        Ok(Payload::Other) => Class::NotMulticast,
        Err(defect) => Class::Malformed(defect),
    }
}

/// What a link header says follows it.
enum Payload<'f> {
    V4(&'f [u8]),
    V6(&'f [u8]),
    Other,
}

impl<'f> Payload<'f> {
    fn of(protocol: EtherType, rest: &'f [u8]) -> Payload<'f> {
        match protocol {
            EtherType::IPV4 => Payload::V4(rest),
            EtherType::IPV6 => Payload::V6(rest),
            _ => Payload::Other,
        }
    }
}

fn strip(link: Link, frame: &[u8]) -> Result<Payload<'_>, Defect> {
    match link {
        Link::Ethernet => {
            let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Defect::LinkHeader)?;
            Ok(Payload::of(header.ether_type(), &frame[header.slice().len()..]))
        }
        Link::LinuxCooked => {
            let (header, rest) = frame.split_at_checked(16).ok_or(Defect::LinkHeader)?;
            Ok(Payload::of(EtherType(u16::from_be_bytes([header[14], header[15]])), rest))
        }
        Link::LinuxCooked2 => {
            let (header, rest) = frame.split_at_checked(20).ok_or(Defect::LinkHeader)?;
            Ok(Payload::of(EtherType(u16::from_be_bytes([header[0], header[1]])), rest))
        }
        Link::Ip => match frame.first().map(|octet| octet >> 4) {
            Some(4) => Ok(Payload::V4(frame)),
            Some(6) => Ok(Payload::V6(frame)),
            Some(_) => Err(Defect::Version),
            None => Err(Defect::Header),
        },
        Link::Loopback => {
            let (family, rest) = frame.split_first_chunk::<4>().ok_or(Defect::LinkHeader)?;
            // Small numbers, in whichever byte order. AF_INET is 2 everywhere; AF_INET6 is 24, 28 or 30 on the BSDs and
            // macOS, 10 on Linux.
            Ok(match u32::from_be_bytes(*family).min(u32::from_le_bytes(*family)) {
                2 => Payload::V4(rest),
                10 | 24 | 28 | 30 => Payload::V6(rest),
                _ => Payload::Other,
            })
        }
        Link::Unknown(_) => Ok(Payload::Other),
    }
}

fn classify_v4(datagram: &[u8]) -> Class<'_> {
    if let Err(defect) = whole_header(datagram, 4, 20) {
        return Class::Malformed(defect);
    }
    let destination = Ipv4Addr::new(datagram[16], datagram[17], datagram[18], datagram[19]);
    if !destination.is_multicast() {
        return Class::NotMulticast;
    }
    let Ok(header) = Ipv4HeaderSlice::from_slice(datagram) else {
        return Class::Malformed(Defect::HeaderLength);
    };
    let header_length = header.slice().len();
    let Some(datagram) =
        datagram.get(..header.total_len().into()).filter(|datagram| datagram.len() >= header_length)
    else {
        return Class::Malformed(Defect::Length);
    };
    if Sum16BitWords::new().add_slice(header.slice()).ones_complement() != 0 {
        return Class::Malformed(Defect::HeaderChecksum);
    }
    let (source, igmp) = (header.source_addr(), header.protocol() == IpNumber::IGMP);
    // A host without an address yet reports from 0.0.0.0 (RFC 3376 section 4.2.13).
    if source.is_multicast()
        || source.is_broadcast()
        || source.is_loopback()
        || (source.is_unspecified() && !igmp)
    {
        return Class::Malformed(Defect::Source);
    }
    if igmp {
        return if header.is_fragmenting_payload() {
            Class::Malformed(Defect::Fragment)
        } else {
            Class::Control(Control::Igmp {
                source,
                destination,
                ttl: header.ttl(),
                message: &datagram[header_length..],
            })
        };
    }
    let link_local = matches!(destination.octets(), [224, 0, 0, _]) || source.is_link_local();
    forwardable(link_local, header.ttl(), source.into(), destination.into(), datagram)
}

fn classify_v6(datagram: &[u8]) -> Class<'_> {
    if let Err(defect) = whole_header(datagram, 6, 40) {
        return Class::Malformed(defect);
    }
    let Ok(header) = Ipv6HeaderSlice::from_slice(datagram) else {
        return Class::Malformed(Defect::Header);
    };
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if !destination.is_multicast() {
        return Class::NotMulticast;
    }
    let Some(datagram) = datagram.get(..40 + usize::from(header.payload_length())) else {
        return Class::Malformed(Defect::Length);
    };
    if source.is_multicast() || source.is_loopback() {
        return Class::Malformed(Defect::Source);
    }
    let upper = match skip_extensions(header.next_header(), &datagram[40..]) {
        Ok(upper) => upper,
        Err(defect) => return Class::Malformed(defect),
    };
    if let Upper::Icmp { message, fragment } = upper {
        match message.first() {
            None if !fragment => return Class::Malformed(Defect::Length),
            Some(&kind) if is_mld(kind) => {
                return if fragment {
                    Class::Malformed(Defect::Fragment)
                } else {
                    Class::Control(Control::Mld {
                        source,
                        destination,
                        hop_limit: header.hop_limit(),
                        message,
                    })
                };
            }
            _ => {}
        }
    }
    let scope = destination.octets()[1] & 0x0f;
    let link_local = scope <= 2 || source.is_unicast_link_local();
    // Only a host without an address yet sends from ::, and only to its own link (RFC 4291 section 2.5.2).
    if source.is_unspecified() && !(matches!(upper, Upper::Icmp { .. }) && link_local) {
        return Class::Malformed(Defect::Source);
    }
    forwardable(link_local, header.hop_limit(), source.into(), destination.into(), datagram)
}

/// Whether a header is there as far as its destination address, and of the version announced.
fn whole_header(datagram: &[u8], version: u8, least: usize) -> Result<(), Defect> {
    match datagram.first() {
        Some(octet) if octet >> 4 != version => Err(Defect::Version),
        Some(_) if datagram.len() >= least => Ok(()),
        _ => Err(Defect::Header),
    }
}

fn forwardable(link_local: bool, hops: u8, source: IpAddr, group: IpAddr, datagram: &[u8]) -> Class<'_> {
    if link_local {
        return Class::LinkLocal;
    }
    if hops <= 1 {
        return Class::TtlExpired;
    }
    match Flow::new(source, group) {
        Ok(flow) => Class::Data(Data { flow, datagram }),
        Err(_) => Class::Malformed(Defect::Source),
    }
}

/// What an IPv6 datagram carries behind its extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upper<'f> {
    /// An ICMPv6 message, or the first fragment of one. A later fragment has no octets here: it does not begin with a
    /// type.
    Icmp { message: &'f [u8], fragment: bool },
    /// Anything else, and what cannot be looked into.
    Other,
}

/// Walks the extension headers (RFC 8200 section 4, RFC 7045 section 1.1). In which order they come is no business of a
/// router's that only forwards, so this is laxer than a host has to be.
fn skip_extensions(first: IpNumber, payload: &[u8]) -> Result<Upper<'_>, Defect> {
    let (mut next, mut rest, mut fragment) = (first, payload, false);
    loop {
        let length_octet = || rest.get(1).copied().map(usize::from).ok_or(Defect::ExtensionHeader);
        let length = match next {
            IpNumber::IPV6_ICMP => return Ok(Upper::Icmp { message: rest, fragment }),
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6 => 8 + 8 * length_octet()?,
            IpNumber::AUTHENTICATION_HEADER => 8 + 4 * length_octet()?,
            IpNumber::IPV6_FRAGMENTATION_HEADER => 8,
            _ => return Ok(Upper::Other),
        };
        let (header, behind) = rest.split_at_checked(length).ok_or(Defect::ExtensionHeader)?;
        if next == IpNumber::IPV6_FRAGMENTATION_HEADER {
            let offset_and_flags = u16::from_be_bytes([header[2], header[3]]);
            if offset_and_flags >> 3 != 0 {
                let icmp = Upper::Icmp { message: &[], fragment: true };
                return Ok(if header[0] == IpNumber::IPV6_ICMP.0 { icmp } else { Upper::Other });
            }
            fragment |= offset_and_flags & 1 != 0;
        }
        (next, rest) = (IpNumber(header[0]), behind);
    }
}

mod plain;
use plain::plain;
pub(super) use plain::plain_v4;
#[cfg(test)]
mod tests;
