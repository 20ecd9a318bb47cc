//! Pairs of the group manager.

use super::meeting::together;
use super::{Counts, Size};
use crate::history::scenario;
use mgm::handle::Handle;
use mgm::manager::{
    Cause, Client, EnumerationKind, GroupManager, Interface, JoinAlert, ManagerConfig, Membership, Protocol,
    PruneAlert, ReversePath, RpfLookup, StateChange,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// The spins by which the threads of a round begin apart, at most.
const STAGGER: u64 = 40;

fn manager(routes: Arc<dyn RpfLookup>) -> GroupManager {
    GroupManager::new(ManagerConfig::default(), routes).expect("the default limits")
}

fn protocol(number: u32) -> Protocol {
    scenario::protocol(Some(number))
}

fn group() -> Membership {
    Membership::any_source(scenario::flow(0, 0).group()).expect("a group")
}

/// Counts join alerts minus prune alerts.
#[derive(Default)]
struct Balance(AtomicI64);

impl Client for Balance {
    fn join_alert(&self, alert: &JoinAlert) {
        if alert.cause() == Cause::Membership {
            // Relaxed, here and below: the meeting of the threads orders the counts.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        if alert.cause() == Cause::Membership {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// One thread adds a membership on an interface that the other releases. Afterwards no client counts for it.
pub(super) fn mention(size: Size) -> Counts {
    let manager = manager(scenario::routes());
    let watching = Arc::<Balance>::default();
    let owner = manager.register(protocol(0), Arc::new(())).expect("there is room");
    manager.register(protocol(1), watching.clone()).expect("there is room");
    let lan = Interface::v4(1);
    let [counts, _] = together(size, |mut party| {
        let mut counts = Counts::default();
        for _ in 0..size.rounds {
            if party.me == 0 {
                manager.take(owner, lan).expect("no client owns it");
            }
            if !party.begin() {
                break;
            }
            party.stagger(STAGGER);
            if party.me == 0 {
                _ = manager.add_membership(owner, lan, group(), StateChange::Join).is_ok();
            } else {
                manager.release(owner, lan).expect("the client owns it");
            }
            party.meet();
            if party.me == 0 {
                counts.count(if watching.0.load(Ordering::Relaxed) == 0 { 0 } else { 2 });
            }
            // The next round begins with what is right, whatever this one has shown.
            if party.me == 0 && watching.0.load(Ordering::Relaxed) != 0 {
                manager.take(owner, lan).expect("no client owns it");
                manager.release(owner, lan).expect("the client owns it");
                watching.0.store(0, Ordering::Relaxed);
            }
        }
        counts
    });
    counts
}

/// One thread begins an enumeration for a client that the other deregisters. Afterwards none is open.
pub(super) fn enumeration(size: Size) -> Counts {
    let manager = manager(scenario::routes());
    let post = AtomicU64::new(0);
    let [counts, _] = together(size, |mut party| {
        let mut counts = Counts::default();
        for _ in 0..size.rounds {
            if party.me == 0 {
                let handle = manager.register(protocol(0), Arc::new(())).expect("there is room");
                // Relaxed: the meeting orders it.
                post.store(handle.to_bits(), Ordering::Relaxed);
            }
            if !party.begin() {
                break;
            }
            let client = Handle::from_bits(post.load(Ordering::Relaxed)).unwrap_or(Handle::STALE);
            party.stagger(STAGGER);
            if party.me == 0 {
                _ = manager.enumerate_groups(client, EnumerationKind::AllSources).is_ok();
            } else {
                manager.deregister(client).expect("it owns nothing");
            }
            party.meet();
            if party.me == 0 {
                let open = manager.open_enumerations();
                counts.count(if open == 0 { 0 } else { 2 });
                if open != 0 {
                    // Any deregistration ends what is left.
                    let other = manager.register(protocol(1), Arc::new(())).expect("there is room");
                    manager.deregister(other).expect("it owns nothing");
                }
            }
        }
        counts
    });
    counts
}

/// Notes whether a callback begins when its client is gone.
#[derive(Default)]
struct Gone {
    gone: AtomicU32,
    late: AtomicU32,
}

impl Client for Gone {
    fn join_alert(&self, _: &JoinAlert) {
        // SeqCst, with the store after the deregistration: a callback that begins after it sees it.
        if self.gone.load(Ordering::SeqCst) != 0 {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// One thread causes an alert for a client that the other deregisters. None begins afterwards.
pub(super) fn rundown(size: Size) -> Counts {
    let manager = manager(scenario::routes());
    let member = manager.register(protocol(0), Arc::new(())).expect("there is room");
    let lan = Interface::v4(1);
    manager.take(member, lan).expect("no client owns it");
    let post = AtomicU64::new(0);
    let clients = parking_lot::Mutex::new(Arc::<Gone>::default());
    let [counts, _] = together(size, |mut party| {
        let mut counts = Counts::default();
        for _ in 0..size.rounds {
            if party.me == 0 {
                let client = Arc::<Gone>::default();
                let handle = manager.register(protocol(1), client.clone()).expect("there is room");
                *clients.lock() = client;
                post.store(handle.to_bits(), Ordering::Relaxed);
            }
            if !party.begin() {
                break;
            }
            let client = clients.lock().clone();
            let handle = Handle::from_bits(post.load(Ordering::Relaxed)).unwrap_or(Handle::STALE);
            party.stagger(STAGGER);
            if party.me == 0 {
                manager.add_membership(member, lan, group(), StateChange::Join).expect("the client owns it");
            } else {
                manager.deregister(handle).expect("it owns nothing");
                client.gone.store(1, Ordering::SeqCst);
            }
            party.meet();
            if party.me == 0 {
                counts.count(if client.late.load(Ordering::SeqCst) == 0 { 0 } else { 2 });
                manager
                    .delete_membership(member, lan, group(), StateChange::Join)
                    .expect("the client owns it");
            }
        }
        counts
    });
    counts
}

/// One thread adds a membership of (s,g), the other moves the route to s. Afterwards the owner of the new RPF interface has
/// been told, and no other client.
pub(super) fn routes(size: Size) -> Counts {
    let route = Arc::new(AtomicU32::new(1));
    let table = route.clone();
    // SeqCst, with the store below: the report of a change comes after the change.
    let manager =
        manager(Arc::new(move |_| Some(ReversePath::through(Interface::v4(table.load(Ordering::SeqCst))))));
    let owners = [1, 2].map(|number| {
        let watching = Arc::<Balance>::default();
        let client = manager.register(protocol(number), watching.clone()).expect("there is room");
        manager.take(client, Interface::v4(number)).expect("no client owns it");
        watching
    });
    let member = manager.register(protocol(0), Arc::new(())).expect("there is room");
    let lan = Interface::v4(3);
    manager.take(member, lan).expect("no client owns it");
    let flow = scenario::flow(0, 0);
    let joined = Membership::OneSource(flow);
    let [counts, _] = together(size, |mut party| {
        let mut counts = Counts::default();
        for round in 0..size.rounds {
            let to = 1 + (round % 2) as u32;
            if !party.begin() {
                break;
            }
            party.stagger(STAGGER);
            if party.me == 0 {
                manager.add_membership(member, lan, joined, StateChange::Join).expect("the client owns it");
            } else {
                route.store(to, Ordering::SeqCst);
                manager.routes_changed(|_| true);
            }
            party.meet();
            if party.me == 0 {
                let told = |number: u32| owners[number as usize - 1].0.load(Ordering::Relaxed);
                counts.count(if told(to) == 1 && told(3 - to) == 0 { 0 } else { 2 });
                manager
                    .delete_membership(member, lan, joined, StateChange::Join)
                    .expect("the client owns it");
                owners.iter().for_each(|owner| owner.0.store(0, Ordering::Relaxed));
            }
        }
        counts
    });
    counts
}
