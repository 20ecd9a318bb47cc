//! What shows that a message comes from the link, source-specific ranges, and hosts of older versions.
//! RFC 3376 sections 4 and 7.3.2, RFC 3810 sections 5 and 8.3.2, RFC 4604 section 2.2.1.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::protocol::gmp::{Datagram, GmpConfig, GmpVersion, Ignored, Leave, LinkChecks, Received};
use std::net::{IpAddr, Ipv6Addr};

fn datagram<'a>(source: &str, payload: &'a [u8]) -> Datagram<'a> {
    Datagram { source: ip(source), destination: ALL_ROUTERS, hop_limit: 1, router_alert: false, payload }
}

#[test]
fn igmp_with_a_ttl_other_than_1_is_ignored() {
    let router = Router::v4();
    let report = v2_report(G);
    for hop_limit in [0, 2, 64] {
        let far = Datagram { hop_limit, ..datagram("10.0.0.5", &report) };
        let received = router.igmp.receive(router.on(LAN), &far, at(0));
        assert_eq!(received, Received::Ignored(Ignored::Ttl(hop_limit)));
    }
    assert_eq!((router.igmp.counters().ttl, router.memberships().len()), (3, 0));
    let lenient = Router::configured(GmpConfig::default().with_checks(LinkChecks::none()));
    let far = Datagram { hop_limit: 64, ..datagram("10.0.0.5", &report) };
    assert_eq!(lenient.igmp.receive(lenient.on(LAN), &far, at(0)), Received::Report);
}

#[test]
fn igmp_may_be_required_to_have_a_router_alert() {
    let report = v2_report(G);
    let router = Router::v4();
    let without = datagram("10.0.0.5", &report);
    assert_eq!(router.igmp.receive(router.on(LAN), &without, at(0)), Received::Report, "not by default");
    let mut checks = LinkChecks::default();
    checks.router_alert = true;
    let strict = Router::configured(GmpConfig::default().with_checks(checks));
    let received = strict.igmp.receive(strict.on(LAN), &without, at(0));
    assert_eq!(received, Received::Ignored(Ignored::NoRouterAlert));
    let with = Datagram { router_alert: true, ..without };
    assert_eq!(strict.igmp.receive(strict.on(LAN), &with, at(0)), Received::Report);
    assert_eq!(strict.igmp.counters().no_router_alert, 1);
}

#[test]
fn igmp_from_another_network_is_ignored() {
    let router = Router::v4();
    let (report, query) = (v2_report(G), older_query(100, "0.0.0.0"));
    let receive =
        |source: &str, payload: &[u8]| router.igmp.receive(router.on(LAN), &datagram(source, payload), at(0));
    assert_eq!(receive("203.0.113.9", &report), Received::Report, "no network is known");
    router.igmp.set_addresses(router.on(LAN), vec![(ip("10.0.0.100"), 24), (ip("10.7.0.1"), 16)]);
    let not_from_link = |source: &str| Received::Ignored(Ignored::NotFromLink(ip(source)));
    assert_eq!(receive("203.0.113.9", &report), not_from_link("203.0.113.9"));
    assert_eq!(receive("10.0.1.9", &query), not_from_link("10.0.1.9"));
    assert_eq!(receive("10.7.200.9", &report), Received::Report);
    assert_eq!(receive("0.0.0.0", &report), Received::Report, "a host without an address");
    assert_eq!(receive("0.0.0.0", &query), not_from_link("0.0.0.0"), "a querier has one");
    assert_eq!(router.igmp.counters().not_from_link, 3);
}

#[test]
fn mld_without_a_router_alert_is_ignored() {
    let host: Ipv6Addr = "fe80::5".parse().unwrap();
    let payload = mld_v2(&[record(TO_EX, "ff1e::3", &[])], host);
    let without = Datagram {
        source: host.into(),
        destination: ALL_MLDV2_ROUTERS.into(),
        hop_limit: 1,
        router_alert: false,
        payload: &payload,
    };
    let router = Router::v6();
    let received = router.igmp.receive(router.on(LAN), &without, at(0));
    assert_eq!(received, Received::Ignored(Ignored::NoRouterAlert));
    assert_eq!((router.igmp.counters().no_router_alert, router.memberships().len()), (1, 0));
    let with = Datagram { router_alert: true, ..without };
    assert_eq!(router.igmp.receive(router.on(LAN), &with, at(0)), Received::Report);
}

