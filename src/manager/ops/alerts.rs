//! The notices of changes: the rules of RFC 2715's dispatcher.
//!
//! Each client is told of a key whether any other client counts for it, so that joins and prunes alternate for each client
//! and key. The kinds of keys, (\*,\*), (\*,g) and (s,g), count independently. A client counts by its handle, on however many
//! interfaces it has joined. For (\*,\*) and (\*,g) every client is told:
//!
//! ```text
//!   the first client joins    0 -> 1    join alert to every other client
//!   the second joins          1 -> 2    join alert to the one that was alone
//!   any other                           no alert
//!   the second-last leaves    2 -> 1    prune alert to the one that remains
//!   the last leaves           1 -> 0    prune alert to every other client
//! ```
//!
//! For (s,g) one client is told: the one that decides about packets which arrive on the RPF interface towards s. When another
//! client decides from then on, the old one gets a prune alert and the new one a join alert. Which client was told is kept
//! ([`RpfJoins`](crate::manager::state::RpfJoins)).
//!
//! IGMP does not count where it shares an interface. The routing protocol there gets a local join and decides itself whether
//! it joins. The owner of an entry's incoming interface is notified when the entry loses its last outgoing interface or gains
//! its first, unless it caused that.
//!
//! Memberships that died with a change of ownership are removed before clients are counted: a release comes before
//! everything that sees it.

use super::locked::{LockedState, State};
use crate::forwarding::Flow;
use crate::handle::Handle;
use crate::manager::clients::{ClientChannel, Notice};
use crate::manager::flows::Transition;
use crate::manager::state::{InterfaceRecord, Member, Others, Role, RoleKey};
use crate::manager::{
    Cause, GroupManager, Interface, JoinAlert, Membership, PruneAlert, WrongInterfaceAlert,
};
use std::sync::Arc;

/// The number of memberships that a latecomer is told of under one hold of the membership lock.
const PAGE: usize = 256;

impl GroupManager {
    /// Queues the notices of entries that lost their last outgoing interface or gained their first.
    pub(super) fn notify_of_transitions(&self, locked: &mut LockedState<'_>, causers: &[Handle]) {
        for Transition { flow, entry_id, incoming, negative } in locked.state.flows.take_transitions() {
            let Some(record) = self.interfaces.get(incoming.interface) else { continue };
            let Some(client) = self.ownership(&record).deciding() else { continue };
            let Some(channel) = locked.channel(client).filter(|_| !causers.contains(&client)) else {
                continue;
            };
            let membership = Membership::OneSource(flow);
            let notice = if negative {
                let alert = self.prune_alert(membership, record.interface, Cause::Entry);
                Notice::Prune(alert, Some((flow, entry_id)))
            } else {
                Notice::Join(JoinAlert::new(membership, Cause::Entry))
            };
            locked.queue(channel, notice, Some(incoming.stamp));
        }
    }

