//! Readers that stall while they are pinned: they hold back slots, and nothing else waits for them.
//!
//! A binary of its own: the epoch is the process's, so a pinned reader holds back slots of all tests in the process.

#[path = "support/mod.rs"]
mod support;

use crate::support::router::*;
use mgm::forwarding::{FlowCounter, NewEntry, PublishError};
use mgm::handle::{ClaimError, HandleTable, OwnershipTable, RetireError};
use mgm::manager::{EnumerationKind, FlowState, GroupManager, ManagerConfig, Protocol, StateChange};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Limits the waiting of tests that fail.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Runs one test at a time: a reader pinned by one test would hold back another test.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[track_caller]
fn wait_until(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + TIMEOUT;
    while !is() {
        assert!(Instant::now() < until, "timed out: {what}");
        thread::yield_now();
    }
}

/// A reader that stays pinned holds back slots, at most as many as the table has. Then the table is full, and
/// everything else continues.
#[test]
fn a_stalled_reader_holds_back_slots_and_nothing_else() {
    const CAPACITY: u32 = 300;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let table = OwnershipTable::with_limit(CAPACITY).unwrap();
    let (kept, owner) = (table.insert(0).unwrap(), table.new_resource().unwrap());
    let mut stalled = table.reader();
    let seen = stalled.get(kept).unwrap();
    let mut held_back = 0;
    while let Ok(handle) = table.insert(1) {
        assert_eq!(table.check_and_retire(handle).map(drop), Ok(()));
        held_back += 1;
    }
    assert_eq!(
        held_back,
        2 * CAPACITY - 1,
        "all but the one that is live; garbage has as much room as objects"
    );
    assert_eq!(table.reclaim() as u32, held_back);
    let mut reader = table.reader();
    for _ in 0..1000 {
        assert!(table.insert(2).is_err());
        assert!(table.claim(kept, owner).is_ok());
        assert_eq!(table.claim(kept, owner), Err(ClaimError::Owned(kept)));
        assert_eq!((table.owner_of(owner), table.contains(kept)), (Some(kept), true));
        assert_eq!(table.check_and_retire(kept).map(drop), Err(RetireError::StillOwns(1)));
        assert!(table.release(kept, owner).is_ok());
        assert_eq!(reader.get(kept), Some(&0));
    }
    assert_eq!(table.check_and_retire(kept).map(drop), Ok(()));
    assert_eq!((*seen, reader.get(kept)), (0, None), "the value it found stays; later look-ups miss");
    stalled.park();
    drop(reader);
    wait_until("room", || table.insert(3).is_ok());
    wait_until("an empty limbo", || table.reclaim() == 0);
}

#[test]
fn a_stalled_burst_holds_back_entries_and_nothing_else() {
    const CAPACITY: u32 = 64;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let config = ManagerConfig::default().with_entries(CAPACITY);
    let manager = GroupManager::new(config, Arc::new(|_| None)).unwrap();
    let forwarding = manager.forwarding_table();
    let (kept, other) = (flow("192.0.2.1 239.1.1.1"), flow("192.0.2.2 239.1.1.1"));
    let number = forwarding.alloc_counter().unwrap();
    let entry = |flow| NewEntry::new(flow, number, None, &[]);
    forwarding.publish(entry(kept)).unwrap();
    let mut stalled = forwarding.reader();
    let found = stalled.lookup(&kept).unwrap();
    let mut replaced = 0;
    while forwarding.replace(entry(kept)).is_ok() {
        replaced += 1;
    }
    assert!(replaced >= CAPACITY / 4, "{replaced} were held back");
    assert_eq!(forwarding.publish(entry(other)), Err(PublishError::Full(CAPACITY)));
    let standstill = manager.standstill().expect("the cause has a name");
    assert!(standstill.pinned >= 1, "{standstill}");
    let mut reader = forwarding.reader();
    assert!(reader.lookup(&kept).is_some() && reader.lookup(&other).is_none());
    assert!(forwarding.withdraw(&kept) && reader.lookup(&kept).is_none());
    // Where entries find no room, memberships and ownership go on.
    let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    manager.take(client, v4(1)).unwrap();
    manager.release(client, v4(1)).unwrap();
    manager.deregister(client).unwrap();
    assert_eq!(found.flow(), kept);
    stalled.park();
    reader.park();
    wait_until("room", || forwarding.publish(entry(other)).is_ok());
}

/// A reader that sleeps holds back the slots of ended enumerations.
#[test]
fn starting_an_enumeration_waits_for_a_sleeping_reader() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let router = Router::with(ManagerConfig::default().with_enumerations(1));
    let manager = &router.manager;
    let p = router.client(1, &[]);
    let table = HandleTable::with_limit(1).unwrap();
    let handle = table.insert(()).unwrap();
    let reads = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let guard = table.get(handle);
            reads.wait();
            thread::sleep(Duration::from_millis(800));
            drop(guard);
        });
        reads.wait();
        // More enumerations than fit beside the slots that are held back.
        for _ in 0..500 {
            let enumeration = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
            manager.end_enumeration(enumeration).unwrap();
        }
    });
}

/// The table has no room for the successor of an entry: the entry is withdrawn and counted, and its next
/// packet creates it as it should be.
#[test]
fn an_entry_without_room_for_its_successor_is_withdrawn() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    const ENTRIES: u32 = 16;
    let router = Router::with(ManagerConfig::default().with_entries(ENTRIES));
    let manager = &router.manager;
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* *");
    let flows: Vec<String> = (1..=ENTRIES).map(|n| format!("192.0.2.{n} 239.1.1.1")).collect();
    flows.iter().for_each(|flow| assert_eq!(router.new_flow(flow), Ok(FlowState::Active)));
    let mut counters = manager.forwarding_table().counters().worker();
    let number = manager.forwarding_table().reader().lookup(&flow(&flows[0])).unwrap().counter();
    counters.add(number, FlowCounter::Packets, 5);
    // A plane that stalls within a burst holds back replaced entries; each join replaces every entry.
    let mut stalled = manager.forwarding_table().reader();
    assert!(stalled.lookup(&flow(&flows[0])).is_some());
    let mut joins = 0;
    while manager.limit_counters().entries_withdrawn == 0 {
        joins += 1;
        assert!(joins < 1000, "successors need room");
        router.add(p, 3, "* 239.1.1.1", StateChange::Forward).unwrap();
        router.delete(p, 3, "* 239.1.1.1", StateChange::Forward).unwrap();
    }
    let gone = manager.limit_counters().entries_withdrawn;
    assert_eq!(manager.entries().len() as u64 + gone, u64::from(ENTRIES));
    assert_eq!(manager.forwarding_table().len(), manager.entries().len());
    router.join(p, 3, "* 239.1.1.1");
    assert_eq!(router.memberships(), 2);
    // Each entry matches the memberships or is absent.
    for text in &flows {
        assert!(matches!(router.outgoing(text).as_deref(), None | Some([2, 3])), "{text}");
    }
    stalled.park();
    for text in &flows {
        let until = Instant::now() + TIMEOUT;
        while router.new_flow(text).is_err() {
            assert!(Instant::now() < until, "room never came back");
        }
        assert_eq!(router.outgoing(text), Some(vec![2, 3]));
    }
    assert_eq!(manager.entry(flow(&flows[0])).unwrap().totals.packets, 5, "counts belong to the flow");
}
