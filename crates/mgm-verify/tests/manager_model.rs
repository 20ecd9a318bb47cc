//! Random sequences of calls on the manager: compared with its specification, and with the rule that alerts alternate.
//!
//! 400 sequences are tried of each, or as many as `MGM_MODEL_CASES` says.

use mgm_verify::model::{self, calls::Bytes};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("MGM_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_manager_agrees_with_its_specification(calls in prop::collection::vec(any::<Bytes>(), 1..200)) {
        model::check(calls);
    }

    #[test]
    fn joins_and_prunes_of_a_client_and_a_key_alternate(calls in prop::collection::vec(any::<Bytes>(), 1..200)) {
        model::check_alternation(calls);
    }
}
