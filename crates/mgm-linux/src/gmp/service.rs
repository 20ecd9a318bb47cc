//! [`GmpService`]: the thread that runs IGMP or MLD on live interfaces.

use super::GmpIoError;
use super::socket::{self, GmpSocket, RouterGroups};
use crate::clock;
use crate::plane::IgmpHandler;
use crate::sys::{Receiver, Wake, wait_readable};
use mgm::manager::Interface;
use mgm::protocol::gmp::GroupMembership;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The number of messages that are received before queries are sent.
const BURST: usize = 256;
/// The pause after a system call that fails again and again.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs IGMP or MLD on live interfaces, on a thread of its own. See the [room](super).
///
/// The clock is [`clock::now`]: other callers of the same [`GroupMembership`] have to use it, too. Dropping the service
/// releases its interfaces, and waits for its thread.
pub struct GmpService {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    membership: Arc<GroupMembership>,
    socket: GmpSocket,
    /// By the kernel's index.
    interfaces: Mutex<BTreeMap<u32, Running>>,
    counters: Counters,
    wake: Wake,
    stop: AtomicBool,
}

struct Running {
    interface: Interface,
    _groups: RouterGroups,
}

#[derive(Default)]
struct Counters {
    received: AtomicU64,
    elsewhere: AtomicU64,
    unreadable: AtomicU64,
    receive_errors: AtomicU64,
    sent: AtomicU64,
    send_errors: AtomicU64,
}

/// What a [`GmpService`] received and sent since it was started. The [`GroupMembership`] counts what became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GmpIoCounters {
    /// Messages that were passed on.
    pub received: u64,
    /// Messages that arrived on interfaces which the service does not have.
    pub elsewhere: u64,
    /// Packets that are no messages of IGMP or MLD.
    pub unreadable: u64,
    /// Failures to receive.
    pub receive_errors: u64,
    /// Queries sent.
    pub sent: u64,
    /// Queries that could not be sent.
    pub send_errors: u64,
}

/// Adds one to a counter.
fn count(counter: &AtomicU64) {
    // Relaxed: each count stands for itself.
    counter.fetch_add(1, Ordering::Relaxed);
}

impl GmpService {
    /// Opens the socket in the network namespace of the calling thread, and starts the service's thread. The service has no
    /// interfaces yet.
    ///
    /// # Errors
    /// [`GmpIoError::System`].
    pub fn start(membership: Arc<GroupMembership>) -> Result<GmpService, GmpIoError> {
        let socket = GmpSocket::open(membership.family())?;
        let shared = Arc::new(Shared {
            membership,
            socket,
            interfaces: Mutex::default(),
            counters: Counters::default(),
            wake: Wake::new().map_err(GmpIoError::at("eventfd"))?,
            stop: AtomicBool::new(false),
        });
        let running = shared.clone();
        let thread = thread::Builder::new().name("mgm-gmp".to_owned()).spawn(move || running.run());
        Ok(GmpService { shared, thread: Some(thread.map_err(GmpIoError::at("spawn"))?) })
    }

    /// Takes an interface in the IGMP role, joins the groups of routers there, and passes its messages on from now on. `ifindex`
    /// is the kernel's index. `addresses` are the router's addresses there, each with the length of its network's
    /// prefix.
    ///
    /// May wait for the membership lock.
    ///
    /// # Errors
    /// [`GmpIoError`]; then the interface is not taken.
    pub fn add_interface(
        &self,
        interface: Interface,
        ifindex: u32,
        addresses: Vec<(IpAddr, u8)>,
    ) -> Result<(), GmpIoError> {
        let Shared { membership, interfaces, wake, .. } = &*self.shared;
        let groups = RouterGroups::join(membership.family(), ifindex).map_err(|error| GmpIoError::Join {
            interface,
            ifindex,
            error,
        })?;
        match interfaces.lock().entry(ifindex) {
            Entry::Occupied(other) => {
                return Err(GmpIoError::IndexInUse { ifindex, other: other.get().interface });
            }
            Entry::Vacant(vacant) => _ = vacant.insert(Running { interface, _groups: groups }),
        }
        membership.set_addresses(interface, addresses);
        if let Err(error) = membership.take(interface) {
            interfaces.lock().remove(&ifindex);
            return Err(error.into());
        }
        wake.wake();
        Ok(())
    }

    /// Releases an interface, and leaves the groups of routers there. The interface may have vanished from the kernel. May wait
    /// for the membership lock.
    ///
    /// # Errors
    /// [`GmpIoError::NotAdded`], [`GmpIoError::Release`].
    pub fn remove_interface(&self, interface: Interface) -> Result<(), GmpIoError> {
        let removed = {
            let mut interfaces = self.shared.interfaces.lock();
            let ifindex = interfaces.iter().find(|(_, running)| running.interface == interface);
            let ifindex = ifindex.map(|(ifindex, _)| *ifindex).ok_or(GmpIoError::NotAdded(interface))?;
            interfaces.remove(&ifindex)
        };
        drop(removed);
        self.shared.membership.release(interface)?;
        self.shared.wake.wake();
        Ok(())
    }

