//! The processor time of the reports that cost the most: SECURITY.md has the figures of an optimized build.

use super::router::*;
use crate::support::igmp_messages::*;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// Returns the n-th source.
fn source(n: usize) -> String {
    std::net::Ipv4Addr::from_bits(0x0b00_0001 + n as u32).to_string()
}

/// Returns a report of this length with records of one source.
fn report(octets: usize, kinds: [u8; 2]) -> Vec<u8> {
    let records = (0..(octets - 8) / 12).map(|n| record(kinds[n % 2], G, &[&source(n / 2 % 256)]));
    v3_report(&records.collect::<Vec<_>>())
}

#[test]
fn the_time_of_the_longest_report_is_bounded() {
    for kinds in [[BLOCK, BLOCK], [BLOCK, ALLOW], [TO_IN, TO_IN], [TO_IN, TO_EX], [IS_IN, TO_EX]] {
        let router = Router::v4();
        for host in 0..8 {
            let sources: Vec<_> = (0..256).map(|n| source(256 * host + n)).collect();
            let sources: Vec<_> = sources.iter().map(String::as_str).collect();
            router.reports(host as u8, ALLOW, G, &sources, 0);
        }
        for octets in [1448, 65_000] {
            let report = report(octets, kinds);
            let begun = processor_time();
            router.receive_from(0, &report, 1);
            let time = processor_time() - begun;
            println!("{octets} octets of records of kinds {kinds:?}: {time:.1?}");
            // Once 4 seconds in an optimized build; this one need not be.
            assert!(time < Duration::from_millis(800), "{octets} octets of {kinds:?}: {time:?}");
        }
    }
}
