//! What becomes of removed objects: they stay for their readers, and are dropped once.

use super::*;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn every_value_is_dropped_once_when_the_table_is() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_limit(1000).unwrap();
    let mut reader = table.reader();
    let handles: Vec<Handle> =
        (0..700).map(|name| table.insert(Counted::new(name, &alive)).unwrap()).collect();
    reader.get(handles[0]);
    for &handle in &handles[..350] {
        table.remove(handle).unwrap();
    }
    assert_eq!(alive.load(Ordering::SeqCst), 700, "the reader holds all of them back");
    assert_eq!((table.len(), table.pending()), (350, 350));
    drop(reader);
    reclaim_all(&table);
    assert_eq!(alive.load(Ordering::SeqCst), 350);
    // Some live, some in limbo, some in batches that a reader holds back, some slots free.
    let mut reader = table.reader();
    reader.get(handles[400]);
    for &handle in &handles[400..600] {
        table.remove(handle).unwrap();
    }
    drop(reader);
    drop(table);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_stalled_reader_fills_the_table_and_stops_nothing_else() {
    let table = HandleTable::with_limit(100).unwrap();
    let live = table.insert(0).unwrap();
    let mut reader = table.reader();
    let pinned = reader.pin();
    assert_eq!(pinned.get(live), Some(&0));
    let mut inserted = 0;
    while let Ok(handle) = table.insert(1) {
        table.remove(handle).unwrap();
        inserted += 1;
    }
    assert_eq!(inserted, 99, "each removed object waits for the reader");
    assert_eq!((table.len(), table.pending()), (1, 99));
    assert_eq!(table.with(live, |v| *v), Some(0));
    assert_eq!(pinned.get(live), Some(&0));
    // The next calls of the reader let things go on.
    let deadline = deadline();
    while table.insert(2).is_err() {
        assert_eq!(reader.get(live), Some(&0));
        assert!(Instant::now() < deadline);
    }
    reader.park();
    reclaim_all(&table);
}

#[test]
fn a_ref_keeps_its_object_readable() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_limit(2).unwrap();
    let handle = table.insert(Counted::new(1, &alive)).unwrap();
    let value = table.take(handle).unwrap();
    assert!(table.take(handle).is_none());
    for _ in 0..20 {
        table.reclaim();
    }
    assert_eq!((alive.load(Ordering::SeqCst), table.pending()), (1, 1));
    value.assert_whole();
    assert_eq!(value.name, 1);
    drop(value);
    reclaim_all(&table);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn an_owned_reader_keeps_its_table() {
    struct Worker {
        reader: Reader<Arc<HandleTable<u32>>>,
    }
    let table = Arc::new(HandleTable::new());
    let handle = table.insert(7).unwrap();
    let mut worker = Worker { reader: Reader::new(table.clone()) };
    drop(table);
    assert_eq!(worker.reader.get(handle), Some(&7));
    assert_eq!(worker.reader.table().len(), 1);
}

#[test]
fn a_slot_whose_generations_are_used_up_is_not_reused() {
    let mut table = HandleTable::builder().limit(2).first_generation(1).build().unwrap();
    sealed_raw(&mut table).last_generation = 5;
    let alive = Arc::new(AtomicUsize::new(0));
    let mut seen = HashSet::new();
    for name in 0..10 {
        let handle = insert_soon(&table, Counted::new(name, &alive));
        assert!(handle.generation() <= 5);
        assert!(seen.insert(handle));
        table.remove(handle).unwrap();
    }
    reclaim_all(&table);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert!(table.insert(Counted::new(10, &alive)).is_err(), "both slots are exhausted");
    assert!(seen.iter().all(|&handle| !table.contains(handle)));
}

fn sealed_raw<T>(
    table: &mut HandleTable<T>,
) -> &mut crate::handle::slot_alloc::SlotAllocator<crate::handle::layout::Plain> {
    &mut table.raw.allocator
}

#[test]
fn a_destructor_that_panics_loses_no_slot_and_skips_no_other() {
    struct Fragile(Counted, bool);
    impl Drop for Fragile {
        fn drop(&mut self) {
            assert!(!self.1, "on purpose: {}", self.0.name);
        }
    }
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_limit(8).unwrap();
    for round in 0..3 {
        let fragile = |name| Fragile(Counted::new(name, &alive), name % 3 == 1);
        let handles: Vec<Handle> = (0..8).map(|name| insert_soon(&table, fragile(name))).collect();
        assert!(table.insert(fragile(0)).is_err(), "round {round}");
        for handle in handles {
            table.remove(handle).unwrap();
        }
        let mut panics = 0;
        let deadline = deadline();
        while table.pending() > 0 {
            panics += usize::from(catch_unwind(AssertUnwindSafe(|| table.reclaim())).is_err());
            assert!(Instant::now() < deadline);
        }
        assert!(panics > 0, "the panic is passed on");
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
    let handles: Vec<Handle> =
        (0..8).map(|name| insert_soon(&table, Fragile(Counted::new(name, &alive), name == 2))).collect();
    table.remove(handles[2]).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(table))).is_err());
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_destructor_may_use_the_table() {
    struct Nested(Arc<HandleTable<Option<Nested>>>);
    impl Drop for Nested {
        fn drop(&mut self) {
            if let Ok(handle) = self.0.insert(None) {
                self.0.remove(handle).unwrap();
            }
        }
    }
    let table = Arc::new(HandleTable::with_limit(100).unwrap());
    for _ in 0..200 {
        let handle = insert_soon(&*table, Some(Nested(table.clone())));
        table.remove(handle).unwrap();
    }
    reclaim_all(&*table);
    assert_eq!(Arc::strong_count(&table), 1);
}
