//! The counters of flows and outgoing interfaces by name, and their totals.

/// A counter of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(usize)]
pub enum FlowCounter {
    /// Packets forwarded to at least one interface.
    Packets,
    /// Octets of those packets, IP headers included.
    Octets,
    /// Copies made to all outgoing interfaces together.
    Copies,
    /// Packets that did not arrive on the incoming interface.
    WrongInterface,
    /// Packets discarded because the flow had no receivers.
    NoReceivers,
    /// Packets discarded for lack of room, although the entry would have forwarded them.
    Discards,
    /// Packets discarded because of their header.
    HeaderErrors,
    /// Packets discarded because the queue of flows without an entry was full.
    QueueOverflow,
    /// Packets that arrived while the flow's entry was being made, without the first one: its upcall queued the flow and
    /// does not count it ([`GroupManager::upcall`](crate::manager::GroupManager::upcall)).
    ///
    /// A plane that keeps such packets and forwards them later counts them as [`Packets`](Self::Packets) as well.
    Uninitialized,
}

/// A counter of one outgoing interface of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OifCounter {
    /// Packets copied to the interface.
    Packets,
    /// Packets not copied because their TTL was too low for the interface.
    TtlTooLow,
    /// Packets not copied because they were too large for the interface and must not be fragmented.
    FragmentationNeeded,
    /// Copies discarded for another reason.
    Discards,
}

/// The counters of one outgoing interface of a flow, summed over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OifTotals {
    /// Packets copied to the interface.
    pub packets: u64,
    /// Packets not copied because their TTL was too low for the interface.
    pub ttl_too_low: u64,
    /// Packets not copied because they were too large for the interface and must not be fragmented.
    pub fragmentation_needed: u64,
    /// Copies discarded for another reason.
    pub discards: u64,
}

/// The counters of one flow, summed over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowTotals {
    /// Packets forwarded to at least one interface.
    pub packets: u64,
    /// Octets of those packets, IP headers included.
    pub octets: u64,
    /// Packets that did not arrive on the incoming interface.
    pub wrong_interface: u64,
    /// Packets discarded because the flow had no receivers.
    pub no_receivers: u64,
    /// Copies made to all outgoing interfaces together.
    pub copies: u64,
    /// Packets discarded because the queue of flows without an entry was full.
    pub queue_overflow: u64,
    /// Packets that arrived while the flow's entry was being made.
    pub uninitialized: u64,
    /// Packets discarded for lack of room, although the entry would have forwarded them.
    pub discards: u64,
    /// Packets discarded because of their header.
    pub header_errors: u64,
}
