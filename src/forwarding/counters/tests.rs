//! What is counted of flows and of their outgoing interfaces, by one worker and several.

use super::*;
use crate::forwarding::entry::{Incoming, NewEntry, Outgoing, Stamp, VifIndex};
use crate::forwarding::flow::Flow;
use crate::forwarding::numbers::LineId;
use crate::forwarding::ways::AllWays;
use crate::handle::{OwnerWord, ResourceId};
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
    // The last one is in the third line.
    let outgoing: [_; 12] = std::array::from_fn(|_| counters.open_outgoing(number).unwrap());
    let all = [
        OutgoingCounter::Packets,
        OutgoingCounter::TtlTooLow,
        OutgoingCounter::FragmentationNeeded,
        OutgoingCounter::Discards,
    ];
    for (number, step) in outgoing.into_iter().zip(1..) {
        all.into_iter().zip(1..).for_each(|(counter, n)| worker.add_outgoing(number, counter, n * step));
    }
    for (number, step) in outgoing.into_iter().zip(1..) {
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

/// A flow with so many outgoing interfaces that the last has its place in a further line.
fn opened<const N: usize>(counters: &Counters) -> (FlowCounterId, [OifCounterId; N]) {
    let flow = counters.open().unwrap();
    (flow, std::array::from_fn(|_| counters.open_outgoing(flow).unwrap()))
}

#[test]
fn further_lines_are_opened_as_they_are_needed() {
    let counters = Counters::new(2);
    let (flow, outgoing) = opened::<12>(&counters);
    let lines = Vec::from_iter(outgoing.map(|number| number.line()));
    assert_eq!(lines[..4], [flow.line; 4]);
    assert!(lines[4] != flow.line && lines[4..11].iter().all(|line| *line == lines[4]));
    assert!(lines[11] != lines[4] && lines[11] != flow.line);
    assert!(!counters.close(FlowCounterId { line: lines[4] }), "it is no flow's first");
    assert_eq!(counters.open_outgoing(FlowCounterId { line: lines[4] }).unwrap(), OifCounterId::NONE);
    let (other, _) = opened::<5>(&counters);
    assert_eq!(counters.all.control.lock().lines.len(), 5);
    assert!(counters.close(flow) && counters.close(other));
    opened::<12>(&counters);
    opened::<5>(&counters);
    assert_eq!(counters.all.control.lock().lines.len(), 5, "all of them were given back");
}

/// Places are a flow's: once for the life of its number, and with it.
#[test]
fn outgoing_numbers_come_and_go_with_their_flow() {
    let counters = Counters::new(1);
    let (mut early, mut late) = (counters.worker(), counters.worker());
    let count = |worker: &mut WorkerCounters, number, n| {
        worker.add_outgoing(number, OutgoingCounter::Packets, n);
        worker.add_outgoing(number, OutgoingCounter::Discards, n);
    };
    let counted = |number| {
        let totals = counters.outgoing_totals(number);
        (totals.packets, totals.discards)
    };
    let (flow, old) = opened::<5>(&counters);
    for number in old {
        count(&mut early, number, 5);
        count(&mut late, number, 5);
        assert!(counters.close_outgoing(number) && !counters.close_outgoing(number));
    }
    let other = counters.open_outgoing(flow).unwrap();
    assert!(!old.contains(&other), "the count of an old one would go on");
    assert!(counters.close(flow));
    assert!(!counters.close_outgoing(other), "closed with its flow");
    assert_eq!(counters.open_outgoing(flow).unwrap(), OifCounterId::NONE);
    let (_, new) = opened::<5>(&counters);
    for (old, new) in old.into_iter().zip(new) {
        assert_eq!(counted(new), (0, 0));
        count(&mut late, old, 1);
        count(&mut early, new, 7);
        count(&mut early, old, 1);
        assert_eq!(counted(new), (7, 7));
    }
    assert_eq!(counted(old[4]).0, 6, "only `late` still has counts of the old number");
}

/// An entry that copies to so many interfaces.
fn entry(flow: FlowCounterId, outgoing: &[OifCounterId]) -> Entry {
    let stamp = Stamp::one(ResourceId(0), OwnerWord(0));
    let incoming = Incoming { interface: VifIndex(0), stamp };
    let outgoing = (1..).zip(outgoing);
    let outgoing = outgoing.map(|(n, number)| Outgoing { interface: VifIndex(n), stamp, number: *number });
    let outgoing = Vec::from_iter(outgoing);
    let key = Flow::new([192, 0, 2, 7].into(), [232, 1, 2, 3].into()).unwrap();
    let new = NewEntry::new(key, flow, Some(incoming), &outgoing);
    Entry::try_new(&new, &mut AllWays::new(Arc::default())).unwrap()
}

/// As a packet path counts, which finds a line once.
#[test]
fn a_packet_counts_under_numbers_in_use_only() {
    let counters = Counters::new(1);
    let mut worker = counters.worker();
    let packet = |worker: &mut WorkerCounters, flow, outgoing: &[OifCounterId]| {
        let entry = |some: &[OifCounterId]| entry(flow, some);
        let counts = worker.of(flow);
        let whole = entry(outgoing);
        assert!(counts.few_of(&whole).is_none());
        counts.copied(&whole, 0, !0);
        counts.copied(&whole, 8, 0b1001);
        // Of the last run's way nothing is made.
        counts.copied(&whole, 8, 0b0001);
        counts.copied(&entry(&[outgoing[0], OifCounterId::NONE, outgoing[11], outgoing[0]]), 0, 0b1111);
        counts.copied(&entry(&[OifCounterId::NONE, outgoing[1]]), 0, 0b11);
        assert_eq!(counts.few_of(&entry(&outgoing[..4])).unwrap().copied(0b1010), 2);
        counts.discarded(&whole, 1, 0b110);
        counts.forwarded(100, 16);
    };
    let (old, outgoing) = opened::<12>(&counters);
    packet(&mut worker, old, &outgoing);
    let copied = |numbers: &[OifCounterId]| {
        Vec::from_iter(numbers.iter().map(|number| counters.outgoing_totals(*number).packets))
    };
    let made = [3, 3, 1, 2, 1, 1, 1, 1, 3, 1, 1, 3];
    assert_eq!(copied(&outgoing), made);
    let discards = outgoing.map(|number| counters.outgoing_totals(number).discards);
    assert_eq!(discards, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let totals = FlowTotals { packets: 1, octets: 100, copies: 16, ..FlowTotals::default() };
    assert_eq!(counters.totals(old), totals);
    assert!(counters.close(old));
    let (new, again) = opened::<12>(&counters);
    packet(&mut worker, new, &again);
    packet(&mut worker, old, &outgoing);
    assert_eq!((counters.totals(new), copied(&again)), (totals, made.into()));
}

#[test]
fn a_number_that_is_none_or_another_tables_counts_no_copies() {
    let counters = Counters::new(1);
    let mut worker = counters.worker();
    counters.open().unwrap();
    let foreign = LineId { index: 9, generation: 1 }.at(3);
    for number in [OifCounterId::NONE, foreign] {
        worker.add_outgoing(number, OutgoingCounter::Packets, 1);
        worker.add_outgoing(number, OutgoingCounter::Discards, 1);
        assert_eq!(counters.outgoing_totals(number), OutgoingTotals::default());
        assert!(!counters.close_outgoing(number));
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
    assert!(!counters.close(FlowCounterId { line: LineId { index: 77, generation: 1 } }), "of another table");
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
    counters.all.control.lock().lines.set_generation(0, u32::MAX - 1);
    let last = counters.open().unwrap();
    assert_eq!(last.line, LineId { index: 0, generation: u32::MAX });
    assert!(counters.close(last));
    assert_eq!(counters.open().unwrap().line, LineId { index: 1, generation: 1 });
}

#[test]
fn a_number_of_another_table_counts_nothing_and_harms_nothing() {
    let counters = Counters::new(1);
    let number = counters.open().unwrap();
    counters.worker().add(
        FlowCounterId { line: LineId { index: u32::MAX, generation: 1 } },
        Counter::Packets,
        1,
    );
    assert_eq!(counters.totals(number), packets(0));
    assert_eq!(
        counters.totals(FlowCounterId { line: LineId { index: u32::MAX, generation: 1 } }),
        packets(0)
    );
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
                    worker.add(number, Counter::Packets, u64::from(number.line.generation));
                    worker.add(number, Counter::Octets, u64::from(number.line.generation));
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
            let generation = u64::from(number.line.generation);
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
