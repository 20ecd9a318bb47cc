//! The sections `[igmp]` and `[mld]` of a configuration.

use super::Prefix;
use mgm::forwarding::Family;
use mgm::protocol::gmp::{GmpConfig, HostLimits, Leave, LinkChecks};
use mgm::rpf;
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// The settings of IGMP or MLD. What the file leaves out has its default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Gmp<Checks> {
    robustness: Option<u8>,
    #[serde(deserialize_with = "seconds")]
    query_interval: Option<Duration>,
    #[serde(deserialize_with = "seconds")]
    query_response_interval: Option<Duration>,
    #[serde(deserialize_with = "seconds")]
    last_member_query_interval: Option<Duration>,
    last_member_query_count: Option<u8>,
    leave: Option<LeaveName>,
    track_hosts: Option<bool>,
    source_specific: Option<Vec<Prefix>>,
    checks: Checks,
    limits: Limits,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LeaveName {
    Auto,
    Query,
    Immediate,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    groups: Option<usize>,
    hosts: Option<usize>,
    sources: Option<usize>,
    group_sources: Option<usize>,
    total: Option<usize>,
}

/// The checks of one family, which replace their defaults.
pub(super) trait Checks {
    const FAMILY: Family;

    fn apply(&self, checks: &mut LinkChecks);
}

/// The checks of `[igmp.checks]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IgmpChecks {
    ttl: Option<bool>,
    router_alert: Option<bool>,
    subnet: Option<bool>,
}

/// The checks of `[mld.checks]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MldChecks {
    hop_limit: Option<bool>,
    router_alert: Option<bool>,
    link_local: Option<bool>,
}

fn set<T: Copy>(to: &mut T, value: Option<T>) {
    *to = value.unwrap_or(*to);
}

impl Checks for IgmpChecks {
    const FAMILY: Family = Family::V4;

    fn apply(&self, checks: &mut LinkChecks) {
        set(&mut checks.ttl, self.ttl);
        set(&mut checks.router_alert, self.router_alert);
        set(&mut checks.subnet, self.subnet);
    }
}

impl Checks for MldChecks {
    const FAMILY: Family = Family::V6;

    fn apply(&self, checks: &mut LinkChecks) {
        set(&mut checks.mld_hop_limit, self.hop_limit);
        set(&mut checks.mld_router_alert, self.router_alert);
        set(&mut checks.mld_link_local, self.link_local);
    }
}

impl<C: Checks> Gmp<C> {
    /// Returns the settings, or what is wrong with them.
    pub(super) fn config(self) -> Result<GmpConfig, String> {
        let mut config = GmpConfig::default();
        set(&mut config.robustness, self.robustness);
        set(&mut config.query_interval, self.query_interval);
        set(&mut config.query_response_interval, self.query_response_interval);
        set(&mut config.last_member_query_interval, self.last_member_query_interval);
        config.last_member_query_count = self.last_member_query_count;
        let leave = self.leave.map(|leave| match leave {
            LeaveName::Auto => Leave::Auto,
            LeaveName::Query => Leave::Query,
            LeaveName::Immediate => Leave::Immediate,
        });
        set(&mut config.leave, leave);
        set(&mut config.track_hosts, self.track_hosts);
        if let Some(ranges) = self.source_specific {
            let range = |Prefix(range)| match rpf::Prefix::new(range.addr(), range.prefix_len()) {
                Ok(prefix) if Family::of(range.addr()) == C::FAMILY => Ok(prefix),
                Ok(_) => Err(format!("source_specific: {range} is of the other address family: take it out")),
                Err(error) => Err(format!("source_specific: {error}")),
            };
            config.source_specific = ranges.into_iter().map(range).collect::<Result<_, _>>()?;
        }
        self.checks.apply(&mut config.checks);
        let HostLimits { groups, hosts, sources, group_sources, total } = &mut config.limits;
        set(groups, self.limits.groups);
        set(hosts, self.limits.hosts);
        set(sources, self.limits.sources);
        set(group_sources, self.limits.group_sources);
        set(total, self.limits.total);
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }
}

/// Deserializes a number of seconds, which may have a fraction.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    let wrong =
        |_| de::Error::custom(format!("{seconds} is no number of seconds: write one such as 125 or 0.5"));
    Duration::try_from_secs_f64(seconds).map(Some).map_err(wrong)
}
