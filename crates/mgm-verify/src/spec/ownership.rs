//! Ownership of interfaces: `MgmTakeInterfaceOwnership`, `MgmReleaseInterfaceOwnership`, `MgmGetProtocolOnInterface`.

use super::flows::Arrival;
use super::renewal::Renewal;
use super::{ClientId, Notice, NoticeKind, Outcome, Spec};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One of the two roles in which an interface is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The routing protocol's.
    Routing,
    /// IGMP's or MLD's.
    Igmp,
}

/// One role of one interface: what a client owns.
pub type OwnershipKey = (Interface, Role);

/// The ownership changes of an interface that something depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OwnershipVersion {
    pub(super) interface: Interface,
    pub(super) routing: Option<u64>,
    pub(super) igmp: Option<u64>,
}

impl OwnershipVersion {
    /// Returns the interface that must not change owner.
    #[must_use]
    pub fn interface(self) -> Interface {
        self.interface
    }
}

/// A change of owner that has taken effect and that still has to be followed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnershipChange {
    client: ClientId,
    key: OwnershipKey,
    /// Whether the client took the interface, and did not release it.
    taken: bool,
    /// The number of this change among all changes of the key.
    number: u64,
    /// IGMP's owner and tenure on the interface at the time, for a change of the routing protocol.
    igmp: Option<(ClientId, u64)>,
}

/// Whether IGMP has to be notified of a change of the routing protocol on its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverDue {
    /// IGMP owned the interface at the time and still does.
    Required,
    /// IGMP has taken the interface since, and may be notified.
    Optional,
    /// IGMP does not own the interface.
    No,
}

/// IGMP's tenure of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct IgmpTenure {
    /// The change of IGMP's role that began it.
    pub(super) number: u64,
    /// The last change of the routing protocol that IGMP was notified of.
    pub(super) notified: u64,
    /// The notices of such changes that are not delivered yet.
    pub(super) queued: u32,
}

impl Spec {
    /// Takes an interface. It has at most one owner in each role: IGMP in one, any other protocol in the other.
    pub fn take(&mut self, client: ClientId, interface: Interface) -> Outcome {
        self.change_owner(|spec| spec.take_effect(client, interface))
    }

    /// Releases an interface that the client owns.
    pub fn release(&mut self, client: ClientId, interface: Interface) -> Outcome {
        self.change_owner(|spec| spec.release_effect(client, interface))
    }

    fn change_owner(
        &mut self,
        effect: impl FnOnce(&mut Spec) -> Result<OwnershipChange, Outcome>,
    ) -> Outcome {
        match effect(self) {
            Err(refused) => refused,
            Ok(change) => {
                let handover = self.handover_due(&change) != HandoverDue::No;
                self.follow_up(&change, handover);
                Outcome::Ok
            }
        }
    }

    /// Does the first part of [`take`](Self::take).
    ///
    /// # Errors
    /// The outcome of a take that is refused.
    pub fn take_effect(
        &mut self,
        client: ClientId,
        interface: Interface,
    ) -> Result<OwnershipChange, Outcome> {
        let role = self.role(client).ok_or(Outcome::Stale)?;
        if !self.known.contains(&interface) {
            if self.known.len() < self.limits.interfaces {
                self.known.push(interface);
            } else {
                let place = self.unneeded_place().ok_or(Outcome::TooManyInterfaces)?;
                let former = std::mem::replace(&mut self.known[place], interface);
                // What was derived from its having no owner is outdated.
                for role in [Role::Routing, Role::Igmp] {
                    *self.changes.entry((former, role)).or_default() += 1;
                }
                self.hand = place + 1;
            }
        }
        let key = (interface, role);
        if self.owners.contains_key(&key) {
            return Err(Outcome::Owned);
        }
        self.owners.insert(key, client);
        Ok(self.record_change(client, key, true))
    }

    /// Returns the first place, from the hand on, of an interface that has no owner and on which nothing depends.
    fn unneeded_place(&self) -> Option<usize> {
        let unneeded = |place: &usize| {
            let interface = self.known[*place];
            let owned =
                [Role::Routing, Role::Igmp].iter().any(|role| self.owners.contains_key(&(interface, *role)));
            let joined = self.memberships.keys().any(|(_, key)| key.0 == interface);
            !owned && !joined && self.entries_where(|_, entry| entry.mentions(interface)).is_empty()
        };
        (self.hand..self.known.len()).chain(0..self.hand).find(unneeded)
    }

