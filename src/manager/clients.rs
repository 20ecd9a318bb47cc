//! The clients that are registered: the table behind their handles, and who is registered under which name.

use super::directory::Directory;
use super::interfaces::Role;
use super::{Client, DeregisterError, ManagerConfig, Protocol, RegisterError};
use crate::handle::{Claims, Handle, HandleTable, RetireError};
use dashmap::{DashMap, Entry};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A registered client.
pub(super) struct Registered {
    pub(super) protocol: Protocol,
    callbacks: Option<Arc<dyn Client>>,
    leaving: Arc<Leaving>,
}

impl Registered {
    pub(super) fn callbacks(&self) -> Option<Arc<dyn Client>> {
        self.callbacks.clone()
    }
}

impl Drop for Registered {
    /// Whoever drops this may hold a lock, and what a client does in its destructor is its own business: the destructor
    /// is put off until nothing is held.
    fn drop(&mut self) {
        if let Some(callbacks) = self.callbacks.take() {
            self.leaving.add(callbacks);
        }
    }
}

/// Clients that have left the table, and whose destructors are still to run.
#[derive(Default)]
struct Leaving {
    clients: Mutex<Vec<Arc<dyn Client>>>,
    some: AtomicBool,
    panics: AtomicU64,
}

impl Leaving {
    fn add(&self, client: Arc<dyn Client>) {
        let mut clients = self.clients.lock();
        clients.push(client);
        // Only a hint, under the same lock as what it tells of: one who misses it leaves the work to the next.
        self.some.store(true, Ordering::Relaxed);
    }

    /// Runs the destructors that are due. To be called with no lock held.
    fn run(&self) {
        while self.some.load(Ordering::Relaxed) {
            let left = {
                let mut clients = self.clients.lock();
                self.some.store(false, Ordering::Relaxed);
                std::mem::take(&mut *clients)
            };
            for client in left {
                self.contain("a client's destructor", || drop(client));
            }
        }
    }

    /// Runs a client's code; a panic in it is counted and goes no further.
    fn contain<R>(&self, what: &str, f: impl FnOnce() -> R) -> Option<R> {
        let result = catch_unwind(AssertUnwindSafe(f)).ok();
        if result.is_none() {
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("{what} panicked");
        }
        result
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.run();
    }
}

/// The clients that are registered.
pub(super) struct Clients {
    pub(super) table: HandleTable<Registered, Claims>,
    directory: Directory,
    names: DashMap<Protocol, Handle, foldhash::fast::RandomState>,
    leaving: Arc<Leaving>,
    igmp: u32,
    most: u32,
}

impl Clients {
    /// `None` when the handle table cannot have that many.
    pub(super) fn new(config: &ManagerConfig) -> Option<Clients> {
        Some(Clients {
            table: HandleTable::with_claims(config.clients).ok()?,
            directory: Directory::new(config.clients),
            names: DashMap::default(),
            leaving: Arc::default(),
            igmp: config.igmp_protocol,
            most: config.clients,
        })
    }

    pub(super) fn register(
        &self,
        protocol: Protocol,
        client: Arc<dyn Client>,
    ) -> Result<Handle, RegisterError> {
        let leaving = self.leaving.clone();
        let registered = Registered { protocol, callbacks: Some(client), leaving };
        let result = self.enter(registered);
        self.leaving.run();
        result
    }

    fn enter(&self, registered: Registered) -> Result<Handle, RegisterError> {
        let protocol = registered.protocol;
        // The name's shard stays locked from the look at who has it to the new handle's entry: of two that register
        // under one name, one sees the other.
        match self.names.entry(protocol) {
            Entry::Occupied(name) if self.table.validate(*name.get()) => {
                Err(RegisterError::AlreadyRegistered(protocol))
            }
            name => {
                let handle = self.table.insert(registered).map_err(|_| RegisterError::Full(self.most))?;
                self.directory.enter(handle, protocol);
                name.insert(handle);
                Ok(handle)
            }
        }
    }

    pub(super) fn deregister(&self, handle: Handle) -> Result<(), DeregisterError> {
        let protocol = self.directory.protocol(handle).ok_or(DeregisterError::Stale)?;
        // The effect. A name that still leads to the dead handle is as good as none.
        self.table.retire_if_unheld(handle).map_err(|e| match e {
            RetireError::Stale => DeregisterError::Stale,
            RetireError::Held(n) => DeregisterError::StillOwns(n),
        })?;
        self.names.remove_if(&protocol, |_, named| *named == handle);
        self.leaving.run();
        Ok(())
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

    /// Runs a client's code; a panic in it is counted and goes no further.
    pub(super) fn contain<R>(&self, what: &str, f: impl FnOnce() -> R) -> Option<R> {
        self.leaving.contain(what, f)
    }

    /// How often a client's code has panicked.
    pub(super) fn panics(&self) -> u64 {
        self.leaving.panics.load(Ordering::Relaxed)
    }
}
