//! Adding and deleting memberships.

use super::alerts::Audience;
use super::locked::{LockedState, State};
use super::ownership::{Ownership, RpfOwner};
use crate::faults;
use crate::handle::Handle;
use crate::manager::clients::Notice;
use crate::manager::flows::Action;
use crate::manager::points;
use crate::manager::state::{InterfaceRecord, Member, Role, RoleKey};
use crate::manager::{Cause, GroupManager, Interface, JoinAlert, Membership, MembershipError, StateChange};
use crate::memory;

/// The call that changes a membership.
#[derive(Clone, Copy)]
struct Request {
    client: Handle,
    interface: Interface,
    membership: Membership,
    /// The RPF interface of (s,g) as the routes have it. The state's own one takes precedence.
    rpf_interface: Option<Interface>,
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
        // The routes are the caller's code, so they are asked before the lock. Whether the owner of the RPF interface has to
        // be notified is decided under the lock.
        let version = self.route_version.get();
        let rpf_interface = match membership {
            Membership::OneSource(flow) if change != StateChange::Forward => {
                self.rpf_interface(flow.source())
            }
            _ => None,
        };
        let request = Request { client, interface, membership, rpf_interface };
        let result = self.update_membership(request, |locked, key, member, rpf_owner| {
            if change != StateChange::Join || !locked.state.members.contains(membership, key) {
                memory::room_for_records()?;
            }
            if change != StateChange::Forward {
                self.make_room(locked, membership, key)?;
                self.add_member(locked, membership, key, member, rpf_owner);
                apply(&mut locked.state, membership, key, Action::JoinAdd);
            }
            if change != StateChange::Join {
                apply(&mut locked.state, membership, key, Action::ForwardAdd(member.stamp));
            }
            Ok(())
        });
        // The routes may have changed meanwhile, and their change may have been processed before the membership existed.
        if let (Ok(()), Some(source)) = (result, membership.source())
            && self.route_version.get() != version
        {
            self.reroute_joined(|affected| affected == source);
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
        let request = Request { client, interface, membership, rpf_interface: None };
        self.update_membership(request, |locked, key, member, rpf_owner| {
            if change != StateChange::Join {
                memory::room_for_records()?;
            }
            if change != StateChange::Forward {
                self.remove_member(locked, membership, key, rpf_owner);
                apply(&mut locked.state, membership, key, Action::JoinDelete);
            }
            if change != StateChange::Join {
                apply(&mut locked.state, membership, key, Action::ForwardDelete(member.stamp));
            }
            Ok(())
        })
    }

