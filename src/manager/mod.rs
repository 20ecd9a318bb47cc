//! The group manager: clients, ownership of interfaces, memberships, and the forwarding entries that follow.
//!
//! [`GroupManager`] is where multicast routing protocols that share a router meet. A protocol registers and gets a handle,
//! takes the interfaces it runs on, adds memberships for the groups that have receivers there, and leaves again. A forwarding
//! plane reports the flows for which it finds no entry, and reads the entries from [`GroupManager::forwarding`].
//!
//! ```
//! use mgm::manager::{Flow, FlowState, GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange};
//! use std::sync::Arc;
//!
//! // Every source is reached through interface 1.
//! let routes = |_source| Some(ReversePath::through(Interface::v4(1)));
//! let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes))?;
//!
//! let protocol = manager.register(Protocol::new(0x4000_0001, 0), Arc::new(()))?;
//! manager.take(protocol, Interface::v4(1))?;
//! manager.take(protocol, Interface::v4(2))?;
//!
//! let group = "239.1.2.3".parse()?;
//! manager.add_membership(protocol, Interface::v4(2), Membership::any_source(group)?, StateChange::Join)?;
//!
//! let flow = Flow::new("192.0.2.7".parse()?, group)?;
//! assert_eq!(manager.new_flow(flow)?, FlowState::Active);
//! assert_eq!(manager.entries()[0].outgoing[0].interface, Interface::v4(2));
//!
//! manager.release(protocol, Interface::v4(2))?;
//! assert_eq!(manager.entries()[0].state, FlowState::Negative);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Without memory
//!
//! A call that needs memory and finds none returns an error that says so, and has changed nothing. Repeated when memory is
//! available, it succeeds. What cannot be refused needs no memory, or goes on without and reports that: an entry that cannot
//! be published again is withdrawn ([`LimitCounters::entries_withdrawn`]), a notice that cannot be queued is counted
//! ([`Client::notices_lost`]), an upcall is refused. The trees and maps of other libraries end the process when there is no
//! memory for a node; calls that add to them first check whether there is enough for what they add.
//!
//! # Progress
//!
//! - [`take`](GroupManager::take) of a known interface, [`release`](GroupManager::release),
//!   [`deregister`](GroupManager::deregister): the effect is one lock-free step that needs neither a lock nor memory. The
//!   sweep of dead memberships and entries that follows takes the membership lock and may wait for it. No call can observe
//!   whether the sweep has happened yet.
//! - [`owner_of`](GroupManager::owner_of) and [`vif_index`](GroupManager::vif_index) are lock-free;
//!   [`interface`](GroupManager::interface) is wait-free.
//! - [`next_groups`](GroupManager::next_groups) is lock-free; [`upcall`](GroupManager::upcall) and
//!   [`wrong_interface`](GroupManager::wrong_interface) wait neither for the membership lock nor for the thread that
//!   processes upcalls; they may wait for another such call while the map of waiting flows grows.
//! - Every other call may wait for the membership lock, or for the shard of a protocol's name.
//! - No lock is held while a client's callback or destructor runs: every function may be called from any thread and from any
//!   callback.
//!
//! # The rooms
//!
//! - `api`: the types that callers name.
//! - `clients`: the registered clients and the channel to each.
//! - `state`: interfaces, memberships, handovers, quotas and queues.
//! - `flows`: the records of flows, and the entries that follow from them.
//! - `ops`: the operations, each over several rooms.
//!
//! # The order of locks
//!
//! A thread that holds one of these locks takes only later ones: the shard of a protocol's name; the insert lock
//! of the table of clients; the membership lock; an outbox; the writer lock of the forwarding table; a queue of changes. The lock under which an enumeration is
//! opened is taken with no other lock held. The lock of the interface allocator
//! is taken with no other lock held; its holder may take the membership lock.

mod api;
mod clients;
mod flows;
mod ops;
pub(crate) mod points;
mod state;
#[cfg(test)]
mod tests;

