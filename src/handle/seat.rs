//! Seats: small numbers, each held by one thread at a time.
//!
//! A thread takes the lowest free seat of the process the first time it needs one and gives it back when it ends. The
//! seat tells which shard of a table a thread uses (neighbouring seats, different shards) and which claim descriptor is
//! its own. Seats are finite and threads are not, so some are set aside for single operations of threads that have
//! none: those beyond the number of seats, and those in their thread-local destructors.

use crate::sync::yield_now;
#[cfg(not(loom))]
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many seats there are: what a claim word can tell apart (see `claim.rs`).
pub(super) const SEATS: usize = if cfg!(loom) { 6 } else { 1 << 14 };

const WORDS: usize = SEATS.div_ceil(64);
/// The words whose seats are lent for one operation at a time: 1024 seats.
const LENT_WORDS: usize = if cfg!(loom) { 0 } else { 16 };

/// Which seats are taken, a bit for each.
struct Pool {
    taken: [AtomicU64; WORDS],
}

static POOL: Pool = Pool { taken: [const { AtomicU64::new(0) }; WORDS] };

impl Pool {
    /// The lowest free seat of some words, if there is one. Lock-free: a failed attempt means somebody took a seat.
    fn take(&self, words: std::ops::Range<usize>) -> Option<Seat> {
        for at in words {
            let mut taken = self.taken[at].load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                // Acquire on success, paired with `give_back`: what the last holder did with what is the seat's.
                match self.taken[at].compare_exchange_weak(
                    taken,
                    taken | 1 << bit,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(Seat(at as u16 * 64 + bit as u16)),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    #[cfg(not(loom))]
    fn give_back(&self, seat: &Seat) {
        let bit = 1 << (seat.0 % 64);
        // Release, paired with `take`.
        self.taken[usize::from(seat.0 / 64)].fetch_and(!bit, Ordering::Release);
    }
}

/// A seat, until dropped.
#[derive(Debug)]
struct Seat(u16);

impl Drop for Seat {
    fn drop(&mut self) {
        #[cfg(not(loom))]
        {
            POOL.give_back(self);
            // A thread that is lent a seat has none of its own, any more or at all.
            HINT.set(HINT_WITHOUT);
        }
    }
}

#[cfg(not(loom))]
thread_local! {
    static SEAT: Option<Seat> = POOL.take(0..WORDS - LENT_WORDS);
    /// The number of the thread's seat and 1, or [`HINT_WITHOUT`] for none; 0 until it is asked for. By itself, because what has
    /// no destructor is read at once.
    static HINT: Cell<u16> = const { Cell::new(0) };
}

/// As a thread with seat 0 has it.
#[cfg(not(loom))]
const HINT_WITHOUT: u16 = 1;

// Under loom a thread is given the next seat of its execution, without a look at the pool that loom would see: each
// such look would multiply the executions of every model. Handing seats on is left to the tests below.
#[cfg(loom)]
loom::lazy_static! {
    static ref NEXT: AtomicU64 = AtomicU64::new(0);
}
#[cfg(loom)]
loom::thread_local! {
    static SEAT: Option<Seat> = Some(Seat(NEXT.fetch_add(1, Ordering::Relaxed) as u16));
}

/// The number of the calling thread's seat, or 0: for choices that anybody may make, such as a shard.
#[cfg(not(loom))]
pub(super) fn hint() -> usize {
    if let Some(hint) = hint_by_now() {
        return hint;
    }
    let seat = SEAT.try_with(|seat| seat.as_ref().map(|seat| seat.0)).ok().flatten();
    HINT.set(seat.map_or(HINT_WITHOUT, |seat| seat + 1));
    usize::from(seat.unwrap_or(0))
}

/// The same, if it was asked for before.
#[cfg(not(loom))]
#[inline]
pub(super) fn hint_by_now() -> Option<usize> {
    usize::from(HINT.get()).checked_sub(1)
}

#[cfg(loom)]
pub(super) fn hint() -> usize {
    SEAT.try_with(|seat| seat.as_ref().map_or(0, |seat| usize::from(seat.0))).unwrap_or(0)
}

#[cfg(loom)]
pub(super) fn hint_by_now() -> Option<usize> {
    Some(hint())
}

/// Runs `f` with the number of a seat that nobody else has meanwhile: the thread's own, else one lent for this call.
/// Must not be nested.
///
/// Never allocates, except what the platform needs to note a thread-local destructor the first time a thread comes
/// here. With all seats to lend in use (by 1024 threads in the middle of an operation, beside those that sit) it
/// waits for one.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(u16) -> R) -> R {
    let own = SEAT.try_with(|seat| seat.as_ref().map(|seat| seat.0)).ok().flatten();
    let lent = if own.is_none() { Some(lend()) } else { None };
    // One of them is there.
    let seat = lent.as_ref().map(|seat| seat.0).or(own).unwrap_or_default();
    f(seat)
}

#[cold]
fn lend() -> Seat {
    loop {
        if let Some(seat) = POOL.take(WORDS - LENT_WORDS..WORDS) {
            return seat;
        }
        yield_now();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_thread_keeps_its_seat_and_shares_it_with_nobody() {
        let mine = with(|seat| seat);
        assert_eq!(with(|seat| seat), mine);
        assert_eq!(hint(), usize::from(mine));
        let barrier = std::sync::Barrier::new(8);
        let seats: BTreeSet<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let seat = with(|seat| seat);
                        barrier.wait();
                        seat
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(seats.len(), 8);
        assert!(!seats.contains(&mine));
    }

    #[test]
    fn a_thread_local_destructor_is_lent_a_seat() {
        struct SitsWhenDropped;
        impl Drop for SitsWhenDropped {
            fn drop(&mut self) {
                assert!(with(usize::from) >= SEATS - LENT_WORDS * 64);
                assert_eq!(hint(), 0);
            }
        }
        thread_local! {
            static LATE: SitsWhenDropped = const { SitsWhenDropped };
        }
        std::thread::spawn(|| {
            // Its destructor is registered first, so it runs after the seat's.
            LATE.with(|_| ());
            with(|_| ());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_full_pool_says_so_and_takes_back() {
        static FULL: Pool = Pool { taken: [const { AtomicU64::new(0) }; WORDS] };
        // Forgotten, since a dropped seat goes back to the process's pool.
        let take = || FULL.take(0..2).map(std::mem::ManuallyDrop::new);
        let numbers: Vec<u16> = std::iter::from_fn(take).map(|seat| seat.0).collect();
        assert_eq!(numbers, (0..128).collect::<Vec<u16>>());
        FULL.give_back(&std::mem::ManuallyDrop::new(Seat(77)));
        assert_eq!(take().map(|seat| seat.0), Some(77));
    }
}
