//! Dropping the values of removed objects: destructors are foreign code, may panic, and may use every table.
//!
//! A destructor that uses a table may cause a reclamation, which runs destructors again. Such reclamations nest to a
//! bounded depth only. Beyond it the values are left to the calls further out: the outermost one goes on as long as batches
//! are ready.

use super::layout::Layout;
use super::slot::Slot;
use crate::foreign_code::{self, Panicked};
use std::cell::Cell;

/// The nested reclamations that a thread may be in the middle of.
const MAX_DEPTH: u32 = 3;

std::thread_local! {
    /// The reclamations that the thread is in the middle of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

fn depth() -> u32 {
    // A thread-local without a destructor is there until the thread ends.
    DEPTH.try_with(Cell::get).unwrap_or(MAX_DEPTH)
}

/// Returns whether the calling thread runs a destructor of a removed value.
pub(super) fn is_nested() -> bool {
    depth() > 0
}

/// Returns whether the calling thread may run destructors of removed values.
pub(super) fn is_allowed() -> bool {
    depth() < MAX_DEPTH || planted!("destructors-nest")
}

/// Counts a reclamation until dropped.
struct Nested;

impl Nested {
    fn enter() -> Nested {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
        Nested
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

/// A value of a caller, kept while destructors of other values run. If the call unwinds because of them, the value's own
/// destructor runs contained: a panic of it would end the process.
pub(super) struct Contained<V>(Option<V>);

impl<V> Contained<V> {
    #[inline]
    pub(super) fn new(value: V) -> Self {
        Contained(Some(value))
    }

    /// Returns the value.
    #[inline]
    pub(super) fn into_inner(mut self) -> V {
        self.0.take().expect("taken once")
    }
}

impl<V> Drop for Contained<V> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            // The panic that is under way is the one to report.
            _ = foreign_code::contain(|| drop(value));
        }
    }
}

/// The panics of the destructors that one call ran.
#[derive(Debug, Default)]
pub(super) struct Panics {
    count: u32,
    first: Option<Panicked>,
}

impl Panics {
    /// Drops the values of the slots that `next` returns, each once, whatever the destructors do.
    ///
    /// # Safety
    /// Each slot holds a value, no other thread can read it any more, and the slot belongs to the caller.
    #[inline(always)]
    pub(super) unsafe fn drop_values<'s, T: 's, L: Layout>(
        &mut self,
        mut next: impl FnMut() -> Option<&'s Slot<T, L>>,
    ) {
        if std::mem::needs_drop::<T>() {
            // SAFETY: passed on.
            unsafe { self.run_destructors(next) };
        } else {
            while next().is_some() {}
        }
    }

    /// # Safety
    /// As [`drop_values`](Self::drop_values).
    unsafe fn run_destructors<'s, T: 's, L: Layout>(
        &mut self,
        mut next: impl FnMut() -> Option<&'s Slot<T, L>>,
    ) {
        let _nested = Nested::enter();
        // Again after each panic, from the slot after that of the panic.
        while let Err(panicked) = foreign_code::contain(|| {
            while let Some(slot) = next() {
                // SAFETY: passed on. `next` does not return the slot again.
                unsafe { slot.drop_value() };
            }
        }) {
            self.count = self.count.saturating_add(1);
            self.first.get_or_insert(panicked);
        }
    }

    /// Returns whether there is a panic to pass on.
    pub(super) fn is_due(&self) -> bool {
        self.count > 0 && !std::thread::panicking()
    }

    /// Panics if a destructor has, unless the thread is unwinding already. The payloads of destructors are not passed on:
    /// dropping them may panic again.
    pub(super) fn pass_on(self) {
        if self.is_due()
            && let Some(first) = self.first
        {
            panic!("{} destructors of removed values panicked, the first of them: {first}", self.count);
        }
    }
}
