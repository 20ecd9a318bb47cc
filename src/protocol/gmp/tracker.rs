//! [`Tracker`]: the hosts of a client's interfaces, and the interest that is published of them.
//!
//! The lock here is never held while the manager runs, so the manager may call from any thread. A message changes the hosts
//! under the lock, and marks its groups dirty. If no thread is publishing, the calling thread then takes one dirty group after
//! the other, publishes it without the lock, and records under the lock what it published. It publishes states, not events:
//! however many messages came meanwhile, the next publication is the difference to the present interest of the hosts. The
//! events of an observer wait in a queue, and the publishing thread passes them on.

use super::hosts::Wanted;
use super::link::{Change, LinkState};
use super::publisher::Publisher;
use super::{
    GmpConfig, GmpCounters, GmpEvent, GmpInterfaceState, GmpObserver, GroupState, Ignored, Received,
    Transmission,
};
use crate::foreign_code;
use crate::forwarding::Flow;
use crate::manager::Interface;
use crate::wake_deadline::{WakeDeadline, nanos};
use crate::wire::gmp::{Datagram, Message};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// The most queries that wait to be sent.
const TRANSMISSIONS: usize = 1024;
/// The most events that wait for the observer.
const EVENTS: usize = 65_536;

/// The client that the manager calls.
pub(super) struct Tracker {
    state: Mutex<State>,
    /// The time of the next lapse, by the state when the lock was last released. [`Tracker::change`] sets it under the lock,
    /// and [`Tracker::is_due`] reads it without.
    wake: WakeDeadline,
    pub(super) publisher: Publisher,
    observer: OnceLock<Arc<dyn GmpObserver>>,
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The state under the lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) counters: GmpCounters,
    config: Arc<GmpConfig>,
    observed: bool,
    /// The addresses of every interface that has some, taken or not.
    addresses: BTreeMap<Interface, Vec<(IpAddr, u8)>>,
    /// Changes that the observer has not heard of.
    events: VecDeque<GmpEvent>,
    transmissions: VecDeque<Transmission>,
    interfaces: BTreeMap<Interface, TrackedInterface>,
    /// The time of the next event of each interface that has one.
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
    link: LinkState,
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
    pub(super) fn new(config: Arc<GmpConfig>) -> Tracker {
        Tracker {
            state: Mutex::new(State { config, ..State::default() }),
            wake: WakeDeadline::default(),
            publisher: Publisher::default(),
            observer: OnceLock::new(),
        }
    }

    /// Sets the observer. Only the first call has an effect.
    pub(super) fn observe(&self, observer: Arc<dyn GmpObserver>) {
        if self.observer.set(observer).is_ok() {
            self.change(State::set_observed);
        }
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
        let mut publishing = Publishing { state, task: None };
        loop {
            if let Some(task) = publishing.state.next_task() {
                let task = publishing.task.insert(task);
                let published = MutexGuard::unlocked(&mut publishing.state, || publish(task));
                if let Some(task) = publishing.task.take() {
                    publishing.state.record_published(&task, published);
                }
            } else if let Some(event) = publishing.state.events.pop_front() {
                if let Some(observer) = self.observer.get() {
                    let told = MutexGuard::unlocked(&mut publishing.state, || {
                        let told = foreign_code::contain(|| observer.changed(&event));
                        told.map_err(|panicked| {
                            tracing::error!("an observer of IGMP or MLD panicked: {panicked}")
                        })
                    });
                    publishing.state.counters.observer_panics += u64::from(told.is_err());
                }
            } else {
                break;
            }
        }
        drop(publishing);
        foreign_code::run_put_off();
    }
}

/// Publishes until dropped. If publishing unwinds, the interest in its group counts as stale, and another thread may publish.
struct Publishing<'a> {
    state: MutexGuard<'a, State>,
    task: Option<Task>,
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.state.publication_failed(&task);
        }
        self.state.publishing = false;
    }
}

