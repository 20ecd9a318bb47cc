//! The claim protocol: an owner word and the count of its owner's slot change together, or not at all.
//!
//! # What must hold
//!
//! A claim makes *owner word: free → mine* and *my count: n → n + 1* one event, which happens only while my handle is
//! live. A release is the reverse. A retirement happens only at count 0. All of them are strictly linearizable: an
//! operation that fails leaves no trace that could make another operation fail. And they are lock-free, without
//! allocation: if a thread is stopped anywhere, the other threads finish its operation and go on.
//!
//! Raising the count first and lowering it on failure breaks this: a retirement answers "still owns" because of a claim
//! that then fails. Setting the owner word first breaks it too. A two-word compare-and-swap would do, but its owner words
//! are descriptors at times, and every stamp check on the packet path would have to recognize them.
//!
//! # The words
//!
//! The claim word of a slot (`claim_word.rs`), beside the slot's state word (`state_word.rs`), the owner words
//! (`owner_words.rs`) and the descriptors (`descriptor.rs`).
//!
//! # The protocol
//!
//! ```text
//!   read owner word ── check handle ── read claim word (idle) ── write descriptor
//!   announce:  claim word  idle(n) → busy(ticket)          from here on any thread can finish it:
//!     confirm: owner word is as expected?                  then `seen`, in the descriptor
//!     act:     owner word  expected → next                 only if seen
//!     note:    `done`, in the descriptor                   only if it succeeded
//!   settle:    claim word  busy(ticket) → idle(n or n ± 1)
//! ```
//!
//! A thread that needs a claim word and finds it busy performs the last four steps itself. Why that is right, for an
//! operation D of the object in slot q that expects owner word e and would write n:
//!
//! 1. *Announced means frozen.* While q's claim word is busy with D, nothing else changes q's count or retires it, and no
//!    other operation puts q into an owner word or takes it out. Tickets never recur. So a settling swap that succeeds
//!    proves that D was announced ever since its helper read the ticket.
//! 2. *`seen` is true.* Stamps only grow. If the owner word reads e after D was announced, it has read e ever since D's
//!    announcer read it. So at some instant D was announced and the word was e. If D is a claim, n names q with e's next
//!    stamp, and by 1 only D writes that: a failed act that finds n means that D was performed. If D is a release, e
//!    names q, and by 1 only D takes q out. Once seen, after the act's swap, whatever its result, D has been performed.
//! 3. *Not seen and not e means lost, for good.* Had D acted, `seen` would have been set before. The owner word that the
//!    helper read comes after the act in its modification order, a chain of read-modify-writes that carries `seen` along,
//!    so the helper would find `seen`. Hence D has not acted, the word has left e, and it never reads e again. A late
//!    helper may come to this conclusion wrongly. Then its settling swap fails, and it has no other way to report it:
//!    `done` is only ever set, never cleared.
//! 4. *The outcome comes from `done` alone.* Between the settling and the announcer's next read, another thread of the
//!    same client may have released the resource again, so the owner word proves nothing. `done` is set before any
//!    settling swap of a helper that saw success. So the announcer finds it after its own attempt to settle.
//! 5. *Late acts fail.* After D settled, the owner word is past e: success moved it, and "lost" means that it had moved.
//! 6. *A lost claim or release starts over.* The word moved because another operation succeeded: that makes the whole
//!    lock-free. A helper needs a bounded number of steps.
//!
//! # Linearization points
//!
//! Success: the act (claim, release) or the flip of the state word (retirement), by whichever thread performs it. Stale:
//! the load that found another state or generation. Owned: the check of the claimer's handle, right after the read of an
//! owner word that was not free. NotOwner, Changed: that read. StillOwns: the load of an idle claim word; its count is exact.
//!
//! A retirement is two swaps: closing, which freezes the count at 0, and the flip that makes the handle stale. Between
//! them the handle is still live. So a thread that answers Stale because of a closing word first performs the flip.

use super::Handle;
use super::claim_steps::{flip, flip_for_other, perform};
use super::claim_word::{CLOSING, ClaimState, Ticket, busy, idle};
use super::descriptor::{self, Task, What};
use super::error::{ClaimError, ReleaseError, RetireError};
use super::owner_words::{OwnerWord, OwnerWords, ResourceId};
use super::points;
use super::thread_id;
use crate::faults;
use crate::sync::{Ordering, SteppedWord};

/// The two words of a slot that the claim protocol uses.
#[derive(Clone, Copy)]
pub(super) struct ClaimSlot<'a> {
    pub(super) state: &'a SteppedWord,
    pub(super) claim: &'a SteppedWord,
}

/// Finds slots by index.
pub(super) trait ClaimSlots {
    fn claim_slot(&self, index: u32) -> Option<ClaimSlot<'_>>;
}

