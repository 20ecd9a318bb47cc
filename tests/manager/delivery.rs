//! The delivery of notices: in order for each client, one at a time, and without waiting for another client.

use crate::support::callback_client::{Callback, callback_client};
use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{
    Cause, Client, FlowState, GroupManager, JoinAlert, ManagerConfig, Membership, MembershipError,
    PruneAlert, StateChange,
};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";
const ONE: &str = "* 239.1.1.1";
const TWO: &str = "* 239.1.1.2";
const THREE: &str = "* 239.1.1.3";

/// Limits the waiting of tests that fail; no test measures time against it.
const TIMEOUT: Duration = Duration::from_secs(60);

fn join_alert(what: &str) -> Callback {
    Callback::Join(JoinAlert::new(membership(what), Cause::Membership))
}

type Log = Arc<Mutex<Vec<Callback>>>;

fn take_log(log: &Log) -> Vec<Callback> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// Makes a client that records its callbacks.
fn recording() -> (Log, Arc<dyn Client>) {
    let log = Log::default();
    let own = log.clone();
    (log, callback_client(move |received| own.lock().unwrap().push(received)))
}

/// A client that records its callbacks. Its first callback reports that it started and waits for permission
/// to return.
struct SlowClient {
    log: Log,
    called: Receiver<()>,
    return_call: Sender<()>,
}

fn slow_client() -> (SlowClient, Arc<dyn Client>) {
    let (log, (call, called), (return_call, go)) = (Log::default(), channel(), channel());
    let (own, first) = (log.clone(), Mutex::new(Some((call, go))));
    let client = callback_client(move |received| {
        own.lock().unwrap().push(received);
        let first = first.lock().unwrap().take();
        if let Some((call, go)) = first {
            call.send(()).unwrap();
            go.recv_timeout(TIMEOUT).unwrap();
        }
    });
    (SlowClient { log, called, return_call }, client)
}

impl SlowClient {
    fn wait_for_call(&self) {
        self.called.recv_timeout(TIMEOUT).expect("it is called");
    }

    fn let_return(&self) {
        self.return_call.send(()).unwrap();
    }
}

#[test]
fn a_slow_client_delays_only_its_own_notices_and_their_call() {
    let router = Router::new();
    let ((slow, client), (log, quick)) = (slow_client(), recording());
    let p = router.client_with(1, &[1], client);
    router.client_with(2, &[2], quick);
    let (q, r) = (router.client(3, &[3]), router.client(4, &[4]));
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.wait_for_call();
        // Later calls on this thread do not wait.
        router.join(r, 4, TWO);
        router.leave(r, 4, TWO);
        router.join(p, 1, THREE);
        assert!(!first.is_finished());
        assert_eq!(slow.log.lock().unwrap().len(), 1, "a client runs one callback at a time");
        let expected = [join_alert(ONE), join_alert(TWO)];
        assert_eq!(
            log.lock().unwrap()[..2],
            expected,
            "in order, while the first call is still inside the slow client"
        );
        assert_eq!(log.lock().unwrap().len(), 4);
        slow.let_return();
        first.join().unwrap();
    });
    let received = take_log(&slow.log);
    assert_eq!(received[..2], [join_alert(ONE), join_alert(TWO)]);
    assert!(
        matches!(received[2..], [Callback::Prune(alert)] if alert.membership() == membership(TWO)),
        "{received:?}"
    );
}

#[test]
fn a_notice_raised_inside_a_callback_comes_after_that_callback() {
    let router = Router::new();
    let log = Log::default();
    let (own, manager) = (log.clone(), Arc::downgrade(&router.manager));
    let depth = Mutex::new(0);
    let other: Arc<Mutex<Option<Handle>>> = Arc::default();
    let by = other.clone();
    let client = callback_client(move |received| {
        *depth.lock().unwrap() += 1;
        assert_eq!(*depth.lock().unwrap(), 1, "callbacks of one client never nest");
        own.lock().unwrap().push(received);
        if received == join_alert(ONE) {
            let manager = manager.upgrade().unwrap();
            let other = by.lock().unwrap().unwrap();
            manager.add_membership(other, v4(3), membership(TWO), StateChange::Join).unwrap();
            assert_eq!(own.lock().unwrap().len(), 1, "not yet");
        }
        *depth.lock().unwrap() -= 1;
    });
    router.client_with(1, &[1], client);
    let q = router.client(3, &[3]);
    *other.lock().unwrap() = Some(q);
    router.join(q, 3, ONE);
    assert_eq!(
        take_log(&log),
        [join_alert(ONE), join_alert(TWO)],
        "the call returns after the delivery of what it caused"
    );
    assert_eq!(router.manager.client_panics(), 0);
}

