//! Registration, ownership, interfaces shared with IGMP, and deregistration.

use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{
    Client, ConfigError, DeregisterError, Flow, GroupManager, Interface, ManagerConfig, Membership, NoOwner,
    Protocol, RegisterError, ReleaseError, StateChange, TakeError, Upcall,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[test]
fn a_protocol_instance_is_registered_at_most_once_at_a_time() {
    let router = Router::new();
    let manager = &router.manager;
    let one = Protocol::new(7, 0);
    let first = manager.register(one, Arc::new(())).unwrap();
    assert_eq!(manager.register(one, Arc::new(())), Err(RegisterError::AlreadyRegistered(one)));
    let other_component = manager.register(Protocol::new(7, 1), Arc::new(())).unwrap();
    assert_ne!(first, other_component);
    manager.deregister(first).unwrap();
    let again = manager.register(one, Arc::new(())).unwrap();
    assert_ne!(first, again);
    assert_eq!(manager.deregister(first), Err(DeregisterError::Stale));
    manager.deregister(again).unwrap();
}

#[test]
fn a_full_client_table_refuses_one_more_and_loses_none() {
    let router = Router::with(ManagerConfig::default().with_clients(2));
    router.client(1, &[]);
    router.client(2, &[]);
    let third = Protocol::new(3, 0);
    assert_eq!(router.manager.register(third, Arc::new(())), Err(RegisterError::Full(2)));
    assert_eq!(router.manager.clients().len(), 2);
}

#[test]
fn a_client_that_owns_interfaces_cannot_deregister() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    assert_eq!(router.manager.deregister(p), Err(DeregisterError::StillOwns(2)));
    router.manager.release(p, v4(1)).unwrap();
    assert_eq!(router.manager.deregister(p), Err(DeregisterError::StillOwns(1)));
    router.manager.release(p, v4(2)).unwrap();
    router.manager.deregister(p).unwrap();
    assert_eq!(router.manager.take(p, v4(1)), Err(TakeError::Stale));
    assert_eq!(router.manager.release(p, v4(1)), Err(ReleaseError::Stale));
    assert_eq!(router.manager.owner_of(v4(1)), Err(NoOwner(v4(1))));
}

#[test]
fn an_interface_has_one_routing_protocol() {
    let router = Router::new();
    let (p, q) = (router.client(1, &[1]), router.client(2, &[]));
    assert_eq!(router.manager.take(q, v4(1)), Err(TakeError::Owned(v4(1))));
    assert_eq!(router.manager.take(p, v4(1)), Err(TakeError::Owned(v4(1))), "an owner cannot take it twice");
    assert_eq!(router.manager.release(q, v4(1)), Err(ReleaseError::NotOwner(v4(1))));
    assert_eq!(router.manager.owner_of(v4(1)), Ok(Protocol::new(1, 0)));
    router.manager.release(p, v4(1)).unwrap();
    router.manager.take(q, v4(1)).unwrap();
    assert_eq!(router.manager.owner_of(v4(1)), Ok(Protocol::new(2, 0)));
}

#[test]
fn igmp_and_one_routing_protocol_share_an_interface() {
    let router = Router::new();
    let manager = &router.manager;
    let (p, igmp) = (router.client(1, &[]), router.igmp(&[1]));
    let igmp_name = Protocol::new(Protocol::IGMP, 0);
    assert_eq!(manager.owner_of(v4(1)), Ok(igmp_name), "IGMP alone");
    manager.take(p, v4(1)).unwrap();
    assert_eq!(manager.owner_of(v4(1)), Ok(Protocol::new(1, 0)), "the routing protocol is named first");
    let second_igmp = manager.register(Protocol::new(Protocol::IGMP, 1), Arc::new(())).unwrap();
    assert_eq!(manager.take(second_igmp, v4(1)), Err(TakeError::Owned(v4(1))));
    assert_eq!(manager.take(igmp, v4(1)), Err(TakeError::Owned(v4(1))));
    manager.release(p, v4(1)).unwrap();
    assert_eq!(manager.owner_of(v4(1)), Ok(igmp_name));
    assert_eq!(manager.release(p, v4(1)), Err(ReleaseError::NotOwner(v4(1))));
    manager.release(igmp, v4(1)).unwrap();
    assert_eq!(manager.owner_of(v4(1)), Err(NoOwner(v4(1))));
}

