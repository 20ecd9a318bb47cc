//! Calls every function from inside every callback: none blocks for ever, and each behaves as it does
//! elsewhere.

use crate::support::callback_client::{Callback, callback_client};
use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{
    Cause, DeregisterError, EnumerationError, EnumerationKind, FlowRequest, GroupManager, Interface,
    ManagerConfig, NoOwner, Protocol, RegisterError, ReleaseError, SetEntryError, StateChange, TakeError,
    Upcall,
};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";
const GROUP: &str = "* 239.1.1.1";

/// The arguments of a function that is called inside a callback.
struct Inside<'a> {
    manager: &'a GroupManager,
    /// The client that is being called, an interface that it owns, and another client, which owns 4.
    own: Handle,
    own_interface: Interface,
    other: Handle,
}

impl Inside<'_> {
    fn release_all(&self, client: Handle) {
        let record = self.manager.clients().into_iter().find(|record| record.handle == client).unwrap();
        for interface in record.interfaces {
            self.manager.release(client, interface).unwrap();
        }
    }

    fn is_registered(&self, client: Handle) -> bool {
        self.manager.clients().iter().any(|record| record.handle == client)
    }
}

/// The name of a function, and a call of it that checks its answer.
type Function = (&'static str, fn(&Inside<'_>));

