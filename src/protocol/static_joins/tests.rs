//! Entries with prefixes beside joins.

use super::*;
use crate::forwarding::Flow;
use crate::manager::{FlowState, ManagerConfig, ReversePath};
use std::time::Duration;

const UP: Interface = Interface::v4(1);
const LAN: Interface = Interface::v4(2);
const LAB: Interface = Interface::v4(3);

/// A manager with routes to interface 1 alone, and a client that owns all three interfaces.
fn router(limit: usize) -> (Arc<GroupManager>, StaticJoins) {
    let routes = |_| Some(ReversePath::through(UP));
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
    let client = StaticJoins::with_component(manager.clone(), 3, limit).unwrap();
    for interface in [UP, LAN, LAB] {
        client.take(interface).unwrap();
    }
    (manager, client)
}

fn entry(source: &str, group: &str, outgoing: &[Interface]) -> StaticEntry {
    StaticEntry {
        source: source.parse().unwrap(),
        group: group.parse().unwrap(),
        incoming: UP,
        outgoing: outgoing.to_vec(),
    }
}

fn flow(source: &str, group: &str) -> Flow {
    Flow::new(source.parse().unwrap(), group.parse().unwrap()).unwrap()
}

fn outgoing(manager: &GroupManager, flow: Flow) -> Vec<Interface> {
    let entry = manager.entry(flow).expect("the flow has an entry");
    entry.outgoing.iter().map(|outgoing| outgoing.interface).collect()
}

#[test]
fn an_entry_with_prefixes_forwards_the_flows_it_covers() {
    let (manager, client) = router(8);
    client.set_entries(vec![entry("10.0.0.0/8", "239.1.0.0/16", &[LAN, LAB])]);
    let covered = flow("10.2.3.4", "239.1.9.9");
    assert_eq!(manager.new_flow(covered), Ok(FlowState::Active));
    assert_eq!(outgoing(&manager, covered), [LAN, LAB]);
    for other in [flow("11.0.0.1", "239.1.9.9"), flow("10.2.3.4", "239.2.0.1")] {
        assert_eq!(manager.new_flow(other), Ok(FlowState::Negative));
    }
    assert_eq!(client.flows(), StaticFlows { flows: 1, refused: 0, failed: 0 });
}

#[test]
fn the_most_specific_entry_decides() {
    let (manager, client) = router(8);
    client.set_entries(vec![
        entry("0.0.0.0/0", "239.0.0.0/8", &[LAN]),
        entry("10.0.0.0/8", "239.1.1.1/32", &[LAB]),
        entry("0.0.0.0/0", "239.1.1.1/32", &[LAN, LAB]),
    ]);
    let cases = [("10.1.1.1", "239.1.1.1", &[LAB][..]), ("11.1.1.1", "239.1.1.1", &[LAN, LAB])];
    for (source, group, expected) in cases {
        manager.new_flow(flow(source, group)).unwrap();
        assert_eq!(outgoing(&manager, flow(source, group)), expected);
    }
}

#[test]
fn flows_follow_changed_entries() {
    let (manager, client) = router(8);
    let (first, second) = (flow("10.1.1.1", "239.1.1.1"), flow("10.1.1.1", "239.2.2.2"));
    client.set_entries(vec![entry("0.0.0.0/0", "239.1.0.0/16", &[LAN])]);
    assert_eq!(
        [first, second].map(|flow| manager.new_flow(flow).unwrap()),
        [FlowState::Active, FlowState::Negative]
    );
    client.set_entries(vec![entry("0.0.0.0/0", "239.2.0.0/16", &[LAB])]);
    assert_eq!(outgoing(&manager, first), []);
    assert_eq!(outgoing(&manager, second), [LAB], "a negative entry gains its first interface");
    client.set_entries(Vec::new());
    assert!(manager.memberships().is_empty());
    assert_eq!(client.flows().flows, 0);
}

#[test]
fn a_join_outlives_the_entry_of_its_flow() {
    let (manager, client) = router(8);
    let flow = flow("10.1.1.1", "239.1.1.1");
    let join = Membership::OneSource(flow);
    client.join(LAN, join).unwrap();
    client.set_entries(vec![entry("0.0.0.0/0", "239.0.0.0/8", &[LAN, LAB])]);
    manager.new_flow(flow).unwrap();
    client.set_entries(Vec::new());
    assert_eq!(outgoing(&manager, flow), [LAN]);
    client.leave(LAN, join).unwrap();
    assert_eq!(outgoing(&manager, flow), []);
}

#[test]
fn a_leave_does_not_end_what_an_entry_forwards() {
    let (manager, client) = router(8);
    let flow = flow("10.1.1.1", "239.1.1.1");
    client.set_entries(vec![entry("0.0.0.0/0", "239.0.0.0/8", &[LAN])]);
    manager.new_flow(flow).unwrap();
    client.join(LAN, Membership::OneSource(flow)).unwrap();
    client.leave(LAN, Membership::OneSource(flow)).unwrap();
    assert_eq!(outgoing(&manager, flow), [LAN]);
}

#[test]
fn flows_end_with_their_entries_and_the_limit_holds() {
    let (manager, client) = router(2);
    client.set_entries(vec![entry("0.0.0.0/0", "239.0.0.0/8", &[LAN])]);
    let flows = ["239.0.0.1", "239.0.0.2", "239.0.0.3"].map(|group| flow("10.1.1.1", group));
    let states = flows.map(|flow| manager.new_flow(flow).unwrap());
    assert_eq!(states, [FlowState::Active, FlowState::Active, FlowState::Negative]);
    assert_eq!(client.flows(), StaticFlows { flows: 2, refused: 1, failed: 0 });
    assert_eq!(client.forget_ended_flows(), 0, "their entries exist");
    manager.advance(Duration::from_secs(901));
    assert_eq!((client.forget_ended_flows(), client.forget_ended_flows()), (0, 2));
    assert!(manager.memberships().is_empty());
    assert_eq!(manager.new_flow(flows[2]), Ok(FlowState::Active));
}

#[test]
fn instances_with_other_components_stand_side_by_side() {
    let (manager, first) = router(2);
    let second = StaticJoins::with_component(manager.clone(), 4, 2).unwrap();
    assert!(StaticJoins::with_component(manager.clone(), 4, 2).is_err(), "registered already");
    assert!(matches!(second.take(LAN), Err(TakeError::Owned(LAN))));
    first.release(LAN).unwrap();
    second.take(LAN).unwrap();
    assert_eq!(manager.owner_of(LAN).unwrap().component, 4);
}