#[test]
fn which_protocol_is_igmp_can_be_configured() {
    let router = Router::with(ManagerConfig::default().with_igmp_protocol(5));
    router.client(1, &[1]);
    router.client(5, &[1]);
    let not_igmp = router.client(Protocol::IGMP, &[]);
    assert_eq!(router.manager.take(not_igmp, v4(1)), Err(TakeError::Owned(v4(1))));
}

#[test]
fn family_next_hop_and_index_distinguish_interfaces() {
    let router = Router::new();
    let p = router.client(1, &[]);
    let q = router.client(2, &[]);
    let link = Interface::with_next_hop(1, "10.0.0.1".parse().unwrap());
    let other_link = Interface::with_next_hop(1, "10.0.0.2".parse().unwrap());
    for (n, interface) in [v4(1), Interface::v6(1), link, other_link, v4(2)].into_iter().enumerate() {
        router.manager.take(if n % 2 == 0 { p } else { q }, interface).unwrap();
    }
    assert_eq!(router.manager.owner_of(link), Ok(Protocol::new(1, 0)));
    assert_eq!(router.manager.owner_of(other_link), Ok(Protocol::new(2, 0)));
}

#[test]
fn an_interface_is_known_while_it_has_a_place() {
    let router = Router::with(ManagerConfig::default().with_interfaces(2));
    let manager = &router.manager;
    let p = router.client(1, &[]);
    assert_eq!(manager.owner_of(v4(9)), Err(NoOwner(v4(9))));
    assert_eq!(manager.release(p, v4(9)), Err(ReleaseError::NotOwner(v4(9))));
    assert_eq!(manager.take(Handle::STALE, v4(9)), Err(TakeError::Stale));
    assert_eq!(manager.vif_index(v4(9)), None);
    manager.take(p, v4(1)).unwrap();
    manager.take(p, v4(2)).unwrap();
    assert_eq!(manager.take(p, v4(3)), Err(TakeError::TooManyInterfaces(2)));
    manager.release(p, v4(1)).unwrap();
    let number = manager.vif_index(v4(1)).unwrap();
    assert_eq!(manager.interface(number), Some(v4(1)), "it stays known as long as its place is not needed");
    manager.take(p, v4(3)).unwrap();
    assert_eq!(
        manager.known_interfaces().iter().map(|(_, known)| *known).collect::<Vec<_>>(),
        [v4(3), v4(2)]
    );
    let other = manager.vif_index(v4(3)).unwrap();
    assert_eq!(other.place(), number.place());
    assert_eq!(
        (manager.interface(number), manager.vif_index(v4(1))),
        (None, None),
        "an index is never reused"
    );
    assert_eq!(manager.owner_of(v4(1)), Err(NoOwner(v4(1))));
    assert_eq!(manager.release(p, v4(1)), Err(ReleaseError::NotOwner(v4(1))));
    assert_eq!(manager.take(p, v4(1)), Err(TakeError::TooManyInterfaces(2)), "the others are owned");
    manager.release(p, v4(2)).unwrap();
    manager.take(p, v4(1)).unwrap();
    assert_ne!(manager.vif_index(v4(1)), Some(number));
}

/// What depends on an interface keeps its place: a membership does not outlive its owner, but an entry may.
#[test]
fn an_interface_that_an_entry_names_keeps_its_place() {
    let router = Router::with(ManagerConfig::default().with_interfaces(2));
    let manager = &router.manager;
    let p = router.client(1, &[1, 2]);
    manager.release(p, v4(1)).unwrap();
    // Its packets have to arrive on interface 1, which has no owner.
    let flow = Flow::new("192.0.2.1".parse().unwrap(), "239.1.1.1".parse().unwrap()).unwrap();
    manager.new_flow(flow).unwrap();
    assert_eq!(manager.entries()[0].incoming, Some(v4(1)));
    assert_eq!(manager.take(p, v4(3)), Err(TakeError::TooManyInterfaces(2)));
    manager.flush_entries();
    manager.take(p, v4(3)).unwrap();
    manager.new_flow(flow).unwrap();
    assert_eq!(manager.entries()[0].incoming, None, "it is not known any more");
    // It is waited for as if it had never been taken.
    manager.release(p, v4(3)).unwrap();
    manager.take(p, v4(1)).unwrap();
    assert!(manager.entries().is_empty());
}

