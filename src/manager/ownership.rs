//! Taking and releasing interfaces, and who has which.

use super::interfaces::{InterfaceRecord, Role};
use super::{GroupManager, Interface, MembershipError, NoOwner, Protocol, ReleaseError, State, TakeError};
use crate::forwarding::Stamp;
use crate::handle::{ClaimError, Handle, OwnerWord, ReleaseError as TableReleaseError};

/// Who owned an interface at one instant.
#[derive(Clone, Copy)]
pub(super) struct Owned {
    routing: (OwnerWord, Option<Handle>),
    igmp: (OwnerWord, Option<Handle>),
}

impl Owned {
    pub(super) fn by(&self, role: Role) -> Option<Handle> {
        match role {
            Role::Routing => self.routing.1,
            Role::Igmp => self.igmp.1,
        }
    }

    /// The stamp of what is derived from a role's ownership: IGMP's hangs on the routing protocol's as well.
    pub(super) fn stamp(&self, record: &InterfaceRecord, role: Role) -> Stamp {
        match role {
            Role::Routing => Stamp::one(record.routing, self.routing.0),
            Role::Igmp => Stamp::both((record.routing, self.routing.0), (record.igmp, self.igmp.0)),
        }
    }

    /// The stamp of what is derived from whoever decides what arrives here: the routing protocol, else IGMP.
    pub(super) fn arrival_stamp(&self, record: &InterfaceRecord) -> Stamp {
        self.stamp(record, if self.routing.0.is_free() { Role::Igmp } else { Role::Routing })
    }
}

impl GroupManager {
    /// Makes the client the owner of an interface (`MgmTakeInterfaceOwnership`): IGMP in IGMP's role, every other protocol
    /// as the routing protocol; an interface has at most one owner of each. Whatever was derived from the interface having
    /// had no routing protocol, IGMP's memberships among them, ends at that instant: IGMP has to add them again.
    ///
    /// The effect is lock-free and needs no memory, except for the first take ever of an interface, which makes its
    /// record and may wait for others that make theirs. The sweep after it may wait for the membership lock.
    ///
    /// # Errors
    /// [`TakeError`]; a client that takes what it has is refused as everybody else is.
    pub fn take(&self, client: Handle, interface: Interface) -> Result<(), TakeError> {
        let role = self.clients.role(client).ok_or(TakeError::Stale)?;
        let record = match self.interfaces.find(interface) {
            Some(record) => record,
            // Room never comes back, so a client that is still there was refused for the want of it.
            None => match self.make_record(interface) {
                Err(_) if !self.clients.table.validate(client) => return Err(TakeError::Stale),
                made => made?,
            },
        };
        self.clients.table.claim(client, record.owner(role)).map_err(|error| match error {
            ClaimError::Stale => TakeError::Stale,
            // The owner word is of this very table.
            ClaimError::Owned(_) | ClaimError::UnknownOwner => TakeError::Owned(interface),
        })?;
        self.after_change(record);
        Ok(())
    }

