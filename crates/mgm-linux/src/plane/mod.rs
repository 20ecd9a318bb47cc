//! The kernel's multicast routing as a forwarding plane of the manager.
//!
//! The kernel forwards; this room keeps its entries equal to the manager's. Two threads work for each family:
//!
//! - The *upcall thread* receives what the kernel reports: a flow without an entry becomes an upcall of the manager, and a
//!   packet on the wrong interface an alert. It makes the entries, and sets them in the kernel at once.
//! - The *follower* takes changed flows out of its queue ([`GroupManager::subscribe_changes`]), looks each up, and sets or
//!   deletes the kernel's entry. When the queue has overflowed it compares every entry. It advances the manager's clock, too.
//!
//! # Release is instant
//!
//! The kernel checks no stamps. So the plane watches the ownership ([`GroupManager::watch_ownership`]): before
//! [`GroupManager::release`] returns, it deletes the interface's vif, and from then on nothing enters or leaves by it. The
//! deletion takes one system call, however many entries name the vif. The follower then updates those entries, and gives
//! the interface another number. No number is used again while an entry names it. Protocols call `release` as with any plane.
//!
//! What another owner of the interface still has there, as a routing protocol beside IGMP, stops for the moment that
//! the follower needs.
//!
//! # What is left behind
//!
//! [`KernelPlane::start`] removes the entries and interfaces of an earlier run. Dropping the plane removes its own, and so
//! does the kernel when the process is killed.

mod config;
mod counters;
mod entries;
mod error;
mod follower;
mod upcalls;
mod vifs;

pub use config::{IgmpHandler, KernelPlaneConfig};
pub use counters::PlaneCounters;
pub use error::PlaneError;

use crate::mroute::{EntryCounters, MrouteError, MrouteSocket, VifCounters};
use crate::sys::Wake;
use entries::{Shared, State};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{GroupManager, Interface, OwnershipWatch};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// The kernel's multicast routing of one family, driven by a manager. See the [room](self).
///
/// Dropping it ends the forwarding and removes every entry and vif. The drop waits for the plane's threads.
pub struct KernelPlane {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Dropped first, so that no release waits for a plane that ends.
    watch: Option<OwnershipWatch>,
}

/// An interface of a kernel plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaneInterface {
    /// The interface as the manager names it.
    pub interface: Interface,
    /// The kernel's index.
    pub ifindex: u32,
    /// The least TTL of packets that leave by it.
    pub threshold: u8,
    /// The vif number in `ip mroute`; `None` while it has none, and forwards nothing.
    pub vif: Option<u16>,
}

/// An entry of the kernel, in the manager's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelEntry {
    /// The flow.
    pub flow: Flow,
    /// The incoming interface; `None` if the plane does not have it.
    pub incoming: Option<Interface>,
    /// The outgoing interfaces, in the order of their vif numbers.
    pub outgoing: Vec<Interface>,
}

