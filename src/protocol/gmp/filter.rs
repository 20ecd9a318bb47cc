//! [`Filter`]: the state of one host for one group.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The state of one host for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// INCLUDE: each source with the time at which it lapses.
    Include(BTreeMap<IpAddr, Duration>),
    /// EXCLUDE: the excluded sources, and the time at which the state lapses.
    Exclude(BTreeSet<IpAddr>, Duration),
}

impl Filter {
    /// Returns the time of the next lapse; `None` for INCLUDE {}.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Filter::Include(sources) => sources.values().min().copied(),
            Filter::Exclude(_, until) => Some(*until),
        }
    }

    /// Returns the part of [`HostLimits::total`](super::HostLimits::total) that this state uses.
    pub(super) fn cost(&self) -> usize {
        1 + match self {
            Filter::Include(sources) => sources.len(),
            Filter::Exclude(sources, _) => sources.len(),
        }
    }

    /// Returns whether both select the same packets, whatever their times.
    pub(super) fn selects_same(&self, other: &Filter) -> bool {
        match (self, other) {
            (Filter::Include(one), Filter::Include(two)) => one.keys().eq(two.keys()),
            (Filter::Exclude(one, _), Filter::Exclude(two, _)) => one == two,
            _ => false,
        }
    }
}

/// Limits the sources that a record adds to a filter.
pub(super) struct SourceBudget<'g, A> {
    /// The maximum length of the filter's list.
    pub(super) max: usize,
    /// Returns whether the group admits a source.
    pub(super) admit: A,
    /// The number of sources refused so far.
    pub(super) refused: &'g mut u64,
}

impl<A: FnMut(&IpAddr) -> bool> SourceBudget<'_, A> {
    /// Adds or renews included sources, as far as the budget allows.
    pub(super) fn include(
        &mut self,
        included: &mut BTreeMap<IpAddr, Duration>,
        sources: impl Iterator<Item = IpAddr>,
        until: Duration,
    ) {
        for source in sources {
            let len = included.len();
            match included.entry(source) {
                Entry::Occupied(mut known) => _ = known.insert(until),
                Entry::Vacant(new) if len < self.max && (self.admit)(new.key()) => _ = new.insert(until),
                Entry::Vacant(_) => *self.refused += 1,
            }
        }
    }

    /// Adds excluded sources, as far as the budget allows.
    pub(super) fn exclude(&mut self, excluded: &mut BTreeSet<IpAddr>, sources: impl Iterator<Item = IpAddr>) {
        for source in sources {
            if excluded.contains(&source) {
                continue;
            }
            if excluded.len() < self.max && (self.admit)(&source) {
                excluded.insert(source);
            } else {
                *self.refused += 1;
            }
        }
    }
}
