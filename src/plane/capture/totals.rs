//! What is counted of a run.

use std::ops::AddAssign;

/// What became of the packets of a run. Always: `packets` is `forwarded_packets` and the sum of `not_forwarded`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames read.
    pub packets: u64,
    /// Octets those had on the wire, what the capture cut off included.
    pub bytes: u64,
    /// Packets forwarded on at least one interface.
    pub forwarded_packets: u64,
    /// Copies made of them, over all interfaces.
    pub copies: u64,
    /// The others.
    pub not_forwarded: NotForwarded,
    /// Frames read, for each interface of the recording.
    pub received: Vec<u64>,
    /// Copies made, for each interface of the recording.
    pub transmitted: Vec<u64>,
}

/// Why packets were not forwarded: each counts under the first reason that is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotForwarded {
    /// Not an IP packet to a multicast group.
    pub not_multicast: u64,
    /// Well-formed messages of IGMP and MLD.
    pub control: u64,
    /// From or to an address that must not leave its link.
    pub link_local: u64,
    /// TTL or hop limit 1 or less.
    pub ttl_expired: u64,
    /// Not from the interface towards their source.
    pub wrong_interface: u64,
    /// Nobody wanted them, or there is no route to their source.
    pub no_receivers: u64,
    /// Cut short, damaged, or not as its RFC says.
    pub malformed: u64,
    /// No entry could be made for want of room. This plane waits for entries and loses nothing else.
    pub queue_full: u64,
}

impl NotForwarded {
    /// The reasons by name.
    #[must_use]
    pub const fn reasons(&self) -> [(&'static str, u64); 8] {
        [
            ("not_multicast", self.not_multicast),
            ("control", self.control),
            ("link_local", self.link_local),
            ("ttl_expired", self.ttl_expired),
            ("wrong_interface", self.wrong_interface),
            ("no_receivers", self.no_receivers),
            ("malformed", self.malformed),
            ("queue_full", self.queue_full),
        ]
    }
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        let Totals { packets, bytes, forwarded_packets, copies, not_forwarded, received, transmitted } =
            other;
        self.packets += packets;
        self.bytes += bytes;
        self.forwarded_packets += forwarded_packets;
        self.copies += copies;
        let NotForwarded {
            not_multicast,
            control,
            link_local,
            ttl_expired,
            wrong_interface,
            no_receivers,
            malformed,
            queue_full,
        } = not_forwarded;
        self.not_forwarded.not_multicast += not_multicast;
        self.not_forwarded.control += control;
        self.not_forwarded.link_local += link_local;
        self.not_forwarded.ttl_expired += ttl_expired;
        self.not_forwarded.wrong_interface += wrong_interface;
        self.not_forwarded.no_receivers += no_receivers;
        self.not_forwarded.malformed += malformed;
        self.not_forwarded.queue_full += queue_full;
        add(&mut self.received, received);
        add(&mut self.transmitted, transmitted);
    }
}

fn add(to: &mut Vec<u64>, from: &[u64]) {
    to.resize(to.len().max(from.len()), 0);
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