impl KernelPlane {
    /// Becomes the owner of the kernel's multicast routing of a family, removes what an earlier run left there, and starts the
    /// plane's threads. The plane has no interfaces yet.
    ///
    /// Works in the network namespace of the calling thread. Does not block.
    ///
    /// # Errors
    /// [`PlaneError`]. [`MrouteError::InUse`] when another program, or another plane, is the owner.
    pub fn start(
        manager: Arc<GroupManager>,
        family: Family,
        config: KernelPlaneConfig,
    ) -> Result<KernelPlane, PlaneError> {
        let KernelPlaneConfig { table, receive_buffer, changes, wrong_interface, igmp } = config;
        let socket = MrouteSocket::open(family, table)?;
        socket.set_receive_buffer(receive_buffer).map_err(MrouteError::at("SO_RCVBUFFORCE"))?;
        if wrong_interface {
            socket.report_wrong_interface().map_err(MrouteError::at("MRT_ASSERT"))?;
        }
        let shared = Arc::new(Shared {
            manager: manager.clone(),
            family,
            socket,
            state: parking_lot::Mutex::new(State::default()),
            counters: counters::SharedCounters::default(),
            igmp,
            upcalls: Wake::new().map_err(PlaneError::Start)?,
            follower: Wake::new().map_err(PlaneError::Start)?,
            woken: AtomicBool::new(false),
            compare: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&shared);
        let changes = manager.subscribe_changes(changes, move || {
            if let Some(shared) = weak.upgrade() {
                shared.wake_follower();
            }
        });
        let weak = Arc::downgrade(&shared);
        let watch = manager.watch_ownership(move |interface| {
            if let Some(shared) = weak.upgrade() {
                shared.cut(interface);
            }
        });
        // From here on a failure drops the plane, which stops the threads that were started.
        let mut plane = KernelPlane { shared: shared.clone(), threads: Vec::new(), watch: Some(watch) };
        let version = match family {
            Family::V4 => "4",
            Family::V6 => "6",
        };
        let following = shared.clone();
        plane.spawn(format!("mgm-follow{version}"), move || follower::run(&following, &changes))?;
        plane.spawn(format!("mgm-upcalls{version}"), move || upcalls::run(&shared))?;
        Ok(plane)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<(), PlaneError> {
        let thread = thread::Builder::new().name(name).spawn(run).map_err(PlaneError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Returns the address family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.shared.family
    }

    /// Gives an interface to the plane: makes the vif by which the kernel receives and sends there. `ifindex` is the kernel's
    /// index; the interface's own may differ. `threshold` is the least TTL of packets that leave by it, from 1 to 254; it has
    /// no effect on IPv6.
    ///
    /// Entries that name the interface already follow shortly. The order of this call and of
    /// [`take`](GroupManager::take) does not matter. Does not wait for the membership lock.
    ///
    /// # Errors
    /// [`PlaneError`]. [`MrouteError::TooManyVifs`] for the 33rd interface.
    pub fn add_interface(&self, interface: Interface, ifindex: u32, threshold: u8) -> Result<(), PlaneError> {
        self.check(interface)?;
        if !(1..=254).contains(&threshold) {
            return Err(PlaneError::Threshold(threshold));
        }
        if !self.shared.state.lock().vifs.give(interface, ifindex, threshold) {
            return Err(PlaneError::AlreadyGiven(interface));
        }
        let mut reader = self.shared.manager.forwarding().reader();
        if let Err(error) = self.shared.number_interface(&mut reader, interface) {
            self.shared.state.lock().vifs.take_back(interface);
            return Err(error.into());
        }
        // Relaxed: the wake orders it.
        self.shared.compare.store(true, Ordering::Relaxed);
        self.shared.wake_follower();
        Ok(())
    }

    /// Takes an interface back from the plane. Nothing is forwarded through it any more when this returns. The
    /// interface may have vanished from the kernel. Does not wait for the membership lock.
    ///
    /// # Errors
    /// [`PlaneError::NotGiven`].
    pub fn remove_interface(&self, interface: Interface) -> Result<(), PlaneError> {
        {
            let mut state = self.shared.state.lock();
            let given = state.vifs.take_back(interface).ok_or(PlaneError::NotGiven(interface))?;
            if let Some(number) = given.vif {
                self.shared.delete_vif(number);
            }
        }
        self.shared.wake_follower();
        Ok(())
    }

    /// Returns the interfaces of the plane, in order.
    #[must_use]
    pub fn interfaces(&self) -> Vec<PlaneInterface> {
        let state = self.shared.state.lock();
        let interfaces = state.vifs.iter().map(|(interface, given)| {
            let vifs::Given { ifindex, threshold, vif, .. } = given;
            PlaneInterface { interface, ifindex, threshold, vif }
        });
        interfaces.collect()
    }

    /// Returns the entries that the plane has set in the kernel, by group and source.
    #[must_use]
    pub fn entries(&self) -> Vec<KernelEntry> {
        let state = self.shared.state.lock();
        let entries = state.installed.values().map(|entry| KernelEntry {
            flow: entry.flow,
            incoming: state.vifs.interface(entry.parent),
            outgoing: (0..)
                .zip(entry.ttls)
                .filter(|(_, ttl)| *ttl > 0)
                .filter_map(|(vif, _)| state.vifs.interface(vif))
                .collect(),
        });
        entries.collect()
    }

    /// Reads the kernel's counters of a flow's entry; `None` if it has none. They start anew when an entry is made anew.
    ///
    /// # Errors
    /// [`PlaneError`].
    pub fn entry_counters(&self, flow: Flow) -> Result<Option<EntryCounters>, PlaneError> {
        Ok(self.shared.socket.entry_counters(flow)?)
    }

    /// Reads the kernel's counters of an interface; `None` while it has no vif. They start anew after each release.
    ///
    /// # Errors
    /// [`PlaneError::NotGiven`].
    pub fn interface_counters(&self, interface: Interface) -> Result<Option<VifCounters>, PlaneError> {
        let state = self.shared.state.lock();
        let given = state.vifs.get(interface).ok_or(PlaneError::NotGiven(interface))?;
        match given.vif {
            Some(number) => Ok(self.shared.socket.vif_counters(number)?),
            None => Ok(None),
        }
    }

    /// Returns what the plane did so far.
    #[must_use]
    pub fn counters(&self) -> PlaneCounters {
        self.shared.counters.read()
    }

    /// Has the plane compare every entry with the manager's, and look at interfaces without a vif again. Does not wait for it.
    pub fn compare(&self) {
        // Relaxed: the wake orders it.
        self.shared.compare.store(true, Ordering::Relaxed);
        self.shared.wake_follower();
    }

    fn check(&self, interface: Interface) -> Result<(), PlaneError> {
        if interface.family() == self.shared.family {
            Ok(())
        } else {
            Err(PlaneError::OtherFamily(interface))
        }
    }
}

impl Drop for KernelPlane {
    fn drop(&mut self) {
        self.watch = None;
        // Release: pairs with the loads of the threads.
        self.shared.stop.store(true, Ordering::Release);
        self.shared.upcalls.wake();
        self.shared.follower.wake();
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a thread of the plane had panicked");
            }
        }
        // A release on another thread may keep the socket for a moment.
        self.shared.socket.done();
    }
}

impl fmt::Debug for KernelPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelPlane")
            .field("family", &self.shared.family)
            .field("interfaces", &self.interfaces())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
