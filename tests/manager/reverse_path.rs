//! The reverse path question about a new flow: the client that is asked, the arguments, and the answers that
//! count.

use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{
    Client, FlowRequest, FlowState, GroupManager, Interface, ReversePath, ReversePathQuestion, Route,
    StateChange,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

const FLOW: &str = "192.0.2.7 239.1.1.1";

/// The arguments of a question: the flow, the packet and the interface.
type Question = (String, Vec<u8>, Interface);

/// A client that answers reverse path questions and records them.
#[derive(Default)]
struct Answering {
    answer: Mutex<Option<ReversePath>>,
    asked: Mutex<Vec<Question>>,
    panics: AtomicBool,
    /// The action before the answer.
    action: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Answering {
    fn new(answer: Option<Interface>) -> Arc<Answering> {
        let answering = Answering::default();
        answering.set_answer(answer);
        Arc::new(answering)
    }

    fn set_answer(&self, answer: Option<Interface>) {
        *self.answer.lock().unwrap() = answer.map(ReversePath::through);
    }

    fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Client for Answering {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let asked = (question.flow().to_string(), question.packet().to_vec(), question.path().interface);
        self.asked.lock().unwrap().push(asked);
        if let Some(act) = self.action.get() {
            act();
        }
        if let Some(answer) = *self.answer.lock().unwrap() {
            question.set_path(answer);
        }
        assert!(!self.panics.load(Ordering::Relaxed), "the test asked for a panic");
    }
}

fn incoming(manager: &GroupManager) -> Option<Interface> {
    manager.entry(flow(FLOW)).unwrap().incoming
}

#[test]
fn only_the_owner_of_the_interface_to_the_source_is_asked() {
    let router = Router::new();
    let [there, elsewhere, igmp] = [(); 3].map(|()| Answering::new(None));
    router.client_with(1, &[1], there.clone());
    let q = router.client_with(2, &[2], elsewhere.clone());
    router.igmp_with(&[1, 2], igmp.clone());
    router.join(q, 2, "* 239.1.1.1");
    let packet = [0x45, 0, 0, 20];
    assert_eq!(
        router.manager.new_flow(FlowRequest::new(flow(FLOW)).with_packet(&packet)),
        Ok(FlowState::Active)
    );
    assert_eq!(there.asked(), [("(192.0.2.7, 239.1.1.1)".into(), packet.to_vec(), v4(1))]);
    assert_eq!(incoming(&router.manager), Some(v4(1)));
    router.manager.new_flow(FlowRequest::new(flow(FLOW)).with_packet(&packet)).unwrap();
    assert_eq!(there.asked(), [], "there is an entry");
    router.manager.flush_entries();
    router.new_flow(FLOW).unwrap();
    assert_eq!(there.asked(), [("(192.0.2.7, 239.1.1.1)".into(), vec![], v4(1))], "without a packet");
    assert_eq!((elsewhere.asked(), igmp.asked()), (vec![], vec![]));
}

#[test]
fn igmp_is_asked_where_it_is_the_only_owner() {
    let router = Router::new();
    let igmp = Answering::new(Some(v4(2)));
    let handle = router.igmp_with(&[1, 2], igmp.clone());
    router.new_flow(FLOW).unwrap();
    assert_eq!(igmp.asked().len(), 1);
    assert_eq!(incoming(&router.manager), Some(v4(2)));
    for source in [1, 2] {
        router.manager.release(handle, v4(source)).unwrap();
    }
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative), "known and free");
    router.route("192.0.2.8", Some(v4(77)));
    assert_eq!(router.new_flow("192.0.2.8 239.1.1.1"), Ok(FlowState::Negative), "unknown");
    router.route("192.0.2.9", None);
    assert_eq!(router.new_flow("192.0.2.9 239.1.1.1"), Ok(FlowState::Negative), "no route");
    assert_eq!(igmp.asked(), []);
}

