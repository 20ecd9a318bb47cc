//! Counters of flows: an array per worker, indexed by a number that lives as long as the flow.

use super::shares::{LAST_OUTGOING_GENERATION, OFTEN, SELDOM, Share, Shares};
use super::table::PublishError;
use crate::faults::{self, Point};
use crate::memory::{self, NoMemory};
use crate::sync::{Arc, Mutex};

/// Under which number a flow's packets are counted. Lives as long as the flow, so that replacing an entry, or making it
/// anew after a timeout, loses no count.
///
/// Numbers are used again. Each carries a generation, and whatever is counted carries it too: counts made under a number
/// that was given back never show up under the one that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowNumber {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Under which number the packets are counted that are copied to one outgoing interface of a flow. Lives as long as the
/// flow's own number, so that an interface that is left out of the entry for a while loses no count.
///
/// Used again as [`FlowNumber`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutgoingNumber {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl FlowNumber {
    /// Nothing is counted under it.
    pub(super) const NONE: FlowNumber = FlowNumber { index: u32::MAX, generation: 0 };

    /// As an entry keeps it, whose first way is the way in.
    pub(super) const fn in_the_place_of_outgoing(self) -> OutgoingNumber {
        OutgoingNumber { index: self.index, generation: self.generation }
    }

    /// The number that is kept so.
    pub(super) const fn in_its_place(kept: OutgoingNumber) -> FlowNumber {
        FlowNumber { index: kept.index, generation: kept.generation }
    }
}

impl OutgoingNumber {
    /// Nothing is counted under it.
    pub const NONE: OutgoingNumber = OutgoingNumber { index: u32::MAX, generation: 0 };
}

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
    /// Packets that the flow's entry would have forwarded and that were discarded for want of room.
    Discards,
    /// Packets discarded because of their header.
    HeaderErrors,
    /// Packets discarded because the queue of flows without an entry was full.
    QueueOverflow,
    /// Packets that came while the flow's entry was being made.
    Uninitialized,
}

/// What can be counted of one outgoing interface of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutgoingCounter {
    /// Packets copied to it.
    Packets,
    /// Packets not copied to it because their TTL was too low for it.
    TtlTooLow,
    /// Packets not copied to it because they were too large for it and must not be fragmented.
    FragmentationNeeded,
    /// Copies discarded there for another reason.
    Discards,
}

/// What was counted of one outgoing interface of a flow, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutgoingTotals {
    /// Packets copied to it.
    pub packets: u64,
    /// Packets not copied to it because their TTL was too low for it.
    pub ttl_too_low: u64,
    /// Packets not copied to it because they were too large for it and must not be fragmented.
    pub fragmentation_needed: u64,
    /// Copies discarded there for another reason.
    pub discards: u64,
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
    /// Packets discarded because the queue of flows without an entry was full.
    pub queue_overflow: u64,
    /// Packets that came while the flow's entry was being made.
    pub uninitialized: u64,
    /// Packets that the flow's entry would have forwarded and that were discarded for want of room.
    pub discards: u64,
    /// Packets discarded because of their header.
    pub header_errors: u64,
}

/// The counters of a table's flows. Cheap to clone: every clone is the same counters.
#[derive(Clone)]
pub struct Counters {
    all: Arc<All>,
}

struct All {
    shares: Shares,
    control: Mutex<Control>,
}

struct Control {
    flows: Numbers,
    outgoing: Numbers,
    /// Shares whose worker is gone. Their counts stay, and the next worker goes on adding to them.
    idle: Vec<Arc<Share>>,
    open: u32,
    most: u32,
}

/// The numbers of one kind.
struct Numbers {
    /// By index; 0 for one that was never used.
    generations: Vec<Generation>,
    /// Indexes of numbers that were given back.
    free: Vec<u32>,
    last_generation: u32,
}

struct Generation {
    latest: u32,
    open: bool,
}

impl Numbers {
    fn new(last_generation: u32) -> Numbers {
        Numbers { generations: Vec::new(), free: Vec::new(), last_generation }
    }

