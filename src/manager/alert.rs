//! What clients are asked about a new flow, and told of receivers elsewhere.

use super::{Interface, Membership, ReversePath};
use crate::forwarding::Flow;
use std::time::Duration;

/// A new flow, and where its packets have to arrive as the routes have it.
#[derive(Debug)]
pub struct ReversePathQuestion<'a> {
    pub(super) flow: Flow,
    pub(super) packet: &'a [u8],
    /// The way back to the source. The client may put another in its place: an interface that is not its own is ignored,
    /// together with the rest of the answer. Neighbour and route are for information only.
    pub path: ReversePath,
}

impl ReversePathQuestion<'_> {
    /// The new flow.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// The packet that brought it, from its IP header on, or as much of it as the forwarding plane handed over; empty when
    /// there was none.
    #[must_use]
    pub const fn packet(&self) -> &[u8] {
        self.packet
    }
}

/// What caused an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Cause {
    /// The memberships changed (`bMemberUpdate` and `bMemberDelete` TRUE).
    Membership,
    /// An entry was made without an outgoing interface, or got its first, or lost its last (FALSE). A protocol whose own
    /// rules do not know such changes may ignore it.
    Entry,
}

/// Receivers appeared on interfaces of other clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinAlert {
    /// What they want. With [`Cause::Entry`] it is (s,g).
    pub membership: Membership,
    /// What caused the alert.
    pub cause: Cause,
}

/// No receivers are left on interfaces of other clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneAlert {
    membership: Membership,
    interface: Interface,
    cause: Cause,
    timeout: Duration,
    answered: bool,
}

impl PruneAlert {
    pub(super) const fn new(
        membership: Membership,
        interface: Interface,
        cause: Cause,
        timeout: Duration,
    ) -> PruneAlert {
        PruneAlert { membership, interface, cause, timeout, answered: false }
    }

    /// The time-out the client has set, in whole seconds.
    pub(super) fn answer(&self) -> Option<Duration> {
        let up = u64::from(self.timeout.subsec_nanos() > 0);
        let seconds = self.timeout.as_secs().saturating_add(up).min(u32::MAX.into());
        (self.answered && seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// What nobody wants any more. With [`Cause::Entry`] it is (s,g).
    #[must_use]
    pub const fn membership(&self) -> Membership {
        self.membership
    }

    /// With [`Cause::Entry`], and for (s,g), the interface where the packets arrive, which is the client's own; for (\*,g) and
    /// (\*,\*) the interface whose membership was the last.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// What caused the alert.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// How long the negative entry lives; 900 seconds unless the client changes it or the manager is configured otherwise.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Has the negative entry live so long from now on, in whole seconds, rounded up; zero leaves it as it is. Without effect
    /// unless the cause is [`Cause::Entry`].
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.answered = true;
    }
}

/// Packets of a flow arrive on the wrong interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongInterfaceAlert {
    /// Whose packets.
    pub flow: Flow,
    /// Where one of them arrived: an interface of the client's.
    pub arrival: Interface,
    /// That packet from its IP header on, or as much of it as the forwarding plane handed over.
    pub packet: Box<[u8]>,
}

/// A new flow, and those of the client's interfaces that it would be copied to.
#[derive(Debug)]
pub struct CreationAlert<'a> {
    pub(super) flow: Flow,
    pub(super) incoming: Interface,
    pub(super) outgoing: &'a mut [OfferedInterface],
}

/// One outgoing interface of a new flow, offered to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedInterface {
    pub(super) interface: Interface,
    pub(super) igmp: bool,
    pub(super) enabled: bool,
}

impl OfferedInterface {
    /// Which interface.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// Whether IGMP or MLD runs on it (`bIGMP` of `MGM_IF_ENTRY`).
    #[must_use]
    pub const fn igmp_enabled(&self) -> bool {
        self.igmp
    }

    /// Whether the flow will be copied to it as things stand.
    #[must_use]
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// Keeps the flow off this interface (`bIsEnabled = FALSE`). The routing protocol's veto takes the interface out of the
    /// entry; IGMP's takes out only what IGMP contributed.
    pub fn veto(&mut self) {
        self.enabled = false;
    }
}

impl CreationAlert<'_> {
    /// The new flow.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Where its packets have to arrive.
    #[must_use]
    pub const fn incoming(&self) -> Interface {
        self.incoming
    }

    /// The client's own interfaces among the outgoing ones.
    #[must_use]
    pub fn outgoing(&self) -> &[OfferedInterface] {
        self.outgoing
    }

    /// The same, to veto some.
    pub fn outgoing_mut(&mut self) -> &mut [OfferedInterface] {
        self.outgoing
    }
}
