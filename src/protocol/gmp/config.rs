//! [`GmpConfig`]: the settings of a [`GroupMembership`](super::GroupMembership), checked against each other.

use super::HostLimits;
use crate::forwarding::Family;
use crate::manager::Protocol;
use crate::rpf::Prefix;
use crate::wire::gmp::GmpVersion;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The greatest interval that a query can name: 31,744 seconds (RFC 3376 section 4.1.7).
const MAX_INTERVAL: Duration = Duration::from_secs(31_744);
/// The greatest response time that IGMP can name: 3,174.4 seconds (RFC 3376 section 4.1.1).
const MAX_RESPONSE: Duration = Duration::from_millis(3_174_400);

/// What a leave does: a leave or done message, and the records TO_IN and BLOCK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Leave {
    /// Like [`Query`](Leave::Query) on an interface where a querier is heard, or where this router is the querier. Like
    /// [`Immediate`](Leave::Immediate) elsewhere, where no router asks the other hosts.
    #[default]
    Auto,
    /// The state stays until the last member query time after the querier's specific query has passed (RFC 2236 section 3, RFC
    /// 3376 section 6.4.2).
    Query,
    /// The state ends with the last tracked host that wants it.
    ///
    /// In a group with hosts of older versions it ends the last member query time after the leave: their neighbours may have
    /// suppressed their reports, and answer a query of the network's querier within that time.
    Immediate,
}

/// What this router does on its interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// It listens beside the network's querier, and sends nothing.
    #[default]
    Listen,
    /// It takes part in the election of the querier on each interface for which
    /// [`set_addresses`](super::GroupMembership::set_addresses) gave it an address, and sends queries while it is elected.
    Querier,
}

/// The checks of what shows that a message comes from the link. A message that fails one is ignored and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkChecks {
    /// IGMP has a TTL of 1 (RFC 3376 section 4). On by default.
    pub ttl: bool,
    /// IGMP has the Router Alert option (RFC 3376 section 4, RFC 2236 section 2). Off by default: old hosts leave it out, and
    /// IGMPv1 does not have it.
    pub router_alert: bool,
    /// The source of an IGMP message is in a network of its interface, where
    /// [`set_addresses`](super::GroupMembership::set_addresses) told one. Reports may come from 0.0.0.0 too (RFC 3376 section
    /// 4.2.13). On by default.
    pub subnet: bool,
    /// MLD has a hop limit of 1 (RFC 3810 section 5). On by default.
    pub mld_hop_limit: bool,
    /// MLD comes from a link-local address (RFC 3810 sections 5.1.14 and 5.2.13). On by default.
    pub mld_link_local: bool,
    /// MLD has the Router Alert option (RFC 3810 sections 5 and 7.4). On by default.
    pub mld_router_alert: bool,
}

impl Default for LinkChecks {
    fn default() -> LinkChecks {
        LinkChecks {
            ttl: true,
            router_alert: false,
            subnet: true,
            mld_hop_limit: true,
            mld_link_local: true,
            mld_router_alert: true,
        }
    }
}

impl LinkChecks {
    /// Returns checks that are all off.
    #[must_use]
    pub const fn none() -> LinkChecks {
        LinkChecks {
            ttl: false,
            router_alert: false,
            subnet: false,
            mld_hop_limit: false,
            mld_link_local: false,
            mld_router_alert: false,
        }
    }
}

/// The settings of a [`GroupMembership`](super::GroupMembership).
///
/// The defaults are those of RFC 3376 section 8 and RFC 3810 section 9. While another router is the querier, its robustness,
/// query interval and maximum response time replace these.
///
/// ```
/// use mgm::protocol::gmp::{GmpConfig, GmpConfigError};
/// use std::time::Duration;
///
/// let config = GmpConfig::default().with_query_interval(Duration::from_secs(60));
/// assert_eq!(config.group_membership_interval(), Duration::from_secs(130));
/// let wrong = config.with_query_response_interval(Duration::from_secs(60));
/// assert!(matches!(wrong.validate(), Err(GmpConfigError::ResponseInterval { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GmpConfig {
    /// The protocol number to register with: the manager's `igmp_protocol`.
    pub protocol: u32,
    /// The number of this instance among those beside one manager: 0 by default. It makes the component numbers different.
    pub instance: u16,
    /// What this router does on its interfaces.
    pub role: Role,
    /// The version of the queries that this router sends as querier. An older one than the newest is for networks with routers
    /// that know only that one (RFC 3376 section 7.3.1, RFC 3810 section 8.3.1).
    pub version: GmpVersion,
    /// The robustness variable: the number of lost packets, plus one, that the timers allow for. 2 by default.
    pub robustness: u8,
    /// The time between two general queries. 125 seconds by default.
    pub query_interval: Duration,
    /// The maximum response time of general queries. 10 seconds by default.
    pub query_response_interval: Duration,
    /// The maximum response time of specific queries, and the time between two of them. 1 second by default.
    pub last_member_query_interval: Duration,
    /// The number of specific queries for a leave; `None` for the robustness variable.
    pub last_member_query_count: Option<u8>,
    /// The time between two general queries at start; `None` for a quarter of the query interval.
    pub startup_query_interval: Option<Duration>,
    /// The number of general queries at start; `None` for the robustness variable.
    pub startup_query_count: Option<u8>,
    /// What a leave does.
    pub leave: Leave,
    /// Whether each host of a group is tracked by itself. True by default.
    pub track_hosts: bool,
    /// The ranges of source-specific multicast: reports without sources are ignored there (RFC 4607, RFC 4604 section 2.2.1).
    /// 232.0.0.0/8, and ff3x::/32 for each scope x, by default.
    pub source_specific: Vec<Prefix>,
    /// The checks of what shows that a message comes from the link.
    pub checks: LinkChecks,
    /// The limits of the state of each interface.
    pub limits: HostLimits,
}

