//! Removing memberships that died with a change of ownership.

use super::locked::LockedState;
use super::ownership::Ownership;
use crate::forwarding::{Stamp, VifIndex};
use crate::handle::Handle;
use crate::manager::flows::Reason;
use crate::manager::state::{InterfaceRecord, Member, Role, RoleKey};
use crate::manager::{GroupManager, Membership, MembershipError};
use std::collections::BTreeSet;

impl GroupManager {
    /// Removes the dead memberships of an interface, renews the entries that depend on it, and queues the notices. `causer`
    /// is the client that made the call behind the sweep, if that call is about the interface. Returns the owners of the interface at
    /// the instant of the sweep.
    ///
    /// The sweep decides by the interface's two owner words, which it reads once: they tell for each membership of the interface
    /// whether it is dead. If they change afterwards, the thread that changed them sweeps again. So a sweep looks once at what
    /// the interface has, whatever other threads do meanwhile.
    pub(super) fn sweep(
        &self,
        locked: &mut LockedState<'_>,
        record: &InterfaceRecord<'_>,
        causer: Option<Handle>,
    ) -> Ownership {
        let vif = record.vif;
        let (ownership, dead) = self.read_dead(locked, record);
        // Its place may be another interface's by now, so nothing of the place is touched. Under the lock no place changes.
        if !record.is_named() {
            self.settle_all(locked, record);
            // It may have been taken again since, in another place.
            if self.interfaces.find(record.interface).is_some() {
                let (flows, ctx) = self.split(&mut locked.state);
                flows.interface_taken(record.interface, ctx);
            }
            return ownership;
        }
        if locked.state.rpf_joins.mentions(record.interface) {
            locked.note_rpf_owner(record.interface, ownership.deciding());
        }
        // Whichever thread sweeps, the releasing client caused the release. IGMP did not cause what ends because the routing
        // protocol changed.
        let igmp = Stamp::one(record.igmp, ownership.words().1);
        let released = dead
            .iter()
            .filter(|(_, key, member)| key.role == Role::Routing || !member.stamp.depends_on(&igmp));
        // A set, because one client may have released thousands, and each transition looks for its client here.
        let causers: BTreeSet<Handle> = released.map(|(_, _, member)| member.client).chain(causer).collect();
        let causers = Vec::from_iter(causers);
        for (membership, key, _) in dead {
            self.remove_member(locked, membership, key);
        }
        self.settle_all(locked, record);
        let (flows, ctx) = self.split(&mut locked.state);
        flows.interface_taken(record.interface, ctx);
        // First the entries that end, so that those which become negative find more room.
        let mentioning = flows.mentioning(vif);
        mentioning.iter().for_each(|flow| flows.end_if_dead(*flow, ctx));
        mentioning.iter().for_each(|flow| flows.renew(*flow, vif, Reason::Swept, ctx));
        let in_use = flows.is_mentioned(vif) || ctx.members.mentions(vif);
        record.set_in_use(in_use || locked.state.rpf_joins.mentions(record.interface));
        locked.state.looks += mentioning.len() as u64;
        self.notify_of_transitions(locked, &causers);
        ownership
    }

    /// Settles every flow with this RPF interface, whether the interface still has a place or not.
    fn settle_all(&self, locked: &mut LockedState<'_>, record: &InterfaceRecord<'_>) {
        for flow in locked.state.rpf_joins.through(record.interface) {
            self.settle(locked, flow);
        }
    }

    /// Returns the owners of an interface, and its memberships that are dead under them.
    fn read_dead(
        &self,
        locked: &mut LockedState<'_>,
        record: &InterfaceRecord<'_>,
    ) -> (Ownership, Vec<(Membership, RoleKey, Member)>) {
        let ownership = self.ownership(record);
        let dead = dead_on(locked, record, &ownership);
        (ownership, dead)
    }

