//! The forwarding table: look-ups beside a writer that publishes, replaces, withdraws, reuses and grows.
//!
//! The buckets are modelled without the epoch, with entries kept to the end; reuse has models of its own.

#![cfg(loom)]

use loom::sync::mpsc;
use loom::thread;
use loom_tests::{Watched, explore};
use mgm::forwarding::parts::Array;
use mgm::forwarding::{
    Flow, FlowCounter, FlowCounterId, ForwardingTable, NewEntry, OifCounter, OifCounterId, PublishError,
};
use mgm::handle::OwnershipTable;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const HASH: u64 = 7 << 32;

/// Buckets and their entries: cells that a correct writer writes before it publishes them.
struct Small {
    buckets: Array,
    entries: [loom::cell::UnsafeCell<u64>; 4],
}

// SAFETY: loom's cells report every race.
unsafe impl Sync for Small {}

impl Small {
    fn new(put: &[u32]) -> Arc<Small> {
        let small = Small { buckets: Array::default(), entries: Default::default() };
        for entry in put {
            small.write(*entry);
            small.buckets.insert(HASH, *entry);
        }
        Arc::new(small)
    }

    fn write(&self, entry: u32) {
        // SAFETY: no other thread sees the cell before it is in a bucket, or loom reports the access.
        self.entries[entry as usize].with_mut(|value| unsafe { *value = 10 + u64::from(entry) });
    }

    /// Returns the first entry that is in `wanted`.
    fn find(&self, wanted: &[u32]) -> Option<u32> {
        self.buckets.find(HASH, |entry| {
            // SAFETY: the cell was written before it was put in the bucket, or loom reports the access.
            let value = self.entries[entry as usize].with(|value| unsafe { *value });
            assert_eq!(value, 10 + u64::from(entry));
            wanted.contains(&entry).then_some(entry)
        })
    }
}

/// A reader that finds a slot of a bucket filled finds the whole entry.
#[test]
fn bucket_publication() {
    explore("bucket_publication", 20, || {
        let small = Small::new(&[]);
        let shared = small.clone();
        let reader = thread::spawn(move || {
            // The later entry is not visible without the earlier one.
            let (late, early) = (shared.find(&[1]), shared.find(&[0]));
            assert!(late.is_none() || early.is_some());
        });
        small.write(0);
        small.buckets.insert(HASH, 0);
        small.write(1);
        small.buckets.insert(HASH, 1);
        reader.join().unwrap();
    });
}

/// A look-up finds a flow that is being replaced: the old entry or the new one.
#[test]
fn bucket_replacement() {
    explore("bucket_replacement", 20, || {
        let small = Small::new(&[3, 0]);
        let shared = small.clone();
        let reader = thread::spawn(move || {
            let (first, second) = (shared.find(&[0, 1, 2]), shared.find(&[0, 1, 2]));
            assert!(first.is_some() && second >= first, "{first:?}, then {second:?}");
        });
        small.write(1);
        small.buckets.replace(HASH, 0, 1);
        small.write(2);
        small.buckets.replace(HASH, 1, 2);
        reader.join().unwrap();
    });
}

/// A look-up finds a flow beyond a full bucket while others are inserted into that bucket and removed.
#[test]
fn bucket_overflow() {
    explore("bucket_overflow", 20, || {
        let small = Small::new(&[]);
        small.buckets.grow();
        for entry in 0..3 {
            small.write(entry);
            small.buckets.insert(HASH, entry);
        }
        let shared = small.clone();
        let reader = thread::spawn(move || {
            assert_eq!(shared.find(&[2]), Some(2));
        });
        small.buckets.remove(HASH, 1);
        small.write(3);
        small.buckets.insert(HASH, 3);
        small.buckets.remove(HASH, 0);
        reader.join().unwrap();
    });
}

/// A look-up finds a flow while the array grows, also when the flow is replaced in the new array at once.
#[test]
fn bucket_growth() {
    explore("bucket_growth", 20, || {
        let small = Small::new(&[0]);
        let shared = small.clone();
        let reader = thread::spawn(move || {
            let (first, second) = (shared.find(&[0, 1]), shared.find(&[0, 1]));
            assert!(first.is_some() && second >= first, "{first:?}, then {second:?}");
        });
        small.buckets.grow();
        small.write(1);
        small.buckets.replace(HASH, 0, 1);
        reader.join().unwrap();
    });
}

