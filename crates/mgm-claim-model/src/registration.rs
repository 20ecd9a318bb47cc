//! Registration, delivery and deregistration of one client: nothing calls a client after its deregistration has returned.
//!
//! Three threads. The handle is guessed, or shown by a walk, so the other two may use it before registration has returned.
//!
//! ```text
//! register     value      made, with the client's channel in it
//!              state      live                                      [visible, in one step, last]
//! notice       state      live?                                     [no: over]
//!              channel    found in the value
//!              run-down   enter                                     [closed: leave, over]
//!              state      still live?                               [no: leave, over]
//!              callback   begins, ends
//!              run-down   leave
//! deregister   state      live -> retired; answers with the value   [not live: Stale]
//!              run-down   close
//!              run-down   wait until no thread is inside
//!              returns
//! ```
//!
//! Memory is sequentially consistent here. The one pair of a store and a load, entering and checking against retiring and
//! closing, is in [`store_buffers`](crate::store_buffers). Closing makes the wait end: without it, threads that enter only to
//! find the client retired could prolong it.

use crate::explore::Machine;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The channel is listed apart from the state, after the client is visible, and removed by whichever thread finds that
    /// the client has left.
    ListedApart,
    /// The channel is listed apart, before the client is visible, and the deregistering thread finds it through the list.
    /// It is removed by a registration that finds its client gone.
    ListedBefore,
    /// A callback checks whether its client is live before it enters the run-down.
    LateEntry,
    /// The deregistering thread closes the run-down and does not wait.
    NoWait,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Bug; 4] = [Bug::ListedApart, Bug::ListedBefore, Bug::LateEntry, Bug::NoWait];
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Life {
    #[default]
    Unborn,
    Live,
    Retired,
}

/// The next step of the registering thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Registering {
    #[default]
    Value,
    Visible,
    List,
    Check,
    Done,
}

/// The next step of the thread with a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Noticing {
    #[default]
    Find,
    CheckFirst,
    Enter,
    Check,
    Begin,
    Inside,
    Leave,
    Done,
}

/// The next step of the deregistering thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Deregistering {
    #[default]
    Retire,
    FindChannel,
    Close,
    Wait,
    /// It has returned, and the client had been registered.
    Returned,
    Stale,
}

/// A state of the three threads and of what they share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    life: Life,
    /// Whether the channel is in a list of its own.
    listed: bool,
    closed: bool,
    inside: u8,
    registering: Registering,
    noticing: Noticing,
    deregistering: Deregistering,
}

/// The machine, correct or with a planted bug.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// The bug.
    pub bug: Option<Bug>,
}

impl Registration {
    fn has_list(self) -> bool {
        matches!(self.bug, Some(Bug::ListedApart | Bug::ListedBefore))
    }

    fn register(self, state: &mut State) {
        use Registering::{Check, Done, List, Value, Visible};
        state.registering = match state.registering {
            Value if self.bug == Some(Bug::ListedBefore) => {
                state.listed = true;
                Visible
            }
            Value => Visible,
            Visible => {
                state.life = Life::Live;
                match self.bug {
                    Some(Bug::ListedApart) => List,
                    Some(Bug::ListedBefore) => Check,
                    _ => Done,
                }
            }
            List => {
                state.listed = true;
                Check
            }
            Check => {
                if state.life == Life::Retired {
                    state.listed = false;
                }
                Done
            }
            Done => Done,
        };
    }

    fn notice(self, state: &mut State) {
        use Noticing::{Begin, Check, CheckFirst, Done, Enter, Find, Inside, Leave};
        let late = self.bug == Some(Bug::LateEntry);
        state.noticing = match state.noticing {
            Find if self.has_list() && !state.listed => Done,
            Find if !self.has_list() && state.life != Life::Live => Done,
            Find if late => CheckFirst,
            Find => Enter,
            CheckFirst if state.life == Life::Live => Enter,
            CheckFirst => Done,
            Enter => {
                state.inside += 1;
                match state.closed {
                    true if !late => Leave,
                    _ if late => Begin,
                    _ => Check,
                }
            }
            Check if state.life == Life::Live => Begin,
            Check => Leave,
            Begin => Inside,
            Inside => Leave,
            Leave => {
                state.inside -= 1;
                Done
            }
            Done => Done,
        };
    }

    /// Returns whether the thread could make its step.
    fn deregister(self, state: &mut State) -> bool {
        use Deregistering::{Close, FindChannel, Retire, Returned, Stale, Wait};
        state.deregistering = match state.deregistering {
            Retire if state.life != Life::Live => Stale,
            Retire => {
                state.life = Life::Retired;
                if self.has_list() { FindChannel } else { Close }
            }
            // Without a channel there is nothing to close.
            FindChannel => {
                if std::mem::take(&mut state.listed) {
                    Close
                } else {
                    Returned
                }
            }
            Close => {
                state.closed = true;
                if self.bug == Some(Bug::NoWait) { Returned } else { Wait }
            }
            Wait if state.inside > 0 => return false,
            Wait => Returned,
            Returned | Stale => return false,
        };
        true
    }
}

impl Machine for Registration {
    type State = State;

    fn initial(&self) -> State {
        State::default()
    }

    fn steps(&self, state: &State) -> Vec<(String, State)> {
        let mut steps = Vec::new();
        if state.registering != Registering::Done {
            let mut next = *state;
            self.register(&mut next);
            steps.push((format!("register: {:?}", state.registering), next));
        }
        if state.noticing != Noticing::Done {
            let mut next = *state;
            self.notice(&mut next);
            steps.push((format!("notice: {:?}", state.noticing), next));
        }
        let mut next = *state;
        if self.deregister(&mut next) {
            steps.push((format!("deregister: {:?}", state.deregistering), next));
        }
        steps
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let returned = state.deregistering == Deregistering::Returned;
        (returned && state.noticing == Noticing::Inside)
            .then_some("no callback runs or starts once deregister has returned")
    }
}