    /// Sweeps the interfaces with a dead member among the [witnesses](crate::manager::state::MembershipTable::dead_witnesses) of
    /// a membership, so that its clients are counted right. `own` is the member that is about to change, with its client.
    /// Returns whether there was any.
    pub(super) fn sweep_dead(
        &self,
        locked: &mut LockedState<'_>,
        membership: Membership,
        own: Option<(Handle, RoleKey)>,
    ) -> bool {
        let owners = self.clients.table.owners();
        let (dead, looks) = locked.state.members.dead_witnesses(membership, own, owners);
        locked.state.looks += looks;
        for record in dead.iter().filter_map(|vif| self.interfaces.get(*vif)) {
            self.sweep(locked, &record, None);
        }
        !dead.is_empty()
    }

    /// Checks that a further membership has room, after sweeping dead ones if necessary.
    pub(super) fn make_room(
        &self,
        locked: &mut LockedState<'_>,
        membership: Membership,
        key: RoleKey,
    ) -> Result<(), MembershipError> {
        if locked.state.members.contains(membership, key) {
            return Ok(());
        }
        // Dead memberships that are not swept yet must not count.
        let (max_here, max) = (self.config.memberships_per_interface, self.config.memberships);
        if locked.state.members.len_of(key) >= max_here as usize {
            self.sweep_all(locked, [key.vif]);
        }
        if locked.state.members.len() >= max as usize {
            self.sweep_all(locked, locked.state.members.interfaces());
        }
        let members = &locked.state.members;
        let exceeded = if members.len_of(key) >= max_here as usize {
            max_here
        } else if members.len() >= max as usize {
            max
        } else {
            return Ok(());
        };
        locked.state.flows.limit_counters.memberships_refused += 1;
        Err(MembershipError::TooMany(exceeded))
    }

    /// Sweeps interfaces, except those where nothing can be dead: a client that keeps adding memberships without room must
    /// not cause a full sweep each time.
    fn sweep_all(&self, locked: &mut LockedState<'_>, vifs: impl IntoIterator<Item = VifIndex>) {
        for record in vifs.into_iter().filter_map(|vif| self.interfaces.get(vif)) {
            // Owner words never recur: if they are the same now, they were the same throughout.
            let words = self.ownership(&record).words();
            if locked.state.members.swept_under(record.vif, words) {
                continue;
            }
            self.sweep(locked, &record, None);
        }
    }
}

/// Returns the memberships of an interface that are dead under its owners, in the order of their notices.
fn dead_on(
    locked: &mut LockedState<'_>,
    record: &InterfaceRecord<'_>,
    ownership: &Ownership,
) -> Vec<(Membership, RoleKey, Member)> {
    let (members, mut looks) = (&locked.state.members, 0);
    let mut dead = Vec::new();
    for key in RoleKey::both(record.vif) {
        let current = ownership.stamp(record, key.role);
        for membership in members.of(key) {
            looks += 1;
            if let Some(member) = members.get(membership).and_then(|members| members.get(&key))
                && member.stamp != current
            {
                dead.push((membership, key, *member));
            }
        }
    }
    locked.state.looks += looks;
    dead.sort_by_key(|(membership, key, _)| (membership.group(), membership.source(), *key));
    dead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::{Interface, ManagerConfig, Protocol, StateChange};
    use std::sync::Arc;

    /// Between a change of ownership and its sweep.
    #[test]
    fn dead_memberships_leave_room_before_they_are_swept() {
        for (here, all) in [(2, 100), (100, 2)] {
            let config = ManagerConfig::default().with_memberships_per_interface(here).with_memberships(all);
            let manager = GroupManager::new(config, Arc::new(|_| None)).unwrap();
            let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
            let lan = Interface::v4(1);
            manager.take(client, lan).unwrap();
            let join = |group: u8| {
                let group = Membership::any_source([239, 0, 0, group].into()).unwrap();
                manager.add_membership(client, lan, group, StateChange::Join)
            };
            for round in 0..3 {
                let [a, b, c] = [1, 2, 3].map(|n| 10 * round + n);
                assert_eq!([join(a), join(b)], [Ok(()); 2], "round {round}");
                assert_eq!([join(c), join(c)], [Err(MembershipError::TooMany(2)); 2]);
                // Only the effects, as if the releasing thread were stopped right after its own.
                let word = manager.interfaces.find(lan).unwrap().owner(Role::Routing);
                manager.clients.table.release(client, word).unwrap();
                manager.clients.table.claim(client, word).unwrap();
            }
        }
    }
}
