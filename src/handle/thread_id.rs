//! Thread ids: small numbers, each held by one thread at a time.
//!
//! A thread takes the lowest free id of the process when it first needs one, and gives it back when it ends. The id
//! selects the thread's shard of a table (neighbouring ids, different shards) and its claim descriptor. Ids are finite and
//! threads are not. So some ids are set aside and lent for single operations of threads without an id: those beyond the
//! number of ids, and those in their thread-local destructors.

use crate::cfg::handle::{LENT_WORDS, THREAD_IDS};
use crate::sync::{thread_local, yield_now};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = THREAD_IDS.div_ceil(64);

/// The ids that are taken, a bit for each.
struct Pool {
    taken: [AtomicU64; WORDS],
}

static POOL: Pool = Pool { taken: [const { AtomicU64::new(0) }; WORDS] };

impl Pool {
    /// Takes the lowest free id of some words, if there is one. Lock-free: a failed attempt means that another thread took
    /// or returned an id.
    fn take(&self, words: std::ops::Range<usize>) -> Option<ThreadId> {
        for at in words {
            let mut taken = self.taken[at].load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                // Acquire on success, paired with `give_back`: what the last thread with this id did to its descriptor.
                match self.taken[at].compare_exchange_weak(
                    taken,
                    taken | 1 << bit,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(ThreadId(at as u16 * 64 + bit as u16)),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    fn give_back(&self, id: &ThreadId) {
        let bit = 1 << (id.0 % 64);
        // Release, paired with `take`.
        self.taken[usize::from(id.0 / 64)].fetch_and(!bit, Ordering::Release);
    }
}

/// An id, held until dropped.
#[derive(Debug)]
struct ThreadId(u16);

impl Drop for ThreadId {
    fn drop(&mut self) {
        if !cfg!(loom) {
            POOL.give_back(self);
            // A thread that is lent an id has none of its own.
            HINT.set(HINT_WITHOUT);
        }
    }
}

/// The value of [`HINT`] for a thread without an id: that of a thread with id 0.
const HINT_WITHOUT: u16 = 1;

thread_local! {
    static ID: Option<ThreadId> = own_id();
}

std::thread_local! {
    /// The thread's id plus one, or [`HINT_WITHOUT`]; 0 until it is first asked for. Apart from the id, because a
    /// thread-local without a destructor is read at once.
    static HINT: Cell<u16> = const { Cell::new(0) };
}

#[cfg(not(loom))]
fn own_id() -> Option<ThreadId> {
    POOL.take(0..WORDS - LENT_WORDS)
}

/// Under loom a thread gets the next id of its execution. Loom would see each access to the pool and multiply the
/// executions of every model by it.
#[cfg(loom)]
fn own_id() -> Option<ThreadId> {
    crate::sync::global! {
        fn next() -> lazy AtomicU64 = AtomicU64::new(0);
    }
    Some(ThreadId(next().fetch_add(1, Ordering::Relaxed) as u16))
}

#[inline(always)]
fn current() -> Option<u16> {
    ID.try_with(|id| id.as_ref().map(|id| id.0)).ok().flatten()
}

/// Returns the id of the calling thread, or 0 without one: for choices that need no exclusive id, such as a shard.
pub(super) fn shard_hint() -> usize {
    if let Some(hint) = known_shard_hint() {
        return hint;
    }
    let id = current();
    HINT.set(id.map_or(HINT_WITHOUT, |id| id + 1));
    usize::from(id.unwrap_or(0))
}

/// Returns the same, if this thread asked before.
#[inline]
pub(super) fn known_shard_hint() -> Option<usize> {
    if cfg!(loom) {
        // The threads of successive executions have different ids.
        return current().map(usize::from);
    }
    usize::from(HINT.get()).checked_sub(1)
}

/// Calls `f` with an id that no other thread holds meanwhile: the thread's own, else one lent for this call. Must not be
/// nested.
///
/// Never allocates, except for the platform's registration of a thread-local destructor when a thread first comes here.
/// Blocks while all ids to lend are in use, by 1024 threads in the middle of an operation.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(u16) -> R) -> R {
    let own = current();
    let lent = if own.is_none() { Some(lend()) } else { None };
    // One of them is there.
    let id = lent.as_ref().map(|id| id.0).or(own).unwrap_or_default();
    f(id)
}

#[cold]
fn lend() -> ThreadId {
    loop {
        if let Some(id) = POOL.take(WORDS - LENT_WORDS..WORDS) {
            return id;
        }
        yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_thread_keeps_its_id_and_no_other_has_it() {
        let mine = with(|id| id);
        assert_eq!(with(|id| id), mine);
        assert_eq!(shard_hint(), usize::from(mine));
        let barrier = std::sync::Barrier::new(8);
        let ids: BTreeSet<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let id = with(|id| id);
                        barrier.wait();
                        id
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 8);
        assert!(!ids.contains(&mine));
    }

    #[test]
    fn a_thread_local_destructor_is_lent_an_id() {
        struct AsksWhenDropped;
        impl Drop for AsksWhenDropped {
            fn drop(&mut self) {
                assert!(with(usize::from) >= THREAD_IDS - LENT_WORDS * 64);
                assert_eq!(shard_hint(), 0);
            }
        }
        std::thread_local! {
            static LATE: AsksWhenDropped = const { AsksWhenDropped };
        }
        std::thread::spawn(|| {
            // Its destructor is registered first, so it runs after that of the id.
            LATE.with(|_| ());
            with(|_| ());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn an_empty_pool_refuses_and_takes_back() {
        static FULL: Pool = Pool { taken: [const { AtomicU64::new(0) }; WORDS] };
        // Not dropped, since a dropped id goes back to the pool of the process.
        let take = || FULL.take(0..2).map(std::mem::ManuallyDrop::new);
        let numbers: Vec<u16> = std::iter::from_fn(take).map(|id| id.0).collect();
        assert_eq!(numbers, (0..128).collect::<Vec<u16>>());
        FULL.give_back(&std::mem::ManuallyDrop::new(ThreadId(77)));
        assert_eq!(take().map(|id| id.0), Some(77));
    }
}
