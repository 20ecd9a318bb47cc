//! [`classify`]: what a multicast router does with a frame before it looks up the flow.
//!
//! The first rule that matches decides:
//!
//! 1. Not an IP datagram, or not to a multicast group: [`Class::NotMulticast`]. This rule reads nothing but the
//!    destination address.
//! 2. A datagram with an invalid header, or one that was cut short: [`Class::Malformed`].
//! 3. A message of IGMP or MLD: [`Class::Control`], for the protocol to parse.
//! 4. A group or a source of link-local scope: [`Class::LinkLocal`].
//! 5. A TTL or hop limit of 1 or 0: [`Class::TtlExpired`].
//! 6. Everything else: [`Class::Data`], to be forwarded by its flow.
//!
//! A capture may have cut frames off. [`classify_cut`] then applies the rules as far as the octets go: what is left undecided
//! because octets are missing is [`Class::Truncated`].

use crate::forwarding::{Family, Flow};
use crate::wire::gmp::{Datagram, is_mld};
use crate::wire::ipv6::{UpperLayer, upper_layer};
use crate::wire::{Defect, Link, Payload, checksum, strip};
use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod fast;
#[cfg(test)]
mod tests;

use fast::classify_fast;
pub(super) use fast::classify_fast_v4;

/// The class of a frame in a multicast router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class<'f> {
    /// The frame carries no IP datagram to a multicast group.
    NotMulticast,
    /// The frame is malformed.
    Malformed(Defect),
    /// The frame carries a message of IGMP or MLD.
    Control(Control<'f>),
    /// The datagram must not leave its link.
    ///
    /// Its group is in 224.0.0.0/24 or of reserved, interface-local or link-local IPv6 scope, or its source is a
    /// link-local address (RFC 5771 section 4, RFC 4291 sections 2.5.6 and 2.7, RFC 3927 section 2.6.2).
    LinkLocal,
    /// The TTL or hop limit is 1 or 0.
    TtlExpired,
    /// The frame carries a datagram to forward.
    Data(Data<'f>),
    /// The capture cut the frame off. With a whole header it is a datagram to forward, and otherwise nothing.
    Truncated(Option<Truncated<'f>>),
}

/// A message of IGMP or MLD, not parsed yet. Converts into a [`Datagram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'f> {
    /// The payload of an IPv4 datagram of protocol 2.
    Igmp {
        /// The source address.
        source: Ipv4Addr,
        /// The destination address.
        destination: Ipv4Addr,
        /// The time to live.
        ttl: u8,
        /// Whether the header has the Router Alert option (RFC 2113).
        router_alert: bool,
        /// The message.
        message: &'f [u8],
    },
    /// An ICMPv6 message of a type of MLD.
    Mld {
        /// The source address.
        source: Ipv6Addr,
        /// The destination address.
        destination: Ipv6Addr,
        /// The hop limit. Hosts and routers send MLD with a hop limit of 1 (RFC 3810 section 5).
        hop_limit: u8,
        /// Whether a hop-by-hop header has the Router Alert option for MLD (RFC 2711).
        router_alert: bool,
        /// The message.
        message: &'f [u8],
    },
}

impl Control<'_> {
    /// Returns the address family of the message.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Control::Igmp { .. } => Family::V4,
            Control::Mld { .. } => Family::V6,
        }
    }
}

impl<'f> From<Control<'f>> for Datagram<'f> {
    fn from(control: Control<'f>) -> Datagram<'f> {
        match control {
            Control::Igmp { source, destination, ttl, router_alert, message } => Datagram {
                source: source.into(),
                destination: destination.into(),
                hop_limit: ttl,
                router_alert,
                payload: message,
            },
            Control::Mld { source, destination, hop_limit, router_alert, message } => Datagram {
                source: source.into(),
                destination: destination.into(),
                hop_limit,
                router_alert,
                payload: message,
            },
        }
    }
}

/// A datagram to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'f> {
    /// The flow of the datagram.
    pub flow: Flow,
    /// The octets from the IP header to the end of the payload, without link-layer padding.
    pub datagram: &'f [u8],
}

