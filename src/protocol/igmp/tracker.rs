//! What an [`Igmp`](super::Igmp) knows: the hosts of its interfaces, and what the manager has been told of them.
//!
//! The lock here is never held while the manager works, so that the manager may call from wherever it likes. A message changes the hosts under the lock and marks its groups dirty; whoever then finds nobody telling takes one dirty
//! group after the other, tells the manager without the lock, and notes under the lock what was told. Telling is by state,
//! not by event: however many messages came meanwhile, what is told next is the difference to what the hosts want then.

use super::hosts::{Hosts, Limits, Wanted};
use super::speaker::Speaker;
use super::wire::Message;
use super::{Datagram, IgmpCounters, Ignored, Received};
use crate::forwarding::Flow;
use crate::manager::{Group, Interface};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the manager calls.
#[derive(Debug)]
pub(super) struct Tracker {
    state: Mutex<State>,
    /// The next lapse in nanoseconds, as it was when the lock was last given back. Both accesses are Relaxed: this store
    /// in [`Tracker::change`] and the load in [`Tracker::is_due`]. A thread sees what it did itself, and what it goes on
    /// to act upon it reads under the lock.
    wake: AtomicU64,
    pub(super) speaker: Speaker,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) counters: IgmpCounters,
    interfaces: BTreeMap<Interface, Tracked>,
    /// When something lapses next, of each interface where anything does.
    due: BTreeSet<(Duration, Interface)>,
    /// The groups of which the manager is to be told.
    dirty: Dirty,
    /// Whether a thread is telling it: no other changes what was told.
    telling: bool,
    /// The latest time given.
    now: Duration,
    /// How many lives interfaces have begun.
    lives: u64,
}

/// Groups of which the manager is to be told: those that hosts want, those it was told of, and the one it is being told of.
/// There are no others, so that what comes and goes while a telling takes long does not pile up.
#[derive(Debug, Default)]
struct Dirty {
    groups: BTreeSet<(Interface, IpAddr)>,
    being_told: Option<(Interface, IpAddr)>,
}

impl Dirty {
    /// The hosts' wishes for a group may have changed. `forgotten`: nobody wants it, and the manager was not told of it.
    fn note(&mut self, interface: Interface, group: IpAddr, forgotten: bool) {
        if forgotten && self.being_told != Some((interface, group)) {
            self.groups.remove(&(interface, group));
        } else {
            self.groups.insert((interface, group));
        }
    }
}

#[derive(Debug)]
struct Tracked {
    hosts: Hosts,
    told: BTreeMap<IpAddr, Told>,
    /// Its place among those that are due.
    due: Option<Duration>,
    /// A new one begins whenever what was told may have ceased to hold.
    life: u64,
}

/// What the manager was told of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) what: Wanted,
    /// It may have ceased to hold.
    pub(super) doubtful: bool,
    /// Something of it was refused: to be tried again when a host of the group is next heard.
    pub(super) incomplete: bool,
}

/// A group to tell the manager of.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) interface: Interface,
    pub(super) group: IpAddr,
    pub(super) told: Told,
    pub(super) wanted: Wanted,
    life: u64,
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Tracker {
    pub(super) fn new() -> Tracker {
        Tracker { state: Mutex::default(), wake: AtomicU64::new(u64::MAX), speaker: Speaker::default() }
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.lock())
    }

    /// Changes the state. Nothing of the manager's may be called in there.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        self.wake.store(state.next_deadline().map_or(u64::MAX, nanoseconds), Ordering::Relaxed);
        result
    }

    /// Whether something is to lapse. One load.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        nanoseconds(now) >= self.wake.load(Ordering::Relaxed)
    }

    /// Has the manager told of every dirty group, unless another thread is at it: that one goes on with them. `tell` says
    /// what the manager has been told then, and is called without the lock.
    pub(super) fn tell_all(&self, mut tell: impl FnMut(&Task) -> Told) {
        let mut state = self.state.lock();
        if state.telling {
            return;
        }
        state.telling = true;
        while let Some(task) = state.next_task() {
            let told = MutexGuard::unlocked(&mut state, || tell(&task));
            state.note(&task, told);
        }
        state.telling = false;
    }
}

impl State {
    /// An interface was taken.
    pub(super) fn begin(&mut self, interface: Interface, interval: Duration, limits: Limits) {
        self.end(interface);
        self.lives += 1;
        let hosts = Hosts::new(interval, limits);
        let tracked = Tracked { hosts, told: BTreeMap::new(), due: None, life: self.lives };
        self.interfaces.insert(interface, tracked);
    }

