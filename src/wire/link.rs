//! [`Link`]: the header that the frames of an interface begin with.

use super::vlan::{TAG, is_tag};
use super::{Defect, MacAddress, VlanTags};
use etherparse::{EtherType, Ethernet2HeaderSlice};

/// The link header of an interface's frames.
///
/// Source: the LINKTYPE_ values at <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// An Ethernet header (LINKTYPE_ETHERNET).
    Ethernet,
    /// An Ethernet header with the tags of these VLANs. Frames of other VLANs count as not multicast.
    Vlan(VlanTags),
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

    /// Returns the VLANs with which packets leave through this link.
    #[must_use]
    pub fn vlans(self) -> VlanTags {
        match self {
            Link::Vlan(tags) => tags,
            _ => VlanTags::default(),
        }
    }

    /// Returns the link of a VLAN of this link.
    #[must_use]
    pub fn within(self, tags: VlanTags) -> Link {
        if tags.is_empty() { self } else { Link::Vlan(tags) }
    }

    /// Returns the offset of the EtherType in the link header, and the length of the header, if it has an EtherType.
    pub(crate) const fn type_field(self) -> Option<(usize, usize)> {
        match self {
            Link::Ethernet | Link::Vlan(_) => Some((12, 14)),
            Link::LinuxCooked => Some((14, 16)),
            Link::LinuxCooked2 => Some((0, 20)),
            Link::Ip | Link::Loopback | Link::Unknown(_) => None,
        }
    }

    /// Returns the link-layer address of a frame's sender, if its header has one.
    #[must_use]
    pub fn sender(self, frame: &[u8]) -> Option<MacAddress> {
        const ETHERNET_ADDRESS: u8 = 6;
        let at = match self {
            Link::Ethernet | Link::Vlan(_) => 6,
            Link::LinuxCooked if frame.get(4..6)? == [0, ETHERNET_ADDRESS] => 6,
            Link::LinuxCooked2 if *frame.get(11)? == ETHERNET_ADDRESS => 12,
            _ => return None,
        };
        frame.get(at..)?.first_chunk().copied().map(MacAddress)
    }

    /// Returns whether a cooked header says that this system sent the frame (packet type 4, PACKET_OUTGOING).
    #[must_use]
    pub fn is_outgoing(self, frame: &[u8]) -> bool {
        match self {
            Link::LinuxCooked => frame.starts_with(&[0, 4]),
            Link::LinuxCooked2 => frame.get(10) == Some(&4),
            _ => false,
        }
    }

    /// Returns the interface index in a cooked header of version 2.
    #[must_use]
    pub fn interface_index(self, frame: &[u8]) -> Option<u32> {
        if self != Link::LinuxCooked2 || frame.len() < 20 {
            return None;
        }
        frame.get(4..)?.first_chunk().copied().map(u32::from_be_bytes)
    }
}

/// The payload of a frame, by the protocol that its link header announces.
pub(crate) enum Payload<'f> {
    V4(&'f [u8]),
    V6(&'f [u8]),
    Other,
}

impl<'f> Payload<'f> {
    /// Returns the payload behind a link header with this EtherType, and behind the tags of `vlans`.
    fn of(protocol: EtherType, vlans: VlanTags, rest: &'f [u8]) -> Result<Payload<'f>, Defect> {
        let (tags, protocol, at) = VlanTags::read(protocol.0, rest);
        let rest = &rest[at..];
        Ok(match EtherType(protocol) {
            _ if is_tag(protocol) && rest.len() < TAG => return Err(Defect::LinkHeader),
            _ if tags != vlans => Payload::Other,
            EtherType::IPV4 => Payload::V4(rest),
            EtherType::IPV6 => Payload::V6(rest),
            _ => Payload::Other,
        })
    }
}

/// Returns the payload behind a frame's link header.
pub(crate) fn strip(link: Link, frame: &[u8]) -> Result<Payload<'_>, Defect> {
    match link {
        Link::Ethernet | Link::Vlan(_) => {
            let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Defect::LinkHeader)?;
            Payload::of(header.ether_type(), link.vlans(), &frame[header.slice().len()..])
        }
        Link::LinuxCooked | Link::LinuxCooked2 => {
            let (at, length) = if link == Link::LinuxCooked { (14, 16) } else { (0, 20) };
            let (header, rest) = frame.split_at_checked(length).ok_or(Defect::LinkHeader)?;
            let protocol = EtherType(u16::from_be_bytes([header[at], header[at + 1]]));
            Payload::of(protocol, VlanTags::default(), rest)
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
