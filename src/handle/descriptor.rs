//! Descriptors: the claim or release that a thread is performing, written down so that other threads can finish it.
//!
//! Each thread id of the process has one, in static memory. So an announcement allocates nothing, and a thread that is
//! stopped for ever in the middle of one costs one descriptor. A descriptor is used again and again; the number of the use
//! (its *sequence number*) accompanies it wherever that matters:
//!
//! ```text
//!                63                                                    1  0
//! sequence      |                   0              |      sequence:49      |   the use that the fields belong to
//! target        |      0      | release:1          |     resource id:32    |
//! holder        |        generation:32             |      count:32         |   what the claim word held before
//! expected      |                      owner word                          |
//! seen          |                   sequence:63                        |bit|   the word was as expected
//! done          |                   sequence:63                        |bit|   the operation succeeded
//! ```
//!
//! The first four are a sequence lock that only the thread with the id writes. It changes the sequence number *before* any
//! field. So a helper that reads the fields and afterwards still finds its number has read the fields of that use.
//! Helpers write `seen` and `done` too: they compare-and-swap them from `number|0` to `number|1`. A late swap of this kind
//! fails on the number of a later use.

use super::claim_word::SEQUENCE_MASK;
use super::owner_words::{OwnerWord, ResourceId};
use super::points;
use crate::cfg::handle::THREAD_IDS;
use crate::faults;
use crate::sync::{Ordering, SteppedWord, const_fn, global, stepped_fence};

/// An operation, as its announcer has written it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) what: What,
    pub(super) resource: ResourceId,
    /// The owner word that it changes.
    pub(super) expected: OwnerWord,
    /// The generation in the claim word before.
    pub(super) generation: u32,
    /// The count in the claim word before.
    pub(super) count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Claim,
    Release,
}

#[repr(align(64))]
pub(super) struct Descriptor {
    sequence: SteppedWord,
    target: SteppedWord,
    holder: SteppedWord,
    expected: SteppedWord,
    seen: SteppedWord,
    done: SteppedWord,
}

impl Descriptor {
    const_fn! {
        fn new() -> Self {
            Descriptor {
                sequence: SteppedWord::new(0),
                target: SteppedWord::new(0),
                holder: SteppedWord::new(0),
                expected: SteppedWord::new(0),
                seen: SteppedWord::new(0),
                done: SteppedWord::new(0),
            }
        }
    }

    /// Writes a task under a new sequence number, and returns that number. Only the thread with the id calls this, and only
    /// when its last task is settled or was never announced.
    #[inline]
    pub(super) fn write(&self, task: &Task) -> u64 {
        // Relaxed: the last write was by this thread, or by an earlier thread of the same id, which gave the id back
        // before.
        let sequence = (self.sequence.unstepped().load(Ordering::Relaxed) + 1) & SEQUENCE_MASK;
        self.sequence.store(sequence, Ordering::Relaxed);
        faults::point(points::DESCRIPTOR_HALF_WRITTEN);
        // Release fence, paired with the acquire fence in `read`: a helper that reads any field stored below then finds
        // this sequence number or a later one.
        stepped_fence(Ordering::Release);
        let target = u64::from(task.resource.0) | (u64::from(task.what == What::Release) << 32);
        // Relaxed, all three: published by the announcing compare-and-swap.
        self.target.store(target, Ordering::Relaxed);
        self.holder.store(u64::from(task.generation) << 32 | u64::from(task.count), Ordering::Relaxed);
        self.expected.store(task.expected.0, Ordering::Relaxed);
        // Release, both, paired with the acquire in `was_seen` and `is_done`, for helpers that come from a claim word of
        // an earlier use: they must not take an old flag for one of this use, and the number distinguishes them.
        self.seen.store(sequence << 1, Ordering::Release);
        self.done.store(sequence << 1, Ordering::Release);
        sequence
    }

