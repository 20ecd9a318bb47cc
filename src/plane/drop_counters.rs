//! [`DropCounters`]: why packets were not forwarded.

use std::ops::AddAssign;

/// The number of packets that were not forwarded, by reason. Each packet counts under the first reason that applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounters {
    /// Frames without an IP datagram to a multicast group.
    pub not_multicast: u64,
    /// Well-formed messages of IGMP and MLD.
    pub control: u64,
    /// Datagrams from or to an address that must not leave its link.
    pub link_local: u64,
    /// Datagrams with a TTL or hop limit of 1 or 0.
    pub ttl_expired: u64,
    /// Datagrams that did not arrive on the interface towards their source.
    pub wrong_interface: u64,
    /// Datagrams without receivers, or without a route to their source.
    pub no_receivers: u64,
    /// Malformed frames and messages.
    pub malformed: u64,
    /// Datagrams that the capture cut off before their end. Those with a whole header are forwarded, unless copies are kept.
    pub truncated: u64,
    /// Frames that the router sent itself, in a capture of both directions.
    pub own: u64,
    /// Frames of interfaces that take no part in forwarding.
    pub inactive_interface: u64,
    /// Datagrams without an entry, for lack of room. The capture plane waits for entries and loses no other packet.
    pub queue_full: u64,
}

impl DropCounters {
    /// Returns each count with its name.
    #[must_use]
    pub const fn reasons(&self) -> [(&'static str, u64); 11] {
        [
            ("not_multicast", self.not_multicast),
            ("control", self.control),
            ("link_local", self.link_local),
            ("ttl_expired", self.ttl_expired),
            ("wrong_interface", self.wrong_interface),
            ("no_receivers", self.no_receivers),
            ("malformed", self.malformed),
            ("truncated", self.truncated),
            ("own", self.own),
            ("inactive_interface", self.inactive_interface),
            ("queue_full", self.queue_full),
        ]
    }

    /// Returns the sum of all counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reasons().iter().map(|(_, count)| count).sum()
    }
}

impl AddAssign<&DropCounters> for DropCounters {
    fn add_assign(&mut self, other: &DropCounters) {
        let DropCounters {
            not_multicast,
            control,
            link_local,
            ttl_expired,
            wrong_interface,
            no_receivers,
            malformed,
            truncated,
            own,
            inactive_interface,
            queue_full,
        } = other;
        self.not_multicast += not_multicast;
        self.control += control;
        self.link_local += link_local;
        self.ttl_expired += ttl_expired;
        self.wrong_interface += wrong_interface;
        self.no_receivers += no_receivers;
        self.malformed += malformed;
        self.truncated += truncated;
        self.own += own;
        self.inactive_interface += inactive_interface;
        self.queue_full += queue_full;
    }
}
