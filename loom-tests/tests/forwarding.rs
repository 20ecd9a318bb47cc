//! The forwarding table: what a look-up sees of a writer that publishes, replaces, withdraws, reuses and grows.
//!
//! The lanes are modelled without the epoch, their entries kept to the end; reuse in models of its own.

#![cfg(loom)]

use loom::sync::mpsc;
use loom::thread;
use loom_tests::{Watched, explore};
use mgm::forwarding::parts::Array;
use mgm::forwarding::{
    Counter, Flow, FlowNumber, ForwardingTable, NewEntry, OutgoingCounter, OutgoingNumber, PublishError,
};
use mgm::handle::HandleTable;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const HASH: u64 = 7 << 32;

/// Lanes, and what they lead to: cells that are written before they are published, if the writer does it right.
struct Small {
    lanes: Array,
    entries: [loom::cell::UnsafeCell<u64>; 4],
}

// SAFETY: loom's cells report every race.
unsafe impl Sync for Small {}

impl Small {
    fn new(put: &[u32]) -> Arc<Small> {
        let small = Small { lanes: Array::default(), entries: Default::default() };
        for entry in put {
            small.write(*entry);
            small.lanes.put(HASH, *entry);
        }
        Arc::new(small)
    }

    fn write(&self, entry: u32) {
        // SAFETY: not visible to others before it is put in a lane, or loom reports it.
        self.entries[entry as usize].with_mut(|value| unsafe { *value = 10 + u64::from(entry) });
    }

    /// The first entry that is among `wanted`.
    fn find(&self, wanted: &[u32]) -> Option<u32> {
        self.lanes.find(HASH, |entry| {
            // SAFETY: written before it was put in the lane, or loom reports it.
            let value = self.entries[entry as usize].with(|value| unsafe { *value });
            assert_eq!(value, 10 + u64::from(entry));
            wanted.contains(&entry).then_some(entry)
        })
    }
}

/// Who finds a lane finds the entry whole.
#[test]
fn lane_publication() {
    explore("lane_publication", 20, || {
        let small = Small::new(&[]);
        let theirs = small.clone();
        let reader = thread::spawn(move || {
            // Without the earlier one the later one is not there yet.
            let (late, early) = (theirs.find(&[1]), theirs.find(&[0]));
            assert!(late.is_none() || early.is_some());
        });
        small.write(0);
        small.lanes.put(HASH, 0);
        small.write(1);
        small.lanes.put(HASH, 1);
        reader.join().unwrap();
    });
}

/// A flow that is replaced is found: as it was or as it is.
#[test]
fn lane_replacement() {
    explore("lane_replacement", 20, || {
        let small = Small::new(&[3, 0]);
        let theirs = small.clone();
        let reader = thread::spawn(move || {
            let (first, second) = (theirs.find(&[0, 1, 2]), theirs.find(&[0, 1, 2]));
            assert!(first.is_some() && second >= first, "{first:?}, then {second:?}");
        });
        small.write(1);
        small.lanes.replace(HASH, 0, 1);
        small.write(2);
        small.lanes.replace(HASH, 1, 2);
        reader.join().unwrap();
    });
}

/// A flow beyond a full bucket is found while others come and go in the bucket it passed.
#[test]
fn lane_overflow() {
    explore("lane_overflow", 20, || {
        let small = Small::new(&[]);
        small.lanes.grow();
        for entry in 0..3 {
            small.write(entry);
            small.lanes.put(HASH, entry);
        }
        let theirs = small.clone();
        let reader = thread::spawn(move || {
            assert_eq!(theirs.find(&[2]), Some(2));
        });
        small.lanes.remove(HASH, 1);
        small.write(3);
        small.lanes.put(HASH, 3);
        small.lanes.remove(HASH, 0);
        reader.join().unwrap();
    });
}

/// A flow that stands while the array grows is found, also when it is replaced in the new one at once.
#[test]
fn lane_growth() {
    explore("lane_growth", 20, || {
        let small = Small::new(&[0]);
        let theirs = small.clone();
        let reader = thread::spawn(move || {
            let (first, second) = (theirs.find(&[0, 1]), theirs.find(&[0, 1]));
            assert!(first.is_some() && second >= first, "{first:?}, then {second:?}");
        });
        small.lanes.grow();
        small.write(1);
        small.lanes.replace(HASH, 0, 1);
        reader.join().unwrap();
    });
}

fn flow(n: u8) -> Flow {
    Flow::new([192, 0, 2, n].into(), [232, 0, 0, 1].into()).unwrap()
}

fn table(capacity: u32) -> (Arc<ForwardingTable>, FlowNumber) {
    let owners = HandleTable::<Watched, _>::with_claims(1).unwrap().owners().clone();
    let table = ForwardingTable::new(capacity, owners);
    let number = table.open_number().unwrap();
    (Arc::new(table), number)
}

