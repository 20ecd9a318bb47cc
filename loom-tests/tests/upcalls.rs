//! Objects that exactly one thread takes: the counts of flows that wait for their entry, the pages of an enumeration.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::manager::parts::{Counts, Cursor, PendingFlow, Sealed};
use std::sync::Arc;

/// Two packets arrive while a thread seals the counts: a packet is in the counts or gets an error.
#[test]
fn closing() {
    explore("closing", 20, || {
        let waiting = Arc::new(PendingFlow::new());
        let shared = waiting.clone();
        let packets = thread::spawn(move || {
            let uninitialized = shared.uninitialized().is_ok();
            (uninitialized, shared.overflow().is_ok())
        });
        let closed = waiting.seal().unwrap();
        let (uninitialized, overflow) = packets.join().unwrap();
        let counted = Counts { uninitialized: uninitialized.into(), overflow: overflow.into() };
        assert_eq!(closed, counted);
        assert!(matches!(waiting.count_uninitialized(), Err(Sealed)) && matches!(waiting.count_overflow(), Err(Sealed)));
        assert_eq!(waiting.seal(), None);
    });
}

/// Two threads try to queue a parked flow and to seal its counts: one succeeds in each.
#[test]
fn one_owner() {
    explore("one_owner", 20, || {
        let waiting = Arc::new(PendingFlow::new());
        waiting.count_uninitialized().unwrap();
        waiting.park();
        let shared = waiting.clone();
        let other = thread::spawn(move || (shared.unpark(), shared.close()));
        let (unparked, closed) = (waiting.unpark(), waiting.seal());
        let other = other.join().unwrap();
        assert!(unparked != other.0);
        assert!(closed.is_some() != other.1.is_some());
        assert_eq!(closed.or(other.1), Some(Counts { uninitialized: 1, overflow: 0 }));
    });
}

/// Two threads take pages: each index is in exactly one page.
#[test]
fn pages() {
    explore("pages", 20, || {
        let cursor = Arc::new(Cursor::default());
        let shared = cursor.clone();
        let other = thread::spawn(move || [shared.take(2, 5), shared.take(1, 5)]);
        let own = [cursor.take(1, 5), cursor.take(2, 5)];
        let mut taken: Vec<usize> = own.into_iter().chain(other.join().unwrap()).flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert!(cursor.take(9, 5).is_empty());
    });
}
