//! The pairs "store mine, then load yours" of the library, on a machine with store buffers.
//!
//! Two threads each store one word and then load the word of the other. Without more, both may read the old value: each
//! store waits in the store buffer of its processor while the load that follows reads memory. Almost every processor does
//! this, x86 too. A promise that one of the two sees the other needs a sequentially consistent store, a fence, or a
//! read-modify-write between the two accesses.
//!
//! The machine is x86-TSO: a buffer for each thread, first in, first out. A load reads the newest value of its own buffer,
//! or else memory. A read-modify-write and a sequentially consistent store wait until the buffer is empty. Any store may
//! leave its buffer at any time.
//!
//! [`PAIRS`] lists the pairs, each with the file of the code, what the threads do, and what must never come out. Each is
//! explored as it is, and again with each strong access made weak: every such weakening must break the promise, or the
//! access is stronger than the pair needs. VERIFICATION.md has the same list.

use crate::explore::Machine;
use std::collections::VecDeque;

/// The shared words of a pair.
pub const WORDS: usize = 4;
/// The values that a thread remembers.
pub const REGISTERS: usize = 3;

/// An access of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A store that may wait in the buffer.
    Store(usize, u8),
    /// A store after which the buffer is empty.
    StrongStore(usize, u8),
    /// An exchange: stores and remembers what was there.
    Swap(usize, u8, usize),
    /// What [`Access::Swap`] becomes when it is made weak: a load and a store.
    LoadThenStore(usize, u8, usize),
    /// A load into a register.
    Load(usize, usize),
}

/// A thread's accesses, in the order of the program.
pub type Script = &'static [Access];

/// A pair.
#[derive(Debug)]
pub struct Pair {
    /// What the pair is about.
    pub name: &'static str,
    /// The files with the accesses.
    pub files: &'static [&'static str],
    /// The threads.
    pub scripts: &'static [Script],
    /// The registers of the threads, at the end of all of them, that must not come out; `None` where any value is meant.
    pub never: &'static [[Option<u8>; REGISTERS]],
    /// The promise that this would break.
    pub promise: &'static str,
}

/// A thread of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    next: usize,
    registers: [u8; REGISTERS],
    buffer: VecDeque<(usize, u8)>,
}

/// A state of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    memory: [u8; WORDS],
    threads: Vec<Thread>,
}

/// A pair as a machine, with its accesses or with weaker ones.
#[derive(Debug)]
pub struct PairMachine<'p> {
    pair: &'p Pair,
    scripts: Vec<Vec<Access>>,
}

impl<'p> PairMachine<'p> {
    /// Returns the pair as it is.
    #[must_use]
    pub fn new(pair: &'p Pair) -> Self {
        PairMachine { pair, scripts: pair.scripts.iter().map(|script| script.to_vec()).collect() }
    }

    /// Returns the pair once for each strong access, with that access made weak.
    #[must_use]
    pub fn weakened(pair: &'p Pair) -> Vec<(Access, Self)> {
        let mut all = Vec::new();
        for (thread, script) in pair.scripts.iter().enumerate() {
            for (at, access) in script.iter().enumerate() {
                let mut machine = PairMachine::new(pair);
                match *access {
                    Access::StrongStore(word, value) => {
                        machine.scripts[thread][at] = Access::Store(word, value);
                    }
                    Access::Swap(word, value, register) => {
                        machine.scripts[thread][at] = Access::LoadThenStore(word, value, register);
                    }
                    _ => continue,
                }
                all.push((*access, machine));
            }
        }
        all
    }
}

impl Machine for PairMachine<'_> {
    type State = State;

    fn initial(&self) -> State {
        let thread = Thread { next: 0, registers: [0; REGISTERS], buffer: VecDeque::new() };
        State { memory: [0; WORDS], threads: vec![thread; self.scripts.len()] }
    }

    fn steps(&self, state: &State) -> Vec<(String, State)> {
        let mut steps = Vec::new();
        for (n, thread) in state.threads.iter().enumerate() {
            let mut next = state.clone();
            if let Some((word, value)) = next.threads[n].buffer.pop_front() {
                next.memory[word] = value;
                steps.push((format!("{n}: word {word} reaches memory"), next));
            }
            let Some(access) = self.scripts[n].get(thread.next) else { continue };
            let mut next = state.clone();
            let State { memory, threads } = &mut next;
            let own = &mut threads[n];
            own.next += 1;
            let read = |word: usize, own: &Thread| {
                own.buffer.iter().rev().find(|(at, _)| *at == word).map_or(memory[word], |(_, value)| *value)
            };
            match *access {
                Access::Store(word, value) => own.buffer.push_back((word, value)),
                Access::Load(word, register) => own.registers[register] = read(word, own),
                Access::LoadThenStore(word, value, register) => {
                    own.registers[register] = read(word, own);
                    own.buffer.push_back((word, value));
                }
                Access::StrongStore(..) | Access::Swap(..) if !own.buffer.is_empty() => continue,
                Access::StrongStore(word, value) => memory[word] = value,
                Access::Swap(word, value, register) => {
                    own.registers[register] = std::mem::replace(&mut memory[word], value);
                }
            }
            steps.push((format!("{n}: {access:?}"), next));
        }
        steps
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let ended = |(thread, script): (&Thread, &Vec<Access>)| thread.next == script.len();
        let all_ended = state.threads.iter().zip(&self.scripts).all(ended);
        let comes_out = state.threads.iter().zip(self.pair.never).all(|(thread, never)| {
            thread.registers.iter().zip(never).all(|(is, never)| never.is_none_or(|never| never == *is))
        });
        (all_ended && comes_out).then_some(self.pair.promise)
    }
}

