//! Random calls of the C interface (`c_calls`): whatever is passed, a documented code comes back.

#[macro_use]
mod c_stage;
mod c_calls;

use c_calls::{Call, Octets, Run};
use mgm::capi::MgmExtPanics;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_get_documented_codes(calls in proptest::collection::vec(any::<Octets>(), 1..120)) {
        let mut run = Run::new();
        calls.into_iter().map(Call::decode).for_each(|call| run.call(&call));
        prop_assert_eq!(MgmExtPanics(), 0);
    }
}
