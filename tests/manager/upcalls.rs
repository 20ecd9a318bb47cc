//! Upcalls of packet paths, which must not wait: flows without an entry, and packets on the wrong interface.

use crate::support::router::*;
use mgm::forwarding::Flow;
use mgm::manager::{
    Client, FlowState, GroupManager, Interface, ManagerConfig, ReversePathQuestion, StateChange, Upcall,
    WrongInterfaceAlert,
};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";
const PACKET: &[u8] = &[0x45, 0, 0, 20];

fn of(source: u8) -> Flow {
    Flow::new([10, 0, 0, source].into(), [239, 1, 1, 1].into()).unwrap()
}

/// Returns the packets of a flow that came before its entry, and those that found the queue full.
fn early(manager: &GroupManager, flow: Flow) -> (u64, u64) {
    let totals = manager.entry(flow).unwrap().totals;
    (totals.uninitialized, totals.queue_overflow)
}

#[test]
fn a_flow_is_queued_once_and_its_other_packets_are_counted() {
    let router = Router::new();
    let manager = &router.manager;
    router.client(1, &[1]);
    let bring = || manager.upcall(flow(FLOW), v4(1), PACKET);
    assert_eq!(bring(), Upcall::Queued);
    assert_eq!([bring(), bring()], [Upcall::Waiting; 2]);
    assert_eq!(manager.upcall(of(1), v4(1), PACKET), Upcall::Queued);
    assert_eq!(manager.entries(), [], "upcalls have no effect until they are served");
    assert_eq!(manager.process_upcalls(10), 2);
    assert_eq!(manager.process_upcalls(10), 0);
    assert_eq!(early(manager, flow(FLOW)), (2, 0));
    assert_eq!(early(manager, of(1)), (0, 0));
    manager.flush_entries();
    assert_eq!([bring(), bring()], [Upcall::Queued, Upcall::Waiting]);
    assert_eq!(manager.process_upcalls(1), 1);
    assert_eq!(early(manager, flow(FLOW)), (3, 0), "the flow's counts outlive the entry");
    assert_eq!(bring(), Upcall::Queued, "a packet path may bring a flow that has an entry by now");
    assert_eq!(manager.process_upcalls(10), 1);
    assert_eq!(manager.upcall(flow("192.0.2.7 224.0.0.5"), v4(1), PACKET), Upcall::NotForwarded);
}

#[test]
fn a_full_queue_refuses_and_its_refusals_count_for_the_flow() {
    let router = Router::with(ManagerConfig::default().with_upcalls(2));
    let manager = &router.manager;
    router.client(1, &[1]);
    let bring = |source| manager.upcall(of(source), v4(1), PACKET);
    assert_eq!([1, 2, 3, 3, 4].map(bring)[..3], [Upcall::Queued, Upcall::Queued, Upcall::Refused]);
    assert_eq!([1, 3].map(bring), [Upcall::Waiting, Upcall::Refused]);
    assert_eq!(manager.limit_counters().upcalls_refused, 4);
    assert_eq!(manager.process_upcalls(1), 1);
    assert_eq!([3, 4].map(bring), [Upcall::Queued, Upcall::Refused]);
    assert_eq!(manager.process_upcalls(usize::MAX), 2);
    assert_eq!([1, 2, 3].map(|source| early(manager, of(source))), [(1, 0), (0, 0), (0, 3)]);
    assert_eq!(bring(4), Upcall::Queued);
    manager.process_upcalls(1);
    assert_eq!(early(manager, of(4)), (0, 2));
    // The refusals of two flows are remembered.
    assert_eq!([11, 12].map(bring), [Upcall::Queued; 2]);
    assert_eq!([21, 22, 23].map(bring), [Upcall::Refused; 3]);
    manager.process_upcalls(2);
    assert_eq!([22, 23].map(bring), [Upcall::Queued; 2]);
    manager.process_upcalls(2);
    assert_eq!([22, 23].map(|source| early(manager, of(source))), [(0, 1), (0, 0)]);
    assert_eq!(manager.limit_counters().upcalls_refused, 8);
}

