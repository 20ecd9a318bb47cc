//! [`ClientRegistry`]: the registered clients, by handle and by name.
//!
//! ```text
//!   register     name entered ----> visible: the state word is the handle ----> registered() ----> further callbacks
//!   deregister   retired: the state word is dead ----> name free ----> run-down closed ----> slot given back
//! ```
//!
//! A client becomes visible in one step, the last one, with everything that belongs to it. That step is made under the
//! membership lock, so a change under the lock has a fixed set of clients that it may concern. The slot of a retired client
//! is given back under the same lock, so under the lock a client that was found stays readable without a pin.

use super::callback_runner::CallbackRunner;
use super::channel::{ChannelParts, ClientChannel, Home, Wishes};
use crate::faults;
use crate::handle::{Handle, InsertRefusal, OwnershipTable, RetireError, Retired};
use crate::manager::ops::State;
use crate::manager::points;
use crate::manager::state::Role;
use crate::manager::{Client, DeregisterError, ManagerConfig, Protocol, RegisterError};
use crate::memory::{self, NoMemory};
use dashmap::{DashMap, Entry};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The value of a client's slot. The slot's label is the client's protocol.
pub(in crate::manager) struct Registered {
    channel: Arc<ClientChannel>,
}

/// The table behind the clients' handles.
pub(in crate::manager) type ClientTable = OwnershipTable<Registered>;

/// The registered clients. See the top of this file.
pub(in crate::manager) struct ClientRegistry {
    pub(in crate::manager) table: ClientTable,
    /// The last handle registered under each name. A name with a stale handle is free.
    names: DashMap<Protocol, Handle, foldhash::fast::RandomState>,
    pub(in crate::manager) runner: Arc<CallbackRunner>,
    /// Whether any client has ever wanted wrong interface alerts.
    wrong_interface: AtomicBool,
    igmp_protocol: u32,
    max_notices: u32,
}

/// Returns the label of a protocol's slot.
fn to_label(protocol: Protocol) -> u64 {
    u64::from(protocol.id) << 32 | u64::from(protocol.component)
}

fn from_label(label: u64) -> Protocol {
    Protocol::new((label >> 32) as u32, label as u32)
}

impl ClientRegistry {
    /// Returns an empty registry; `None` when the table cannot hold the configured number of clients.
    pub(in crate::manager) fn new(config: &ManagerConfig) -> Option<ClientRegistry> {
        Some(ClientRegistry {
            table: OwnershipTable::with_limit(config.clients).ok()?,
            names: DashMap::default(),
            runner: Arc::default(),
            wrong_interface: AtomicBool::new(false),
            igmp_protocol: config.igmp_protocol,
            max_notices: config.notices,
        })
    }

    /// Registers a client and returns its channel, which is held: the caller has to start it and to deliver. May wait for
    /// another registration or deregistration, and for the membership lock. `prepare` is called under that lock just before the
    /// client becomes visible.
    pub(in crate::manager) fn register(
        self: &Arc<Self>,
        protocol: Protocol,
        client: Arc<dyn Client>,
        state: &Arc<Mutex<State>>,
        prepare: impl FnOnce(&mut State, &ClientChannel),
    ) -> Result<Arc<ClientChannel>, RegisterError> {
        let ask = |what, question: fn(&dyn Client) -> bool| {
            self.runner.run(what, || question(&*client)) == Some(true)
        };
        let wishes = Wishes {
            wrong_interface: ask("wants_wrong_interface", |client| client.wants_wrong_interface()),
            present_joins: ask("wants_present_joins", |client| client.wants_present_joins()),
        };
        if wishes.wrong_interface {
            // Relaxed: read by the client's own calls, and by others once the client has taken an interface.
            self.wrong_interface.store(true, Ordering::Relaxed);
        }
        let result = self.insert(protocol, wishes, &client, state, prepare);
        if result.is_err() {
            self.runner.defer_destructor(client);
        }
        self.runner.run_destructors();
        result
    }

