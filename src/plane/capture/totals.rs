//! [`Totals`]: the counters of a run.

use crate::plane::DropCounters;
use std::ops::AddAssign;

/// The counters of a run. `packets` is always the sum of `forwarded_packets` and all of `not_forwarded`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames read.
    pub packets: u64,
    /// Octets of those frames on the wire, including those that the capture cut off.
    pub octets: u64,
    /// Packets forwarded on at least one interface.
    pub forwarded_packets: u64,
    /// Copies made of them, over all interfaces.
    pub copies: u64,
    /// Packets that were not forwarded, by reason.
    pub not_forwarded: DropCounters,
    /// Frames read, by interface of the recording.
    pub received: Vec<u64>,
    /// Copies made, by interface of the recording.
    pub transmitted: Vec<u64>,
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        let Totals { packets, octets, forwarded_packets, copies, not_forwarded, received, transmitted } =
            other;
        self.packets += packets;
        self.octets += octets;
        self.forwarded_packets += forwarded_packets;
        self.copies += copies;
        self.not_forwarded += not_forwarded;
        add(&mut self.received, received);
        add(&mut self.transmitted, transmitted);
    }
}

fn add(to: &mut Vec<u64>, from: &[u64]) {
    to.resize(to.len().max(from.len()), 0);
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
