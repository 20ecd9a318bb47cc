//! The real claim step, on threads that make one shared access whenever the scheduler lets them.
//!
//! Each thread of a scenario is a real thread with a hook that is called before each shared access of the claim step
//! (`crate::sync::stepping`). The hook reports the access and blocks until the scheduler answers. So exactly one thread moves
//! at a time, by exactly one access, and between two moves the words stand still and can be compared.
//!
//! The slots are the table's own. The free list is one of this test, because the table's is not stepped.

use crate::handle::claim::{ClaimProtocol, ClaimSlot, ClaimSlots};
use crate::handle::layout::Claims;
use crate::handle::slot::Slot;
use crate::handle::slot_array::SlotArray;
use crate::handle::state_word;
use crate::handle::{
    ClaimError, Handle, Kind, OwnerWord, OwnerWords, ReleaseError, ResourceId, RetireError, descriptor,
    thread_id,
};
use crate::sync::{Ordering, SteppedWord, stepping};
use mgm_claim_model::memory::{Change, ClaimWord, Location, State, Value};
use mgm_claim_model::spec::{Handle as ModelHandle, Operation, Outcome, WORDS};
use mgm_claim_model::system::{Scenario, System};
use parking_lot::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

/// The next move of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Access(stepping::Access, usize),
    FreeList,
}

/// A report of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    About(Move),
    Returned(Outcome),
    /// The script is over.
    Over,
}

/// Slots, owner words and the free list of one run.
pub(super) struct Real {
    slots: SlotArray<(), Claims>,
    owners: OwnerWords,
    words: [ResourceId; WORDS],
    free: Mutex<Vec<u8>>,
}

impl Real {
    /// Creates the state in which the scenario starts.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let slots = u32::from(scenario.live + scenario.spare);
        let owners = OwnerWords::default();
        let real = Real {
            slots: SlotArray::new(slots),
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
        for &(slot, word) in scenario.owned {
            let handle = ModelHandle { slot, generation: 1 };
            assert_eq!(real.perform(Operation::Claim(handle, word), &|| ()), Outcome::Claimed(2));
        }
        real
    }

    /// Performs the operation with the code. Calls `at_free_list` before it uses the free list.
    fn perform(&self, operation: Operation, at_free_list: &dyn Fn()) -> Outcome {
        let step = ClaimProtocol { slots: self, words: &self.owners };
        let stamp = |word: crate::handle::OwnerWord| word.stamp() as u8;
        match operation {
            Operation::Insert => {
                at_free_list();
                let Some(slot) = self.free.lock().pop() else { return Outcome::Full };
                let index = u32::from(slot);
                let opened = self.slots.get(index).expect("created at the start");
                let handle = opened.next_handle(Kind::DEFAULT, index);
                // SAFETY: a slot on the list was never used or was retired, and the thread that pops it has it alone. Its
                // value has no octets, so no reader's grace period matters.
                unsafe { opened.open(handle, 0, ()) };
                Outcome::Inserted(model_handle(handle))
            }
            Operation::Claim(handle, word) => match step.claim(real_handle(handle), self.word_id(word), None)
            {
                Ok(word) => Outcome::Claimed(stamp(word)),
                Err(ClaimError::Owned(holder)) => Outcome::Owned(model_handle(holder)),
                Err(ClaimError::Stale) => Outcome::Stale,
                Err(ClaimError::Changed) => unreachable!("it depends on no word"),
                Err(ClaimError::UnknownResource) => unreachable!("the words were created at the start"),
            },
            Operation::Release(handle, word) => {
                match step.release(real_handle(handle), self.word_id(word), None) {
                    Ok(word) => Outcome::Released(stamp(word)),
                    Err(ReleaseError::NotOwner) => Outcome::NotOwner,
                    Err(ReleaseError::Stale) => Outcome::Stale,
                    Err(ReleaseError::Changed) => unreachable!("it depends on no word"),
                    Err(ReleaseError::UnknownResource) => unreachable!("the words were created at the start"),
                }
            }
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
            Operation::Touch(word) => loop {
                let id = self.word_id(word);
                let stepped = self.owners.stepped(id).expect("created at the start");
                let seen = OwnerWord(stepped.load(Ordering::SeqCst));
                if !seen.is_free() {
                    break Outcome::Touched(None);
                }
                if step.touch(id, seen) {
                    break Outcome::Touched(Some(stamp(seen.touched())));
                }
            },
            Operation::Validate(handle) => Outcome::Valid(self.slot(handle.slot).holds(real_handle(handle))),
        }
    }

    fn slot(&self, slot: u8) -> &Slot<(), Claims> {
        self.slots.get(u32::from(slot)).expect("created at the start")
    }

    fn word_id(&self, word: u8) -> ResourceId {
        self.words[word as usize]
    }

