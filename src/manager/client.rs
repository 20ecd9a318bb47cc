//! What a routing protocol tells the manager of itself, and how the manager calls it.

use super::Interface;
use crate::forwarding::Flow;
use std::fmt;

/// Which protocol, and which of its instances: unique among those that are registered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// How the manager calls a client. Every call is optional; none runs under a lock of the manager's, and every function of
/// the manager may be called from inside.
pub trait Client: Send + Sync {
    /// A flow gets its first entry, and some of this client's interfaces would be outgoing ones in it: the client may keep
    /// the flow off any of them. Runs on the thread that brought the flow.
    ///
    /// Source: `PMGM_CREATION_ALERT_CALLBACK` in the Windows SDK; RFC 2715 section 4, (S,G) Creation alert.
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let _ = alert;
    }
}

/// A client that wants no calls.
impl Client for () {}

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
