//! The whole table: compared with a map, and with readers that check flows while writers change them.

use super::hash::FlowHash;
use super::search::Search;
use super::*;
use crate::handle::{Handle, OwnerWord, OwnershipTable, ResourceId};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

mod chase;
mod flooding;
mod keys;
mod model;

/// A client that owns one resource, for stamps.
struct Owner {
    table: OwnershipTable<()>,
    client: Handle,
    resource: ResourceId,
    word: OwnerWord,
}

impl Owner {
    fn new() -> Owner {
        let table = OwnershipTable::with_limit(4).unwrap();
        let client = table.insert(()).unwrap();
        let resource = table.new_resource().unwrap();
        let word = table.claim(client, resource).unwrap();
        Owner { table, client, resource, word }
    }

    fn stamp(&self) -> Stamp {
        Stamp::one(self.resource, self.word)
    }

    fn forwarding(&self, capacity: u32, hash: FlowHash) -> ForwardingTable {
        ForwardingTable::with_hash(capacity, self.table.owners().clone(), hash)
    }

    /// Makes an entry that encodes its flow and its version in its interfaces, so that [`version`] detects a torn or
    /// foreign entry.
    fn entry(&self, counter: FlowCounterId, n: u32, version: u32) -> Draft {
        let stamp = self.stamp();
        let incoming = Incoming::new(VifIndex(n), stamp);
        let outgoing = Outgoing::uncounted(VifIndex(version | 1 << 31), stamp);
        Draft { flow: flow(n), counter, incoming, outgoing: vec![outgoing; 1 + version as usize % 5] }
    }
}

/// The contents of a [`NewEntry`], which borrows them.
struct Draft {
    flow: Flow,
    counter: FlowCounterId,
    incoming: Incoming,
    outgoing: Vec<Outgoing>,
}

impl Draft {
    fn new_entry(&self) -> NewEntry<'_> {
        NewEntry::new(self.flow, self.counter, Some(self.incoming), &self.outgoing)
    }
}

/// Returns the searches that this machine supports.
fn searches() -> Vec<Search> {
    Search::ALL.into_iter().filter(|search| search.is_available()).collect()
}

/// Makes flow `n`: an IPv4 flow if it is even, an IPv6 flow if it is odd.
fn flow(n: u32) -> Flow {
    let (source, group) = if n.is_multiple_of(2) {
        (format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255), "232.0.0.1".to_owned())
    } else {
        (format!("2001:db8::{:x}:{:x}", n >> 16, n & 0xFFFF), "ff3e::1".to_owned())
    };
    Flow::new(source.parse().unwrap(), group.parse().unwrap()).unwrap()
}

/// Checks that an entry is flow `n`'s and whole, and returns its version.
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
    let owner = Owner::new();
    let table = owner.forwarding(2, FlowHash::new());
    let counter = table.alloc_counter().unwrap();
    assert_eq!(table.replace(owner.entry(counter, 1, 0).new_entry()), Err(PublishError::Missing(flow(1))));
    assert!(!table.withdraw(&flow(1)));
    table.publish(owner.entry(counter, 1, 0).new_entry()).unwrap();
    assert_eq!(table.publish(owner.entry(counter, 1, 9).new_entry()), Err(PublishError::Exists(flow(1))));
    table.publish(owner.entry(counter, 2, 0).new_entry()).unwrap();
    assert_eq!(table.publish(owner.entry(counter, 3, 0).new_entry()), Err(PublishError::Full(2)));
    let mut reader = table.reader();
    assert_eq!(version(reader.lookup(&flow(1)).unwrap(), 1), 0);
    assert_eq!(reader.lookup(&flow(3)), None);
    assert_eq!(table.len(), 2);
    // A full table still replaces and withdraws.
    table.replace(owner.entry(counter, 1, 5).new_entry()).unwrap();
    assert_eq!(version(reader.lookup(&flow(1)).unwrap(), 1), 5);
    assert!(table.withdraw(&flow(1)));
    assert_eq!(reader.lookup(&flow(1)), None);
    table.publish(owner.entry(counter, 3, 0).new_entry()).unwrap();
}

#[test]
fn a_watcher_is_called_for_each_change_only() {
    let owner = Owner::new();
    let table = owner.forwarding(2, FlowHash::new());
    let counter = table.alloc_counter().unwrap();
    table.publish(owner.entry(counter, 1, 0).new_entry()).unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let watched = seen.clone();
    assert!(table.watch(move |flow| watched.lock().unwrap().push(flow)));
    assert!(!table.watch(|_| ()));
    table.publish(owner.entry(counter, 2, 0).new_entry()).unwrap();
    table.replace(owner.entry(counter, 1, 1).new_entry()).unwrap();
    assert!(table.withdraw(&flow(2)));
    assert!(table.publish(owner.entry(counter, 1, 2).new_entry()).is_err());
    assert!(table.replace(owner.entry(counter, 2, 2).new_entry()).is_err());
    assert!(!table.withdraw(&flow(2)));
    assert_eq!(*seen.lock().unwrap(), [flow(2), flow(1), flow(2)]);
}