    /// An interface was given up.
    pub(super) fn end(&mut self, interface: Interface) {
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

    /// The counters, with what is refused on the interfaces there are.
    pub(super) fn counters(&self) -> IgmpCounters {
        let mut counters = self.counters;
        self.interfaces.values().for_each(|tracked| counters.refused += tracked.hosts.refused());
        counters
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Lets lapse what is due.
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
                self.dirty.note(interface, group, tracked.is_forgotten(group));
            }
            tracked.reschedule(interface, &mut self.due);
        }
    }

    /// Takes in a well-formed message.
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
                tracked.heard(interface, group, changed, &mut self.dirty);
            }
            Message::Leave { group } => {
                self.counters.leaves += 1;
                let changed = tracked.hosts.leave(group, host);
                tracked.heard(interface, group, changed, &mut self.dirty);
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
                        let known = Flow::new(source, group).is_ok();
                        self.counters.not_a_source += u64::from(!known);
                        known
                    });
                    let changed = tracked.hosts.record(group, host, kind, sources, self.now);
                    tracked.heard(interface, group, changed, &mut self.dirty);
                }
            }
        }
        tracked.reschedule(interface, &mut self.due);
        Received::Report
    }

    /// Forgets every host; time may begin anew.
    pub(super) fn forget_hosts(&mut self) {
        self.now = Duration::ZERO;
        for (&interface, tracked) in &mut self.interfaces {
            self.dirty.groups.extend(tracked.told.keys().map(|&group| (interface, group)));
            // Of these the manager may just be being told.
            self.dirty.groups.extend(tracked.hosts.groups().map(|group| (interface, group)));
            tracked.hosts.clear();
            tracked.reschedule(interface, &mut self.due);
        }
    }

    /// Whether the hosts of an interface keep a flow off it.
    pub(super) fn keeps_off(&self, interface: Interface, flow: Flow) -> bool {
        let tracked = self.interfaces.get(&interface);
        tracked.is_some_and(|tracked| tracked.hosts.keeps_off(flow.source(), flow.group()))
    }

    /// What was told of an interface may have ceased to hold.
    pub(super) fn doubt(&mut self, interface: Interface) {
        self.lives += 1;
        if let Some(tracked) = self.interfaces.get_mut(&interface) {
            tracked.life = self.lives;
            tracked.told.values_mut().for_each(|told| told.doubtful = true);
            self.dirty.groups.extend(tracked.told.keys().map(|&group| (interface, group)));
        }
    }

    fn next_task(&mut self) -> Option<Task> {
        loop {
            let (interface, group) = self.dirty.groups.pop_first()?;
            // Whatever was to be told of an interface that was released, ended with it.
            if let Some(tracked) = self.interfaces.get(&interface) {
                let told = tracked.told.get(&group).cloned().unwrap_or_default();
                let wanted = tracked.hosts.wanted(group);
                self.dirty.being_told = Some((interface, group));
                return Some(Task { interface, group, told, wanted, life: tracked.life });
            }
        }
    }

    /// The manager has been told of a group.
    fn note(&mut self, task: &Task, mut told: Told) {
        self.dirty.being_told = None;
        let (interface, group) = (task.interface, task.group);
        let Some(tracked) = self.interfaces.get_mut(&interface) else { return };
        if tracked.life != task.life {
            // Some of it may have been told before the change and some after.
            told.doubtful = true;
            self.dirty.groups.insert((interface, group));
        }
        if told == Told::default() {
            tracked.told.remove(&group);
        } else {
            tracked.told.insert(group, told);
        }
    }
}

impl Tracked {
    /// A host of a group was heard.
    fn heard(&self, interface: Interface, group: IpAddr, changed: bool, dirty: &mut Dirty) {
        if changed || self.told.get(&group).is_some_and(|told| told.incomplete) {
            dirty.note(interface, group, self.is_forgotten(group));
        }
    }

    /// Whether nobody wants a group, and the manager was not told of it.
    fn is_forgotten(&self, group: IpAddr) -> bool {
        !self.hosts.tracks(group) && !self.told.contains_key(&group)
    }

    fn reschedule(&mut self, interface: Interface, all: &mut BTreeSet<(Duration, Interface)>) {
        let due = self.hosts.next_deadline();
        if due != self.due {
            self.due.map(|due| all.remove(&(due, interface)));
            due.map(|due| all.insert((due, interface)));
            self.due = due;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: Interface = Interface::v4(2);
    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));

    fn group(n: u8) -> IpAddr {
        IpAddr::from([239, 0, 0, n])
    }

    fn hear(tracker: &Tracker, message: Message<'_>) {
        let datagram = Datagram { source: HOST, destination: HOST, hop_limit: 1, payload: &[] };
        assert_eq!(tracker.change(|state| state.receive(LAN, &datagram, message)), Received::Report);
    }

