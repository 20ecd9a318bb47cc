//! [`Forwarder`]: the packet path of one worker. Looks up flows in bursts, makes copies, and counts.

use super::Totals;
use super::copy_buffer::CopyBuffer;
use super::flows::{FlowNumber, Outcome, Tallies};
use super::recording::Batch;
use crate::forwarding::{Entry, Flow, ForwardingReader, VifIndex};
use crate::manager::{FlowRequest, GroupManager, NewFlowError};
use crate::plane::{CannotForward, CopyOutcome, Egress, NoFastPath, PacketProcessor, Port, PortMap};

/// The number of packets that are looked up together.
const BURST: usize = 32;
/// The number of attempts to forward a packet while its entries become stale again and again.
const ATTEMPTS: usize = 16;

/// The parts of a run that all workers share.
#[derive(Clone, Copy)]
pub(super) struct Context<'r> {
    pub(super) manager: &'r GroupManager,
    pub(super) ports: &'r [Port],
    pub(super) map: &'r PortMap,
}

/// A packet to forward, within its batch.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) flow: Flow,
    /// The interface on which the packet arrived.
    pub(super) arrival: VifIndex,
    /// The position of the frame in the batch.
    pub(super) frame: u32,
    /// The offset of the datagram in the batch.
    pub(super) at: u32,
    /// The captured octets of the datagram.
    pub(super) length: u32,
    /// The octets of the whole datagram.
    pub(super) whole: u32,
    pub(super) number: FlowNumber,
}

/// Copies as they leave, for a caller that writes them.
#[derive(Default)]
pub(super) struct SentCopies {
    octets: Vec<u8>,
    copies: Vec<SentCopy>,
}

#[derive(Clone, Copy)]
struct SentCopy {
    frame: u32,
    port: usize,
    at: usize,
    length: usize,
}

impl SentCopies {
    fn push(&mut self, frame: u32, port: usize, packet: &[u8]) {
        let (at, length) = (self.octets.len(), packet.len());
        self.octets.extend_from_slice(packet);
        self.copies.push(SentCopy { frame, port, at, length });
    }

    /// Moves all copies of `other` into this one.
    pub(super) fn append(&mut self, other: &SentCopies) {
        let behind = self.octets.len();
        self.octets.extend_from_slice(&other.octets);
        self.copies.extend(other.copies.iter().map(|copy| SentCopy { at: behind + copy.at, ..*copy }));
    }

    /// Returns frame position, port index and octets of each copy, ordered by frame and port.
    pub(super) fn in_order(&mut self) -> impl Iterator<Item = (u32, usize, &[u8])> {
        self.copies.sort_by_key(|copy| (copy.frame, copy.port));
        let octets = &self.octets;
        self.copies.iter().map(|copy| (copy.frame, copy.port, &octets[copy.at..copy.at + copy.length]))
    }

    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.copies.clear();
    }
}

/// The packet path of one worker. Stays on its thread.
pub(super) struct Forwarder<'r> {
    reader: ForwardingReader<'r>,
    flows: Vec<Flow>,
    missed: Vec<Packet>,
    state: WorkerState<'r>,
}

/// The part of a worker that is used while an entry is borrowed.
struct WorkerState<'r> {
    context: Context<'r>,
    processor: PacketProcessor,
    copy: CopyBuffer,
    /// Copies made, by port.
    transmitted: Vec<u64>,
    tallies: Tallies,
}

