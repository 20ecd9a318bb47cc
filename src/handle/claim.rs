//! The claim step: an owner word and the count of its owner's slot change together, or not at all.
//!
//! # What must hold
//!
//! Claiming a thing makes *owner word: free → mine* and *my count: n → n + 1* one event, which happens only while my
//! handle is live. Releasing is the reverse. Retiring happens only at count 0. All of it is strictly linearizable: an
//! operation that fails leaves no trace that another could stumble over. And it is lock-free without memory: whoever is
//! stopped, wherever, the others finish what it began and go on.
//!
//! Raising the count first and lowering it on failure breaks this: a retirement answers "held" because of a claim that
//! then fails. So does setting the owner word first. A two-word compare-and-swap would do, but its owner words are at
//! times descriptors, and everybody who checks a stamp on the packet path would have to know.
//!
//! # The words
//!
//! ```text
//!              63 62         49 48                                    0
//! claim  busy | 1 |   seat:14   |              sequence:49              |   an operation of this slot's object is on
//!             +---+---+---------------------------+---------------------+
//!        idle | 0 | C |       generation:32       |      count:30       |   C: closing, the object is being retired
//!              63  62  61                       30 29                  0
//! ```
//!
//! beside the slot's state word (`slot.rs`), the owner words (`owner.rs`) and the descriptors (`descriptor.rs`).
//!
//! # How
//!
//! ```text
//!   read owner word ── check handle ── read claim word (idle) ── write descriptor
//!   announce:  claim word  idle(n) → busy(ticket)          from here on anybody can finish it:
//!     confirm: owner word is as expected?                  then `seen`, in the descriptor
//!     act:     owner word  expected → next                 only if seen
//!     note:    `done`, in the descriptor                   only if it succeeded
//!   settle:    claim word  busy(ticket) → idle(n or n ± 1)
//! ```
//!
//! Whoever meets a busy claim word that is in its way performs the last four steps itself. Why that is right, for an
//! operation D of the object in slot q that expects owner word e and would write n:
//!
//! 1. *Announced means frozen.* While q's claim word is busy with D, nothing else changes q's count or retires it, and
//!    no other operation puts q into an owner word or takes it out. Tickets never recur, so a settling swap that
//!    succeeds proves that D was announced all the time since its helper read the ticket.
//! 2. *`seen` is true.* Stamps only grow. If the owner word reads e after D was announced, it has read e ever since D's
//!    announcer read it, so there was an instant with D announced and the word equal to e. If D is a claim, n names q
//!    with e's next stamp, and by 1 only D writes that: a failed act that finds n means that D was performed. If D is a
//!    release, e names q, and by 1 only D takes q out: once seen, after the act's swap, whatever its result, D has been
//!    performed.
//! 3. *Not seen and not e means lost, for good.* Had D acted, `seen` had been set before; the owner word that the helper
//!    read comes after the act in its modification order, a chain of read-modify-writes that carries `seen` along, so
//!    the helper would find `seen`. Hence D has not acted, the word has left e, and it never will read e again. A
//!    helper that is late may come to this conclusion wrongly; then its settling swap fails, and it has no other way
//!    to say so: `done` is only ever set, never cleared.
//! 4. *The outcome comes from `done` alone.* Between the settling and its announcer's next look another thread of the
//!    same client may have released the thing again, so the owner word proves nothing. `done` is set before any
//!    settling swap of a helper that saw success, so after its own attempt to settle the announcer finds it.
//! 5. *Late acts fail.* After D settled, the owner word is past e: success moved it, and "lost" means it had moved.
//! 6. *A lost claim or release starts over*, since the word moved because another operation succeeded: that is the
//!    lock-freedom of the whole, and a helper needs a bounded number of steps.
//!
//! # Where each operation takes effect
//!
//! Success: the act (claim, release), the flip of the state word (retire), by whoever performs it. Stale: the load that
//! found another state or generation. Owned: the check of the claimer's handle, which comes right after the read of an
//! owner word that was not free. NotOwner: that read. StillOwns: the load of an idle claim word, whose count is exact.
//!
//! A retirement is two swaps: closing, which freezes the count at 0, and the flip that makes the handle stale. Between
//! them the handle still validates, so whoever answers Stale on account of a closing word performs the flip first.

use super::descriptor::{self, Descriptor, SEQUENCE_BITS, Task, Ticket, What};
use super::error::{ClaimError, ReleaseError, RetireError};
use super::owner::{OwnerWord, OwnerWords};
use super::seat;
use super::{Handle, ResourceId};
use crate::faults;
use crate::handle::points;
use crate::sync::{Ordering, SteppedWord};

