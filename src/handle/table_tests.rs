//! What a table promises, call by call and under stress.

use super::*;
use crate::sync::Ordering;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

/// Counts what is alive, and notices who looks at it when it is not.
struct Counted {
    name: u64,
    check: u64,
    alive: Arc<AtomicUsize>,
}

const CHECK: u64 = 0x5EED_5EED_5EED_5EED;

impl Counted {
    fn new(name: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Counted { name, check: name ^ CHECK, alive: alive.clone() }
    }

    fn assert_whole(&self) {
        assert_eq!(self.name ^ CHECK, self.check, "read a value that is gone");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.assert_whole();
        self.check = 0;
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Tests beside this one are pinned for moments, so it may take a few calls; the deadline is for failures.
pub(super) fn reclaim_all<T, L: Layout>(table: &HandleTable<T, L>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while table.reclaim() > 0 {
        assert!(Instant::now() < deadline, "{table:?} keeps garbage without readers");
    }
}

#[test]
fn a_handle_resolves_until_removed_and_never_again() {
    let table = HandleTable::with_capacity(3).unwrap();
    let old = table.insert("old").unwrap();
    assert_eq!(table.get(old).as_deref(), Some(&"old"));
    assert_eq!(table.with(old, |s| s.len()), Some(3));
    assert_eq!(table.remove(old), Ok(()));
    assert_eq!(table.remove(old), Err(Stale));
    let mut seen = HashSet::from([old]);
    for _ in 0..1000 {
        let handle = insert_soon(&table, "new");
        assert!(seen.insert(handle));
        assert!(!table.validate(old));
        assert!(table.get(old).is_none());
        table.remove(handle).unwrap();
    }
}

#[test]
fn a_full_table_gives_the_value_back_and_takes_exactly_its_capacity() {
    for capacity in [1, 2, 5, 16, 17, 200] {
        let table = HandleTable::with_capacity(capacity).unwrap();
        let mut handles: Vec<Handle> = (0..capacity).map(|i| table.insert(i).unwrap()).collect();
        for round in 0..3 {
            assert_eq!(table.insert(round), Err(Full(round)));
            assert_eq!(table.len(), capacity as usize);
            for handle in handles.drain(..) {
                table.remove(handle).unwrap();
            }
            assert_eq!(table.len(), 0);
            handles.extend((0..capacity).map(|i| insert_soon(&table, i)));
        }
    }
}

/// At capacity other tests' pins may be in the way for a moment.
fn insert_soon<T, L: Layout>(table: &HandleTable<T, L>, mut value: T) -> Handle {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match table.insert(value) {
            Ok(handle) => return handle,
            Err(Full(back)) => value = back,
        }
        assert!(Instant::now() < deadline, "{table:?} stays full");
    }
}

#[test]
fn garbage_numbers_are_stale() {
    let table = HandleTable::<u32>::with_capacity(40).unwrap();
    let live = table.insert(1).unwrap();
    let dead = table.insert(2).unwrap();
    table.remove(dead).unwrap();
    let mut reader = table.reader();
    let bits = (0..64).map(|bit| live.bits() ^ 1 << bit);
    let more = [0, 1, u64::MAX, dead.bits(), 1 << 24, 0xFF_FFFF, (1 << 32) - 1, 1 << 32, 2 << 32];
    let indices = (0..64).flat_map(|index| [index, 1 << 32 | index, 1 << 32 | 1 << 24 | index]);
    for number in bits.chain(more).chain(indices).filter(|&number| number != live.bits()) {
        let garbage = Handle::from(number);
        assert!(!table.validate(garbage), "{garbage:?}");
        assert!(table.get(garbage).is_none());
        assert!(reader.get(garbage).is_none());
        assert_eq!(table.remove(garbage), Err(Stale));
    }
    assert!(table.validate(live));
}

#[test]
fn garbage_numbers_claim_and_retire_nothing() {
    let table = HandleTable::<u32, Claims>::with_claims(40).unwrap();
    let live = table.insert(1).unwrap();
    let thing = table.new_resource().unwrap();
    let bits = (0..64).map(|bit| live.bits() ^ 1 << bit);
    for number in bits.chain([0, u64::MAX, 1, 1 << 24, 1 << 24 | 1, 1 << 32, 5 << 32 | 1 << 24]) {
        let garbage = Handle::from(number);
        assert_eq!(table.claim(garbage, thing), Err(ClaimError::Stale), "{garbage:?}");
        assert_eq!(table.release(garbage, thing), Err(ReleaseError::Stale));
        assert_eq!(table.check_and_retire(garbage), Err(RetireError::Stale));
    }
    assert_eq!(table.claim(live, ResourceId(77)), Err(ClaimError::UnknownOwner));
    assert_eq!(table.release(live, ResourceId(u32::MAX)), Err(ReleaseError::UnknownOwner));
    assert_eq!(table.owner_of(ResourceId(u32::MAX)), None);
    assert_eq!(table.check_and_retire(live), Ok(()));
}

#[test]
fn a_live_handle_of_another_kind_is_stale() {
    let kind = Kind::new(9).unwrap();
    let table = HandleTable::with_shape(Shape { kind, capacity: 4 }).unwrap();
    let other = HandleTable::with_capacity(4).unwrap();
    let (mine, theirs) = (table.insert(()).unwrap(), other.insert(()).unwrap());
    assert_eq!((mine.index(), mine.generation()), (theirs.index(), theirs.generation()));
    assert_eq!((mine.kind(), theirs.kind()), (Some(kind), Some(Kind::DEFAULT)));
    assert!(table.validate(mine) && !table.validate(theirs));
    assert_eq!(table.remove(theirs), Err(Stale));
    assert!(table.reader().get(theirs).is_none());
}

#[test]
fn capacities_that_cannot_be_are_refused() {
    assert!(HandleTable::<()>::with_capacity(0).is_err());
    assert!(HandleTable::<()>::with_capacity(1 << 24).is_err());
    assert!(HandleTable::<()>::with_capacity((1 << 24) - 1).is_ok());
    assert!(HandleTable::<(), Claims>::with_claims(0).is_err());
    assert!(HandleTable::<(), Claims>::with_claims((1 << 20) - 1).is_err());
    assert!(HandleTable::<(), Claims>::with_claims((1 << 20) - 2).is_ok());
}

#[test]
fn a_slot_whose_generations_are_used_up_is_never_used_again() {
    let mut table = HandleTable::with_capacity(2).unwrap();
    table.vacancies.last_generation = 5;
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
    assert!(table.insert(Counted::new(10, &alive)).is_err(), "both slots are worn out");
    assert!(seen.iter().all(|&handle| !table.validate(handle)));
}

#[test]
fn every_value_is_dropped_once_wherever_it_is_when_the_table_goes() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_capacity(1000).unwrap();
    let mut reader = table.reader();
    let handles: Vec<Handle> =
        (0..700).map(|name| table.insert(Counted::new(name, &alive)).unwrap()).collect();
    reader.get(handles[0]);
    for &handle in &handles[..350] {
        table.remove(handle).unwrap();
    }
    assert_eq!(alive.load(Ordering::SeqCst), 700, "the reader has seen nothing go");
    assert_eq!((table.len(), table.pending()), (350, 350));
    drop(reader);
    reclaim_all(&table);
    assert_eq!(alive.load(Ordering::SeqCst), 350);
    // Some live, some in limbo, some in batches that a reader holds back, some slots vacant.
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
    let table = HandleTable::with_capacity(100).unwrap();
    let live = table.insert(0).unwrap();
    let mut reader = table.reader();
    let burst = reader.burst();
    assert_eq!(burst.get(live), Some(&0));
    let mut inserted = 0;
    while let Ok(handle) = table.insert(1) {
        table.remove(handle).unwrap();
        inserted += 1;
    }
    assert_eq!(inserted, 99, "each removed object waits for the burst");
    assert_eq!((table.len(), table.pending()), (1, 99));
    assert_eq!(table.with(live, |v| *v), Some(0));
    assert_eq!(burst.get(live), Some(&0));
    // Its next calls let things go on.
    let deadline = Instant::now() + Duration::from_secs(20);
    while table.insert(2).is_err() {
        assert_eq!(reader.get(live), Some(&0));
        assert!(Instant::now() < deadline);
    }
    reader.park();
    reclaim_all(&table);
}

