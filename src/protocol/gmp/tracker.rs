//! [`Tracker`]: the hosts of a client's interfaces, and the interest that is published of them.
//!
//! The lock here is never held while the manager runs, so the manager may call from any thread. A message changes the hosts
//! under the lock, and marks its groups dirty. If no thread is publishing, the calling thread then takes one dirty group after
//! the other, publishes it without the lock, and records under the lock what it published. It publishes states, not events:
//! however many messages came meanwhile, the next publication is the difference to the present interest of the hosts.

use super::hosts::{Hosts, Wanted};
use super::limits::HostLimits;
use super::publisher::Publisher;
use super::{GmpCounters, Ignored, Received};
use crate::forwarding::Flow;
use crate::manager::{Group, Interface};
use crate::wake_deadline::{WakeDeadline, nanos};
use crate::wire::gmp::{Datagram, Message};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// The client that the manager calls.
#[derive(Debug)]
pub(super) struct Tracker {
    state: Mutex<State>,
    /// The time of the next lapse, by the state when the lock was last released. [`Tracker::change`] sets it under the lock,
    /// and [`Tracker::is_due`] reads it without.
    wake: WakeDeadline,
    pub(super) publisher: Publisher,
}

/// The state under the lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) counters: GmpCounters,
    interfaces: BTreeMap<Interface, TrackedInterface>,
    /// The time of the next lapse of each interface that has one.
    due: BTreeSet<(Duration, Interface)>,
    dirty: DirtyGroups,
    /// Whether a thread is publishing. No other thread changes the published interest.
    publishing: bool,
    /// The latest time of a call.
    now: Duration,
    /// The number of incarnations that interfaces have begun.
    incarnations: u64,
}

/// The groups to be published.
///
/// A group is in here only if hosts want it, it is published, or it is being published. So groups that come and go during a
/// long publication do not accumulate.
#[derive(Debug, Default)]
struct DirtyGroups {
    groups: BTreeSet<(Interface, IpAddr)>,
    being_published: Option<(Interface, IpAddr)>,
}

impl DirtyGroups {
    /// Marks a group as dirty. `unknown`: no host wants it, and it is not published.
    fn mark(&mut self, interface: Interface, group: IpAddr, unknown: bool) {
        if unknown && self.being_published != Some((interface, group)) {
            self.groups.remove(&(interface, group));
        } else {
            self.groups.insert((interface, group));
        }
    }
}

#[derive(Debug)]
struct TrackedInterface {
    hosts: Hosts,
    published: BTreeMap<IpAddr, Published>,
    /// The time of the entry in [`State::due`].
    due: Option<Duration>,
    /// A new incarnation begins whenever the published memberships may have ended.
    incarnation: u64,
    /// The manager's number of the ownership.
    ownership: u64,
}

/// The published interest in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) interest: Wanted,
    /// The memberships may have ended.
    pub(super) stale: bool,
    /// The manager refused a part, which is tried again at the next report for the group.
    pub(super) incomplete: bool,
}

/// A group to publish.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) interface: Interface,
    pub(super) group: IpAddr,
    pub(super) published: Published,
    pub(super) wanted: Wanted,
    incarnation: u64,
}

impl Tracker {
    pub(super) fn new() -> Tracker {
        Tracker { state: Mutex::default(), wake: WakeDeadline::default(), publisher: Publisher::default() }
    }

    /// Reads the state.
    pub(super) fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.state.lock())
    }

    /// Changes the state. `change` must not call the manager.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        self.wake.set(state.next_deadline());
        result
    }

    /// Returns whether state lapses at `now`. One load.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.wake.is_due(nanos(now))
    }

    /// Publishes every dirty group, unless another thread is publishing: then that thread publishes them.
    ///
    /// Calls `publish` without the lock. It returns the interest that is published then.
    pub(super) fn publish_all(&self, mut publish: impl FnMut(&Task) -> Published) {
        let mut state = self.state.lock();
        if state.publishing {
            return;
        }
        state.publishing = true;
        while let Some(task) = state.next_task() {
            let published = MutexGuard::unlocked(&mut state, || publish(&task));
            state.record_published(&task, published);
        }
        state.publishing = false;
    }
}

