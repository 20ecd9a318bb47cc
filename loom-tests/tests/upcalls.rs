//! What is given to one of many: the packets of flows that wait for their entry, the pages of an enumeration.

#![cfg(loom)]

use loom::thread;
use loom_tests::explore;
use mgm::manager::parts::{Closed, Counts, Cursor, Waiting};
use std::sync::Arc;

/// Two packets come while somebody takes the counts over: who was not told that it is too late is among them.
#[test]
fn closing() {
    explore("closing", 20, || {
        let waiting = Arc::new(Waiting::new());
        let theirs = waiting.clone();
        let packets = thread::spawn(move || {
            let uninitialized = theirs.uninitialized().is_ok();
            (uninitialized, theirs.overflow().is_ok())
        });
        let closed = waiting.close().unwrap();
        let (uninitialized, overflow) = packets.join().unwrap();
        let told = Counts { uninitialized: uninitialized.into(), overflow: overflow.into() };
        assert_eq!(closed, told);
        assert!(matches!(waiting.uninitialized(), Err(Closed)) && matches!(waiting.overflow(), Err(Closed)));
        assert_eq!(waiting.close(), None);
    });
}

/// Of two who want to queue a parked flow, or to close its counts, one does.
#[test]
fn one_owner() {
    explore("one_owner", 20, || {
        let waiting = Arc::new(Waiting::new());
        waiting.uninitialized().unwrap();
        waiting.park();
        let theirs = waiting.clone();
        let other = thread::spawn(move || (theirs.unpark(), theirs.close()));
        let (unparked, closed) = (waiting.unpark(), waiting.close());
        let other = other.join().unwrap();
        assert!(unparked != other.0);
        assert!(closed.is_some() != other.1.is_some());
        assert_eq!(closed.or(other.1), Some(Counts { uninitialized: 1, overflow: 0 }));
    });
}

/// Two take pages: each place is in one page of one of them.
#[test]
fn pages() {
    explore("pages", 20, || {
        let cursor = Arc::new(Cursor::default());
        let theirs = cursor.clone();
        let other = thread::spawn(move || [theirs.take(2, 5), theirs.take(1, 5)]);
        let mine = [cursor.take(1, 5), cursor.take(2, 5)];
        let mut given: Vec<usize> = mine.into_iter().chain(other.join().unwrap()).flatten().collect();
        given.sort_unstable();
        assert_eq!(given, [0, 1, 2, 3, 4]);
        assert!(cursor.take(9, 5).is_empty());
    });
}
