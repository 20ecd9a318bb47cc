//! Specific queries, heard and sent (RFC 3376 sections 6.6.1 and 6.6.3, RFC 3810 sections 7.6.1 and 7.6.3).

use super::super::GmpCounters;
use super::super::outcome::{Ignored, Received};
use super::LinkState;
use super::rows::Ask;
use super::timers::Timer;
use crate::manager::Group;
use crate::wire::gmp::{GmpVersion, Query, QueryToSend};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

impl LinkState {
    /// Hears a query of another router: the election, and the timers that it lowers.
    pub(super) fn hear(
        &mut self,
        source: IpAddr,
        query: &Query<'_>,
        now: Duration,
        counters: &mut GmpCounters,
    ) -> Received {
        if !query.is_general() && Group::new(query.group).is_err() {
            return Received::Ignored(Ignored::NotAGroup(query.group));
        }
        // This router's own query, heard again.
        if self.election.own() == Some(source) {
            return Received::Query;
        }
        counters.older_queries += u64::from(query.version < self.config.version);
        if self.election.hear(&self.config, source, query, now) {
            let groups = self.groups.values_mut();
            groups.for_each(|group| group.stop_asking(&mut self.timers));
        }
        if query.is_general() || query.suppress {
            return Received::Query;
        }
        if let Some(group) = self.groups.get_mut(&query.group) {
            let time = match query.max_response_time {
                // A time in which no host can answer would end the group at once.
                Duration::ZERO => self.config.last_member_query_interval,
                time => time,
            };
            let count = self.config.last_member_query_count.unwrap_or(self.election.values.robustness);
            let to = now.saturating_add(time.saturating_mul(u32::from(count)));
            if query.sources().len() == 0 {
                group.lower(&mut self.timers, to);
            }
            for source in query.sources() {
                group.lower_source(&mut self.timers, source, to);
            }
        }
        Received::Query
    }

    /// Asks what a row of the tables asks for, as the querier. The queries are sent at the end of the message.
    pub(super) fn ask(&mut self, address: IpAddr, ask: Ask, now: Duration) {
        // Older versions have no query for sources, and the oldest none for a group.
        if !self.election.is_querier() || self.config.version == GmpVersion::V1 {
            return;
        }
        let (count, to) =
            (self.config.last_member_count(), now.saturating_add(self.config.last_member_query_time()));
        let Some(group) = self.groups.get_mut(&address) else { return };
        let mut sources = false;
        if self.config.version == GmpVersion::V3 {
            for source in ask.sources {
                if group.lower_source(&mut self.timers, source, to)
                    && let Some(state) = group.sources.get_mut(&source)
                {
                    (state.asks, sources) = (count, true);
                }
            }
        }
        if ask.group {
            group.lower(&mut self.timers, to);
            group.asks = count;
        }
        let unsettled = self.unsettled.entry(address).or_default();
        unsettled.ask_group |= ask.group;
        unsettled.ask_sources |= sources;
    }

    /// Sends a general query.
    pub(super) fn send_general(&mut self, at: Duration) {
        let Some(own) = self.election.own() else { return };
        let all = match own {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let query = self.query(all, self.config.query_response_interval, false, Vec::new());
        self.queries.push((at, own, query));
    }

    /// Sends a group-specific query, and schedules the next one.
    pub(super) fn send_group(&mut self, address: IpAddr, at: Duration) {
        let Some(own) = self.election.own() else { return };
        let longest = at.saturating_add(self.config.last_member_query_time());
        let next = at.saturating_add(self.config.last_member_query_interval);
        let Some(group) = self.groups.get_mut(&address) else { return };
        let Some(left) = group.asks.checked_sub(1) else { return };
        group.asks = left;
        let next = (left > 0).then_some(next);
        self.timers.set(address, Timer::AskGroup, &mut group.ask_group, next);
        let suppress = group.exclude.is_some_and(|until| until > longest);
        let query = self.query(address, self.config.last_member_query_interval, suppress, Vec::new());
        self.queries.push((at, own, query));
    }

    /// Sends group-and-source-specific queries, those of renewed sources with the S flag, and schedules the next ones.
    pub(super) fn send_sources(&mut self, address: IpAddr, at: Duration) {
        let Some(own) = self.election.own() else { return };
        let longest = at.saturating_add(self.config.last_member_query_time());
        let next = at.saturating_add(self.config.last_member_query_interval);
        let Some(group) = self.groups.get_mut(&address) else { return };
        let (mut renewed, mut lowered, mut again) = (Vec::new(), Vec::new(), false);
        for (&source, state) in group.sources.iter_mut().filter(|(_, state)| state.asks > 0) {
            state.asks -= 1;
            again |= state.asks > 0;
            let renews = state.until.is_some_and(|until| until > longest);
            if renews { renewed.push(source) } else { lowered.push(source) }
        }
        self.timers.set(address, Timer::AskSources, &mut group.ask_sources, again.then_some(next));
        for (suppress, sources) in [(true, renewed), (false, lowered)] {
            for sources in sources.chunks(QueryToSend::max_sources(address)) {
                let time = self.config.last_member_query_interval;
                let query = self.query(address, time, suppress, sources.to_vec());
                self.queries.push((at, own, query));
            }
        }
    }

    fn query(&self, group: IpAddr, time: Duration, suppress: bool, sources: Vec<IpAddr>) -> QueryToSend {
        QueryToSend {
            version: self.config.version,
            group,
            max_response_time: time,
            suppress,
            robustness: self.config.robustness,
            query_interval: self.config.query_interval,
            sources,
        }
    }
}