pub use crate::forwarding::{Family, Flow, ForwardingView};
pub use crate::handle::{Handle, Standstill};
pub use api::{
    Cause, ChangeSubscription, Client, ClientRecord, ConfigError, CreationAlert, DeregisterError,
    EntryChange, EntryRecord, EnumerationError, EnumerationKind, FlowRequest, FlowState, Group, GroupPage,
    Interface, JoinAlert, LimitCounters, ManagerConfig, Membership, MembershipError, MembershipRecord,
    NewFlowError, NoOwner, OfferedInterface, OutgoingRecord, OwnershipWatch, Protocol, PruneAlert,
    RegisterError, ReleaseError, ReversePath, ReversePathQuestion, Route, RpfLookup, SetEntryError,
    StateChange, TakeError, Upcall, WrongInterfaceAlert,
};
/// Run-down protection, for the C interface.
#[doc(hidden)]
pub use clients::rundown;

use crate::faults;
use crate::foreign_code;
use crate::forwarding::{ForwardingTable, VifIndex};
use api::{ChangeFeed, OwnershipWatches};
use clients::ClientRegistry;
use flows::FlowTable;
use ops::{RouteVersion, State};
use parking_lot::Mutex;
use state::{Clock, Enumerations, InterfaceAllocator, InterfaceTable, UpcallQueue};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Parts of the manager that have loom models of their own.
#[cfg(loom)]
pub mod parts {
    pub use super::clients::outbox::{Next, Outbox};
    pub use super::clients::rundown::{Rundown, RundownGuard};
    pub use super::state::cursor::Cursor;
    pub use super::state::name_index::NameIndex;
    pub use super::state::pending_flow::{Counts, PendingFlow, Sealed};
}

/// A multicast group manager.
///
/// Share it in an [`Arc`]. A client that keeps it should keep a [`std::sync::Weak`], because the manager keeps its clients.
pub struct GroupManager {
    /// Shared with the deliveries that a thread puts off.
    clients: Arc<ClientRegistry>,
    interfaces: InterfaceTable,
    forwarding: ForwardingView,
    changes: ChangeFeed,
    watches: OwnershipWatches,
    routes: Arc<dyn RpfLookup>,
    route_version: RouteVersion,
    config: ManagerConfig,
    clock: Arc<Clock>,
    enumerations: Enumerations,
    upcalls: UpcallQueue,
    /// Separate from the membership lock, so that the first take of an interface waits for that only when there is no place left
    /// that was never used.
    allocator: Mutex<InterfaceAllocator>,
    /// The membership lock. Shared as the clients are.
    state: Arc<Mutex<State>>,
}

impl GroupManager {
    /// Returns a manager without clients that asks `routes` for the reverse path to a source.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that is out of its bounds.
    pub fn new(config: ManagerConfig, routes: Arc<dyn RpfLookup>) -> Result<GroupManager, ConfigError> {
        config.check()?;
        let clients = ClientRegistry::new(&config).ok_or(ConfigError {
            field: "clients",
            value: config.clients.into(),
            min: 1,
            max: ManagerConfig::MAX_CLIENTS,
        })?;
        let (interfaces, allocator) = InterfaceTable::new(config.interfaces, clients.table.owners().clone());
        let clock = Arc::<Clock>::default();
        let table = ForwardingTable::new(config.entries, clients.table.owners().clone());
        let forwarding = ForwardingView::new(Arc::new(table));
        let flows = FlowTable::new(&config, clock.clone(), forwarding.counters().worker());
        Ok(GroupManager {
            forwarding,
            changes: ChangeFeed::default(),
            watches: OwnershipWatches::default(),
            clients: Arc::new(clients),
            interfaces,
            routes,
            route_version: RouteVersion::default(),
            enumerations: Enumerations::new(config.enumerations),
            upcalls: UpcallQueue::new(&config),
            config,
            allocator: Mutex::new(allocator),
            state: Arc::new(Mutex::new(State::new(flows))),
            clock,
        })
    }

