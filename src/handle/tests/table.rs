//! The calls of a table without ownership.

use super::*;
use std::collections::HashSet;

#[test]
fn a_handle_resolves_until_removed_and_never_again() {
    let table = HandleTable::with_limit(3).unwrap();
    let old = table.insert("old").unwrap();
    assert_eq!(table.get(old).as_deref(), Some(&"old"));
    assert_eq!(table.with(old, |s| s.len()), Some(3));
    assert_eq!(table.remove(old), Ok(()));
    assert_eq!(table.remove(old), Err(Stale));
    let mut seen = HashSet::from([old]);
    for _ in 0..1000 {
        let handle = insert_soon(&table, "new");
        assert!(seen.insert(handle));
        assert!(!table.contains(old));
        assert!(table.get(old).is_none());
        table.remove(handle).unwrap();
    }
}

#[test]
fn a_table_holds_exactly_its_limit() {
    for limit in [1, 2, 5, 16, 17, 200] {
        let table = HandleTable::with_limit(limit).unwrap();
        let mut handles: Vec<Handle> = (0..limit).map(|i| table.insert(i).unwrap()).collect();
        for round in 0..3 {
            let refused = table.insert(round).unwrap_err();
            assert_eq!((refused.reason(), refused.into_inner()), (InsertRefusal::Full { limit }, round));
            assert!(table.insert_with_key(|_| round).is_err());
            assert_eq!(table.len(), limit as usize);
            for handle in handles.drain(..) {
                table.remove(handle).unwrap();
            }
            assert_eq!(table.len(), 0);
            handles.extend((0..limit).map(|i| insert_soon(&table, i)));
        }
    }
}

#[test]
fn garbage_numbers_are_stale() {
    let table = HandleTable::<u32>::builder().limit(40).first_generation(1).build().unwrap();
    let live = table.insert(1).unwrap();
    let dead = table.insert(2).unwrap();
    table.remove(dead).unwrap();
    let mut reader = table.reader();
    let bits = (0..64).map(|bit| live.to_bits() ^ 1 << bit);
    let more = [0, 1, u64::MAX, dead.to_bits(), 1 << 24, 0xFF_FFFF, (1 << 32) - 1, 1 << 32, 2 << 32];
    let indices = (0..64).flat_map(|index| [index, 1 << 32 | index, 1 << 32 | 1 << 24 | index]);
    let numbers = bits.chain(more).chain(indices).filter(|&number| number != live.to_bits());
    for garbage in numbers.filter_map(Handle::from_bits) {
        assert!(!table.contains(garbage), "{garbage:?}");
        assert!(table.get(garbage).is_none());
        assert!(reader.get(garbage).is_none());
        assert_eq!(table.remove(garbage), Err(Stale));
    }
    assert!(table.contains(live));
}

#[test]
fn an_index_beyond_the_limit_leads_to_no_object() {
    let table = HandleTable::builder().limit(4).first_generation(1).build().unwrap();
    let live = table.insert(7).unwrap();
    // In the only segment these indices lead to the slot of the live object.
    for index in [4, 8, 1 << 20] {
        assert!(!table.contains(Handle::new(1, Kind::DEFAULT, live.index() + index)));
        // SAFETY: no other thread removes the object.
        assert_eq!(unsafe { table.get_unpinned(live.index() + index) }, None);
    }
    // SAFETY: as above.
    assert_eq!(unsafe { table.get_unpinned(live.index()) }, Some((live, &7)));
}

#[test]
fn a_live_handle_of_another_kind_is_stale() {
    let kind = Kind::new(9).unwrap();
    let table = HandleTable::builder().limit(4).kind(kind).first_generation(5).build().unwrap();
    let other = HandleTable::builder().limit(4).first_generation(5).build().unwrap();
    let (mine, theirs) = (table.insert(()).unwrap(), other.insert(()).unwrap());
    assert_eq!((mine.index(), mine.generation()), (theirs.index(), theirs.generation()));
    assert_eq!((mine.kind(), theirs.kind()), (kind, Kind::DEFAULT));
    assert!(table.contains(mine) && !table.contains(theirs));
    assert_eq!(table.remove(theirs), Err(Stale));
    assert!(table.reader().get(theirs).is_none());
}

