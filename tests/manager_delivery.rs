//! How notices reach their clients: in order, one after the other, by nobody who has to wait for another client.

mod common;

use common::hearing::{Heard, hearing};
use common::*;
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

/// Whoever waits longer than this waits for ever.
const LONG: Duration = Duration::from_secs(60);

fn joined(what: &str) -> Heard {
    Heard::Join(JoinAlert::new(membership(what), Cause::Membership))
}

type Notes = Arc<Mutex<Vec<Heard>>>;

fn taken(notes: &Notes) -> Vec<Heard> {
    std::mem::take(&mut *notes.lock().unwrap())
}

/// A client that writes down how it is called.
fn noting() -> (Notes, Arc<dyn Client>) {
    let notes = Notes::default();
    let own = notes.clone();
    (notes, hearing(move |heard| own.lock().unwrap().push(heard)))
}

/// A client that writes down how it is called, and the first time says so and waits to be let go.
struct Slow {
    notes: Notes,
    called: Receiver<()>,
    go_on: Sender<()>,
}

fn slow() -> (Slow, Arc<dyn Client>) {
    let (notes, (call, called), (go_on, go)) = (Notes::default(), channel(), channel());
    let (own, first) = (notes.clone(), Mutex::new(Some((call, go))));
    let client = hearing(move |heard| {
        own.lock().unwrap().push(heard);
        let first = first.lock().unwrap().take();
        if let Some((call, go)) = first {
            call.send(()).unwrap();
            go.recv_timeout(LONG).unwrap();
        }
    });
    (Slow { notes, called, go_on }, client)
}

impl Slow {
    fn is_called(&self) {
        self.called.recv_timeout(LONG).expect("it is called");
    }

    fn may_go_on(&self) {
        self.go_on.send(()).unwrap();
    }
}

#[test]
fn a_slow_client_delays_its_own_notices_and_the_call_that_delivers_them() {
    let router = Router::new();
    let ((slow, client), (notes, quick)) = (slow(), noting());
    let p = router.client_with(1, &[1], client);
    router.client_with(2, &[2], quick);
    let (q, r) = (router.client(3, &[3]), router.client(4, &[4]));
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.is_called();
        // What follows waits for nobody, on this very thread.
        router.join(r, 4, TWO);
        router.leave(r, 4, TWO);
        router.join(p, 1, THREE);
        assert!(!first.is_finished());
        assert_eq!(slow.notes.lock().unwrap().len(), 1, "a client is told one thing at a time");
        let expected = [joined(ONE), joined(TWO)];
        assert_eq!(
            notes.lock().unwrap()[..2],
            expected,
            "in order, though the first call is still at the slow one"
        );
        assert_eq!(notes.lock().unwrap().len(), 4);
        slow.may_go_on();
        first.join().unwrap();
    });
    let heard = taken(&slow.notes);
    assert_eq!(heard[..2], [joined(ONE), joined(TWO)]);
    assert!(
        matches!(heard[2..], [Heard::Prune(alert)] if alert.membership() == membership(TWO)),
        "{heard:?}"
    );
}

#[test]
fn a_notice_raised_inside_a_callback_comes_after_that_callback() {
    let router = Router::new();
    let notes = Notes::default();
    let (own, manager) = (notes.clone(), Arc::downgrade(&router.manager));
    let depth = Mutex::new(0);
    let other: Arc<Mutex<Option<Handle>>> = Arc::default();
    let by = other.clone();
    let client = hearing(move |heard| {
        *depth.lock().unwrap() += 1;
        assert_eq!(*depth.lock().unwrap(), 1, "never one inside the other");
        own.lock().unwrap().push(heard);
        if heard == joined(ONE) {
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
        taken(&notes),
        [joined(ONE), joined(TWO)],
        "when the call returns it has delivered what it caused"
    );
    assert_eq!(router.manager.client_panics(), 0);
}

#[test]
fn a_panic_in_a_callback_is_counted_and_goes_no_further() {
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
    let (notes, noting) = noting();
    router.client_with(1, &[1, 4], Arc::new(Panics));
    router.client_with(2, &[2], noting);
    let (q, igmp) = (router.client(3, &[3]), router.igmp_with(&[4, 5], Arc::new(Panics)));
    router.join(q, 3, ONE);
    assert_eq!(router.manager.client_panics(), 2, "protocol 1 and IGMP");
    assert_eq!(taken(&notes), [joined(ONE)], "the others are told");
    router.join(igmp, 4, TWO);
    assert_eq!(router.manager.client_panics(), 3);
    assert_eq!(router.new_flow("192.0.2.7 239.1.1.9"), Ok(FlowState::Negative));
    assert_eq!(router.manager.client_panics(), 4);
    assert_eq!(router.manager.next_deadline(), Some(Duration::from_secs(900)), "a panic is no answer");
    router.manager.take(q, v4(5)).unwrap();
    assert_eq!(router.manager.client_panics(), 5);
    router.join(igmp, 5, TWO);
    router.join(q, 3, THREE);
    assert_eq!(router.manager.client_panics(), 7, "whoever has panicked is still told");
}

#[test]
fn what_does_not_fit_into_an_outbox_is_counted_and_told() {
    let router = Router::with(ManagerConfig::default().with_notices(2));
    let (slow, client) = slow();
    router.client_with(1, &[1], client);
    let q = router.client(3, &[3]);
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.is_called();
        for last in 10..20 {
            router.join(q, 3, &format!("* 239.1.1.{last}"));
        }
        slow.may_go_on();
        first.join().unwrap();
    });
    let heard = taken(&slow.notes);
    let expected = [joined(ONE), joined("* 239.1.1.10"), joined("* 239.1.1.11"), Heard::Lost(8)];
    assert_eq!(heard, expected);
    router.join(q, 3, TWO);
    assert_eq!(taken(&slow.notes), [joined(TWO)], "there is room again, and nothing more is lost");
}

