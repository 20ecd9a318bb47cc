//! [`Hosts`]: the hosts of an interface, each tracked by itself.
//!
//! RFC 3376 section 6 merges all hosts of a network into one state for each group, so the querier has to ask before a router may
//! prune: another host may still listen. Explicit tracking keeps the state of each host beside that (RFC 3376 appendix A.2). It
//! counts where a leave acts at once, because no querier asks ([`Leave`](super::Leave)). The interest of the network in a group is
//! then the union of its hosts:
//!
//! ```text
//!   host 10.0.0.5   INCLUDE { s1 until 260 s, s2 until 301 s }  \
//!   host 10.0.0.6   EXCLUDE { s3, s4 } until 290 s                > (*, g), (s1, g), (s2, g), and s3 blocked
//!   host 10.0.0.7   EXCLUDE { s3, s2 } until 312 s              /
//! ```
//!
//! - (*, g) is wanted while any host excludes (an EXCLUDE list may be empty).
//! - (s, g) is wanted while any host includes s.
//! - s is blocked while any host excludes, every host that excludes lists s, and no host includes s.
//!
//! # The effect of a record on its host's state
//!
//! The rows of RFC 3376 section 6.4 and RFC 3810 section 7.4, restated for one host. A host that is not tracked is in state
//! INCLUDE {}; a host that enters INCLUDE {} is not tracked any more.
//!
//! | state | record | new state |
//! |---|---|---|
//! | INCLUDE (A) | IS_IN (B), ALLOW (B) | INCLUDE (A + B), B renewed |
//! | INCLUDE (A) | TO_IN (B) | INCLUDE (B), renewed |
//! | INCLUDE (A) | BLOCK (B) | INCLUDE (A - B) |
//! | EXCLUDE (X) | IS_IN (B), TO_IN (B) | INCLUDE (B) |
//! | EXCLUDE (X) | ALLOW (B) | EXCLUDE (X - B) |
//! | EXCLUDE (X) | BLOCK (B) | EXCLUDE (X + B) |
//! | any | IS_EX (B), TO_EX (B) | EXCLUDE (B), renewed |
//! | any | report of IGMPv1, IGMPv2, MLDv1 | EXCLUDE {}, renewed |
//! | any | leave, done | INCLUDE {} |
//!
//! State that is not renewed within the group membership interval lapses: an INCLUDE source by itself, an EXCLUDE state as a
//! whole. As in section 6.4.2, ALLOW and BLOCK do not renew an EXCLUDE state.
//!
//! # Suppressed reports
//!
//! A host of IGMPv1, IGMPv2 or MLDv1 that hears another host's report of a group suppresses its own (RFC 2236 section 3, RFC
//! 2710 section 4), so it is not tracked. A group with such hosts is therefore not cut to what the tracked hosts want: a leave
//! there takes the last member query time, in which a silent host answers the querier.
//!
//! IGMPv3 and MLDv2 gave up suppression so that each host can be tracked (RFC 3376 appendix A.2).
//!
//! Hosts without an address report from 0.0.0.0 (RFC 3376 section 4.2.13). They are tracked as one host.
//!
//! A host with a list of sources that fills several reports sends several records (RFC 3376 section 4.2.16). The caller unites
//! them: a TO_IN here has the effect of its own list.

use super::filter::{Filter, SourceBudget};
use super::group::{GroupHosts, ListedBy};
use super::limits::{HostLimits, Refused};
use crate::wire::gmp::RecordKind;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The interest of all hosts of an interface in one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether (*, g) is wanted.
    pub any_source: bool,
    /// The sources s of which (s, g) is wanted.
    pub sources: BTreeSet<IpAddr>,
    /// The sources that (*, g) must not bring.
    pub blocked: BTreeSet<IpAddr>,
}