    /// Does the first part of [`release`](Self::release).
    ///
    /// # Errors
    /// The outcome of a release that is refused.
    pub fn release_effect(
        &mut self,
        client: ClientId,
        interface: Interface,
    ) -> Result<OwnershipChange, Outcome> {
        let key = (interface, self.role(client).ok_or(Outcome::Stale)?);
        if self.owners.get(&key) != Some(&client) {
            return Err(Outcome::NotOwner);
        }
        self.owners.remove(&key);
        Ok(self.record_change(client, key, false))
    }

    fn record_change(&mut self, client: ClientId, key: OwnershipKey, taken: bool) -> OwnershipChange {
        let number = self.changes(key) + 1;
        self.changes.insert(key, number);
        let igmp_key = (key.0, Role::Igmp);
        let igmp = self.owners.get(&igmp_key).filter(|_| key.1 == Role::Routing);
        OwnershipChange { client, key, taken, number, igmp: igmp.map(|igmp| (*igmp, self.changes(igmp_key))) }
    }

    /// Returns whether the follow-up of a change disables and enables IGMP.
    #[must_use]
    pub fn handover_due(&self, change: &OwnershipChange) -> HandoverDue {
        let igmp_key = (change.key.0, Role::Igmp);
        match self.owners.get(&igmp_key) {
            Some(igmp) if change.key.1 == Role::Routing => {
                let now = Some((*igmp, self.changes(igmp_key)));
                if change.igmp == now { HandoverDue::Required } else { HandoverDue::Optional }
            }
            _ => HandoverDue::No,
        }
    }

    /// Follows up a change of owner: sweeps what depended on the old ownership, notifies the clients concerned, and begins
    /// IGMP's handover if the routing protocol on its interface has changed.
    pub fn follow_up(&mut self, change: &OwnershipChange, handover: bool) {
        let interface = change.key.0;
        self.sweep(interface, Some(change.client));
        let number = self.changes((interface, Role::Igmp));
        let routing = self.changes((interface, Role::Routing));
        match change.key.1 {
            Role::Igmp if change.taken && change.number == number => {
                let begun = IgmpTenure { number, notified: routing, queued: 0 };
                self.tenure(interface, begun);
            }
            // A tenure that began after the release goes on.
            Role::Igmp => {
                if self.igmp.get(&interface).is_some_and(|tenure| tenure.number < change.number) {
                    self.igmp.remove(&interface);
                }
            }
            Role::Routing => {
                if let Some(igmp) = self.owners.get(&(interface, Role::Igmp)).copied().filter(|_| handover) {
                    self.begin_handover(igmp, interface, number, change.number);
                }
            }
        }
    }

    /// Returns IGMP's tenure with the number of `begun`, which begins if there is none.
    fn tenure(&mut self, interface: Interface, begun: IgmpTenure) -> &mut IgmpTenure {
        let tenure = self.igmp.entry(interface).or_insert(begun);
        if tenure.number != begun.number {
            *tenure = begun;
        }
        tenure
    }

    fn begin_handover(&mut self, igmp: ClientId, interface: Interface, number: u64, change: u64) {
        // Counts this change only: a later one that has already taken effect gets a notice of its own.
        let begun = IgmpTenure { number, notified: change, queued: 0 };
        self.tenure(interface, begun).queued += 1;
        self.notices.push(Notice {
            to: igmp,
            kind: NoticeKind::Handover(interface),
            requires: Some(OwnershipVersion { interface, routing: None, igmp: Some(number) }),
            entry: None,
            change,
        });
    }

    /// Records that a handover was delivered up to "enable", was dropped, or was merged with another one.
    pub fn finish_handover(&mut self, notice: &Notice) {
        let NoticeKind::Handover(interface) = notice.kind else { return };
        let number = notice.requires.and_then(|version| version.igmp);
        if let Some(tenure) = self.igmp.get_mut(&interface).filter(|tenure| Some(tenure.number) == number) {
            tenure.queued = tenure.queued.saturating_sub(1);
            tenure.notified = tenure.notified.max(notice.change);
        }
    }