/// The outcome of a claim or release, or of the preflight of one.
///
/// Two words whatever the outcome, rather than an enum with payloads: such an enum would be assembled in memory and read
/// back by the caller.
#[derive(Clone, Copy)]
struct Outcome {
    kind: OutcomeKind,
    /// The owner word, if the operation is performed or possible; the owner's handle, for a claim of an owned resource.
    word: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum OutcomeKind {
    /// The operation is performed, or possible.
    Ok,
    Stale,
    /// A claim of a resource that has an owner.
    Owned,
    /// A release of a resource that the handle does not own.
    NotOwner,
    /// The owner word is not the one that the operation depends on.
    Changed,
    UnknownResource,
}

impl OutcomeKind {
    #[inline]
    fn alone(self) -> Outcome {
        Outcome { kind: self, word: 0 }
    }
}

impl Outcome {
    #[inline]
    fn ok(word: OwnerWord) -> Outcome {
        Outcome { kind: OutcomeKind::Ok, word: word.0 }
    }

    #[inline]
    fn owned(owner: Handle) -> Outcome {
        Outcome { kind: OutcomeKind::Owned, word: owner.to_bits() }
    }
}

/// The claim protocol over the slots and owner words of one table.
pub(super) struct ClaimProtocol<'a, S> {
    pub(super) slots: &'a S,
    pub(super) words: &'a OwnerWords,
}

// Passed by value, two pointers: by reference it would have to lie in memory.
impl<S> Clone for ClaimProtocol<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for ClaimProtocol<'_, S> {}

impl<'a, S: ClaimSlots> ClaimProtocol<'a, S> {
    /// Makes the handle's object the owner of a resource; with `seen`, only if the owner word is that one. Lock-free, no
    /// allocation.
    #[inline(always)]
    pub(super) fn claim(
        self,
        handle: Handle,
        id: ResourceId,
        seen: Option<OwnerWord>,
    ) -> Result<OwnerWord, ClaimError> {
        let Outcome { kind, word } = self.change(What::Claim, handle, id, seen);
        match kind {
            OutcomeKind::Ok => Ok(OwnerWord(word)),
            OutcomeKind::Owned => Err(ClaimError::Owned(Handle::of_state(word))),
            OutcomeKind::Changed => Err(ClaimError::Changed),
            OutcomeKind::UnknownResource => Err(ClaimError::UnknownResource),
            OutcomeKind::Stale | OutcomeKind::NotOwner => Err(ClaimError::Stale),
        }
    }

    /// Frees a resource that the handle's object owns; with `seen`, only if the owner word is that one. Lock-free, no
    /// allocation.
    #[inline(always)]
    pub(super) fn release(
        self,
        handle: Handle,
        id: ResourceId,
        seen: Option<OwnerWord>,
    ) -> Result<OwnerWord, ReleaseError> {
        let Outcome { kind, word } = self.change(What::Release, handle, id, seen);
        match kind {
            OutcomeKind::Ok => Ok(OwnerWord(word)),
            OutcomeKind::NotOwner => Err(ReleaseError::NotOwner),
            OutcomeKind::Changed => Err(ReleaseError::Changed),
            OutcomeKind::UnknownResource => Err(ReleaseError::UnknownResource),
            OutcomeKind::Stale | OutcomeKind::Owned => Err(ReleaseError::Stale),
        }
    }

    #[inline(always)]
    fn change(self, what: What, handle: Handle, id: ResourceId, seen: Option<OwnerWord>) -> Outcome {
        let Some(slot) = self.slots.claim_slot(handle.index()) else { return OutcomeKind::Stale.alone() };
        if planted!("count-first") && what == What::Claim {
            return self.claim_count_first(slot, handle, id);
        }
        // Refusals end here, without a call.
        let preflight = self.preflight(slot, what, handle, id, seen);
        if preflight.kind == OutcomeKind::Ok {
            self.execute(slot, OwnerWord(preflight.word), what, handle, id, seen)
        } else {
            preflight
        }
    }