    /// Checks that the client may change memberships on the interface, runs `change`, renews the covered entries, and
    /// delivers the notices.
    fn update_membership(
        &self,
        request: Request,
        change: impl FnOnce(&mut LockedState<'_>, RoleKey, Member, RpfOwner) -> Result<(), MembershipError>,
    ) -> Result<(), MembershipError> {
        let Request { client, interface, membership, .. } = request;
        let role = self.clients.role(client).ok_or(MembershipError::Stale)?;
        if interface.family() != membership.family() {
            return Err(MembershipError::FamiliesDiffer(interface));
        }
        let record = self.interfaces.find(interface).ok_or(MembershipError::NotTaken(interface))?;
        self.update_state(|locked| {
            let (ownership, rpf_owner) = self.check_owner(locked, record, role, request)?;
            let counts = role == Role::Routing || ownership.without_routing();
            let member = Member { client, stamp: ownership.stamp(record, role), counts };
            change(locked, RoleKey::new(record.vif, role), member, rpf_owner)?;
            faults::point(points::MEMBERSHIP_HALF_ADDED);
            let (flows, ctx) = self.split(&mut locked.state);
            for flow in flows.covered(membership) {
                flows.renew(flow, None, ctx);
            }
            self.notify_of_transitions(locked, &[client]);
            Ok(())
        })
    }

    /// Checks that the client owns the interface, at an instant at which no member that counts beside the membership is
    /// dead. The change linearizes at that instant.
    fn check_owner(
        &self,
        locked: &mut LockedState<'_>,
        record: &InterfaceRecord,
        role: Role,
        request: Request,
    ) -> Result<(Ownership, RpfOwner), MembershipError> {
        let Request { client, interface, membership, rpf_interface } = request;
        // From here on a thread that changes the ownership sweeps after this call, and the ownership is read after that. The
        // change linearizes at the last such read: a later change of ownership finds the membership and sweeps it. No member
        // beside it is dead at that instant, because none is dead afterwards, and under the lock nothing comes to life. Each
        // further read is due to a change of ownership, that is, to another call that succeeded.
        record.set_in_use(true);
        faults::point(points::MEMBERSHIP_LOCKED);
        loop {
            let rpf_interface = locked.state.rpf_interface(membership).or(rpf_interface);
            let (ownership, rpf_owner, registrations) = self.owned_by(client, role, record, rpf_interface)?;
            let (routing, igmp) = ownership.words();
            if role == Role::Igmp && !locked.state.handovers.is_complete(record.vif, igmp, routing) {
                return Err(MembershipError::ChangingHands(interface));
            }
            if !self.sweep_dead(locked, membership) || planted!("sweep-once") {
                locked.deliveries.registrations = registrations;
                return Ok((ownership, rpf_owner));
            }
        }
    }

    /// Adds a member if there is none yet, and queues the notices. `rpf_owner` is the owner of the RPF interface of (s,g).
    fn add_member(
        &self,
        locked: &mut LockedState<'_>,
        membership: Membership,
        key: RoleKey,
        member: Member,
        rpf_owner: RpfOwner,
    ) {
        let LockedState { state, deliveries } = locked;
        if state.members.contains(membership, key) {
            return;
        }
        let client = member.client;
        let counted = state.members.counted(membership);
        let counted_before = counted.contains(&client);
        state.members.insert(membership, key, member);
        if !member.counts {
            let joined = |interface| Notice::LocalJoin(interface, membership);
            return self.notify_sharer(deliveries, key, member, joined);
        }
        if counted_before {
            return;
        }
        let alert = JoinAlert::new(membership, Cause::Membership);
        match membership {
            Membership::OneSource(flow) => {
                if counted.is_empty()
                    && let Some(interface) = rpf_owner.interface()
                {
                    state.rpf_interfaces.insert(flow, interface);
                    self.notify_upstream(deliveries, rpf_owner, &[client], |_| Notice::Join(alert));
                }
            }
            _ => self.notify_audience(deliveries, &Audience::of(&counted), client, || Notice::Join(alert)),
        }
    }

    /// Removes a member, if it exists, and queues the notices. `rpf_owner` is the present owner of the RPF interface of
    /// (s,g), which is the interface as it was when the first member joined.
    pub(super) fn remove_member(
        &self,
        locked: &mut LockedState<'_>,
        membership: Membership,
        key: RoleKey,
        rpf_owner: RpfOwner,
    ) {
        let LockedState { state, deliveries } = locked;
        let Some(member) = state.members.remove(membership, key) else { return };
        if !member.counts {
            let left = |interface| Notice::LocalLeave(interface, membership);
            return self.notify_sharer(deliveries, key, member, left);
        }
        let client = member.client;
        let counted = state.members.counted(membership);
        if counted.contains(&client) {
            return;
        }
        let prune =
            |interface| Notice::Prune(self.prune_alert(membership, interface, Cause::Membership), None);
        match membership {
            Membership::OneSource(flow) => {
                if counted.is_empty() && state.rpf_interfaces.remove(&flow).is_some() {
                    self.notify_upstream(deliveries, rpf_owner, &[client], prune);
                }
            }
            _ => {
                let Some(interface) = self.interface(key.vif) else { return };
                self.notify_audience(deliveries, &Audience::of(&counted), client, || prune(interface));
            }
        }
    }
}

/// Applies an owner's action to the flows that a membership covers.
fn apply(state: &mut State, membership: Membership, key: RoleKey, action: Action) {
    for flow in state.flows.covered(membership) {
        state.flows.apply(flow, key, action);
    }
}
