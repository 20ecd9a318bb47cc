//! Planes, routes and owners that refuse, fill up, or answer late: everything else goes on, and nothing is lost.

mod common;

use common::hearing::{Heard, hearing};
use common::*;
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

/// For failures only.
const LONG: Duration = Duration::from_secs(60);

/// Somebody who says that he was asked, and answers when he is told to.
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
        both.1.recv_timeout(LONG).expect("told to answer");
    };
    (Late { asked, answer }, ask)
}

impl Late {
    fn is_asked(&self) {
        self.asked.recv_timeout(LONG).expect("asked");
    }

    fn answers(&self) {
        self.answer.send(()).unwrap();
    }
}

/// A manager whose routes answer late about the source of `SLOW`; every source is behind interface 1.
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
        // Of memberships that come meanwhile the entry is made, too.
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
fn while_one_serves_a_late_route_packets_are_counted_and_others_serve_the_rest() {
    let config = ManagerConfig::default().with_upcalls(4);
    let (manager, routes) = with_late_routes(config);
    let of = |n: u8| flow(&format!("192.0.2.{n} 239.1.1.1"));
    thread::scope(|scope| {
        assert_eq!(manager.upcall(flow(SLOW), v4(1), &[]), Upcall::Queued);
        let serving = scope.spawn(|| manager.process_upcalls(1));
        routes.is_asked();
        // The queue fills up behind it.
        assert_eq!([1, 2, 3, 4].map(|n| manager.upcall(of(n), v4(1), &[])), [Upcall::Queued; 4]);
        assert_eq!(manager.upcall(of(5), v4(1), &[]), Upcall::Refused);
        for _ in 0..10 {
            assert_eq!(manager.upcall(flow(SLOW), v4(1), &[]), Upcall::Waiting, "it is not lost");
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

/// Its owner is slow to answer the creation alert, and by then has released what it was asked about.
#[test]
fn an_owner_that_answers_late_holds_up_nobody_and_its_answer_is_of_what_it_still_owns() {
    let router = Router::new();
    let (owner, ask) = late();
    let slow = hearing(move |heard| {
        if matches!(heard, Heard::Creation(_)) {
            ask();
        }
    });
    let (p, q) = (router.client_with(1, &[1, 2, 3], slow), router.client(2, &[4]));
    [2, 3].into_iter().for_each(|n| router.join(p, n, "* 239.1.1.1"));
    thread::scope(|scope| {
        let building = scope.spawn(|| router.new_flow(FLOW));
        owner.is_asked();
        // The packet path's other flows, where nobody has to be asked.
        assert_eq!(router.new_flow("192.0.2.8 239.2.2.2"), Ok(FlowState::Negative));
        router.manager.release(p, v4(2)).unwrap();
        router.manager.take(q, v4(2)).unwrap();
        router.join(q, 4, "* 239.1.1.1");
        router.manager.routes_changed(|_| false);
        assert_eq!(router.outgoing(FLOW), None);
        owner.answers();
        // Routes were said to have changed: everything was asked again.
        owner.is_asked();
        owner.answers();
        assert_eq!(building.join().unwrap(), Ok(FlowState::Active));
    });
    assert_eq!(router.outgoing(FLOW), Some(vec![3, 4]));
}

#[test]
fn a_late_owner_that_has_left_meanwhile_has_not_answered_and_nobody_waits_for_it_but_who_asks_to() {
    let router = Router::new();
    let (owner, ask) = late();
    let slow = hearing(move |heard| {
        if matches!(heard, Heard::ReversePath(_)) {
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

/// A table that has room for no successor: the entry goes, is counted, and its next packet has it made as it should be.
#[test]
fn a_table_that_refuses_successors_loses_entries_to_the_next_packet_and_no_membership() {
    const ENTRIES: u32 = 16;
    let router = Router::with(ManagerConfig::default().with_entries(ENTRIES));
    let manager = &router.manager;
    let p = router.client(1, &[1, 2, 3]);
    router.join(p, 2, "* *");
    let flows: Vec<String> = (1..=ENTRIES).map(|n| format!("192.0.2.{n} 239.1.1.1")).collect();
    flows.iter().for_each(|flow| assert_eq!(router.new_flow(flow), Ok(FlowState::Active)));
    let mut counters = manager.forwarding_table().counters().worker();
    let number = manager.forwarding_table().reader().lookup(&flow(&flows[0])).unwrap().number();
    counters.add(number, mgm::forwarding::Counter::Packets, 5);
    // A plane that stalls in the middle of a burst keeps what is gone; each join has every entry replaced.
    let mut stalled = manager.forwarding_table().reader();
    assert!(stalled.lookup(&flow(&flows[0])).is_some());
    let mut joins = 0;
    while manager.limit_counters().entries_withdrawn == 0 {
        joins += 1;
        assert!(joins < 1000, "successors need room");
        router.add(p, 3, "* 239.1.1.1", StateChange::Forward).unwrap();
        router.delete(p, 3, "* 239.1.1.1", StateChange::Forward).unwrap();
    }
    let gone = manager.limit_counters().entries_withdrawn;
    assert_eq!(manager.entries().len() as u64 + gone, u64::from(ENTRIES));
    assert_eq!(manager.forwarding_table().len(), manager.entries().len());
    router.join(p, 3, "* 239.1.1.1");
    assert_eq!(router.memberships(), 2);
    // What is still there is as the memberships say, or not there.
    for text in &flows {
        assert!(matches!(router.outgoing(text).as_deref(), None | Some([2, 3])), "{text}");
    }
    stalled.park();
    for text in &flows {
        let until = std::time::Instant::now() + LONG;
        while router.new_flow(text).is_err() {
            assert!(std::time::Instant::now() < until, "room comes back");
        }
        assert_eq!(router.outgoing(text), Some(vec![2, 3]));
    }
    assert_eq!(manager.entry(flow(&flows[0])).unwrap().totals.packets, 5, "counts belong to the flow");
}

/// Others fill the table: the manager's flows are refused, and made once there is room, with what was counted meanwhile.
#[test]
fn a_table_that_others_have_filled_refuses_flows_and_their_counts_are_kept_until_there_is_room() {
    let router = Router::with(ManagerConfig::default().with_entries(4));
    let manager = &router.manager;
    router.client(1, &[1]);
    let forwarding = manager.forwarding_table();
    let theirs: Vec<Flow> = (1..=4).map(|n| flow(&format!("198.51.100.{n} 239.1.1.1"))).collect();
    let numbers: Vec<_> = theirs
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
    theirs.iter().for_each(|flow| assert!(forwarding.withdraw(flow)));
    numbers.into_iter().for_each(|number| assert!(forwarding.free_counter(number)));
    assert_eq!(manager.upcall(flow(FLOW), v4(1), &[]), Upcall::Queued);
    assert_eq!(manager.process_upcalls(9), 1);
    assert_eq!(manager.entry(flow(FLOW)).unwrap().totals.uninitialized, 3);
}

/// A plane that keeps a copy, and whose list of what to look at again is short: then it looks at everything.
struct Copying {
    dirty: Mutex<Option<BTreeSet<Flow>>>,
    overflows: AtomicU64,
}

impl Copying {
    const ROOM: usize = 3;

    fn note(&self, flow: Flow) {
        let mut dirty = self.dirty.lock().unwrap();
        let full = dirty.as_mut().is_none_or(|dirty| {
            dirty.insert(flow);
            dirty.len() > Self::ROOM
        });
        if full {
            self.overflows.fetch_add(1, Ordering::SeqCst);
            *dirty = None;
        }
    }

    /// Brings a copy up to date; whether there was anything to do.
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
fn a_plane_that_is_slow_and_full_ends_up_with_a_true_copy() {
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
    assert!(plane.overflows.load(Ordering::SeqCst) > 0, "it has been full");
    while plane.follow(manager, &all, &mut copy) {}
    let mut reader = manager.forwarding_table().reader();
    let there: BTreeMap<Flow, Vec<Outgoing>> =
        all.iter().filter_map(|flow| Some((*flow, reader.lookup(flow)?.outgoing().collect()))).collect();
    assert_eq!(there.len(), 6);
    assert_eq!(copy, there);
}

/// It stops in the middle of being told: whoever publishes waits, and nobody who reads or changes hands.
#[test]
fn a_plane_that_hangs_while_it_is_told_holds_up_publishing_alone() {
    let router = Router::new();
    let manager = &router.manager;
    let (p, q) = (router.client(1, &[1, 2]), router.client(2, &[3]));
    // Once, so that nothing mentions it any more.
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
        assert_eq!(router.outgoing("192.0.2.8 239.1.1.1"), Some(vec![2]), "it is told afterwards");
        manager.take(q, v4(3)).unwrap();
        assert_eq!(manager.owner_of(v4(3)), Ok(Protocol::new(2, 0)));
        manager.release(q, v4(3)).unwrap();
        // The effect comes at once, what follows waits.
        let releasing = scope.spawn(|| manager.release(p, v4(2)));
        let until = std::time::Instant::now() + LONG;
        while manager.owner_of(Interface::v4(2)).is_ok() {
            assert!(std::time::Instant::now() < until, "a release takes effect");
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
