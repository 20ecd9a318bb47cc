//! What is counted of a worker's packets.

use crate::plane::DropCounters;

/// What became of a worker's packets. Always: `packets` is the sum of `forwarded_packets`, `no_entry`, `no_room` and of all
/// that is in `not_forwarded`; and `copies` is the sum of what was sent to the `ports`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingTotals {
    /// Frames received.
    pub packets: u64,
    /// Octets those had.
    pub octets: u64,
    /// Packets forwarded on at least one interface.
    pub forwarded_packets: u64,
    /// Copies made of them, over all interfaces.
    pub copies: u64,
    /// Packets discarded as any plane would.
    pub not_forwarded: DropCounters,
    /// Packets that came before their flow had an entry. The manager was told.
    pub no_entry: u64,
    /// Packets of which no copy found room.
    pub no_room: u64,
    /// What left through each port.
    pub ports: Vec<PortTotals>,
}

/// What became of a worker's copies to one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortTotals {
    /// Copies put into its ring.
    pub sent: u64,
    /// Copies that found the ring full, or were longer than a slot.
    pub dropped: u64,
}
