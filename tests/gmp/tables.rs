//! RFC 3376 sections 6.2 to 6.5, RFC 3810 sections 7.2 to 7.5: the filter mode and the timers of a group, row by row.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::protocol::gmp::{GmpConfig, Leave};

/// A listener that tracks no hosts: only the tables count.
fn tables() -> Router {
    Router::configured(GmpConfig::default().with_leave(Leave::Query).with_track_hosts(false))
}

/// Brings a group to a state: `I` and sources, or `E`, requested sources, `/` and blocked ones. The timers end at 260 s.
fn bring(router: &Router, state: &str) {
    let list =
        |letters: &str| letters.bytes().map(|b| format!("192.0.2.{}", b - b'a' + 1)).collect::<Vec<_>>();
    let report = |kind, letters: &str| {
        let list = list(letters);
        router.reports(1, kind, G, &list.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    };
    match state.split_at_checked(1) {
        Some(("I", sources)) => report(ALLOW, sources),
        Some(("E", lists)) => {
            let (requested, blocked) = lists.split_once('/').unwrap();
            report(IS_EX, blocked);
            report(ALLOW, requested);
        }
        _ => panic!("{state}"),
    }
}

/// RFC 3376 section 6.4.1 and RFC 3810 section 7.4.1: reports of the current state, at 100 s.
#[test]
fn current_state_records_change_each_state_by_its_row() {
    for (before, kind, list, after) in [
        ("Iab", IS_IN, "bc", "INCLUDE 1@260 2@360 3@360"),
        ("Iab", IS_EX, "bc", "EXCLUDE@360 x 2@260 y 3"),
        ("I", IS_EX, "a", "EXCLUDE@360 x  y 1"),
        ("I", IS_IN, "", "none"),
        ("Eab/cd", IS_IN, "bce", "EXCLUDE@260 x 1@260 2@360 3@360 5@360 y 4"),
        ("Eab/cd", IS_EX, "bce", "EXCLUDE@360 x 2@260 5@360 y 3"),
        ("Eab/cd", IS_EX, "", "EXCLUDE@360 x  y "),
    ] {
        check(before, kind, list, after);
    }
}

/// RFC 3376 section 6.4.2 and RFC 3810 section 7.4.2: reports of changes, at 100 s.
#[test]
fn state_change_records_change_each_state_by_its_row() {
    for (before, kind, list, after) in [
        ("Iab", ALLOW, "bc", "INCLUDE 1@260 2@360 3@360"),
        ("Iab", BLOCK, "bc", "INCLUDE 1@260 2@260"),
        ("Iab", TO_EX, "bc", "EXCLUDE@360 x 2@260 y 3"),
        ("Iab", TO_IN, "bc", "INCLUDE 1@260 2@360 3@360"),
        ("Eab/cd", ALLOW, "bce", "EXCLUDE@260 x 1@260 2@360 3@360 5@360 y 4"),
        ("Eab/cd", BLOCK, "bce", "EXCLUDE@260 x 1@260 2@260 5@260 y 3 4"),
        ("Eab/cd", TO_EX, "bce", "EXCLUDE@360 x 2@260 5@260 y 3"),
        ("Eab/cd", TO_IN, "bce", "EXCLUDE@260 x 1@260 2@360 3@360 5@360 y 4"),
    ] {
        check(before, kind, list, after);
    }
}

fn check(before: &str, kind: u8, list: &str, after: &str) {
    let router = tables();
    bring(&router, before);
    let list: Vec<_> = list.bytes().map(|b| format!("192.0.2.{}", b - b'a' + 1)).collect();
    router.reports(2, kind, G, &list.iter().map(String::as_str).collect::<Vec<_>>(), 100);
    assert_eq!(router.state(G), after, "{before} and record {kind} of {list:?}");
}

/// The queries that the querier sends for each row of section 6.4.2.
#[test]
fn state_change_records_ask_what_their_row_says() {
    let (a, b, c, e) = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.5");
    let of = |sources: &[&str]| format!("100 {G} [{}]", sources.join(" "));
    for (before, kind, list, queries) in [
        ("Iab", BLOCK, vec![b, c], vec![of(&[b])]),
        ("Iab", TO_EX, vec![b, c], vec![of(&[b])]),
        ("Iab", TO_IN, vec![b, c], vec![of(&[a])]),
        ("Iab", ALLOW, vec![b, c], vec![]),
        ("Eab/cd", BLOCK, vec![b, c, e], vec![of(&[b, e])]),
        ("Eab/cd", TO_EX, vec![b, c, e], vec![of(&[b, e])]),
        ("Eab/cd", TO_IN, vec![b, c, e], vec![of(&[]), of(&[a])]),
        ("Eab/cd", IS_IN, vec![b], vec![]),
        ("Eab/cd", IS_EX, vec![b], vec![]),
    ] {
        let router = Router::querier(GmpConfig::default());
        bring(&router, before);
        router.igmp.advance(at(99));
        router.sent();
        router.reports(2, kind, G, &list, 100);
        assert_eq!(router.sent(), queries, "{before} and record {kind} of {list:?}");
    }
}

/// RFC 3376 section 6.5: the group timer ends.
#[test]
fn at_the_end_of_the_group_timer_requested_sources_stay() {
    let router = tables();
    router.reports(1, IS_EX, G, &[A], 0);
    router.reports(1, ALLOW, G, &[B], 100);
    router.igmp.advance(at(260));
    assert_eq!(router.state(G), "INCLUDE 2@360");
    assert_eq!(router.memberships(), ["2 (192.0.2.2, 239.1.1.1)"]);
    router.igmp.advance(at(360));
    assert_eq!((router.state(G).as_str(), router.igmp.next_deadline()), ("none", None));
}

/// RFC 3376 section 6.3: a source's timer ends.
#[test]
fn a_source_whose_timer_ends_in_exclude_is_blocked() {
    let router = tables();
    router.reports(1, IS_EX, G, &[], 0);
    router.reports(1, ALLOW, G, &[A], 10);
    router.reports(1, IS_EX, G, &[A], 100);
    router.packet(A, G);
    router.igmp.advance(at(269));
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    router.igmp.advance(at(270));
    assert_eq!(router.state(G), "EXCLUDE@360 x  y 1");
    assert_eq!(router.outgoing(A, G), Some(vec![]));
}

#[test]
fn a_source_whose_timer_ends_in_include_is_deleted() {
    let router = tables();
    router.reports(1, ALLOW, G, &[A, B], 0);
    router.reports(1, IS_IN, G, &[A], 100);
    router.igmp.advance(at(260));
    assert_eq!(router.state(G), "INCLUDE 1@360");
    assert_eq!(router.igmp.counters().lapsed, 1);
}

/// RFC 3376 section 4.2.16: what does not fit one report comes in several.
#[test]
fn a_source_list_in_several_reports_unites() {
    for tracked in [false, true] {
        let router = Router::configured(GmpConfig::default().with_track_hosts(tracked));
        router.reports(1, TO_IN, G, &[A], 0);
        router.reports(1, TO_IN, G, &[B], 0);
        assert_eq!(router.memberships(), ["2 (192.0.2.1, 239.1.1.1)", "2 (192.0.2.2, 239.1.1.1)"]);
    }
    // A list that comes later replaces the first, where the hosts are tracked.
    let router = Router::v4();
    router.reports(1, TO_IN, G, &[A], 0);
    router.reports(1, TO_IN, G, &[B], 5);
    assert_eq!(router.memberships(), ["2 (192.0.2.2, 239.1.1.1)"]);
}

#[test]
fn an_exclude_list_in_several_records_unites() {
    for tracked in [false, true] {
        let router = Router::configured(GmpConfig::default().with_track_hosts(tracked));
        let report = v3_report(&[record(TO_EX, G, &[A]), record(TO_EX, G, &[B])]);
        router.receive_from(1, &report, 0);
        assert_eq!(router.state(G), "EXCLUDE@260 x  y 1 2");
    }
    let router = Router::v4();
    router.reports(1, TO_EX, G, &[A], 0);
    router.reports(1, TO_EX, G, &[B], 0);
    assert_eq!(router.state(G), "EXCLUDE@260 x  y 1 2", "in several reports");
    router.reports(1, TO_EX, G, &[C], 1);
    assert_eq!(router.state(G), "EXCLUDE@261 x  y 3", "a second later it is another list");
}
