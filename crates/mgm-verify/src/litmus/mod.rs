//! `mgm litmus`: the pairs "store mine, then load yours", run on two threads of this machine.
//!
//! Each test runs the real code of one pair on two threads that meet at the beginning of every round, many times. In a round
//! each thread stores and then looks for what the other has stored. Never may both miss it. A processor that lets a store
//! wait while a later load reads memory shows within a million rounds whether an ordering is too weak. In a build with
//! planted bugs each test must fail when its pair is weakened.
//!
//! The explicit-state model has the same pairs and more (`store_buffers` of `crates/mgm-claim-model`): some have a
//! read-modify-write between store and load for another reason, so that no processor of this kind shows a weaker ordering.

mod manager;
mod meeting;
mod table;

use std::time::Duration;

/// How much of a test is run.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The rounds, unless the time is up before.
    pub rounds: u64,
    /// The time.
    pub limit: Duration,
}

/// A test.
pub struct Litmus {
    /// Its name, as an argument of `mgm litmus`.
    pub name: &'static str,
    /// What never comes out.
    pub never: &'static str,
    run: fn(Size) -> Counts,
}

/// What came out of a test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The rounds in which the pair was run.
    pub rounds: u64,
    /// The rounds in which each thread saw the other, one of them did, or, which must not be, neither.
    pub seen_by: [u64; 3],
    /// How long the test took.
    pub took: Duration,
}

impl Counts {
    /// Returns in how many rounds the promise was broken.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.seen_by[2]
    }
}

impl Litmus {
    /// Every test.
    pub const ALL: &'static [Litmus] = &[
        Litmus {
            name: "insert",
            never: "two threads insert, and neither finds the other's handle live",
            run: table::insert,
        },
        Litmus {
            name: "retire",
            never: "two threads retire, and both find the other's handle live",
            run: table::retire,
        },
        Litmus {
            name: "pin",
            never: "a reader reads an object after its slot was used again",
            run: table::pin,
        },
        Litmus {
            name: "mention",
            never: "a membership is added under an ownership that ends, and no sweep finds it",
            run: manager::mention,
        },
        Litmus {
            name: "enumeration",
            never: "an enumeration is begun by a client that leaves, and stays open",
            run: manager::enumeration,
        },
        Litmus {
            name: "rundown",
            never: "a callback begins after the deregistration of its client has returned",
            run: manager::rundown,
        },
        Litmus {
            name: "routes",
            never: "a membership is added while routes change, and follows the old routes",
            run: manager::routes,
        },
    ];

    /// Runs the test.
    #[must_use]
    pub fn run(&self, size: Size) -> Counts {
        let began = std::time::Instant::now();
        let counts = (self.run)(size);
        Counts { took: began.elapsed(), ..counts }
    }
}

impl Counts {
    /// Counts a round in which so many of the two threads did not see the other.
    fn count(&mut self, unseen: usize) {
        self.rounds += 1;
        self.seen_by[unseen] += 1;
    }
}
