//! Taking and releasing interfaces, and who has which.

use super::change::Change;
use super::interfaces::{InterfaceRecord, Role};
use super::records::{Contribution, Share};
use super::switches::Switch;
use super::walks::steady;
use super::{
    GroupManager, Interface, Membership, MembershipError, NoOwner, Protocol, ReleaseError, State, TakeError,
};
use crate::faults;
use crate::forwarding::{Stamp, VifIndex};
use crate::handle::{ClaimError, Handle, OwnerWord, OwnersError, ReleaseError as TableReleaseError};
use crate::manager::points;

/// Who owned an interface at one instant.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Owned {
    routing: (OwnerWord, Option<Handle>),
    igmp: (OwnerWord, Option<Handle>),
}

/// The interface towards a source, if there is one, and who owned it at one instant, if it was ever taken. Those who are told of
/// (s,g) are found at the instant of what they are told of, and not some time later under the same lock: owners change
/// without it.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Towards(pub(super) Option<(Interface, Option<Owned>)>);

impl Towards {
    pub(super) fn interface(self) -> Option<Interface> {
        self.0.map(|(interface, _)| interface)
    }

    /// Who decides what arrives there.
    pub(super) fn deciding(self) -> Option<Handle> {
        self.0?.1?.deciding()
    }
}

impl Owned {
    pub(super) fn by(&self, role: Role) -> Option<Handle> {
        match role {
            Role::Routing => self.routing.1,
            Role::Igmp => self.igmp.1,
        }
    }

    /// Who decides what arrives here: the routing protocol, else IGMP.
    pub(super) fn deciding(&self) -> Option<Handle> {
        self.by(Role::Routing).or(self.by(Role::Igmp))
    }

    /// Whether IGMP has it alone.
    pub(super) fn without_routing(&self) -> bool {
        self.routing.0.is_free()
    }

    /// The owner words of both roles.
    pub(super) fn words(&self) -> (OwnerWord, OwnerWord) {
        (self.routing.0, self.igmp.0)
    }

    /// The stamp of what is derived from a role's ownership: IGMP's hangs on the routing protocol's as well.
    pub(super) fn stamp(&self, record: &InterfaceRecord, role: Role) -> Stamp {
        match role {
            Role::Routing => Stamp::one(record.routing, self.routing.0),
            Role::Igmp => Stamp::pair(record.routing, [self.routing.0, self.igmp.0]),
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
    /// had no routing protocol, IGMP's memberships among them, ends at that instant: IGMP has to add them again, and is told
    /// so by [`disable_igmp`](super::Client::disable_igmp) and [`enable_igmp`](super::Client::enable_igmp).
    ///
    /// Tells other clients what follows from it.
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
            // A client that is still there was refused for the want of room, which never comes back, or of memory.
            None => match self.make_record(interface) {
                Err(_) if !self.clients.table.validate(client) => return Err(TakeError::Stale),
                made => made?,
            },
        };
        let word = self.clients.table.claim(client, record.owner(role)).map_err(|error| match error {
            ClaimError::Stale => TakeError::Stale,
            // The owner word is of this very table.
            ClaimError::Owned(_) | ClaimError::UnknownOwner => TakeError::Owned(interface),
        })?;
        faults::point(points::TAKE_EFFECTIVE);
        self.after_change(client, role, record, word);
        Ok(())
    }

