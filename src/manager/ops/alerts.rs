//! The notices of changes: the rules of RFC 2715's dispatcher.
//!
//! The rules count clients, not interfaces; a client is identified by its handle. For (\*,g) they count the clients with
//! (\*,g) or (\*,\*), for (\*,\*) those with (\*,\*):
//!
//! ```text
//!   the first client joins    0 -> 1    join alert to every other client
//!   the second joins          1 -> 2    join alert to the one that was alone
//!   any other                           no alert
//!   the second-last leaves    2 -> 1    prune alert to the one that remains
//!   the last leaves           1 -> 0    prune alert to every other client
//! ```
//!
//! For (s,g) only the first join and the last leave matter, and only to the owner of the interface towards s.
//!
//! IGMP does not count where it shares an interface. The routing protocol there gets a local join and decides itself whether
//! it joins. The owner of an entry's incoming interface is notified when the entry loses its last outgoing interface or gains
//! its first. No client is notified of its own changes.
//!
//! Memberships that died with a change of ownership are removed before clients are counted: a release comes before
//! everything that sees it.

use super::locked::{Deliveries, LockedState};
use super::ownership::RpfOwner;
use crate::handle::Handle;
use crate::manager::clients::{ClientChannel, Notice};
use crate::manager::flows::Transition;
use crate::manager::state::{InterfaceRecord, Member, Role, RoleKey};
use crate::manager::{
    Cause, GroupManager, Interface, JoinAlert, Membership, PruneAlert, WrongInterfaceAlert,
};
use std::sync::Arc;

/// The clients that a join or leave matters to.
pub(super) enum Audience {
    NoClient,
    One(Handle),
    Others,
}

impl Audience {
    /// Returns the audience of a client that joins these others, or leaves them.
    pub(super) fn of(others: &[Handle]) -> Audience {
        match others {
            [] => Audience::Others,
            [one] => Audience::One(*one),
            _ => Audience::NoClient,
        }
    }
}

impl GroupManager {
    /// Queues the notices of entries that lost their last outgoing interface or gained their first.
    pub(super) fn notify_of_transitions(&self, locked: &mut LockedState<'_>, causers: &[Handle]) {
        for Transition { flow, entry_id, incoming, negative } in locked.state.flows.take_transitions() {
            let Some(record) = self.interfaces.get(incoming.interface) else { continue };
            let Some(client) = self.ownership(record).deciding() else { continue };
            let Some(channel) = self.clients.channel(client).filter(|_| !causers.contains(&client)) else {
                continue;
            };
            let membership = Membership::OneSource(flow);
            let notice = if negative {
                let alert = self.prune_alert(membership, record.interface, Cause::Entry);
                Notice::Prune(alert, Some((flow, entry_id)))
            } else {
                Notice::Join(JoinAlert::new(membership, Cause::Entry))
            };
            locked.deliveries.queue(channel, notice, Some(incoming.stamp));
        }
    }

    /// Notifies the owner of an interface of a packet that should have arrived elsewhere, if the owner wants such alerts.
    pub(super) fn notify_of_wrong_interface(&self, record: &InterfaceRecord, alert: WrongInterfaceAlert) {
        self.update_state(|locked| {
            let ownership = self.ownership(record);
            let channel = ownership.deciding().and_then(|client| self.clients.channel(client));
            if let Some(channel) = channel.filter(|channel| channel.wants_wrong_interface) {
                let stamp = ownership.arrival_stamp(record);
                locked.deliveries.queue(channel, Notice::WrongInterface(alert), Some(stamp));
            }
        });
    }

    pub(super) fn prune_alert(
        &self,
        membership: Membership,
        interface: Interface,
        cause: Cause,
    ) -> PruneAlert {
        PruneAlert::new(membership, interface, cause, self.config.entry_lifetime)
    }

