//! [`NetlinkSocket`]: one socket, for requests or for events.

use super::NetlinkError;
use crate::sys::set_int;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// `NLM_F_DUMP_INTR` of linux/netlink.h: the dump is of no single state.
const DUMP_INTERRUPTED: u16 = 0x10;
/// The longest datagram that the kernel sends in a dump.
const BUFFER: usize = 64 << 10;
/// The receive buffer for events.
const EVENTS: usize = 4 << 20;
/// The number of times that an interrupted dump is repeated.
const MAX_DUMPS: usize = 16;

/// A route netlink socket.
pub(crate) struct NetlinkSocket {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

/// A message of the kernel: an object, the end of a dump, or an error.
enum Answer {
    Object(RouteNetlinkMessage),
    Done,
    Error(io::Error),
    /// An object that the netlink crates cannot read, or a message without meaning here.
    Other,
}

impl NetlinkSocket {
    /// Opens a socket for requests.
    pub(crate) fn open() -> Result<NetlinkSocket, NetlinkError> {
        // The protocol number of route netlink is 0.
        let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(NetlinkError::at("socket"))?;
        net::bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(NetlinkError::at("bind"))?;
        Ok(NetlinkSocket { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Opens a socket for the events of these multicast groups of route netlink.
    pub(crate) fn open_events(groups: &[i32]) -> Result<NetlinkSocket, NetlinkError> {
        let opened = NetlinkSocket::open()?;
        for group in groups {
            set_int(opened.as_fd(), libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, *group)
                .map_err(NetlinkError::at("NETLINK_ADD_MEMBERSHIP"))?;
        }
        // Needs CAP_NET_ADMIN. Without it events are lost earlier, and then all is read anew.
        if let Err(error) = net::sockopt::set_socket_recv_buffer_size_force(&opened.socket, EVENTS) {
            tracing::debug!(%error, "the buffer for netlink events keeps its size");
        }
        Ok(opened)
    }

    /// Requests one object; `None` if the kernel's answer cannot be read. Blocks until the kernel answers, which it does at
    /// once.
    pub(crate) fn get(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> Result<Option<RouteNetlinkMessage>, NetlinkError> {
        self.send(request, NLM_F_REQUEST)?;
        loop {
            let received = self.receive(RecvFlags::empty())?;
            match received.into_iter().find(|answer| self.is_mine(answer)) {
                Some((_, Answer::Object(object))) => return Ok(Some(object)),
                Some((_, Answer::Error(error))) => return Err(NetlinkError::Refused(error)),
                Some((_, Answer::Done | Answer::Other)) => return Ok(None),
                // The rest of an answer that an earlier error ended.
                None => {}
            }
        }
    }

    /// Requests every object of a kind, as of one state. Blocks until the kernel has answered.
    pub(crate) fn dump(
        &mut self,
        request: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        for _ in 0..MAX_DUMPS {
            if let Some(objects) = self.try_dump(request.clone())? {
                return Ok(objects);
            }
        }
        Err(NetlinkError::Interrupted)
    }

    /// Requests every object of a kind; `None` if the dump was interrupted.
    fn try_dump(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> Result<Option<Vec<RouteNetlinkMessage>>, NetlinkError> {
        self.send(request, NLM_F_REQUEST | NLM_F_DUMP)?;
        let (mut objects, mut interrupted) = (Vec::new(), false);
        loop {
            for (header, answer) in self.receive(RecvFlags::empty())?.into_iter().filter(|a| self.is_mine(a))
            {
                interrupted |= header.flags & DUMP_INTERRUPTED != 0;
                match answer {
                    Answer::Object(object) => objects.push(object),
                    Answer::Error(error) => return Err(NetlinkError::Refused(error)),
                    Answer::Done => return Ok((!interrupted).then_some(objects)),
                    Answer::Other => {}
                }
            }
        }
    }

    /// Returns the events that have arrived, oldest first; empty if none has. Never blocks.
    ///
    /// # Errors
    /// [`NetlinkError::Overrun`]: some events were lost.
    pub(crate) fn events(&mut self) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let mut events = Vec::new();
        loop {
            let received = self.receive(RecvFlags::DONTWAIT)?;
            if received.is_empty() {
                return Ok(events);
            }
            events.extend(received.into_iter().filter_map(|(_, answer)| match answer {
                Answer::Object(object) => Some(object),
                _ => None,
            }));
        }
    }

    fn is_mine(&self, (header, _): &(NetlinkHeader, Answer)) -> bool {
        header.sequence_number == self.sequence
    }

    fn send(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (flags, self.sequence);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        net::send(&self.socket, &octets, SendFlags::empty()).map_err(NetlinkError::at("send"))?;
        Ok(())
    }

    /// Receives one datagram, and returns its messages; empty if none is there.
    fn receive(&mut self, flags: RecvFlags) -> Result<Vec<(NetlinkHeader, Answer)>, NetlinkError> {
        let length = loop {
            match net::recv(&self.socket, self.buffer.as_mut_slice(), flags) {
                Ok((length, _)) => break length,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(Vec::new()),
                Err(Errno::NOBUFS) => return Err(NetlinkError::Overrun),
                Err(error) => return Err(NetlinkError::at("recv")(error)),
            }
        };
        Ok(parse(self.buffer.get(..length).unwrap_or_default()))
    }
}

/// Parses the messages of a datagram. One that cannot be read does not hide the others.
fn parse(mut octets: &[u8]) -> Vec<(NetlinkHeader, Answer)> {
    let mut messages = Vec::new();
    while let Some((length, _)) = octets.split_first_chunk() {
        let length = u32::from_ne_bytes(*length) as usize;
        let Some(message) = octets.get(..length).filter(|_| length >= 16) else { break };
        if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
            let (header, payload) = message.into_parts();
            messages.push((header, answer(payload)));
        } else {
            let word = |at: usize| message.get(at..).and_then(|octets| octets.first_chunk()).copied();
            let mut header = NetlinkHeader::default();
            header.sequence_number = word(8).map(u32::from_ne_bytes).unwrap_or_default();
            if let Some([_, _, flags @ ..]) = word(4) {
                header.flags = u16::from_ne_bytes(flags);
            }
            messages.push((header, Answer::Other));
        }
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

fn answer(payload: NetlinkPayload<RouteNetlinkMessage>) -> Answer {
    match payload {
        NetlinkPayload::InnerMessage(object) => Answer::Object(object),
        NetlinkPayload::Done(_) => Answer::Done,
        NetlinkPayload::Error(error) if error.code.is_some() => Answer::Error(error.to_io()),
        _ => Answer::Other,
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a dump, with sequence number 7.
    fn done() -> Vec<u8> {
        let mut octets = 20_u32.to_ne_bytes().to_vec();
        octets.extend(3_u16.to_ne_bytes());
        octets.extend(2_u16.to_ne_bytes());
        octets.extend([7_u32, 0, 0].iter().flat_map(|word| word.to_ne_bytes()));
        octets
    }

    #[test]
    fn a_truncated_message_ends_the_datagram() {
        let two = [done(), done()].concat();
        let parsed = |length: usize| parse(&two[..length]).len();
        assert_eq!((parsed(40), parsed(39), parsed(20), parsed(19), parsed(0)), (2, 1, 1, 0, 0));
        let mut endless = done();
        endless[..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert!(parse(&endless).is_empty(), "a length of zero");
    }

    #[test]
    fn a_message_that_cannot_be_read_keeps_its_number() {
        let mut octets = done();
        // A link without its header.
        octets[4..6].copy_from_slice(&16_u16.to_ne_bytes());
        let parsed = parse(&octets);
        assert!(matches!(parsed.as_slice(), [(header, Answer::Other)] if header.sequence_number == 7));
    }
}