impl<'r> Forwarder<'r> {
    pub(super) fn new(context: Context<'r>) -> Forwarder<'r> {
        let forwarding = context.manager.forwarding();
        Forwarder {
            reader: forwarding.reader(),
            flows: Vec::with_capacity(BURST),
            missed: Vec::with_capacity(BURST),
            state: WorkerState {
                context,
                processor: PacketProcessor::new(forwarding.counters()),
                copy: CopyBuffer::default(),
                transmitted: vec![0; context.ports.len()],
                tallies: Tallies::default(),
            },
        }
    }

    /// Forwards packets of a batch in their order. Adds the copies to `sent`, if it is given.
    pub(super) fn forward(&mut self, batch: &Batch, packets: &[Packet], mut sent: Option<&mut SentCopies>) {
        for burst in packets.chunks(BURST) {
            self.flows.clear();
            self.flows.extend(burst.iter().map(|packet| packet.flow));
            for (entry, packet) in self.reader.lookup_burst(&self.flows).zip(burst) {
                let processed =
                    entry.is_some_and(|entry| self.state.process(entry, batch, packet, sent.as_deref_mut()));
                if !processed {
                    self.missed.push(*packet);
                }
            }
            // Packets of one flow keep their order: a later packet of the flow missed too, or is in a later burst.
            for packet in std::mem::take(&mut self.missed) {
                self.forward_missed(batch, &packet, sent.as_deref_mut());
            }
        }
    }

    /// Forwards a packet that has no entry, or a stale one.
    fn forward_missed(&mut self, batch: &Batch, packet: &Packet, mut sent: Option<&mut SentCopies>) {
        let manager = self.state.context.manager;
        let datagram = batch.octets(packet.at, packet.length);
        let request = FlowRequest::new(packet.flow)
            .with_packet(datagram)
            .with_arrival(manager.interface(packet.arrival));
        for _ in 0..ATTEMPTS {
            let made = manager.new_flow(request);
            match made {
                Ok(_) | Err(NewFlowError::Foreign(_)) => {}
                Err(NewFlowError::Building(_)) => std::thread::yield_now(),
                Err(_) => break,
            }
            if let Some(entry) = self.reader.lookup(&packet.flow)
                && self.state.process(entry, batch, packet, sent.as_deref_mut())
            {
                return;
            }
        }
        self.state.processor.dropped_mut().queue_full += 1;
        self.state.tallies.count(packet.number, batch.nanoseconds(packet.frame), Outcome::QueueFull);
    }

    /// Returns whether a flow has an entry.
    pub(super) fn has_entry(&mut self, flow: &Flow) -> bool {
        self.reader.lookup(flow).is_some()
    }

    /// Lets reclamation proceed without this worker until its next call.
    pub(super) fn park(&mut self) {
        self.reader.park();
    }

    /// Returns the counters, and the counts of each flow.
    pub(super) fn finish(self) -> (Totals, Tallies) {
        let WorkerState { processor, transmitted, tallies, .. } = self.state;
        let totals = Totals {
            forwarded_packets: processor.forwarded_packets(),
            copies: processor.copies(),
            not_forwarded: *processor.dropped(),
            transmitted,
            ..Totals::default()
        };
        (totals, tallies)
    }
}

impl WorkerState<'_> {
    /// Applies an entry to a packet. Returns `false` if the entry is stale.
    fn process(
        &mut self,
        entry: &Entry,
        batch: &Batch,
        packet: &Packet,
        sent: Option<&mut SentCopies>,
    ) -> bool {
        let WorkerState { context, processor, copy, transmitted, tallies } = self;
        let mut egress = PacketCopies { context: *context, copy, transmitted, batch, packet, sent };
        let before = processor.forwarded_packets();
        let verdict = processor.process(entry, packet.arrival, packet.whole as usize, &mut egress);
        let copied = processor.forwarded_packets() > before;
        let Some(outcome) = Outcome::of(verdict, copied, packet.whole) else { return false };
        tallies.count(packet.number, batch.nanoseconds(packet.frame), outcome);
        true
    }
}

/// Makes the copies of one packet.
struct PacketCopies<'a, 'r> {
    context: Context<'r>,
    copy: &'a mut CopyBuffer,
    transmitted: &'a mut [u64],
    batch: &'a Batch,
    packet: &'a Packet,
    sent: Option<&'a mut SentCopies>,
}

impl Egress for PacketCopies<'_, '_> {
    type Rewritten = ();
    type Fast<'q>
        = NoFastPath
    where
        Self: 'q;

    fn rewrite(&mut self) -> Result<(), CannotForward> {
        self.copy.load(self.batch.octets(self.packet.at, self.packet.length))
    }

    fn copy(&mut self, (): &(), interface: VifIndex) -> CopyOutcome {
        let Some(port) = self.context.map.port(interface) else { return CopyOutcome::OtherPlane };
        let octets = self.copy.leaving(&self.context.ports[port], self.packet.flow.group());
        self.transmitted[port] += 1;
        if let Some(sent) = self.sent.as_deref_mut() {
            sent.push(self.packet.frame, port, octets);
        }
        CopyOutcome::Made
    }
}

#[cfg(test)]
mod tests;
