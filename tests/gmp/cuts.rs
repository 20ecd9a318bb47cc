//! Groups that are cut to what their tracked hosts want, compared with the tracking alone.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::protocol::gmp::HostLimits;
use mgm::protocol::gmp::hosts::Hosts;
use mgm::wire::gmp::RecordKind;
use proptest::prelude::*;

const SOURCES: [&str; 5] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"];
const GROUPS: [&str; 2] = ["239.1.1.1", "239.1.1.2"];

type Records = Vec<(u8, usize, Vec<usize>)>;

/// Returns which records of a report are pieces of one list: none but the first of them has an effect of its own.
fn list(kind: u8, group: usize) -> Option<(bool, usize)> {
    match kind {
        IS_EX | TO_EX => Some((true, group)),
        TO_IN => Some((false, group)),
        _ => None,
    }
}

fn record_kind(kind: u8) -> RecordKind {
    match kind {
        IS_IN => RecordKind::IsInclude,
        IS_EX => RecordKind::IsExclude,
        TO_IN => RecordKind::ToInclude,
        TO_EX => RecordKind::ToExclude,
        ALLOW => RecordKind::Allow,
        _ => RecordKind::Block,
    }
}

fn report() -> impl Strategy<Value = (u8, Records, u64)> {
    let sources = prop::collection::vec(0..SOURCES.len(), 0..4);
    let records = prop::collection::vec((1..7u8, 0..2usize, sources), 1..6);
    (1..4u8, records, 2..90u64)
}

proptest! {
    /// Records of a report that are one list are left out, and reports are further apart than lists that unite.
    #[test]
    fn a_group_is_what_its_hosts_want_after_each_report(
        reports in prop::collection::vec(report(), 1..30),
    ) {
        let router = Router::v4();
        let mut hosts = Hosts::new(at(260), HostLimits::default());
        let mut now = 0;
        for (host, mut records, passes) in reports {
            now += passes;
            let mut lists = Vec::new();
            records.retain(|(kind, group, _)| {
                let list = list(*kind, *group);
                let again = list.is_some() && lists.contains(&list);
                lists.push(list);
                !again
            });
            hosts.advance(at(now), |_, _| ());
            let mut octets = Vec::new();
            for (kind, group, sources) in &records {
                let sources: Vec<_> = sources.iter().map(|n| SOURCES[*n]).collect();
                let listed = sources.iter().map(|source| ip(source));
                hosts.record(ip(GROUPS[*group]), ip(&format!("10.0.0.{host}")), record_kind(*kind), listed, at(now));
                octets.push(record(*kind, GROUPS[*group], &sources));
            }
            router.receive_from(host, &v3_report(&octets), now);
            for group in GROUPS {
                let wanted = router.igmp.wanted(router.on(LAN), ip(group)).unwrap();
                prop_assert_eq!(wanted, hosts.wanted(ip(group)), "{} at {}", group, now);
            }
        }
    }
}
