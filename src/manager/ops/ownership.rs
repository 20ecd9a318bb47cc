//! Taking and releasing interfaces, and naming their owners.

use super::locked::{LockedState, State};
use crate::faults;
use crate::forwarding::{Stamp, VifIndex};
use crate::handle::{ClaimError, Handle, NewResourceError, OwnerWord, ReleaseError as TableReleaseError};
use crate::manager::points;
use crate::manager::state::{Handover, InterfaceAllocator, InterfaceRecord, Role};
use crate::manager::{GroupManager, Interface, MembershipError, NoOwner, Protocol, ReleaseError, TakeError};

/// The number of times that a first take looks for a place that is not needed, while owners change.
const MAX_LOOKS: usize = 64;

/// The owners of an interface in both roles, at one instant.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Ownership {
    routing: (OwnerWord, Option<Handle>),
    igmp: (OwnerWord, Option<Handle>),
}

impl Ownership {
    /// The ownership of no client. No owner word reads 0, so nothing that is derived from it is ever current.
    const NONE: Ownership = Ownership { routing: (OwnerWord(0), None), igmp: (OwnerWord(0), None) };

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
    pub(super) fn stamp(&self, record: &InterfaceRecord<'_>, role: Role) -> Stamp {
        match role {
            Role::Routing => Stamp::one(record.routing, self.routing.0),
            Role::Igmp => Stamp::pair(record.routing, [self.routing.0, self.igmp.0]),
        }
    }

    /// Returns the stamp of what is derived from the ownership of the client that decides about arriving packets.
    pub(super) fn arrival_stamp(&self, record: &InterfaceRecord<'_>) -> Stamp {
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
    /// wait for other first takes. When there are [`ManagerConfig::interfaces`](crate::manager::ManagerConfig::interfaces)
    /// records, a first take gives the record of another interface to its own: one that has no owner, that no membership or
    /// entry depends on, and that no upcall waits for. That interface counts as never taken from then on. Such a take, and one
    /// that meets it at its interface, may wait for the membership lock before its effect. It is refused when it finds each
    /// record needed. The sweep after the effect may wait for the membership lock.
    ///
    /// # Errors
    /// [`TakeError`]; a client that takes what it owns is refused like every other.
    pub fn take(&self, client: Handle, interface: Interface) -> Result<(), TakeError> {
        let role = self.clients.role(client).ok_or(TakeError::Stale)?;
        let table = &self.clients.table;
        let (record, word) = loop {
            let Some(record) = self.interfaces.find_record(interface) else {
                break self.take_first(client, role, interface)?;
            };
            let id = record.owner(role);
            let Some(seen) = table.owners().word(id) else { return Err(TakeError::Owned(interface)) };
            // After the word, so that the word is this interface's. Where the place is about to be another interface's, the
            // thread that gives it away has to finish first.
            if !record.is_staying() && !planted!("claim-without-seen") {
                break self.take_first(client, role, interface)?;
            }
            faults::point(points::TAKE_READ);
            let claimed = if planted!("claim-without-seen") {
                table.claim(client, id)
            } else {
                table.claim_unchanged(client, id, seen)
            };
            match claimed {
                Ok(word) => break (record, word),
                Err(ClaimError::Changed) => {}
                Err(error) => return Err(refused(error, interface)),
            }
        };
        faults::point(points::TAKE_EFFECTIVE);
        self.after_ownership_change(client, role, &record, word);
        Ok(())
    }

    /// Takes an interface that has no record, or one that is about to lose its place. Returns the record and the owner word
    /// after the claim.
    ///
    /// The claim is made with the allocator held: so no other first take gives the place away before, and the claim fails
    /// only for reasons of its own.
    fn take_first(
        &self,
        client: Handle,
        role: Role,
        interface: Interface,
    ) -> Result<(InterfaceRecord<'_>, OwnerWord), TakeError> {
        let mut allocator = self.allocator.lock();
        let made = match self.interfaces.find_record(interface) {
            Some(record) => Ok(record),
            None => self.make_record(&mut allocator, interface),
        };
        let record = match made {
            // It was deregistered meanwhile, and so does not learn of the want of room.
            Err(_) if !self.clients.validate(client) => return Err(TakeError::Stale),
            made => made?,
        };
        let word = self.clients.table.claim(client, record.owner(role));
        Ok((record, word.map_err(|error| refused(error, interface))?))
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
        let table = &self.clients.table;
        let not_owner = ReleaseError::NotOwner(interface);
        let (record, word) = loop {
            // An interface that is unknown now was unknown when the client was looked up.
            let record = self.interfaces.find(interface).ok_or(not_owner)?;
            let id = record.owner(role);
            let seen = table.owners().word(id).ok_or(not_owner)?;
            // After the word, so that the word is this interface's. An owned place keeps its name.
            if !record.is_named() {
                continue;
            }
            match table.release_unchanged(client, id, seen) {
                Ok(word) => break (record, word),
                Err(TableReleaseError::Changed) => {}
                Err(TableReleaseError::Stale) => return Err(ReleaseError::Stale),
                // The owner word belongs to this very table.
                Err(TableReleaseError::NotOwner | TableReleaseError::UnknownResource) => {
                    return Err(not_owner);
                }
            }
        };
        faults::point(points::RELEASE_EFFECTIVE);
        self.after_ownership_change(client, role, &record, word);
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
            let Some(owner) = self.ownership(&record).deciding() else {
                return Err(NoOwner(interface));
            };
            // An owner with a reused slot has released the interface before.
            if let Some(protocol) = self.clients.protocol(owner) {
                return Ok(protocol);
            }
        }
    }

