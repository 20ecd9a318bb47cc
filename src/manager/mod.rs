//! Who is registered, who owns which interface, who wants which group; and the entries that follow from it.
//!
//! [`GroupManager`] is the place where multicast routing protocols that share a router meet. A protocol registers and
//! gets a handle, takes the interfaces it runs on, says which groups have receivers there, and leaves again. A
//! forwarding plane brings the flows it has no entry for, and reads the entries from [`GroupManager::forwarding`].
//!
//! ```
//! use mgm::forwarding::Flow;
//! use mgm::manager::{StateChange, FlowState, GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath};
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
//! A call that needs memory and finds none answers so, and has changed nothing; made again when there is some it succeeds. What
//! cannot be refused needs none, or goes on without in a way that is told: an entry that cannot be published anew is withdrawn
//! ([`LimitCounters::entries_withdrawn`]), a notice that cannot be queued is counted ([`Client::notices_lost`]), an upcall is refused.
//! Trees and maps that others wrote end the process when there is none for a node; calls that add to them look first whether
//! there is enough for what they add.
//!
//! # What may wait, and what never does
//!
//! - [`take`](GroupManager::take) of a known interface, [`release`](GroupManager::release),
//!   [`deregister`](GroupManager::deregister): the effect happens in one lock-free step that needs neither a lock nor
//!   memory. What follows it, sweeping memberships and entries that are dead by then, takes the membership lock and may
//!   wait for it; nobody can tell whether it has happened yet.
//! - [`owner_of`](GroupManager::owner_of) is lock-free, [`vif_index`](GroupManager::vif_index) and
//!   [`interface`](GroupManager::interface) are wait-free.
//! - [`next_groups`](GroupManager::next_groups) is lock-free; [`upcall`](GroupManager::upcall) and
//!   [`wrong_interface`](GroupManager::wrong_interface) take no lock.
//! - Everything else may wait for the membership lock or for the shard of a name.
//! - No lock is held while a client is called or its destructor runs: every function may be called from any thread and
//!   from any callback.

mod alert;
mod alerts;
mod building;
mod change;
mod client;
mod client_code;
mod clients;
mod clock;
mod config;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
mod cursor;
mod directory;
mod enumeration;
mod error;
mod flows;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
mod gate;
mod interface;
mod interfaces;
mod membership;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
mod outbox;
mod outlet;
mod ownership;
pub(crate) mod points;
mod receivers;
mod records;
mod routes;
mod routing;
mod said;
mod switches;
mod upcalls;
mod upstream;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
mod waiting;
mod walks;

pub use alert::{
    Cause, CreationAlert, JoinAlert, OfferedInterface, PruneAlert, ReversePathQuestion, WrongInterfaceAlert,
};
pub use client::{Client, Protocol};
pub use config::ManagerConfig;
pub use enumeration::{EnumerationKind, GroupPage};
pub use error::{
    ConfigError, DeregisterError, EnumerationError, MembershipError, NewFlowError, NoOwner, RegisterError,
    ReleaseError, SetEntryError, TakeError,
};
pub use flows::LimitCounters;
pub use interface::Interface;
pub use membership::{Group, Membership, StateChange};
pub use routes::{ReversePath, Route, Routes};
pub use upcalls::Upcall;
pub use walks::{ClientRecord, EntryRecord, MembershipRecord, OutgoingRecord};

use crate::forwarding::{Flow, ForwardingTable, VifIndex};
use crate::handle::Handle;
use clients::Clients;
use clock::Clock;
use enumeration::Enumerations;
use flows::{Flows, Limits, With};
use interfaces::{Interfaces, Maker};
use parking_lot::Mutex;
use records::Records;
use routing::Routing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use switches::Switches;
use upcalls::Upcalls;

/// Parts of the manager, for loom models of their own.
#[cfg(loom)]
pub mod parts {
    pub use super::cursor::Cursor;
    pub use super::gate::{Gate, Inside};
    pub use super::outbox::{Next, Outbox};
    pub use super::waiting::{Closed, Counts, Waiting};
}

/// What an entry does with its flow's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// They are copied to at least one interface.
    Active,
    /// Nobody wants them, or they have nowhere to arrive: they are discarded without asking again.
    Negative,
}

/// A multicast group manager. Share it in an [`Arc`]; a client that keeps it should keep a [`std::sync::Weak`], because
/// the manager keeps its clients.
pub struct GroupManager {
    clients: Clients,
    interfaces: Interfaces,
    forwarding: ForwardingTable,
    routes: Arc<dyn Routes>,
    config: ManagerConfig,
    clock: Arc<Clock>,
    enumerations: Enumerations,
    upcalls: Upcalls,
    routing: Routing,
    /// Apart from the membership lock, so that taking an interface never waits for that.
    maker: Mutex<Maker>,
    state: Mutex<State>,
}

/// What the membership lock protects.
struct State {
    records: Records,
    flows: Flows,
    /// The interface towards the source of each (s,g) that somebody counts for, as it was when the first did.
    towards: BTreeMap<Flow, Interface>,
    switches: Switches,
}

impl State {
    /// The interface towards the source that a membership names, if somebody counts for that.
    fn towards(&self, membership: Membership) -> Option<Interface> {
        match membership {
            Membership::OneSource(flow) => self.towards.get(&flow).copied(),
            _ => None,
        }
    }
}

