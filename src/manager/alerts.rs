//! Who is told when receivers appear and go: the rules of RFC 2715's dispatcher.
//!
//! Clients are counted, not interfaces, and a client by its handle. For (\*,g) the count is of the clients that have (\*,g)
//! or (\*,\*), for (\*,\*) of those that have (\*,\*):
//!
//! ```text
//!   the first client comes    0 -> 1    join alert to every other client
//!   the second                1 -> 2    join alert to the one that was alone
//!   any other                           nobody
//!   the last but one goes     2 -> 1    prune alert to the one that remains
//!   the last                  1 -> 0    prune alert to every other client
//! ```
//!
//! For (s,g) the first to come and the last to go matter to one client only: the owner of the interface towards s.
//!
//! IGMP does not count where it shares an interface: the routing protocol there is told of a local join, and decides for
//! itself whether it joins. An entry that loses its last outgoing interface, or gets its first, matters to the owner of its
//! incoming one. Nobody is told of what he did himself.
//!
//! Memberships that are dead, because their interface has changed hands, are taken out before anybody is counted: a
//! release comes before what sees it.

use super::change::{Change, Tell};
use super::flows::Transition;
use super::interfaces::{InterfaceRecord, Role};
use super::outlet::{Notice, Outlet};
use super::ownership::Towards;
use super::records::{Contribution, Share};
use super::walks::steady;
use super::{Cause, GroupManager, Interface, JoinAlert, Membership, PruneAlert, WrongInterfaceAlert};
use crate::forwarding::{Family, Flow};
use crate::handle::Handle;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Those whom a change of the count matters to.
enum Audience {
    Nobody,
    One(Handle),
    Others,
}

impl Audience {
    /// When a client comes to these, or has left them.
    fn of(others: &[Handle]) -> Audience {
        match others {
            [] => Audience::Others,
            [one] => Audience::One(*one),
            _ => Audience::Nobody,
        }
    }
}

impl GroupManager {
    /// Keeps a new membership, and tells whom it matters to. `towards` is the interface towards the source of (s,g), and who
    /// has that.
    pub(super) fn admit(
        &self,
        change: &mut Change<'_>,
        membership: Membership,
        share: Share,
        contribution: Contribution,
        towards: Towards,
    ) {
        let Change { state, tell } = change;
        if state.records.contains(membership, share) {
            return;
        }
        let client = contribution.client;
        let counted = state.records.counted(membership);
        let covered = counted.contains(&client);
        state.records.insert(membership, share, contribution);
        if !contribution.counts {
            let joined = |interface| Notice::LocalJoin(interface, membership);
            return self.tell_sharer(tell, share, contribution, joined);
        }
        if covered {
            return;
        }
        let alert = JoinAlert { membership, cause: Cause::Membership };
        match membership {
            Membership::OneSource(flow) => {
                if counted.is_empty()
                    && let Some(interface) = towards.interface()
                {
                    state.towards.insert(flow, interface);
                    self.tell_upstream(tell, towards, &[client], |_| Notice::Join(alert));
                }
            }
            _ => self.tell_audience(tell, &Audience::of(&counted), client, || Notice::Join(alert)),
        }
    }

    /// Takes a membership out, if it is there, and tells whom it matters to. `towards` is the interface towards the source of
    /// (s,g), as it was when the first joined, and who has that now.
    pub(super) fn dismiss(
        &self,
        change: &mut Change<'_>,
        membership: Membership,
        share: Share,
        towards: Towards,
    ) {
        let Change { state, tell } = change;
        let Some(contribution) = state.records.remove(membership, share) else { return };
        if !contribution.counts {
            let left = |interface| Notice::LocalLeave(interface, membership);
            return self.tell_sharer(tell, share, contribution, left);
        }
        let client = contribution.client;
        let counted = state.records.counted(membership);
        if counted.contains(&client) {
            return;
        }
        match membership {
            Membership::OneSource(flow) => {
                if counted.is_empty() && state.towards.remove(&flow).is_some() {
                    self.tell_upstream(tell, towards, &[client], |interface| {
                        Notice::Prune(self.prune(membership, interface, Cause::Membership), None)
                    });
                }
            }
            _ => {
                let Some(interface) = self.interface(share.0) else { return };
                self.tell_audience(tell, &Audience::of(&counted), client, || {
                    Notice::Prune(self.prune(membership, interface, Cause::Membership), None)
                });
            }
        }
    }

    /// The interface towards the source of a flow that is joined by name is another now, perhaps: the owners of both are told.
    pub(super) fn turn(&self, change: &mut Change<'_>, flow: Flow, towards: Option<Interface>) {
        let membership = Membership::OneSource(flow);
        while self.settle(change, membership) {}
        let Change { state, tell } = change;
        let wanting = state.records.counted(membership);
        if wanting.is_empty() {
            return;
        }
        let before = match towards {
            Some(towards) => state.towards.insert(flow, towards),
            None => state.towards.remove(&flow),
        };
        let (before, now) = steady(|| (self.owned_towards(before), self.owned_towards(towards)));
        if before.deciding() == now.deciding() {
            return;
        }
        self.tell_upstream(tell, before, &wanting, |interface| {
            Notice::Prune(self.prune(membership, interface, Cause::Membership), None)
        });
        let alert = JoinAlert { membership, cause: Cause::Membership };
        self.tell_upstream(tell, now, &wanting, |_| Notice::Join(alert));
    }

    /// Takes out what is dead among those that are counted for a membership, so that the count is right; whether there was
    /// anything.
    pub(super) fn settle(&self, change: &mut Change<'_>, membership: Membership) -> bool {
        let dead = change.state.records.dead_among(membership, self.clients.table.owners());
        for record in dead.iter().filter_map(|number| self.interfaces.get(*number)) {
            self.sweep(change, record, None);
        }
        !dead.is_empty()
    }

