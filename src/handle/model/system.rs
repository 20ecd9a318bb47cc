//! A scenario as a stateright model: its states, and what must hold in each.

use super::memory::*;
use super::spec::{Handle, Monitor, Operation, Outcome, Spec, SpecSlot, SpecWord, THREADS, WORDS};
use super::stage::{Next, Stage};
use super::step::Protocol;
use super::witness::Witness;
use stateright::{Model, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose handle a call is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Of(Handle),
    /// The last handle this thread's own insert gave it.
    Mine,
}

pub(super) const A: Who = Who::Of(Handle { slot: 0, generation: 1 });
pub(super) const B: Who = Who::Of(Handle { slot: 1, generation: 1 });
/// The handle slot 0 will have in its next life: a number that somebody guessed.
pub(super) const A2: Who = Who::Of(Handle { slot: 0, generation: 2 });
pub(super) const MINE: Who = Who::Mine;

/// One call of a thread's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Insert,
    Claim(Who, u8),
    Release(Who, u8),
    Retire(Who),
    OwnerOf(u8),
    Validate(Who),
}

/// Who does what, from where.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Slots 0.. that are alive in generation 1 to begin with.
    pub(super) live: u8,
    /// Slots after those, never used yet.
    pub(super) spare: u8,
    /// Who owns which word to begin with: (slot, word).
    pub(super) held: &'static [(u8, u8)],
    pub(super) scripts: &'static [&'static [Call]],
    /// What some interleaving must reach, or the scenario does not contain its pattern.
    pub(super) reaches: &'static [Witness],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thread {
    /// The call it makes now or next.
    pub(super) call: u8,
    pub(super) mine: Option<Handle>,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SystemState {
    pub(super) memory: Memory,
    pub(super) threads: [Thread; THREADS],
    pub(super) monitor: Monitor,
    /// For whom each owned word was claimed. The words name only the slot.
    pub(super) owned_by: [Option<Handle>; WORDS],
}

/// A scenario under a protocol.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) scenario: Scenario,
    pub(super) protocol: Protocol,
    /// The most accesses a thread needed to finish an operation alone, from any state.
    pub(super) longest: Arc<AtomicU32>,
}

/// What callers are promised. The other properties are how the protocol keeps these.
pub(super) const PROMISES: [&str; 3] =
    ["linearizable", "a dead object owns nothing", "each thread alone finishes"];

/// The most accesses a thread that runs alone needs to finish one operation, from every state of every scenario. The
/// scenarios must reach it, so that it is tight.
///
/// They are: 9 to help, late, an operation that is settled (4 to read the descriptor, confirm, `seen`, act, note,
/// settle); 13 to start over and help the next one from its beginning (owner, state and claim word, then 10); and 17 to
/// do its own (these 3, 6 to write the descriptor, announce, 6 to carry it out, and the look at `done`).
pub(super) const SOLO_BOUND: u32 = 39;

impl System {
    pub(super) fn new(scenario: Scenario, protocol: Protocol) -> Self {
        assert!(scenario.scripts.len() <= THREADS);
        System { scenario, protocol, longest: Arc::default() }
    }

    pub(super) fn initial(&self) -> SystemState {
        let mut memory = Memory::default();
        let mut owned_by = [None; WORDS];
        memory.owner = [Owner { stamp: 1, slot: None }; WORDS];
        for slot in (self.scenario.live..self.slots()).rev() {
            memory.free.push(slot);
        }
        for slot in 0..self.scenario.live {
            let count = self.scenario.held.iter().filter(|(of, _)| *of == slot).count() as u8;
            memory.state[slot as usize] = State { generation: 1, live: true };
            memory.claim[slot as usize] = ClaimWord::idle(1, count);
        }
        for &(slot, word) in self.scenario.held {
            memory.owner[word as usize] = Owner { stamp: 2, slot: Some(slot) };
            owned_by[word as usize] = Some(Handle { slot, generation: 1 });
        }
        let thread = Thread { call: 0, mine: None, stage: Stage::Between };
        SystemState {
            monitor: Monitor::new(abstraction(&memory, &owned_by)),
            threads: std::array::from_fn(|_| thread.clone()),
            memory,
            owned_by,
        }
    }

    pub(super) fn slots(&self) -> u8 {
        self.scenario.live + self.scenario.spare
    }

    /// The operation a thread is in or makes next; none when its script is over.
    pub(super) fn operation(&self, threads: &[Thread; THREADS], thread: usize) -> Option<Operation> {
        let Thread { call, mine, .. } = threads[thread];
        let handle = |who| match who {
            Who::Of(handle) => Some(handle),
            Who::Mine => mine,
        };
        Some(match *self.scenario.scripts.get(thread)?.get(call as usize)? {
            Call::Insert => Operation::Insert,
            Call::Claim(who, word) => Operation::Claim(handle(who)?, word),
            Call::Release(who, word) => Operation::Release(handle(who)?, word),
            Call::Retire(who) => Operation::Retire(handle(who)?),
            Call::OwnerOf(word) => Operation::OwnerOf(word),
            Call::Validate(who) => Operation::Validate(handle(who)?),
        })
    }

    /// One access of `thread`: what it was, and what the operation returned if that ended it.
    pub(super) fn step(&self, state: &mut SystemState, thread: usize) -> Option<(Access, Option<Outcome>)> {
        let operation = self.operation(&state.threads, thread)?;
        let stage = state.threads[thread].stage;
        let owners = state.memory.owner;
        let (access, next) = self.protocol.step(&mut state.memory, thread as u8, operation, stage);
        for (word, before) in owners.iter().enumerate() {
            let after = state.memory.owner[word];
            if after != *before {
                let generation = match stage {
                    Stage::Act(task) => task.holder.generation,
                    _ => super::step::handle_of(operation).generation,
                };
                state.owned_by[word] = after.slot.map(|slot| Handle { slot, generation });
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
                    thread.mine = Some(handle);
                }
                Some(outcome)
            }
        };
        Some((access, outcome))
    }

    /// How many accesses `thread` needs to finish its operation if nobody else moves; none if it does not.
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

/// The state of the specification that the words stand for, between operations.
fn abstraction(memory: &Memory, owned_by: &[Option<Handle>; WORDS]) -> Spec {
    Spec {
        slots: memory.state.map(|State { generation, live }| SpecSlot { generation, live }),
        words: std::array::from_fn(|i| SpecWord { stamp: memory.owner[i].stamp, owner: owned_by[i] }),
    }
}

fn no_dead_object_owns(state: &SystemState) -> bool {
    state.memory.owner.iter().zip(&state.owned_by).all(|(owner, owned_by)| match (owner.slot, owned_by) {
        (None, None) => true,
        (Some(slot), Some(owned_by)) => slot == owned_by.slot && super::step::alive(&state.memory, *owned_by),
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
    /// Which thread makes its next access.
    type Action = u8;

    fn init_states(&self) -> Vec<SystemState> {
        vec![self.initial()]
    }

    fn actions(&self, state: &SystemState, actions: &mut Vec<u8>) {
        if !state.monitor.explains() || state.memory.free.is_overfull() {
            return; // a planted bug has done its work: what follows says nothing more
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
            Property::always("between operations the words are what the specification says", |_, state| {
                quiet_words_are_the_specification(state)
            }),
        ];
        properties.extend(self.scenario.reaches.iter().map(|witness| witness.property()));
        properties
    }
}
