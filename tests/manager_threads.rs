//! Many threads at once: what each is promised, and what must be true when they rest.

mod common;

use common::*;
use mgm::forwarding::{Verdict, VifIndex};
use mgm::handle::Handle;
use mgm::manager::{
    Client, CreationAlert, DeregisterError, FlowState, GroupManager, Interface, MembershipError,
    NewFlowError, Protocol, RegisterError, ReleaseError, StateChange, TakeError,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const FLOW: &str = "192.0.2.7 239.1.1.1";

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(sides)) as u32
    }
}

#[test]
fn an_entry_in_a_workers_hands_is_dead_the_instant_a_release_took_effect() {
    let router = Router::new();
    let (p, q, igmp) = (router.client(1, &[1]), router.client(2, &[2, 3]), router.igmp(&[3, 4]));
    for (client, n) in [(q, 2), (igmp, 3), (igmp, 4)] {
        router.join(client, n, "* 239.1.1.1");
    }
    router.new_flow(FLOW).unwrap();
    let forwarding = router.manager.forwarding();
    let mut reader = forwarding.reader();
    let entry = reader.lookup(&flow(FLOW)).unwrap();
    let live = || -> Vec<u32> {
        entry.live_outgoing().map(|n| router.manager.interface(n).unwrap().index()).collect()
    };
    assert_eq!(live(), [2, 3, 4]);
    router.manager.release(q, v4(2)).unwrap();
    assert_eq!(live(), [3, 4]);
    router.manager.release(q, v4(3)).unwrap();
    assert_eq!(live(), [4], "IGMP's share hung on the routing protocol's staying");
    router.manager.take(q, v4(2)).unwrap();
    assert_eq!(live(), [4], "and taking it again revives nothing");
    router.manager.take(q, v4(4)).unwrap();
    assert_eq!(live(), []);
    let arrival = router.manager.vif_index(v4(1)).unwrap();
    assert_eq!(entry.judge(arrival), Verdict::Accept);
    router.manager.release(p, v4(1)).unwrap();
    assert_eq!(entry.judge(arrival), Verdict::Miss);
}

#[test]
fn a_packet_is_never_copied_to_an_interface_that_was_released_before_it_was_looked_at() {
    const ROUNDS: u64 = 2000;
    let router = Router::new();
    router.client(1, &[1]);
    let q = router.client(2, &[]);
    router.new_flow(FLOW).unwrap();
    // Even while the interface may be owned, odd from after a release to before the next take.
    let phase = AtomicU64::new(1);
    let looks = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Finally(&done);
            let forwarding = router.manager.forwarding();
            let mut reader = forwarding.reader();
            while !done.load(Ordering::SeqCst) {
                let before = phase.load(Ordering::SeqCst);
                let entry = reader.lookup(&flow(FLOW)).expect("the way in is owned throughout");
                let copied = entry.live_outgoing().count();
                let after = phase.load(Ordering::SeqCst);
                if before == after && before % 2 == 1 {
                    assert_eq!(copied, 0, "in phase {before}");
                    looks.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let _done = Finally(&done);
        for round in 0..ROUNDS {
            phase.fetch_add(1, Ordering::SeqCst);
            router.manager.take(q, v4(2)).unwrap();
            router.join(q, 2, "* 239.1.1.1");
            assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
            router.manager.release(q, v4(2)).unwrap();
            phase.fetch_add(1, Ordering::SeqCst);
            // Now and then the reader has to have looked at what was released.
            let seen = looks.load(Ordering::SeqCst);
            while round % 32 == 0 && looks.load(Ordering::SeqCst) == seen && !done.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    });
}

/// Says when a thread ends, however it does: so that the others do not wait for one that has failed.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn calls_that_must_fail_make_no_others_fail() {
    const ROUNDS: u32 = 4000;
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    let strangers: Vec<Handle> = (2..4).map(|id| router.client(id, &[])).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for stranger in &strangers {
            scope.spawn(|| {
                let name = Protocol::new(1, 0);
                while !done.load(Ordering::SeqCst) {
                    let manager = &router.manager;
                    assert_eq!(manager.take(*stranger, v4(2)), Err(TakeError::Owned(v4(2))));
                    assert_eq!(manager.release(*stranger, v4(2)), Err(ReleaseError::NotOwner(v4(2))));
                    assert_eq!(manager.take(p, v4(2)), Err(TakeError::Owned(v4(2))));
                    assert_eq!(manager.deregister(p), Err(DeregisterError::StillOwns(3)));
                    assert_eq!(
                        router.add(*stranger, 2, FLOW, StateChange::Join),
                        Err(MembershipError::NotOwner(v4(2)))
                    );
                    let refused = manager.register(name, Arc::new(()));
                    assert_eq!(refused, Err(RegisterError::AlreadyRegistered(name)));
                }
            });
        }
        let _done = Finally(&done);
        for round in 0..ROUNDS {
            router.join(p, 2, "* 239.1.1.1");
            assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active), "round {round}");
            assert_eq!(router.outgoing(FLOW), Some(vec![2]));
            assert_eq!(router.manager.owner_of(v4(2)), Ok(Protocol::new(1, 0)));
            router.leave(p, 2, "* 239.1.1.1");
            assert_eq!(router.outgoing(FLOW), Some(vec![]));
        }
    });
}