#[test]
fn a_guard_keeps_its_object_readable() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_capacity(2).unwrap();
    let handle = table.insert(Counted::new(1, &alive)).unwrap();
    let guard = table.get(handle).unwrap();
    table.remove(handle).unwrap();
    for _ in 0..20 {
        table.reclaim();
    }
    assert_eq!((alive.load(Ordering::SeqCst), table.pending()), (1, 1));
    guard.assert_whole();
    assert_eq!(guard.name, 1);
    drop(guard);
    reclaim_all(&table);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
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
    let table = HandleTable::with_capacity(8).unwrap();
    for round in 0..3 {
        let fragile = |name| Fragile(Counted::new(name, &alive), name % 3 == 1);
        let handles: Vec<Handle> = (0..8).map(|name| insert_soon(&table, fragile(name))).collect();
        assert!(table.insert(fragile(0)).is_err(), "round {round}");
        for handle in handles {
            table.remove(handle).unwrap();
        }
        let mut panics = 0;
        let deadline = Instant::now() + Duration::from_secs(20);
        while table.pending() > 0 {
            panics += usize::from(catch_unwind(AssertUnwindSafe(|| table.reclaim())).is_err());
            assert!(Instant::now() < deadline);
        }
        assert!(panics > 0, "somebody is told");
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
    let table = Arc::new(HandleTable::with_capacity(100).unwrap());
    for _ in 0..200 {
        let handle = insert_soon(&table, Some(Nested(table.clone())));
        table.remove(handle).unwrap();
    }
    reclaim_all(&table);
    assert_eq!(Arc::strong_count(&table), 1);
}

