//! Destructors of values are foreign code: they panic, and use every table.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

/// Panics when dropped, as a payload may.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the payload was dropped");
    }
}

/// Panics with a payload that panics, if told so.
struct Value<'a> {
    dropped: &'a AtomicU32,
    panics: bool,
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        if self.panics {
            panic_any(Bomb);
        }
    }
}

#[test]
fn a_batch_goes_on_after_any_number_of_panics() {
    let dropped = AtomicU32::new(0);
    let value = |n| Value { dropped: &dropped, panics: (10..30).contains(&n) };
    let table = HandleTable::with_limit(64).unwrap();
    let handles: Vec<Handle> = (0..64).map(|n| table.insert(value(n)).unwrap_or_else(|_| panic!())).collect();
    handles.iter().for_each(|handle| table.remove(*handle).unwrap());
    let (mut messages, deadline) = (Vec::new(), deadline());
    while table.pending() > 0 {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| table.reclaim())) {
            messages.push(*payload.downcast::<String>().expect("a plain message"));
        }
        assert!(Instant::now() < deadline);
    }
    assert_eq!(messages.len(), 1);
    assert!(messages[0].starts_with("20 destructors"), "{messages:?}");
    assert_eq!(dropped.swap(0, Ordering::SeqCst), 64);
    let again: Vec<Handle> = (0..64).map(|n| insert_soon(&table, value(n))).collect();
    assert_eq!((again.len(), table.len()), (64, 64), "no slot is lost");
    let ended = catch_unwind(AssertUnwindSafe(|| drop(table)));
    assert!(ended.unwrap_err().downcast::<String>().unwrap().starts_with("20 destructors"));
    assert_eq!(dropped.load(Ordering::SeqCst), 64);
}

#[test]
fn an_insert_that_unwinds_contains_the_destructor_of_its_value() {
    let dropped = AtomicU32::new(0);
    let value = || Value { dropped: &dropped, panics: true };
    let (table, claims) = (HandleTable::with_limit(4).unwrap(), OwnershipTable::with_limit(4).unwrap());
    let (mut unwound, deadline) = ([false; 2], deadline());
    while unwound != [true; 2] {
        assert!(Instant::now() < deadline);
        match catch_unwind(AssertUnwindSafe(|| table.insert(value()))) {
            Ok(Ok(handle)) => _ = catch_unwind(AssertUnwindSafe(|| table.remove(handle))),
            Ok(Err(refused)) => std::mem::forget(refused),
            Err(_) => unwound[0] = true,
        }
        match catch_unwind(AssertUnwindSafe(|| claims.insert(value()))) {
            Ok(Ok(handle)) => _ = catch_unwind(AssertUnwindSafe(|| drop(claims.check_and_retire(handle)))),
            Ok(Err(refused)) => std::mem::forget(refused),
            Err(_) => unwound[1] = true,
        }
    }
    _ = catch_unwind(AssertUnwindSafe(|| drop(table)));
    _ = catch_unwind(AssertUnwindSafe(|| drop(claims)));
}

#[test]
fn an_insert_that_passes_a_panic_on_inserts_nothing() {
    let dropped = AtomicU32::new(0);
    let table = HandleTable::with_limit(1).unwrap();
    let first = table.insert(Value { dropped: &dropped, panics: true }).unwrap_or_else(|_| panic!());
    table.remove(first).unwrap();
    let (mut panics, deadline) = (0, deadline());
    while panics == 0 {
        let value = Value { dropped: &dropped, panics: false };
        match catch_unwind(AssertUnwindSafe(|| table.insert(value).map_err(|_| ()))) {
            Ok(inserted) => assert!(inserted.is_err(), "the slot is free once the value is dropped"),
            Err(_) => panics += 1,
        }
        assert!(Instant::now() < deadline);
    }
    assert_eq!((table.len(), table.pending()), (0, 0));
    assert!(table.insert(Value { dropped: &dropped, panics: false }).is_ok());
}

