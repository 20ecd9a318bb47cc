//! Memberships: which clients may change them, and their effect on entries.

use crate::support::router::*;
use mgm::forwarding::Family;
use mgm::handle::Handle;
use mgm::manager::{FlowState, Interface, ManagerConfig, Membership, MembershipError, StateChange};

const FLOW: &str = "192.0.2.7 239.1.1.1";

#[test]
fn only_the_owner_changes_memberships_of_an_interface() {
    let router = Router::new();
    let (p, q) = (router.client(1, &[2]), router.client(2, &[3]));
    for call in [Router::add, Router::delete] {
        let call = |client, n| call(&router, client, n, "* 239.1.1.1", StateChange::Join);
        assert_eq!(call(p, 3), Err(MembershipError::NotOwner(v4(3))));
        assert_eq!(call(p, 4), Err(MembershipError::NotTaken(v4(4))), "never taken");
        assert_eq!(call(Handle::STALE, 2), Err(MembershipError::Stale));
        assert_eq!(call(p, 2), Ok(()));
    }
    router.manager.release(q, v4(3)).unwrap();
    assert_eq!(router.add(q, 3, "* 239.1.1.1", StateChange::Join), Err(MembershipError::NotTaken(v4(3))));
    assert_eq!(router.memberships(), 0);
}

#[test]
fn igmp_and_the_routing_protocol_own_their_roles_only() {
    let router = Router::new();
    let (p, igmp) = (router.client(1, &[2]), router.igmp(&[3]));
    assert_eq!(router.add(igmp, 2, "* 239.1.1.1", StateChange::Join), Err(MembershipError::NotTaken(v4(2))));
    assert_eq!(router.add(p, 3, "* 239.1.1.1", StateChange::Join), Err(MembershipError::NotTaken(v4(3))));
}

#[test]
fn a_membership_has_the_family_of_its_interface() {
    let router = Router::new();
    let p = router.client(1, &[2]);
    let v6 = Membership::any_source("ff0e::1".parse().unwrap()).unwrap();
    let everything = Membership::everything(Family::V6);
    for membership in [v6, everything] {
        assert_eq!(
            router.manager.add_membership(p, v4(2), membership, StateChange::Join),
            Err(MembershipError::FamiliesDiffer(v4(2)))
        );
    }
}

#[test]
fn adding_twice_and_deleting_twice_succeed() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    for _ in 0..2 {
        router.join(p, 2, "* 239.1.1.1");
        assert_eq!(router.memberships(), 1);
    }
    for _ in 0..2 {
        router.leave(p, 2, "* 239.1.1.1");
        assert_eq!(router.memberships(), 0);
    }
}

#[test]
fn a_full_membership_table_refuses_one_more_and_loses_none() {
    let router = Router::with(ManagerConfig::default().with_memberships(2));
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    router.join(p, 2, "* 239.1.1.2");
    assert_eq!(router.add(p, 2, "* 239.1.1.3", StateChange::Join), Err(MembershipError::TooMany(2)));
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.memberships(), 2);
    router.leave(p, 2, "* 239.1.1.2");
    router.join(p, 2, "* 239.1.1.3");
}

#[test]
fn entries_follow_joins_and_leaves_of_every_kind() {
    for wanted in ["192.0.2.7 239.1.1.1", "* 239.1.1.1", "* *"] {
        let router = Router::new();
        let p = router.client(1, &[1, 2]);
        assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
        router.join(p, 2, wanted);
        assert_eq!(router.outgoing(FLOW), Some(vec![2]), "{wanted}");
        assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
        router.leave(p, 2, wanted);
        assert_eq!(router.outgoing(FLOW), Some(vec![]), "{wanted}");
    }
}

#[test]
fn a_membership_does_not_affect_other_flows() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "192.0.2.8 239.1.1.1");
    router.join(p, 2, "* 239.1.1.2");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.manager.take(p, Interface::v6(2)).unwrap();
    let everything = Membership::everything(Family::V6);
    router.manager.add_membership(p, Interface::v6(2), everything, StateChange::Join).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
}

#[test]
fn an_interface_stays_outgoing_until_its_last_membership_ends() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    let wanted = ["192.0.2.7 239.1.1.1", "* 239.1.1.1", "* *"];
    wanted.iter().for_each(|m| router.join(p, 2, m));
    router.new_flow(FLOW).unwrap();
    for (n, m) in wanted.iter().enumerate() {
        assert_eq!(router.outgoing(FLOW), Some(vec![2]), "{n} of 3 are gone");
        router.leave(p, 2, m);
    }
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
}

