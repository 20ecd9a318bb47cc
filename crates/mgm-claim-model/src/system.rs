//! A scenario as a stateright model: its states, and the properties of each.

use crate::memory::*;
use crate::protocol::Protocol;
use crate::spec::{Handle, Monitor, Operation, Outcome, Spec, SpecSlot, SpecWord, THREADS, WORDS};
use crate::stage::{Next, Stage};
use crate::witness::Witness;
use stateright::{Model, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The handle with which a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Given(Handle),
    /// The handle that the thread's own last insert returned.
    Inserted,
}

pub const A: Subject = Subject::Given(Handle { slot: 0, generation: 1 });
pub const B: Subject = Subject::Given(Handle { slot: 1, generation: 1 });
/// The handle that slot 0 will have in its next generation: a guess.
pub const A_NEXT: Subject = Subject::Given(Handle { slot: 0, generation: 2 });
pub const INSERTED: Subject = Subject::Inserted;

/// One call of a thread's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Insert,
    Claim(Subject, u8),
    Release(Subject, u8),
    Retire(Subject),
    OwnerOf(u8),
    Validate(Subject),
    Touch(u8),
}

/// The initial state, and the calls of each thread.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Slots from 0 on that are live in generation 1 at the start.
    pub live: u8,
    /// Slots after those that were never used.
    pub spare: u8,
    /// The owned words at the start: (slot, word).
    pub owned: &'static [(u8, u8)],
    pub scripts: &'static [&'static [Call]],
    /// The situations that some interleaving must reach; without them the scenario does not contain its pattern.
    pub reaches: &'static [Witness],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    /// Index of the call that the thread makes now or next.
    pub call: u8,
    pub inserted: Option<Handle>,
    pub stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SystemState {
    pub memory: Memory,
    pub threads: [Thread; THREADS],
    pub monitor: Monitor,
    /// The handle for which each owned word was claimed. The words name only the slot.
    pub owned_by: [Option<Handle>; WORDS],
}

/// A scenario under a protocol.
#[derive(Clone, Debug)]
pub struct System {
    pub scenario: Scenario,
    pub protocol: Protocol,
    /// The most accesses that a thread needed to finish an operation alone, from any state.
    pub longest: Arc<AtomicU32>,
}

/// The promises to callers. The other properties are the invariants by which the protocol keeps them.
pub const PROMISES: [&str; 3] = ["linearizable", "a dead object owns nothing", "each thread alone finishes"];

/// The most accesses that a thread which runs alone needs to finish one operation, from every state of every scenario.
/// Some scenario reaches it, so the bound is tight.
///
/// The accesses are: 9 to help, late, an operation that is settled (4 to read the descriptor, confirm, `seen`, act, note,
/// settle); 13 to start over and help the next operation from its beginning (owner, state and claim word, then 10); and
/// 17 for the thread's own (these 3, 6 to write the descriptor, announce, 6 to carry it out, and the load of `done`).
pub const SOLO_BOUND: u32 = 39;

impl System {
    /// Creates the system of a scenario under a protocol.
    pub fn new(scenario: Scenario, protocol: Protocol) -> Self {
        assert!(scenario.scripts.len() <= THREADS);
        System { scenario, protocol, longest: Arc::default() }
    }

    /// Returns the state in which the scenario starts.
    pub fn initial(&self) -> SystemState {
        let mut memory = Memory::default();
        let mut owned_by = [None; WORDS];
        memory.owner = [Owner { stamp: 1, slot: None }; WORDS];
        for slot in (self.scenario.live..self.slots()).rev() {
            memory.free.push(slot);
        }
        for slot in 0..self.scenario.live {
            let count = self.scenario.owned.iter().filter(|(of, _)| *of == slot).count() as u8;
            memory.state[slot as usize] = State { generation: 1, live: true };
            memory.claim[slot as usize] = ClaimWord::idle(1, count);
        }
        for &(slot, word) in self.scenario.owned {
            memory.owner[word as usize] = Owner { stamp: 2, slot: Some(slot) };
            owned_by[word as usize] = Some(Handle { slot, generation: 1 });
        }
        let thread = Thread { call: 0, inserted: None, stage: Stage::Between };
        SystemState {
            monitor: Monitor::new(abstraction(&memory, &owned_by)),
            threads: std::array::from_fn(|_| thread.clone()),
            memory,
            owned_by,
        }
    }

    /// Returns the number of slots.
    pub fn slots(&self) -> u8 {
        self.scenario.live + self.scenario.spare
    }

    /// Returns the operation that a thread is in or makes next; `None` when its script is over.
    pub fn operation(&self, threads: &[Thread; THREADS], thread: usize) -> Option<Operation> {
        let Thread { call, inserted, .. } = threads[thread];
        let handle = |subject| match subject {
            Subject::Given(handle) => Some(handle),
            Subject::Inserted => inserted,
        };
        Some(match *self.scenario.scripts.get(thread)?.get(call as usize)? {
            Call::Insert => Operation::Insert,
            Call::Claim(subject, word) => Operation::Claim(handle(subject)?, word),
            Call::Release(subject, word) => Operation::Release(handle(subject)?, word),
            Call::Retire(subject) => Operation::Retire(handle(subject)?),
            Call::OwnerOf(word) => Operation::OwnerOf(word),
            Call::Validate(subject) => Operation::Validate(handle(subject)?),
            Call::Touch(word) => Operation::Touch(word),
        })
    }

    /// Returns the threads that can make an access.
    pub fn movable(&self, state: &SystemState) -> Vec<usize> {
        let mut threads = Vec::new();
        self.actions(state, &mut threads);
        threads.into_iter().map(usize::from).collect()
    }

