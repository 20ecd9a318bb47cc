//! RFC 3376 section 6.6 and RFC 3810 section 7.6: queries that are heard, the election, and queries that are sent.

use super::link::*;
use super::model::{Kind, Query, Version};
use Kind::{Allow, Block, IsEx, IsIn, ToEx, ToIn};
use mgm::protocol::gmp::{Querier, Received};
use std::time::Duration;

fn other(number: u8, until: f64, link: &Link) -> Option<Querier> {
    Some(Querier::Other { address: address(link.family, number), until: Duration::from_secs_f64(until) })
}

fn this(link: &Link) -> Option<Querier> {
    Some(Querier::This { address: address(link.family, OWN) })
}

// Section 6.6.1.

#[test]
fn a_heard_query_of_a_group_lowers_its_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "c");
        link.record(IsIn, "a");
        link.at(10.0);
        assert_eq!(link.query(1, &specific(family, "")), Received::Query);
        assert_eq!(link.state(), "EXCLUDE=12 a=260 | c");
    }
}

#[test]
fn a_heard_query_of_sources_lowers_their_timers() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "d");
        link.record(IsIn, "abc");
        link.at(10.0);
        link.query(1, &specific(family, "abd"));
        assert_eq!(link.state(), "EXCLUDE=260 a=12 b=12 c=260 | d");
    }
}

#[test]
fn a_heard_query_never_raises_a_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.record(IsIn, "a");
        link.at(259.5);
        link.query(1, &specific(family, ""));
        link.query(1, &specific(family, "a"));
        assert_eq!(link.state(), "EXCLUDE=260 a=260");
    }
}

#[test]
fn a_general_query_lowers_no_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.record(IsIn, "a");
        link.at(10.0);
        link.query(1, &general(family));
        assert_eq!(link.state(), "EXCLUDE=260 a=260");
    }
}

/// The S flag.
#[test]
fn a_heard_query_with_the_s_flag_lowers_no_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.record(IsIn, "a");
        link.at(10.0);
        link.query(1, &Query { suppress: true, ..specific(family, "") });
        link.query(1, &Query { suppress: true, ..specific(family, "a") });
        assert_eq!(link.state(), "EXCLUDE=260 a=260");
    }
}

/// Section 4.1.5: the S flag does not suppress the election.
#[test]
fn a_query_with_the_s_flag_counts_in_the_election() {
    for family in BOTH {
        let link = Link::new(family, as_querier());
        link.query(1, &Query { suppress: true, ..general(family) });
        assert_eq!(link.interface_state().querier, other(1, 255.0, &link));
    }
}

#[test]
fn a_group_ends_when_no_host_answers_the_heard_query() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(ToEx, "");
        link.at(10.0);
        link.query(1, &general(family));
        link.record(ToIn, "");
        assert_eq!(link.state(), "EXCLUDE=260");
        link.query(1, &specific(family, ""));
        link.at(11.0);
        link.query(1, &specific(family, ""));
        link.at(11.999);
        assert_eq!(link.memberships().len(), 1);
        link.at(12.0);
        assert_eq!(link.memberships().len(), 0);
    }
}

/// RFC 2236 section 3: the time is that of the heard query, times the last member query count.
#[test]
fn the_time_of_a_leave_is_that_of_the_heard_query() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.at(10.0);
        let query = specific(family, "");
        link.query(1, &Query { code: 3 * query.code, ..query });
        assert_eq!(link.state(), "EXCLUDE=16");
    }
}

// Section 6.6.2.

#[test]
fn a_router_begins_as_the_querier() {
    for family in BOTH {
        let link = Link::new(family, as_querier());
        assert_eq!(link.interface_state().querier, this(&link));
        assert_eq!(link.sent(), ["0 Q()"]);
    }
}

#[test]
fn a_lower_address_ends_being_the_querier() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.at(10.0);
        link.query(1, &general(family));
        assert_eq!(link.interface_state().querier, other(1, 265.0, &link));
        link.sent();
        link.at(264.999);
        assert!(link.sent().is_empty());
    }
}

#[test]
fn a_higher_address_changes_nothing() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.at(10.0);
        link.query(9, &Query { qrv: 5, qqic: 17, ..general(family) });
        let state = link.interface_state();
        assert_eq!(state.querier, this(&link));
        assert_eq!((state.robustness, state.query_interval), (2, Duration::from_secs(125)));
        link.at(40.0);
        assert_eq!(link.sent(), ["0 Q()", "31.25 Q()"]);
    }
}

#[test]
fn when_the_other_querier_is_gone_queries_begin_again() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.query(1, &general(family));
        link.sent();
        link.at(255.0);
        assert_eq!(link.interface_state().querier, this(&link));
        assert_eq!(link.sent(), ["255 Q()"]);
        link.at(600.0);
        assert_eq!(link.sent(), ["380 Q()", "505 Q()"]);
    }
}

#[test]
fn of_two_other_queriers_the_lowest_is_followed() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.query(3, &Query { qqic: 30, ..general(family) });
        assert_eq!(link.interface_state().query_interval, Duration::from_secs(30));
        link.at(1.0);
        link.query(1, &Query { qqic: 40, ..general(family) });
        link.at(2.0);
        link.query(3, &Query { qqic: 50, ..general(family) });
        let state = link.interface_state();
        assert_eq!(state.query_interval, Duration::from_secs(40));
        assert_eq!(state.querier, other(1, 86.0, &link));
    }
}