    /// Notifies the routing protocol of a shared interface of a change by IGMP.
    pub(super) fn notify_sharer(
        &self,
        deliveries: &mut Deliveries<'_>,
        key: RoleKey,
        member: Member,
        notice: impl FnOnce(Interface) -> Notice,
    ) {
        let Some(record) = self.interfaces.get(key.vif) else { return };
        let ownership = self.ownership(record);
        let stamp = ownership.stamp(record, Role::Routing);
        // Another routing protocol has nothing to do with the member: IGMP adds its memberships again for that one.
        if member.stamp.depends_on(&stamp)
            && let Some(channel) = ownership.by(Role::Routing).and_then(|client| self.clients.channel(client))
        {
            deliveries.queue(channel, notice(record.interface), Some(stamp));
        }
    }

    /// Notifies the owner of the RPF interface, unless it is the only client that the notice is about.
    pub(super) fn notify_upstream(
        &self,
        deliveries: &mut Deliveries<'_>,
        rpf_owner: RpfOwner,
        about: &[Handle],
        notice: impl FnOnce(Interface) -> Notice,
    ) {
        let Some((interface, Some(ownership))) = rpf_owner.0 else { return };
        let Some(record) = self.interfaces.find(interface) else { return };
        if let Some(client) = ownership.deciding().filter(|client| about != [*client])
            && let Some(channel) = self.clients.channel(client)
        {
            deliveries.queue(channel, notice(interface), Some(ownership.arrival_stamp(record)));
        }
    }

    /// Notifies an audience of a change by `causer`.
    pub(super) fn notify_audience(
        &self,
        deliveries: &mut Deliveries<'_>,
        audience: &Audience,
        causer: Handle,
        notice: impl Fn() -> Notice,
    ) {
        let channels: Vec<Arc<ClientChannel>> = match audience {
            Audience::NoClient => return,
            Audience::One(client) => self.clients.channel(*client).into_iter().collect(),
            Audience::Others => self.clients.channels_except(causer, deliveries.registrations),
        };
        for channel in channels {
            deliveries.queue(channel, notice(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::Flow;
    use crate::manager::{Client, ManagerConfig, Protocol, ReversePath, StateChange};
    use parking_lot::Mutex;

    /// Records the prune alerts it gets.
    #[derive(Default)]
    struct Pruned(Mutex<Vec<(Membership, Cause)>>);

    impl Client for Arc<Pruned> {
        fn prune_alert(&self, alert: &mut PruneAlert) {
            self.0.lock().push((alert.membership(), alert.cause()));
        }
    }

    /// Between a release and its sweep another client's call renews an entry that included the released interface. That call
    /// cannot tell which client caused the change, so it must leave the change to the sweep, which can.
    #[test]
    fn no_client_is_notified_of_its_own_release() {
        let routes = |_| Some(ReversePath::through(Interface::v4(1)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let heard = Arc::<Pruned>::default();
        let releasing = manager.register(Protocol::new(1, 0), Arc::new(heard.clone())).unwrap();
        let other = manager.register(Protocol::new(1, 1), Arc::new(())).unwrap();
        let [up, lan, elsewhere] = [1, 2, 3].map(Interface::v4);
        manager.take(releasing, up).unwrap();
        manager.take(releasing, lan).unwrap();
        manager.take(other, elsewhere).unwrap();
        let flow = Flow::new("192.0.2.1".parse().unwrap(), "239.1.1.1".parse().unwrap()).unwrap();
        manager.add_membership(releasing, lan, Membership::OneSource(flow), StateChange::Join).unwrap();
        manager.new_flow(flow).unwrap();

        // Only the effect, as if the releasing thread were stopped right after it.
        let record = manager.interfaces.find(lan).unwrap();
        manager.clients.table.release(releasing, record.owner(Role::Routing)).unwrap();
        let group = Membership::any_source(flow.group()).unwrap();
        manager.delete_membership(other, elsewhere, group, StateChange::Join).unwrap();
        manager.update_state(|locked| _ = manager.sweep(locked, record, Some(releasing)));
        assert_eq!(*heard.0.lock(), []);
    }
}