/// Removes the next one of a chain when dropped, and then does one thing more.
struct Link {
    next: Option<Handle>,
    then: fn(&HandleTable<Link>),
    table: &'static OnceLock<HandleTable<Link>>,
    dropped: &'static AtomicU32,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        let Some(table) = self.table.get() else { return };
        if let Some(next) = self.next.take() {
            table.remove(next).unwrap();
            (self.then)(table);
        }
    }
}

/// Drops a chain of links in a table that is full, on a small stack.
fn drop_chain(
    len: u32,
    table: &'static OnceLock<HandleTable<Link>>,
    dropped: &'static AtomicU32,
    then: fn(&HandleTable<Link>),
) {
    let links = table.get_or_init(|| HandleTable::with_limit(len).unwrap());
    let mut root = None;
    for _ in 0..len {
        root = Some(links.insert(Link { next: root, then, table, dropped }).unwrap());
    }
    let drop_all = move || {
        links.remove(root.unwrap()).unwrap();
        reclaim_all(links);
        assert!(links.is_empty());
        assert!(dropped.load(Ordering::SeqCst) >= len);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(drop_all).unwrap().join().unwrap();
}

#[test]
fn destructors_that_insert_need_little_stack() {
    static TABLE: OnceLock<HandleTable<Link>> = OnceLock::new();
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    drop_chain(5_000, &TABLE, &DROPPED, |table| {
        let link = Link { next: None, then: |_| (), table: &TABLE, dropped: &DROPPED };
        if let Ok(handle) = table.insert(link) {
            table.remove(handle).unwrap();
        }
    });
}

#[test]
fn destructors_that_reclaim_and_walk_need_little_stack() {
    static TABLE: OnceLock<HandleTable<Link>> = OnceLock::new();
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    drop_chain(2_000, &TABLE, &DROPPED, |table| {
        table.reclaim();
        assert!(table.iter().take(3).count() <= 3);
    });
}

#[test]
fn dropping_a_retired_object_runs_no_destructor() {
    let (table, alive) = (OwnershipTable::with_limit(10_000).unwrap(), Arc::new(AtomicUsize::new(0)));
    for name in 0..10_000 {
        let handle = table.insert(Counted::new(name, &alive)).unwrap();
        // The insert may have dropped values; the retirement may not.
        let before = alive.load(Ordering::SeqCst);
        drop(table.check_and_retire(handle).unwrap());
        assert_eq!(alive.load(Ordering::SeqCst), before);
    }
    let vacancy = table.vacancy().unwrap();
    let before = alive.load(Ordering::SeqCst);
    vacancy.insert_labelled(0, |_| Counted::new(0, &alive)).unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), before + 1);
    drop(table);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_forgotten_retired_object_is_leaked_alone() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_limit(2).unwrap();
    let handles = [1, 2].map(|name| table.insert(Counted::new(name, &alive)).unwrap());
    std::mem::forget(table.take(handles[0]).unwrap());
    table.remove(handles[1]).unwrap();
    let deadline = deadline();
    while table.reclaim() > 1 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!((table.len(), table.pending(), alive.load(Ordering::SeqCst)), (0, 1, 1));
    assert!(table.insert(Counted::new(3, &alive)).is_ok());
    drop(table);
    assert_eq!(alive.load(Ordering::SeqCst), 1);
}

#[test]
fn a_destructor_counts_as_foreign_code() {
    struct Asks(Arc<AtomicU32>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.store(1 + u32::from(crate::foreign_code::is_inside()), Ordering::SeqCst);
        }
    }
    let (table, answer) = (HandleTable::new(), Arc::new(AtomicU32::new(0)));
    let handle = table.insert(Asks(answer.clone())).unwrap();
    table.remove(handle).unwrap();
    reclaim_all(&table);
    assert_eq!(answer.load(Ordering::SeqCst), 2);
    assert!(!crate::foreign_code::is_inside());
}
