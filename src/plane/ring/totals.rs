//! The counters of a worker.

use crate::plane::DropCounters;

/// The packets and copies of one worker.
///
/// At any time `packets` is the sum of `forwarded_packets`, `no_entry`, `no_room`, `pending` and all of `not_forwarded`, and
/// `copies` is the sum of `sent` over the `ports`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingTotals {
    /// Frames received.
    pub packets: u64,
    /// Octets of those frames.
    pub octets: u64,
    /// Packets forwarded on at least one interface.
    pub forwarded_packets: u64,
    /// Copies made of them, over all interfaces.
    pub copies: u64,
    /// Packets discarded, by reason.
    pub not_forwarded: DropCounters,
    /// Packets dropped because their flow had no entry yet. Each was an upcall.
    pub no_entry: u64,
    /// Packets without room for any copy.
    pub no_room: u64,
    /// Packets that wait for their flow's entry.
    pub pending: u64,
    /// The copies for each port.
    pub ports: Vec<PortTotals>,
}

/// The copies of one worker for one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortTotals {
    /// Copies written into the transmit ring.
    pub sent: u64,
    /// Copies dropped: the ring was full, or the frame longer than a slot.
    pub dropped: u64,
}