    /// Returns the task of this sequence number; `None` when that use is over: then the operation is settled.
    pub(super) fn read(&self, sequence: u64) -> Option<Task> {
        // Relaxed, all three: ordered by the acquire of the claim word if this is still that use, else discarded.
        let target = self.target.load(Ordering::Relaxed);
        let holder = self.holder.load(Ordering::Relaxed);
        let expected = self.expected.load(Ordering::Relaxed);
        // Acquire fence, paired with the release fence in `write`.
        stepped_fence(Ordering::Acquire);
        if self.sequence.load(Ordering::Relaxed) != sequence {
            return None;
        }
        Some(Task {
            what: if target >> 32 == 0 { What::Claim } else { What::Release },
            resource: ResourceId(target as u32),
            expected: OwnerWord(expected),
            generation: (holder >> 32) as u32,
            count: holder as u32,
        })
    }

    /// Notes that the owner word was as expected while the operation was announced.
    #[inline]
    pub(super) fn set_seen(&self, sequence: u64, own: bool) {
        Self::set(&self.seen, sequence, own);
    }

    /// Notes that the operation succeeded. Failure cannot be noted: a thread that believes in it may be late.
    #[inline]
    pub(super) fn set_done(&self, sequence: u64, own: bool) {
        Self::set(&self.done, sequence, own);
    }

    #[inline]
    fn set(flag: &SteppedWord, sequence: u64, own: bool) {
        let (clear, set) = (sequence << 1, sequence << 1 | 1);
        if own {
            // Release, paired with the acquire loads of the flags. A plain store suffices: helpers only ever set the same
            // bit, and the next use of the descriptor is by this same thread.
            flag.store(set, Ordering::Release);
        } else {
            // AcqRel, paired with the same. Failure means that the flag is set, or belongs to a later use.
            let _ = flag.compare_exchange(clear, set, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Returns whether the owner word was seen as expected; `None` when this use is over.
    #[inline]
    pub(super) fn was_seen(&self, sequence: u64) -> Option<bool> {
        // Acquire, paired with `set`.
        let seen = self.seen.load(Ordering::Acquire);
        (seen >> 1 == sequence).then_some(seen & 1 == 1)
    }

    /// Returns whether the operation succeeded. Only its announcer asks, after the operation is settled.
    #[inline]
    pub(super) fn is_done(&self, sequence: u64) -> bool {
        // Acquire, paired with `set`.
        self.done.load(Ordering::Acquire) == sequence << 1 | 1
    }

    /// Returns the words with their names, in the order of the picture above.
    #[cfg(test)]
    pub(super) fn words(&self) -> [(&'static str, &SteppedWord); 6] {
        [
            ("sequence", &self.sequence),
            ("target", &self.target),
            ("holder", &self.holder),
            ("expected", &self.expected),
            ("seen", &self.seen),
            ("done", &self.done),
        ]
    }
}

/// Returns the descriptor of a thread id.
#[inline]
pub(super) fn of(thread_id: u16) -> Option<&'static Descriptor> {
    all().get(usize::from(thread_id))
}

global! {
    /// Returns the descriptors, by thread id.
    pub(super) fn all() -> const [Descriptor; THREAD_IDS] = Descriptor::new();
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Task = Task {
        what: What::Release,
        resource: ResourceId(u32::MAX),
        expected: OwnerWord(u64::MAX),
        generation: u32::MAX,
        count: (1 << 30) - 1,
    };

    #[test]
    fn a_task_is_readable_until_the_next_use() {
        let descriptor = Descriptor::new();
        let first = descriptor.write(&TASK);
        assert_eq!(descriptor.read(first), Some(TASK));
        let task = Task { what: What::Claim, resource: ResourceId(0), ..TASK };
        let second = descriptor.write(&task);
        assert_eq!(descriptor.read(first), None);
        assert_eq!(descriptor.read(second), Some(task));
    }

    #[test]
    fn a_late_helper_cannot_set_the_flags_of_a_later_use() {
        let descriptor = Descriptor::new();
        let first = descriptor.write(&TASK);
        let second = descriptor.write(&TASK);
        descriptor.set_seen(first, false);
        descriptor.set_done(first, false);
        assert_eq!(descriptor.was_seen(first), None);
        assert_eq!(descriptor.was_seen(second), Some(false));
        assert!(!descriptor.is_done(second));
        descriptor.set_seen(second, false);
        descriptor.set_done(second, false);
        assert_eq!(descriptor.was_seen(second), Some(true));
        assert!(descriptor.is_done(second));
    }
}
