//! Taking and releasing interfaces, and naming their owners.

use super::locked::{LockedState, State};
use crate::faults;
use crate::forwarding::Stamp;
use crate::handle::{ClaimError, Handle, NewResourceError, OwnerWord, ReleaseError as TableReleaseError};
use crate::manager::points;
use crate::manager::state::{Handover, InterfaceRecord, Role};
use crate::manager::{GroupManager, Interface, MembershipError, NoOwner, Protocol, ReleaseError, TakeError};

/// The owners of an interface in both roles, at one instant.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Ownership {
    routing: (OwnerWord, Option<Handle>),
    igmp: (OwnerWord, Option<Handle>),
}

impl Ownership {
    /// Returns the owner in a role.
    pub(super) fn by(&self, role: Role) -> Option<Handle> {
        match role {
            Role::Routing => self.routing.1,
            Role::Igmp => self.igmp.1,
        }
    }

    /// Returns the client that decides about arriving packets: the routing protocol, else IGMP.
    pub(super) fn deciding(&self) -> Option<Handle> {
        self.by(Role::Routing).or(self.by(Role::Igmp))
    }

    /// Returns whether the interface has no routing protocol.
    pub(super) fn without_routing(&self) -> bool {
        self.routing.0.is_free()
    }

    /// Returns the owner words (routing, IGMP).
    pub(super) fn words(&self) -> (OwnerWord, OwnerWord) {
        (self.routing.0, self.igmp.0)
    }

    /// Returns the stamp of what is derived from a role's ownership. IGMP's depends on the routing word as well.
    pub(super) fn stamp(&self, record: &InterfaceRecord, role: Role) -> Stamp {
        match role {
            Role::Routing => Stamp::one(record.routing, self.routing.0),
            Role::Igmp => Stamp::pair(record.routing, [self.routing.0, self.igmp.0]),
        }
    }

    /// Returns the stamp of what is derived from the ownership of the client that decides about arriving packets.
    pub(super) fn arrival_stamp(&self, record: &InterfaceRecord) -> Stamp {
        self.stamp(record, if self.routing.0.is_free() { Role::Igmp } else { Role::Routing })
    }
}

impl GroupManager {
    /// Makes the client the owner of an interface (`MgmTakeInterfaceOwnership`). IGMP takes it in IGMP's role, every other
    /// protocol in the routing role. An interface has at most one owner in each role.
    ///
    /// At that instant everything ends that depended on the interface having no routing protocol, IGMP's memberships among
    /// it. IGMP has to add its memberships again, and is notified by [`disable_igmp`](crate::manager::Client::disable_igmp)
    /// and [`enable_igmp`](crate::manager::Client::enable_igmp). Other clients are notified of the consequences.
    ///
    /// The effect is lock-free and needs no memory, except for the first take of an interface, which makes its record and may
    /// wait for other first takes. The sweep after the effect may wait for the membership lock.
    ///
    /// # Errors
    /// [`TakeError`]; a client that takes what it owns is refused like every other.
    pub fn take(&self, client: Handle, interface: Interface) -> Result<(), TakeError> {
        let role = self.clients.role(client).ok_or(TakeError::Stale)?;
        let record = match self.interfaces.find_record(interface) {
            Some(record) => record,
            // A client that is still registered was refused for want of room, which never comes back, or of memory.
            None => match self.make_record(interface) {
                Err(_) if !self.clients.validate(client) => return Err(TakeError::Stale),
                made => made?,
            },
        };
        let word = self.clients.table.claim(client, record.owner(role)).map_err(|error| match error {
            ClaimError::Stale => TakeError::Stale,
            // The owner word belongs to this very table.
            ClaimError::Owned(_) | ClaimError::UnknownResource => TakeError::Owned(interface),
        })?;
        faults::point(points::TAKE_EFFECTIVE);
        self.after_ownership_change(client, role, record, word);
        Ok(())
    }

