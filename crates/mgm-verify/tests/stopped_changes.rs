//! Random sequences of calls beside threads that are stopped inside a take or a release: compared with the specification.
//!
//! 400 sequences are tried, or as many as `MGM_MODEL_CASES` says. `verify/instrumented test -p mgm-verify --test
//! stopped_changes` runs them.

#![cfg(mgm_instrumented)]

use mgm_verify::model::{self, calls::Bytes};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("MGM_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400),
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn calls_beside_stopped_changes_agree_with_it(steps in prop::collection::vec(any::<Bytes>(), 1..200)) {
        model::stopped::check(steps);
    }
}