    /// Gives an interface up (`MgmReleaseInterfaceOwnership`). At that instant everything ends that hung on it: the
    /// client's memberships there, its share in the outgoing interfaces of entries, the entries whose packets arrive
    /// there; and, when the routing protocol leaves one that IGMP is on, IGMP's memberships there too, which IGMP has to
    /// add again. No check that begins later finds any of it alive.
    ///
    /// The effect is lock-free and needs no memory; the sweep after it may wait for the membership lock.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, client: Handle, interface: Interface) -> Result<(), ReleaseError> {
        let role = self.clients.role(client).ok_or(ReleaseError::Stale)?;
        // What is unknown now was so when the client was looked up.
        let record = self.interfaces.find(interface).ok_or(ReleaseError::NotOwner(interface))?;
        self.clients.table.release(client, record.owner(role)).map_err(|error| match error {
            TableReleaseError::Stale => ReleaseError::Stale,
            TableReleaseError::NotOwner | TableReleaseError::UnknownOwner => {
                ReleaseError::NotOwner(interface)
            }
        })?;
        self.after_change(record);
        Ok(())
    }

    /// Which protocol has an interface (`MgmGetProtocolOnInterface`): the routing protocol, else IGMP. Anybody may ask.
    /// Lock-free: it starts over only when the owner has just changed.
    ///
    /// # Errors
    /// [`NoOwner`] when nobody has it, or nobody ever had.
    pub fn owner_of(&self, interface: Interface) -> Result<Protocol, NoOwner> {
        let record = self.interfaces.find(interface).ok_or(NoOwner(interface))?;
        loop {
            let owned = self.owned(record);
            let Some(owner) = owned.by(Role::Routing).or(owned.by(Role::Igmp)) else {
                return Err(NoOwner(interface));
            };
            // An owner whose slot has been used again has released before.
            if let Some(protocol) = self.clients.protocol(owner) {
                return Ok(protocol);
            }
        }
    }

    /// Who owns the interface in both roles, at one instant. Lock-free: it starts over only when an owner has changed.
    pub(super) fn owned(&self, record: &InterfaceRecord) -> Owned {
        self.owned_while(record, || ()).0
    }

    /// The same, with what `f` answers at an instant at which that holds. Owner words never recur: one that reads the
    /// same before and after has not changed in between.
    pub(super) fn owned_while<R>(&self, record: &InterfaceRecord, f: impl Fn() -> R) -> (Owned, R) {
        let table = &self.clients.table;
        let words = || (table.owners().word(record.routing), table.owners().word(record.igmp));
        loop {
            let before = words();
            let (routing, igmp) = (table.owner_of(record.routing), table.owner_of(record.igmp));
            let answer = f();
            if let (Some(r), Some(i)) = before
                && words() == before
            {
                return (Owned { routing: (r, routing), igmp: (i, igmp) }, answer);
            }
        }
    }

    /// The stamp of what the client derives from its ownership, if it has it.
    pub(super) fn stamp_of(
        &self,
        client: Handle,
        role: Role,
        record: &InterfaceRecord,
    ) -> Result<Stamp, MembershipError> {
        let (owned, live) = self.owned_while(record, || self.clients.table.validate(client));
        match owned.by(role) {
            _ if !live => Err(MembershipError::Stale),
            None => Err(MembershipError::NotTaken(record.interface)),
            Some(owner) if owner == client => Ok(owned.stamp(record, role)),
            Some(_) => Err(MembershipError::NotOwner(record.interface)),
        }
    }

    fn make_record(&self, interface: Interface) -> Result<&InterfaceRecord, TakeError> {
        let mut maker = self.maker.lock();
        if let Some(record) = self.interfaces.find(interface) {
            return Ok(record);
        }
        let owners = || self.clients.table.new_owner_pair().ok();
        self.interfaces
            .make(&mut maker, interface, owners)
            .ok_or(TakeError::TooManyInterfaces(self.config.interfaces))
    }

    /// What follows a change of hands.
    fn after_change(&self, record: &InterfaceRecord) {
        if record.is_in_use() {
            self.sweep(&mut self.state.lock(), record);
        }
    }

    /// Removes what is dead on an interface, and publishes anew the entries that it was part of.
    pub(super) fn sweep(&self, state: &mut State, record: &InterfaceRecord) {
        let number = record.number;
        let owners = self.clients.table.owners();
        for share in [(number, Role::Routing), (number, Role::Igmp)] {
            let dead: Vec<_> = state
                .records
                .of_share(share)
                .filter(|m| {
                    let contribution = state.records.get(*m).and_then(|members| members.get(&share));
                    contribution.is_none_or(|c| !c.stamp.holds(owners))
                })
                .collect();
            dead.into_iter().for_each(|membership| state.records.remove(membership, share));
        }
        let (flows, with) = self.split(state);
        flows.interface_taken(record.interface, with);
        // First what ends, so that what merely becomes negative finds the more room.
        let mentioning = flows.mentioning(number);
        mentioning.iter().for_each(|flow| flows.end_if_dead(*flow, with));
        mentioning.iter().for_each(|flow| flows.renew(*flow, with));
        let used = flows.is_mentioned(number) || with.records.mentions(number);
        record.set_in_use(used);
    }
}
