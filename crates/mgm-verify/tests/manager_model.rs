//! Random sequences of calls, made of the manager and of a plain single-threaded model of it: 400 of them, or as many as
//! `MGM_MODEL_CASES` says.

mod model;

use model::calls::Bytes;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("MGM_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_manager_does_as_the_plain_model_does(calls in prop::collection::vec(any::<Bytes>(), 1..200)) {
        model::check(calls);
    }
}