/// RFC 4604 section 2.2.1.
#[test]
fn source_specific_groups_need_reports_with_sources() {
    let router = Router::v4();
    let ssm = "232.1.1.1";
    let ignored = Received::Ignored(Ignored::SourceSpecificRange(ip(ssm)));
    assert_eq!(router.receive_from(1, &v1_report(ssm), 0), ignored);
    assert_eq!(router.receive_from(1, &v2_report(ssm), 0), ignored);
    assert_eq!(router.receive_from(1, &leave(ssm), 0), ignored);
    router.reports(1, IS_EX, ssm, &[], 0);
    router.reports(1, TO_EX, ssm, &[A], 0);
    assert_eq!(router.igmp.counters().source_specific_range, 5);
    assert!(router.memberships().is_empty());
    router.reports(1, ALLOW, ssm, &[A], 0);
    assert_eq!(router.memberships(), ["2 (192.0.2.1, 232.1.1.1)"]);
    router.reports(1, TO_IN, ssm, &[], 5);
    assert!(router.memberships().is_empty(), "TO_IN has no source-specific meaning of its own");
}

#[test]
fn the_source_specific_ranges_are_a_setting() {
    let router = Router::configured(GmpConfig::default().with_source_specific(Vec::new()));
    router.receive_from(1, &v2_report("232.1.1.1"), 0);
    assert_eq!(router.memberships(), ["2 (*, 232.1.1.1)"]);
    let config = GmpConfig::default();
    for (group, is) in [
        ("232.0.0.0", true),
        ("232.255.255.255", true),
        ("233.0.0.0", false),
        ("ff3e::1", true),
        ("ff35::8000:1", true),
        ("ff3e:20::1", false),
        ("ff3e:0:1::1", true),
        ("ff1e::1", false),
    ] {
        let group: IpAddr = group.parse().unwrap();
        assert_eq!(config.is_source_specific(group), is, "{group}");
    }
}

/// RFC 3376 section 7.3.2.
#[test]
fn a_host_of_version_2_makes_block_ineffective() {
    let router = Router::configured(GmpConfig::default().with_leave(Leave::Query));
    let mode = || router.igmp.groups(router.on(LAN))[0].compatibility;
    router.reports(1, IS_EX, G, &[], 0);
    assert_eq!(mode(), GmpVersion::V3);
    router.receive_from(2, &v2_report(G), 10);
    assert_eq!(mode(), GmpVersion::V2);
    router.reports(1, BLOCK, G, &[A], 20);
    router.reports(1, TO_EX, G, &[A], 20);
    assert_eq!(router.state(G), "EXCLUDE@280 x  y ", "and TO_EX has no list");
    assert_eq!(router.igmp.counters().older_hosts, 1);
    // The older host present interval: 260 seconds after the last report of version 2 (section 8.13).
    router.igmp.advance(at(270));
    assert_eq!(mode(), GmpVersion::V3);
    router.reports(1, BLOCK, G, &[A], 271);
    assert_eq!(router.state(G), "EXCLUDE@280 x 1@280 y ");
}

#[test]
fn a_host_of_version_1_makes_leaves_ineffective() {
    let router = Router::v4();
    router.receive_from(1, &v1_report(G), 0);
    router.receive_from(2, &v2_report(G), 10);
    assert_eq!(router.receive_from(2, &leave(G), 20), Received::Ignored(Ignored::OlderHost(ip(G))));
    router.reports(3, TO_IN, G, &[A], 20);
    assert_eq!(router.state(G), "EXCLUDE@270 x  y ");
    assert_eq!(router.igmp.counters().older_hosts, 2);
    assert_eq!(router.igmp.groups(router.on(LAN))[0].compatibility, GmpVersion::V1);
}

/// RFC 3810 section 8.3.2.
#[test]
fn a_host_of_mldv1_sets_the_compatibility_mode() {
    let router = Router::v6();
    let (host, group): (Ipv6Addr, Ipv6Addr) = ("fe80::5".parse().unwrap(), "ff1e::3".parse().unwrap());
    let report = mld_v1(131, "ff1e::3", host, group);
    let datagram = Datagram {
        source: host.into(),
        destination: group.into(),
        hop_limit: 1,
        router_alert: true,
        payload: &report,
    };
    assert_eq!(router.igmp.receive(router.on(LAN), &datagram, at(0)), Received::Report);
    assert_eq!(router.igmp.groups(router.on(LAN))[0].compatibility, GmpVersion::V2);
}