/// The hosts of one interface.
///
/// Times are those of the caller's clock. A report at a time earlier than one before lasts that much shorter. This type knows
/// nothing of the manager.
///
/// ```
/// use mgm::protocol::gmp::{HostLimits, hosts::Hosts};
/// use mgm::wire::gmp::RecordKind;
/// use std::time::Duration;
///
/// let [group, host, source] = ["232.1.1.1", "10.0.0.5", "192.0.2.7"].map(|a| a.parse().unwrap());
/// let mut hosts = Hosts::new(Duration::from_secs(260), HostLimits::default());
/// hosts.record(group, host, RecordKind::Allow, [source], Duration::ZERO);
/// assert!(hosts.wanted(group).sources.contains(&source));
/// assert_eq!(hosts.next_deadline(), Some(Duration::from_secs(260)));
/// hosts.advance(Duration::from_secs(260), |lapsed, _| assert_eq!(lapsed, group));
/// assert!(hosts.is_empty());
/// ```
#[derive(Debug)]
pub struct Hosts {
    interval: Duration,
    limits: HostLimits,
    groups: BTreeMap<IpAddr, GroupHosts>,
    /// The deadline of each tracked (group, host).
    deadlines: BTreeSet<(Duration, IpAddr, IpAddr)>,
    /// The sum of the costs of all filters.
    total: usize,
    refused: Refused,
}

impl Hosts {
    /// Makes an empty set of hosts. `interval` is the group membership interval, after which state lapses.
    #[must_use]
    pub fn new(interval: Duration, limits: HostLimits) -> Hosts {
        Hosts {
            interval,
            limits,
            groups: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            total: 0,
            refused: Refused::default(),
        }
    }

    /// Applies a host's record of IGMPv3 or MLDv2. Returns whether the interest of the host changed, beyond its times.
    pub fn record(
        &mut self,
        group: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        sources: impl IntoIterator<Item = IpAddr>,
        now: Duration,
    ) -> bool {
        let until = now.saturating_add(self.interval);
        let sources = sources.into_iter();
        match (kind, self.filter(group, host)) {
            (RecordKind::IsInclude | RecordKind::Allow | RecordKind::Block, Some(Filter::Include(_)))
            | (RecordKind::Allow | RecordKind::Block, Some(Filter::Exclude(..))) => {
                return self.amend(group, host, kind, sources, until);
            }
            _ => {}
        }
        let old = self.take(group, host);
        let room = self.limits.total.saturating_sub(self.total);
        // A source that is listed already costs the group nothing.
        let listed = self.groups.get(&group).map(|group| &group.sources.by_source);
        let mut group_room = self.limits.group_sources.saturating_sub(listed.map_or(0, BTreeMap::len));
        let mut refused = 0;
        let mut budget = SourceBudget {
            // The host itself costs one.
            max: self.limits.sources.min(room.saturating_sub(1)),
            admit: |source: &IpAddr| {
                let known = listed.is_some_and(|listed| listed.contains_key(source));
                let room = known || group_room > 0;
                group_room -= usize::from(room && !known);
                room
            },
            refused: &mut refused,
        };
        let new = match kind {
            RecordKind::Block => Filter::Include(BTreeMap::new()),
            RecordKind::IsExclude | RecordKind::ToExclude => {
                let mut excluded = BTreeSet::new();
                budget.exclude(&mut excluded, sources);
                Filter::Exclude(excluded, until)
            }
            RecordKind::IsInclude | RecordKind::ToInclude | RecordKind::Allow => {
                let mut included = BTreeMap::new();
                budget.include(&mut included, sources, until);
                Filter::Include(included)
            }
        };
        if old.is_none() && new.deadline().is_some() && !self.has_room(group, room) {
            return false;
        }
        self.refused.sources += refused;
        self.put(group, host, old, new)
    }

    fn filter(&self, group: IpAddr, host: IpAddr) -> Option<&Filter> {
        self.groups.get(&group)?.hosts.get(&host)
    }

