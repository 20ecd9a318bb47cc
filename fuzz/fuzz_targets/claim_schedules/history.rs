//! Checks whether a history of the claim step is linearizable: some order of its calls, each between its call and its return,
//! gives the same results as a sequential execution, and ends in the final state.
//!
//! The specification knows neither counts nor descriptors. An operation that fails changes nothing, so only successful
//! operations explain a failure. There are few calls: every order is tried, and no state twice.

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
    /// Always allowed: how soon a slot can be reused is no promise of the claim step.
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

/// The state at one instant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    live: BTreeSet<Handle>,
    /// The owner and the stamp of each word.
    words: Vec<(Option<Handle>, u64)>,
}

/// The state when all calls have returned.
pub struct End {
    pub owners: Vec<Option<Handle>>,
    pub stamps: Vec<u64>,
    pub live: Vec<(Handle, bool)>,
    /// The results of a check-and-retire of each handle, in this order.
    pub owned: Vec<(Handle, Option<RetireError>)>,
}

impl State {
    /// Creates a state in which nothing is owned and the words have these stamps.
    pub fn new(handles: &[Handle], stamps: impl Iterator<Item = u64>) -> State {
        State { live: handles.iter().copied().collect(), words: stamps.map(|stamp| (None, stamp)).collect() }
    }

    pub fn take(&mut self, word: usize, handle: Handle, stamp: u64) {
        self.words[word] = (Some(handle), stamp);
    }

    fn owned(&self, handle: Handle) -> u32 {
        self.words.iter().filter(|(owner, _)| *owner == Some(handle)).count() as u32
    }

    /// Returns the state after an operation and its result. An insert takes the slot of the `actual` result, as it may choose.
    fn apply(&self, operation: Operation, actual: Outcome) -> (State, Outcome) {
        let mut after = self.clone();
        let outcome = match operation {
            Operation::Insert => match actual {
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
            Operation::Retire(handle) => match self.owned(handle) {
                0 => {
                    after.live.remove(&handle);
                    Outcome::Retired
                }
                owned => Outcome::StillOwns(owned),
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
            && end.owned.iter().all(|(handle, refused)| {
                *refused
                    == match (self.live.contains(handle), self.owned(*handle)) {
                        (false, _) => Some(RetireError::Stale),
                        (true, 0) => None,
                        (true, owned) => Some(RetireError::StillOwns(owned)),
                    }
            })
    }
}

/// Searches for an order that explains the calls and the final state.
pub fn explain(start: State, calls: &[Call], end: &End) -> Result<(), String> {
    let mut issued = BTreeSet::from_iter(&start.live);
    for call in calls {
        if let Outcome::Inserted(handle) = &call.outcome
            && !issued.insert(handle)
        {
            return Err(format!("{handle:?} was issued twice\n{}", format(calls, end)));
        }
    }
    let all = (1_u32 << calls.len()) - 1;
    let mut tried = HashSet::new();
    let mut open = vec![(0_u32, start)];
    while let Some((done, state)) = open.pop() {
        if done == all && state.is(end) {
            return Ok(());
        }
        // A call that returned before another began comes before it.
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
    Err(format!("no order explains this history\n{}", format(calls, end)))
}

/// Formats the history.
fn format(calls: &[Call], end: &End) -> String {
    let mut text = String::new();
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.called);
    for Call { thread, operation, outcome, called, returned } in calls {
        let _ = writeln!(text, "  {called:>3}-{returned:<3} thread {thread}: {operation:?} -> {outcome:?}");
    }
    let End { owners, stamps, live, owned } = end;
    let _ =
        write!(text, "  at the end: owners {owners:?}, stamps {stamps:?}, live {live:?}, owned {owned:?}");
    text
}
