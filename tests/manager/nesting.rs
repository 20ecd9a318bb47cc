//! Clients that cause the next callback inside each callback: the stack stays short however long the chain,
//! and no notice is lost.

use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{
    Client, CreationAlert, GroupManager, Interface, JoinAlert, ManagerConfig, Membership, NewFlowError,
    Protocol, ReversePath, StateChange,
};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The number of links: far more calls than may be nested.
const LINKS: u32 = 300;

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 1, 1, 1));

/// Returns a source behind the interface of this link.
fn source(link: u32) -> IpAddr {
    Ipv4Addr::from(0x0A00_0000 + link).into()
}

struct Link {
    number: u32,
    manager: Weak<GroupManager>,
    handle: OnceLock<Handle>,
    deepest: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

impl Link {
    fn inside(&self, f: impl FnOnce(&GroupManager)) {
        DEPTH.set(DEPTH.get() + 1);
        self.deepest.fetch_max(DEPTH.get(), Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        f(&self.manager.upgrade().unwrap());
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl Client for Link {
    /// Receives the alert that the previous link caused, and causes the next one.
    fn join_alert(&self, alert: &JoinAlert) {
        assert_eq!(alert.membership().source(), Some(source(self.number)));
        self.inside(|manager| join(manager, *self.handle.get().unwrap(), self.number));
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let IpAddr::V4(source) = alert.flow().source() else { unreachable!() };
        let next = Flow::new(Ipv4Addr::from(u32::from(source) + 1).into(), alert.flow().group()).unwrap();
        self.inside(|manager| match manager.new_flow(next) {
            Ok(_) => {}
            Err(error) => assert_eq!(error, NewFlowError::TooDeep(next)),
        });
    }
}

/// Joins a source that alerts the next link alone.
fn join(manager: &GroupManager, client: Handle, number: u32) {
    let membership = Membership::one_source(source(number + 1), GROUP).unwrap();
    manager.add_membership(client, Interface::v4(number + 1), membership, StateChange::Join).unwrap();
}

struct Chain {
    manager: Arc<GroupManager>,
    handles: Vec<Handle>,
    deepest: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

fn chain(links: u32) -> Chain {
    let config = ManagerConfig::default().with_clients(links);
    let routes = |source| match source {
        IpAddr::V4(source) if source.octets()[0] == 10 => {
            Some(ReversePath::through(Interface::v4((u32::from(source) & 0xFFFF) + 1)))
        }
        _ => Some(ReversePath::through(Interface::v4(0))),
    };
    let manager = Arc::new(GroupManager::new(config, Arc::new(routes)).unwrap());
    let (deepest, calls) = <(Arc<AtomicU32>, Arc<AtomicU32>)>::default();
    let mut handles = Vec::new();
    for number in 0..links {
        let link = Arc::new(Link {
            number,
            manager: Arc::downgrade(&manager),
            handle: OnceLock::new(),
            deepest: deepest.clone(),
            calls: calls.clone(),
        });
        let handle = manager.register(Protocol::new(number, 0), link.clone()).unwrap();
        link.handle.set(handle).unwrap();
        manager.take(handle, Interface::v4(number + 1)).unwrap();
        handles.push(handle);
    }
    manager.take(handles[0], Interface::v4(0)).unwrap();
    Chain { manager, handles, deepest, calls }
}

#[test]
fn a_chain_of_notices_is_delivered_whole_on_a_short_stack() {
    let chain = chain(LINKS);
    join(&chain.manager, chain.handles[0], 0);
    assert_eq!(chain.calls.load(Ordering::Relaxed), LINKS - 1, "each link but the first is alerted once");
    let deepest = chain.deepest.load(Ordering::Relaxed);
    assert!((2..=32).contains(&deepest), "{deepest} nested calls");
    assert_eq!(chain.manager.client_panics(), 0);
}

#[test]
fn new_flows_nested_too_deep_in_alerts_are_refused() {
    let chain = chain(1);
    let everything = Membership::any_source(GROUP).unwrap();
    chain.manager.add_membership(chain.handles[0], Interface::v4(1), everything, StateChange::Join).unwrap();
    let source = Ipv4Addr::new(192, 0, 2, 1);
    chain.manager.new_flow(Flow::new(source.into(), GROUP).unwrap()).unwrap();
    let deepest = chain.deepest.load(Ordering::Relaxed);
    assert!((2..=32).contains(&deepest), "{deepest} nested calls");
    assert_eq!(chain.manager.entries().len(), deepest as usize);
    assert_eq!(chain.manager.client_panics(), 0);
}

/// Counts its join alerts.
struct Hears(Arc<AtomicU32>);

impl Client for Hears {
    fn join_alert(&self, _: &JoinAlert) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A manager with a client that hears of joins and one that joins; returns the count and the join.
fn heard(routes: impl Fn(IpAddr) -> Option<ReversePath> + Send + Sync + 'static) -> Heard {
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
    let count = Arc::<AtomicU32>::default();
    manager.register(Protocol::new(1, 0), Arc::new(Hears(count.clone()))).unwrap();
    let joins = manager.register(Protocol::new(2, 0), Arc::new(())).unwrap();
    manager.take(joins, Interface::v4(2)).unwrap();
    Heard { manager, joins, count }
}

struct Heard {
    manager: Arc<GroupManager>,
    joins: Handle,
    count: Arc<AtomicU32>,
}

fn join_group(manager: &GroupManager, client: Handle) {
    let group = Membership::any_source(GROUP).unwrap();
    manager.add_membership(client, Interface::v4(2), group, StateChange::Join).unwrap();
}

/// Leaves, and in its destructor has the next client leave; the last one has a group joined.
struct Leaving {
    manager: Weak<GroupManager>,
    next: Option<Handle>,
    joins: Handle,
}

impl Client for Leaving {}

impl Drop for Leaving {
    fn drop(&mut self) {
        let manager = self.manager.upgrade().unwrap();
        match self.next {
            Some(next) => manager.deregister(next).unwrap(),
            None => join_group(&manager, self.joins),
        }
    }
}

#[test]
fn a_notice_from_deep_inside_destructors_is_delivered() {
    for links in [1, 31, 32, 33, 200] {
        let Heard { manager, joins, count } = heard(|_| None);
        let mut next = None;
        for number in 0..links {
            let client = Leaving { manager: Arc::downgrade(&manager), next, joins };
            next = Some(manager.register(Protocol::new(3, number), Arc::new(client)).unwrap());
        }
        manager.deregister(next.unwrap()).unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1, "{links} destructors");
    }
}

thread_local! {
    static ROUTES: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_notice_from_deep_inside_routes_is_delivered() {
    for depth in [1, 31, 32, 33, 100] {
        let itself = Arc::<OnceLock<(Weak<GroupManager>, Handle)>>::default();
        let inner = itself.clone();
        // Each question about a source joins another one by a stale handle, which asks again; the last one joins a group.
        let routes = move |source: IpAddr| {
            let (manager, joins) = inner.get()?;
            let manager = manager.upgrade()?;
            ROUTES.set(ROUTES.get() + 1);
            if ROUTES.get() < depth {
                let flow = Membership::one_source(source, GROUP).unwrap();
                manager.add_membership(Handle::STALE, Interface::v4(2), flow, StateChange::Join).unwrap_err();
            } else {
                join_group(&manager, *joins);
            }
            None
        };
        let Heard { manager, joins, count } = heard(routes);
        itself.set((Arc::downgrade(&manager), joins)).unwrap();
        ROUTES.set(0);
        let flow = Membership::one_source(source(1), GROUP).unwrap();
        manager.add_membership(Handle::STALE, Interface::v4(2), flow, StateChange::Join).unwrap_err();
        assert_eq!(count.load(Ordering::Relaxed), 1, "{depth} nested questions");
    }
}
