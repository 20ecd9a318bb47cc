//! Counters of flows and of their outgoing interfaces, with one worker and with several.

use super::counter_id::LineId;
use super::*;
use crate::forwarding::entry::Entry;
use crate::forwarding::flow::Flow;
use crate::forwarding::new_entry::{Incoming, NewEntry, Outgoing, VifIndex};
use crate::forwarding::paths::PathListTable;
use crate::forwarding::stamp::Stamp;
use crate::handle::{OwnerWord, ResourceId};
use std::sync::atomic::{AtomicBool, Ordering};

fn packets(n: u64) -> FlowTotals {
    FlowTotals { packets: n, ..FlowTotals::default() }
}

#[test]
fn each_counter_has_its_own_place() {
    let counters = Counters::new(4);
    let id = counters.alloc().unwrap();
    let mut worker = counters.worker();
    let all = [
        FlowCounter::Packets,
        FlowCounter::Octets,
        FlowCounter::WrongInterface,
        FlowCounter::NoReceivers,
        FlowCounter::Copies,
        FlowCounter::QueueOverflow,
        FlowCounter::Uninitialized,
        FlowCounter::Discards,
        FlowCounter::HeaderErrors,
    ];
    all.into_iter().zip(1..).for_each(|(counter, n)| worker.add(id, counter, n));
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
    assert_eq!(counters.totals(id), totals);
    // The last interface is counted in the third line.
    let outgoing: [_; 12] = std::array::from_fn(|_| counters.alloc_oif(id).unwrap());
    let all =
        [OifCounter::Packets, OifCounter::TtlTooLow, OifCounter::FragmentationNeeded, OifCounter::Discards];
    for (id, step) in outgoing.into_iter().zip(1..) {
        all.into_iter().zip(1..).for_each(|(counter, n)| worker.add_oif(id, counter, n * step));
    }
    for (id, step) in outgoing.into_iter().zip(1..) {
        let totals = OifTotals {
            packets: step,
            ttl_too_low: 2 * step,
            fragmentation_needed: 3 * step,
            discards: 4 * step,
        };
        assert_eq!(counters.oif_totals(id), totals);
    }
    assert_eq!(counters.totals(id), totals);
}

#[test]
fn forwarded_counts_packet_octets_and_copies() {
    let counters = Counters::new(1);
    let id = counters.alloc().unwrap();
    let mut worker = counters.worker();
    worker.forwarded(id, 100, 3);
    worker.forwarded(id, 20, 1);
    let totals = FlowTotals { packets: 2, octets: 120, copies: 4, ..FlowTotals::default() };
    assert_eq!(counters.totals(id), totals);
}

/// Allocates the counters of a flow and of `N` outgoing interfaces.
fn allocated<const N: usize>(counters: &Counters) -> (FlowCounterId, [OifCounterId; N]) {
    let flow = counters.alloc().unwrap();
    (flow, std::array::from_fn(|_| counters.alloc_oif(flow).unwrap()))
}

#[test]
fn further_lines_are_allocated_as_they_are_needed() {
    let counters = Counters::new(2);
    let (flow, outgoing) = allocated::<12>(&counters);
    let lines = Vec::from_iter(outgoing.map(|id| id.line()));
    assert_eq!(lines[..4], [flow.line; 4]);
    assert!(lines[4] != flow.line && lines[4..11].iter().all(|line| *line == lines[4]));
    assert!(lines[11] != lines[4] && lines[11] != flow.line);
    assert!(!counters.free(FlowCounterId { line: lines[4] }), "it is no first line");
    assert_eq!(counters.alloc_oif(FlowCounterId { line: lines[4] }).unwrap(), OifCounterId::NONE);
    let (other, _) = allocated::<5>(&counters);
    assert_eq!(counters.state.control.lock().lines.len(), 5);
    assert!(counters.free(flow) && counters.free(other));
    allocated::<12>(&counters);
    allocated::<5>(&counters);
    assert_eq!(counters.state.control.lock().lines.len(), 5, "all lines were freed");
}

/// A place is allocated once in the life of its flow's counter, and freed with it.
#[test]
fn oif_counters_live_as_long_as_their_flow() {
    let counters = Counters::new(1);
    let (mut early, mut late) = (counters.worker(), counters.worker());
    let count = |worker: &mut WorkerCounters, id, n| {
        worker.add_oif(id, OifCounter::Packets, n);
        worker.add_oif(id, OifCounter::Discards, n);
    };
    let counted = |id| {
        let totals = counters.oif_totals(id);
        (totals.packets, totals.discards)
    };
    let (flow, old) = allocated::<5>(&counters);
    for id in old {
        count(&mut early, id, 5);
        count(&mut late, id, 5);
        assert!(counters.free_oif(id) && !counters.free_oif(id));
    }
    let other = counters.alloc_oif(flow).unwrap();
    assert!(!old.contains(&other), "it would continue the count of a freed one");
    assert!(counters.free(flow));
    assert!(!counters.free_oif(other), "freed with its flow");
    assert_eq!(counters.alloc_oif(flow).unwrap(), OifCounterId::NONE);
    let (_, new) = allocated::<5>(&counters);
    for (old, new) in old.into_iter().zip(new) {
        assert_eq!(counted(new), (0, 0));
        count(&mut late, old, 1);
        count(&mut early, new, 7);
        count(&mut early, old, 1);
        assert_eq!(counted(new), (7, 7));
    }
    assert_eq!(counted(old[4]).0, 6, "only `late` still has counts of the freed one");
}

