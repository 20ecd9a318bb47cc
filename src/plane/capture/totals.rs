//! [`Totals`]: the counters of a run.

use super::FlowAccount;
use crate::plane::DropCounters;
use std::collections::BTreeMap;
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
    /// Frames that the router received, by interface of the recording.
    pub received: Vec<u64>,
    /// Copies made, by interface of the recording.
    pub transmitted: Vec<u64>,
    /// Frames that the router sent itself ([`DropCounters::own`]), by interface of the recording.
    pub own: Vec<u64>,
    /// Frames of interfaces that take no part ([`DropCounters::inactive_interface`]), by interface of the recording.
    pub inactive: Vec<u64>,
    /// Malformed frames and messages ([`DropCounters::malformed`]), by the name of what is wrong.
    pub malformed: BTreeMap<&'static str, u64>,
    /// Messages of IGMP and MLD without an effect, among [`DropCounters::control`], by the name of the reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// The account of each flow, ordered by the time of its first packet.
    pub flows: Vec<FlowAccount>,
    /// Packets of flows that are not among [`flows`](Self::flows), which has room for [`FlowAccount::MAX`].
    pub packets_of_other_flows: u64,
    /// Frames of VLANs or interface indices for which there was no interface any more, among
    /// [`DropCounters::inactive_interface`].
    pub interfaces_refused: u64,
}

/// Adds the counts. Leaves the accounts of flows as they are.
impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        self.packets += other.packets;
        self.octets += other.octets;
        self.forwarded_packets += other.forwarded_packets;
        self.copies += other.copies;
        self.not_forwarded += &other.not_forwarded;
        self.packets_of_other_flows += other.packets_of_other_flows;
        self.interfaces_refused += other.interfaces_refused;
        add(&mut self.received, &other.received);
        add(&mut self.transmitted, &other.transmitted);
        add(&mut self.own, &other.own);
        add(&mut self.inactive, &other.inactive);
        for (to, from) in [(&mut self.malformed, &other.malformed), (&mut self.ignored, &other.ignored)] {
            from.iter().for_each(|(name, count)| *to.entry(name).or_default() += count);
        }
    }
}

fn add(to: &mut Vec<u64>, from: &[u64]) {
    to.resize(to.len().max(from.len()), 0);
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
