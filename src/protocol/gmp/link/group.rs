//! [`GroupTimers`]: the filter mode and the timers of one group on an interface (RFC 3376 section 6.2, RFC 3810 section 7.2).
//!
//! The state is INCLUDE (A) or EXCLUDE (X, Y). The sources A and X have running timers, the sources Y have none. A packet of X
//! passes, like that of every source but Y.

use super::super::hosts::Wanted;
use super::timers::{Timer, Timers};
use crate::wire::gmp::GmpVersion;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A source of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SourceTimer {
    /// The end of the timer; `None` for a blocked source.
    pub(super) until: Option<Duration>,
    /// A host named the source as one that it wants. Otherwise a host has excluded it, and others may want it until then.
    pub(super) named: bool,
    /// A query lowered the timer, and no report has renewed it since.
    pub(super) lowered: bool,
    /// The number of queries for the source that are still to be sent.
    pub(super) asks: u8,
}

/// The state of one group on an interface.
#[derive(Debug)]
pub(super) struct GroupTimers {
    pub(super) address: IpAddr,
    /// The group timer: EXCLUDE ends with it. `None` in INCLUDE.
    pub(super) exclude: Option<Duration>,
    /// A query lowered the group timer, and no report has renewed it since.
    pub(super) lowered: bool,
    pub(super) sources: BTreeMap<IpAddr, SourceTimer>,
    /// The number of sources with a running timer.
    pub(super) running: usize,
    /// Until when hosts of IGMPv1, and hosts of IGMPv2 or MLDv1, are taken to be present.
    pub(super) older: [Option<Duration>; 2],
    /// The time of the first report since hosts of older versions were taken to be absent.
    pub(super) older_since: Duration,
    /// Until when hosts are present that the tracking had no room for.
    pub(super) untracked: Option<Duration>,
    /// The number of group-specific queries that are still to be sent.
    pub(super) asks: u8,
    pub(super) ask_group: Option<Duration>,
    pub(super) ask_sources: Option<Duration>,
    /// What the state selects changed since [`LinkState`](super::LinkState) looked last.
    pub(super) changed: bool,
    /// The state is what the tracked hosts want, as the last cut left it.
    pub(super) in_step: bool,
    /// The last host that reported interest, and the last one that gave some up.
    pub(super) reporter: Option<IpAddr>,
    pub(super) leaver: Option<IpAddr>,
}

impl GroupTimers {
    pub(super) fn new(address: IpAddr) -> GroupTimers {
        GroupTimers {
            address,
            exclude: None,
            lowered: false,
            sources: BTreeMap::new(),
            running: 0,
            older: [None; 2],
            older_since: Duration::ZERO,
            untracked: None,
            asks: 0,
            ask_group: None,
            ask_sources: None,
            changed: false,
            in_step: false,
            reporter: None,
            leaver: None,
        }
    }

    /// Returns whether no host wants anything: the group has no state any more.
    pub(super) fn is_over(&self) -> bool {
        self.exclude.is_none() && self.running == 0
    }

    /// Returns the oldest version among the hosts: the group compatibility mode (RFC 3376 section 7.3.2).
    pub(super) fn compatibility(&self) -> GmpVersion {
        match self.older {
            [Some(_), _] => GmpVersion::V1,
            [None, Some(_)] => GmpVersion::V2,
            [None, None] => GmpVersion::V3,
        }
    }

