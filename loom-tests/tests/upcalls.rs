//! Objects that exactly one thread takes: the counts of flows that wait for their entry, the pages of an enumeration.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::manager::parts::{Counts, Cursor, PendingFlow, Sealed};
use std::sync::Arc;

/// Two packets arrive while a thread seals the counts: a packet is in the counts or gets an error.
#[test]
fn sealing() {
    explore("sealing", 20, || {
        let pending = Arc::new(PendingFlow::new());
        let shared = pending.clone();
        let packets = thread::spawn(move || {
            let uninitialized = shared.count_uninitialized().is_ok();
            (uninitialized, shared.count_overflow().is_ok())
        });
        let sealed = pending.seal().unwrap();
        let (uninitialized, overflow) = packets.join().unwrap();
        let counted = Counts { uninitialized: uninitialized.into(), overflow: overflow.into() };
        assert_eq!(sealed, counted);
        assert!(
            matches!(pending.count_uninitialized(), Err(Sealed))
                && matches!(pending.count_overflow(), Err(Sealed))
        );
        assert_eq!(pending.seal(), None);
    });
}

/// Two threads try to queue a parked flow and to seal its counts: one succeeds in each.
#[test]
fn one_owner() {
    explore("one_owner", 20, || {
        let pending = Arc::new(PendingFlow::new());
        pending.count_uninitialized().unwrap();
        pending.park();
        let shared = pending.clone();
        let other = thread::spawn(move || (shared.unpark(), shared.seal()));
        let (unparked, sealed) = (pending.unpark(), pending.seal());
        let other = other.join().unwrap();
        assert!(unparked != other.0);
        assert!(sealed.is_some() != other.1.is_some());
        assert_eq!(sealed.or(other.1), Some(Counts { uninitialized: 1, overflow: 0 }));
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
