//! [`NewEntry`]: the contents of an entry that is about to be published.

use super::counters::counter_id::{FlowCounterId, OifCounterId};
use super::flow::Flow;
use super::stamp::Stamp;

/// The index of a router interface on the packet path (`vifi_t` of the BSD and Linux kernels).
///
/// Indexes are small, dense enough to index arrays, and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VifIndex(pub u32);

/// The interface that a flow's packets must arrive on (the RPF interface).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming {
    /// The interface.
    pub interface: VifIndex,
    /// The ownership of the interface when the entry was made.
    pub stamp: Stamp,
}

impl Incoming {
    /// Makes the incoming interface of an entry.
    #[inline]
    #[must_use]
    pub const fn new(interface: VifIndex, stamp: Stamp) -> Incoming {
        Incoming { interface, stamp }
    }
}

/// An interface that a flow's packets are copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The interface.
    pub interface: VifIndex,
    /// The ownership under which receivers were announced there.
    pub stamp: Stamp,
    /// The counters of the packets copied to the interface.
    pub counter: OifCounterId,
}

impl Outgoing {
    /// Makes an outgoing interface with counters of its own.
    #[inline]
    #[must_use]
    pub const fn new(interface: VifIndex, stamp: Stamp, counter: OifCounterId) -> Outgoing {
        Outgoing { interface, stamp, counter }
    }

    /// Makes an outgoing interface without counters of its own.
    #[inline]
    #[must_use]
    pub const fn uncounted(interface: VifIndex, stamp: Stamp) -> Outgoing {
        Outgoing::new(interface, stamp, OifCounterId::NONE)
    }
}

/// The contents of a new entry, which [`ForwardingTable::publish`](super::ForwardingTable::publish) and
/// [`replace`](super::ForwardingTable::replace) copy.
///
/// The table leaves the incoming interface out of the outgoing ones. An entry without an incoming interface (no route
/// to the source) is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEntry<'o> {
    /// The key of the entry.
    pub flow: Flow,
    /// The counters of the flow's packets.
    pub counter: FlowCounterId,
    /// The interface that packets must arrive on.
    pub incoming: Option<Incoming>,
    /// The interfaces that packets are copied to.
    pub outgoing: &'o [Outgoing],
}

impl<'o> NewEntry<'o> {
    /// Makes the contents of an entry.
    #[must_use]
    pub const fn new(
        flow: Flow,
        counter: FlowCounterId,
        incoming: Option<Incoming>,
        outgoing: &'o [Outgoing],
    ) -> NewEntry<'o> {
        NewEntry { flow, counter, incoming, outgoing }
    }

    /// Returns the outgoing interfaces but the incoming one; none where there is no incoming interface.
    pub(super) fn effective_outgoing(&self) -> impl Iterator<Item = &'o Outgoing> + Clone + use<'o> {
        let incoming = self.incoming.map(|incoming| incoming.interface);
        self.outgoing.iter().filter(move |o| incoming.is_some_and(|incoming| incoming != o.interface))
    }
}
