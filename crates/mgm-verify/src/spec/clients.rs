//! Clients: `MgmRegisterMProtocol`, `MgmDeRegisterMProtocol`.

use super::{Outcome, Role, Spec};
use mgm::manager::Protocol;

/// The caller's number for a client.
pub type ClientId = u64;

impl Spec {
    /// Registers a protocol instance as `client`. An instance can be registered once at a time.
    pub fn register(&mut self, protocol: Protocol, client: ClientId) -> Outcome {
        if self.clients.values().any(|registered| *registered == protocol) {
            return Outcome::AlreadyRegistered;
        }
        self.clients.insert(client, protocol);
        Outcome::Ok
    }

    /// Deregisters a client that owns no interface.
    pub fn deregister(&mut self, client: ClientId) -> Outcome {
        if !self.clients.contains_key(&client) {
            return Outcome::Stale;
        }
        match self.owners.values().filter(|owner| **owner == client).count() {
            0 => {
                self.clients.remove(&client);
                Outcome::Ok
            }
            owned => Outcome::StillOwns(owned as u32),
        }
    }

    /// Returns the protocol that a client is registered as.
    #[must_use]
    pub fn protocol_of(&self, client: ClientId) -> Option<Protocol> {
        self.clients.get(&client).copied()
    }

    pub(super) fn role(&self, client: ClientId) -> Option<Role> {
        let protocol = self.clients.get(&client)?;
        Some(if protocol.id == self.limits.igmp { Role::Igmp } else { Role::Routing })
    }
}
