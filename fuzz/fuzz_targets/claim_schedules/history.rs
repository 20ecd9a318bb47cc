//! Whether a history of the claim step can be explained: by some order of its calls, each between its call and its return,
//! in which they are answered as if they had come one after the other, and that ends in what there is at the end.
//!
//! Nothing here knows of counts or descriptors. An operation that fails changes nothing, so a failure is explained only by
//! what others did that succeeded. There are few calls: every order is tried, states that were reached before are not tried
//! twice.

use mgm::handle::{Handle, RetireError};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Claim(Handle, usize),
    Release(Handle, usize),
    Retire(Handle),
    OwnerOf(usize),
    Validate(Handle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Inserted(Handle),
    /// Whenever it is answered: how soon a slot can be used again is no promise of the claim step's.
    Full,
    /// With the word's new stamp.
    Claimed(u64),
    /// With the word's new stamp.
    Released(u64),
    Retired,
    Owned(Handle),
    NotOwner,
    StillOwns(u32),
    Stale,
    Owner(Option<Handle>),
    Valid(bool),
}

/// A call that has returned.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub thread: usize,
    pub operation: Operation,
    pub outcome: Outcome,
    pub called: u32,
    pub returned: u32,
}

/// What there is at one instant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    live: BTreeSet<Handle>,
    /// Of each word: its owner, and its stamp.
    words: Vec<(Option<Handle>, u64)>,
}

/// What there is when all calls have returned.
pub struct End {
    pub owners: Vec<Option<Handle>>,
    pub stamps: Vec<u64>,
    pub live: Vec<(Handle, bool)>,
    /// What a retirement was answered then, in this order.
    pub held: Vec<(Handle, Option<RetireError>)>,
}

impl State {
    /// Nothing is owned; the words have these stamps.
    pub fn new(handles: &[Handle], stamps: impl Iterator<Item = u64>) -> State {
        State { live: handles.iter().copied().collect(), words: stamps.map(|stamp| (None, stamp)).collect() }
    }

    pub fn take(&mut self, word: usize, handle: Handle, stamp: u64) {
        self.words[word] = (Some(handle), stamp);
    }

    fn held(&self, handle: Handle) -> u32 {
        self.words.iter().filter(|(owner, _)| *owner == Some(handle)).count() as u32
    }

    /// What an operation is answered now, and what there is then. `answered` is what was, for what is free to choose.
    fn apply(&self, operation: Operation, answered: Outcome) -> (State, Outcome) {
        let mut after = self.clone();
        let outcome = match operation {
            Operation::Insert => match answered {
                Outcome::Inserted(handle) if after.live.insert(handle) => Outcome::Inserted(handle),
                _ => Outcome::Full,
            },
            Operation::Claim(handle, _) | Operation::Release(handle, _) | Operation::Retire(handle)
                if !self.live.contains(&handle) =>
            {
                Outcome::Stale
            }
            Operation::Claim(handle, word) => match &mut after.words[word] {
                (Some(owner), _) => Outcome::Owned(*owner),
                (owner, stamp) => {
                    (*owner, *stamp) = (Some(handle), *stamp + 1);
                    Outcome::Claimed(*stamp)
                }
            },
            Operation::Release(handle, word) => match &mut after.words[word] {
                (owner, stamp) if *owner == Some(handle) => {
                    (*owner, *stamp) = (None, *stamp + 1);
                    Outcome::Released(*stamp)
                }
                _ => Outcome::NotOwner,
            },
            Operation::Retire(handle) => match self.held(handle) {
                0 => {
                    after.live.remove(&handle);
                    Outcome::Retired
                }
                held => Outcome::StillOwns(held),
            },
            Operation::OwnerOf(word) => Outcome::Owner(self.words[word].0),
            Operation::Validate(handle) => Outcome::Valid(self.live.contains(&handle)),
        };
        (after, outcome)
    }

    fn is(&self, end: &End) -> bool {
        let owners = end.owners.iter().zip(&end.stamps).map(|(owner, stamp)| (*owner, *stamp));
        owners.eq(self.words.iter().copied())
            && end.live.iter().all(|(handle, live)| self.live.contains(handle) == *live)
            && end.held.iter().all(|(handle, refused)| {
                *refused
                    == match (self.live.contains(handle), self.held(*handle)) {
                        (false, _) => Some(RetireError::Stale),
                        (true, 0) => None,
                        (true, held) => Some(RetireError::StillOwns(held)),
                    }
            })
    }
}

/// Looks for an order that explains the calls and the end.
pub fn explain(start: State, calls: &[Call], end: &End) -> Result<(), String> {
    let mut issued = BTreeSet::from_iter(&start.live);
    for call in calls {
        if let Outcome::Inserted(handle) = &call.outcome
            && !issued.insert(handle)
        {
            return Err(format!("{handle:?} was given out twice\n{}", told(calls, end)));
        }
    }
    let all = (1_u32 << calls.len()) - 1;
    let mut tried = HashSet::new();
    let mut open = vec![(0_u32, start)];
    while let Some((done, state)) = open.pop() {
        if done == all && state.is(end) {
            return Ok(());
        }
        // Whatever had returned before another was called comes before it.
        let left = |(at, _): &(usize, &Call)| done >> at & 1 == 0;
        let first_return = calls.iter().enumerate().filter(left).map(|(_, call)| call.returned).min();
        for (at, call) in calls.iter().enumerate().filter(left) {
            if first_return.is_some_and(|returned| call.called > returned) {
                continue;
            }
            let (after, outcome) = state.apply(call.operation, call.outcome);
            let next = (done | 1 << at, after);
            if (outcome == call.outcome || call.outcome == Outcome::Full) && tried.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Err(format!("no order explains this\n{}", told(calls, end)))
}

/// The history, for people.
fn told(calls: &[Call], end: &End) -> String {
    let mut text = String::new();
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.called);
    for Call { thread, operation, outcome, called, returned } in calls {
        let _ = writeln!(text, "  {called:>3}-{returned:<3} thread {thread}: {operation:?} -> {outcome:?}");
    }
    let End { owners, stamps, live, held } = end;
    let _ = write!(text, "  at the end: owners {owners:?}, stamps {stamps:?}, live {live:?}, held {held:?}");
    text
}
