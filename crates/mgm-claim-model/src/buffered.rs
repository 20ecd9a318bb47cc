//! The claim step with store buffers: the same protocol, on a machine where plain stores wait.
//!
//! Each thread has a buffer, first in, first out, as on x86. A load sees the thread's own stores. Every compare-and-exchange,
//! and the free list, waits until the thread's buffer is empty. A store waits in the buffer, except the one that makes an
//! object live, which is sequentially consistent in tables with ownership. [`Buffered::weak_publication`] makes that store
//! wait, too, and must break linearizability.

use crate::memory::{Access, Location, Memory, Value};
use crate::protocol::Protocol;
use crate::spec::THREADS;
use crate::stage::{Next, Stage};
use crate::system::{PROMISES, SOLO_BOUND, System, SystemState};
use stateright::{Model, Property};

/// A state with the stores that have not reached memory yet, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BufferedState {
    state: SystemState,
    buffers: [Vec<Store>; THREADS],
}

/// A store that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Store {
    at: Location,
    value: Value,
}

/// A scenario with store buffers.
#[derive(Clone, Debug)]
pub struct Buffered {
    system: System,
    /// Whether the store that makes an object live waits in the buffer.
    pub weak_publication: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A thread makes its next access.
    Access(u8),
    /// A thread's oldest store reaches memory.
    Flush(u8),
}

impl Buffered {
    /// Returns the scenario of this system.
    #[must_use]
    pub fn new(system: System, weak_publication: bool) -> Buffered {
        Buffered { system, weak_publication }
    }

    fn protocol(&self) -> Protocol {
        self.system.protocol
    }

    /// Returns the access that a thread would make, and whether its buffer has to be empty for it.
    fn needs_empty_buffer(&self, state: &BufferedState, thread: usize) -> bool {
        let Some(operation) = self.system.operation(&state.state.threads, thread) else { return false };
        let mut memory = view(state, thread);
        let stage = state.state.threads[thread].stage;
        match self.protocol().step(&mut memory, thread as u8, operation, stage).0 {
            Access::Load(_) => false,
            Access::Store(at, _) => self.is_strong(at),
            Access::CompareExchange { .. } | Access::FreeList => true,
        }
    }

    fn is_strong(&self, at: Location) -> bool {
        matches!(at, Location::State(_)) && !self.weak_publication
    }

    /// Makes the next access of a thread.
    fn access(&self, before: &BufferedState, thread: usize) -> BufferedState {
        let mut next = before.clone();
        next.state.memory = view(before, thread);
        let Some((access, _)) = self.system.step(&mut next.state, thread) else { return next };
        match access {
            Access::Load(_) => next.state.memory = before.state.memory,
            Access::Store(at, value) if !self.is_strong(at) => {
                next.state.memory = before.state.memory;
                next.buffers[thread].push(Store { at, value });
            }
            // The buffer was empty: the memory that the access has changed is the memory of all.
            _ => {}
        }
        next
    }

    fn each_alone_finishes(&self, state: &BufferedState) -> bool {
        (0..self.system.scenario.scripts.len()).all(|thread| {
            let Some(operation) = self.system.operation(&state.state.threads, thread) else { return true };
            let mut memory = view(state, thread);
            let mut stage = state.state.threads[thread].stage;
            (0..SOLO_BOUND).any(|_| {
                match self.protocol().step(&mut memory, thread as u8, operation, stage).1 {
                    Next::Stage(next) => {
                        stage = next;
                        false
                    }
                    Next::Return(_) => true,
                }
            })
        })
    }
}

/// Returns the memory as a thread sees it.
fn view(state: &BufferedState, thread: usize) -> Memory {
    let mut memory = state.state.memory;
    state.buffers[thread].iter().for_each(|store| memory.set(store.at, store.value));
    memory
}

impl Model for Buffered {
    type State = BufferedState;
    type Action = Action;

    fn init_states(&self) -> Vec<BufferedState> {
        vec![BufferedState { state: self.system.initial(), buffers: Default::default() }]
    }

    fn actions(&self, state: &BufferedState, actions: &mut Vec<Action>) {
        if !state.state.monitor.explains() {
            return;
        }
        for thread in 0..self.system.scenario.scripts.len() {
            let empty = state.buffers[thread].is_empty();
            let runs = self.system.operation(&state.state.threads, thread).is_some();
            if runs && (empty || !self.needs_empty_buffer(state, thread)) {
                actions.push(Action::Access(thread as u8));
            }
            if !empty {
                actions.push(Action::Flush(thread as u8));
            }
        }
    }

    fn next_state(&self, state: &BufferedState, action: Action) -> Option<BufferedState> {
        Some(match action {
            Action::Access(thread) => self.access(state, usize::from(thread)),
            Action::Flush(thread) => {
                let mut next = state.clone();
                let Store { at, value } = next.buffers[usize::from(thread)].remove(0);
                next.state.memory.set(at, value);
                next
            }
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(PROMISES[0], |_, state: &BufferedState| state.state.monitor.explains()),
            Property::always(PROMISES[2], |model: &Buffered, state| model.each_alone_finishes(state)),
            Property::sometimes("two threads have stores that wait", |_, state: &BufferedState| {
                state.buffers.iter().filter(|buffer| !buffer.is_empty()).count() > 1
            }),
            Property::sometimes("every thread has ended", |model: &Buffered, state: &BufferedState| {
                let threads = &state.state.threads;
                threads.iter().all(|thread| thread.stage == Stage::Between)
                    && (0..THREADS).all(|n| model.system.operation(threads, n).is_none())
            }),
        ]
    }
}
