//! Concurrent and random messages: in the end memberships and entries are what the hosts want.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::forwarding::Flow;
use mgm::protocol::static_joins::StaticJoins;
use proptest::prelude::*;
use std::sync::Barrier;

/// Threads bring messages and flows at the same time. In the end the memberships and every entry are what the
/// hosts want.
#[test]
fn after_concurrent_messages_the_manager_matches_the_hosts() {
    let router = Router::v4();
    let groups = ["239.1.1.1", "239.1.1.2"];
    let sources = [A, B, C];
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..3u8 {
            let (router, barrier) = (&router, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..300u32 {
                    // Each thread generates another sequence.
                    let n = (round + 1000 * u32::from(thread)).wrapping_mul(2_654_435_761) >> 7;
                    let kind = [IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK][(n % 6) as usize];
                    let list: Vec<_> =
                        (0..3).filter(|bit| n >> (8 + bit) & 1 == 1).map(|i| sources[i]).collect();
                    router.reports(thread, kind, groups[(n >> 4 & 1) as usize], &list, 0);
                }
            });
        }
        barrier.wait();
        for round in 0..300 {
            let flow = Flow::new(ip(sources[round % 3]), ip(groups[round / 3 % 2])).unwrap();
            router.manager.new_flow(flow).unwrap();
            if round % 7 == 0 {
                router.manager.flush_entries();
            }
        }
    });
    check(&router, &groups, &sources);
}

/// Checks that the memberships on the LAN and every entry are what its hosts want.
fn check(router: &Router, groups: &[&str], sources: &[&str]) {
    let mut expected = Vec::new();
    for group in groups {
        let wanted = router.igmp.wanted(router.on(LAN), ip(group)).unwrap();
        if wanted.any_source {
            expected.push(format!("2 (*, {group})"));
        }
        expected.extend(wanted.sources.iter().map(|source| format!("2 ({source}, {group})")));
        for source in sources {
            router.packet(source, group);
            let wants = wanted.sources.contains(&ip(source))
                || wanted.any_source && !wanted.blocked.contains(&ip(source));
            assert_eq!(router.outgoing(source, group), Some(if wants { vec![LAN] } else { vec![] }));
        }
    }
    assert_eq!(router.memberships(), expected);
}

#[derive(Clone, Debug)]
enum Step {
    Report {
        host: u8,
        kind: u8,
        group: usize,
        sources: Vec<usize>,
    },
    Older {
        host: u8,
        leave: bool,
        group: usize,
    },
    Packet {
        source: usize,
        group: usize,
    },
    Pass(u64),
    Flush,
    /// A routing protocol takes the LAN, and releases it again.
    OwnerChange,
}

fn step() -> impl Strategy<Value = Step> {
    let sources = prop::collection::vec(0..3usize, 0..4);
    prop_oneof![
        10 => (0..3u8, 1..7u8, 0..2usize, sources).prop_map(|(host, kind, group, sources)| Step::Report { host, kind, group, sources }),
        3 => (0..3u8, any::<bool>(), 0..2usize).prop_map(|(host, leave, group)| Step::Older { host, leave, group }),
        4 => (0..3usize, 0..2usize).prop_map(|(source, group)| Step::Packet { source, group }),
        3 => (0..200u64).prop_map(Step::Pass),
        1 => Just(Step::Flush),
        1 => Just(Step::OwnerChange),
    ]
}

/// Returns the number of cases from `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Entries that exist throughout follow the hosts like entries that are created again.
    #[test]
    fn after_random_messages_the_manager_matches_the_hosts(steps in prop::collection::vec(step(), 1..40)) {
        let (groups, sources) = (["239.1.1.1", "239.1.1.2"], [A, B, C]);
        let (router, mut now) = (Router::v4(), 0);
        for step in steps {
            match step {
                Step::Report { host, kind, group, sources: list } => {
                    let list: Vec<_> = list.into_iter().map(|i| sources[i]).collect();
                    router.reports(host, kind, groups[group], &list, now);
                }
                Step::Older { host, leave: true, group } => _ = router.receive_from(host, &leave(groups[group]), now),
                Step::Older { host, leave: false, group } => _ = router.receive_from(host, &v2_report(groups[group]), now),
                Step::Packet { source, group } => router.packet(sources[source], groups[group]),
                Step::Pass(seconds) => {
                    now += seconds;
                    router.igmp.advance(at(now));
                }
                Step::Flush => router.manager.flush_entries(),
                Step::OwnerChange => {
                    // Each change of owner ends the memberships, and IGMP adds them again.
                    let joins = StaticJoins::new(router.manager.clone()).unwrap();
                    joins.take(router.on(LAN)).unwrap();
                    check(&router, &groups, &sources);
                }
            }
            check(&router, &groups, &sources);
        }
    }
}
