//! [`MrouteSocket`]: the multicast routing socket of one family and one routing table.

use super::v4::{self, MfcCtl, SgReq, VifCtl, VifReq};
use super::v6::{self, Mf6cCtl, Mif6Ctl, SgReq6};
use super::{MAX_VIFS, MrouteError, holder};
use crate::sys::{Datagram, Receiver, ioctl, set_int, set_option};
use mgm::forwarding::{Family, Flow};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use zerocopy::IntoBytes;

/// The longest message that is received whole. Upcalls are shorter; an IGMP packet fills at most one Ethernet frame.
const MESSAGE: usize = 2048;

/// The multicast routing socket of one family and one routing table.
///
/// While it is open, the kernel forwards multicast by its entries. Dropping it removes them, with all virtual interfaces.
///
/// Source: linux/mroute.h, linux/mroute6.h.
#[derive(Debug)]
pub struct MrouteSocket {
    socket: Socket,
    family: Family,
    /// Whether the kernel has this socket as the owner.
    owner: AtomicBool,
}

/// A virtual interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vif {
    /// The number, less than [`MAX_VIFS`].
    pub number: u16,
    /// The interface index.
    pub ifindex: u32,
    /// The least TTL of packets that leave by it. 1 is no restriction. Without effect on IPv6.
    pub threshold: u8,
}

/// A forwarding entry of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MfcEntry {
    /// The flow.
    pub flow: Flow,
    /// The number of the incoming vif.
    pub parent: u16,
    /// The threshold of each outgoing vif; 0 for the others.
    pub ttls: [u8; MAX_VIFS],
}

/// The kernel's counters of an entry, since the entry was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounters {
    /// Packets forwarded, or discarded for want of outgoing interfaces.
    pub packets: u64,
    /// Their octets, from the IP header on.
    pub octets: u64,
    /// Packets that arrived on another interface.
    pub wrong_interface: u64,
}

/// The kernel's counters of a virtual interface, since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VifCounters {
    /// Packets that arrived and were forwarded by an entry.
    pub in_packets: u64,
    /// Their octets.
    pub in_octets: u64,
    /// Copies that left.
    pub out_packets: u64,
    /// Their octets.
    pub out_octets: u64,
}

