//! [`Group`]: a group record of RFC 3376 section 6.2, and what reports, queries and time do to it.

use super::{Kind, Ms, Sources, Version};
use std::net::IpAddr;

/// A source record: (source address, source timer). The timer runs until a time, and is zero from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) address: IpAddr,
    pub(crate) until: Ms,
    /// Whether a record of a host that includes it named it. If not, it only waits to be blocked.
    pub(crate) named: bool,
    /// How many group-and-source-specific queries are still to be sent for it.
    pub(crate) retransmissions: u64,
}

/// A group record: (multicast address, group timer, router filter mode, (source records)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) address: IpAddr,
    /// Whether the router filter mode is EXCLUDE.
    pub(crate) exclude: bool,
    /// When the group timer is zero. Only used in mode EXCLUDE.
    pub(crate) timer: Ms,
    pub(crate) sources: Vec<Source>,
    /// Until when an IGMPv1 host counts as present, and an IGMPv2 or MLDv1 host (section 7.3.2).
    pub(crate) v1_until: Ms,
    pub(crate) v2_until: Ms,
    /// How many group-specific queries are still to be sent.
    pub(crate) retransmissions: u64,
    /// When the next query for the group is due, and the next one for its sources.
    pub(crate) group_query_at: Option<Ms>,
    pub(crate) source_query_at: Option<Ms>,
}

/// An action "Send Q" of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Send {
    Group,
    Sources(Sources),
}

impl Group {
    /// Makes the record of a group without members: INCLUDE ().
    pub(crate) fn new(address: IpAddr) -> Group {
        Group {
            address,
            exclude: false,
            timer: 0,
            sources: Vec::new(),
            v1_until: 0,
            v2_until: 0,
            retransmissions: 0,
            group_query_at: None,
            source_query_at: None,
        }
    }

    /// Returns the sources with a running timer: A of INCLUDE (A), X of EXCLUDE (X, Y).
    pub(crate) fn running(&self, now: Ms) -> Sources {
        self.sources.iter().filter(|source| source.until > now).map(|source| source.address).collect()
    }

    /// Returns the sources with a timer of zero: Y of EXCLUDE (X, Y).
    pub(crate) fn zero(&self, now: Ms) -> Sources {
        self.sources.iter().filter(|source| source.until <= now).map(|source| source.address).collect()
    }

    /// Returns the sources with a running timer that hosts want: all in INCLUDE, and those that a host includes in EXCLUDE.
    pub(crate) fn wanted(&self, now: Ms) -> Sources {
        let is_wanted = |source: &&Source| source.until > now && (source.named || !self.exclude);
        let wanted = self.sources.iter().filter(is_wanted);
        wanted.map(|source| source.address).collect()
    }

    /// Returns the group compatibility mode (section 7.3.2).
    pub(crate) fn compatibility(&self, now: Ms) -> Version {
        if self.v1_until > now {
            Version::V1
        } else if self.v2_until > now {
            Version::V2
        } else {
            Version::V3
        }
    }

    fn set(&mut self, sources: &Sources, until: Ms) {
        for &address in sources {
            match self.sources.iter_mut().find(|source| source.address == address) {
                Some(source) => source.until = until,
                None => self.sources.push(Source { address, until, named: false, retransmissions: 0 }),
            }
        }
    }

    /// Sets the timers of sources that a host includes.
    fn name(&mut self, sources: &Sources, until: Ms) {
        self.set(sources, until);
        for source in self.sources.iter_mut().filter(|source| sources.contains(&source.address)) {
            source.named = true;
        }
    }

    fn delete(&mut self, sources: &Sources) {
        self.sources.retain(|source| !sources.contains(&source.address));
    }

    /// Applies a record by the tables of sections 6.4.1 and 6.4.2. `gmi` is when a timer that is set to GMI ends. Returns the
    /// queries that the table has, in its order.
    pub(crate) fn record(&mut self, kind: Kind, listed: &Sources, now: Ms, gmi: Ms) -> Vec<Send> {
        let (x, y) = (self.running(now), self.zero(now));
        let group_timer = self.timer;
        let new = &(listed - &x) - &y;
        match (self.exclude, kind) {
            // INCLUDE (A): `x` is A, and `y` is empty.
            (false, Kind::IsIn | Kind::Allow) => {
                self.name(listed, gmi);
                vec![]
            }
            (false, Kind::IsEx) => {
                self.set(&(listed - &x), now);
                self.delete(&(&x - listed));
                self.exclude = true;
                self.timer = gmi;
                vec![]
            }
            (false, Kind::Block) => vec![Send::Sources(&x & listed)],
            (false, Kind::ToEx) => {
                self.set(&(listed - &x), now);
                self.delete(&(&x - listed));
                self.exclude = true;
                self.timer = gmi;
                vec![Send::Sources(&x & listed)]
            }
            (false, Kind::ToIn) => {
                self.name(listed, gmi);
                vec![Send::Sources(&x - listed)]
            }
            // EXCLUDE (X, Y).
            (true, Kind::IsIn | Kind::Allow) => {
                self.name(listed, gmi);
                vec![]
            }
            (true, Kind::IsEx) => {
                self.set(&new, gmi);
                self.delete(&(&x - listed));
                self.delete(&(&y - listed));
                self.timer = gmi;
                vec![]
            }
            (true, Kind::Block) => {
                self.set(&new, group_timer);
                vec![Send::Sources(listed - &y)]
            }
            (true, Kind::ToEx) => {
                self.set(&new, group_timer);
                self.delete(&(&x - listed));
                self.delete(&(&y - listed));
                self.timer = gmi;
                vec![Send::Sources(listed - &y)]
            }
            (true, Kind::ToIn) => {
                self.name(listed, gmi);
                vec![Send::Sources(&x - listed), Send::Group]
            }
        }
    }

    /// Lowers the group timer to LMQT (section 6.6.1).
    pub(crate) fn lower(&mut self, lmqt: Ms) {
        self.timer = self.timer.min(lmqt);
    }

    /// Lowers the timers of sources to LMQT (section 6.6.1).
    pub(crate) fn lower_sources(&mut self, sources: &Sources, lmqt: Ms) {
        for source in self.sources.iter_mut().filter(|source| sources.contains(&source.address)) {
            source.until = source.until.min(lmqt);
        }
    }

    /// Ends what has timed out: sections 6.2.2, 6.2.3, 6.3 and 6.5. What has ended is not asked for any more.
    pub(crate) fn expire(&mut self, now: Ms) {
        if self.exclude && self.timer <= now {
            self.exclude = false;
            self.retransmissions = 0;
            self.group_query_at = None;
        }
        if !self.exclude {
            self.sources.retain(|source| source.until > now);
        }
        for source in self.sources.iter_mut().filter(|source| source.until <= now) {
            source.named = false;
            source.retransmissions = 0;
        }
    }

    /// Stops asking.
    pub(crate) fn stop_asking(&mut self) {
        self.retransmissions = 0;
        self.group_query_at = None;
        self.source_query_at = None;
        self.sources.iter_mut().for_each(|source| source.retransmissions = 0);
    }

    /// Returns whether nothing is left of the group.
    pub(crate) fn is_over(&self) -> bool {
        !self.exclude && self.sources.is_empty()
    }
}
