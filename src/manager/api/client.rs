//! [`Client`]: the callbacks of a registered protocol; [`Protocol`]: its name.

use super::{
    CreationAlert, Interface, JoinAlert, Membership, PruneAlert, ReversePathQuestion, WrongInterfaceAlert,
};
use crate::handle::Handle;
use std::fmt;

/// A protocol instance: a protocol number and an instance number. Unique among the registered clients.
///
/// The number has the layout of `PROTOCOL_ID` in `routprot.h` of the Windows SDK:
///
/// | bits | part | values |
/// |---|---|---|
/// | 31, 30 | type | 1 for multicast routing protocols |
/// | 29 to 16 | vendor | 311 is Microsoft; 0 and 16383 are reserved there |
/// | 15 to 0 | protocol | chosen by the vendor |
///
/// A third party takes type 1, a vendor number of its own, and a protocol number of its choice. A protocol that never runs on
/// Windows may do without a vendor: `0x4000_0001` is multicast type, vendor 0, protocol 1. Except for
/// [`IGMP`](Self::IGMP), the manager gives no number a meaning; it compares numbers only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Protocol {
    /// The protocol number, formed as `PROTOCOL_ID` in `routprot.h` of the Windows SDK: see [`Protocol`].
    pub id: u32,
    /// The instance of the protocol.
    pub component: u32,
}

impl Protocol {
    /// The number of IGMP and MLD, `MS_IP_IGMP` of `routprot.h`: the one protocol that shares an interface with another.
    pub const IGMP: u32 = 0x4137_000A;

