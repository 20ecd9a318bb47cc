//! Memberships: `MgmAddGroupMembershipEntry`, `MgmDeleteGroupMembershipEntry`.

use super::flows::{FlowStage, OwnerDecision};
use super::renewal::Renewal;
use super::{ClientId, NoticeKind, Outcome, OwnershipKey, OwnershipVersion, Role, Spec};
use mgm::manager::{Cause, Interface, Membership, StateChange};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The state of one membership on one ownership key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct JoinState {
    pub(super) client: ClientId,
    pub(super) version: OwnershipVersion,
    /// Whether other clients are notified of it. IGMP's memberships beside a routing protocol do not count: that protocol
    /// decides about them.
    pub(super) counts: bool,
}

/// A (s,g) for which a client counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct RpfJoin {
    /// The RPF interface, as the routes gave it at the first join or at their last change.
    pub(super) interface: Option<Interface>,
    /// The client that was told last that others count, and has been told nothing else since.
    pub(super) told: Option<Told>,
}

/// A client that was told of a join, and the RPF interface that it decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) client: ClientId,
    pub(super) interface: Interface,
}

impl Spec {
    /// Adds a membership on an interface that the client owns. `upstream` is the interface that the routes give for the
    /// source of (s,g).
    pub fn add(
        &mut self,
        client: ClientId,
        interface: Interface,
        membership: Membership,
        change: StateChange,
        upstream: Option<Interface>,
    ) -> Outcome {
        self.update(client, interface, membership, change, Some(upstream))
    }

    /// Deletes a membership.
    pub fn delete(
        &mut self,
        client: ClientId,
        interface: Interface,
        membership: Membership,
        change: StateChange,
    ) -> Outcome {
        self.update(client, interface, membership, change, None)
    }

    /// Adds (`add` holds the upstream interface) or deletes (`add` is `None`) a membership.
    fn update(
        &mut self,
        client: ClientId,
        interface: Interface,
        membership: Membership,
        change: StateChange,
        add: Option<Option<Interface>>,
    ) -> Outcome {
        let Some(role) = self.role(client) else { return Outcome::Stale };
        if interface.family() != membership.family() {
            return Outcome::FamiliesDiffer;
        }
        let key = (interface, role);
        match self.owners.get(&key) {
            None => return Outcome::NotTaken,
            Some(owner) if *owner != client => return Outcome::NotOwner,
            Some(_) if role == Role::Igmp && !self.igmp_is_up_to_date(interface) => {
                return Outcome::ChangingHands;
            }
            Some(_) => {}
        }
        self.sweep_dead(membership, Some((client, key)));
        let (join, forward) = (change != StateChange::Forward, change != StateChange::Join);
        if let (true, Some(upstream)) = (join, add) {
            if !self.memberships.contains_key(&(membership, key)) {
                if self.memberships.len() >= self.limits.memberships {
                    let joined: BTreeSet<Interface> = self.memberships.keys().map(|(_, key)| key.0).collect();
                    let known: Vec<Interface> =
                        self.known.iter().copied().filter(|known| joined.contains(known)).collect();
                    known.into_iter().for_each(|interface| self.sweep(interface, None));
                }
                if self.memberships.len() >= self.limits.memberships {
                    return Outcome::TooMany;
                }
            }
            self.add_member(membership, key, client, upstream);
        } else if join {
            self.remove_member(membership, key);
        }
        self.decide_covered_flows(membership, key, join, forward.then_some(add.is_some()), add.is_some());
        let covered = self.entries_where(|flow, _| membership.covers(flow));
        self.renew(covered, Renewal::Changed(interface), &BTreeSet::from([client]));
        Outcome::Ok
    }

    /// Applies an update to the decisions of every flow it covers. An owner's last action on its key wins.
    fn decide_covered_flows(
        &mut self,
        membership: Membership,
        key: OwnershipKey,
        join: bool,
        forward: Option<bool>,
        adds: bool,
    ) {
        let version = self.version(key);
        for (flow, stage) in &mut self.flows {
            if !membership.covers(flow) {
                continue;
            }
            let decisions = match stage {
                FlowStage::Installed(entry) => &mut entry.decisions,
                FlowStage::Building { decisions, acted } => {
                    acted.insert(key);
                    decisions
                }
            };
            let decision = decisions.entry(key).or_default();
            if join {
                decision.edit = None;
            }
            if let Some(forward) = forward {
                decision.edit = Some((forward, version));
            }
            if adds {
                decision.veto = None;
            }
            if *decision == OwnerDecision::default() {
                decisions.remove(&key);
            }
        }
    }