#[test]
fn a_router_that_is_not_the_querier_sends_no_query() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.query(1, &general(family));
        link.sent();
        link.record(ToEx, "");
        link.record(Allow, "a");
        link.at(10.0);
        link.record(Block, "a");
        link.record(ToIn, "");
        link.at(100.0);
        assert!(link.sent().is_empty());
        assert_eq!(link.state(), "EXCLUDE=260 a=260");
    }
}

#[test]
fn a_listening_router_sends_no_query() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(ToEx, "a");
        link.record(ToIn, "");
        link.at(1000.0);
        assert!(link.sent().is_empty());
        assert_eq!(link.interface_state().querier, None);
    }
}

// Section 6.6.3.1.

#[test]
fn a_query_of_a_group_is_sent_at_once_and_again() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier().with_robustness(3));
        link.record(ToEx, "");
        link.at(10.0);
        link.sent();
        link.record(ToIn, "");
        assert_eq!(link.state(), "EXCLUDE=13");
        assert_eq!(link.sent(), ["10 Q(g)"]);
        link.at(20.0);
        assert_eq!(link.sent(), ["11 Q(g)", "12 Q(g)"]);
    }
}

#[test]
fn the_s_flag_is_set_while_the_group_timer_is_longer() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier().with_robustness(3));
        link.record(ToEx, "");
        link.at(10.0);
        link.sent();
        link.record(ToIn, "");
        link.at(10.5);
        link.record(IsEx, "");
        link.at(20.0);
        assert_eq!(link.sent(), ["10 Q(g)", "11 Q(g) S", "12 Q(g) S"]);
    }
}

// Section 6.6.3.2.

#[test]
fn a_query_of_sources_is_sent_at_once_and_again() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier().with_robustness(3));
        link.record(Allow, "abc");
        link.at(10.0);
        link.sent();
        link.record(Block, "ab");
        assert_eq!(link.sent(), ["10 Q(g, a b)"]);
        link.at(20.0);
        assert_eq!(link.sent(), ["11 Q(g, a b)", "12 Q(g, a b)"]);
        assert_eq!(link.state(), "INCLUDE c=385");
    }
}

/// One query with the S flag for the sources that were renewed, and one without it for the others.
#[test]
fn renewed_sources_are_asked_for_with_the_s_flag() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier().with_robustness(3));
        link.record(Allow, "abc");
        link.at(10.0);
        link.sent();
        link.record(Block, "abc");
        link.at(10.5);
        link.record(IsIn, "b");
        link.at(11.0);
        let mut sent = link.sent();
        sent.sort();
        assert_eq!(sent, ["10 Q(g, a b c)", "11 Q(g, a c)", "11 Q(g, b) S"]);
    }
}

/// Sources with a timer that is lowered already are not asked for anew.
#[test]
fn a_second_block_does_not_begin_anew() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.record(Allow, "ab");
        link.at(10.0);
        link.sent();
        link.record(Block, "a");
        link.at(10.5);
        link.record(Block, "a");
        link.at(20.0);
        assert_eq!(link.sent(), ["10 Q(g, a)", "11 Q(g, a)"]);
    }
}

// Section 4.1: what the queries say.

#[test]
fn a_general_query_tells_the_settings() {
    for family in BOTH {
        let config = as_querier()
            .with_robustness(3)
            .with_query_interval(Duration::from_secs(200))
            .with_query_response_interval(Duration::from_secs(5));
        let link = Link::new(family, config);
        let code = if family == super::model::Family::Igmp { 50 } else { 5000 };
        // 200 is the code 0x89: (16 + 9) << 3.
        assert_eq!(link.queries(), [(0, Query { code, qrv: 3, qqic: 0x89, ..general(family) })]);
    }
}

#[test]
fn a_specific_query_tells_the_last_member_query_interval() {
    for family in BOTH {
        let config = as_querier().with_last_member_query_interval(Duration::from_millis(2500));
        let mut link = Link::new(family, config);
        link.record(ToEx, "");
        link.at(10.0);
        link.queries();
        link.record(ToIn, "");
        let code = if family == super::model::Family::Igmp { 25 } else { 2500 };
        assert_eq!(link.queries(), [(10_000, Query { code, ..specific(family, "") })]);
    }
}

#[test]
fn long_lists_are_split_over_several_queries() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        let numbers: Vec<u16> = (1..=400).collect();
        let octets = |n: u16| -> Vec<u8> {
            match family {
                super::model::Family::Igmp => vec![192, 0, (n >> 8) as u8, n as u8],
                super::model::Family::Mld => [&[0x20, 1, 0xd, 0xb8][..], &[0; 10], &n.to_be_bytes()].concat(),
            }
        };
        let report = |link: &Link, kind: u8| {
            for part in numbers.chunks(80) {
                let mut message = link.report_octets(&[]);
                message[7] = 1;
                message.extend([kind, 0, 0, part.len() as u8]);
                match group(family) {
                    std::net::IpAddr::V4(v4) => message.extend(v4.octets()),
                    std::net::IpAddr::V6(v6) => message.extend(v6.octets()),
                }
                part.iter().for_each(|n| message.extend(octets(*n)));
                let to = if family == super::model::Family::Igmp { "224.0.0.22" } else { "ff02::16" };
                assert_eq!(link.message(address(family, 50), to.parse().unwrap(), message), Received::Report);
            }
        };
        report(&link, 5);
        link.at(10.0);
        link.queries();
        link.record(ToIn, "");
        let queries = link.queries();
        let limit = if family == super::model::Family::Igmp { 366 } else { 89 };
        assert!(
            queries.iter().all(|(_, query)| query.sources.len() <= limit && query.version == Version::V3)
        );
        assert_eq!(queries.iter().map(|(_, query)| query.sources.len()).sum::<usize>(), 400);
    }
}