/// Makes an entry with these counters for its outgoing interfaces.
fn entry(flow: FlowCounterId, outgoing: &[OifCounterId]) -> Entry {
    let stamp = Stamp::one(ResourceId(0), OwnerWord(0));
    let incoming = Incoming::new(VifIndex(0), stamp);
    let outgoing = (1..).zip(outgoing);
    let outgoing = outgoing.map(|(n, counter)| Outgoing::new(VifIndex(n), stamp, *counter));
    let outgoing = Vec::from_iter(outgoing);
    let key = Flow::new([192, 0, 2, 7].into(), [232, 1, 2, 3].into()).unwrap();
    let new = NewEntry::new(key, flow, Some(incoming), &outgoing);
    Entry::try_new(&new, &mut PathListTable::new(Arc::default())).unwrap()
}

/// Counts as a packet path does, which looks the first line up once.
#[test]
fn a_packet_counts_only_under_allocated_counters() {
    let counters = Counters::new(1);
    let mut worker = counters.worker();
    let packet = |worker: &mut WorkerCounters, flow, outgoing: &[OifCounterId]| {
        let entry = |some: &[OifCounterId]| entry(flow, some);
        let counts = worker.packet(flow);
        let whole = entry(outgoing);
        assert!(counts.near(&whole).is_none());
        counts.add_copies(&whole, 0, !0);
        counts.add_copies(&whole, 8, 0b1001);
        // No copy is made to the path of the last run.
        counts.add_copies(&whole, 8, 0b0001);
        counts.add_copies(&entry(&[outgoing[0], OifCounterId::NONE, outgoing[11], outgoing[0]]), 0, 0b1111);
        counts.add_copies(&entry(&[OifCounterId::NONE, outgoing[1]]), 0, 0b11);
        assert_eq!(counts.near(&entry(&outgoing[..4])).unwrap().add_copies(0b1010), 2);
        counts.add_discards(&whole, 1, 0b110);
        counts.forwarded(100, 16);
    };
    let (old, outgoing) = allocated::<12>(&counters);
    packet(&mut worker, old, &outgoing);
    let copied = |ids: &[OifCounterId]| Vec::from_iter(ids.iter().map(|id| counters.oif_totals(*id).packets));
    let made = [3, 3, 1, 2, 1, 1, 1, 1, 3, 1, 1, 3];
    assert_eq!(copied(&outgoing), made);
    let discards = outgoing.map(|id| counters.oif_totals(id).discards);
    assert_eq!(discards, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let totals = FlowTotals { packets: 1, octets: 100, copies: 16, ..FlowTotals::default() };
    assert_eq!(counters.totals(old), totals);
    assert!(counters.free(old));
    let (new, again) = allocated::<12>(&counters);
    packet(&mut worker, new, &again);
    packet(&mut worker, old, &outgoing);
    assert_eq!((counters.totals(new), copied(&again)), (totals, made.into()));
}

#[test]
fn none_and_foreign_oif_counters_count_nothing() {
    let counters = Counters::new(1);
    let mut worker = counters.worker();
    counters.alloc().unwrap();
    let foreign = LineId { index: 9, generation: 1 }.at(3);
    for id in [OifCounterId::NONE, foreign] {
        worker.add_oif(id, OifCounter::Packets, 1);
        worker.add_oif(id, OifCounter::Discards, 1);
        assert_eq!(counters.oif_totals(id), OifTotals::default());
        assert!(!counters.free_oif(id));
    }
}

#[test]
fn totals_include_all_workers_and_outlive_them() {
    let counters = Counters::new(100);
    let ids: Vec<_> = (0..100).map(|_| counters.alloc().unwrap()).collect();
    for round in 1..=3 {
        let mut workers = [counters.worker(), counters.worker()];
        for (worker, n) in workers.iter_mut().zip([1, 10]) {
            ids.iter().for_each(|id| worker.add(*id, FlowCounter::Packets, n));
        }
        ids.iter().for_each(|id| assert_eq!(counters.totals(*id), packets(11 * round)));
    }
    assert_eq!(counters.state.shards.iter().count(), 2, "a new worker adopts the shard of a dropped one");
}

#[test]
fn a_reallocated_counter_starts_at_zero_and_stays_apart() {
    let counters = Counters::new(1);
    let (mut early, mut late) = (counters.worker(), counters.worker());
    let old = counters.alloc().unwrap();
    early.add(old, FlowCounter::Packets, 5);
    late.add(old, FlowCounter::Packets, 5);
    assert!(counters.free(old));
    let new = counters.alloc().unwrap();
    assert_ne!(old, new);
    assert_eq!(counters.totals(new), packets(0));
    late.add(old, FlowCounter::Packets, 1);
    early.add(new, FlowCounter::Packets, 7);
    early.add(old, FlowCounter::Packets, 1);
    assert_eq!(counters.totals(new), packets(7));
    assert_eq!(counters.totals(old), packets(6), "only `late` still has counts of the freed one");
}

#[test]
fn counters_run_out_and_are_freed_once() {
    let counters = Counters::new(2);
    let (a, b) = (counters.alloc().unwrap(), counters.alloc().unwrap());
    assert_eq!(counters.alloc(), Err(PublishError::Full(2)));
    assert!(counters.free(a));
    assert!(!counters.free(a), "freed already");
    assert!(!counters.free(FlowCounterId { line: LineId { index: 77, generation: 1 } }), "of another table");
    let c = counters.alloc().unwrap();
    assert_eq!(counters.alloc(), Err(PublishError::Full(2)));
    assert!(!counters.free(a), "its line belongs to another flow now");
    assert!(counters.free(b) && counters.free(c));
}

#[test]
fn a_line_with_exhausted_generations_is_not_reused() {
    let counters = Counters::new(1);
    let first = counters.alloc().unwrap();
    counters.free(first);
    counters.state.control.lock().lines.set_generation(0, u32::MAX - 1);
    let last = counters.alloc().unwrap();
    assert_eq!(last.line, LineId { index: 0, generation: u32::MAX });
    assert!(counters.free(last));
    assert_eq!(counters.alloc().unwrap().line, LineId { index: 1, generation: 1 });
}

#[test]
fn a_counter_of_another_table_counts_nothing() {
    let counters = Counters::new(1);
    let id = counters.alloc().unwrap();
    counters.worker().add(
        FlowCounterId { line: LineId { index: u32::MAX, generation: 1 } },
        FlowCounter::Packets,
        1,
    );
    assert_eq!(counters.totals(id), packets(0));
    assert_eq!(
        counters.totals(FlowCounterId { line: LineId { index: u32::MAX, generation: 1 } }),
        packets(0)
    );
}

/// A sum that mixes two generations is not a value that either counter ever had.
#[test]
fn totals_never_mix_two_generations() {
    let counters = Counters::new(1);
    let present = parking_lot::Mutex::new(counters.alloc().unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut worker = counters.worker();
            while !done.load(Ordering::Relaxed) {
                let id = *present.lock();
                // The amount identifies the generation.
                for _ in 0..3 {
                    worker.add(id, FlowCounter::Packets, u64::from(id.line.generation));
                    worker.add(id, FlowCounter::Octets, u64::from(id.line.generation));
                }
                let mut present = present.lock();
                counters.free(*present);
                *present = counters.alloc().unwrap();
            }
        });
        let mut seen = 0;
        while seen < 20_000 {
            let id = *present.lock();
            let totals = counters.totals(id);
            let generation = u64::from(id.line.generation);
            let counted = [totals.packets, totals.octets];
            let right = |n: &u64| n.is_multiple_of(generation) && *n <= 3 * generation;
            // Stops the other thread before the panic, because the scope waits for it.
            if !counted.iter().all(right) {
                done.store(true, Ordering::Relaxed);
                panic!("{totals:?} of {id:?}");
            }
            seen += u32::from(totals.packets > 0);
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// A later generation than the line has, which this table has not allocated.
#[test]
fn an_identifier_of_another_table_sets_no_count_back() {
    let (counters, other) = (Counters::new(1), Counters::new(1));
    let mine = counters.alloc().unwrap();
    let oif = counters.alloc_oif(mine).unwrap();
    let mut foreign = other.alloc().unwrap();
    for _ in 0..4 {
        other.free(foreign);
        foreign = other.alloc().unwrap();
    }
    let foreign_oif = other.alloc_oif(foreign).unwrap();
    let mut worker = counters.worker();
    let all = [FlowCounter::Packets, FlowCounter::Discards];
    for counter in all {
        worker.add(mine, counter, 100);
        worker.add(foreign, counter, 7);
        worker.add(mine, counter, 5);
    }
    worker.forwarded(foreign, 1000, 3);
    for (id, n) in [(oif, 10), (foreign_oif, 7), (oif, 1)] {
        worker.add_oif(id, OifCounter::Packets, n);
        worker.add_oif(id, OifCounter::Discards, n);
    }
    let totals = counters.totals(mine);
    assert_eq!((totals.packets, totals.discards, totals.octets), (105, 105, 0));
    let totals = counters.oif_totals(oif);
    assert_eq!((totals.packets, totals.discards), (11, 11));
    let mut next = mine;
    for _ in 0..4 {
        counters.free(next);
        next = counters.alloc().unwrap();
    }
    assert_eq!(next, foreign, "unit tests begin with the same generation");
    assert_eq!(counters.totals(next).packets, 0);
}