    /// Makes one access of `thread`. Returns the access, and the outcome if it ended the operation.
    pub fn step(&self, state: &mut SystemState, thread: usize) -> Option<(Access, Option<Outcome>)> {
        let operation = self.operation(&state.threads, thread)?;
        let stage = state.threads[thread].stage;
        let owners = state.memory.owner;
        let (access, next) = self.protocol.step(&mut state.memory, thread as u8, operation, stage);
        for (word, before) in owners.iter().enumerate() {
            let after = state.memory.owner[word];
            if after.slot != before.slot {
                let generation = || match stage {
                    Stage::Act(task) => task.holder.generation,
                    _ => crate::protocol::handle_of(operation).generation,
                };
                state.owned_by[word] = after.slot.map(|slot| Handle { slot, generation: generation() });
            }
        }
        let outcome = match next {
            Next::Stage(stage) => {
                state.threads[thread].stage = stage;
                None
            }
            Next::Return(outcome) => {
                let running = std::array::from_fn(|other| {
                    let between = other != thread && state.threads[other].stage == Stage::Between;
                    if between { None } else { self.operation(&state.threads, other) }
                });
                state.monitor.returned(thread, outcome, &running, self.slots());
                let thread = &mut state.threads[thread];
                thread.stage = Stage::Between;
                thread.call += 1;
                if let Outcome::Inserted(handle) = outcome {
                    thread.inserted = Some(handle);
                }
                Some(outcome)
            }
        };
        Some((access, outcome))
    }

    /// Returns the number of accesses that `thread` needs to finish its operation while no other thread moves; `None` if it does not finish.
    fn alone(&self, state: &SystemState, thread: usize) -> Option<u32> {
        let Some(operation) = self.operation(&state.threads, thread) else { return Some(0) };
        let mut memory = state.memory;
        let mut stage = state.threads[thread].stage;
        for accesses in 1..=SOLO_BOUND {
            match self.protocol.step(&mut memory, thread as u8, operation, stage).1 {
                Next::Stage(next) => stage = next,
                Next::Return(_) => return Some(accesses),
            }
        }
        None
    }

    fn each_alone_finishes(&self, state: &SystemState) -> bool {
        (0..self.scenario.scripts.len()).all(|thread| match self.alone(state, thread) {
            Some(accesses) => {
                self.longest.fetch_max(accesses, Ordering::Relaxed);
                true
            }
            None => false,
        })
    }
}

/// Returns the state of the specification that the words represent, between operations.
fn abstraction(memory: &Memory, owned_by: &[Option<Handle>; WORDS]) -> Spec {
    Spec {
        slots: memory.state.map(|State { generation, live }| SpecSlot { generation, live }),
        words: std::array::from_fn(|i| SpecWord { stamp: memory.owner[i].stamp, owner: owned_by[i] }),
    }
}

fn no_dead_object_owns(state: &SystemState) -> bool {
    state.memory.owner.iter().zip(&state.owned_by).all(|(owner, owned_by)| match (owner.slot, owned_by) {
        (None, None) => true,
        (Some(slot), Some(owned_by)) => {
            slot == owned_by.slot && crate::protocol::alive(&state.memory, *owned_by)
        }
        _ => false,
    })
}

fn free_slots_are_dead(state: &SystemState) -> bool {
    let free = state.memory.free.slots();
    free.iter()
        .enumerate()
        .all(|(i, slot)| !state.memory.state[*slot as usize].live && !free[..i].contains(slot))
}

fn idle_counts_are_exact(state: &SystemState) -> bool {
    state.memory.claim.iter().enumerate().all(|(slot, word)| match *word {
        ClaimWord::Idle { count, .. } => {
            let owned = state.memory.owner.iter().filter(|owner| owner.slot == Some(slot as u8));
            owned.count() == count as usize
        }
        ClaimWord::Busy { .. } => true,
    })
}

fn quiet_words_are_the_specification(state: &SystemState) -> bool {
    let quiet = state.threads.iter().all(|thread| thread.stage == Stage::Between);
    !quiet || state.monitor.any(|spec| *spec == abstraction(&state.memory, &state.owned_by))
}

impl Model for System {
    type State = SystemState;
    /// The thread that makes its next access.
    type Action = u8;

    fn init_states(&self) -> Vec<SystemState> {
        vec![self.initial()]
    }

    fn actions(&self, state: &SystemState, actions: &mut Vec<u8>) {
        if !state.monitor.explains() || state.memory.free.is_overfull() {
            return; // a planted bug has broken a promise: later states show nothing more
        }
        let threads = 0..self.scenario.scripts.len();
        actions.extend(threads.filter(|t| self.operation(&state.threads, *t).is_some()).map(|t| t as u8));
    }

    fn next_state(&self, state: &SystemState, thread: u8) -> Option<SystemState> {
        let mut next = state.clone();
        self.step(&mut next, thread as usize).map(|_| next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(PROMISES[0], |_, state: &SystemState| state.monitor.explains()),
            Property::always(PROMISES[1], |_, state| no_dead_object_owns(state)),
            Property::always(PROMISES[2], |system: &System, state| system.each_alone_finishes(state)),
            Property::always("a free slot is dead, and free once", |_, state| free_slots_are_dead(state)),
            Property::always("an idle slot's count is exact", |_, state| idle_counts_are_exact(state)),
            Property::always(
                "between operations the words are the state of the specification",
                |_, state| quiet_words_are_the_specification(state),
            ),
        ];
        properties.extend(self.scenario.reaches.iter().map(|witness| witness.property()));
        properties
    }
}
