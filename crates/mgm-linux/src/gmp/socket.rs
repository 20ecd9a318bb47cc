//! [`GmpSocket`]: the raw socket for IGMP or MLD.

use super::GmpIoError;
use crate::sys::{ControlMessages, Datagram as Raw, Receiver, push_control, set_int, set_option};
use mgm::forwarding::Family;
use mgm::plane::{Class, Link, classify};
use mgm::protocol::gmp::{Datagram, Transmission};
use socket2::{Domain, InterfaceIndexOrAddress, MsgHdr, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

/// The longest message that is received whole: the largest MTU that is common.
const MESSAGE: usize = 9216;
/// The receive buffer, in octets: a burst of reports after a general query.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The Router Alert option of IPv4 (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
/// The type of the Router Alert option of IPv6 (RFC 2711).
const ROUTER_ALERT6: u8 = 5;
/// A hop-by-hop header with the Router Alert option for MLD, padded (RFC 2711, RFC 8200). The kernel fills in the first octet.
const HOP_BY_HOP: [u8; 8] = [0, 0, ROUTER_ALERT6, 2, 0, 0, 1, 0];
/// `ICMP6_FILTER` of linux/icmpv6.h.
const ICMP6_FILTER: i32 = 1;
/// The messages of MLD (RFC 2710, RFC 3810).
const MLD_TYPES: [u8; 4] = [130, 131, 132, 143];
/// Internetwork control, which IGMP messages have (RFC 3376 section 4).
const PRECEDENCE: i32 = 0xc0;

/// The groups that routers join to hear hosts: RFC 3376 section 4.2.14, RFC 2236 section 3.
const V4_GROUPS: [Ipv4Addr; 2] = [Ipv4Addr::new(224, 0, 0, 22), Ipv4Addr::new(224, 0, 0, 2)];
/// The same for MLD: RFC 3810 section 5.2.14, RFC 2710 section 4.
const V6_GROUPS: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2)];

/// A raw socket that receives and sends the messages of IGMP or of MLD on every interface.
#[derive(Debug)]
pub struct GmpSocket {
    socket: Socket,
}

/// The membership of the router itself in the groups of routers, on one interface. Dropping it leaves them.
///
/// Each interface has a socket for it, because the kernel limits the groups of one socket
/// (`net.ipv4.igmp_max_memberships`).
#[derive(Debug)]
pub(super) struct RouterGroups {
    /// Holds the membership.
    _socket: Socket,
}

impl RouterGroups {
    /// Joins the groups of routers on an interface.
    pub(super) fn join(family: Family, ifindex: u32) -> io::Result<RouterGroups> {
        let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        match family {
            Family::V4 => V4_GROUPS.iter().try_for_each(|group| {
                socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Index(ifindex))
            })?,
            Family::V6 => V6_GROUPS.iter().try_for_each(|group| socket.join_multicast_v6(group, ifindex))?,
        }
        Ok(RouterGroups { _socket: socket })
    }
}