#[test]
fn a_panic_in_a_callback_is_counted_and_contained() {
    struct Panics;
    impl Client for Panics {
        fn join_alert(&self, _: &JoinAlert) {
            panic!("a client may panic");
        }

        fn prune_alert(&self, alert: &mut PruneAlert) {
            alert.set_timeout(Duration::from_secs(1));
            panic!("a client may panic");
        }

        fn local_join(&self, _: mgm::manager::Interface, _: Membership) {
            panic!("a client may panic");
        }

        fn disable_igmp(&self, _: mgm::manager::Interface) {
            panic!("a client may panic");
        }
    }
    let router = Router::new();
    let (log, recording) = recording();
    router.client_with(1, &[1, 4], Arc::new(Panics));
    router.client_with(2, &[2], recording);
    let (q, igmp) = (router.client(3, &[3]), router.igmp_with(&[4, 5], Arc::new(Panics)));
    router.join(q, 3, ONE);
    assert_eq!(router.manager.client_panics(), 2, "protocol 1 and IGMP");
    assert_eq!(take_log(&log), [join_alert(ONE)], "the others are alerted");
    router.join(igmp, 4, TWO);
    assert_eq!(router.manager.client_panics(), 3);
    assert_eq!(router.new_flow("192.0.2.7 239.1.1.9"), Ok(FlowState::Negative));
    assert_eq!(router.manager.client_panics(), 4);
    assert_eq!(router.manager.next_deadline(), Some(Duration::from_secs(900)), "a panic counts as no answer");
    router.manager.take(q, v4(5)).unwrap();
    assert_eq!(router.manager.client_panics(), 5);
    router.join(igmp, 5, TWO);
    router.join(q, 3, THREE);
    assert_eq!(router.manager.client_panics(), 7, "a client that panicked is still called");
}

#[test]
fn notices_beyond_a_full_outbox_are_counted_and_reported() {
    let router = Router::with(ManagerConfig::default().with_notices(2));
    let (slow, client) = slow_client();
    router.client_with(1, &[1], client);
    let q = router.client(3, &[3]);
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.wait_for_call();
        for last in 10..20 {
            router.join(q, 3, &format!("* 239.1.1.{last}"));
        }
        slow.let_return();
        first.join().unwrap();
    });
    let received = take_log(&slow.log);
    let expected =
        [join_alert(ONE), join_alert("* 239.1.1.10"), join_alert("* 239.1.1.11"), Callback::Lost(8)];
    assert_eq!(received, expected);
    router.join(q, 3, TWO);
    assert_eq!(take_log(&slow.log), [join_alert(TWO)], "the outbox has room again");
}

#[test]
fn disable_and_enable_stay_paired_when_the_outbox_is_full() {
    let router = Router::with(ManagerConfig::default().with_notices(1));
    let (slow, client) = slow_client();
    let igmp = router.igmp_with(&[4, 5], client);
    let q = router.client(3, &[3]);
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.wait_for_call();
        router.join(q, 3, TWO);
        router.join(q, 3, THREE);
        router.manager.take(q, v4(4)).unwrap();
        router.manager.take(q, v4(5)).unwrap();
        // The outbox is full: two changes of one interface share a pair.
        router.manager.release(q, v4(4)).unwrap();
        for n in [4, 5] {
            let refused = Err(MembershipError::ChangingHands(v4(n)));
            assert_eq!(router.add(igmp, n, ONE, StateChange::Join), refused);
        }
        slow.let_return();
        first.join().unwrap();
    });
    let received = take_log(&slow.log);
    let pairs = [4, 5].into_iter().flat_map(|n| [Callback::Disable(v4(n)), Callback::Enable(v4(n))]);
    let expected: Vec<_> =
        [join_alert(ONE), join_alert(TWO)].into_iter().chain(pairs).chain([Callback::Lost(1)]).collect();
    assert_eq!(received, expected);
    router.join(igmp, 4, ONE);
    router.join(igmp, 5, ONE);
}

