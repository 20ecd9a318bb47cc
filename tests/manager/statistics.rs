//! The counters of flows and of their outgoing interfaces, and how long they are kept.

use crate::support::router::*;
use mgm::forwarding::{FlowCounter, FlowTotals, OifCounter, Verdict, WorkerCounters};
use mgm::manager::{GroupManager, ManagerConfig, OutgoingRecord};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";

/// Forwards a packet as a plane does. Returns whether it had an entry.
fn forward(manager: &GroupManager, counters: &mut WorkerCounters, what: &str, octets: u64) -> bool {
    let forwarding = manager.forwarding();
    let mut reader = forwarding.reader();
    let Some(entry) = reader.lookup(&flow(what)) else { return false };
    let arrival = entry.incoming().unwrap().interface;
    if entry.check(arrival) == Verdict::Stale {
        return false;
    }
    let mut copies = 0;
    for outgoing in entry.live_outgoing() {
        counters.add_oif(outgoing.counter, OifCounter::Packets, 1);
        copies += 1;
    }
    if copies == 0 {
        counters.add(entry.counter(), FlowCounter::NoReceivers, 1);
    } else {
        counters.add(entry.counter(), FlowCounter::Packets, 1);
        counters.add(entry.counter(), FlowCounter::Octets, octets);
        counters.add(entry.counter(), FlowCounter::Copies, copies);
    }
    true
}

/// Returns the packets copied to each interface, and those of the flow.
fn counted(manager: &GroupManager) -> (Vec<(u32, u64)>, u64) {
    let record = manager.entry(flow(FLOW)).unwrap();
    let copies = record.outgoing.iter().map(|outgoing| (outgoing.interface.index(), outgoing.packets));
    (copies.collect(), record.totals.packets)
}

#[test]
fn each_outgoing_interface_keeps_its_counts_as_long_as_the_flow() {
    let router = Router::new();
    let manager = &router.manager;
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    let mut worker = manager.forwarding().counters().worker();
    let mut pass = |n: u32| (0..n).for_each(|_| assert!(forward(manager, &mut worker, FLOW, 100)));
    pass(3);
    assert_eq!(counted(manager), (vec![(2, 3)], 3));
    router.join(p, 3, "* 239.1.1.1");
    pass(4);
    assert_eq!(counted(manager), (vec![(2, 7), (3, 4)], 7));
    router.leave(p, 2, "* 239.1.1.1");
    pass(5);
    assert_eq!(counted(manager), (vec![(3, 9)], 12));
    router.join(p, 2, "* *");
    pass(1);
    assert_eq!(counted(manager), (vec![(2, 8), (3, 10)], 13), "it stopped and started being outgoing");
    manager.release(p, v4(3)).unwrap();
    manager.take(p, v4(3)).unwrap();
    router.join(p, 3, FLOW);
    manager.flush_entries();
    router.new_flow(FLOW).unwrap();
    pass(1);
    assert_eq!(
        counted(manager),
        (vec![(2, 9), (3, 11)], 14),
        "the interface was released and taken, and the entry created again"
    );
    manager.advance(Duration::from_secs(901));
    assert_eq!(manager.entry(flow(FLOW)), None);
    router.new_flow(FLOW).unwrap();
    let record = manager.entry(flow(FLOW)).unwrap();
    let mut expected = FlowTotals::default();
    (expected.packets, expected.octets, expected.copies) = (14, 1400, 20);
    assert_eq!(record.totals, expected);
    let copies: u64 = record.outgoing.iter().map(|outgoing| outgoing.packets).sum();
    assert_eq!(copies, record.totals.copies);
}