impl Default for GmpConfig {
    fn default() -> GmpConfig {
        GmpConfig {
            protocol: Protocol::IGMP,
            instance: 0,
            role: Role::Listen,
            version: GmpVersion::V3,
            robustness: 2,
            query_interval: Duration::from_secs(125),
            query_response_interval: Duration::from_secs(10),
            last_member_query_interval: Duration::from_secs(1),
            last_member_query_count: None,
            startup_query_interval: None,
            startup_query_count: None,
            leave: Leave::Auto,
            track_hosts: true,
            source_specific: default_source_specific(),
            checks: LinkChecks::default(),
            limits: HostLimits::default(),
        }
    }
}

/// Returns 232.0.0.0/8, and ff3x::/32 for each scope x (RFC 4607 section 1).
fn default_source_specific() -> Vec<Prefix> {
    let v6 = |scope: u16| (Ipv6Addr::new(0xff30 | scope, 0, 0, 0, 0, 0, 0, 0).into(), 32);
    let ranges: [(IpAddr, u8); 1] = [(Ipv4Addr::new(232, 0, 0, 0).into(), 8)];
    let ranges = ranges.into_iter().chain((0..16).map(v6));
    ranges.filter_map(|(address, length)| Prefix::new(address, length).ok()).collect()
}

/// The reason why a [`GmpConfig`] is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GmpConfigError {
    /// The robustness variable is out of range.
    #[error("robustness is {0}: set it from 1 to 7, which is what a query can name")]
    Robustness(u8),
    /// A count of queries is zero.
    #[error("{0} is 0: set it to at least 1, or leave it out")]
    Count(&'static str),
    /// An interval is out of range.
    #[error("{name} is {value:?}: set it from {min:?} to {max:?}")]
    Interval {
        /// The name of the setting.
        name: &'static str,
        /// Its value.
        value: Duration,
        /// The least value.
        min: Duration,
        /// The greatest value, which is what a query can name.
        max: Duration,
    },
    /// The query response interval is not less than the query interval (RFC 3376 section 8.3).
    #[error(
        "query_response_interval {response:?} must be less than query_interval {interval:?}: lower the one or raise the other"
    )]
    ResponseInterval {
        /// The query response interval.
        response: Duration,
        /// The query interval.
        interval: Duration,
    },
    /// An immediate leave without tracking.
    #[error(
        "leave is immediate, but track_hosts is off: a leave of one host would end the group for all; turn it on, or choose auto"
    )]
    UntrackedLeave,
    /// A source-specific range that is not a range of groups.
    #[error("the source-specific range {0} is not within the multicast addresses: take it out")]
    NotGroups(Prefix),
    /// A limit is zero.
    #[error("limits.{0} is 0: no report would have an effect; set it to at least 1")]
    Limit(&'static str),
}

macro_rules! setters {
    ($($(#[$doc:meta])* $setter:ident($field:ident: $type:ty);)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $setter(self, $field: $type) -> GmpConfig {
                GmpConfig { $field, ..self }
            }
        )*
    };
}

