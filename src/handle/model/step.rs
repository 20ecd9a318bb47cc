//! The protocol as a state machine: one call of [`Protocol::step`] makes one shared access of one thread.

use super::bugs::Bug;
use super::memory::*;
use super::spec::{Handle, Operation, Outcome};
use super::stage::{Next, Stage, Task};

/// The claim step's protocol, right or with a bug planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protocol {
    pub(super) bug: Option<Bug>,
}

impl Protocol {
    pub(super) const RIGHT: Protocol = Protocol { bug: None };

    pub(super) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The first access of an operation.
    pub(super) fn first(self, operation: Operation) -> Stage {
        match operation {
            Operation::Insert => Stage::PopFree,
            Operation::Claim(..) | Operation::Release(..) if self.has(Bug::StateBeforeOwner) => {
                Stage::Planted(super::bugs::Planted::StateFirst)
            }
            Operation::Claim(..) | Operation::Release(..) | Operation::OwnerOf(_) => Stage::ReadOwner,
            Operation::Retire(_) if self.has(Bug::RetireUnborn) => Stage::RetireReadClaim,
            Operation::Retire(_) => Stage::RetireCheckState,
            Operation::Validate(_) => Stage::Validate,
        }
    }

    /// Thread `me`, at `stage` of `operation`, makes one access.
    pub(super) fn step(
        self,
        memory: &mut Memory,
        me: u8,
        operation: Operation,
        stage: Stage,
    ) -> (Access, Next) {
        use Access::{Load, Store};
        use Location as At;
        // Where an operation starts over, when another one got in its way.
        let again = Next::Stage(match operation {
            Operation::Retire(_) => Stage::RetireReadClaim,
            _ => self.first(operation),
        });
        let to = Next::Stage;
        match stage {
            Stage::Between => self.step(memory, me, operation, self.first(operation)),

            // (1) The owner word before the state: whoever owned it then is what a refusal reports, and the state
            // check that follows is the instant at which the refusal was true.
            Stage::ReadOwner => {
                let word = word_of(operation);
                let seen = memory.owner[word as usize];
                let next = match operation {
                    Operation::OwnerOf(_) if seen.slot.is_none() => Next::Return(Outcome::Owner(None)),
                    Operation::OwnerOf(_) => to(Stage::NameState { seen }),
                    _ => to(Stage::CheckState { seen }),
                };
                (Load(At::Owner(word)), next)
            }
            Stage::CheckState { seen } => {
                let handle = handle_of(operation);
                let next = if !alive(memory, handle) {
                    Next::Return(Outcome::Stale)
                } else {
                    self.judge(operation, seen)
                };
                (Load(At::State(handle.slot)), next)
            }
            Stage::NameState { seen } => {
                let slot = seen.slot.expect("only an owned word is named");
                let generation = memory.state[slot as usize].generation;
                let next = if self.has(Bug::NameWithoutSecondLook) {
                    Next::Return(named(operation, Handle { slot, generation }))
                } else {
                    to(Stage::NameOwner { seen, generation })
                };
                (Load(At::State(slot)), next)
            }
            // Unchanged: the slot owned the word throughout, so it could not be retired, so the generation is right.
            Stage::NameOwner { seen, generation } => {
                let word = word_of(operation);
                let slot = seen.slot.expect("only an owned word is named");
                let next = if memory.owner[word as usize] == seen {
                    Next::Return(named(operation, Handle { slot, generation }))
                } else {
                    again
                };
                (Load(At::Owner(word)), next)
            }
            Stage::ReadClaim { seen } => {
                let handle = handle_of(operation);
                let next = match memory.claim[handle.slot as usize] {
                    ClaimWord::Busy { seat, sequence } => to(help(handle.slot, seat, sequence)),
                    ClaimWord::Idle { generation, .. } if generation != handle.generation => {
                        Next::Return(Outcome::Stale)
                    }
                    ClaimWord::Idle { closing: true, .. } if self.has(Bug::StaleWithoutFlip) => {
                        Next::Return(Outcome::Stale)
                    }
                    ClaimWord::Idle { closing: true, .. } => to(Stage::Flip { own: false }),
                    ClaimWord::Idle { generation, count, .. } if self.has(Bug::CountFirst) => to(
                        Stage::Planted(super::bugs::Planted::count_first(operation, seen, generation, count)),
                    ),
                    ClaimWord::Idle { generation, count, .. } => to(Stage::StoreSequence(Task {
                        own: true,
                        seat: me,
                        sequence: memory.descriptor[me as usize].sequence + 1,
                        slot: handle.slot,
                        target: target_of(operation),
                        holder: Holder { generation, count },
                        expected: seen,
                    })),
                };
                (Load(At::Claim(handle.slot)), next)
            }

            // The descriptor, field by field. The new sequence comes first, so that a helper of the operation before
            // cannot take these fields for that one's.
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
                (access, if result.is_ok() { self.carry(task) } else { again })
            }
            // The outcome, from the descriptor only. The owner word proves nothing by now.
            Stage::ReadDone(task) => {
                if self.has(Bug::OutcomeFromOwnerWord) {
                    let won = memory.owner[task.target.word as usize] == task.after();
                    return (Load(At::Owner(task.target.word)), if won { success(task) } else { again });
                }
                let won = memory.descriptor[me as usize].done == self.tagged(task.flag(true));
                (Load(At::Done(me)), if won { success(task) } else { again })
            }

            // The fields of another's operation, and then whether they were still that operation's.
            Stage::LoadTarget { slot, seat, sequence } => {
                let target = memory.descriptor[seat as usize].target;
                (Load(At::Target(seat)), to(Stage::LoadHolder { slot, seat, sequence, target }))
            }
            Stage::LoadHolder { slot, seat, sequence, target } => {
                let holder = memory.descriptor[seat as usize].holder;
                let stage = Stage::LoadExpected { slot, seat, sequence, target, holder };
                (Load(At::Holder(seat)), to(stage))
            }
            Stage::LoadExpected { slot, seat, sequence, target, holder } => {
                let expected = memory.descriptor[seat as usize].expected;
                let task = Task { own: false, seat, sequence, slot, target, holder, expected };
                let next = if self.has(Bug::NoSecondSequence) {
                    self.carry(task)
                } else {
                    to(Stage::CheckSequence(task))
                };
                (Load(At::Expected(seat)), next)
            }
            Stage::CheckSequence(task) => {
                let same = memory.descriptor[task.seat as usize].sequence == task.sequence;
                (Load(At::Sequence(task.seat)), if same { self.carry(task) } else { again })
            }

            // Confirm: the owner word still read `expected` while the operation was installed.
            Stage::Confirm(task) => {
                let unchanged = memory.owner[task.target.word as usize] == task.expected;
                let next = if unchanged { Stage::SetSeen(task) } else { Stage::ReadSeen(task) };
                (Load(At::Owner(task.target.word)), to(next))
            }
            Stage::SetSeen(task) => {
                (self.raise(memory, task, At::Seen(task.seat)), to(Stage::ReadSeen(task)))
            }
            Stage::ReadSeen(task) => {
                let seen = memory.descriptor[task.seat as usize].seen;
                let next = if seen.sequence != self.tagged(task.flag(true)).sequence {
                    again // the descriptor has been used again, so the operation was settled long ago
                } else if seen.set {
                    to(Stage::Act(task))
                } else {
                    self.settle(task, false)
                };
                (Load(At::Seen(task.seat)), next)
            }
            Stage::Act(task) => {
                let (access, result) = memory.exchange_owner(task.target.word, task.expected, task.after());
                let certain = task.target.what == What::Release && !self.has(Bug::ReleaseJudgedByOwnerWord);
                let won = certain || result.is_ok() || result == Err(task.after());
                let next = match self.bug {
                    Some(Bug::DoneAfterSettle) => self.settle(task, won),
                    Some(Bug::NegativeOutcome) if !won && !task.own => {
                        to(Stage::Planted(super::bugs::Planted::StoreNegative(task)))
                    }
                    _ if won => to(Stage::Note(task)),
                    _ => self.settle(task, false),
                };
                (access, next)
            }
            // Before the settle, so that whoever finds the operation settled finds its outcome; and only ever "won".
            Stage::Note(task) => {
                let access = self.raise(memory, task, At::Done(task.seat));
                let next = if self.has(Bug::DoneAfterSettle) {
                    self.settled(task, again)
                } else {
                    self.settle(task, true)
                };
                (access, next)
            }
            Stage::Settle { task, won } => {
                let installed = match memory.claim[task.slot as usize] {
                    busy @ ClaimWord::Busy { seat, .. }
                        if self.has(Bug::SettleWithoutTicket) && seat == task.seat =>
                    {
                        busy
                    }
                    _ => task.busy(),
                };
                let (access, _) = memory.exchange_claim(task.slot, installed, task.settled(won));
                let next = if won && self.has(Bug::DoneAfterSettle) {
                    to(Stage::Note(task))
                } else {
                    self.settled(task, again)
                };
                (access, next)
            }

            // First: a number that will be a handle one day finds its operation word reset before its state is
            // published, and must not retire what is not alive yet.
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
                    ClaimWord::Busy { .. } if self.has(Bug::HeldOnBusy) => {
                        Next::Return(Outcome::StillOwns(1))
                    }
                    ClaimWord::Busy { seat, sequence } => to(Stage::RetireCheckBusy { seat, sequence }),
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
            // Busy on behalf of whom? The operations of a later life are no business of this handle.
            Stage::RetireCheckBusy { seat, sequence } => {
                let handle = handle_of(operation);
                let alive = alive(memory, handle);
                let next =
                    if alive { to(help(handle.slot, seat, sequence)) } else { Next::Return(Outcome::Stale) };
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

            // A free slot is the popper's alone, and so is the reading of its generation.
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

            Stage::Planted(planted) => self.planted(planted, memory, operation, again),
        }
    }