/// An upcall that waits is charged to the interface where its packet arrived.
#[test]
fn an_interface_that_an_upcall_waits_for_keeps_its_place() {
    let router = Router::with(ManagerConfig::default().with_interfaces(1));
    let manager = &router.manager;
    let p = router.client(1, &[1]);
    manager.release(p, v4(1)).unwrap();
    let flow = Flow::new("192.0.2.1".parse().unwrap(), "239.1.1.1".parse().unwrap()).unwrap();
    assert_eq!(manager.upcall(flow, v4(1), &[]), Upcall::Queued);
    assert_eq!(manager.take(p, v4(2)), Err(TakeError::TooManyInterfaces(1)));
    manager.process_upcalls(1);
    manager.flush_entries();
    manager.take(p, v4(2)).unwrap();
}

#[test]
fn more_interfaces_come_and_go_than_there_are_places() {
    let router = Router::with(ManagerConfig::default().with_interfaces(3));
    let manager = &router.manager;
    let p = router.client(1, &[]);
    let group = Membership::any_source("239.1.1.1".parse().unwrap()).unwrap();
    for n in 0..10_000 {
        manager.take(p, v4(n)).unwrap();
        manager.add_membership(p, v4(n), group, StateChange::Join).unwrap();
        assert_eq!(manager.owner_of(v4(n)), Ok(Protocol::new(1, 0)));
        if let Some(last) = n.checked_sub(2) {
            manager.release(p, v4(last)).unwrap();
        }
        assert!(manager.known_interfaces().len() <= 3);
    }
    assert_eq!(manager.memberships().len(), 2);
}

/// Each client takes interfaces that no other takes, one at a time. There are always as many places as clients. So no take is
/// refused, and each interface is its client's until it is released.
#[test]
fn places_are_given_away_under_takes_and_releases() {
    const CLIENTS: u32 = 4;
    let router = Router::with(ManagerConfig::default().with_interfaces(CLIENTS));
    let manager: &GroupManager = &router.manager;
    let taken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for id in 1..=CLIENTS {
            let taken = &taken;
            scope.spawn(move || {
                let client = manager.register(Protocol::new(id, 0), Arc::new(())).unwrap();
                let group = Membership::any_source("239.1.1.1".parse().unwrap()).unwrap();
                for n in 0..20_000 {
                    // Few names, so that a name comes back while other threads still look at its former place.
                    let mine = v4(id * 100 + n % 7);
                    assert_eq!(manager.take(client, mine), Ok(()), "{mine:?}");
                    assert_eq!(manager.owner_of(mine), Ok(Protocol::new(id, 0)));
                    let number = manager.vif_index(mine).unwrap();
                    assert_eq!(manager.interface(number), Some(mine));
                    if n % 16 == 0 {
                        manager.add_membership(client, mine, group, StateChange::Join).unwrap();
                    }
                    let other = v4((id % CLIENTS + 1) * 100 + n % 7);
                    let owner = manager.owner_of(other);
                    assert!(
                        owner.is_err() || owner == Ok(Protocol::new(id % CLIENTS + 1, 0)),
                        "{other:?} {owner:?}"
                    );
                    assert_eq!(manager.release(client, other), Err(ReleaseError::NotOwner(other)));
                    assert_eq!(manager.release(client, mine), Ok(()), "{mine:?}");
                    assert!(manager.owner_of(mine).is_err());
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                manager.deregister(client).unwrap();
            });
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), CLIENTS * 20_000);
    assert!(manager.memberships().is_empty());
}

#[test]
fn forged_handles_are_refused_everywhere() {
    let router = Router::new();
    router.client(1, &[1]);
    for number in [0, 1, u64::MAX, 0x0000_0001_0100_0001, 0xDEAD_BEEF] {
        let stranger = Handle::from_bits(number).unwrap_or(Handle::STALE);
        assert_eq!(router.manager.take(stranger, v4(2)), Err(TakeError::Stale));
        assert_eq!(router.manager.release(stranger, v4(1)), Err(ReleaseError::Stale));
        assert_eq!(router.manager.deregister(stranger), Err(DeregisterError::Stale));
    }
}