    /// Notifies the owner of an interface of a packet that should have arrived elsewhere, if the owner wants such alerts.
    pub(super) fn notify_of_wrong_interface(&self, record: &InterfaceRecord<'_>, alert: WrongInterfaceAlert) {
        self.update_state(|locked| {
            let ownership = self.ownership(record);
            let channel = ownership.deciding().and_then(|client| locked.channel(client));
            if let Some(channel) = channel.filter(|channel| channel.wishes.wrong_interface) {
                let stamp = ownership.arrival_stamp(record);
                locked.queue(channel, Notice::WrongInterface(alert), Some(stamp));
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
        locked: &mut LockedState<'_>,
        key: RoleKey,
        member: Member,
        notice: impl FnOnce(Interface) -> Notice,
    ) {
        let Some(record) = self.interfaces.get(key.vif) else { return };
        let ownership = self.ownership(&record);
        let stamp = ownership.stamp(&record, Role::Routing);
        // Another routing protocol has nothing to do with the member: IGMP adds its memberships again for that one.
        if member.stamp.depends_on(&stamp)
            && let Some(channel) = ownership.by(Role::Routing).and_then(|client| locked.channel(client))
        {
            locked.queue(channel, notice(record.interface), Some(stamp));
        }
    }

    /// Notifies the clients to which it matters that `causer` joined (\*,\*) or (\*,g) or left it. `others` are the other
    /// clients that count.
    pub(super) fn notify_others(
        &self,
        locked: &mut LockedState<'_>,
        membership: Membership,
        others: Others,
        causer: Handle,
        notice: impl Fn() -> Notice,
    ) {
        let told = |locked: &LockedState<'_>, channel: &ClientChannel| {
            channel.handle != causer && locked.state.latecomers.has_been_told(channel.handle, membership)
        };
        match others {
            Others::Empty => {
                for channel in locked.all_channels().iter() {
                    locked.state.looks += 1;
                    if told(locked, channel) {
                        locked.queue(channel.clone(), notice(), None);
                    }
                }
            }
            Others::One(client) => {
                if let Some(channel) = locked.channel(client).filter(|channel| told(locked, channel)) {
                    locked.queue(channel, notice(), None);
                }
            }
            Others::Several => {}
        }
    }

    /// Notifies the clients concerned if another client has to know of (s,g) now: after a change of its members, of its RPF
    /// interface, or of the owners of that.
    pub(super) fn settle(&self, locked: &mut LockedState<'_>, flow: Flow) {
        if let Some(join) = locked.state.rpf_joins.get(flow) {
            self.settle_told_at(locked, flow, join.interface);
        }
    }

    /// As [`settle`](Self::settle), after a change of the RPF interface. `told_at` is the interface that it was before.
    pub(super) fn settle_told_at(
        &self,
        locked: &mut LockedState<'_>,
        flow: Flow,
        told_at: Option<Interface>,
    ) {
        let membership = Membership::OneSource(flow);
        let Some(join) = locked.state.rpf_joins.get(flow) else { return };
        locked.state.looks += 1;
        let decides = |interface| self.ownership(&self.interfaces.find(interface)?).deciding();
        let read = |interface| {
            if planted!("settle-at-each-owner") {
                decides(interface)
            } else {
                locked.rpf_owner(interface, decides)
            }
        };
        let owner = join.interface.and_then(read);
        let members = &locked.state.members;
        let wanted = owner.filter(|client| members.others(membership, *client).any());
        if !members.is_counted(membership) {
            locked.state.rpf_joins.remove(flow);
        }
        if join.told == wanted {
            return;
        }
        locked.state.rpf_joins.set_told(flow, wanted);
        // No stamp: a prune takes back the join that came before it, whatever has changed since.
        let is_late = planted!("prune-needs-stamp") && told_at.and_then(decides) != join.told;
        if let (Some(client), Some(interface), false) = (join.told, told_at, is_late)
            && let Some(channel) = locked.channel(client)
        {
            let alert = self.prune_alert(membership, interface, Cause::Membership);
            locked.queue(channel, Notice::Prune(alert, None), None);
        }
        if let Some(client) = wanted
            && let Some(channel) = locked.channel(client)
        {
            locked.queue(channel, Notice::Join(JoinAlert::new(membership, Cause::Membership)), None);
        }
    }

    /// Goes on telling a client that has just registered of the (\*,\*) and (\*,g) for which other clients count. The first page
    /// was queued when it registered.
    pub(in crate::manager) fn tell_present_joins(&self, channel: &Arc<ClientChannel>, mut more: bool) {
        while more {
            channel.deliver();
            let mut state = self.state.lock();
            if self.clients.validate(channel.handle) {
                more = state.queue_present_joins(channel);
            } else {
                more = false;
                state.latecomers.end(channel.handle);
            }
        }
    }
}

impl State {
    /// Queues join alerts for the next page of (\*,\*) and (\*,g) for which any client counts, for a client that is just
    /// registering and counts for none. Returns whether there may be more; then the client is a latecomer.
    pub(in crate::manager) fn queue_present_joins(&mut self, channel: &ClientChannel) -> bool {
        let client = channel.handle;
        let page = self.members.groups_counted_after(self.latecomers.cursor(client), PAGE);
        self.looks += page.len() as u64;
        for membership in &page {
            if self.members.others(*membership, client).any() {
                channel.queue(Notice::Join(JoinAlert::new(*membership, Cause::Membership)), None);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => self.latecomers.set(client, *last),
            _ => self.latecomers.end(client),
        }
        page.len() == PAGE
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
        manager.update_state(|locked| _ = manager.sweep(locked, &record, Some(releasing)));
        assert_eq!(*heard.0.lock(), []);
    }

    /// The owner of the RPF interface changes while a call settles two flows. An observer must see one instant: both flows
    /// settled with the former owner, and the change with the sweep that follows it.
    #[test]
    fn flows_settled_together_see_one_owner() {
        let routes = |_| Some(ReversePath::through(Interface::v4(1)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let heard = Arc::<Pruned>::default();
        let upstream = manager.register(Protocol::new(1, 0), Arc::new(heard.clone())).unwrap();
        let joining = manager.register(Protocol::new(1, 1), Arc::new(())).unwrap();
        let [up, lan] = [1, 2].map(Interface::v4);
        manager.take(upstream, up).unwrap();
        manager.take(joining, lan).unwrap();
        let flows =
            [1, 2].map(|source| Flow::new([192, 0, 2, source].into(), [239, 1, 1, 1].into()).unwrap());
        for flow in flows {
            manager.add_membership(joining, lan, Membership::OneSource(flow), StateChange::Join).unwrap();
        }

        let record = manager.interfaces.find(up).unwrap();
        manager.update_state(|locked| {
            manager.settle(locked, flows[0]);
            // Only the effect of the release.
            manager.clients.table.release(upstream, record.owner(Role::Routing)).unwrap();
            manager.settle(locked, flows[1]);
        });
        assert_eq!(*heard.0.lock(), []);
        manager.update_state(|locked| _ = manager.sweep(locked, &record, Some(upstream)));
        let pruned = flows.map(|flow| (Membership::OneSource(flow), Cause::Membership));
        assert_eq!(*heard.0.lock(), pruned);
    }
}