    /// Starts a thread that runs the script of `thread`, one move at a time.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        system: &'scope System,
        thread: usize,
    ) -> Puppet {
        let (report, events) = channel();
        let (leave, wait) = channel();
        let (report_id, reported_id) = channel();
        scope.spawn(move || {
            let _ = report_id.send(thread_id::with(|id| id));
            self.play(system, thread, report, wait);
        });
        let id = reported_id.recv().expect("the thread has begun");
        let base = words_of(id)[0].unstepped().load(Ordering::SeqCst);
        Puppet { events, leave, id, base }
    }

    fn play(&self, system: &System, thread: usize, report: Sender<Event>, wait: Receiver<()>) {
        // When the receiver is dropped the run is over: continue without leave. Until then a thread keeps its id, even after its
        // script: another thread with that id would write its descriptor, which the run still compares.
        let about = std::rc::Rc::new(move |event| {
            if report.send(event).is_ok() && matches!(event, Event::About(_) | Event::Over) {
                let _ = wait.recv();
            }
        });
        let hook = about.clone();
        stepping::set(move |access, address| hook(Event::About(Move::Access(access, address))));
        let mut threads = system.initial().threads;
        while let Some(operation) = system.operation(&threads, thread) {
            let outcome = self.perform(operation, &|| about(Event::About(Move::FreeList)));
            if let Outcome::Inserted(handle) = outcome {
                threads[thread].inserted = Some(handle);
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

/// A thread that is stepped.
pub(super) struct Puppet {
    pub(super) events: Receiver<Event>,
    pub(super) leave: Sender<()>,
    id: u16,
    /// The sequence number of its descriptor at the start, which is 0 in the model.
    base: u64,
}

/// Translates the words of the model into the real ones.
pub(super) struct Reading<'a> {
    pub(super) real: &'a Real,
    pub(super) puppets: &'a [Puppet],
}

impl Reading<'_> {
    /// Returns the real word.
    pub(super) fn word(&self, at: Location) -> &SteppedWord {
        let of = |thread: u8, field: usize| words_of(self.puppets[thread as usize].id)[field];
        match at {
            Location::State(slot) => self.real.slot(slot).state(),
            Location::Claim(slot) => &self.real.slot(slot).claim().0,
            Location::Owner(word) => {
                self.real.owners.stepped(self.real.word_id(word)).expect("created at the start")
            }
            Location::Sequence(thread) => of(thread, 0),
            Location::Target(thread) => of(thread, 1),
            Location::Holder(thread) => of(thread, 2),
            Location::Expected(thread) => of(thread, 3),
            Location::Seen(thread) => of(thread, 4),
            Location::Done(thread) => of(thread, 5),
        }
    }

    /// Returns the bits of a value of the model in the word at `at`, as the pictures of the model draw them.
    pub(super) fn bits(&self, at: Location, value: Value) -> u64 {
        let sequence = |thread: u8, sequence: u8| self.puppets[thread as usize].base + u64::from(sequence);
        match value {
            Value::State(State { generation, live: true }) => {
                let Location::State(slot) = at else { unreachable!("a state in {at:?}") };
                real_handle(ModelHandle { slot, generation }).to_bits()
            }
            Value::State(State { generation: 0, live: false }) => 0,
            Value::State(State { generation, live: false }) => {
                state_word::dead(u32::from(generation), state_word::NIL)
            }
            Value::Claim(ClaimWord::Idle { closing, generation, count }) => {
                u64::from(closing) << 62 | u64::from(generation) << 30 | u64::from(count)
            }
            Value::Claim(ClaimWord::Busy { thread, sequence: number }) => {
                let id = self.puppets[thread as usize].id;
                1 << 63 | u64::from(id) << 49 | sequence(thread, number)
            }
            Value::Owner(owner) => {
                u64::from(owner.stamp) << 20 | owner.slot.map_or(0, |slot| u64::from(slot) + 1)
            }
            Value::Target(target) => {
                let release = u64::from(target.change == Change::Release);
                release << 32 | u64::from(self.real.word_id(target.word).0)
            }
            Value::Holder(holder) => u64::from(holder.generation) << 32 | u64::from(holder.count),
            Value::Sequence(number) => sequence(thread_of(at), number),
            Value::Flag(flag) => sequence(thread_of(at), flag.sequence) << 1 | u64::from(flag.set),
        }
    }
}

fn thread_of(at: Location) -> u8 {
    match at {
        Location::Sequence(thread) | Location::Seen(thread) | Location::Done(thread) => thread,
        _ => unreachable!("not of a descriptor: {at:?}"),
    }
}

/// Returns a descriptor's words, in the order in which it names them.
fn words_of(id: u16) -> [&'static SteppedWord; 6] {
    let words = descriptor::of(id).expect("every thread id has a descriptor").words();
    assert_eq!(words.map(|(name, _)| name), ["sequence", "target", "holder", "expected", "seen", "done"]);
    words.map(|(_, word)| word)
}

fn real_handle(handle: ModelHandle) -> Handle {
    Handle::new(u32::from(handle.generation), Kind::DEFAULT, u32::from(handle.slot))
}

fn model_handle(handle: Handle) -> ModelHandle {
    assert_eq!(handle.kind(), Kind::DEFAULT);
    ModelHandle { slot: handle.index() as u8, generation: handle.generation() as u8 }
}