    /// Sets the router's addresses on an interface, as when the kernel reports a change. An interface without an address
    /// sends no queries.
    pub fn set_addresses(&self, interface: Interface, addresses: Vec<(IpAddr, u8)>) {
        self.shared.membership.set_addresses(interface, addresses);
        self.shared.wake.wake();
    }

    /// Returns the interfaces with their kernel indices, by index.
    #[must_use]
    pub fn interfaces(&self) -> Vec<(Interface, u32)> {
        let interfaces = self.shared.interfaces.lock();
        interfaces.iter().map(|(ifindex, running)| (running.interface, *ifindex)).collect()
    }

    /// Returns the group membership protocol that the service runs.
    #[must_use]
    pub fn membership(&self) -> &Arc<GroupMembership> {
        &self.shared.membership
    }

    /// Returns the receiver of the IGMP packets that only a kernel plane gets, for
    /// [`KernelPlaneConfig::with_igmp`](crate::plane::KernelPlaneConfig::with_igmp). It does not keep the service.
    #[must_use]
    pub fn igmp_handler(&self) -> IgmpHandler {
        let weak = Arc::downgrade(&self.shared);
        Arc::new(move |interface, packet| {
            let Some(shared) = weak.upgrade() else { return };
            match socket::igmp_message(packet) {
                // The service's own socket receives it, too.
                Some(message) if message.router_alert => {}
                Some(message) => {
                    count(&shared.counters.received);
                    // The membership protocol counts what became of the message.
                    _ = shared.membership.receive(interface, &message, clock::now());
                    shared.wake.wake();
                }
                None => count(&shared.counters.unreadable),
            }
        })
    }

    /// Returns what the service received and sent so far.
    #[must_use]
    pub fn counters(&self) -> GmpIoCounters {
        let Counters { received, elsewhere, unreadable, receive_errors, sent, send_errors } =
            &self.shared.counters;
        // Relaxed: each count stands for itself.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GmpIoCounters {
            received: read(received),
            elsewhere: read(elsewhere),
            unreadable: read(unreadable),
            receive_errors: read(receive_errors),
            sent: read(sent),
            send_errors: read(send_errors),
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut receiver = GmpSocket::receiver();
        // Acquire: pairs with the store of `stop`.
        while !self.stop.load(Ordering::Acquire) {
            self.wake.clear();
            self.membership.advance(clock::now());
            let more = self.receive_burst(&mut receiver);
            self.send_queries();
            let deadline = self.membership.next_deadline();
            let timeout = deadline.map(|deadline| deadline.saturating_sub(clock::now()));
            let timeout = if more { Some(Duration::ZERO) } else { timeout };
            if let Err(error) = wait_readable([self.socket.as_fd(), self.wake.as_fd()], timeout) {
                tracing::error!(%error, "poll");
                thread::sleep(PAUSE);
            }
        }
    }

    /// Receives some messages. Returns whether more may wait.
    fn receive_burst(&self, receiver: &mut Receiver) -> bool {
        for _ in 0..BURST {
            match self.socket.receive(receiver) {
                Ok(Some(raw)) => self.receive(&raw),
                Ok(None) => return false,
                Err(error) => {
                    count(&self.counters.receive_errors);
                    tracing::warn!(%error, "the socket of IGMP or MLD");
                    thread::sleep(PAUSE);
                    return false;
                }
            }
        }
        true
    }

    fn receive(&self, raw: &crate::sys::Datagram<'_>) {
        let running = |ifindex| self.interfaces.lock().get(&ifindex).map(|running| running.interface);
        let Some(interface) = raw.ifindex().and_then(running) else {
            return count(&self.counters.elsewhere);
        };
        match socket::message(self.membership.family(), raw) {
            Some(message) => {
                count(&self.counters.received);
                // The membership protocol counts what became of the message.
                _ = self.membership.receive(interface, &message, clock::now());
            }
            None => count(&self.counters.unreadable),
        }
    }

    fn send_queries(&self) {
        while let Some(query) = self.membership.poll_transmit() {
            let ifindex = {
                let interfaces = self.interfaces.lock();
                interfaces.iter().find(|(_, running)| running.interface == query.interface).map(|(at, _)| *at)
            };
            // Removed meanwhile.
            let Some(ifindex) = ifindex else { continue };
            match self.socket.send(&query, ifindex) {
                Ok(()) => count(&self.counters.sent),
                Err(error) => {
                    count(&self.counters.send_errors);
                    // An interface that is down or has lost its address is a state of the network, and counted.
                    tracing::debug!(interface = %query.interface, %error, "a query was not sent");
                }
            }
        }
    }
}

impl Drop for GmpService {
    fn drop(&mut self) {
        // Release: pairs with the load of the thread.
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake.wake();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of IGMP or MLD had panicked");
        }
        for (interface, _) in self.interfaces() {
            // Refused if the interface has another owner by now: then there is nothing to release.
            if let Err(error) = self.remove_interface(interface) {
                tracing::debug!(%interface, %error, "not released");
            }
        }
    }
}

impl fmt::Debug for GmpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GmpService")
            .field("interfaces", &self.interfaces())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