    /// Changes the listed sources of a host's filter, which stays in its mode. Returns whether the interest of the host changed.
    ///
    /// It touches no other source of the group.
    fn amend(
        &mut self,
        group: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        sources: impl Iterator<Item = IpAddr>,
        until: Duration,
    ) -> bool {
        let Some(state) = self.groups.get_mut(&group) else { return false };
        let Some(filter) = state.hosts.get_mut(&host) else { return false };
        let (deadline, cost) = (filter.deadline(), filter.cost());
        let others = self.total - cost;
        let limits = self.limits;
        let max = limits.sources.min(limits.total.saturating_sub(others).saturating_sub(1));
        let listed = &mut state.sources;
        let refused = &mut self.refused.sources;
        let mut changed = false;
        match filter {
            Filter::Include(included) if kind == RecordKind::Block => {
                for source in sources {
                    if included.remove(&source).is_some() {
                        listed.discount(source, |listed| listed.including -= 1);
                        changed = true;
                    }
                }
            }
            Filter::Include(included) => {
                for source in sources {
                    if let Some(known) = included.get_mut(&source) {
                        *known = until;
                    } else if included.len() < max && listed.admits(source, limits.group_sources) {
                        included.insert(source, until);
                        listed.count(source, |listed| listed.including += 1);
                        changed = true;
                    } else {
                        *refused += 1;
                    }
                }
            }
            Filter::Exclude(excluded, _) if kind == RecordKind::Allow => {
                for source in sources {
                    if excluded.remove(&source) {
                        listed.discount(source, |listed| listed.excluding -= 1);
                        changed = true;
                    }
                }
            }
            Filter::Exclude(excluded, _) => {
                for source in sources {
                    if excluded.contains(&source) {
                        continue;
                    }
                    if excluded.len() < max && listed.admits(source, limits.group_sources) {
                        excluded.insert(source);
                        listed.count(source, |listed| listed.excluding += 1);
                        changed = true;
                    } else {
                        *refused += 1;
                    }
                }
            }
        }
        let new_deadline = filter.deadline();
        self.total = others + filter.cost();
        if new_deadline != deadline {
            deadline.map(|deadline| self.deadlines.remove(&(deadline, group, host)));
            new_deadline.map(|deadline| self.deadlines.insert((deadline, group, host)));
        }
        if new_deadline.is_none() {
            self.total = others;
            state.hosts.remove(&host);
            if state.hosts.is_empty() {
                self.groups.remove(&group);
            }
        }
        changed
    }

    /// Applies a host's report of IGMPv1, IGMPv2 or MLDv1, as a record IS_EX {} (RFC 3376 section 7.3.2).
    ///
    /// Returns whether the interest of the host changed.
    pub fn report(&mut self, group: IpAddr, host: IpAddr, now: Duration) -> bool {
        self.record(group, host, RecordKind::IsExclude, [], now)
    }

    /// Applies a host's leave or done. Returns whether the host had been interested in the group.
    pub fn leave(&mut self, group: IpAddr, host: IpAddr) -> bool {
        let old = self.take(group, host);
        self.put(group, host, old, Filter::Include(BTreeMap::new()))
    }

    /// Removes the state that lapses until `now`. Passes each affected group and host to `lapsed`, possibly more than once.
    pub fn advance(&mut self, now: Duration, mut lapsed: impl FnMut(IpAddr, IpAddr)) {
        while let Some(&(deadline, group, host)) = self.deadlines.first()
            && deadline <= now
        {
            let old = self.take(group, host);
            let new = match old.clone() {
                Some(Filter::Include(mut sources)) => {
                    sources.retain(|_, until| *until > now);
                    Filter::Include(sources)
                }
                Some(Filter::Exclude(..)) | None => Filter::Include(BTreeMap::new()),
            };
            self.put(group, host, old, new);
            lapsed(group, host);
        }
    }

