//! Marked points inside operations that take more than one step, and a hook that stops threads there. For tests only: without
//! the feature `faults` a point is nothing.
//!
//! A thread may be stopped between any two of its steps, for ever. What others find then depends on where, so each point
//! stands where it would be worst: something is announced and not done, done and not noted, out of one list and not in the
//! next, or a lock is held. A thread stops only where it has set a hook for itself; others pass the same point.

/// Declares the points, each with what a thread stopped there has done and left undone.
macro_rules! points {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// Where a thread can be stopped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $($(#[doc = $what])+ $name,)+
        }

        #[cfg(all(feature = "faults", not(loom)))]
        impl Point {
            /// Every point, from the ground up.
            pub const ALL: &[Point] = &[$(Point::$name),+];

            /// What a thread that is stopped there has done and left undone.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Point::$name => concat!($($what),+).trim_ascii()),+
                }
            }
        }
    };
}

points! {
    // The claim step.
    /// a descriptor that is being written, its fields of two uses
    DescriptorHalfWritten,
    /// a claim or release that is announced, and nothing more
    ClaimAnnounced,
    /// the owner word found as expected, and that not noted
    ClaimConfirmed,
    /// that noted, and the owner word not changed
    ClaimSeen,
    /// the owner word changed, and that not noted
    ClaimActed,
    /// that noted, and the claim word still busy
    ClaimUnsettled,
    /// the claim word settled, and the outcome not read
    ClaimSettled,
    /// another's operation read from its descriptor, to be finished
    HelperBegun,
    /// another's owner word found as expected, and that not noted
    HelperConfirmed,
    /// another's owner word about to be changed
    HelperSeen,
    /// another's owner word changed, and that not noted
    HelperActed,
    /// another's claim word about to be settled
    HelperUnsettled,
    /// a count frozen at nothing, and the handle still live
    RetireClosed,
    // Slots, and what becomes of them.
    /// memory for slots that is in no directory yet
    SegmentMade,
    /// the top of a free list read, and not taken
    FreeListPopping,
    /// a chunk of slots that were never used, on no list
    ChunkInHand,
    /// a slot in hand that is on no list, and nothing in it
    SlotVacant,
    /// a value and a claim word in a slot, and no handle
    SlotHalfOpened,
    /// a handle that is dead, and its slot on no list
    SlotRetired,
    /// a slot linked to those in limbo, and not among them
    LimboPushing,
    /// a cell for a batch reserved, and nothing in it
    BatchFilling,
    /// a batch taken out of limbo, and in no cell
    BatchTaken,
    /// a batch in its cell, and the epoch not told of it
    BatchUntold,
    /// the epoch about to be advanced, by a thread that is pinned
    EpochAdvancing,
    /// a grace period that is over, and its batch not marked
    BatchRipening,
    /// a mature batch counted as taken, and not taken
    BatchReaping,
    /// a mature batch in hand, and its values not dropped
    BatchInHand,
    /// its values dropped, and its slots on no list
    SlotsInHand,
    /// slots linked to a free list, and not on it
    FreeListPushing,
    /// memory for owner words that is in no directory yet
    OwnersMade,
    /// two owner words given out, and nothing in them
    OwnersUnset,
    // Readers.
    /// a thread pinned for one look
    GuardPinned,
    /// a Reader between one pin and the next
    ReaderUnpinned,
    /// a Reader pinned, and nothing looked at
    ReaderPinned,
    // The forwarding table; its writer lock is held.
    /// an entry that no lane leads to yet
    EntryUnpublished,
    /// full buckets passed by an entry, and the entry not there
    LaneOverflowing,
    /// an entry in its lane, and not counted
    EntryUncounted,
    /// an entry in the place of another, which is still there
    EntryReplaced,
    /// a lane emptied, and those who passed still counted
    LaneEmptied,
    /// an entry that no lane leads to any more, and that is still there
    EntryWithdrawn,
    /// a larger array of lanes, half filled
    LanesFilling,
    /// a larger array of lanes, filled and not shown
    LanesUnshown,
    /// a larger array of lanes shown, and nothing put in
    LanesShown,
    // Counters.
    /// room made for a number's counts, and the number not given out; the counters are locked
    NumberUnopened,
    /// a worker's counts of an old number half cleared for a new one
    CountsHalfCleared,
    // The manager.
    /// a handle in the table of clients, and its protocol half entered; its name is locked
    ClientHalfEntered,
    /// a client in the table, and no way to it; its name is locked
    ClientWithoutOutlet,
    /// an interface's record made, and not in the index; no other can be made
    InterfaceUnlisted,
    /// an interface taken, and nothing that follows from it
    TakeEffective,
    /// an interface released, and nothing that follows from it
    ReleaseEffective,
    /// a client's handle retired, and nothing that follows from it
    DeregisterEffective,
    /// the membership lock, and an interface said to be in use
    MembershipLocked,
    /// the membership lock, and a membership added whose entries are not published
    MembershipHalfAdded,
    /// the membership lock, and an entry published that is on no list
    FlowUnlisted,
    /// a flow whose entry is being made
    FlowBuilding,
    /// a notice out of its outbox, and not told
    NoticeInHand,
    /// a client's gate entered, and the client not looked at
    GateEntered,
    /// a flow that waits, and is not in the queue
    UpcallUnqueued,
    /// a flow out of the queue, and still said to be in it
    UpcallInHand,
}

