//! The shared words, as the model keeps them, and one access to one of them.
//!
//! The model's words are the real ones with narrow fields, so that states stay small:
//!
//! ```text
//! slot.state   [generation][live]
//! slot.claim   idle  [closing][generation][count]     between operations of the slot's object
//!              busy  [seat][sequence]                 while one is under way; never recurs
//! owner word   [stamp][slot, or free]
//! descriptor   sequence | target: what, word | holder: generation, count | expected: owner word
//!              seen: [sequence][flag] | done: [sequence][flag]
//! ```
//!
//! A handle's kind is left out, and so are the links between dead slots, which the real table keeps in their state
//! words: neither is ever read as anything else than "not this handle".

use super::spec::{SLOTS, THREADS, WORDS};

/// A slot's state word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) generation: u8,
    pub(super) live: bool,
}

/// A slot's operation word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ClaimWord {
    Idle { closing: bool, generation: u8, count: u8 },
    Busy { seat: u8, sequence: u8 },
}

impl ClaimWord {
    pub(super) fn idle(generation: u8, count: u8) -> ClaimWord {
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
pub(super) struct Owner {
    pub(super) stamp: u8,
    pub(super) slot: Option<u8>,
}

impl Owner {
    /// The word after the next change of hands.
    pub(super) fn next(self, slot: Option<u8>) -> Owner {
        Owner { stamp: self.stamp + 1, slot }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum What {
    #[default]
    Claim,
    Release,
}

/// What a descriptor's operation does, and to which owner word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) what: What,
    pub(super) word: u8,
}

/// For whom: the slot's generation and its count before the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    pub(super) generation: u8,
    pub(super) count: u8,
}

/// A flag that belongs to one operation of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flag {
    pub(super) sequence: u8,
    pub(super) set: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Descriptor {
    pub(super) sequence: u8,
    pub(super) target: Target,
    pub(super) holder: Holder,
    pub(super) expected: Owner,
    pub(super) seen: Flag,
    pub(super) done: Flag,
}

/// Slots that wait to be used again, last in, first out. What the real table does here (per-thread lists, a grace
/// period) is slower to hand a slot out again, never quicker: a list that reuses at once is the hardest case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FreeList {
    // One more than there are slots: room to see the one that is pushed twice.
    slots: [u8; SLOTS + 1],
    len: u8,
}

impl FreeList {
    pub(super) fn push(&mut self, slot: u8) {
        self.slots[self.len as usize] = slot;
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<u8> {
        self.len = self.len.checked_sub(1)?;
        Some(std::mem::take(&mut self.slots[self.len as usize]))
    }

    /// Whether some slot is in it twice, for want of another explanation.
    pub(super) fn is_overfull(&self) -> bool {
        self.len as usize > SLOTS
    }

    pub(super) fn slots(&self) -> &[u8] {
        &self.slots[..self.len as usize]
    }
}

/// All that threads share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    pub(super) state: [State; SLOTS],
    pub(super) claim: [ClaimWord; SLOTS],
    pub(super) owner: [Owner; WORDS],
    pub(super) descriptor: [Descriptor; THREADS],
    pub(super) free: FreeList,
}

/// A shared word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Location {
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

/// What a word can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    State(State),
    Claim(ClaimWord),
    Owner(Owner),
    Sequence(u8),
    Target(Target),
    Holder(Holder),
    Flag(Flag),
}

impl Memory {
    pub(super) fn value(&self, at: Location) -> Value {
        let of = |seat: u8| self.descriptor[seat as usize];
        match at {
            Location::State(slot) => Value::State(self.state[slot as usize]),
            Location::Claim(slot) => Value::Claim(self.claim[slot as usize]),
            Location::Owner(word) => Value::Owner(self.owner[word as usize]),
            Location::Sequence(seat) => Value::Sequence(of(seat).sequence),
            Location::Target(seat) => Value::Target(of(seat).target),
            Location::Holder(seat) => Value::Holder(of(seat).holder),
            Location::Expected(seat) => Value::Owner(of(seat).expected),
            Location::Seen(seat) => Value::Flag(of(seat).seen),
            Location::Done(seat) => Value::Flag(of(seat).done),
        }
    }
}

/// One shared access. What a load read, and what there was before a store, shows in the memory before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Load(Location),
    Store(Location, Value),
    CompareExchange {
        at: Location,
        current: Value,
        new: Value,
    },
    /// A pop or a push of the free list, one step here.
    FreeList,
}

/// Compares and exchanges, of which there are these; each returns the access beside its result.
impl Memory {
    pub(super) fn exchange_state(&mut self, slot: u8, current: State, new: State) -> Exchange<State> {
        exchange(Location::State(slot), &mut self.state[slot as usize], Value::State, current, new)
    }

    pub(super) fn exchange_claim(
        &mut self,
        slot: u8,
        current: ClaimWord,
        new: ClaimWord,
    ) -> Exchange<ClaimWord> {
        exchange(Location::Claim(slot), &mut self.claim[slot as usize], Value::Claim, current, new)
    }

    pub(super) fn exchange_owner(&mut self, word: u8, current: Owner, new: Owner) -> Exchange<Owner> {
        exchange(Location::Owner(word), &mut self.owner[word as usize], Value::Owner, current, new)
    }

    pub(super) fn exchange_flag(&mut self, at: Location, current: Flag, new: Flag) -> Exchange<Flag> {
        exchange(at, self.flag(at), Value::Flag, current, new)
    }

    /// A descriptor's `seen` or `done`.
    pub(super) fn flag(&mut self, at: Location) -> &mut Flag {
        match at {
            Location::Seen(seat) => &mut self.descriptor[seat as usize].seen,
            Location::Done(seat) => &mut self.descriptor[seat as usize].done,
            _ => unreachable!("not a flag"),
        }
    }
}

pub(super) type Exchange<T> = (Access, Result<T, T>);

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
