//! Full means full: what an insert is refused for, and that it counts right.

use super::*;
use crate::sync::Word;
use std::sync::atomic::AtomicU32;

#[test]
fn a_table_with_ownership_is_full_at_its_limit_only() {
    let table = OwnershipTable::with_limit(4).unwrap();
    let handles: Vec<Handle> = (0..4).map(|n| table.insert(n).unwrap()).collect();
    let reason = || table.insert(9).unwrap_err().reason();
    assert_eq!(reason(), InsertRefusal::Full { limit: 4 });
    assert_eq!(table.vacancy().unwrap_err(), InsertRefusal::Full { limit: 4 });
    assert_eq!((table.len(), table.pending()), (4, 0));
    // A retired object makes room at once, even if a reader still reads it.
    let mut reader = table.reader();
    reader.get(handles[0]);
    let retired = table.check_and_retire(handles[0]).unwrap();
    assert_eq!((table.len(), table.pending()), (3, 1));
    table.insert(5).unwrap();
    assert_eq!(reason(), InsertRefusal::Full { limit: 4 });
    assert_eq!((*retired, table.len(), table.pending()), (0, 4, 1));
}

#[test]
fn garbage_that_fills_its_room_is_named() {
    let table = OwnershipTable::with_limit(4).unwrap();
    let kept = table.insert(0).unwrap();
    let mut reader = table.reader();
    reader.get(kept);
    let refused = loop {
        match table.insert(1) {
            Ok(handle) => drop(table.check_and_retire(handle).unwrap()),
            Err(refused) => break refused.reason(),
        }
    };
    let InsertRefusal::NoFreeSlot { alive, waiting, standstill: Some(standstill) } = refused else {
        panic!("one object is alive: {refused}");
    };
    assert_eq!((alive, waiting), (1, 4 + 256 - 1));
    assert!(standstill.pinned >= 1);
    assert!(refused.to_string().contains("pinned readers"), "{refused}");
    std::thread::sleep(Duration::from_millis(20));
    assert!(table.standstill().unwrap().since >= Duration::from_millis(20));
    assert!(format!("{table:?}").contains("Standstill"));
    drop(reader);
    reclaim_all(&table);
    assert_eq!(table.standstill(), None);
}

#[test]
fn a_plain_table_names_garbage_that_fills_it() {
    let table = HandleTable::with_limit(3).unwrap();
    let kept = table.insert(0).unwrap();
    let value = table.get(kept).unwrap();
    while let Ok(handle) = table.insert(1) {
        table.remove(handle).unwrap();
    }
    let refused = table.insert(1).unwrap_err().reason();
    let InsertRefusal::NoFreeSlot { alive: 1, waiting: 2, standstill: Some(standstill) } = refused else {
        panic!("one object is alive: {refused}");
    };
    assert!(standstill.pinned >= 1);
    drop(value);
    let more = [insert_soon(&table, 1), insert_soon(&table, 2)];
    assert_eq!(table.insert(3).unwrap_err().reason(), InsertRefusal::Full { limit: 3 });
    assert!(more.iter().all(|handle| table.contains(*handle)));
}

#[test]
fn no_insert_is_refused_as_full_with_room() {
    const THREADS: u32 = 3;
    let table = OwnershipTable::with_limit(THREADS).unwrap();
    let (mut inserted, alive) = (0, AtomicU32::new(0));
    std::thread::scope(|scope| {
        let turns = || {
            let mut inserted = 0;
            for _ in 0..30_000 {
                match table.insert_with_key(|own| own) {
                    Ok(own) => {
                        // As many as there are threads; each has one.
                        assert!(alive.fetch_add(1, Ordering::SeqCst) < THREADS);
                        alive.fetch_sub(1, Ordering::SeqCst);
                        assert_eq!(*table.check_and_retire(own).unwrap(), own);
                        inserted += 1;
                    }
                    Err(refused) => {
                        let full = matches!(refused.reason(), InsertRefusal::Full { .. });
                        assert!(!full, "each of {THREADS} threads has at most one object");
                    }
                }
            }
            inserted
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(turns)).collect();
        inserted += threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>();
    });
    assert!(inserted > 0);
    assert_eq!(table.len(), 0);
}