    /// Returns the name of a protocol instance. See [`Protocol`] for the choice of `id`. `component` is 0 unless a protocol has
    /// several instances.
    #[must_use]
    pub const fn new(id: u32, component: u32) -> Protocol {
        Protocol { id, component }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol {:#010x} component {}", self.id, self.component)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The callbacks of a registered protocol. Every callback is optional.
///
/// No callback runs under a lock of the manager: every function of the manager may be called from every callback. A client
/// that keeps the manager should keep a [`Weak`](std::sync::Weak), because the manager keeps its clients.
///
/// *Questions* ([`reverse_path`](Client::reverse_path), [`creation_alert`](Client::creation_alert)) run on the thread that
/// reports the flow, and that thread waits for the answer. Every other callback is a *notice*. Notices go through the
/// client's outbox, which delivers them one at a time, in the order of the changes they report, whichever threads made
/// those changes. A notice that is raised during a notice of the same client is delivered after it.
///
/// The first notice may arrive as soon as [`registered`](Client::registered) has returned, which can be before
/// [`register`](crate::manager::GroupManager::register) returns.
///
/// # Joins and prunes alternate
///
/// A client is told of each key whether any *other* client has joined it. There are three kinds of keys, which count
/// independently: (\*,\*), (\*,g) and (s,g). For (\*,\*) and (\*,g) every client is told. For (s,g) the client is told that
/// decides about packets from s: the owner of the RPF interface towards s. It gets a [`join_alert`](Client::join_alert) when the
/// first other client joins, and a [`prune_alert`](Client::prune_alert) when the last other client has left, whichever call
/// caused that: a deleted membership, a released interface, a change of the routes, another owner of the RPF interface. So for
/// each key joins and prunes alternate, and a join comes first. A client's own joins and leaves change nothing of what it was
/// told of others. These are the alerts with [`Cause::Membership`](crate::manager::Cause::Membership).
///
/// A client that registers late is told of what is there, unless it
/// [declines](Client::wants_present_joins); then its first alert of a key may be a prune. Notices that are lost
/// ([`notices_lost`](Client::notices_lost)) interrupt the alternation: until that callback a client may see an alert twice.
///
/// Source: the callbacks of `ROUTING_PROTOCOL_CONFIG` in the Windows SDK; RFC 2715 section 3.
pub trait Client: Send + Sync {
    /// Gives the client its own handle. Called once, on the thread that registers the client, before `register` returns.
    ///
    /// No other callback of the client starts before this one has returned: notices wait, and questions count as
    /// unanswered. The client may already take interfaces and add memberships here.
    fn registered(&self, handle: Handle) {
        let _ = handle;
    }

    /// Asks for the reverse path of a new flow. The client owns the interface towards the source; it may choose another
    /// interface of its own as the incoming one, and name another upstream neighbour.
    ///
    /// Source: `PMGM_RPF_CALLBACK`.
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let _ = question;
    }

    /// Offers the client its interfaces among the outgoing ones of a new flow. The client may veto any of them. Runs on
    /// the thread that reports the flow.
    ///
    /// Source: `PMGM_CREATION_ALERT_CALLBACK` in the Windows SDK; RFC 2715, (S,G) Creation alert.
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let _ = alert;
    }

    /// Reports receivers of other clients: the client should ask upstream for these packets. See
    /// [above](Client#joins-and-prunes-alternate).
    ///
    /// A protocol without rules for single flows may ignore alerts with
    /// [`Cause::Entry`](crate::manager::Cause::Entry), which follow entries rather than memberships.
    ///
    /// Source: `PMGM_JOIN_ALERT_CALLBACK`; RFC 2715, Join alert.
    fn join_alert(&self, alert: &JoinAlert) {
        let _ = alert;
    }

    /// Reports that no receivers of other clients are left: the client need not ask upstream for them any more. An owner of
    /// the RPF interface that has released it gets the prune that takes back its join.
    ///
    /// Source: `PMGM_PRUNE_ALERT_CALLBACK`; RFC 2715, Prune alert.
    fn prune_alert(&self, alert: &mut PruneAlert) {
        let _ = alert;
    }

    /// Reports that IGMP or MLD added a membership on an interface that it shares with this client.
    ///
    /// Source: `PMGM_LOCAL_JOIN_CALLBACK`.
    fn local_join(&self, interface: Interface, membership: Membership) {
        let _ = (interface, membership);
    }

    /// Reports that IGMP or MLD deleted a membership on an interface that it shares with this client.
    ///
    /// Source: `PMGM_LOCAL_LEAVE_CALLBACK`.
    fn local_leave(&self, interface: Interface, membership: Membership) {
        let _ = (interface, membership);
    }

    /// Tells IGMP that a routing protocol took or released an interface that IGMP is on. All memberships of IGMP there
    /// have ended. Until [`enable_igmp`](Client::enable_igmp) IGMP can neither add nor delete memberships there.
    ///
    /// Source: `PMGM_DISABLE_IGMP_CALLBACK`.
    fn disable_igmp(&self, interface: Interface) {
        let _ = interface;
    }

    /// Tells IGMP, after each [`disable_igmp`](Client::disable_igmp), to add its memberships on the interface again. Unlike
    /// on Windows, IGMP may add them from inside this call.
    ///
    /// Source: `PMGM_ENABLE_IGMP_CALLBACK`.
    fn enable_igmp(&self, interface: Interface) {
        let _ = interface;
    }

    /// Returns whether the client wants [`wrong_interface`](Client::wrong_interface) alerts. Asked once, by `register`,
    /// before the client has a handle.
    fn wants_wrong_interface(&self) -> bool {
        false
    }

    /// Returns whether the client is told at registration of the memberships for which other clients count already: one
    /// [`join_alert`](Client::join_alert) for each (\*,\*) and (\*,g), after [`registered`](Client::registered) and before
    /// `register` returns, unless `register` is called from too deep inside callbacks. Asked once, by `register`, before the
    /// client has a handle.
    fn wants_present_joins(&self) -> bool {
        true
    }

    /// Reports packets of a flow that arrive on an interface of this client which is not the flow's incoming one. Only for
    /// clients that [want it](Client::wants_wrong_interface).
    ///
    /// Source: `PMGM_WRONG_IF_CALLBACK`, which Windows documents and never calls; RFC 2715, WrongIf alert.
    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        let _ = alert;
    }

    /// Reports the number of notices that were lost because the outbox was full or memory was short. The client should
    /// read [`memberships`](crate::manager::GroupManager::memberships) and
    /// [`entries`](crate::manager::GroupManager::entries) again. Called after the notices that did fit.
    fn notices_lost(&self, count: u64) {
        let _ = count;
    }
}

/// A client without callbacks.
impl Client for () {
    fn wants_present_joins(&self) -> bool {
        false
    }
}
