//! [`EgressPorts`]: the ports of a worker, as copies leave through them.

use super::frames::FrameSender;
use super::rewritten::{CopyHeader, Rewritten, SourceWord};
use super::{PortTotals, SendError};
use crate::forwarding::{Family, Flow, VifIndex};
use crate::manager::{GroupManager, Interface};
use crate::plane::port_map::KnownPort;
use crate::plane::{CannotForward, CopyOutcome, Egress, FastEgress, Link, MacAddress, Port, PortMap};
use crate::wire::tagged_header;
use std::sync::Arc;

/// The ports as copies leave through them.
pub(super) struct EgressPorts {
    manager: Arc<GroupManager>,
    map: PortMap,
    ports: Vec<EgressPort>,
}

/// A port as copies leave through it.
struct EgressPort {
    ring: FrameSender,
    source: SourceWord,
    mac: MacAddress,
    link: Link,
    index: u32,
    /// The number of frames that were written into the ring before this worker got it.
    written_before: u64,
    dropped: u64,
}

impl EgressPort {
    fn totals(&self) -> PortTotals {
        PortTotals { sent: self.ring.written() - self.written_before, dropped: self.dropped }
    }
}

impl EgressPorts {
    pub(super) fn new(
        manager: Arc<GroupManager>,
        ports: impl IntoIterator<Item = (Port, FrameSender)>,
    ) -> EgressPorts {
        let (ports, rings): (Vec<_>, Vec<_>) = ports.into_iter().unzip();
        let map = PortMap::new(&manager, &ports);
        let egress = |(port, ring): (Port, FrameSender)| EgressPort {
            written_before: ring.written(),
            ring,
            source: SourceWord::new(port.mac),
            mac: port.mac,
            link: port.link,
            index: port.index,
            dropped: 0,
        };
        EgressPorts { manager, map, ports: ports.into_iter().zip(rings).map(egress).collect() }
    }

    /// Returns the link of a port.
    pub(super) fn link(&self, port: usize) -> Link {
        self.ports.get(port).map_or(Link::Unknown(u32::MAX), |port| port.link)
    }

    /// Returns the interface of a port.
    pub(super) fn interface(&self, port: usize, family: Family) -> Interface {
        Interface::of(family, self.ports.get(port).map_or(u32::MAX, |port| port.index))
    }

    /// Returns the numbers of a port's IPv4 and IPv6 interface.
    #[inline]
    pub(super) fn arrivals(&mut self, port: usize) -> [VifIndex; 2] {
        self.map.refresh_arrivals(&self.manager, port)
    }

    /// Publishes all copies written so far.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.ports.iter_mut().for_each(|port| port.ring.publish());
    }

    /// Returns the counters of each port.
    pub(super) fn totals(&self) -> Vec<PortTotals> {
        self.ports.iter().map(EgressPort::totals).collect()
    }
}

/// Writes the copies of one packet into the transmit rings.
pub(super) struct PacketCopies<'a, 'f> {
    ports: &'a mut EgressPorts,
    flow: &'a Flow,
    datagram: &'f [u8],
}

impl<'a, 'f> PacketCopies<'a, 'f> {
    #[inline]
    pub(super) fn new(
        ports: &'a mut EgressPorts,
        flow: &'a Flow,
        datagram: &'f [u8],
    ) -> PacketCopies<'a, 'f> {
        PacketCopies { ports, flow, datagram }
    }
}

impl<'f> Egress for PacketCopies<'_, 'f> {
    type Rewritten = Rewritten<'f>;
    type Fast<'q>
        = FastCopies<'q>
    where
        Self: 'q;

    #[inline]
    fn rewrite(&mut self) -> Result<Rewritten<'f>, CannotForward> {
        Rewritten::new(self.flow, self.datagram)
    }

    #[inline(always)]
    fn fast<'q>(&'q mut self, rewritten: &'q Rewritten<'f>) -> Option<FastCopies<'q>> {
        let EgressPorts { map, ports, .. } = &mut *self.ports;
        Some(FastCopies { header: rewritten.header_only()?, by_place: map.ethernet_by_place(), ports })
    }

    #[inline(never)]
    fn copy(&mut self, rewritten: &Rewritten<'f>, interface: VifIndex) -> CopyOutcome {
        let EgressPorts { manager, map, ports } = &mut *self.ports;
        let port = map.port(interface).or_else(|| map.refresh_port(manager, interface));
        let Some(port) = port.and_then(|port| ports.get_mut(port)) else { return CopyOutcome::OtherPlane };
        let sent = match port.link {
            Link::Vlan(tags) => {
                let header = tagged_header(self.flow.group(), port.mac, tags);
                let [first, rest] = rewritten.datagram();
                port.ring.write_parts([&header, first, rest])
            }
            link if link.has_ethernet_header() => port.ring.write_copy(rewritten, port.source),
            _ => port.ring.write_parts(rewritten.datagram()),
        };
        match sent {
            Ok(()) => CopyOutcome::Made,
            Err(SendError::Full | SendError::TooLong) => {
                port.dropped += 1;
                CopyOutcome::NoRoom
            }
        }
    }
}

/// Writes the copies of a packet that consists of its header alone.
pub(super) struct FastCopies<'q> {
    header: &'q CopyHeader,
    by_place: &'q [KnownPort],
    ports: &'q mut [EgressPort],
}

impl FastEgress for FastCopies<'_> {
    #[inline(always)]
    fn copy(&mut self, interface: VifIndex) -> bool {
        if let Some(port) = KnownPort::find(self.by_place, interface)
            && let Some(port) = self.ports.get_mut(port)
        {
            return port.ring.write_header(self.header, port.source);
        }
        false
    }
}
