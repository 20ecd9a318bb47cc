//! The creation alert: the clients that are asked, and the effect of their answers.

use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{Client, CreationAlert, FlowState, GroupManager, NewFlowError, Protocol, StateChange};
use std::sync::{Arc, Mutex, Weak};

const FLOW: &str = "192.0.2.7 239.1.1.1";

#[test]
fn each_owner_of_outgoing_interfaces_is_asked_once() {
    let router = Router::new();
    let (p, q, igmp) = (Vetoing::new(&[]), Vetoing::new(&[]), Vetoing::new(&[]));
    let bystander = Vetoing::new(&[]);
    let a = router.client_with(1, &[1, 2, 3], p.clone());
    let b = router.client_with(2, &[4], q.clone());
    router.client_with(3, &[5], bystander.clone());
    let g = router.igmp_with(&[3, 4, 6], igmp.clone());
    router.join(a, 2, "* 239.1.1.1");
    router.join(a, 3, "* 239.1.1.1");
    router.join(b, 4, "* *");
    router.join(g, 4, "* 239.1.1.1");
    router.join(g, 6, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    let asked = |interfaces: &[(u32, bool)]| {
        let interfaces = interfaces.iter().map(|(n, igmp)| (v4(*n), *igmp)).collect();
        vec![(flow(FLOW), v4(1), interfaces)]
    };
    assert_eq!(p.asked(), asked(&[(2, false), (3, true)]));
    assert_eq!(q.asked(), asked(&[(4, true)]));
    assert_eq!(igmp.asked(), asked(&[(3, true), (4, true), (6, true)]));
    assert_eq!(bystander.asked(), [], "none of its interfaces would be outgoing");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(p.asked(), [], "an existing entry is not created again");
}

#[test]
fn no_client_is_asked_about_a_flow_without_receivers_or_route() {
    let router = Router::new();
    let client = Vetoing::new(&[]);
    let p = router.client_with(1, &[1, 2], client.clone());
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.join(p, 2, "* *");
    router.route("192.0.2.8", None);
    router.route("192.0.2.9", Some(v4(9)));
    assert_eq!(router.new_flow("192.0.2.8 239.1.1.1"), Ok(FlowState::Negative));
    assert_eq!(router.new_flow("192.0.2.9 239.1.1.1"), Ok(FlowState::Negative));
    assert_eq!(client.asked(), []);
}

#[test]
fn a_veto_of_igmp_removes_only_the_memberships_of_igmp() {
    let router = Router::new();
    let a = router.client_with(1, &[1, 2, 3], Vetoing::new(&[3]));
    let igmp = router.igmp_with(&[2, 3], Vetoing::new(&[2]));
    for n in [2, 3] {
        router.join(igmp, n, "* 239.1.1.1");
    }
    router.join(a, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    assert_eq!(
        router.outgoing(FLOW),
        Some(vec![2]),
        "the routing protocol's veto removes 3, though IGMP has receivers"
    );
    router.leave(a, 2, "* 239.1.1.1");
    assert_eq!(router.outgoing(FLOW), Some(vec![]), "IGMP's veto applied to its own role all the time");
}

#[test]
fn a_veto_holds_until_its_owner_joins_or_forwards_there() {
    let router = Router::new();
    let a = router.client_with(1, &[1, 2, 3, 4, 5], Vetoing::new(&[2, 3, 4, 5]));
    router.join(a, 2, "* 239.1.1.1");
    router.join(a, 3, "* 239.1.1.1");
    router.join(a, 4, "* 239.1.1.1");
    router.join(a, 5, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.leave(a, 2, "192.0.2.7 239.1.1.1");
    router.delete(a, 5, "192.0.2.7 239.1.1.1", StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![]), "a delete does not clear a veto");
    router.join(a, 3, "192.0.2.7 239.1.1.1");
    router.add(a, 4, "* *", StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![3, 4]));
}

#[test]
fn a_veto_lasts_as_long_as_its_entry() {
    let router = Router::new();
    let client = Vetoing::new(&[2]);
    let a = router.client_with(1, &[1, 2], client.clone());
    router.join(a, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![]));
    client.vetoed.lock().unwrap().clear();
    router.manager.flush_entries();
    router.new_flow(FLOW).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2]), "the owner is asked again about the next entry");
}

/// A client that calls the manager inside the alert.
struct Calling<F>(Mutex<Weak<GroupManager>>, F);

impl<F: Fn(&GroupManager, &mut CreationAlert<'_>) + Send + Sync> Client for Calling<F> {
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let manager = self.0.lock().unwrap().upgrade().unwrap();
        self.1(&manager, alert);
    }
}

fn calling(
    router: &Router,
    f: impl Fn(&GroupManager, &mut CreationAlert<'_>) + Send + Sync + 'static,
) -> Arc<dyn Client> {
    Arc::new(Calling(Mutex::new(Arc::downgrade(&router.manager)), f))
}

#[test]
fn a_veto_yields_to_later_calls_of_its_owner() {
    let router = Router::new();
    let own = Arc::new(Mutex::new(None));
    let handle = own.clone();
    let client = calling(&router, move |manager, alert| {
        let client: Handle = handle.lock().unwrap().unwrap();
        manager.add_membership(client, v4(2), membership(FLOW), StateChange::Join).unwrap();
        manager.delete_membership(client, v4(3), membership(FLOW), StateChange::Forward).unwrap();
        alert.outgoing_mut().iter_mut().for_each(|o| o.veto());
    });
    let p = router.client_with(1, &[1, 2, 3, 4], client);
    *own.lock().unwrap() = Some(p);
    for n in [2, 3, 4] {
        router.join(p, n, "* 239.1.1.1");
    }
    router.new_flow(FLOW).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2]), "2 joined since, 3 edited since, 4 vetoed");
    router.add(p, 3, FLOW, StateChange::Forward).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![2, 3]));
}

