//! RFC 3376 sections 6.2 to 6.5 and RFC 3810 sections 7.2 to 7.5: group and source timers, and the tables of received records.
//!
//! In each row the state arises at 0 s and the record is received at 10 s. So a timer that ends at 260 s was left alone, one
//! that ends at 270 s was set to the group membership interval, and one that ends at 12 s was lowered to the last member query
//! time.

use super::link::*;
use super::model::Kind;
use Kind::{Allow, Block, IsEx, IsIn, ToEx, ToIn};

/// Checks a row of a table: the state before, the record, the state after and the queries.
fn row(before: &[(Kind, &str)], record: (Kind, &str), after: &str, queries: &[&str]) {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        before.iter().for_each(|(kind, sources)| link.record(*kind, sources));
        link.at(10.0);
        assert_eq!(link.sent(), ["0 Q()"]);
        link.record(record.0, record.1);
        assert_eq!(link.state(), after, "{family:?}");
        let queries: Vec<String> = queries.iter().map(|query| format!("10 {query}")).collect();
        assert_eq!(link.sent(), queries, "{family:?}");
    }
}

/// INCLUDE (a, b).
const INCLUDE: &[(Kind, &str)] = &[(Allow, "ab")];
/// EXCLUDE ({a, b}, {c, d}).
const EXCLUDE: &[(Kind, &str)] = &[(IsEx, "cd"), (IsIn, "ab")];

// Section 6.4.1.

#[test]
fn in_include_is_in_adds_and_renews_sources() {
    row(INCLUDE, (IsIn, "bc"), "INCLUDE a=260 b=270 c=270", &[]);
}

#[test]
fn in_include_is_ex_blocks_what_is_new_and_drops_the_rest() {
    row(INCLUDE, (IsEx, "bc"), "EXCLUDE=270 b=260 | c", &[]);
}

#[test]
fn in_exclude_is_in_renews_sources_and_unblocks_them() {
    row(EXCLUDE, (IsIn, "bce"), "EXCLUDE=260 a=260 b=270 c=270 e=270 | d", &[]);
}

#[test]
fn in_exclude_is_ex_keeps_only_the_listed_sources() {
    row(EXCLUDE, (IsEx, "bce"), "EXCLUDE=270 b=260 e=270 | c", &[]);
}

// Section 6.4.2.

#[test]
fn in_include_allow_adds_and_renews_sources() {
    row(INCLUDE, (Allow, "bc"), "INCLUDE a=260 b=270 c=270", &[]);
}

#[test]
fn in_include_block_asks_for_the_blocked_sources() {
    row(INCLUDE, (Block, "bc"), "INCLUDE a=260 b=12", &["Q(g, b)"]);
}

#[test]
fn in_include_to_ex_asks_for_the_sources_in_both() {
    row(INCLUDE, (ToEx, "bc"), "EXCLUDE=270 b=12 | c", &["Q(g, b)"]);
}

#[test]
fn in_include_to_in_asks_for_the_other_sources() {
    row(INCLUDE, (ToIn, "bc"), "INCLUDE a=12 b=270 c=270", &["Q(g, a)"]);
}

#[test]
fn in_exclude_allow_renews_sources_and_unblocks_them() {
    row(EXCLUDE, (Allow, "bce"), "EXCLUDE=260 a=260 b=270 c=270 e=270 | d", &[]);
}

#[test]
fn in_exclude_block_asks_for_sources_not_yet_blocked() {
    row(EXCLUDE, (Block, "bce"), "EXCLUDE=260 a=260 b=12 e=12 | c d", &["Q(g, b e)"]);
}

#[test]
fn in_exclude_to_ex_drops_the_others_and_asks() {
    row(EXCLUDE, (ToEx, "bce"), "EXCLUDE=270 b=12 e=12 | c", &["Q(g, b e)"]);
}

#[test]
fn in_exclude_to_in_asks_for_the_group_and_the_others() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        EXCLUDE.iter().for_each(|(kind, sources)| link.record(*kind, sources));
        link.at(10.0);
        link.sent();
        link.record(ToIn, "bce");
        assert_eq!(link.state(), "EXCLUDE=12 a=12 b=270 c=270 e=270 | d");
        let mut sent = link.sent();
        sent.sort();
        assert_eq!(sent, ["10 Q(g)", "10 Q(g, a)"]);
    }
}

/// The rows BLOCK and TO_EX: a source that is not listed so far is set to the group timer, from before it is renewed. The querier lowers it
/// at once, so another router shows it.
#[test]
fn in_exclude_new_sources_get_the_group_timer() {
    for family in BOTH {
        for (record, after) in [
            ((Block, "bce"), "EXCLUDE=260 a=260 b=260 e=260 | c d"),
            ((ToEx, "bce"), "EXCLUDE=270 b=260 e=260 | c"),
        ] {
            let mut link = Link::new(family, as_listener());
            EXCLUDE.iter().for_each(|(kind, sources)| link.record(*kind, sources));
            link.at(10.0);
            link.record(record.0, record.1);
            assert_eq!(link.state(), after, "{family:?}");
        }
    }
}

