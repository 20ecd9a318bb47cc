//! Whether a window of a history can be explained: whether there is an order of its calls in which each is answered as the
//! sequential specification has it, and in which no call comes before one that had returned before it began.
//!
//! Calls are tried one after the other, each time one that nothing else has to come before. Which calls are done and what
//! state they led to is remembered, so that no such pair is gone on from twice (Wing and Gong's search with Lowe's memory). All
//! states in which the window can end are found, and the next window may begin in any of them: nothing is lost by cutting a
//! history where every thread rests.

use super::calls::{Answer, Call};
use super::spec::State;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A call, who made it, and from when to when it took, in nanoseconds of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl Event {
    pub(crate) fn overlaps(&self, other: &Event) -> bool {
        self.thread != other.thread && self.began < other.ended && other.began < self.ended
    }
}

/// The most calls a window can have: each is a bit of a word.
pub(crate) const MOST: usize = 32;

/// The states in which a window can end that begins in one of these; none if it cannot be explained.
pub(crate) fn ends(window: &[Event], begins: &HashSet<State>) -> HashSet<State> {
    assert!(window.len() <= MOST, "a window of {} calls", window.len());
    let full = (1_u64 << window.len()) - 1;
    // What has to have returned before each call began.
    let before: Vec<u64> = window
        .iter()
        .map(|event| {
            (0..window.len()).filter(|n| window[*n].ended < event.began).fold(0, |bits, n| bits | 1 << n)
        })
        .collect();
    let mut ends = HashSet::new();
    let mut seen: HashSet<(u64, State)> = begins.iter().map(|state| (0, state.clone())).collect();
    let mut open: Vec<(u64, State)> = seen.iter().cloned().collect();
    while let Some((done, state)) = open.pop() {
        if done == full {
            ends.insert(state);
            continue;
        }
        for (n, event) in window.iter().enumerate() {
            if done & 1 << n != 0 || before[n] & !done != 0 {
                continue;
            }
            let next = match excused(window, n) {
                true => Some(state.clone()),
                false => state.after(&event.call, &event.answer),
            };
            if let Some(next) = next {
                let step = (done | 1 << n, next);
                if seen.insert(step.clone()) {
                    open.push(step);
                }
            }
        }
    }
    ends
}

/// Two refusals are no answers of the sequential specification, but say that something else is under way: then that has to
/// be so. They change nothing.
fn excused(window: &[Event], n: usize) -> bool {
    let event = &window[n];
    let others = || window.iter().filter(|other| event.overlaps(other));
    match (&event.call, &event.answer) {
        // Another thread is making the same flow's entry; or its way in changes hands again and again.
        (Call::NewFlow(flow), Answer::Building) => others().any(|other| match other.call {
            Call::NewFlow(other) => other == *flow,
            Call::Take(_, interface) | Call::Release(_, interface) => interface == 0,
            _ => false,
        }),
        // The routing protocol beside IGMP has just changed, and IGMP is being told: by a call that is under way.
        (Call::Add(..) | Call::Delete(..), Answer::ChangingHands) => others().any(|other| {
            matches!(other.call, Call::Take(..) | Call::Release(..) | Call::Add(..) | Call::Delete(..))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::Name;
    use super::*;

    fn event(thread: usize, began: u64, ended: u64, call: Call, answer: Answer) -> Event {
        Event { thread, call, answer, began, ended }
    }

    fn start() -> HashSet<State> {
        HashSet::from([State::default()])
    }

    #[test]
    fn what_overlaps_may_come_in_either_order_and_what_does_not_may_not() {
        let register = |began, ended| event(0, began, ended, Call::Register(Name(0)), Answer::Handle(1));
        let resolve = |began, ended, answer| event(1, began, ended, Call::Resolve(1), Answer::Name(answer));
        for answer in [None, Some(Name(0))] {
            assert_eq!(ends(&[register(0, 10), resolve(5, 15, answer)], &start()).len(), 1, "{answer:?}");
        }
        assert!(ends(&[register(0, 10), resolve(11, 15, None)], &start()).is_empty());
        assert!(ends(&[register(20, 30), resolve(11, 15, Some(Name(0)))], &start()).is_empty());
    }

    /// Two deregistrations of one client, both of which say that they did it.
    #[test]
    fn what_cannot_be_is_found_however_it_overlaps() {
        let window = [
            event(0, 0, 10, Call::Register(Name(0)), Answer::Handle(1)),
            event(0, 20, 50, Call::Deregister(1), Answer::Done),
            event(1, 20, 50, Call::Deregister(1), Answer::Done),
        ];
        assert!(ends(&window, &start()).is_empty());
        assert_eq!(ends(&window[..2], &start()).len(), 1);
    }

    /// A take that failed because of one that failed itself.
    #[test]
    fn no_call_fails_because_of_one_that_fails() {
        let window = [
            event(0, 0, 1, Call::Register(Name(0)), Answer::Handle(1)),
            event(0, 2, 3, Call::Register(Name(1)), Answer::Handle(2)),
            event(0, 10, 50, Call::Take(1, 3), Answer::Owned),
            event(1, 10, 50, Call::Take(2, 3), Answer::Owned),
        ];
        assert!(ends(&window, &start()).is_empty());
    }

    #[test]
    fn a_window_may_end_in_more_than_one_state() {
        let begun = ends(
            &[
                event(0, 0, 1, Call::Register(Name(0)), Answer::Handle(1)),
                event(0, 2, 3, Call::Take(1, 1), Answer::Done),
            ],
            &start(),
        );
        let wish = super::super::calls::Wish { group: Some(0), source: None };
        let window = [
            event(0, 0, 10, Call::Add(1, 1, wish), Answer::Done),
            event(1, 0, 10, Call::Delete(1, 1, wish), Answer::Done),
        ];
        let both = ends(&window, &begun);
        assert_eq!(both.len(), 2);
        let walk = event(0, 20, 30, Call::Walk, Answer::Memberships(vec![]));
        assert_eq!(ends(&[walk], &both).len(), 1, "what is seen later says which it was");
    }
}