#[test]
fn no_more_objects_are_alive_than_the_limit() {
    let table = OwnershipTable::with_limit(2).unwrap();
    let alive = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..30_000 {
                    let counted = |_| {
                        alive.fetch_add(1, Ordering::SeqCst);
                    };
                    if let Ok(own) = table.insert_with_key(counted) {
                        assert!(alive.load(Ordering::SeqCst) <= 2);
                        // Less by one before the object is retired, so that the count is never too large.
                        alive.fetch_sub(1, Ordering::SeqCst);
                        drop(table.check_and_retire(own).unwrap());
                    }
                }
            });
        }
    });
}

#[test]
fn the_closure_that_makes_an_object_may_insert() {
    let table = OwnershipTable::with_limit(2).unwrap();
    let outer = table.insert_with_key(|_| table.insert(Handle::STALE).unwrap()).unwrap();
    let inner = *table.get(outer).unwrap();
    assert!(table.contains(inner) && table.len() == 2);
    drop(table.check_and_retire(inner).unwrap());
    let refused =
        |_| table.insert_with_key(|_| table.insert(Handle::STALE).unwrap()).map_or(outer, |_| inner);
    assert!(
        table.insert_with_key(refused).is_ok(),
        "the object in the middle is refused, the outer one is not"
    );
    assert_eq!(table.len(), 2);
    assert!(table.insert(outer).is_err());
}

#[test]
fn a_label_is_read_while_its_object_is_live() {
    let table = OwnershipTable::with_limit(2).unwrap();
    let handle = table.insert_labelled(77, |own| own).unwrap();
    let plain = table.vacancy().unwrap().insert_labelled(u64::MAX, |own| own).unwrap();
    assert_eq!((table.label(handle), table.label(plain)), (Some(77), Some(u64::MAX)));
    let retired = table.check_and_retire(plain).unwrap();
    assert_eq!((table.label(plain), *retired, retired.handle()), (None, plain, plain));
    let next = table.insert(handle).unwrap();
    assert_eq!((table.label(next), table.label(handle)), (Some(0), Some(77)));
}

#[test]
fn a_label_is_never_that_of_another_object() {
    let table = OwnershipTable::with_limit(1).unwrap();
    let (now, stop) = (Word::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while stop.load(Ordering::SeqCst) == 0 {
                let handle = handle(now.load(Ordering::SeqCst).max(1 << 32 | 1 << 24));
                if let Some(label) = table.label(handle) {
                    assert_eq!(label, u64::from(handle.index()) << 32 | u64::from(handle.generation()));
                }
            }
        });
        for _ in 0..50_000 {
            // The label that the handle will have is not known before: a slot is used again under its next generation.
            let Ok(vacancy) = table.vacancy() else { continue };
            let label =
                vacancy.next_handle().map(|own| u64::from(own.index()) << 32 | u64::from(own.generation()));
            let own = vacancy.insert_labelled(label.unwrap(), |own| own).unwrap();
            now.store(own.to_bits(), Ordering::SeqCst);
            drop(table.check_and_retire(own).unwrap());
        }
        stop.store(1, Ordering::SeqCst);
    });
}

#[test]
fn a_count_that_wraps_stays_right() {
    let table = HandleTable::with_limit(8).unwrap();
    table.raw.allocator.set_past_pops((1 << 40) - 3);
    for round in 0..20 {
        let handles = [1, 2, 3].map(|n| insert_soon(&table, n));
        assert_eq!(table.len(), 3, "round {round}");
        handles.iter().for_each(|handle| table.remove(*handle).unwrap());
        assert_eq!(table.len(), 0, "round {round}");
        reclaim_all(&table);
    }
}

#[test]
fn one_large_value_fits_into_a_table_of_one() {
    let insert = || {
        let table = HandleTable::with_limit(1).unwrap();
        let handle = table.insert([7_u8; 1 << 20]).unwrap();
        assert_eq!(table.get(handle).unwrap()[1 << 19], 7);
        let owning = OwnershipTable::with_limit(4).unwrap();
        let handles = [1, 2, 3, 4].map(|n| owning.insert([n; 1 << 19]).unwrap());
        assert_eq!(handles.map(|handle| owning.with(handle, |value| value[9])), [1, 2, 3, 4].map(Some));
    };
    // The values are moved over the stack.
    std::thread::Builder::new().stack_size(64 << 20).spawn(insert).unwrap().join().unwrap();
}
