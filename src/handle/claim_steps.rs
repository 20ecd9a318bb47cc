//! The steps that any thread may perform for an announced operation, and the flip of a retirement (see `claim.rs`).

use super::Handle;
use super::claim::ClaimSlot;
use super::claim_word::{BUSY, idle};
use super::descriptor::{Descriptor, Task, What};
use super::owner_words::OwnerWord;
use super::points;
use super::state_word::{self, NIL};
use crate::faults;
use crate::sync::{Ordering, SteppedWord};

/// Performs the steps confirm, act, note and settle. `own` tells whether the calling thread announced the operation.
#[expect(clippy::too_many_arguments, reason = "all of one operation, which has no other home")]
#[inline]
pub(super) fn perform(
    descriptor: &Descriptor,
    sequence: u64,
    task: &Task,
    slot: ClaimSlot<'_>,
    word: &SteppedWord,
    index: u32,
    announced: u64,
    own: bool,
) {
    let after = task.after(index);
    let point = |at, helping| faults::point(if own { at } else { helping });
    // Confirm. SeqCst, paired with every act; their chain carries `seen` (3 above).
    if word.load(Ordering::SeqCst) == task.expected.0 {
        point(points::CLAIM_CONFIRMED, points::HELPER_CONFIRMED);
        descriptor.set_seen(sequence, own);
    }
    let Some(seen) = descriptor.was_seen(sequence) else {
        // The descriptor is in use for another operation, so this one is settled.
        return;
    };
    let mut done = false;
    if seen || planted!("act-without-confirm") {
        point(points::CLAIM_SEEN, points::HELPER_SEEN);
        // Act. SeqCst, paired with all loads of owner words.
        let act = word.compare_exchange(task.expected.0, after.0, Ordering::SeqCst, Ordering::SeqCst);
        point(points::CLAIM_ACTED, points::HELPER_ACTED);
        done = match task.what {
            What::Release => true,
            What::Claim => act.is_ok() || act == Err(after.0),
        };
        if done {
            descriptor.set_done(sequence, own);
        }
    }
    let count = match task.what {
        _ if !done => task.count,
        What::Claim => task.count + 1,
        What::Release => task.count.saturating_sub(1),
    };
    let settled = idle(task.generation, count);
    point(points::CLAIM_UNSETTLED, points::HELPER_UNSETTLED);
    if planted!("settle-without-ticket") {
        let now = slot.claim.load(Ordering::SeqCst);
        if now & BUSY != 0 {
            let _ = slot.claim.compare_exchange(now, settled, Ordering::SeqCst, Ordering::SeqCst);
        }
        return;
    }
    // Settle. SeqCst, paired with the next load of the claim word: publishes what the act and the notes changed. Failure
    // means that another thread has settled the operation.
    let _ = slot.claim.compare_exchange(announced, settled, Ordering::SeqCst, Ordering::SeqCst);
}

impl Task {
    /// Returns the owner word after the task is performed for the object in this slot.
    #[inline]
    pub(super) const fn after(&self, slot: u32) -> OwnerWord {
        self.expected.next(match self.what {
            What::Claim => Some(slot),
            What::Release => None,
        })
    }
}

/// Finishes a retirement that another thread began.
#[cold]
pub(super) fn flip_for_other(slot: ClaimSlot<'_>, handle: Handle) {
    if !planted!("stale-without-flip") {
        flip(slot, handle);
    }
}

#[inline]
pub(super) fn flip(slot: ClaimSlot<'_>, handle: Handle) {
    let dead = state_word::dead(handle.generation(), NIL);
    if planted!("retire-relaxed") {
        if slot.state.load(Ordering::Relaxed) == handle.to_bits() {
            slot.state.store(dead, Ordering::Relaxed);
        }
        return;
    }
    // SeqCst, paired with every check of the handle. Failure means that another thread has flipped the word, perhaps long
    // ago.
    let _ = slot.state.compare_exchange(handle.to_bits(), dead, Ordering::SeqCst, Ordering::SeqCst);
}