/// A datagram with a whole header that the capture cut off behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated<'f> {
    /// The flow of the datagram.
    pub flow: Flow,
    /// The octets from the IP header to the end of the captured part.
    pub captured: &'f [u8],
    /// The octets of the whole datagram.
    pub length: usize,
}

/// Classifies a frame. Never panics, whatever the octets.
#[must_use]
pub fn classify(link: Link, frame: &[u8]) -> Class<'_> {
    classify_cut(link, frame, 0)
}

/// Classifies a frame of which a capture cut off `cut` octets at its end. Never panics, whatever the octets.
#[must_use]
pub fn classify_cut(link: Link, frame: &[u8], cut: usize) -> Class<'_> {
    if link == Link::Ethernet
        && let Some(data) = classify_fast(frame)
    {
        return Class::Data(data);
    }
    classify_any(link, frame, cut)
}

/// Returns the flow of a frame that is not data; `None` if its addresses are none of a flow.
#[cold]
pub(super) fn flow_of(link: Link, frame: &[u8]) -> Option<Flow> {
    fn address<const N: usize>(datagram: &[u8], at: usize) -> Option<IpAddr>
    where
        IpAddr: From<[u8; N]>,
    {
        datagram.get(at..)?.first_chunk::<N>().map(|octets| (*octets).into())
    }
    let (source, group) = match strip(link, frame).ok()? {
        Payload::V4(datagram) => (address::<4>(datagram, 12)?, address::<4>(datagram, 16)?),
        Payload::V6(datagram) => (address::<16>(datagram, 8)?, address::<16>(datagram, 24)?),
        Payload::Other => return None,
    };
    Flow::new(source, group).ok()
}

/// Classifies any frame, by the rules in their order.
fn classify_any(link: Link, frame: &[u8], cut: usize) -> Class<'_> {
    match strip(link, frame) {
        Ok(Payload::V4(datagram)) => classify_v4(datagram, cut),
        Ok(Payload::V6(datagram)) => classify_v6(datagram, cut),
        Ok(Payload::Other) => Class::NotMulticast,
        Err(Defect::LinkHeader | Defect::Header) if cut > 0 => Class::Truncated(None),
        Err(defect) => Class::Malformed(defect),
    }
}

fn classify_v4(datagram: &[u8], cut: usize) -> Class<'_> {
    let whole = datagram.len() + cut;
    match check_header(datagram, 4, 20) {
        Err(Defect::Header) if whole >= 20 => return Class::Truncated(None),
        Err(defect) => return Class::Malformed(defect),
        Ok(()) => {}
    }
    let destination = Ipv4Addr::new(datagram[16], datagram[17], datagram[18], datagram[19]);
    if !destination.is_multicast() {
        return Class::NotMulticast;
    }
    let Ok(header) = Ipv4HeaderSlice::from_slice(datagram) else {
        let announced = 4 * usize::from(datagram[0] & 0xf);
        let is_cut = (datagram.len() + 1..=whole).contains(&announced);
        return if is_cut { Class::Truncated(None) } else { Class::Malformed(Defect::HeaderLength) };
    };
    let header_length = header.slice().len();
    let length = usize::from(header.total_len());
    if length < header_length || length > whole {
        return Class::Malformed(Defect::Length);
    }
    let datagram = &datagram[..length.min(datagram.len())];
    if !checksum::is_right(header.slice()) {
        return Class::Malformed(Defect::HeaderChecksum);
    }
    let (source, igmp) = (header.source_addr(), header.protocol() == IpNumber::IGMP);
    // A host that has no address yet reports from 0.0.0.0 (RFC 3376 section 4.2.13).
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
        } else if datagram.len() < length {
            Class::Truncated(None)
        } else {
            Class::Control(Control::Igmp {
                source,
                destination,
                ttl: header.ttl(),
                router_alert: has_router_alert(&datagram[20..header_length]),
                message: &datagram[header_length..],
            })
        };
    }
    let link_local = matches!(destination.octets(), [224, 0, 0, _]) || source.is_link_local();
    forwardable(link_local, header.ttl(), source.into(), destination.into(), datagram, length)
}

