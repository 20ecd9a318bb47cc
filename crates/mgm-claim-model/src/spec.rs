//! The sequential specification of the operations, and the monitor that checks a concurrent history against it.
//!
//! The specification knows neither descriptors nor counts. A slot is live in some generation or dead; a word has an owner
//! or none, and a stamp that grows with every change of owner. An operation that fails changes nothing, so only
//! *successful* operations can explain a failure. This is the strict linearizability that the claim step promises.
//!
//! The monitor follows every explanation of the history so far at once. An [`Explanation`] is a state of the
//! specification and, for each operation still running, whether it has taken effect and with which outcome. When an
//! operation returns, each explanation is extended by every order of running operations that ends with it; extensions
//! with another outcome are dropped. Extending earlier is never necessary: an operation may as well take effect just
//! before the next return. A history without an explanation is not linearizable.
//! (The method is Lowe's just-in-time linearization, "Testing for linearizability", 2017.)

use std::sync::Arc;

// The largest scenario: bounds for the fixed arrays below.
pub const THREADS: usize = 4;
pub const SLOTS: usize = 3;
pub const WORDS: usize = 2;

/// A handle: a slot and one of its generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    pub slot: u8,
    pub generation: u8,
}

/// An operation with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Insert,
    Claim(Handle, u8),
    Release(Handle, u8),
    Retire(Handle),
    OwnerOf(u8),
    Validate(Handle),
    /// Changes the stamp of a word without an owner.
    Touch(u8),
}

/// The result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
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
    /// The word's new stamp; `None` if the word has an owner.
    Touched(Option<u8>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecSlot {
    pub generation: u8,
    pub live: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecWord {
    pub stamp: u8,
    pub owner: Option<Handle>,
}

/// A state of the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spec {
    pub slots: [SpecSlot; SLOTS],
    pub words: [SpecWord; WORDS],
}

impl Spec {
    fn live(&self, handle: Handle) -> bool {
        self.slots[handle.slot as usize] == SpecSlot { generation: handle.generation, live: true }
    }

    fn owned_by(&self, handle: Handle) -> u8 {
        self.words.iter().filter(|word| word.owner == Some(handle)).count() as u8
    }

    /// Calls `each` with every state and outcome to which the operation can lead now.
    ///
    /// Insert may choose any dead slot below `slots`; every other operation has one outcome. `Full` is always possible:
    /// how soon a retired slot can be reused is a promise of the free list, not of the claim step.
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
            Operation::Retire(handle) => match self.owned_by(handle) {
                0 => {
                    after.slots[handle.slot as usize].live = false;
                    Outcome::Retired
                }
                count => Outcome::StillOwns(count),
            },
            Operation::OwnerOf(word) => Outcome::Owner(self.words[word as usize].owner),
            Operation::Validate(handle) => Outcome::Valid(self.live(handle)),
            Operation::Touch(word) => {
                let word = &mut after.words[word as usize];
                Outcome::Touched(word.owner.is_none().then(|| {
                    word.stamp += 1;
                    word.stamp
                }))
            }
        };
        each(after, outcome);
    }
}

/// One sequential execution that explains the history so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Explanation {
    pub spec: Spec,
    /// For each thread: the outcome of its running operation, if that has taken effect.
    took_effect: [Option<Outcome>; THREADS],
}

/// Every explanation of the history so far, sorted. Without any the history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Monitor(Arc<[Explanation]>);

impl Monitor {
    pub fn new(spec: Spec) -> Self {
        Monitor([Explanation { spec, took_effect: [None; THREADS] }].into())
    }

    /// Whether the history so far has an explanation.
    pub fn explains(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether some explanation ends in a state for which `accepts` returns true.
    pub fn any(&self, accepts: impl Fn(&Spec) -> bool) -> bool {
        self.0.iter().any(|explanation| accepts(&explanation.spec))
    }

    /// Records that `thread` returns with `outcome`. `running` are the operations between call and return, its own included.
    pub fn returned(
        &mut self,
        thread: usize,
        outcome: Outcome,
        running: &[Option<Operation>; THREADS],
        slots: u8,
    ) {
        let mut open: Vec<Explanation> = self.0.to_vec();
        let mut kept = Vec::new();
        while let Some(explanation) = open.pop() {
            if let Some(took_effect) = explanation.took_effect[thread] {
                if took_effect == outcome {
                    let mut explanation = explanation;
                    explanation.took_effect[thread] = None;
                    kept.push(explanation);
                }
                continue;
            }
            for (other, operation) in running.iter().enumerate() {
                if let (Some(operation), None) = (operation, explanation.took_effect[other]) {
                    explanation.spec.apply(*operation, slots, |spec, outcome| {
                        let mut next = explanation;
                        next.spec = spec;
                        next.took_effect[other] = Some(outcome);
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
    fn overlapping_operations_take_effect_in_either_order() {
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
        // A claim that fails raised the count and lowered it again. The retirement counted a word that was never owned.
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
