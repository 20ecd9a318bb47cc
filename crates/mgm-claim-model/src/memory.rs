//! The shared words of the model, and one access to one of them.
//!
//! They are the real words with narrower fields, so that states stay small:
//!
//! ```text
//! slot.state   [generation][live]
//! slot.claim   idle  [closing][generation][count]     between operations of the slot's object
//!              busy  [thread][sequence]               while an operation is announced; never recurs
//! owner word   [stamp][slot, or free]
//! descriptor   sequence | target: change, word | holder: generation, count | expected: owner word
//!              seen: [sequence][flag] | done: [sequence][flag]
//! ```
//!
//! The kind of a handle is left out, and so are the links between dead slots, which the real table keeps in their state
//! words. A thread that reads either concludes only "not this handle".

use crate::spec::{SLOTS, THREADS, WORDS};

/// A slot's state word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub generation: u8,
    pub live: bool,
}

/// A slot's claim word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimWord {
    Idle { closing: bool, generation: u8, count: u8 },
    Busy { thread: u8, sequence: u8 },
}

impl ClaimWord {
    pub fn idle(generation: u8, count: u8) -> ClaimWord {
        ClaimWord::Idle { closing: false, generation, count }
    }
}

impl Default for ClaimWord {
    fn default() -> Self {
        ClaimWord::Idle { closing: false, generation: 0, count: 0 }
    }
}

/// An owner word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    pub stamp: u8,
    pub slot: Option<u8>,
}

impl Owner {
    /// The word after the next change of owner.
    pub fn next(self, slot: Option<u8>) -> Owner {
        Owner { stamp: self.stamp + 1, slot }
    }
}

/// The two changes of ownership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Change {
    #[default]
    Claim,
    Release,
}

/// The change that a descriptor's operation makes, and the owner word that it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Target {
    pub change: Change,
    pub word: u8,
}

/// The slot's generation and its count before the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holder {
    pub generation: u8,
    pub count: u8,
}

/// A flag of one operation of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flag {
    pub sequence: u8,
    pub set: bool,
}

/// The words of one thread's descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Descriptor {
    pub sequence: u8,
    pub target: Target,
    pub holder: Holder,
    pub expected: Owner,
    pub seen: Flag,
    pub done: Flag,
}

/// The free slots, last in, first out. The real table (per-thread lists, a grace period) reuses a slot later, never earlier;
/// a list that reuses at once is the hardest case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FreeList {
    // One more than there are slots, so that a slot that is pushed twice shows.
    slots: [u8; SLOTS + 1],
    len: u8,
}

impl FreeList {
    pub fn push(&mut self, slot: u8) {
        self.slots[self.len as usize] = slot;
        self.len += 1;
    }

    pub fn pop(&mut self) -> Option<u8> {
        self.len = self.len.checked_sub(1)?;
        Some(std::mem::take(&mut self.slots[self.len as usize]))
    }

    /// Whether it has more entries than there are slots: some slot was pushed twice.
    pub fn is_overfull(&self) -> bool {
        self.len as usize > SLOTS
    }

    pub fn slots(&self) -> &[u8] {
        &self.slots[..self.len as usize]
    }
}

/// All shared words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    pub state: [State; SLOTS],
    pub claim: [ClaimWord; SLOTS],
    pub owner: [Owner; WORDS],
    pub descriptor: [Descriptor; THREADS],
    pub free: FreeList,
}

/// Names a shared word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    State(u8),
    Claim(u8),
    Owner(u8),
    Sequence(u8),
    Target(u8),
    Holder(u8),
    Expected(u8),
    Seen(u8),
    Done(u8),
}

/// The value of a shared word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    State(State),
    Claim(ClaimWord),
    Owner(Owner),
    Sequence(u8),
    Target(Target),
    Holder(Holder),
    Flag(Flag),
}

