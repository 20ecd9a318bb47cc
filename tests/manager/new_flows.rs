//! New flows: the entry that a packet without one creates, and its lifetime.

use crate::support::router::*;
use mgm::forwarding::{FlowCounter, NewEntry, Verdict};
use mgm::manager::{FlowState, Interface, ManagerConfig, NewFlowError, StateChange};
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";

#[test]
fn an_entry_copies_to_each_interface_with_a_matching_membership() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3, 4]);
    router.join(p, 2, "* 239.1.1.1");
    router.join(p, 3, "192.0.2.7 239.1.1.1");
    router.join(p, 4, "* *");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(router.outgoing(FLOW), Some(vec![2, 3, 4]));
    assert_eq!(router.new_flow("192.0.2.8 239.1.1.1"), Ok(FlowState::Active));
    assert_eq!(router.outgoing("192.0.2.8 239.1.1.1"), Some(vec![2, 4]));
}

#[test]
fn the_incoming_interface_is_never_an_outgoing_one() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 1, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.add(p, 1, FLOW, StateChange::Forward).unwrap();
    router.join(p, 1, "* *");
    assert_eq!(
        router.outgoing(FLOW),
        Some(vec![]),
        "whatever the clients request, and the entry stays negative"
    );
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
}

#[test]
fn packets_must_arrive_on_the_interface_of_the_route() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    router.route("192.0.2.7", Some(v4(3)));
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    let forwarding = router.manager.forwarding();
    let mut reader = forwarding.reader();
    let entry = reader.lookup(&flow(FLOW)).unwrap();
    let check = |n| entry.check(router.manager.vif_index(v4(n)).unwrap());
    assert_eq!([check(3), check(1)], [Verdict::Accept, Verdict::WrongInterface]);
    router.manager.release(p, v4(3)).unwrap();
    assert_eq!(check(3), Verdict::Stale);
}

#[test]
fn a_released_interface_is_out_of_every_entry() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    router.manager.release(p, v4(2)).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    router.manager.release(p, v4(1)).unwrap();
    assert_eq!(router.outgoing(FLOW), None, "the incoming interface has no owner");
    assert_eq!(router.manager.entries(), []);
    router.manager.deregister(p).unwrap();
}

#[test]
fn without_route_or_owner_an_entry_is_negative_until_it_changes() {
    let router = Router::new();
    let p = router.client(1, &[2, 4]);
    router.join(p, 2, "* 239.1.1.1");
    router.manager.release(p, v4(4)).unwrap();
    router.route("192.0.2.8", None);
    router.route("192.0.2.9", Some(v4(4)));
    router.route("192.0.2.10", Some(Interface::v6(1)));
    let (never_taken, no_route, released) = (FLOW, "192.0.2.8 239.1.1.1", "192.0.2.9 239.1.1.1");
    for what in [never_taken, no_route, released, "192.0.2.10 239.1.1.1"] {
        assert_eq!(router.new_flow(what), Ok(FlowState::Negative), "{what}");
        assert_eq!(router.outgoing(what), Some(vec![]), "{what}");
    }
    router.manager.take(p, v4(1)).unwrap();
    assert_eq!(router.outgoing(never_taken), None, "the incoming interface was taken for the first time");
    router.manager.take(p, v4(4)).unwrap();
    assert_eq!(router.outgoing(released), None, "this one was taken again");
    assert_eq!(router.outgoing(no_route), Some(vec![]));
    for what in [never_taken, released] {
        assert_eq!(router.new_flow(what), Ok(FlowState::Active), "{what}");
    }
}

#[test]
fn an_entry_ends_when_its_incoming_interface_changes_owner() {
    let router = Router::new();
    let (p, q) = (router.client(1, &[2]), router.client(2, &[]));
    let igmp = router.igmp(&[1]);
    router.join(p, 2, "* 239.1.1.1");
    let renewed = |what: &str| {
        assert_eq!(router.outgoing(FLOW), None, "{what}");
        assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active), "{what}");
    };
    renewed("IGMP alone owns it");
    router.manager.take(q, v4(1)).unwrap();
    renewed("a routing protocol took it");
    router.manager.release(igmp, v4(1)).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2]), "IGMP does not matter beside a routing protocol");
    router.manager.take(igmp, v4(1)).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
    router.manager.release(q, v4(1)).unwrap();
    renewed("IGMP alone again");
    router.manager.release(igmp, v4(1)).unwrap();
    assert_eq!(router.outgoing(FLOW), None);
}

