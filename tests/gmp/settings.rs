//! The settings, checked against each other, the limits, and the events of an observer.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::forwarding::Family;
use mgm::manager::ManagerConfig;
use mgm::protocol::gmp::{
    GmpChange, GmpConfig, GmpConfigError, GmpError, GmpEvent, GmpObserver, GroupMembership, HostLimits, Leave,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn the_defaults_are_those_of_the_rfc() {
    let config = GmpConfig::default();
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.group_membership_interval(), at(260));
    assert_eq!(config.other_querier_present_interval(), at(255));
    assert_eq!(config.last_member_query_time(), at(2));
    assert_eq!((config.startup_count(), config.startup_interval()), (2, Duration::from_millis(31_250)));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let default = GmpConfig::default;
    let no_groups = HostLimits { groups: 0, ..HostLimits::default() };
    for config in [
        default().with_robustness(0),
        default().with_robustness(8),
        default().with_query_response_interval(at(125)),
        default().with_query_interval(at(0)),
        default().with_query_interval(at(31_745)),
        default().with_last_member_query_interval(at(0)),
        default().with_last_member_query_count(Some(0)),
        default().with_startup_query_count(Some(0)),
        default().with_startup_query_interval(Some(at(0))),
        default().with_leave(Leave::Immediate).with_track_hosts(false),
        default().with_source_specific(vec![mgm::rpf::Prefix::new(ip("10.0.0.0"), 8).unwrap()]),
        default().with_limits(no_groups),
    ] {
        let error = config.validate().unwrap_err();
        assert!(error.to_string().contains([':', ';']), "it says what to do: {error}");
        let made = GroupMembership::new(manager(ManagerConfig::default()), Family::V4, config);
        assert_eq!(made.unwrap_err(), GmpError::Config(error));
    }
    let error = default().with_robustness(0).validate().unwrap_err();
    assert_eq!(error, GmpConfigError::Robustness(0));
}

#[test]
fn reached_limits_are_told() {
    let limits = HostLimits { groups: 2, group_sources: 2, ..HostLimits::default() };
    let router = Router::configured(GmpConfig::default().with_limits(limits).with_track_hosts(false));
    let reached = || router.igmp.interface_state(router.on(LAN)).unwrap().limits_reached;
    router.reports(1, ALLOW, "239.0.0.1", &[A, B], 0);
    router.reports(1, ALLOW, "239.0.0.2", &[A], 0);
    assert!(!reached().any());
    router.reports(1, ALLOW, "239.0.0.1", &[C], 0);
    assert!(reached().sources && !reached().groups);
    router.receive_from(1, &v2_report("239.0.0.3"), 0);
    assert!(reached().groups);
    let refused = router.igmp.counters().refused;
    assert_eq!((refused.groups, refused.sources), (1, 1));
    assert_eq!(router.memberships().len(), 3);
    let state = router.igmp.interface_state(router.on(LAN)).unwrap();
    assert_eq!((state.groups, state.sources), (2, 3));
}

#[test]
fn hosts_beyond_the_tracking_count_by_the_timers() {
    let limits = HostLimits { hosts: 1, ..HostLimits::default() };
    let router = Router::configured(GmpConfig::default().with_limits(limits));
    router.reports(1, TO_EX, G, &[], 0);
    router.reports(2, TO_EX, G, &[], 0);
    router.reports(1, TO_IN, G, &[], 1);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"], "the second host is not tracked, but there");
    router.igmp.advance(at(260));
    assert!(router.memberships().is_empty());
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl GmpObserver for Log {
    fn changed(&self, event: &GmpEvent) {
        let change = match event.change {
            GmpChange::Joined => "joined",
            GmpChange::Left => "left",
            GmpChange::Lapsed => "lapsed",
        };
        let host = event.host.map_or("?".into(), |host| host.to_string());
        let line = format!("{} {} {change} by {host}", event.at.as_secs_f64(), event.subject);
        self.0.lock().unwrap().push(line);
    }
}

fn observed() -> (Router, Arc<Log>) {
    let Router { manager, igmp, family } = Router::v4();
    let log = Arc::new(Log::default());
    (Router { manager, igmp: igmp.with_observer(log.clone()), family }, log)
}

fn lines(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.0.lock().unwrap())
}

#[test]
fn an_observer_hears_of_joins_leaves_and_lapses() {
    let (router, log) = observed();
    router.reports(1, TO_EX, G, &[A], 1);
    assert_eq!(
        lines(&log),
        ["1 (*, 239.1.1.1) joined by 10.0.0.1", "1 (192.0.2.1, 239.1.1.1) blocked joined by 10.0.0.1"]
    );
    router.reports(1, IS_EX, G, &[A], 2);
    assert!(lines(&log).is_empty(), "a renewal changes nothing");
    router.reports(2, ALLOW, G, &[B], 3);
    assert_eq!(lines(&log), ["3 (192.0.2.2, 239.1.1.1) joined by 10.0.0.2"]);
    router.reports(1, TO_IN, G, &[], 4);
    assert_eq!(
        lines(&log),
        ["4 (*, 239.1.1.1) left by 10.0.0.1", "4 (192.0.2.1, 239.1.1.1) blocked left by 10.0.0.1"]
    );
    router.igmp.advance(at(1000));
    assert_eq!(lines(&log), ["263 (192.0.2.2, 239.1.1.1) lapsed by 10.0.0.2"]);
}

#[test]
fn a_leave_that_was_asked_for_is_told_with_its_host() {
    let (router, log) = observed();
    router.receive_from(9, &v2_report(G), 1);
    router.receive_from(9, &leave(G), 2);
    router.receive_from(1, &older_query(10, G), 2);
    router.igmp.advance(at(10));
    assert_eq!(lines(&log), ["1 (*, 239.1.1.1) joined by 10.0.0.9", "4 (*, 239.1.1.1) left by 10.0.0.9"]);
}

#[test]
fn a_report_at_the_moment_of_a_lapse_is_no_event() {
    let (router, log) = observed();
    router.reports(1, IS_EX, G, &[], 0);
    lines(&log);
    router.reports(1, IS_EX, G, &[], 260);
    assert!(lines(&log).is_empty());
}
