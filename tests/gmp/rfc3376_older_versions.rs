//! RFC 3376 section 7 and RFC 3810 section 8: queries, routers and hosts of older versions.

use super::link::*;
use super::model::{Family, Kind, Query, Version};
use Kind::{Allow, Block, IsEx, IsIn, ToEx, ToIn};
use mgm::protocol::gmp::{GmpConfig, Ignored, Received};
use mgm::wire::gmp::{GmpVersion, Malformed};
use std::time::Duration;

fn compatibility(link: &Link) -> GmpVersion {
    let states = link.router.groups(link.interface);
    states.iter().find(|state| state.group == group(link.family)).unwrap().compatibility
}

/// Has a host send an IGMPv1 report of the group of the tests.
fn v1_report(link: &Link, host: u8) {
    assert_eq!(link.older(host, 0x12, 131, group(link.family)), Received::Report);
}

// Section 7.1.

#[test]
fn the_length_and_the_code_tell_a_querys_version() {
    for (version, code, expected) in [
        (Version::V1, 0, GmpVersion::V1),
        (Version::V2, 100, GmpVersion::V2),
        (Version::V3, 0, GmpVersion::V3),
    ] {
        let link = Link::new(Family::Igmp, as_listener());
        link.query(1, &Query { version, code, ..general(Family::Igmp) });
        assert_eq!(link.interface_state().version, Some(expected));
    }
    for (version, expected) in [(Version::V2, GmpVersion::V2), (Version::V3, GmpVersion::V3)] {
        let link = Link::new(Family::Mld, as_listener());
        link.query(1, &Query { version, ..general(Family::Mld) });
        assert_eq!(link.interface_state().version, Some(expected));
    }
}

#[test]
fn a_query_of_another_length_is_ignored() {
    for (family, lengths) in [(Family::Igmp, 9..12), (Family::Mld, 25..28)] {
        for length in lengths {
            let link = Link::new(family, as_listener());
            let mut octets = if family == Family::Igmp { vec![0x11, 100] } else { vec![130] };
            octets.resize(length, 0);
            let to = super::model::octets::destination(family, &general(family));
            let received = link.message(address(family, 1), to, octets);
            assert_eq!(received, Received::Malformed(Malformed::QueryLength(length)));
            assert_eq!(link.interface_state().querier, None);
        }
    }
}

/// Section 7.2.1 says how the times of older queries are read: without exponent, and 0 as 10 seconds.
#[test]
fn the_time_of_an_older_query_is_linear() {
    let response = |family, query: Query| {
        let link = Link::new(family, as_listener());
        link.query(1, &query);
        link.interface_state().query_response_interval
    };
    let igmp = general(Family::Igmp);
    let v2 = Query { version: Version::V2, code: 200, ..igmp.clone() };
    assert_eq!(response(Family::Igmp, v2), Duration::from_secs(20));
    assert_eq!(response(Family::Igmp, Query { code: 200, ..igmp.clone() }), Duration::from_millis(307_200));
    let v1 = Query { version: Version::V1, code: 0, ..igmp };
    assert_eq!(response(Family::Igmp, v1), Duration::from_secs(10));
    let mld = general(Family::Mld);
    let v1 = Query { version: Version::V2, code: 40_000, ..mld.clone() };
    assert_eq!(response(Family::Mld, v1), Duration::from_secs(40));
    // 40000 is exponent 1 and mantissa 0xc40: (0x1000 + 0xc40) << 4.
    assert_eq!(response(Family::Mld, Query { code: 40_000, ..mld }), Duration::from_millis(0x1c40 << 4));
}

// Section 7.3.1.

#[test]
fn older_queries_are_counted() {
    for family in BOTH {
        let link = Link::new(family, as_querier());
        link.query(9, &general(family));
        assert_eq!(link.router.counters().older_queries, 0);
        link.query(9, &Query { version: Version::V2, ..general(family) });
        link.query(1, &Query { version: Version::V2, ..general(family) });
        let counters = link.router.counters();
        assert_eq!((counters.queries, counters.older_queries), (3, 2));
    }
}

#[test]
fn a_querier_of_version_2_ends_its_queries_behind_the_group() {
    let config = || as_querier().with_version(GmpVersion::V2);
    for family in BOTH {
        let mut link =
            Link::new(family, config().with_query_response_interval(Duration::from_millis(20_000)));
        link.older_report(50);
        link.at(10.0);
        link.leave(50);
        let code = if family == Family::Igmp { 200 } else { 20_000 };
        let general = Query { version: Version::V2, code, qrv: 0, qqic: 0, ..general(family) };
        let specific = Query { version: Version::V2, qrv: 0, qqic: 0, ..specific(family, "") };
        assert_eq!(link.queries(), [(0, general), (10_000, specific)]);
    }
}

#[test]
fn a_querier_of_version_1_has_no_response_time() {
    let link = Link::new(Family::Igmp, as_querier().with_version(GmpVersion::V1));
    let query = Query { version: Version::V1, code: 0, qrv: 0, qqic: 0, ..general(Family::Igmp) };
    assert_eq!(link.queries(), [(0, query)]);
}

