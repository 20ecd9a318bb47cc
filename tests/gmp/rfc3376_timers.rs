//! RFC 3376 section 8 and RFC 3810 section 9: the intervals, their defaults, and what is adopted of the querier's.

use super::link::*;
use super::model::{Family, Kind, Query, Version};
use Kind::{IsEx, ToEx, ToIn};
use mgm::protocol::gmp::{GmpConfig, GmpConfigError, Querier};
use std::time::Duration;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn the_defaults_are_those_of_section_8() {
    let config = GmpConfig::default();
    assert_eq!(config.robustness, 2);
    assert_eq!(config.query_interval, seconds(125.0));
    assert_eq!(config.query_response_interval, seconds(10.0));
    assert_eq!(config.last_member_query_interval, seconds(1.0));
    assert_eq!(config.group_membership_interval(), seconds(260.0));
    assert_eq!(config.other_querier_present_interval(), seconds(255.0));
    assert_eq!((config.startup_interval(), config.startup_count()), (seconds(31.25), 2));
    assert_eq!((config.last_member_count(), config.last_member_query_time()), (2, seconds(2.0)));
}

/// Section 8.1: not zero.
#[test]
fn a_robustness_of_zero_is_refused() {
    let config = GmpConfig::default().with_robustness(0);
    assert_eq!(config.validate(), Err(GmpConfigError::Robustness(0)));
    assert_eq!(GmpConfig::default().with_robustness(1).validate(), Ok(()));
}

/// Section 8.3, and section 8.14.2.
#[test]
fn a_response_interval_beyond_the_query_interval_is_refused() {
    let (response, interval) = (seconds(60.0), seconds(60.0));
    let config = GmpConfig::default().with_query_interval(interval).with_query_response_interval(response);
    assert_eq!(config.validate(), Err(GmpConfigError::ResponseInterval { response, interval }));
    assert_eq!(config.with_query_interval(seconds(61.0)).validate(), Ok(()));
}

#[test]
fn counts_of_zero_are_refused() {
    let config = GmpConfig::default();
    for config in [
        config.clone().with_last_member_query_count(Some(0)),
        config.clone().with_startup_query_count(Some(0)),
    ] {
        assert!(matches!(config.validate(), Err(GmpConfigError::Count(_))));
    }
}

/// Section 8.4: robustness times query interval, and one query response interval.
#[test]
fn state_lasts_for_the_group_membership_interval() {
    for family in BOTH {
        let config = as_listener()
            .with_robustness(3)
            .with_query_interval(seconds(20.0))
            .with_query_response_interval(seconds(5.0));
        let mut link = Link::new(family, config);
        link.record(IsEx, "");
        link.at(64.999);
        assert_eq!(link.state(), "EXCLUDE=65");
        link.at(65.0);
        assert_eq!(link.state(), "");
    }
}

/// Section 8.5: robustness times query interval, and half a query response interval.
#[test]
fn another_querier_is_gone_after_its_interval() {
    for family in BOTH {
        let config = as_querier().with_query_response_interval(seconds(20.0));
        let mut link = Link::new(family, config);
        let code = if family == Family::Igmp { 100 } else { 10_000 };
        // The response interval is the other querier's: 2 * 125 + 10 / 2.
        link.query(1, &Query { code, ..general(family) });
        link.at(254.999);
        assert!(matches!(link.interface_state().querier, Some(Querier::Other { .. })));
        link.at(255.0);
        assert!(matches!(link.interface_state().querier, Some(Querier::This { .. })));
    }
}

#[test]
fn a_listening_router_forgets_a_querier_that_is_gone() {
    for family in BOTH {
        let mut link = Link::new(family, as_listener());
        link.query(1, &general(family));
        link.at(254.999);
        assert!(link.interface_state().querier.is_some());
        link.at(255.0);
        assert_eq!(link.interface_state().querier, None);
    }
}

/// Sections 8.6 and 8.7: at start, as many queries as the robustness, a quarter of the query interval apart.
#[test]
fn queries_at_start_are_closer() {
    for family in BOTH {
        let mut link = Link::new(family, as_querier().with_robustness(3));
        link.at(350.0);
        assert_eq!(link.sent(), ["0 Q()", "31.25 Q()", "62.5 Q()", "187.5 Q()", "312.5 Q()"]);
        let config =
            as_querier().with_startup_query_count(Some(1)).with_startup_query_interval(Some(seconds(5.0)));
        let mut link = Link::new(family, config.clone());
        link.at(130.0);
        assert_eq!(link.sent(), ["0 Q()", "125 Q()"]);
        let mut link = Link::new(family, config.with_startup_query_count(Some(2)));
        link.at(131.0);
        assert_eq!(link.sent(), ["0 Q()", "5 Q()", "130 Q()"]);
    }
}

