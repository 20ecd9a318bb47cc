//! Reverse paths from the kernel's routing tables, through netlink (rtnetlink(7)).
//!
//! [`KernelRoutes`] asks the kernel for each source (`RTM_GETROUTE`), so that policy rules, tables and metrics decide as they
//! do for unicast packets. It keeps no copy of the tables that could be out of date. A route that the configuration names for
//! multicast wins over the kernel's.
//!
//! [`KernelRoutes::follow`] starts a thread that follows changes: a changed route to a network moves the entries of its
//! sources ([`GroupManager::routes_changed_in`]). An interface that goes down takes its routes with it, and the kernel does not
//! report each, so then every entry is looked at. The same holds for rules, next hops, and events that were lost.

mod changes;
mod lookup;

use crate::netlink::{NetlinkError, NetlinkSocket, groups};
use crate::sys::{Wake, wait_readable};
use changes::Changes;
use mgm::forwarding::Family;
use mgm::manager::{GroupManager, Interface, ReversePath, RpfLookup};
use mgm::rpf::RouteTable;
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The pause after a system call that fails again and again.
const PAUSE: Duration = Duration::from_secs(1);

type Interfaces = dyn Fn(Family, u32) -> Option<Interface> + Send + Sync;

/// The routes of the kernel and of the configuration, for reverse path forwarding. Clones share them.
///
/// The manager gets a clone when it is made. Dropping the last clone ends the following. The kernel is asked in the network
/// namespace where [`start`](KernelRoutes::start) was called.
#[derive(Clone)]
pub struct KernelRoutes {
    shared: Arc<Shared>,
}

struct Shared {
    requests: Mutex<NetlinkSocket>,
    configured: RwLock<RouteTable>,
    interfaces: RwLock<Arc<Interfaces>>,
    follower: Mutex<Option<Follower>>,
    failures: AtomicU64,
}

/// The thread that follows changes. It keeps neither the routes nor the manager.
struct Follower {
    manager: Weak<GroupManager>,
    end: Arc<End>,
    thread: Option<JoinHandle<()>>,
}

struct End {
    wake: Wake,
    stop: AtomicBool,
}

impl KernelRoutes {
    /// Opens a socket for requests. Until [`set_interfaces`](Self::set_interfaces) an interface has the kernel's index.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn start() -> Result<KernelRoutes, NetlinkError> {
        let shared = Shared {
            requests: Mutex::new(NetlinkSocket::open()?),
            configured: RwLock::default(),
            interfaces: RwLock::new(Arc::new(|family, index| Some(Interface::of(family, index)))),
            follower: Mutex::default(),
            failures: AtomicU64::new(0),
        };
        Ok(KernelRoutes { shared: Arc::new(shared) })
    }

    /// Follows changes of the kernel's routes on a thread of its own, and tells the manager. Only the last manager is told.
    ///
    /// The thread asks the routes and may wait for the membership lock.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn follow(&self, manager: &Arc<GroupManager>) -> Result<(), NetlinkError> {
        let mut events = NetlinkSocket::open_events(&[
            groups::LINK,
            groups::IPV4_ROUTE,
            groups::IPV4_RULE,
            groups::IPV6_ROUTE,
            groups::IPV6_RULE,
            groups::NEXT_HOP,
        ])?;
        let wake = Wake::new().map_err(NetlinkError::at("eventfd"))?;
        let end = Arc::new(End { wake, stop: AtomicBool::new(false) });
        let (ending, weak) = (end.clone(), Arc::downgrade(manager));
        let thread = thread::Builder::new().name("mgm-routes".to_owned());
        let thread =
            thread.spawn(move || run(&mut events, &ending, &weak)).map_err(NetlinkError::at("spawn"))?;
        let follower = Follower { manager: Arc::downgrade(manager), end, thread: Some(thread) };
        let previous = self.shared.follower.lock().replace(follower);
        drop(previous);
        // What has changed between the manager's first question and the subscription.
        manager.routes_changed(|_| true);
        Ok(())
    }

    /// Sets the routes of the configuration, which win over the kernel's. Entries follow. May wait for the membership lock.
    pub fn set_configured(&self, routes: RouteTable) {
        *self.shared.configured.write() = routes;
        self.tell_all();
    }

    /// Sets how interfaces are named: `interfaces` returns the interface that has a kernel index in a family, or `None` if
    /// no protocol may use it. Entries follow. May wait for the membership lock.
    pub fn set_interfaces(
        &self,
        interfaces: impl Fn(Family, u32) -> Option<Interface> + Send + Sync + 'static,
    ) {
        *self.shared.interfaces.write() = Arc::new(interfaces);
        self.tell_all();
    }

    /// Returns the number of questions that the kernel could not be asked. The source then counts as one without a route.
    #[must_use]
    pub fn failures(&self) -> u64 {
        // Relaxed: a count of its own.
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Has the manager ask again for every source.
    fn tell_all(&self) {
        let manager = self.shared.follower.lock().as_ref().and_then(|follower| follower.manager.upgrade());
        if let Some(manager) = manager {
            manager.routes_changed(|_| true);
        }
    }
}

impl RpfLookup for KernelRoutes {
    /// Asks the configured routes, then the kernel. Waits for other questions to the kernel, which each take microseconds.
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        if let Some(path) = self.shared.configured.read().reverse_path(source) {
            return Some(path);
        }
        let answer = lookup::ask(&mut self.shared.requests.lock(), source);
        let found = answer.unwrap_or_else(|error| {
            // Relaxed: a count of its own.
            if self.shared.failures.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(%source, %error, "the kernel cannot be asked for a route; further failures are counted");
            }
            None
        })?;
        let interfaces = self.shared.interfaces.read().clone();
        let interface = interfaces(Family::of(source), found.ifindex)?;
        let path = ReversePath::through(interface).with_neighbour(found.neighbour);
        Some(path.with_route(Some(found.route)))
    }
}

/// Follows changes until the end.
fn run(events: &mut NetlinkSocket, end: &End, manager: &Weak<GroupManager>) {
    // Acquire: pairs with the store of `stop`.
    while !end.stop.load(Ordering::Acquire) {
        if let Err(error) = wait_readable([events.as_fd(), end.wake.as_fd()], None) {
            tracing::error!(%error, "poll");
            thread::sleep(PAUSE);
        }
        let changes = match events.events() {
            Ok(messages) => Changes::of(&messages),
            Err(error) => {
                tracing::debug!(%error, "every route may have changed");
                Changes::Everything
            }
        };
        let Some(manager) = manager.upgrade() else { return };
        match changes {
            Changes::Everything => _ = manager.routes_changed(|_| true),
            Changes::Networks(networks) => networks
                .into_iter()
                .for_each(|network| _ = manager.routes_changed_in(network.network(), network.length())),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Release: pairs with the load of the thread.
        self.end.stop.store(true, Ordering::Release);
        self.end.wake.wake();
        let Some(thread) = self.thread.take() else { return };
        // The thread itself drops the routes when it held the manager last, and cannot wait for itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the thread that follows routes had panicked");
        }
    }
}

impl fmt::Debug for KernelRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelRoutes")
            .field("configured", &*self.shared.configured.read())
            .finish_non_exhaustive()
    }
}
