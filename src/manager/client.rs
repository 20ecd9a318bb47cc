//! What a routing protocol tells the manager of itself, and how the manager calls it.

use super::{
    CreationAlert, Interface, JoinAlert, Membership, PruneAlert, ReversePathQuestion, WrongInterfaceAlert,
};
use std::fmt;

/// Which protocol, and which of its instances: unique among those that are registered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Protocol {
    /// The protocol's number, as `PROTOCOL_ID` of the Windows SDK's `routprot.h` makes them.
    pub id: u32,
    /// Which instance of the protocol.
    pub component: u32,
}

impl Protocol {
    /// The number of IGMP and MLD, `MS_IP_IGMP` of `routprot.h`: the one protocol that shares an interface with another.
    pub const IGMP: u32 = 0x4137_000A;

    /// A protocol instance.
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

/// How the manager calls a client. Every call is optional. None runs under a lock of the manager's: every function of the
/// manager may be called from inside every call.
///
/// *Questions* ([`reverse_path`](Client::reverse_path), [`creation_alert`](Client::creation_alert)) are asked on the thread
/// that brings the flow, which waits for the answer. Everything else is a *notice*: it goes through an outbox of the
/// client's, so that a client gets its notices one after the other, in the order in which what they tell of happened,
/// whichever threads did it. A notice that is raised while the client is in one is delivered after that one.
///
/// Source: the callbacks of `ROUTING_PROTOCOL_CONFIG` in the Windows SDK; RFC 2715 section 3.
pub trait Client: Send + Sync {
    /// A flow gets an entry, and this client owns the interface towards its source: the client may have the packets
    /// arrive on another interface of its own, and name another upstream neighbour.
    ///
    /// Source: `PMGM_RPF_CALLBACK`.
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let _ = question;
    }

    /// A flow gets its first entry, and some of this client's interfaces would be outgoing ones in it: the client may keep
    /// the flow off any of them. Runs on the thread that brought the flow.
    ///
    /// Source: `PMGM_CREATION_ALERT_CALLBACK` in the Windows SDK; RFC 2715, (S,G) Creation alert.
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let _ = alert;
    }

    /// There are receivers on interfaces of other clients: ask for these packets.
    ///
    /// Source: `PMGM_JOIN_ALERT_CALLBACK`; RFC 2715, Join alert.
    fn join_alert(&self, alert: &JoinAlert) {
        let _ = alert;
    }

    /// There are no receivers left on interfaces of other clients: these packets need not be asked for any more.
    ///
    /// Source: `PMGM_PRUNE_ALERT_CALLBACK`; RFC 2715, Prune alert.
    fn prune_alert(&self, alert: &mut PruneAlert) {
        let _ = alert;
    }

    /// IGMP or MLD has added a membership on an interface of this client's that they share.
    ///
    /// Source: `PMGM_LOCAL_JOIN_CALLBACK`.
    fn local_join(&self, interface: Interface, membership: Membership) {
        let _ = (interface, membership);
    }

    /// IGMP or MLD has deleted a membership on an interface of this client's that they share.
    ///
    /// Source: `PMGM_LOCAL_LEAVE_CALLBACK`.
    fn local_leave(&self, interface: Interface, membership: Membership) {
        let _ = (interface, membership);
    }

    /// To IGMP: a routing protocol has taken, or has released, an interface that IGMP is on. All of IGMP's memberships
    /// there have ended, and until [`enable_igmp`](Client::enable_igmp) it can neither add nor delete any there.
    ///
    /// Source: `PMGM_DISABLE_IGMP_CALLBACK`.
    fn disable_igmp(&self, interface: Interface) {
        let _ = interface;
    }

    /// To IGMP, after each [`disable_igmp`](Client::disable_igmp): add everything there again. From inside this very call it
    /// can be done at once, unlike on Windows.
    ///
    /// Source: `PMGM_ENABLE_IGMP_CALLBACK`.
    fn enable_igmp(&self, interface: Interface) {
        let _ = interface;
    }

    /// Whether this client wants to be told of packets that arrive on the wrong interface. Asked once, when it registers.
    fn wants_wrong_interface(&self) -> bool {
        false
    }

    /// Packets of a flow arrive on an interface of this client's that is not the flow's incoming one. Only for clients that
    /// [want it](Client::wants_wrong_interface).
    ///
    /// Source: `PMGM_WRONG_IF_CALLBACK`, which Windows documents and never calls; RFC 2715, WrongIf alert.
    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        let _ = alert;
    }

    /// So many notices did not fit into the client's outbox, or found no memory, and are lost: look at
    /// [`memberships`](super::GroupManager::memberships) and [`entries`](super::GroupManager::entries) instead. Comes after
    /// the notices that did fit.
    fn notices_lost(&self, count: u64) {
        let _ = count;
    }
}

/// A client that wants no calls.
impl Client for () {}
