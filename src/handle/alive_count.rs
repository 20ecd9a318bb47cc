//! How a table counts the objects that are alive: exactly under a short lock, or about.

use crate::sync::{Lock, LockGuard, Ordering, Word};
use crossbeam_utils::CachePadded;
use std::cell::Cell;

/// A count of objects.
pub trait AliveCount: Default + Send + Sync {
    /// Returns the exact count, if this is one.
    fn exact(&self) -> Option<&ExactCount>;

    /// Counts a retired object with a slot that is kept out of limbo.
    fn retired(&self);

    /// Counts a slot that was kept and enters limbo.
    fn entered_limbo(&self);

    /// Returns about how many objects are alive, where `in_use` slots are neither free nor in limbo.
    fn alive(&self, in_use: u64) -> u64;
}

/// The count of a table without ownership. Inserts and removals do not write to it, so that threads do not meet there.
#[derive(Debug, Default)]
pub struct AboutCount {
    /// The number of retired slots that a `Retired` keeps out of limbo. All accesses are Relaxed: a count.
    kept: CachePadded<Word>,
}

impl AliveCount for AboutCount {
    #[inline(always)]
    fn exact(&self) -> Option<&ExactCount> {
        None
    }

    fn retired(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    fn entered_limbo(&self) {
        self.kept.fetch_add(u64::MAX, Ordering::Relaxed);
    }

    fn alive(&self, in_use: u64) -> u64 {
        in_use.saturating_sub(self.kept.load(Ordering::Relaxed))
    }
}

/// The count of a table with ownership. Inserts take turns; retirements do not wait for them.
///
/// A retiring thread counts its object after the retirement took effect. So the difference of the two numbers, read by the
/// thread that has the lock, is never less than the number of objects that are alive.
#[derive(Debug, Default)]
pub struct ExactCount {
    turn: CachePadded<Turn>,
    /// The number of objects that were ever retired.
    retired: CachePadded<Word>,
}

#[derive(Debug, Default)]
struct Turn {
    lock: Lock<()>,
    /// The token of the thread that has the lock, or 0. Relaxed: a thread finds its own token only if it stored it.
    holder: Word,
    /// The inserts that the thread which has the lock is in the middle of: more than one if the closure that makes an
    /// object inserts another one.
    open: Word,
    /// The number of objects that were ever inserted. Written with the lock.
    inserted: Word,
}

std::thread_local! {
    /// Its address identifies a running thread.
    static TOKEN: Cell<u8> = const { Cell::new(0) };
}

/// Returns a number that no other running thread has. Under loom, where no closure inserts, every thread has the same, and
/// no thread finds it.
fn token() -> u64 {
    TOKEN.with(|token| std::ptr::from_ref(token).addr() as u64)
}

impl ExactCount {
    /// Waits for the turn of the calling thread. A thread that has it already does not wait.
    pub(super) fn turn(&self) -> InsertTurn<'_> {
        let Turn { lock, holder, open, .. } = &*self.turn;
        let nested = !cfg!(loom) && holder.load(Ordering::Relaxed) == token();
        let guard = (!nested).then(|| lock.lock());
        if !nested {
            holder.store(token(), Ordering::Relaxed);
        }
        // Relaxed, here and below: accessed with the lock only.
        open.store(open.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        InsertTurn { count: self, _guard: guard }
    }

    /// Returns a number of objects that is at least the number of those that were alive at some instant of the call. Exact
    /// when nothing changes meanwhile.
    pub(super) fn estimate(&self) -> u64 {
        // Acquire, paired with `retired`: what is counted here was retired before. Read first, so that the difference is not
        // negative: each object is counted as inserted before it can be retired.
        let retired = self.retired.load(Ordering::Acquire);
        // Relaxed: written with the lock, by the calling thread or before it took the lock; else a count.
        self.turn.inserted.load(Ordering::Relaxed).saturating_sub(retired)
    }
}

impl AliveCount for ExactCount {
    #[inline(always)]
    fn exact(&self) -> Option<&ExactCount> {
        Some(self)
    }

    fn retired(&self) {
        // Release, paired with `estimate`.
        self.retired.fetch_add(1, Ordering::Release);
    }

    fn entered_limbo(&self) {}

    fn alive(&self, _in_use: u64) -> u64 {
        self.estimate()
    }
}

/// The turn of a thread that inserts, until dropped.
pub(super) struct InsertTurn<'c> {
    count: &'c ExactCount,
    /// None in a turn within another one of the same thread.
    _guard: Option<LockGuard<'c, ()>>,
}

impl InsertTurn<'_> {
    /// Returns the number of inserts that the calling thread is in the middle of, apart from this one.
    pub(super) fn outer(&self) -> u64 {
        self.count.turn.open.load(Ordering::Relaxed) - 1
    }

    /// Counts an object that the calling thread is about to make visible.
    pub(super) fn inserted(&self) {
        let inserted = &self.count.turn.inserted;
        inserted.store(inserted.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl Drop for InsertTurn<'_> {
    fn drop(&mut self) {
        let Turn { holder, open, .. } = &*self.count.turn;
        let outer = self.outer();
        open.store(outer, Ordering::Relaxed);
        if outer == 0 {
            holder.store(0, Ordering::Relaxed);
        }
    }
}
