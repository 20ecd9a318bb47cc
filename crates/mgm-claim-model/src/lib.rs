//! An explicit-state model of the claim step: every interleaving of small scenarios, checked against the promises of the step.
//!
//! The claim step (`src/handle/claim.rs`) lets any thread finish an operation that another has begun. Its bugs hide in
//! schedules where one thread is stopped at a bad place, two others overtake it, and it then continues with values that it
//! read long ago. Tests with real threads meet such schedules by luck. Here they are enumerated: the protocol is written
//! down once more as a state machine that makes one shared access a step, and stateright visits every state that two to
//! four threads with one to five operations each can reach. The conformance tests of the handle table show that this
//! machine *is* the code: they run both under the same schedules, access by access.
//!
//! # The words
//!
//! ```text
//!        63                                 32 31              24 23              0
//! state  [            generation             ][       kind       ][     index     ]   live: the handle's own bits
//!        [            generation             ][        0         ][     link      ]   dead
//!
//! claim  [0][closing][     generation:32     ][             count:30              ]   idle: the count is exact
//!        [1][    thread:14    ][                  sequence:49                     ]   busy: never recurs
//!
//! owner  [                stamp:44                    ][     owner's slot + 1:20  ]   0 below: free
//!
//! a thread's descriptor: sequence | target | holder | expected | seen [sequence:63][bit] | done [sequence:63][bit]
//! ```
//!
//! The words of the model are the same with fewer bits ([`memory`]), so that states are small. A thread remembers at each
//! step only the values it still needs ([`stage`]), so that states which differ in nothing that matters are one.
//!
//! # The accesses
//!
//! One line a step; in brackets, the decision taken there. `again` starts over, because another operation succeeded or was
//! helped.
//!
//! ```text
//! claim, release   owner      load                              [(1) before the state: refusals are true at (2)]
//!                  state      load                              [(2) not the handle: Stale]
//!                                                               [claim, and owned: resolve -> Owned]
//!                                                               [release, and not the owner: NotOwner]
//!                  claim      load                              [busy: help, again] [other generation: Stale]
//!                                                               [closing: flip, Stale]
//!     write        sequence, then a release fence, target, holder, expected, seen, done
//!                             store each                        [helpers of the last use may see it torn]
//!     announce     claim      idle -> busy                      [failed: again]
//!     confirm      owner      load                              [as expected: set `seen`]
//!                  seen       store; a helper: clear -> set
//!                  seen       load                              [another sequence: over] [clear: settle as lost]
//!     act          owner      expected -> next                  [release, or changed now, or reads next: performed]
//!     note         done       store; a helper: clear -> set
//!     settle       claim      busy -> idle, with the new count
//!                  done       load                              [set: Ok] [clear: again]
//! help             target, holder, expected, then an acquire fence, sequence
//!                             load each                         [another sequence: over] [else confirm ... settle]
//! resolve          state, owner     load each                   [owner as before: state has its handle] [else: again]
//! owner_of         owner      load                              [free: None] [else: resolve]
//! retire           state      load                              [not the handle: Stale]
//!                  claim      load                              [other generation: Stale] [closing: flip, Stale]
//!                                                               [busy: state again, then help] [count > 0: StillOwns]
//!     close        claim      idle 0 -> closing                 [failed: again]
//!     flip         state      live -> dead
//!                  free list  push
//! insert           free list  pop                               [empty: Full]
//!                  claim      store idle 0 in the next generation
//!                  state      store live
//! validate         state      load
//! touch            owner      load                              [owned: nothing]
//!                  owner      free -> free, next stamp          [failed: again]
//! ```
//!
//! Retire loads the state although the claim word has the generation: insert resets the claim word before it publishes
//! the state, so a thread that guesses a handle about to be issued could otherwise retire an object before it is live.
//! ([`Bug::RetireUnborn`](bugs::Bug::RetireUnborn) shows it.)
//!
//! # The properties
//!
//! In every reachable state:
//!
//! - *Strictly linearizable.* In the specification ([`spec`]) only successful operations change anything, so an operation
//!   that fails because of another that itself fails has no explanation. Results are compared whole: stamps, counts, and
//!   the owner's handle with its generation. Real time counts from an operation's first access to its last.
//! - *A dead object owns nothing.* Each owned word names the slot of a live object, in the generation that claimed it.
//! - *Each thread alone finishes.* If all other threads stop in this state for ever, the thread's operation ends within
//!   [`SOLO_BOUND`](system::SOLO_BOUND) accesses. A bound from every state is lock-freedom and more.
//! - The invariants: an idle slot's count is exact, a free slot is dead and free once, and between operations the words
//!   are the state of the specification.
//!
//! A scenario also names the situations it is made for ([`witness`]), such as a late helper or a slot reused under one,
//! and fails if no schedule reaches them.
//!
//! # Limits
//!
//! Each access takes effect at once, in one order for all threads. [`buffered`] explores some scenarios once more with store
//! buffers; weaker orderings are covered by loom (`loom-tests/`).
//! Grace periods and the table's free lists only delay the reuse of slots; here a slot can be reused the moment its
//! retirement ends. Words do not wrap: stamps, sequences and generations stay small.
//!
//! # Beside the claim step
//!
//! - [`store_buffers`]: the pairs "store mine, then load yours" of the whole library, with store buffers.
//! - [`registration`]: registration, delivery of a notice, and deregistration of one client.
//!
//! `cargo test -p mgm-claim-model -- --nocapture` explores every scenario and prints the numbers. With the environment
//! variable `MGM_LONG_MODELS` set, it explores scenarios that take hours.

pub mod buffered;
pub mod bugs;
pub mod explore;
pub mod memory;
pub mod protocol;
pub mod registration;
pub mod scenarios;
pub mod schedules;
pub mod spec;
pub mod stage;
pub mod store_buffers;
pub mod system;
pub mod witness;

/// Whether the environment asks for the explorations that take hours.
pub fn long_models_wanted() -> bool {
    std::env::var_os("MGM_LONG_MODELS").is_some()
}
