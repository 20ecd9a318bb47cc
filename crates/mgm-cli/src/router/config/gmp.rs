//! The sections `[gmp.NAME.igmp]` and `[gmp.NAME.mld]`.

use super::networks::{family_name, group_network};
use super::reader::Section;
use mgm::forwarding::Family;
use mgm::protocol::gmp::{GmpConfig, GmpConfigError, GmpVersion, HostLimits, Leave, Role};

/// Sets a field if the file has its key.
fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

/// Reads the settings of one family. What the file leaves out has its default, but the router is a querier.
pub(super) fn settings(section: Option<Section<'_>>, family: Family) -> GmpConfig {
    let mut config = GmpConfig::default().with_role(Role::Querier);
    let Some(mut section) = section else { return config };
    set(&mut config.role, section.choice("role", &[("querier", Role::Querier), ("listen", Role::Listen)]));
    let (first, versions) = match family {
        Family::V4 => (1, [GmpVersion::V1, GmpVersion::V2, GmpVersion::V3].as_slice()),
        Family::V6 => (1, [GmpVersion::V2, GmpVersion::V3].as_slice()),
    };
    let last = versions.len() as i64;
    let version = section.number::<usize>("version", first..=last);
    set(&mut config.version, version.and_then(|version| versions.get(version.value - 1).copied()));
    set(&mut config.robustness, section.number("robustness", 1..=7).map(|n| n.value));
    set(&mut config.query_interval, section.seconds("query_interval"));
    set(&mut config.query_response_interval, section.seconds("query_response_interval"));
    set(&mut config.last_member_query_interval, section.seconds("last_member_query_interval"));
    config.last_member_query_count = section.number("last_member_query_count", 1..=255).map(|n| n.value);
    config.startup_query_interval = section.seconds("startup_query_interval");
    config.startup_query_count = section.number("startup_query_count", 1..=255).map(|n| n.value);
    let leaves = [("auto", Leave::Auto), ("query", Leave::Query), ("immediate", Leave::Immediate)];
    set(&mut config.leave, section.choice("leave", &leaves));
    set(&mut config.track_hosts, section.flag("track_hosts"));
    if let Some(ranges) = section.texts("source_specific", "[\"232.0.0.0/8\"]") {
        config.source_specific.clear();
        for range in ranges {
            match group_network(range.value) {
                Ok(prefix) if Family::of(prefix.network()) == family => config.source_specific.push(prefix),
                Ok(prefix) => {
                    let name = family_name(family);
                    section
                        .wrong(range.at, format!("source_specific: {prefix} is not of {name}: take it out"));
                }
                Err(wrong) => section.wrong(range.at, format!("source_specific: {wrong}")),
            }
        }
    }
    checks(section.table("checks"), family, &mut config);
    limits(section.table("limits"), &mut config.limits);
    if let Err(error) = config.validate() {
        section.wrong(section.place_of(key_of(&error)), error.to_string());
    }
    section.finish();
    config
}

fn checks(section: Option<Section<'_>>, family: Family, config: &mut GmpConfig) {
    let Some(mut section) = section else { return };
    let checks = &mut config.checks;
    match family {
        Family::V4 => {
            set(&mut checks.ttl, section.flag("ttl"));
            set(&mut checks.router_alert, section.flag("router_alert"));
            set(&mut checks.subnet, section.flag("subnet"));
        }
        Family::V6 => {
            set(&mut checks.mld_hop_limit, section.flag("hop_limit"));
            set(&mut checks.mld_router_alert, section.flag("router_alert"));
            set(&mut checks.mld_link_local, section.flag("link_local"));
        }
    }
    section.finish();
}

fn limits(section: Option<Section<'_>>, limits: &mut HostLimits) {
    const MAX: i64 = 1 << 24;
    let Some(mut section) = section else { return };
    let HostLimits { groups, hosts, sources, group_sources, total } = limits;
    for (key, limit) in [
        ("groups", groups),
        ("hosts", hosts),
        ("sources", sources),
        ("group_sources", group_sources),
        ("total", total),
    ] {
        set(limit, section.number(key, 1..=MAX).map(|n| n.value));
    }
    section.finish();
}

/// Returns the key that an error is about.
fn key_of(error: &GmpConfigError) -> &str {
    match error {
        GmpConfigError::Robustness(_) => "robustness",
        GmpConfigError::Count(name) | GmpConfigError::Interval { name, .. } => name,
        GmpConfigError::ResponseInterval { .. } => "query_response_interval",
        GmpConfigError::UntrackedLeave => "leave",
        GmpConfigError::NotGroups(_) => "source_specific",
        _ => "limits",
    }
}