    /// What claim and release conclude from the owner word, once the handle is known to be alive.
    pub(super) fn judge(self, operation: Operation, seen: Owner) -> Next {
        match operation {
            Operation::Claim(..) if seen.slot.is_some() => Next::Stage(Stage::NameState { seen }),
            Operation::Release(handle, _) if seen.slot != Some(handle.slot) => {
                Next::Return(Outcome::NotOwner)
            }
            _ => Next::Stage(Stage::ReadClaim { seen }),
        }
    }

    fn carry(self, task: Task) -> Next {
        Next::Stage(if self.has(Bug::ActWithoutConfirm) { Stage::Act(task) } else { Stage::Confirm(task) })
    }

    pub(super) fn settle(self, task: Task, won: bool) -> Next {
        Next::Stage(Stage::Settle { task, won })
    }

    fn settled(self, task: Task, again: Next) -> Next {
        if task.own { Next::Stage(Stage::ReadDone(task)) } else { again }
    }

    /// Sets a flag of the descriptor. Only its owner may store: it knows that the operation is still the
    /// descriptor's. A helper compares and exchanges, with the operation's sequence in the flag.
    fn raise(self, memory: &mut Memory, task: Task, at: Location) -> Access {
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

fn help(slot: u8, seat: u8, sequence: u8) -> Stage {
    Stage::LoadTarget { slot, seat, sequence }
}

pub(super) fn alive(memory: &Memory, handle: Handle) -> bool {
    memory.state[handle.slot as usize] == State { generation: handle.generation, live: true }
}

pub(super) fn success(task: Task) -> Next {
    Next::Return(match task.target.what {
        What::Claim => Outcome::Claimed(task.after().stamp),
        What::Release => Outcome::Released(task.after().stamp),
    })
}

fn named(operation: Operation, owner: Handle) -> Outcome {
    match operation {
        Operation::OwnerOf(_) => Outcome::Owner(Some(owner)),
        _ => Outcome::Owned(owner),
    }
}

pub(super) fn handle_of(operation: Operation) -> Handle {
    match operation {
        Operation::Claim(handle, _)
        | Operation::Release(handle, _)
        | Operation::Retire(handle)
        | Operation::Validate(handle) => handle,
        Operation::Insert | Operation::OwnerOf(_) => unreachable!("made on no handle"),
    }
}

pub(super) fn word_of(operation: Operation) -> u8 {
    match operation {
        Operation::Claim(_, word) | Operation::Release(_, word) | Operation::OwnerOf(word) => word,
        _ => unreachable!("made on no owner word"),
    }
}

fn target_of(operation: Operation) -> Target {
    let what = if matches!(operation, Operation::Release(..)) { What::Release } else { What::Claim };
    Target { what, word: word_of(operation) }
}