const BUSY: u64 = 1 << 63;
const CLOSING: u64 = 1 << 62;
const COUNT_BITS: u32 = 30;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

// A ticket fits beside the busy bit, every seat into a ticket, and the count of all owner words into a count.
const _: () = assert!(seat::SEATS <= 1 << (63 - SEQUENCE_BITS) && OwnerWords::MOST < 1 << COUNT_BITS);

/// The claim word of an object that holds `count` things.
#[inline]
pub(super) const fn idle(generation: u32, count: u32) -> u64 {
    (generation as u64) << COUNT_BITS | count as u64
}

/// A claim word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimState {
    Busy(Ticket),
    Idle { generation: u32, count: u32, closing: bool },
}

impl ClaimState {
    #[inline]
    pub(super) const fn of(word: u64) -> Self {
        if word & BUSY != 0 {
            let seat = ((word & !BUSY) >> SEQUENCE_BITS) as u16;
            ClaimState::Busy(Ticket { seat, sequence: word & SEQUENCE_MASK })
        } else {
            ClaimState::Idle {
                generation: (word >> COUNT_BITS) as u32,
                count: (word & COUNT_MASK) as u32,
                closing: word & CLOSING != 0,
            }
        }
    }
}

#[inline]
const fn busy(ticket: Ticket) -> u64 {
    BUSY | (ticket.seat as u64) << SEQUENCE_BITS | ticket.sequence
}

/// The two words of a slot that the claim step works on.
#[derive(Clone, Copy)]
pub(super) struct ClaimSlot<'a> {
    pub(super) state: &'a SteppedWord,
    pub(super) claim: &'a SteppedWord,
}

/// Where slots are found.
pub(super) trait ClaimSlots {
    fn claim_slot(&self, index: u32) -> Option<ClaimSlot<'_>>;
}

/// What became of a claim or a release, or of a look whether it can be done. Two words whatever it is, not an enum with things
/// in it: those are put together in memory, and read from there again by who asked.
#[derive(Clone, Copy)]
struct Outcome {
    kind: OutcomeKind,
    /// The owner word, of what is done or can be; the owner's handle, of a claim of what is owned.
    word: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum OutcomeKind {
    /// It is done, or can be.
    Right,
    Stale,
    /// A claim of what is owned.
    Owned,
    /// A release of what is not the handle's.
    NotOwner,
    Unknown,
}

impl OutcomeKind {
    #[inline]
    fn alone(self) -> Outcome {
        Outcome { kind: self, word: 0 }
    }
}

impl Outcome {
    #[inline]
    fn right(word: OwnerWord) -> Outcome {
        Outcome { kind: OutcomeKind::Right, word: word.0 }
    }

    #[inline]
    fn owned(holder: Handle) -> Outcome {
        Outcome { kind: OutcomeKind::Owned, word: holder.bits() }
    }
}

/// The claim step over the slots and owner words of one table.
pub(super) struct ClaimStep<'a, S> {
    pub(super) slots: &'a S,
    pub(super) owners: &'a OwnerWords,
}

// Passed as what it is, two pointers: by reference it would have to lie in memory.
impl<S> Clone for ClaimStep<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for ClaimStep<'_, S> {}

impl<'a, S: ClaimSlots> ClaimStep<'a, S> {
    /// Makes the handle's object the owner. Lock-free, no allocation.
    #[inline]
    pub(super) fn claim(self, handle: Handle, owner: ResourceId) -> Result<OwnerWord, ClaimError> {
        let Outcome { kind, word } = self.change(What::Claim, handle, owner);
        match kind {
            OutcomeKind::Right => Ok(OwnerWord(word)),
            OutcomeKind::Owned => Err(ClaimError::Owned(Handle::from(word))),
            OutcomeKind::Unknown => Err(ClaimError::UnknownOwner),
            OutcomeKind::Stale | OutcomeKind::NotOwner => Err(ClaimError::Stale),
        }
    }

    /// Makes nobody the owner of what the handle's object owns. Lock-free, no allocation.
    #[inline]
    pub(super) fn release(self, handle: Handle, owner: ResourceId) -> Result<OwnerWord, ReleaseError> {
        let Outcome { kind, word } = self.change(What::Release, handle, owner);
        match kind {
            OutcomeKind::Right => Ok(OwnerWord(word)),
            OutcomeKind::NotOwner => Err(ReleaseError::NotOwner),
            OutcomeKind::Unknown => Err(ReleaseError::UnknownOwner),
            OutcomeKind::Stale | OutcomeKind::Owned => Err(ReleaseError::Stale),
        }
    }

