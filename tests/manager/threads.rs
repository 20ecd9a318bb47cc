//! Many threads at once: the promises to each of them, and the state when all have ended.

use crate::support::SetOnDrop;
use crate::support::router::*;
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

/// A pseudorandom generator.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

#[test]
fn an_entry_that_a_reader_holds_is_stale_after_a_release() {
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
        entry.live_outgoing().map(|o| router.manager.interface(o.interface).unwrap().index()).collect()
    };
    assert_eq!(live(), [2, 3, 4]);
    router.manager.release(q, v4(2)).unwrap();
    assert_eq!(live(), [3, 4]);
    router.manager.release(q, v4(3)).unwrap();
    assert_eq!(live(), [4], "IGMP's membership depended on the routing protocol");
    router.manager.take(q, v4(2)).unwrap();
    assert_eq!(live(), [4], "taking it again does not revive the copies");
    router.manager.take(q, v4(4)).unwrap();
    assert_eq!(live(), [0; 0]);
    let arrival = router.manager.vif_index(v4(1)).unwrap();
    assert_eq!(entry.check(arrival), Verdict::Accept);
    router.manager.release(p, v4(1)).unwrap();
    assert_eq!(entry.check(arrival), Verdict::Stale);
}

#[test]
fn no_packet_is_copied_to_an_interface_already_released() {
    const ROUNDS: u64 = 2000;
    let router = Router::new();
    router.client(1, &[1]);
    let q = router.client(2, &[]);
    router.new_flow(FLOW).unwrap();
    // Even while the interface may be owned, odd from the end of a release to the begin of the next take.
    let phase = AtomicU64::new(1);
    let checks = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _done = SetOnDrop(&done);
            let forwarding = router.manager.forwarding();
            let mut reader = forwarding.reader();
            while !done.load(Ordering::SeqCst) {
                let before = phase.load(Ordering::SeqCst);
                let entry = reader.lookup(&flow(FLOW)).expect("the incoming interface is owned throughout");
                let copied = entry.live_outgoing().count();
                let after = phase.load(Ordering::SeqCst);
                if before == after && before % 2 == 1 {
                    assert_eq!(copied, 0, "in phase {before}");
                    checks.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let _done = SetOnDrop(&done);
        for round in 0..ROUNDS {
            phase.fetch_add(1, Ordering::SeqCst);
            router.manager.take(q, v4(2)).unwrap();
            router.join(q, 2, "* 239.1.1.1");
            assert_eq!(router.new_flow(FLOW), Ok(FlowState::Active));
            router.manager.release(q, v4(2)).unwrap();
            phase.fetch_add(1, Ordering::SeqCst);
            // Now and then waits until the reader has checked after the release.
            let seen = checks.load(Ordering::SeqCst);
            while round % 32 == 0 && checks.load(Ordering::SeqCst) == seen && !done.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    });
}

#[test]
fn calls_that_must_fail_make_no_other_call_fail() {
    const ROUNDS: u32 = 4000;
    let router = Router::new();
    let p = router.client(1, &[1, 2, 3]);
    let others: Vec<Handle> = (2..4).map(|id| router.client(id, &[])).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for other in &others {
            scope.spawn(|| {
                let name = Protocol::new(1, 0);
                while !done.load(Ordering::SeqCst) {
                    let manager = &router.manager;
                    assert_eq!(manager.take(*other, v4(2)), Err(TakeError::Owned(v4(2))));
                    assert_eq!(manager.release(*other, v4(2)), Err(ReleaseError::NotOwner(v4(2))));
                    assert_eq!(manager.take(p, v4(2)), Err(TakeError::Owned(v4(2))));
                    assert_eq!(manager.deregister(p), Err(DeregisterError::StillOwns(3)));
                    assert_eq!(
                        router.add(*other, 2, FLOW, StateChange::Join),
                        Err(MembershipError::NotOwner(v4(2)))
                    );
                    let refused = manager.register(name, Arc::new(()));
                    assert_eq!(refused, Err(RegisterError::AlreadyRegistered(name)));
                }
            });
        }
        let _done = SetOnDrop(&done);
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

/// State shared by the random threads: for each protocol the handle that was registered last.
struct RandomCalls {
    router: Router,
    handles: Vec<AtomicU64>,
    /// Successful takes less successful releases, by handle.
    balance: Mutex<BTreeMap<Handle, i64>>,
    retired: Mutex<BTreeSet<Handle>>,
}

const PROTOCOLS: [u32; 4] = [1, 2, 3, Protocol::IGMP];
const INTERFACES: u32 = 4;

impl RandomCalls {
    fn handle(&self, n: u32) -> Handle {
        Handle::from_bits(self.handles[n as usize].load(Ordering::SeqCst)).unwrap_or(Handle::STALE)
    }

    fn change_ownership(&self, random: &mut Lcg, balance: &mut BTreeMap<Handle, i64>) {
        let (manager, client) = (&self.router.manager, random.below(4));
        let (handle, interface) = (self.handle(client), v4(1 + random.below(INTERFACES)));
        match random.below(8) {
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
                if let Ok(new) = manager.register(Protocol::new(PROTOCOLS[client as usize], 0), Arc::new(()))
                {
                    self.handles[client as usize].store(new.to_bits(), Ordering::SeqCst);
                }
            }
        }
    }

    fn change_memberships(&self, random: &mut Lcg) {
        let (router, handle) = (&self.router, self.handle(random.below(4)));
        let interface = 1 + random.below(INTERFACES);
        let what = ["* *", "* 239.1.1.1", FLOW, "192.0.2.8 239.1.1.1"][random.below(4) as usize];
        match random.below(8) {
            // Refusals are fine here.
            0..=3 => drop(router.add(handle, interface, what, StateChange::Join)),
            4..=5 => drop(router.delete(handle, interface, what, StateChange::Join)),
            6 => drop(router.new_flow([FLOW, "192.0.2.8 239.1.1.1"][random.below(2) as usize])),
            _ => router.manager.flush_entries(),
        }
    }

    fn check_consistency(self) {
        let manager = &self.router.manager;
        let clients = manager.clients();
        for (handle, balance_of) in self.balance.lock().unwrap().iter() {
            let owned = clients.iter().find(|c| c.handle == *handle).map_or(0, |c| c.interfaces.len());
            assert_eq!(owned as i64, *balance_of, "{handle:?} owns what it took and did not release");
            assert!(
                *balance_of == 0 || !self.retired.lock().unwrap().contains(handle),
                "{handle:?} is retired and owns interfaces"
            );
        }
        for n in 1..=INTERFACES {
            let owners: Vec<_> = clients.iter().filter(|c| c.interfaces.contains(&v4(n))).collect();
            let routing = owners.iter().filter(|c| c.protocol.id != Protocol::IGMP).count();
            assert!(routing <= 1 && owners.len() <= 2, "{owners:?}");
            assert_eq!(manager.owner_of(v4(n)).is_ok(), !owners.is_empty());
        }
        // Every membership belongs to an owner, and every entry is what the memberships require.
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
fn random_calls_on_many_threads_leave_a_consistent_state() {
    const STEPS: u32 = 6000;
    for seed in 0..4 {
        let router = Router::new();
        let handles = PROTOCOLS.map(|id| AtomicU64::new(router.client(id, &[]).to_bits())).into();
        let calls = RandomCalls { router, handles, balance: Mutex::default(), retired: Mutex::default() };
        thread::scope(|scope| {
            let calls = &calls;
            for worker in 0..2 {
                scope.spawn(move || {
                    let (mut random, mut balance) = (Lcg(seed * 16 + worker), BTreeMap::new());
                    (0..STEPS).for_each(|_| calls.change_ownership(&mut random, &mut balance));
                    let mut all = calls.balance.lock().unwrap();
                    balance.into_iter().for_each(|(handle, n)| *all.entry(handle).or_default() += n);
                });
            }
            scope.spawn(|| {
                let mut random = Lcg(seed * 16 + 8);
                (0..STEPS).for_each(|_| calls.change_memberships(&mut random));
            });
            scope.spawn(|| {
                let forwarding = calls.router.manager.forwarding();
                let mut reader = forwarding.reader();
                for _ in 0..STEPS {
                    let Some(entry) = reader.lookup(&flow(FLOW)) else { continue };
                    let incoming = entry.incoming().map_or(VifIndex(u32::MAX), |i| i.interface);
                    let out: Vec<_> = entry.live_outgoing().map(|o| o.interface).collect();
                    assert!(out.is_sorted() && !out.contains(&incoming), "{entry:?}");
                }
            });
        });
        calls.check_consistency();
    }
}

/// A client that reports that it is asked, and waits for permission to answer.
struct Waiting {
    asked: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Client for Waiting {
    fn creation_alert(&self, _: &mut CreationAlert<'_>) {
        self.asked.lock().unwrap().send(()).unwrap();
        // The test fails by this timeout instead of hanging.
        self.go_on.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn no_other_call_waits_for_a_client_slow_to_answer() {
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
        assert_eq!(router.outgoing(FLOW), Some(vec![2, 3]), "memberships added meanwhile are included");
        manager.release(q, v4(3)).unwrap();
        manager.deregister(q).unwrap();
    });
    assert_eq!(router.manager.client_panics(), 0);
}

#[test]
fn one_of_many_registers_under_the_same_protocol() {
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
fn concurrent_first_takes_create_one_interface() {
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