impl GmpConfig {
    setters! {
        /// Sets the protocol number to register with.
        with_protocol(protocol: u32);
        /// Sets the number of this instance.
        with_instance(instance: u16);
        /// Sets what this router does on its interfaces.
        with_role(role: Role);
        /// Sets the version of the queries that this router sends.
        with_version(version: GmpVersion);
        /// Sets the robustness variable: 1 to 7.
        with_robustness(robustness: u8);
        /// Sets the time between two general queries.
        with_query_interval(query_interval: Duration);
        /// Sets the maximum response time of general queries.
        with_query_response_interval(query_response_interval: Duration);
        /// Sets the maximum response time of specific queries, and the time between two of them.
        with_last_member_query_interval(last_member_query_interval: Duration);
        /// Sets the number of specific queries for a leave; `None` for the robustness variable.
        with_last_member_query_count(last_member_query_count: Option<u8>);
        /// Sets the time between two general queries at start; `None` for a quarter of the query interval.
        with_startup_query_interval(startup_query_interval: Option<Duration>);
        /// Sets the number of general queries at start; `None` for the robustness variable.
        with_startup_query_count(startup_query_count: Option<u8>);
        /// Sets what a leave does.
        with_leave(leave: Leave);
        /// Sets whether each host of a group is tracked by itself.
        with_track_hosts(track_hosts: bool);
        /// Sets the ranges of source-specific multicast.
        with_source_specific(source_specific: Vec<Prefix>);
        /// Sets the checks of what shows that a message comes from the link.
        with_checks(checks: LinkChecks);
        /// Sets the limits of the state of each interface.
        with_limits(limits: HostLimits);
    }

    /// Returns the number of general queries at start (RFC 3376 section 8.7).
    #[must_use]
    pub fn startup_count(&self) -> u8 {
        self.startup_query_count.unwrap_or(self.robustness)
    }

    /// Returns the time between two general queries at start (RFC 3376 section 8.6).
    #[must_use]
    pub fn startup_interval(&self) -> Duration {
        self.startup_query_interval.unwrap_or(self.query_interval / 4)
    }

    /// Returns the number of specific queries for a leave (RFC 3376 section 8.9).
    #[must_use]
    pub fn last_member_count(&self) -> u8 {
        self.last_member_query_count.unwrap_or(self.robustness)
    }

    /// Returns the time that a leave takes (RFC 3376 section 8.10).
    #[must_use]
    pub fn last_member_query_time(&self) -> Duration {
        self.last_member_query_interval.saturating_mul(u32::from(self.last_member_count()))
    }

    /// Returns the time after which state lapses that no report renews: 260 seconds by default (RFC 3376 section 8.4).
    #[must_use]
    pub fn group_membership_interval(&self) -> Duration {
        self.queries().saturating_add(self.query_response_interval)
    }

    /// Returns the time after which a querier that is not heard any more is gone: 255 seconds by default (RFC 3376 section
    /// 8.5).
    #[must_use]
    pub fn other_querier_present_interval(&self) -> Duration {
        self.queries().saturating_add(self.query_response_interval / 2)
    }

    /// Returns the time in which as many general queries come as may get lost.
    fn queries(&self) -> Duration {
        self.query_interval.saturating_mul(u32::from(self.robustness))
    }

    /// Returns whether a group is in a range of source-specific multicast.
    #[must_use]
    pub fn is_source_specific(&self, group: IpAddr) -> bool {
        self.source_specific.iter().any(|range| range.contains(group))
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// [`GmpConfigError`] names the first setting that is wrong, and what to do.
    pub fn validate(&self) -> Result<(), GmpConfigError> {
        if !(1..=7).contains(&self.robustness) {
            return Err(GmpConfigError::Robustness(self.robustness));
        }
        for (name, count) in [
            ("last_member_query_count", self.last_member_query_count),
            ("startup_query_count", self.startup_query_count),
        ] {
            if count == Some(0) {
                return Err(GmpConfigError::Count(name));
            }
        }
        let (tenth, second) = (Duration::from_millis(100), Duration::from_secs(1));
        for (name, value, min, max) in [
            ("query_interval", self.query_interval, second, MAX_INTERVAL),
            ("query_response_interval", self.query_response_interval, tenth, MAX_RESPONSE),
            ("last_member_query_interval", self.last_member_query_interval, tenth, MAX_RESPONSE),
            ("startup_query_interval", self.startup_interval(), tenth, MAX_INTERVAL),
        ] {
            if !(min..=max).contains(&value) {
                return Err(GmpConfigError::Interval { name, value, min, max });
            }
        }
        let (response, interval) = (self.query_response_interval, self.query_interval);
        if response >= interval {
            return Err(GmpConfigError::ResponseInterval { response, interval });
        }
        if self.leave == Leave::Immediate && !self.track_hosts {
            return Err(GmpConfigError::UntrackedLeave);
        }
        if let Some(range) = self.source_specific.iter().find(|range| !is_of_groups(range)) {
            return Err(GmpConfigError::NotGroups(*range));
        }
        let HostLimits { groups, hosts, sources, group_sources, total } = self.limits;
        let limits = [
            ("groups", groups),
            ("hosts", hosts),
            ("sources", sources),
            ("group_sources", group_sources),
            ("total", total),
        ];
        match limits.into_iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err(GmpConfigError::Limit(name)),
            None => Ok(()),
        }
    }
}

/// Returns whether every address of a range is a multicast address.
fn is_of_groups(range: &Prefix) -> bool {
    let min = match Family::of(range.network()) {
        Family::V4 => 4,
        Family::V6 => 8,
    };
    range.network().is_multicast() && range.length() >= min
}
