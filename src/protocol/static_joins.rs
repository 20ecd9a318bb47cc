//! [`StaticJoins`]: memberships that a configuration names.

use crate::handle::Handle;
use crate::manager::{
    GroupManager, Interface, Membership, MembershipError, Protocol, RegisterError, ReleaseError, StateChange,
    TakeError,
};
use std::sync::Arc;

/// The simplest routing protocol: it takes interfaces, and adds and deletes the memberships that its user names.
///
/// It keeps no list of memberships; the manager has it. A membership ends by [`leave`](Self::leave), when its interface is
/// released, or when this client is dropped.
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
#[derive(Debug)]
pub struct StaticJoins {
    manager: Arc<GroupManager>,
    handle: Handle,
}

impl StaticJoins {
    /// The protocol under which it registers.
    ///
    /// The number is this project's own, formed like `PROTOCOL_ID` of the Windows SDK's `routprot.h`: multicast type, no
    /// vendor, and 10006 like the static routes of `PROTO_IP_NT_STATIC`.
    pub const PROTOCOL: Protocol = Protocol::new(1 << 30 | 10006, 0);

    /// Registers with the manager.
    ///
    /// # Errors
    /// [`RegisterError`]; at most one is registered at a time.
    pub fn new(manager: Arc<GroupManager>) -> Result<StaticJoins, RegisterError> {
        let handle = manager.register(Self::PROTOCOL, Arc::new(()))?;
        Ok(StaticJoins { manager, handle })
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
        self.manager.add_membership(self.handle, interface, membership, StateChange::Join)
    }

    /// Deletes a membership. Does nothing if it does not exist.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn leave(&self, interface: Interface, membership: Membership) -> Result<(), MembershipError> {
        self.manager.delete_membership(self.handle, interface, membership, StateChange::Join)
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
