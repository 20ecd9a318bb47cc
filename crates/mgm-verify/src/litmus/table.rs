//! Pairs of the handle table.

use super::meeting::{count, together};
use super::{Counts, Size};
use mgm::handle::{Handle, HandleTable, OwnershipTable};
use std::sync::atomic::{AtomicU64, Ordering};

/// The spins by which the threads of a round begin apart, at most.
const STAGGER: u64 = 8;

/// Two tables with ownership, the handles that will be given next, and their posts.
struct Tables {
    tables: [OwnershipTable<u64>; 2],
    posts: [AtomicU64; 2],
}

impl Tables {
    fn new() -> Tables {
        let table = || OwnershipTable::with_limit(64).expect("a small table");
        Tables { tables: [table(), table()], posts: Default::default() }
    }

    /// Tells the other thread a handle. Relaxed: the meeting that follows orders it.
    fn post(&self, me: usize, handle: u64) {
        self.posts[me].store(handle, Ordering::Relaxed);
    }

    fn posted(&self, me: usize) -> Option<Handle> {
        Handle::from_bits(self.posts[1 - me].load(Ordering::Relaxed))
    }
}

/// Retires a handle and waits until its slot can be used again.
fn retire_and_reclaim(table: &OwnershipTable<u64>, handle: Handle) {
    _ = table.check_and_retire(handle).is_ok();
    while table.pending() > 0 {
        table.reclaim();
        std::hint::spin_loop();
    }
}

/// Each thread inserts, and then validates the handle that the other is about to be given: it is the next generation of the
/// slot that the other's thread has used just before.
pub(super) fn insert(size: Size) -> Counts {
    let shared = Tables::new();
    let seen = together(size, |mut party| {
        let (mine, other) = (&shared.tables[party.me], &shared.tables[1 - party.me]);
        let mut seen = Vec::new();
        for round in 0..size.rounds {
            let Ok(before) = mine.insert(round) else { return seen };
            retire_and_reclaim(mine, before);
            let next = before.to_bits() + (1 << 32);
            shared.post(party.me, next);
            if !party.begin() {
                break;
            }
            let guess = shared.posted(party.me);
            party.stagger(STAGGER);
            let inserted = mine.insert(round);
            let found = guess.is_some_and(|guess| other.contains(guess));
            party.meet();
            let Ok(inserted) = inserted else { return seen };
            // The round counts only if both guesses were right.
            seen.push((inserted.to_bits() == next).then_some(found));
            retire_and_reclaim(mine, inserted);
        }
        seen
    });
    count(&seen)
}

/// Each thread retires its object, and then validates the other's handle.
pub(super) fn retire(size: Size) -> Counts {
    let shared = Tables::new();
    let seen = together(size, |mut party| {
        let (mine, other) = (&shared.tables[party.me], &shared.tables[1 - party.me]);
        let mut seen = Vec::new();
        for round in 0..size.rounds {
            let Ok(handle) = mine.insert(round) else { return seen };
            shared.post(party.me, handle.to_bits());
            if !party.begin() {
                break;
            }
            let theirs = shared.posted(party.me);
            party.stagger(STAGGER);
            // Kept until the other's handle was validated: to give the slot back takes an exchange.
            let retired = mine.check_and_retire(handle);
            let gone = !theirs.is_some_and(|theirs| other.contains(theirs));
            party.meet();
            seen.push(retired.is_ok().then_some(gone));
            drop(retired);
            retire_and_reclaim(mine, handle);
        }
        seen
    });
    count(&seen)
}

/// One thread reads, pinned anew for each round, while the other removes the object and uses its slot again. The value is
/// its own handle, so that a value of another object shows.
pub(super) fn pin(size: Size) -> Counts {
    let table = HandleTable::<[AtomicU64; 4]>::with_limit(64).expect("a small table");
    let post = AtomicU64::new(0);
    let fresh = || {
        table.insert_with_key(|handle| {
            [const { AtomicU64::new(0) }; 4].map(|word| {
                word.store(handle.to_bits(), Ordering::Relaxed);
                word
            })
        })
    };
    let [reads, _] = together(size, |mut party| {
        let mut counts = Counts::default();
        if party.me == 1 {
            let mut last: Option<Handle> = None;
            for _ in 0..size.rounds {
                if let Ok(handle) = fresh() {
                    // Release, with the load below: the object is live.
                    post.store(handle.to_bits(), Ordering::Release);
                    last = Some(handle);
                }
                if !party.begin() {
                    break;
                }
                party.stagger(4 * STAGGER);
                if let Some(handle) = last.take() {
                    _ = table.remove(handle).is_ok();
                    table.reclaim();
                    last = fresh().ok();
                }
                party.meet();
                if let Some(handle) = last.take() {
                    _ = table.remove(handle).is_ok();
                }
                table.reclaim();
            }
            return counts;
        }
        let mut reader = table.reader();
        for _ in 0..size.rounds {
            if !party.begin() {
                break;
            }
            let handle = Handle::from_bits(post.load(Ordering::Acquire));
            party.stagger(STAGGER);
            let found = handle.and_then(|handle| Some((handle, reader.get(handle)?)));
            let right = found.is_none_or(|(handle, words)| {
                let same = |word: &AtomicU64| word.load(Ordering::Relaxed) == handle.to_bits();
                (0..20).all(|_| words.iter().all(same))
            });
            counts.count(if right { 0 } else { 2 });
            party.meet();
        }
        counts
    });
    reads
}
