//! How much is looked at under one hold of the membership lock: as much as the change concerns, whatever other threads do
//! meanwhile. Looks are counted, because time depends on the machine.

use mgm::handle::Handle;
use mgm::manager::{
    Flow, GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange,
};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const MEMBERSHIPS: u32 = 20_000;

struct Router {
    manager: GroupManager,
    client: Handle,
}

impl Router {
    fn new() -> Router {
        let routes = |_| Some(ReversePath::through(Interface::v4(9)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
        Router { manager, client }
    }

    fn join_all(&self, membership: impl Fn(u32) -> Membership) {
        let Router { manager, client } = self;
        manager.take(*client, Interface::v4(1)).unwrap();
        for n in 0..MEMBERSHIPS {
            manager.add_membership(*client, Interface::v4(1), membership(n), StateChange::Join).unwrap();
        }
    }

    /// Returns how much a release looks at while `other` runs on another thread again and again.
    fn looks_of_release(&self, other: &(dyn Fn(u64) + Sync)) -> (u64, u64) {
        let (stop, turns) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    other(turns.fetch_add(1, Ordering::Relaxed));
                }
            });
            // The other thread is under way, beyond its first turn.
            while turns.load(Ordering::Relaxed) < 2 {
                thread::yield_now();
            }
            let before = self.manager.looks();
            self.manager.release(self.client, Interface::v4(1)).unwrap();
            let looks = self.manager.looks() - before;
            stop.store(true, Ordering::Relaxed);
            (looks, turns.load(Ordering::Relaxed))
        })
    }
}

fn group(n: u32) -> Membership {
    Membership::any_source(Ipv4Addr::from_bits(0xE100_0000 + n).into()).unwrap()
}

fn flow(n: u32) -> Membership {
    let source = Ipv4Addr::from_bits(0x0A00_0001 + n).into();
    Membership::OneSource(Flow::new(source, [239, 1, 1, 1].into()).unwrap())
}

#[test]
fn a_release_looks_once_while_other_clients_register() {
    let router = Router::new();
    router.join_all(group);
    let (quiet, _) = router.looks_of_release(&|_| thread::sleep(Duration::from_millis(1)));
    assert!(quiet >= u64::from(MEMBERSHIPS), "{quiet} looks do not cover the memberships");
    router.join_all(group);
    let manager = &router.manager;
    let (busy, turns) = router.looks_of_release(&|turn| {
        let client = manager.register(Protocol::new(2, turn as u32), Arc::new(())).unwrap();
        manager.deregister(client).unwrap();
    });
    assert!(turns > 1);
    // Each alert goes to every client that is registered at the time: here one more than on the quiet router.
    assert!(busy <= quiet + 3 * u64::from(MEMBERSHIPS), "{busy} looks, {quiet} when nothing else happens");
}

#[test]
fn a_release_looks_once_while_the_rpf_interface_changes_hands() {
    let router = Router::new();
    let other = router.manager.register(Protocol::new(2, 0), Arc::new(())).unwrap();
    router.join_all(flow);
    let (quiet, _) = router.looks_of_release(&|_| thread::sleep(Duration::from_millis(1)));
    router.join_all(flow);
    let manager = &router.manager;
    let (busy, turns) = router.looks_of_release(&|_| {
        manager.take(other, Interface::v4(9)).unwrap();
        manager.release(other, Interface::v4(9)).unwrap();
    });
    // Every change of hands settles the flows that are joined at the time; none repeats the work of the release.
    let settled = 2 * (turns + 1) * u64::from(MEMBERSHIPS);
    assert!(busy <= quiet + settled, "{busy} looks in {turns} turns, {quiet} when nothing else happens");
}