/// From the change of ownership until `enable_igmp` starts, IGMP can neither add nor delete memberships
/// there. From then on it can, from inside that call and from a thread that it passes the work to, as the
/// page of `PMGM_ENABLE_IGMP_CALLBACK` describes.
#[test]
fn igmp_can_add_memberships_again_once_enable_igmp_starts() {
    let router = Router::new();
    let (own, manager) = (Arc::<Mutex<Option<Handle>>>::default(), Arc::downgrade(&router.manager));
    let (handle, log) = (own.clone(), Arc::<Mutex<Vec<String>>>::default());
    let written = log.clone();
    let client = callback_client(move |received| {
        let (manager, igmp) = (manager.upgrade().unwrap(), handle.lock().unwrap().unwrap());
        let tries = |n: u32| {
            let tries = [
                manager.add_membership(igmp, v4(n), membership(TWO), StateChange::Join),
                manager.add_membership(igmp, v4(n), membership(TWO), StateChange::Forward),
                manager.delete_membership(igmp, v4(n), membership(TWO), StateChange::JoinAndForward),
            ];
            tries.map(|done| match done {
                Ok(()) => "ok",
                Err(MembershipError::ChangingHands(_)) => "ownership is changing",
                Err(_) => "something else",
            })
        };
        let elsewhere = |n| thread::scope(|scope| scope.spawn(|| tries(n)).join().unwrap());
        let mut log = log.lock().unwrap();
        match received {
            Callback::Disable(_) => {
                log.push(format!("inside disable: {:?}, on another interface {:?}", tries(5), tries(6)));
                log.push(format!("elsewhere: {:?}, on another interface {:?}", elsewhere(5), elsewhere(6)));
            }
            Callback::Enable(_) => {
                log.push(format!("elsewhere: {:?}, on another interface {:?}", elsewhere(5), elsewhere(6)));
                log.push(format!("inside enable: {:?}, on another interface {:?}", tries(5), tries(6)));
                manager.add_membership(igmp, v4(5), membership(ONE), StateChange::Join).unwrap();
            }
            _ => {}
        }
    });
    let igmp = router.igmp_with(&[5, 6], client);
    *own.lock().unwrap() = Some(igmp);
    let (routing_log, routing) = recording();
    let q = router.client_with(3, &[3], routing);
    router.join(igmp, 5, ONE);
    assert_eq!(take_log(&routing_log), [join_alert(ONE)]);
    router.manager.take(q, v4(5)).unwrap();
    let (no, yes) = (["ownership is changing"; 3], ["ok"; 3]);
    let expected = [
        format!("inside disable: {no:?}, on another interface {yes:?}"),
        format!("elsewhere: {no:?}, on another interface {yes:?}"),
        format!("elsewhere: {yes:?}, on another interface {yes:?}"),
        format!("inside enable: {yes:?}, on another interface {yes:?}"),
    ];
    assert_eq!(*written.lock().unwrap(), expected);
    assert_eq!(router.manager.client_panics(), 0);
    assert_eq!(router.memberships(), 1);
    let received = take_log(&routing_log);
    assert!(received.contains(&Callback::LocalJoin(v4(5), membership(ONE))), "{received:?}");
    router.leave(igmp, 5, ONE);
}

#[test]
fn notices_about_a_released_interface_are_dropped() {
    // All but one: the prune alert of (s,g) that takes back a join alert.
    let router = Router::new();
    let (slow, client) = slow_client();
    let p = router.client_with(1, &[1, 2, 4], client);
    let (q, igmp) = (router.client(3, &[3]), router.igmp(&[4]));
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.wait_for_call();
        router.join(igmp, 4, ONE);
        router.leave(igmp, 4, ONE);
        router.leave(q, 3, ONE);
        assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
        router.join(q, 3, FLOW);
        router.leave(q, 3, FLOW);
        router.manager.release(p, v4(4)).unwrap();
        router.manager.release(p, v4(1)).unwrap();
        slow.let_return();
        first.join().unwrap();
    });
    let (mut received, gone) = (take_log(&slow.log), [v4(1), v4(4)]);
    // The questions about the new flow came before the release.
    received.retain(|received| !matches!(received, Callback::ReversePath(_)));
    assert_eq!(received[0], join_alert(ONE));
    for received in &received {
        match received {
            Callback::Prune(alert)
                if alert.cause() == Cause::Entry || alert.membership().source().is_none() =>
            {
                assert!(!gone.contains(&alert.interface()), "{received:?}");
            }
            Callback::LocalJoin(..) | Callback::LocalLeave(..) => panic!("{received:?}"),
            _ => {}
        }
    }
    assert!(received.len() >= 2, "notices about no interface of its own are still delivered: {received:?}");
}

