//! Adding and deleting memberships.

use super::records::{Contribution, Share};
use super::said::Action;
use super::{Effect, GroupManager, Interface, Membership, MembershipError, State};
use crate::forwarding::Stamp;
use crate::handle::Handle;

impl GroupManager {
    /// Says that there are receivers on an interface of the client's (`MgmAddGroupMembershipEntry`).
    ///
    /// - [`Effect::Join`] keeps the membership and has every flow it covers, now and later, copied to the interface. What
    ///   the client had said of the interface in single flows before, a veto or a FORWARD add or delete, yields.
    /// - [`Effect::Forward`] has the flows that it covers, and that have an entry now, copied to the interface. Nothing is
    ///   kept for later flows, nor for the time after the entry's life.
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
        effect: Effect,
    ) -> Result<(), MembershipError> {
        self.change(client, interface, membership, |state, share, stamp| {
            if effect != Effect::Forward {
                self.keep(state, membership, share, Contribution { client, stamp })?;
                self.act(state, membership, share, Action::JoinAdd);
            }
            if effect != Effect::Join {
                self.act(state, membership, share, Action::ForwardAdd(stamp));
            }
            Ok(())
        })
    }

    /// Says that there are no receivers left on an interface of the client's (`MgmDeleteGroupMembershipEntry`).
    ///
    /// - [`Effect::Join`] ends the membership; flows that nothing else has copied to the interface are not copied there any
    ///   more. What the client had said by FORWARD add or delete of the interface in flows it covers yields; a veto stays.
    /// - [`Effect::Forward`] has the flows that it covers, and that have an entry now, copied no more to the interface on
    ///   the client's account; the membership stays.
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
        effect: Effect,
    ) -> Result<(), MembershipError> {
        self.change(client, interface, membership, |state, share, stamp| {
            if effect != Effect::Forward {
                state.records.remove(membership, share);
                self.act(state, membership, share, Action::JoinDelete);
            }
            if effect != Effect::Join {
                self.act(state, membership, share, Action::ForwardDelete(stamp));
            }
            Ok(())
        })
    }

    /// Checks that the client may say something of the interface, has it said, and renews the entries it covers.
    fn change(
        &self,
        client: Handle,
        interface: Interface,
        membership: Membership,
        say: impl FnOnce(&mut State, Share, Stamp) -> Result<(), MembershipError>,
    ) -> Result<(), MembershipError> {
        let role = self.clients.role(client).ok_or(MembershipError::Stale)?;
        if interface.family() != membership.family() {
            return Err(MembershipError::FamiliesDiffer(interface));
        }
        let record = self.interfaces.find(interface).ok_or(MembershipError::NotTaken(interface))?;
        let mut state = self.state.lock();
        // From here on whoever changes the ownership sweeps after us; and the ownership is looked at after that. What is
        // said is said at the instant of that look: a change that comes later finds it and sweeps it.
        record.set_in_use(true);
        let stamp = self.stamp_of(client, role, record)?;
        say(&mut state, (record.number, role), stamp)?;
        let (flows, with) = self.split(&mut state);
        for flow in flows.covered(membership) {
            flows.renew(flow, with);
        }
        Ok(())
    }

    fn keep(
        &self,
        state: &mut State,
        membership: Membership,
        share: Share,
        contribution: Contribution,
    ) -> Result<(), MembershipError> {
        let most = self.config.memberships;
        if !state.records.contains(membership, share) && state.records.len() >= most as usize {
            // Dead memberships whose sweeper is still on its way must not count.
            for number in state.records.interfaces() {
                if let Some(record) = self.interfaces.get(number) {
                    self.sweep(state, record);
                }
            }
            if state.records.len() >= most as usize {
                return Err(MembershipError::TooMany(most));
            }
        }
        state.records.insert(membership, share, contribution);
        Ok(())
    }

    fn act(&self, state: &mut State, membership: Membership, share: Share, action: Action) {
        for flow in state.flows.covered(membership) {
            state.flows.act(flow, share, action);
        }
    }
}
