//! Promises of the tables, call by call and under stress.

mod destructors;
mod limits;
mod ownership;
mod recycling;
mod removal;
mod table;
mod threads;
mod words;

use super::common::sealed;
use super::*;
use crate::sync::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// A value that counts the live ones of its kind, and notices reads after its destruction.
struct Counted {
    name: u64,
    check: u64,
    alive: Arc<AtomicUsize>,
}

const CHECK: u64 = 0x5EED_5EED_5EED_5EED;

impl Counted {
    fn new(name: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Counted { name, check: name ^ CHECK, alive: alive.clone() }
    }

    fn assert_whole(&self) {
        assert_eq!(self.name ^ CHECK, self.check, "read a value that is gone");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.assert_whole();
        self.check = 0;
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Other tests are pinned for moments, so some operations take a few attempts; the deadline is for failures.
fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn reclaim_all<B: Table>(table: &B) {
    let deadline = deadline();
    while sealed::Table::raw(table).slots().reclaim() > 0 {
        assert!(Instant::now() < deadline, "garbage stays without readers");
    }
}

/// Inserts, at the limit after other tests have unpinned.
fn insert_soon<B: Table>(table: &B, mut value: B::Value) -> Handle {
    let deadline = deadline();
    loop {
        match sealed::Table::raw(table).insert(value) {
            Ok(handle) => return handle,
            Err(refused) => value = refused.into_inner(),
        }
        assert!(Instant::now() < deadline, "the table stays full");
    }
}

fn handle(bits: u64) -> Handle {
    Handle::from_bits(bits).expect("kind and generation are not 0")
}
