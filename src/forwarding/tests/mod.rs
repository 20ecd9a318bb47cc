//! The whole table: against a plain map, and with readers that chase flows which writers change under them.

use super::hash::FlowHash;
use super::*;
use crate::handle::{Claims, Handle, HandleTable, OwnerWord, ResourceId};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

mod chase;
mod flooding;
mod model;

/// Somebody who owns one thing, for stamps.
struct Owning {
    table: HandleTable<(), Claims>,
    client: Handle,
    thing: ResourceId,
    word: OwnerWord,
}

impl Owning {
    fn new() -> Owning {
        let table = HandleTable::with_claims(4).unwrap();
        let client = table.insert(()).unwrap();
        let thing = table.new_resource().unwrap();
        let word = table.claim(client, thing).unwrap();
        Owning { table, client, thing, word }
    }

    fn stamp(&self) -> Stamp {
        Stamp::one(self.thing, self.word)
    }

    fn forwarding(&self, capacity: u32, hash: FlowHash) -> ForwardingTable {
        ForwardingTable::with_hash(capacity, self.table.owners().clone(), hash)
    }

    /// An entry that says of itself whose it is and which version: a torn or foreign one is found out by `version`.
    fn entry(&self, number: FlowCounterId, n: u32, version: u32) -> Says {
        let stamp = self.stamp();
        let incoming = Incoming { interface: VifIndex(n), stamp };
        let outgoing = Outgoing::uncounted(VifIndex(version | 1 << 31), stamp);
        Says { flow: flow(n), number, incoming, outgoing: vec![outgoing; 1 + version as usize % 5] }
    }
}

/// What an entry is to say.
struct Says {
    flow: Flow,
    number: FlowCounterId,
    incoming: Incoming,
    outgoing: Vec<Outgoing>,
}

impl Says {
    fn to_be_made(&self) -> NewEntry<'_> {
        NewEntry::new(self.flow, self.number, Some(self.incoming), &self.outgoing)
    }
}

/// The ways of searching a bucket that this machine has.
fn searches() -> Vec<Search> {
    Search::ALL.into_iter().filter(|search| search.is_available()).collect()
}

/// Even numbers are IPv4 flows, odd ones IPv6.
fn flow(n: u32) -> Flow {
    let (source, group) = if n.is_multiple_of(2) {
        (format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255), "232.0.0.1".to_owned())
    } else {
        (format!("2001:db8::{:x}:{:x}", n >> 16, n & 0xFFFF), "ff3e::1".to_owned())
    };
    Flow::new(source.parse().unwrap(), group.parse().unwrap()).unwrap()
}

/// The version of the entry of flow `n`.
fn version(entry: &Entry, n: u32) -> u32 {
    assert_eq!(entry.flow(), flow(n));
    assert_eq!(entry.incoming().map(|i| i.interface), Some(VifIndex(n)));
    let version = entry.outgoing().next().unwrap().interface.0 & !(1 << 31);
    assert_eq!(entry.outgoing().len(), 1 + version as usize % 5);
    assert!(entry.outgoing().all(|o| o.interface.0 == version | 1 << 31));
    version
}

#[test]
fn each_error_changes_nothing() {
    let owning = Owning::new();
    let table = owning.forwarding(2, FlowHash::new());
    let number = table.alloc_counter().unwrap();
    assert_eq!(table.replace(owning.entry(number, 1, 0).to_be_made()), Err(PublishError::Missing(flow(1))));
    assert!(!table.withdraw(&flow(1)));
    table.publish(owning.entry(number, 1, 0).to_be_made()).unwrap();
    assert_eq!(table.publish(owning.entry(number, 1, 9).to_be_made()), Err(PublishError::Exists(flow(1))));
    table.publish(owning.entry(number, 2, 0).to_be_made()).unwrap();
    assert_eq!(table.publish(owning.entry(number, 3, 0).to_be_made()), Err(PublishError::Full(2)));
    let mut reader = table.reader();
    assert_eq!(version(reader.lookup(&flow(1)).unwrap(), 1), 0);
    assert_eq!(reader.lookup(&flow(3)), None);
    assert_eq!(table.len(), 2);
    // A full table still replaces and withdraws.
    table.replace(owning.entry(number, 1, 5).to_be_made()).unwrap();
    assert_eq!(version(reader.lookup(&flow(1)).unwrap(), 1), 5);
    assert!(table.withdraw(&flow(1)));
    assert_eq!(reader.lookup(&flow(1)), None);
    table.publish(owning.entry(number, 3, 0).to_be_made()).unwrap();
}