    /// Tells of entries that have lost their last outgoing interface, or got their first.
    pub(super) fn tell_of_entries(&self, change: &mut Change<'_>, causers: &[Handle]) {
        for Transition { flow, life, incoming, negative } in change.state.flows.take_transitions() {
            let Some(record) = self.interfaces.get(incoming.interface) else { continue };
            let Some(client) = self.owned(record).deciding() else { continue };
            let Some(outlet) = self.clients.outlet(client).filter(|_| !causers.contains(&client)) else {
                continue;
            };
            let membership = Membership::OneSource(flow);
            let notice = if negative {
                let alert = self.prune(membership, record.interface, Cause::Entry);
                Notice::Prune(alert, Some((flow, life)))
            } else {
                Notice::Join(JoinAlert { membership, cause: Cause::Entry })
            };
            change.tell.queue(outlet, notice, Some(incoming.stamp));
        }
    }

    /// Tells the owner of an interface of a packet that should have arrived elsewhere, if it wants to know.
    pub(super) fn tell_of_wrong_interface(&self, record: &InterfaceRecord, alert: WrongInterfaceAlert) {
        let mut change = self.change_state();
        let owned = self.owned(record);
        let outlet = owned.deciding().and_then(|client| self.clients.outlet(client));
        if let Some(outlet) = outlet.filter(|outlet| outlet.wants_wrong_interface) {
            change.tell.queue(outlet, Notice::WrongInterface(alert), Some(owned.arrival_stamp(record)));
        }
    }

    /// A client's answer to a prune alert.
    pub(super) fn set_timeout(&self, flow: Flow, life: u64, timeout: Duration) {
        self.state.lock().flows.set_timeout(flow, life, timeout);
    }

    /// The interface towards a source, as the routes have it. Runs the caller's code: to be called with no lock held.
    pub(super) fn towards(&self, source: IpAddr) -> Option<Interface> {
        let path = self.clients.code.run("the routes", || self.routes.reverse_path(source)).flatten()?;
        // A route by an interface of another family is none.
        Some(path.interface).filter(|interface| interface.family() == Family::of(source))
    }

    fn prune(&self, membership: Membership, interface: Interface, cause: Cause) -> PruneAlert {
        PruneAlert::new(membership, interface, cause, self.config.entry_lifetime)
    }

    /// Tells the routing protocol of a shared interface of what IGMP did there.
    fn tell_sharer(
        &self,
        tell: &mut Tell<'_>,
        share: Share,
        contribution: Contribution,
        notice: impl FnOnce(Interface) -> Notice,
    ) {
        let Some(record) = self.interfaces.get(share.0) else { return };
        let owned = self.owned(record);
        let stamp = owned.stamp(record, Role::Routing);
        // Another routing protocol, or none, has nothing to do with it: IGMP begins anew with that one.
        if contribution.stamp.hangs_on(&stamp)
            && let Some(outlet) = owned.by(Role::Routing).and_then(|client| self.clients.outlet(client))
        {
            tell.queue(outlet, notice(record.interface), Some(stamp));
        }
    }

    /// Tells whoever decides on the interface towards a source, unless it is the only one whom it is about.
    fn tell_upstream(
        &self,
        tell: &mut Tell<'_>,
        towards: Towards,
        about: &[Handle],
        notice: impl FnOnce(Interface) -> Notice,
    ) {
        let Some((interface, Some(owned))) = towards.0 else { return };
        let Some(record) = self.interfaces.find(interface) else { return };
        if let Some(client) = owned.deciding().filter(|client| about != [*client])
            && let Some(outlet) = self.clients.outlet(client)
        {
            tell.queue(outlet, notice(interface), Some(owned.arrival_stamp(record)));
        }
    }

    fn tell_audience(
        &self,
        tell: &mut Tell<'_>,
        audience: &Audience,
        causer: Handle,
        notice: impl Fn() -> Notice,
    ) {
        let outlets: Vec<Arc<Outlet>> = match audience {
            Audience::Nobody => return,
            Audience::One(client) => self.clients.outlet(*client).into_iter().collect(),
            Audience::Others => self.clients.outlets_but(causer, tell.listed),
        };
        for outlet in outlets {
            tell.queue(outlet, notice(), None);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{Client, ManagerConfig, Protocol, ReversePath, StateChange};
    use super::*;
    use parking_lot::Mutex;

    /// Writes down the prune alerts it gets.
    #[derive(Default)]
    struct Pruned(Mutex<Vec<(Membership, Cause)>>);

    impl Client for Arc<Pruned> {
        fn prune_alert(&self, alert: &mut PruneAlert) {
            self.0.lock().push((alert.membership(), alert.cause()));
        }
    }

    /// Between a release's effect and its sweep somebody else's call renews an entry that the released interface was part of.
    /// It cannot tell whose doing that was, so it must leave it to the sweep, which can.
    #[test]
    fn nobody_is_told_of_his_own_release_because_another_came_by_before_the_sweep() {
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

        // The effect alone, as when the releasing thread is stopped right behind it.
        let record = manager.interfaces.find(lan).unwrap();
        manager.clients.table.release(releasing, record.owner(Role::Routing)).unwrap();
        let group = Membership::any_source(flow.group()).unwrap();
        manager.delete_membership(other, elsewhere, group, StateChange::Join).unwrap();
        manager.sweep(&mut manager.change_state(), record, Some(releasing));
        assert_eq!(*heard.0.lock(), []);
    }
}
