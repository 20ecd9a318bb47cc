//! What the operations mean, one at a time: the sequential specification, and the monitor that holds a concurrent
//! history against it.
//!
//! The specification knows nothing of descriptors or counts: a slot is alive in some generation or dead, a word has an
//! owner or none, and a stamp that grows with every change of hands. An operation that fails changes nothing, so a
//! failure is only ever explained by what *successful* operations did. That is the strict reading of linearizability
//! the claim step promises.
//!
//! The monitor follows every explanation of the history so far at once. An explanation ([`Explanation`]) is a state of
//! the specification, and for each operation still running whether it has already happened, and with which outcome.
//! When an operation returns, each explanation is extended by every order of running operations that ends with it, and
//! those that do not give its outcome are dropped. An explanation never needs to be extended earlier than that: an
//! operation may as well happen just before the next return. A history with no explanation left is not linearizable.
//! (The method is Lowe's just-in-time linearization, "Testing for linearizability", 2017.)

use std::sync::Arc;

/// The largest models: bounds for the fixed arrays below.
pub(super) const THREADS: usize = 4;
pub(super) const SLOTS: usize = 3;
pub(super) const WORDS: usize = 2;

/// A handle: which slot, which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Handle {
    pub(super) slot: u8,
    pub(super) generation: u8,
}

/// An operation as the specification sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Insert,
    Claim(Handle, u8),
    Release(Handle, u8),
    Retire(Handle),
    OwnerOf(u8),
    Validate(Handle),
}

/// What an operation returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    Inserted(Handle),
    Full,
    /// The word's new stamp.
    Claimed(u8),
    /// The word's new stamp.
    Released(u8),
    Retired,
    Owned(Handle),
    NotOwner,
    StillOwns(u8),
    Stale,
    Owner(Option<Handle>),
    Valid(bool),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SpecSlot {
    pub(super) generation: u8,
    pub(super) live: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SpecWord {
    pub(super) stamp: u8,
    pub(super) owner: Option<Handle>,
}

/// A state of the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spec {
    pub(super) slots: [SpecSlot; SLOTS],
    pub(super) words: [SpecWord; WORDS],
}

impl Spec {
    fn live(&self, handle: Handle) -> bool {
        self.slots[handle.slot as usize] == SpecSlot { generation: handle.generation, live: true }
    }

    fn held(&self, handle: Handle) -> u8 {
        self.words.iter().filter(|word| word.owner == Some(handle)).count() as u8
    }

    /// Every way the operation can happen now: insert is free to choose among the dead slots of `slots`, all others
    /// have one outcome. `Full` is always possible: how soon a retired slot can be used again is the free list's
    /// promise, not the claim step's.
    fn apply(self, operation: Operation, slots: u8, mut each: impl FnMut(Spec, Outcome)) {
        let mut after = self;
        let outcome = match operation {
            Operation::Insert => {
                for slot in 0..slots {
                    let SpecSlot { generation, live } = self.slots[slot as usize];
                    if !live {
                        let handle = Handle { slot, generation: generation + 1 };
                        let mut after = self;
                        after.slots[slot as usize] = SpecSlot { generation: handle.generation, live: true };
                        each(after, Outcome::Inserted(handle));
                    }
                }
                Outcome::Full
            }
            Operation::Claim(handle, _) | Operation::Release(handle, _) | Operation::Retire(handle)
                if !self.live(handle) =>
            {
                Outcome::Stale
            }
            Operation::Claim(handle, word) => {
                let word = &mut after.words[word as usize];
                match word.owner {
                    Some(owner) => Outcome::Owned(owner),
                    None => {
                        *word = SpecWord { stamp: word.stamp + 1, owner: Some(handle) };
                        Outcome::Claimed(word.stamp)
                    }
                }
            }
            Operation::Release(handle, word) => {
                let word = &mut after.words[word as usize];
                if word.owner == Some(handle) {
                    *word = SpecWord { stamp: word.stamp + 1, owner: None };
                    Outcome::Released(word.stamp)
                } else {
                    Outcome::NotOwner
                }
            }
            Operation::Retire(handle) => match self.held(handle) {
                0 => {
                    after.slots[handle.slot as usize].live = false;
                    Outcome::Retired
                }
                held => Outcome::StillOwns(held),
            },
            Operation::OwnerOf(word) => Outcome::Owner(self.words[word as usize].owner),
            Operation::Validate(handle) => Outcome::Valid(self.live(handle)),
        };
        each(after, outcome);
    }
}