#[test]
fn refusals_of_a_flow_are_forgotten_after_a_while() {
    let router = Router::with(ManagerConfig::default().with_upcalls(2));
    let manager = &router.manager;
    router.client(1, &[1]);
    let bring = |source| manager.upcall(of(source), v4(1), PACKET);
    let at = |seconds| {
        manager.advance(Duration::from_secs(seconds));
        manager.process_upcalls(0);
    };
    at(0);
    assert_eq!([1, 2, 3, 4, 5].map(bring)[2..], [Upcall::Refused; 3]);
    at(10);
    bring(4);
    at(20);
    bring(5);
    manager.process_upcalls(2);
    assert_eq!([3, 4].map(bring), [Upcall::Queued; 2]);
    manager.process_upcalls(2);
    bring(5);
    manager.process_upcalls(2);
    let counts = [3, 4, 5].map(|source| early(manager, of(source)).1);
    assert_eq!(counts, [0, 2, 1], "the third was parked too long and made room for the fifth");
}

#[test]
fn serving_stops_at_the_number_asked_for() {
    let router = Router::new();
    router.client(1, &[1]);
    for source in 1..=10 {
        router.manager.upcall(of(source), v4(1), PACKET);
    }
    assert_eq!([0, 3, 4, 9, 9].map(|max| router.manager.process_upcalls(max)), [0, 3, 4, 3, 0]);
    assert_eq!(router.manager.entries().len(), 10);
}

/// A client that records the packets of reverse path questions.
#[derive(Default)]
struct PacketLog {
    packets: Mutex<Vec<Vec<u8>>>,
    manager: OnceLock<Weak<GroupManager>>,
}

impl Client for PacketLog {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        self.packets.lock().unwrap().push(question.packet().to_vec());
        if let Some(manager) = self.manager.get().and_then(Weak::upgrade) {
            assert_eq!(manager.upcall(question.flow(), v4(1), &[]), Upcall::Waiting);
            manager.upcall(of(99), v4(1), &[]);
            manager.process_upcalls(1);
        }
    }
}

#[test]
fn the_question_shows_the_first_octets_of_the_packet() {
    let router = Router::new();
    let client = Arc::new(PacketLog::default());
    router.client_with(1, &[1], client.clone());
    let long: Vec<u8> = (0..1500).map(|n| n as u8).collect();
    router.manager.upcall(of(1), v4(1), PACKET);
    router.manager.upcall(of(2), v4(1), &long);
    router.manager.process_upcalls(2);
    assert_eq!(*client.packets.lock().unwrap(), [PACKET, &long[..256]]);
}

#[test]
fn the_manager_may_be_called_inside_a_question_of_serving() {
    let router = Router::new();
    let client = Arc::new(PacketLog::default());
    client.manager.set(Arc::downgrade(&router.manager)).unwrap();
    router.client_with(1, &[1], client.clone());
    router.manager.upcall(of(1), v4(1), &[]);
    assert_eq!(router.manager.process_upcalls(1), 1);
    assert_eq!(early(&router.manager, of(1)), (1, 0));
    assert!(router.manager.entry(of(99)).is_some(), "queued and served inside the question");
}