    /// Registers a protocol instance (`MgmRegisterMProtocol`) and returns its handle. The handle is stale for ever once the
    /// client is deregistered.
    ///
    /// Gives the client its handle ([`Client::registered`]) before it returns, and before any other callback. Alerts may come
    /// before it returns: first one for each group that other clients have joined, if the client
    /// [wants them](Client::wants_present_joins).
    ///
    /// The client becomes visible in one step: by its handle, by [`clients`](Self::clients) and to the changes that it is
    /// notified of. May wait for another registration or deregistration, and for the membership lock.
    ///
    /// # Errors
    /// [`RegisterError`]; a protocol instance is registered at most once at a time.
    pub fn register(&self, protocol: Protocol, client: Arc<dyn Client>) -> Result<Handle, RegisterError> {
        let mut more = false;
        let channel = self.clients.register(protocol, client, &self.state, |state, channel| {
            more = channel.wishes.present_joins && state.queue_present_joins(channel);
        })?;
        channel.start(&self.clients.table);
        self.tell_present_joins(&channel, more);
        channel.deliver();
        self.clients.runner.run_destructors();
        Ok(channel.handle)
    }

    /// Deregisters a client (`MgmDeRegisterMProtocol`). Either the client owns nothing and its handle is stale from then on,
    /// or nothing changes: one step, whatever other threads do. Lock-free up to that step.
    ///
    /// From that step on no callback of the client starts. The call then blocks until the client's running callbacks have
    /// returned. Called from inside any callback, it returns at once, because two callbacks could otherwise wait for each
    /// other; the client's last callback then ends when those that were running have returned.
    ///
    /// # Errors
    /// [`DeregisterError`]; every interface has to be released first.
    pub fn deregister(&self, client: Handle) -> Result<(), DeregisterError> {
        self.finish_deregister(client, !foreign_code::is_inside())
    }

    /// Deregisters a client as [`deregister`](Self::deregister) does, but never waits for running callbacks.
    ///
    /// # Errors
    /// [`DeregisterError`].
    pub fn deregister_now(&self, client: Handle) -> Result<(), DeregisterError> {
        self.finish_deregister(client, false)
    }

    /// Retires a client and closes its channel. Waits for its running callbacks if asked to.
    fn finish_deregister(&self, client: Handle, wait: bool) -> Result<(), DeregisterError> {
        let retiring = self.clients.retire(client)?;
        if planted!("late-client-visible") && !retiring.channel.is_started() {
            // As if the channel had not been found, since it was listed after the client became visible.
            _ = retiring.give_back(&self.state.lock());
            return Ok(());
        }
        retiring.channel.close();
        self.enumerations.end_dead(|owner| self.clients.validate(owner));
        faults::point(points::DEREGISTER_CLOSED);
        let channel = retiring.give_back(&self.state.lock());
        // Drops what is queued.
        channel.deliver();
        if wait {
            channel.wait();
        }
        drop(channel);
        self.clients.runner.run_destructors();
        Ok(())
    }

    /// Returns the forwarding table for planes to read. Only the manager publishes there.
    #[must_use]
    pub fn forwarding(&self) -> &ForwardingView {
        &self.forwarding
    }

