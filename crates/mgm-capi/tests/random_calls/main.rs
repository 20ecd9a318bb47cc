//! Random calls of the C interface, each of which has to return a documented code.

#[macro_use]
#[path = "../support/stage.rs"]
mod stage;
#[path = "../support/calls.rs"]
mod calls;

use calls::{Call, Octets, Run};
use mgm_capi::MgmExtPanics;
use proptest::prelude::*;

/// Returns the number of cases: `PROPTEST_CASES`, or 300.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_call_returns_a_documented_code(calls in proptest::collection::vec(any::<Octets>(), 1..120)) {
        let mut run = Run::new();
        calls.into_iter().map(Call::decode).for_each(|call| run.call(&call));
        prop_assert_eq!(MgmExtPanics(), 0);
    }
}
