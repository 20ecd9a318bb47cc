//! The router side of IGMP and MLD beside its plain model: any sequence of reports, queries and times leaves both with the same
//! groups, timers, querier, memberships and sent queries. See `tests/gmp/pair_octets.rs`.
#![no_main]

#[path = "../../tests/support/igmp_messages.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod igmp_messages;
#[path = "../../tests/gmp/model/mod.rs"]
mod model;
#[path = "../../tests/gmp/pair.rs"]
mod pair;
#[path = "../../tests/gmp/pair_octets.rs"]
mod pair_octets;
mod support {
    pub(crate) use super::igmp_messages;
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| pair_octets::check(octets));
