//! Random messages and times, received by the router and by a plain model of the RFCs' tables (`model`). After each step both
//! have the same groups, timers, querier and memberships, and have sent the same queries.

use super::model::{Family, Kind, Mode, Settings, Version};
use super::pair::{GROUPS, HOSTS, Pair, ROUTERS, SOURCES, Setup, Step, WireQuery};
use super::pair_octets;
use proptest::prelude::*;

fn setup() -> impl Strategy<Value = Setup> {
    let family = prop_oneof![Just(Family::Igmp), Just(Family::Mld)];
    let mode = prop_oneof![Just(Mode::Listening), Just(Mode::Querier)];
    let intervals = (
        1..5u64,
        prop::sample::select(vec![20_000, 60_000, 125_000, 250_000]),
        prop::sample::select(vec![1_000, 5_500, 10_000, 19_900]),
        prop::sample::select(vec![500, 1_000, 3_000, 15_900]),
    );
    let counts = (
        prop::option::of(1..4u64),
        prop::option::of(prop::sample::select(vec![1_000, 7_000])),
        prop::option::of(1..4u64),
    );
    let version = prop_oneof![1 => Just(Version::V1), 1 => Just(Version::V2), 8 => Just(Version::V3)];
    (family, mode, 0..=ROUTERS, intervals, counts, version, any::<[bool; 2]>()).prop_map(
        |(
            family,
            mode,
            rank,
            (robustness, query_interval, response, last),
            counts,
            version,
            [query, track_hosts],
        )| {
            let (last_member_count, startup_interval, startup_count) = counts;
            let settings = Settings {
                version: if family == Family::Mld { version.max(Version::V2) } else { version },
                robustness,
                query_interval,
                response_interval: response,
                last_member_interval: last,
                last_member_count,
                startup_interval: startup_interval.unwrap_or(query_interval / 4),
                startup_count: startup_count.unwrap_or(robustness),
            };
            Setup { family, mode, rank, settings, query, track_hosts }
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::IsIn, Kind::IsEx, Kind::ToIn, Kind::ToEx, Kind::Allow, Kind::Block])
}

fn some_sources() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..SOURCES, 0..4)
}

fn wire_query() -> impl Strategy<Value = WireQuery> {
    let version = prop_oneof![1 => Just(Version::V1), 2 => Just(Version::V2), 9 => Just(Version::V3)];
    let code = prop_oneof![4 => 1..30u16, 2 => 1..256u16, 1 => any::<u16>()];
    let qqic = prop_oneof![4 => 5..128u8, 1 => any::<u8>()];
    let suppress = prop::bool::weighted(0.3);
    let group = prop::option::weighted(0.6, 0..GROUPS);
    let sources = prop_oneof![Just(vec![]), some_sources()];
    (version, code, group, sources, suppress, 0..8u8, qqic).prop_map(
        |(version, code, group, sources, suppress, qrv, qqic)| WireQuery {
            version,
            code,
            group,
            sources,
            suppress,
            qrv,
            qqic,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::vec((kind(), 0..GROUPS, some_sources()), 1..3);
    let version = prop_oneof![1 => Just(Version::V1), 3 => Just(Version::V2)];
    let time = prop_oneof![
        3 => (0..30u64).prop_map(|n| n * 100),
        2 => (0..40u64).prop_map(|n| n * 1000),
        1 => 0..300_000u64,
    ];
    prop_oneof![
        10 => (0..HOSTS, records).prop_map(|(host, records)| Step::Records { host, records }),
        2 => (0..HOSTS, version, 0..GROUPS).prop_map(|(host, version, group)| Step::Older { host, version, group }),
        2 => (0..HOSTS, 0..GROUPS).prop_map(|(host, group)| Step::Leave { host, group }),
        4 => (0..ROUTERS, wire_query()).prop_map(|(from, query)| Step::Query { from, query }),
        4 => time.prop_map(Step::Pass),
        4 => (0..3u64).prop_map(|before| Step::PassToEvent { before }),
    ]
}

/// Returns the number of cases from `MGM_MODEL_CASES`.
fn cases() -> u32 {
    std::env::var("MGM_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

/// Runs the input of the fuzz target `gmp_querier`.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 8..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn the_router_does_what_the_tables_of_the_rfcs_say(setup in setup(), steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new(setup);
        pair.compare();
        for step in &steps {
            pair.step(step);
            pair.compare();
        }
    }

    #[test]
    fn random_octets_leave_router_and_model_alike(octets in octets()) {
        pair_octets::check(&octets);
    }
}