#[test]
fn on_a_shared_interface_either_role_keeps_it_outgoing() {
    let router = Router::new();
    let (p, igmp) = (router.client(1, &[1, 2]), router.igmp(&[2]));
    router.join(p, 2, "* 239.1.1.1");
    router.join(igmp, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    router.leave(p, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
    router.join(p, 2, "* 239.1.1.1");
    router.leave(igmp, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
    router.manager.release(igmp, v4(2)).unwrap();
    assert_eq!(
        router.outgoing(FLOW),
        Some(vec![2]),
        "IGMP's release does not affect the routing protocol's role"
    );
}

#[test]
fn igmp_memberships_end_when_the_routing_protocol_changes() {
    let router = Router::new();
    let (p, igmp) = (router.client(1, &[1]), router.igmp(&[2]));
    router.join(igmp, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    router.manager.take(p, v4(2)).unwrap();
    assert_eq!(router.memberships(), 0, "a routing protocol took the interface");
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    router.join(igmp, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
    router.manager.release(p, v4(2)).unwrap();
    assert_eq!(router.memberships(), 0, "it released the interface");
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    assert!(router.manager.owner_of(v4(2)).is_ok(), "IGMP itself stays");
}

#[test]
fn memberships_do_not_survive_a_release_and_the_next_take() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    router.manager.release(p, v4(2)).unwrap();
    router.manager.take(p, v4(2)).unwrap();
    assert_eq!(router.memberships(), 0);
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
}

#[test]
fn a_forward_change_edits_existing_entries_only() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    router.add(p, 3, "* 239.1.1.1", StateChange::Forward).unwrap();
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative), "there was no entry to edit");
    router.add(p, 3, "* 239.1.1.1", StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![3]));
    assert_eq!(router.memberships(), 0);
    assert_eq!(
        router.new_flow("192.0.2.8 239.1.1.1"),
        Ok(FlowState::Negative),
        "nor is a later flow touched"
    );
}

#[test]
fn a_forward_delete_leaves_the_membership_and_the_other_role() {
    let router = Router::new();
    let (p, igmp) = (router.client(1, &[1, 2, 3]), router.igmp(&[2]));
    router.join(p, 2, "* 239.1.1.1");
    router.join(igmp, 2, "* 239.1.1.1");
    router.join(p, 3, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    router.delete(p, 3, "* *", StateChange::Forward).unwrap();
    router.delete(p, 2, FLOW, StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2]), "IGMP's role still has receivers");
    router.delete(igmp, 2, FLOW, StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    assert_eq!(router.memberships(), 3);
}

#[test]
fn the_last_action_wins() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    type Step = (&'static str, fn(&Router, Handle), Vec<u32>);
    let steps: [Step; 6] = [
        ("FORWARD delete", |r, p| r.delete(p, 2, FLOW, StateChange::Forward).unwrap(), vec![]),
        ("JOIN add of an existing membership", |r, p| r.join(p, 2, "* 239.1.1.1"), vec![2]),
        ("both deleted", |r, p| r.delete(p, 2, "* 239.1.1.1", StateChange::JoinAndForward).unwrap(), vec![]),
        ("FORWARD add", |r, p| r.add(p, 2, "* *", StateChange::Forward).unwrap(), vec![2]),
        ("JOIN delete of a missing membership", |r, p| r.leave(p, 2, FLOW), vec![]),
        ("both added", |r, p| r.add(p, 2, FLOW, StateChange::JoinAndForward).unwrap(), vec![2]),
    ];
    for (what, step, outgoing) in steps {
        step(&router, p);
        assert_eq!(router.outgoing(FLOW), Some(outgoing), "{what}");
    }
}

#[test]
fn walks_list_memberships_by_group_and_source() {
    let router = Router::new();
    let (p, igmp) = (router.client(1, &[2, 3]), router.igmp(&[2]));
    router.join(p, 3, "192.0.2.9 239.1.1.2");
    router.join(p, 2, "* 239.1.1.2");
    router.join(igmp, 2, "* 239.1.1.2");
    router.join(p, 3, "192.0.2.9 239.1.1.1");
    router.join(p, 3, "* *");
    let listed: Vec<String> = router
        .manager
        .memberships()
        .iter()
        .map(|m| format!("{} {} {}", m.membership, m.interface.index(), m.protocol.id == 1))
        .collect();
    assert_eq!(
        listed,
        [
            "(*, *) 3 true",
            "(192.0.2.9, 239.1.1.1) 3 true",
            "(*, 239.1.1.2) 2 true",
            "(*, 239.1.1.2) 2 false",
            "(192.0.2.9, 239.1.1.2) 3 true"
        ]
    );
}