const FUNCTIONS: &[Function] = &[
    ("register", |inside| {
        let protocol = Protocol::new(77, 0);
        let handle = inside.manager.register(protocol, Arc::new(())).unwrap();
        let again = inside.manager.register(protocol, Arc::new(()));
        assert_eq!(again, Err(RegisterError::AlreadyRegistered(protocol)));
        assert!(inside.is_registered(handle));
    }),
    ("deregister, refused", |inside| {
        let refused = inside.manager.deregister(inside.own);
        assert!(matches!(refused, Err(DeregisterError::StillOwns(_))), "{refused:?}");
        let refused = inside.manager.deregister_now(inside.other);
        assert!(matches!(refused, Err(DeregisterError::StillOwns(_))), "{refused:?}");
    }),
    ("deregister the called client", |inside| {
        inside.release_all(inside.own);
        inside.manager.deregister(inside.own).unwrap();
        assert_eq!(inside.manager.deregister(inside.own), Err(DeregisterError::Stale));
    }),
    ("deregister_now the called client", |inside| {
        inside.release_all(inside.own);
        inside.manager.deregister_now(inside.own).unwrap();
        assert_eq!(inside.manager.deregister_now(inside.own), Err(DeregisterError::Stale));
    }),
    ("deregister another", |inside| {
        inside.release_all(inside.other);
        inside.manager.deregister(inside.other).unwrap();
        assert!(!inside.is_registered(inside.other));
    }),
    ("deregister_now another", |inside| {
        inside.release_all(inside.other);
        inside.manager.deregister_now(inside.other).unwrap();
        assert!(!inside.is_registered(inside.other));
    }),
    ("take", |inside| {
        inside.manager.take(inside.own, v4(7)).unwrap();
        assert_eq!(inside.manager.take(inside.own, v4(7)), Err(TakeError::Owned(v4(7))));
    }),
    ("release", |inside| {
        inside.manager.release(inside.own, inside.own_interface).unwrap();
        let again = inside.manager.release(inside.own, inside.own_interface);
        assert_eq!(again, Err(ReleaseError::NotOwner(inside.own_interface)));
        assert_eq!(inside.manager.owner_of(inside.own_interface), Err(NoOwner(inside.own_interface)));
    }),
    ("owner_of", |inside| {
        let record = inside.manager.clients().into_iter().find(|record| record.handle == inside.own).unwrap();
        assert_eq!(inside.manager.owner_of(inside.own_interface), Ok(record.protocol));
    }),
    ("add_membership and delete_membership", |inside| {
        for what in ["* *", "* 239.1.1.9", "192.0.2.9 239.1.1.9"].map(membership) {
            for effect in [StateChange::Join, StateChange::Forward, StateChange::JoinAndForward] {
                let exists = || inside.manager.memberships().iter().any(|record| record.membership == what);
                inside.manager.add_membership(inside.own, inside.own_interface, what, effect).unwrap();
                assert_eq!(exists(), effect != StateChange::Forward);
                inside.manager.delete_membership(inside.own, inside.own_interface, what, effect).unwrap();
                assert!(!exists());
            }
        }
    }),
    ("new_flow", |inside| {
        let new = flow("192.0.2.8 239.1.1.8");
        let state = inside.manager.new_flow(new).unwrap();
        assert_eq!(inside.manager.new_flow(new), Ok(state));
        assert_eq!(inside.manager.new_flow(FlowRequest::new(new).with_packet(&[0x45])), Ok(state));
        assert!(inside.manager.entry(new).is_some());
    }),
    ("entry, entries, entries_after", |inside| {
        let new = flow("192.0.2.8 239.1.1.8");
        inside.manager.new_flow(new).unwrap();
        let all = inside.manager.entries();
        assert_eq!(inside.manager.entries_after(None, usize::MAX), all);
        assert!(all.contains(&inside.manager.entry(new).unwrap()));
        assert_eq!(inside.manager.entries_after(all.last().map(|last| last.flow), 1), []);
    }),
    ("memberships, clients", |inside| {
        assert!(inside.is_registered(inside.own) && inside.is_registered(inside.other));
        assert!(inside.manager.memberships().len() < 9);
    }),
    ("set_upstream_neighbour", |inside| {
        let (new, neighbour) = (flow("192.0.2.8 239.1.1.8"), Some(IpAddr::from([192, 0, 2, 1])));
        inside.manager.new_flow(new).unwrap();
        let refused = inside.manager.set_upstream_neighbour(inside.other, new, neighbour);
        assert_eq!(refused, Err(SetEntryError::NotOwner(new)));
        let own_interface = inside.manager.set_upstream_neighbour(inside.own, new, neighbour);
        let named = inside.manager.entry(new).unwrap().neighbour;
        assert_eq!(named, neighbour.filter(|_| own_interface.is_ok()));
    }),
    ("enumerate_groups, next_groups, end_enumeration", |inside| {
        let what = membership("* 239.1.1.9");
        inside.manager.add_membership(inside.own, inside.own_interface, what, StateChange::Join).unwrap();
        let enumeration = inside.manager.enumerate_groups(inside.own, EnumerationKind::AllSources).unwrap();
        assert!(inside.manager.next_groups(enumeration, usize::MAX).unwrap().groups.contains(&what));
        inside.manager.end_enumeration(enumeration).unwrap();
        assert_eq!(inside.manager.end_enumeration(enumeration), Err(EnumerationError::Stale));
    }),
    ("flush_entries", |inside| {
        inside.manager.flush_entries();
        assert_eq!(inside.manager.entries(), []);
    }),
    ("advance, next_deadline", |inside| {
        inside.manager.new_flow(flow("192.0.2.8 239.1.1.8")).unwrap();
        assert!(inside.manager.next_deadline().is_some());
        inside.manager.advance(Duration::from_secs(100_000));
        assert_eq!(inside.manager.next_deadline(), None);
    }),
    ("upcall, process_upcalls", |inside| {
        let new = flow("192.0.2.8 239.1.1.8");
        assert_eq!(inside.manager.upcall(new, v4(1), &[0x45]), Upcall::Queued);
        assert_eq!(inside.manager.upcall(new, v4(1), &[0x45]), Upcall::Waiting);
        assert!(inside.manager.process_upcalls(usize::MAX) >= 1);
        assert!(inside.manager.entry(new).is_some());
        assert_eq!(inside.manager.process_upcalls(1), 0);
    }),
    ("wrong_interface, process_upcalls", |inside| {
        let new = flow("192.0.2.8 239.1.1.8");
        inside.manager.new_flow(new).unwrap();
        assert!(inside.manager.wrong_interface(new, inside.own_interface, &[0x45]));
        assert!(
            !inside.manager.wrong_interface(new, inside.own_interface, &[0x45]),
            "the interval has not passed"
        );
        assert!(inside.manager.process_upcalls(usize::MAX) >= 1);
    }),
    ("routes_changed, routes_changed_in", |inside| {
        inside.manager.new_flow(flow("192.0.2.8 239.1.1.8")).unwrap();
        assert_eq!(inside.manager.routes_changed_in([192, 0, 2, 0].into(), 24), 0);
        assert_eq!(inside.manager.routes_changed(|_| true), 0, "the routes have not changed");
    }),
    ("limit_counters, client_panics", |inside| {
        assert_eq!(inside.manager.limit_counters().negative_evicted, 0);
        assert_eq!(inside.manager.client_panics(), 0);
    }),
    ("interface, vif_index, forwarding", |inside| {
        let number = inside.manager.vif_index(inside.own_interface).unwrap();
        assert_eq!(inside.manager.interface(number), Some(inside.own_interface));
        let mut reader = inside.manager.forwarding().reader();
        assert!(reader.lookup(&flow("192.0.2.99 239.1.1.99")).is_none());
    }),
];

