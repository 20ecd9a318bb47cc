//! A router beside another querier: the values that it adopts, the timers that a query lowers, and what a leave does.
//! RFC 3376 sections 4.1, 6.6.1, 6.6.2 and 8, RFC 2236 section 3.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::protocol::gmp::{Datagram, GmpConfig, GmpVersion, Ignored, Leave, LeaveActs, Querier, Received};
use std::net::IpAddr;

/// Receives a query from 10.0.0.n.
fn query(router: &Router, n: u8, octets: &[u8], seconds: u64) {
    assert_eq!(router.receive_from(n, octets, seconds), Received::Query);
}

/// A general query of version 3 with the values of the defaults: 10 s, robustness 2, 125 s.
fn general() -> Vec<u8> {
    v3_query("0.0.0.0", &[], 2, [100, 125])
}

fn in_use(router: &Router) -> (u8, u64, u64) {
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    (state.robustness, state.query_interval.as_secs(), state.query_response_interval.as_secs())
}

#[test]
fn the_values_of_the_queriers_queries_are_adopted() {
    let router = Router::v4();
    assert_eq!(in_use(&router), (2, 125, 10));
    // QQIC 153 is (9 | 16) << (1 + 3): 400 s. The maximum response code 0x8f is (15 | 16) << 3: 24.8 s.
    query(&router, 1, &v3_query("0.0.0.0", &[], 3, [0x8f, 153]), 0);
    assert_eq!(in_use(&router), (3, 400, 24));
    router.reports(5, IS_EX, G, &[], 1);
    assert_eq!(router.state(G), "EXCLUDE@1225.8 x  y ", "three times 400 s, and 24.8 s");
}

#[test]
fn values_that_a_query_leaves_out_are_the_configured_ones() {
    let config = GmpConfig::default().with_robustness(3).with_query_interval(at(60));
    let router = Router::configured(config);
    query(&router, 1, &v3_query("0.0.0.0", &[], 0, [100, 0]), 0);
    assert_eq!(in_use(&router), (3, 60, 10), "QRV 0 and QQIC 0");
    query(&router, 1, &older_query(50, "0.0.0.0"), 1);
    assert_eq!(in_use(&router), (3, 60, 5), "version 2 tells the response time alone");
}

#[test]
fn a_specific_query_does_not_change_the_response_interval() {
    let router = Router::v4();
    query(&router, 1, &v3_query("0.0.0.0", &[], 2, [50, 125]), 0);
    query(&router, 1, &v3_query(G, &[], 2, [10, 125]), 1);
    assert_eq!(in_use(&router), (2, 125, 5));
}

#[test]
fn the_lowest_address_is_the_querier() {
    let router = Router::v4();
    let querier = || match router.igmp.interface_state(router.on(LAN)).unwrap().querier {
        Some(Querier::Other { address, .. }) => address,
        other => panic!("{other:?}"),
    };
    query(&router, 7, &v3_query("0.0.0.0", &[], 7, [100, 100]), 0);
    assert_eq!((querier(), in_use(&router)), (ip("10.0.0.7"), (7, 100, 10)));
    query(&router, 9, &general(), 1);
    assert_eq!((querier(), in_use(&router)), (ip("10.0.0.7"), (7, 100, 10)), "10.0.0.9 lost");
    query(&router, 3, &general(), 2);
    assert_eq!((querier(), in_use(&router)), (ip("10.0.0.3"), (2, 125, 10)));
}

#[test]
fn a_query_from_0_0_0_0_loses_to_every_address() {
    let router = Router::v4();
    let payload = v3_query("0.0.0.0", &[], 2, [100, 60]);
    let proxy = Datagram {
        source: ip("0.0.0.0"),
        destination: ALL_ROUTERS,
        hop_limit: 1,
        router_alert: true,
        payload: &payload,
    };
    assert_eq!(router.igmp.receive(router.on(LAN), &proxy, at(0)), Received::Query);
    assert_eq!(in_use(&router), (2, 60, 10), "a switch asks where no router does");
    query(&router, 200, &general(), 1);
    assert_eq!(in_use(&router), (2, 125, 10));
    router.igmp.receive(router.on(LAN), &proxy, at(2));
    assert_eq!(in_use(&router), (2, 125, 10));
}

