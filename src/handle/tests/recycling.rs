//! Every retired slot is handed out again, whatever the chains are that it comes back in.

use super::*;
use std::collections::BTreeSet;

fn fill<B: Table<Value = Arc<()>>>(table: &B, object: &Arc<()>) -> Vec<Handle> {
    std::iter::from_fn(|| sealed::Table::raw(table).insert(object.clone()).ok()).collect()
}

/// Returns the slots of the handles, which are all different.
fn slots(handles: &[Handle]) -> BTreeSet<u32> {
    let slots: BTreeSet<u32> = handles.iter().map(|handle| handle.index()).collect();
    assert_eq!(slots.len(), handles.len());
    slots
}

#[test]
fn slots_retired_by_check_and_retire_come_back() {
    let (table, object) = (OwnershipTable::with_limit(100).unwrap(), Arc::new(()));
    for _ in 0..3 {
        let handles = fill(&table, &object);
        assert_eq!(slots(&handles).len(), 100);
        handles.iter().for_each(|handle| drop(table.check_and_retire(*handle).unwrap()));
        reclaim_all(&table);
        assert_eq!(Arc::strong_count(&object), 1);
    }
}

#[test]
fn exhausted_slots_leave_a_chain_without_breaking_it() {
    let mut table = HandleTable::builder().limit(100).first_generation(1).build().unwrap();
    let object = Arc::new(());
    table.raw.allocator.last_generation = 2;
    let first = fill(&table, &object);
    // A second object for every third slot, which is exhausted after it.
    first.iter().step_by(3).for_each(|handle| table.remove(*handle).unwrap());
    reclaim_all(&table);
    let second = fill(&table, &object);
    let exhausted = slots(&second);
    assert_eq!(exhausted.len(), 34);
    // All are removed in one chain, exhausted ones at its ends included.
    let rest = first.iter().filter(|handle| table.contains(**handle)).copied();
    let mut all: Vec<Handle> = rest.chain(second.iter().copied()).collect();
    all.sort_by_key(|handle| handle.index());
    all.iter().for_each(|handle| table.remove(*handle).unwrap());
    reclaim_all(&table);
    assert_eq!(Arc::strong_count(&object), 1);
    let left = slots(&fill(&table, &object));
    assert_eq!(left, slots(&first).difference(&exhausted).copied().collect());
}

#[test]
fn a_chain_may_cross_segments_and_return() {
    const SEGMENT: usize = 1 << 16;
    let (table, object) = (HandleTable::new(), Arc::new(()));
    let mut handles: Vec<Handle> = (0..2 * SEGMENT).map(|_| table.insert(object.clone()).unwrap()).collect();
    assert!(slots(&handles).contains(&(SEGMENT as u32)));
    handles.sort_by_key(|handle| handle.index());
    let (near, far) = handles.split_at(SEGMENT);
    for (near, far) in near.iter().zip(far).take(100) {
        table.remove(*near).unwrap();
        table.remove(*far).unwrap();
    }
    reclaim_all(&table);
    assert_eq!(Arc::strong_count(&object), 1 + 2 * SEGMENT - 200);
    let alive = handles.iter().filter(|handle| table.contains(**handle)).count();
    assert_eq!(alive, 2 * SEGMENT - 200);
    drop(table);
    assert_eq!(Arc::strong_count(&object), 1);
}