#[test]
fn every_function_works_inside_a_creation_alert() {
    let router = Router::new();
    let client = calling(&router, |manager, alert| {
        assert_eq!(manager.new_flow(alert.flow()), Err(NewFlowError::Building(alert.flow())));
        assert_eq!(manager.new_flow(flow("192.0.2.9 239.1.1.2")), Ok(FlowState::Negative));
        let other = manager.register(Protocol::new(9, 0), Arc::new(())).unwrap();
        manager.take(other, v4(9)).unwrap();
        manager.add_membership(other, v4(9), membership("* 239.1.1.1"), StateChange::JoinAndForward).unwrap();
        assert_eq!(manager.owner_of(v4(9)), Ok(Protocol::new(9, 0)));
        manager
            .delete_membership(other, v4(9), membership("* 239.1.1.1"), StateChange::JoinAndForward)
            .unwrap();
        manager.release(other, v4(9)).unwrap();
        manager.deregister(other).unwrap();
        assert_eq!(
            (manager.entries().len(), manager.memberships().len(), manager.clients().len()),
            (1, 1, 1)
        );
        assert!(manager.next_deadline().is_some());
        manager.advance(std::time::Duration::from_secs(1));
        manager.flush_entries();
        assert_eq!(manager.entries().len(), 0);
    });
    let p = router.client_with(1, &[1, 2], client);
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(router.manager.client_panics(), 0);
}

#[test]
fn an_interface_released_inside_the_alert_is_left_out() {
    let router = Router::new();
    let own = Arc::new(Mutex::new(None));
    let handle = own.clone();
    let client = calling(&router, move |manager, _| {
        manager.release(handle.lock().unwrap().unwrap(), v4(2)).unwrap();
    });
    let p = router.client_with(1, &[1, 2, 3], client);
    *own.lock().unwrap() = Some(p);
    router.join(p, 2, "* 239.1.1.1");
    router.join(p, 3, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    assert_eq!(router.outgoing(FLOW), Some(vec![3]));
}

#[test]
fn owners_are_asked_again_if_the_incoming_owner_changes() {
    let router = Router::new();
    let rounds = Arc::new(Mutex::new(0));
    let (seen, own) = (rounds.clone(), Arc::new(Mutex::new(None)));
    let handle = own.clone();
    let client = calling(&router, move |manager, alert| {
        *seen.lock().unwrap() += 1;
        if *seen.lock().unwrap() == 1 {
            // The first round vetoes; the second one does not.
            alert.outgoing_mut()[0].veto();
            let client = handle.lock().unwrap().unwrap();
            manager.release(client, v4(1)).unwrap();
            manager.take(client, v4(1)).unwrap();
        }
    });
    let p = router.client_with(1, &[1, 2], client);
    *own.lock().unwrap() = Some(p);
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(*rounds.lock().unwrap(), 2);
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
}

#[test]
fn a_flow_is_given_up_while_its_incoming_owner_keeps_changing() {
    let router = Router::new();
    let changing = Arc::new(Mutex::new(true));
    let (keep_changing, own) = (changing.clone(), Arc::new(Mutex::new(None)));
    let handle = own.clone();
    let client = calling(&router, move |manager, _| {
        if *keep_changing.lock().unwrap() {
            let client = handle.lock().unwrap().unwrap();
            manager.release(client, v4(1)).unwrap();
            manager.take(client, v4(1)).unwrap();
        }
    });
    let p = router.client_with(1, &[1, 2], client);
    *own.lock().unwrap() = Some(p);
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Err(NewFlowError::Building(flow(FLOW))));
    assert_eq!(router.outgoing(FLOW), None);
    *changing.lock().unwrap() = false;
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
}

#[test]
fn an_alert_that_panics_counts_as_no_answer() {
    let router = Router::new();
    let client = calling(&router, |_, alert| {
        alert.outgoing_mut()[0].veto();
        panic!("a client may panic");
    });
    let p = router.client_with(1, &[1, 2], client);
    router.join(p, 2, "* 239.1.1.1");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
    assert_eq!(router.manager.client_panics(), 1);
}

#[test]
fn routes_that_panic_count_as_no_route() {
    let manager = GroupManager::new(Default::default(), Arc::new(|_| panic!("routes may panic"))).unwrap();
    assert_eq!(manager.new_flow(flow(FLOW)), Ok(FlowState::Negative));
    assert_eq!(manager.client_panics(), 1);
}

#[test]
fn a_client_that_deregistered_before_its_alert_is_not_asked() {
    let router = Router::new();
    let second = Arc::new(Mutex::new(None));
    let handle = second.clone();
    let client = calling(&router, move |manager, _| {
        let other = handle.lock().unwrap().unwrap();
        manager.release(other, v4(3)).unwrap();
        manager.deregister(other).unwrap();
    });
    let never = Vetoing::new(&[]);
    let p = router.client_with(1, &[1, 2], client);
    let q = router.client_with(2, &[3], never.clone());
    *second.lock().unwrap() = Some(q);
    router.join(p, 2, "* 239.1.1.1");
    router.join(q, 3, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    assert_eq!(never.asked(), []);
    assert_eq!(router.outgoing(FLOW), Some(vec![2]));
}
