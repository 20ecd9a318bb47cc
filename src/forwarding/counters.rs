//! Counters of flows: an array per worker, indexed by a number that lives as long as the flow.

use super::shares::{COUNTERS, Share, Shares};
use super::table::PublishError;
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
    numbers: Vec<Number>,
    /// Indexes of numbers that were given back.
    free: Vec<u32>,
    /// Shares whose worker is gone. Their counts stay, and the next worker goes on adding to them.
    idle: Vec<Arc<Share>>,
    open: u32,
    most: u32,
}

struct Number {
    generation: u32,
    open: bool,
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
        let control = Control { numbers: Vec::new(), free: Vec::new(), idle: Vec::new(), open: 0, most };
        Counters { all: Arc::new(All { shares: Shares::default(), control: Mutex::new(control) }) }
    }

    /// A new worker's share. Makes room for every number there is, and may block: call it when a worker starts.
    #[must_use]
    pub fn worker(&self) -> WorkerCounters {
        let mut control = self.all.control.lock();
        let share = control.idle.pop().unwrap_or_else(|| self.all.shares.push(control.numbers.len()));
        drop(control);
        WorkerCounters { share, all: self.all.clone() }
    }

    /// What was counted of a flow, over all workers, those that are gone included. Takes no lock and delays no worker.
    ///
    /// Exact once the workers rest; while they count, each counter is one it had during the call. Of a number that was
    /// given back, what is left of its counts; nothing once the number is used again.
    #[must_use]
    pub fn totals(&self, number: FlowNumber) -> FlowTotals {
        let mut sum = [0_u64; COUNTERS];
        for share in self.all.shares.iter() {
            let counts = share.read(number);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.wrapping_add(count));
        }
        let [packets, octets, wrong_interface, no_receivers, copies] = sum;
        FlowTotals { packets, octets, wrong_interface, no_receivers, copies, ..FlowTotals::default() }
    }

    /// A number for a new flow, its counters at zero.
    pub(super) fn open(&self) -> Result<FlowNumber, PublishError> {
        let mut control = self.all.control.lock();
        if control.open >= control.most {
            return Err(PublishError::Full(control.most));
        }
        let index = match control.free.pop() {
            Some(index) => index,
            None => {
                let index = control.numbers.len() as u32;
                control.numbers.push(Number { generation: 0, open: false });
                // Workers never allocate: their room is made here, before anybody knows the number.
                self.all.shares.iter().for_each(|share| share.make_room(control.numbers.len()));
                index
            }
        };
        control.open += 1;
        let number = &mut control.numbers[index as usize];
        number.generation += 1;
        number.open = true;
        Ok(FlowNumber { index, generation: number.generation })
    }

    /// Gives a number back; whether it was open.
    pub(super) fn close(&self, flow: FlowNumber) -> bool {
        let mut control = self.all.control.lock();
        let Some(number) = control.numbers.get_mut(flow.index as usize) else { return false };
        if !number.open || number.generation != flow.generation {
            return false;
        }
        number.open = false;
        // A generation must never come back: an index that has used all of them is left alone.
        if number.generation < u32::MAX {
            control.free.push(flow.index);
        }
        control.open -= 1;
        true
    }
}

impl WorkerCounters {
    /// Adds to a counter of a flow. Wait-free: loads and stores of one cache line that only this worker writes.
    ///
    /// Nothing is counted under a number that is used again already, nor under one of another table.
    pub fn add(&mut self, number: FlowNumber, counter: Counter, n: u64) {
        self.share.add(number, counter as usize, n);
    }
}

