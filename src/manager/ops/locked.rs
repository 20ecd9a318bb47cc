//! [`LockedState`]: the membership lock, and the notices to deliver once it is released.

use crate::forwarding::Flow;
use crate::forwarding::Stamp;
use crate::handle::Handle;
use crate::manager::clients::{ClientChannel, Notice, Reply, has_stack_room};
use crate::manager::flows::{FlowContext, FlowTable};
use crate::manager::state::{Handover, Handovers, MembershipTable};
use crate::manager::{GroupManager, Interface, Membership};
use parking_lot::MutexGuard;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The data under the membership lock.
pub(in crate::manager) struct State {
    pub(in crate::manager) members: MembershipTable,
    pub(in crate::manager) flows: FlowTable,
    /// The RPF interface of each (s,g) that has a member which counts, as it was when the first member joined or the
    /// routes last changed.
    pub(in crate::manager) rpf_interfaces: BTreeMap<Flow, Interface>,
    pub(in crate::manager) handovers: Handovers,
}

impl State {
    pub(in crate::manager) fn new(flows: FlowTable) -> State {
        State {
            members: MembershipTable::default(),
            flows,
            rpf_interfaces: BTreeMap::new(),
            handovers: Handovers::default(),
        }
    }

    /// Returns the RPF interface of a source-specific membership that has a member which counts.
    pub(super) fn rpf_interface(&self, membership: Membership) -> Option<Interface> {
        match membership {
            Membership::OneSource(flow) => self.rpf_interfaces.get(&flow).copied(),
            _ => None,
        }
    }
}

/// The membership lock, with the notices that were queued under it.
pub(super) struct LockedState<'m> {
    pub(super) state: MutexGuard<'m, State>,
    pub(super) deliveries: Deliveries<'m>,
}

impl<'m> LockedState<'m> {
    /// Releases the lock.
    fn unlock(self) -> Deliveries<'m> {
        let LockedState { state, deliveries } = self;
        drop(state);
        deliveries
    }
}

/// The channels with notices to deliver, in the order in which they got their first.
#[must_use = "queued notices wait until they are delivered"]
pub(super) struct Deliveries<'m> {
    manager: &'m GroupManager,
    channels: Vec<Arc<ClientChannel>>,
    known: BTreeSet<Handle>,
    /// The number of registrations at the instant of the change: later clients are not notified of it.
    pub(super) registrations: u64,
}

impl Deliveries<'_> {
    /// Queues a notice, which is delivered only while the stamp is current.
    pub(super) fn queue(&mut self, channel: Arc<ClientChannel>, notice: Notice, requires: Option<Stamp>) {
        channel.queue(notice, requires);
        self.add(channel);
    }

    /// Queues a handover. Returns whether it is a notice of its own.
    pub(super) fn queue_handover(
        &mut self,
        channel: Arc<ClientChannel>,
        handover: Handover,
        requires: Stamp,
    ) -> bool {
        let merged = channel.queue_handover(handover, requires);
        self.add(channel);
        !merged
    }

    fn add(&mut self, channel: Arc<ClientChannel>) {
        if self.known.insert(channel.handle) {
            self.channels.push(channel);
        }
    }

    /// Delivers the queued notices. Must be called with no lock held.
    fn deliver(mut self) {
        for channel in std::mem::take(&mut self.channels) {
            self.manager.deliver(channel);
        }
        let clients = &self.manager.clients;
        while has_stack_room()
            && let Some(channel) = clients.deferred.next_deferred()
        {
            self.manager.deliver(channel);
        }
        clients.runner.run_destructors();
    }
}

impl Drop for Deliveries<'_> {
    fn drop(&mut self) {
        debug_assert!(self.channels.is_empty() || std::thread::panicking(), "notices were not delivered");
    }
}

impl GroupManager {
    /// Runs `update` under the membership lock, then delivers the notices that it queued.
    pub(super) fn update_state<'m, R>(&'m self, update: impl FnOnce(&mut LockedState<'m>) -> R) -> R {
        let mut locked = LockedState {
            state: self.state.lock(),
            deliveries: Deliveries {
                manager: self,
                channels: Vec::new(),
                known: BTreeSet::new(),
                registrations: self.clients.registrations(),
            },
        };
        let result = update(&mut locked);
        locked.unlock().deliver();
        result
    }

    /// Delivers the notices of a channel. When callbacks are nested too deeply, leaves the delivery to a call further out on
    /// this thread's stack: clients that cause each other's notices must not overflow it.
    pub(in crate::manager) fn deliver(&self, channel: Arc<ClientChannel>) {
        if has_stack_room() {
            channel.deliver(&self.clients.table, &|reply| self.apply(&reply));
        } else {
            self.clients.deferred.defer(channel);
        }
    }

    /// Applies what the delivery of a notice has to change.
    pub(in crate::manager) fn apply(&self, reply: &Reply<'_>) {
        let mut state = self.state.lock();
        match *reply {
            Reply::HandoverDelivered(handover) => state.handovers.delivered(handover),
            Reply::PruneTimeout { flow, entry_id, timeout } => {
                state.flows.set_timeout(flow, entry_id, timeout);
            }
        }
    }

    /// Splits the state into the flow table and what it works with.
    pub(in crate::manager) fn split<'s>(
        &'s self,
        state: &'s mut State,
    ) -> (&'s mut FlowTable, FlowContext<'s>) {
        let State { members, flows, .. } = state;
        (flows, FlowContext { members, table: self.forwarding.table(), interfaces: &self.interfaces })
    }
}