    /// Returns the number of memberships, flows, clients and interfaces that were looked at under the membership lock so far.
    /// For tests of the bound of its holds.
    #[doc(hidden)]
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.state.lock().looks
    }

    /// Returns the forwarding table itself. For tests: entries published here are unknown to the manager.
    #[doc(hidden)]
    #[must_use]
    pub fn forwarding_table(&self) -> &ForwardingTable {
        self.forwarding.table()
    }

    /// Subscribes to changes of the forwarding table, for planes that keep a copy of the entries. `limit` is the maximum
    /// number of flows in the subscription's queue.
    ///
    /// `wake` is called after each change that was queued. It runs under locks of the manager: it must only wake the thread
    /// that reads the subscription, and must not call the manager or panic.
    #[must_use]
    pub fn subscribe_changes(
        &self,
        limit: usize,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> ChangeSubscription {
        self.changes.subscribe(self.forwarding.table(), limit, Box::new(wake))
    }

    /// Watches for the end of what was derived from the ownership of an interface. For planes that keep copies of entries where
    /// stamps are not checked, such as in a kernel.
    ///
    /// Calls `watch` on the thread that releases an interface, or that takes one from under IGMP's memberships: after the
    /// change took effect, before the sweep, and before the call returns. A plane that stops all forwarding through the
    /// interface there keeps the promise that a release is instant. No stamp that the change ended is current by then.
    ///
    /// `watch` runs with no lock of the manager held. It must be short, and must not wait for a thread that calls the manager. A
    /// panic is contained and counted, as those of clients. It may be called when nothing has ended. It is not called for an interface that no membership,
    /// entry or IGMP client depends on.
    #[must_use]
    pub fn watch_ownership(&self, watch: impl Fn(Interface) + Send + Sync + 'static) -> OwnershipWatch {
        self.watches.add(Box::new(watch))
    }

    /// Returns the VIF index by which forwarding entries name an interface; `None` when it was never taken, or has lost its
    /// place since ([`take`](Self::take)). A look-up never makes an interface known. Lock-free: starts over only when another
    /// interface has lost its place.
    #[must_use]
    pub fn vif_index(&self, interface: Interface) -> Option<VifIndex> {
        self.interfaces.find(interface).map(|record| record.vif)
    }

    /// Returns the interface of a VIF index; `None` when no taken interface has it, as when the
    /// interface that had it has lost its place. Wait-free.
    #[must_use]
    pub fn interface(&self, vif: VifIndex) -> Option<Interface> {
        self.interfaces
            .get(vif)
            .filter(|record| self.interfaces.was_taken(record))
            .map(|record| record.interface)
    }

    /// Moves the manager's clock forward, and ends the entries that have reached the end of their lifetime. The clock counts from the making of the
    /// manager and never goes back. Lifetimes are absolute: packets do not extend them. May wait for the membership lock, but
    /// only when a lifetime is over, so that it may be called for every packet.
    pub fn advance(&self, now: Duration) {
        if self.clock.advance(now) {
            let mut state = self.state.lock();
            let (flows, ctx) = self.split(&mut state);
            flows.expire(ctx);
        }
    }

    /// Returns the time at which [`advance`](Self::advance) next has something to do. May wait for the membership lock.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.state.lock().flows.next_deadline()
    }

    /// Withdraws every entry of the manager. The next packet of a flow has its entry made again and its owners asked. The
    /// memberships and the flows' counters stay. May wait for the membership lock.
    pub fn flush_entries(&self) {
        let mut state = self.state.lock();
        let (flows, ctx) = self.split(&mut state);
        flows.flush(ctx);
    }

    /// Returns the counts of what the manager refused, evicted or withdrew so far. May wait for the membership lock.
    #[must_use]
    pub fn limit_counters(&self) -> LimitCounters {
        let mut counters = self.state.lock().flows.limit_counters;
        counters.upcalls_refused = self.upcalls.refused.load(Ordering::Relaxed);
        counters.wrong_interface_refused = self.upcalls.wrong_refused.load(Ordering::Relaxed);
        counters
    }

    /// Returns the approximate number of departed clients and replaced entries that wait for readers.
    #[must_use]
    pub fn garbage_pending(&self) -> usize {
        self.clients.table.pending() + self.forwarding.pending()
    }

    /// Returns for how long reclamation has stood still and how many pinned readers hold it back; `None` when it goes on. The
    /// readers may belong to any table of the process.
    #[must_use]
    pub fn standstill(&self) -> Option<Standstill> {
        self.clients.table.standstill().or_else(|| self.forwarding.table().standstill())
    }

    /// Returns the number of panics of client code: callbacks, destructors and the routes. A panic is contained and counts as
    /// no answer.
    #[must_use]
    pub fn client_panics(&self) -> u64 {
        self.clients.runner.panics()
    }
}

impl std::fmt::Debug for GroupManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupManager").field("config", &self.config).finish_non_exhaustive()
    }
}
