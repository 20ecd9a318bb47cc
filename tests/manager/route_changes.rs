//! Route changes while entries exist.

use crate::support::router::*;
use mgm::manager::{
    Client, FlowState, GroupManager, Interface, ManagerConfig, Protocol, ReversePath, ReversePathQuestion,
    Route,
};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

const FLOW: &str = "192.0.2.7 239.1.1.1";

fn incoming(router: &Router, what: &str) -> Option<Interface> {
    router.manager.entry(flow(what)).and_then(|entry| entry.incoming)
}

#[test]
fn entries_with_a_changed_route_end_and_are_created_again() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 1, "* *");
    router.join(p, 2, "* *");
    let others = ["192.0.2.8 239.1.1.1", "198.51.100.1 239.1.1.2", "2001:db8::1 ff0e::1"];
    for what in [&[FLOW][..], &["192.0.2.7 239.1.1.9"], &others].concat() {
        router.new_flow(what).unwrap();
    }
    assert_eq!(router.manager.routes_changed(|_| true), 0, "nothing has changed");
    router.route("192.0.2.7", Some(v4(2)));
    router.route("192.0.2.8", Some(v4(2)));
    assert_eq!(incoming(&router, FLOW), Some(v4(1)), "`routes_changed` was not called yet");
    let source: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(router.manager.routes_changed(|s| s == source), 2, "both flows of the source");
    assert_eq!(router.outgoing(FLOW), None);
    assert_eq!(incoming(&router, others[0]), Some(v4(1)), "the filter excludes it");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    assert_eq!((incoming(&router, FLOW), router.outgoing(FLOW)), (Some(v4(2)), Some(vec![1])));
    assert_eq!(router.manager.routes_changed(|_| true), 1);
    assert_eq!(router.manager.entries().len(), 3);
}

#[test]
fn entries_of_one_network_follow_its_route() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* *");
    // More than a page of each source.
    let sources = ["192.0.2.7", "192.0.2.8", "192.0.3.1"];
    for (source, n) in sources.into_iter().flat_map(|source| (0..300).map(move |n| (source, n))) {
        router.new_flow(&format!("{source} 239.1.{}.{}", n / 250, n % 250)).unwrap();
    }
    sources.iter().for_each(|source| router.route(source, Some(v4(2))));
    let changed = |network: &str, bits| router.manager.routes_changed_in(network.parse().unwrap(), bits);
    assert_eq!(changed("192.0.2.9", 32), 0);
    assert_eq!(changed("::", 0), 0);
    assert_eq!(changed("192.0.2.8", 32), 300);
    assert_eq!(changed("192.0.2.0", 24), 300);
    assert_eq!(incoming(&router, "192.0.3.1 239.1.0.1"), Some(v4(1)), "of another network");
    assert_eq!(changed("192.0.2.0", 23), 300);
    assert_eq!(router.manager.entries().len(), 0);
}

#[test]
fn entries_end_when_their_route_appears_or_disappears() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    router.join(p, 2, "* *");
    router.route("192.0.2.7", None);
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.route("192.0.2.7", Some(v4(77)));
    assert_eq!(router.manager.routes_changed(|_| true), 1, "to an interface that was never taken");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.route("192.0.2.7", Some(v4(1)));
    assert_eq!(router.manager.routes_changed(|_| true), 1);
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
    router.route("192.0.2.7", Some(Interface::v6(1)));
    assert_eq!(router.manager.routes_changed(|_| true), 1, "a route of another family is none");
    assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
    router.route("192.0.2.7", None);
    assert_eq!(router.manager.routes_changed(|_| true), 0, "there is still no route");
}

/// A client that answers interface 2 for every flow.
struct AnswersTwo;

impl Client for AnswersTwo {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        question.set_path(question.path().with_interface(v4(2)));
    }
}