impl State {
    /// Begins or ends tracking an interface, by the manager's number of its ownership; `None` if it has another owner or none.
    pub(super) fn follow(&mut self, interface: Interface, owned: Option<u64>) {
        let tracked = self.interfaces.get(&interface).map(|tracked| tracked.ownership);
        match owned {
            _ if owned == tracked => {}
            // Not the ownership that was tracked: its memberships have ended.
            Some(ownership) => self.begin(interface, ownership),
            None => self.end(interface),
        }
    }

    /// Begins to track an interface that was taken.
    fn begin(&mut self, interface: Interface, ownership: u64) {
        self.end(interface);
        self.incarnations += 1;
        let mut link = LinkState::new(self.config.clone(), self.observed);
        if let Some(addresses) = self.addresses.get(&interface) {
            link.set_addresses(addresses.clone(), self.now);
        }
        let incarnation = self.incarnations;
        let published = BTreeMap::new();
        let mut tracked = TrackedInterface { link, published, due: None, incarnation, ownership };
        tracked.reschedule(interface, &mut self.due);
        self.interfaces.insert(interface, tracked);
    }

    fn set_observed(&mut self) {
        self.observed = true;
        self.interfaces.values_mut().for_each(|tracked| tracked.link.set_observed());
    }

    /// Sets this router's addresses on an interface.
    pub(super) fn set_addresses(&mut self, interface: Interface, addresses: Vec<(IpAddr, u8)>) {
        if let Some(tracked) = self.interfaces.get_mut(&interface) {
            tracked.link.set_addresses(addresses.clone(), self.now);
            tracked.reschedule(interface, &mut self.due);
        }
        self.addresses.insert(interface, addresses);
    }

    /// Takes the next query to send.
    pub(super) fn next_transmission(&mut self) -> Option<Transmission> {
        self.transmissions.pop_front()
    }

    pub(super) fn interface_state(&self, interface: Interface) -> Option<GmpInterfaceState> {
        self.interfaces.get(&interface).map(|tracked| tracked.link.state())
    }

    pub(super) fn groups(&self, interface: Interface) -> Vec<GroupState> {
        self.interfaces.get(&interface).map(|tracked| tracked.link.group_states()).unwrap_or_default()
    }

    /// Stops tracking an interface that was released.
    fn end(&mut self, interface: Interface) {
        if let Some(tracked) = self.interfaces.remove(&interface) {
            self.tell(interface, tracked.link.ends(self.now));
            self.counters.refused += tracked.link.refused();
            tracked.due.map(|due| self.due.remove(&(due, interface)));
        }
    }

    pub(super) fn interfaces(&self) -> Vec<Interface> {
        self.interfaces.keys().copied().collect()
    }

    pub(super) fn wanted(&self, interface: Interface, group: IpAddr) -> Option<Wanted> {
        self.interfaces.get(&interface).map(|tracked| tracked.link.wanted(group))
    }

