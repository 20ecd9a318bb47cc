//! Atomics, cells and threads: std's, or loom's under `--cfg loom`. The only file that knows which.
//!
//! [`Word`] is the atomic of the handle room and of some counters, and [`SteppedWord`] that of the claim step: in tests
//! (and under the feature `stepped`) every access to one, and every [`stepped_fence`], first calls the hook its thread has
//! set, so that a scheduler can run real threads access by access in any order it likes.

#[cfg(loom)]
pub(crate) use self::locks::{Condvar, Mutex};
#[cfg(any(loom, tsan))]
pub(crate) use self::once::OnceLock;
#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc,
    atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(any(loom, tsan)))]
pub(crate) use std::sync::OnceLock;
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Where threads wait for a condition. Whoever makes it true must then take the lock and notify.
#[cfg(not(loom))]
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

#[cfg(not(loom))]
impl Condvar {
    /// Waits while the condition holds.
    pub(crate) fn wait_while(&self, mutex: &Mutex<()>, holds: impl Fn() -> bool) {
        self.0.wait_while(&mut mutex.lock(), |()| holds());
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A 64-bit atomic word.
///
/// Outside loom it is an [`AtomicU64`] and nothing else. Under loom 0.7 it makes up for two of loom's habits. A plain
/// store that follows another thread's read-modify-write of the word is left unordered after it, which raises false
/// alarms: stores are made as swaps. And loom keeps one last access an object, so a model in which a thread only reads
/// may explore a single execution: with the environment variable `LOOM_LOADS_AS_RMW` set, loads are made as
/// `fetch_add(0)`, for a second run of the same model.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros, zerocopy::KnownLayout))]
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

impl Word {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: u64) -> Self {
        Word(AtomicU64::new(value))
    }

    #[cfg(loom)]
    pub(crate) fn new(value: u64) -> Self {
        Word(AtomicU64::new(value))
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        #[cfg(loom)]
        if loads_as_rmw() {
            return self.0.fetch_add(0, order);
        }
        self.0.load(order)
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        #[cfg(loom)]
        self.0.swap(value, order);
        #[cfg(not(loom))]
        self.0.store(value, order);
    }

    #[inline(always)]
    pub(crate) fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.0.swap(value, order)
    }

    #[inline(always)]
    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    #[inline(always)]
    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.0.compare_exchange(current, new, success, failure)
    }
}

#[cfg(loom)]
fn loads_as_rmw() -> bool {
    static SET: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *SET.get_or_init(|| std::env::var_os("LOOM_LOADS_AS_RMW").is_some())
}

/// A word of the claim step: a [`Word`] whose accesses can be stepped.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct SteppedWord(Word);

impl SteppedWord {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: u64) -> Self {
        SteppedWord(Word::new(value))
    }

    #[cfg(loom)]
    pub(crate) fn new(value: u64) -> Self {
        SteppedWord(Word::new(value))
    }

    /// The same word for accesses that are no part of the claim step.
    #[inline(always)]
    pub(crate) fn unstepped(&self) -> &Word {
        &self.0
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        #[cfg(all(not(loom), any(test, mgm_instrumented)))]
        stepping::step(stepping::Access::Load, self.address());
        self.0.load(order)
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        #[cfg(all(not(loom), any(test, mgm_instrumented)))]
        stepping::step(stepping::Access::Store { value }, self.address());
        self.0.store(value, order);
    }

    #[inline(always)]
    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        #[cfg(all(not(loom), any(test, mgm_instrumented)))]
        stepping::step(stepping::Access::CompareExchange { current, new }, self.address());
        self.0.compare_exchange(current, new, success, failure)
    }

    /// What the hook is told, and what a test looks up to learn which word it is.
    #[cfg(all(not(loom), any(test, mgm_instrumented)))]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// A fence of the claim step.
#[inline(always)]
pub(crate) fn stepped_fence(order: Ordering) {
    #[cfg(all(not(loom), any(test, mgm_instrumented)))]
    stepping::step(stepping::Access::Fence, 0);
    fence(order);
}

/// A cell whose every access loom checks; outside loom, [`std::cell::UnsafeCell`].
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    /// An access that lasts for as long as what is returned.
    #[inline(always)]
    pub(crate) fn get_mut(&self) -> MutPtr<T> {
        MutPtr(self.0.get())
    }
}

/// Leads to what is in a cell, for one access.
#[cfg(not(loom))]
pub(crate) struct MutPtr<T>(*mut T);