/// Section 6.4.2, and RFC 3810 section 7.4.2: a query for no source is not sent.
#[test]
fn a_query_for_an_empty_list_is_not_sent() {
    row(INCLUDE, (Block, "cd"), "INCLUDE a=260 b=260", &[]);
    row(INCLUDE, (ToIn, "ab"), "INCLUDE a=270 b=270", &[]);
    row(EXCLUDE, (Block, "cd"), "EXCLUDE=260 a=260 b=260 | c d", &[]);
}

/// Section 6.1: "never in response to Current-State Records".
#[test]
fn a_current_state_record_brings_no_query() {
    for record in [(IsIn, "c"), (IsEx, "bc"), (IsIn, ""), (IsEx, "")] {
        for before in [INCLUDE, EXCLUDE] {
            for family in BOTH {
                let mut link = Link::new(family, as_querier());
                before.iter().for_each(|(kind, sources)| link.record(*kind, sources));
                link.at(10.0);
                link.record(record.0, record.1);
                link.at(20.0);
                assert_eq!(link.sent(), ["0 Q()"], "{record:?}");
            }
        }
    }
}

/// Section 6.2.2: with the group timer the mode EXCLUDE ends. Sources with a running timer are left.
#[test]
fn exclude_ends_and_leaves_the_running_sources() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "c");
        link.at(100.0);
        link.record(Allow, "ab");
        assert_eq!(link.state(), "EXCLUDE=260 a=360 b=360 | c");
        link.at(259.999);
        assert_eq!(link.state(), "EXCLUDE=260 a=360 b=360 | c");
        link.at(260.0);
        assert_eq!(link.state(), "INCLUDE a=360 b=360");
        assert_eq!(link.memberships().len(), 2);
    }
}

#[test]
fn exclude_without_running_sources_ends_the_group() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "ab");
        link.at(259.999);
        assert_eq!(link.state(), "EXCLUDE=260 | a b");
        assert_eq!(link.memberships().len(), 1);
        link.at(260.0);
        assert_eq!(link.state(), "");
        assert_eq!(link.memberships().len(), 0);
    }
}

/// Section 6.2.3, and the table of section 6.3.
#[test]
fn in_include_a_source_ends_with_its_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(Allow, "a");
        link.at(10.0);
        link.record(Allow, "b");
        link.at(260.0);
        assert_eq!(link.state(), "INCLUDE b=270");
        link.at(270.0);
        assert_eq!(link.state(), "");
    }
}

/// Section 6.2.3: the record stays, and says that the source is blocked.
#[test]
fn in_exclude_a_source_is_blocked_when_its_timer_ends() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.record(Allow, "a");
        link.at(100.0);
        link.record(IsEx, "a");
        assert_eq!(link.state(), "EXCLUDE=360 a=260");
        link.at(260.0);
        assert_eq!(link.state(), "EXCLUDE=360 | a");
        let wanted = link.router.wanted(link.interface, group(family)).unwrap();
        assert!(wanted.any_source && wanted.sources.is_empty());
        assert_eq!(wanted.blocked, letters(family, "a"));
    }
}

/// Section 6.2: EXCLUDE with an empty list of sources.
#[test]
fn all_sources_are_exclude_with_an_empty_list() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        link.record(ToEx, "");
        assert_eq!(link.state(), "EXCLUDE=260");
        assert_eq!(link.memberships(), [format!("(*, {})", group(family))]);
    }
}

/// Section 6.2.1: EXCLUDE of one host is EXCLUDE of the group, until the group timer ends.
#[test]
fn one_host_in_exclude_makes_the_group_exclude() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        link.reports(50, &[(IsIn, group(family), "a")]);
        link.reports(51, &[(IsEx, group(family), "ab")]);
        assert_eq!(link.state(), "EXCLUDE=260 a=260 | b");
        link.reports(50, &[(IsIn, group(family), "a")]);
        assert_eq!(link.state(), "EXCLUDE=260 a=260 | b");
    }
}

/// Section 4.2.16: a list that does not fit one report comes in several records.
#[test]
fn a_list_of_several_records_is_the_union_of_them() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let group = group(family);
        link.reports(50, &[(ToIn, group, "ab"), (ToIn, group, "cd")]);
        link.reports(50, &[(ToIn, group, "ef")]);
        assert_eq!(link.state(), "INCLUDE a=260 b=260 c=260 d=260 e=260 f=260");
    }
}

/// Section 6.4.2: until the last member query time has passed, the routing protocol is told to forward.
#[test]
fn a_queried_group_stays_until_the_last_member_query_time() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.record(ToEx, "");
        link.at(10.0);
        link.record(ToIn, "");
        link.at(11.999);
        assert_eq!((link.state().as_str(), link.memberships().len()), ("EXCLUDE=12", 1));
        link.at(12.0);
        assert_eq!((link.state().as_str(), link.memberships().len()), ("", 0));
    }
}

/// Section 6.4.2.
#[test]
fn an_answer_to_a_query_renews_the_timer() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier());
        link.record(ToEx, "");
        link.record(Allow, "a");
        link.at(10.0);
        link.record(ToIn, "");
        assert_eq!(link.state(), "EXCLUDE=12 a=12");
        link.at(11.0);
        link.record(IsEx, "");
        link.record(IsIn, "a");
        assert_eq!(link.state(), "EXCLUDE=271 a=271");
    }
}
