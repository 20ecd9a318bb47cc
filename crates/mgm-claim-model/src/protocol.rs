//! The claim step as a state machine: one call of [`Protocol::step`] makes one shared access of one thread.

use crate::bugs::Bug;
use crate::memory::*;
use crate::spec::{Handle, Operation, Outcome};
use crate::stage::{Next, Stage, Task};

/// The protocol of the claim step, correct or with a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub bug: Option<Bug>,
}

impl Protocol {
    /// The protocol without a bug.
    pub const CORRECT: Protocol = Protocol { bug: None };

    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Returns the stage of an operation's first access.
    pub fn first(self, operation: Operation) -> Stage {
        match operation {
            Operation::Insert => Stage::PopFree,
            Operation::Claim(..) | Operation::Release(..) if self.has(Bug::StateBeforeOwner) => {
                Stage::Planted(crate::bugs::Planted::StateFirst)
            }
            Operation::Claim(..) | Operation::Release(..) | Operation::OwnerOf(_) | Operation::Touch(_) => {
                Stage::ReadOwner
            }
            Operation::Retire(_) if self.has(Bug::RetireUnborn) => Stage::RetireReadClaim,
            Operation::Retire(_) => Stage::RetireCheckState,
            Operation::Validate(_) => Stage::Validate,
        }
    }