/// What the threads of a storm share: for each protocol the handle that was registered last.
struct Storm {
    router: Router,
    handles: Vec<AtomicU64>,
    /// Successful takes less successful releases, by handle.
    balance: Mutex<BTreeMap<Handle, i64>>,
    retired: Mutex<BTreeSet<Handle>>,
}

const PROTOCOLS: [u32; 4] = [1, 2, 3, Protocol::IGMP];
const INTERFACES: u32 = 4;

impl Storm {
    fn handle(&self, n: u32) -> Handle {
        Handle::from(self.handles[n as usize].load(Ordering::SeqCst))
    }

    fn change(&self, dice: &mut Dice, balance: &mut BTreeMap<Handle, i64>) {
        let (manager, who) = (&self.router.manager, dice.roll(4));
        let (handle, interface) = (self.handle(who), v4(1 + dice.roll(INTERFACES)));
        match dice.roll(8) {
            0..=2 => {
                if manager.take(handle, interface).is_ok() {
                    *balance.entry(handle).or_default() += 1;
                }
            }
            3..=5 => {
                if manager.release(handle, interface).is_ok() {
                    *balance.entry(handle).or_default() -= 1;
                }
            }
            6 => {
                if manager.deregister(handle).is_ok() {
                    assert!(self.retired.lock().unwrap().insert(handle), "{handle:?} is retired once");
                }
            }
            _ => {
                if let Ok(new) = manager.register(Protocol::new(PROTOCOLS[who as usize], 0), Arc::new(())) {
                    self.handles[who as usize].store(new.into(), Ordering::SeqCst);
                }
            }
        }
    }

    fn speak(&self, dice: &mut Dice) {
        let (router, handle) = (&self.router, self.handle(dice.roll(4)));
        let interface = 1 + dice.roll(INTERFACES);
        let what = ["* *", "* 239.1.1.1", FLOW, "192.0.2.8 239.1.1.1"][dice.roll(4) as usize];
        match dice.roll(8) {
            // A refusal is as good as anything here.
            0..=3 => drop(router.add(handle, interface, what, StateChange::Join)),
            4..=5 => drop(router.delete(handle, interface, what, StateChange::Join)),
            6 => drop(router.new_flow([FLOW, "192.0.2.8 239.1.1.1"][dice.roll(2) as usize])),
            _ => router.manager.flush_entries(),
        }
    }

    fn rest(self) {
        let manager = &self.router.manager;
        let clients = manager.clients();
        for (handle, held) in self.balance.lock().unwrap().iter() {
            let owned = clients.iter().find(|c| c.handle == *handle).map_or(0, |c| c.interfaces.len());
            assert_eq!(owned as i64, *held, "{handle:?} owns what it took and did not release");
            assert!(
                *held == 0 || !self.retired.lock().unwrap().contains(handle),
                "{handle:?} is retired and owns"
            );
        }
        for n in 1..=INTERFACES {
            let owners: Vec<_> = clients.iter().filter(|c| c.interfaces.contains(&v4(n))).collect();
            let routing = owners.iter().filter(|c| c.protocol.id != Protocol::IGMP).count();
            assert!(routing <= 1 && owners.len() <= 2, "{owners:?}");
            assert_eq!(manager.owner_of(v4(n)).is_ok(), !owners.is_empty());
        }
        // Every membership is by an owner, and every entry is what the memberships ask for.
        let memberships = manager.memberships();
        for record in &memberships {
            let owner = clients.iter().find(|c| c.protocol == record.protocol).unwrap();
            assert!(owner.interfaces.contains(&record.interface), "{record:?}");
        }
        for what in [FLOW, "192.0.2.8 239.1.1.1"] {
            manager.new_flow(flow(what)).unwrap();
            let wanted = memberships.iter().filter(|m| m.membership.covers(&flow(what)));
            let arrives = manager.owner_of(v4(1)).is_ok();
            let wanted: BTreeSet<Interface> =
                wanted.map(|m| m.interface).filter(|i| arrives && *i != v4(1)).collect();
            assert_eq!(outgoing(manager, &flow(what)), Some(wanted), "{what}");
        }
    }
}