    #[inline]
    fn change(self, what: What, handle: Handle, id: ResourceId) -> Outcome {
        let Some(slot) = self.slots.claim_slot(handle.index()) else { return OutcomeKind::Stale.alone() };
        if planted!("count-first") && what == What::Claim {
            return self.claim_count_first(slot, handle, id);
        }
        // Refusals end here, without a call.
        let looked = self.look(slot, what, handle, id);
        if looked.kind == OutcomeKind::Right {
            self.carry_out(slot, OwnerWord(looked.word), what, handle, id)
        } else {
            looked
        }
    }

    /// Whether there is something to do, and how the owner word reads.
    #[inline]
    fn look(self, slot: ClaimSlot<'_>, what: What, handle: Handle, id: ResourceId) -> Outcome {
        let owner = self.owners.stepped(id);
        loop {
            // Before the state, so that the failures below are true at one instant. SeqCst, paired with everybody's
            // act.
            let word = owner.map_or(0, |word| word.load(Ordering::SeqCst));
            // SeqCst, paired with the flip and with the slot's opening.
            if slot.state.load(Ordering::SeqCst) != handle.bits() {
                return OutcomeKind::Stale.alone();
            }
            let Some(owner) = owner.filter(|_| word != 0) else { return OutcomeKind::Unknown.alone() };
            let expected = OwnerWord(word);
            match what {
                What::Claim if !expected.is_free() => match self.name(owner, expected) {
                    Some(holder) => return Outcome::owned(holder),
                    // It changed hands: somebody succeeded.
                    None => continue,
                },
                What::Release if expected.slot() != Some(handle.index()) => {
                    return OutcomeKind::NotOwner.alone();
                }
                _ => return Outcome::right(expected),
            }
        }
    }

    fn carry_out(
        self,
        slot: ClaimSlot<'_>,
        mut expected: OwnerWord,
        what: What,
        handle: Handle,
        id: ResourceId,
    ) -> Outcome {
        let Some(owner) = self.owners.stepped(id) else { return OutcomeKind::Unknown.alone() };
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
                    flip(slot, handle);
                    return OutcomeKind::Stale.alone();
                }
                ClaimState::Idle { count, .. } => {
                    let generation = handle.generation();
                    let task = Task { what, owner: id, expected, generation, count };
                    if self.announce(slot, owner, handle.index(), before, &task) {
                        return Outcome::right(task.after(handle.index()));
                    }
                }
            }
            let looked = self.look(slot, what, handle, id);
            if looked.kind != OutcomeKind::Right {
                return looked;
            }
            expected = OwnerWord(looked.word);
        }
    }

    /// The protocol that looks obvious: raise the count, take the thing, lower the count again if that fails.
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
        let Some(word) = self.owners.stepped(id) else { return OutcomeKind::Unknown.alone() };
        if !add(true) {
            return OutcomeKind::Stale.alone();
        }
        loop {
            let expected = OwnerWord(word.load(Ordering::SeqCst));
            if expected.is_free() {
                let after = expected.next(Some(handle.index()));
                if word.compare_exchange(expected.0, after.0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return Outcome::right(after);
                }
            } else if let Some(holder) = self.name(word, expected) {
                add(false);
                return Outcome::owned(holder);
            }
        }
    }

    /// Announces the task, sees it through and tells whether it was performed; if not, nothing has happened.
    fn announce(
        self,
        slot: ClaimSlot<'_>,
        owner: &SteppedWord,
        index: u32,
        before: u64,
        task: &Task,
    ) -> bool {
        seat::with(|seat| {
            let Some(descriptor) = descriptor::of(seat) else { return false };
            let sequence = descriptor.write(task);
            let announced = busy(Ticket { seat, sequence });
            // SeqCst, paired with helpers' loads of the claim word: publishes the descriptor and, with it, that this
            // thread has read the expected owner word. On failure nobody has seen the descriptor: it can be used again
            // at once.
            if slot.claim.compare_exchange(before, announced, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                return false;
            }
            faults::point(points::CLAIM_ANNOUNCED);
            perform(descriptor, sequence, task, slot, owner, index, announced, true);
            faults::point(points::CLAIM_SETTLED);
            if planted!("outcome-from-owner-word") {
                return self.owners.word(task.owner) == Some(task.after(index));
            }
            descriptor.is_done(sequence)
        })
    }

    /// Finishes the operation that a busy claim word announces. Bounded.
    #[cold]
    fn help(self, slot: ClaimSlot<'_>, index: u32, announced: u64, ticket: Ticket) {
        if let Some(descriptor) = descriptor::of(ticket.seat)
            && let Some(task) = descriptor.read(ticket.sequence)
            // Always there: the task is of this table.
            && let Some(owner) = self.owners.stepped(task.owner)
        {
            faults::point(points::HELPER_BEGUN);
            perform(descriptor, ticket.sequence, &task, slot, owner, index, announced, false);
        }
    }

    /// Retires the handle if its object holds nothing. `Ok` for one caller only, who has the slot then. Lock-free, no
    /// allocation.
    #[inline]
    pub(super) fn check_and_retire(self, handle: Handle) -> Result<(), RetireError> {
        let slot = self.slots.claim_slot(handle.index()).ok_or(RetireError::Stale)?;
        // A number that was never issued may guess the generation that a slot is just being opened with, or be of
        // another kind, which claim words do not tell. One look at the state sorts these out: what was live once has
        // its generation in the claim word until it is retired. SeqCst, paired with the flip and with the opening.
        if slot.state.load(Ordering::SeqCst) != handle.bits() {
            return Err(RetireError::Stale);
        }
        loop {
            // SeqCst, as in `change`.
            let before = slot.claim.load(Ordering::SeqCst);
            let count = match ClaimState::of(before) {
                ClaimState::Busy(ticket) => {
                    // A busy word does not say whose it is. SeqCst, paired with the flip and with the opening.
                    if slot.state.load(Ordering::SeqCst) != handle.bits() {
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
                    flip(slot, handle);
                    return Err(RetireError::Stale);
                }
                ClaimState::Idle { count, .. } => count,
            };
            if count > 0 {
                return Err(RetireError::StillOwns(count));
            }
            // SeqCst, paired with the loads of the claim word by everybody who then has to flip.
            if slot
                .claim
                .compare_exchange(before, before | CLOSING, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                faults::point(points::RETIRE_CLOSED);
                flip_closed(slot, handle);
                return Ok(());
            }
        }
    }

    /// Who owned it when it read `word`, by name; `None` if it does not any more.
    #[inline]
    fn name(self, owner: &SteppedWord, word: OwnerWord) -> Option<Handle> {
        let slot = self.slots.claim_slot(word.slot()?)?;
        // SeqCst, paired with the opening of the slot. While the owner word stands, its owner cannot be retired; so if
        // the word still stands after this load, what was loaded is the owner's handle.
        let state = slot.state.load(Ordering::SeqCst);
        // SeqCst, paired with everybody's act.
        let now = owner.load(Ordering::SeqCst);
        (now == word.0).then(|| Handle::from(state))
    }

    /// Who owns it, if anybody does. Lock-free: starts over only when it changed hands meanwhile.
    #[inline]
    pub(super) fn owner_of(self, id: ResourceId) -> Option<Handle> {
        let owner = self.owners.stepped(id)?;
        loop {
            // SeqCst, paired with everybody's act.
            let word = OwnerWord(owner.load(Ordering::SeqCst));
            if word.is_free() {
                return None;
            }
            if let Some(holder) = self.name(owner, word) {
                return Some(holder);
            }
        }
    }
}

