//! Counters of flows: an array per worker, indexed by a number that lives as long as the flow.

mod in_use;

use super::copies::{Kept, Places};
use super::entry::Entry;
use super::numbers::{FlowCounterId, OifCounterId};
use super::shares::{COPY_SELDOM, LineNow, OFTEN, SELDOM, Share, Shares};
use super::table::PublishError;
use crate::memory::NoMemory;
use crate::sync::{Arc, Mutex};
use in_use::Lines;

/// What can be counted of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Packets forwarded on at least one interface.
    Packets,
    /// Octets of those packets, IP headers included.
    Octets,
    /// Copies made, over all outgoing interfaces.
    Copies,
    /// Packets that did not arrive on the incoming interface.
    WrongInterface,
    /// Packets discarded because nobody wanted them.
    NoReceivers,
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
    lines: Lines,
    /// Shares whose worker is gone. Their counts stay, and the next worker goes on adding to them.
    idle: Vec<Arc<Share>>,
    /// How many flows have a number, and how many may.
    open: u32,
    most: u32,
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
        let control = Control { lines: Lines::default(), idle: Vec::new(), open: 0, most };
        Counters { all: Arc::new(All { shares: Shares::default(), control: Mutex::new(control) }) }
    }

    /// A new worker's share. Makes room for every number there is, and may block: call it when a worker starts. Without memory
    /// for it the process ends.
    #[must_use]
    pub fn worker(&self) -> WorkerCounters {
        let mut control = self.all.control.lock();
        let lines = control.lines.len();
        let share = control.idle.pop().unwrap_or_else(|| {
            // Giving it back must not need memory.
            let shares = self.all.shares.iter().count() + 1;
            control.idle.reserve(shares);
            let made = self.all.shares.push(lines);
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
    pub fn totals(&self, number: FlowCounterId) -> FlowTotals {
        let (mut often, mut seldom) = ([0_u64; OFTEN], [0_u64; SELDOM]);
        for share in self.all.shares.iter() {
            let counts = share.read(number.line);
            add(&mut often, counts.0);
            add(&mut seldom, counts.1);
        }
        let [packets, octets, copies] = often;
        let [wrong_interface, no_receivers, discards, header_errors, queue_overflow, uninitialized] = seldom;
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
    pub fn outgoing_totals(&self, number: OifCounterId) -> OutgoingTotals {
        let (mut packets, mut seldom) = (0_u64, [0_u64; COPY_SELDOM]);
        for share in self.all.shares.iter() {
            let counts = share.read_outgoing(number);
            packets = packets.wrapping_add(counts.0);
            add(&mut seldom, counts.1);
        }
        let [ttl_too_low, fragmentation_needed, discards] = seldom;
        OutgoingTotals { packets, ttl_too_low, fragmentation_needed, discards }
    }

    /// A number for a new flow, its counters at zero.
    pub(super) fn open(&self) -> Result<FlowCounterId, PublishError> {
        let mut control = self.all.control.lock();
        let most = control.most;
        let full = PublishError::Full(most);
        if control.open >= most {
            return Err(full);
        }
        let number = control.lines.open_flow(|lines| self.make_room(lines))?.ok_or(full)?;
        control.open += 1;
        Ok(number)
    }

    /// Gives a number back, and with it those of its outgoing interfaces; whether it was open.
    pub(super) fn close(&self, flow: FlowCounterId) -> bool {
        let mut control = self.all.control.lock();
        let closed = control.lines.close_flow(flow);
        control.open -= u32::from(closed);
        closed
    }

    /// A number for an outgoing interface of a flow, its counters at zero. None for a flow whose number is not open.
    pub(super) fn open_outgoing(&self, flow: FlowCounterId) -> Result<OifCounterId, NoMemory> {
        self.all.control.lock().lines.open_outgoing(flow, |lines| self.make_room(lines))
    }

    /// Gives it back; whether it was open. Its place is used again when its flow's number is.
    pub(super) fn close_outgoing(&self, number: OifCounterId) -> bool {
        self.all.control.lock().lines.close_outgoing(number)
    }

    /// Workers never allocate: their room for so many lines is made here, before anybody knows the number.
    fn make_room(&self, lines: usize) -> Result<(), NoMemory> {
        self.all.shares.iter().try_for_each(|share| share.make_room(lines))
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
    pub fn add(&mut self, number: FlowCounterId, counter: Counter, n: u64) {
        self.share.add(number.line, counter as usize, n);
    }

    /// Counts a packet that was forwarded: its octets, IP header included, and its copies. As [`add`](Self::add) would,
    /// counter by counter. Wait-free.
    #[inline]
    pub fn forwarded(&mut self, number: FlowCounterId, octets: u64, copies: u64) {
        self.of(number).forwarded(octets, copies);
    }

    /// Asks for the lines of what is counted of an entry's copies, but for the flow's first. A hint that changes nothing but time.
    #[inline]
    pub(crate) fn prefetch_copies(&self, entry: &Entry) {
        let Kept::Runs(runs) = entry.copies().kept() else { return };
        for run in runs {
            self.share.prefetch(run.line);
        }
    }

    /// Asks for a flow's line before it is needed: what every packet counts up. A hint that changes nothing but time.
    #[inline]
    pub fn prefetch(&self, number: FlowCounterId) {
        self.share.prefetch(number.line);
    }

    /// The same, of an outgoing interface of a flow.
    #[inline]
    pub fn prefetch_outgoing(&self, number: OifCounterId) {
        self.share.prefetch(number.line());
    }

    /// Adds to a counter of an outgoing interface of a flow; as [`add`](Self::add). Wait-free.
    #[inline]
    pub fn add_outgoing(&mut self, number: OifCounterId, counter: OutgoingCounter, n: u32) {
        match counter {
            OutgoingCounter::Packets => {
                if let Some(line) = self.share.line(number.line()) {
                    line.copied(number.place(), n.into());
                }
            }
            OutgoingCounter::TtlTooLow => self.share.add_seldom(number, 0, n.into()),
            OutgoingCounter::FragmentationNeeded => self.share.add_seldom(number, 1, n.into()),
            OutgoingCounter::Discards => self.share.add_seldom(number, 2, n.into()),
        }
    }

    /// The counters of a flow, for all that one packet of it counts up. Wait-free, as are these.
    #[inline]
    pub(crate) fn of(&mut self, flow: FlowCounterId) -> PacketCounts<'_> {
        let line = self.share.line(flow.line);
        PacketCounts { share: &self.share, line }
    }
}

/// The counters of a flow, its first line looked for once.
pub(crate) struct PacketCounts<'w> {
    share: &'w Share,
    /// The flow's first. `None`: the number is used again already, or is another table's.
    line: Option<LineNow<'w>>,
}

impl<'w> PacketCounts<'w> {
    /// The counters of the copies by an entry of this flow, where they are few and all in the flow's first line.
    #[inline]
    pub(crate) fn few_of(&self, entry: &Entry) -> Option<FewCounts<'w>> {
        match entry.copies().kept() {
            Kept::Near(places) => Some(FewCounts { line: self.line, places }),
            Kept::Runs(_) => None,
        }
    }

    /// Counts a copy by each of some ways out of an entry of this flow: those whose bits are set, the lowest for the one at
    /// `first`.
    pub(crate) fn copied(&self, entry: &Entry, first: usize, made: u64) {
        let Kept::Runs(runs) = entry.copies().kept() else {
            let Some(few) = self.few_of(entry) else { return };
            few.copied(made.checked_shl(first as u32).unwrap_or_default());
            return;
        };
        let mut at = 0_usize;
        for run in runs {
            // Those of `made` from the run's first way on, of which a line has places for few.
            let from_here = match at.checked_sub(first) {
                Some(behind) => made.checked_shr(behind as u32),
                None => made.checked_shl((first - at) as u32),
            };
            at += usize::from(run.len);
            if let Some(line) = self.share.line(run.line) {
                line.copied_some(run.first, run.len, from_here.unwrap_or_default());
            }
        }
    }

    /// Counts copies that were discarded, in the same way.
    #[cold]
    pub(crate) fn discarded(&self, entry: &Entry, first: usize, discarded: u64) {
        for at in bits(discarded) {
            self.share.add_seldom(entry.outgoing_number(first + at), 2, 1);
        }
    }

    /// [`WorkerCounters::forwarded`].
    #[inline]
    pub(crate) fn forwarded(&self, octets: u64, copies: u64) {
        if let Some(line) = self.line {
            let counts = [(Counter::Packets, 1), (Counter::Octets, octets), (Counter::Copies, copies)];
            line.add_all(counts.map(|(counter, n)| (counter as usize, n)));
        }
    }
}

/// The counters of a flow that is copied to few interfaces only.
#[derive(Clone, Copy)]
pub(crate) struct FewCounts<'w> {
    line: Option<LineNow<'w>>,
    places: Places,
}

impl FewCounts<'_> {
    /// Counts a copy by each of the ways out whose bits are set, the lowest for the first; how many there are.
    #[inline]
    pub(crate) fn copied(self, made: u64) -> u64 {
        let mut copies = 0;
        self.places.each(made, |place| {
            copies += 1;
            if let Some(line) = self.line {
                line.copied(place, 1);
            }
        });
        copies
    }
}

/// Which bits are set.
fn bits(all: u64) -> impl Iterator<Item = usize> {
    (0..u64::BITS as usize).filter(move |at| all >> at & 1 == 1)
}

impl Drop for WorkerCounters {
    fn drop(&mut self) {
        // The lock orders this worker's stores before those of the worker that adopts the share.
        self.all.control.lock().idle.push(self.share.clone());
    }
}

#[cfg(test)]
mod tests;
