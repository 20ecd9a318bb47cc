//! Enumerations of groups: what they show, whose they are, and when they end.

mod common;

use common::*;
use mgm::handle::{Handle, HandleTable};
use mgm::manager::{EnumerationError, EnumerationKind, GroupManager, GroupPage, ManagerConfig, Membership};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

fn all(manager: &GroupManager, enumeration: Handle, most: usize) -> Vec<String> {
    let mut groups = Vec::new();
    loop {
        let page = manager.next_groups(enumeration, most).unwrap();
        assert!(page.groups.len() == most || !page.more);
        groups.extend(page.groups.iter().map(Membership::to_string));
        if !page.more {
            groups.sort();
            return groups;
        }
    }
}

/// A router on which two protocols and IGMP have joined, some of it twice.
fn joined() -> (Router, Handle, Handle) {
    let router = Router::new();
    let (p, q, igmp) = (router.client(1, &[1, 2]), router.client(2, &[3]), router.igmp(&[3, 4]));
    for (client, n, what) in [
        (p, 1, "* 239.1.1.1"),
        (p, 2, "* 239.1.1.1"),
        (q, 3, "192.0.2.7 239.1.1.1"),
        (igmp, 3, "192.0.2.7 239.1.1.1"),
        (igmp, 4, "192.0.2.8 239.1.1.2"),
        (igmp, 4, "192.0.2.9 239.1.1.2"),
    ] {
        router.join(client, n, what);
    }
    (router, p, q)
}

const EVERYTHING: [&str; 4] =
    ["(*, 239.1.1.1)", "(192.0.2.7, 239.1.1.1)", "(192.0.2.8, 239.1.1.2)", "(192.0.2.9, 239.1.1.2)"];

#[test]
fn each_membership_is_shown_once_whoever_has_it_where() {
    let (router, p, q) = joined();
    let manager = &router.manager;
    for most in [1, 2, 3, 100] {
        for client in [p, q] {
            let groups = manager.enumerate_groups(client, EnumerationKind::AllSources).unwrap();
            assert_eq!(all(manager, groups, most), EVERYTHING);
            let groups = manager.enumerate_groups(client, EnumerationKind::AnySource).unwrap();
            assert_eq!(all(manager, groups, most), ["(*, 239.1.1.1)", "(*, 239.1.1.2)"]);
        }
    }
    router.join(q, 3, "* *");
    let groups = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert!(all(manager, groups, 100).contains(&"(*, *)".into()));
    let groups = manager.enumerate_groups(p, EnumerationKind::AnySource).unwrap();
    assert_eq!(all(manager, groups, 100), ["(*, *)", "(*, 239.1.1.1)", "(*, 239.1.1.2)"]);
}

#[test]
fn an_enumeration_shows_what_was_when_it_started() {
    let (router, p, q) = joined();
    let manager = &router.manager;
    let before = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    router.join(q, 3, "* 239.9.9.9");
    router.leave(p, 1, "* 239.1.1.1");
    manager.release(p, v4(2)).unwrap();
    let after = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert_eq!(all(manager, before, 100), EVERYTHING);
    assert_eq!(
        all(manager, after, 100),
        ["(*, 239.9.9.9)", "(192.0.2.7, 239.1.1.1)", "(192.0.2.8, 239.1.1.2)", "(192.0.2.9, 239.1.1.2)"]
    );
}

#[test]
fn behind_the_end_there_is_nothing_and_behind_the_close_no_enumeration() {
    let (router, p, _) = joined();
    let manager = &router.manager;
    let nothing = GroupPage { groups: Vec::new(), more: false };
    let groups = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert_eq!(manager.next_groups(groups, 0), Ok(GroupPage { groups: Vec::new(), more: true }));
    all(manager, groups, 3);
    assert_eq!(manager.next_groups(groups, 10), Ok(nothing.clone()));
    assert_eq!(manager.next_groups(groups, 10), Ok(nothing.clone()));
    assert_eq!(manager.end_enumeration(groups), Ok(()));
    assert_eq!(manager.end_enumeration(groups), Err(EnumerationError::Stale));
    assert_eq!(manager.next_groups(groups, 10), Err(EnumerationError::Stale));
    let router = Router::new();
    let alone = router.client(1, &[]);
    let groups = router.manager.enumerate_groups(alone, EnumerationKind::AnySource).unwrap();
    assert_eq!(router.manager.next_groups(groups, 10), Ok(nothing));
}

#[test]
fn the_handles_of_clients_and_of_enumerations_are_two_kinds() {
    let (router, p, _) = joined();
    let manager = &router.manager;
    let groups = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert_ne!(groups.kind(), p.kind());
    // The enumeration's slot and generation are those of a client's.
    let twin = manager
        .clients()
        .into_iter()
        .map(|client| client.handle)
        .find(|client| (client.index(), client.generation()) == (groups.index(), groups.generation()));
    for client in [Some(p), twin].into_iter().flatten() {
        assert_eq!(manager.next_groups(client, 1), Err(EnumerationError::Stale));
        assert_eq!(manager.end_enumeration(client), Err(EnumerationError::Stale));
    }
    assert!(twin.is_some());
    assert_eq!(manager.enumerate_groups(groups, EnumerationKind::AllSources), Err(EnumerationError::Stale));
    assert_eq!(manager.take(groups, v4(9)), Err(mgm::manager::TakeError::Stale));
    assert_eq!(manager.deregister(groups), Err(mgm::manager::DeregisterError::Stale));
    assert_eq!(manager.next_groups(Handle::from(0), 1), Err(EnumerationError::Stale));
    assert_eq!(manager.next_groups(Handle::from(u64::MAX), 1), Err(EnumerationError::Stale));
    assert_eq!(all(manager, groups, 100), EVERYTHING, "and it is none the worse for it");
}

