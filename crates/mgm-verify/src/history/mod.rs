//! Histories: the calls that threads made on a manager, the answers, and the callbacks that clients received.
//!
//! A history is cut into windows. A window ends wherever no call is under way.

mod calls;
pub mod scenario;

pub use calls::{Answer, Call};

use crate::spec::{ClientId, NoticeKind, Outcome};
use mgm::manager::Interface;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More threads than any run has. A call inside a callback has the number of its thread plus this for each callback that it
/// is inside of: it overlaps the call that delivers the callback, as if another thread made it.
pub const THREADS: usize = 1_000;

/// A call with its thread and its times, in nanoseconds since the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number of the calling thread.
    pub thread: usize,
    /// The call.
    pub call: Call,
    /// Its answer.
    pub answer: Answer,
    /// When it was made.
    pub began: u64,
    /// When it returned.
    pub ended: u64,
}

impl Event {
    /// Returns whether the calls are of two threads and overlap in time.
    #[must_use]
    pub fn overlaps(&self, other: &Event) -> bool {
        self.thread != other.thread && self.began < other.ended && other.began < self.ended
    }

    /// Returns whether the call was made inside a callback.
    pub(crate) fn is_inside_callback(&self) -> bool {
        self.thread >= THREADS
    }

    /// Returns whether the call answered [`Outcome::Ok`].
    pub(crate) fn succeeded(&self) -> bool {
        self.answer == Answer::Outcome(Outcome::Ok)
    }
}

/// A callback of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Callback {
    /// Any notice but a handover.
    Notice(NoticeKind),
    /// The first half of a handover: `disable_igmp`.
    DisableIgmp(Interface),
    /// The second half of a handover: `enable_igmp`.
    EnableIgmp(Interface),
    /// `notices_lost`, which no run here should reach.
    NoticesLost(u64),
}

/// A callback with the time at which it began, in nanoseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// When the callback began.
    pub at: u64,
    /// The callback.
    pub callback: Callback,
}

/// The events between two moments at which no call was under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// The calls.
    pub events: Vec<Event>,
    /// The callbacks of each client in their order, if they were recorded.
    pub deliveries: Option<BTreeMap<ClientId, Vec<Delivery>>>,
}
