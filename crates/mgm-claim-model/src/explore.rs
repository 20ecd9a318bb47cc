//! Exploration of small machines that are no part of the claim step: every state that can be reached.

use std::collections::HashMap;
use std::hash::Hash;

/// A machine with threads that make one access a step.
pub trait Machine {
    /// A state of memory and threads.
    type State: Clone + Eq + Hash;

    /// Returns the state in which the machine starts.
    fn initial(&self) -> Self::State;

    /// Returns every state that one step leads to, each with the step's name. None: the machine has ended.
    fn steps(&self, state: &Self::State) -> Vec<(String, Self::State)>;

    /// Returns the promise that the state breaks, if it breaks one.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
}

/// A broken promise, and the steps that lead there.
#[derive(Debug)]
pub struct Broken {
    /// The promise.
    pub promise: &'static str,
    /// The steps from the beginning on, as few as possible.
    pub steps: Vec<String>,
}

/// Visits every state, breadth first. Returns their number.
///
/// # Errors
/// The first broken promise.
pub fn explore<M: Machine>(machine: &M) -> Result<usize, Broken> {
    let mut states = vec![(machine.initial(), None)];
    let mut known = HashMap::from([(machine.initial(), ())]);
    let mut at = 0;
    while at < states.len() {
        let state = states[at].0.clone();
        if let Some(promise) = machine.broken(&state) {
            let mut steps = Vec::new();
            let mut state = at;
            while let Some((from, step)) = &states[state].1 {
                steps.push(String::clone(step));
                state = *from;
            }
            steps.reverse();
            return Err(Broken { promise, steps });
        }
        for (step, next) in machine.steps(&state) {
            if known.insert(next.clone(), ()).is_none() {
                states.push((next, Some((at, step))));
            }
        }
        at += 1;
    }
    Ok(states.len())
}