/// RFC 3376 section 8.5: robustness times the query interval, and half a response interval.
#[test]
fn a_querier_that_falls_silent_is_gone_after_255_seconds() {
    let router = Router::v4();
    query(&router, 1, &v3_query("0.0.0.0", &[], 2, [100, 125]), 0);
    router.igmp.advance(at(254));
    assert!(router.igmp.interface_state(router.on(LAN)).unwrap().querier.is_some());
    router.igmp.advance(at(255));
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    assert_eq!((state.querier, state.version, state.leave), (None, None, LeaveActs::AtOnce));
}

#[test]
fn a_group_specific_query_lowers_the_group_timer() {
    let router = Router::v4();
    query(&router, 1, &general(), 0);
    router.receive_from(5, &v2_report(G), 1);
    // RFC 2236 section 3: the maximum response time of the message, times the last member query count.
    query(&router, 1, &older_query(15, G), 10);
    assert_eq!(router.state(G), "EXCLUDE@13 x  y ");
    query(&router, 1, &older_query(15, G), 12);
    assert_eq!(router.state(G), "EXCLUDE@13 x  y ", "a timer is never raised by a query");
    router.receive_from(6, &v2_report(G), 12);
    assert_eq!(router.state(G), "EXCLUDE@272 x  y ", "an answer renews it");
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
}

#[test]
fn a_group_and_source_specific_query_lowers_the_sources() {
    let router = Router::v4();
    query(&router, 1, &general(), 0);
    router.reports(5, ALLOW, G, &[A, B], 1);
    query(&router, 1, &v3_query(G, &[A, C], 2, [10, 125]), 10);
    assert_eq!(router.state(G), "INCLUDE 1@12 2@261");
    router.igmp.advance(at(12));
    assert_eq!(router.memberships(), ["2 (192.0.2.2, 239.1.1.1)"]);
    assert_eq!(router.igmp.counters().lapsed, 0, "it was asked for");
}

#[test]
fn the_s_flag_keeps_the_timers_as_they_are() {
    let router = Router::v4();
    query(&router, 1, &general(), 0);
    router.reports(5, IS_EX, G, &[], 1);
    router.reports(5, ALLOW, G, &[A], 1);
    query(&router, 1, &v3_query(G, &[], 0x0a, [10, 125]), 10);
    query(&router, 1, &v3_query(G, &[A], 0x0a, [10, 125]), 10);
    assert_eq!(router.state(G), "EXCLUDE@261 x 1@261 y ");
}

#[test]
fn a_general_query_lowers_no_timer() {
    let router = Router::v4();
    router.reports(5, IS_EX, G, &[], 0);
    query(&router, 1, &general(), 10);
    assert_eq!(router.state(G), "EXCLUDE@260 x  y ");
}

#[test]
fn where_a_querier_is_heard_a_leave_waits_for_its_query() {
    let router = Router::v4();
    query(&router, 1, &general(), 0);
    router.receive_from(5, &v2_report(G), 1);
    router.receive_from(5, &leave(G), 2);
    router.igmp.advance(at(9));
    assert_eq!(router.state(G), "EXCLUDE@261 x  y ", "no query, no change");
    query(&router, 1, &older_query(10, G), 10);
    router.igmp.advance(at(12));
    assert_eq!((router.state(G).as_str(), router.memberships().len()), ("none", 0));
    assert!(router.igmp.groups(router.on(LAN)).is_empty());
}

#[test]
fn the_query_for_a_leave_may_come_before_the_leave() {
    let router = Router::v4();
    router.receive_from(5, &v2_report(G), 1);
    query(&router, 1, &older_query(10, G), 2);
    router.receive_from(5, &leave(G), 2);
    assert_eq!(router.state(G), "EXCLUDE@4 x  y ");
    router.igmp.advance(at(4));
    assert!(router.memberships().is_empty());
}

