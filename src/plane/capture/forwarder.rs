//! [`Forwarder`]: the packet path. Looks flows up in bursts, judges arrivals, makes copies, counts.

use super::Totals;
use super::port::{Copy, Numbering, Port};
use super::recording::Batch;
use crate::forwarding::{
    Counter, Entry, Flow, ForwardingReader, InterfaceNumber, OutgoingCounter, Verdict, WorkerCounters,
};
use crate::handle::Owners;
use crate::manager::{GroupManager, NewFlowError};

/// Packets that are looked up together.
const BURST: usize = 32;
/// How often a packet whose entry dies again and again is tried.
const TRIES: usize = 16;

/// What workers share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'r> {
    pub(super) manager: &'r GroupManager,
    pub(super) ports: &'r [Port],
    pub(super) numbering: &'r Numbering,
}

/// A packet to forward, of some batch.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) flow: Flow,
    /// Where it came in.
    pub(super) arrival: InterfaceNumber,
    /// Which frame of the batch.
    pub(super) frame: u32,
    /// Where its datagram lies in the batch.
    pub(super) at: u32,
    pub(super) length: u32,
}

/// A copy that was made.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) item: Item,
    /// The place of the port it left through.
    pub(super) port: usize,
}

/// One worker's hands. Stays on its thread.
pub(super) struct Forwarder<'r> {
    reader: ForwardingReader<'r>,
    flows: Vec<Flow>,
    missed: Vec<Item>,
    bench: Bench<'r>,
}

/// What a worker needs besides the entries.
struct Bench<'r> {
    shared: Shared<'r>,
    owners: &'r Owners,
    counters: WorkerCounters,
    copy: Copy,
    totals: Totals,
}

impl<'r> Forwarder<'r> {
    pub(super) fn new(shared: Shared<'r>) -> Forwarder<'r> {
        let table = shared.manager.forwarding();
        Forwarder {
            reader: table.reader(),
            flows: Vec::with_capacity(BURST),
            missed: Vec::with_capacity(BURST),
            bench: Bench {
                shared,
                owners: table.owners(),
                counters: table.counters().worker(),
                copy: Copy::default(),
                totals: Totals { transmitted: vec![0; shared.ports.len()], ..Totals::default() },
            },
        }
    }

    /// Forwards packets of a batch in their order. The copies are noted in `sent`, if somebody wants to know.
    pub(super) fn forward(&mut self, batch: &Batch, items: &[Item], mut sent: Option<&mut Vec<Sent>>) {
        for burst in items.chunks(BURST) {
            self.flows.clear();
            self.flows.extend(burst.iter().map(|item| item.flow));
            for (entry, item) in self.reader.lookup_burst(&self.flows).zip(burst) {
                if !entry.is_some_and(|entry| self.bench.act(entry, batch, item, sent.as_deref_mut())) {
                    self.missed.push(*item);
                }
            }
            // Behind the burst, and still before the next packet of the same flow: that one missed as well, or is in a later
            // burst.
            for item in std::mem::take(&mut self.missed) {
                self.miss(batch, &item, sent.as_deref_mut());
            }
        }
    }

    /// A packet whose flow has no entry, or one that has just died.
    fn miss(&mut self, batch: &Batch, item: &Item, mut sent: Option<&mut Vec<Sent>>) {
        let manager = self.bench.shared.manager;
        let datagram = batch.octets(item.at, item.length);
        for _ in 0..TRIES {
            let made = match manager.interface(item.arrival) {
                Some(arrival) => manager.new_flow_from(item.flow, arrival, datagram),
                None => manager.new_flow_with(item.flow, datagram),
            };
            match made {
                Ok(_) | Err(NewFlowError::Foreign(_)) => {}
                Err(NewFlowError::Building(_)) => std::thread::yield_now(),
                Err(
                    NewFlowError::Full(_)
                    | NewFlowError::NoMemory(_)
                    | NewFlowError::NotForwarded(_)
                    | NewFlowError::TooDeep(_),
                ) => {
                    break;
                }
            }
            if let Some(entry) = self.reader.lookup(&item.flow)
                && self.bench.act(entry, batch, item, sent.as_deref_mut())
            {
                return;
            }
        }
        self.bench.totals.not_forwarded.queue_full += 1;
    }

    /// Whether a flow has an entry.
    pub(super) fn knows(&mut self, flow: &Flow) -> bool {
        self.reader.lookup(flow).is_some()
    }

    /// Nothing to do for a while: holds nothing back.
    pub(super) fn park(&mut self) {
        self.reader.park();
    }

    /// What was counted.
    pub(super) fn finish(self) -> Totals {
        self.bench.totals
    }
}

impl Bench<'_> {
    /// Does with a packet what the entry says; `false` when the entry is dead.
    fn act(&mut self, entry: &Entry, batch: &Batch, item: &Item, sent: Option<&mut Vec<Sent>>) -> bool {
        match entry.judge(item.arrival, self.owners) {
            Verdict::Miss => return false,
            Verdict::WrongInterface => {
                self.totals.not_forwarded.wrong_interface += 1;
                self.counters.add(entry.number(), Counter::WrongInterface, 1);
            }
            Verdict::NoReceivers => self.discard(entry),
            Verdict::Accept => self.copy_out(entry, batch, item, sent),
        }
        true
    }

    fn copy_out(&mut self, entry: &Entry, batch: &Batch, item: &Item, mut sent: Option<&mut Vec<Sent>>) {
        if self.copy.load(batch.octets(item.at, item.length)).is_err() {
            // Not of a packet that was classified as data.
            self.totals.not_forwarded.ttl_expired += 1;
            self.counters.add(entry.number(), Counter::HeaderErrors, 1);
            return;
        }
        let mut copies = 0;
        for outgoing in entry.live(self.owners) {
            let Some(port) = self.shared.numbering.place(outgoing.interface) else { continue };
            self.copy.through(&self.shared.ports[port], item.flow.group());
            copies += 1;
            self.totals.transmitted[port] += 1;
            self.counters.add_outgoing(outgoing.number, OutgoingCounter::Packets, 1);
            if let Some(sent) = sent.as_deref_mut() {
                sent.push(Sent { item: *item, port });
            }
        }
        if copies == 0 {
            return self.discard(entry);
        }
        self.totals.forwarded_packets += 1;
        self.totals.copies += copies;
        self.counters.add(entry.number(), Counter::Packets, 1);
        self.counters.add(entry.number(), Counter::Octets, item.length.into());
        self.counters.add(entry.number(), Counter::Copies, copies);
    }

    fn discard(&mut self, entry: &Entry) {
        self.totals.not_forwarded.no_receivers += 1;
        self.counters.add(entry.number(), Counter::NoReceivers, 1);
    }
}

#[cfg(test)]
mod tests;
