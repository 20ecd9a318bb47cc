//! [`RingWorker`]: forwards frames from receive rings to transmit rings.

use super::frames::{FrameReceiver, FrameSender};
use super::rewritten::{CopyHeader, Rewritten, SourceWord};
use super::{PortTotals, RingTotals, SendError};
use crate::forwarding::{Family, Flow, Verdict, VifIndex};
use crate::manager::{GroupManager, Interface, Upcall};
use crate::memory;
use crate::plane::classify::classify_fast_v4;
use crate::plane::{
    CannotForward, Class, Control, CopyOutcome, Data, DropCounters, Egress, EntryReader, FastEgress, Link,
    PacketProcessor, Port, PortMap, classify,
};
use crate::prefetch::prefetch;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The number of frames that a worker processes together.
pub const BURST: usize = 32;

/// Forwards frames that arrive at ports, on one thread, with a transmit ring of its own for each port.
///
/// It owns its manager: a program can store it beside an [`Arc`] of the manager, and move it into its thread.
pub struct RingWorker {
    manager: Arc<GroupManager>,
    reader: EntryReader,
    processor: PacketProcessor,
    ports: EgressPorts,
    /// The flows of a burst's packets; the elements behind them are unspecified.
    flows: [Flow; BURST],
    packets: u64,
    octets: u64,
    waiting: Waiting,
}

/// Packets without an entry.
struct Waiting {
    limit: usize,
    pending: Vec<Pending>,
    /// Packets that were dropped because there was no room in `pending`.
    dropped: u64,
}

/// A packet that waits for its flow's entry.
struct Pending {
    port: usize,
    flow: Flow,
    datagram: Box<[u8]>,
}

/// The ports as copies leave through them.
struct EgressPorts {
    manager: Arc<GroupManager>,
    map: PortMap,
    ports: Vec<EgressPort>,
}

/// A port as copies leave through it.
struct EgressPort {
    ring: FrameSender,
    source: SourceWord,
    link: Link,
    index: u32,
    /// The number of frames that were written into the ring before this worker got it.
    written_before: u64,
    dropped: u64,
}