    /// Returns the time of the next lapse.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|&(deadline, ..)| deadline)
    }

    /// Returns the interest of all hosts in a group.
    #[must_use]
    pub fn wanted(&self, group: IpAddr) -> Wanted {
        let Some(group) = self.groups.get(&group) else { return Wanted::default() };
        let listed = |pick: &dyn Fn(ListedBy) -> bool| {
            group
                .sources
                .by_source
                .iter()
                .filter(|&(_, &listed)| pick(listed))
                .map(|(&source, _)| source)
                .collect()
        };
        Wanted {
            any_source: group.excluding > 0,
            sources: listed(&|listed| listed.including > 0),
            blocked: listed(&|listed| group.blocks(listed)),
        }
    }

    /// Returns whether a source of a group is blocked: every excluding host lists it, and no host includes it.
    #[must_use]
    pub fn blocks(&self, source: IpAddr, group: IpAddr) -> bool {
        self.groups.get(&group).is_some_and(|group| {
            group.sources.by_source.get(&source).is_some_and(|&listed| group.blocks(listed))
        })
    }

    /// Sets the group membership interval of later reports.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Returns whether a host excludes sources of a group, or none: whether it wants (*, g).
    #[must_use]
    pub fn excludes(&self, group: IpAddr) -> bool {
        self.groups.get(&group).is_some_and(|group| group.excluding > 0)
    }

    /// Returns whether a host includes a source of a group: whether it wants (s, g).
    #[must_use]
    pub fn includes(&self, source: IpAddr, group: IpAddr) -> bool {
        let listed = self.groups.get(&group).and_then(|group| group.sources.by_source.get(&source));
        listed.is_some_and(|listed| listed.including > 0)
    }

    /// Returns the number of hosts of a group in EXCLUDE.
    pub(super) fn excluding(&self, group: IpAddr) -> usize {
        self.groups.get(&group).map_or(0, |group| group.excluding)
    }

    /// Returns the sources that hosts of a group list, in order.
    pub(super) fn sources(&self, group: IpAddr) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.get(&group).into_iter().flat_map(|group| group.sources.by_source.keys().copied())
    }

    /// Forgets the hosts of a group that exclude sources, because their state ended in another way.
    pub(super) fn drop_excluding(&mut self, group: IpAddr) {
        self.drop_if(group, |filter| match filter {
            Filter::Exclude(..) => Some(Filter::Include(BTreeMap::new())),
            Filter::Include(_) => None,
        });
    }

    /// Forgets included sources of a group, because their state ended in another way.
    pub(super) fn drop_sources(&mut self, group: IpAddr, ended: &BTreeSet<IpAddr>) {
        if !ended.iter().any(|&source| self.includes(source, group)) {
            return;
        }
        self.drop_if(group, |filter| match filter {
            Filter::Include(sources) if sources.keys().any(|source| ended.contains(source)) => {
                let left = sources.iter().filter(|(source, _)| !ended.contains(source));
                Some(Filter::Include(left.map(|(source, until)| (*source, *until)).collect()))
            }
            _ => None,
        });
    }

    /// Forgets the hosts of a group.
    pub(super) fn drop_group(&mut self, group: IpAddr) {
        self.drop_if(group, |_| Some(Filter::Include(BTreeMap::new())));
    }

    /// Replaces the filters of a group's hosts by what `change` returns.
    fn drop_if(&mut self, group: IpAddr, change: impl Fn(&Filter) -> Option<Filter>) {
        let Some(state) = self.groups.get(&group) else { return };
        let changed: Vec<_> =
            state.hosts.iter().filter_map(|(host, filter)| Some((*host, change(filter)?))).collect();
        for (host, filter) in changed {
            let old = self.take(group, host);
            self.put(group, host, old, filter);
        }
    }

    /// Returns the groups that have a tracked host, in order.
    pub fn groups(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.keys().copied()
    }

    /// Returns the tracked hosts of a group, in order.
    pub fn hosts(&self, group: IpAddr) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.get(&group).into_iter().flat_map(|group| group.hosts.keys().copied())
    }

    /// Returns whether a group has a tracked host.
    #[must_use]
    pub fn tracks(&self, group: IpAddr) -> bool {
        self.groups.contains_key(&group)
    }

    /// Returns whether no host is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Forgets every host. The counts of refused state remain.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.deadlines.clear();
        self.total = 0;
    }

    /// Returns the state refused so far.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Returns whether there is room for another host. Counts a refusal.
    fn has_room(&mut self, group: IpAddr, room: usize) -> bool {
        match self.groups.get(&group) {
            None if self.groups.len() >= self.limits.groups => {
                self.refused.groups += 1;
                false
            }
            known if room == 0 || known.is_some_and(|group| group.hosts.len() >= self.limits.hosts) => {
                self.refused.hosts += 1;
                false
            }
            _ => true,
        }
    }

    /// Takes a host's filter out. The counts of the group still include it, until [`Hosts::put`].
    fn take(&mut self, group: IpAddr, host: IpAddr) -> Option<Filter> {
        let filter = self.groups.get_mut(&group)?.hosts.remove(&host)?;
        self.total -= filter.cost();
        if let Some(deadline) = filter.deadline() {
            self.deadlines.remove(&(deadline, group, host));
        }
        Some(filter)
    }

    /// Puts a host's new filter in the position of the old one. Returns whether they select different packets.
    fn put(&mut self, group: IpAddr, host: IpAddr, old: Option<Filter>, new: Filter) -> bool {
        let stays = new.deadline();
        let changed = match &old {
            Some(old) => !old.selects_same(&new),
            None => stays.is_some(),
        };
        if !changed && stays.is_none() {
            return false;
        }
        let state = self.groups.entry(group).or_default();
        if changed {
            if let Some(old) = &old {
                state.discount(old);
            }
            state.count(&new);
        }
        if let Some(deadline) = stays {
            self.deadlines.insert((deadline, group, host));
            self.total += new.cost();
            state.hosts.insert(host, new);
        } else if state.hosts.is_empty() {
            self.groups.remove(&group);
        }
        changed
    }
}
