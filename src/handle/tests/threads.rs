//! Tables under stress.

use super::*;
use crate::sync::AtomicU64;
use std::sync::atomic::AtomicBool;

#[test]
fn readers_that_chase_live_handles_see_whole_objects() {
    const PLACES: usize = 8;
    let alive = Arc::new(AtomicUsize::new(0));
    let table = HandleTable::with_limit(64).unwrap();
    let board: Vec<AtomicU64> = (0..PLACES).map(|_| AtomicU64::new(Handle::STALE.to_bits())).collect();
    let stop = AtomicBool::new(false);
    let [hits, changes] = std::thread::scope(|scope| {
        let board = &board;
        let (table, alive, stop) = (&table, &alive, &stop);
        let posted = |place: &AtomicU64| handle(place.load(Ordering::SeqCst));
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                scope.spawn(move || {
                    let mut changes = 0;
                    for round in 0..60_000u64 {
                        let place = &board[(round as usize * 2 + writer) % PLACES];
                        let name = round << 1 | writer as u64;
                        if let Ok(new) = table.insert(Counted::new(name, alive)) {
                            let old = handle(place.swap(new.to_bits(), Ordering::SeqCst));
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
                            let pinned = reader.pin();
                            let found: Vec<&Counted> =
                                board.iter().filter_map(|place| pinned.get(posted(place))).collect();
                            hits += found.len();
                            found.iter().for_each(|value| value.assert_whole());
                        } else {
                            for value in board.iter().filter_map(|place| table.get(posted(place))) {
                                value.assert_whole();
                                hits += 1;
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
fn slots_return_from_a_thread_that_only_removes() {
    let table = HandleTable::with_limit(2000).unwrap();
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