/// Returns whether the options of an IPv4 header contain Router Alert (RFC 2113 section 2.1).
fn has_router_alert(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const ROUTER_ALERT: u8 = 0x94;
    loop {
        let length = match *options {
            [] | [END, ..] => return false,
            [NO_OPERATION, ..] => 1,
            [ROUTER_ALERT, 4, _, _, ..] => return true,
            [_, length, ..] if length >= 2 => usize::from(length),
            _ => return false,
        };
        options = options.get(length..).unwrap_or_default();
    }
}

fn classify_v6(datagram: &[u8], cut: usize) -> Class<'_> {
    let whole = datagram.len() + cut;
    match check_header(datagram, 6, 40) {
        Err(Defect::Header) if whole >= 40 => return Class::Truncated(None),
        Err(defect) => return Class::Malformed(defect),
        Ok(()) => {}
    }
    let Ok(header) = Ipv6HeaderSlice::from_slice(datagram) else {
        return Class::Malformed(Defect::Header);
    };
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if !destination.is_multicast() {
        return Class::NotMulticast;
    }
    let length = 40 + usize::from(header.payload_length());
    if length > whole {
        return Class::Malformed(Defect::Length);
    }
    let datagram = &datagram[..length.min(datagram.len())];
    let is_cut = datagram.len() < length;
    if source.is_multicast() || source.is_loopback() {
        return Class::Malformed(Defect::Source);
    }
    let upper = match upper_layer(header.next_header(), &datagram[40..]) {
        Ok(upper) => upper,
        Err(_) if is_cut => return Class::Truncated(None),
        Err(defect) => return Class::Malformed(defect),
    };
    if let UpperLayer::Icmp { message, fragment, router_alert } = upper {
        match message.first() {
            // A fragment, too: what is missing may be MLD, which is not forwarded.
            None if is_cut => return Class::Truncated(None),
            None if !fragment => return Class::Malformed(Defect::Length),
            Some(&kind) if is_mld(kind) => {
                return if fragment {
                    Class::Malformed(Defect::Fragment)
                } else if is_cut {
                    Class::Truncated(None)
                } else {
                    Class::Control(Control::Mld {
                        source,
                        destination,
                        hop_limit: header.hop_limit(),
                        router_alert,
                        message,
                    })
                };
            }
            _ => {}
        }
    }
    let scope = destination.octets()[1] & 0x0f;
    let link_local = scope <= 2 || source.is_unicast_link_local();
    // A host that has no address yet sends from ::, and only to its own link (RFC 4291 section 2.5.2).
    if source.is_unspecified() && !(matches!(upper, UpperLayer::Icmp { .. }) && link_local) {
        return Class::Malformed(Defect::Source);
    }
    forwardable(link_local, header.hop_limit(), source.into(), destination.into(), datagram, length)
}

/// Checks the version of an IP header, and that it has at least `min` octets: those up to its destination address.
fn check_header(datagram: &[u8], version: u8, min: usize) -> Result<(), Defect> {
    match datagram.first() {
        Some(octet) if octet >> 4 != version => Err(Defect::Version),
        Some(_) if datagram.len() >= min => Ok(()),
        _ => Err(Defect::Header),
    }
}

/// Applies the last three rules to a datagram of `length` octets.
fn forwardable(
    link_local: bool,
    hops: u8,
    source: IpAddr,
    group: IpAddr,
    datagram: &[u8],
    length: usize,
) -> Class<'_> {
    if link_local {
        return Class::LinkLocal;
    }
    if hops <= 1 {
        return Class::TtlExpired;
    }
    match Flow::new(source, group) {
        Ok(flow) if datagram.len() < length => {
            Class::Truncated(Some(Truncated { flow, captured: datagram, length }))
        }
        Ok(flow) => Class::Data(Data { flow, datagram }),
        Err(_) => Class::Malformed(Defect::Source),
    }
}
