//! The planted bugs. Each is one step of the protocol left out, moved or weakened, and the checker must find a broken promise:
//! a checker that misses them has not shown anything.

use crate::memory::*;
use crate::protocol::{Protocol, alive, handle_of, word_of};
use crate::spec::Operation;
use crate::stage::{Next, Stage, Task};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The count is raised first and lowered again when the claim fails.
    CountFirst,
    /// The owner word is changed without first confirming, while the operation is announced, that it reads `expected`.
    ActWithoutConfirm,
    /// The settle does not distinguish the operation it carried out from others of the same descriptor.
    SettleWithoutTicket,
    /// The announcer reads its outcome from the owner word.
    OutcomeFromOwnerWord,
    /// A helper that finds the operation lost writes that outcome into the descriptor.
    NegativeOutcome,
    /// Retire returns StillOwns while an operation is announced.
    StillOwnsOnBusy,
    /// The flags do not carry the sequence of their operation.
    UntaggedFlags,
    /// A helper does not read the sequence again after the fields.
    SequenceNotRechecked,
    /// An operation that finds a retirement begun returns Stale without finishing it.
    StaleWithoutFlip,
    /// A release counts as done only if the owner word shows it.
    ReleaseOutcomeFromOwnerWord,
    /// The state is checked before the owner word is read.
    StateBeforeOwner,
    /// The owner's generation is read without checking that the owner still owns the word.
    ResolveWithoutRecheck,
    /// The outcome is written after the settle.
    DoneAfterSettle,
    /// Insert publishes the slot before it resets the claim word.
    StateBeforeClaim,
    /// Retire does not check the state before the claim word.
    RetireUnborn,
    /// A touch stores the new word without comparing.
    TouchByStore,
    /// A touch changes the stamp of a word that has an owner.
    TouchOwned,
}

impl Bug {
    /// Every bug, with the name of a scenario that contains its pattern.
    pub const ALL: [(Bug, &str); 17] = [
        (Bug::CountFirst, "a claim that fails, and a retirement"),
        (Bug::ActWithoutConfirm, "one object claims one word twice"),
        (Bug::SettleWithoutTicket, "one object claims two words in two threads"),
        (Bug::OutcomeFromOwnerWord, "one object claims one word twice"),
        (Bug::NegativeOutcome, "a late helper, and the claim is released"),
        (Bug::StillOwnsOnBusy, "claim against retire"),
        (Bug::UntaggedFlags, "claim against release of one object"),
        (Bug::SequenceNotRechecked, "one object claims one word twice"),
        (Bug::StaleWithoutFlip, "claim against retire"),
        (Bug::ReleaseOutcomeFromOwnerWord, "a late helper, and the word has another owner"),
        (Bug::StateBeforeOwner, "a refusal against the retirement of the refused object"),
        (Bug::ResolveWithoutRecheck, "owner_of, and the owner's slot is reused"),
        (Bug::DoneAfterSettle, "a late helper, and the claim is released"),
        (Bug::StateBeforeClaim, "the next generation's handle is guessed"),
        (Bug::RetireUnborn, "the next generation's handle is guessed"),
        (Bug::TouchByStore, "a touch against a claim"),
        (Bug::TouchOwned, "a touch against a release"),
    ];
}

/// The accesses that only a planted bug makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Planted {
    StateFirst,
    ThenOwner,
    StoreNegative(Task),
    StoreTouched(Owner),
    /// Count first: raise the count, ...
    Raise {
        seen: Owner,
        found: ClaimWord,
    },
    /// ... change the owner word, ...
    Change {
        seen: Owner,
    },
    /// ... and lower the count; `done` is the new stamp if the operation succeeded.
    ReadToLower {
        done: Option<u8>,
    },
    Lower {
        done: Option<u8>,
        found: ClaimWord,
    },
}

impl Planted {
    /// Returns the first access of "count first", which replaces the announcement.
    pub fn count_first(operation: Operation, seen: Owner, generation: u8, count: u8) -> Planted {
        match operation {
            Operation::Claim(..) => Planted::Raise { seen, found: ClaimWord::idle(generation, count) },
            _ => Planted::Change { seen },
        }
    }
}

impl Protocol {
    pub fn planted(
        self,
        planted: Planted,
        memory: &mut Memory,
        operation: Operation,
        again: Next,
    ) -> (Access, Next) {
        use crate::spec::Outcome;
        use Access::Load;
        use Location as At;
        let to = |planted| Next::Stage(Stage::Planted(planted));
        match planted {
            Planted::StateFirst => {
                let handle = handle_of(operation);
                let next =
                    if alive(memory, handle) { to(Planted::ThenOwner) } else { Next::Return(Outcome::Stale) };
                (Load(At::State(handle.slot)), next)
            }
            Planted::ThenOwner => {
                let word = word_of(operation);
                (Load(At::Owner(word)), self.check_owner(operation, memory.owner[word as usize]))
            }
            Planted::StoreTouched(seen) => {
                let (word, touched) = (word_of(operation), seen.next(None));
                memory.owner[word as usize] = touched;
                let outcome = Outcome::Touched(Some(touched.stamp));
                (Access::Store(At::Owner(word), Value::Owner(touched)), Next::Return(outcome))
            }
            Planted::StoreNegative(task) => {
                let at = At::Done(task.thread);
                let (access, _) = memory.exchange_flag(at, task.flag(true), task.flag(false));
                (access, self.settle(task, false))
            }
            Planted::Raise { seen, found } => {
                let slot = handle_of(operation).slot;
                let (access, result) = memory.exchange_claim(slot, found, counted(found, 1));
                (access, if result.is_ok() { to(Planted::Change { seen }) } else { again })
            }
            Planted::Change { seen } => {
                let claim = matches!(operation, Operation::Claim(..));
                let new = seen.next(claim.then(|| handle_of(operation).slot));
                let (access, result) = memory.exchange_owner(word_of(operation), seen, new);
                let next = match (result, claim) {
                    (Ok(_), true) => Next::Return(Outcome::Claimed(new.stamp)),
                    (Err(_), true) => to(Planted::ReadToLower { done: None }),
                    (Ok(_), false) => to(Planted::ReadToLower { done: Some(new.stamp) }),
                    (Err(_), false) => again,
                };
                (access, next)
            }
            Planted::ReadToLower { done } => {
                let slot = handle_of(operation).slot;
                let found = memory.claim[slot as usize];
                (Load(At::Claim(slot)), to(Planted::Lower { done, found }))
            }
            Planted::Lower { done, found } => {
                let slot = handle_of(operation).slot;
                let (access, result) = memory.exchange_claim(slot, found, counted(found, -1));
                let next = match (result, done) {
                    (Err(_), _) => to(Planted::ReadToLower { done }),
                    (Ok(_), Some(stamp)) => Next::Return(Outcome::Released(stamp)),
                    (Ok(_), None) => again,
                };
                (access, next)
            }
        }
    }
}

/// Returns an idle word with its count changed by `by`.
fn counted(claim: ClaimWord, by: i8) -> ClaimWord {
    match claim {
        ClaimWord::Idle { closing, generation, count } => {
            ClaimWord::Idle { closing, generation, count: count.wrapping_add_signed(by) }
        }
        ClaimWord::Busy { .. } => claim,
    }
}
