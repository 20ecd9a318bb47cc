//! [`IgmpCounters`]: what came in, what was ignored and why, what was refused.

use super::hosts::Refused;
use super::{Ignored, Received};

/// What an [`Igmp`](super::Igmp) has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IgmpCounters {
    /// Reports taken in, of any version.
    pub reports: u64,
    /// Leaves and dones taken in.
    pub leaves: u64,
    /// Queries of other routers.
    pub queries: u64,
    /// Messages that were not messages.
    pub malformed: u64,
    /// Well-formed messages of other types.
    pub other_type: u64,
    /// Packets of the other address family.
    pub other_family: u64,
    /// Messages on interfaces that are not taken.
    pub not_taken: u64,
    /// MLD messages whose hop limit was not 1.
    pub hop_limit: u64,
    /// MLD messages from an address that is not link-local.
    pub not_link_local: u64,
    /// Messages, and records of reports, about an address that is not a group.
    pub not_a_group: u64,
    /// Records of a kind that no RFC knows.
    pub unknown_records: u64,
    /// Addresses in lists of sources that cannot be a source.
    pub not_a_source: u64,
    /// Times that words of a host lapsed because they were not renewed.
    pub lapsed: u64,
    /// What the limits refused.
    pub refused: Refused,
    /// Memberships that the manager had no room for. They are asked for again when a host of their group is next heard.
    pub no_room: u64,
    /// Times the manager said that the interface was not this client's any more.
    pub not_owned: u64,
}

impl IgmpCounters {
    /// Counts what became of a message, but for reports and leaves: the tracker tells those apart.
    pub(super) fn count(&mut self, received: Received) {
        let counter = match received {
            Received::Report => return,
            Received::Query => &mut self.queries,
            Received::Malformed(_) => &mut self.malformed,
            Received::Ignored(ignored) => match ignored {
                Ignored::OtherType(_) => &mut self.other_type,
                Ignored::OtherFamily => &mut self.other_family,
                Ignored::NotTaken(_) => &mut self.not_taken,
                Ignored::HopLimit(_) => &mut self.hop_limit,
                Ignored::NotLinkLocal(_) => &mut self.not_link_local,
                Ignored::NotAGroup(_) => &mut self.not_a_group,
            },
        };
        *counter += 1;
    }
}

impl std::ops::AddAssign for Refused {
    fn add_assign(&mut self, more: Refused) {
        self.groups += more.groups;
        self.hosts += more.hosts;
        self.sources += more.sources;
    }
}
