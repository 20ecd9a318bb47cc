//! Network namespaces, hosts with real joins, and traffic, for the scenarios.

mod gmp;
mod hosts;
mod namespace;
mod router;

pub(crate) use gmp::fast_querier;
pub(crate) use hosts::{Receiver, Sender};
pub(crate) use namespace::{Namespace, Network};
pub(crate) use router::Router;

use std::time::{Duration, Instant};

/// Waits until `holds` returns true. Panics after a minute with what was waited for.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