    /// Makes the access of thread `me` at `stage` of `operation`.
    pub fn step(self, memory: &mut Memory, me: u8, operation: Operation, stage: Stage) -> (Access, Next) {
        use Access::{Load, Store};
        use Location as At;
        // The stage at which the operation starts over, after another one has interfered.
        let again = Next::Stage(match operation {
            Operation::Retire(_) => Stage::RetireReadClaim,
            _ => self.first(operation),
        });
        let to = Next::Stage;
        match stage {
            Stage::Between => self.step(memory, me, operation, self.first(operation)),

            // (1) The owner word before the state: a refusal reports the owner read here, and takes effect at the
            // check of the state that follows.
            Stage::ReadOwner => {
                let word = word_of(operation);
                let seen = memory.owner[word as usize];
                let next = match operation {
                    Operation::OwnerOf(_) if seen.slot.is_none() => Next::Return(Outcome::Owner(None)),
                    Operation::OwnerOf(_) => to(Stage::ResolveState { seen }),
                    Operation::Touch(_) if self.has(Bug::TouchByStore) && seen.slot.is_none() => {
                        to(Stage::Planted(crate::bugs::Planted::StoreTouched(seen)))
                    }
                    Operation::Touch(_) if seen.slot.is_some() && !self.has(Bug::TouchOwned) => {
                        Next::Return(Outcome::Touched(None))
                    }
                    Operation::Touch(_) => to(Stage::Touch { seen }),
                    _ => to(Stage::CheckState { seen }),
                };
                (Load(At::Owner(word)), next)
            }
            Stage::CheckState { seen } => {
                let handle = handle_of(operation);
                let next = if !alive(memory, handle) {
                    Next::Return(Outcome::Stale)
                } else {
                    self.check_owner(operation, seen)
                };
                (Load(At::State(handle.slot)), next)
            }
            Stage::ResolveState { seen } => {
                let slot = seen.slot.expect("only the owner of an owned word is resolved");
                let generation = memory.state[slot as usize].generation;
                let next = if self.has(Bug::ResolveWithoutRecheck) {
                    Next::Return(owner_outcome(operation, Handle { slot, generation }))
                } else {
                    to(Stage::ResolveOwner { seen, generation })
                };
                (Load(At::State(slot)), next)
            }
            // If the word is unchanged, the slot has owned it throughout; so it was not retired, and the generation is right.
            Stage::ResolveOwner { seen, generation } => {
                let word = word_of(operation);
                let slot = seen.slot.expect("only the owner of an owned word is resolved");
                let next = if memory.owner[word as usize] == seen {
                    Next::Return(owner_outcome(operation, Handle { slot, generation }))
                } else {
                    again
                };
                (Load(At::Owner(word)), next)
            }
            Stage::ReadClaim { seen } => {
                let handle = handle_of(operation);
                let next = match memory.claim[handle.slot as usize] {
                    ClaimWord::Busy { thread, sequence } => to(help(handle.slot, thread, sequence)),
                    ClaimWord::Idle { generation, .. } if generation != handle.generation => {
                        Next::Return(Outcome::Stale)
                    }
                    ClaimWord::Idle { closing: true, .. } if self.has(Bug::StaleWithoutFlip) => {
                        Next::Return(Outcome::Stale)
                    }
                    ClaimWord::Idle { closing: true, .. } => to(Stage::Flip { own: false }),
                    ClaimWord::Idle { generation, count, .. } if self.has(Bug::CountFirst) => to(
                        Stage::Planted(crate::bugs::Planted::count_first(operation, seen, generation, count)),
                    ),
                    ClaimWord::Idle { generation, count, .. } => to(Stage::StoreSequence(Task {
                        own: true,
                        thread: me,
                        sequence: memory.descriptor[me as usize].sequence + 1,
                        slot: handle.slot,
                        target: target_of(operation),
                        holder: Holder { generation, count },
                        expected: seen,
                    })),
                };
                (Load(At::Claim(handle.slot)), next)
            }

            // The descriptor, field by field. The new sequence is first, so that a helper of the previous operation
            // cannot mistake these fields for that operation's.
            Stage::StoreSequence(task) => {
                memory.descriptor[me as usize].sequence = task.sequence;
                (Store(At::Sequence(me), Value::Sequence(task.sequence)), to(Stage::StoreTarget(task)))
            }
            Stage::StoreTarget(task) => {
                memory.descriptor[me as usize].target = task.target;
                (Store(At::Target(me), Value::Target(task.target)), to(Stage::StoreHolder(task)))
            }
            Stage::StoreHolder(task) => {
                memory.descriptor[me as usize].holder = task.holder;
                (Store(At::Holder(me), Value::Holder(task.holder)), to(Stage::StoreExpected(task)))
            }
            Stage::StoreExpected(task) => {
                memory.descriptor[me as usize].expected = task.expected;
                (Store(At::Expected(me), Value::Owner(task.expected)), to(Stage::ResetSeen(task)))
            }
            Stage::ResetSeen(task) => {
                let clear = self.tagged(task.flag(false));
                memory.descriptor[me as usize].seen = clear;
                (Store(At::Seen(me), Value::Flag(clear)), to(Stage::ResetDone(task)))
            }
            Stage::ResetDone(task) => {
                let clear = self.tagged(task.flag(false));
                memory.descriptor[me as usize].done = clear;
                (Store(At::Done(me), Value::Flag(clear)), to(Stage::Announce(task)))
            }
            Stage::Announce(task) => {
                let idle = ClaimWord::idle(task.holder.generation, task.holder.count);
                let (access, result) = memory.exchange_claim(task.slot, idle, task.busy());
                (access, if result.is_ok() { self.carry_out(task) } else { again })
            }
            // The outcome comes from the descriptor alone. The owner word proves nothing any more.
            Stage::ReadDone(task) => {
                if self.has(Bug::OutcomeFromOwnerWord) {
                    let performed = memory.owner[task.target.word as usize] == task.after();
                    return (
                        Load(At::Owner(task.target.word)),
                        if performed { success(task) } else { again },
                    );
                }
                let performed = memory.descriptor[me as usize].done == self.tagged(task.flag(true));
                (Load(At::Done(me)), if performed { success(task) } else { again })
            }

            // A helper reads the fields of another thread's operation, and then checks that they still were that operation's.
            Stage::LoadTarget { slot, thread, sequence } => {
                let target = memory.descriptor[thread as usize].target;
                (Load(At::Target(thread)), to(Stage::LoadHolder { slot, thread, sequence, target }))
            }
            Stage::LoadHolder { slot, thread, sequence, target } => {
                let holder = memory.descriptor[thread as usize].holder;
                let stage = Stage::LoadExpected { slot, thread, sequence, target, holder };
                (Load(At::Holder(thread)), to(stage))
            }
            Stage::LoadExpected { slot, thread, sequence, target, holder } => {
                let expected = memory.descriptor[thread as usize].expected;
                let task = Task { own: false, thread, sequence, slot, target, holder, expected };
                let next = if self.has(Bug::SequenceNotRechecked) {
                    self.carry_out(task)
                } else {
                    to(Stage::CheckSequence(task))
                };
                (Load(At::Expected(thread)), next)
            }
            Stage::CheckSequence(task) => {
                let same = memory.descriptor[task.thread as usize].sequence == task.sequence;
                (Load(At::Sequence(task.thread)), if same { self.carry_out(task) } else { again })
            }

            // Confirm: the owner word still read `expected` while the operation was announced.
            Stage::Confirm(task) => {
                let unchanged = memory.owner[task.target.word as usize] == task.expected;
                let next = if unchanged { Stage::SetSeen(task) } else { Stage::ReadSeen(task) };
                (Load(At::Owner(task.target.word)), to(next))
            }
            Stage::SetSeen(task) => {
                (self.set_flag(memory, task, At::Seen(task.thread)), to(Stage::ReadSeen(task)))
            }
            Stage::ReadSeen(task) => {
                let seen = memory.descriptor[task.thread as usize].seen;
                let next = if seen.sequence != self.tagged(task.flag(true)).sequence {
                    again // the descriptor has been reused, so the operation is settled
                } else if seen.set {
                    to(Stage::Act(task))
                } else {
                    self.settle(task, false)
                };
                (Load(At::Seen(task.thread)), next)
            }
            Stage::Act(task) => {
                let (access, result) = memory.exchange_owner(task.target.word, task.expected, task.after());
                let certain =
                    task.target.change == Change::Release && !self.has(Bug::ReleaseOutcomeFromOwnerWord);
                let performed = certain || result.is_ok() || result == Err(task.after());
                let next = match self.bug {
                    Some(Bug::DoneAfterSettle) => self.settle(task, performed),
                    Some(Bug::NegativeOutcome) if !performed && !task.own => {
                        to(Stage::Planted(crate::bugs::Planted::StoreNegative(task)))
                    }
                    _ if performed => to(Stage::Note(task)),
                    _ => self.settle(task, false),
                };
                (access, next)
            }
            // Before the settle, so that a thread that finds the operation settled finds its outcome. Only success is noted.
            Stage::Note(task) => {
                let access = self.set_flag(memory, task, At::Done(task.thread));
                let next = if self.has(Bug::DoneAfterSettle) {
                    self.after_settle(task, again)
                } else {
                    self.settle(task, true)
                };
                (access, next)
            }
            Stage::Settle { task, performed } => {
                let installed = match memory.claim[task.slot as usize] {
                    busy @ ClaimWord::Busy { thread, .. }
                        if self.has(Bug::SettleWithoutTicket) && thread == task.thread =>
                    {
                        busy
                    }
                    _ => task.busy(),
                };
                let (access, _) = memory.exchange_claim(task.slot, installed, task.settled(performed));
                let next = if performed && self.has(Bug::DoneAfterSettle) {
                    to(Stage::Note(task))
                } else {
                    self.after_settle(task, again)
                };
                (access, next)
            }

            // First: insert resets the claim word before it publishes the state, so a guessed handle could otherwise
            // retire an object that is not live yet.
            Stage::RetireCheckState => {
                let handle = handle_of(operation);
                let alive = alive(memory, handle);
                let next = if alive { to(Stage::RetireReadClaim) } else { Next::Return(Outcome::Stale) };
                (Load(At::State(handle.slot)), next)
            }
            Stage::RetireReadClaim => {
                let handle = handle_of(operation);
                let found = memory.claim[handle.slot as usize];
                let next = match found {
                    ClaimWord::Busy { .. } if self.has(Bug::StillOwnsOnBusy) => {
                        Next::Return(Outcome::StillOwns(1))
                    }
                    ClaimWord::Busy { thread, sequence } => to(Stage::RetireCheckBusy { thread, sequence }),
                    ClaimWord::Idle { generation, .. } if generation != handle.generation => {
                        Next::Return(Outcome::Stale)
                    }
                    ClaimWord::Idle { closing: true, .. } if self.has(Bug::StaleWithoutFlip) => {
                        Next::Return(Outcome::Stale)
                    }
                    ClaimWord::Idle { closing: true, .. } => to(Stage::Flip { own: false }),
                    ClaimWord::Idle { count: 0, .. } => to(Stage::Close { found }),
                    ClaimWord::Idle { count, .. } => Next::Return(Outcome::StillOwns(count)),
                };
                (Load(At::Claim(handle.slot)), next)
            }
            // A busy claim word does not show its generation. Operations of a later generation do not concern this handle.
            Stage::RetireCheckBusy { thread, sequence } => {
                let handle = handle_of(operation);
                let alive = alive(memory, handle);
                let next = if alive {
                    to(help(handle.slot, thread, sequence))
                } else {
                    Next::Return(Outcome::Stale)
                };
                (Load(At::State(handle.slot)), next)
            }
            Stage::Close { found } => {
                let handle = handle_of(operation);
                let closed = ClaimWord::Idle { closing: true, generation: handle.generation, count: 0 };
                let (access, result) = memory.exchange_claim(handle.slot, found, closed);
                (access, if result.is_ok() { to(Stage::Flip { own: true }) } else { again })
            }
            Stage::Flip { own } => {
                let handle = handle_of(operation);
                let live = State { generation: handle.generation, live: true };
                let dead = State { live: false, ..live };
                let (access, _) = memory.exchange_state(handle.slot, live, dead);
                (access, if own { to(Stage::PushFree) } else { Next::Return(Outcome::Stale) })
            }
            Stage::PushFree => {
                memory.free.push(handle_of(operation).slot);
                (Access::FreeList, Next::Return(Outcome::Retired))
            }

            // A free slot belongs to the thread that popped it, which alone reads and advances its generation.
            Stage::PopFree => {
                let next = match memory.free.pop() {
                    Some(slot) => {
                        let generation = memory.state[slot as usize].generation + 1;
                        let handle = Handle { slot, generation };
                        to(if self.has(Bug::StateBeforeClaim) {
                            Stage::PublishState(handle)
                        } else {
                            Stage::ResetClaim(handle)
                        })
                    }
                    None => Next::Return(Outcome::Full),
                };
                (Access::FreeList, next)
            }
            Stage::ResetClaim(handle) => {
                let fresh = ClaimWord::idle(handle.generation, 0);
                memory.claim[handle.slot as usize] = fresh;
                let next = if self.has(Bug::StateBeforeClaim) {
                    Next::Return(Outcome::Inserted(handle))
                } else {
                    to(Stage::PublishState(handle))
                };
                (Store(At::Claim(handle.slot), Value::Claim(fresh)), next)
            }
            Stage::PublishState(handle) => {
                let live = State { generation: handle.generation, live: true };
                memory.state[handle.slot as usize] = live;
                let next = if self.has(Bug::StateBeforeClaim) {
                    to(Stage::ResetClaim(handle))
                } else {
                    Next::Return(Outcome::Inserted(handle))
                };
                (Store(At::State(handle.slot), Value::State(live)), next)
            }

            Stage::Validate => {
                let handle = handle_of(operation);
                (Load(At::State(handle.slot)), Next::Return(Outcome::Valid(alive(memory, handle))))
            }

            // The stamp of a free word. Every operation that saw the former word is lost.
            Stage::Touch { seen } => {
                let touched = seen.next(seen.slot);
                let (access, result) = memory.exchange_owner(word_of(operation), seen, touched);
                let stamp = seen.slot.is_none().then_some(touched.stamp);
                (access, if result.is_ok() { Next::Return(Outcome::Touched(stamp)) } else { again })
            }

            Stage::Planted(planted) => self.planted(planted, memory, operation, again),
        }
    }

