//! [`LinkState`]: the router side of IGMP or MLD on one interface, without the manager.
//!
//! Times and messages go in. What the hosts want, changes of it and queries to send come out. Each file has one part:
//!
//! - [`querier`]: which router asks, and the values that it determines.
//! - [`group`] and [`rows`]: the state of a group, and the effect of a record on it.
//! - [`tracking`]: what the tracking of hosts changes in that, where a leave acts at once.
//! - [`asking`]: specific queries, heard and sent.
//! - [`unsettled`]: what waits for the end of a message.
//! - [`pieces`], [`changes`], [`timers`]: their names say it.

mod asking;
mod changes;
mod group;
mod pieces;
mod querier;
mod receive;
mod rows;
mod timers;
mod tracking;
mod unsettled;

#[cfg(test)]
mod tests;

pub(super) use changes::Change;

use super::config::{GmpConfig, Leave};
use super::hosts::{Hosts, Wanted};
use super::observer::GmpChange;
use super::views::{FilterMode, GmpInterfaceState, GroupState, LeaveActs, LimitsReached};
use super::{GmpCounters, Refused};
use crate::wire::gmp::QueryToSend;
use changes::{Cause, Changes};
use group::GroupTimers;
use pieces::Pieces;
use querier::Election;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use timers::{Timer, Timers};
use unsettled::Unsettled;

/// The state of one interface.
#[derive(Debug)]
pub(super) struct LinkState {
    config: Arc<GmpConfig>,
    observed: bool,
    election: Election,
    groups: BTreeMap<IpAddr, GroupTimers>,
    /// The number of sources in all groups.
    sources: usize,
    timers: Timers,
    hosts: Hosts,
    pieces: Pieces,
    changes: Changes,
    unsettled: Unsettled,
    refused: Refused,
    reached: LimitsReached,
    /// This router's networks on the interface.
    addresses: Vec<(IpAddr, u8)>,
    /// Queries to send: the time, the source address and the query.
    queries: Vec<(Duration, IpAddr, QueryToSend)>,
    /// The number of sources that cuts looked at.
    #[cfg(test)]
    looked_at: usize,
}

impl LinkState {
    pub(super) fn new(config: Arc<GmpConfig>, observed: bool) -> LinkState {
        LinkState {
            election: Election::new(&config),
            hosts: Hosts::new(config.group_membership_interval(), config.limits),
            config,
            observed,
            groups: BTreeMap::new(),
            sources: 0,
            timers: Timers::default(),
            pieces: Pieces::default(),
            changes: Changes::default(),
            unsettled: Unsettled::default(),
            refused: Refused::default(),
            reached: LimitsReached::default(),
            addresses: Vec::new(),
            queries: Vec::new(),
            #[cfg(test)]
            looked_at: 0,
        }
    }