#[test]
fn tables_begin_with_different_generations() {
    let first = |_| HandleTable::new().insert(()).unwrap().generation();
    let generations: HashSet<u32> = (0..20).map(first).collect();
    assert!(generations.len() > 15, "{generations:?}");
    assert!(generations.iter().all(|&generation| (1..1 << 31).contains(&generation)));
}

#[test]
fn impossible_limits_are_refused() {
    assert!(HandleTable::<()>::with_limit(0).is_err());
    let refused = HandleTable::<()>::with_limit(1 << 24).unwrap_err();
    assert_eq!((refused.limit, refused.max), (1 << 24, (1 << 24) - 1));
    assert!(HandleTable::<()>::with_limit((1 << 24) - 1).is_ok());
    assert!(OwnershipTable::<()>::with_limit(0).is_err());
    assert!(OwnershipTable::<()>::with_limit((1 << 20) - 1).is_err());
    assert!(OwnershipTable::<()>::with_limit((1 << 20) - 2).is_ok());
    assert!(HandleTable::<[u64; 1024]>::with_limit((1 << 16) + 1).is_err(), "more than 512 MiB");
    assert_eq!(HandleTable::<[u64; 1024]>::new().limit(), 1 << 16);
}

#[test]
fn large_and_over_aligned_values_keep_their_place() {
    #[repr(align(4096))]
    struct Page([u8; 5000]);
    let table = HandleTable::with_limit(3000).unwrap();
    let handles: Vec<Handle> = (0..3000_u32).map(|n| table.insert(Page([n as u8; 5000])).unwrap()).collect();
    for (n, handle) in (0_u32..).zip(&handles) {
        let page = table.get(*handle).unwrap();
        assert_eq!(std::ptr::from_ref(&*page).addr() % 4096, 0);
        assert!(page.0.iter().all(|&octet| octet == n as u8));
    }
}

#[test]
fn an_object_may_hold_its_own_handle() {
    let table = HandleTable::with_limit(2).unwrap();
    let inner = |handle| {
        assert!(!table.contains(handle), "not live before it is complete");
        handle
    };
    let handle = table.insert_with_key(inner).unwrap();
    assert_eq!(table.with(handle, |own| *own), Some(handle));
    let panicked = std::panic::catch_unwind(|| table.insert_with_key(|_| panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!(table.len(), 1);
    assert!(table.insert_with_key(|own| own).is_ok(), "the slot was given back");
    assert_eq!(table.len(), 2);
    let make = table.insert_with_key(|own| own).unwrap_err().into_inner();
    table.remove(handle).unwrap();
    assert_eq!(make(Handle::STALE), Handle::STALE, "the closure was returned");
}

#[test]
fn a_walk_finds_the_objects_that_are_live_throughout() {
    let table = HandleTable::with_limit(100).unwrap();
    let handles: Vec<Handle> = (0..100).map(|i| table.insert(i).unwrap()).collect();
    for handle in handles.iter().step_by(3) {
        table.remove(*handle).unwrap();
    }
    let found: Vec<(Handle, u32)> = (&table).into_iter().map(|(handle, value)| (handle, *value)).collect();
    let expected: Vec<(Handle, u32)> =
        (0..100).filter(|i| i % 3 != 0).map(|i| (handles[i as usize], i)).collect();
    assert_eq!(found, expected);
    assert!(table.keys().eq(expected.iter().map(|(handle, _)| *handle)));
    table.retain(|_, value| value % 2 == 0);
    assert!(table.iter().all(|(_, value)| *value % 2 == 0));
    assert_eq!(table.len(), expected.iter().filter(|(_, value)| value % 2 == 0).count());
    table.clear();
    assert_eq!((table.len(), table.keys().count()), (0, 0));
}

#[test]
fn a_table_is_small_and_so_is_a_slot() {
    use crate::handle::layout::{Claims, Plain};
    use crate::handle::slot::Slot;
    assert_eq!(size_of::<Slot<u64, Plain>>(), 16);
    assert_eq!((size_of::<Slot<u64, Claims>>(), align_of::<Slot<u64, Claims>>()), (128, 128));
    // A directory of 256 places, and little else.
    assert!(size_of::<HandleTable<u64>>() <= 2048 + 512);
    assert_eq!(size_of::<Option<Handle>>(), 8);
}
