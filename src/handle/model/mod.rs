//! The claim step, state by state: every interleaving of small scenarios, checked against what was promised.
//!
//! The claim step (`claim.rs`) lets any thread finish what any other has begun, so its bugs hide in schedules where one
//! thread is stopped at a bad place, two others go past it, and it then wakes up with what it read long ago. Tests
//! with real threads hit such schedules by luck. Here they are enumerated. The protocol is written down once more as a
//! state machine that makes one shared access a step; stateright visits every state that
//! two to four threads with one to five operations each can reach; and that this machine *is* the code is shown by
//! `conformance.rs`, which runs both under the same schedules, access by access.
//!
//! # The words
//!
//! ```text
//!        63                                 32 31              24 23              0
//! state  [            generation             ][       kind       ][     index     ]   live: the handle's own bits
//!        [            generation             ][        0         ][     link      ]   dead
//!
//! claim  [0][closing][     generation:32     ][             count:30              ]   idle: the count is exact
//!        [1][     seat:14     ][                  sequence:49                     ]   busy: never recurs
//!
//! owner  [                stamp:44                    ][     owner's slot + 1:20  ]   0 below: free
//!
//! descriptor of a seat:  sequence | target | holder | expected | seen [sequence:63][bit] | done [sequence:63][bit]
//! ```
//!
//! The model's are the same with fewer bits (`memory.rs`), so that states are small and many; and a thread remembers
//! at each step only what it still needs (`stage.rs`), so that states which differ in nothing that matters are one.
//!
//! # The accesses
//!
//! One line a step; in brackets, what the step decides. `again` starts over because another operation succeeded or
//! was helped.
//!
//! ```text
//! claim, release   owner      load                              [(1) before the state: refusals are true at (2)]
//!                  state      load                              [(2) not the handle: Stale]
//!                                                               [claim, and owned: name it -> Owned]
//!                                                               [release, and not mine: NotOwner]
//!                  claim      load                              [busy: help, again] [another life: Stale]
//!                                                               [closing: flip, Stale]
//!     write        sequence, then a release fence, target, holder, expected, seen, done
//!                             store each                        [helpers of the last use may see it torn]
//!     announce     claim      idle -> busy                      [failed: again]
//!     confirm      owner      load                              [as expected: set `seen`]
//!                  seen       store; a helper: clear -> set
//!                  seen       load                              [another sequence: over] [clear: settle as lost]
//!     act          owner      expected -> next                  [release, or changed now, or reads next: won]
//!     note         done       store; a helper: clear -> set
//!     settle       claim      busy -> idle, count as it is now
//!                  done       load                              [set: Ok] [clear: again]
//! help             target, holder, expected, then an acquire fence, sequence
//!                             load each                         [another sequence: over] [else confirm ... settle]
//! name             state, owner     load each                   [owner as before: the state names it] [else: again]
//! owner_of         owner      load                              [free: nobody] [else: name it]
//! retire           state      load                              [not the handle: Stale]
//!                  claim      load                              [another life: Stale] [closing: flip, Stale]
//!                                                               [busy: state again, then help] [count > 0: StillOwns]
//!     close        claim      idle 0 -> closing                 [failed: again]
//!     flip         state      live -> dead
//!                  free list  push
//! insert           free list  pop                               [empty: Full]
//!                  claim      store idle 0 in the next generation
//!                  state      store live
//! validate         state      load
//! ```
//!
//! Retire looks at the state although the claim word tells the generation: insert resets the claim word before it
//! publishes the state, so whoever guesses a handle that is about to be issued could otherwise retire an object before
//! it is born. ([`Bug::RetireUnborn`](bugs::Bug::RetireUnborn) shows it.)
//!
//! # What is checked
//!
//! In every reachable state:
//!
//! - *Linearizable, strictly.* The specification (`spec.rs`) lets only successful operations change anything, so an
//!   operation that fails because of one that itself fails has no explanation. Results are compared whole: stamps,
//!   counts, and the holder's handle with its generation. Real time counts from an operation's first access to its
//!   last, the tightest there is.
//! - *A dead object owns nothing.* Each owned word names the slot of an object that lives, in the generation that
//!   claimed it.
//! - *Each thread alone finishes*: stop all others in this state, for ever, and the thread's operation ends within
//!   [`SOLO_BOUND`](system::SOLO_BOUND) accesses. A bound from every state is lock-freedom and more.
//! - and of how the promises are kept: an idle slot's count is exact, a free slot is dead and free once, and between
//!   operations the words say what the specification says.
//!
//! A scenario also names what it is for (`witness.rs`: a late helper, a slot in its next life under one, ...), and
//! fails if no schedule gets there.
//!
//! # What is not
//!
//! Each access here takes effect at once, in one order for all: the weaker orders of the real ones are loom's business
//! (`loom-tests/`). Grace periods and the table's free lists only delay the reuse of slots; here a slot can be used
//! again the moment its retirement ends. Words do not wrap: stamps, sequences and generations stay small.
//!
//! `cargo test handle::model` runs all of it, with `-- --nocapture` for the numbers; `--features long-models` adds
//! scenarios and schedules for hours. With a feature `bug-...` that changes the claim step, the conformance tests pass
//! if they find that code and model have parted.

mod bugs;
mod checks;
mod conformance;
mod memory;
mod models;
mod spec;
mod stage;
mod step;
mod stepped;
mod system;
mod witness;
