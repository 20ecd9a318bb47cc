//! [`ClientRegistry`]: the registered clients, by handle and by name.

use super::callback_runner::CallbackRunner;
use super::channel::{ChannelParts, ClientChannel};
use super::deferred::DeferredDeliveries;
use super::protocol_index::ProtocolIndex;
use super::{ClientTable, Registered};
use crate::faults;
use crate::handle::{Handle, OwnershipTable, RetireError};
use crate::manager::points;
use crate::manager::state::Role;
use crate::manager::{Client, DeregisterError, ManagerConfig, Protocol, RegisterError};
use crate::memory::{self, NoMemory};
use dashmap::{DashMap, Entry};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The registered clients.
pub(in crate::manager) struct ClientRegistry {
    pub(in crate::manager) table: ClientTable,
    index: ProtocolIndex,
    names: DashMap<Protocol, Handle, foldhash::fast::RandomState>,
    /// The channels, by full handle, so that a deregistration finds its channel after its effect and needs neither a pin
    /// nor memory before.
    channels: DashMap<Handle, Arc<ClientChannel>, foldhash::fast::RandomState>,
    /// The number of channels ever listed. A change is reported to the clients that were listed at its instant; the map of
    /// channels itself is read some time later, and not at one instant.
    registrations: AtomicU64,
    /// Serializes the listing of channels.
    listing: Mutex<()>,
    pub(in crate::manager) runner: Arc<CallbackRunner>,
    pub(in crate::manager) deferred: DeferredDeliveries,
    /// Whether any client has ever wanted wrong interface alerts.
    wrong_interface: AtomicBool,
    igmp_protocol: u32,
    max_clients: u32,
    max_notices: u32,
}

impl ClientRegistry {
    /// Returns an empty registry; `None` when the table cannot hold the configured number of clients.
    pub(in crate::manager) fn new(config: &ManagerConfig) -> Option<ClientRegistry> {
        Some(ClientRegistry {
            table: OwnershipTable::with_limit(config.clients).ok()?,
            index: ProtocolIndex::new(config.clients),
            names: DashMap::default(),
            channels: DashMap::default(),
            registrations: AtomicU64::new(0),
            listing: Mutex::default(),
            runner: Arc::default(),
            deferred: DeferredDeliveries::default(),
            wrong_interface: AtomicBool::new(false),
            igmp_protocol: config.igmp_protocol,
            max_clients: config.clients,
            max_notices: config.notices,
        })
    }

    /// Registers a client and returns its channel, which is held: the caller has to start it and to deliver. May wait for
    /// another registration or deregistration.
    pub(in crate::manager) fn register(
        &self,
        protocol: Protocol,
        client: Arc<dyn Client>,
    ) -> Result<Arc<ClientChannel>, RegisterError> {
        let wants = self.runner.run("wants_wrong_interface", || client.wants_wrong_interface());
        if wants == Some(true) {
            // Relaxed: read by the client's own calls, and by others once the client has taken an interface.
            self.wrong_interface.store(true, Ordering::Relaxed);
        }
        let result = self.insert(protocol, &client, wants == Some(true));
        if result.is_err() {
            self.runner.defer_destructor(client);
        }
        self.runner.run_destructors();
        result
    }

    fn insert(
        &self,
        protocol: Protocol,
        client: &Arc<dyn Client>,
        wants_wrong_interface: bool,
    ) -> Result<Arc<ClientChannel>, RegisterError> {
        // The name's shard stays locked from the check of its present handle until the new handle is entered: of two
        // threads that register under one name, one sees the other.
        match self.names.entry(protocol) {
            Entry::Occupied(name) if self.table.contains(*name.get()) => {
                Err(RegisterError::AlreadyRegistered(protocol))
            }
            name => {
                memory::room_for_records().map_err(|NoMemory| RegisterError::NoMemory)?;
                let registered = Registered { protocol };
                let handle =
                    self.table.insert(registered).map_err(|_| RegisterError::Full(self.max_clients))?;
                self.index.insert(handle, protocol);
                faults::point(points::CLIENT_WITHOUT_CHANNEL);
                let channel = self.list(protocol, handle, client.clone(), wants_wrong_interface);
                // A query shows the handle before its owner has it. A thread that was quick enough to deregister it may
                // not have found the channel, but then its effect is visible here: both go through the shard's lock.
                if !self.table.contains(handle) {
                    self.channels.remove(&handle);
                }
                name.insert(handle);
                Ok(channel)
            }
        }
    }

