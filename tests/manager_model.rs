//! Random sequences of calls, made of the manager and of a plain single-threaded model of it.

mod model;

use model::calls::Bytes;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_manager_does_as_the_plain_model_does(calls in prop::collection::vec(any::<Bytes>(), 1..200)) {
        model::check(calls);
    }
}
