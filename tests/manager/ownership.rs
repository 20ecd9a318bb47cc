//! Registration, ownership, interfaces shared with IGMP, and deregistration.

use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{
    Client, ConfigError, DeregisterError, Interface, ManagerConfig, NoOwner, Protocol, RegisterError,
    ReleaseError, TakeError,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
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
fn an_interface_is_known_from_its_first_take_on() {
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
    assert_eq!(manager.interface(number), Some(v4(1)), "an index is never given to another interface");
    assert_eq!(manager.take(p, v4(3)), Err(TakeError::TooManyInterfaces(2)), "a release makes no room");
    manager.take(p, v4(1)).unwrap();
    assert_eq!(manager.vif_index(v4(1)), Some(number));
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