    /// Gives an interface up (`MgmReleaseInterfaceOwnership`). At that instant everything ends that hung on it: the
    /// client's memberships there, its share in the outgoing interfaces of entries, the entries whose packets arrive
    /// there; and, when the routing protocol leaves one that IGMP is on, IGMP's memberships there too, which IGMP has to
    /// add again. No check that begins later finds any of it alive, and no callback that mentions the interface to this client
    /// starts later.
    ///
    /// Tells other clients what follows from it, as if the memberships had been deleted one by one.
    ///
    /// The effect is lock-free and needs no memory; the sweep after it may wait for the membership lock.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, client: Handle, interface: Interface) -> Result<(), ReleaseError> {
        let role = self.clients.role(client).ok_or(ReleaseError::Stale)?;
        // What is unknown now was so when the client was looked up.
        let record = self.interfaces.find(interface).ok_or(ReleaseError::NotOwner(interface))?;
        let word = self.clients.table.release(client, record.owner(role)).map_err(|error| match error {
            TableReleaseError::Stale => ReleaseError::Stale,
            TableReleaseError::NotOwner | TableReleaseError::UnknownOwner => {
                ReleaseError::NotOwner(interface)
            }
        })?;
        faults::point(points::RELEASE_EFFECTIVE);
        self.after_change(client, role, record, word);
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
            let Some(owner) = owned.deciding() else {
                return Err(NoOwner(interface));
            };
            // An owner whose slot has been used again has released before.
            if let Some(protocol) = self.clients.protocol(owner) {
                return Ok(protocol);
            }
        }
    }

    /// Which protocol a handle was issued for; `None` when it names no registered client. Anybody may ask. Wait-free.
    #[must_use]
    pub fn protocol_of(&self, client: Handle) -> Option<Protocol> {
        self.clients.protocol(client).filter(|_| self.clients.validate(client))
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

    /// Who owns the interface, if the client may say something of it; who owned the one towards a source at that instant, and
    /// how many ways to clients were listed.
    pub(super) fn owned_by(
        &self,
        client: Handle,
        role: Role,
        record: &InterfaceRecord,
        towards: Option<Interface>,
    ) -> Result<(Owned, Towards, u64), MembershipError> {
        let look = || {
            let listed = self.clients.listed();
            (self.clients.validate(client), self.owned_towards(towards), listed)
        };
        let (owned, (live, towards, listed)) = self.owned_while(record, look);
        match owned.by(role) {
            _ if !live => Err(MembershipError::Stale),
            None => Err(MembershipError::NotTaken(record.interface)),
            Some(owner) if owner == client => Ok((owned, towards, listed)),
            Some(_) => Err(MembershipError::NotOwner(record.interface)),
        }
    }

    /// Who owns the interface towards a source.
    pub(super) fn owned_towards(&self, towards: Option<Interface>) -> Towards {
        Towards(
            towards.map(|interface| (interface, self.interfaces.find(interface).map(|of| self.owned(of)))),
        )
    }

    fn make_record(&self, interface: Interface) -> Result<&InterfaceRecord, TakeError> {
        let mut maker = self.maker.lock();
        if let Some(record) = self.interfaces.find(interface) {
            return Ok(record);
        }
        let owners = || self.clients.table.new_resource_pair();
        self.interfaces.make(&mut maker, interface, owners).map_err(|refused| match refused {
            OwnersError::Full { .. } => TakeError::TooManyInterfaces(self.config.interfaces),
            OwnersError::NoMemory => TakeError::NoMemory,
        })
    }

    /// What follows a change of hands, after which the owner word of the role reads `word`.
    fn after_change(&self, client: Handle, role: Role, record: &InterfaceRecord, word: OwnerWord) {
        let igmp = match role {
            Role::Routing => self.clients.table.owner_of(record.igmp),
            Role::Igmp => None,
        };
        if !record.is_in_use() && igmp.is_none() && role == Role::Routing {
            return;
        }
        let mut change = self.change_state();
        let owned = self.sweep(&mut change, record, Some(client));
        match (role, igmp.and_then(|igmp| self.clients.outlet(igmp))) {
            (Role::Igmp, _) if word.is_free() => change.state.switches.end(record.number, word),
            (Role::Igmp, _) => {
                // As it was at the instant of the sweep: a change that comes later has IGMP switched off and on.
                change.state.switches.begin(record.number, word, owned.words().0);
            }
            (Role::Routing, None) => {}
            (Role::Routing, Some(igmp)) => {
                // It has left in the meantime: there is nobody to tell.
                if owned.by(Role::Igmp) != Some(igmp.handle) {
                    return;
                }
                let (_, tenure) = owned.words();
                let (interface, number) = (record.interface, record.number);
                let switch = Switch { interface, number, tenure, word };
                if change.tell.queue_switch(igmp, switch, Stamp::one(record.igmp, tenure)) {
                    change.state.switches.queue(number, tenure, word);
                }
            }
        }
    }

    /// Removes what is dead on an interface, publishes anew the entries that it was part of, and tells whom it matters to.
    /// `causer` is the client whose call this is part of, if it has to do with the interface.
    /// Who owned it then.
    pub(super) fn sweep(
        &self,
        change: &mut Change<'_>,
        record: &InterfaceRecord,
        causer: Option<Handle>,
    ) -> Owned {
        let number = record.number;
        // What is dead, and who is told of it, as it was at one instant.
        let look = || (self.dead_on(&change.state, number), self.clients.listed(), self.owned(record));
        let (dead, listed, owned) = steady(look);
        change.tell.listed = listed;
        // Whoever sweeps, a release was its client's doing. What ends because the routing protocol has changed is not IGMP's.
        let igmp = Stamp::one(record.igmp, owned.words().1);
        let gave_up =
            dead.iter().filter(|(_, (_, role), of, _)| *role == Role::Routing || !of.stamp.hangs_on(&igmp));
        let causers: Vec<Handle> = gave_up.map(|(_, _, of, _)| of.client).chain(causer).collect();
        for (membership, share, _, towards) in dead {
            self.dismiss(change, membership, share, towards);
        }
        let (flows, with) = self.split(&mut change.state);
        flows.interface_taken(record.interface, with);
        // First what ends, so that what merely becomes negative finds the more room.
        let mentioning = flows.mentioning(number);
        mentioning.iter().for_each(|flow| flows.end_if_dead(*flow, with));
        mentioning.iter().for_each(|flow| flows.renew(*flow, Some(number), with));
        let used = flows.is_mentioned(number) || with.records.mentions(number);
        record.set_in_use(used);
        self.tell_of_entries(change, &causers);
        owned
    }

    /// The memberships on an interface that are dead, in the order in which they are told of, each with who has the interface
    /// towards its source.
    fn dead_on(&self, state: &State, number: VifIndex) -> Vec<(Membership, Share, Contribution, Towards)> {
        let owners = self.clients.table.owners();
        let dead_on_share = |share: Share| {
            state.records.of_share(share).filter_map(move |membership| {
                let contribution = state.records.get(membership)?.get(&share)?;
                let towards = self.owned_towards(state.towards(membership));
                (!contribution.stamp.holds(owners)).then_some((membership, share, *contribution, towards))
            })
        };
        let mut dead: Vec<_> =
            [(number, Role::Routing), (number, Role::Igmp)].into_iter().flat_map(dead_on_share).collect();
        dead.sort_by_key(|(membership, share, ..)| (membership.group(), membership.source(), *share));
        dead
    }
}
