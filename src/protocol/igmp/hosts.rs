//! Who on an interface listens to what: each reporting host is tracked by itself.
//!
//! RFC 3376 section 6 merges all hosts of a network into one state a group, so a router has to ask before it may prune:
//! someone else may still listen. Here each host has a state of its own, and what the network wants of a group is the
//! union of its hosts:
//!
//! ```text
//!   host 10.0.0.5   INCLUDE { s1 until 260 s, s2 until 301 s }  \
//!   host 10.0.0.6   EXCLUDE { s3, s4 } until 290 s                > (*, g), (s1, g), (s2, g), and s3 kept off
//!   host 10.0.0.7   EXCLUDE { s3, s2 } until 312 s              /
//! ```
//!
//! - (*, g) is wanted while some host excludes (an EXCLUDE list may be empty);
//! - (s, g) is wanted while some host includes s;
//! - s is kept off while some host excludes, every host that excludes has s in its list, and no host includes s.
//!
//! # What a record does to its host's state
//!
//! The rows of RFC 3376 section 6.4 and RFC 3810 section 7.4, restated for one host; a host that is not tracked is as
//! INCLUDE {}, and a host whose state becomes INCLUDE {} is not tracked any more.
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
//! What is not renewed within the group membership interval lapses: an INCLUDE source by itself, an EXCLUDE state whole.
//! As in section 6.4.2, ALLOW and BLOCK do not renew an EXCLUDE state.
//!
//! # What hosts hide
//!
//! A host of IGMPv1, IGMPv2 or MLDv1 that hears another's report of a group keeps its own back (RFC 2236 section 3, RFC
//! 2710 section 4), so it is not tracked. The state lasts while a host that did report is tracked; when that host leaves,
//! the group goes, and comes back with the next report of the one that kept silent: after the specific query that the
//! network's querier sends upon a leave, at once; at the latest after the next general query. IGMPv3 and MLDv2 gave
//! suppression up so that each host can be tracked (RFC 3376 appendix A.2). Section 7.3.2 there makes a router take a
//! whole group for IGMPv2 while one IGMPv2 host is about, because suppression might hide others; that is not done here:
//! every host is judged by its own words, and as an IGMPv2 host is EXCLUDE {}, nothing that anyone wants is kept off
//! meanwhile.
//!
//! Hosts that have no address yet report from 0.0.0.0 (RFC 3376 section 4.2.13): they are tracked as one host.
//!
//! A host whose list of sources fills several reports sends several records (RFC 3376 section 4.2.16). A TO_IN that comes
//! in pieces is its last piece here until the answer to the next query, which says IS_IN.

use super::wire::RecordKind;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How much is kept of one interface's hosts. What goes beyond is refused and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups with a tracked host. 4096 by default.
    pub groups: usize,
    /// Hosts of one group. 1024 by default.
    pub hosts: usize,
    /// Sources in one host's state for one group. 512 by default; the list of one IGMPv3 report in an Ethernet frame has
    /// 366 at most.
    pub sources: usize,
    /// Different sources that the hosts of one group name, all together. 2048 by default: what one report can cost grows
    /// with it, because the network's wishes for the group are worked out anew.
    pub group_sources: usize,
    /// Hosts and sources of all groups together: what bounds the memory. 65536 by default.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { groups: 4096, hosts: 1024, sources: 512, group_sources: 2048, total: 65536 }
    }
}

/// What was refused because of the [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Records that would have made a group.
    pub groups: u64,
    /// Records that would have made a host.
    pub hosts: u64,
    /// Sources left out of a host's state: it gets less than it asked for if it includes them, more if it excludes them.
    pub sources: u64,
}

/// What an interface's hosts want of one group, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// (*, g).
    pub any_source: bool,
    /// (s, g), for each of these.
    pub sources: BTreeSet<IpAddr>,
    /// Sources that (*, g) is not meant to bring.
    pub kept_off: BTreeSet<IpAddr>,
}

/// What one host wants of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    /// Each source until its time.
    Include(BTreeMap<IpAddr, Duration>),
    /// All but these, until the time.
    Exclude(BTreeSet<IpAddr>, Duration),
}

impl Filter {
    /// When something of it lapses next; `None` for INCLUDE {}.
    fn deadline(&self) -> Option<Duration> {
        match self {
            Filter::Include(sources) => sources.values().min().copied(),
            Filter::Exclude(_, until) => Some(*until),
        }
    }

    /// What it takes of [`Limits::total`].
    fn cost(&self) -> usize {
        1 + match self {
            Filter::Include(sources) => sources.len(),
            Filter::Exclude(sources, _) => sources.len(),
        }
    }

    /// Whether both want the same, whatever their times.
    fn wants_same(&self, other: &Filter) -> bool {
        match (self, other) {
            (Filter::Include(one), Filter::Include(two)) => one.keys().eq(two.keys()),
            (Filter::Exclude(one, _), Filter::Exclude(two, _)) => one == two,
            _ => false,
        }
    }
}

/// How many of a group's hosts name a source.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    including: usize,
    excluding: usize,
}

