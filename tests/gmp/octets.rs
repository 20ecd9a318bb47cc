//! Runs the input of the fuzz target `igmp` as ordinary tests: its seeds, and random sequences.

use crate::support::igmp_octets;
use proptest::prelude::*;

#[test]
fn the_seeds_of_the_fuzz_target_pass() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/igmp")).unwrap();
    let mut count = 0;
    for seed in seeds {
        igmp_octets::check(&std::fs::read(seed.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

/// Generates steps with messages from few groups and sources, so that they meet.
fn session() -> impl Strategy<Value = Vec<u8>> {
    let record = (1..8u8, 0..3u8, prop::collection::vec(0..4u8, 0..4));
    let message = (any::<u8>(), prop::collection::vec(record, 0..3));
    let step = prop_oneof![
        3 => (0..8u8, message).prop_map(|(host, (kind, records))| {
            let mut octets = vec![kind, 0, 0, 0, 239, 0, 0, records.len() as u8];
            for (kind, group, sources) in records {
                octets.extend([kind, 0, 0, sources.len() as u8, 239, 1, 1, group]);
                sources.iter().for_each(|n| octets.extend([192, 0, 2, *n]));
            }
            let mut step = vec![host << 3, octets.len() as u8];
            step.extend(octets);
            step
        }),
        1 => (0..8u8, any::<u8>()).prop_map(|(what, number)| vec![what, number]),
        1 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(what, octets)| {
            let mut step = vec![what, octets.len() as u8];
            step.extend(octets);
            step
        }),
    ];
    (0..8u8, prop::collection::vec(step, 0..30)).prop_map(|(setup, steps)| {
        let mut session = vec![setup];
        steps.into_iter().for_each(|step| session.extend(step));
        session
    })
}

proptest! {
    #[test]
    fn random_octets_pass(octets in session()) {
        igmp_octets::check(&octets);
    }
}
