//! The real claim step, on threads that make one shared access whenever they are told to.
//!
//! Each thread of a scenario is a thread here, with a hook that is called before each shared access of the claim step
//! (`crate::sync::stepping`): it tells what the thread is about to do and waits for leave. So exactly one thread moves
//! at a time, by exactly one access, and between two moves the words stand still and can be compared.
//!
//! The slots are the table's own; only the free list is one of the test's, because the table's is not stepped.

use super::memory::{ClaimWord, Location, State, Value, What};
use super::spec::{Handle as ModelHandle, Operation, Outcome, WORDS};
use super::system::{Scenario, System};
use crate::handle::claim::{ClaimSlot, ClaimSlots, ClaimStep};
use crate::handle::layout::Claims;
use crate::handle::segments::Segments;
use crate::handle::slot::{self, Slot};
use crate::handle::{
    ClaimError, Handle, Kind, OwnerWords, ReleaseError, ResourceId, RetireError, descriptor, seat,
};
use crate::sync::{Ordering, SteppedWord, stepping};
use parking_lot::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

/// What a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Access(stepping::Access, usize),
    FreeList,
}

/// What a thread tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    About(Move),
    Returned(Outcome),
    /// Its script is over.
    Over,
}

/// Slots, owner words and the free list of one run.
pub(super) struct Real {
    slots: Segments<Slot<(), Claims>>,
    owners: OwnerWords,
    words: [ResourceId; WORDS],
    free: Mutex<Vec<u8>>,
}

impl Real {
    /// As the scenario begins.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let slots = u32::from(scenario.live + scenario.spare);
        let owners = OwnerWords::default();
        let real = Real {
            slots: Segments::new(slots),
            words: owners.append().expect("room for two words"),
            owners,
            free: Mutex::new((0..scenario.live + scenario.spare).rev().collect()),
        };
        for slot in 0..slots {
            real.slots.ensure(slot).expect("memory for a few slots");
        }
        for slot in 0..scenario.live {
            let handle = ModelHandle { slot, generation: 1 };
            assert_eq!(real.perform(Operation::Insert, &|| ()), Outcome::Inserted(handle));
        }
        for &(slot, word) in scenario.held {
            let handle = ModelHandle { slot, generation: 1 };
            assert_eq!(real.perform(Operation::Claim(handle, word), &|| ()), Outcome::Claimed(2));
        }
        real
    }

    /// The operation, by the code. `at_free_list` is called before the free list is used.
    fn perform(&self, operation: Operation, at_free_list: &dyn Fn()) -> Outcome {
        let step = ClaimStep { slots: self, owners: &self.owners };
        let stamp = |word: crate::handle::OwnerWord| word.stamp() as u8;
        match operation {
            Operation::Insert => {
                at_free_list();
                let Some(slot) = self.free.lock().pop() else { return Outcome::Full };
                let index = u32::from(slot);
                let opened = self.slots.get(index).expect("made at the start");
                // SAFETY: a slot is on the list when it was never used or was retired, and whoever pops it has it
                // alone. Its value has no bytes, so no reader's grace period matters.
                let handle = unsafe { opened.open(Kind::DEFAULT, index, ()) };
                Outcome::Inserted(model_handle(handle))
            }
            Operation::Claim(handle, word) => match step.claim(real_handle(handle), self.word_id(word)) {
                Ok(word) => Outcome::Claimed(stamp(word)),
                Err(ClaimError::Owned(holder)) => Outcome::Owned(model_handle(holder)),
                Err(ClaimError::Stale) => Outcome::Stale,
                Err(ClaimError::UnknownOwner) => unreachable!("the words were made at the start"),
            },
            Operation::Release(handle, word) => match step.release(real_handle(handle), self.word_id(word)) {
                Ok(word) => Outcome::Released(stamp(word)),
                Err(ReleaseError::NotOwner) => Outcome::NotOwner,
                Err(ReleaseError::Stale) => Outcome::Stale,
                Err(ReleaseError::UnknownOwner) => unreachable!("the words were made at the start"),
            },
            Operation::Retire(handle) => match step.check_and_retire(real_handle(handle)) {
                Ok(()) => {
                    at_free_list();
                    self.free.lock().push(handle.slot);
                    Outcome::Retired
                }
                Err(RetireError::StillOwns(count)) => Outcome::StillOwns(count as u8),
                Err(RetireError::Stale) => Outcome::Stale,
            },
            Operation::OwnerOf(word) => Outcome::Owner(step.owner_of(self.word_id(word)).map(model_handle)),
            Operation::Validate(handle) => Outcome::Valid(self.slot(handle.slot).is(real_handle(handle))),
        }
    }

    fn slot(&self, slot: u8) -> &Slot<(), Claims> {
        self.slots.get(u32::from(slot)).expect("made at the start")
    }

    fn word_id(&self, word: u8) -> ResourceId {
        self.words[word as usize]
    }

    /// Has a thread of its own run the script of `thread`, one move at a time.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        system: &'scope System,
        thread: usize,
    ) -> Puppet {
        let (tell, events) = channel();
        let (leave, wait) = channel();
        let (tell_seat, told_seat) = channel();
        scope.spawn(move || {
            let _ = tell_seat.send(seat::with(|seat| seat));
            self.play(system, thread, tell, wait);
        });
        let seat = told_seat.recv().expect("the thread has begun");
        let base = words_of(seat)[0].unstepped().load(Ordering::SeqCst);
        Puppet { events, leave, seat, base }
    }

    fn play(&self, system: &System, thread: usize, tell: Sender<Event>, wait: Receiver<()>) {
        // When nobody listens any more the run is over: go on without leave.
        let about = std::rc::Rc::new(move |event| {
            if tell.send(event).is_ok() && matches!(event, Event::About(_)) {
                let _ = wait.recv();
            }
        });
        let hook = about.clone();
        stepping::set(move |access, address| hook(Event::About(Move::Access(access, address))));
        let mut threads = system.initial().threads;
        while let Some(operation) = system.operation(&threads, thread) {
            let outcome = self.perform(operation, &|| about(Event::About(Move::FreeList)));
            if let Outcome::Inserted(handle) = outcome {
                threads[thread].mine = Some(handle);
            }
            threads[thread].call += 1;
            about(Event::Returned(outcome));
        }
        stepping::clear();
        about(Event::Over);
    }
}

