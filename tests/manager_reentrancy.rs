//! Every function from inside every callback: none waits for ever, each does what it does elsewhere.

mod common;

use common::hearing::{Heard, hearing};
use common::*;
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

/// What a function has at hand inside a callback.
struct Inside<'a> {
    manager: &'a GroupManager,
    /// Who is being called, an interface of its own, and another client, which owns 4.
    me: Handle,
    mine: Interface,
    other: Handle,
}

impl Inside<'_> {
    fn give_up(&self, client: Handle) {
        let record = self.manager.clients().into_iter().find(|record| record.handle == client).unwrap();
        for interface in record.interfaces {
            self.manager.release(client, interface).unwrap();
        }
    }

    fn is_registered(&self, client: Handle) -> bool {
        self.manager.clients().iter().any(|record| record.handle == client)
    }
}

/// A function's name, and a call of it with what it has to answer.
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
        let refused = inside.manager.deregister(inside.me);
        assert!(matches!(refused, Err(DeregisterError::StillOwns(_))), "{refused:?}");
        let refused = inside.manager.deregister_now(inside.other);
        assert!(matches!(refused, Err(DeregisterError::StillOwns(_))), "{refused:?}");
    }),
    ("deregister oneself", |inside| {
        inside.give_up(inside.me);
        inside.manager.deregister(inside.me).unwrap();
        assert_eq!(inside.manager.deregister(inside.me), Err(DeregisterError::Stale));
    }),
    ("deregister_now oneself", |inside| {
        inside.give_up(inside.me);
        inside.manager.deregister_now(inside.me).unwrap();
        assert_eq!(inside.manager.deregister_now(inside.me), Err(DeregisterError::Stale));
    }),
    ("deregister another", |inside| {
        inside.give_up(inside.other);
        inside.manager.deregister(inside.other).unwrap();
        assert!(!inside.is_registered(inside.other));
    }),
    ("deregister_now another", |inside| {
        inside.give_up(inside.other);
        inside.manager.deregister_now(inside.other).unwrap();
        assert!(!inside.is_registered(inside.other));
    }),
    ("take", |inside| {
        inside.manager.take(inside.me, v4(7)).unwrap();
        assert_eq!(inside.manager.take(inside.me, v4(7)), Err(TakeError::Owned(v4(7))));
    }),
    ("release", |inside| {
        inside.manager.release(inside.me, inside.mine).unwrap();
        let again = inside.manager.release(inside.me, inside.mine);
        assert_eq!(again, Err(ReleaseError::NotOwner(inside.mine)));
        assert_eq!(inside.manager.owner_of(inside.mine), Err(NoOwner(inside.mine)));
    }),
    ("owner_of", |inside| {
        let record = inside.manager.clients().into_iter().find(|record| record.handle == inside.me).unwrap();
        assert_eq!(inside.manager.owner_of(inside.mine), Ok(record.protocol));
    }),
    ("add_membership and delete_membership", |inside| {
        for what in ["* *", "* 239.1.1.9", "192.0.2.9 239.1.1.9"].map(membership) {
            for effect in [StateChange::Join, StateChange::Forward, StateChange::JoinAndForward] {
                let is_there = || inside.manager.memberships().iter().any(|record| record.membership == what);
                inside.manager.add_membership(inside.me, inside.mine, what, effect).unwrap();
                assert_eq!(is_there(), effect != StateChange::Forward);
                inside.manager.delete_membership(inside.me, inside.mine, what, effect).unwrap();
                assert!(!is_there());
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
        assert!(inside.is_registered(inside.me) && inside.is_registered(inside.other));
        assert!(inside.manager.memberships().len() < 9);
    }),
    ("set_upstream_neighbour", |inside| {
        let (new, neighbour) = (flow("192.0.2.8 239.1.1.8"), Some(IpAddr::from([192, 0, 2, 1])));
        inside.manager.new_flow(new).unwrap();
        let refused = inside.manager.set_upstream_neighbour(inside.other, new, neighbour);
        assert_eq!(refused, Err(SetEntryError::NotOwner(new)));
        let mine = inside.manager.set_upstream_neighbour(inside.me, new, neighbour);
        let named = inside.manager.entry(new).unwrap().neighbour;
        assert_eq!(named, neighbour.filter(|_| mine.is_ok()));
    }),
    ("enumerate_groups, next_groups, end_enumeration", |inside| {
        let what = membership("* 239.1.1.9");
        inside.manager.add_membership(inside.me, inside.mine, what, StateChange::Join).unwrap();
        let enumeration = inside.manager.enumerate_groups(inside.me, EnumerationKind::AllSources).unwrap();
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
        assert!(inside.manager.wrong_interface(new, inside.mine, &[0x45]));
        assert!(!inside.manager.wrong_interface(new, inside.mine, &[0x45]), "not so soon again");
        assert!(inside.manager.process_upcalls(usize::MAX) >= 1);
    }),
    ("routes_changed", |inside| {
        inside.manager.new_flow(flow("192.0.2.8 239.1.1.8")).unwrap();
        assert_eq!(inside.manager.routes_changed(|_| true), 0, "they say what they said before");
    }),
    ("limit_counters, client_panics", |inside| {
        assert_eq!(inside.manager.limit_counters().negative_evicted, 0);
        assert_eq!(inside.manager.client_panics(), 0);
    }),
    ("interface, vif_index, forwarding", |inside| {
        let number = inside.manager.vif_index(inside.mine).unwrap();
        assert_eq!(inside.manager.interface(number), Some(inside.mine));
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

/// A callback: how it is told from others, whether it is IGMP's, what comes before, and what has it called.
struct Callback {
    name: &'static str,
    is: fn(&Heard) -> bool,
    of_igmp: bool,
    before: fn(&Scene),
    calls: fn(&Scene),
}

const CALLBACKS: &[Callback] = &[
    Callback {
        name: "reverse_path",
        is: |heard| matches!(heard, Heard::ReversePath(_)),
        of_igmp: false,
        before: |_| {},
        calls: |scene| _ = scene.router.new_flow(FLOW),
    },
    Callback {
        name: "creation_alert",
        is: |heard| matches!(heard, Heard::Creation(_)),
        of_igmp: false,
        before: |scene| scene.router.join(scene.p, 3, GROUP),
        calls: |scene| _ = scene.router.new_flow(FLOW),
    },
    Callback {
        name: "join_alert because of memberships",
        is: |heard| matches!(heard, Heard::Join(alert) if alert.cause() == Cause::Membership),
        of_igmp: false,
        before: |_| {},
        calls: |scene| scene.router.join(scene.q, 4, GROUP),
    },
    Callback {
        name: "join_alert because of an entry",
        is: |heard| matches!(heard, Heard::Join(alert) if alert.cause() == Cause::Entry),
        of_igmp: false,
        before: |scene| _ = scene.router.new_flow(FLOW),
        calls: |scene| scene.router.add(scene.q, 4, FLOW, StateChange::Forward).unwrap(),
    },
    Callback {
        name: "prune_alert because of memberships",
        is: |heard| matches!(heard, Heard::Prune(alert) if alert.cause() == Cause::Membership),
        of_igmp: false,
        before: |scene| scene.router.join(scene.q, 4, GROUP),
        calls: |scene| scene.router.leave(scene.q, 4, GROUP),
    },
    Callback {
        name: "prune_alert because of an entry",
        is: |heard| matches!(heard, Heard::Prune(alert) if alert.cause() == Cause::Entry),
        of_igmp: false,
        before: |_| {},
        calls: |scene| _ = scene.router.new_flow(FLOW),
    },
    Callback {
        name: "local_join",
        is: |heard| matches!(heard, Heard::LocalJoin(..)),
        of_igmp: false,
        before: |_| {},
        calls: |scene| scene.router.join(scene.g, 2, GROUP),
    },
    Callback {
        name: "local_leave",
        is: |heard| matches!(heard, Heard::LocalLeave(..)),
        of_igmp: false,
        before: |scene| scene.router.join(scene.g, 2, GROUP),
        calls: |scene| scene.router.leave(scene.g, 2, GROUP),
    },
    Callback {
        name: "disable_igmp",
        is: |heard| matches!(heard, Heard::Disable(_)),
        of_igmp: true,
        before: |scene| scene.router.join(scene.g, 5, GROUP),
        calls: |scene| scene.router.manager.take(scene.q, v4(5)).unwrap(),
    },
    Callback {
        name: "enable_igmp",
        is: |heard| matches!(heard, Heard::Enable(_)),
        of_igmp: true,
        before: |_| {},
        calls: |scene| scene.router.manager.release(scene.p, v4(2)).unwrap(),
    },
    Callback {
        name: "wrong_interface",
        is: |heard| matches!(heard, Heard::WrongInterface(_)),
        of_igmp: false,
        before: |scene| _ = scene.router.new_flow(FLOW),
        calls: |scene| {
            assert!(scene.router.manager.wrong_interface(flow(FLOW), v4(3), &[0x45]));
            scene.router.manager.process_upcalls(1);
        },
    },
    Callback {
        name: "notices_lost",
        is: |heard| matches!(heard, Heard::Lost(_)),
        of_igmp: false,
        before: |scene| {
            ["* 239.1.1.2", "* 239.1.1.3", GROUP].iter().for_each(|what| scene.router.join(scene.q, 4, what))
        },
        calls: |scene| scene.router.manager.release(scene.q, v4(4)).unwrap(),
    },
];

/// What a client does when the callback comes that everybody waits for.
struct Hook {
    manager: Weak<GroupManager>,
    is: fn(&Heard) -> bool,
    function: fn(&Inside<'_>),
    /// Who it is, an interface of its own, and another.
    who: Mutex<Option<(Handle, Interface, Handle)>>,
    armed: AtomicBool,
    called: AtomicU32,
    left: AtomicBool,
}

impl Hook {
    fn hear(&self, heard: &Heard) {
        assert!(!self.left.load(Ordering::SeqCst), "called after it has left: {heard:?}");
        if !(self.is)(heard) || !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        let manager = self.manager.upgrade().unwrap();
        let (me, mine, other) = self.who.lock().unwrap().unwrap();
        let inside = Inside { manager: &manager, me, mine, other };
        (self.function)(&inside);
        self.left.store(!inside.is_registered(me), Ordering::SeqCst);
        self.called.fetch_add(1, Ordering::SeqCst);
    }
}

fn run(callback: &Callback, function: fn(&Inside<'_>)) {
    let notices = if callback.name == "notices_lost" { 1 } else { 64 };
    let config =
        ManagerConfig::default().with_clients(16).with_interfaces(16).with_entries(64).with_notices(notices);
    let router = Router::with(config);
    let hook = Arc::new(Hook {
        manager: Arc::downgrade(&router.manager),
        is: callback.is,
        function,
        who: Mutex::default(),
        armed: AtomicBool::new(false),
        called: AtomicU32::new(0),
        left: AtomicBool::new(false),
    });
    let own = hook.clone();
    let client = hearing(move |heard| own.hear(&heard));
    let idle = || -> Arc<dyn mgm::manager::Client> { Arc::new(()) };
    let (of_p, of_g) = if callback.of_igmp { (idle(), client) } else { (client, idle()) };
    let p = router.client_with(1, &[1, 2, 3, 8], of_p);
    let q = router.client(2, &[4, 6]);
    let g = router.igmp_with(&[2, 5, 9], of_g);
    let scene = Scene { router, p, q, g };
    (callback.before)(&scene);
    *hook.who.lock().unwrap() = Some(if callback.of_igmp { (g, v4(9), q) } else { (p, v4(8), q) });
    hook.armed.store(true, Ordering::SeqCst);
    (callback.calls)(&scene);
    let manager = &scene.router.manager;
    assert_eq!(manager.client_panics(), 0, "a function did not do as it should");
    assert_eq!(hook.called.load(Ordering::SeqCst), 1);
    // All goes on as usual.
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
            let cell = thread::spawn(move || {
                run(callback, *function);
                done.send(()).unwrap();
            });
            match is_done.recv_timeout(Duration::from_secs(60)) {
                Ok(()) => cell.join().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("{name} inside {} waits for ever", callback.name),
                Err(RecvTimeoutError::Disconnected) => panic!("{name} inside {} failed", callback.name),
            }
        }
    }
}