impl Memory {
    pub fn value(&self, at: Location) -> Value {
        let of = |thread: u8| self.descriptor[thread as usize];
        match at {
            Location::State(slot) => Value::State(self.state[slot as usize]),
            Location::Claim(slot) => Value::Claim(self.claim[slot as usize]),
            Location::Owner(word) => Value::Owner(self.owner[word as usize]),
            Location::Sequence(thread) => Value::Sequence(of(thread).sequence),
            Location::Target(thread) => Value::Target(of(thread).target),
            Location::Holder(thread) => Value::Holder(of(thread).holder),
            Location::Expected(thread) => Value::Owner(of(thread).expected),
            Location::Seen(thread) => Value::Flag(of(thread).seen),
            Location::Done(thread) => Value::Flag(of(thread).done),
        }
    }
}

impl Memory {
    /// Puts a value into a word of its kind.
    pub fn set(&mut self, at: Location, value: Value) {
        match (at, value) {
            (Location::State(slot), Value::State(state)) => self.state[slot as usize] = state,
            (Location::Claim(slot), Value::Claim(claim)) => self.claim[slot as usize] = claim,
            (Location::Owner(word), Value::Owner(owner)) => self.owner[word as usize] = owner,
            (Location::Sequence(thread), Value::Sequence(sequence)) => {
                self.descriptor[thread as usize].sequence = sequence;
            }
            (Location::Target(thread), Value::Target(target)) => {
                self.descriptor[thread as usize].target = target;
            }
            (Location::Holder(thread), Value::Holder(holder)) => {
                self.descriptor[thread as usize].holder = holder;
            }
            (Location::Expected(thread), Value::Owner(owner)) => {
                self.descriptor[thread as usize].expected = owner;
            }
            (Location::Seen(_) | Location::Done(_), Value::Flag(flag)) => *self.flag(at) = flag,
            _ => unreachable!("{at:?} has no such value"),
        }
    }
}

/// One shared access. The value that a load reads is in the memory before the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Load(Location),
    Store(Location, Value),
    CompareExchange {
        at: Location,
        current: Value,
        new: Value,
    },
    /// A pop or a push of the free list, which is one step in the model.
    FreeList,
}

/// The compare-and-exchange operations. Each returns the access and its result.
impl Memory {
    pub fn exchange_state(&mut self, slot: u8, current: State, new: State) -> Exchange<State> {
        exchange(Location::State(slot), &mut self.state[slot as usize], Value::State, current, new)
    }

    pub fn exchange_claim(&mut self, slot: u8, current: ClaimWord, new: ClaimWord) -> Exchange<ClaimWord> {
        exchange(Location::Claim(slot), &mut self.claim[slot as usize], Value::Claim, current, new)
    }

    pub fn exchange_owner(&mut self, word: u8, current: Owner, new: Owner) -> Exchange<Owner> {
        exchange(Location::Owner(word), &mut self.owner[word as usize], Value::Owner, current, new)
    }

    pub fn exchange_flag(&mut self, at: Location, current: Flag, new: Flag) -> Exchange<Flag> {
        exchange(at, self.flag(at), Value::Flag, current, new)
    }

    /// Returns a descriptor's `seen` or `done`.
    pub fn flag(&mut self, at: Location) -> &mut Flag {
        match at {
            Location::Seen(thread) => &mut self.descriptor[thread as usize].seen,
            Location::Done(thread) => &mut self.descriptor[thread as usize].done,
            _ => unreachable!("not a flag"),
        }
    }
}

pub type Exchange<T> = (Access, Result<T, T>);

fn exchange<T: Copy + PartialEq>(
    at: Location,
    word: &mut T,
    value: fn(T) -> Value,
    current: T,
    new: T,
) -> Exchange<T> {
    let access = Access::CompareExchange { at, current: value(current), new: value(new) };
    let was = *word;
    if was == current {
        *word = new;
        (access, Ok(was))
    } else {
        (access, Err(was))
    }
}