#[test]
fn a_table_without_capacity_is_always_full() {
    let owner = Owner::new();
    let table = owner.forwarding(0, FlowHash::new());
    assert_eq!(table.alloc_counter(), Err(PublishError::Full(0)));
    let counter = Counters::new(1).alloc().unwrap();
    assert_eq!(table.publish(owner.entry(counter, 1, 0).new_entry()), Err(PublishError::Full(0)));
    assert!(table.is_empty());
}

#[test]
fn a_burst_of_any_length_is_answered_in_order() {
    let owner = Owner::new();
    let table = owner.forwarding(1000, FlowHash::new());
    let counter = table.alloc_counter().unwrap();
    (0..200).step_by(3).for_each(|n| table.publish(owner.entry(counter, n, n).new_entry()).unwrap());
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
fn entries_of_a_burst_stay_readable_while_writers_change() {
    let owner = Owner::new();
    let table = owner.forwarding(64, FlowHash::new());
    let counter = table.alloc_counter().unwrap();
    (0..32).for_each(|n| table.publish(owner.entry(counter, n, 1).new_entry()).unwrap());
    let flows: Vec<_> = (0..32).map(flow).collect();
    let mut reader = table.reader();
    let found: Vec<_> = reader.lookup_burst(&flows).collect();
    for n in 0..32 {
        table.replace(owner.entry(counter, n, 2).new_entry()).unwrap();
        assert!(table.withdraw(&flow(n)));
    }
    (32..64).for_each(|n| table.publish(owner.entry(counter, n, 1).new_entry()).unwrap());
    (0..).zip(found).for_each(|(n, entry)| assert_eq!(version(entry.unwrap(), n), 1));
    assert!(reader.lookup_burst(&flows).all(|entry| entry.is_none()));
}

#[test]
fn an_owned_reader_keeps_its_table() {
    let owner = Owner::new();
    let table = std::sync::Arc::new(owner.forwarding(64, FlowHash::new()));
    let counter = table.alloc_counter().unwrap();
    (0..40).for_each(|n| table.publish(owner.entry(counter, n, n).new_entry()).unwrap());
    let mut reader = OwnedForwardingReader::new(table.clone());
    let weak = std::sync::Arc::downgrade(&table);
    drop(table);
    let flows: Vec<_> = (0..41).map(flow).collect();
    let found = reader.lookup_burst(&flows).zip(0..).map(|(entry, n)| entry.map(|e| version(e, n)));
    assert!(found.eq((0..41).map(|n| (n < 40).then_some(n))));
    assert_eq!(reader.lookup(&flow(7)).map(|entry| version(entry, 7)), Some(7));
    reader.park();
    assert!(weak.upgrade().is_some());
    let moved = Box::new(reader);
    drop(moved);
    assert!(weak.upgrade().is_none());
}

/// Sets the flag when the thread ends, also after a failed assertion.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_stamp_check_that_begins_after_the_release_fails() {
    let mut owner = Owner::new();
    let table = owner.forwarding(4, FlowHash::new());
    let counter = table.alloc_counter().unwrap();
    table.publish(owner.entry(counter, 1, 1).new_entry()).unwrap();
    // The newest version with a released stamp, stored after the release.
    let released = AtomicU64::new(0);
    let accepted = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _over = SetOnDrop(&over);
            let mut reader = table.reader();
            while !over.load(Ordering::Relaxed) {
                let Some(entry) = reader.lookup(&flow(1)) else { continue };
                // Acquire: pairs with the store after the release, so that the checks begin after it.
                let before = released.load(Ordering::Acquire);
                let accept = entry.check(VifIndex(1)) == Verdict::Accept;
                let live = entry.live_outgoing().count();
                if accept || live > 0 {
                    let version = u64::from(version(entry, 1));
                    assert!(
                        version > before,
                        "version {version} forwards, but {before} was released already"
                    );
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let _over = SetOnDrop(&over);
        let mut version = 1_u32;
        // Continues until the reader has accepted often enough for the check to mean something.
        while (version < 500 || accepted.load(Ordering::Relaxed) < 500) && !over.load(Ordering::Relaxed) {
            owner.table.release(owner.client, owner.resource).unwrap();
            released.store(u64::from(version), Ordering::Release);
            version += 1;
            owner.word = owner.table.claim(owner.client, owner.resource).unwrap();
            // The table is full while the reader rests in the middle of a look-up.
            while table.replace(owner.entry(counter, 1, version).new_entry()) == Err(PublishError::Full(4)) {
                std::thread::yield_now();
            }
        }
    });
}