/// IGMP releases an interface, or deregisters, inside `disable_igmp`: `enable_igmp` does not follow.
#[test]
fn igmp_that_left_inside_disable_is_not_enabled() {
    for deregisters in [false, true] {
        let router = Router::new();
        let (own, manager) = (Arc::<Mutex<Option<Handle>>>::default(), Arc::downgrade(&router.manager));
        let (handle, log) = (own.clone(), Log::default());
        let written = log.clone();
        let client = callback_client(move |received| {
            log.lock().unwrap().push(received);
            if let Callback::Disable(at) = received {
                let (manager, igmp) = (manager.upgrade().unwrap(), handle.lock().unwrap().unwrap());
                manager.release(igmp, at).unwrap();
                if deregisters {
                    manager.deregister(igmp).unwrap();
                }
            }
        });
        let igmp = router.igmp_with(&[5], client);
        *own.lock().unwrap() = Some(igmp);
        let q = router.client(3, &[3]);
        router.manager.take(q, v4(5)).unwrap();
        assert_eq!(take_log(&written), [Callback::Disable(v4(5))], "deregisters: {deregisters}");
        assert_eq!(router.manager.client_panics(), 0);
        if !deregisters {
            router.manager.take(igmp, v4(5)).unwrap();
            router.join(igmp, 5, ONE);
        }
    }
}

/// `PMGM_PRUNE_ALERT_CALLBACK`, `pdwTimeout`: the answer applies to the entry that the alert named, while
/// that entry has no receivers.
#[test]
fn a_late_answer_to_a_prune_alert_changes_nothing() {
    type Action = Box<dyn Fn(&GroupManager) + Send>;

    /// Runs an action inside the prune alert, then answers.
    struct Late(Weak<GroupManager>, Mutex<Option<Action>>);

    impl Client for Late {
        fn prune_alert(&self, alert: &mut PruneAlert) {
            if let Some(action) = self.1.lock().unwrap().take() {
                action(&self.0.upgrade().unwrap());
                alert.set_timeout(Duration::from_secs(60));
            }
        }
    }

    let expires = |action: fn(&GroupManager, Handle)| {
        let router = Router::new();
        let late = Arc::new(Late(Arc::downgrade(&router.manager), Mutex::default()));
        router.client_with(1, &[1], late.clone());
        let q = router.client(2, &[2]);
        *late.1.lock().unwrap() = Some(Box::new(move |manager| action(manager, q)));
        router.new_flow(FLOW).unwrap();
        router.manager.entry(flow(FLOW)).map(|entry| entry.expires.as_secs())
    };
    assert_eq!(expires(|_, _| {}), Some(60));
    assert_eq!(
        expires(|manager, _| manager.advance(Duration::from_secs(100))),
        Some(160),
        "counted from the answer"
    );
    let forward = |manager: &GroupManager, q| {
        manager.add_membership(q, v4(2), membership(FLOW), StateChange::Forward).unwrap();
    };
    assert_eq!(expires(forward), Some(900), "the entry has receivers by now");
    let stopped = |manager: &GroupManager, q| {
        manager.add_membership(q, v4(2), membership(FLOW), StateChange::Forward).unwrap();
        manager.delete_membership(q, v4(2), membership(FLOW), StateChange::Forward).unwrap();
    };
    assert_eq!(expires(stopped), Some(60), "the entry had receivers, and has none again");
    let another = |manager: &GroupManager, _| {
        manager.flush_entries();
        manager.new_flow(flow(FLOW)).unwrap();
    };
    assert_eq!(expires(another), Some(900), "the entry is a new one");
    assert_eq!(expires(|manager, _| manager.flush_entries()), None);
}