/// Hosts of which one suppressed its report, and a querier that is first heard when the other one leaves.
#[test]
fn an_unanswered_query_ends_the_group_of_tracked_hosts() {
    let router = Router::v4();
    router.receive_from(10, &v2_report(G), 0);
    router.receive_from(9, &v2_report(G), 1);
    router.receive_from(9, &leave(G), 2);
    query(&router, 1, &older_query(10, G), 2);
    query(&router, 1, &older_query(10, G), 3);
    router.igmp.advance(at(4));
    assert!(router.memberships().is_empty());
    // The tracking holds nothing up either: what comes next is the end of the querier.
    assert_eq!(router.igmp.next_deadline(), Some(at(3 + 255)));
}

#[test]
fn a_leave_is_held_for_hosts_that_suppressed_their_reports() {
    let router = Router::v4();
    router.receive_from(9, &v2_report(G), 0);
    router.receive_from(9, &leave(G), 2);
    assert_eq!(router.state(G), "EXCLUDE@4 x  y ", "the last member query time");
    router.receive_from(10, &v2_report(G), 3);
    router.igmp.advance(at(10));
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
    router.receive_from(10, &leave(G), 20);
    router.igmp.advance(at(22));
    assert!(router.memberships().is_empty());
}

#[test]
fn a_leave_right_after_the_first_report_acts_at_once() {
    let router = Router::v4();
    router.receive_from(9, &v2_report(G), 1);
    router.receive_from(9, &leave(G), 1);
    assert_eq!(router.state(G), "none");
    // In a group with older hosts for longer, a fresh report changes nothing in that.
    router.receive_from(9, &v2_report(G), 2);
    router.receive_from(9, &v2_report(G), 5);
    router.receive_from(9, &leave(G), 5);
    assert_eq!(router.state(G), "EXCLUDE@7 x  y ");
}

#[test]
fn without_a_querier_a_version_3_leave_acts_at_once() {
    let router = Router::v4();
    router.reports(5, TO_EX, G, &[], 0);
    router.reports(6, TO_EX, G, &[], 0);
    router.reports(5, TO_IN, G, &[], 1);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
    router.reports(6, TO_IN, G, &[], 2);
    assert!(router.memberships().is_empty());
}

#[test]
fn the_leave_setting_forces_one_way() {
    let router = Router::configured(GmpConfig::default().with_leave(Leave::Query));
    router.reports(5, TO_EX, G, &[], 0);
    router.reports(5, TO_IN, G, &[], 1);
    assert_eq!(router.state(G), "EXCLUDE@260 x  y ", "query: no router asks, so it lapses");

    let router = Router::configured(GmpConfig::default().with_leave(Leave::Immediate));
    query(&router, 1, &general(), 0);
    router.reports(5, TO_EX, G, &[], 0);
    router.reports(5, TO_IN, G, &[], 1);
    assert_eq!(router.state(G), "none", "immediate: although a querier is heard");
    router.receive_from(5, &v2_report(G), 2);
    router.receive_from(5, &leave(G), 3);
    assert_eq!(router.state(G), "EXCLUDE@5 x  y ", "held off: a host of version 2 was present");
}

#[test]
fn older_queries_are_counted() {
    let router = Router::v4();
    query(&router, 1, &older_query(0, "0.0.0.0"), 0);
    query(&router, 1, &older_query(100, "0.0.0.0"), 1);
    query(&router, 1, &general(), 2);
    let counters = router.igmp.counters();
    assert_eq!((counters.queries, counters.older_queries), (3, 2));
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    assert_eq!(state.version, Some(GmpVersion::V3));
}

#[test]
fn a_query_for_an_address_that_is_no_group_is_ignored() {
    let router = Router::v4();
    let not_a_group: IpAddr = ip("10.9.9.9");
    assert_eq!(
        router.receive_from(1, &older_query(10, "10.9.9.9"), 0),
        Received::Ignored(Ignored::NotAGroup(not_a_group))
    );
    assert_eq!(router.igmp.interface_state(router.on(LAN)).unwrap().querier, None);
}
