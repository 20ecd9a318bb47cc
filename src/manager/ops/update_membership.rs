//! Adding and deleting memberships.

use super::locked::LockedState;
use super::ownership::Ownership;
use crate::faults;
use crate::forwarding::Flow;
use crate::handle::Handle;
use crate::manager::clients::Notice;
use crate::manager::flows::{Action, Reason};
use crate::manager::points;
use crate::manager::state::{InterfaceRecord, Member, Network, Role, RoleKey};
use crate::manager::{Cause, GroupManager, Interface, JoinAlert, Membership, MembershipError, StateChange};
use crate::memory;

/// What an owner does to the flows that a membership covers, in this order.
type Actions = [Option<Action>; 2];

/// The call that changes a membership.
#[derive(Clone, Copy)]
struct Request {
    client: Handle,
    interface: Interface,
    membership: Membership,
}

impl GroupManager {
    /// Adds a membership on an interface of the client (`MgmAddGroupMembershipEntry`).
    ///
    /// - [`StateChange::Join`] keeps the membership, and has every flow that it covers, now and later, copied to the
    ///   interface. It overrides earlier vetoes and FORWARD changes of the client for single flows there.
    /// - [`StateChange::Forward`] has the covered flows that have an entry now copied to the interface. It has no effect on
    ///   later flows, nor after the entry has ended.
    ///
    /// Other clients are notified of receivers that are new to them ([`Client::join_alert`](crate::manager::Client::join_alert),
    /// [`Client::local_join`](crate::manager::Client::local_join)).
    ///
    /// Adding a membership again is not an error, and takes its effect again. A group of link-local scope is accepted,
    /// though its packets are never forwarded. May wait for the membership lock.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn add_membership(
        &self,
        client: Handle,
        interface: Interface,
        membership: Membership,
        change: StateChange,
    ) -> Result<(), MembershipError> {
        // The routes are foreign code, so they are asked before the lock. Whether the owner of the RPF interface has to be
        // notified is decided under the lock.
        let version = self.route_version.get();
        let rpf_interface = match membership {
            Membership::OneSource(flow) if change != StateChange::Forward => {
                self.rpf_interface(flow.source())
            }
            _ => None,
        };
        let request = Request { client, interface, membership };
        let result = self.update_membership(request, |locked, key, member| {
            if change != StateChange::Join || !locked.state.members.contains(membership, key) {
                memory::room_for_records()?;
            }
            if change != StateChange::Forward {
                self.make_room(locked, membership, key)?;
                self.add_member(locked, membership, key, member, rpf_interface);
            }
            Ok(actions(change, Action::JoinAdd, Action::ForwardAdd(member.stamp)))
        });
        // The routes may have changed meanwhile, and their change may have been processed before the membership existed.
        if let (Ok(()), Some(source)) = (result, membership.source())
            && self.route_version.get() != version
            && !planted!("routes-unchecked")
        {
            self.reroute_joined(Some(Network::of_one(source)), |_| true);
        }
        result
    }

    /// Deletes a membership on an interface of the client (`MgmDeleteGroupMembershipEntry`).
    ///
    /// - [`StateChange::Join`] ends the membership. Flows are no longer copied to the interface unless something else asks
    ///   for it. Earlier FORWARD changes of the client for covered flows there are forgotten; a veto stays.
    /// - [`StateChange::Forward`] ends the copying of the covered flows that have an entry now, as far as the client asked
    ///   for it. The membership stays.
    ///
    /// Other clients are notified of receivers that are gone ([`Client::prune_alert`](crate::manager::Client::prune_alert),
    /// [`Client::local_leave`](crate::manager::Client::local_leave)).
    ///
    /// Deleting a membership that does not exist is not an error. May wait for the membership lock.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn delete_membership(
        &self,
        client: Handle,
        interface: Interface,
        membership: Membership,
        change: StateChange,
    ) -> Result<(), MembershipError> {
        let request = Request { client, interface, membership };
        self.update_membership(request, |locked, key, member| {
            if change != StateChange::Join {
                memory::room_for_records()?;
            }
            if change != StateChange::Forward {
                self.remove_member(locked, membership, key);
            }
            Ok(actions(change, Action::JoinDelete, Action::ForwardDelete(member.stamp)))
        })
    }

    /// Checks that the client may change memberships on the interface, runs `change`, applies the actions that it returns to
    /// the covered flows, and delivers the notices.
    fn update_membership(
        &self,
        request: Request,
        change: impl FnOnce(&mut LockedState<'_>, RoleKey, Member) -> Result<Actions, MembershipError>,
    ) -> Result<(), MembershipError> {
        let Request { client, interface, membership, .. } = request;
        let role = self.clients.role(client).ok_or(MembershipError::Stale)?;
        if interface.family() != membership.family() {
            return Err(MembershipError::FamiliesDiffer(interface));
        }
        let record = self.interfaces.find(interface).ok_or(MembershipError::NotTaken(interface))?;
        self.update_state(|locked| {
            let ownership = self.check_owner(locked, &record, role, request)?;
            let counts = role == Role::Routing || ownership.without_routing();
            let member = Member { client, stamp: ownership.stamp(&record, role), counts };
            let key = RoleKey::new(record.vif, role);
            let actions = change(locked, key, member)?;
            faults::point(points::MEMBERSHIP_HALF_ADDED);
            let (flows, ctx) = self.split(&mut locked.state);
            let covered = flows.covered(membership);
            let acted = Reason::Acted(key, &actions);
            covered.iter().for_each(|flow| flows.renew(*flow, record.vif, acted, ctx));
            locked.state.looks += covered.len() as u64;
            self.notify_of_transitions(locked, &[client]);
            Ok(())
        })
    }

    /// Checks that the client owns the interface, at an instant at which no witness of the membership is dead
    /// ([`sweep_dead`](Self::sweep_dead)). The change linearizes at that instant.
    fn check_owner(
        &self,
        locked: &mut LockedState<'_>,
        record: &InterfaceRecord<'_>,
        role: Role,
        request: Request,
    ) -> Result<Ownership, MembershipError> {
        let Request { client, interface, membership } = request;
        // From here on a thread that changes the ownership sweeps after this call, and the ownership is read after that. The
        // change linearizes at the last such read: a later change of ownership finds the membership and sweeps it. No witness
        // is dead at that instant, because none is dead afterwards, and under the lock nothing comes to life. Each
        // further read is due to a member that died meanwhile. So there are at most as many as the membership has members, and
        // as many as other threads change an owner before they wait for this lock: one each.
        record.set_in_use(true);
        faults::point(points::MEMBERSHIP_LOCKED);
        let key = RoleKey::new(record.vif, role);
        loop {
            let ownership = self.owned_by(client, role, record)?;
            let (routing, igmp) = ownership.words();
            if role == Role::Igmp && !locked.state.handovers.is_complete(record.vif, igmp, routing) {
                return Err(MembershipError::ChangingHands(interface));
            }
            if !self.sweep_dead(locked, membership, Some((client, key))) || planted!("sweep-once") {
                return Ok(ownership);
            }
        }
    }

    /// Adds a member if there is none yet, and queues the notices. `rpf_interface` is the RPF interface of (s,g) as the routes
    /// have it, for the first member that counts.
    fn add_member(
        &self,
        locked: &mut LockedState<'_>,
        membership: Membership,
        key: RoleKey,
        member: Member,
        rpf_interface: Option<Interface>,
    ) {
        let members = &mut locked.state.members;
        if members.contains(membership, key) {
            return;
        }
        let client = member.client;
        let counted_before = members.counts(membership, client);
        members.insert(membership, key, member);
        if !member.counts {
            let joined = |interface| Notice::LocalJoin(interface, membership);
            return self.notify_sharer(locked, key, member, joined);
        }
        match membership {
            Membership::OneSource(flow) => {
                if locked.state.rpf_joins.get(flow).is_none() {
                    self.set_rpf_interface(locked, flow, rpf_interface);
                }
                self.settle(locked, flow);
            }
            _ if counted_before => {}
            _ => {
                let others = members.others(membership, client);
                let alert = JoinAlert::new(membership, Cause::Membership);
                self.notify_others(locked, membership, others, client, || Notice::Join(alert));
            }
        }
    }

    /// Sets the RPF interface of a flow that is joined by name. The caller has to settle it afterwards.
    pub(super) fn set_rpf_interface(
        &self,
        locked: &mut LockedState<'_>,
        flow: Flow,
        interface: Option<Interface>,
    ) {
        locked.state.rpf_joins.set_interface(flow, interface);
        // From here on a thread that changes the owner of that interface sweeps it, which settles the flow. The first take of
        // an interface without a record sweeps in any case.
        if let Some(record) = interface.and_then(|interface| self.interfaces.find_record(interface)) {
            record.set_in_use(true);
        }
    }

    /// Removes a member, if it exists, and queues the notices.
    pub(super) fn remove_member(&self, locked: &mut LockedState<'_>, membership: Membership, key: RoleKey) {
        let Some(member) = locked.state.members.remove(membership, key) else { return };
        if !member.counts {
            let left = |interface| Notice::LocalLeave(interface, membership);
            return self.notify_sharer(locked, key, member, left);
        }
        let client = member.client;
        if let Membership::OneSource(flow) = membership {
            return self.settle(locked, flow);
        }
        if locked.state.members.counts(membership, client) {
            return;
        }
        let Some(interface) = self.interface(key.vif) else { return };
        let others = locked.state.members.others(membership, client);
        let prune = || Notice::Prune(self.prune_alert(membership, interface, Cause::Membership), None);
        self.notify_others(locked, membership, others, client, prune);
    }
}

/// Returns what a change of a membership does to the flows that it covers.
fn actions(change: StateChange, join: Action, forward: Action) -> Actions {
    [(change != StateChange::Forward).then_some(join), (change != StateChange::Join).then_some(forward)]
}
