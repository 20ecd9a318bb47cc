//! Planes, routes and owners that refuse, fill up, or answer late: everything else continues, and nothing is
//! lost.

use crate::support::callback_client::{Callback, callback_client};
use crate::support::router::*;
use mgm::forwarding::{Flow, NewEntry, Outgoing};
use mgm::manager::{
    FlowState, GroupManager, Interface, ManagerConfig, NewFlowError, Protocol, ReversePath, StateChange,
    Upcall,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";
const SLOW: &str = "192.0.2.66 239.1.1.1";

/// Limits the waiting of tests that fail.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A party that reports that it is asked, and waits for permission to answer.
struct Late {
    asked: Receiver<()>,
    answer: Sender<()>,
}

fn late() -> (Late, impl Fn() + Send + Sync + 'static) {
    let ((asking, asked), (answer, answers)) = (channel(), channel());
    let both = Mutex::new((asking, answers));
    let ask = move || {
        let both = both.lock().unwrap();
        both.0.send(()).unwrap();
        both.1.recv_timeout(TIMEOUT).expect("permission to answer");
    };
    (Late { asked, answer }, ask)
}

impl Late {
    fn is_asked(&self) {
        self.asked.recv_timeout(TIMEOUT).expect("asked");
    }

    fn answers(&self) {
        self.answer.send(()).unwrap();
    }
}

/// Makes a manager with routes that answer late for the source of `SLOW`; every source is behind interface 1.
fn with_late_routes(config: ManagerConfig) -> (GroupManager, Late) {
    let (late, ask) = late();
    let routes = move |source: IpAddr| {
        if source == flow(SLOW).source() {
            ask();
        }
        Some(ReversePath::through(v4(1)))
    };
    (GroupManager::new(config, Arc::new(routes)).unwrap(), late)
}

#[test]
fn routes_that_answer_late_delay_their_own_flow_and_no_other() {
    let (manager, routes) = with_late_routes(ManagerConfig::default());
    let register = |id| manager.register(Protocol::new(id, 0), Arc::new(())).unwrap();
    let (p, q) = (register(1), register(2));
    [1, 2].into_iter().for_each(|n| manager.take(p, v4(n)).unwrap());
    thread::scope(|scope| {
        let building = scope.spawn(|| manager.new_flow(flow(SLOW)));
        routes.is_asked();
        assert_eq!(manager.new_flow(flow(SLOW)), Err(NewFlowError::Building(flow(SLOW))));
        // The entry also includes memberships that are added meanwhile.
        manager.add_membership(p, v4(2), membership("* 239.1.1.1"), StateChange::Join).unwrap();
        assert_eq!(manager.new_flow(flow(FLOW)), Ok(FlowState::Active));
        [3, 4].into_iter().for_each(|n| manager.take(q, v4(n)).unwrap());
        manager.add_membership(q, v4(3), membership("* *"), StateChange::Join).unwrap();
        manager.add_membership(q, v4(4), membership("* *"), StateChange::Join).unwrap();
        manager.release(q, v4(4)).unwrap();
        assert_eq!(outgoing(&manager, &flow(FLOW)), Some(BTreeSet::from([v4(2), v4(3)])));
        assert_eq!(outgoing(&manager, &flow(SLOW)), None);
        assert!(!building.is_finished());
        routes.answers();
        assert_eq!(building.join().unwrap(), Ok(FlowState::Active));
    });
    assert_eq!(outgoing(&manager, &flow(SLOW)), Some(BTreeSet::from([v4(2), v4(3)])));
    assert_eq!(manager.entries().len(), 2);
}

#[test]
fn a_late_route_holds_up_one_serving_thread_only() {
    let config = ManagerConfig::default().with_upcalls(4);
    let (manager, routes) = with_late_routes(config);
    let of = |n: u8| flow(&format!("192.0.2.{n} 239.1.1.1"));
    thread::scope(|scope| {
        assert_eq!(manager.upcall(flow(SLOW), v4(1), &[]), Upcall::Queued);
        let serving = scope.spawn(|| manager.process_upcalls(1));
        routes.is_asked();
        // The queue fills up meanwhile.
        assert_eq!([1, 2, 3, 4].map(|n| manager.upcall(of(n), v4(1), &[])), [Upcall::Queued; 4]);
        assert_eq!(manager.upcall(of(5), v4(1), &[]), Upcall::Refused);
        for _ in 0..10 {
            assert_eq!(manager.upcall(flow(SLOW), v4(1), &[]), Upcall::Waiting, "the upcall is not lost");
        }
        assert_eq!(manager.process_upcalls(usize::MAX), 4);
        assert_eq!(manager.entries().len(), 4);
        assert_eq!(manager.upcall(of(5), v4(1), &[]), Upcall::Queued);
        assert_eq!(manager.process_upcalls(usize::MAX), 1);
        routes.answers();
        assert_eq!(serving.join().unwrap(), 1);
    });
    let totals = |flow| manager.entry(flow).unwrap().totals;
    assert_eq!(totals(flow(SLOW)).uninitialized, 10);
    assert_eq!(totals(of(5)).queue_overflow, 1);
    assert_eq!(manager.entries().len(), 6);
    assert_eq!(manager.limit_counters().upcalls_refused, 1);
}

/// The owner answers the creation alert late, after it has released an interface of the question.
#[test]
fn a_late_answer_counts_for_interfaces_still_owned() {
    let router = Router::new();
    let (owner, ask) = late();
    let slow = callback_client(move |callback| {
        if matches!(callback, Callback::Creation(_)) {
            ask();
        }
    });
    let (p, q) = (router.client_with(1, &[1, 2, 3], slow), router.client(2, &[4]));
    [2, 3].into_iter().for_each(|n| router.join(p, n, "* 239.1.1.1"));
    thread::scope(|scope| {
        let building = scope.spawn(|| router.new_flow(FLOW));
        owner.is_asked();
        // Other flows about which no owner has to be asked.
        assert_eq!(router.new_flow("192.0.2.8 239.2.2.2"), Ok(FlowState::Negative));
        router.manager.release(p, v4(2)).unwrap();
        router.manager.take(q, v4(2)).unwrap();
        router.join(q, 4, "* 239.1.1.1");
        router.manager.routes_changed(|_| false);
        assert_eq!(router.outgoing(FLOW), None);
        owner.answers();
        // `routes_changed` was called, so the owners are asked again.
        owner.is_asked();
        owner.answers();
        assert_eq!(building.join().unwrap(), Ok(FlowState::Active));
    });
    assert_eq!(router.outgoing(FLOW), Some(vec![3, 4]));
}

#[test]
fn a_late_owner_that_deregistered_has_not_answered() {
    let router = Router::new();
    let (owner, ask) = late();
    let slow = callback_client(move |callback| {
        if matches!(callback, Callback::ReversePath(_)) {
            ask();
        }
    });
    let p = router.client_with(1, &[1], slow);
    let q = router.client(2, &[2]);
    router.join(q, 2, "* 239.1.1.1");
    thread::scope(|scope| {
        let building = scope.spawn(|| router.new_flow(FLOW));
        owner.is_asked();
        router.manager.release(p, v4(1)).unwrap();
        router.manager.deregister_now(p).unwrap();
        router.manager.take(q, v4(1)).unwrap();
        let again = router.client(1, &[]);
        assert_ne!(p, again);
        owner.answers();
        assert_eq!(building.join().unwrap(), Ok(FlowState::Active));
    });
    assert_eq!(router.manager.entries()[0].incoming_protocol, Some(Protocol::new(2, 0)));
}

/// Other publishers fill the table. The manager's flows are refused, and created once there is room, with
/// their counts.
#[test]
fn counts_of_flows_refused_by_a_full_table_are_kept() {
    let router = Router::with(ManagerConfig::default().with_entries(4));
    let manager = &router.manager;
    router.client(1, &[1]);
    let forwarding = manager.forwarding_table();
    let foreign: Vec<Flow> = (1..=4).map(|n| flow(&format!("198.51.100.{n} 239.1.1.1"))).collect();
    let numbers: Vec<_> = foreign
        .iter()
        .map(|flow| {
            let number = forwarding.alloc_counter().unwrap();
            forwarding.publish(NewEntry::new(*flow, number, None, &[])).unwrap();
            number
        })
        .collect();
    for _ in 0..3 {
        assert_eq!(manager.upcall(flow(FLOW), v4(1), &[]), Upcall::Queued);
        assert_eq!(manager.upcall(flow(FLOW), v4(1), &[]), Upcall::Waiting);
        assert_eq!(manager.process_upcalls(9), 1);
        assert_eq!(manager.new_flow(flow(FLOW)), Err(NewFlowError::Full(flow(FLOW))));
    }
    assert_eq!((manager.entries(), manager.next_deadline()), (vec![], None));
    foreign.iter().for_each(|flow| assert!(forwarding.withdraw(flow)));
    numbers.into_iter().for_each(|number| assert!(forwarding.free_counter(number)));
    assert_eq!(manager.upcall(flow(FLOW), v4(1), &[]), Upcall::Queued);
    assert_eq!(manager.process_upcalls(9), 1);
    assert_eq!(manager.entry(flow(FLOW)).unwrap().totals.uninitialized, 3);
}

/// A plane that keeps a copy of the table. When its short list of changed flows overflows, it reads every
/// flow again.
struct Copying {
    dirty: Mutex<Option<BTreeSet<Flow>>>,
    overflows: AtomicU64,
}

impl Copying {
    const CAPACITY: usize = 3;

    fn note(&self, flow: Flow) {
        let mut dirty = self.dirty.lock().unwrap();
        let full = dirty.as_mut().is_none_or(|dirty| {
            dirty.insert(flow);
            dirty.len() > Self::CAPACITY
        });
        if full {
            self.overflows.fetch_add(1, Ordering::SeqCst);
            *dirty = None;
        }
    }

    /// Updates a copy. Returns whether there was anything to do.
    fn follow(&self, manager: &GroupManager, all: &[Flow], copy: &mut BTreeMap<Flow, Vec<Outgoing>>) -> bool {
        let dirty = self.dirty.lock().unwrap().replace(BTreeSet::new());
        let dirty = dirty.unwrap_or_else(|| all.iter().copied().collect());
        let mut reader = manager.forwarding_table().reader();
        for flow in &dirty {
            match reader.lookup(flow) {
                Some(entry) => copy.insert(*flow, entry.outgoing().collect()),
                None => copy.remove(flow),
            };
        }
        !dirty.is_empty()
    }
}

#[test]
fn a_slow_plane_that_overflows_ends_with_an_exact_copy() {
    let router = Router::new();
    let manager = &router.manager;
    let p = router.client(1, &[1, 2, 3]);
    let plane = Arc::new(Copying { dirty: Mutex::new(Some(BTreeSet::new())), overflows: AtomicU64::new(0) });
    let noting = plane.clone();
    assert!(manager.forwarding_table().watch(move |flow| {
        noting.note(flow);
        thread::sleep(Duration::from_micros(20));
    }));
    let all: Vec<Flow> = (1..=12).map(|n| flow(&format!("192.0.2.{n} 239.1.1.1"))).collect();
    let done = AtomicBool::new(false);
    let mut copy = BTreeMap::new();
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for round in 0..150 {
                all.iter().for_each(|flow| _ = manager.new_flow(*flow).unwrap());
                router.join(p, 2 + round % 2, "* *");
                if round % 5 == 0 {
                    manager.flush_entries();
                }
                router.leave(p, 2, "* *");
            }
            all[..6].iter().for_each(|flow| assert!(manager.forwarding_table().withdraw(flow)));
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) && !changing.is_finished() {
            plane.follow(manager, &all, &mut copy);
            thread::sleep(Duration::from_micros(300));
        }
    });
    assert!(plane.overflows.load(Ordering::SeqCst) > 0, "the list overflowed");
    while plane.follow(manager, &all, &mut copy) {}
    let mut reader = manager.forwarding_table().reader();
    let there: BTreeMap<Flow, Vec<Outgoing>> =
        all.iter().filter_map(|flow| Some((*flow, reader.lookup(flow)?.outgoing().collect()))).collect();
    assert_eq!(there.len(), 6);
    assert_eq!(copy, there);
}

