//! The clock that says when a grace period is over: one collector for all tables of the process.
//!
//! It is a collector of our own, so that a thread that reads a table never runs other people's garbage; ours is only
//! closures that mark a batch of slots as mature (see `limbo.rs`). A thread takes part through a thread-local
//! participant; a [`Reader`](super::Reader) has one to itself, so that it can stay pinned while its thread does other
//! things.
//!
//! # The bell
//!
//! The epoch advances only past participants that were pinned after it last advanced. A Reader that stays pinned from
//! call to call would hold it back for ever. So whoever wants it to advance rings the bell, a word that is written
//! nowhere else, and a Reader that finds it changed unpins and pins again. As the clock belongs to all tables, so does
//! the bell. It carries no promise: a Reader that sees it late only delays reclamation.
//!
//! Unpinning and pinning again is not the same as crossbeam's `Guard::repin`, which only stores the new epoch. A pin
//! ends with a sequentially consistent fence, so whatever the thread reads afterwards is at least as new as all that was
//! retired before the epoch it joined began. Without the fence (nor an acquire of the epoch), a read after the re-pin
//! may still return a handle's old state, in an epoch that does not protect what it leads to.

use crate::faults;
use crate::handle::points;
use crate::sync::{Ordering, Word};
use crossbeam_epoch::{Collector, LocalHandle};
use crossbeam_utils::CachePadded;

pub(super) use crossbeam_epoch::Guard as Pin;

#[cfg(not(loom))]
mod shared {
    use super::*;

    static COLLECTOR: std::sync::LazyLock<Collector> = std::sync::LazyLock::new(Collector::new);
    static BELL: CachePadded<Word> = CachePadded::new(Word::new(0));

    pub(super) fn collector() -> &'static Collector {
        &COLLECTOR
    }

    pub(super) fn bell() -> &'static Word {
        &BELL
    }

    thread_local! {
        pub(super) static PARTICIPANT: LocalHandle = collector().register();
    }
}

#[cfg(loom)]
mod shared {
    use super::*;

    loom::lazy_static! {
        static ref COLLECTOR: Collector = Collector::new();
        static ref BELL: CachePadded<Word> = CachePadded::new(Word::new(0));
    }

    pub(super) fn collector() -> &'static Collector {
        &COLLECTOR
    }

    pub(super) fn bell() -> &'static Word {
        &BELL
    }

    loom::thread_local! {
        pub(super) static PARTICIPANT: LocalHandle = collector().register();
    }
}

/// Pins the calling thread: what is retired from now on stays until the pin is dropped.
#[inline]
pub(super) fn pin() -> Pin {
    // In a thread-local destructor the participant may be gone: then one for this pin alone, which lives on inside it.
    let pin = shared::PARTICIPANT
        .try_with(LocalHandle::pin)
        .unwrap_or_else(|_| shared::collector().register().pin());
    fence_under_loom();
    pin
}

/// On x86, crossbeam-epoch 0.9 makes the fence of a pin out of a sequentially consistent compare-and-swap. Loom takes
/// that for acquire and release only, and would report races that x86 does not have; it knows the fence.
#[inline(always)]
fn fence_under_loom() {
    #[cfg(loom)]
    crate::sync::fence(Ordering::SeqCst);
}

/// Has `due` called once everybody who is pinned now has unpinned, and pushes the epoch once, as [`advance`] does. What
/// must not be seen any more then was made invisible before.
pub(super) fn after_grace(due: impl FnOnce() + Send + 'static) {
    let pin = pin();
    pin.defer(due);
    push(pin);
}

/// Tries once to advance the epoch and calls what has become due. Bounded; a few calls in a row see garbage through
/// if nobody stays pinned.
pub(super) fn advance() {
    push(pin());
}

fn push(pin: Pin) {
    faults::point(points::EPOCH_ADVANCING);
    pin.flush();
    drop(pin);
    // Relaxed: see "The bell".
    shared::bell().fetch_add(1, Ordering::Relaxed);
}

/// A participant that belongs to one Reader.
pub(super) struct Participant {
    /// Dropped before the handle below: fields are dropped in order.
    pin: Option<Pin>,
    local: LocalHandle,
    /// How the bell read before the pin; [`NEVER`] without one.
    bell: u64,
}

/// The bell does not ring so often.
const NEVER: u64 = u64::MAX;

impl Participant {
    pub(super) fn new() -> Self {
        Participant { pin: None, local: shared::collector().register(), bell: NEVER }
    }

    /// Is pinned afterwards; again, if the bell has rung since the last time. Nothing found under the earlier pin may
    /// be used any more.
    #[inline]
    pub(super) fn refresh(&mut self) {
        // Relaxed: see "The bell".
        let bell = shared::bell().load(Ordering::Relaxed);
        if self.bell != bell {
            self.pin_again(bell);
        }
    }

    #[cold]
    fn pin_again(&mut self, bell: u64) {
        self.bell = bell;
        if planted!("bare-repin")
            && let Some(pin) = &mut self.pin
        {
            pin.repin();
            return;
        }
        // First out, then in: a second pin inside the first would keep the first's epoch.
        self.pin = None;
        faults::point(points::READER_UNPINNED);
        self.pin = Some(self.local.pin());
        fence_under_loom();
        faults::point(points::READER_PINNED);
    }

    /// Unpins.
    pub(super) fn park(&mut self) {
        self.pin = None;
        self.bell = NEVER;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    fn due_after_some_rounds(due: &AtomicBool) -> bool {
        // Tests beside this one are pinned now and then, so rounds alone do not tell; the deadline is for a failure.
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
    fn garbage_becomes_due_when_nobody_is_pinned() {
        assert!(due_after_some_rounds(&defer_flag()));
    }

    #[test]
    fn a_pinned_participant_holds_garbage_back_until_it_refreshes_or_parks() {
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
        thread_local! {
            static LATE: PinsWhenDropped = const { PinsWhenDropped };
        }
        std::thread::spawn(|| {
            // Its destructor is registered first, so it runs after the participant's.
            LATE.with(|_| ());
            drop(pin());
        })
        .join()
        .unwrap();
    }
}
