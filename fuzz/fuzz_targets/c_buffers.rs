//! The C interface with buffers, sizes, keys, handles and flags of any kind: every eight octets are one call of the tests
//! (`calls`). Buffers are unaligned and have canaries on both sides.
#![no_main]

#[macro_use]
#[path = "../../crates/mgm-capi/tests/support/stage.rs"]
mod stage;
#[path = "../../crates/mgm-capi/tests/support/calls.rs"]
mod calls;

use libfuzzer_sys::fuzz_target;
use mgm_capi::MgmExtPanics;

/// Longer sequences reach nothing that this many calls do not.
const CALLS: usize = 200;

fuzz_target!(|octets: &[u8]| {
    let (calls, _) = octets.as_chunks();
    let mut run = calls::Run::new();
    for call in calls.iter().copied().take(CALLS).map(calls::Call::decode) {
        run.call(&call);
    }
    assert_eq!(MgmExtPanics(), 0);
});