impl State {
    /// Begins or ends tracking an interface, by the manager's number of its ownership; `None` if it has another owner or none.
    pub(super) fn follow(
        &mut self,
        interface: Interface,
        owned: Option<u64>,
        interval: Duration,
        limits: HostLimits,
    ) {
        let tracked = self.interfaces.get(&interface).map(|tracked| tracked.ownership);
        match owned {
            _ if owned == tracked => {}
            // Not the ownership that was tracked: its memberships have ended.
            Some(ownership) => self.begin(interface, ownership, interval, limits),
            None => self.end(interface),
        }
    }

    /// Begins to track an interface that was taken.
    fn begin(&mut self, interface: Interface, ownership: u64, interval: Duration, limits: HostLimits) {
        self.end(interface);
        self.incarnations += 1;
        let hosts = Hosts::new(interval, limits);
        let incarnation = self.incarnations;
        let published = BTreeMap::new();
        let tracked = TrackedInterface { hosts, published, due: None, incarnation, ownership };
        self.interfaces.insert(interface, tracked);
    }

    /// Stops tracking an interface that was released.
    fn end(&mut self, interface: Interface) {
        if let Some(tracked) = self.interfaces.remove(&interface) {
            self.counters.refused += tracked.hosts.refused();
            tracked.due.map(|due| self.due.remove(&(due, interface)));
        }
    }

    pub(super) fn interfaces(&self) -> Vec<Interface> {
        self.interfaces.keys().copied().collect()
    }

    pub(super) fn wanted(&self, interface: Interface, group: IpAddr) -> Option<Wanted> {
        self.interfaces.get(&interface).map(|tracked| tracked.hosts.wanted(group))
    }

