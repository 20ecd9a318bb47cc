//! New flows: what becomes of a packet that meets no entry.

mod common;

use common::*;
use mgm::manager::{Effect, FlowState, NewFlowError};

#[test]
fn an_entry_copies_to_every_interface_with_a_membership_that_covers_the_flow() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3, 4]);
    router.join(p, 2, "* 239.1.1.1");
    router.join(p, 3, "192.0.2.7 239.1.1.1");
    router.join(p, 4, "* *");
    assert_eq!(router.new_flow("192.0.2.7 239.1.1.1"), Ok(FlowState::Active));
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), Some(vec![2, 3, 4]));
    assert_eq!(router.new_flow("192.0.2.8 239.1.1.1"), Ok(FlowState::Active));
    assert_eq!(router.outgoing("192.0.2.8 239.1.1.1"), Some(vec![2, 4]));
}

#[test]
fn the_incoming_interface_is_never_an_outgoing_one() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 1, "* 239.1.1.1");
    assert_eq!(router.new_flow("192.0.2.7 239.1.1.1"), Ok(FlowState::Negative));
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), Some(vec![2]));
}

#[test]
fn a_released_interface_is_out_of_every_entry() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow("192.0.2.7 239.1.1.1").unwrap();
    router.manager.release(p, v4(2)).unwrap();
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), Some(vec![]));
    router.manager.release(p, v4(1)).unwrap();
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), None, "its packets have nowhere to arrive");
    router.manager.deregister(p).unwrap();
}

#[test]
fn link_local_groups_are_joined_but_never_forwarded() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* 224.0.0.251");
    assert_eq!(
        router.new_flow("192.0.2.7 224.0.0.251"),
        Err(NewFlowError::NotForwarded(flow("192.0.2.7 224.0.0.251")))
    );
}

#[test]
fn a_forward_change_lasts_as_long_as_the_entry() {
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow("192.0.2.7 239.1.1.1").unwrap();
    router.add(p, 3, "192.0.2.7 239.1.1.1", Effect::Forward).unwrap();
    router.delete(p, 2, "192.0.2.7 239.1.1.1", Effect::Forward).unwrap();
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), Some(vec![3]));
    router.manager.flush_entries();
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), None);
    router.new_flow("192.0.2.7 239.1.1.1").unwrap();
    assert_eq!(router.outgoing("192.0.2.7 239.1.1.1"), Some(vec![2]));
}
