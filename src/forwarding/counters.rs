//! Counters of flows: arrays per worker, indexed by a number that lives as long as the flow.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Under which number a flow's packets are counted. Lives as long as the flow, so that replacing an entry, or making it
/// anew after a timeout, loses no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowNumber(pub(crate) u32);

/// What can be counted of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Packets forwarded on at least one interface.
    Packets,
    /// Octets of those packets, IP headers included.
    Octets,
    /// Packets that did not arrive on the incoming interface.
    WrongInterface,
    /// Packets discarded because nobody wanted them.
    NoReceivers,
    /// Copies made, over all outgoing interfaces.
    Copies,
}

/// What was counted of one flow, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTotals {
    /// Packets forwarded on at least one interface.
    pub packets: u64,
    /// Octets of those packets, IP headers included.
    pub octets: u64,
    /// Packets that did not arrive on the incoming interface.
    pub wrong_interface: u64,
    /// Packets discarded because nobody wanted them.
    pub no_receivers: u64,
    /// Copies made, over all outgoing interfaces.
    pub copies: u64,
}

/// The counters of a table's flows.
#[derive(Clone, Default)]
pub struct Counters {
    inner: Arc<Mutex<HashMap<FlowNumber, FlowTotals>>>,
}

/// One worker's share of the counters: only it writes them.
pub struct WorkerCounters {
    all: Counters,
}

impl Counters {
    /// A new worker's share.
    #[must_use]
    pub fn worker(&self) -> WorkerCounters {
        WorkerCounters { all: self.clone() }
    }

    /// What was counted of a flow, over all workers, those that are gone included. Exact once the workers rest.
    #[must_use]
    pub fn totals(&self, number: FlowNumber) -> FlowTotals {
        self.inner.lock().get(&number).copied().unwrap_or_default()
    }
}

impl WorkerCounters {
    /// Adds to a counter of a flow. Wait-free.
    pub fn add(&mut self, number: FlowNumber, counter: Counter, n: u64) {
        let mut all = self.all.inner.lock();
        let t = all.entry(number).or_default();
        *match counter {
            Counter::Packets => &mut t.packets,
            Counter::Octets => &mut t.octets,
            Counter::WrongInterface => &mut t.wrong_interface,
            Counter::NoReceivers => &mut t.no_receivers,
            Counter::Copies => &mut t.copies,
        } += n;
    }
}