impl fmt::Debug for RingWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingWorker").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl RingWorker {
    /// Makes a worker for the calling thread that forwards by the entries of a manager.
    ///
    /// Each port gets a transmit ring. Protocols name the ports by their interface indices ([`Port::interface`]), and may
    /// take these interfaces at any time.
    ///
    /// May block, and allocates. Forwarding by an entry does neither.
    #[must_use]
    pub fn new(
        manager: Arc<GroupManager>,
        ports: impl IntoIterator<Item = (Port, FrameSender)>,
    ) -> RingWorker {
        let (ports, rings): (Vec<_>, Vec<_>) = ports.into_iter().unzip();
        let map = PortMap::new(&manager, &ports);
        let egress = |(port, ring): (Port, FrameSender)| EgressPort {
            written_before: ring.written(),
            ring,
            source: SourceWord::new(port.mac),
            link: port.link,
            index: port.index,
            dropped: 0,
        };
        let ports = ports.into_iter().zip(rings).map(egress).collect();
        RingWorker {
            reader: EntryReader::new(manager.clone()),
            processor: PacketProcessor::new(manager.forwarding().counters()),
            ports: EgressPorts { manager: manager.clone(), map, ports },
            manager,
            flows: [Flow::first_of(Ipv4Addr::new(232, 0, 0, 0).into()); BURST],
            packets: 0,
            octets: 0,
            waiting: Waiting { limit: 0, pending: Vec::new(), dropped: 0 },
        }
    }

    /// Lets the worker keep at most `packets` packets that arrive before their flow's entry. By default it drops them.
    ///
    /// After [`process_upcalls`](GroupManager::process_upcalls) the worker forwards them by
    /// [`forward_pending`](Self::forward_pending).
    #[must_use]
    pub fn with_pending_limit(mut self, packets: usize) -> RingWorker {
        self.waiting.limit = packets;
        self
    }

    /// Receives at most a burst from the receive ring of a port, and forwards it. Returns the number of frames.
    ///
    /// Passes messages of IGMP and MLD to `control`.
    pub fn receive(
        &mut self,
        port: usize,
        ring: &mut FrameReceiver,
        mut control: impl FnMut(Control<'_>),
    ) -> usize {
        ring.receive_all(BURST, |frames| {
            self.forward_burst(port, frames, &mut control);
        })
    }

    /// Forwards frames that arrived at a port, burst by burst.
    ///
    /// Frames of a port that does not exist count as [not multicast](Class::NotMulticast). Passes messages of IGMP and MLD
    /// to `control`.
    pub fn forward<'f>(
        &mut self,
        port: usize,
        frames: impl IntoIterator<Item = &'f [u8]>,
        mut control: impl FnMut(Control<'_>),
    ) {
        let mut frames = frames.into_iter();
        while self.forward_burst(port, &mut frames, &mut control) == BURST {}
    }

    /// Forwards the packets that waited for their flow's entry, in their order. Returns their number.
    ///
    /// A packet that still has no entry is dropped, and counts as [`RingTotals::no_entry`].
    pub fn forward_pending(&mut self) -> usize {
        if self.waiting.pending.is_empty() {
            return 0;
        }
        let mut pending = std::mem::take(&mut self.waiting.pending);
        let count = pending.len();
        for Pending { port, flow, datagram } in pending.drain(..) {
            let arrival = self.ports.arrivals(port)[usize::from(flow.family() == Family::V6)];
            let mut copies = PacketCopies { ports: &mut self.ports, flow: &flow, datagram: &datagram };
            let verdict = match self.reader.lookup(&flow) {
                Some(entry) => self.processor.process(entry, arrival, datagram.len(), &mut copies),
                None => Verdict::Miss,
            };
            match verdict {
                Verdict::Miss => self.waiting.dropped += 1,
                Verdict::WrongInterface => self.wrong_interface(port, flow, &datagram),
                Verdict::Accept | Verdict::NoReceivers => {}
            }
        }
        // Given back, for its allocation.
        self.waiting.pending = pending;
        self.ports.publish();
        count
    }

    /// Takes the next burst from `frames` and forwards it. Returns the number of frames: fewer than a burst at the end.
    #[inline]
    fn forward_burst<'f>(
        &mut self,
        port: usize,
        frames: &mut impl Iterator<Item = &'f [u8]>,
        control: &mut dyn FnMut(Control<'_>),
    ) -> usize {
        let mut burst: [&[u8]; BURST] = [&[]; BURST];
        let mut count = 0;
        // The elements of the burst come first in the zip: it takes no frame without an element for it.
        for (element, frame) in burst.iter_mut().zip(frames) {
            if let Some(octet) = frame.first() {
                prefetch(octet);
            }
            *element = frame;
            count += 1;
        }
        self.classify_burst(port, &burst[..count], control);
        count
    }

    /// Classifies the frames of a burst, and forwards those that are data.
    fn classify_burst<'f>(&mut self, port: usize, burst: &[&'f [u8]], control: &mut dyn FnMut(Control<'_>)) {
        let link = self.ports.link(port);
        let is_ethernet = link == Link::Ethernet;
        self.packets += burst.len() as u64;
        let mut datagrams: [&[u8]; BURST] = [&[]; BURST];
        let mut elements = self.flows.iter_mut().zip(&mut datagrams);
        let mut count = 0;
        let mut take = |data: Data<'f>| {
            // There is an element for each frame of the burst.
            if let Some((flow, datagram)) = elements.next() {
                (*flow, *datagram) = (data.flow, data.datagram);
                count += 1;
            }
        };
        for frame in burst {
            self.octets += frame.len() as u64;
            if is_ethernet && let Some(data) = classify_fast_v4(frame) {
                take(data);
                continue;
            }
            match classify(link, frame) {
                Class::Data(data) => take(data),
                other => count_other(&mut self.processor.dropped, other, control),
            }
        }
        self.process_burst(port, &datagrams[..count]);
    }

    /// Applies the entries of a burst's flows.
    ///
    /// Works in steps, each for the whole burst, and prefetches for the next step. So the memory latencies of all packets
    /// overlap.
    fn process_burst(&mut self, port: usize, datagrams: &[&[u8]]) {
        let arrivals = self.ports.arrivals(port);
        let flows = &self.flows[..datagrams.len()];
        let mut entries = [None; BURST];
        let mut elements = entries.iter_mut();
        let processor = &self.processor;
        self.reader.lookup_burst(flows).for_each(|entry| {
            if let Some(entry) = entry {
                processor.prefetch(entry);
            }
            if let Some(element) = elements.next() {
                *element = entry;
            }
        });
        for entry in entries.iter().take(flows.len()).flatten() {
            self.processor.prefetch_copies(entry);
        }
        for ((entry, flow), &datagram) in entries.iter().zip(flows).zip(datagrams) {
            let arrival = arrivals[usize::from(flow.family() == Family::V6)];
            let mut copies = PacketCopies { ports: &mut self.ports, flow, datagram };
            let verdict = match entry {
                Some(entry) => self.processor.process(entry, arrival, datagram.len(), &mut copies),
                None => Verdict::Miss,
            };
            match verdict {
                Verdict::Miss => {
                    let interface = self.ports.interface(port, flow.family());
                    let dropped = &mut self.processor.dropped;
                    miss(&self.manager, interface, port, *flow, datagram, &mut self.waiting, dropped);
                }
                Verdict::WrongInterface => {
                    let interface = self.ports.interface(port, flow.family());
                    self.manager.wrong_interface(*flow, interface, datagram);
                }
                Verdict::Accept | Verdict::NoReceivers => {}
            }
        }
        self.ports.publish();
    }

    fn wrong_interface(&self, port: usize, flow: Flow, datagram: &[u8]) {
        let interface = self.ports.interface(port, flow.family());
        self.manager.wrong_interface(flow, interface, datagram);
    }

    /// Lets reclamation proceed without this worker until its next call. Called before the worker idles.
    pub fn park(&mut self) {
        self.reader.park();
    }

    /// Returns the counters. Allocates.
    #[must_use]
    pub fn totals(&self) -> RingTotals {
        RingTotals {
            packets: self.packets,
            octets: self.octets,
            forwarded_packets: self.processor.forwarded_packets,
            copies: self.processor.copies,
            not_forwarded: self.processor.dropped,
            no_entry: self.waiting.dropped,
            no_room: self.processor.no_room,
            pending: self.waiting.pending.len() as u64,
            ports: self.ports.ports.iter().map(EgressPort::totals).collect(),
        }
    }
}

