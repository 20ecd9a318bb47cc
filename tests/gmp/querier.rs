//! This router as querier: start, election, general and specific queries. RFC 3376 sections 6.6.2, 6.6.3, 7.3.1 and 8.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::forwarding::Family;
use mgm::manager::ManagerConfig;
use mgm::protocol::gmp::{GmpConfig, GmpVersion, Leave, Querier, Role};
use mgm::wire::gmp::{Message, parse_igmp, parse_mld};
use std::net::IpAddr;

const GENERAL: &str = "0.0.0.0 []";

fn advance(router: &Router, seconds: impl IntoIterator<Item = u64>) -> Vec<String> {
    seconds.into_iter().for_each(|seconds| router.igmp.advance(at(seconds)));
    router.sent()
}

#[test]
fn a_router_starts_with_startup_queries() {
    let config = GmpConfig::default().with_query_interval(at(100)).with_robustness(3);
    let router = Router::querier(config);
    assert_eq!(advance(&router, [0]), [format!("0 {GENERAL}")]);
    // A quarter of the query interval until there were three, then the query interval.
    let sent = advance(&router, 1..=200);
    assert_eq!(sent, [25, 50, 150].map(|at| format!("{at} {GENERAL}")));
}

#[test]
fn startup_queries_have_settings_of_their_own() {
    let config =
        GmpConfig::default().with_startup_query_interval(Some(at(5))).with_startup_query_count(Some(1));
    let router = Router::querier(config);
    assert_eq!(advance(&router, 0..=130), [0, 125].map(|at| format!("{at} {GENERAL}")));
}

#[test]
fn a_router_that_only_listens_sends_nothing() {
    let router = Router::v4();
    router.igmp.set_addresses(router.on(LAN), vec![(ip("10.0.0.100"), 24)]);
    router.reports(1, TO_EX, G, &[], 0);
    router.reports(1, TO_IN, G, &[A], 1);
    assert!(advance(&router, 0..=300).is_empty());
}

#[test]
fn a_router_without_an_address_sends_nothing() {
    let router = Router::configured(GmpConfig::default().with_role(Role::Querier));
    assert!(advance(&router, 0..=300).is_empty());
    router.igmp.set_addresses(router.on(LAN), vec![(ip("10.0.0.100"), 24)]);
    assert_eq!(advance(&router, [301]), [format!("301 {GENERAL}")], "it starts with the address");
    router.igmp.set_addresses(router.on(LAN), Vec::new());
    assert!(advance(&router, 302..=900).is_empty());
}

#[test]
fn a_querier_sends_from_an_address_of_its_family() {
    let router = Router::configured(GmpConfig::default().with_role(Role::Querier));
    router.igmp.set_addresses(router.on(LAN), vec![(ip("fe80::1"), 64)]);
    assert!(advance(&router, 0..=300).is_empty());
    router.igmp.set_addresses(router.on(LAN), vec![(ip("fe80::1"), 64), (ip("10.0.0.100"), 24)]);
    router.igmp.advance(at(301));
    assert_eq!(router.igmp.poll_transmit().unwrap().source, ip("10.0.0.100"));
}

#[test]
fn queries_say_what_the_settings_are() {
    let config = GmpConfig::default().with_query_interval(at(400)).with_robustness(3);
    let router = Router::querier(config);
    router.igmp.advance(at(0));
    let sent = router.igmp.poll_transmit().unwrap();
    assert_eq!((sent.source, sent.destination()), (ip("10.0.0.100"), ip("224.0.0.1")));
    assert_eq!(sent.interface, router.on(LAN));
    let octets = sent.octets();
    let Ok(Message::Query(query)) = parse_igmp(&octets) else { panic!("{octets:02x?}") };
    assert_eq!((query.version, query.robustness, query.suppress), (GmpVersion::V3, 3, false));
    assert_eq!((query.max_response_time, query.query_interval), (at(10), at(400)));
    assert!(query.is_general());
    assert_eq!(octets, v3_query("0.0.0.0", &[], 3, [100, 153]));
}

