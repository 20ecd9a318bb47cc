//! Sequences of calls, made on the manager and on the plain model of its tests: every six octets are one call.
#![no_main]

#[path = "../../crates/mgm-verify/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

/// Longer sequences reach nothing that this many calls do not.
const CALLS: usize = 300;

fuzz_target!(|octets: &[u8]| {
    let (calls, _) = octets.as_chunks();
    model::check(calls.iter().copied().take(CALLS));
});