#[cfg(not(all(feature = "faults", not(loom))))]
#[inline(always)]
pub(crate) fn point(_: Point) {}

#[cfg(not(all(feature = "faults", not(loom))))]
#[inline(always)]
pub(crate) fn memory_is_granted() -> bool {
    true
}

#[cfg(all(feature = "faults", not(loom)))]
pub(crate) use hook::point;
#[cfg(all(feature = "faults", not(loom)))]
pub use hook::{Stop, clear, set, stop_at_random};
#[cfg(all(feature = "faults", not(loom)))]
pub(crate) use memory::memory_is_granted;
#[cfg(all(feature = "faults", not(loom)))]
pub use memory::{memory_refused_at, refuse_memory};

#[cfg(all(feature = "faults", not(loom)))]
mod memory {
    use std::cell::Cell;
    use std::panic::Location;

    thread_local! {
        /// How many allocations are granted before one is refused; none is, if it is 0.
        static REFUSED: Cell<u64> = const { Cell::new(0) };
        static AT: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
    }

    /// Has the `nth` allocation that this thread makes from now on, of those that can be, refused: the next, if it is 1;
    /// none, if it is 0.
    pub fn refuse_memory(nth: u64) {
        REFUSED.set(nth);
        AT.set(None);
    }

    /// Which allocation was refused since, if one was.
    #[must_use]
    pub fn memory_refused_at() -> Option<&'static Location<'static>> {
        AT.get()
    }

    #[track_caller]
    pub(crate) fn memory_is_granted() -> bool {
        let left = REFUSED.get();
        REFUSED.set(left.saturating_sub(1));
        if left == 1 {
            AT.set(Some(Location::caller()));
        }
        left != 1
    }
}

#[cfg(all(feature = "faults", not(loom)))]
mod hook {
    use super::Point;
    use std::cell::{Cell, RefCell};
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    type Hook = Box<dyn FnMut(Point)>;

    thread_local! {
        /// Apart from the hook, because it has no destructor: threads without a hook note nothing with the platform.
        static SET: Cell<bool> = const { Cell::new(false) };
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// This thread has come to a point.
    #[inline]
    pub(crate) fn point(at: Point) {
        if SET.get() {
            call(at);
        }
    }

    #[cold]
    fn call(at: Point) {
        // A thread whose locals are gone has no hook any more; points that it comes to inside its hook do not count.
        let _ = HOOK.try_with(|hook| {
            if let Ok(mut hook) = hook.try_borrow_mut()
                && let Some(hook) = hook.as_mut()
            {
                hook(at);
            }
        });
    }

    /// Has `hook` called on this thread at each point it comes to, until [`clear`]. It may block.
    pub fn set(hook: impl FnMut(Point) + 'static) {
        HOOK.with(|h| *h.borrow_mut() = Some(Box::new(hook)));
        SET.set(true);
    }

    /// Takes this thread's hook away.
    pub fn clear() {
        SET.set(false);
        HOOK.with(|h| *h.borrow_mut() = None);
    }

    /// Stops one thread at one point, once.
    pub struct Stop {
        at: Point,
        state: Mutex<State>,
        changed: Condvar,
    }

    #[derive(Default)]
    struct State {
        stopped: bool,
        may_go_on: bool,
    }

    impl Stop {
        /// For this point.
        #[must_use]
        pub fn at(at: Point) -> Arc<Stop> {
            Arc::new(Stop { at, state: Mutex::default(), changed: Condvar::new() })
        }

        /// Has the calling thread stop the next time it comes to the point, until it is told to go on.
        pub fn here(self: &Arc<Self>) {
            let stop = self.clone();
            set(move |at| stop.meet(at));
        }

        fn meet(&self, at: Point) {
            let mut state = self.lock();
            if at != self.at || state.stopped {
                return;
            }
            state.stopped = true;
            self.changed.notify_all();
            while !state.may_go_on {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }

        /// Waits until the thread has stopped; whether it has within that time.
        #[must_use]
        pub fn wait(&self, most: Duration) -> bool {
            let until = Instant::now() + most;
            let mut state = self.lock();
            while !state.stopped {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.changed.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
            state.stopped
        }

        /// Whether the thread has come to the point.
        #[must_use]
        pub fn is_reached(&self) -> bool {
            self.lock().stopped
        }

        /// Lets the thread go on; one that is yet to come does not stop.
        pub fn go_on(&self) {
            self.lock().may_go_on = true;
            self.changed.notify_all();
        }

        fn lock(&self) -> std::sync::MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Has the calling thread stop at one point in 64 on average: mostly for some microseconds, one time in eight for up
    /// to 3 milliseconds, and one time in 512 for up to 50. The same seed stops the thread at the same of its points.
    pub fn stop_at_random(seed: u64) {
        let mut dice = seed;
        let mut roll = move |sides: u64| {
            // Steele, Lea, Flood: SplitMix64.
            dice = dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (dice ^ dice >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ mixed >> 31) % sides
        };
        set(move |_| {
            if roll(64) == 0 {
                let most = match roll(512) {
                    0 => 50_000,
                    n if n % 8 == 0 => 3_000,
                    _ => 50,
                };
                std::thread::sleep(Duration::from_micros(roll(most) + 1));
            }
        });
    }
}