    /// Returns whether IGMP may add and delete memberships: it was notified of every change of the routing protocol.
    #[must_use]
    pub fn igmp_is_up_to_date(&self, interface: Interface) -> bool {
        let number = self.changes((interface, Role::Igmp));
        self.igmp.get(&interface).is_none_or(|tenure| {
            tenure.number != number
                || (tenure.queued == 0 && tenure.notified == self.changes((interface, Role::Routing)))
        })
    }

    /// Returns the protocol that owns an interface: the routing protocol, or else IGMP.
    #[must_use]
    pub fn owner_of(&self, interface: Interface) -> Option<Protocol> {
        self.deciding_owner(interface).and_then(|owner| self.protocol_of(owner))
    }

    /// Returns the client that decides about packets that arrive on an interface.
    #[must_use]
    pub fn deciding_owner(&self, interface: Interface) -> Option<ClientId> {
        let owner = |role| self.owners.get(&(interface, role)).copied();
        owner(Role::Routing).or_else(|| owner(Role::Igmp))
    }

    pub(super) fn changes(&self, key: OwnershipKey) -> u64 {
        self.changes.get(&key).copied().unwrap_or(0)
    }

    /// Returns the version that depends on a key. IGMP's depends on the routing protocol's key as well.
    #[must_use]
    pub fn version(&self, key: OwnershipKey) -> OwnershipVersion {
        let (interface, role) = key;
        OwnershipVersion {
            interface,
            routing: Some(self.changes((interface, Role::Routing))),
            igmp: (role == Role::Igmp).then(|| self.changes(key)),
        }
    }

    /// Returns the version of the owner that decides about packets that arrive on an interface.
    #[must_use]
    pub fn arrival_version(&self, interface: Interface) -> OwnershipVersion {
        let routing = self.owners.contains_key(&(interface, Role::Routing));
        self.version((interface, if routing { Role::Routing } else { Role::Igmp }))
    }

    /// Returns whether no owner has changed that the version depends on.
    #[must_use]
    pub fn is_current(&self, version: OwnershipVersion) -> bool {
        let same = |role, at: Option<u64>| at.is_none_or(|at| at == self.changes((version.interface, role)));
        same(Role::Routing, version.routing) && same(Role::Igmp, version.igmp)
    }

    /// Removes dead memberships of an interface, settles which client is told of the (s,g) with this RPF interface, renews the
    /// entries that mention it, and notifies the clients concerned.
    pub(super) fn sweep(&mut self, interface: Interface, causer: Option<ClientId>) {
        let members = self.memberships.iter();
        let mut dead: Vec<_> = members
            .filter(|((_, key), join)| key.0 == interface && !self.is_current(join.version))
            .map(|((membership, key), join)| (*membership, *key, *join))
            .collect();
        dead.sort_by_key(|(membership, key, _)| (membership.group(), membership.source(), *key));
        // A client causes the end of memberships that it releases. IGMP does not cause the end of those that die because the
        // routing protocol has changed.
        let tenure = Some(self.changes((interface, Role::Igmp)));
        let released =
            dead.iter().filter(|(_, key, join)| key.1 == Role::Routing || join.version.igmp != tenure);
        let causers: BTreeSet<ClientId> = released.map(|(.., join)| join.client).chain(causer).collect();
        for (membership, key, _) in dead {
            self.remove_member(membership, key);
        }
        let rpf = self.rpf_joins.iter().filter(|(_, join)| join.interface == Some(interface));
        let rpf: Vec<Flow> = rpf.map(|(flow, _)| *flow).collect();
        rpf.into_iter().for_each(|flow| self.settle_rpf_owner(flow));
        // An interface that has lost its place since the change is as unknown as before.
        if self.known.contains(&interface) {
            self.end_flows(|_, entry| entry.arrival == Arrival::UnknownInterface(interface));
        }
        let mentioning: Vec<Flow> = self.entries_where(|_, entry| entry.mentions(interface));
        self.end_flows(|spec, entry| entry.mentions(interface) && !spec.still_arrives(&entry.arrival));
        self.renew(mentioning, Renewal::Swept(interface), &causers);
    }
}