#[test]
fn the_switches_of_igmp_stay_in_pairs_when_its_outbox_is_full() {
    let router = Router::with(ManagerConfig::default().with_notices(1));
    let (slow, client) = slow();
    let igmp = router.igmp_with(&[4, 5], client);
    let q = router.client(3, &[3]);
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.is_called();
        router.join(q, 3, TWO);
        router.join(q, 3, THREE);
        router.manager.take(q, v4(4)).unwrap();
        router.manager.take(q, v4(5)).unwrap();
        // So full that two changes of one interface share a pair.
        router.manager.release(q, v4(4)).unwrap();
        for n in [4, 5] {
            let refused = Err(MembershipError::ChangingHands(v4(n)));
            assert_eq!(router.add(igmp, n, ONE, StateChange::Join), refused);
        }
        slow.may_go_on();
        first.join().unwrap();
    });
    let heard = taken(&slow.notes);
    let units = [4, 5].into_iter().flat_map(|n| [Heard::Disable(v4(n)), Heard::Enable(v4(n))]);
    let expected: Vec<_> =
        [joined(ONE), joined(TWO)].into_iter().chain(units).chain([Heard::Lost(1)]).collect();
    assert_eq!(heard, expected);
    router.join(igmp, 4, ONE);
    router.join(igmp, 5, ONE);
}

/// From the change on until "enable" IGMP can neither add nor delete there. From that call on it can, from inside it and
/// from a thread that it hands the work to, as the page of `PMGM_ENABLE_IGMP_CALLBACK` has it done.
#[test]
fn igmp_adds_everything_again_from_the_call_on_that_switches_it_on() {
    let router = Router::new();
    let (own, manager) = (Arc::<Mutex<Option<Handle>>>::default(), Arc::downgrade(&router.manager));
    let (handle, log) = (own.clone(), Arc::<Mutex<Vec<String>>>::default());
    let written = log.clone();
    let client = hearing(move |heard| {
        let (manager, igmp) = (manager.upgrade().unwrap(), handle.lock().unwrap().unwrap());
        let tries = |n: u32| {
            let tries = [
                manager.add_membership(igmp, v4(n), membership(TWO), StateChange::Join),
                manager.add_membership(igmp, v4(n), membership(TWO), StateChange::Forward),
                manager.delete_membership(igmp, v4(n), membership(TWO), StateChange::JoinAndForward),
            ];
            tries.map(|done| match done {
                Ok(()) => "ok",
                Err(MembershipError::ChangingHands(_)) => "changing hands",
                Err(_) => "something else",
            })
        };
        let elsewhere = |n| thread::scope(|scope| scope.spawn(|| tries(n)).join().unwrap());
        let mut log = log.lock().unwrap();
        match heard {
            Heard::Disable(_) => {
                log.push(format!("inside disable: {:?}, on another interface {:?}", tries(5), tries(6)));
                log.push(format!("elsewhere: {:?}, on another interface {:?}", elsewhere(5), elsewhere(6)));
            }
            Heard::Enable(_) => {
                log.push(format!("elsewhere: {:?}, on another interface {:?}", elsewhere(5), elsewhere(6)));
                log.push(format!("inside enable: {:?}, on another interface {:?}", tries(5), tries(6)));
                manager.add_membership(igmp, v4(5), membership(ONE), StateChange::Join).unwrap();
            }
            _ => {}
        }
    });
    let igmp = router.igmp_with(&[5, 6], client);
    *own.lock().unwrap() = Some(igmp);
    let (told, routing) = noting();
    let q = router.client_with(3, &[3], routing);
    router.join(igmp, 5, ONE);
    assert_eq!(taken(&told), [joined(ONE)]);
    router.manager.take(q, v4(5)).unwrap();
    let (no, yes) = (["changing hands"; 3], ["ok"; 3]);
    let expected = [
        format!("inside disable: {no:?}, on another interface {yes:?}"),
        format!("elsewhere: {no:?}, on another interface {yes:?}"),
        format!("elsewhere: {yes:?}, on another interface {yes:?}"),
        format!("inside enable: {yes:?}, on another interface {yes:?}"),
    ];
    assert_eq!(*written.lock().unwrap(), expected);
    assert_eq!(router.manager.client_panics(), 0);
    assert_eq!(router.memberships(), 1);
    let heard = taken(&told);
    assert!(heard.contains(&Heard::LocalJoin(v4(5), membership(ONE))), "{heard:?}");
    router.leave(igmp, 5, ONE);
}

