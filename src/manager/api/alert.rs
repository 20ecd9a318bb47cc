//! The arguments of callbacks: questions about a new flow, and alerts about receivers. Each is read by methods.

use super::{Interface, Membership, ReversePath};
use crate::forwarding::Flow;
use std::time::Duration;

/// A new flow and the reverse path to its source, as the routes gave it.
#[derive(Debug)]
pub struct ReversePathQuestion<'a> {
    flow: Flow,
    packet: &'a [u8],
    path: ReversePath,
}

impl<'a> ReversePathQuestion<'a> {
    pub(in crate::manager) const fn new(
        flow: Flow,
        packet: &'a [u8],
        path: ReversePath,
    ) -> ReversePathQuestion<'a> {
        ReversePathQuestion { flow, packet, path }
    }

    /// Returns the new flow.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Returns the packet that started the flow, from its IP header on, as far as the forwarding plane passed it; empty
    /// when there was none.
    #[must_use]
    pub const fn packet(&self) -> &[u8] {
        self.packet
    }

    /// Returns the reverse path to the source.
    #[must_use]
    pub const fn path(&self) -> ReversePath {
        self.path
    }

    /// Replaces the reverse path. A path through an interface that the client does not own is ignored as a whole. The
    /// neighbour and the route are for information only.
    pub const fn set_path(&mut self, path: ReversePath) {
        self.path = path;
    }
}

/// The cause of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Cause {
    /// The memberships changed (`bMemberUpdate` and `bMemberDelete` TRUE).
    Membership,
    /// An entry was made without an outgoing interface, gained its first, or lost its last (FALSE). A protocol without
    /// rules for such changes may ignore the alert.
    Entry,
}

/// The alert that receivers appeared on interfaces of other clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinAlert {
    membership: Membership,
    cause: Cause,
}

impl JoinAlert {
    /// Returns an alert, for tests of clients.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(membership: Membership, cause: Cause) -> JoinAlert {
        JoinAlert { membership, cause }
    }

    /// Returns the membership that the receivers want. With [`Cause::Entry`] it is (s,g).
    #[must_use]
    pub const fn membership(&self) -> Membership {
        self.membership
    }

    /// Returns the cause of the alert.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }
}

/// The alert that no receivers are left on interfaces of other clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneAlert {
    membership: Membership,
    interface: Interface,
    cause: Cause,
    timeout: Duration,
    answered: bool,
}

impl PruneAlert {
    pub(in crate::manager) const fn new(
        membership: Membership,
        interface: Interface,
        cause: Cause,
        timeout: Duration,
    ) -> PruneAlert {
        PruneAlert { membership, interface, cause, timeout, answered: false }
    }

    /// Returns the timeout that the client set, rounded up to whole seconds; `None` when it set none.
    pub(in crate::manager) fn answer(&self) -> Option<Duration> {
        let up = u64::from(self.timeout.subsec_nanos() > 0);
        let seconds = self.timeout.as_secs().saturating_add(up).min(u32::MAX.into());
        (self.answered && seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Returns the membership that has no receivers left. With [`Cause::Entry`] it is (s,g).
    #[must_use]
    pub const fn membership(&self) -> Membership {
        self.membership
    }

    /// Returns the interface of the alert. With [`Cause::Entry`], and for (s,g), it is the incoming interface, which the
    /// client owns. For (\*,g) and (\*,\*) it is the interface of the last membership.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// Returns the cause of the alert.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Returns the lifetime of the negative entry: 900 seconds unless the client or the configuration changed it.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sets the lifetime of the negative entry, from now on, rounded up to whole seconds. Zero changes nothing. Without
    /// effect unless the cause is [`Cause::Entry`].
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.answered = true;
    }
}

/// The alert that packets of a flow arrive on the wrong interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongInterfaceAlert {
    flow: Flow,
    arrival: Interface,
    packet: Box<[u8]>,
}

impl WrongInterfaceAlert {
    pub(in crate::manager) const fn new(
        flow: Flow,
        arrival: Interface,
        packet: Box<[u8]>,
    ) -> WrongInterfaceAlert {
        WrongInterfaceAlert { flow, arrival, packet }
    }

    /// Returns the flow of the packets.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Returns the interface where one of the packets arrived; the client owns it.
    #[must_use]
    pub const fn arrival(&self) -> Interface {
        self.arrival
    }

    /// Returns that packet from its IP header on, as far as the forwarding plane passed it.
    #[must_use]
    pub const fn packet(&self) -> &[u8] {
        &self.packet
    }
}

/// A new flow, and the client's interfaces among its outgoing ones.
#[derive(Debug)]
pub struct CreationAlert<'a> {
    flow: Flow,
    incoming: Interface,
    outgoing: &'a mut [OfferedInterface],
}

/// One outgoing interface of a new flow, offered to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedInterface {
    interface: Interface,
    igmp: bool,
    enabled: bool,
}

impl OfferedInterface {
    pub(in crate::manager) const fn new(interface: Interface, igmp: bool) -> OfferedInterface {
        OfferedInterface { interface, igmp, enabled: true }
    }

    /// Returns the interface.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// Returns whether IGMP or MLD runs on the interface (`bIGMP` of `MGM_IF_ENTRY`).
    #[must_use]
    pub const fn igmp_enabled(&self) -> bool {
        self.igmp
    }

    /// Returns whether the flow will be copied to the interface: `true` until a veto.
    #[must_use]
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// Keeps the flow off this interface (`bIsEnabled = FALSE`). A veto of the routing protocol removes the interface from
    /// the entry. A veto of IGMP removes only the part that IGMP contributed.
    pub const fn veto(&mut self) {
        self.enabled = false;
    }
}

impl<'a> CreationAlert<'a> {
    pub(in crate::manager) const fn new(
        flow: Flow,
        incoming: Interface,
        outgoing: &'a mut [OfferedInterface],
    ) -> CreationAlert<'a> {
        CreationAlert { flow, incoming, outgoing }
    }

    /// Returns the new flow.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Returns the incoming interface of the flow.
    #[must_use]
    pub const fn incoming(&self) -> Interface {
        self.incoming
    }

    /// Returns the client's interfaces among the outgoing ones.
    #[must_use]
    pub const fn outgoing(&self) -> &[OfferedInterface] {
        self.outgoing
    }

    /// Returns the client's interfaces among the outgoing ones, to veto some.
    pub const fn outgoing_mut(&mut self) -> &mut [OfferedInterface] {
        self.outgoing
    }
}
