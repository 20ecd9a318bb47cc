//! What a scenario must be able to reach. An exploration that never met a late helper says nothing about late helpers.

use super::stage::{Stage, Task};
use super::system::{System, SystemState};
use stateright::Property;

/// A situation, seen in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    /// A helper carries out another thread's operation.
    Helping,
    /// A helper is about to act for an operation that has been settled.
    LateHelper,
    /// ... whose owner word belongs to somebody else by now.
    LateHelperReowned,
    /// ... whose slot is in a later life by now.
    LateHelperNextLife,
    /// A helper has read fields of two operations.
    TornRead,
    /// The announcer finds its operation settled by a helper.
    SettledByHelper,
    /// An operation is about to be settled as lost.
    Lost,
    /// The owner changed under a look at its name.
    NameMoved,
    /// ... and its slot is in a later life by now.
    NameNextLife,
    /// A thread is about to finish another's retirement.
    FlipForAnother,
    /// An insert reuses a slot.
    Reuse,
}

impl Witness {
    pub(super) fn property(self) -> Property<System> {
        match self {
            Witness::Helping => Property::sometimes("a helper carries out an operation", |_, state| {
                helpers(state).next().is_some()
            }),
            Witness::LateHelper => {
                Property::sometimes("a helper is late", |_, state| late(state).next().is_some())
            }
            Witness::LateHelperReowned => {
                Property::sometimes("a helper is late: owned by another", |_, state| {
                    late(state).any(|task| {
                        let owner = state.memory.owner[task.target.word as usize].slot;
                        owner.is_some_and(|owner| owner != task.slot)
                    })
                })
            }
            Witness::LateHelperNextLife => {
                Property::sometimes("a helper is late: slot reused", |_, state| {
                    late(state).any(|task| {
                        state.memory.state[task.slot as usize].generation > task.holder.generation
                    })
                })
            }
            Witness::TornRead => Property::sometimes("a helper's fields are torn", |_, state| {
                stages(state).any(|stage| match stage {
                    Stage::CheckSequence(task) => {
                        let now = state.memory.descriptor[task.seat as usize];
                        now.sequence > task.sequence
                            && now.expected == task.expected
                            && now.seen.sequence == task.sequence
                    }
                    _ => false,
                })
            }),
            Witness::SettledByHelper => {
                Property::sometimes("an operation is settled by a helper", |_, state| {
                    stages(state).any(|stage| match stage {
                        Stage::Settle { task, .. } => task.own && !installed(state, task),
                        _ => false,
                    })
                })
            }
            Witness::Lost => Property::sometimes("an operation is lost", |_, state| {
                stages(state).any(|stage| match stage {
                    Stage::Settle { task, won } => !won && installed(state, task),
                    _ => false,
                })
            }),
            Witness::NameMoved => Property::sometimes("the owner changes while it is named", |_, state| {
                named(state).next().is_some()
            }),
            Witness::NameNextLife => {
                Property::sometimes("the owner's slot is reused while it is named", |_, state| {
                    named(state).any(|(slot, generation)| generation > 1 && slot == 0)
                })
            }
            Witness::FlipForAnother => {
                Property::sometimes("a retirement is finished by another", |_, state| {
                    stages(state).any(|stage| stage == Stage::Flip { own: false })
                        && stages(state).any(|stage| stage == Stage::Flip { own: true })
                })
            }
            Witness::Reuse => Property::sometimes("a slot is reused", |_, state: &SystemState| {
                state.memory.state.iter().any(|slot| slot.generation > 1 && slot.live)
            }),
        }
    }
}

fn stages(state: &SystemState) -> impl Iterator<Item = Stage> {
    state.threads.iter().map(|thread| thread.stage)
}

fn installed(state: &SystemState, task: Task) -> bool {
    state.memory.claim[task.slot as usize] == task.busy()
}

fn helpers(state: &SystemState) -> impl Iterator<Item = Task> {
    stages(state).filter_map(|stage| match stage {
        Stage::Confirm(task) | Stage::Act(task) if !task.own => Some(task),
        _ => None,
    })
}

fn late(state: &SystemState) -> impl Iterator<Item = Task> {
    stages(state).filter_map(|stage| match stage {
        Stage::Act(task) if !task.own && !installed(state, task) => Some(task),
        _ => None,
    })
}

/// Names about to be found wrong: the slot, and the generation that was read for it.
fn named(state: &SystemState) -> impl Iterator<Item = (u8, u8)> {
    state.threads.iter().filter_map(|thread| match thread.stage {
        Stage::NameOwner { seen, generation } if !state.memory.owner.contains(&seen) => {
            seen.slot.map(|slot| (slot, generation))
        }
        _ => None,
    })
}