    /// Sets this router's addresses. The querier uses the first one, of link-local scope for MLD.
    pub(super) fn set_addresses(&mut self, addresses: Vec<(IpAddr, u8)>, now: Duration) {
        let sends = |address: &IpAddr| match address {
            IpAddr::V4(address) => !address.is_unspecified(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let own = addresses.iter().map(|(address, _)| *address).find(sends);
        self.election.set_own(&self.config, own, now);
        self.addresses = addresses;
    }

    pub(super) fn set_observed(&mut self) {
        self.observed = true;
    }

    /// Returns the time of the next event.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let next = [self.timers.next(), self.hosts.next_deadline(), self.election.deadline()];
        next.into_iter().flatten().min()
    }

    /// Lets the time pass until `now`.
    pub(super) fn advance(&mut self, now: Duration, counters: &mut GmpCounters) {
        self.pieces.expire(now);
        while let Some(at) = self.next_deadline().filter(|at| *at <= now) {
            self.end_timers(at, counters);
            self.end_hosts(at, counters);
            if self.election.advance(&self.config, at, now) {
                self.send_general(now);
            }
            if at < now {
                self.finish();
            }
        }
    }

    /// Ends the timers of groups that end at a time.
    fn end_timers(&mut self, at: Duration, counters: &mut GmpCounters) {
        let mut ended: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
        while let Some((address, timer)) = self.timers.pop(at) {
            let Some(group) = self.groups.get_mut(&address) else { continue };
            match timer {
                Timer::Source(source) => {
                    let Some(state) = group.sources.get(&source) else { continue };
                    counters.lapsed += u64::from(!state.lowered);
                    let cause = ended_by(group, state.lowered);
                    self.touch(address, at, cause);
                    group_out_of_step(&mut self.groups, address);
                    self.end_source(address, source);
                    ended.entry(address).or_default().insert(source);
                }
                Timer::Group => {
                    counters.lapsed += u64::from(!group.lowered);
                    let cause = ended_by(group, group.lowered);
                    self.touch(address, at, cause);
                    group_out_of_step(&mut self.groups, address);
                    self.end_exclude(address);
                    self.hosts.drop_excluding(address);
                }
                Timer::OlderHost(which) => {
                    if let Some(timer) = group.older.get_mut(usize::from(which)) {
                        *timer = None;
                    }
                    self.settle(address, at);
                }
                Timer::Untracked => {
                    group.untracked = None;
                    self.settle(address, at);
                }
                Timer::AskGroup => {
                    group.ask_group = None;
                    self.send_group(address, at);
                }
                Timer::AskSources => {
                    group.ask_sources = None;
                    self.send_sources(address, at);
                }
            }
        }
        for (group, sources) in ended {
            self.hosts.drop_sources(group, &sources);
        }
        self.end_empty();
    }

    /// Lets the states of hosts lapse, and cuts their groups where that counts at once.
    fn end_hosts(&mut self, at: Duration, counters: &mut GmpCounters) {
        let mut lapsed = BTreeMap::new();
        self.hosts.advance(at, |group, host| _ = lapsed.insert(group, host));
        for (address, host) in lapsed {
            if self.cuts(address, at) {
                counters.lapsed += 1;
                self.touch(address, at, Cause { ended: GmpChange::Lapsed, host: Some(host) });
                self.cut(address, None, at);
            } else {
                group_out_of_step(&mut self.groups, address);
            }
        }
    }

    /// Cuts a group to what its tracked hosts want, where leaves act at once.
    fn settle(&mut self, address: IpAddr, at: Duration) {
        if self.cuts(address, at) {
            let host = self.groups.get(&address).and_then(|group| group.reporter);
            self.touch(address, at, Cause { ended: GmpChange::Lapsed, host });
            self.cut(address, None, at);
        }
    }

    /// Ends the timer of a source. Its entry in the queue is gone.
    fn end_source(&mut self, address: IpAddr, source: IpAddr) {
        let Some(group) = self.groups.get_mut(&address) else { return };
        if group.exclude.is_some() {
            // Without a timer the source is blocked (RFC 3376 section 6.3).
            group.set_source(&mut self.timers, source, None, false);
        } else {
            group.remove_source(&mut self.timers, source);
            self.sources -= 1;
        }
    }

    fn end_exclude(&mut self, address: IpAddr) {
        if let Some(group) = self.groups.get_mut(&address) {
            self.sources -= group.sources.len();
            group.end_exclude(&mut self.timers);
            self.sources += group.sources.len();
        }
    }

    /// Removes the touched groups that have no state any more.
    fn end_empty(&mut self) {
        for address in self.changes.touched() {
            if self.groups.get(&address).is_some_and(GroupTimers::is_over)
                && let Some(mut group) = self.groups.remove(&address)
            {
                group.stop(&mut self.timers);
                self.sources -= group.sources.len();
                self.pieces.end_group(address);
                self.hosts.drop_group(address);
            }
        }
    }

    /// Notes that a group is about to change.
    fn touch(&mut self, address: IpAddr, at: Duration, cause: Cause) {
        let (groups, observed) = (&self.groups, self.observed);
        let before =
            || groups.get(&address).filter(|_| observed).map(GroupTimers::wanted).unwrap_or_default();
        self.changes.touch(address, at, cause, before);
    }

    /// Completes the changes of a call.
    fn finish(&mut self) {
        self.end_empty();
        let (groups, observed) = (&mut self.groups, self.observed);
        self.changes.finish(|address| match groups.get_mut(&address) {
            None => Some(observed.then(Wanted::default)),
            Some(group) => std::mem::take(&mut group.changed).then(|| observed.then(|| group.wanted())),
        });
    }

    /// Passes on what happened since the last call: to `touched` each group, and whether it changed; to `changed` the changes of
    /// what is wanted; to `send` the queries to send.
    pub(super) fn drain(
        &mut self,
        touched: impl FnMut((IpAddr, bool)),
        changed: impl FnMut(Change),
        send: impl FnMut((Duration, IpAddr, QueryToSend)),
    ) {
        self.finish();
        self.changes.dirty.drain(..).for_each(touched);
        self.changes.ready.drain(..).for_each(changed);
        self.queries.drain(..).for_each(send);
    }

    /// Returns the end of everything that the hosts want; nothing without an observer.
    pub(super) fn ends(&self, at: Duration) -> Vec<Change> {
        let groups = self.groups.values().filter(|_| self.observed);
        groups.flat_map(|group| changes::ends(group.address, &group.wanted(), at)).collect()
    }

    /// Forgets all groups and the querier. Time may begin anew. Passes each group to `forgotten`.
    pub(super) fn forget(&mut self, mut forgotten: impl FnMut(IpAddr)) {
        self.groups.keys().copied().for_each(&mut forgotten);
        self.groups.clear();
        self.timers.clear();
        self.hosts.clear();
        self.pieces.clear();
        self.sources = 0;
        self.changes = Changes::default();
        self.queries.clear();
        self.reached = LimitsReached::default();
        self.election.restart(&self.config);
    }

    pub(super) fn wanted(&self, group: IpAddr) -> Wanted {
        self.groups.get(&group).map(GroupTimers::wanted).unwrap_or_default()
    }

    pub(super) fn blocks(&self, source: IpAddr, group: IpAddr) -> bool {
        self.groups.get(&group).is_some_and(|group| group.blocks(source))
    }

    /// Returns whether a group has state.
    pub(super) fn has(&self, group: IpAddr) -> bool {
        self.groups.contains_key(&group)
    }

    pub(super) fn refused(&self) -> Refused {
        let mut refused = self.refused;
        refused += self.hosts.refused();
        refused
    }

    /// Returns what a leave does at present.
    fn acts(&self) -> LeaveActs {
        match self.config.leave {
            Leave::Query => LeaveActs::AfterQuery,
            Leave::Immediate => LeaveActs::AtOnce,
            Leave::Auto if self.election.is_asked() || !self.config.track_hosts => LeaveActs::AfterQuery,
            Leave::Auto => LeaveActs::AtOnce,
        }
    }

    pub(super) fn state(&self) -> GmpInterfaceState {
        let values = self.election.values;
        let (querier, version) = self.election.querier(&self.config).unzip();
        let tracking = self.hosts.refused();
        GmpInterfaceState {
            querier,
            version,
            robustness: values.robustness,
            query_interval: values.query_interval,
            query_response_interval: values.response_interval,
            group_membership_interval: values.membership_interval(),
            leave: self.acts(),
            groups: self.groups.len(),
            sources: self.sources,
            limits_reached: LimitsReached {
                groups: self.reached.groups,
                hosts: tracking.hosts > 0,
                sources: self.reached.sources || tracking.sources > 0,
            },
        }
    }

    pub(super) fn group_states(&self) -> Vec<GroupState> {
        let state = |group: &GroupTimers| GroupState {
            group: group.address,
            mode: if group.exclude.is_some() { FilterMode::Exclude } else { FilterMode::Include },
            until: group.exclude,
            sources: group
                .sources
                .iter()
                .filter_map(|(source, state)| Some((*source, state.until?)))
                .collect(),
            blocked: group
                .sources
                .iter()
                .filter(|(_, state)| state.until.is_none())
                .map(|(s, _)| *s)
                .collect(),
            compatibility: group.compatibility(),
            hosts: self.hosts.hosts(group.address).collect(),
        };
        self.groups.values().map(state).collect()
    }
}

/// Notes that the state of a group may differ from what its tracked hosts want.
fn group_out_of_step(groups: &mut BTreeMap<IpAddr, GroupTimers>, address: IpAddr) {
    if let Some(group) = groups.get_mut(&address) {
        group.in_step = false;
    }
}

/// Returns why a timer that ended was running out.
fn ended_by(group: &GroupTimers, lowered: bool) -> Cause {
    if lowered {
        Cause { ended: GmpChange::Left, host: group.leaver }
    } else {
        Cause { ended: GmpChange::Lapsed, host: group.reporter }
    }
}