    fn insert(
        self: &Arc<Self>,
        protocol: Protocol,
        wishes: Wishes,
        client: &Arc<dyn Client>,
        state: &Arc<Mutex<State>>,
        prepare: impl FnOnce(&mut State, &ClientChannel),
    ) -> Result<Arc<ClientChannel>, RegisterError> {
        // The name's shard stays locked from the check of its present handle until the new client is visible: of two threads
        // that register under one name, one sees the other.
        let name = match self.names.entry(protocol) {
            Entry::Occupied(name) if self.table.contains(*name.get()) => {
                return Err(RegisterError::AlreadyRegistered(protocol));
            }
            name => name,
        };
        memory::room_for_records().map_err(|NoMemory| RegisterError::NoMemory)?;
        let mut entered = None;
        let inserted = self.table.insert_labelled(to_label(protocol), |handle| {
            let channel = Arc::new(ClientChannel::new(ChannelParts {
                handle,
                protocol,
                wishes,
                callbacks: client.clone(),
                home: Home { clients: Arc::downgrade(self), state: Arc::downgrade(state) },
                limit: self.max_notices as usize,
                runner: self.runner.clone(),
            }));
            let name = name.insert(handle);
            faults::point(points::CLIENT_NAMED);
            let mut locked = state.lock();
            prepare(&mut locked, &channel);
            entered = Some((channel.clone(), name, locked));
            Registered { channel }
        });
        let inserted = inserted.map_err(|refused| refused.reason());
        // The client is visible. The membership lock is released first, then the name.
        match (inserted, entered) {
            (Ok(_), Some((channel, name, locked))) => {
                drop(locked);
                drop(name);
                faults::point(points::CLIENT_VISIBLE);
                Ok(channel)
            }
            (Err(refused), _) => Err(match refused {
                InsertRefusal::Full { limit } => RegisterError::Full(limit),
                InsertRefusal::NoMemory => RegisterError::NoMemory,
                InsertRefusal::NoFreeSlot { waiting, .. } => RegisterError::NoFreeSlot { waiting },
            }),
            (Ok(_), None) => unreachable!("a client that was inserted was made"),
        }
    }

    /// Retires a client that owns nothing, and frees its name. The slot stays readable until the answer is dropped, which
    /// must happen under the membership lock.
    pub(in crate::manager) fn retire(&self, handle: Handle) -> Result<Retiring<'_>, DeregisterError> {
        // The effect. A name that still leads to the dead handle counts as free.
        let retired = self.table.check_and_retire(handle).map_err(|error| match error {
            RetireError::Stale => DeregisterError::Stale,
            RetireError::StillOwns(n) => DeregisterError::StillOwns(n),
        })?;
        faults::point(points::DEREGISTER_EFFECTIVE);
        let channel = retired.channel.clone();
        self.names.remove_if(&channel.protocol, |_, named| *named == handle);
        faults::point(points::DEREGISTER_UNNAMED);
        Ok(Retiring { channel, slot: retired })
    }

    /// Returns whether there may be a client that wants wrong interface alerts. Wait-free.
    pub(in crate::manager) fn may_want_wrong_interface(&self) -> bool {
        self.wrong_interface.load(Ordering::Relaxed)
    }

    /// Returns whether a client is registered. Wait-free, without a pin.
    pub(in crate::manager) fn validate(&self, handle: Handle) -> bool {
        self.table.contains(handle)
    }

    /// Returns the channel to a registered client. Needs no pin and no memory, because the membership lock is held.
    pub(in crate::manager) fn channel(&self, _locked: &State, handle: Handle) -> Option<Arc<ClientChannel>> {
        // SAFETY: the slot of a retired client is given back under the membership lock, which this thread holds.
        let found = unsafe { self.table.get_unpinned(handle.index()) };
        found.filter(|(found, _)| *found == handle).map(|(_, registered)| registered.channel.clone())
    }

    /// Returns the channels to all registered clients, in the order of protocols. While the membership lock is held no further
    /// client becomes visible.
    pub(in crate::manager) fn channels(&self, locked: &State) -> Vec<Arc<ClientChannel>> {
        let mut all: Vec<_> = self.table.keys().filter_map(|handle| self.channel(locked, handle)).collect();
        all.sort_by_key(|channel| (channel.protocol, channel.handle));
        all
    }

    /// Returns the role of a registered client. Wait-free, without a pin.
    pub(in crate::manager) fn role(&self, handle: Handle) -> Option<Role> {
        let protocol = self.protocol(handle)?;
        Some(if protocol.id == self.igmp_protocol { Role::Igmp } else { Role::Routing })
    }

    /// Returns the protocol of a registered client. Wait-free, without a pin.
    pub(in crate::manager) fn protocol(&self, handle: Handle) -> Option<Protocol> {
        self.table.label(handle).map(from_label)
    }
}

/// A client that was retired, and that other threads may still read under the membership lock.
pub(in crate::manager) struct Retiring<'r> {
    pub(in crate::manager) channel: Arc<ClientChannel>,
    slot: Retired<'r, Registered>,
}

impl Retiring<'_> {
    /// Gives the slot back and returns the channel.
    pub(in crate::manager) fn give_back(self, _locked: &State) -> Arc<ClientChannel> {
        drop(self.slot);
        self.channel
    }
}
