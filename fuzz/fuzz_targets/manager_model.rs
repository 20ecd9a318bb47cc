//! Sequences of the manager's calls, made of it and of the plain model that its tests use: every six bytes are a call.
#![no_main]

#[path = "../../crates/mgm-verify/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

/// Longer sequences reach nothing that this many calls do not.
const CALLS: usize = 300;

fuzz_target!(|bytes: &[u8]| {
    let (calls, _) = bytes.as_chunks();
    model::check(calls.iter().copied().take(CALLS));
});
