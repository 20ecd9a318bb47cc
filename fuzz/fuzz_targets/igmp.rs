//! IGMP and MLD from octets: every message, and the state of the router after it. See tests/igmp_octets.
#![no_main]

#[path = "../../tests/igmp_messages/mod.rs"]
mod igmp_messages;
#[path = "../../tests/igmp_octets/mod.rs"]
mod octets;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| octets::check(octets));