impl Drop for WorkerCounters {
    fn drop(&mut self) {
        // The lock orders this worker's stores before those of the worker that adopts the share.
        self.all.control.lock().idle.push(self.share.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn packets(n: u64) -> FlowTotals {
        FlowTotals { packets: n, ..FlowTotals::default() }
    }

    #[test]
    fn each_counter_has_its_own_place() {
        let counters = Counters::new(4);
        let number = counters.open().unwrap();
        let mut worker = counters.worker();
        let all = [
            Counter::Packets,
            Counter::Octets,
            Counter::WrongInterface,
            Counter::NoReceivers,
            Counter::Copies,
        ];
        all.into_iter().zip(1..).for_each(|(counter, n)| worker.add(number, counter, n));
        let totals = FlowTotals {
            packets: 1,
            octets: 2,
            wrong_interface: 3,
            no_receivers: 4,
            copies: 5,
            ..FlowTotals::default()
        };
        assert_eq!(counters.totals(number), totals);
    }

    #[test]
    fn totals_are_over_all_workers_and_outlive_them() {
        let counters = Counters::new(100);
        let numbers: Vec<_> = (0..100).map(|_| counters.open().unwrap()).collect();
        for round in 1..=3 {
            let mut workers = [counters.worker(), counters.worker()];
            for (worker, n) in workers.iter_mut().zip([1, 10]) {
                numbers.iter().for_each(|number| worker.add(*number, Counter::Packets, n));
            }
            numbers.iter().for_each(|number| assert_eq!(counters.totals(*number), packets(11 * round)));
        }
        assert_eq!(
            counters.all.shares.iter().count(),
            2,
            "a worker that is gone leaves its share to the next"
        );
    }

    #[test]
    fn a_number_that_is_used_again_starts_at_zero_and_hears_nothing_of_the_old_one() {
        let counters = Counters::new(1);
        let (mut early, mut late) = (counters.worker(), counters.worker());
        let old = counters.open().unwrap();
        early.add(old, Counter::Packets, 5);
        late.add(old, Counter::Packets, 5);
        assert!(counters.close(old));
        let new = counters.open().unwrap();
        assert_ne!(old, new);
        assert_eq!(counters.totals(new), packets(0));
        late.add(old, Counter::Packets, 1);
        early.add(new, Counter::Packets, 7);
        early.add(old, Counter::Packets, 1);
        assert_eq!(counters.totals(new), packets(7));
        assert_eq!(counters.totals(old), packets(6), "only `late` still has counts of the old number");
    }

    #[test]
    fn numbers_run_out_and_come_back_once() {
        let counters = Counters::new(2);
        let (a, b) = (counters.open().unwrap(), counters.open().unwrap());
        assert_eq!(counters.open(), Err(PublishError::Full(2)));
        assert!(counters.close(a));
        assert!(!counters.close(a), "given back already");
        assert!(!counters.close(FlowNumber { index: 77, generation: 1 }), "of another table");
        let c = counters.open().unwrap();
        assert_eq!(counters.open(), Err(PublishError::Full(2)));
        assert!(!counters.close(a), "its index is another number's by now");
        assert!(counters.close(b) && counters.close(c));
    }

    #[test]
    fn an_index_whose_generations_are_used_up_is_left_alone() {
        let counters = Counters::new(1);
        let first = counters.open().unwrap();
        counters.close(first);
        counters.all.control.lock().numbers[0].generation = u32::MAX - 1;
        let last = counters.open().unwrap();
        assert_eq!((last.index, last.generation), (0, u32::MAX));
        assert!(counters.close(last));
        assert_eq!(counters.open().unwrap(), FlowNumber { index: 1, generation: 1 });
    }

    #[test]
    fn a_number_of_another_table_counts_nothing_and_harms_nothing() {
        let counters = Counters::new(1);
        let number = counters.open().unwrap();
        counters.worker().add(FlowNumber { index: u32::MAX, generation: 1 }, Counter::Packets, 1);
        assert_eq!(counters.totals(number), packets(0));
        assert_eq!(counters.totals(FlowNumber { index: u32::MAX, generation: 1 }), packets(0));
    }

    /// A sum that mixed two generations would not be a count that the number ever had.
    #[test]
    fn totals_read_while_numbers_change_hands_belong_to_one_number() {
        let counters = Counters::new(1);
        let present = parking_lot::Mutex::new(counters.open().unwrap());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut worker = counters.worker();
                while !done.load(Ordering::Relaxed) {
                    let number = *present.lock();
                    // What is counted says under which number.
                    for _ in 0..3 {
                        worker.add(number, Counter::Packets, u64::from(number.generation));
                        worker.add(number, Counter::Octets, u64::from(number.generation));
                    }
                    let mut present = present.lock();
                    counters.close(*present);
                    *present = counters.open().unwrap();
                }
            });
            let mut seen = 0;
            while seen < 20_000 {
                let number = *present.lock();
                let totals = counters.totals(number);
                let generation = u64::from(number.generation);
                let counted = [totals.packets, totals.octets];
                let right = |n: &u64| n.is_multiple_of(generation) && *n <= 3 * generation;
                // No assertion before the other thread is told to stop: the scope would wait for it.
                if !counted.iter().all(right) {
                    done.store(true, Ordering::Relaxed);
                    panic!("{totals:?} of {number:?}");
                }
                seen += u32::from(totals.packets > 0);
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
