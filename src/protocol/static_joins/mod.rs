//! [`StaticJoins`]: memberships and entries that a configuration names.

mod entries;
#[cfg(test)]
mod tests;

pub use entries::{StaticEntry, StaticFlows};

use crate::handle::Handle;
use crate::manager::{
    GroupManager, Interface, Membership, MembershipError, Protocol, RegisterError, ReleaseError, StateChange,
    TakeError,
};
use entries::EntryClient;
use std::fmt;
use std::sync::Arc;

/// The simplest routing protocol: it takes interfaces, and adds and deletes the memberships that its user names.
///
/// A membership ends by [`leave`](Self::leave), when its interface is released, or when this client is dropped.
///
/// [Entries](Self::set_entries) forward ranges of flows that no receiver reports. Several instances may run side by side, each
/// with a [component number](Self::with_component) of its own.
///
/// ```
/// use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership};
/// use mgm::protocol::static_joins::StaticJoins;
/// use std::sync::Arc;
///
/// let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None))?);
/// let joins = StaticJoins::new(manager.clone())?;
/// joins.take(Interface::v4(2))?;
/// joins.join(Interface::v4(2), Membership::any_source("239.1.2.3".parse()?)?)?;
/// joins.join(Interface::v4(2), Membership::one_source("192.0.2.7".parse()?, "232.1.2.3".parse()?)?)?;
/// assert_eq!(manager.memberships().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StaticJoins {
    manager: Arc<GroupManager>,
    handle: Handle,
    entries: Arc<EntryClient>,
}

impl StaticJoins {
    /// The protocol under which it registers.
    ///
    /// The number is this project's own, formed like `PROTOCOL_ID` of the Windows SDK's `routprot.h`: multicast type, no
    /// vendor, and 10006 like the static routes of `PROTO_IP_NT_STATIC`.
    pub const PROTOCOL: Protocol = Protocol::new(1 << 30 | 10006, 0);

    /// The default limit of flows that entries forward at a time.
    pub const FLOWS: usize = 4096;

    /// Registers with the manager, as component 0.
    ///
    /// # Errors
    /// [`RegisterError`]; at most one of each component number is registered at a time.
    pub fn new(manager: Arc<GroupManager>) -> Result<StaticJoins, RegisterError> {
        StaticJoins::with_component(manager, 0, Self::FLOWS)
    }

    /// Registers with the manager under a component number. Its entries forward at most `flows` flows at a time.
    ///
    /// # Errors
    /// [`RegisterError`]; at most one of each component number is registered at a time.
    pub fn with_component(
        manager: Arc<GroupManager>,
        component: u32,
        flows: usize,
    ) -> Result<StaticJoins, RegisterError> {
        let entries = Arc::new(EntryClient::new(&manager, flows));
        let handle = manager.register(Protocol::new(Self::PROTOCOL.id, component), entries.clone())?;
        Ok(StaticJoins { manager, handle, entries })
    }

    /// Returns the handle under which this client is registered.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Takes an interface in the routing role.
    ///
    /// # Errors
    /// [`TakeError`].
    pub fn take(&self, interface: Interface) -> Result<(), TakeError> {
        self.manager.take(self.handle, interface)
    }

    /// Releases an interface. The memberships there end.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, interface: Interface) -> Result<(), ReleaseError> {
        self.manager.release(self.handle, interface)
    }

    /// Adds a membership on an interface. Does nothing if it exists already.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn join(&self, interface: Interface, membership: Membership) -> Result<(), MembershipError> {
        self.manager.add_membership(self.handle, interface, membership, StateChange::Join)?;
        self.entries.note_join(interface, membership, true);
        Ok(())
    }

    /// Deletes a membership. Does nothing if it does not exist. A flow that an entry forwards goes on.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn leave(&self, interface: Interface, membership: Membership) -> Result<(), MembershipError> {
        self.entries.note_join(interface, membership, false);
        if self.entries.needs(interface, membership) {
            return Ok(());
        }
        self.manager.delete_membership(self.handle, interface, membership, StateChange::Join)
    }

    /// Replaces the entries: ranges of flows that are forwarded without a membership of any receiver. Flows that exist follow at
    /// once. May wait for the manager.
    ///
    /// An entry acts when a flow begins and its source is reached through an interface of this client. Interfaces that this
    /// client does not own are left out until it has taken them and this is called again.
    pub fn set_entries(&self, entries: Vec<StaticEntry>) {
        self.entries.set_entries(entries);
    }

    /// Ends what entries added for flows that had no forwarding entry at this call and the one before. Returns the number of
    /// these flows. Call it about once a minute. May wait for the manager.
    pub fn forget_ended_flows(&self) -> usize {
        self.entries.forget_ended()
    }

    /// Returns the number of flows that the entries forward, and what was refused.
    #[must_use]
    pub fn flows(&self) -> StaticFlows {
        self.entries.counts()
    }
}

impl fmt::Debug for StaticJoins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticJoins").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for StaticJoins {
    fn drop(&mut self) {
        for client in self.manager.clients().into_iter().filter(|client| client.handle == self.handle) {
            for interface in client.interfaces {
                // Refused only if this client no longer owns the interface: then there is nothing to release.
                _ = self.manager.release(self.handle, interface);
            }
        }
        if let Err(error) = self.manager.deregister(self.handle) {
            tracing::warn!(%error, "the static joins stay registered");
        }
    }
}