    /// Returns the number of a client's present ownership of an interface: another one each time that the client takes it.
    /// `None` if the client does not own it. Lock-free.
    #[must_use]
    pub fn ownership_number(&self, client: Handle, interface: Interface) -> Option<u64> {
        let role = self.clients.role(client)?;
        let record = self.interfaces.find(interface)?;
        let ownership = self.ownership(&record);
        let (routing, igmp) = ownership.words();
        let word = if role == Role::Routing { routing } else { igmp };
        (ownership.by(role) == Some(client)).then(|| word.stamp())
    }

    /// Returns the protocol that a handle was issued for; `None` when it names no registered client. Needs no handle of its
    /// own. Wait-free.
    #[must_use]
    pub fn protocol_of(&self, client: Handle) -> Option<Protocol> {
        self.clients.protocol(client).filter(|_| self.clients.validate(client))
    }

    /// Returns the interfaces that were taken and have a number, with their numbers, in the order of places. Interfaces that
    /// other threads take for the first time meanwhile may be listed or not. Lock-free.
    #[must_use]
    pub fn known_interfaces(&self) -> Vec<(VifIndex, Interface)> {
        let known = self.interfaces.iter().filter(|record| self.interfaces.was_taken(record));
        known.map(|record| (record.vif, record.interface)).collect()
    }

    /// Returns a number that grows when an interface loses its number, after it has none. Wait-free.
    pub(crate) fn interfaces_version(&self) -> u64 {
        self.interfaces.version()
    }

    /// Returns the owners of an interface at one instant. Lock-free: it starts over only when an owner has changed.
    pub(super) fn ownership(&self, record: &InterfaceRecord<'_>) -> Ownership {
        self.ownership_while(record, || ()).0
    }

    /// Returns the owners of an interface, and the answer of `f` at an instant at which they are the owners. Owner words
    /// never recur: a word that reads the same before and after has not changed in between. An interface that has lost its place
    /// since the record was read had no owner when it did.
    pub(super) fn ownership_while<R>(
        &self,
        record: &InterfaceRecord<'_>,
        f: impl Fn() -> R,
    ) -> (Ownership, R) {
        let table = &self.clients.table;
        loop {
            let before = self.words(record);
            let (routing, igmp) = (table.owner_of(record.routing), table.owner_of(record.igmp));
            let answer = f();
            // After the words, so that they are this interface's.
            if !record.is_named() {
                return (Ownership::NONE, answer);
            }
            if let Some((r, i)) = before
                && self.words(record) == before
            {
                return (Ownership { routing: (r, routing), igmp: (i, igmp) }, answer);
            }
        }
    }

    /// Reads the owner words of an interface (routing, IGMP). Always `Some`: they belong to this very table.
    pub(super) fn words(&self, record: &InterfaceRecord<'_>) -> Option<(OwnerWord, OwnerWord)> {
        let owners = self.clients.table.owners();
        Some((owners.word(record.routing)?, owners.word(record.igmp)?))
    }

    /// Returns the owners of an interface on which the client may change memberships.
    pub(super) fn owned_by(
        &self,
        client: Handle,
        role: Role,
        record: &InterfaceRecord<'_>,
    ) -> Result<Ownership, MembershipError> {
        let (ownership, live) = self.ownership_while(record, || self.clients.validate(client));
        match ownership.by(role) {
            _ if !live => Err(MembershipError::Stale),
            None => Err(MembershipError::NotTaken(record.interface)),
            Some(owner) if owner == client => Ok(ownership),
            Some(_) => Err(MembershipError::NotOwner(record.interface)),
        }
    }