#[test]
fn an_invalid_configuration_names_the_field() {
    let refused = |config: ManagerConfig| {
        let result = mgm::manager::GroupManager::new(config, Arc::new(|_| None));
        let ConfigError { field, .. } = result.err().unwrap();
        field
    };
    let default = ManagerConfig::default();
    assert_eq!(refused(default.clone().with_clients(0)), "clients");
    assert_eq!(refused(default.clone().with_clients(u32::MAX)), "clients");
    assert_eq!(refused(default.clone().with_interfaces(0)), "interfaces");
    assert_eq!(refused(default.clone().with_memberships(0)), "memberships");
    assert_eq!(refused(default.clone().with_entries(0)), "entries");
    assert_eq!(refused(default.clone().with_negative_entries(0)), "negative_entries");
    assert_eq!(refused(default.with_entry_lifetime(Duration::ZERO)), "entry_lifetime (ms)");
}

/// Calls the manager in its destructor, and panics there if configured to.
struct DropCaller {
    manager: Weak<mgm::manager::GroupManager>,
    drops: Arc<AtomicU32>,
    panics: bool,
}

impl Client for DropCaller {}

impl Drop for DropCaller {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        if let Some(manager) = self.manager.upgrade() {
            // This call would deadlock if a lock were held here.
            let name = Protocol::new(77, 0);
            if let Ok(handle) = manager.register(name, Arc::new(())) {
                manager.deregister(handle).unwrap();
            }
        }
        assert!(!self.panics, "a client may panic in its destructor");
    }
}

#[test]
fn a_client_is_dropped_once_without_locks_and_may_panic() {
    let router = Router::new();
    let drops = Arc::new(AtomicU32::new(0));
    const CLIENTS: u32 = 1000;
    for n in 0..CLIENTS {
        let manager = Arc::downgrade(&router.manager);
        let client = Arc::new(DropCaller { manager, drops: drops.clone(), panics: n == 3 });
        let handle = router.manager.register(Protocol::new(8, 0), client.clone()).unwrap();
        let twice = router.manager.register(Protocol::new(8, 0), client);
        assert_eq!(twice, Err(RegisterError::AlreadyRegistered(Protocol::new(8, 0))));
        router.manager.deregister(handle).unwrap();
    }
    drop(router);
    assert_eq!(drops.load(Ordering::Relaxed), CLIENTS);
}

/// A watch sees stamps that are no longer current, before the call that ended them returns and before the sweep.
#[test]
fn a_watch_of_ownership_is_called_before_the_sweep() {
    let router = Router::new();
    let p = router.client(1, &[1, 2]);
    let group = "239.0.0.1".parse().unwrap();
    router
        .manager
        .add_membership(p, v4(2), Membership::any_source(group).unwrap(), StateChange::Join)
        .unwrap();
    let flow = Flow::new("192.0.2.1".parse().unwrap(), group).unwrap();
    router.manager.new_flow(flow).unwrap();
    let (seen, manager) = (Arc::<Mutex<Vec<_>>>::default(), Arc::downgrade(&router.manager));
    let noted = seen.clone();
    let watch = router.manager.watch_ownership(move |interface| {
        let manager = manager.upgrade().unwrap();
        let mut reader = manager.forwarding().reader();
        let entry = reader.lookup(&flow).unwrap();
        noted.lock().unwrap().push((interface, entry.outgoing().count(), entry.live_outgoing().count()));
    });
    router.manager.release(p, v4(2)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(v4(2), 1, 0)]);
    // Nothing depends on the interface any more.
    router.manager.take(p, v4(2)).unwrap();
    router.manager.release(p, v4(2)).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
    drop(watch);
    router.manager.release(p, v4(1)).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1, "a dropped watch is not called");
}

/// A routing protocol ends the memberships of IGMP when it takes the interface, and IGMP ends its own when it releases it.
#[test]
fn a_watch_sees_what_ends_for_igmp() {
    let router = Router::new();
    let igmp = router.igmp(&[2]);
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let noted = seen.clone();
    let _watch = router.manager.watch_ownership(move |interface| noted.lock().unwrap().push(interface));
    let p = router.client(1, &[2]);
    router.manager.release(p, v4(2)).unwrap();
    router.manager.release(igmp, v4(2)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [v4(2); 3]);
}