fn flow(n: u8) -> Flow {
    Flow::new([192, 0, 2, n].into(), [232, 0, 0, 1].into()).unwrap()
}

fn table(capacity: u32) -> (Arc<ForwardingTable>, FlowCounterId) {
    let owners = OwnershipTable::<Watched>::with_limit(1).unwrap().owners().clone();
    let table = ForwardingTable::new(capacity, owners);
    let number = table.alloc_counter().unwrap();
    (Arc::new(table), number)
}

/// The slot of a withdrawn entry is not rewritten before the reader has released the entry.
///
/// `run --long` explores 4 preemptions: some 300 000 executions.
#[test]
fn entry_reuse() {
    static REUSED: AtomicUsize = AtomicUsize::new(0);
    explore("entry_reuse", 3, || {
        let (table, number) = table(1);
        table.publish(NewEntry::new(flow(1), number, None, &[])).unwrap();
        let shared = table.clone();
        let (ready, wait_until_ready) = mpsc::channel();
        let (go, wait_for_go) = mpsc::channel();
        let writer = thread::spawn(move || {
            // A thread's first pin advances the epoch; it is made before the race begins.
            assert_eq!(
                shared.publish(NewEntry::new(flow(1), number, None, &[])),
                Err(PublishError::Exists(flow(1)))
            );
            ready.send(()).unwrap();
            wait_for_go.recv().unwrap();
            assert!(shared.withdraw(&flow(1)));
            // Full while the reader's pin keeps the only slot in limbo.
            if shared.publish(NewEntry::new(flow(2), number, None, &[])).is_ok() {
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
    assert!(REUSED.load(Ordering::Relaxed) > 0, "the slot was never reused: the model tried nothing");
}

/// The totals of a counter contain only packets counted for it, while a worker still counts for the previous use of its id.
#[test]
fn counter_restart() {
    explore("counter_restart", 5, || {
        let (table, old) = table(1);
        let mut worker = table.counters().worker();
        worker.add(old, FlowCounter::Packets, 5);
        assert!(table.free_counter(old));
        let new = table.alloc_counter().unwrap();
        let counter = thread::spawn(move || {
            worker.add(new, FlowCounter::Packets, 7);
            worker.add(old, FlowCounter::Packets, 1);
            worker
        });
        assert!([0, 5].contains(&table.counters().totals(old).packets));
        assert!([0, 7].contains(&table.counters().totals(new).packets));
        let _worker = counter.join().unwrap();
        assert_eq!(table.counters().totals(new).packets, 7);
        assert_eq!(table.counters().totals(old).packets, 0);
    });
}

/// Allocates counters of a flow with one outgoing interface in its first line, which has room for one in models, and one in a
/// further line.
fn allocate(table: &ForwardingTable) -> (FlowCounterId, [OifCounterId; 2]) {
    let flow = table.alloc_counter().unwrap();
    (flow, [0; 2].map(|_| table.alloc_oif_counter(flow).unwrap()))
}

/// The totals of outgoing interfaces contain only their own copies, whatever their ids were used for before. Their other counts
/// are kept in the same way, in more lines than a model can have.
#[test]
fn oif_counter_restart() {
    explore("oif_counter_restart", 5, || {
        let (table, _) = table(2);
        let (flow, old) = allocate(&table);
        let mut worker = table.counters().worker();
        old.iter().for_each(|number| worker.add_oif(*number, OifCounter::Packets, 3));
        assert!(table.free_counter(flow));
        // The first line of the new flow is the further line of the old one.
        let (flow, new) = allocate(&table);
        let counter = thread::spawn(move || {
            worker.add(flow, FlowCounter::Packets, 7);
            new.iter().for_each(|number| worker.add_oif(*number, OifCounter::Packets, 1));
            worker.add_oif(old[1], OifCounter::Packets, 1);
            worker
        });
        let copied = |number| table.counters().oif_totals(number).packets;
        assert!([0, 3].contains(&copied(old[1])));
        assert!([0, 1].contains(&copied(new[0])));
        let _worker = counter.join().unwrap();
        assert_eq!((new.map(copied), old.map(copied)), ([1; 2], [0; 2]));
    });
}