/// Confirm, act, note, settle. `own`: by the announcer itself.
#[expect(clippy::too_many_arguments, reason = "all of one operation, which has no other home")]
#[inline]
fn perform(
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
    // Confirm. SeqCst, paired with everybody's act, whose chain carries `seen` (3 above).
    if word.load(Ordering::SeqCst) == task.expected.0 {
        point(points::CLAIM_CONFIRMED, points::HELPER_CONFIRMED);
        descriptor.set_seen(sequence, own);
    }
    let Some(seen) = descriptor.was_seen(sequence) else {
        // The descriptor is used for something else, so this operation has been settled.
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
    // Settle. SeqCst, paired with the next load of the claim word: publishes what the act and the notes changed.
    // Failure means that somebody else has settled it.
    let _ = slot.claim.compare_exchange(announced, settled, Ordering::SeqCst, Ordering::SeqCst);
}

impl Task {
    /// The owner word once the task is performed for the object in this slot.
    #[inline]
    pub(super) const fn after(&self, slot: u32) -> OwnerWord {
        self.expected.next(match self.what {
            What::Claim => Some(slot),
            What::Release => None,
        })
    }
}

/// Finishes a retirement that somebody else began.
#[cold]
fn flip(slot: ClaimSlot<'_>, handle: Handle) {
    if !planted!("stale-without-flip") {
        flip_closed(slot, handle);
    }
}

#[inline]
fn flip_closed(slot: ClaimSlot<'_>, handle: Handle) {
    let dead = super::slot::dead(handle.generation(), super::slot::NIL);
    // SeqCst, paired with every check of the handle. Failure means that it has been flipped, perhaps long ago.
    let _ = slot.state.compare_exchange(handle.bits(), dead, Ordering::SeqCst, Ordering::SeqCst);
}
