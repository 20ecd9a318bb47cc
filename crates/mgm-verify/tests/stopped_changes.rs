//! Random sequences of calls beside threads that are stopped inside a take or a release: compared with the specification.
//!
//! 400 sequences are tried, the same each time, or as many random ones as `MGM_MODEL_CASES` says. `verify/instrumented test -p mgm-verify --test
//! stopped_changes` runs them.

#![cfg(mgm_instrumented)]

use mgm_verify::model::{self, calls::Bytes};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Returns the number of random sequences that the environment asks for.
fn random_cases() -> Option<u32> {
    std::env::var("MGM_MODEL_CASES").ok()?.parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: random_cases().unwrap_or(400),
        rng_seed: random_cases().map_or(RngSeed::Fixed(17), |_| RngSeed::Random),
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn calls_beside_stopped_changes_agree_with_it(steps in prop::collection::vec(any::<Bytes>(), 1..200)) {
        model::stopped::check(steps);
    }
}
