//! The table without ownership: publication, free slots, reuse, and reclamation under readers.

#![cfg(loom)]

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::mpsc;
use loom::thread;
use loom_tests::{Watched, explore};
use mgm::handle::parts::Stack;
use mgm::handle::{Handle, HandleTable};
use std::sync::Arc;

fn table(capacity: u32) -> Arc<HandleTable<Watched>> {
    Arc::new(HandleTable::with_limit(capacity).unwrap())
}

/// A thread that finds a handle live reads the whole value, however it got the handle.
#[test]
fn publication() {
    explore("publication", 5, || {
        let table = table(2);
        let published = Arc::new(AtomicU64::new(0));
        let (shared, publish) = (table.clone(), published.clone());
        let writer = thread::spawn(move || {
            let handle = shared.insert(Watched::new(7)).ok().unwrap();
            // Relaxed, so that only the table orders what the reader sees.
            publish.store(handle.to_bits(), Ordering::Relaxed);
        });
        let handle = Handle::from_bits(published.load(Ordering::Relaxed)).unwrap_or(Handle::STALE);
        if let Some(value) = table.get(handle) {
            assert_eq!(value.read(), 7);
        }
        writer.join().unwrap();
    });
}

/// A slot that is pushed back while a popping thread sleeps does not corrupt the list.
#[test]
fn free_list() {
    explore("free_list", 5, || {
        let stack = Arc::new(Stack::new(3));
        for slot in [2, 1, 0] {
            stack.push(slot);
        }
        let shared = stack.clone();
        let popping = thread::spawn(move || shared.pop());
        // The top slot comes back with another slot below it.
        let (a, b) = (stack.pop(), stack.pop());
        if let Some(a) = a {
            stack.push(a);
        }
        let mut taken = vec![b, popping.join().unwrap()];
        taken.extend((0..3).map(|_| stack.pop()));
        let mut taken: Vec<u32> = taken.into_iter().flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2], "each slot is taken once");
    });
}

/// A chain that is pushed as a whole displaces no slot that another thread pushes or pops meanwhile.
#[test]
fn whole_chain() {
    explore("whole_chain", 5, || {
        let stack = Arc::new(Stack::new(3));
        let shared = stack.clone();
        let other = thread::spawn(move || {
            shared.push(0);
            shared.pop()
        });
        stack.push_pair(1, 2);
        let mut taken = vec![stack.pop(), other.join().unwrap()];
        taken.extend((0..3).map(|_| stack.pop()));
        let mut taken: Vec<u32> = taken.into_iter().flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2], "each slot is taken once");
    });
}

/// Unused slots are taken two at a time, and another thread may use the second: each slot is used once, and none is lost. (An
/// insert that finds no slot because the other thread has taken it is refused, in a model at once.)
#[test]
fn chunks() {
    explore("chunks", 2, || {
        let table = table(4);
        let shared = table.clone();
        let insert = |table: &HandleTable<Watched>, value| {
            table.insert(Watched::new(value)).ok().map(|handle| (handle, value))
        };
        let other = thread::spawn(move || [1, 2].map(|value| insert(&shared, value)));
        let own = [3, 4].map(|value| insert(&table, value));
        let mut made = [other.join().unwrap(), own].concat();
        made.extend([5, 6, 7, 8, 9].map(|value| insert(&table, value)));
        let live: Vec<_> = made.into_iter().flatten().collect();
        assert_eq!((live.len(), table.len()), (4, 4));
        for (handle, value) in live {
            assert_eq!(table.with(handle, Watched::read), Some(value));
        }
    });
}

/// Two threads insert and remove; slots move from one thread to the other.
#[test]
fn insert_remove() {
    explore("insert_remove", 4, || {
        let table = table(2);
        let shared = table.clone();
        let other = thread::spawn(move || {
            let handle = shared.insert(Watched::new(1)).ok().unwrap();
            assert_eq!(shared.remove(handle), Ok(()));
            assert!(!shared.contains(handle));
            handle
        });
        let handle = table.insert(Watched::new(2)).ok().unwrap();
        assert!(table.contains(handle));
        assert_ne!(other.join().unwrap(), handle);
        assert_eq!(table.len(), 1);
        assert_eq!(table.pending(), 1);
    });
}

/// Two threads remove the same object: one succeeds.
#[test]
fn remove_once() {
    explore("remove_once", 5, || {
        let table = table(2);
        let handle = table.insert(Watched::new(1)).ok().unwrap();
        let shared = table.clone();
        let other = thread::spawn(move || shared.remove(handle).is_ok());
        let own = table.remove(handle).is_ok();
        assert!(own != other.join().unwrap());
        assert_eq!((table.len(), table.pending()), (0, 1));
    });
}

/// A slot is removed, reclaimed and reused while another thread looks up the old handle: it finds the old object or nothing.
#[test]
fn reuse() {
    explore("reuse", 3, || {
        let table = table(1);
        let old = table.insert(Watched::new(1)).ok().unwrap();
        // A thread's first pin advances the epoch; it is made before the race begins.
        assert_eq!(table.with(old, Watched::read), Some(1));
        let shared = table.clone();
        let other = thread::spawn(move || {
            shared.remove(old).unwrap();
            if let Ok(new) = shared.insert(Watched::new(2)) {
                assert_ne!(new, old);
            }
        });
        assert!(matches!(table.with(old, Watched::read), None | Some(1)));
        other.join().unwrap();
    });
}

/// A pinned reference against removal and reclamation: the value is not dropped while the reference exists.
#[test]
fn guard_and_reclamation() {
    explore("guard_and_reclamation", 4, || {
        let table = table(1);
        let handle = table.insert(Watched::new(5)).ok().unwrap();
        drop(table.get(handle));
        let shared = table.clone();
        let other = thread::spawn(move || {
            shared.remove(handle).unwrap();
            shared.reclaim();
        });
        if let Some(value) = table.get(handle) {
            assert_eq!(value.read(), 5);
        }
        other.join().unwrap();
    });
}

/// A Reader that stays pinned between calls, and pins again when the re-pin epoch has changed.
#[test]
fn reader_and_reclamation() {
    explore("reader_and_reclamation", 4, || {
        let table = table(1);
        let handle = table.insert(Watched::new(5)).ok().unwrap();
        let shared = table.clone();
        let (ready, wait_until_ready) = mpsc::channel();
        let (go, wait_for_go) = mpsc::channel();
        let other = thread::spawn(move || {
            // A thread's first pin advances the epoch; it is made before the race begins.
            drop(shared.get(handle));
            ready.send(()).unwrap();
            wait_for_go.recv().unwrap();
            shared.remove(handle).unwrap();
            shared.reclaim();
        });
        wait_until_ready.recv().unwrap();
        let mut reader = table.reader();
        reader.get(handle);
        // The first pin has advanced the epoch; the Reader pins in the new one before the race begins.
        reader.park();
        reader.get(handle);
        go.send(()).unwrap();
        for _ in 0..2 {
            if let Some(value) = reader.get(handle) {
                assert_eq!(value.read(), 5);
            }
        }
        other.join().unwrap();
    });
}