#[test]
fn a_lower_address_ends_the_asking() {
    let router = Router::querier(GmpConfig::default());
    advance(&router, [0]);
    router.reports(1, TO_EX, G, &[], 0);
    router.reports(1, TO_IN, G, &[], 1);
    router.receive_from(9, &v3_query("0.0.0.0", &[], 2, [100, 125]), 1);
    assert_eq!(router.sent(), [format!("1 {G} []")], "before the other was heard");
    assert!(advance(&router, 2..=255).is_empty(), "not even the second query for the leave");
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    assert_eq!(state.querier, Some(Querier::Other { address: ip("10.0.0.9"), until: at(256) }));
    // Robustness times the query interval, and half a response interval, after its last query.
    assert_eq!(advance(&router, 256..=400), [256, 381].map(|at| format!("{at} {GENERAL}")));
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    assert_eq!(state.querier, Some(Querier::This { address: ip("10.0.0.100") }));
}

#[test]
fn a_higher_address_or_none_changes_nothing() {
    let router = Router::querier(GmpConfig::default());
    advance(&router, [0]);
    router.receive_from(101, &v3_query("0.0.0.0", &[], 7, [50, 10]), 1);
    router.receive_from(100, &v3_query("0.0.0.0", &[], 7, [50, 10]), 1);
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    assert_eq!(state.querier, Some(Querier::This { address: ip("10.0.0.100") }));
    assert_eq!((state.robustness, state.query_interval), (2, at(125)));
}

#[test]
fn as_querier_again_a_router_uses_its_own_values() {
    let router = Router::querier(GmpConfig::default());
    router.receive_from(1, &v3_query("0.0.0.0", &[], 7, [50, 10]), 0);
    let values = || {
        let state = router.igmp.interface_state(router.on(LAN)).unwrap();
        (state.robustness, state.query_interval)
    };
    assert_eq!(values(), (7, at(10)));
    router.igmp.advance(at(73));
    assert_eq!(values(), (2, at(125)));
}

/// RFC 3376 section 6.6.3.1.
#[test]
fn a_leave_is_asked_for_as_often_as_the_setting_says() {
    let config = GmpConfig::default().with_last_member_query_count(Some(3));
    let router = Router::querier(config);
    advance(&router, [0, 9]);
    router.receive_from(1, &v2_report(G), 10);
    router.receive_from(1, &leave(G), 20);
    assert_eq!(router.state(G), "EXCLUDE@23 x  y ");
    let sent = advance(&router, 20..=30);
    assert_eq!(sent, [20, 21, 22].map(|at| format!("{at} {G} []")));
    assert_eq!(router.state(G), "none");
    assert!(router.memberships().is_empty());
}

#[test]
fn an_answer_sets_the_s_flag_of_further_queries() {
    let router = Router::querier(GmpConfig::default());
    advance(&router, [0, 9]);
    router.receive_from(1, &v2_report(G), 10);
    router.receive_from(1, &leave(G), 20);
    router.receive_from(2, &v2_report(G), 20);
    assert_eq!(advance(&router, 20..=30), [format!("20 {G} []"), format!("21 {G} [] S")]);
    assert_eq!(router.state(G), "EXCLUDE@280 x  y ");
}

/// RFC 3376 section 6.6.3.2.
#[test]
fn renewed_sources_are_asked_for_apart_with_the_s_flag() {
    let router = Router::querier(GmpConfig::default());
    advance(&router, [0, 9]);
    router.reports(1, ALLOW, G, &[A, B], 10);
    router.reports(1, BLOCK, G, &[A, B], 20);
    assert_eq!(router.state(G), "INCLUDE 1@22 2@22");
    router.reports(2, IS_IN, G, &[B], 20);
    let sent = advance(&router, 20..=30);
    assert_eq!(sent, [format!("20 {G} [{A} {B}]"), format!("21 {G} [{B}] S"), format!("21 {G} [{A}]")]);
    assert_eq!(router.memberships(), ["2 (192.0.2.2, 239.1.1.1)"]);
}

#[test]
fn a_source_that_is_being_asked_for_is_not_asked_again() {
    let router = Router::querier(GmpConfig::default());
    advance(&router, [0, 9]);
    router.reports(1, ALLOW, G, &[A], 10);
    router.reports(1, BLOCK, G, &[A], 20);
    router.reports(1, BLOCK, G, &[A], 20);
    assert_eq!(advance(&router, 20..=30), [20, 21].map(|at| format!("{at} {G} [{A}]")));
}