/// A router and its clients: `p` owns 1, 2, 3 and 8, `q` 4 and 6, IGMP, `g`, 2, 5 and 9.
struct Scene {
    router: Router,
    p: Handle,
    q: Handle,
    g: Handle,
}

/// A callback: its name, the test that recognises it, whether it goes to IGMP, the calls that prepare it, and
/// the call that causes it.
struct Case {
    name: &'static str,
    is: fn(&Callback) -> bool,
    to_igmp: bool,
    before: fn(&Scene),
    causes: fn(&Scene),
}

const CALLBACKS: &[Case] = &[
    Case {
        name: "reverse_path",
        is: |received| matches!(received, Callback::ReversePath(_)),
        to_igmp: false,
        before: |_| {},
        causes: |scene| _ = scene.router.new_flow(FLOW),
    },
    Case {
        name: "creation_alert",
        is: |received| matches!(received, Callback::Creation(_)),
        to_igmp: false,
        before: |scene| scene.router.join(scene.p, 3, GROUP),
        causes: |scene| _ = scene.router.new_flow(FLOW),
    },
    Case {
        name: "join_alert because of memberships",
        is: |received| matches!(received, Callback::Join(alert) if alert.cause() == Cause::Membership),
        to_igmp: false,
        before: |_| {},
        causes: |scene| scene.router.join(scene.q, 4, GROUP),
    },
    Case {
        name: "join_alert because of an entry",
        is: |received| matches!(received, Callback::Join(alert) if alert.cause() == Cause::Entry),
        to_igmp: false,
        before: |scene| _ = scene.router.new_flow(FLOW),
        causes: |scene| scene.router.add(scene.q, 4, FLOW, StateChange::Forward).unwrap(),
    },
    Case {
        name: "prune_alert because of memberships",
        is: |received| matches!(received, Callback::Prune(alert) if alert.cause() == Cause::Membership),
        to_igmp: false,
        before: |scene| scene.router.join(scene.q, 4, GROUP),
        causes: |scene| scene.router.leave(scene.q, 4, GROUP),
    },
    Case {
        name: "prune_alert because of an entry",
        is: |received| matches!(received, Callback::Prune(alert) if alert.cause() == Cause::Entry),
        to_igmp: false,
        before: |_| {},
        causes: |scene| _ = scene.router.new_flow(FLOW),
    },
    Case {
        name: "local_join",
        is: |received| matches!(received, Callback::LocalJoin(..)),
        to_igmp: false,
        before: |_| {},
        causes: |scene| scene.router.join(scene.g, 2, GROUP),
    },
    Case {
        name: "local_leave",
        is: |received| matches!(received, Callback::LocalLeave(..)),
        to_igmp: false,
        before: |scene| scene.router.join(scene.g, 2, GROUP),
        causes: |scene| scene.router.leave(scene.g, 2, GROUP),
    },
    Case {
        name: "disable_igmp",
        is: |received| matches!(received, Callback::Disable(_)),
        to_igmp: true,
        before: |scene| scene.router.join(scene.g, 5, GROUP),
        causes: |scene| scene.router.manager.take(scene.q, v4(5)).unwrap(),
    },
    Case {
        name: "enable_igmp",
        is: |received| matches!(received, Callback::Enable(_)),
        to_igmp: true,
        before: |_| {},
        causes: |scene| scene.router.manager.release(scene.p, v4(2)).unwrap(),
    },
    Case {
        name: "wrong_interface",
        is: |received| matches!(received, Callback::WrongInterface(_)),
        to_igmp: false,
        before: |scene| _ = scene.router.new_flow(FLOW),
        causes: |scene| {
            assert!(scene.router.manager.wrong_interface(flow(FLOW), v4(3), &[0x45]));
            scene.router.manager.process_upcalls(1);
        },
    },
    Case {
        name: "notices_lost",
        is: |received| matches!(received, Callback::Lost(_)),
        to_igmp: false,
        before: |scene| {
            ["* 239.1.1.2", "* 239.1.1.3", GROUP].iter().for_each(|what| scene.router.join(scene.q, 4, what))
        },
        causes: |scene| scene.router.manager.release(scene.q, v4(4)).unwrap(),
    },
];