    /// Returns the interest that this state stands for.
    pub(super) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted { any_source: self.exclude.is_some(), ..Wanted::default() };
        for (&address, source) in &self.sources {
            if source.until.is_none() {
                wanted.blocked.insert(address);
            } else if source.named || !wanted.any_source {
                wanted.sources.insert(address);
            }
        }
        wanted
    }

    /// Returns whether a source is blocked.
    pub(super) fn blocks(&self, source: IpAddr) -> bool {
        self.exclude.is_some() && self.sources.get(&source).is_some_and(|source| source.until.is_none())
    }

    /// Begins or renews EXCLUDE.
    pub(super) fn renew(&mut self, timers: &mut Timers, until: Duration) {
        self.changed |= self.exclude.is_none();
        timers.set(self.address, Timer::Group, &mut self.exclude, Some(until));
        self.lowered = false;
    }

    /// Lowers the group timer.
    pub(super) fn lower(&mut self, timers: &mut Timers, to: Duration) {
        if self.exclude.is_some_and(|until| until > to) {
            timers.set(self.address, Timer::Group, &mut self.exclude, Some(to));
            self.lowered = true;
        }
    }

    /// Lowers the timer of a source. Returns whether it was running for longer.
    pub(super) fn lower_source(&mut self, timers: &mut Timers, source: IpAddr, to: Duration) -> bool {
        let Some(timer) = self.sources.get_mut(&source) else { return false };
        let longer = timer.until.is_some_and(|until| until > to);
        if longer {
            timers.set(self.address, Timer::Source(source), &mut timer.until, Some(to));
            timer.lowered = true;
        }
        longer
    }

    /// Sets the timer of a source, which is new or known; `None` blocks it.
    pub(super) fn set_source(
        &mut self,
        timers: &mut Timers,
        source: IpAddr,
        until: Option<Duration>,
        named: bool,
    ) {
        let known = self.sources.contains_key(&source);
        let timer = self.sources.entry(source).or_default();
        let before = (known, timer.until.is_some(), timer.named);
        self.running -= usize::from(timer.until.is_some());
        self.running += usize::from(until.is_some());
        timers.set(self.address, Timer::Source(source), &mut timer.until, until);
        timer.named = (timer.named || named) && until.is_some();
        self.changed |= before != (true, until.is_some(), timer.named);
        timer.lowered = false;
        if until.is_none() {
            timer.asks = 0;
        }
    }

    /// Removes a source.
    pub(super) fn remove_source(&mut self, timers: &mut Timers, source: IpAddr) {
        if let Some(mut timer) = self.sources.remove(&source) {
            self.changed = true;
            self.running -= usize::from(timer.until.is_some());
            timers.set(self.address, Timer::Source(source), &mut timer.until, None);
        }
    }

    /// Ends EXCLUDE: the sources with running timers remain (RFC 3376 section 6.5).
    pub(super) fn end_exclude(&mut self, timers: &mut Timers) {
        timers.set(self.address, Timer::Group, &mut self.exclude, None);
        timers.set(self.address, Timer::AskGroup, &mut self.ask_group, None);
        (self.lowered, self.asks, self.changed) = (false, 0, true);
        self.sources.retain(|_, source| source.until.is_some());
    }

    /// Notes a report of an older version; `which` is the index of its timer.
    pub(super) fn report_older(&mut self, timers: &mut Timers, which: u8, now: Duration, until: Duration) {
        if self.compatibility() == GmpVersion::V3 {
            self.older_since = now;
        }
        self.set_older(timers, which, Some(until));
    }

    /// Sets one of the timers of older hosts.
    pub(super) fn set_older(&mut self, timers: &mut Timers, which: u8, until: Option<Duration>) {
        if let Some(timer) = self.older.get_mut(usize::from(which)) {
            timers.set(self.address, Timer::OlderHost(which), timer, until);
        }
    }

    /// Stops asking.
    pub(super) fn stop_asking(&mut self, timers: &mut Timers) {
        timers.set(self.address, Timer::AskGroup, &mut self.ask_group, None);
        timers.set(self.address, Timer::AskSources, &mut self.ask_sources, None);
        self.asks = 0;
        self.sources.values_mut().for_each(|source| source.asks = 0);
    }

    /// Stops every timer.
    pub(super) fn stop(&mut self, timers: &mut Timers) {
        self.stop_asking(timers);
        timers.set(self.address, Timer::Group, &mut self.exclude, None);
        timers.set(self.address, Timer::Untracked, &mut self.untracked, None);
        (0..2).for_each(|which| self.set_older(timers, which, None));
        for (&address, source) in &mut self.sources {
            timers.set(self.address, Timer::Source(address), &mut source.until, None);
        }
    }
}