impl MrouteSocket {
    /// Opens the socket, becomes the owner of the multicast routing of `table`, and removes whatever entries and interfaces an
    /// earlier owner left there. `None` is the default table. Does not block.
    ///
    /// # Errors
    /// [`MrouteError`]. [`MrouteError::InUse`] when the table has an owner.
    pub fn open(family: Family, table: Option<u32>) -> Result<MrouteSocket, MrouteError> {
        let (domain, protocol) = match family {
            Family::V4 => (Domain::IPV4, libc::IPPROTO_IGMP),
            Family::V6 => (Domain::IPV6, libc::IPPROTO_ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)));
        let socket = socket.map_err(|error| refused(error, family, "socket"))?;
        let socket = MrouteSocket { socket, family, owner: AtomicBool::new(false) };
        if let Some(table) = table {
            let set = set_option(socket.as_fd(), socket.level(), v4::MRT_TABLE, table.as_bytes());
            set.map_err(|error| match error.raw_os_error() {
                Some(libc::ENOPROTOOPT | libc::EINVAL) => MrouteError::NoTables(table),
                _ => refused(error, family, "MRT_TABLE"),
            })?;
        }
        // Upcalls pass by the filters for messages of the network, which other sockets receive.
        match family {
            Family::V4 => set_int(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0)
                .and_then(|()| set_int(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1)),
            Family::V6 => set_option(socket.as_fd(), libc::IPPROTO_ICMPV6, v6::ICMP6_FILTER, &[0xff; 32]),
        }
        .map_err(MrouteError::at("filter messages"))?;
        socket.set(v4::MRT_INIT, 1).map_err(|error| match error.raw_os_error() {
            Some(libc::EADDRINUSE) => {
                let holders = holder::candidates(family, socket.inode());
                MrouteError::InUse { family, table, holders }
            }
            _ => refused(error, family, "MRT_INIT"),
        })?;
        // Relaxed: no other thread has the socket yet.
        socket.owner.store(true, Ordering::Relaxed);
        socket.set(v4::MRT_FLUSH, v4::FLUSH_ALL).map_err(MrouteError::at("MRT_FLUSH"))?;
        Ok(socket)
    }

    /// Returns the address family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Sets the receive buffer to `octets`, even beyond net.core.rmem_max. The buffer bounds how many flows can wait for their
    /// entry in the kernel.
    ///
    /// # Errors
    /// The system's error.
    pub fn set_receive_buffer(&self, octets: usize) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_recv_buffer_size_force(&self.socket, octets)?)
    }

    /// Has the kernel report packets that arrive on the wrong interface: those of each flow at most once in three seconds. A
    /// kernel without PIM reports only those that arrive on an outgoing interface of the flow.
    ///
    /// # Errors
    /// The system's error.
    pub fn report_wrong_interface(&self) -> io::Result<()> {
        match self.set(v4::MRT_PIM, 1) {
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => self.set(v4::MRT_ASSERT, 1),
            result => result,
        }
    }

    /// Adds a virtual interface.
    ///
    /// # Errors
    /// [`MrouteError::TooManyVifs`], [`MrouteError::NoSuchInterface`], [`MrouteError::IndexTooLarge`].
    pub fn add_vif(&self, vif: &Vif) -> Result<(), MrouteError> {
        let ifindex = vif.ifindex;
        let added = match self.family {
            Family::V4 => {
                let index = i32::try_from(ifindex).map_err(|_| MrouteError::NoSuchInterface(ifindex))?;
                let vif = VifCtl {
                    vif: vif.number,
                    flags: v4::VIFF_USE_IFINDEX,
                    threshold: vif.threshold,
                    rate_limit: 0,
                    ifindex: index,
                    remote: [0; 4],
                };
                self.set_bytes(v4::MRT_ADD_VIF, vif.as_bytes())
            }
            Family::V6 => {
                let index = u16::try_from(ifindex).map_err(|_| MrouteError::IndexTooLarge(ifindex))?;
                let mif = Mif6Ctl {
                    mif: vif.number,
                    flags: 0,
                    threshold: vif.threshold,
                    ifindex: index,
                    padding: [0; 2],
                    rate_limit: 0,
                };
                self.set_bytes(v4::MRT_ADD_VIF, mif.as_bytes())
            }
        };
        added.map_err(|error| match error.raw_os_error() {
            Some(libc::ENFILE) => MrouteError::TooManyVifs,
            Some(libc::EADDRNOTAVAIL | libc::ENODEV) => MrouteError::NoSuchInterface(ifindex),
            _ => MrouteError::System { call: "MRT_ADD_VIF", error },
        })
    }

    /// Deletes a virtual interface. From then on no packet leaves by it. Returns whether it was there: the kernel deletes the
    /// vif of an interface that vanishes.
    ///
    /// # Errors
    /// [`MrouteError::System`].
    pub fn delete_vif(&self, number: u16) -> Result<bool, MrouteError> {
        let deleted = match self.family {
            Family::V4 => {
                let (flags, threshold, rate_limit, ifindex, remote) = (0, 0, 0, 0, [0; 4]);
                let vif = VifCtl { vif: number, flags, threshold, rate_limit, ifindex, remote };
                self.set_bytes(v4::MRT_DEL_VIF, vif.as_bytes())
            }
            Family::V6 => self.set_bytes(v4::MRT_DEL_VIF, number.as_bytes()),
        };
        present(deleted, libc::EADDRNOTAVAIL, "MRT_DEL_VIF")
    }

    /// Adds an entry, or replaces the one of this flow. The flow's counters stay when it is replaced.
    ///
    /// # Errors
    /// [`MrouteError`].
    pub fn set_entry(&self, entry: &MfcEntry) -> Result<(), MrouteError> {
        self.change_entry(v4::MRT_ADD_MFC, entry)?.map_err(MrouteError::at("MRT_ADD_MFC"))
    }

    /// Deletes the entry of a flow. Returns whether there was one.
    ///
    /// # Errors
    /// [`MrouteError`].
    pub fn delete_entry(&self, flow: Flow) -> Result<bool, MrouteError> {
        let entry = MfcEntry { flow, parent: 0, ttls: [0; MAX_VIFS] };
        present(self.change_entry(v4::MRT_DEL_MFC, &entry)?, libc::ENOENT, "MRT_DEL_MFC")
    }

    fn change_entry(&self, option: i32, entry: &MfcEntry) -> Result<io::Result<()>, MrouteError> {
        let MfcEntry { flow, parent, ttls } = *entry;
        match (self.family, flow.source(), flow.group()) {
            (Family::V4, IpAddr::V4(source), IpAddr::V4(group)) => {
                Ok(self.set_bytes(option, MfcCtl::new(source, group, parent, ttls).as_bytes()))
            }
            (Family::V6, IpAddr::V6(source), IpAddr::V6(group)) => {
                Ok(self.set_bytes(option, Mf6cCtl::new(source, group, parent, ttls).as_bytes()))
            }
            _ => Err(MrouteError::OtherFamily(flow)),
        }
    }

    /// Returns the counters of an entry; `None` if the flow has none.
    ///
    /// # Errors
    /// [`MrouteError`].
    pub fn entry_counters(&self, flow: Flow) -> Result<Option<EntryCounters>, MrouteError> {
        let ([packets, octets, wrong_interface], read) = match (self.family, flow.source(), flow.group()) {
            (Family::V4, IpAddr::V4(source), IpAddr::V4(group)) => {
                let (source, group) = (source.octets(), group.octets());
                let mut counters = SgReq { source, group, packets: 0, octets: 0, wrong_if: 0 };
                // SAFETY: `SIOCGETSGCNT` reads and writes a `struct sioc_sg_req` on IPv4 sockets, and this is one.
                let read = unsafe { ioctl(self.as_fd(), v4::SIOCGETSGCNT, &mut counters) };
                ([counters.packets, counters.octets, counters.wrong_if], read)
            }
            (Family::V6, IpAddr::V6(source), IpAddr::V6(group)) => {
                let (source, group) = (source.into(), group.into());
                let mut counters = SgReq6 { source, group, packets: 0, octets: 0, wrong_if: 0 };
                // SAFETY: the request reads and writes a `struct sioc_sg_req6` on IPv6 sockets, and this is one.
                let read = unsafe { ioctl(self.as_fd(), v4::SIOCGETSGCNT, &mut counters) };
                ([counters.packets, counters.octets, counters.wrong_if], read)
            }
            _ => return Err(MrouteError::OtherFamily(flow)),
        };
        let there = present(read, libc::EADDRNOTAVAIL, "SIOCGETSGCNT")?;
        Ok(there.then_some(EntryCounters { packets, octets, wrong_interface }))
    }

    /// Returns the counters of a virtual interface; `None` if there is none with this number.
    ///
    /// # Errors
    /// [`MrouteError`].
    pub fn vif_counters(&self, number: u16) -> Result<Option<VifCounters>, MrouteError> {
        let (in_packets, out_packets, in_octets, out_octets) = (0, 0, 0, 0);
        let mut counters =
            VifReq { vif: number, padding: [0; 6], in_packets, out_packets, in_octets, out_octets };
        // SAFETY: the request reads and writes a `struct sioc_vif_req`. IPv6 sockets have the same layout for it.
        let read = unsafe { ioctl(self.as_fd(), v4::SIOCGETVIFCNT, &mut counters) };
        let there = present(read, libc::EADDRNOTAVAIL, "SIOCGETVIFCNT")?;
        let VifReq { in_packets, out_packets, in_octets, out_octets, .. } = counters;
        Ok(there.then_some(VifCounters { in_packets, in_octets, out_packets, out_octets }))
    }

    /// Returns a buffer for [`receive`](Self::receive).
    pub(crate) fn receiver() -> Receiver {
        Receiver::new(MESSAGE)
    }

    /// Receives a message into the buffer; `None` if none is there. Never blocks.
    pub(crate) fn receive<'r>(&self, receiver: &'r mut Receiver) -> io::Result<Option<Datagram<'r>>> {
        receiver.receive(&self.socket)
    }

    /// Ends the ownership: removes every entry and vif. Another socket may be the owner from then on.
    ///
    /// Closing the descriptor has the same effect, but only when no copy of it is left in a child process.
    pub(crate) fn done(&self) {
        // Relaxed: decides only which of two threads makes the call.
        if !self.owner.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.set(v4::MRT_DONE, 0) {
            tracing::warn!(family = ?self.family, %error, "MRT_DONE");
        }
    }

    /// Returns the level of the multicast routing options.
    fn level(&self) -> i32 {
        match self.family {
            Family::V4 => libc::IPPROTO_IP,
            Family::V6 => libc::IPPROTO_IPV6,
        }
    }

    fn set(&self, option: i32, value: i32) -> io::Result<()> {
        set_int(self.as_fd(), self.level(), option, value)
    }

    fn set_bytes(&self, option: i32, value: &[u8]) -> io::Result<()> {
        set_option(self.as_fd(), self.level(), option, value)
    }

    /// Returns the inode of the socket; 0 if it cannot be read.
    fn inode(&self) -> u64 {
        rustix::fs::fstat(&self.socket).map_or(0, |stat| stat.st_ino)
    }
}

impl AsFd for MrouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for MrouteSocket {
    fn drop(&mut self) {
        self.done();
    }
}

/// Returns whether the object of a call was there. `absent` is the error that says that it was not.
fn present(result: io::Result<()>, absent: i32, call: &'static str) -> Result<bool, MrouteError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(absent) => Ok(false),
        Err(error) => Err(MrouteError::System { call, error }),
    }
}

/// Returns the error of a refused start.
fn refused(error: io::Error, family: Family, call: &'static str) -> MrouteError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => MrouteError::Permission(family),
        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT) => {
            MrouteError::NotSupported(family)
        }
        _ => MrouteError::System { call, error },
    }
}