/// Runs the function once, inside the callback that the case names.
struct Hook {
    manager: Weak<GroupManager>,
    is: fn(&Callback) -> bool,
    function: fn(&Inside<'_>),
    /// The called client, an interface that it owns, and another client.
    handles: Mutex<Option<(Handle, Interface, Handle)>>,
    armed: AtomicBool,
    called: AtomicU32,
    deregistered: AtomicBool,
}

impl Hook {
    fn on_callback(&self, received: &Callback) {
        assert!(!self.deregistered.load(Ordering::SeqCst), "called after it deregistered: {received:?}");
        if !(self.is)(received) || !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        let manager = self.manager.upgrade().unwrap();
        let (own, own_interface, other) = self.handles.lock().unwrap().unwrap();
        let inside = Inside { manager: &manager, own, own_interface, other };
        (self.function)(&inside);
        self.deregistered.store(!inside.is_registered(own), Ordering::SeqCst);
        self.called.fetch_add(1, Ordering::SeqCst);
    }
}

fn run(callback: &Case, function: fn(&Inside<'_>)) {
    let notices = if callback.name == "notices_lost" { 1 } else { 64 };
    let config =
        ManagerConfig::default().with_clients(16).with_interfaces(16).with_entries(64).with_notices(notices);
    let router = Router::with(config);
    let hook = Arc::new(Hook {
        manager: Arc::downgrade(&router.manager),
        is: callback.is,
        function,
        handles: Mutex::default(),
        armed: AtomicBool::new(false),
        called: AtomicU32::new(0),
        deregistered: AtomicBool::new(false),
    });
    let own = hook.clone();
    let client = callback_client(move |received| own.on_callback(&received));
    let idle = || -> Arc<dyn mgm::manager::Client> { Arc::new(()) };
    let (of_p, of_g) = if callback.to_igmp { (idle(), client) } else { (client, idle()) };
    let p = router.client_with(1, &[1, 2, 3, 8], of_p);
    let q = router.client(2, &[4, 6]);
    let g = router.igmp_with(&[2, 5, 9], of_g);
    let scene = Scene { router, p, q, g };
    (callback.before)(&scene);
    *hook.handles.lock().unwrap() = Some(if callback.to_igmp { (g, v4(9), q) } else { (p, v4(8), q) });
    hook.armed.store(true, Ordering::SeqCst);
    (callback.causes)(&scene);
    let manager = &scene.router.manager;
    assert_eq!(manager.client_panics(), 0, "a function gave a wrong answer");
    assert_eq!(hook.called.load(Ordering::SeqCst), 1);
    // The manager works as usual afterwards.
    let last = scene.router.client(99, &[90, 91]);
    scene.router.join(last, 90, GROUP);
    scene.router.route("192.0.2.99", Some(v4(91)));
    scene.router.new_flow("192.0.2.99 239.1.1.1").unwrap();
    assert!(scene.router.outgoing("192.0.2.99 239.1.1.1").unwrap().contains(&90));
    scene.router.leave(last, 90, GROUP);
    for client in manager.clients() {
        client.interfaces.iter().for_each(|interface| manager.release(client.handle, *interface).unwrap());
        manager.deregister(client.handle).unwrap();
    }
    assert_eq!(manager.client_panics(), 0);
    assert_eq!((manager.clients().len(), manager.memberships().len()), (0, 0));
}

#[test]
fn every_function_works_inside_every_callback() {
    for callback in CALLBACKS {
        for (name, function) in FUNCTIONS {
            let (done, is_done) = channel();
            let thread = thread::spawn(move || {
                run(callback, *function);
                done.send(()).unwrap();
            });
            match is_done.recv_timeout(Duration::from_secs(60)) {
                Ok(()) => thread.join().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("{name} inside {} blocks for ever", callback.name),
                Err(RecvTimeoutError::Disconnected) => panic!("{name} inside {} failed", callback.name),
            }
        }
    }
}