#[test]
fn groups_of_link_local_scope_are_joined_but_never_forwarded() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 224.0.0.251");
    router.join(p, 2, "* *");
    let not_forwarded = |what: &str| router.new_flow(what) == Err(NewFlowError::NotForwarded(flow(what)));
    assert!(not_forwarded("192.0.2.7 224.0.0.1"));
    assert!(not_forwarded("192.0.2.7 224.0.0.251"));
    assert!(!not_forwarded("192.0.2.7 224.0.1.1"));
    for scope in 0..=0xF {
        assert_eq!(not_forwarded(&format!("2001:db8::7 ff0{scope:x}::1")), scope <= 2, "scope {scope}");
    }
    assert!(not_forwarded("2001:db8::7 ff32::1"), "flags are not part of the scope");
}

#[test]
fn a_forward_change_lasts_as_long_as_the_entry() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    router.add(p, 3, FLOW, StateChange::Forward).unwrap();
    router.delete(p, 2, FLOW, StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![3]));
    router.manager.flush_entries();
    assert_eq!(router.outgoing(FLOW), None);
    router.new_flow(FLOW).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
}

#[test]
fn replacing_an_entry_does_not_extend_its_lifetime() {
    let router = Router::new();
    let manager = &router.manager;
    let p = router.client(1, &[1, 2]);
    assert_eq!(manager.next_deadline(), None);
    manager.advance(Duration::from_secs(100));
    router.new_flow(FLOW).unwrap();
    assert_eq!(manager.next_deadline(), Some(Duration::from_secs(1000)));
    manager.advance(Duration::from_secs(500));
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow("192.0.2.8 239.1.1.1").unwrap();
    manager.advance(Duration::from_secs(1));
    manager.advance(Duration::from_millis(999_999));
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
    manager.advance(Duration::from_secs(1000));
    assert_eq!(router.outgoing(FLOW), None);
    assert_eq!(manager.next_deadline(), Some(Duration::from_secs(1400)));
    assert_eq!(router.memberships(), 1, "memberships do not age");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
}

#[test]
fn an_endless_lifetime_and_the_largest_time_work() {
    let router = Router::with(ManagerConfig::default().with_entry_lifetime(Duration::MAX));
    router.client(1, &[1]);
    router.manager.advance(Duration::from_secs(1));
    router.new_flow(FLOW).unwrap();
    router.manager.advance(Duration::MAX);
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
}

#[test]
fn a_flow_keeps_its_counts_over_the_lives_of_its_entries() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    let forwarding = router.manager.forwarding();
    let mut worker = forwarding.counters().worker();
    let mut count = || {
        router.new_flow(FLOW).unwrap();
        let number = forwarding.reader().lookup(&flow(FLOW)).unwrap().counter();
        worker.add(number, FlowCounter::Packets, 1);
        router.manager.entries()[0].totals.packets
    };
    assert_eq!(count(), 1);
    router.leave(p, 2, "* 239.1.1.1");
    assert_eq!(count(), 2, "replaced");
    router.manager.flush_entries();
    assert_eq!(count(), 3, "flushed");
    router.manager.advance(Duration::from_secs(900));
    assert_eq!(count(), 4, "timed out");
    router.manager.release(p, v4(1)).unwrap();
    router.manager.take(p, v4(1)).unwrap();
    assert_eq!(count(), 5, "its incoming interface was released and taken");
}

#[test]
fn the_oldest_negative_entry_makes_room_for_a_new_one() {
    let router = Router::with(ManagerConfig::default().with_negative_entries(2));
    let p = router.client(1, &[1, 2]);
    let flows = ["192.0.2.1 239.1.1.1", "192.0.2.2 239.1.1.1", "192.0.2.3 239.1.1.1"];
    flows.iter().for_each(|what| assert_eq!(router.new_flow(what), Ok(FlowState::Negative)));
    assert_eq!(router.outgoing(flows[0]), None);
    assert_eq!(router.manager.entries().len(), 2);
    assert_eq!(router.manager.limit_counters().negative_evicted, 1);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(flows[0]).unwrap();
    assert_eq!(router.manager.entries().len(), 3, "active ones do not count");
    router.leave(p, 2, "* 239.1.1.1");
    assert_eq!(router.manager.entries().len(), 2, "until they turn negative");
}

