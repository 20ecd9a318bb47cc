//! Bugs to plant: each is one step of the protocol left out, moved or weakened, and the checker must find what it
//! breaks. A checker that passes them all has not shown anything.

use super::memory::*;
use super::spec::Operation;
use super::stage::{Next, Stage, Task};
use super::step::{Protocol, alive, handle_of, word_of};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// The count is raised first and lowered again when the claim fails.
    CountFirst,
    /// The owner word is changed without first confirming, while installed, that it reads `expected`.
    ActWithoutConfirm,
    /// The settle takes any operation of the descriptor for the one it carried out.
    SettleWithoutTicket,
    /// The announcer learns its outcome from the owner word.
    OutcomeFromOwnerWord,
    /// A helper that finds the operation lost writes that into the descriptor.
    NegativeOutcome,
    /// Retire answers StillOwns when an operation is under way.
    HeldOnBusy,
    /// The flags do not say which operation they belong to.
    UntaggedFlags,
    /// A helper does not look at the sequence again after reading the fields.
    NoSecondSequence,
    /// Stale is answered on seeing a retirement begun, without finishing it.
    StaleWithoutFlip,
    /// A release counts as done only if the owner word shows it.
    ReleaseJudgedByOwnerWord,
    /// The state is checked before the owner word is read.
    StateBeforeOwner,
    /// The owner's generation is read without checking that it still owns the word.
    NameWithoutSecondLook,
    /// The outcome is written after the settle.
    DoneAfterSettle,
    /// Insert publishes the slot before its operation word is reset.
    StateBeforeClaim,
    /// Retire does not check the state before the operation word.
    RetireUnborn,
}

impl Bug {
    /// Every bug, with a scenario that contains its pattern.
    pub(super) const ALL: [(Bug, &str); 15] = [
        (Bug::CountFirst, "a claim that fails, and a retirement"),
        (Bug::ActWithoutConfirm, "one object claims one word twice"),
        (Bug::SettleWithoutTicket, "one object claims two words in two threads"),
        (Bug::OutcomeFromOwnerWord, "one object claims one word twice"),
        (Bug::NegativeOutcome, "a late helper, and the claim is released"),
        (Bug::HeldOnBusy, "claim against retire"),
        (Bug::UntaggedFlags, "claim against release of one object"),
        (Bug::NoSecondSequence, "one object claims one word twice"),
        (Bug::StaleWithoutFlip, "claim against retire"),
        (Bug::ReleaseJudgedByOwnerWord, "a late helper, and the word is another's"),
        (Bug::StateBeforeOwner, "a refusal against the end of the refused"),
        (Bug::NameWithoutSecondLook, "the owner is asked for, and its slot is reused"),
        (Bug::DoneAfterSettle, "a late helper, and the claim is released"),
        (Bug::StateBeforeClaim, "the next life's handle is guessed"),
        (Bug::RetireUnborn, "the next life's handle is guessed"),
    ];
}

/// Accesses that only a planted bug makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Planted {
    StateFirst,
    ThenOwner,
    StoreNegative(Task),
    /// Count first: raise it, ...
    Raise {
        seen: Owner,
        found: ClaimWord,
    },
    /// ... change the owner word, ...
    Change {
        seen: Owner,
    },
    /// ... and lower it: `done` is the outcome if the operation succeeded.
    ReadToLower {
        done: Option<u8>,
    },
    Lower {
        done: Option<u8>,
        found: ClaimWord,
    },
}

impl Planted {
    /// What count first does instead of announcing.
    pub(super) fn count_first(operation: Operation, seen: Owner, generation: u8, count: u8) -> Planted {
        match operation {
            Operation::Claim(..) => Planted::Raise { seen, found: ClaimWord::idle(generation, count) },
            _ => Planted::Change { seen },
        }
    }
}

impl Protocol {
    pub(super) fn planted(
        self,
        planted: Planted,
        memory: &mut Memory,
        operation: Operation,
        again: Next,
    ) -> (Access, Next) {
        use super::spec::Outcome;
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
                (Load(At::Owner(word)), self.judge(operation, memory.owner[word as usize]))
            }
            Planted::StoreNegative(task) => {
                let at = At::Done(task.seat);
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

/// The idle word with its count changed by `by`.
fn counted(claim: ClaimWord, by: i8) -> ClaimWord {
    match claim {
        ClaimWord::Idle { closing, generation, count } => {
            ClaimWord::Idle { closing, generation, count: count.wrapping_add_signed(by) }
        }
        ClaimWord::Busy { .. } => claim,
    }
}
