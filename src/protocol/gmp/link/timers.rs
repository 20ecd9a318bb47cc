//! [`Timers`]: the deadlines of an interface's groups, in their order.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// A timer of a group. Of timers that end at one time, an earlier one of this list ends first: a source's timer that ends with
/// the group's does not outlive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The timer of a source.
    Source(IpAddr),
    /// The group timer: EXCLUDE ends.
    Group,
    /// The last host of version 1 or 2 is taken to be gone; the index into [`GroupTimers::older`](super::group::GroupTimers).
    OlderHost(u8),
    /// Every host that the tracking had no room for has lapsed.
    Untracked,
    /// The next group-specific query.
    AskGroup,
    /// The next group-and-source-specific queries.
    AskSources,
}

/// The running timers of all groups of an interface.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Duration, IpAddr, Timer)>,
}

impl Timers {
    /// Sets a timer. `now` is where its owner keeps the deadline.
    pub(super) fn set(
        &mut self,
        group: IpAddr,
        timer: Timer,
        now: &mut Option<Duration>,
        to: Option<Duration>,
    ) {
        if *now == to {
            return;
        }
        if let Some(old) = *now {
            self.queue.remove(&(old, group, timer));
        }
        if let Some(new) = to {
            self.queue.insert((new, group, timer));
        }
        *now = to;
    }

    /// Returns the next deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.first().map(|(deadline, ..)| *deadline)
    }

    /// Removes and returns the next timer if it ends until `at`. Its owner still has the deadline.
    pub(super) fn pop(&mut self, at: Duration) -> Option<(IpAddr, Timer)> {
        if self.next()? > at {
            return None;
        }
        self.queue.pop_first().map(|(_, group, timer)| (group, timer))
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}