#[test]
fn a_watcher_is_told_of_each_change_and_of_nothing_else() {
    let owning = Owning::new();
    let table = owning.forwarding(2, FlowHash::new());
    let number = table.alloc_counter().unwrap();
    table.publish(owning.entry(number, 1, 0).to_be_made()).unwrap();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = told.clone();
    assert!(table.watch(move |flow| tell.lock().unwrap().push(flow)));
    assert!(!table.watch(|_| ()));
    table.publish(owning.entry(number, 2, 0).to_be_made()).unwrap();
    table.replace(owning.entry(number, 1, 1).to_be_made()).unwrap();
    assert!(table.withdraw(&flow(2)));
    assert!(
        table.publish(owning.entry(number, 1, 2).to_be_made()).is_err()
            && table.replace(owning.entry(number, 2, 2).to_be_made()).is_err()
    );
    assert!(!table.withdraw(&flow(2)));
    assert_eq!(*told.lock().unwrap(), [flow(2), flow(1), flow(2)]);
}

#[test]
fn a_table_without_capacity_is_only_full() {
    let owning = Owning::new();
    let table = owning.forwarding(0, FlowHash::new());
    assert_eq!(table.alloc_counter(), Err(PublishError::Full(0)));
    let number = Counters::new(1).open().unwrap();
    assert_eq!(table.publish(owning.entry(number, 1, 0).to_be_made()), Err(PublishError::Full(0)));
    assert!(table.is_empty());
}

#[test]
fn a_burst_answers_in_order_at_any_length() {
    let owning = Owning::new();
    let table = owning.forwarding(1000, FlowHash::new());
    let number = table.alloc_counter().unwrap();
    (0..200).step_by(3).for_each(|n| table.publish(owning.entry(number, n, n).to_be_made()).unwrap());
    let mut reader = table.reader();
    for length in [0, 1, 31, 32, 33, 64, 200] {
        let flows: Vec<_> = (0..length).map(flow).collect();
        let found = reader.lookup_burst(&flows);
        assert_eq!(found.len(), length as usize);
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), length as usize);
        for (n, entry) in (0..).zip(found) {
            assert_eq!(entry.map(|e| version(e, n)), (n % 3 == 0).then_some(n));
        }
    }
    reader.park();
    assert!(reader.lookup(&flow(3)).is_some());
}

#[test]
fn what_a_burst_found_stays_readable_whatever_writers_do() {
    let owning = Owning::new();
    let table = owning.forwarding(64, FlowHash::new());
    let number = table.alloc_counter().unwrap();
    (0..32).for_each(|n| table.publish(owning.entry(number, n, 1).to_be_made()).unwrap());
    let flows: Vec<_> = (0..32).map(flow).collect();
    let mut reader = table.reader();
    let found: Vec<_> = reader.lookup_burst(&flows).collect();
    for n in 0..32 {
        table.replace(owning.entry(number, n, 2).to_be_made()).unwrap();
        assert!(table.withdraw(&flow(n)));
    }
    (32..64).for_each(|n| table.publish(owning.entry(number, n, 1).to_be_made()).unwrap());
    (0..).zip(found).for_each(|(n, entry)| assert_eq!(version(entry.unwrap(), n), 1));
    assert!(reader.lookup_burst(&flows).all(|entry| entry.is_none()));
}

/// Says that the thread is over, also when an assertion in it failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_stamp_check_that_begins_after_the_release_fails() {
    let mut owning = Owning::new();
    let table = owning.forwarding(4, FlowHash::new());
    let number = table.alloc_counter().unwrap();
    table.publish(owning.entry(number, 1, 1).to_be_made()).unwrap();
    // The newest version whose stamp was released, told after the release.
    let released = AtomicU64::new(0);
    let accepted = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _over = Over(&over);
            let mut reader = table.reader();
            while !over.load(Ordering::Relaxed) {
                let Some(entry) = reader.lookup(&flow(1)) else { continue };
                // Acquire: pairs with the store after the release, so that the checks begin after it.
                let before = released.load(Ordering::Acquire);
                let accept = entry.judge(VifIndex(1)) == Verdict::Accept;
                let live = entry.live_outgoing().count();
                if accept || live > 0 {
                    let version = u64::from(version(entry, 1));
                    assert!(version > before, "{version} was released when {before} was, yet it forwards");
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let _over = Over(&over);
        let mut version = 1_u32;
        // Until the reader has forwarded often enough for the check to mean something.
        while (version < 500 || accepted.load(Ordering::Relaxed) < 500) && !over.load(Ordering::Relaxed) {
            owning.table.release(owning.client, owning.thing).unwrap();
            released.store(u64::from(version), Ordering::Release);
            version += 1;
            owning.word = owning.table.claim(owning.client, owning.thing).unwrap();
            // Full: the reader rests in the middle of a look-up.
            while table.replace(owning.entry(number, 1, version).to_be_made()) == Err(PublishError::Full(4)) {
                std::thread::yield_now();
            }
        }
    });
}