/// The answers that packet paths got for their packets add up to the totals of the flows.
#[test]
fn every_packet_counts_once_while_other_threads_serve() {
    const FLOWS: u8 = 6;
    const PATHS: usize = 3;
    // The queue is short, so that it is full now and then; with the parked flows, all have room.
    let router = Router::with(ManagerConfig::default().with_upcalls(4));
    let manager = &router.manager;
    router.client(1, &[1]);
    let (waited, refused): ([AtomicU64; 6], [AtomicU64; 6]) = Default::default();
    let all = |answers: &[AtomicU64]| answers.iter().map(|n| n.load(Ordering::Relaxed)).sum::<u64>();
    let (paths, served) = (AtomicUsize::new(PATHS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for path in 0..PATHS {
            let (waited, refused, paths) = (&waited, &refused, &paths);
            scope.spawn(move || {
                let _done = Finished(paths);
                for n in 0..20_000 {
                    let source = ((n + path * 3) / 5 % usize::from(FLOWS)) as u8;
                    match manager.upcall(of(source), v4(1), PACKET) {
                        Upcall::Queued => {}
                        Upcall::Waiting => _ = waited[usize::from(source)].fetch_add(1, Ordering::Relaxed),
                        Upcall::Refused => _ = refused[usize::from(source)].fetch_add(1, Ordering::Relaxed),
                        Upcall::NotForwarded => unreachable!(),
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                // Serving starts only after the queue was full.
                while paths.load(Ordering::SeqCst) > 0 && (all(&waited) == 0 || all(&refused) == 0) {
                    thread::yield_now();
                }
                loop {
                    let n = manager.process_upcalls(3);
                    if served.fetch_add(n, Ordering::Relaxed) % 16 == 0 {
                        manager.flush_entries();
                    }
                    if paths.load(Ordering::SeqCst) == 0 {
                        break;
                    }
                }
            });
        }
    });
    // Flows that are still parked need one more packet.
    for source in (0..FLOWS).chain(0..FLOWS) {
        manager.process_upcalls(usize::MAX);
        match manager.upcall(of(source), v4(1), PACKET) {
            Upcall::Queued => {}
            other => panic!("{other:?} with an empty queue"),
        }
    }
    manager.process_upcalls(usize::MAX);
    for source in 0..FLOWS {
        let answers = [&waited, &refused].map(|answers| answers[usize::from(source)].load(Ordering::Relaxed));
        assert_eq!(early(manager, of(source)), answers.into(), "flow {source}");
    }
    assert_eq!(manager.limit_counters().upcalls_refused, all(&refused));
    assert!(served.into_inner() > 0);
}

/// Counts down when it is dropped, by a panic too.
struct Finished<'a>(&'a AtomicUsize);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A client that may ask for wrong-interface alerts.
struct Watcher {
    wants: bool,
    alerts: Mutex<Vec<WrongInterfaceAlert>>,
}

impl Watcher {
    fn new(wants: bool) -> Arc<Watcher> {
        Arc::new(Watcher { wants, alerts: Mutex::default() })
    }

    /// Returns the alerts since the last call.
    fn take_alerts(&self) -> Vec<(Flow, Interface, Vec<u8>)> {
        let alerts = std::mem::take(&mut *self.alerts.lock().unwrap());
        alerts.into_iter().map(|alert| (alert.flow(), alert.arrival(), alert.packet().to_vec())).collect()
    }
}

impl Client for Watcher {
    fn wants_wrong_interface(&self) -> bool {
        self.wants
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        self.alerts.lock().unwrap().push(alert.clone());
    }
}

#[test]
fn the_owner_of_the_arrival_interface_is_alerted_if_it_asked() {
    let router = Router::new();
    let manager = &router.manager;
    let [there, indifferent, upstream, igmp] = [true, false, true, true].map(Watcher::new);
    router.client_with(1, &[1], upstream.clone());
    assert!(manager.wrong_interface(of(1), v4(9), PACKET), "queued before its owner is known");
    router.client_with(2, &[2], there.clone());
    router.client_with(3, &[3], indifferent.clone());
    router.igmp_with(&[2, 4], igmp.clone());
    for n in [2, 3, 4] {
        assert!(manager.wrong_interface(of(n), v4(n.into()), PACKET));
    }
    assert_eq!(there.take_alerts(), [], "alerts come when they are served");
    assert_eq!(manager.process_upcalls(10), 4);
    assert_eq!(there.take_alerts(), [(of(2), v4(2), PACKET.to_vec())]);
    assert_eq!(igmp.take_alerts(), [(of(4), v4(4), PACKET.to_vec())], "where IGMP is the only owner");
    assert_eq!((indifferent.take_alerts(), upstream.take_alerts()), (vec![], vec![]));
}

#[test]
fn nothing_is_queued_if_no_client_ever_asked_for_alerts() {
    let router = Router::new();
    router.client_with(1, &[1, 2], Watcher::new(false));
    assert!(!router.manager.wrong_interface(of(1), v4(2), PACKET));
    assert_eq!(router.manager.process_upcalls(1), 0);
}

#[test]
fn a_flow_raises_one_alert_per_interval() {
    let router = Router::new();
    let manager = &router.manager;
    let client = Watcher::new(true);
    router.client_with(1, &[1, 2, 3], client.clone());
    let bring = |source, n| manager.wrong_interface(of(source), v4(n), PACKET);
    let at = |seconds: f64| manager.advance(Duration::from_secs_f64(seconds));
    assert_eq!([bring(1, 2), bring(1, 2), bring(1, 3), bring(2, 2)], [true, false, false, true]);
    at(2.9);
    assert_eq!([bring(1, 2), bring(3, 2)], [false, true]);
    manager.process_upcalls(10);
    at(3.0);
    assert_eq!([bring(1, 2), bring(1, 2), bring(3, 2)], [true, false, false]);
    manager.process_upcalls(10);
    at(5.9);
    assert_eq!([bring(1, 2), bring(3, 2), bring(2, 2)], [false, true, true]);
    manager.process_upcalls(10);
    assert_eq!(client.take_alerts().len(), 6);
}

#[test]
fn wrong_interface_alerts_are_bounded_and_room_comes_back() {
    let config = ManagerConfig::default().with_upcalls(3);
    let router = Router::with(config);
    let manager = &router.manager;
    let client = Watcher::new(true);
    router.client_with(1, &[1, 2], client.clone());
    let bring = |source| manager.wrong_interface(of(source), v4(2), PACKET);
    assert_eq!([1, 2, 3, 4].map(bring), [true, true, true, false]);
    assert_eq!(manager.process_upcalls(10), 3);
    assert!(!bring(4), "the limit of remembered flows is reached");
    assert_eq!(manager.limit_counters().wrong_interface_refused, 2);
    manager.advance(Duration::from_secs(3));
    manager.process_upcalls(1);
    assert_eq!([4, 5, 6].map(bring), [true; 3]);
    let now = ManagerConfig::default().with_wrong_interface_interval(Duration::ZERO);
    let router = Router::with(now);
    router.client_with(1, &[1, 2], client.clone());
    assert_eq!([(); 2].map(|()| router.manager.wrong_interface(of(1), v4(2), PACKET)), [true; 2]);
}

#[test]
fn an_upcall_from_the_wrong_interface_raises_the_alert_too() {
    let router = Router::new();
    let client = Watcher::new(true);
    let p = router.client_with(1, &[1, 2], client.clone());
    router.add(p, 2, "* 239.1.1.1", StateChange::Join).unwrap();
    router.manager.upcall(of(1), v4(2), PACKET);
    router.manager.upcall(of(2), v4(1), PACKET);
    assert_eq!(router.manager.process_upcalls(10), 3);
    assert_eq!(client.take_alerts(), [(of(1), v4(2), PACKET.to_vec())]);
    assert_eq!(router.manager.entry(of(1)).unwrap().state, FlowState::Active);
}

/// While the clock advances and old times are removed, no flow has two alerts within the interval.
#[test]
fn the_alert_interval_holds_while_old_times_are_removed() {
    const INTERVAL: u64 = 1000;
    let config = ManagerConfig::default().with_wrong_interface_interval(Duration::from_nanos(INTERVAL));
    let router = Router::with(config);
    let manager = &router.manager;
    router.client_with(1, &[1, 2], Watcher::new(true));
    let (allowed, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let end = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    allowed.fetch_add(manager.wrong_interface(of(1), v4(2), &[]).into(), Ordering::SeqCst);
                }
            });
        }
        let mut now = 0;
        while now < 300 * INTERVAL || allowed.load(Ordering::SeqCst) < 20 {
            now += INTERVAL / 10;
            manager.advance(Duration::from_nanos(now));
            manager.process_upcalls(4);
            if now.is_multiple_of(INTERVAL) {
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
        now
    });
    let allowed = allowed.into_inner();
    assert!(allowed <= end / INTERVAL + 1, "{allowed} within {end} ns");
}
