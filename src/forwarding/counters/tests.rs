//! What is counted of flows and of their outgoing interfaces, by one worker and several.

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
        Counter::QueueOverflow,
        Counter::Uninitialized,
        Counter::Discards,
        Counter::HeaderErrors,
    ];
    all.into_iter().zip(1..).for_each(|(counter, n)| worker.add(number, counter, n));
    let totals = FlowTotals {
        packets: 1,
        octets: 2,
        wrong_interface: 3,
        no_receivers: 4,
        copies: 5,
        queue_overflow: 6,
        uninitialized: 7,
        discards: 8,
        header_errors: 9,
    };
    assert_eq!(counters.totals(number), totals);
    let outgoing = [counters.open_outgoing().unwrap(), counters.open_outgoing().unwrap()];
    let all = [
        OutgoingCounter::Packets,
        OutgoingCounter::TtlTooLow,
        OutgoingCounter::FragmentationNeeded,
        OutgoingCounter::Discards,
    ];
    for (number, step) in outgoing.into_iter().zip([1, 10]) {
        all.into_iter().zip(1..).for_each(|(counter, n)| worker.add_outgoing(number, counter, n * step));
    }
    for (number, step) in outgoing.into_iter().zip([1, 10]) {
        let totals = OutgoingTotals {
            packets: step,
            ttl_too_low: 2 * step,
            fragmentation_needed: 3 * step,
            discards: 4 * step,
        };
        assert_eq!(counters.outgoing_totals(number), totals);
    }
    assert_eq!(counters.totals(number), totals);
}

fn copied(counters: &Counters, number: OutgoingNumber) -> u64 {
    counters.outgoing_totals(number).packets
}

#[test]
fn copies_are_counted_over_all_workers_and_as_far_as_anybody_counts() {
    const N: u32 = u32::MAX;
    let counters = Counters::new(1);
    let (number, other) = (counters.open_outgoing().unwrap(), counters.open_outgoing().unwrap());
    let mut workers = [counters.worker(), counters.worker()];
    // Through four laps of 2^39.
    for round in 1..=520 {
        for worker in &mut workers {
            worker.add_outgoing(number, OutgoingCounter::Packets, N);
        }
        assert_eq!(copied(&counters, number), 2 * round * u64::from(N));
    }
    workers[0].add_outgoing(other, OutgoingCounter::Packets, 1);
    assert_eq!(copied(&counters, other), 1);
    assert!(counters.close_outgoing(number));
    let new = counters.open_outgoing().unwrap();
    assert_eq!(new.index, number.index);
    assert_eq!(counters.outgoing_totals(new), OutgoingTotals::default());
    workers[0].add_outgoing(new, OutgoingCounter::Packets, 3);
    assert_eq!(copied(&counters, new), 3, "nor do the laps of the old one");
}

#[test]
fn an_outgoing_number_that_is_used_again_hears_nothing_of_the_old_one() {
    let counters = Counters::new(1);
    let (mut early, mut late) = (counters.worker(), counters.worker());
    let old = counters.open_outgoing().unwrap();
    let count = |worker: &mut WorkerCounters, number, n| {
        worker.add_outgoing(number, OutgoingCounter::Packets, n);
        worker.add_outgoing(number, OutgoingCounter::TtlTooLow, n);
    };
    let counted = |number| {
        let totals = counters.outgoing_totals(number);
        (totals.packets, totals.ttl_too_low)
    };
    count(&mut early, old, 5);
    count(&mut late, old, 5);
    assert!(counters.close_outgoing(old) && !counters.close_outgoing(old));
    let new = counters.open_outgoing().unwrap();
    assert_eq!(counted(new), (0, 0));
    count(&mut late, old, 1);
    count(&mut early, new, 7);
    count(&mut early, old, 1);
    assert_eq!((counted(new), counted(old)), ((7, 7), (6, 6)));
}

#[test]
fn a_forwarded_packet_is_counted_in_one_call() {
    let counters = Counters::new(1);
    let number = counters.open().unwrap();
    let mut worker = counters.worker();
    worker.forwarded(number, 100, 3);
    worker.forwarded(number, 20, 1);
    let totals = FlowTotals { packets: 2, octets: 120, copies: 4, ..FlowTotals::default() };
    assert_eq!(counters.totals(number), totals);
}

#[test]
fn outgoing_numbers_do_not_come_back_and_none_counts_nothing() {
    let counters = Counters::new(1);
    let first = counters.open_outgoing().unwrap();
    counters.close_outgoing(first);
    counters.all.control.lock().outgoing.generations[0].latest = LAST_OUTGOING_GENERATION - 1;
    let last = counters.open_outgoing().unwrap();
    assert_eq!((last.index, last.generation), (0, LAST_OUTGOING_GENERATION));
    let mut worker = counters.worker();
    worker.add_outgoing(last, OutgoingCounter::Packets, 2);
    assert_eq!(copied(&counters, last), 2);
    assert!(counters.close_outgoing(last));
    assert_eq!(counters.open_outgoing().unwrap().index, 1);
    for foreign in [OutgoingNumber::NONE, OutgoingNumber { index: 9, generation: 1 }] {
        worker.add_outgoing(foreign, OutgoingCounter::Packets, 1);
        worker.add_outgoing(foreign, OutgoingCounter::Discards, 1);
        assert_eq!(counters.outgoing_totals(foreign), OutgoingTotals::default());
        assert!(!counters.close_outgoing(foreign));
    }
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
    assert_eq!(counters.all.shares.iter().count(), 2, "a worker that is gone leaves its share to the next");
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
    counters.all.control.lock().flows.generations[0].latest = u32::MAX - 1;
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
