//! IGMP and MLD from octets: every message, and what it makes of a router. See tests/igmp_octets.
#![no_main]

#[path = "../../tests/igmp_messages/mod.rs"]
mod igmp_messages;
#[path = "../../tests/igmp_octets/mod.rs"]
mod octets;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| octets::check(bytes));