    /// Returns the counters, with the state refused on the tracked interfaces.
    pub(super) fn counters(&self) -> GmpCounters {
        let mut counters = self.counters;
        self.interfaces.values().for_each(|tracked| counters.refused += tracked.link.refused());
        counters
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Removes the state that lapses until `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.advance_all(None);
    }

    /// Receives what arrived on an interface at `now`, after the time has passed until then.
    ///
    /// What lapses at that very moment and is renewed by the message has not changed.
    pub(super) fn arrive(
        &mut self,
        interface: Interface,
        now: Duration,
        receive: impl FnOnce(&mut State) -> Received,
    ) -> Received {
        self.now = self.now.max(now);
        self.advance_all(Some(interface));
        let received = receive(self);
        self.counters.count(received);
        self.settle(interface);
        received
    }

    /// Lets the time pass on every interface. What that brings on the `unsettled` one is not taken over yet.
    fn advance_all(&mut self, unsettled: Option<Interface>) {
        while let Some(&(due, interface)) = self.due.first()
            && due <= self.now
        {
            let Some(tracked) = self.interfaces.get_mut(&interface) else { return };
            tracked.link.advance(self.now, &mut self.counters);
            if unsettled == Some(interface) {
                tracked.reschedule(interface, &mut self.due);
            } else {
                self.settle(interface);
            }
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
        tracked.link.receive(datagram, message, self.now, &mut self.counters)
    }

    /// Takes over what an interface's state has brought: groups to publish, events, and queries to send.
    fn settle(&mut self, interface: Interface) {
        let State { interfaces, dirty, events, transmissions, counters, due, .. } = self;
        let Some(tracked) = interfaces.get_mut(&interface) else { return };
        let (mut touched, mut lost) = (Vec::new(), 0);
        let tell = |change| lost += u64::from(!wait(events, interface, change));
        tracked.link.drain(
            |group| touched.push(group),
            tell,
            |(at, source, query)| {
                if transmissions.len() >= TRANSMISSIONS {
                    transmissions.pop_front();
                    counters.unsent += 1;
                }
                transmissions.push_back(Transmission { at, interface, source, query });
            },
        );
        counters.events_lost += lost;
        for (group, changed) in touched {
            if changed || tracked.published.get(&group).is_some_and(|published| published.incomplete) {
                dirty.mark(interface, group, tracked.is_unknown(group));
            }
        }
        tracked.reschedule(interface, due);
    }

    /// Forgets every host. Time may begin anew.
    pub(super) fn forget_hosts(&mut self) {
        let (mut ends, now) = (Vec::new(), std::mem::take(&mut self.now));
        self.transmissions.clear();
        for (&interface, tracked) in &mut self.interfaces {
            ends.push((interface, tracked.link.ends(now)));
            self.dirty.groups.extend(tracked.published.keys().map(|&group| (interface, group)));
            // One of these may be in publication.
            tracked.link.forget(|group| _ = self.dirty.groups.insert((interface, group)));
            tracked.reschedule(interface, &mut self.due);
        }
        ends.into_iter().for_each(|(interface, ends)| self.tell(interface, ends));
    }

    /// Leaves changes to the publishing thread, for the observer.
    fn tell(&mut self, interface: Interface, changes: Vec<Change>) {
        for change in changes {
            self.counters.events_lost += u64::from(!wait(&mut self.events, interface, change));
        }
    }

    /// Returns whether the hosts of an interface block a flow.
    pub(super) fn blocks(&self, interface: Interface, flow: Flow) -> bool {
        let tracked = self.interfaces.get(&interface);
        tracked.is_some_and(|tracked| tracked.link.blocks(flow.source(), flow.group()))
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
                let wanted = tracked.link.wanted(group);
                self.dirty.being_published = Some((interface, group));
                return Some(Task { interface, group, published, wanted, incarnation: tracked.incarnation });
            }
        }
    }

    /// Records that the publication of a group ended by a panic: a part of it may be published.
    fn publication_failed(&mut self, task: &Task) {
        let mut interest = task.published.interest.clone();
        interest.any_source |= task.wanted.any_source;
        interest.sources.extend(&task.wanted.sources);
        let published = Published { interest, stale: true, ..Published::default() };
        self.record_published(task, published);
        if self.interfaces.contains_key(&task.interface) {
            self.dirty.groups.insert((task.interface, task.group));
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

/// Adds a change to the events that wait. Returns whether there was room.
fn wait(events: &mut VecDeque<GmpEvent>, interface: Interface, change: Change) -> bool {
    let room = events.len() < EVENTS;
    if room {
        let Change { at, subject, change, host } = change;
        events.push_back(GmpEvent { at, interface, subject, change, host });
    }
    room
}

impl TrackedInterface {
    /// Returns whether no host wants a group, and it is not published.
    fn is_unknown(&self, group: IpAddr) -> bool {
        !self.link.has(group) && !self.published.contains_key(&group)
    }

    /// Updates the entry of this interface in [`State::due`].
    fn reschedule(&mut self, interface: Interface, all: &mut BTreeSet<(Duration, Interface)>) {
        let due = self.link.next_deadline();
        if due != self.due {
            self.due.map(|due| all.remove(&(due, interface)));
            due.map(|due| all.insert((due, interface)));
            self.due = due;
        }
    }
}
