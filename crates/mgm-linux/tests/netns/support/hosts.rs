//! Real hosts: the kernel joins groups, sends and receives.

use super::Namespace;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) const PORT: u16 = 5004;

/// A receiver that has joined a group through the kernel.
pub(crate) struct Receiver {
    socket: UdpSocket,
    group: IpAddr,
    ifindex: u32,
}

fn udp(group: IpAddr) -> Socket {
    let domain = if group.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).expect("a socket")
}

impl Receiver {
    /// Joins a group on a device of the namespace, from any source.
    pub(crate) fn join(namespace: &Namespace, device: &str, group: &str) -> Receiver {
        let (group, ifindex) = (group.parse().expect("a group"), namespace.ifindex(device));
        let socket = namespace.enter(|| {
            let socket = udp(group);
            socket.set_reuse_address(true).expect("reuse");
            socket.bind(&SockAddr::from(SocketAddr::new(group, PORT))).expect("bind");
            match group {
                IpAddr::V4(group) => socket
                    .join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(ifindex))
                    .expect("join"),
                IpAddr::V6(group) => socket.join_multicast_v6(&group, ifindex).expect("join"),
            }
            socket
        });
        Receiver { socket: socket.into(), group, ifindex }
    }

    /// Leaves the group. The socket stays open.
    pub(crate) fn leave(&self) {
        let socket = socket2::SockRef::from(&self.socket);
        match self.group {
            IpAddr::V4(group) => socket
                .leave_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(self.ifindex))
                .expect("leave"),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, self.ifindex).expect("leave"),
        }
    }

    /// Returns the payload of the next packet within `time`.
    pub(crate) fn next(&self, time: Duration) -> Option<String> {
        let mut octets = [0; 2048];
        self.socket.set_read_timeout(Some(time)).expect("a timeout");
        match self.socket.recv(&mut octets) {
            Ok(length) => Some(String::from_utf8_lossy(&octets[..length]).into_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("recv: {error}"),
        }
    }

    /// Takes every packet that has arrived. Returns the number.
    pub(crate) fn drain(&self) -> usize {
        std::iter::from_fn(|| self.next(Duration::from_millis(1))).count()
    }

    /// Waits until the packet `wanted` arrives, while `sender` sends it again and again.
    pub(crate) fn expect(&self, sender: &Sender, wanted: &str) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            sender.send(wanted);
            if self.next(Duration::from_millis(20)).as_deref() == Some(wanted) {
                return;
            }
        }
        panic!("{wanted:?} to {} did not arrive within a minute", self.group);
    }
}

/// A sender to a group.
pub(crate) struct Sender {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Sender {
    /// Makes a sender to a group by a device of the namespace, with TTL 8.
    pub(crate) fn new(namespace: &Namespace, device: &str, group: &str) -> Sender {
        let (group, ifindex) = (group.parse().expect("a group"), namespace.ifindex(device));
        let socket = namespace.enter(|| {
            let socket = udp(group);
            match group {
                IpAddr::V4(_) => {
                    socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))).expect("bind");
                    socket.set_multicast_ttl_v4(8).expect("ttl");
                }
                IpAddr::V6(_) => {
                    socket.set_multicast_if_v6(ifindex).expect("interface");
                    socket.bind(&SockAddr::from(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))).expect("bind");
                    socket.set_multicast_hops_v6(8).expect("hops");
                }
            }
            socket
        });
        Sender { socket: socket.into(), to: SocketAddr::new(group, PORT) }
    }

    /// Sends a packet.
    pub(crate) fn send(&self, payload: &str) {
        self.send_to(self.to.ip(), payload);
    }

    /// Sends a packet to another group.
    pub(crate) fn send_to(&self, group: IpAddr, payload: &str) {
        self.socket.send_to(payload.as_bytes(), (group, PORT)).expect("send");
    }
}