    /// Makes the channel of a new client and lists it.
    fn list(
        &self,
        protocol: Protocol,
        handle: Handle,
        callbacks: Arc<dyn Client>,
        wants_wrong_interface: bool,
    ) -> Arc<ClientChannel> {
        let _listing = self.listing.lock();
        // SeqCst, here, below and in `registrations`: a thread that reads the new number finds the channel.
        let registration = self.registrations.load(Ordering::SeqCst) + 1;
        let channel = Arc::new(ClientChannel::new(ChannelParts {
            handle,
            protocol,
            wants_wrong_interface,
            registration,
            callbacks,
            limit: self.max_notices as usize,
            runner: self.runner.clone(),
        }));
        self.channels.insert(handle, channel.clone());
        self.registrations.store(registration, Ordering::SeqCst);
        channel
    }

    /// Retires a handle that owns nothing, and returns the client's channel if it is listed.
    pub(in crate::manager) fn retire(
        &self,
        handle: Handle,
    ) -> Result<Option<Arc<ClientChannel>>, DeregisterError> {
        let protocol = self.index.get(handle).ok_or(DeregisterError::Stale)?;
        // The effect. A name that still leads to the dead handle counts as free.
        self.table.check_and_retire(handle).map(drop).map_err(|error| match error {
            RetireError::Stale => DeregisterError::Stale,
            RetireError::StillOwns(n) => DeregisterError::StillOwns(n),
        })?;
        faults::point(points::DEREGISTER_EFFECTIVE);
        self.names.remove_if(&protocol, |_, named| *named == handle);
        Ok(self.channels.remove(&handle).map(|(_, channel)| channel))
    }

    /// Returns whether there may be a client that wants wrong interface alerts. Wait-free.
    pub(in crate::manager) fn may_want_wrong_interface(&self) -> bool {
        self.wrong_interface.load(Ordering::Relaxed)
    }

    /// Returns whether a client is registered. Wait-free, without a pin.
    pub(in crate::manager) fn validate(&self, handle: Handle) -> bool {
        self.table.contains(handle)
    }

    /// Returns the channel to a registered client.
    pub(in crate::manager) fn channel(&self, handle: Handle) -> Option<Arc<ClientChannel>> {
        self.channels.get(&handle).map(|channel| channel.clone()).filter(|_| self.validate(handle))
    }

    /// Returns the number of registrations so far.
    pub(in crate::manager) fn registrations(&self) -> u64 {
        self.registrations.load(Ordering::SeqCst)
    }

    /// Returns the channels to all registered clients except one, of the first `registrations` ones, in the order of
    /// protocols.
    pub(in crate::manager) fn channels_except(
        &self,
        one: Handle,
        registrations: u64,
    ) -> Vec<Arc<ClientChannel>> {
        let others = self.channels.iter().filter(|channel| channel.registration <= registrations);
        let others = others.filter(|channel| *channel.key() != one && self.validate(*channel.key()));
        let mut others: Vec<_> = others.map(|channel| channel.clone()).collect();
        others.sort_by_key(|channel| (channel.protocol, channel.handle));
        others
    }

    /// Returns the role of a registered client. Wait-free, without a pin.
    pub(in crate::manager) fn role(&self, handle: Handle) -> Option<Role> {
        let protocol = self.index.get(handle).filter(|_| self.table.contains(handle))?;
        Some(if protocol.id == self.igmp_protocol { Role::Igmp } else { Role::Routing })
    }

    /// Returns the protocol of a client that is registered, or was until its slot was used again. Wait-free, without a
    /// pin.
    pub(in crate::manager) fn protocol(&self, handle: Handle) -> Option<Protocol> {
        self.index.get(handle)
    }
}