/// Sections 8.8 to 8.10.
#[test]
fn a_leave_takes_count_times_interval() {
    for family in BOTH {
        let config =
            as_querier().with_last_member_query_interval(seconds(2.0)).with_last_member_query_count(Some(3));
        let mut link = Link::new(family, config);
        link.record(ToEx, "");
        link.at(10.0);
        link.sent();
        link.record(ToIn, "");
        assert_eq!(link.state(), "EXCLUDE=16");
        link.at(20.0);
        assert_eq!(link.sent(), ["10 Q(g)", "12 Q(g)", "14 Q(g)"]);
    }
}

/// Section 8.8: a time without a code is sent as the next lower one.
#[test]
fn a_time_without_a_code_is_rounded_down() {
    for (family, milliseconds, code) in [
        (Family::Igmp, 12_750, 127),
        // 12.8 s and 13.5 s are 128 and 135 tenths: (16 + 0) << 3 stands for both.
        (Family::Igmp, 12_800, 0x80),
        (Family::Igmp, 13_550, 0x80),
        (Family::Igmp, 13_600, 0x81),
        (Family::Mld, 32_767, 32_767),
        (Family::Mld, 32_768, 0x8000),
        (Family::Mld, 32_775, 0x8000),
        (Family::Mld, 32_776, 0x8001),
    ] {
        let config = as_querier().with_query_response_interval(Duration::from_millis(milliseconds));
        let link = Link::new(family, config);
        assert_eq!(link.queries()[0].1.code, code, "{milliseconds} ms");
    }
}

// Sections 4.1.6 and 4.1.7: what is adopted.

#[test]
fn the_queriers_robustness_and_interval_are_adopted() {
    for family in BOTH {
        for config in [as_listener(), as_querier()] {
            let mut link = Link::new(family, config);
            // QQIC 0x8a: (16 + 10) << 3 = 208.
            link.query(1, &Query { qrv: 5, qqic: 0x8a, ..general(family) });
            let state = link.interface_state();
            assert_eq!((state.robustness, state.query_interval), (5, seconds(208.0)));
            assert_eq!(state.group_membership_interval, seconds(5.0 * 208.0 + 10.0));
            link.at(1.0);
            link.record(IsEx, "");
            assert_eq!(link.state(), "EXCLUDE=1051");
        }
    }
}

#[test]
fn a_qrv_or_qqic_of_zero_leaves_the_settings() {
    for family in BOTH {
        let config = as_listener().with_robustness(3).with_query_interval(seconds(60.0));
        let link = Link::new(family, config);
        link.query(1, &Query { qrv: 5, qqic: 30, ..general(family) });
        link.query(1, &Query { qrv: 0, qqic: 0, ..general(family) });
        let state = link.interface_state();
        assert_eq!((state.robustness, state.query_interval), (3, seconds(60.0)));
    }
}

#[test]
fn the_queriers_response_time_is_adopted() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        let query = general(family);
        link.query(1, &Query { code: query.code / 2, ..query });
        let state = link.interface_state();
        assert_eq!(state.query_response_interval, seconds(5.0));
        assert_eq!(state.group_membership_interval, seconds(255.0));
    }
}

#[test]
fn the_queriers_robustness_counts_its_specific_queries() {
    for family in BOTH {
        let link = Link::new(family, as_listener());
        link.record(IsEx, "");
        link.query(1, &Query { qrv: 4, ..general(family) });
        link.query(1, &Query { qrv: 4, ..specific(family, "") });
        assert_eq!(link.state(), "EXCLUDE=4");
    }
}

/// The longest time that a code can express.
#[test]
fn the_longest_codes_are_read_right() {
    let link = Link::new(Family::Igmp, as_listener());
    link.query(1, &Query { code: 0xff, qqic: 0xff, ..general(Family::Igmp) });
    let state = link.interface_state();
    assert_eq!((state.query_response_interval, state.query_interval), (seconds(3174.4), seconds(31_744.0)));
    let link = Link::new(Family::Mld, as_listener());
    link.query(1, &Query { code: 0xffff, qqic: 0xff, ..general(Family::Mld) });
    let state = link.interface_state();
    assert_eq!((state.query_response_interval, state.query_interval), (seconds(8387.584), seconds(31_744.0)));
}

/// A query of an older version tells no robustness and no interval.
#[test]
fn an_older_querier_leaves_the_settings() {
    for family in BOTH {
        let link = Link::new(family, as_listener().with_robustness(4));
        link.query(1, &Query { version: Version::V2, ..general(family) });
        let state = link.interface_state();
        assert_eq!((state.robustness, state.query_interval), (4, seconds(125.0)));
    }
}

/// Section 8: when the other querier is gone, the settings of this router are in use again.
#[test]
fn the_settings_return_when_the_querier_is_gone() {
    for family in BOTH {
        for config in [as_listener(), as_querier()] {
            let mut link = Link::new(family, config);
            link.query(1, &Query { qrv: 5, qqic: 20, ..general(family) });
            link.at(105.0);
            let state = link.interface_state();
            assert_eq!((state.robustness, state.query_interval), (2, seconds(125.0)));
            link.record(IsEx, "");
            assert_eq!(link.state(), "EXCLUDE=365");
        }
    }
}
