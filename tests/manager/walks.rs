//! Reading entries: one, page by page, and while other threads change them.

use crate::support::SetOnDrop;
use crate::support::router::*;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{
    EntryRecord, FlowState, GroupManager, Interface, ManagerConfig, Protocol, ReversePath, Route,
    SetEntryError,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";

fn walk(manager: &GroupManager, max: usize) -> Vec<EntryRecord> {
    let mut records: Vec<EntryRecord> = Vec::new();
    loop {
        let page = manager.entries_after(records.last().map(|last| last.flow), max);
        assert!(page.len() <= max);
        let short = page.len() < max;
        records.extend(page);
        if short {
            return records;
        }
    }
}

#[test]
fn a_record_shows_the_entry_and_its_origin() {
    let route = Route { protocol: 13, network: "192.0.2.0".parse().unwrap(), prefix_length: 24 };
    let neighbour = "198.51.100.1".parse().unwrap();
    let routes =
        move |_| Some(ReversePath::through(v4(1)).with_neighbour(Some(neighbour)).with_route(Some(route)));
    let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
    let p = manager.register(Protocol::new(1, 7), Arc::new(())).unwrap();
    let q = manager.register(Protocol::new(2, 0), Arc::new(())).unwrap();
    manager.take(p, v4(1)).unwrap();
    manager.take(q, v4(2)).unwrap();
    manager.add_membership(q, v4(2), membership("* 239.1.1.1"), mgm::manager::StateChange::Join).unwrap();
    assert_eq!(manager.entry(flow(FLOW)), None);
    manager.advance(Duration::from_secs(5));
    manager.new_flow(flow(FLOW)).unwrap();
    manager.advance(Duration::from_secs(9));
    let record = manager.entry(flow(FLOW)).unwrap();
    assert_eq!(record.flow, flow(FLOW));
    assert_eq!(record.state, FlowState::Active);
    assert_eq!((record.incoming, record.incoming_protocol), (Some(v4(1)), Some(Protocol::new(1, 7))));
    assert_eq!((record.neighbour, record.route), (Some(neighbour), Some(route)));
    assert_eq!(record.outgoing.iter().map(|outgoing| outgoing.interface).collect::<Vec<_>>(), [v4(2)]);
    let seconds = [record.made, record.timeout, record.expires].map(|time| time.as_secs());
    assert_eq!(seconds, [5, 900, 905]);
    assert_eq!(manager.entries(), [record]);
    manager.advance(Duration::from_secs(905));
    assert_eq!(manager.entry(flow(FLOW)), None);
}

#[test]
fn the_incoming_protocol_follows_the_owner() {
    let router = Router::new();
    let protocol = || router.manager.entry(flow(FLOW)).unwrap().incoming_protocol;
    router.route("192.0.2.7", None);
    router.new_flow(FLOW).unwrap();
    assert_eq!(protocol(), None, "there is no route");
    router.manager.flush_entries();
    router.route("192.0.2.7", Some(v4(1)));
    let igmp = router.igmp(&[1]);
    router.new_flow(FLOW).unwrap();
    assert_eq!(protocol(), Some(Protocol::new(Protocol::IGMP, 0)), "IGMP is the only owner");
    let p = router.client(1, &[1]);
    router.new_flow(FLOW).unwrap();
    assert_eq!(protocol(), Some(Protocol::new(1, 0)), "with a routing protocol");
    router.manager.release(igmp, v4(1)).unwrap();
    assert_eq!(protocol(), Some(Protocol::new(1, 0)));
    router.manager.release(p, v4(1)).unwrap();
    router.new_flow(FLOW).unwrap();
    assert_eq!(protocol(), None, "no owner");
}

#[test]
fn pages_are_ordered_and_may_start_at_a_missing_entry() {
    let router = Router::new();
    let ordered: Vec<Flow> = [
        "192.0.2.9 224.1.0.0",
        "10.0.0.1 239.1.1.1",
        "192.0.2.7 239.1.1.1",
        "192.0.2.128 239.1.1.1",
        "9.0.0.1 239.1.1.255",
        "2001:db8::9 ff0e::1",
        "2001:db8::1 ff0e::2",
    ]
    .map(flow)
    .into();
    for at in [3, 5, 0, 6, 1, 4, 2] {
        router.manager.new_flow(ordered[at]).unwrap();
    }
    for max in 1..10 {
        let flows: Vec<_> = walk(&router.manager, max).into_iter().map(|record| record.flow).collect();
        assert_eq!(flows, ordered, "{max} at a time");
    }
    let next =
        |after: &str| router.manager.entries_after(Some(flow(after)), 1).pop().map(|record| record.flow);
    assert_eq!(next("192.0.2.8 239.1.1.1"), Some(ordered[3]), "a flow that never had an entry");
    assert_eq!(next("192.0.2.7 239.1.1.1"), Some(ordered[3]), "strictly after");
    assert_eq!(next("1.0.0.0 225.0.0.0"), Some(ordered[1]));
    assert_eq!(next("255.255.255.255 239.255.255.255"), Some(ordered[5]));
    assert_eq!(next("2001:db8::1 ff0e::2"), None);
    assert_eq!(router.manager.entries_after(None, 0), []);
    router.manager.flush_entries();
    assert_eq!(router.manager.entries_after(None, 100), [], "a remembered flow is not an entry");
}

#[test]
fn the_owner_of_the_incoming_interface_sets_the_neighbour() {
    let router = Router::new();
    let manager = &router.manager;
    let (p, q, igmp) = (router.client(1, &[1]), router.client(2, &[2]), router.igmp(&[1, 3]));
    let neighbour = Some("198.51.100.9".parse().unwrap());
    let set = |client| manager.set_upstream_neighbour(client, flow(FLOW), neighbour);
    assert_eq!(set(p), Err(SetEntryError::NoEntry(flow(FLOW))));
    router.new_flow(FLOW).unwrap();
    assert_eq!(set(q), Err(SetEntryError::NotOwner(flow(FLOW))));
    assert_eq!(set(igmp), Err(SetEntryError::NotOwner(flow(FLOW))), "a routing protocol owns the interface");
    assert_eq!(set(Handle::STALE), Err(SetEntryError::Stale));
    assert_eq!(manager.entry(flow(FLOW)).unwrap().neighbour, None);
    assert_eq!(set(p), Ok(()));
    assert_eq!(manager.entry(flow(FLOW)).unwrap().neighbour, neighbour);
    router.join(q, 2, "* 239.1.1.1");
    assert_eq!(manager.entry(flow(FLOW)).unwrap().neighbour, neighbour, "the neighbour stays with the entry");
    manager.set_upstream_neighbour(p, flow(FLOW), None).unwrap();
    assert_eq!(manager.entry(flow(FLOW)).unwrap().neighbour, None);
    manager.release(p, v4(1)).unwrap();
    assert_eq!(set(p), Err(SetEntryError::NoEntry(flow(FLOW))), "the incoming interface has no owner");
    router.new_flow(FLOW).unwrap();
    assert_eq!(set(igmp), Ok(()), "IGMP is the only owner now");
    manager.deregister(p).unwrap();
    assert_eq!(set(p), Err(SetEntryError::Stale));
    router.route("192.0.2.8", None);
    router.new_flow("192.0.2.8 239.1.1.1").unwrap();
    let nowhere = flow("192.0.2.8 239.1.1.1");
    let refused = manager.set_upstream_neighbour(igmp, nowhere, neighbour);
    assert_eq!(refused, Err(SetEntryError::NotOwner(nowhere)), "it has no incoming interface");
}

/// Entries of even sources stay throughout. Those of odd sources come and go, and owners and receivers
/// change. A concurrent walk sees every even entry once and in order, and each record is consistent.
#[test]
fn a_concurrent_walk_sees_every_lasting_entry_once_in_order() {
    const SOURCES: u8 = 60;
    const WALKS: usize = 300;
    let router = Router::new();
    let manager = &router.manager;
    router.client(1, &[1]);
    // The incoming interfaces of the flows that come and go.
    let (q, r) = (router.client(2, &[2]), router.client(3, &[3, 4]));
    let of = |source: u8| Flow::new([10, 0, 0, source].into(), [239, 1, 1, 1 + source % 3].into()).unwrap();
    let stay = |flow: &Flow| of_source(flow).is_multiple_of(2);
    for source in 0..SOURCES {
        if !stay(&of(source)) {
            router.route(&format!("10.0.0.{source}"), Some(v4(2)));
        }
        manager.new_flow(of(source)).unwrap();
    }
    let lasting: BTreeSet<Flow> = (0..SOURCES).map(of).filter(stay).collect();
    let done = AtomicBool::new(false);
    let mut gone = 0;
    thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                manager.release(q, v4(2)).unwrap();
                manager.take(q, v4(2)).unwrap();
                for source in (0..SOURCES).filter(|source| !stay(&of(*source))) {
                    let _ = manager.new_flow(of(source));
                }
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for n in [3, 4] {
                    router.join(r, n, "* *");
                }
                manager.release(r, v4(3)).unwrap();
                router.leave(r, 4, "* *");
                manager.take(r, v4(3)).unwrap();
            }
        });
        for round in 0..WALKS {
            let records = walk(manager, 1 + round % 17);
            let flows: Vec<Flow> = records.iter().map(|record| record.flow).collect();
            assert!(flows.is_sorted_by(|a, b| a < b), "in order, and each once: {flows:?}");
            let seen: BTreeSet<Flow> = flows.into_iter().filter(stay).collect();
            assert_eq!(seen, lasting, "walk {round}");
            gone += usize::from(records.len() < SOURCES.into());
            for record in records {
                let expected = if stay(&record.flow) { (v4(1), 1) } else { (v4(2), 2) };
                assert_eq!(record.incoming, Some(expected.0));
                assert_eq!(record.incoming_protocol, Some(Protocol::new(expected.1, 0)), "{record:?}");
                assert_eq!(record.state == FlowState::Negative, record.outgoing.is_empty());
                let out: Vec<Interface> = record.outgoing.iter().map(|outgoing| outgoing.interface).collect();
                assert!(out.is_empty() || out == [v4(3)] || out == [v4(4)] || out == [v4(3), v4(4)]);
                assert_eq!(record.timeout, record.expires - record.made);
            }
        }
        drop(stop);
    });
    assert!(gone > 0, "nothing ever came or went");
}

fn of_source(flow: &Flow) -> u8 {
    let std::net::IpAddr::V4(source) = flow.source() else { unreachable!() };
    source.octets()[3]
}