#[test]
fn a_storm_of_owners_and_receivers_leaves_everything_consistent() {
    const STEPS: u32 = 6000;
    for seed in 0..4 {
        let router = Router::new();
        let handles = PROTOCOLS.map(|id| AtomicU64::new(router.client(id, &[]).into())).into();
        let storm = Storm { router, handles, balance: Mutex::default(), retired: Mutex::default() };
        thread::scope(|scope| {
            let storm = &storm;
            for worker in 0..2 {
                scope.spawn(move || {
                    let (mut dice, mut balance) = (Dice(seed * 16 + worker), BTreeMap::new());
                    (0..STEPS).for_each(|_| storm.change(&mut dice, &mut balance));
                    let mut all = storm.balance.lock().unwrap();
                    balance.into_iter().for_each(|(handle, n)| *all.entry(handle).or_default() += n);
                });
            }
            scope.spawn(|| {
                let mut dice = Dice(seed * 16 + 8);
                (0..STEPS).for_each(|_| storm.speak(&mut dice));
            });
            scope.spawn(|| {
                let forwarding = storm.router.manager.forwarding();
                let mut reader = forwarding.reader();
                for _ in 0..STEPS {
                    let Some(entry) = reader.lookup(&flow(FLOW)) else { continue };
                    let way_in = entry.incoming().map_or(VifIndex(u32::MAX), |i| i.interface);
                    let out: Vec<_> = entry.live_outgoing().collect();
                    assert!(out.is_sorted() && !out.contains(&way_in), "{entry:?}");
                }
            });
        });
        storm.rest();
    }
}

/// Says that it is being asked, and waits to be told to go on.
struct Waiting {
    asked: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Client for Waiting {
    fn creation_alert(&self, _: &mut CreationAlert<'_>) {
        self.asked.lock().unwrap().send(()).unwrap();
        // Whoever waits in vain fails by the timeout, not by hanging.
        self.go_on.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn nobody_waits_for_a_client_that_takes_its_time_to_answer() {
    let router = Router::new();
    let (asked, is_asked) = channel();
    let (go, go_on) = channel();
    let client = Waiting { asked: Mutex::new(asked), go_on: Mutex::new(go_on) };
    let p = router.client_with(1, &[1, 2], Arc::new(client));
    router.join(p, 2, "* 239.1.1.1");
    thread::scope(|scope| {
        let builder = scope.spawn(|| router.new_flow(FLOW));
        is_asked.recv().unwrap();
        let manager: &GroupManager = &router.manager;
        assert_eq!(router.new_flow(FLOW), Err(NewFlowError::Building(flow(FLOW))));
        assert_eq!(router.new_flow("192.0.2.8 239.1.1.2"), Ok(FlowState::Negative));
        let q = router.client(2, &[3]);
        router.join(q, 3, FLOW);
        manager.flush_entries();
        manager.advance(Duration::from_secs(10));
        assert_eq!((manager.entries().len(), manager.memberships().len()), (0, 2));
        assert_eq!(manager.owner_of(v4(2)), Ok(Protocol::new(1, 0)));
        go.send(()).unwrap();
        assert_eq!(builder.join().unwrap(), Ok(FlowState::Active));
        assert_eq!(router.outgoing(FLOW), Some(vec![2, 3]), "what was joined meanwhile is in");
        manager.release(q, v4(3)).unwrap();
        manager.deregister(q).unwrap();
    });
    assert_eq!(router.manager.client_panics(), 0);
}

#[test]
fn of_many_that_register_under_one_name_one_does() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 500;
    let router = Router::new();
    let registered = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let Ok(handle) = router.manager.register(Protocol::new(1, 0), Arc::new(())) else {
                        continue;
                    };
                    assert_eq!(registered.fetch_add(1, Ordering::SeqCst), 0, "registered twice at once");
                    registered.fetch_sub(1, Ordering::SeqCst);
                    router.manager.deregister(handle).unwrap();
                }
            });
        }
    });
    assert!(router.manager.clients().is_empty());
}

#[test]
fn an_interface_that_many_take_for_the_first_time_at_once_becomes_one() {
    for round in 0..200 {
        let router = Router::new();
        let clients: Vec<Handle> = (1..4).map(|id| router.client(id, &[])).collect();
        let won: usize = thread::scope(|scope| {
            let tries: Vec<_> = clients
                .iter()
                .map(|client| scope.spawn(|| router.manager.take(*client, v4(round)).is_ok()))
                .collect();
            tries.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
        assert_eq!(router.manager.vif_index(v4(round)), Some(VifIndex(0)));
        assert_eq!(router.manager.interface(VifIndex(1)), None);
    }
}
