//! Clients: `MgmRegisterMProtocol`, `MgmDeRegisterMProtocol`.

use super::{NoticeKind, Outcome, Role, Spec};
use mgm::manager::{Cause, Membership, Protocol};
use std::collections::BTreeSet;

/// The caller's number for a client.
pub type ClientId = u64;

impl Spec {
    /// Registers a protocol instance as `client`. An instance can be registered once at a time, and as many clients at a
    /// time as the limit permits. A client that wants present joins is notified of every (\*,\*) and (\*,g) for which other
    /// clients count already. Without that, its first notice of a key may be a prune.
    pub fn register(&mut self, protocol: Protocol, client: ClientId, wants_present_joins: bool) -> Outcome {
        if self.clients.values().any(|registered| *registered == protocol) {
            return Outcome::AlreadyRegistered;
        }
        if self.clients.len() >= self.limits.clients {
            return Outcome::Full;
        }
        self.clients.insert(client, protocol);
        if wants_present_joins {
            let counting = self.memberships.iter().filter(|(_, join)| join.counts);
            let present: BTreeSet<Membership> = counting
                .map(|((membership, _), _)| *membership)
                .filter(|membership| membership.source().is_none())
                .collect();
            for membership in present {
                self.notify(client, NoticeKind::Join(membership, Cause::Membership), None, None);
            }
        }
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

    /// Returns the role in which a registered client owns interfaces.
    #[must_use]
    pub fn role(&self, client: ClientId) -> Option<Role> {
        let protocol = self.clients.get(&client)?;
        Some(if protocol.id == self.limits.igmp { Role::Igmp } else { Role::Routing })
    }
}
