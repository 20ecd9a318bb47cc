//! [`RingWorker`]: forwards frames from receive rings to transmit rings.

use super::RingTotals;
use super::egress::{EgressPorts, PacketCopies};
use super::frames::{FrameReceiver, FrameSender};
use crate::forwarding::{Family, Flow, OwnedForwardingReader, Verdict};
use crate::manager::{GroupManager, Interface, Upcall};
use crate::memory;
use crate::plane::classify::classify_fast_v4;
use crate::plane::{Class, Control, Data, DropCounters, Link, PacketProcessor, Port, classify};
use crate::prefetch::prefetch;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The number of frames that a worker processes together.
pub const BURST: usize = 32;

/// Forwards frames that arrive at ports, on one thread, with a transmit ring of its own for each port.
///
/// It owns its manager, so a program can store it beside an [`Arc`] of the manager. It is not `Send`: the thread that uses it
/// makes it.
pub struct RingWorker {
    manager: Arc<GroupManager>,
    reader: OwnedForwardingReader,
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
        RingWorker {
            reader: manager.forwarding().owned_reader(),
            processor: PacketProcessor::new(manager.forwarding().counters()),
            ports: EgressPorts::new(manager.clone(), ports),
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
            let mut copies = PacketCopies::new(&mut self.ports, &flow, &datagram);
            let verdict = match self.reader.lookup(&flow) {
                Some(entry) => self.processor.process(entry, arrival, datagram.len(), &mut copies),
                None => Verdict::Stale,
            };
            match verdict {
                Verdict::Stale => self.waiting.dropped += 1,
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
            let mut copies = PacketCopies::new(&mut self.ports, flow, datagram);
            let verdict = match entry {
                Some(entry) => self.processor.process(entry, arrival, datagram.len(), &mut copies),
                None => Verdict::Stale,
            };
            match verdict {
                Verdict::Stale => {
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
            ports: self.ports.totals(),
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
        // Frames of a ring are whole.
        Class::Truncated(_) => dropped.truncated += 1,
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
