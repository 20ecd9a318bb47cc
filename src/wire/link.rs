//! [`Link`]: the header that the frames of an interface begin with.

use super::Defect;
use etherparse::{EtherType, Ethernet2HeaderSlice};

/// The link header of an interface's frames.
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
    /// No header: the IP header comes first (LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6).
    Ip,
    /// An address family of four octets in either byte order (LINKTYPE_NULL, LINKTYPE_LOOP).
    Loopback,
    /// A link type that this crate cannot parse. Its frames count as not multicast.
    Unknown(u32),
}

impl Link {
    /// Returns the link of a LINKTYPE_ value. Some systems wrote 12 and 14 for LINKTYPE_RAW.
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

    /// Returns whether packets that leave through this link get an Ethernet header.
    ///
    /// Cooked headers describe packets that Linux received; a packet sent there is shown with an Ethernet header.
    #[must_use]
    pub const fn has_ethernet_header(self) -> bool {
        !matches!(self, Link::Ip | Link::Loopback)
    }
}

/// The payload of a frame, by the protocol that its link header announces.
pub(crate) enum Payload<'f> {
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

/// Returns the payload behind a frame's link header.
pub(crate) fn strip(link: Link, frame: &[u8]) -> Result<Payload<'_>, Defect> {
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
            // Address families are small numbers, here in either byte order. AF_INET is 2 everywhere; AF_INET6 is 24, 28
            // or 30 on the BSDs and macOS, and 10 on Linux.
            Ok(match u32::from_be_bytes(*family).min(u32::from_le_bytes(*family)) {
                2 => Payload::V4(rest),
                10 | 24 | 28 | 30 => Payload::V6(rest),
                _ => Payload::Other,
            })
        }
        Link::Unknown(_) => Ok(Payload::Other),
    }
}
