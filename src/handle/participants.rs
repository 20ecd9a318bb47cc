//! The records of the epoch's participants: which of them are pinned, and since when.
//!
//! A record orders nothing and protects nothing. It only tells a thread that finds reclamation standing still how many
//! participants hold it back. So all accesses are Relaxed, and none of loom's: a model with them would have more executions
//! and no other outcome.

use crate::sync::{Ordering, Word};
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

/// The record of one participant. Written by its thread only, apart from `taken`.
#[derive(Default)]
pub(super) struct Record {
    /// The re-pin epoch when the participant was pinned, plus one; 0 when it is not pinned.
    pinned_at: AtomicU64,
    /// The nested pins of a thread.
    depth: AtomicU32,
    /// Whether a participant has this record.
    taken: AtomicBool,
    next: AtomicPtr<CachePadded<Record>>,
}

/// All records, linked. A record is never freed; it is taken again by a later participant.
static RECORDS: AtomicPtr<CachePadded<Record>> = AtomicPtr::new(std::ptr::null_mut());

/// The record of all participants under loom.
static NO_RECORD: Record = Record {
    pinned_at: AtomicU64::new(0),
    depth: AtomicU32::new(0),
    taken: AtomicBool::new(true),
    next: AtomicPtr::new(std::ptr::null_mut()),
};

/// Walks over all records.
fn all() -> impl Iterator<Item = &'static Record> {
    // Acquire, here and below, paired with the exchange in `acquire`: the record.
    let mut at = RECORDS.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: the pointer is null, or came from a box that was leaked.
        let record: &'static Record = unsafe { at.as_ref() }?;
        at = record.next.load(Ordering::Acquire);
        Some(record)
    })
}

impl Record {
    /// Returns a record for a new participant. Allocates one if all are taken.
    pub(super) fn acquire() -> &'static Record {
        if cfg!(loom) {
            return &NO_RECORD;
        }
        // Acquire, paired with `release`: the last values of the participant before.
        let take = |record: &&Record| !record.taken.swap(true, Ordering::Acquire);
        if let Some(record) = all().find(take) {
            return record;
        }
        let record = Record { taken: AtomicBool::new(true), ..Record::default() };
        let record = Box::leak(Box::new(CachePadded::new(record)));
        let mut first = RECORDS.load(Ordering::Acquire);
        loop {
            record.next.store(first, Ordering::Relaxed);
            let new = std::ptr::from_mut(record);
            // Release, paired with `all`: the record.
            match RECORDS.compare_exchange(first, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return record,
                Err(now) => first = now,
            }
        }
    }

    /// Gives the record back, unless its participant is pinned for ever.
    pub(super) fn release(&self) {
        if !cfg!(loom) && self.pinned_at.load(Ordering::Relaxed) == 0 {
            // Release, paired with `acquire`.
            self.taken.store(false, Ordering::Release);
        }
    }

    /// Notes that the participant is pinned since this re-pin epoch.
    #[inline]
    pub(super) fn pinned_at(&self, repin_epoch: u64) {
        if !cfg!(loom) {
            self.pinned_at.store(repin_epoch.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Notes that the participant is not pinned.
    pub(super) fn unpinned(&self) {
        if !cfg!(loom) {
            self.pinned_at.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that the thread pins, perhaps within another pin.
    #[inline]
    pub(super) fn enter(&self, repin_epoch: impl FnOnce() -> &'static CachePadded<Word>) {
        if cfg!(loom) {
            return;
        }
        let depth = self.depth.load(Ordering::Relaxed);
        if depth == 0 {
            self.pinned_at(repin_epoch().load(Ordering::Relaxed));
        }
        self.depth.store(depth + 1, Ordering::Relaxed);
    }

    /// Notes that the thread ends a pin.
    #[inline]
    pub(super) fn leave(&self) {
        if cfg!(loom) {
            return;
        }
        let depth = self.depth.load(Ordering::Relaxed) - 1;
        self.depth.store(depth, Ordering::Relaxed);
        if depth == 0 {
            self.unpinned();
        }
    }
}

/// Returns about how many participants were pinned before this re-pin epoch, and still are.
pub(super) fn pinned_before(repin_epoch: u64) -> usize {
    let is_old = |record: &Record| match record.pinned_at.load(Ordering::Relaxed) {
        0 => false,
        at => at <= repin_epoch,
    };
    all().filter(|record| is_old(record)).count()
}