impl GmpSocket {
    /// Opens the socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`GmpIoError::System`].
    pub fn open(family: Family) -> Result<GmpSocket, GmpIoError> {
        let (domain, protocol) = match family {
            Family::V4 => (Domain::IPV4, libc::IPPROTO_IGMP),
            Family::V6 => (Domain::IPV6, libc::IPPROTO_ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)));
        let socket = GmpSocket { socket: socket.map_err(GmpIoError::at("socket"))? };
        match family {
            Family::V4 => socket.set_up_v4(),
            Family::V6 => socket.set_up_v6(),
        }
        .map_err(GmpIoError::at("setsockopt"))?;
        // Needs CAP_NET_ADMIN. Without it a burst of reports may overflow the buffer, and the querier asks again later.
        if let Err(error) =
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket.socket, RECEIVE_BUFFER)
        {
            tracing::debug!(%error, "the receive buffer for IGMP and MLD keeps its size");
        }
        Ok(socket)
    }

    fn set_up_v4(&self) -> io::Result<()> {
        let (fd, ip) = (self.socket.as_fd(), libc::IPPROTO_IP);
        set_int(fd, ip, libc::IP_PKTINFO, 1)?;
        set_int(fd, ip, libc::IP_ROUTER_ALERT, 1)?;
        set_int(fd, ip, libc::IP_TOS, PRECEDENCE)?;
        set_int(fd, ip, libc::IP_MULTICAST_TTL, 1)?;
        set_int(fd, ip, libc::IP_MULTICAST_LOOP, 0)?;
        set_option(fd, ip, libc::IP_OPTIONS, &ROUTER_ALERT)
    }

    fn set_up_v6(&self) -> io::Result<()> {
        let (fd, ip) = (self.socket.as_fd(), libc::IPPROTO_IPV6);
        // A bit for each message type; 1 blocks it.
        let mut filter = [0xff_u8; 32];
        for kind in MLD_TYPES.map(usize::from) {
            let word = kind / 32 * 4;
            let bits =
                u32::from_ne_bytes([filter[word], filter[word + 1], filter[word + 2], filter[word + 3]]);
            filter[word..word + 4].copy_from_slice(&(bits & !(1 << (kind % 32))).to_ne_bytes());
        }
        set_option(fd, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &filter)?;
        set_int(fd, ip, libc::IPV6_RECVPKTINFO, 1)?;
        set_int(fd, ip, libc::IPV6_RECVHOPLIMIT, 1)?;
        set_int(fd, ip, libc::IPV6_RECVHOPOPTS, 1)?;
        set_int(fd, ip, libc::IPV6_MULTICAST_HOPS, 1)?;
        set_int(fd, ip, libc::IPV6_MULTICAST_LOOP, 0)?;
        set_option(fd, ip, libc::IPV6_HOPOPTS, &HOP_BY_HOP)
    }

    /// Returns a buffer for [`receive`](Self::receive).
    pub(super) fn receiver() -> Receiver {
        Receiver::new(MESSAGE)
    }

    /// Receives a datagram into the buffer; `None` if none is there. Never blocks.
    pub(super) fn receive<'r>(&self, receiver: &'r mut Receiver) -> io::Result<Option<Raw<'r>>> {
        receiver.receive(&self.socket)
    }

    /// Sends a query: with TTL or hop limit 1 and the Router Alert option, from its source address. Does not block.
    ///
    /// # Errors
    /// The system's error, as when the interface is down or has lost the address.
    pub fn send(&self, query: &Transmission, ifindex: u32) -> io::Result<()> {
        let (octets, mut control) = (query.octets(), Vec::new());
        let index = i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
        let to = match (query.source, query.destination()) {
            (IpAddr::V4(source), IpAddr::V4(group)) => {
                // `struct in_pktinfo`: the index, the source, and an address that is not used.
                let info = [index.to_ne_bytes(), source.octets(), [0; 4]].concat();
                push_control(&mut control, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
                SocketAddr::V4(SocketAddrV4::new(group, 0))
            }
            (IpAddr::V6(source), IpAddr::V6(group)) => {
                // `struct in6_pktinfo`: the source and the index.
                let info = [source.octets().as_slice(), &index.to_ne_bytes()].concat();
                push_control(&mut control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
                SocketAddr::V6(SocketAddrV6::new(group, 0, 0, ifindex))
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let (to, buffers) = (SockAddr::from(to), [IoSlice::new(&octets)]);
        let message = MsgHdr::new().with_addr(&to).with_buffers(&buffers).with_control(&control);
        self.socket.sendmsg(&message, libc::MSG_DONTWAIT).map(|_| ())
    }
}

impl AsFd for GmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns the message in a datagram that a raw socket of the family received; `None` if there is none.
pub(super) fn message<'a>(family: Family, raw: &'a Raw<'_>) -> Option<Datagram<'a>> {
    if raw.truncated {
        return None;
    }
    match family {
        Family::V4 => igmp_message(raw.payload),
        Family::V6 => mld_message(raw.sender, raw.payload, &raw.control),
    }
}

/// Returns the IGMP message in an IPv4 packet; `None` if it carries none.
pub(super) fn igmp_message(packet: &[u8]) -> Option<Datagram<'_>> {
    match classify(Link::Ip, packet) {
        Class::Control(control) if control.family() == Family::V4 => Some(control.into()),
        _ => None,
    }
}

/// Returns an MLD message. The kernel has removed the headers before it, and tells of them beside it.
fn mld_message<'a>(sender: IpAddr, payload: &'a [u8], control: &ControlMessages<'_>) -> Option<Datagram<'a>> {
    let (mut destination, mut hop_limit, mut router_alert) = (None, None, false);
    for message in control.clone().filter(|message| message.level == libc::IPPROTO_IPV6) {
        match message.kind {
            libc::IPV6_PKTINFO => {
                let octets: Option<&[u8; 16]> = message.data.first_chunk();
                destination = octets.map(|octets| IpAddr::from(*octets));
            }
            libc::IPV6_HOPLIMIT => hop_limit = message.int(0).and_then(|limit| u8::try_from(limit).ok()),
            libc::IPV6_HOPOPTS => router_alert |= has_router_alert(message.data),
            _ => {}
        }
    }
    let (destination, hop_limit) = (destination?, hop_limit?);
    Some(Datagram { source: sender, destination, hop_limit, router_alert, payload })
}

/// Returns whether a hop-by-hop header has the Router Alert option for MLD.
fn has_router_alert(header: &[u8]) -> bool {
    let mut options = header.get(2..).unwrap_or_default();
    while let Some((kind, rest)) = options.split_first() {
        // Pad1 is a single octet.
        if *kind == 0 {
            options = rest;
            continue;
        }
        let Some((length, rest)) = rest.split_first() else { return false };
        let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { return false };
        if *kind == ROUTER_ALERT6 && value == [0, 0] {
            return true;
        }
        options = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_alert_option_is_found_among_others() {
        assert!(has_router_alert(&HOP_BY_HOP));
        assert!(has_router_alert(&[58, 0, 0, 0, 5, 2, 0, 0]), "after padding");
        assert!(!has_router_alert(&[58, 0, 5, 2, 0, 1, 1, 0]), "an alert for another protocol");
        assert!(!has_router_alert(&[58, 0, 1, 4, 5, 2, 0, 0]), "padding that looks like it");
        for length in 0..6 {
            assert!(!has_router_alert(&HOP_BY_HOP[..length]), "{length} octets");
        }
    }

    #[test]
    fn an_mld_message_needs_its_destination_and_hop_limit() {
        let sender: IpAddr = "fe80::1".parse().unwrap();
        let group: Ipv6Addr = "ff02::16".parse().unwrap();
        let mut control = Vec::new();
        let mut info = group.octets().to_vec();
        info.extend(3_i32.to_ne_bytes());
        push_control(&mut control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        assert!(mld_message(sender, &[143], &ControlMessages::new(&control)).is_none());
        push_control(&mut control, libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &1_i32.to_ne_bytes());
        push_control(&mut control, libc::IPPROTO_IPV6, libc::IPV6_HOPOPTS, &HOP_BY_HOP);
        let read = mld_message(sender, &[143], &ControlMessages::new(&control)).unwrap();
        assert_eq!((read.destination, read.hop_limit, read.router_alert), (group.into(), 1, true));
    }

    #[test]
    fn an_igmp_message_is_found_behind_the_options() {
        let mut packet = vec![0x46, 0xc0, 0, 32, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 5, 239, 1, 2, 3];
        packet.extend(ROUTER_ALERT);
        packet.extend([0x16, 0, 0, 0, 239, 1, 2, 3]);
        let sum =
            packet[..24].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let read = igmp_message(&packet).unwrap();
        assert_eq!((read.hop_limit, read.router_alert, read.payload.len()), (1, true, 8));
        for length in 0..packet.len() {
            assert!(igmp_message(&packet[..length]).is_none(), "{length} octets");
        }
    }
}