    /// Releases an interface (`MgmReleaseInterfaceOwnership`). At that instant everything ends that depended on the
    /// ownership: the client's memberships there, its contribution to the outgoing interfaces of entries, and the entries
    /// with this incoming interface. When the routing protocol releases an interface that IGMP is on, IGMP's memberships there
    /// end too, and IGMP has to add them again. No check that begins later finds any of it current, and no callback that
    /// mentions the interface to this client starts later.
    ///
    /// Other clients are notified of the consequences, as if the memberships had been deleted one by one.
    ///
    /// The effect is lock-free and needs no memory. The sweep after it may wait for the membership lock.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, client: Handle, interface: Interface) -> Result<(), ReleaseError> {
        let role = self.clients.role(client).ok_or(ReleaseError::Stale)?;
        // An interface that is unknown now was unknown when the client was looked up.
        let record = self.interfaces.find(interface).ok_or(ReleaseError::NotOwner(interface))?;
        let word = self.clients.table.release(client, record.owner(role)).map_err(|error| match error {
            TableReleaseError::Stale => ReleaseError::Stale,
            TableReleaseError::NotOwner | TableReleaseError::UnknownResource => {
                ReleaseError::NotOwner(interface)
            }
        })?;
        faults::point(points::RELEASE_EFFECTIVE);
        self.after_ownership_change(client, role, record, word);
        Ok(())
    }

    /// Returns the protocol that owns an interface (`MgmGetProtocolOnInterface`): the routing protocol, else IGMP. Needs no
    /// handle. Lock-free: it starts over only when the owner has just changed.
    ///
    /// # Errors
    /// [`NoOwner`] when the interface has no owner, or was never taken.
    pub fn owner_of(&self, interface: Interface) -> Result<Protocol, NoOwner> {
        let record = self.interfaces.find(interface).ok_or(NoOwner(interface))?;
        loop {
            let Some(owner) = self.ownership(record).deciding() else {
                return Err(NoOwner(interface));
            };
            // An owner with a reused slot has released the interface before.
            if let Some(protocol) = self.clients.protocol(owner) {
                return Ok(protocol);
            }
        }
    }

    /// Returns the protocol that a handle was issued for; `None` when it names no registered client. Needs no handle of its
    /// own. Wait-free.
    #[must_use]
    pub fn protocol_of(&self, client: Handle) -> Option<Protocol> {
        self.clients.protocol(client).filter(|_| self.clients.validate(client))
    }

    /// Returns the owners of an interface at one instant. Lock-free: it starts over only when an owner has changed.
    pub(super) fn ownership(&self, record: &InterfaceRecord) -> Ownership {
        self.ownership_while(record, || ()).0
    }

    /// Returns the owners of an interface, and the answer of `f` at an instant at which they are the owners. Owner words
    /// never recur: a word that reads the same before and after has not changed in between.
    pub(super) fn ownership_while<R>(&self, record: &InterfaceRecord, f: impl Fn() -> R) -> (Ownership, R) {
        let table = &self.clients.table;
        loop {
            let before = self.words(record);
            let (routing, igmp) = (table.owner_of(record.routing), table.owner_of(record.igmp));
            let answer = f();
            if let Some((r, i)) = before
                && self.words(record) == before
            {
                return (Ownership { routing: (r, routing), igmp: (i, igmp) }, answer);
            }
        }
    }

    /// Reads the owner words of an interface (routing, IGMP). Always `Some`: they belong to this very table.
    pub(super) fn words(&self, record: &InterfaceRecord) -> Option<(OwnerWord, OwnerWord)> {
        let owners = self.clients.table.owners();
        Some((owners.word(record.routing)?, owners.word(record.igmp)?))
    }

    /// Returns the owners of an interface on which the client may change memberships.
    pub(super) fn owned_by(
        &self,
        client: Handle,
        role: Role,
        record: &InterfaceRecord,
    ) -> Result<Ownership, MembershipError> {
        let (ownership, live) = self.ownership_while(record, || self.clients.validate(client));
        match ownership.by(role) {
            _ if !live => Err(MembershipError::Stale),
            None => Err(MembershipError::NotTaken(record.interface)),
            Some(owner) if owner == client => Ok(ownership),
            Some(_) => Err(MembershipError::NotOwner(record.interface)),
        }
    }

    fn make_record(&self, interface: Interface) -> Result<&InterfaceRecord, TakeError> {
        let mut allocator = self.allocator.lock();
        if let Some(record) = self.interfaces.find_record(interface) {
            return Ok(record);
        }
        let owners = || self.clients.table.new_resource_pair();
        self.interfaces.make(&mut allocator, interface, owners).map_err(|refused| match refused {
            NewResourceError::Full { .. } => TakeError::TooManyInterfaces(self.config.interfaces),
            NewResourceError::NoMemory => TakeError::NoMemory,
        })
    }

    /// Does what follows a change of ownership, after which the owner word of the role reads `word`.
    fn after_ownership_change(&self, client: Handle, role: Role, record: &InterfaceRecord, word: OwnerWord) {
        let igmp = match role {
            Role::Routing => self.clients.table.owner_of(record.igmp),
            Role::Igmp => None,
        };
        if !record.is_in_use() && igmp.is_none() && role == Role::Routing {
            return;
        }
        self.update_state(|locked| {
            let ownership = self.sweep(locked, record, Some(client));
            match role {
                Role::Igmp => note_tenure(&mut locked.state, record, word, &ownership),
                Role::Routing => self.hand_over(locked, record, word, igmp, &ownership),
            }
        });
    }

    /// Queues the notice of a change of the routing protocol for the IGMP client that owned the interface before the sweep.
    fn hand_over(
        &self,
        locked: &mut LockedState<'_>,
        record: &InterfaceRecord,
        word: OwnerWord,
        igmp: Option<Handle>,
        ownership: &Ownership,
    ) {
        let Some(channel) = igmp.and_then(|igmp| locked.channel(igmp)) else { return };
        // IGMP may have released the interface in the meantime: then it needs no notice.
        if ownership.by(Role::Igmp) != Some(channel.handle) {
            return;
        }
        let (_, tenure) = ownership.words();
        let handover = Handover { interface: record.interface, vif: record.vif, tenure, word };
        if locked.queue_handover(channel, handover, Stamp::one(record.igmp, tenure)) {
            locked.state.handovers.queued(record.vif, tenure, word);
        }
    }
}

/// Begins or ends a tenure of IGMP. Its owner word reads `word` now.
fn note_tenure(state: &mut State, record: &InterfaceRecord, word: OwnerWord, ownership: &Ownership) {
    if word.is_free() {
        state.handovers.end(record.vif, word);
    } else {
        // The routing word at the instant of the sweep: a later change is handed over.
        state.handovers.begin(record.vif, word, ownership.words().0);
    }
}
