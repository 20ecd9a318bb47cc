//! [`Receiver`]: a datagram with its sender and its control messages (recvmsg(2)).

use super::ControlMessages;
use socket2::{MaybeUninitSlice, MsgHdrMut, SockAddr, Socket};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv6Addr};

/// The room for control messages: packet information, hop limit and hop-by-hop options need less than half of it.
const CONTROL: usize = 512;

/// A buffer for one datagram at a time.
pub(crate) struct Receiver {
    payload: Box<[MaybeUninit<u8>]>,
    control: Box<[MaybeUninit<u8>]>,
}

/// A datagram as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) sender: IpAddr,
    pub(crate) payload: &'a [u8],
    pub(crate) control: ControlMessages<'a>,
    /// Whether the datagram was longer than the buffer.
    pub(crate) truncated: bool,
}

impl Datagram<'_> {
    /// Returns the index of the interface where the datagram arrived, if the socket was asked to tell it (`IP_PKTINFO` of
    /// ip(7), `IPV6_PKTINFO` of ipv6(7)).
    pub(crate) fn ifindex(&self) -> Option<u32> {
        let index = self.control.clone().find_map(|message| match (message.level, message.kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => message.int(0),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => message.int(16),
            _ => None,
        });
        index.and_then(|index| u32::try_from(index).ok())
    }
}

impl Receiver {
    /// Makes a buffer for datagrams of at most `length` octets.
    pub(crate) fn new(length: usize) -> Receiver {
        let zeros = |length| vec![MaybeUninit::new(0); length].into_boxed_slice();
        Receiver { payload: zeros(length), control: zeros(CONTROL) }
    }

    /// Receives a datagram; `None` if none is there. Never blocks.
    pub(crate) fn receive(&mut self, socket: &Socket) -> io::Result<Option<Datagram<'_>>> {
        // The kernel writes no more of the sender than this address has room for: IPv6 needs the most.
        let mut sender = SockAddr::from(std::net::SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
        let mut buffers = [MaybeUninitSlice::new(&mut self.payload)];
        let mut header = MsgHdrMut::new()
            .with_addr(&mut sender)
            .with_buffers(&mut buffers)
            .with_control(&mut self.control);
        let length = loop {
            match socket.recvmsg(&mut header, libc::MSG_DONTWAIT) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        let (truncated, control) = (header.flags().is_truncated(), header.control_len());
        let sender = sender.as_socket().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |sender| sender.ip());
        let payload = self.payload.get(..length).unwrap_or(&self.payload);
        let control = self.control.get(..control).unwrap_or(&self.control);
        // SAFETY: every octet of both buffers was initialized by `new`, and receiving only writes octets.
        let payload = unsafe { payload.assume_init_ref() };
        // SAFETY: as above.
        let control = unsafe { control.assume_init_ref() };
        Ok(Some(Datagram { sender, payload, control: ControlMessages::new(control), truncated }))
    }
}
