//! [`Forwarder`]: the packet path. Looks flows up in bursts, judges arrivals, makes copies, counts.

use super::Totals;
use super::copy::Copy;
use super::recording::Batch;
use crate::forwarding::{Entry, Flow, ForwardingReader, Verdict, VifIndex};
use crate::manager::{GroupManager, NewFlowError};
use crate::plane::CannotForward;
use crate::plane::ledger::{Copied, Exits, Ledger, QuickExits};
use crate::plane::port::{Numbering, Port};
use std::convert::Infallible;

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
    pub(super) arrival: VifIndex,
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
    ledger: Ledger,
    copy: Copy,
    /// Copies, by their ports.
    transmitted: Vec<u64>,
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
                ledger: Ledger::new(table),
                copy: Copy::default(),
                transmitted: vec![0; shared.ports.len()],
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
                    | NewFlowError::DropCounters(_)
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
        self.bench.ledger.not_forwarded.queue_full += 1;
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
        let Bench { ledger: Ledger { forwarded_packets, copies, not_forwarded, .. }, transmitted, .. } =
            self.bench;
        Totals { forwarded_packets, copies, not_forwarded, transmitted, ..Totals::default() }
    }
}

impl Bench<'_> {
    /// Does with a packet what the entry says; `false` when the entry is dead.
    fn act(&mut self, entry: &Entry, batch: &Batch, item: &Item, sent: Option<&mut Vec<Sent>>) -> bool {
        let Bench { shared, ledger, copy, transmitted, .. } = self;
        let mut exits = Leaving { shared: *shared, copy, transmitted, batch, item, sent };
        ledger.act(entry, item.arrival, item.length as usize, &mut exits) != Verdict::Miss
    }
}

/// A packet, and the ports it may leave through.
struct Leaving<'a, 'r> {
    shared: Shared<'r>,
    copy: &'a mut Copy,
    transmitted: &'a mut [u64],
    batch: &'a Batch,
    item: &'a Item,
    sent: Option<&'a mut Vec<Sent>>,
}

/// There is no quick way.
impl QuickExits for Infallible {
    fn copy(&mut self, _: VifIndex) -> bool {
        match *self {}
    }
}

impl Exits for Leaving<'_, '_> {
    type Older = ();
    type Quick<'q>
        = Infallible
    where
        Self: 'q;

    fn quick(&mut self, (): &()) -> Option<Infallible> {
        None
    }

    fn load(&mut self) -> Result<(), CannotForward> {
        self.copy.load(self.batch.octets(self.item.at, self.item.length))
    }

    fn copy(&mut self, (): &(), interface: VifIndex) -> Copied {
        let Some(port) = self.shared.numbering.place(interface) else { return Copied::Elsewhere };
        self.copy.through(&self.shared.ports[port], self.item.flow.group());
        self.transmitted[port] += 1;
        if let Some(sent) = self.sent.as_deref_mut() {
            sent.push(Sent { item: *self.item, port });
        }
        Copied::Made
    }
}

#[cfg(test)]
mod tests;
