//! Hosts of the demo: receivers that join through their kernel, and the source.

use super::network::{HOST_INTERFACE, Network};
use anyhow::Context;
use rustix::net::netdevice;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, SockRef, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const PORT: u16 = 5004;

fn udp(family: IpAddr) -> anyhow::Result<Socket> {
    let domain = if family.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).context("a socket of a host")
}

/// Returns the index of a host's interface, in the namespace of the calling thread.
fn index() -> anyhow::Result<u32> {
    let socket = udp(Ipv4Addr::UNSPECIFIED.into())?;
    netdevice::name_to_index(&socket, HOST_INTERFACE).context("the interface of a host")
}

/// A host's program that receives the packets of a group and counts them.
pub(super) struct Receiver {
    socket: Arc<UdpSocket>,
    group: IpAddr,
    index: u32,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts a receiver. Its kernel sends the report.
    pub(super) fn start(
        network: &Network,
        host: &str,
        group: &str,
        source: Option<&str>,
    ) -> anyhow::Result<Receiver> {
        let group: IpAddr = group.parse().context("the group")?;
        let source: Option<Ipv4Addr> = source.map(str::parse).transpose().context("the source")?;
        let (socket, index) = network.enter(host, || {
            let (socket, index) = (udp(group)?, index()?);
            socket.bind(&SockAddr::from(SocketAddr::new(group, PORT))).context("bind")?;
            match (group, source) {
                (IpAddr::V4(group), Some(source)) => socket
                    .join_ssm_v4(&source, &group, &network.address(host)?)
                    .context("the join of a source")?,
                (IpAddr::V4(group), None) => socket
                    .join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
                    .context("the join")?,
                (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, index).context("the join")?,
            }
            socket.set_read_timeout(Some(Duration::from_millis(50))).context("a time limit")?;
            anyhow::Ok((socket, index))
        })?;
        let socket: Arc<UdpSocket> = Arc::new(socket.into());
        let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (socket, count, stop) = (socket.clone(), count.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(SeqCst) {
                    if socket.recv(&mut [0; 64]).is_ok() {
                        count.fetch_add(1, SeqCst);
                    }
                }
            })
        };
        Ok(Receiver { socket, group, index, count, stop, thread: Some(thread) })
    }

    /// Returns the number of packets received so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    /// Leaves the group.
    pub(super) fn leave(&self) -> anyhow::Result<()> {
        let socket = SockRef::from(&*self.socket);
        match self.group {
            IpAddr::V4(group) => {
                socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(self.index))
            }
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, self.index),
        }
        .context("the leave")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a receiver of the demo panicked");
        }
    }
}

/// The program that sends.
pub(super) struct Sender {
    v4: UdpSocket,
    v6: UdpSocket,
}

impl Sender {
    pub(super) fn new(network: &Network, host: &str) -> anyhow::Result<Sender> {
        network.enter(host, || {
            let index = index()?;
            let v4 = udp(Ipv4Addr::UNSPECIFIED.into())?;
            v4.set_multicast_if_v4(&network.address(host)?).context("the interface")?;
            v4.set_multicast_ttl_v4(8).context("the TTL")?;
            let v6 = udp(Ipv6Addr::UNSPECIFIED.into())?;
            v6.set_multicast_if_v6(index).context("the interface")?;
            v6.set_multicast_hops_v6(8).context("the hop limit")?;
            Ok(Sender { v4: v4.into(), v6: v6.into() })
        })
    }

    /// Returns whether the source has a route to groups. A new interface has it for IPv6 only when its carrier was noticed.
    pub(super) fn is_ready(network: &Network, host: &str) -> anyhow::Result<bool> {
        network.enter(host, || {
            let socket = udp(Ipv6Addr::UNSPECIFIED.into())?;
            socket.set_multicast_if_v6(index()?).context("the interface")?;
            let any_group = SocketAddr::from((Ipv6Addr::new(0xff1e, 0, 0, 0, 0, 0, 0, 1), PORT));
            Ok(socket.connect(&SockAddr::from(any_group)).is_ok())
        })
    }

    /// Sends one packet to a group.
    pub(super) fn send(&self, group: &str) -> anyhow::Result<()> {
        let group: IpAddr = group.parse().context("the group")?;
        let socket = if group.is_ipv4() { &self.v4 } else { &self.v6 };
        socket.send_to(b"a packet of mgm demo", (group, PORT)).context("sending")?;
        Ok(())
    }
}