#[test]
fn a_router_of_version_1_ignores_leaves() {
    let mut link = Link::new(Family::Igmp, as_querier().with_version(GmpVersion::V1));
    link.older_report(50);
    link.at(10.0);
    link.sent();
    link.leave(50);
    assert_eq!(link.state(), "EXCLUDE=260");
    assert!(link.sent().is_empty());
}

// Section 7.3.2.

#[test]
fn an_older_report_is_is_ex_of_nothing() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        assert_eq!(link.older_report(50), Received::Report);
        assert_eq!((link.state().as_str(), compatibility(&link)), ("EXCLUDE=260", GmpVersion::V2));
        link.at(10.0);
        link.older_report(51);
        assert_eq!(link.state(), "EXCLUDE=270");
    }
}

#[test]
fn an_older_report_unblocks_every_source() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "ab");
        link.record(IsIn, "c");
        link.at(10.0);
        link.older_report(51);
        assert_eq!(link.state(), "EXCLUDE=270");
    }
}

#[test]
fn a_report_of_version_1_is_is_ex_of_nothing() {
    let link = Link::new(Family::Igmp, as_listener());
    v1_report(&link, 50);
    assert_eq!((link.state().as_str(), compatibility(&link)), ("EXCLUDE=260", GmpVersion::V1));
}

#[test]
fn an_older_leave_is_to_in_of_nothing() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.older_report(50);
        link.at(10.0);
        link.sent();
        assert_eq!(link.leave(50), Received::Report);
        assert_eq!(link.state(), "EXCLUDE=12");
        assert_eq!(link.sent(), ["10 Q(g)"]);
    }
}

#[test]
fn with_an_older_host_block_is_ignored() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.older_report(50);
        link.record(Allow, "a");
        link.at(10.0);
        link.sent();
        link.record(Block, "ab");
        assert_eq!(link.state(), "EXCLUDE=260 a=260");
        assert!(link.sent().is_empty());
    }
}

#[test]
fn with_an_older_host_the_sources_of_to_ex_are_ignored() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.older_report(50);
        link.at(10.0);
        link.sent();
        link.record(ToEx, "ab");
        assert_eq!(link.state(), "EXCLUDE=270");
        assert!(link.sent().is_empty());
    }
}

#[test]
fn with_a_host_of_version_1_leave_and_to_in_are_ignored() {
    let mut link = Link::new(Family::Igmp, as_querier());
    let group = group(Family::Igmp);
    v1_report(&link, 50);
    link.older_report(51);
    link.at(10.0);
    link.sent();
    assert_eq!(link.leave(51), Received::Ignored(Ignored::OlderHost(group)));
    link.reports(52, &[(ToIn, group, "")]);
    link.reports(52, &[(ToIn, group, "a")]);
    link.reports(52, &[(Block, group, "a")]);
    assert_eq!(link.state(), "EXCLUDE=260");
    assert!(link.sent().is_empty());
}

#[test]
fn what_an_older_host_includes_or_allows_still_counts() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.older_report(50);
        link.at(10.0);
        link.sent();
        link.record(Allow, "a");
        link.record(IsIn, "b");
        link.record(ToIn, "c");
        assert_eq!(link.state(), "EXCLUDE=12 a=12 b=12 c=270");
    }
}

/// Section 8.13: after the older host present interval the group is one of version 3 again.
#[test]
fn compatibility_ends_with_the_older_host_present_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.older_report(50);
        link.at(100.0);
        link.record(IsEx, "");
        link.record(Block, "a");
        assert_eq!(link.state(), "EXCLUDE=360");
        link.at(259.999);
        assert_eq!(compatibility(&link), GmpVersion::V2);
        link.at(260.0);
        assert_eq!(compatibility(&link), GmpVersion::V3);
        link.record(Block, "a");
        assert_eq!(link.state(), "EXCLUDE=360 a=262");
    }
}

#[test]
fn after_version_1_a_group_is_of_version_2_or_3() {
    let mut link = Link::new(Family::Igmp, as_listener());
    v1_report(&link, 50);
    link.at(100.0);
    link.older_report(51);
    assert_eq!(compatibility(&link), GmpVersion::V1);
    link.at(260.0);
    assert_eq!(compatibility(&link), GmpVersion::V2);
    link.record(IsEx, "");
    link.at(360.0);
    assert_eq!(compatibility(&link), GmpVersion::V3);
}

/// Compatibility is of a group: its neighbour is not affected.
#[test]
fn compatibility_is_of_one_group() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        let other = if family == Family::Igmp { "239.9.9.9" } else { "ff1e::9" }.parse().unwrap();
        link.older_report(50);
        link.reports(50, &[(IsEx, other, "")]);
        link.at(10.0);
        link.reports(51, &[(Block, group(family), "a"), (Block, other, "a")]);
        assert_eq!(
            (link.state().as_str(), link.state_of(other).as_str()),
            ("EXCLUDE=260", "EXCLUDE=260 a=12")
        );
    }
}

/// RFC 3810 section 8.3.2, and RFC 3376 section 7.3.2: hosts do not change what the querier sends.
#[test]
fn the_querier_asks_with_its_version_where_hosts_are_older() {
    for family in BOTH {
        let mut link = Link::new(family, GmpConfig::default().with_role(mgm::protocol::gmp::Role::Querier));
        link.older_report(50);
        link.at(10.0);
        link.leave(50);
        assert!(link.queries().iter().all(|(_, query)| query.version == Version::V3));
    }
}