/// A plane blocks inside its change callback: publishing waits for it; reading and ownership do not.
#[test]
fn a_plane_that_blocks_in_its_callback_delays_only_publishing() {
    let router = Router::new();
    let manager = &router.manager;
    let (p, q) = (router.client(1, &[1, 2]), router.client(2, &[3]));
    // Released once, so that no entry refers to it any more.
    manager.release(q, v4(3)).unwrap();
    router.join(p, 2, "* 239.1.1.1");
    router.new_flow(FLOW).unwrap();
    let (plane, ask) = late();
    let hangs = AtomicBool::new(true);
    assert!(manager.forwarding_table().watch(move |_| {
        if hangs.swap(false, Ordering::SeqCst) {
            ask();
        }
    }));
    thread::scope(|scope| {
        let publishing = scope.spawn(|| router.new_flow("192.0.2.8 239.1.1.1"));
        plane.is_asked();
        assert_eq!(router.outgoing(FLOW), Some(vec![2]));
        assert_eq!(router.outgoing("192.0.2.8 239.1.1.1"), Some(vec![2]), "the plane is notified afterwards");
        manager.take(q, v4(3)).unwrap();
        assert_eq!(manager.owner_of(v4(3)), Ok(Protocol::new(2, 0)));
        manager.release(q, v4(3)).unwrap();
        // The release takes effect at once; its sweep waits.
        let releasing = scope.spawn(|| manager.release(p, v4(2)));
        let until = std::time::Instant::now() + TIMEOUT;
        while manager.owner_of(Interface::v4(2)).is_ok() {
            assert!(std::time::Instant::now() < until, "the release never took effect");
            thread::yield_now();
        }
        assert_eq!(router.outgoing(FLOW), Some(vec![]));
        assert_eq!(manager.upcall(flow("192.0.2.9 239.1.1.1"), v4(1), &[]), Upcall::Queued);
        assert!(!publishing.is_finished() && !releasing.is_finished());
        plane.answers();
        assert_eq!((publishing.join().unwrap(), releasing.join().unwrap()), (Ok(FlowState::Active), Ok(())));
    });
    assert_eq!(manager.process_upcalls(9), 1);
    assert_eq!(manager.entries().iter().filter(|entry| entry.state == FlowState::Negative).count(), 3);
}
