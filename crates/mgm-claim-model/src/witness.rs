//! The situations that scenarios must reach. An exploration that never met a late helper shows nothing about late helpers.

use crate::stage::{Stage, Task};
use crate::system::{System, SystemState};
use stateright::Property;

/// A situation, seen in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// A helper carries out another thread's operation.
    Helping,
    /// A helper is about to act for an operation that has been settled.
    LateHelper,
    /// ... with an owner word that has another owner by now.
    LateHelperWordTaken,
    /// ... with a slot that is in a later generation by now.
    LateHelperSlotReused,
    /// A helper has read fields of two operations.
    TornRead,
    /// The announcer finds its operation settled by a helper.
    SettledByHelper,
    /// An operation is about to be settled as lost.
    Lost,
    /// The owner of a word changed while its handle was resolved.
    OwnerChangedWhileResolved,
    /// ... and its slot is in a later generation by now.
    SlotReusedWhileResolved,
    /// A thread is about to finish another thread's retirement.
    FlipForAnother,
    /// An insert reuses a slot.
    Reuse,
}

impl Witness {
    /// Returns the property that some state is this situation.
    pub fn property(self) -> Property<System> {
        match self {
            Witness::Helping => Property::sometimes("a helper carries out an operation", |_, state| {
                helpers(state).next().is_some()
            }),
            Witness::LateHelper => {
                Property::sometimes("a helper is late", |_, state| late(state).next().is_some())
            }
            Witness::LateHelperWordTaken => {
                Property::sometimes("a helper is late: the word has another owner", |_, state| {
                    late(state).any(|task| {
                        let owner = state.memory.owner[task.target.word as usize].slot;
                        owner.is_some_and(|owner| owner != task.slot)
                    })
                })
            }
            Witness::LateHelperSlotReused => {
                Property::sometimes("a helper is late: the slot is reused", |_, state| {
                    late(state).any(|task| {
                        state.memory.state[task.slot as usize].generation > task.holder.generation
                    })
                })
            }
            Witness::TornRead => Property::sometimes("a helper's fields are torn", |_, state| {
                stages(state).any(|stage| match stage {
                    Stage::CheckSequence(task) => {
                        let now = state.memory.descriptor[task.thread as usize];
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
                        Stage::Settle { task, .. } => task.own && !is_announced(state, task),
                        _ => false,
                    })
                })
            }
            Witness::Lost => Property::sometimes("an operation is lost", |_, state| {
                stages(state).any(|stage| match stage {
                    Stage::Settle { task, performed } => !performed && is_announced(state, task),
                    _ => false,
                })
            }),
            Witness::OwnerChangedWhileResolved => {
                Property::sometimes("the owner changes while its handle is resolved", |_, state| {
                    out_of_date(state).next().is_some()
                })
            }
            Witness::SlotReusedWhileResolved => {
                Property::sometimes("the owner's slot is reused while its handle is resolved", |_, state| {
                    out_of_date(state).any(|(slot, generation)| generation > 1 && slot == 0)
                })
            }
            Witness::FlipForAnother => {
                Property::sometimes("a retirement is finished by another thread", |_, state| {
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

fn is_announced(state: &SystemState, task: Task) -> bool {
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
        Stage::Act(task) if !task.own && !is_announced(state, task) => Some(task),
        _ => None,
    })
}

/// Returns the slots with resolved handles that are out of date, each with the generation that was read for it.
fn out_of_date(state: &SystemState) -> impl Iterator<Item = (u8, u8)> {
    state.threads.iter().filter_map(|thread| match thread.stage {
        Stage::ResolveOwner { seen, generation } if !state.memory.owner.contains(&seen) => {
            seen.slot.map(|slot| (slot, generation))
        }
        _ => None,
    })
}