#[test]
fn every_counter_is_shown_in_its_field() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* 239.1.1.1");
    router.join(p, 3, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    let forwarding = router.manager.forwarding();
    let mut worker = forwarding.counters().worker();
    let mut reader = forwarding.reader();
    let entry = reader.lookup(&flow(FLOW)).unwrap();
    let all = [
        FlowCounter::WrongInterface,
        FlowCounter::NoReceivers,
        FlowCounter::Discards,
        FlowCounter::HeaderErrors,
    ];
    all.into_iter().zip(1..).for_each(|(counter, n)| worker.add(entry.counter(), counter, n));
    let all = [OifCounter::TtlTooLow, OifCounter::FragmentationNeeded, OifCounter::Discards];
    let second = entry.outgoing().nth(1).unwrap().counter;
    all.into_iter().zip(5..).for_each(|(counter, n)| worker.add_oif(second, counter, n));
    let record = router.manager.entry(flow(FLOW)).unwrap();
    let mut totals = FlowTotals::default();
    (totals.wrong_interface, totals.no_receivers, totals.discards, totals.header_errors) = (1, 2, 3, 4);
    assert_eq!(record.totals, totals);
    let counts =
        |o: &OutgoingRecord| (o.interface, o.ttl_too_low, o.fragmentation_needed, o.packets, o.discards);
    let found: Vec<_> = record.outgoing.iter().map(counts).collect();
    assert_eq!(found, [(v4(2), 0, 0, 0, 0), (v4(3), 5, 6, 0, 7)]);
}

#[test]
fn a_forgotten_flow_starts_from_zero_on_every_interface() {
    let router = Router::with(ManagerConfig::default().with_remembered_flows(0));
    let manager = &router.manager;
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    let mut worker = manager.forwarding().counters().worker();
    for round in 0..100 {
        // The counters of one flow are reused for the other.
        let what = if round % 2 == 0 { FLOW } else { "192.0.2.8 239.1.1.1" };
        router.new_flow(what).unwrap();
        let record = manager.entry(flow(what)).unwrap();
        assert_eq!((record.totals, record.outgoing[0].packets), (FlowTotals::default(), 0));
        for _ in 0..=round {
            assert!(forward(manager, &mut worker, what, 1));
        }
        let record = manager.entry(flow(what)).unwrap();
        assert_eq!((record.totals.packets, record.outgoing[0].packets), (round + 1, round + 1));
        manager.flush_entries();
    }
}

#[test]
fn counts_are_exact_once_the_workers_stop() {
    const WORKERS: usize = 3;
    let router = Router::new();
    let manager = &router.manager;
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    let done = AtomicBool::new(false);
    let (mut copies, mut packets) = (0, 0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut worker = manager.forwarding().counters().worker();
                    let (mut copies, mut packets) = (0, 0);
                    let forwarding = manager.forwarding();
                    let mut reader = forwarding.reader();
                    while !done.load(Ordering::Relaxed) {
                        let Some(entry) = reader.lookup(&flow(FLOW)) else { continue };
                        for outgoing in entry.live_outgoing() {
                            worker.add_oif(outgoing.counter, OifCounter::Packets, 1);
                            copies += 1;
                        }
                        worker.add(entry.counter(), FlowCounter::Packets, 1);
                        packets += 1;
                    }
                    (copies, packets)
                })
            })
            .collect();
        let mut round = 0;
        // Runs until every worker has seen some changes.
        while round < 300 || counted(manager).1 < 10_000 {
            round += 1;
            router.join(p, 3, "* 239.1.1.1");
            if round % 7 == 0 {
                manager.flush_entries();
                router.new_flow(FLOW).unwrap();
            }
            let before = counted(manager);
            let after = counted(manager);
            assert!(before.1 <= after.1, "counts never decrease");
            router.leave(p, 3, "* 239.1.1.1");
        }
        done.store(true, Ordering::Relaxed);
        for worker in workers {
            let counted = worker.join().unwrap();
            copies += counted.0;
            packets += counted.1;
        }
    });
    router.join(p, 3, "* 239.1.1.1");
    let (interfaces, of_flow) = counted(manager);
    assert_eq!(of_flow, packets);
    assert_eq!(interfaces.iter().map(|(_, n)| n).sum::<u64>(), copies);
    assert!(interfaces[0].1 > 0);
}