#[test]
fn the_oldest_flow_without_entry_is_forgotten_with_its_counts() {
    let router = Router::with(ManagerConfig::default().with_remembered_flows(1));
    router.client(1, &[1]);
    let forwarding = router.manager.forwarding();
    let mut worker = forwarding.counters().worker();
    for what in ["192.0.2.1 239.1.1.1", "192.0.2.2 239.1.1.1"] {
        router.new_flow(what).unwrap();
        worker.add(forwarding.reader().lookup(&flow(what)).unwrap().counter(), FlowCounter::NoReceivers, 1);
        router.manager.flush_entries();
    }
    for what in ["192.0.2.1 239.1.1.1", "192.0.2.2 239.1.1.1"] {
        router.new_flow(what).unwrap();
    }
    let counts: Vec<u64> = router.manager.entries().iter().map(|entry| entry.totals.no_receivers).collect();
    assert_eq!(counts, [0, 1]);
    assert_eq!(router.manager.limit_counters().flows_forgotten, 1);
}

#[test]
fn remembered_flows_are_forgotten_only_if_that_makes_room() {
    let router = Router::with(ManagerConfig::default().with_entries(2));
    router.client(1, &[1]);
    let flows = ["192.0.2.1 239.1.1.1", "192.0.2.2 239.1.1.1", "192.0.2.3 239.1.1.1", "192.0.2.4 239.1.1.1"];
    flows[..2].iter().for_each(|what| assert_eq!(router.new_flow(what), Ok(FlowState::Negative)));
    router.manager.flush_entries();
    assert_eq!(router.new_flow(flows[2]), Ok(FlowState::Negative));
    assert_eq!(router.manager.limit_counters().flows_forgotten, 1, "the oldest of the two");
    let forwarding = router.manager.forwarding_table();
    let number = forwarding.alloc_counter();
    assert!(number.is_err(), "every counter is in use");
    router.new_flow(flows[1]).unwrap();
    assert_eq!(router.new_flow(flows[3]), Err(NewFlowError::Full(flow(flows[3]))));
    assert_eq!(
        router.manager.limit_counters().flows_forgotten,
        1,
        "the table had no room for an entry either"
    );
}

#[test]
fn a_full_forwarding_table_refuses_a_flow_and_keeps_the_rest() {
    let router = Router::with(ManagerConfig::default().with_entries(2));
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* *");
    router.new_flow("192.0.2.1 239.1.1.1").unwrap();
    router.new_flow("192.0.2.2 239.1.1.1").unwrap();
    let before = router.manager.entries();
    let third = "192.0.2.3 239.1.1.1";
    assert_eq!(router.new_flow(third), Err(NewFlowError::Full(flow(third))));
    assert_eq!(router.manager.entries(), before);
    assert_eq!(router.manager.next_deadline(), Some(Duration::from_secs(900)));
}

#[test]
fn flows_published_by_others_are_left_alone() {
    let router = Router::new();
    router.client(1, &[1]);
    let forwarding = router.manager.forwarding_table();
    let number = forwarding.alloc_counter().unwrap();
    forwarding.publish(NewEntry::new(flow(FLOW), number, None, &[])).unwrap();
    assert_eq!(router.new_flow(FLOW), Err(NewFlowError::Foreign(flow(FLOW))));
    assert_eq!(router.manager.entries(), []);
    router.manager.flush_entries();
    assert!(forwarding.reader().lookup(&flow(FLOW)).is_some());
    forwarding.withdraw(&flow(FLOW));
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
}

#[test]
fn an_entry_withdrawn_by_others_is_created_again() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.new_flow(FLOW).unwrap();
    router.manager.forwarding_table().withdraw(&flow(FLOW));
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    router.manager.forwarding_table().withdraw(&flow(FLOW));
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
}