#[test]
fn routes_are_compared_with_routes_not_with_answers() {
    let router = Router::new();
    router.client_with(1, &[1, 2, 3], Arc::new(AnswersTwo));
    router.new_flow(FLOW).unwrap();
    assert_eq!(incoming(&router, FLOW), Some(v4(2)));
    assert_eq!(router.manager.routes_changed(|_| true), 0);
    router.route("192.0.2.7", Some(v4(2)));
    assert_eq!(router.manager.routes_changed(|_| true), 1, "the owner has to be asked again");
}

#[test]
fn neighbour_and_route_of_an_entry_follow_the_routes() {
    let path: Arc<Mutex<ReversePath>> = Arc::new(Mutex::new(ReversePath::through(v4(1))));
    let routes = path.clone();
    let lookup = move |_| Some(*routes.lock().unwrap());
    let manager = GroupManager::new(ManagerConfig::default(), Arc::new(lookup)).unwrap();
    let p = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    manager.take(p, v4(1)).unwrap();
    manager.new_flow(flow(FLOW)).unwrap();
    let shown = || {
        let entry = manager.entry(flow(FLOW)).unwrap();
        (entry.neighbour, entry.route.map(|route| route.protocol))
    };
    let neighbour = |n: u8| Some(IpAddr::from([198, 51, 100, n]));
    let change = |n: u8| {
        let route = Route { protocol: n.into(), network: "192.0.2.0".parse().unwrap(), prefix_length: 24 };
        path.lock().unwrap().neighbour = neighbour(n);
        path.lock().unwrap().route = Some(route);
        assert_eq!(manager.routes_changed(|_| true), 0, "the incoming interface is the same");
    };
    assert_eq!(shown(), (None, None));
    change(1);
    assert_eq!(shown(), (neighbour(1), Some(1)));
    manager.set_upstream_neighbour(p, flow(FLOW), neighbour(9)).unwrap();
    change(2);
    assert_eq!(shown(), (neighbour(9), Some(2)), "a client has set another neighbour");
}

/// A client that changes the routes inside the first question.
struct ChangesRoutes {
    asked: AtomicU32,
    change: Box<dyn Fn() + Send + Sync>,
}

impl Client for ChangesRoutes {
    fn reverse_path(&self, _: &mut ReversePathQuestion<'_>) {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.change)();
        }
    }
}

#[test]
fn an_entry_being_built_uses_the_new_routes() {
    let router = Arc::new(Router::new());
    let itself: OnceLock<Weak<Router>> = OnceLock::from(Arc::downgrade(&router));
    let change = move || {
        let router = itself.get().unwrap().upgrade().unwrap();
        router.route("192.0.2.7", Some(v4(2)));
        assert_eq!(router.manager.routes_changed(|_| true), 0, "the entry does not exist yet");
    };
    let client = Arc::new(ChangesRoutes { asked: AtomicU32::new(0), change: Box::new(change) });
    router.client_with(1, &[1, 2], client.clone());
    router.new_flow(FLOW).unwrap();
    assert_eq!(incoming(&router, FLOW), Some(v4(2)));
    assert_eq!(client.asked.load(Ordering::SeqCst), 2);
}

/// Routes change, with `routes_changed`, while packets bring flows: in the end every entry uses the last
/// routes.
#[test]
fn no_entry_of_old_routes_survives() {
    let router = Router::new();
    router.client(1, &[1, 2]);
    let flows: Vec<String> = (1..=6).map(|n| format!("10.0.0.{n} 239.1.1.1")).collect();
    for round in 0..150 {
        let interface = v4(1 + round % 2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for what in &flows {
                        let _ = router.new_flow(what);
                    }
                });
            }
            for n in 1..=6 {
                router.route(&format!("10.0.0.{n}"), Some(interface));
            }
            router.manager.routes_changed(|_| true);
        });
        for entry in router.manager.entries() {
            assert_eq!(entry.incoming, Some(interface), "round {round}: {}", entry.flow);
        }
    }
}
