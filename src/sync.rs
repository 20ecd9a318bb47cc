//! Atomics, cells, thread-locals and statics: std's, or loom's under `--cfg loom`. Only this room knows which.
//!
//! - [`Word`] is the atomic of the handle table and of some counters.
//! - [`SteppedWord`] is the atomic of the claim protocol. In tests, every access to one and every [`stepped_fence`] first
//!   calls the hook that its thread has set. So a scheduler can run real threads access by access, in any order
//!   ([`stepping`]).
//! - [`global!`] and [`thread_local!`] make what belongs to the process, or to one execution of a model.

#[cfg(loom)]
use loom as platform;
#[cfg(not(loom))]
use std as platform;

mod locks;
#[cfg_attr(not(mgm_instrumented), allow(unreachable_pub, reason = "reachable in an instrumented build"))]
pub mod stepping;

#[cfg(feature = "manager")]
pub(crate) use locks::{Condvar, Mutex, OnceLock};
pub(crate) use locks::{Lock, LockGuard};
#[cfg(all(loom, feature = "manager"))]
pub(crate) use loom::cell::MutPtr;
#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
pub(crate) use platform::sync::Arc;
pub(crate) use platform::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
#[cfg(feature = "manager")]
pub(crate) use platform::sync::atomic::{AtomicU32, AtomicUsize};
pub(crate) use platform::thread::yield_now;
pub(crate) use platform::thread_local;
use stepping::Access;

/// Declares a function that is `const` outside loom; loom makes nothing at compile time.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty)?) -> $result:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$attribute])*
        $visibility const fn $name($($argument: $type)?) -> $result $body
        #[cfg(loom)]
        $(#[$attribute])*
        $visibility fn $name($($argument: $type)?) -> $result $body
    };
}
pub(crate) use const_fn;

/// Declares a function that returns a reference to a value of the process, or under loom to one of the execution.
///
/// `const` values are made at compile time, `lazy` ones when the function is first called. `[value; n]` stands for an
/// array of values made one by one.
macro_rules! global {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident() -> const [$type:ty; $len:expr] = $value:expr;) => {
        $(#[$attribute])*
        #[inline]
        $visibility fn $name() -> &'static [$type; $len] {
            #[cfg(not(loom))]
            static VALUE: [$type; $len] = [const { $value }; $len];
            #[cfg(loom)]
            loom::lazy_static! { static ref VALUE: [$type; $len] = std::array::from_fn(|_| $value); }
            &VALUE
        }
    };
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident() -> const $type:ty = $value:expr;) => {
        $(#[$attribute])*
        #[inline]
        $visibility fn $name() -> &'static $type {
            #[cfg(not(loom))]
            static VALUE: $type = $value;
            #[cfg(loom)]
            loom::lazy_static! { static ref VALUE: $type = $value; }
            &VALUE
        }
    };
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident() -> lazy $type:ty = $value:expr;) => {
        $(#[$attribute])*
        #[inline]
        $visibility fn $name() -> &'static $type {
            #[cfg(not(loom))]
            static VALUE: std::sync::LazyLock<$type> = std::sync::LazyLock::new(|| $value);
            #[cfg(loom)]
            loom::lazy_static! { static ref VALUE: $type = $value; }
            &VALUE
        }
    };
}
pub(crate) use global;

/// A 64-bit atomic word.
///
/// Outside loom it is an [`AtomicU64`] and nothing else. Under loom 0.7 it makes up for two limits of loom. A plain store
/// that follows a read-modify-write of another thread is left unordered after it, which raises false alarms, so stores
/// are made as swaps. Loom also keeps only the last access of an object, so a model in which a thread only reads may
/// explore a single execution. With the environment variable `LOOM_LOADS_AS_RMW` set, loads are made as `fetch_add(0)`,
/// for a second run of the same model.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

impl Word {
    const_fn! {
        pub(crate) fn new(value: u64) -> Self {
            Word(AtomicU64::new(value))
        }
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        if cfg!(loom) && loads_as_rmw() {
            return self.0.fetch_add(0, order);
        }
        self.0.load(order)
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        if cfg!(loom) {
            self.0.swap(value, order);
        } else {
            self.0.store(value, order);
        }
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

fn loads_as_rmw() -> bool {
    static SET: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *SET.get_or_init(|| std::env::var_os("LOOM_LOADS_AS_RMW").is_some())
}

/// A word of the claim protocol: a [`Word`] that calls the stepping hook before each access.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct SteppedWord(Word);

impl SteppedWord {
    const_fn! {
        pub(crate) fn new(value: u64) -> Self {
            SteppedWord(Word::new(value))
        }
    }

    /// Returns the same word, for accesses that are no part of the claim protocol.
    #[inline(always)]
    pub(crate) fn unstepped(&self) -> &Word {
        &self.0
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        stepping::step(Access::Load, self.address());
        self.0.load(order)
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        stepping::step(Access::Store { value }, self.address());
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
        stepping::step(Access::CompareExchange { current, new }, self.address());
        self.0.compare_exchange(current, new, success, failure)
    }

    /// Returns the address by which the hook and tests identify the word.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Fences, as part of the claim protocol.
#[inline(always)]
pub(crate) fn stepped_fence(order: Ordering) {
    stepping::step(Access::Fence, 0);
    fence(order);
}

/// A cell of which loom checks every access; outside loom, [`std::cell::UnsafeCell`].
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer to the content, for reads.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer to the content, for writes.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    /// Begins an access that lasts as long as the pointer that is returned.
    #[cfg(feature = "manager")]
    #[inline(always)]
    pub(crate) fn get_mut(&self) -> MutPtr<T> {
        MutPtr(self.0.get())
    }
}

/// A pointer to the content of a cell, for one access.
#[cfg(all(not(loom), feature = "manager"))]
pub(crate) struct MutPtr<T>(*mut T);

#[cfg(all(not(loom), feature = "manager"))]
impl<T> MutPtr<T> {
    /// Returns the content.
    ///
    /// # Safety
    /// The cell is still there, and no other thread accesses its content.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "as loom's")]
    pub(crate) unsafe fn deref(&self) -> &mut T {
        // SAFETY: passed on.
        unsafe { &mut *self.0 }
    }
}