#[test]
fn nothing_tells_of_an_interface_that_was_given_up_before_it_could_be_told() {
    let router = Router::new();
    let (slow, client) = slow();
    let p = router.client_with(1, &[1, 2, 4], client);
    let (q, igmp) = (router.client(3, &[3]), router.igmp(&[4]));
    thread::scope(|scope| {
        let first = scope.spawn(|| router.join(q, 3, ONE));
        slow.is_called();
        router.join(igmp, 4, ONE);
        router.leave(igmp, 4, ONE);
        router.leave(q, 3, ONE);
        assert_eq!(router.new_flow(FLOW), Ok(FlowState::Negative));
        router.join(q, 3, FLOW);
        router.leave(q, 3, FLOW);
        router.manager.release(p, v4(4)).unwrap();
        router.manager.release(p, v4(1)).unwrap();
        slow.may_go_on();
        first.join().unwrap();
    });
    let (mut heard, gone) = (taken(&slow.notes), [v4(1), v4(4)]);
    // What the new flow asked was before the release.
    heard.retain(|heard| !matches!(heard, Heard::ReversePath(_)));
    assert_eq!(heard[0], joined(ONE));
    for heard in &heard {
        match heard {
            Heard::Prune(alert) => assert!(!gone.contains(&alert.interface()), "{heard:?}"),
            Heard::LocalJoin(..) | Heard::LocalLeave(..) => panic!("{heard:?}"),
            _ => {}
        }
    }
    assert!(heard.len() >= 2, "what is of no interface of its own is still told: {heard:?}");
}

/// IGMP that leaves an interface, or leaves altogether, while it is being switched off is not switched on there.
#[test]
fn who_has_left_while_it_is_switched_off_is_not_switched_on() {
    for deregisters in [false, true] {
        let router = Router::new();
        let (own, manager) = (Arc::<Mutex<Option<Handle>>>::default(), Arc::downgrade(&router.manager));
        let (handle, notes) = (own.clone(), Notes::default());
        let written = notes.clone();
        let client = hearing(move |heard| {
            notes.lock().unwrap().push(heard);
            if let Heard::Disable(at) = heard {
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
        assert_eq!(taken(&written), [Heard::Disable(v4(5))], "deregisters: {deregisters}");
        assert_eq!(router.manager.client_panics(), 0);
        if !deregisters {
            router.manager.take(igmp, v4(5)).unwrap();
            router.join(igmp, 5, ONE);
        }
    }
}

/// `PMGM_PRUNE_ALERT_CALLBACK`, `pdwTimeout`: the answer is for the entry that was asked about, while it has no receivers.
#[test]
fn an_answer_to_a_prune_alert_that_comes_too_late_changes_nothing() {
    type Happens = Box<dyn Fn(&GroupManager) + Send>;

    /// Has something happen while it is asked, and answers then.
    struct Late(Weak<GroupManager>, Mutex<Option<Happens>>);

    impl Client for Late {
        fn prune_alert(&self, alert: &mut PruneAlert) {
            if let Some(happens) = self.1.lock().unwrap().take() {
                happens(&self.0.upgrade().unwrap());
                alert.set_timeout(Duration::from_secs(60));
            }
        }
    }

    let expires = |happens: fn(&GroupManager, Handle)| {
        let router = Router::new();
        let late = Arc::new(Late(Arc::downgrade(&router.manager), Mutex::default()));
        router.client_with(1, &[1], late.clone());
        let q = router.client(2, &[2]);
        *late.1.lock().unwrap() = Some(Box::new(move |manager| happens(manager, q)));
        router.new_flow(FLOW).unwrap();
        router.manager.entry(flow(FLOW)).map(|entry| entry.expires.as_secs())
    };
    assert_eq!(expires(|_, _| {}), Some(60));
    assert_eq!(
        expires(|manager, _| manager.advance(Duration::from_secs(100))),
        Some(160),
        "from the answer on"
    );
    let forward = |manager: &GroupManager, q| {
        manager.add_membership(q, v4(2), membership(FLOW), StateChange::Forward).unwrap();
    };
    assert_eq!(expires(forward), Some(900), "it has receivers by now");
    let stopped = |manager: &GroupManager, q| {
        manager.add_membership(q, v4(2), membership(FLOW), StateChange::Forward).unwrap();
        manager.delete_membership(q, v4(2), membership(FLOW), StateChange::Forward).unwrap();
    };
    assert_eq!(expires(stopped), Some(60), "it had some, and has none again");
    let another = |manager: &GroupManager, _| {
        manager.flush_entries();
        manager.new_flow(flow(FLOW)).unwrap();
    };
    assert_eq!(expires(another), Some(900), "it is another");
    assert_eq!(expires(|manager, _| manager.flush_entries()), None);
}