#[test]
fn a_client_may_answer_with_another_interface_of_its_own() {
    let router = Router::new();
    let client = Answering::new(None);
    let p = router.client_with(1, &[1, 2, 3], client.clone());
    router.join(p, 1, "* 239.1.1.1");
    router.join(p, 3, "* 239.1.1.1");
    let neighbour = Some("198.51.100.1".parse().unwrap());
    let route = Some(Route { protocol: 13, network: "192.0.2.0".parse().unwrap(), prefix_length: 24 });
    *client.answer.lock().unwrap() =
        Some(ReversePath::through(v4(2)).with_neighbour(neighbour).with_route(route));
    router.new_flow(FLOW).unwrap();
    let record = router.manager.entry(flow(FLOW)).unwrap();
    assert_eq!((record.incoming, record.neighbour, record.route), (Some(v4(2)), neighbour, route));
    assert_eq!(router.outgoing(FLOW), Some(vec![1, 3]), "the interface of the route is an ordinary one");
    router.manager.release(p, v4(2)).unwrap();
    assert_eq!(router.outgoing(FLOW), None, "the entry depends on the interface of the answer");
}

#[test]
fn an_answer_with_an_interface_of_others_is_ignored() {
    let router = Router::new();
    let client = Answering::new(None);
    let p = router.client_with(1, &[1, 2], client.clone());
    router.manager.release(p, v4(2)).unwrap();
    router.manager.take(p, Interface::v6(1)).unwrap();
    router.client(2, &[3]);
    router.igmp(&[4]);
    for (wrong, why) in [
        (v4(2), "free"),
        (v4(3), "another's"),
        (v4(4), "IGMP's"),
        (v4(99), "unknown"),
        (Interface::v6(1), "its own interface in the other family"),
    ] {
        let neighbour = Some("198.51.100.1".parse().unwrap());
        *client.answer.lock().unwrap() =
            Some(ReversePath::through(wrong).with_neighbour(neighbour).with_route(None));
        router.new_flow(FLOW).unwrap();
        let record = router.manager.entry(flow(FLOW)).unwrap();
        assert_eq!((record.incoming, record.neighbour), (Some(v4(1)), None), "{why}");
        router.manager.flush_entries();
    }
    assert_eq!(client.asked().len(), 5);
}

#[test]
fn a_panic_counts_as_no_answer() {
    let router = Router::new();
    let client = Answering::new(Some(v4(2)));
    client.panics.store(true, Ordering::Relaxed);
    router.client_with(1, &[1, 2], client.clone());
    router.new_flow(FLOW).unwrap();
    assert_eq!(incoming(&router.manager), Some(v4(1)));
    assert_eq!(router.manager.client_panics(), 1);
}

/// Registers a client that action on the manager when it is asked.
fn acting(
    router: &Router,
    act: impl Fn(&GroupManager, Handle) + Send + Sync + 'static,
) -> (Arc<Answering>, Handle) {
    let client = Answering::new(None);
    let handle = router.client_with(1, &[1, 2], client.clone());
    let manager: Weak<GroupManager> = Arc::downgrade(&router.manager);
    let act = move || act(&manager.upgrade().unwrap(), handle);
    assert!(client.action.set(Box::new(act)).is_ok());
    (client, handle)
}

#[test]
fn the_manager_may_be_called_inside_the_question() {
    let router = Router::new();
    let (client, p) = acting(&router, |manager, p| {
        manager.add_membership(p, v4(2), membership("* 239.1.1.1"), StateChange::Join).unwrap();
        assert!(manager.new_flow(flow(FLOW)).is_err(), "the entry is being built");
        assert_eq!(manager.entry(flow(FLOW)), None);
        assert_eq!(manager.memberships().len(), 1);
    });
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!(client.asked().len(), 1);
    router.manager.release(p, v4(2)).unwrap();
}

#[test]
fn the_answer_of_a_client_that_deregisters_inside_is_ignored() {
    let router = Router::new();
    let (client, _) = acting(&router, |manager, p| {
        for n in [1, 2] {
            manager.release(p, v4(n)).unwrap();
        }
        manager.deregister(p).unwrap();
    });
    client.set_answer(Some(v4(2)));
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    assert_eq!(incoming(&router.manager), Some(v4(1)));
    assert_eq!(client.asked().len(), 1, "it is not asked again: the interface has no owner");
}

#[test]
fn a_new_owner_is_asked_when_ownership_changes_meanwhile() {
    let router = Router::new();
    let next = Answering::new(Some(v4(3)));
    let q = router.client_with(2, &[3], next.clone());
    let (first, _) = acting(&router, move |manager, p| {
        manager.release(p, v4(1)).unwrap();
        manager.take(q, v4(1)).unwrap();
    });
    router.new_flow(FLOW).unwrap();
    assert_eq!((first.asked().len(), next.asked().len()), (1, 1));
    assert_eq!(incoming(&router.manager), Some(v4(3)));
}
