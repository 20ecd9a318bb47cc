//! [`Snapshot`]: the owners of some interfaces at one instant, for reads of what depends on them.

use super::ownership::Ownership;
use crate::forwarding::{Stamp, VifIndex};
use crate::manager::state::{InterfaceRecord, Role};
use crate::manager::{GroupManager, Interface, Protocol};
use std::collections::BTreeMap;

/// The owners of some interfaces at one instant.
pub(super) struct Snapshot<'m>(BTreeMap<VifIndex, Owned<'m>>);

struct Owned<'m> {
    record: InterfaceRecord<'m>,
    ownership: Ownership,
    /// The protocols of the owners: routing, IGMP.
    protocols: [Option<Protocol>; 2],
}

impl GroupManager {
    /// Reads the owners of interfaces at one instant. Must be called under the membership lock, for interfaces that are in use.
    ///
    /// Reads again when an owner word has changed meanwhile. A thread that changes the owner of an interface in use then waits
    /// for the membership lock: so there are at most as many further reads as other threads. Each takes a few loads for each
    /// interface, and looks at nothing that depends on the interfaces.
    pub(super) fn snapshot(&self, vifs: impl IntoIterator<Item = VifIndex>) -> Snapshot<'_> {
        let records = vifs.into_iter().filter_map(|vif| Some((vif, self.interfaces.get(vif)?)));
        let mut owned: BTreeMap<VifIndex, Owned<'_>> =
            records.map(|(vif, record)| (vif, self.read_owned(record))).collect();
        loop {
            let mut changed = false;
            for owned in owned.values_mut() {
                if self.words(&owned.record) != Some(owned.ownership.words()) {
                    *owned = self.read_owned(owned.record);
                    changed = true;
                }
            }
            if !changed {
                return Snapshot(owned);
            }
        }
    }

    fn read_owned<'m>(&'m self, record: InterfaceRecord<'m>) -> Owned<'m> {
        loop {
            let ownership = self.ownership(&record);
            let protocols =
                Role::BOTH.map(|role| ownership.by(role).and_then(|owner| self.clients.protocol(owner)));
            // While a client is an owner it is registered, so its protocol is known.
            if self.words(&record) == Some(ownership.words()) {
                return Owned { record, ownership, protocols };
            }
        }
    }
}

impl Snapshot<'_> {
    /// Returns whether a stamp of an interface is current.
    pub(super) fn is_current(&self, vif: VifIndex, stamp: &Stamp) -> bool {
        self.0.get(&vif).is_some_and(|Owned { record, ownership, .. }| {
            let (routing, igmp) = ownership.words();
            stamp.holds_under([(record.routing, routing), (record.igmp, igmp)])
        })
    }

    /// Returns the name of an interface.
    pub(super) fn interface(&self, vif: VifIndex) -> Option<Interface> {
        self.0.get(&vif).map(|owned| owned.record.interface)
    }

    /// Returns the protocol that owns an interface in a role.
    pub(super) fn protocol(&self, vif: VifIndex, role: Role) -> Option<Protocol> {
        let [routing, igmp] = self.0.get(&vif)?.protocols;
        match role {
            Role::Routing => routing,
            Role::Igmp => igmp,
        }
    }

    /// Returns the protocol that decides about packets that arrive on an interface.
    pub(super) fn deciding(&self, vif: VifIndex) -> Option<Protocol> {
        Role::BOTH.into_iter().find_map(|role| self.protocol(vif, role))
    }
}