use Access::{Load, StrongStore, Swap};

/// Returns registers of which the first has this value.
const fn first(value: u8) -> [Option<u8>; REGISTERS] {
    [Some(value), None, None]
}

/// Every pair of the library.
pub const PAIRS: &[Pair] = &[
    Pair {
        name: "insert and validate",
        files: &["src/handle/slot.rs"],
        // Words: the state words of two slots. Each thread makes its object live and validates the other's handle.
        scripts: &[&[StrongStore(0, 1), Load(1, 0)], &[StrongStore(1, 1), Load(0, 0)]],
        never: &[first(0), first(0)],
        promise: "of two threads that insert and then validate the other's handle, one finds it live",
    },
    Pair {
        name: "retire and validate",
        files: &["src/handle/slot.rs", "src/handle/claim_steps.rs"],
        // Words: the state words of two live slots, with values that are counted down here: 0 is live.
        scripts: &[&[Swap(0, 1, 1), Load(1, 0)], &[Swap(1, 1, 1), Load(0, 0)]],
        never: &[first(0), first(0)],
        promise: "of two threads that retire and then validate the other's handle, one finds it stale",
    },
    Pair {
        name: "insert and retire",
        files: &["src/handle/slot.rs", "src/manager/state/enumerations.rs"],
        // Words: an enumeration's state, its owner's state. One thread starts an enumeration and then checks that the owner
        // has not left (0: it has not). The other retires the owner and then looks for its enumerations.
        scripts: &[&[StrongStore(0, 1), Load(1, 0)], &[Swap(1, 1, 1), Load(0, 0)]],
        never: &[first(0), first(0)],
        promise: "an enumeration ends with its owner",
    },
    Pair {
        name: "mention and change of owner",
        files: &[
            "src/manager/state/interface_table.rs",
            "src/handle/owner_words.rs",
            "src/handle/claim_steps.rs",
        ],
        // Words: in use, the owner word. A thread that mentions the interface reads the owner afterwards; a thread that
        // changes the owner reads afterwards whether the interface is mentioned.
        scripts: &[&[StrongStore(0, 1), Load(1, 0)], &[Swap(1, 1, 1), Load(0, 0)]],
        never: &[first(0), first(0)],
        promise: "what mentions an interface is swept when its owner changes",
    },
    Pair {
        name: "first takes of two interfaces",
        files: &["src/manager/state/interface_table.rs", "src/handle/claim_steps.rs"],
        // Words: two places of the index, two owner words. The claim of a take stands between its record's place and the
        // look-up of the other interface.
        scripts: &[
            &[Access::Store(0, 1), Swap(1, 1, 1), Load(2, 0)],
            &[Access::Store(2, 1), Swap(3, 1, 1), Load(0, 0)],
        ],
        never: &[first(0), first(0)],
        promise: "of two threads that each take a new interface and then look up the other's, one finds it",
    },
    Pair {
        name: "run-down and deregistration",
        files: &["src/manager/clients/rundown.rs", "src/manager/clients/registry.rs"],
        // Words: the run-down, the state word. A callback enters and then checks whether its client is live (0). The
        // deregistering thread retires the client, closes the run-down, and reads by the same access who is inside.
        scripts: &[&[Swap(0, 1, 2), Load(1, 0)], &[Swap(1, 1, 1), Load(0, 0)]],
        never: &[first(0), first(0)],
        promise: "a callback that runs when its client is retired is waited for",
    },
    Pair {
        name: "change of routes and new membership",
        files: &["src/manager/ops/reroute.rs", "src/manager/ops/update_membership.rs"],
        // Words: the number of changes, the membership. The thread that adds releases the membership lock before it reads
        // the number again; the other takes that lock after it has changed the number. Both are exchanges.
        scripts: &[&[Access::Store(1, 1), Swap(2, 1, 2), Load(0, 0)], &[Swap(0, 1, 2), Load(1, 0)]],
        never: &[first(0), first(0)],
        promise: "a membership that is added while routes change follows the new routes",
    },
    Pair {
        name: "pin and retirement",
        files: &["src/handle/epoch.rs", "src/handle/reader.rs"],
        // Words: the reader's epoch, a slot's state (0: live). A reader is pinned before it finds an object. A writer
        // retires the object before it looks for pinned readers.
        scripts: &[&[StrongStore(0, 1), Load(1, 0)], &[Swap(1, 1, 1), Load(0, 0)]],
        never: &[first(0), first(0)],
        promise: "an object that a pinned reader found is not reclaimed",
    },
    Pair {
        name: "subscription and change of an entry",
        files: &["src/forwarding/table.rs", "src/manager/api/entry_changes.rs"],
        // Words: the watcher, a lane, the writer lock. The watcher is set under the writer lock, and the writer looks for
        // one after it has released the lock.
        scripts: &[
            &[Access::Store(0, 1), Swap(2, 1, 1), Load(1, 0)],
            &[Access::Store(1, 1), Swap(2, 2, 1), Load(0, 0)],
        ],
        never: &[first(0), first(0)],
        promise: "a subscriber that does not find a change in the table is told of it",
    },
];
