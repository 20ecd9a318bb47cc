//! Locks, and cells that are set once. Of the handle table only the inserts into a table with ownership take a lock.

#[cfg(all(loom, feature = "manager"))]
pub(crate) use modelled::{Condvar, Mutex};
#[cfg(all(any(loom, tsan), feature = "manager"))]
pub(crate) use once::OnceLock;
#[cfg(all(not(loom), feature = "manager"))]
pub(crate) use parking_lot::Mutex;
#[cfg(all(not(any(loom, tsan)), feature = "manager"))]
pub(crate) use std::sync::OnceLock;

#[cfg(loom)]
use loom::sync as platform;
#[cfg(not(loom))]
use std::sync as platform;

/// A lock that a panic does not poison. It needs no other crate, so that the handle table alone can use it.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(platform::Mutex<T>);

pub(crate) type LockGuard<'l, T> = platform::MutexGuard<'l, T>;

impl<T> Lock<T> {
    /// Waits for the lock.
    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A condition variable. A thread that makes the condition true must then take the lock and notify.
#[cfg(all(not(loom), feature = "manager"))]
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

#[cfg(all(not(loom), feature = "manager"))]
impl Condvar {
    /// Blocks while the condition holds.
    pub(crate) fn wait_while(&self, mutex: &Mutex<()>, holds: impl Fn() -> bool) {
        self.0.wait_while(&mut mutex.lock(), |()| holds());
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(all(loom, feature = "manager"))]
mod modelled {
    use std::sync::PoisonError;

    /// Loom's mutex with the interface of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Loom's condition variable with the interface of the one above.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn wait_while(&self, mutex: &Mutex<()>, holds: impl Fn() -> bool) {
            let mut guard = mutex.lock();
            while holds() {
                guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(all(any(loom, tsan), feature = "manager"))]
mod once {
    #[cfg(loom)]
    use loom::sync::atomic::AtomicBool;
    #[cfg(not(loom))]
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;

    /// std's `OnceLock`, and a flag with its orderings. Loom and ThreadSanitizer see the flag, but not into std.
    ///
    /// The closure that makes the value must not take a step of loom's, or two threads could wait for each other.
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
            // Acquire, paired with the swap in `get_or_init`.
            if self.set.load(Ordering::Acquire) { self.cell.get() } else { None }
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let value = self.cell.get_or_init(make);
            // AcqRel, paired with itself and with `get`: a thread that finds the value made by another synchronizes with
            // it, as with std's. Hence no plain store.
            self.set.swap(true, Ordering::AcqRel);
            value
        }
    }
}