    /// Makes room for one more in use, for good: neither opening nor closing needs memory then. How many indexes there are
    /// then at most.
    fn make_room(&mut self) -> Result<usize, NoMemory> {
        let indexes = self.generations.len() + usize::from(self.free.is_empty());
        memory::reserve(&mut self.generations, usize::from(self.free.is_empty()))?;
        let more = indexes - self.free.len();
        memory::reserve(&mut self.free, more)?;
        Ok(indexes)
    }

    /// A number that is not in use, and its generation. `None` when there are `most`.
    fn open(&mut self, most: usize) -> Option<(u32, u32)> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.generations.len() < most => {
                self.generations.push(Generation { latest: 0, open: false });
                (self.generations.len() - 1) as u32
            }
            None => return None,
        };
        let generation = &mut self.generations[index as usize];
        generation.latest += 1;
        generation.open = true;
        Some((index, generation.latest))
    }

    /// Gives a number back; whether it was open.
    fn close(&mut self, index: u32, generation: u32) -> bool {
        let Some(present) = self.generations.get_mut(index as usize) else { return false };
        if !present.open || present.latest != generation {
            return false;
        }
        present.open = false;
        // A generation must never come back: an index that has used all of them is left alone.
        if generation < self.last_generation {
            self.free.push(index);
        }
        true
    }
}

/// One worker's share of the counters: only it writes them.
///
/// Dropping it loses no count. It can be sent to another thread.
pub struct WorkerCounters {
    share: Arc<Share>,
    all: Arc<All>,
}

impl Counters {
    /// Counters of at most `most` flows at a time.
    pub(super) fn new(most: u32) -> Counters {
        let (flows, outgoing) = (Numbers::new(u32::MAX), Numbers::new(LAST_OUTGOING_GENERATION));
        let control = Control { flows, outgoing, idle: Vec::new(), open: 0, most };
        Counters { all: Arc::new(All { shares: Shares::default(), control: Mutex::new(control) }) }
    }

    /// A new worker's share. Makes room for every number there is, and may block: call it when a worker starts. Without memory
    /// for it the process ends.
    #[must_use]
    pub fn worker(&self) -> WorkerCounters {
        let mut control = self.all.control.lock();
        let (flows, outgoing) = (control.flows.generations.len(), control.outgoing.generations.len());
        let share = control.idle.pop().unwrap_or_else(|| {
            // Giving it back must not need memory.
            let shares = self.all.shares.iter().count() + 1;
            control.idle.reserve(shares);
            let made = self.all.shares.push(flows, outgoing);
            made.unwrap_or_else(|NoMemory| std::alloc::handle_alloc_error(std::alloc::Layout::new::<Share>()))
        });
        drop(control);
        WorkerCounters { share, all: self.all.clone() }
    }

    /// What was counted of a flow, over all workers, those that are gone included. Takes no lock and delays no worker.
    ///
    /// Exact once the workers rest; while they count, each counter is one it had during the call. Of a number that was
    /// given back, what is left of its counts; nothing once the number is used again.
    #[must_use]
    pub fn totals(&self, number: FlowNumber) -> FlowTotals {
        let (mut often, mut seldom) = ([0_u64; OFTEN], [0_u64; SELDOM]);
        for share in self.all.shares.iter() {
            let counts = share.read(number);
            add(&mut often, counts.0);
            add(&mut seldom, counts.1);
        }
        let [packets, octets, wrong_interface, no_receivers, copies] = often;
        let [discards, header_errors, queue_overflow, uninitialized] = seldom;
        FlowTotals {
            packets,
            octets,
            wrong_interface,
            no_receivers,
            copies,
            queue_overflow,
            uninitialized,
            discards,
            header_errors,
        }
    }

    /// What was counted of one outgoing interface of a flow; as [`totals`](Self::totals).
    #[must_use]
    pub fn outgoing_totals(&self, number: OutgoingNumber) -> OutgoingTotals {
        let (mut packets, mut seldom) = (0_u64, [0_u64; SELDOM]);
        for share in self.all.shares.iter() {
            let counts = share.read_outgoing(number);
            packets = packets.wrapping_add(counts.0);
            add(&mut seldom, counts.1);
        }
        let [_laps, ttl_too_low, fragmentation_needed, discards] = seldom;
        OutgoingTotals { packets, ttl_too_low, fragmentation_needed, discards }
    }

