//! Grace periods: one epoch collector for all tables of the process.
//!
//! The collector is the crate's own, so that a thread that reads a table never runs garbage of other crates. Its garbage is
//! only closures that mark a batch of slots as ready (see `batches.rs`). A thread takes part through a thread-local
//! participant. A [`Reader`](super::Reader) has a participant of its own, so that it can stay pinned while its thread does
//! other things.
//!
//! # The re-pin epoch
//!
//! The epoch advances only past participants that were pinned after it last advanced. A Reader that stays pinned from call
//! to call would hold it back for ever. So a thread that wants the epoch to advance increments a counter, the *re-pin
//! epoch*. A Reader that finds the counter changed unpins and pins again. The counter belongs to all tables, as the epoch
//! does. Its accesses order nothing: a Reader that sees it late only delays reclamation.
//!
//! crossbeam's `Guard::repin` only stores the new epoch. A thread that re-pins then makes a sequentially consistent fence, as a
//! pin does. So whatever it reads afterwards is at least as new as everything that was retired before its epoch began. The
//! fence pairs with two others:
//!
//! - with the fence of the thread that gives a batch to the epoch (`push_bag`), between the retirements and its load of the
//!   epoch: if that fence comes first, this thread finds the handles stale; if it comes later, the load returns an epoch that
//!   is at least as new as this thread's, and the batch waits for this thread;
//! - with the fence of the thread that tries to advance the epoch, between its load of the epoch and those of the
//!   participants' epochs: if that fence comes later, the thread sees the new epoch of this participant; if it comes first,
//!   the thread advances the epoch once, which no batch of the case above outlives.
//!
//! Without the fence, a read after the re-pin may still return the old state of a handle, in an epoch that does not protect
//! its object.
//!
//! A re-pin runs nothing of the epoch's collection: it is a load, a store and a fence. A first pin, or one after `park`, is
//! crossbeam's `pin`, which every 128th time tries to advance the epoch and calls closures that are due, at most eight bags
//! of them.
//!
//! # Records
//!
//! Each participant has a [`Record`] that tells other threads whether it is pinned, and since when, in advances of the epoch.
//! Only the participant's thread writes it, by plain stores, when it pins and unpins.

use super::participants::Record;
use super::points;
use crate::faults;
use crate::sync::{Ordering, Word, fence, global, thread_local};
use crossbeam_epoch::{Collector, Guard, LocalHandle};
use crossbeam_utils::CachePadded;

global! {
    fn collector() -> lazy Collector = Collector::new();
}

global! {
    fn repin_epoch() -> const CachePadded<Word> = CachePadded::new(Word::new(0));
}

thread_local! {
    static PARTICIPANT: OwnParticipant = OwnParticipant { local: collector().register(), record: Record::acquire() };
}

/// The participant of a thread.
struct OwnParticipant {
    local: LocalHandle,
    record: &'static Record,
}

impl Drop for OwnParticipant {
    fn drop(&mut self) {
        // A thread that has forgotten a `Ref` stays pinned after its end, and its record with it.
        self.record.release();
    }
}

/// Keeps the calling thread pinned until dropped.
pub(super) struct Pin {
    record: Option<&'static Record>,
    guard: Guard,
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        if let Some(record) = self.record {
            record.leave();
        }
    }
}

/// Pins the calling thread: objects that are retired from now on stay until the pin is dropped.
#[inline]
pub(super) fn pin() -> Pin {
    let own = |own: &OwnParticipant| {
        own.record.enter(repin_epoch);
        Pin { record: Some(own.record), guard: own.local.pin() }
    };
    // In a thread-local destructor the participant may be gone. Then a participant without a record is made for this pin,
    // and lives on inside it.
    let pin = PARTICIPANT
        .try_with(own)
        .unwrap_or_else(|_| Pin { record: None, guard: collector().register().pin() });
    fence_under_loom();
    pin
}

/// Returns about how many participants are pinned and hold back the epoch.
pub(super) fn pinned() -> usize {
    // Relaxed: see "The re-pin epoch".
    super::participants::pinned_before(repin_epoch().load(Ordering::Relaxed))
}

/// Makes up for a pin without a fence. On x86, crossbeam-epoch 0.9 makes the fence of a pin by a sequentially consistent
/// compare-and-swap. Loom takes that for acquire and release only and would report races that x86 does not have; it knows
/// the fence.
#[inline(always)]
fn fence_under_loom() {
    if cfg!(loom) {
        fence(Ordering::SeqCst);
    }
}

