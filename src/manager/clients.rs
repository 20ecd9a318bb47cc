//! The clients that are registered: the table behind their handles, and who is registered under which name.

use super::client_code::ClientCode;
use super::directory::Directory;
use super::interfaces::Role;
use super::outlet::Outlet;
use super::{Client, DeregisterError, ManagerConfig, Protocol, RegisterError};
use crate::faults;
use crate::handle::{Claims, Handle, HandleTable, RetireError};
use crate::manager::points;
use crate::memory::{self, NoMemory};
use dashmap::{DashMap, Entry};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the table keeps of a client: everything else is found by its handle, without a pin.
pub(super) struct Registered {
    pub(super) protocol: Protocol,
}

/// The clients that are registered.
pub(super) struct Clients {
    pub(super) table: HandleTable<Registered, Claims>,
    directory: Directory,
    names: DashMap<Protocol, Handle, foldhash::fast::RandomState>,
    /// The ways to the clients. Found by the full handle, so that a deregistration finds its client's after its effect,
    /// and needs neither a pin nor memory before.
    outlets: DashMap<Handle, Arc<Outlet>, foldhash::fast::RandomState>,
    /// How many ways have ever been listed. Those who are told of what happens at an instant are those who were listed by then:
    /// the list itself is looked at some time later, and not at one instant.
    listed: AtomicU64,
    /// Has one listed after the other.
    listing: Mutex<()>,
    pub(super) code: Arc<ClientCode>,
    /// Whether anybody has ever wanted to be told of packets on the wrong interface.
    wrong_interface: AtomicBool,
    igmp: u32,
    most: u32,
    notices: u32,
}

impl Clients {
    /// `None` when the handle table cannot have that many.
    pub(super) fn new(config: &ManagerConfig) -> Option<Clients> {
        Some(Clients {
            table: HandleTable::with_claims(config.clients).ok()?,
            directory: Directory::new(config.clients),
            names: DashMap::default(),
            outlets: DashMap::default(),
            listed: AtomicU64::new(0),
            listing: Mutex::default(),
            code: Arc::default(),
            wrong_interface: AtomicBool::new(false),
            igmp: config.igmp_protocol,
            most: config.clients,
            notices: config.notices,
        })
    }

    pub(super) fn register(
        &self,
        protocol: Protocol,
        client: Arc<dyn Client>,
    ) -> Result<Handle, RegisterError> {
        let wants = self.code.run("wants_wrong_interface", || client.wants_wrong_interface());
        if wants == Some(true) {
            // Relaxed: of use once the client has taken an interface.
            self.wrong_interface.store(true, Ordering::Relaxed);
        }
        let result = self.enter(protocol, &client, wants == Some(true));
        if result.is_err() {
            self.code.let_go(client);
        }
        self.code.run_destructors();
        result
    }

    fn enter(
        &self,
        protocol: Protocol,
        client: &Arc<dyn Client>,
        wants_wrong_interface: bool,
    ) -> Result<Handle, RegisterError> {
        // The name's shard stays locked from the look at who has it to the new handle's entry: of two that register
        // under one name, one sees the other.
        match self.names.entry(protocol) {
            Entry::Occupied(name) if self.table.validate(*name.get()) => {
                Err(RegisterError::AlreadyRegistered(protocol))
            }
            name => {
                memory::room_for_records().map_err(|NoMemory| RegisterError::NoMemory)?;
                let registered = Registered { protocol };
                let handle = self.table.insert(registered).map_err(|_| RegisterError::Full(self.most))?;
                self.directory.enter(handle, protocol);
                faults::point(points::CLIENT_WITHOUT_CHANNEL);
                let room = self.notices as usize;
                let (client, code) = (client.clone(), self.code.clone());
                {
                    let _listing = self.listing.lock();
                    // SeqCst, here and in `listed`: whoever reads this number finds the way.
                    let number = self.listed.load(Ordering::SeqCst) + 1;
                    let outlet =
                        Outlet::new(handle, protocol, client, wants_wrong_interface, room, code, number);
                    self.outlets.insert(handle, Arc::new(outlet));
                    self.listed.store(number, Ordering::SeqCst);
                }
                // A walk shows the handle before its owner has it. Who was quick enough to deregister it may not have found
                // the outlet, but then its effect is seen here: both go through the shard's lock.
                if !self.table.validate(handle) {
                    self.outlets.remove(&handle);
                }
                name.insert(handle);
                Ok(handle)
            }
        }
    }

    /// Retires the handle if it owns nothing: what leads to its client.
    pub(super) fn retire(&self, handle: Handle) -> Result<Option<Arc<Outlet>>, DeregisterError> {
        let protocol = self.directory.protocol(handle).ok_or(DeregisterError::Stale)?;
        // The effect. A name that still leads to the dead handle is as good as none.
        self.table.check_and_retire(handle).map_err(|e| match e {
            RetireError::Stale => DeregisterError::Stale,
            RetireError::StillOwns(n) => DeregisterError::StillOwns(n),
        })?;
        faults::point(points::DEREGISTER_EFFECTIVE);
        self.names.remove_if(&protocol, |_, named| *named == handle);
        Ok(self.outlets.remove(&handle).map(|(_, outlet)| outlet))
    }

    /// Whether there may be a client that wants to be told of packets on the wrong interface. Wait-free.
    pub(super) fn may_want_wrong_interface(&self) -> bool {
        self.wrong_interface.load(Ordering::Relaxed)
    }

    /// Whether a client is registered. Wait-free, without a pin.
    pub(super) fn validate(&self, handle: Handle) -> bool {
        self.table.validate(handle)
    }

    /// The way to a client that is registered.
    pub(super) fn outlet(&self, handle: Handle) -> Option<Arc<Outlet>> {
        self.outlets.get(&handle).map(|outlet| outlet.clone()).filter(|_| self.validate(handle))
    }

    /// How many ways have been listed so far.
    pub(super) fn listed(&self) -> u64 {
        self.listed.load(Ordering::SeqCst)
    }

    /// The ways to every client that is registered but one, of the first so many that were listed, in the order of protocols.
    pub(super) fn outlets_but(&self, one: Handle, listed: u64) -> Vec<Arc<Outlet>> {
        let others = self.outlets.iter().filter(|o| o.number <= listed);
        let others = others.filter(|o| *o.key() != one && self.validate(*o.key()));
        let mut others: Vec<_> = others.map(|outlet| outlet.clone()).collect();
        others.sort_by_key(|outlet| (outlet.protocol, outlet.handle));
        others
    }

    /// The role of a client that is registered. Wait-free, without a pin.
    pub(super) fn role(&self, handle: Handle) -> Option<Role> {
        let protocol = self.directory.protocol(handle).filter(|_| self.table.validate(handle))?;
        Some(if protocol.id == self.igmp { Role::Igmp } else { Role::Routing })
    }

    /// The protocol of a client that is registered, or was until its slot was used again. Wait-free, without a pin.
    pub(super) fn protocol(&self, handle: Handle) -> Option<Protocol> {
        self.directory.protocol(handle)
    }
}