    /// A number for a new flow, its counters at zero.
    pub(super) fn open(&self) -> Result<FlowNumber, PublishError> {
        let mut control = self.all.control.lock();
        let most = control.most;
        let full = PublishError::Full(most);
        if control.open >= most {
            return Err(full);
        }
        let flows = control.flows.make_room()?;
        self.make_room(flows, control.outgoing.generations.len())?;
        faults::point(Point::NumberUnopened);
        let (index, generation) = control.flows.open(usize::MAX).ok_or(full)?;
        control.open += 1;
        Ok(FlowNumber { index, generation })
    }

    /// Gives a number back; whether it was open.
    pub(super) fn close(&self, flow: FlowNumber) -> bool {
        let mut control = self.all.control.lock();
        let closed = control.flows.close(flow.index, flow.generation);
        control.open -= u32::from(closed);
        closed
    }

    /// A number for an outgoing interface of a flow, its counters at zero.
    pub(super) fn open_outgoing(&self) -> Result<OutgoingNumber, NoMemory> {
        let mut control = self.all.control.lock();
        let outgoing = control.outgoing.make_room()?;
        if outgoing > Share::MOST_OUTGOING {
            return Ok(OutgoingNumber::NONE);
        }
        self.make_room(control.flows.generations.len(), outgoing)?;
        let number = control.outgoing.open(Share::MOST_OUTGOING);
        let number = number.map(|(index, generation)| OutgoingNumber { index, generation });
        Ok(number.unwrap_or(OutgoingNumber::NONE))
    }

    /// Gives it back; whether it was open.
    pub(super) fn close_outgoing(&self, number: OutgoingNumber) -> bool {
        self.all.control.lock().outgoing.close(number.index, number.generation)
    }

    /// Workers never allocate: their room is made here, before anybody knows the number.
    fn make_room(&self, flows: usize, outgoing: usize) -> Result<(), NoMemory> {
        self.all.shares.iter().try_for_each(|share| share.make_room(flows, outgoing))
    }
}

fn add<const N: usize>(sum: &mut [u64; N], counts: [u64; N]) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.wrapping_add(count));
}

impl WorkerCounters {
    /// Adds to a counter of a flow. Wait-free: loads and stores of one cache line that only this worker writes.
    ///
    /// Nothing is counted under a number that is used again already, nor under one of another table.
    #[inline]
    pub fn add(&mut self, number: FlowNumber, counter: Counter, n: u64) {
        self.share.add(number, counter as usize, n);
    }

    /// Counts a packet that was forwarded: its octets, IP header included, and its copies. As [`add`](Self::add) would,
    /// counter by counter. Wait-free.
    #[inline]
    pub fn forwarded(&mut self, number: FlowNumber, octets: u64, copies: u64) {
        let counts = [(Counter::Packets, 1), (Counter::Octets, octets), (Counter::Copies, copies)];
        self.share.add_often(number, counts.map(|(counter, n)| (counter as usize, n)));
    }

    /// Asks for a flow's line before it is needed: what every packet counts up. A hint that changes nothing but time.
    #[inline]
    pub fn prefetch(&self, number: FlowNumber) {
        self.share.prefetch(number);
    }

    /// The same, of an outgoing interface of a flow.
    #[inline]
    pub fn prefetch_outgoing(&self, number: OutgoingNumber) {
        self.share.prefetch_outgoing(number);
    }

    /// Adds to a counter of an outgoing interface of a flow. Wait-free: a load and a store of a word that only this worker
    /// writes, once in 2^39 packets some more.
    ///
    /// Nothing is counted under a number that is used again already, nor under one of another table.
    #[inline]
    pub fn add_outgoing(&mut self, number: OutgoingNumber, counter: OutgoingCounter, n: u32) {
        match counter {
            OutgoingCounter::Packets => self.share.copied(number, n),
            OutgoingCounter::TtlTooLow => self.share.add_seldom(number, 1, n.into()),
            OutgoingCounter::FragmentationNeeded => self.share.add_seldom(number, 2, n.into()),
            OutgoingCounter::Discards => self.share.add_seldom(number, 3, n.into()),
        }
    }
}

impl Drop for WorkerCounters {
    fn drop(&mut self) {
        // The lock orders this worker's stores before those of the worker that adopts the share.
        self.all.control.lock().idle.push(self.share.clone());
    }
}

#[cfg(test)]
mod tests;
