//! Sequences of calls, made on the manager and on the plain model of its tests: every six octets are one call.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mgm_verify::model;

/// Longer sequences reach nothing that this many calls do not.
const CALLS: usize = 300;

fuzz_target!(|octets: &[u8]| {
    let (calls, _) = octets.as_chunks();
    model::check(calls.iter().copied().take(CALLS));
});
