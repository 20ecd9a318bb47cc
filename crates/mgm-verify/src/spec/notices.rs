//! Notices: `PMGM_JOIN_ALERT_CALLBACK`, `PMGM_PRUNE_ALERT_CALLBACK`, `PMGM_LOCAL_JOIN_CALLBACK`; RFC 2715 section 3.1.
//!
//! A client is told of each key, (\*,\*), (\*,g) or (s,g), whether any other client counts for it. Keys count independently.
//! Of (s,g) only the deciding owner of the RPF interface is told. So joins and prunes of a client and a key alternate,
//! except those about entries, which follow the entries.

use super::memberships::{RpfJoin, Told};
use super::renewal::Transition;
use super::{ClientId, OwnershipVersion, Role, Spec};
use mgm::forwarding::Flow;
use mgm::manager::{Cause, Interface, Membership};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The event that a client is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NoticeKind {
    /// Receivers have appeared elsewhere.
    Join(Membership, Cause),
    /// No receivers are left elsewhere. The interface is that on which packets arrive, or on which the last receivers were.
    Prune(Membership, Interface, Cause),
    /// IGMP has joined on an interface of the client.
    LocalJoin(Interface, Membership),
    /// IGMP has left on an interface of the client.
    LocalLeave(Interface, Membership),
    /// To IGMP: the routing protocol on the interface has changed. IGMP is disabled and enabled again.
    Handover(Interface),
}

/// A notice that is not delivered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notice {
    /// The recipient.
    pub to: ClientId,
    /// The event.
    pub kind: NoticeKind,
    /// The version that must be current at delivery; otherwise the notice is dropped.
    pub requires: Option<OwnershipVersion>,
    /// For a prune alert about an entry: the flow and the incarnation of its entry. The client may change its
    /// time-out.
    pub entry: Option<(Flow, u64)>,
    /// For a handover: how often the routing protocol had changed.
    pub change: u64,
}

impl Spec {
    /// Returns the notices that were not taken yet.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Removes and returns the notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(super) fn notify(
        &mut self,
        to: ClientId,
        kind: NoticeKind,
        requires: Option<OwnershipVersion>,
        entry: Option<(Flow, u64)>,
    ) {
        if self.clients.contains_key(&to) {
            self.notices.push(Notice { to, kind, requires, entry, change: 0 });
        }
    }

    /// Notifies of a join or a leave of (\*,g) or (\*,\*). The first member to come and the last to go matter to every other
    /// client. The second to come and the last but one to go matter to the one other member. Further ones matter to no
    /// client.
    pub(super) fn notify_others(&mut self, members: &BTreeSet<ClientId>, causer: ClientId, kind: NoticeKind) {
        let mut members = members.iter();
        match (members.next(), members.next()) {
            (None, _) => {
                let mut others: Vec<_> =
                    self.clients.iter().map(|(client, protocol)| (*protocol, *client)).collect();
                others.sort_unstable();
                for (_, other) in others.into_iter().filter(|(_, other)| *other != causer) {
                    self.notify(other, kind, None, None);
                }
            }
            (Some(one), None) => self.notify(*one, kind, None, None),
            _ => {}
        }
    }

    /// Defers [`settle_rpf_owner`](Self::settle_rpf_owner) until [`take_deferred`](Self::take_deferred). A call reads the
    /// owner of an RPF interface at an instant of its own, after that at which it takes effect: the owner may change
    /// between the two.
    pub fn defer_settling(&mut self) {
        self.deferred = Some(BTreeSet::new());
    }

    /// Ends the deferring. Returns the flows that are still to be settled.
    pub fn take_deferred(&mut self) -> BTreeSet<Flow> {
        self.deferred.take().unwrap_or_default()
    }

    /// Returns whether settling is deferred.
    #[must_use]
    pub fn defers_settling(&self) -> bool {
        self.deferred.is_some()
    }

    /// Notifies the deciding owner of the RPF interface of (s,g), if another client counts for it. If the owner is another
    /// one than the client that was told, that client gets a prune first. Forgets a flow for which no client counts.
    pub fn settle_rpf_owner(&mut self, flow: Flow) {
        if let Some(deferred) = &mut self.deferred {
            deferred.insert(flow);
            return;
        }
        let Some(RpfJoin { interface, told }) = self.rpf_joins.get(&flow).copied() else { return };
        let membership = Membership::OneSource(flow);
        let members = self.members(membership);
        let owner = interface.and_then(|at| Some(Told { client: self.deciding_owner(at)?, interface: at }));
        let wanted = owner.filter(|owner| members.iter().any(|member| *member != owner.client));
        if told.map(|told| told.client) != wanted.map(|wanted| wanted.client) {
            if let Some(Told { client, interface }) = told {
                let pruned = NoticeKind::Prune(membership, interface, Cause::Membership);
                self.notify(client, pruned, None, None);
            }
            if let Some(Told { client, .. }) = wanted {
                self.notify(client, NoticeKind::Join(membership, Cause::Membership), None, None);
            }
        }
        self.rpf_joins.insert(flow, RpfJoin { interface, told: wanted });
        if members.is_empty() {
            self.rpf_joins.remove(&flow);
        }
    }

    /// Notifies the routing protocol of a membership of IGMP on its interface, if it is still the same owner.
    pub(super) fn notify_routing_owner(
        &mut self,
        interface: Interface,
        joined: OwnershipVersion,
        kind: NoticeKind,
    ) {
        let key = (interface, Role::Routing);
        let requires = self.version(key);
        if joined.routing == requires.routing
            && let Some(owner) = self.owners.get(&key).copied()
        {
            self.notify(owner, kind, Some(requires), None);
        }
    }

    /// Notifies the owner of an entry's incoming interface that the entry has begun or ceased to forward, unless that owner
    /// caused it.
    pub(super) fn notify_of_transition(&mut self, transition: &Transition, causers: &BTreeSet<ClientId>) {
        let owner = self.deciding_owner(transition.interface).filter(|owner| !causers.contains(owner));
        let Some(owner) = owner else { return };
        let membership = Membership::OneSource(transition.flow);
        let (kind, entry) = match transition.forwards {
            true => (NoticeKind::Join(membership, Cause::Entry), None),
            false => {
                let kind = NoticeKind::Prune(membership, transition.interface, Cause::Entry);
                (kind, Some((transition.flow, transition.incarnation)))
            }
        };
        self.notify(owner, kind, Some(transition.version), entry);
    }
}
