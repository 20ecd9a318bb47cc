//! Fault points: marked places inside operations of several steps, where a hook can stop the thread, and allocations that can be
//! refused. For tests only: without `--cfg mgm_instrumented` both are nothing.
//!
//! A thread may be stopped between any two of its steps, for ever. What other threads then find depends on the place, so each point
//! stands at the worst one: an operation is announced and not performed, a slot is on no list, a lock is held. A thread stops only
//! at points for which it has set a hook itself; other threads pass the same point.
//!
//! Each room declares its points with [`points!`] in a file of its own; `fault_points` in lib.rs collects them.

/// Declares the fault points of a room: `/// the state in which a thread stopped there leaves things` and a name, each.
macro_rules! points {
    ($($(#[doc = $state:literal])+ $name:ident,)+) => {
        $(
            $(#[doc = $state])+
            #[cfg_attr(not(mgm_instrumented), allow(unreachable_pub, reason = "reachable in an instrumented build"))]
            pub const $name: $crate::faults::Point =
                $crate::faults::Point::new(stringify!($name), concat!($($state),+));
        )+

        /// Every fault point of this room, in the order of its operations.
        #[cfg(mgm_instrumented)]
        pub const ALL: &[$crate::faults::Point] = &[$($name),+];
    };
}
pub(crate) use points;

/// A place where a thread can be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    #[cfg(mgm_instrumented)]
    name: &'static str,
    #[cfg(mgm_instrumented)]
    state: &'static str,
}

#[cfg(not(mgm_instrumented))]
impl Point {
    pub(crate) const fn new(_name: &'static str, _state: &'static str) -> Point {
        Point {}
    }
}

#[cfg(mgm_instrumented)]
impl Point {
    pub(crate) const fn new(name: &'static str, state: &'static str) -> Point {
        Point { name, state: state.trim_ascii() }
    }

    /// The name of its constant.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Describes the state in which a thread that is stopped here leaves things.
    #[must_use]
    pub const fn state(self) -> &'static str {
        self.state
    }
}

#[cfg(mgm_instrumented)]
impl std::fmt::Debug for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(not(mgm_instrumented))]
#[inline(always)]
pub(crate) fn point(_: Point) {}

#[cfg(not(mgm_instrumented))]
#[inline(always)]
pub(crate) fn memory_is_granted() -> bool {
    true
}

#[cfg(mgm_instrumented)]
pub(crate) use hook::point;
#[cfg(mgm_instrumented)]
pub use hook::{Stop, clear, set, stop_at_random};
#[cfg(mgm_instrumented)]
pub(crate) use memory::memory_is_granted;
#[cfg(mgm_instrumented)]
pub use memory::{memory_refused_at, refuse_memory};

#[cfg(mgm_instrumented)]
mod memory {
    use std::cell::Cell;
    use std::panic::Location;

    thread_local! {
        /// The refused allocation's number, counted from the next one; 0: none is refused.
        static REFUSED: Cell<u64> = const { Cell::new(0) };
        static AT: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
    }

    /// Refuses the `nth` allocation that this thread makes from now on: the next one if `nth` is 1, none if it is 0.
    ///
    /// Only allocations that can fail with an error count.
    pub fn refuse_memory(nth: u64) {
        REFUSED.set(nth);
        AT.set(None);
    }

    /// Returns the place of the allocation that was refused since [`refuse_memory`]; `None` if none was.
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

#[cfg(mgm_instrumented)]
mod hook {
    use super::Point;
    use std::cell::{Cell, RefCell};
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    type Hook = Box<dyn FnMut(Point)>;

    thread_local! {
        /// Whether `HOOK` is set. Apart from it, because it has no destructor: a thread without a hook registers nothing
        /// with the platform.
        static IS_SET: Cell<bool> = const { Cell::new(false) };
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Calls this thread's hook, if it has one. Stands at each fault point.
    #[inline]
    pub(crate) fn point(at: Point) {
        if IS_SET.get() {
            call(at);
        }
    }

    #[cold]
    fn call(at: Point) {
        // A thread has no hook any more when its thread-locals are destroyed; points inside the hook itself do not count.
        let _ = HOOK.try_with(|hook| {
            if let Ok(mut hook) = hook.try_borrow_mut()
                && let Some(hook) = hook.as_mut()
            {
                hook(at);
            }
        });
    }

    /// Calls `hook` at each fault point that this thread reaches, until [`clear`]. The hook may block.
    pub fn set(hook: impl FnMut(Point) + 'static) {
        HOOK.with(|h| *h.borrow_mut() = Some(Box::new(hook)));
        IS_SET.set(true);
    }

    /// Removes this thread's hook.
    pub fn clear() {
        IS_SET.set(false);
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
        is_stopped: bool,
        may_continue: bool,
    }

    impl Stop {
        /// Creates a stop at this point, for any thread.
        #[must_use]
        pub fn at(at: Point) -> Arc<Stop> {
            Arc::new(Stop { at, state: Mutex::default(), changed: Condvar::new() })
        }

        /// Makes the calling thread stop the next time it reaches the point, until [`go_on`](Self::go_on).
        pub fn here(self: &Arc<Self>) {
            let stop = self.clone();
            set(move |at| stop.reached(at));
        }

        fn reached(&self, at: Point) {
            let mut state = self.lock();
            if at != self.at || state.is_stopped {
                return;
            }
            state.is_stopped = true;
            self.changed.notify_all();
            while !state.may_continue {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }

        /// Blocks until the thread has stopped, at most for `max`. Returns whether it has.
        #[must_use]
        pub fn wait(&self, max: Duration) -> bool {
            let until = Instant::now() + max;
            let mut state = self.lock();
            while !state.is_stopped {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.changed.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
            state.is_stopped
        }

        /// Returns whether the thread has reached the point.
        #[must_use]
        pub fn is_reached(&self) -> bool {
            self.lock().is_stopped
        }

        /// Lets the thread continue. A thread that has not reached the point yet will not stop there.
        pub fn go_on(&self) {
            self.lock().may_continue = true;
            self.changed.notify_all();
        }

        fn lock(&self) -> std::sync::MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Stops the calling thread at one point in 64 on average, from now on.
    ///
    /// Most stops last for some microseconds, one in eight up to 3 milliseconds, and one in 512 up to 50. The same seed stops
    /// the thread at the same of its points.
    pub fn stop_at_random(seed: u64) {
        let mut state = seed;
        let mut roll = move |sides: u64| {
            // Steele, Lea, Flood: SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ mixed >> 31) % sides
        };
        set(move |_| {
            if roll(64) == 0 {
                let max = match roll(512) {
                    0 => 50_000,
                    n if n % 8 == 0 => 3_000,
                    _ => 50,
                };
                std::thread::sleep(Duration::from_micros(roll(max) + 1));
            }
        });
    }
}