#[derive(Debug, Default)]
struct Group {
    hosts: BTreeMap<IpAddr, Filter>,
    /// Hosts in EXCLUDE state.
    excluding: usize,
    sources: BTreeMap<IpAddr, Named>,
}

impl Group {
    fn keeps_off(&self, named: Named) -> bool {
        self.excluding > 0 && named.excluding == self.excluding && named.including == 0
    }

    fn count(&mut self, filter: &Filter) {
        match filter {
            Filter::Include(sources) => {
                for &source in sources.keys() {
                    self.sources.entry(source).or_default().including += 1;
                }
            }
            Filter::Exclude(sources, _) => {
                self.excluding += 1;
                for &source in sources {
                    self.sources.entry(source).or_default().excluding += 1;
                }
            }
        }
    }

    fn discount(&mut self, filter: &Filter) {
        match filter {
            Filter::Include(sources) => {
                for &source in sources.keys() {
                    self.discount_source(source, |named| named.including -= 1);
                }
            }
            Filter::Exclude(sources, _) => {
                self.excluding -= 1;
                for &source in sources {
                    self.discount_source(source, |named| named.excluding -= 1);
                }
            }
        }
    }

    fn discount_source(&mut self, source: IpAddr, less: impl FnOnce(&mut Named)) {
        if let Entry::Occupied(mut named) = self.sources.entry(source) {
            less(named.get_mut());
            if named.get().including + named.get().excluding == 0 {
                named.remove();
            }
        }
    }
}

/// The hosts of one interface.
///
/// Times are those of the caller's clock; what is said at a time earlier than one given before lasts that much shorter.
/// Nothing here knows of the manager.
///
/// ```
/// use mgm::protocol::igmp::hosts::{Hosts, Limits};
/// use mgm::protocol::igmp::wire::RecordKind;
/// use std::time::Duration;
///
/// let [group, host, source] = ["232.1.1.1", "10.0.0.5", "192.0.2.7"].map(|a| a.parse().unwrap());
/// let mut hosts = Hosts::new(Duration::from_secs(260), Limits::default());
/// hosts.record(group, host, RecordKind::Allow, [source], Duration::ZERO);
/// assert!(hosts.wanted(group).sources.contains(&source));
/// assert_eq!(hosts.next_deadline(), Some(Duration::from_secs(260)));
/// hosts.advance(Duration::from_secs(260), |lapsed| assert_eq!(lapsed, group));
/// assert!(hosts.is_empty());
/// ```
#[derive(Debug)]
pub struct Hosts {
    interval: Duration,
    limits: Limits,
    groups: BTreeMap<IpAddr, Group>,
    /// One for each tracked (group, host): its filter's deadline.
    deadlines: BTreeSet<(Duration, IpAddr, IpAddr)>,
    /// The sum of all filters' costs.
    total: usize,
    refused: Refused,
}

impl Hosts {
    /// No hosts yet. `interval` is the group membership interval: how long a word lasts that is not renewed.
    #[must_use]
    pub fn new(interval: Duration, limits: Limits) -> Hosts {
        Hosts {
            interval,
            limits,
            groups: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            total: 0,
            refused: Refused::default(),
        }
    }

    /// A host's record, of IGMPv3 or MLDv2. Says whether the host's wishes changed, and not only their times.
    pub fn record(
        &mut self,
        group: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        sources: impl IntoIterator<Item = IpAddr>,
        now: Duration,
    ) -> bool {
        let old = self.take(group, host);
        let room = self.limits.total.saturating_sub(self.total);
        let until = now.saturating_add(self.interval);
        // The host itself costs one.
        let most = self.limits.sources.min(room.saturating_sub(1));
        let mut refused = 0;
        let sources = sources.into_iter();
        // A source that somebody names already costs the group nothing.
        let named = self.groups.get(&group).map(|group| &group.sources);
        let mut group_room = self.limits.group_sources.saturating_sub(named.map_or(0, BTreeMap::len));
        let mut admit = |source: &IpAddr| {
            let known = named.is_some_and(|named| named.contains_key(source));
            let room = known || group_room > 0;
            group_room -= usize::from(room && !known);
            room
        };
        let new = match (kind, old.clone()) {
            (RecordKind::IsInclude | RecordKind::Allow, Some(Filter::Include(mut included))) => {
                include(&mut included, sources, until, most, &mut admit, &mut refused);
                Filter::Include(included)
            }
            (RecordKind::Block, Some(Filter::Include(mut included))) => {
                sources.for_each(|source| _ = included.remove(&source));
                Filter::Include(included)
            }
            (RecordKind::Block, None) => Filter::Include(BTreeMap::new()),
            (RecordKind::Allow, Some(Filter::Exclude(mut excluded, until))) => {
                sources.for_each(|source| _ = excluded.remove(&source));
                Filter::Exclude(excluded, until)
            }
            (RecordKind::Block, Some(Filter::Exclude(mut excluded, until))) => {
                exclude(&mut excluded, sources, most, &mut admit, &mut refused);
                Filter::Exclude(excluded, until)
            }
            (RecordKind::IsExclude | RecordKind::ToExclude, _) => {
                let mut excluded = BTreeSet::new();
                exclude(&mut excluded, sources, most, &mut admit, &mut refused);
                Filter::Exclude(excluded, until)
            }
            (RecordKind::IsInclude | RecordKind::ToInclude | RecordKind::Allow, _) => {
                let mut included = BTreeMap::new();
                include(&mut included, sources, until, most, &mut admit, &mut refused);
                Filter::Include(included)
            }
        };
        if old.is_none() && new.deadline().is_some() && !self.has_room(group, room) {
            return false;
        }
        self.refused.sources += refused;
        self.put(group, host, old, new)
    }

