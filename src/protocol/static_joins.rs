//! [`StaticJoins`]: receivers that configuration names, on interfaces of their own.

use crate::handle::Handle;
use crate::manager::{
    GroupManager, Interface, Membership, MembershipError, Protocol, RegisterError, ReleaseError, StateChange,
    TakeError,
};
use std::sync::Arc;

/// The least of routing protocols: it takes interfaces and holds the memberships that it is told to hold.
///
/// What it holds is what the manager has: it keeps no list of its own. Its memberships end when it releases their
/// interface, when it is dropped, or by [`leave`](Self::leave).
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
    /// What it registers as. The number is this project's own, made as `PROTOCOL_ID` of the Windows SDK's `routprot.h`
    /// makes them: of multicast type, no vendor, 10006 like the static routes of `PROTO_IP_NT_STATIC`.
    pub const PROTOCOL: Protocol = Protocol::new(1 << 30 | 10006, 0);

    /// Registers.
    ///
    /// # Errors
    /// [`RegisterError`]; there is one at a time.
    pub fn new(manager: Arc<GroupManager>) -> Result<StaticJoins, RegisterError> {
        let handle = manager.register(Self::PROTOCOL, Arc::new(()))?;
        Ok(StaticJoins { manager, handle })
    }

    /// The handle it is registered under.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Takes an interface, in the routing role.
    ///
    /// # Errors
    /// [`TakeError`].
    pub fn take(&self, interface: Interface) -> Result<(), TakeError> {
        self.manager.take(self.handle, interface)
    }

    /// Releases an interface; the memberships there end.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, interface: Interface) -> Result<(), ReleaseError> {
        self.manager.release(self.handle, interface)
    }

    /// Holds a membership on an interface; it may hold it already.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn join(&self, interface: Interface, membership: Membership) -> Result<(), MembershipError> {
        self.manager.add_membership(self.handle, interface, membership, StateChange::Join)
    }

    /// Gives a membership up; it need not hold it.
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
                // Refused only if it is not this client's any more: then there is nothing to release.
                _ = self.manager.release(self.handle, interface);
            }
        }
        if let Err(error) = self.manager.deregister(self.handle) {
            tracing::warn!(%error, "the static joins stay registered");
        }
    }
}
