//! Joins and prunes alternate: for each client and each key, a join first, whatever other threads do at the same time. In the
//! end each client was told of exactly those keys for which another client counts.

use mgm::handle::Handle;
use mgm::manager::{
    Cause, Client, Flow, GroupManager, Interface, JoinAlert, ManagerConfig, Membership, Protocol, PruneAlert,
    ReversePath, StateChange,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Records the keys of which the last alert was a join, and the first alert that did not alternate.
#[derive(Default)]
struct Ledger {
    joined: Mutex<BTreeSet<Membership>>,
    fault: Mutex<Option<String>>,
    alerts: AtomicU64,
}

struct Records(Arc<Ledger>);

impl Records {
    fn alert(&self, membership: Membership, cause: Cause, join: bool) {
        if cause != Cause::Membership {
            return;
        }
        self.0.alerts.fetch_add(1, Ordering::Relaxed);
        let mut joined = self.0.joined.lock().unwrap();
        let alternates = if join { joined.insert(membership) } else { joined.remove(&membership) };
        if !alternates {
            let what = if join { "a second join" } else { "a prune without a join" };
            self.0.fault.lock().unwrap().get_or_insert(format!("{what} of {membership}"));
        }
    }
}

impl Client for Records {
    fn join_alert(&self, alert: &JoinAlert) {
        self.alert(alert.membership(), alert.cause(), true);
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        self.alert(alert.membership(), alert.cause(), false);
    }

    fn notices_lost(&self, count: u64) {
        self.0.fault.lock().unwrap().get_or_insert(format!("{count} notices lost"));
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        // Numerical Recipes' generator; the upper bits are good enough here.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const UPSTREAM: u32 = 9;
const GROUPS: u64 = 4;

fn keys() -> Vec<Membership> {
    let groups = (1..=GROUPS as u8).map(|n| Membership::any_source([239, 1, 1, n].into()).unwrap());
    let flows = (1..=GROUPS as u8)
        .map(|n| Membership::OneSource(Flow::new([192, 0, 2, n].into(), [239, 1, 1, n].into()).unwrap()));
    let everything = [Membership::everything(mgm::manager::Family::V4)];
    everything.into_iter().chain(groups).chain(flows).collect()
}

/// What one thread does with its client: joins and leaves, takes and releases, its own interface and the one towards the
/// sources; sometimes it leaves and registers anew.
fn churn(manager: &GroupManager, number: u32, rounds: u32) -> (Handle, Arc<Ledger>) {
    let keys = keys();
    let mut random = Random(u64::from(number) + 1);
    let own = Interface::v4(100 + number);
    let register = || {
        let ledger = Arc::<Ledger>::default();
        let handle =
            manager.register(Protocol::new(1, number), Arc::new(Records(ledger.clone()))).expect("has room");
        manager.take(handle, own).unwrap();
        (handle, ledger)
    };
    let (mut client, mut ledger) = register();
    for _ in 0..rounds {
        let key = keys[random.below(keys.len() as u64) as usize];
        match random.below(20) {
            0..=7 => manager.add_membership(client, own, key, StateChange::Join).unwrap(),
            8..=13 => manager.delete_membership(client, own, key, StateChange::Join).unwrap(),
            14..=15 => _ = manager.take(client, Interface::v4(UPSTREAM)),
            16 => _ = manager.release(client, Interface::v4(UPSTREAM)),
            17 => {
                manager.release(client, own).unwrap();
                manager.take(client, own).unwrap();
            }
            18 => _ = manager.routes_changed(|_| true),
            _ => {
                _ = manager.release(client, Interface::v4(UPSTREAM));
                manager.release(client, own).unwrap();
                manager.deregister(client).unwrap();
                assert_eq!(*ledger.fault.lock().unwrap(), None, "client {number}");
                (client, ledger) = register();
            }
        }
    }
    (client, ledger)
}

#[test]
fn joins_and_prunes_alternate_and_end_up_right() {
    for round in 0..4 {
        // Every source is behind one interface or behind none, and which it is changes all the time.
        let asked = AtomicU64::new(0);
        let routes = move |_| {
            let there = !asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(4);
            there.then(|| ReversePath::through(Interface::v4(UPSTREAM)))
        };
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let clients: Vec<(Handle, Arc<Ledger>)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let manager = &manager;
                    scope.spawn(move || churn(manager, n + 4 * round, 3_000))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut counted: BTreeMap<Membership, BTreeSet<Protocol>> = BTreeMap::new();
        for record in manager.memberships() {
            counted.entry(record.membership).or_default().insert(record.protocol);
        }
        for (client, ledger) in &clients {
            assert_eq!(*ledger.fault.lock().unwrap(), None);
            let protocol = manager.protocol_of(*client).unwrap();
            let others = |(key, counting): (&Membership, &BTreeSet<Protocol>)| {
                counting.iter().any(|other| *other != protocol).then_some(*key)
            };
            let wanted: BTreeSet<Membership> = counted.iter().filter_map(others).collect();
            let wide = |key: &&Membership| !matches!(key, Membership::OneSource(_));
            let told = ledger.joined.lock().unwrap().clone();
            let [told_wide, wanted_wide] =
                [&told, &wanted].map(|set| set.iter().filter(wide).collect::<Vec<_>>());
            assert_eq!(told_wide, wanted_wide, "{protocol} was told of these groups");
            // Of (s,g) at most the present owner towards the sources was told.
            let decides = manager.owner_of(Interface::v4(UPSTREAM)) == Ok(protocol);
            let narrow = told.iter().any(|key| matches!(key, Membership::OneSource(_)));
            assert!(decides || !narrow, "{protocol} was told of {told:?} and does not decide");
            assert!(told.is_subset(&wanted), "{protocol} was told of {told:?}, others count for {wanted:?}");
        }
        let alerts: u64 = clients.iter().map(|(_, ledger)| ledger.alerts.load(Ordering::Relaxed)).sum();
        assert!(alerts > 100, "only {alerts} alerts");
    }
}