    /// Returns whether the operation is possible, and if so the owner word that it changes.
    ///
    /// Words never recur. So an operation with `seen` is refused when the word reads otherwise, and one that is announced
    /// with `seen` as its expected word takes effect only if the word has not changed since the caller read it.
    #[inline(always)]
    fn preflight(
        self,
        slot: ClaimSlot<'_>,
        what: What,
        handle: Handle,
        id: ResourceId,
        seen: Option<OwnerWord>,
    ) -> Outcome {
        let owner = self.words.stepped(id);
        loop {
            // Before the state, so that the refusals below are true at one instant. SeqCst, paired with every act.
            let word = owner.map_or(0, |word| word.load(Ordering::SeqCst));
            // SeqCst, paired with the flip and with the slot's opening.
            if slot.state.load(Ordering::SeqCst) != handle.to_bits() {
                return OutcomeKind::Stale.alone();
            }
            let Some(owner) = owner.filter(|_| word != 0) else {
                return OutcomeKind::UnknownResource.alone();
            };
            let expected = OwnerWord(word);
            if seen.is_some_and(|seen| seen != expected) {
                return OutcomeKind::Changed.alone();
            }
            match what {
                What::Claim if !expected.is_free() => match self.resolve_owner(owner, expected) {
                    Some(handle) => return Outcome::owned(handle),
                    // The owner changed: another operation succeeded.
                    None => continue,
                },
                What::Release if expected.slot() != Some(handle.index()) => {
                    return OutcomeKind::NotOwner.alone();
                }
                _ => return Outcome::ok(expected),
            }
        }
    }

    fn execute(
        self,
        slot: ClaimSlot<'_>,
        mut expected: OwnerWord,
        what: What,
        handle: Handle,
        id: ResourceId,
        seen: Option<OwnerWord>,
    ) -> Outcome {
        let Some(owner) = self.words.stepped(id) else { return OutcomeKind::UnknownResource.alone() };
        loop {
            // SeqCst, paired with announcements, settlings, closings and openings; acquires what they published.
            let before = slot.claim.load(Ordering::SeqCst);
            match ClaimState::of(before) {
                ClaimState::Busy(ticket) => self.help(slot, handle.index(), before, ticket),
                ClaimState::Idle { generation, .. }
                    if generation != handle.generation() && !planted!("claim-for-next") =>
                {
                    return OutcomeKind::Stale.alone();
                }
                ClaimState::Idle { closing: true, .. } => {
                    flip_for_other(slot, handle);
                    return OutcomeKind::Stale.alone();
                }
                ClaimState::Idle { count, .. } => {
                    let generation = handle.generation();
                    let task = Task { what, resource: id, expected, generation, count };
                    if self.announce(slot, owner, handle.index(), before, &task) {
                        return Outcome::ok(task.after(handle.index()));
                    }
                }
            }
            let preflight = self.preflight(slot, what, handle, id, seen);
            if preflight.kind != OutcomeKind::Ok {
                return preflight;
            }
            expected = OwnerWord(preflight.word);
        }
    }

