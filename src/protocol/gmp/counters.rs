//! [`GmpCounters`]: the counters of a [`GroupMembership`](super::GroupMembership).

use super::limits::Refused;
use super::{Ignored, Received};

/// The counters of a [`GroupMembership`](super::GroupMembership).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GmpCounters {
    /// Reports applied, of any version.
    pub reports: u64,
    /// Leaves and dones applied.
    pub leaves: u64,
    /// Queries of other routers.
    pub queries: u64,
    /// Those of [`queries`](Self::queries) that are of an older version than this router's (RFC 3376 section 7.3.1).
    pub older_queries: u64,
    /// Malformed messages.
    pub malformed: u64,
    /// Well-formed messages of other types.
    pub other_type: u64,
    /// Datagrams of the other address family.
    pub other_family: u64,
    /// Messages on interfaces that are not taken.
    pub not_taken: u64,
    /// MLD messages with a hop limit other than 1.
    pub hop_limit: u64,
    /// MLD messages from an address that is not link-local.
    pub not_link_local: u64,
    /// IGMP messages with a TTL other than 1.
    pub ttl: u64,
    /// Messages without the Router Alert option, where it is required.
    pub no_router_alert: u64,
    /// IGMP messages from a source in no network of their interface.
    pub not_from_link: u64,
    /// Messages and records without sources, for a group of a source-specific range.
    pub source_specific_range: u64,
    /// Leaves, and records BLOCK and TO_IN, that hosts of older versions in the group make ineffective (RFC 3376 section
    /// 7.3.2).
    pub older_hosts: u64,
    /// Queries that a router as querier made that were not taken in time.
    pub unsent: u64,
    /// Messages, and records of reports, for an address that is not a group.
    pub not_a_group: u64,
    /// Records of a kind that no RFC defines.
    pub unknown_records: u64,
    /// Listed sources that are not the address of a sender.
    pub not_a_source: u64,
    /// Timers of groups and sources that ran out because no report renewed them.
    pub lapsed: u64,
    /// State refused by the limits.
    pub refused: Refused,
    /// Memberships for which the manager had no room. They are requested again at the next report for their group.
    pub no_room: u64,
    /// Calls that the manager refused because this client no longer owns the interface.
    pub not_owned: u64,
    /// Panics of the observer. Each cost it the event that it was called with.
    pub observer_panics: u64,
    /// Events that the observer did not hear of, because 65,536 waited for it.
    pub events_lost: u64,
}

impl GmpCounters {
    /// Counts the outcome of a message. The tracker counts reports and leaves, which it tells apart.
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
                Ignored::Ttl(_) => &mut self.ttl,
                Ignored::NoRouterAlert => &mut self.no_router_alert,
                Ignored::NotFromLink(_) => &mut self.not_from_link,
                Ignored::SourceSpecificRange(_) => &mut self.source_specific_range,
                Ignored::OlderHost(_) => &mut self.older_hosts,
            },
        };
        *counter += 1;
    }
}
