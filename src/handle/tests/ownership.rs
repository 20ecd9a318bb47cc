//! The calls of a table with ownership.

use super::*;

#[test]
fn garbage_numbers_claim_and_retire_nothing() {
    let table = OwnershipTable::<u32>::builder().limit(40).first_generation(1).build().unwrap();
    let live = table.insert(1).unwrap();
    let resource = table.new_resource().unwrap();
    let bits = (0..64).map(|bit| live.to_bits() ^ 1 << bit);
    let numbers = bits.chain([0, u64::MAX, 1, 1 << 24, 1 << 24 | 1, 1 << 32, 5 << 32 | 1 << 24]);
    for garbage in numbers.filter_map(Handle::from_bits) {
        assert_eq!(table.claim(garbage, resource), Err(ClaimError::Stale), "{garbage:?}");
        assert_eq!(table.release(garbage, resource), Err(ReleaseError::Stale));
        assert_eq!(table.check_and_retire(garbage).map(drop), Err(RetireError::Stale));
    }
    assert_eq!(table.claim(live, ResourceId(77)), Err(ClaimError::UnknownResource));
    assert_eq!(table.release(live, ResourceId(u32::MAX)), Err(ReleaseError::UnknownResource));
    assert_eq!(table.owner_of(ResourceId(u32::MAX)), None);
    assert_eq!(table.check_and_retire(live).map(drop), Ok(()));
}

#[test]
fn a_thread_local_destructor_may_use_every_operation() {
    struct Late(Arc<OwnershipTable<u32>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let handle = self.0.insert(1).unwrap();
            let resource = self.0.new_resource().unwrap();
            self.0.claim(handle, resource).unwrap();
            assert_eq!(self.0.get(handle).as_deref(), Some(&1));
            assert_eq!(self.0.reader().get(handle), Some(&1));
            self.0.release(handle, resource).unwrap();
            self.0.check_and_retire(handle).unwrap();
            self.0.reclaim();
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }
    let table = Arc::new(OwnershipTable::with_limit(10).unwrap());
    let theirs = table.clone();
    std::thread::spawn(move || {
        // Its destructor is registered first, so it runs after those of the thread's id and participant.
        LATE.with_borrow_mut(|late| *late = Some(Late(theirs.clone())));
        let handle = theirs.insert(0).unwrap();
        drop(theirs.get(handle));
        theirs.check_and_retire(handle).unwrap();
    })
    .join()
    .unwrap();
    reclaim_all(&*table);
    assert!(table.is_empty());
}

#[test]
fn a_reader_reads_a_table_with_ownership() {
    let table = OwnershipTable::with_limit(3).unwrap();
    let handle = table.insert_with_key(|own| own).unwrap();
    assert_eq!(table.reader().get(handle), Some(&handle));
    assert_eq!(table.reader().pin().get(handle), Some(&handle));
    assert!(table.keys().eq([handle]));
}

#[test]
fn claims_from_many_threads_add_up() {
    const CLIENTS: usize = 3;
    let table = OwnershipTable::with_limit(64).unwrap();
    let resources: Vec<ResourceId> = (0..4).map(|_| table.new_resource().unwrap()).collect();
    let stamp = |&id: &ResourceId| table.owners().word(id).unwrap().stamp();
    let first: Vec<u64> = resources.iter().map(stamp).collect();
    let shared = table.insert(0).unwrap();
    let changes: usize = std::thread::scope(|scope| {
        let (table, resources) = (&table, &resources);
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mut changes = 0;
                    for round in 0..20_000 {
                        let resource = resources[(round * 7 + client) % resources.len()];
                        let own = insert_soon(table, 1);
                        for handle in [own, shared] {
                            match table.claim(handle, resource) {
                                Ok(word) => {
                                    changes += 1;
                                    assert!(!word.is_free());
                                }
                                Err(ClaimError::Owned(_)) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                        assert_ne!(table.owner_of(resources[round % 4]), Some(Handle::STALE));
                        changes += usize::from(table.release(shared, resource).is_ok());
                        match table.check_and_retire(own).map(drop) {
                            Ok(()) => {}
                            Err(RetireError::StillOwns(1)) => {
                                table.release(own, resource).unwrap();
                                changes += 1;
                                table.check_and_retire(own).unwrap();
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    changes
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let stamps: u64 = resources.iter().zip(first).map(|(id, first)| stamp(id) - first).sum();
    assert_eq!(stamps, changes as u64, "a stamp grows once for each success");
    let owned = resources.iter().filter(|&&id| table.owner_of(id) == Some(shared)).count();
    match table.check_and_retire(shared).map(drop) {
        Ok(()) => assert_eq!(owned, 0),
        Err(error) => assert_eq!(error, RetireError::StillOwns(owned as u32)),
    }
    reclaim_all(&table);
}

/// A word that was read before the resource changed hands claims and releases nothing, though the resource is free again.
#[test]
fn an_outdated_word_claims_and_releases_nothing() {
    let table = OwnershipTable::<u32>::with_limit(3).unwrap();
    let [red, blue] = [1, 2].map(|n| table.insert(n).unwrap());
    let resource = table.new_resource().unwrap();
    let first = table.owners().word(resource).unwrap();
    let claimed = table.claim_unchanged(red, resource, first).unwrap();
    assert_eq!(table.claim_unchanged(blue, resource, first), Err(ClaimError::Changed));
    assert_eq!(table.claim_unchanged(blue, resource, claimed), Err(ClaimError::Owned(red)));
    assert_eq!(table.release_unchanged(blue, resource, claimed), Err(ReleaseError::NotOwner));
    assert_eq!(table.release_unchanged(red, resource, first), Err(ReleaseError::Changed));
    let freed = table.release_unchanged(red, resource, claimed).unwrap();
    assert_eq!(table.claim_unchanged(red, resource, first), Err(ClaimError::Changed));
    let again = table.claim_unchanged(red, resource, freed).unwrap();
    assert_eq!(table.release_unchanged(red, resource, claimed), Err(ReleaseError::Changed));
    table.release_unchanged(red, resource, again).unwrap();
    table.check_and_retire(red).unwrap();
    let word = table.owners().word(resource).unwrap();
    assert_eq!(table.claim_unchanged(red, resource, word), Err(ClaimError::Stale));
}

#[cfg(feature = "manager")]
#[test]
fn a_touch_outdates_a_free_word_and_no_other() {
    let table = OwnershipTable::<u32>::with_limit(3).unwrap();
    let red = table.insert(1).unwrap();
    let resource = table.new_resource().unwrap();
    let free = table.owners().word(resource).unwrap();
    assert!(table.touch(resource, free));
    assert!(!table.touch(resource, free), "it reads otherwise now");
    assert_eq!(table.claim_unchanged(red, resource, free), Err(ClaimError::Changed));
    assert_eq!(table.owner_of(resource), None);
    let owned = table.claim(red, resource).unwrap();
    assert!(!table.touch(resource, owned), "it has an owner");
    assert_eq!(table.owners().word(resource), Some(owned));
    assert_eq!(table.check_and_retire(red).unwrap_err(), RetireError::StillOwns(1));
    table.release(red, resource).unwrap();
    table.check_and_retire(red).unwrap();
}