    /// Returns what follows for a claim or release from the owner word, once the handle is known to be live.
    pub fn check_owner(self, operation: Operation, seen: Owner) -> Next {
        match operation {
            Operation::Claim(..) if seen.slot.is_some() => Next::Stage(Stage::ResolveState { seen }),
            Operation::Release(handle, _) if seen.slot != Some(handle.slot) => {
                Next::Return(Outcome::NotOwner)
            }
            _ => Next::Stage(Stage::ReadClaim { seen }),
        }
    }

    fn carry_out(self, task: Task) -> Next {
        Next::Stage(if self.has(Bug::ActWithoutConfirm) { Stage::Act(task) } else { Stage::Confirm(task) })
    }

    pub fn settle(self, task: Task, performed: bool) -> Next {
        Next::Stage(Stage::Settle { task, performed })
    }

    fn after_settle(self, task: Task, again: Next) -> Next {
        if task.own { Next::Stage(Stage::ReadDone(task)) } else { again }
    }

    /// Sets a flag of the descriptor. Only the descriptor's thread may store, because it knows that the operation is still
    /// the descriptor's. A helper compares and exchanges, with the operation's sequence in the flag.
    fn set_flag(self, memory: &mut Memory, task: Task, at: Location) -> Access {
        let (clear, set) = (self.tagged(task.flag(false)), self.tagged(task.flag(true)));
        if task.own {
            *memory.flag(at) = set;
            Access::Store(at, Value::Flag(set))
        } else {
            memory.exchange_flag(at, clear, set).0
        }
    }