    fn take(tracker: &Tracker) {
        tracker.change(|state| state.begin(LAN, Duration::from_secs(260), Limits::default()));
    }

    /// A tracker that has heard a host of group 1, and has told nobody yet.
    fn tracker() -> Tracker {
        let tracker = Tracker::new();
        take(&tracker);
        hear(&tracker, Message::Report { group: group(1) });
        tracker
    }

    /// Tells, with something going on during the first telling: (group, whether it was wanted, whether doubtful) of each.
    fn tell(tracker: &Tracker, meanwhile: impl FnOnce()) -> Vec<(IpAddr, bool, bool)> {
        let (mut calls, mut meanwhile) = (Vec::new(), Some(meanwhile));
        tracker.tell_all(|task| {
            calls.push((task.group, task.wanted.any_source, task.told.doubtful));
            if let Some(meanwhile) = meanwhile.take() {
                meanwhile();
            }
            Told { what: task.wanted.clone(), ..Told::default() }
        });
        calls
    }

    #[test]
    fn what_changes_while_it_is_told_is_told_again() {
        let tracker = tracker();
        let calls = tell(&tracker, || hear(&tracker, Message::Leave { group: group(1) }));
        assert_eq!(calls, [(group(1), true, false), (group(1), false, false)]);
        assert_eq!(tell(&tracker, || ()), [], "and then there is nothing left to tell");
    }

    #[test]
    fn one_tells_at_a_time_and_for_the_others_too() {
        let tracker = tracker();
        let calls = tell(&tracker, || {
            hear(&tracker, Message::Report { group: group(2) });
            tracker.tell_all(|_| panic!("the first is still telling"));
        });
        assert_eq!(calls, [(group(1), true, false), (group(2), true, false)]);
    }

    #[test]
    fn what_was_told_while_the_interface_changed_hands_is_doubted() {
        let retaken = tracker();
        let calls = tell(&retaken, || {
            retaken.change(|state| state.end(LAN));
            take(&retaken);
        });
        assert_eq!(
            calls,
            [(group(1), true, false), (group(1), false, true)],
            "it may be there: it has to go"
        );

        let restored = tracker();
        let calls = tell(&restored, || restored.change(|state| state.doubt(LAN)));
        assert_eq!(calls, [(group(1), true, false), (group(1), true, true)], "it may be gone: say it again");

        let released = tracker();
        let calls = tell(&released, || released.change(|state| state.end(LAN)));
        assert_eq!(calls, [(group(1), true, false)]);
    }

    #[test]
    fn what_is_forgotten_while_it_is_told_is_untold() {
        let tracker = tracker();
        hear(&tracker, Message::Report { group: group(2) });
        let calls = tell(&tracker, || tracker.change(State::forget_hosts));
        assert_eq!(calls, [(group(1), true, false), (group(1), false, false), (group(2), false, false)]);
    }

    /// Whoever joins and leaves one group after the other while a telling takes long must not fill the memory.
    #[test]
    fn what_comes_and_goes_while_the_manager_is_told_leaves_nothing_to_tell() {
        let tracker = tracker();
        let waiting = || tracker.look(|state| state.dirty.groups.len());
        let calls = tell(&tracker, || {
            for n in 10..200 {
                hear(&tracker, Message::Report { group: group(n) });
                hear(&tracker, Message::Leave { group: group(n) });
            }
            assert_eq!(waiting(), 0);
            hear(&tracker, Message::Report { group: group(2) });
            tracker.change(|state| state.advance(Duration::from_secs(300)));
            assert_eq!(waiting(), 1, "of the one that is being told, which has lapsed");
        });
        assert_eq!(calls, [(group(1), true, false), (group(1), false, false)]);
    }

    #[test]
    fn the_wake_time_is_the_first_lapse_of_all() {
        let tracker = tracker();
        let other = Interface::v4(3);
        tracker.change(|state| state.begin(other, Duration::from_secs(100), Limits::default()));
        let at = Duration::from_secs;
        assert!(!tracker.is_due(at(259)) && tracker.is_due(at(260)));
        let datagram = Datagram { source: HOST, destination: HOST, hop_limit: 1, payload: &[] };
        let report = Message::Report { group: group(1) };
        tracker.change(|state| state.receive(other, &datagram, report));
        assert!(!tracker.is_due(at(99)) && tracker.is_due(at(100)));
        tracker.change(|state| state.advance(at(100)));
        assert!(!tracker.is_due(at(259)) && tracker.is_due(at(260)));
        tracker.change(|state| state.end(LAN));
        assert!(!tracker.is_due(at(1_000_000)));
    }
}
