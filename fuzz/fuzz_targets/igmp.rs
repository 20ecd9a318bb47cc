//! IGMP and MLD from octets: every message, and the state of the router after it. See `tests/support/igmp_octets.rs`.
#![no_main]

#[path = "../../tests/support/igmp_messages.rs"]
mod igmp_messages;
#[path = "../../tests/support/igmp_octets.rs"]
mod octets;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| octets::check(octets));
