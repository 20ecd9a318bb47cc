//! [`Rows`]: the effect of a record on the state of its group (RFC 3376 sections 6.4.1 and 6.4.2, RFC 3810 sections 7.4.1 and
//! 7.4.2).
//!
//! GMI is the group membership interval, GT the group timer. The queries of the last column are only sent by the querier.
//!
//! | state | record | new state | timers | queries |
//! |---|---|---|---|---|
//! | INCLUDE (A) | IS_IN (B), ALLOW (B) | INCLUDE (A + B) | (B) = GMI | |
//! | INCLUDE (A) | IS_EX (B) | EXCLUDE (A * B, B - A) | GT = GMI | |
//! | INCLUDE (A) | BLOCK (B) | INCLUDE (A) | | Q(G, A * B) |
//! | INCLUDE (A) | TO_EX (B) | EXCLUDE (A * B, B - A) | GT = GMI | Q(G, A * B) |
//! | INCLUDE (A) | TO_IN (B) | INCLUDE (A + B) | (B) = GMI | Q(G, A - B) |
//! | EXCLUDE (X, Y) | IS_IN (A), ALLOW (A) | EXCLUDE (X + A, Y - A) | (A) = GMI | |
//! | EXCLUDE (X, Y) | IS_EX (A) | EXCLUDE (A - Y, Y * A) | (A - X - Y) = GMI, GT = GMI | |
//! | EXCLUDE (X, Y) | BLOCK (A) | EXCLUDE (X + (A - Y), Y) | (A - X - Y) = GT | Q(G, A - Y) |
//! | EXCLUDE (X, Y) | TO_EX (A) | EXCLUDE (A - Y, Y * A) | (A - X - Y) = GT, then GT = GMI | Q(G, A - Y) |
//! | EXCLUDE (X, Y) | TO_IN (A) | EXCLUDE (X + A, Y - A) | (A) = GMI | Q(G, X - A), Q(G) |

use super::group::GroupTimers;
use super::timers::Timers;
use crate::wire::gmp::RecordKind;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// The queries that a row asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    /// Q(G).
    pub(super) group: bool,
    /// Q(G, sources).
    pub(super) sources: Vec<IpAddr>,
}

/// What a row works on.
pub(super) struct Rows<'a> {
    pub(super) group: &'a mut GroupTimers,
    pub(super) timers: &'a mut Timers,
    /// The most sources of the group.
    pub(super) max: usize,
    /// The sources that the interface has room for.
    pub(super) room: usize,
    /// Counts the sources that found no room.
    pub(super) refused: &'a mut u64,
    /// The end of the group membership interval that begins now.
    pub(super) until: Duration,
}

impl Rows<'_> {
    /// Applies a record, and returns the queries that its row asks for.
    pub(super) fn apply(&mut self, kind: RecordKind, list: &BTreeSet<IpAddr>) -> Ask {
        let mut ask = Ask::default();
        match (kind, self.group.exclude) {
            (RecordKind::IsInclude | RecordKind::Allow, _) => self.want(list),
            (RecordKind::ToInclude, exclude) => {
                ask.group = exclude.is_some();
                ask.sources = self.running(|source| !list.contains(source));
                self.want(list);
            }
            (RecordKind::Block, None) => ask.sources = self.running_of(list),
            (RecordKind::Block, Some(group_timer)) => {
                self.add(list, Some(group_timer));
                ask.sources = self.running_of(list);
            }
            (RecordKind::IsExclude | RecordKind::ToExclude, exclude) => {
                let gone: Vec<_> =
                    self.group.sources.keys().filter(|source| !list.contains(source)).copied().collect();
                for source in gone {
                    self.room += 1;
                    self.group.remove_source(self.timers, source);
                }
                let timer = match (kind, exclude) {
                    // INCLUDE before: B - A is blocked at once.
                    (_, None) => None,
                    (RecordKind::IsExclude, Some(_)) => Some(self.until),
                    (_, Some(group_timer)) => Some(group_timer),
                };
                if kind == RecordKind::ToExclude && exclude.is_none() {
                    ask.sources = self.running(|_| true);
                }
                self.add(list, timer);
                if kind == RecordKind::ToExclude && exclude.is_some() {
                    ask.sources = self.running(|_| true);
                }
                self.group.renew(self.timers, self.until);
            }
        }
        ask
    }

    /// Returns the sources with running timers that `pick` picks.
    fn running(&self, pick: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
        let running = self.group.sources.iter().filter(|(_, source)| source.until.is_some());
        running.map(|(source, _)| *source).filter(pick).collect()
    }

    /// Returns those of the listed sources that have running timers.
    fn running_of(&self, list: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
        let runs = |source| self.group.sources.get(source).is_some_and(|timer| timer.until.is_some());
        list.iter().filter(|source| runs(source)).copied().collect()
    }

    /// Sets the timers of sources that a host wants.
    fn want(&mut self, list: &BTreeSet<IpAddr>) {
        for &source in list {
            if self.group.sources.contains_key(&source) || self.has_room() {
                self.group.set_source(self.timers, source, Some(self.until), true);
            }
        }
    }

    /// Adds those of the sources that are not known.
    fn add(&mut self, list: &BTreeSet<IpAddr>, until: Option<Duration>) {
        for &source in list {
            if !self.group.sources.contains_key(&source) && self.has_room() {
                self.group.set_source(self.timers, source, until, false);
            }
        }
    }

    /// Returns whether there is room for another source, and uses it. Counts a refusal.
    fn has_room(&mut self) -> bool {
        let has_room = self.room > 0 && self.group.sources.len() < self.max;
        if has_room {
            self.room -= 1;
        } else {
            *self.refused += 1;
        }
        has_room
    }
}