impl GroupManager {
    /// A manager without clients that asks `routes` for the way to a source.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot work.
    pub fn new(config: ManagerConfig, routes: Arc<dyn Routes>) -> Result<GroupManager, ConfigError> {
        config.check()?;
        let clients = Clients::new(&config).ok_or(ConfigError {
            field: "clients",
            value: config.clients.into(),
            least: 1,
            most: ManagerConfig::MAX_CLIENTS,
        })?;
        let (interfaces, maker) = Interfaces::new(config.interfaces);
        let limits = Limits {
            entries: config.entries as usize,
            entries_of_interface: config.entries_per_interface as usize,
            negative: config.negative_entries as usize,
            negative_of_interface: config.negative_entries_per_interface as usize,
            idle: config.remembered_flows as usize,
            lifetime: config.entry_lifetime,
        };
        let clock = Arc::<Clock>::default();
        let forwarding = ForwardingTable::new(config.entries, clients.table.owners().clone());
        let flows = Flows::new(limits, clock.clone(), forwarding.counters().worker());
        Ok(GroupManager {
            forwarding,
            clients,
            interfaces,
            routes,
            enumerations: Enumerations::new(config.enumerations),
            upcalls: Upcalls::new(&config),
            routing: Routing::default(),
            config,
            maker: Mutex::new(maker),
            state: Mutex::new(State {
                records: Records::default(),
                flows,
                towards: BTreeMap::new(),
                switches: Switches::default(),
            }),
            clock,
        })
    }

    /// Registers a protocol instance (`MgmRegisterMProtocol`). Its handle is stale once it is deregistered, for ever.
    ///
    /// May wait for another registration or deregistration.
    ///
    /// # Errors
    /// [`RegisterError`]; a protocol instance is registered at most once at a time.
    pub fn register(&self, protocol: Protocol, client: Arc<dyn Client>) -> Result<Handle, RegisterError> {
        self.clients.register(protocol, client)
    }

    /// Ends a registration (`MgmDeRegisterMProtocol`). Either the client owns nothing and its handle is stale from then
    /// on, or nothing changes: one step, whatever else goes on. Lock-free up to there.
    ///
    /// From that step on no callback of the client starts; the call then waits for those that are running. Made from
    /// inside a callback, whoever's, it returns at once, since two callbacks could otherwise wait for each other: then the
    /// last callback has ended when those that were running have returned.
    ///
    /// # Errors
    /// [`DeregisterError`]; every interface has to be released first.
    pub fn deregister(&self, client: Handle) -> Result<(), DeregisterError> {
        self.see_off(client, !client_code::inside())
    }

    /// The same, but never waits for callbacks that are running.
    ///
    /// # Errors
    /// [`DeregisterError`].
    pub fn deregister_now(&self, client: Handle) -> Result<(), DeregisterError> {
        self.see_off(client, false)
    }

    fn see_off(&self, client: Handle, wait: bool) -> Result<(), DeregisterError> {
        let outlet = self.clients.retire(client)?;
        self.enumerations.end_dead(|owner| self.clients.validate(owner));
        if let Some(outlet) = outlet {
            outlet.close(self, wait);
        }
        self.clients.code.run_destructors();
        Ok(())
    }

    /// The table that forwarding planes read. It is open to others, too: who publishes flows of his own there keeps off
    /// the manager's, and the manager keeps off his.
    #[must_use]
    pub fn forwarding(&self) -> &ForwardingTable {
        &self.forwarding
    }

    /// The number under which forwarding entries name an interface; `None` when it was never taken. A look-up never makes
    /// it known. Wait-free.
    #[must_use]
    pub fn vif_index(&self, interface: Interface) -> Option<VifIndex> {
        self.interfaces.find(interface).map(|record| record.number)
    }

    /// The interface of a number; `None` when the number was never given to one. Wait-free.
    #[must_use]
    pub fn interface(&self, number: VifIndex) -> Option<Interface> {
        self.interfaces.get(number).map(|record| record.interface)
    }

    /// Moves the manager's clock, which counts from its making and never goes back; entries whose lifetime is over go.
    /// The lifetime is absolute: packets do not extend it. May wait for the membership lock, but only when a lifetime is
    /// over: it may be called for every packet.
    pub fn advance(&self, now: Duration) {
        if self.clock.advance(now) {
            let mut state = self.state.lock();
            let (flows, with) = self.split(&mut state);
            flows.expire(with);
        }
    }

    /// When [`advance`](Self::advance) next has something to do. May wait for the membership lock.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.state.lock().flows.next_deadline()
    }

    /// Withdraws every entry of the manager's: the next packet of a flow has its entry made anew, owners asked again. The
    /// memberships stay, and so do the flows' counters. May wait for the membership lock.
    pub fn flush_entries(&self) {
        let mut state = self.state.lock();
        let (flows, with) = self.split(&mut state);
        flows.flush(with);
    }

    /// What the manager had to do for want of room so far. May wait for the membership lock.
    #[must_use]
    pub fn limit_counters(&self) -> LimitCounters {
        let mut limit_counters = self.state.lock().flows.limit_counters;
        limit_counters.upcalls_refused = self.upcalls.refused.load(Ordering::Relaxed);
        limit_counters.wrong_interface_refused = self.upcalls.wrong_refused.load(Ordering::Relaxed);
        limit_counters
    }

    /// About how much of the manager's memory waits for readers to move on: clients that left and entries that were replaced.
    #[must_use]
    pub fn garbage_pending(&self) -> usize {
        self.clients.table.pending() + self.forwarding.pending()
    }

    /// How often a client's code (a callback, its destructor, the routes) has panicked. The panic is contained: it counts
    /// as no answer.
    #[must_use]
    pub fn client_panics(&self) -> u64 {
        self.clients.code.panics()
    }

    fn split<'s>(&'s self, state: &'s mut State) -> (&'s mut Flows, With<'s>) {
        let State { records, flows, .. } = state;
        (flows, With { records, table: &self.forwarding, interfaces: &self.interfaces })
    }
}

impl std::fmt::Debug for GroupManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupManager").field("config", &self.config).finish_non_exhaustive()
    }
}