    /// The protocol that seems obvious: raise the count, take the resource, lower the count again if that fails.
    fn claim_count_first(self, slot: ClaimSlot<'_>, handle: Handle, id: ResourceId) -> Outcome {
        let add = |up: bool| loop {
            let before = slot.claim.load(Ordering::SeqCst);
            let ClaimState::Idle { generation, count, closing: false } = ClaimState::of(before) else {
                return false;
            };
            let after = idle(generation, if up { count + 1 } else { count - 1 });
            if generation != handle.generation() {
                return false;
            }
            if slot.claim.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return true;
            }
        };
        let Some(word) = self.words.stepped(id) else { return OutcomeKind::UnknownResource.alone() };
        if !add(true) {
            return OutcomeKind::Stale.alone();
        }
        loop {
            let expected = OwnerWord(word.load(Ordering::SeqCst));
            if expected.is_free() {
                let after = expected.next(Some(handle.index()));
                if word.compare_exchange(expected.0, after.0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return Outcome::ok(after);
                }
            } else if let Some(owner) = self.resolve_owner(word, expected) {
                add(false);
                return Outcome::owned(owner);
            }
        }
    }

    /// Announces the task, completes it and returns whether it was performed; if not, nothing has happened.
    fn announce(
        self,
        slot: ClaimSlot<'_>,
        owner: &SteppedWord,
        index: u32,
        before: u64,
        task: &Task,
    ) -> bool {
        thread_id::with(|thread_id| {
            let Some(descriptor) = descriptor::of(thread_id) else { return false };
            let sequence = descriptor.write(task);
            let announced = busy(Ticket { thread_id, sequence });
            // SeqCst, paired with helpers' loads of the claim word: publishes the descriptor and, with it, that this
            // thread has read the expected owner word. On failure no thread has seen the descriptor, so it can be
            // reused at once.
            if slot.claim.compare_exchange(before, announced, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                return false;
            }
            faults::point(points::CLAIM_ANNOUNCED);
            perform(descriptor, sequence, task, slot, owner, index, announced, true);
            faults::point(points::CLAIM_SETTLED);
            if planted!("outcome-from-owner-word") {
                return self.words.word(task.resource) == Some(task.after(index));
            }
            descriptor.is_done(sequence)
        })
    }

    /// Finishes the operation that a busy claim word announces. Bounded.
    #[cold]
    fn help(self, slot: ClaimSlot<'_>, index: u32, announced: u64, ticket: Ticket) {
        if let Some(descriptor) = descriptor::of(ticket.thread_id)
            && let Some(task) = descriptor.read(ticket.sequence)
            // Always there: the task is of this table.
            && let Some(owner) = self.words.stepped(task.resource)
        {
            faults::point(points::HELPER_BEGUN);
            perform(descriptor, ticket.sequence, &task, slot, owner, index, announced, false);
        }
    }

    /// Retires the handle if its object owns nothing. Returns `Ok` to one caller only, to which the slot then belongs.
    /// Lock-free, no allocation.
    #[inline]
    pub(super) fn check_and_retire(self, handle: Handle) -> Result<(), RetireError> {
        let slot = self.slots.claim_slot(handle.index()).ok_or(RetireError::Stale)?;
        // A number that was never issued may have the generation that a slot is just being opened with, or another
        // kind, which claim words do not hold. One load of the state rules these out: an object that was live once has
        // its generation in the claim word until it is retired. SeqCst, paired with the flip and with the opening.
        if slot.state.load(Ordering::SeqCst) != handle.to_bits() {
            return Err(RetireError::Stale);
        }
        loop {
            // SeqCst, as in `execute`.
            let before = slot.claim.load(Ordering::SeqCst);
            let count = match ClaimState::of(before) {
                ClaimState::Busy(ticket) => {
                    // A busy word does not name its object. SeqCst, paired with the flip and with the opening.
                    if slot.state.load(Ordering::SeqCst) != handle.to_bits() {
                        return Err(RetireError::Stale);
                    }
                    if planted!("still-owns-on-busy") {
                        return Err(RetireError::StillOwns(1));
                    }
                    self.help(slot, handle.index(), before, ticket);
                    continue;
                }
                ClaimState::Idle { generation, .. } if generation != handle.generation() => {
                    return Err(RetireError::Stale);
                }
                ClaimState::Idle { closing: true, .. } => {
                    flip_for_other(slot, handle);
                    return Err(RetireError::Stale);
                }
                ClaimState::Idle { count, .. } => count,
            };
            if count > 0 {
                return Err(RetireError::StillOwns(count));
            }
            // SeqCst, paired with the loads of the claim word by threads that then have to flip.
            if slot
                .claim
                .compare_exchange(before, before | CLOSING, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                faults::point(points::RETIRE_CLOSED);
                flip(slot, handle);
                return Ok(());
            }
        }
    }

    /// Changes the stamp of a resource that has no owner, if its word still reads `seen`. Returns whether it did.
    ///
    /// To every other operation this is a change of the owner that is undone at once: of the operations that saw the former
    /// word, none takes effect any more. It needs no announcement, because no count goes with it. For the arguments at
    /// the top of this file:
    ///
    /// - 2: Stamps still only grow. The new word names no slot, so it is not what a claim would write. A touch changes
    ///   free words only, so it never takes a slot out of a word, and a release that saw its word is as certain as before.
    /// - 3: A touch is a read-modify-write, so it continues the chain that carries `seen` along. A plain store would
    ///   break that chain, and could overwrite a claim.
    /// - 6: An operation that loses to a touch starts over. It makes progress as long as touches are rarer than attempts.
    #[cfg(feature = "manager")]
    pub(super) fn touch(self, id: ResourceId, seen: OwnerWord) -> bool {
        let Some(word) = self.words.stepped(id).filter(|_| seen.is_free()) else { return false };
        // SeqCst, paired with all loads of owner words, as an act is.
        word.compare_exchange(seen.0, seen.touched().0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Returns the handle of the owner that `word` names; `None` if it does not own the resource any more.
    #[inline]
    fn resolve_owner(self, owner: &SteppedWord, word: OwnerWord) -> Option<Handle> {
        let slot = self.slots.claim_slot(word.slot()?)?;
        // SeqCst, paired with the opening of the slot. While the owner word stands, its owner cannot be retired. So if
        // the word still stands after this load, the load returned the owner's handle.
        let state = slot.state.load(Ordering::SeqCst);
        // SeqCst, paired with every act.
        let now = owner.load(Ordering::SeqCst);
        (now == word.0).then(|| Handle::of_state(state))
    }

    /// Returns the owner of a resource, if it has one. Lock-free: starts over only when the owner changed meanwhile.
    #[inline]
    pub(super) fn owner_of(self, id: ResourceId) -> Option<Handle> {
        let owner = self.words.stepped(id)?;
        loop {
            // SeqCst, paired with every act.
            let word = OwnerWord(owner.load(Ordering::SeqCst));
            if word.is_free() {
                return None;
            }
            if let Some(handle) = self.resolve_owner(owner, word) {
                return Some(handle);
            }
        }
    }
}