/// The slot of a withdrawn entry is not written again before the reader has let go of it.
///
/// `run --long` takes it to 4 preemptions: some 300 000 executions.
#[test]
fn entry_reuse() {
    static REUSED: AtomicUsize = AtomicUsize::new(0);
    explore("entry_reuse", 3, || {
        let (table, number) = table(1);
        table.publish(NewEntry::new(flow(1), number, None, &[])).unwrap();
        let theirs = table.clone();
        let (ready, wait_until_ready) = mpsc::channel();
        let (go, wait_for_go) = mpsc::channel();
        let writer = thread::spawn(move || {
            // A thread's first pin does a round of the epoch's chores: before the race begins.
            assert_eq!(
                theirs.publish(NewEntry::new(flow(1), number, None, &[])),
                Err(PublishError::Exists(flow(1)))
            );
            ready.send(()).unwrap();
            wait_for_go.recv().unwrap();
            assert!(theirs.withdraw(&flow(1)));
            // Full while the reader holds the only slot back.
            if theirs.publish(NewEntry::new(flow(2), number, None, &[])).is_ok() {
                REUSED.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait_until_ready.recv().unwrap();
        let mut reader = table.reader();
        go.send(()).unwrap();
        if let Some(entry) = reader.lookup(&flow(1)) {
            assert_eq!(entry.flow(), flow(1));
        }
        reader.park();
        writer.join().unwrap();
    });
    assert!(REUSED.load(Ordering::Relaxed) > 0, "the slot was never reused: nothing was tried");
}

/// What is summed up under a number was counted under it, whoever counts on in its place.
#[test]
fn counter_restart() {
    explore("counter_restart", 5, || {
        let (table, old) = table(1);
        let mut worker = table.counters().worker();
        worker.add(old, Counter::Packets, 5);
        assert!(table.close_number(old));
        let new = table.open_number().unwrap();
        let counter = thread::spawn(move || {
            worker.add(new, Counter::Packets, 7);
            worker.add(old, Counter::Packets, 1);
            worker
        });
        assert!([0, 5].contains(&table.counters().totals(old).packets));
        assert!([0, 7].contains(&table.counters().totals(new).packets));
        let _worker = counter.join().unwrap();
        assert_eq!(table.counters().totals(new).packets, 7);
        assert_eq!(table.counters().totals(old).packets, 0);
    });
}

fn copied(table: &ForwardingTable, number: OutgoingNumber) -> u64 {
    table.counters().outgoing_totals(number).packets
}

/// The copies to an outgoing interface are what they were at some instant, also while their word goes round: after two
/// packets, in models.
#[test]
fn outgoing_laps() {
    explore("outgoing_laps", 5, || {
        let (table, _) = table(1);
        let number = table.open_outgoing_number().unwrap();
        let mut worker = table.counters().worker();
        worker.add_outgoing(number, OutgoingCounter::Packets, 1);
        let counter = thread::spawn(move || {
            for _ in 0..2 {
                worker.add_outgoing(number, OutgoingCounter::Packets, 1);
            }
            worker
        });
        let (first, second) = (copied(&table, number), copied(&table, number));
        assert!((1..=3).contains(&first) && (first..=3).contains(&second), "{first}, then {second}");
        let _worker = counter.join().unwrap();
        assert_eq!(copied(&table, number), 3);
    });
}

/// What is summed up of an outgoing interface was counted there, whatever its number was used for before.
#[test]
fn outgoing_restart() {
    explore("outgoing_restart", 5, || {
        let (table, _) = table(1);
        let old = table.open_outgoing_number().unwrap();
        let mut worker = table.counters().worker();
        for _ in 0..3 {
            worker.add_outgoing(old, OutgoingCounter::Packets, 1);
        }
        worker.add_outgoing(old, OutgoingCounter::Discards, 5);
        assert!(table.close_outgoing_number(old));
        let new = table.open_outgoing_number().unwrap();
        let counter = thread::spawn(move || {
            worker.add_outgoing(new, OutgoingCounter::Packets, 1);
            worker.add_outgoing(new, OutgoingCounter::Discards, 7);
            worker.add_outgoing(old, OutgoingCounter::Packets, 1);
            worker
        });
        assert!([0, 5].contains(&table.counters().outgoing_totals(old).discards));
        assert!([0, 7].contains(&table.counters().outgoing_totals(new).discards));
        assert!([0, 1].contains(&copied(&table, new)));
        let _worker = counter.join().unwrap();
        let totals = table.counters().outgoing_totals(new);
        assert_eq!((totals.packets, totals.discards), (1, 7));
        assert_eq!(copied(&table, old), 0);
    });
}
