//! [`Upcall`]: what the kernel reports of packets that it cannot forward (`struct igmpmsg`, `struct mrt6msg`).

use mgm::forwarding::{Family, Flow, FlowError};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The length of `struct igmpmsg`, which lies where an IPv4 header would be.
const IGMPMSG: usize = 20;
/// The length of `struct mrt6msg`.
const MRT6MSG: usize = 40;

/// The reason of an upcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpcallKind {
    /// The flow has no entry (`IGMPMSG_NOCACHE`, `MRT6MSG_NOCACHE`).
    NoEntry,
    /// The packet arrived on another interface than the entry's incoming one (`IGMPMSG_WRONGVIF`, `MRT6MSG_WRONGMIF`).
    WrongInterface,
    /// A whole packet for a register interface, which this crate does not use.
    WholePacket,
}

/// A report of the kernel about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcall {
    /// The reason.
    pub kind: UpcallKind,
    /// The number of the vif where the packet arrived.
    pub vif: u16,
    /// The flow of the packet.
    pub flow: Flow,
}

/// A message that arrived on the multicast routing socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A report of the kernel.
    Upcall(Upcall),
    /// An IGMP packet of a host or router, from its IP header on. Only IPv4 sockets receive such packets.
    Igmp(&'a [u8]),
}

/// The reason why a message on the multicast routing socket has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpcallError {
    /// The message is too short.
    #[error("{0} octets are too few for a message of the kernel")]
    Truncated(usize),
    /// The message has an unknown type.
    #[error("an upcall of unknown type {0}")]
    UnknownKind(u8),
    /// The addresses are no flow.
    #[error(transparent)]
    NotAFlow(#[from] FlowError),
}

impl UpcallKind {
    const fn parse(kind: u8) -> Result<UpcallKind, UpcallError> {
        match kind {
            1 => Ok(UpcallKind::NoEntry),
            2 => Ok(UpcallKind::WrongInterface),
            3 | 4 => Ok(UpcallKind::WholePacket),
            other => Err(UpcallError::UnknownKind(other)),
        }
    }
}

impl<'a> Message<'a> {
    /// Parses a message of a socket of one family.
    ///
    /// # Errors
    /// [`UpcallError`]: the message is to be ignored.
    pub fn parse(family: Family, octets: &'a [u8]) -> Result<Message<'a>, UpcallError> {
        match family {
            Family::V4 => Message::parse_v4(octets),
            Family::V6 => Message::parse_v6(octets),
        }
    }

    fn parse_v4(octets: &'a [u8]) -> Result<Message<'a>, UpcallError> {
        let header: &[u8; IGMPMSG] = octets.first_chunk().ok_or(UpcallError::Truncated(octets.len()))?;
        // `im_mbz` lies where the protocol is in the IP header of a packet.
        if header[9] != 0 {
            return Ok(Message::Igmp(octets));
        }
        let &[.., s0, s1, s2, s3, g0, g1, g2, g3] = header;
        let (source, group) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(g0, g1, g2, g3));
        let kind = UpcallKind::parse(header[8])?;
        let vif = u16::from_le_bytes([header[10], header[11]]);
        Ok(Message::Upcall(Upcall { kind, vif, flow: Flow::new(source.into(), group.into())? }))
    }

    fn parse_v6(octets: &'a [u8]) -> Result<Message<'a>, UpcallError> {
        let message: &[u8; MRT6MSG] = octets.first_chunk().ok_or(UpcallError::Truncated(octets.len()))?;
        let kind = UpcallKind::parse(message[1])?;
        let vif = u16::from_ne_bytes([message[2], message[3]]);
        let address = |at| Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|octet| message[at + octet]));
        let flow = Flow::new(address(8).into(), address(24).into())?;
        Ok(Message::Upcall(Upcall { kind, vif, flow }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn igmpmsg(kind: u8, protocol: u8) -> Vec<u8> {
        let mut octets = vec![0; 8];
        octets.extend([kind, protocol, 5, 0, 10, 0, 0, 7, 239, 1, 2, 3]);
        octets
    }

    fn mrt6msg(kind: u8) -> Vec<u8> {
        let mut octets = vec![0, kind];
        octets.extend(5_u16.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend("fd00::7".parse::<Ipv6Addr>().unwrap().octets());
        octets.extend("ff35::1".parse::<Ipv6Addr>().unwrap().octets());
        octets
    }

    #[test]
    fn upcalls_of_both_families_name_vif_and_flow() {
        let kinds = [UpcallKind::NoEntry, UpcallKind::WrongInterface, UpcallKind::WholePacket];
        for (code, kind) in (1..).zip(kinds) {
            let v4 = Flow::new("10.0.0.7".parse().unwrap(), "239.1.2.3".parse().unwrap()).unwrap();
            let v6 = Flow::new("fd00::7".parse().unwrap(), "ff35::1".parse().unwrap()).unwrap();
            let upcall = |flow| Ok(Message::Upcall(Upcall { kind, vif: 5, flow }));
            assert_eq!(Message::parse(Family::V4, &igmpmsg(code, 0)), upcall(v4));
            assert_eq!(Message::parse(Family::V6, &mrt6msg(code)), upcall(v6));
        }
    }

    #[test]
    fn packets_of_hosts_are_told_from_upcalls() {
        let packet = igmpmsg(1, 2);
        assert_eq!(Message::parse(Family::V4, &packet), Ok(Message::Igmp(&packet)));
    }

    #[test]
    fn truncated_and_unknown_messages_are_errors() {
        for (family, octets) in [(Family::V4, igmpmsg(1, 0)), (Family::V6, mrt6msg(1))] {
            for length in 0..octets.len() {
                let parsed = Message::parse(family, &octets[..length]);
                assert_eq!(parsed, Err(UpcallError::Truncated(length)));
            }
        }
        assert_eq!(Message::parse(Family::V4, &igmpmsg(9, 0)), Err(UpcallError::UnknownKind(9)));
        assert_eq!(Message::parse(Family::V6, &mrt6msg(0)), Err(UpcallError::UnknownKind(0)));
        let mut not_a_group = igmpmsg(1, 0);
        not_a_group[16] = 10;
        assert!(matches!(Message::parse(Family::V4, &not_a_group), Err(UpcallError::NotAFlow(_))));
    }
}