    /// Makes the record of an interface that has none: in a new place, or else in the place of an interface that needs none.
    fn make_record(
        &self,
        allocator: &mut InterfaceAllocator,
        interface: Interface,
    ) -> Result<InterfaceRecord<'_>, TakeError> {
        let mut owned_before = None;
        for _ in 0..MAX_LOOKS {
            let new = self.interfaces.make(allocator, interface, || self.clients.table.new_resource_pair());
            match new {
                Ok(record) => return Ok(record),
                Err(NewResourceError::NoMemory) => return Err(TakeError::NoMemory),
                Err(NewResourceError::Full { .. }) => {}
            }
            match self.reuse_place(allocator, interface) {
                Reuse::Renamed(record) => return Ok(record),
                // There is a place less, so that another one can be made.
                Reuse::Exhausted | Reuse::Busy => owned_before = None,
                // Stamps only grow. So with the same sum twice no owner has changed between the two looks, and every place
                // that was owned in either was owned in between.
                Reuse::Needed(owned) if owned_before == Some(owned) => break,
                Reuse::Needed(owned) => owned_before = Some(owned),
            }
        }
        Err(TakeError::TooManyInterfaces(self.config.interfaces))
    }

    /// Gives the place of an interface that has no owner, and that nothing mentions, to another one.
    fn reuse_place(&self, allocator: &mut InterfaceAllocator, interface: Interface) -> Reuse<'_> {
        let (mut sum, mut busy) = (0_u64, false);
        for (record, words) in self.interfaces.beginning_at_hand(allocator) {
            sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(word.stamp()));
            if !words.iter().all(|word| word.is_free()) {
                continue;
            }
            // For one place at a time: the lock is held no longer than that needs.
            let mut state = self.state.lock();
            if state.members.mentions(record.vif) || state.flows.needs(record.vif) {
                continue;
            }
            let touch = |id, word| self.clients.table.touch(id, word);
            if self.interfaces.vacate(allocator, &record, words, touch) {
                state.handovers.forget(record.vif);
                state.members.forget(record.vif);
                return match self.interfaces.rename(allocator, &record, interface) {
                    Some(record) => Reuse::Renamed(record),
                    None => Reuse::Exhausted,
                };
            }
            busy |= record.upcalls().is_reporting();
        }
        if busy { Reuse::Busy } else { Reuse::Needed(sum) }
    }

    /// Does what follows a change of ownership, after which the owner word of the role reads `word`.
    fn after_ownership_change(
        &self,
        client: Handle,
        role: Role,
        record: &InterfaceRecord<'_>,
        word: OwnerWord,
    ) {
        let igmp = match role {
            Role::Routing => self.clients.table.owner_of(record.igmp),
            Role::Igmp => None,
        };
        // The mark is the place's. Where the interface has lost its place, flows with this RPF interface may be left.
        if !record.is_in_use() && record.is_named() && igmp.is_none() && role == Role::Routing {
            return;
        }
        // Nothing is derived from a free word of IGMP, so nothing ends when IGMP takes an interface.
        if role == Role::Routing || word.is_free() {
            let run = |watch: &dyn Fn()| _ = self.clients.runner.contain("a watch of ownership", watch);
            self.watches.call(record.interface, run);
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
        record: &InterfaceRecord<'_>,
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

/// The outcome of the search for a place that is not needed.
enum Reuse<'t> {
    Renamed(InterfaceRecord<'t>),
    /// A place was given up, because it has had as many names as it can have.
    Exhausted,
    /// A place may be needed by an upcall that is under way.
    Busy,
    /// Each place is needed. With the sum of the stamps of all owner words.
    Needed(u64),
}

/// Returns the error of a take for that of its claim.
fn refused(error: ClaimError, interface: Interface) -> TakeError {
    match error {
        ClaimError::Stale => TakeError::Stale,
        // The owner word belongs to this very table.
        _ => TakeError::Owned(interface),
    }
}

/// Begins or ends a tenure of IGMP. Its owner word reads `word` now.
fn note_tenure(state: &mut State, record: &InterfaceRecord<'_>, word: OwnerWord, ownership: &Ownership) {
    // A number that names nothing any more is forgotten already.
    if !record.is_named() {
        return;
    }
    if word.is_free() {
        state.handovers.end(record.vif, word);
    } else {
        // The routing word at the instant of the sweep: a later change is handed over.
        state.handovers.begin(record.vif, word, ownership.words().0);
    }
}
