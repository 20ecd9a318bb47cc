//! That every slot which was retired is handed out again, whatever the chains are that it comes back in.

use super::table_tests::reclaim_all;
use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;

fn fill<L: Layout>(table: &HandleTable<Arc<()>, L>, object: &Arc<()>) -> Vec<Handle> {
    std::iter::from_fn(|| table.insert(object.clone()).ok()).collect()
}

/// Which slots they are in, each of which is one's alone.
fn slots(handles: &[Handle]) -> BTreeSet<u32> {
    let slots: BTreeSet<u32> = handles.iter().map(|handle| handle.index()).collect();
    assert_eq!(slots.len(), handles.len());
    slots
}

#[test]
fn what_left_without_holding_anything_comes_back() {
    let (table, object) = (HandleTable::with_claims(100).unwrap(), Arc::new(()));
    for _ in 0..3 {
        let handles = fill(&table, &object);
        assert_eq!(slots(&handles).len(), 100);
        handles.iter().for_each(|handle| table.check_and_retire(*handle).unwrap());
        reclaim_all(&table);
        assert_eq!(Arc::strong_count(&object), 1);
    }
}

#[test]
fn worn_out_slots_are_left_out_of_a_chain_and_break_it_nowhere() {
    let (mut table, object) = (HandleTable::with_capacity(100).unwrap(), Arc::new(()));
    table.vacancies.last_generation = 2;
    let first = fill(&table, &object);
    // A second life for every third: worn out after it.
    first.iter().step_by(3).for_each(|handle| table.remove(*handle).unwrap());
    reclaim_all(&table);
    let second = fill(&table, &object);
    let worn_out = slots(&second);
    assert_eq!(worn_out.len(), 34);
    // All go in one chain, those at its ends among them.
    let rest = first.iter().filter(|handle| table.validate(**handle)).copied();
    let mut all: Vec<Handle> = rest.chain(second.iter().copied()).collect();
    all.sort_by_key(|handle| handle.index());
    all.iter().for_each(|handle| table.remove(*handle).unwrap());
    reclaim_all(&table);
    assert_eq!(Arc::strong_count(&object), 1);
    let left = slots(&fill(&table, &object));
    assert_eq!(left, slots(&first).difference(&worn_out).copied().collect());
}

#[test]
fn a_chain_may_go_from_segment_to_segment_and_back() {
    let (table, object) = (HandleTable::new(), Arc::new(()));
    const SEGMENT: usize = 1 << 16;
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
    let alive = handles.iter().filter(|handle| table.validate(**handle)).count();
    assert_eq!(alive, 2 * SEGMENT - 200);
    drop(table);
    assert_eq!(Arc::strong_count(&object), 1);
}