#[test]
fn a_thread_local_destructor_may_use_every_operation() {
    struct Late(Arc<HandleTable<u32, Claims>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let handle = self.0.insert(1).unwrap();
            let thing = self.0.new_resource().unwrap();
            self.0.claim(handle, thing).unwrap();
            assert_eq!(self.0.get(handle).as_deref(), Some(&1));
            assert_eq!(self.0.reader().get(handle), Some(&1));
            self.0.release(handle, thing).unwrap();
            self.0.check_and_retire(handle).unwrap();
            self.0.reclaim();
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }
    let table = Arc::new(HandleTable::with_claims(10).unwrap());
    let theirs = table.clone();
    std::thread::spawn(move || {
        // Its destructor is registered first, so it runs after those of the thread's seat and participant.
        LATE.with_borrow_mut(|late| *late = Some(Late(theirs.clone())));
        let handle = theirs.insert(0).unwrap();
        drop(theirs.get(handle));
        theirs.check_and_retire(handle).unwrap();
    })
    .join()
    .unwrap();
    reclaim_all(&table);
    assert!(table.is_empty());
}

#[test]
fn iteration_finds_what_is_live_throughout() {
    let table = HandleTable::with_capacity(100).unwrap();
    let handles: Vec<Handle> = (0..100).map(|i| table.insert(i).unwrap()).collect();
    for handle in handles.iter().step_by(3) {
        table.remove(*handle).unwrap();
    }
    let found: Vec<(Handle, u32)> = table.iter().map(|(handle, value)| (handle, *value)).collect();
    let expected: Vec<(Handle, u32)> =
        (0..100).filter(|i| i % 3 != 0).map(|i| (handles[i as usize], i)).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_empty_table_is_small_and_a_slot_is_what_it_must_be() {
    use super::slot::Slot;
    assert_eq!(size_of::<Slot<u64, Plain>>(), 16);
    assert_eq!((size_of::<Slot<u64, Claims>>(), align_of::<Slot<u64, Claims>>()), (128, 128));
    // A directory of 256 places, and little else.
    assert!(size_of::<HandleTable<u64>>() <= 2048 + 512);
}

#[test]
fn the_words_of_the_claim_step_have_names() {
    use super::table::Place;
    use crate::sync::stepping;
    let table = Arc::new(HandleTable::with_claims(4).unwrap());
    let (handle, thing) = (table.insert(()).unwrap(), table.new_resource().unwrap());
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (names, log) = (table.clone(), seen.clone());
    stepping::set(move |access, address| {
        if access != stepping::Access::Fence {
            log.borrow_mut().push(names.place_of(address).expect("a word of the claim step"));
        }
    });
    table.claim(handle, thing).unwrap();
    stepping::clear();
    let seen = seen.borrow();
    assert_eq!(seen[..3], [Place::Owner(thing), Place::State(0), Place::Claim(0)]);
    assert!(matches!(seen[3], Place::Descriptor { word: "sequence", .. }));
    assert_eq!(seen.iter().filter(|place| **place == Place::Claim(0)).count(), 3);
}

#[test]
fn readers_that_chase_live_handles_see_whole_objects() {
    const SLOTS: usize = 8;
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_capacity(64).unwrap();
    let board: Vec<crate::sync::AtomicU64> = (0..SLOTS).map(|_| Default::default()).collect();
    let stop = AtomicBool::new(false);
    let [hits, changes] = std::thread::scope(|scope| {
        let board = &board;
        let (table, alive, stop) = (&table, &alive, &stop);
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                scope.spawn(move || {
                    let mut changes = 0;
                    for round in 0..60_000u64 {
                        let place = &board[(round as usize * 2 + writer) % SLOTS];
                        let name = round << 1 | writer as u64;
                        if let Ok(handle) = table.insert(Counted::new(name, alive)) {
                            let old = Handle::from(place.swap(handle.bits(), Ordering::SeqCst));
                            changes += usize::from(table.remove(old).is_ok());
                        }
                    }
                    changes
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|kind| {
                scope.spawn(move || {
                    let (mut hits, mut reader) = (0, table.reader());
                    while !stop.load(Ordering::Relaxed) {
                        if kind == 0 {
                            let burst = reader.burst();
                            let found: Vec<&Counted> = board
                                .iter()
                                .filter_map(|place| burst.get(place.load(Ordering::SeqCst).into()))
                                .collect();
                            hits += found.len();
                            found.iter().for_each(|value| value.assert_whole());
                        } else {
                            for place in board {
                                let handle = place.load(Ordering::SeqCst).into();
                                if let Some(value) = table.get(handle) {
                                    value.assert_whole();
                                    hits += 1;
                                }
                            }
                        }
                    }
                    hits
                })
            })
            .collect();
        let changes = writers.into_iter().map(|thread| thread.join().unwrap()).sum();
        stop.store(true, Ordering::Relaxed);
        [readers.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), changes]
    });
    assert!(hits > 1000 && changes > 1000, "{hits} hits, {changes} changes");
    assert_eq!(table.len(), alive.load(Ordering::SeqCst) - table.pending());
    reclaim_all(&table);
    assert_eq!(table.len(), table.iter().count());
    drop(table);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn slots_go_home_from_a_thread_that_only_removes() {
    let table = HandleTable::with_capacity(2000).unwrap();
    let (send, receive) = std::sync::mpsc::sync_channel::<Handle>(100);
    std::thread::scope(|scope| {
        let table = &table;
        scope.spawn(move || receive.into_iter().for_each(|handle| table.remove(handle).unwrap()));
        for i in 0..50_000 {
            send.send(insert_soon(table, i)).unwrap();
        }
        drop(send);
    });
    assert!(table.is_empty());
    reclaim_all(&table);
}

#[test]
fn claims_from_many_threads_add_up() {
    const CLIENTS: usize = 3;
    let table = HandleTable::with_claims(64).unwrap();
    let things: Vec<ResourceId> = (0..4).map(|_| table.new_resource().unwrap()).collect();
    let first: Vec<u64> = things.iter().map(|&t| table.owners().word(t).unwrap().stamp()).collect();
    let shared = table.insert(0).unwrap();
    let changes: usize = std::thread::scope(|scope| {
        let (table, things) = (&table, &things);
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mut changes = 0;
                    for round in 0..20_000 {
                        let thing = things[(round * 7 + client) % things.len()];
                        let own = insert_soon(table, 1);
                        for handle in [own, shared] {
                            match table.claim(handle, thing) {
                                Ok(word) => {
                                    changes += 1;
                                    assert!(!word.is_free());
                                }
                                Err(ClaimError::Owned(_)) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                        assert_ne!(table.owner_of(things[round % 4]), Some(Handle::STALE));
                        changes += usize::from(table.release(shared, thing).is_ok());
                        match table.check_and_retire(own) {
                            Ok(()) => {}
                            Err(RetireError::StillOwns(1)) => {
                                table.release(own, thing).unwrap();
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
    let stamps: u64 = things
        .iter()
        .zip(first)
        .map(|(&thing, first)| table.owners().word(thing).unwrap().stamp() - first)
        .sum();
    assert_eq!(stamps, changes as u64, "a stamp grows once for each success");
    let held = things.iter().filter(|&&thing| table.owner_of(thing) == Some(shared)).count();
    match table.check_and_retire(shared) {
        Ok(()) => assert_eq!(held, 0),
        Err(error) => assert_eq!(error, RetireError::StillOwns(held as u32)),
    }
    reclaim_all(&table);
}
