//! What the tracking of hosts changes, where a leave acts at once.
//!
//! Without a querier, timers alone would end a group 260 seconds after its last host left. So the state of a group is **cut**
//! to what its tracked hosts want, after each message and each lapse of a host. If the last cut left it in step, a record that
//! changes no filter mode costs only a look at the sources that it lists.
//!
//! A group in the compatibility mode of an older version is not cut: its hosts suppress their reports when they hear another
//! host's, so hosts may be present that are not tracked. There a leave is **held**: state that no tracked host wants any more
//! ends after the last member query time. A suppressed host that answers a querier within that time keeps it. That querier may
//! be one that is not heard, such as the router that recorded its received packets.
//!
//! In the last member query interval after the first report of an older version such a group is cut like others. That report is
//! the host's own join, and a neighbour that had joined before would have reported then.

use super::super::views::LeaveActs;
use super::LinkState;
use super::rows::Ask;
use crate::wire::gmp::GmpVersion;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

impl LinkState {
    /// Returns whether a group is cut to what its tracked hosts want.
    pub(super) fn cuts(&self, address: IpAddr, now: Duration) -> bool {
        let Some(group) = self.groups.get(&address) else { return false };
        let is_fresh = now.saturating_sub(group.older_since) < self.config.last_member_query_interval;
        let all_report = group.compatibility() == GmpVersion::V3 || is_fresh;
        self.acts() == LeaveActs::AtOnce && all_report && group.untracked.is_none()
    }

    /// Cuts a group to what its tracked hosts want. The timers of state that remains stay as they are.
    ///
    /// With `sources`, only these may differ from what the hosts want.
    pub(super) fn cut(&mut self, address: IpAddr, sources: Option<BTreeSet<IpAddr>>, now: Duration) {
        let until = now.saturating_add(self.election.values.membership_interval());
        let Some(group) = self.groups.get_mut(&address) else { return };
        let known = group.sources.len();
        match (self.hosts.excludes(address), group.exclude) {
            (true, None) => group.renew(&mut self.timers, until),
            (false, Some(_)) => group.end_exclude(&mut self.timers),
            _ => {}
        }
        let sources = sources
            .unwrap_or_else(|| self.hosts.sources(address).chain(group.sources.keys().copied()).collect());
        for source in sources {
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
            if self.hosts.includes(source, address) {
                let timer = group.sources.get(&source).and_then(|source| source.until);
                group.set_source(&mut self.timers, source, Some(timer.unwrap_or(until)), true);
            } else if self.hosts.blocks(source, address) {
                group.set_source(&mut self.timers, source, None, false);
            } else {
                group.remove_source(&mut self.timers, source);
            }
        }
        group.in_step = true;
        self.sources = self.sources - known + group.sources.len();
    }

    /// Holds a leave: what no tracked host wants any more ends after the last member query time.
    pub(super) fn hold(&mut self, address: IpAddr, ask: Ask, now: Duration) {
        let Some(group) = self.groups.get_mut(&address) else { return };
        if group.untracked.is_some() {
            return;
        }
        let to = now.saturating_add(self.config.last_member_query_time());
        if !self.hosts.excludes(address) {
            group.lower(&mut self.timers, to);
        }
        for source in ask.sources {
            if !self.hosts.includes(source, address) {
                group.lower_source(&mut self.timers, source, to);
            }
        }
    }
}