#[test]
fn an_enumeration_ends_with_its_clients_registration() {
    let (router, p, _) = joined();
    let manager = &router.manager;
    let guest = router.client(7, &[]);
    let (theirs, mine) = (
        manager.enumerate_groups(guest, EnumerationKind::AllSources).unwrap(),
        manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap(),
    );
    manager.next_groups(theirs, 1).unwrap();
    manager.deregister(guest).unwrap();
    assert_eq!(manager.next_groups(theirs, 1), Err(EnumerationError::Stale));
    assert_eq!(manager.end_enumeration(theirs), Err(EnumerationError::Stale));
    assert_eq!(manager.enumerate_groups(guest, EnumerationKind::AllSources), Err(EnumerationError::Stale));
    let again = router.client(7, &[]);
    assert_ne!(again, guest);
    assert_eq!(manager.next_groups(theirs, 1), Err(EnumerationError::Stale), "nor is it revived by another");
    assert_eq!(all(manager, mine, 100), EVERYTHING);
}

#[test]
fn there_are_no_more_open_than_configured_and_room_comes_back() {
    let router = Router::with(ManagerConfig::default().with_enumerations(2));
    let manager = &router.manager;
    let (p, guest) = (router.client(1, &[]), router.client(2, &[]));
    let start = |client| manager.enumerate_groups(client, EnumerationKind::AllSources);
    for _ in 0..200 {
        let (first, second) = (start(p).unwrap(), start(p).unwrap());
        assert_eq!(start(p), Err(EnumerationError::TooMany(2)));
        manager.end_enumeration(first).unwrap();
        manager.end_enumeration(second).unwrap();
    }
    start(guest).unwrap();
    start(p).unwrap();
    assert_eq!(start(p), Err(EnumerationError::TooMany(2)));
    manager.deregister(guest).unwrap();
    start(p).unwrap();
    assert_eq!(start(p), Err(EnumerationError::TooMany(2)));
}

/// A thread that reads and loses its processor holds back what ended meanwhile.
#[test]
fn who_starts_waits_for_a_reader_that_sleeps() {
    let router = Router::with(ManagerConfig::default().with_enumerations(1));
    let manager = &router.manager;
    let p = router.client(1, &[]);
    let table = HandleTable::with_capacity(1).unwrap();
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
        // More than have room beside what is held back.
        for _ in 0..500 {
            let enumeration = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
            manager.end_enumeration(enumeration).unwrap();
        }
    });
}

#[test]
fn of_many_who_ask_one_enumeration_each_record_is_given_to_one() {
    let router = Router::new();
    let p = router.client(1, &[1]);
    let expected: BTreeSet<Membership> =
        (0..250).map(|n| membership(&format!("* 239.1.{}.{}", n % 4, n / 4))).collect();
    for what in &expected {
        router.manager.add_membership(p, v4(1), *what, mgm::manager::StateChange::Join).unwrap();
    }
    for round in 0..200 {
        let groups = router.manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
        let given: Mutex<Vec<Membership>> = Mutex::default();
        thread::scope(|scope| {
            for n in 0..4 {
                let (manager, given) = (&router.manager, &given);
                scope.spawn(move || {
                    loop {
                        let page = manager.next_groups(groups, 1 + (round + n) % 7).unwrap();
                        given.lock().unwrap().extend(&page.groups);
                        if !page.more {
                            break;
                        }
                    }
                });
            }
        });
        let given = given.into_inner().unwrap();
        assert_eq!(given.len(), expected.len());
        assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), expected);
        router.manager.end_enumeration(groups).unwrap();
    }
}

/// Whoever starts enumerations while their client is being deregistered leaves none open.
#[test]
fn starting_one_races_with_leaving_and_leaves_nothing_behind() {
    let router = Router::with(ManagerConfig::default().with_enumerations(3));
    let manager: &Arc<GroupManager> = &router.manager;
    let witness = router.client(1, &[]);
    for round in 0..500 {
        let guest = router.client(2, &[]);
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut handles = Vec::new();
                while let Ok(handle) = manager.enumerate_groups(guest, EnumerationKind::AllSources) {
                    handles.push(handle);
                    started.store(true, Ordering::Relaxed);
                    if handles.len() == 3 {
                        for handle in handles.drain(..) {
                            // The client may be gone by now, and its enumerations with it.
                            let _ = manager.end_enumeration(handle);
                        }
                    }
                }
            });
            while round % 2 == 0 && !started.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            manager.deregister(guest).unwrap();
        });
        let all: Vec<_> =
            (0..3).map(|_| manager.enumerate_groups(witness, EnumerationKind::AnySource).unwrap()).collect();
        all.into_iter().for_each(|handle| manager.end_enumeration(handle).unwrap());
    }
}