    /// Sweeps the interfaces with a dead member among the witnesses of a membership, until no witness is
    /// dead. Every call about a membership begins with it, even a call that is then refused. `own` is the client of the call
    /// and the key that it changes.
    pub fn sweep_dead(&mut self, membership: Membership, own: Option<(ClientId, OwnershipKey)>) {
        loop {
            let mut witnesses = self.witnesses(membership, own);
            witnesses.retain(|key| !self.is_current(self.memberships[&(membership, *key)].version));
            let dead = |known: &Interface| witnesses.iter().any(|key| key.0 == *known);
            let dead: Vec<Interface> = self.known.iter().copied().filter(dead).collect();
            if dead.is_empty() {
                return;
            }
            dead.into_iter().for_each(|interface| self.sweep(interface, None));
        }
    }

    /// Returns the keys of the members that a change of a membership depends on: the member that is changed, two others of its
    /// client, and one of each of the first three clients that count. While they are live, the notices of the change are
    /// right whichever of the remaining members are dead.
    fn witnesses(&self, membership: Membership, own: Option<(ClientId, OwnershipKey)>) -> Vec<OwnershipKey> {
        let place = |key: &OwnershipKey| self.known.iter().position(|known| *known == key.0);
        let joins = self.memberships.iter().filter(|((other, _), _)| *other == membership);
        let counting = joins.filter(|(_, join)| join.counts);
        let mut counting: Vec<(ClientId, OwnershipKey)> =
            counting.map(|((_, key), join)| (join.client, *key)).collect();
        counting.sort_by_key(|(client, key)| (*client, place(key), key.1));
        let of_client = counting.iter().filter(|(client, _)| own.is_some_and(|(own, _)| own == *client));
        let mut first_of_each = counting.clone();
        first_of_each.dedup_by_key(|(client, _)| *client);
        let own = own.map(|(_, key)| key).filter(|key| self.memberships.contains_key(&(membership, *key)));
        let others = of_client.take(2).chain(first_of_each.iter().take(3)).map(|(_, key)| *key);
        own.into_iter().chain(others).collect()
    }

    /// Returns the clients that count for a membership.
    pub(super) fn members(&self, membership: Membership) -> BTreeSet<ClientId> {
        let joins = self.memberships.iter();
        let counting = joins.filter(|((other, _), join)| join.counts && *other == membership);
        counting.map(|(_, join)| join.client).collect()
    }

    fn add_member(
        &mut self,
        membership: Membership,
        key: OwnershipKey,
        client: ClientId,
        upstream: Option<Interface>,
    ) {
        if self.memberships.contains_key(&(membership, key)) {
            return;
        }
        let before = self.members(membership);
        let (interface, role) = key;
        let counts = role == Role::Routing || !self.owners.contains_key(&(interface, Role::Routing));
        let version = self.version(key);
        self.memberships.insert((membership, key), JoinState { client, version, counts });
        if !counts {
            return self.notify_routing_owner(
                interface,
                version,
                NoticeKind::LocalJoin(interface, membership),
            );
        }
        match membership {
            Membership::OneSource(flow) => {
                self.rpf_joins.entry(flow).or_insert(RpfJoin { interface: upstream, told: None });
                self.settle_rpf_owner(flow);
            }
            _ if before.contains(&client) => {}
            _ => {
                let joined = NoticeKind::Join(membership, Cause::Membership);
                self.notify_others(&before, client, joined);
            }
        }
    }

    pub(super) fn remove_member(&mut self, membership: Membership, key: OwnershipKey) {
        let Some(join) = self.memberships.remove(&(membership, key)) else { return };
        if !join.counts {
            let left = NoticeKind::LocalLeave(key.0, membership);
            return self.notify_routing_owner(key.0, join.version, left);
        }
        let remaining = self.members(membership);
        match membership {
            Membership::OneSource(flow) => self.settle_rpf_owner(flow),
            _ if remaining.contains(&join.client) => {}
            _ => {
                let pruned = NoticeKind::Prune(membership, key.0, Cause::Membership);
                self.notify_others(&remaining, join.client, pruned);
            }
        }
    }
}
