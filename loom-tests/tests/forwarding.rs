//! The forwarding table: what a look-up sees of a writer that publishes, replaces, withdraws, reuses and grows.
//!
//! The lanes are modelled without the epoch, their entries kept to the end; reuse in models of its own.

#![cfg(loom)]

use loom::sync::mpsc;
use loom::thread;
use loom_tests::{Watched, explore};
use mgm::forwarding::parts::Array;
use mgm::forwarding::{
    Counter, Flow, FlowCounterId, ForwardingTable, NewEntry, OutgoingCounter, OifCounterId, PublishError,
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

fn table(capacity: u32) -> (Arc<ForwardingTable>, FlowCounterId) {
    let owners = HandleTable::<Watched, _>::with_claims(1).unwrap().owners().clone();
    let table = ForwardingTable::new(capacity, owners);
    let number = table.alloc_counter().unwrap();
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
        assert!(table.free_counter(old));
        let new = table.alloc_counter().unwrap();
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

/// A flow with an outgoing interface in its first line, where models have one place, and one in a further line.
fn open(table: &ForwardingTable) -> (FlowCounterId, [OifCounterId; 2]) {
    let flow = table.alloc_counter().unwrap();
    (flow, [0; 2].map(|_| table.alloc_oif_counter(flow).unwrap()))
}

/// What is summed up of outgoing interfaces was copied there, whatever their numbers were used for before. What else is counted of
/// them is kept in the same way, in more places than a model can have.
#[test]
fn outgoing_restart() {
    explore("outgoing_restart", 5, || {
        let (table, _) = table(2);
        let (flow, old) = open(&table);
        let mut worker = table.counters().worker();
        old.iter().for_each(|number| worker.add_outgoing(*number, OutgoingCounter::Packets, 3));
        assert!(table.free_counter(flow));
        // Its first line is the old one's further line.
        let (flow, new) = open(&table);
        let counter = thread::spawn(move || {
            worker.add(flow, Counter::Packets, 7);
            new.iter().for_each(|number| worker.add_outgoing(*number, OutgoingCounter::Packets, 1));
            worker.add_outgoing(old[1], OutgoingCounter::Packets, 1);
            worker
        });
        let copied = |number| table.counters().outgoing_totals(number).packets;
        assert!([0, 3].contains(&copied(old[1])));
        assert!([0, 1].contains(&copied(new[0])));
        let _worker = counter.join().unwrap();
        assert_eq!((new.map(copied), old.map(copied)), ([1; 2], [0; 2]));
    });
}