/// Calls `due` after a grace period, once all threads that are pinned now have unpinned, and tries once to advance the
/// epoch. What must not be seen any more then was made invisible before this call.
pub(super) fn after_grace(due: impl FnOnce() + Send + 'static) {
    let pin = pin();
    pin.guard.defer(due);
    advance_from(pin);
}

/// Tries once to advance the epoch, and calls closures that have become due. Bounded. A few calls in a row see garbage
/// through if no thread stays pinned.
pub(super) fn advance() {
    advance_from(pin());
}

fn advance_from(pin: Pin) {
    faults::point(points::EPOCH_ADVANCING);
    pin.guard.flush();
    drop(pin);
    // Relaxed: see "The re-pin epoch".
    repin_epoch().fetch_add(1, Ordering::Relaxed);
}

/// A participant that belongs to one Reader.
pub(super) struct Participant {
    /// Dropped before the handle below: fields are dropped in order.
    pin: Option<Guard>,
    local: LocalHandle,
    /// The re-pin epoch read before the pin; [`NEVER`] without a pin.
    seen: u64,
    record: &'static Record,
}

/// A count that the re-pin epoch does not reach.
const NEVER: u64 = u64::MAX;

impl Participant {
    pub(super) fn new() -> Self {
        Participant { pin: None, local: collector().register(), seen: NEVER, record: Record::acquire() }
    }

    /// Pins, or pins again if the re-pin epoch has changed. References found under the earlier pin must not be used any
    /// more. Wait-free, except for a first pin.
    #[inline]
    pub(super) fn refresh(&mut self) {
        // Relaxed: see "The re-pin epoch".
        let now = repin_epoch().load(Ordering::Relaxed);
        if self.seen != now {
            self.pin_again(now);
        }
    }

    #[cold]
    fn pin_again(&mut self, now: u64) {
        self.seen = now;
        match &mut self.pin {
            Some(pin) => {
                pin.repin();
                if !planted!("bare-repin") {
                    // See "The re-pin epoch".
                    fence(Ordering::SeqCst);
                }
                self.record.pinned_at(now);
            }
            None => {
                faults::point(points::READER_UNPINNED);
                self.record.pinned_at(now);
                self.pin = Some(self.local.pin());
                fence_under_loom();
            }
        }
        faults::point(points::READER_PINNED);
    }

    /// Unpins.
    pub(super) fn park(&mut self) {
        self.pin = None;
        self.seen = NEVER;
        self.record.unpinned();
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.park();
        self.record.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    fn due_after_some_rounds(due: &AtomicBool) -> bool {
        // Other tests are pinned now and then, so a number of rounds proves nothing; the deadline is for a failure.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !due.load(Ordering::SeqCst) && std::time::Instant::now() < deadline {
            advance();
            std::thread::yield_now();
        }
        due.load(Ordering::SeqCst)
    }

    fn defer_flag() -> Arc<AtomicBool> {
        let due = Arc::new(AtomicBool::new(false));
        let flag = due.clone();
        after_grace(move || flag.store(true, Ordering::SeqCst));
        due
    }

    #[test]
    fn garbage_becomes_due_when_no_thread_is_pinned() {
        assert!(due_after_some_rounds(&defer_flag()));
    }

    #[test]
    fn a_pinned_reader_delays_garbage_until_it_refreshes_or_parks() {
        let mut reader = Participant::new();
        reader.refresh();
        let due = defer_flag();
        for _ in 0..100 {
            advance();
        }
        assert!(!due.load(Ordering::SeqCst), "the reader was pinned all the time");
        while !due.load(Ordering::SeqCst) {
            advance();
            reader.refresh();
        }
        let due = defer_flag();
        reader.refresh();
        reader.park();
        assert!(due_after_some_rounds(&due));
    }

    #[test]
    fn a_thread_local_destructor_can_pin() {
        struct PinsWhenDropped;
        impl Drop for PinsWhenDropped {
            fn drop(&mut self) {
                drop(pin());
                advance();
            }
        }
        std::thread_local! {
            static LATE: PinsWhenDropped = const { PinsWhenDropped };
        }
        std::thread::spawn(|| {
            // Its destructor is registered first, so it runs after that of the participant.
            LATE.with(|_| ());
            drop(pin());
        })
        .join()
        .unwrap();
    }
}