    /// Returns the counters, with the state refused on the tracked interfaces.
    pub(super) fn counters(&self) -> GmpCounters {
        let mut counters = self.counters;
        self.interfaces.values().for_each(|tracked| counters.refused += tracked.hosts.refused());
        counters
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Removes the state that lapses until `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        while let Some(&(due, interface)) = self.due.first()
            && due <= self.now
        {
            let Some(tracked) = self.interfaces.get_mut(&interface) else { return };
            let mut lapsed = Vec::new();
            tracked.hosts.advance(self.now, |group| lapsed.push(group));
            self.counters.lapsed += lapsed.len() as u64;
            for group in lapsed {
                self.dirty.mark(interface, group, tracked.is_unknown(group));
            }
            tracked.reschedule(interface, &mut self.due);
        }
    }

    /// Applies a well-formed message.
    pub(super) fn receive(
        &mut self,
        interface: Interface,
        datagram: &Datagram<'_>,
        message: Message<'_>,
    ) -> Received {
        if let Message::Other(kind) = message {
            return Received::Ignored(Ignored::OtherType(kind));
        }
        let Some(tracked) = self.interfaces.get_mut(&interface) else {
            return Received::Ignored(Ignored::NotTaken(interface));
        };
        if let IpAddr::V6(source) = datagram.source {
            if datagram.hop_limit != 1 {
                return Received::Ignored(Ignored::HopLimit(datagram.hop_limit));
            }
            if !source.is_unicast_link_local() {
                return Received::Ignored(Ignored::NotLinkLocal(datagram.source));
            }
        }
        let host = datagram.source;
        match message {
            Message::Query { .. } | Message::Other(_) => return Received::Query,
            Message::Report { group } | Message::Leave { group } if Group::new(group).is_err() => {
                return Received::Ignored(Ignored::NotAGroup(group));
            }
            Message::Report { group } => {
                self.counters.reports += 1;
                let changed = tracked.hosts.report(group, host, self.now);
                tracked.mark_if_changed(interface, group, changed, &mut self.dirty);
            }
            Message::Leave { group } => {
                self.counters.leaves += 1;
                let changed = tracked.hosts.leave(group, host);
                tracked.mark_if_changed(interface, group, changed, &mut self.dirty);
            }
            Message::Records(records) => {
                self.counters.reports += 1;
                for record in records {
                    let group = record.group;
                    let Some(kind) = record.kind else {
                        self.counters.unknown_records += 1;
                        continue;
                    };
                    if Group::new(group).is_err() {
                        self.counters.not_a_group += 1;
                        continue;
                    }
                    let sources = record.sources().filter(|&source| {
                        let is_source = Flow::new(source, group).is_ok();
                        self.counters.not_a_source += u64::from(!is_source);
                        is_source
                    });
                    let changed = tracked.hosts.record(group, host, kind, sources, self.now);
                    tracked.mark_if_changed(interface, group, changed, &mut self.dirty);
                }
            }
        }
        tracked.reschedule(interface, &mut self.due);
        Received::Report
    }

    /// Forgets every host. Time may begin anew.
    pub(super) fn forget_hosts(&mut self) {
        self.now = Duration::ZERO;
        for (&interface, tracked) in &mut self.interfaces {
            self.dirty.groups.extend(tracked.published.keys().map(|&group| (interface, group)));
            // One of these may be in publication.
            self.dirty.groups.extend(tracked.hosts.groups().map(|group| (interface, group)));
            tracked.hosts.clear();
            tracked.reschedule(interface, &mut self.due);
        }
    }

    /// Returns whether the hosts of an interface block a flow.
    pub(super) fn blocks(&self, interface: Interface, flow: Flow) -> bool {
        let tracked = self.interfaces.get(&interface);
        tracked.is_some_and(|tracked| tracked.hosts.blocks(flow.source(), flow.group()))
    }

    /// Marks the published interest of an interface as stale: the memberships there may have ended.
    pub(super) fn mark_stale(&mut self, interface: Interface) {
        self.incarnations += 1;
        if let Some(tracked) = self.interfaces.get_mut(&interface) {
            tracked.incarnation = self.incarnations;
            tracked.published.values_mut().for_each(|published| published.stale = true);
            self.dirty.groups.extend(tracked.published.keys().map(|&group| (interface, group)));
        }
    }

    fn next_task(&mut self) -> Option<Task> {
        loop {
            let (interface, group) = self.dirty.groups.pop_first()?;
            // The memberships on an interface that was released have ended with it.
            if let Some(tracked) = self.interfaces.get(&interface) {
                let published = tracked.published.get(&group).cloned().unwrap_or_default();
                let wanted = tracked.hosts.wanted(group);
                self.dirty.being_published = Some((interface, group));
                return Some(Task { interface, group, published, wanted, incarnation: tracked.incarnation });
            }
        }
    }

    /// Records the interest that a thread has published.
    fn record_published(&mut self, task: &Task, mut published: Published) {
        self.dirty.being_published = None;
        let (interface, group) = (task.interface, task.group);
        let Some(tracked) = self.interfaces.get_mut(&interface) else { return };
        if tracked.incarnation != task.incarnation {
            // A part may have been published before the new incarnation, and a part after.
            published.stale = true;
            self.dirty.groups.insert((interface, group));
        }
        if published == Published::default() {
            tracked.published.remove(&group);
        } else {
            tracked.published.insert(group, published);
        }
    }
}

impl TrackedInterface {
    /// Marks a group as dirty after a message, if its interest changed or is not completely published.
    fn mark_if_changed(&self, interface: Interface, group: IpAddr, changed: bool, dirty: &mut DirtyGroups) {
        if changed || self.published.get(&group).is_some_and(|published| published.incomplete) {
            dirty.mark(interface, group, self.is_unknown(group));
        }
    }

    /// Returns whether no host wants a group, and it is not published.
    fn is_unknown(&self, group: IpAddr) -> bool {
        !self.hosts.tracks(group) && !self.published.contains_key(&group)
    }

    /// Updates the entry of this interface in [`State::due`].
    fn reschedule(&mut self, interface: Interface, all: &mut BTreeSet<(Duration, Interface)>) {
        let due = self.hosts.next_deadline();
        if due != self.due {
            self.due.map(|due| all.remove(&(due, interface)));
            due.map(|due| all.insert((due, interface)));
            self.due = due;
        }
    }
}
