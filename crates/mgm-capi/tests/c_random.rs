//! Random calls of the C interface (`c_calls`): whatever is passed, a documented code comes back.

#[macro_use]
mod c_stage;
mod c_calls;

use c_calls::{Call, Octets, Run};
use mgm_capi::MgmExtPanics;
use proptest::prelude::*;

/// As many as `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_calls_get_documented_codes(calls in proptest::collection::vec(any::<Octets>(), 1..120)) {
        let mut run = Run::new();
        calls.into_iter().map(Call::decode).for_each(|call| run.call(&call));
        prop_assert_eq!(MgmExtPanics(), 0);
    }
}