    fn tagged(self, flag: Flag) -> Flag {
        if self.has(Bug::UntaggedFlags) { Flag { sequence: 0, ..flag } } else { flag }
    }
}

fn help(slot: u8, thread: u8, sequence: u8) -> Stage {
    Stage::LoadTarget { slot, thread, sequence }
}

pub fn alive(memory: &Memory, handle: Handle) -> bool {
    memory.state[handle.slot as usize] == State { generation: handle.generation, live: true }
}

pub fn success(task: Task) -> Next {
    Next::Return(match task.target.change {
        Change::Claim => Outcome::Claimed(task.after().stamp),
        Change::Release => Outcome::Released(task.after().stamp),
    })
}

fn owner_outcome(operation: Operation, owner: Handle) -> Outcome {
    match operation {
        Operation::OwnerOf(_) => Outcome::Owner(Some(owner)),
        _ => Outcome::Owned(owner),
    }
}

pub fn handle_of(operation: Operation) -> Handle {
    match operation {
        Operation::Claim(handle, _)
        | Operation::Release(handle, _)
        | Operation::Retire(handle)
        | Operation::Validate(handle) => handle,
        Operation::Insert | Operation::OwnerOf(_) | Operation::Touch(_) => unreachable!("takes no handle"),
    }
}

pub fn word_of(operation: Operation) -> u8 {
    match operation {
        Operation::Claim(_, word)
        | Operation::Release(_, word)
        | Operation::OwnerOf(word)
        | Operation::Touch(word) => word,
        _ => unreachable!("takes no owner word"),
    }
}

fn target_of(operation: Operation) -> Target {
    let change = if matches!(operation, Operation::Release(..)) { Change::Release } else { Change::Claim };
    Target { change, word: word_of(operation) }
}