#[test]
fn many_sources_are_asked_for_in_several_queries() {
    let router = Router::querier(GmpConfig::default());
    advance(&router, [0, 9]);
    let sources: Vec<_> =
        (0..400u16).map(|n| IpAddr::from([192, 0, (n >> 8) as u8, n as u8]).to_string()).collect();
    let sources: Vec<_> = sources.iter().map(String::as_str).filter(|s| *s != "192.0.0.0").collect();
    router.reports(1, ALLOW, G, &sources, 10);
    router.reports(1, BLOCK, G, &sources, 20);
    let mut counts = Vec::new();
    while let Some(sent) = router.igmp.poll_transmit() {
        let octets = sent.octets();
        let Ok(Message::Query(query)) = parse_igmp(&octets) else { panic!("{octets:02x?}") };
        counts.push(query.sources().len());
    }
    assert_eq!(counts, [366, sources.len() - 366], "each fits an Ethernet frame");
}

/// RFC 3376 section 7.3.1, RFC 2236 section 2.
#[test]
fn in_version_2_mode_queries_end_behind_the_group() {
    let router = Router::querier(GmpConfig::default().with_version(GmpVersion::V2));
    router.igmp.advance(at(0));
    assert_eq!(router.igmp.poll_transmit().unwrap().octets(), older_query(100, "0.0.0.0"));
    router.receive_from(1, &v2_report(G), 10);
    router.receive_from(1, &leave(G), 20);
    assert_eq!(router.igmp.poll_transmit().unwrap().octets(), older_query(10, G));
    router.reports(1, ALLOW, "239.2.2.2", &[A], 20);
    router.reports(1, BLOCK, "239.2.2.2", &[A], 20);
    assert_eq!(router.sent().len(), 0, "version 2 cannot ask for sources");
}

#[test]
fn in_version_1_mode_leaves_are_ignored() {
    let router = Router::querier(GmpConfig::default().with_version(GmpVersion::V1));
    router.igmp.advance(at(0));
    assert_eq!(router.igmp.poll_transmit().unwrap().octets(), older_query(0, "0.0.0.0"));
    router.receive_from(1, &v2_report(G), 10);
    router.receive_from(1, &leave(G), 20);
    assert!(router.sent().is_empty());
    assert_eq!(router.state(G), "EXCLUDE@270 x  y ");
}

#[test]
fn an_mld_querier_asks_from_its_link_local_address() {
    let config = GmpConfig::default().with_role(Role::Querier).with_leave(Leave::Query);
    let router = Router::with(Family::V6, manager(ManagerConfig::default()), config);
    let addresses = vec![(ip("2001:db8::1"), 64), (ip("fe80::100"), 64)];
    router.igmp.set_addresses(router.on(LAN), addresses);
    router.igmp.advance(at(0));
    let sent = router.igmp.poll_transmit().unwrap();
    assert_eq!((sent.source, sent.destination()), (ip("fe80::100"), ip("ff02::1")));
    let (from, to) = ("fe80::100".parse().unwrap(), "ff02::1".parse().unwrap());
    assert_eq!(sent.octets(), mld_query("::", &[], 2, (10_000, 125), from, to));
    assert!(parse_mld(&sent.octets(), from, to).is_ok());
}

#[test]
fn queries_that_are_not_taken_are_dropped_and_counted() {
    let router = Router::querier(GmpConfig::default());
    for n in 0..1200u64 {
        router.igmp.advance(at(125 * n));
    }
    assert!(router.igmp.counters().unsent > 100);
    assert_eq!(router.sent().len(), 1024);
}

/// The clock may be at any time that a duration can express.
#[test]
fn no_time_is_too_late_for_a_querier() {
    let end = std::time::Duration::MAX;
    let router = Router::querier(GmpConfig::default());
    for now in [end - at(200), end - at(100), end - at(1), end] {
        let seconds = now.as_secs();
        router.igmp.advance(now);
        router.reports(1, TO_EX, G, &[A], seconds);
        router.receive_from(2, &v2_report(G), seconds);
        router.receive_from(200, &older_query(10, G), seconds);
        router.reports(1, TO_IN, G, &[B], seconds);
        router.receive_from(2, &leave(G), seconds);
        router.receive_from(3, &older_query(255, "0.0.0.0"), seconds);
    }
    router.igmp.advance(end);
    assert!(router.memberships().is_empty(), "all timers have ended");
}

#[test]
fn intervals_saturate_in_settings_that_are_not_checked() {
    let most = std::time::Duration::MAX;
    let config = GmpConfig::default()
        .with_robustness(255)
        .with_query_interval(most)
        .with_query_response_interval(most)
        .with_last_member_query_interval(most);
    assert_eq!(config.group_membership_interval(), most);
    assert_eq!(config.other_querier_present_interval(), most);
    assert_eq!(config.last_member_query_time(), most);
}