/// Counts a frame that is not data.
#[cold]
fn count_other(dropped: &mut DropCounters, class: Class<'_>, control: &mut dyn FnMut(Control<'_>)) {
    match class {
        Class::NotMulticast => dropped.not_multicast += 1,
        Class::Malformed(_) => dropped.malformed += 1,
        Class::LinkLocal => dropped.link_local += 1,
        Class::TtlExpired => dropped.ttl_expired += 1,
        Class::Control(message) => {
            dropped.control += 1;
            control(message);
        }
        Class::Data(_) => {}
    }
}

/// Makes an upcall for a packet without an entry, and keeps or drops the packet.
#[cold]
fn miss(
    manager: &GroupManager,
    interface: Interface,
    port: usize,
    flow: Flow,
    datagram: &[u8],
    waiting: &mut Waiting,
    dropped: &mut DropCounters,
) {
    match manager.upcall(flow, interface, datagram) {
        Upcall::Queued | Upcall::Waiting => waiting.push(port, flow, datagram),
        Upcall::Refused => dropped.queue_full += 1,
        Upcall::NotForwarded => dropped.link_local += 1,
    }
}

impl Waiting {
    /// Keeps a packet, or drops it without room or memory for it.
    fn push(&mut self, port: usize, flow: Flow, datagram: &[u8]) {
        if self.pending.len() < self.limit
            && self.pending.try_reserve(1).is_ok()
            && let Ok(datagram) = memory::slice(datagram.len(), datagram.iter().copied())
        {
            self.pending.push(Pending { port, flow, datagram });
        } else {
            self.dropped += 1;
        }
    }
}

impl EgressPort {
    fn totals(&self) -> PortTotals {
        PortTotals { sent: self.ring.written() - self.written_before, dropped: self.dropped }
    }
}

impl EgressPorts {
    fn link(&self, port: usize) -> Link {
        self.ports.get(port).map_or(Link::Unknown(u32::MAX), |port| port.link)
    }

    /// Returns the interface of a port.
    fn interface(&self, port: usize, family: Family) -> Interface {
        Interface::of(family, self.ports.get(port).map_or(u32::MAX, |port| port.index))
    }

    /// Returns the numbers of a port's IPv4 and IPv6 interface.
    fn arrivals(&mut self, port: usize) -> [VifIndex; 2] {
        self.map.refresh_arrivals(&self.manager, port)
    }

    /// Publishes all copies written so far.
    fn publish(&mut self) {
        self.ports.iter_mut().for_each(|port| port.ring.publish());
    }
}

/// Writes the copies of one packet into the transmit rings.
struct PacketCopies<'a, 'f> {
    ports: &'a mut EgressPorts,
    flow: &'a Flow,
    datagram: &'f [u8],
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
        Some(FastCopies { header: rewritten.header_only()?, by_vif: map.ethernet_by_vif(), ports })
    }

    #[inline(never)]
    fn copy(&mut self, rewritten: &Rewritten<'f>, interface: VifIndex) -> CopyOutcome {
        let EgressPorts { manager, map, ports } = &mut *self.ports;
        let port = map.port(interface).or_else(|| map.refresh_port(manager, interface));
        let Some(port) = port.and_then(|port| ports.get_mut(port)) else { return CopyOutcome::OtherPlane };
        let sent = if port.link.has_ethernet_header() {
            port.ring.write_copy(rewritten, port.source)
        } else {
            port.ring.write_parts(rewritten.datagram())
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
struct FastCopies<'q> {
    header: &'q CopyHeader,
    by_vif: &'q [u32],
    ports: &'q mut [EgressPort],
}

impl FastEgress for FastCopies<'_> {
    #[inline(always)]
    fn copy(&mut self, interface: VifIndex) -> bool {
        if let Some(port) = self.by_vif.get(interface.0 as usize)
            && let Some(port) = self.ports.get_mut(*port as usize)
        {
            return port.ring.write_header(self.header, port.source);
        }
        false
    }
}
