//! [`Unsettled`]: what waits for the end of a message, so that it happens once for each group.
//!
//! A report may have thousands of records of one group. Each record costs in proportion to the sources that it lists. What costs in
//! proportion to the sources of the whole group is done once, after the last record: the cut, and the queries.

use super::LinkState;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The part of a group that is to be cut to what its tracked hosts want.
#[derive(Debug, Default)]
pub(super) enum Cut {
    #[default]
    Nothing,
    /// These sources.
    Sources(BTreeSet<IpAddr>),
    Whole,
}

/// What waits for the end of a message, for one group.
#[derive(Debug, Default)]
pub(super) struct UnsettledGroup {
    pub(super) cut: Cut,
    /// Whether a group-specific query is to be sent.
    pub(super) ask_group: bool,
    /// Whether group-and-source-specific queries are to be sent.
    pub(super) ask_sources: bool,
}

/// What waits for the end of a message, for each group.
pub(super) type Unsettled = BTreeMap<IpAddr, UnsettledGroup>;

impl Cut {
    /// Adds sources; `None` for the whole group.
    pub(super) fn add(&mut self, sources: Option<&BTreeSet<IpAddr>>) {
        match (self, sources) {
            (Cut::Whole, _) => {}
            (cut, None) => *cut = Cut::Whole,
            (Cut::Sources(all), Some(sources)) => all.extend(sources),
            (cut @ Cut::Nothing, Some(sources)) => *cut = Cut::Sources(sources.clone()),
        }
    }
}

impl LinkState {
    /// Does what waited for the end of a message.
    pub(super) fn settle_message(&mut self, now: Duration) {
        for (address, UnsettledGroup { cut, ask_group, ask_sources }) in std::mem::take(&mut self.unsettled) {
            if self.cuts(address, now) {
                match cut {
                    Cut::Nothing => {}
                    Cut::Sources(sources) => self.cut(address, Some(sources), now),
                    Cut::Whole => self.cut(address, None, now),
                }
            } else if let Some(group) = self.groups.get_mut(&address) {
                group.in_step = false;
            }
            if ask_group {
                self.send_group(address, now);
            }
            if ask_sources {
                self.send_sources(address, now);
            }
        }
    }
}