    /// A host's report of IGMPv1, IGMPv2 or MLDv1: as a record IS_EX {} (RFC 3376 section 7.3.2). Says whether the host's
    /// wishes changed.
    pub fn report(&mut self, group: IpAddr, host: IpAddr, now: Duration) -> bool {
        self.record(group, host, RecordKind::IsExclude, [], now)
    }

    /// A host's leave or done. Says whether the host had wishes.
    pub fn leave(&mut self, group: IpAddr, host: IpAddr) -> bool {
        let old = self.take(group, host);
        self.put(group, host, old, Filter::Include(BTreeMap::new()))
    }

    /// Lets lapse what is due at `now`, and names each group where something did, perhaps more than once.
    pub fn advance(&mut self, now: Duration, mut lapsed: impl FnMut(IpAddr)) {
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
            lapsed(group);
        }
    }

    /// When [`Hosts::advance`] next has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|&(deadline, ..)| deadline)
    }

    /// What the hosts want of a group, all together.
    #[must_use]
    pub fn wanted(&self, group: IpAddr) -> Wanted {
        let Some(group) = self.groups.get(&group) else { return Wanted::default() };
        let named = |pick: &dyn Fn(Named) -> bool| {
            group.sources.iter().filter(|&(_, &named)| pick(named)).map(|(&source, _)| source).collect()
        };
        Wanted {
            any_source: group.excluding > 0,
            sources: named(&|named| named.including > 0),
            kept_off: named(&|named| group.keeps_off(named)),
        }
    }

    /// Whether a source is to be kept off a group: every host that excludes any has it in its list, and none includes it.
    #[must_use]
    pub fn keeps_off(&self, source: IpAddr, group: IpAddr) -> bool {
        self.groups
            .get(&group)
            .is_some_and(|group| group.sources.get(&source).is_some_and(|&named| group.keeps_off(named)))
    }

    /// The groups that have a tracked host, in order.
    pub fn groups(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.keys().copied()
    }

    /// The tracked hosts of a group, in order.
    pub fn hosts(&self, group: IpAddr) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.get(&group).into_iter().flat_map(|group| group.hosts.keys().copied())
    }

    /// Whether a group has a tracked host.
    #[must_use]
    pub fn tracks(&self, group: IpAddr) -> bool {
        self.groups.contains_key(&group)
    }

    /// Whether no host is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Forgets every host; what was refused stays counted.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.deadlines.clear();
        self.total = 0;
    }

    /// What the limits refused so far.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Whether a host that is not tracked yet can be; counts the refusal.
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

    /// Takes a host's filter out, all but its share in the group's counts: those [`Hosts::put`] settles.
    fn take(&mut self, group: IpAddr, host: IpAddr) -> Option<Filter> {
        let filter = self.groups.get_mut(&group)?.hosts.remove(&host)?;
        self.total -= filter.cost();
        if let Some(deadline) = filter.deadline() {
            self.deadlines.remove(&(deadline, group, host));
        }
        Some(filter)
    }

    /// Puts a host's new filter where the old one was taken. Says whether they want different things.
    fn put(&mut self, group: IpAddr, host: IpAddr, old: Option<Filter>, new: Filter) -> bool {
        let stays = new.deadline();
        let changed = match &old {
            Some(old) => !old.wants_same(&new),
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

/// Adds or renews sources, up to a number, as far as the group admits them.
fn include(
    included: &mut BTreeMap<IpAddr, Duration>,
    sources: impl Iterator<Item = IpAddr>,
    until: Duration,
    most: usize,
    admit: &mut impl FnMut(&IpAddr) -> bool,
    refused: &mut u64,
) {
    for source in sources {
        let len = included.len();
        match included.entry(source) {
            Entry::Occupied(mut known) => _ = known.insert(until),
            Entry::Vacant(new) if len < most && admit(new.key()) => _ = new.insert(until),
            Entry::Vacant(_) => *refused += 1,
        }
    }
}

/// Adds sources, up to a number, as far as the group admits them.
fn exclude(
    excluded: &mut BTreeSet<IpAddr>,
    sources: impl Iterator<Item = IpAddr>,
    most: usize,
    admit: &mut impl FnMut(&IpAddr) -> bool,
    refused: &mut u64,
) {
    for source in sources {
        if excluded.contains(&source) {
            continue;
        }
        if excluded.len() < most && admit(&source) {
            excluded.insert(source);
        } else {
            *refused += 1;
        }
    }
}