/// One way to explain the history so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Explanation {
    pub(super) spec: Spec,
    /// For each thread: the outcome of its running operation, if that has already happened.
    happened: [Option<Outcome>; THREADS],
}

/// Every way to explain the history so far, sorted. None: the history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Monitor(Arc<[Explanation]>);

impl Monitor {
    pub(super) fn new(spec: Spec) -> Self {
        Monitor([Explanation { spec, happened: [None; THREADS] }].into())
    }

    pub(super) fn explains(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether some explanation ends in a state that `is_it` accepts.
    pub(super) fn any(&self, is_it: impl Fn(&Spec) -> bool) -> bool {
        self.0.iter().any(|explanation| is_it(&explanation.spec))
    }

    /// Thread `thread` returns with `outcome`; `running` are the operations between call and return, its own included.
    pub(super) fn returned(
        &mut self,
        thread: usize,
        outcome: Outcome,
        running: &[Option<Operation>; THREADS],
        slots: u8,
    ) {
        let mut open: Vec<Explanation> = self.0.to_vec();
        let mut kept = Vec::new();
        while let Some(explanation) = open.pop() {
            if let Some(happened) = explanation.happened[thread] {
                if happened == outcome {
                    let mut explanation = explanation;
                    explanation.happened[thread] = None;
                    kept.push(explanation);
                }
                continue;
            }
            for (other, operation) in running.iter().enumerate() {
                if let (Some(operation), None) = (operation, explanation.happened[other]) {
                    explanation.spec.apply(*operation, slots, |spec, outcome| {
                        let mut next = explanation;
                        next.spec = spec;
                        next.happened[other] = Some(outcome);
                        open.push(next);
                    });
                }
            }
        }
        kept.sort_unstable();
        kept.dedup();
        self.0 = kept.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Handle = Handle { slot: 0, generation: 1 };
    const B: Handle = Handle { slot: 1, generation: 1 };

    fn both_live() -> Monitor {
        let mut spec = Spec::default();
        spec.slots[0] = SpecSlot { generation: 1, live: true };
        spec.slots[1] = SpecSlot { generation: 1, live: true };
        Monitor::new(spec)
    }

    fn history(returns: &[(usize, Outcome, [Option<Operation>; THREADS])]) -> bool {
        let mut monitor = both_live();
        for (thread, outcome, running) in returns {
            monitor.returned(*thread, *outcome, running, 2);
        }
        monitor.explains()
    }

    #[test]
    fn overlapping_operations_may_happen_in_either_order() {
        let claim = Some(Operation::Claim(A, 0));
        let retire = Some(Operation::Retire(A));
        let both = [claim, retire, None, None];
        let second = [claim, None, None, None];
        assert!(history(&[(1, Outcome::Retired, both), (0, Outcome::Stale, second)]));
        assert!(history(&[(1, Outcome::StillOwns(1), both), (0, Outcome::Claimed(1), second)]));
    }

    #[test]
    fn a_failure_needs_a_success_to_explain_it() {
        let claim = Some(Operation::Claim(A, 0));
        let retire = Some(Operation::Retire(A));
        let rival = Some(Operation::Claim(B, 0));
        // A count raised and lowered again by a claim that fails: nobody ever held what the retirement saw.
        assert!(!history(&[
            (2, Outcome::Claimed(1), [claim, retire, rival, None]),
            (1, Outcome::StillOwns(1), [claim, retire, None, None]),
            (0, Outcome::Owned(B), [claim, None, None, None]),
        ]));
    }

    #[test]
    fn operations_that_do_not_overlap_keep_their_order() {
        let claim = Some(Operation::Claim(A, 0));
        let asks = Some(Operation::OwnerOf(0));
        assert!(!history(&[
            (0, Outcome::Claimed(1), [claim, None, None, None]),
            (1, Outcome::Owner(None), [None, asks, None, None]),
        ]));
    }

    #[test]
    fn a_claim_succeeds_once() {
        let claim = Some(Operation::Claim(A, 0));
        assert!(!history(&[
            (0, Outcome::Claimed(1), [claim, claim, None, None]),
            (1, Outcome::Claimed(1), [None, claim, None, None]),
        ]));
    }
}