#[cfg(not(loom))]
impl<T> MutPtr<T> {
    /// # Safety
    /// The cell is there, and nobody else accesses what is in it.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "as loom's")]
    pub(crate) unsafe fn deref(&self) -> &mut T {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.0 }
    }
}

#[cfg(loom)]
pub(crate) use loom::cell::{MutPtr, UnsafeCell};

/// Lets others run before a bounded retry.
#[inline]
pub(crate) fn yield_now() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::thread::yield_now();
}

/// Running the claim step access by access. For tests only.
#[cfg(all(not(loom), any(test, mgm_instrumented)))]
#[cfg_attr(not(mgm_instrumented), allow(unreachable_pub, reason = "reachable in an instrumented build"))]
pub mod stepping {
    use std::cell::RefCell;

    /// What the thread is about to do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Access {
        /// Load the word.
        Load,
        /// Store this value.
        Store {
            /// The value.
            value: u64,
        },
        /// Replace `current` by `new`.
        CompareExchange {
            /// What it must read to succeed.
            current: u64,
            /// What it then writes.
            new: u64,
        },
        /// A fence; its address is 0.
        Fence,
    }

    type Hook = Box<dyn FnMut(Access, usize)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Has `hook` called on this thread before each shared access of the claim step, with the access and the address
    /// of the word, until [`clear`]. It may block; accesses made inside it are not stepped.
    pub fn set(hook: impl FnMut(Access, usize) + 'static) {
        HOOK.with(|h| *h.borrow_mut() = Some(Box::new(hook)));
    }

    /// Takes this thread's hook away.
    pub fn clear() {
        HOOK.with(|h| *h.borrow_mut() = None);
    }

    pub(super) fn step(access: Access, address: usize) {
        // A thread whose locals are gone has no hook any more; one inside its hook is not stepped.
        let _ = HOOK.try_with(|h| {
            if let Ok(mut hook) = h.try_borrow_mut()
                && let Some(hook) = hook.as_mut()
            {
                hook(access, address);
            }
        });
    }

    #[cfg(test)]
    mod tests {
        use super::super::{Ordering, SteppedWord};
        use super::*;
        use std::rc::Rc;

        #[test]
        fn the_hook_sees_each_access_before_it_happens() {
            let word = Rc::new(SteppedWord::new(1));
            let seen = Rc::new(RefCell::new(Vec::new()));
            let (w, s) = (word.clone(), seen.clone());
            set(move |access, address| {
                assert_eq!(address, w.address());
                s.borrow_mut().push((access, w.unstepped().load(Ordering::Relaxed)));
            });
            word.store(2, Ordering::Relaxed);
            assert_eq!(word.load(Ordering::Relaxed), 2);
            assert_eq!(word.compare_exchange(2, 3, Ordering::AcqRel, Ordering::Acquire), Ok(2));
            clear();
            word.store(4, Ordering::Relaxed);
            assert_eq!(
                *seen.borrow(),
                [
                    (Access::Store { value: 2 }, 1),
                    (Access::Load, 2),
                    (Access::CompareExchange { current: 2, new: 3 }, 2)
                ]
            );
        }
    }
}

#[cfg(loom)]
mod locks {
    /// loom's mutex with the face of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// loom's condition variable with the face of the one above.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn wait_while(&self, mutex: &Mutex<()>, holds: impl Fn() -> bool) {
            let mut guard = mutex.lock();
            while holds() {
                guard = self.0.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(any(loom, tsan))]
mod once {
    use super::Ordering;
    #[cfg(loom)]
    use loom::sync::atomic::AtomicBool;
    #[cfg(not(loom))]
    use std::sync::atomic::AtomicBool;

    /// std's `OnceLock`, and a flag with its orderings that loom knows of, and ThreadSanitizer, which does not see into
    /// std. What is put in must not take a step of loom's in the making, or two makers could wait for each other.
    #[derive(Debug, Default)]
    pub(crate) struct OnceLock<T> {
        cell: std::sync::OnceLock<T>,
        set: AtomicBool,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            OnceLock { cell: std::sync::OnceLock::new(), set: AtomicBool::new(false) }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.set.load(Ordering::Acquire) { self.cell.get() } else { None }
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let value = self.cell.get_or_init(make);
            // Whoever finds it made by another synchronizes with that one, as with std's: hence no plain store.
            self.set.swap(true, Ordering::AcqRel);
            value
        }
    }
}
