//! [`LockedState`]: the membership lock, and the notices to deliver once it is released.

use crate::forwarding::Stamp;
use crate::handle::Handle;
use crate::manager::clients::{ClientChannel, ClientRegistry, Notice, Reply};
use crate::manager::flows::{FlowContext, FlowTable};
use crate::manager::state::{Handover, Handovers, Latecomers, MembershipTable, RpfJoins};
use crate::manager::{GroupManager, Interface};
use parking_lot::MutexGuard;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The data under the membership lock.
pub(in crate::manager) struct State {
    pub(in crate::manager) members: MembershipTable,
    pub(in crate::manager) flows: FlowTable,
    pub(in crate::manager) rpf_joins: RpfJoins,
    pub(in crate::manager) handovers: Handovers,
    /// The clients that are still being told of the memberships that were there when they registered.
    pub(in crate::manager) latecomers: Latecomers,
    /// The number of memberships, flows and interfaces that were looked at under the lock so far.
    pub(in crate::manager) looks: u64,
}

impl State {
    pub(in crate::manager) fn new(flows: FlowTable) -> State {
        State {
            members: MembershipTable::default(),
            flows,
            rpf_joins: RpfJoins::default(),
            handovers: Handovers::default(),
            latecomers: Latecomers::default(),
            looks: 0,
        }
    }

    /// Applies what the delivery of a notice has to change.
    pub(in crate::manager) fn apply(&mut self, reply: &Reply<'_>) {
        match *reply {
            Reply::HandoverDelivered(handover) => self.handovers.delivered(handover),
            Reply::PruneTimeout { flow, entry_id, timeout } => {
                self.flows.set_timeout(flow, entry_id, timeout);
            }
        }
    }
}

/// The membership lock, with the notices that were queued under it.
pub(super) struct LockedState<'m> {
    pub(super) state: MutexGuard<'m, State>,
    pub(super) deliveries: Deliveries<'m>,
    rpf_owners: RpfOwners,
}

/// The client that decides about each RPF interface, as read once under this hold of the lock.
///
/// All flows through an interface that are settled under one hold are settled with the same client, so that an observer sees
/// one instant. A change of the owner after the read is followed by a sweep under a later hold, which settles them again.
#[derive(Default)]
struct RpfOwners(BTreeMap<Interface, Option<Handle>>);

impl LockedState<'_> {
    /// Returns the client that decides about an RPF interface: the one that `read` returned first under this hold.
    pub(super) fn rpf_owner(
        &mut self,
        interface: Interface,
        read: impl FnOnce(Interface) -> Option<Handle>,
    ) -> Option<Handle> {
        *self.rpf_owners.0.entry(interface).or_insert_with(|| read(interface))
    }

    /// Notes the client that decides about an interface at the instant of its sweep.
    pub(super) fn note_rpf_owner(&mut self, interface: Interface, owner: Option<Handle>) {
        self.rpf_owners.0.insert(interface, owner);
    }

    /// Returns the channel to a registered client.
    pub(super) fn channel(&self, client: Handle) -> Option<Arc<ClientChannel>> {
        self.deliveries.clients.channel(&self.state, client)
    }

    /// Queues a notice, which is delivered only while the stamp is current.
    pub(super) fn queue(&mut self, channel: Arc<ClientChannel>, notice: Notice, requires: Option<Stamp>) {
        channel.queue(notice, requires);
        self.deliveries.add(channel);
    }

    /// Queues a handover. Returns whether it is a notice of its own.
    pub(super) fn queue_handover(
        &mut self,
        channel: Arc<ClientChannel>,
        handover: Handover,
        requires: Stamp,
    ) -> bool {
        let merged = channel.queue_handover(handover, requires);
        self.deliveries.add(channel);
        !merged
    }

    /// Returns the channels to all registered clients, in the order of protocols.
    pub(super) fn all_channels(&mut self) -> Arc<[Arc<ClientChannel>]> {
        let Deliveries { clients, all, .. } = &mut self.deliveries;
        // Collected once: while the lock is held no further client becomes visible, and one that leaves drops its notices.
        let (clients, state, looks) = (*clients, &*self.state, &mut 0);
        let all = all.get_or_insert_with(|| {
            let channels = clients.channels(state);
            *looks = channels.len() as u64;
            channels.into()
        });
        let all = all.clone();
        self.state.looks += *looks;
        all
    }
}

/// The channels with notices to deliver, in the order in which they got their first.
#[must_use = "queued notices wait until they are delivered"]
pub(super) struct Deliveries<'m> {
    clients: &'m Arc<ClientRegistry>,
    channels: Vec<Arc<ClientChannel>>,
    known: BTreeSet<Handle>,
    /// The channels to all registered clients, once they were needed.
    all: Option<Arc<[Arc<ClientChannel>]>>,
}

impl Deliveries<'_> {
    fn add(&mut self, channel: Arc<ClientChannel>) {
        if self.known.insert(channel.handle) {
            self.channels.push(channel);
        }
    }

    /// Delivers the queued notices. Must be called with no lock held.
    fn deliver(mut self) {
        for channel in std::mem::take(&mut self.channels) {
            channel.deliver();
        }
        self.clients.runner.run_destructors();
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
                clients: &self.clients,
                channels: Vec::new(),
                known: BTreeSet::new(),
                all: None,
            },
            rpf_owners: RpfOwners::default(),
        };
        let result = update(&mut locked);
        let LockedState { state, deliveries, .. } = locked;
        drop(state);
        deliveries.deliver();
        result
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