impl ClaimSlots for Real {
    fn claim_slot(&self, index: u32) -> Option<ClaimSlot<'_>> {
        self.slots.claim_slot(index)
    }
}

/// A thread that is being stepped.
pub(super) struct Puppet {
    pub(super) events: Receiver<Event>,
    pub(super) leave: Sender<()>,
    seat: u16,
    /// The sequence number its descriptor had at the start: the model's 0.
    base: u64,
}

/// How the model's words read in the real ones.
pub(super) struct Reading<'a> {
    pub(super) real: &'a Real,
    pub(super) puppets: &'a [Puppet],
}

impl Reading<'_> {
    /// The real word.
    pub(super) fn word(&self, at: Location) -> &SteppedWord {
        let of = |seat: u8, field: usize| words_of(self.puppets[seat as usize].seat)[field];
        match at {
            Location::State(slot) => self.real.slot(slot).state(),
            Location::Claim(slot) => &self.real.slot(slot).claim().word,
            Location::Owner(word) => {
                self.real.owners.stepped(self.real.word_id(word)).expect("made at the start")
            }
            Location::Sequence(seat) => of(seat, 0),
            Location::Target(seat) => of(seat, 1),
            Location::Holder(seat) => of(seat, 2),
            Location::Expected(seat) => of(seat, 3),
            Location::Seen(seat) => of(seat, 4),
            Location::Done(seat) => of(seat, 5),
        }
    }

    /// The bits of a value of the model in the word at `at`, as the pictures at the top of this module draw them.
    pub(super) fn bits(&self, at: Location, value: Value) -> u64 {
        let sequence = |seat: u8, sequence: u8| self.puppets[seat as usize].base + u64::from(sequence);
        match value {
            Value::State(State { generation, live: true }) => {
                let Location::State(slot) = at else { unreachable!("a state in {at:?}") };
                real_handle(ModelHandle { slot, generation }).bits()
            }
            Value::State(State { generation: 0, live: false }) => 0,
            Value::State(State { generation, live: false }) => slot::dead(u32::from(generation), slot::NIL),
            Value::Claim(ClaimWord::Idle { closing, generation, count }) => {
                u64::from(closing) << 62 | u64::from(generation) << 30 | u64::from(count)
            }
            Value::Claim(ClaimWord::Busy { seat, sequence: number }) => {
                let real_seat = self.puppets[seat as usize].seat;
                1 << 63 | u64::from(real_seat) << 49 | sequence(seat, number)
            }
            Value::Owner(owner) => {
                u64::from(owner.stamp) << 20 | owner.slot.map_or(0, |slot| u64::from(slot) + 1)
            }
            Value::Target(target) => {
                let release = u64::from(target.what == What::Release);
                release << 32 | u64::from(self.real.word_id(target.word).0)
            }
            Value::Holder(holder) => u64::from(holder.generation) << 32 | u64::from(holder.count),
            Value::Sequence(number) => sequence(seat_of(at), number),
            Value::Flag(flag) => sequence(seat_of(at), flag.sequence) << 1 | u64::from(flag.set),
        }
    }
}

fn seat_of(at: Location) -> u8 {
    match at {
        Location::Sequence(seat) | Location::Seen(seat) | Location::Done(seat) => seat,
        _ => unreachable!("not of a descriptor: {at:?}"),
    }
}

/// A descriptor's words, in the order in which it names them.
fn words_of(seat: u16) -> [&'static SteppedWord; 6] {
    let words = descriptor::of(seat).expect("every seat has a descriptor").words();
    assert_eq!(words.map(|(name, _)| name), ["sequence", "target", "holder", "expected", "seen", "done"]);
    words.map(|(_, word)| word)
}

fn real_handle(handle: ModelHandle) -> Handle {
    Handle::issue(u32::from(handle.generation), Kind::DEFAULT, u32::from(handle.slot))
}

fn model_handle(handle: Handle) -> ModelHandle {
    assert_eq!(handle.kind(), Some(Kind::DEFAULT));
    ModelHandle { slot: handle.index() as u8, generation: handle.generation() as u8 }
}
