//! Limits: traffic on one interface leaves room for the others. Each limit is reached, counted, and left
//! again.

use crate::support::router::*;
use mgm::forwarding::Flow;
use mgm::manager::{
    Client, FlowRequest, FlowState, GroupManager, Interface, ManagerConfig, MembershipError, NewFlowError,
    StateChange, Upcall, WrongInterfaceAlert,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Returns a flow with a source behind interface `n` (see [`router`]).
fn from(n: u8, source: u8) -> Flow {
    Flow::new([10, n, 0, source].into(), [239, 1, 1, 1].into()).unwrap()
}

/// Makes a router with sources 10.n.0.x behind interface n and a (*,*) membership on interface 9.
fn router(config: ManagerConfig) -> Router {
    let router = Router::with(config);
    let p = router.client(1, &[1, 2, 3, 9]);
    router.join(p, 9, "* *");
    for (n, source) in (1..=3_u8).flat_map(|n| (0..50).map(move |source| (n, source))) {
        router.route(&format!("10.{n}.0.{source}"), Some(v4(n.into())));
    }
    router
}

fn flows_of(manager: &GroupManager, n: u8) -> Vec<u8> {
    let sources = manager.entries().into_iter().map(|entry| entry.flow.source());
    let octets = sources.map(|source| match source {
        std::net::IpAddr::V4(source) => source.octets(),
        std::net::IpAddr::V6(_) => unreachable!(),
    });
    octets.filter(|octets| octets[1] == n).map(|octets| octets[3]).collect()
}

#[test]
fn memberships_of_one_interface_leave_room_for_the_others() {
    let config = ManagerConfig::default().with_memberships_per_interface(2).with_memberships(5);
    let router = Router::with(config);
    let (p, igmp) = (router.client(1, &[1, 2, 3]), router.igmp(&[2]));
    let refused = || router.manager.limit_counters().memberships_refused;
    router.join(p, 2, "* 239.1.1.1");
    router.join(p, 2, "* 239.1.1.2");
    assert_eq!(router.add(p, 2, "* 239.1.1.3", StateChange::Join), Err(MembershipError::TooMany(2)));
    assert_eq!(refused(), 1);
    router.join(p, 2, "* 239.1.1.2");
    router.add(p, 2, "* 239.1.1.3", StateChange::Forward).unwrap();
    assert_eq!(refused(), 1, "existing memberships and FORWARD need no room");

    router.join(p, 3, "* 239.1.1.3");
    router.join(igmp, 2, "* 239.1.1.3");
    router.join(igmp, 2, "* 239.1.1.4");
    assert_eq!(router.memberships(), 5, "another interface has room, and so has the other role here");
    assert_eq!(router.add(p, 3, "* 239.1.1.4", StateChange::Join), Err(MembershipError::TooMany(5)));
    assert_eq!(refused(), 2);

    router.leave(p, 2, "* 239.1.1.1");
    router.join(p, 2, "* 239.1.1.3");
    assert_eq!(router.add(p, 2, "* 239.1.1.1", StateChange::Join), Err(MembershipError::TooMany(2)));
    router.manager.release(p, v4(2)).unwrap();
    router.manager.take(p, v4(2)).unwrap();
    for what in ["* 239.1.1.5", "* 239.1.1.6"] {
        router.join(p, 2, what);
    }
    assert_eq!(router.add(p, 2, "* 239.1.1.7", StateChange::Join), Err(MembershipError::TooMany(2)));
}

#[test]
fn entries_of_one_interface_leave_room_for_the_others() {
    let router = router(ManagerConfig::default().with_entries_per_interface(3));
    let manager = &router.manager;
    let refused = || manager.limit_counters().entries_refused_of_interface;
    (0..3).for_each(|n| assert_eq!(manager.new_flow(from(1, n)), Ok(FlowState::Active)));
    assert_eq!(manager.new_flow(from(1, 3)), Err(NewFlowError::Full(from(1, 3))));
    assert_eq!(refused(), 1);
    assert_eq!(manager.new_flow(from(1, 0)), Ok(FlowState::Active), "an existing entry needs no room");
    (0..3).for_each(|n| assert_eq!(manager.new_flow(from(2, n)), Ok(FlowState::Active)));
    assert_eq!(flows_of(manager, 1), [0, 1, 2]);

    // Room comes back when lifetimes end, at a flush, and when the interface changes owner.
    manager.advance(Duration::from_secs(900));
    (4..7).for_each(|n| assert_eq!(manager.new_flow(from(1, n)), Ok(FlowState::Active)));
    manager.flush_entries();
    (7..10).for_each(|n| assert_eq!(manager.new_flow(from(1, n)), Ok(FlowState::Active)));
    let p = manager.clients()[0].handle;
    manager.release(p, v4(1)).unwrap();
    manager.take(p, v4(1)).unwrap();
    (10..13).for_each(|n| assert_eq!(manager.new_flow(from(1, n)), Ok(FlowState::Active)));
    assert_eq!(refused(), 1);
    assert_eq!(manager.new_flow(from(1, 13)), Err(NewFlowError::Full(from(1, 13))));
}

/// Packets with sources behind another interface use up the room of the interface on which they arrive.
#[test]
fn spoofed_sources_use_up_the_room_of_their_arrival_interface() {
    let router = router(ManagerConfig::default().with_entries_per_interface(3));
    let manager = &router.manager;
    (0..3).for_each(|n| _ = manager.new_flow(FlowRequest::new(from(2, n)).with_arrival(v4(1))).unwrap());
    assert_eq!(
        manager.new_flow(FlowRequest::new(from(2, 3)).with_arrival(v4(1))),
        Err(NewFlowError::Full(from(2, 3)))
    );
    assert_eq!(
        manager.new_flow(FlowRequest::new(from(1, 3)).with_arrival(v4(1))),
        Err(NewFlowError::Full(from(1, 3)))
    );
    assert_eq!(manager.limit_counters().entries_refused_of_interface, 2);
    (3..6).for_each(|n| {
        assert_eq!(manager.new_flow(FlowRequest::new(from(2, n)).with_arrival(v4(2))), Ok(FlowState::Active))
    });
    // Packets without a route, from an interface that was never taken, do not either.
    let lost = |n: u8| Flow::new([172, 16, 0, n].into(), [239, 1, 1, 1].into()).unwrap();
    (0..4).for_each(|n| router.route(&format!("172.16.0.{n}"), None));
    (0..3).for_each(|n| {
        assert_eq!(manager.new_flow(FlowRequest::new(lost(n)).with_arrival(v4(77))), Ok(FlowState::Negative))
    });
    assert_eq!(
        manager.new_flow(FlowRequest::new(lost(3)).with_arrival(v4(77))),
        Err(NewFlowError::Full(lost(3)))
    );
    assert_eq!(manager.new_flow(FlowRequest::new(from(3, 1)).with_arrival(v4(3))), Ok(FlowState::Active));
}

#[test]
fn negative_entries_of_one_interface_make_room_among_themselves() {
    let config = ManagerConfig::default().with_negative_entries_per_interface(2).with_negative_entries(4);
    let router = router(config);
    let manager = &router.manager;
    let p = manager.clients()[0].handle;
    router.leave(p, 9, "* *");
    let new_flows = |n: u8, sources: std::ops::Range<u8>| {
        sources.for_each(|source| assert_eq!(manager.new_flow(from(n, source)), Ok(FlowState::Negative)));
    };
    new_flows(2, 0..2);
    new_flows(1, 0..20);
    assert_eq!((flows_of(manager, 1), flows_of(manager, 2)), (vec![18, 19], vec![0, 1]));
    assert_eq!(manager.limit_counters().negative_evicted, 18);
    router.join(p, 9, "10.1.0.18 239.1.1.1");
    new_flows(1, 20..21);
    assert_eq!(flows_of(manager, 1), [18, 19, 20], "an entry that became active no longer counts");
    assert_eq!(manager.limit_counters().negative_evicted, 18);
    new_flows(3, 0..1);
    assert_eq!(flows_of(manager, 2), [1], "the oldest of all makes room");
    router.leave(p, 9, "10.1.0.18 239.1.1.1");
    assert_eq!(flows_of(manager, 1), [18, 20], "an entry that became negative counts again");
}

#[test]
fn upcalls_of_one_interface_leave_room_for_the_others() {
    let router = router(ManagerConfig::default().with_upcalls_per_interface(2));
    let manager = &router.manager;
    let bring = |n: u8, source: u8| manager.upcall(from(n, source), v4(n.into()), &[]);
    assert_eq!(
        [0, 1, 2, 3].map(|source| bring(1, source))[1..],
        [Upcall::Queued, Upcall::Refused, Upcall::Refused]
    );
    assert_eq!(bring(1, 0), Upcall::Waiting);
    assert_eq!(manager.limit_counters().upcalls_refused, 2);
    assert_eq!([0, 1, 2].map(|source| bring(2, source)), [Upcall::Queued, Upcall::Queued, Upcall::Refused]);
    assert_eq!(manager.upcall(from(2, 2), v4(77), &[]), Upcall::Queued, "unknown interfaces share one quota");
    assert_eq!(manager.upcall(from(2, 3), v4(78), &[]), Upcall::Queued);
    assert_eq!(manager.upcall(from(2, 4), v4(79), &[]), Upcall::Refused);
    assert_eq!(manager.process_upcalls(1), 1);
    assert_eq!([2, 3].map(|source| bring(1, source)), [Upcall::Queued, Upcall::Refused]);
    assert_eq!(manager.process_upcalls(usize::MAX), 6);
    assert_eq!([4, 5, 6].map(|source| bring(1, source)), [Upcall::Queued, Upcall::Queued, Upcall::Refused]);
    assert_eq!([77, 78].map(|n| manager.upcall(from(3, n as u8 - 70), v4(n), &[])), [Upcall::Queued; 2]);
}

/// An entry created by an upcall counts for the interface on which its packet arrived.
#[test]
fn entries_made_by_upcalls_count_for_the_arrival_interface() {
    let router = router(ManagerConfig::default().with_entries_per_interface(2));
    let manager = &router.manager;
    (0..3).for_each(|n| assert_eq!(manager.upcall(from(2, n), v4(1), &[]), Upcall::Queued));
    manager.process_upcalls(usize::MAX);
    assert_eq!(flows_of(manager, 2), [0, 1]);
    assert_eq!(manager.limit_counters().entries_refused_of_interface, 1);
    assert_eq!(manager.new_flow(from(2, 2)), Ok(FlowState::Active));
}

/// A client that asks for wrong-interface alerts.
#[derive(Default)]
struct Watching {
    alerted: Mutex<Vec<Interface>>,
}

impl Client for Watching {
    fn wants_wrong_interface(&self) -> bool {
        true
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        self.alerted.lock().unwrap().push(alert.arrival());
    }
}

#[test]
fn wrong_interface_packets_of_one_interface_leave_room() {
    let router = router(ManagerConfig::default().with_upcalls_per_interface(2));
    let manager = &router.manager;
    let watching = Arc::new(Watching::default());
    router.client_with(2, &[5, 6], watching.clone());
    let bring = |arrival: u32, source: u8| manager.wrong_interface(from(1, source), v4(arrival), &[]);
    assert_eq!([0, 1, 2].map(|source| bring(5, source)), [true, true, false]);
    assert_eq!(manager.limit_counters().wrong_interface_refused, 1);
    assert_eq!([10, 11].map(|source| bring(6, source)), [true; 2]);
    assert_eq!(manager.process_upcalls(usize::MAX), 4);
    assert_eq!(*watching.alerted.lock().unwrap(), [5, 5, 6, 6].map(v4));
    assert!(!bring(5, 2), "the interval has not passed");
    manager.advance(Duration::from_secs(3));
    assert_eq!(manager.process_upcalls(usize::MAX), 0);
    assert_eq!([2, 3, 4].map(|source| bring(5, source)), [true, true, false]);
}

#[test]
fn invalid_limits_are_refused_by_name() {
    let usual = ManagerConfig::default;
    let refused = |config: ManagerConfig| GroupManager::new(config, Arc::new(|_| None)).unwrap_err().field;
    for (config, field) in [
        (usual().with_memberships_per_interface(0), "memberships_per_interface"),
        (usual().with_entries_per_interface(0), "entries_per_interface"),
        (usual().with_negative_entries_per_interface(0), "negative_entries_per_interface"),
        (usual().with_upcalls_per_interface(0), "upcalls_per_interface"),
        (usual().with_upcalls_per_interface(1 << 21), "upcalls_per_interface"),
    ] {
        assert_eq!(refused(config), field);
    }
}
