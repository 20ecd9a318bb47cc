//! Enumerations of groups: their content, their owners and their ends.

use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{EnumerationError, EnumerationKind, GroupManager, GroupPage, ManagerConfig, Membership};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

fn drain(manager: &GroupManager, enumeration: Handle, max: usize) -> Vec<String> {
    let mut groups = Vec::new();
    loop {
        let page = manager.next_groups(enumeration, max).unwrap();
        assert!(page.groups.len() == max || !page.more);
        groups.extend(page.groups.iter().map(Membership::to_string));
        if !page.more {
            groups.sort();
            return groups;
        }
    }
}

/// Makes a router on which two protocols and IGMP have joined groups, some of them twice.
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

const ALL_JOINED: [&str; 4] =
    ["(*, 239.1.1.1)", "(192.0.2.7, 239.1.1.1)", "(192.0.2.8, 239.1.1.2)", "(192.0.2.9, 239.1.1.2)"];

#[test]
fn each_membership_is_listed_once_for_all_its_owners() {
    let (router, p, q) = joined();
    let manager = &router.manager;
    for max in [1, 2, 3, 100] {
        for client in [p, q] {
            let groups = manager.enumerate_groups(client, EnumerationKind::AllSources).unwrap();
            assert_eq!(drain(manager, groups, max), ALL_JOINED);
            let groups = manager.enumerate_groups(client, EnumerationKind::AnySource).unwrap();
            assert_eq!(drain(manager, groups, max), ["(*, 239.1.1.1)", "(*, 239.1.1.2)"]);
        }
    }
    router.join(q, 3, "* *");
    let groups = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert!(drain(manager, groups, 100).contains(&"(*, *)".into()));
    let groups = manager.enumerate_groups(p, EnumerationKind::AnySource).unwrap();
    assert_eq!(drain(manager, groups, 100), ["(*, *)", "(*, 239.1.1.1)", "(*, 239.1.1.2)"]);
}

#[test]
fn an_enumeration_is_a_snapshot_of_its_start() {
    let (router, p, q) = joined();
    let manager = &router.manager;
    let before = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    router.join(q, 3, "* 239.9.9.9");
    router.leave(p, 1, "* 239.1.1.1");
    manager.release(p, v4(2)).unwrap();
    let after = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert_eq!(drain(manager, before, 100), ALL_JOINED);
    assert_eq!(
        drain(manager, after, 100),
        ["(*, 239.9.9.9)", "(192.0.2.7, 239.1.1.1)", "(192.0.2.8, 239.1.1.2)", "(192.0.2.9, 239.1.1.2)"]
    );
}

#[test]
fn the_end_of_an_enumeration_is_empty_and_its_handle_ends() {
    let (router, p, _) = joined();
    let manager = &router.manager;
    let nothing = GroupPage { groups: Vec::new(), more: false };
    let groups = manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap();
    assert_eq!(manager.next_groups(groups, 0), Ok(GroupPage { groups: Vec::new(), more: true }));
    drain(manager, groups, 3);
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
    // A handle with the slot and the generation of the enumeration, and the kind of a client.
    let kind = u64::from(p.kind().get()) << 24;
    let twin = Handle::from_bits(groups.to_bits() & !(0xFF << 24) | kind).expect("neither is 0");
    for client in [p, twin] {
        assert_eq!(manager.next_groups(client, 1), Err(EnumerationError::Stale));
        assert_eq!(manager.end_enumeration(client), Err(EnumerationError::Stale));
    }
    assert_eq!(manager.enumerate_groups(groups, EnumerationKind::AllSources), Err(EnumerationError::Stale));
    assert_eq!(manager.take(groups, v4(9)), Err(mgm::manager::TakeError::Stale));
    assert_eq!(manager.deregister(groups), Err(mgm::manager::DeregisterError::Stale));
    assert_eq!(manager.next_groups(Handle::STALE, 1), Err(EnumerationError::Stale));
    assert_eq!(manager.next_groups(Handle::STALE, 1), Err(EnumerationError::Stale));
    assert_eq!(drain(manager, groups, 100), ALL_JOINED, "and the enumeration still works");
}

#[test]
fn an_enumeration_ends_with_its_clients_registration() {
    let (router, p, _) = joined();
    let manager = &router.manager;
    let guest = router.client(7, &[]);
    let (of_guest, of_p) = (
        manager.enumerate_groups(guest, EnumerationKind::AllSources).unwrap(),
        manager.enumerate_groups(p, EnumerationKind::AllSources).unwrap(),
    );
    manager.next_groups(of_guest, 1).unwrap();
    manager.deregister(guest).unwrap();
    assert_eq!(manager.next_groups(of_guest, 1), Err(EnumerationError::Stale));
    assert_eq!(manager.end_enumeration(of_guest), Err(EnumerationError::Stale));
    assert_eq!(manager.enumerate_groups(guest, EnumerationKind::AllSources), Err(EnumerationError::Stale));
    let again = router.client(7, &[]);
    assert_ne!(again, guest);
    assert_eq!(
        manager.next_groups(of_guest, 1),
        Err(EnumerationError::Stale),
        "nor does a new registration revive it"
    );
    assert_eq!(drain(manager, of_p, 100), ALL_JOINED);
}

#[test]
fn no_more_enumerations_open_than_configured() {
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

#[test]
fn threads_that_share_an_enumeration_share_out_its_records() {
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

/// A thread starts enumerations while another deregisters their client: none stays open.
#[test]
fn a_start_that_races_with_deregister_leaves_none_open() {
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
