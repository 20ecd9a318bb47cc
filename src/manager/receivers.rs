//! Adding and deleting memberships.

use super::change::Change;
use super::interfaces::Role;
use super::ownership::Towards;
use super::records::{Contribution, Share};
use super::said::Action;
use super::{GroupManager, Interface, Membership, MembershipError, State, StateChange};
use crate::faults;
use crate::forwarding::VifIndex;
use crate::handle::Handle;
use crate::manager::points;
use crate::memory;

impl GroupManager {
    /// Says that there are receivers on an interface of the client's (`MgmAddGroupMembershipEntry`).
    ///
    /// - [`StateChange::Join`] keeps the membership and has every flow it covers, now and later, copied to the interface. What
    ///   the client had said of the interface in single flows before, a veto or a FORWARD add or delete, yields.
    /// - [`StateChange::Forward`] has the flows that it covers, and that have an entry now, copied to the interface. Nothing is
    ///   kept for later flows, nor for the time after the entry's life.
    ///
    /// Other clients are told of receivers that are new to them ([`Client::join_alert`](super::Client::join_alert),
    /// [`Client::local_join`](super::Client::local_join)).
    ///
    /// A membership that is there already is not an error, and takes its effect again. A group of link-local scope is
    /// accepted, though its packets are never forwarded. May wait for the membership lock.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn add_membership(
        &self,
        client: Handle,
        interface: Interface,
        membership: Membership,
        effect: StateChange,
    ) -> Result<(), MembershipError> {
        // Whether the interface towards the source has to be told is seen under the lock; which it is, is asked before,
        // because the routes are the caller's.
        let changes = self.routing.changes();
        let towards = match membership {
            Membership::OneSource(flow) if effect != StateChange::Forward => self.towards(flow.source()),
            _ => None,
        };
        let said =
            self.say(client, interface, membership, towards, |change, share, contribution, towards| {
                if effect != StateChange::Join || !change.state.records.contains(membership, share) {
                    memory::room_for_records()?;
                }
                if effect != StateChange::Forward {
                    self.make_room(change, membership, share)?;
                    self.admit(change, membership, share, contribution, towards);
                    act(&mut change.state, membership, share, Action::JoinAdd);
                }
                if effect != StateChange::Join {
                    act(&mut change.state, membership, share, Action::ForwardAdd(contribution.stamp));
                }
                Ok(())
            });
        // The routes have changed meanwhile, and whoever said so may have come by before the membership was there.
        if let (Ok(()), Some(source)) = (said, membership.source())
            && self.routing.changes() != changes
        {
            self.turn_joined(|affected| affected == source);
        }
        said
    }

    /// Says that there are no receivers left on an interface of the client's (`MgmDeleteGroupMembershipEntry`).
    ///
    /// - [`StateChange::Join`] ends the membership; flows that nothing else has copied to the interface are not copied there any
    ///   more. What the client had said by FORWARD add or delete of the interface in flows it covers yields; a veto stays.
    /// - [`StateChange::Forward`] has the flows that it covers, and that have an entry now, copied no more to the interface on
    ///   the client's account; the membership stays.
    ///
    /// Other clients are told of receivers that are gone ([`Client::prune_alert`](super::Client::prune_alert),
    /// [`Client::local_leave`](super::Client::local_leave)).
    ///
    /// A membership that is not there is not an error. May wait for the membership lock.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn delete_membership(
        &self,
        client: Handle,
        interface: Interface,
        membership: Membership,
        effect: StateChange,
    ) -> Result<(), MembershipError> {
        self.say(client, interface, membership, None, |change, share, contribution, towards| {
            if effect != StateChange::Join {
                memory::room_for_records()?;
            }
            if effect != StateChange::Forward {
                self.dismiss(change, membership, share, towards);
                act(&mut change.state, membership, share, Action::JoinDelete);
            }
            if effect != StateChange::Join {
                act(&mut change.state, membership, share, Action::ForwardDelete(contribution.stamp));
            }
            Ok(())
        })
    }

    /// Checks that the client may say something of the interface, has it said (`towards` is the interface towards the source
    /// of (s,g), unless somebody has it already), renews the entries it covers, and tells whom
    /// all that matters to.
    fn say(
        &self,
        client: Handle,
        interface: Interface,
        membership: Membership,
        towards: Option<Interface>,
        say: impl FnOnce(&mut Change<'_>, Share, Contribution, Towards) -> Result<(), MembershipError>,
    ) -> Result<(), MembershipError> {
        let role = self.clients.role(client).ok_or(MembershipError::Stale)?;
        if interface.family() != membership.family() {
            return Err(MembershipError::FamiliesDiffer(interface));
        }
        let record = self.interfaces.find(interface).ok_or(MembershipError::NotTaken(interface))?;
        let mut change = self.change_state();
        // From here on whoever changes the ownership sweeps after us; and the ownership is looked at after that. What is
        // said is said at the instant of the last such look: a change that comes later finds it and sweeps it. Nothing that
        // counts beside it is dead at that instant, because there is nothing dead after it, and under the lock nothing comes
        // to life. Each further look is due to a change of hands, somebody else's call that succeeded.
        record.set_in_use(true);
        faults::point(points::MEMBERSHIP_LOCKED);
        let (owned, towards, listed) = loop {
            let upstream = change.state.towards(membership).or(towards);
            let looked = self.owned_by(client, role, record, upstream)?;
            let (routing, igmp) = looked.0.words();
            if role == Role::Igmp && !change.state.switches.settled(record.number, igmp, routing) {
                return Err(MembershipError::ChangingHands(interface));
            }
            if !self.settle(&mut change, membership) || planted!("sweep-once") {
                break looked;
            }
        };
        change.tell.listed = listed;
        let counts = role == Role::Routing || owned.without_routing();
        let contribution = Contribution { client, stamp: owned.stamp(record, role), counts };
        say(&mut change, (record.number, role), contribution, towards)?;
        faults::point(points::MEMBERSHIP_HALF_ADDED);
        let (flows, with) = self.split(&mut change.state);
        for flow in flows.covered(membership) {
            flows.renew(flow, None, with);
        }
        self.tell_of_entries(&mut change, &[client]);
        Ok(())
    }

    /// Sees to it that a further membership has room.
    fn make_room(
        &self,
        change: &mut Change<'_>,
        membership: Membership,
        share: Share,
    ) -> Result<(), MembershipError> {
        if change.state.records.contains(membership, share) {
            return Ok(());
        }
        // Dead memberships whose sweeper is still on its way must not count.
        let (most_here, most) = (self.config.memberships_per_interface, self.config.memberships);
        if change.state.records.len_of_share(share) >= most_here as usize {
            self.sweep_all(change, [share.0]);
        }
        if change.state.records.len() >= most as usize {
            self.sweep_all(change, change.state.records.interfaces());
        }
        let records = &change.state.records;
        let exceeded = if records.len_of_share(share) >= most_here as usize {
            most_here
        } else if records.len() >= most as usize {
            most
        } else {
            return Ok(());
        };
        change.state.flows.limit_counters.memberships_refused += 1;
        Err(MembershipError::TooMany(exceeded))
    }

    /// Sweeps interfaces, but for those where nothing can be dead: whoever goes on saying memberships that there is no room
    /// for must not have everything looked at each time.
    fn sweep_all(&self, change: &mut Change<'_>, interfaces: impl IntoIterator<Item = VifIndex>) {
        for record in interfaces.into_iter().filter_map(|number| self.interfaces.get(number)) {
            // Owner words never come back to what they were: if they are the same now, they were throughout.
            let words = self.owned(record).words();
            if change.state.records.swept_under(record.number, words) {
                continue;
            }
            self.sweep(change, record, None);
        }
    }
}

fn act(state: &mut State, membership: Membership, share: Share, action: Action) {
    for flow in state.flows.covered(membership) {
        state.flows.act(flow, share, action);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::interfaces::Role;
    use super::super::{ManagerConfig, Protocol};
    use super::*;
    use std::sync::Arc;

    /// Between a change of hands and its sweep: what has died does not count, of one interface or of all, however often there
    /// was no room before.
    #[test]
    fn memberships_that_are_dead_and_not_swept_leave_room() {
        for (here, all) in [(2, 100), (100, 2)] {
            let config = ManagerConfig {
                memberships_per_interface: here,
                memberships: all,
                ..ManagerConfig::default()
            };
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
                // The effects alone, as when the releasing thread is stopped right behind its own.
                let word = manager.interfaces.find(lan).unwrap().owner(Role::Routing);
                manager.clients.table.release(client, word).unwrap();
                manager.clients.table.claim(client, word).unwrap();
            }
        }
    }
}
