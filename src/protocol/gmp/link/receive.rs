//! Messages: what shows that they come from the link, and their effect.

use super::super::GmpCounters;
use super::super::observer::GmpChange;
use super::super::outcome::{Ignored, Received};
use super::super::views::LeaveActs;
use super::LinkState;
use super::changes::Cause;
use super::group::GroupTimers;
use super::rows::Rows;
use crate::forwarding::Flow;
use crate::manager::Group;
use crate::rpf::Prefix;
use crate::wire::gmp::{Datagram, GmpVersion, Message, Record, RecordKind, Records};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

impl LinkState {
    /// Applies a well-formed message.
    pub(in super::super) fn receive(
        &mut self,
        datagram: &Datagram<'_>,
        message: Message<'_>,
        now: Duration,
        counters: &mut GmpCounters,
    ) -> Received {
        if let Err(ignored) = self.check(datagram, &message) {
            return Received::Ignored(ignored);
        }
        let received = self.take_in(datagram.source, message, now, counters);
        self.settle_message(now);
        received
    }

    /// Applies a message that comes from the link.
    fn take_in(
        &mut self,
        host: IpAddr,
        message: Message<'_>,
        now: Duration,
        counters: &mut GmpCounters,
    ) -> Received {
        match message {
            Message::Other(kind) => Received::Ignored(Ignored::OtherType(kind)),
            Message::Query(query) => self.hear(host, &query, now, counters),
            Message::Report { group, .. } | Message::Leave { group } if Group::new(group).is_err() => {
                Received::Ignored(Ignored::NotAGroup(group))
            }
            Message::Report { group, .. } | Message::Leave { group }
                if self.config.is_source_specific(group) =>
            {
                Received::Ignored(Ignored::SourceSpecificRange(group))
            }
            Message::Report { group, version } => {
                counters.reports += 1;
                self.older_report(group, host, version, now);
                Received::Report
            }
            Message::Leave { group } => {
                if self.config.version == GmpVersion::V1 || self.compatibility(group) == GmpVersion::V1 {
                    return Received::Ignored(Ignored::OlderHost(group));
                }
                counters.leaves += 1;
                self.record(group, host, RecordKind::ToInclude, &BTreeSet::new(), now, counters);
                Received::Report
            }
            Message::Records(records) => {
                counters.reports += 1;
                self.records(host, records, now, counters);
                Received::Report
            }
        }
    }

    /// Checks what shows that a message comes from the link.
    fn check(&self, datagram: &Datagram<'_>, message: &Message<'_>) -> Result<(), Ignored> {
        let Datagram { source, hop_limit, router_alert, .. } = *datagram;
        let checks = self.config.checks;
        match source {
            IpAddr::V4(address) => {
                if checks.ttl && hop_limit != 1 {
                    return Err(Ignored::Ttl(hop_limit));
                }
                if checks.router_alert && !router_alert {
                    return Err(Ignored::NoRouterAlert);
                }
                // A host without an address reports from 0.0.0.0 (RFC 3376 section 4.2.13).
                let may_have_none = !matches!(message, Message::Query(_));
                let excepted = address.is_unspecified() && may_have_none;
                if checks.subnet && !excepted && !self.is_of_subnet(source) {
                    return Err(Ignored::NotFromLink(source));
                }
            }
            IpAddr::V6(address) => {
                if checks.mld_hop_limit && hop_limit != 1 {
                    return Err(Ignored::HopLimit(hop_limit));
                }
                if checks.mld_link_local && !address.is_unicast_link_local() {
                    return Err(Ignored::NotLinkLocal(source));
                }
                if checks.mld_router_alert && !router_alert {
                    return Err(Ignored::NoRouterAlert);
                }
            }
        }
        Ok(())
    }

    /// Returns whether a source is in a network of the interface, or no network is known.
    fn is_of_subnet(&self, source: IpAddr) -> bool {
        let mut networks = self.addresses.iter().filter(|(address, _)| address.is_ipv4()).peekable();
        networks.peek().is_none()
            || networks.any(|&(address, length)| {
                Prefix::new(network(address, length), length).is_ok_and(|prefix| prefix.contains(source))
            })
    }

    fn compatibility(&self, group: IpAddr) -> GmpVersion {
        self.groups.get(&group).map_or(GmpVersion::V3, GroupTimers::compatibility)
    }

    /// Applies a report of IGMPv1, IGMPv2 or MLDv1, as a record IS_EX {} (RFC 3376 section 7.3.2).
    fn older_report(&mut self, group: IpAddr, host: IpAddr, version: GmpVersion, now: Duration) {
        let until = now.saturating_add(self.election.values.membership_interval());
        self.apply(group, host, RecordKind::IsExclude, &BTreeSet::new(), now, |state, timers| {
            state.report_older(timers, u8::from(version != GmpVersion::V1), now, until);
        });
    }

    /// Applies the records of a report.
    fn records(&mut self, host: IpAddr, records: Records<'_>, now: Duration, counters: &mut GmpCounters) {
        let mut split = split_lists(records.clone());
        for record in records {
            let group = record.group;
            let Some(kind) = record.kind else {
                counters.unknown_records += 1;
                continue;
            };
            if Group::new(group).is_err() {
                counters.not_a_group += 1;
                continue;
            }
            let excludes = matches!(kind, RecordKind::IsExclude | RecordKind::ToExclude);
            if excludes && self.config.is_source_specific(group) {
                counters.source_specific_range += 1;
                continue;
            }
            let is_source = |source: &IpAddr| {
                let is_source = Flow::new(*source, group).is_ok();
                counters.not_a_source += u64::from(!is_source);
                is_source
            };
            let mut list: BTreeSet<IpAddr> = record.sources().filter(is_source).collect();
            if let Some(whole) = Whole::of(kind).and_then(|whole| split.get_mut(&(group, whole))) {
                // The first of several records has the lists of all.
                match std::mem::take(whole) {
                    Some(whole) => list.extend(whole.into_iter().filter(|s| Flow::new(*s, group).is_ok())),
                    None => continue,
                }
            }
            self.record(group, host, kind, &list, now, counters);
        }
    }

    /// Applies a record, as the hosts of older versions in its group change it (RFC 3376 section 7.3.2).
    fn record(
        &mut self,
        group: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        list: &BTreeSet<IpAddr>,
        now: Duration,
        counters: &mut GmpCounters,
    ) {
        match (self.compatibility(group), kind) {
            (GmpVersion::V1 | GmpVersion::V2, RecordKind::Block)
            | (GmpVersion::V1, RecordKind::ToInclude) => counters.older_hosts += 1,
            (GmpVersion::V1 | GmpVersion::V2, RecordKind::ToExclude) => {
                self.apply(group, host, kind, &BTreeSet::new(), now, |_, _| ());
            }
            _ => self.apply(group, host, kind, list, now, |_, _| ()),
        }
    }

    /// Applies a record to the state of its group and to the tracking of its host. `also` changes the group further.
    fn apply(
        &mut self,
        address: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        list: &BTreeSet<IpAddr>,
        now: Duration,
        also: impl FnOnce(&mut GroupTimers, &mut super::Timers),
    ) {
        let begins = match kind {
            RecordKind::IsExclude | RecordKind::ToExclude => true,
            RecordKind::Block => false,
            RecordKind::IsInclude | RecordKind::ToInclude | RecordKind::Allow => !list.is_empty(),
        };
        if !self.groups.contains_key(&address) && (!begins || !self.has_room()) {
            return;
        }
        let united = self.pieces.unite(address, host, kind, list, now);
        let excluding = self.hosts.excluding(address);
        let leaves = matches!(kind, RecordKind::ToInclude | RecordKind::Block | RecordKind::ToExclude);
        self.touch(address, now, Cause { ended: GmpChange::Left, host: Some(host) });
        let (interval, max) = (self.election.values.membership_interval(), self.config.limits);
        let until = now.saturating_add(interval);
        let groups = self.groups.len() + 1;
        let group = self.groups.entry(address).or_insert_with(|| GroupTimers::new(address));
        also(group, &mut self.timers);
        if leaves {
            group.leaver = Some(host);
        }
        if begins {
            group.reporter = Some(host);
        }
        let (before, refused) = (group.sources.len(), self.refused.sources);
        let mut rows = Rows {
            timers: &mut self.timers,
            max: max.group_sources,
            room: max.total.saturating_sub(self.sources + groups),
            refused: &mut self.refused.sources,
            until,
            group,
        };
        // An include list that comes in pieces unites by the tables; an exclude list does not.
        let of_tables = if kind == RecordKind::ToInclude { list } else { &united };
        let ask = rows.apply(kind, of_tables);
        self.sources = self.sources - before + group.sources.len();
        self.reached.sources |= self.refused.sources > refused;
        self.track(address, host, kind, united, now);
        // No host changed between INCLUDE and EXCLUDE, and no source is dropped that the record does not list.
        let is_local = matches!(kind, RecordKind::IsInclude | RecordKind::Allow | RecordKind::Block)
            && excluding == self.hosts.excluding(address);
        if self.cuts(address, now) {
            let in_step = self.groups.get(&address).is_some_and(|group| group.in_step);
            let unsettled = self.unsettled.entry(address).or_default();
            unsettled.cut.add(Some(list).filter(|_| is_local && in_step));
            return;
        }
        self.groups.get_mut(&address).into_iter().for_each(|group| group.in_step = false);
        if self.acts() == LeaveActs::AtOnce && leaves && !self.election.is_querier() {
            self.hold(address, ask, now);
        } else if self.acts() == LeaveActs::AfterQuery || !self.hosts.excludes(address) {
            self.ask(address, ask, now);
        }
    }

    /// Tracks the host of a record.
    fn track(
        &mut self,
        address: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        list: BTreeSet<IpAddr>,
        now: Duration,
    ) {
        if !self.config.track_hosts {
            return;
        }
        let interval = self.election.values.membership_interval();
        let refused = self.hosts.refused();
        self.hosts.set_interval(interval);
        self.hosts.record(address, host, kind, list, now);
        if self.hosts.refused() != refused
            && let Some(group) = self.groups.get_mut(&address)
        {
            let until = Some(now.saturating_add(interval));
            self.timers.set(address, super::Timer::Untracked, &mut group.untracked, until);
        }
    }

    /// Returns whether there is room for another group. Counts a refusal.
    fn has_room(&mut self) -> bool {
        let limits = self.config.limits;
        let has_room = self.groups.len() < limits.groups && self.groups.len() + self.sources < limits.total;
        if !has_room {
            self.refused.groups += 1;
            self.reached.groups = true;
        }
        has_room
    }
}

/// A kind of list that is whole in one report. Several records of one are pieces of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whole {
    /// IS_EX and TO_EX.
    Excludes,
    /// TO_IN.
    Includes,
}

impl Whole {
    fn of(kind: RecordKind) -> Option<Whole> {
        match kind {
            RecordKind::IsExclude | RecordKind::ToExclude => Some(Whole::Excludes),
            RecordKind::ToInclude => Some(Whole::Includes),
            RecordKind::IsInclude | RecordKind::Allow | RecordKind::Block => None,
        }
    }
}

/// Returns the united list of each group that several records of a report have pieces of.
fn split_lists(records: Records<'_>) -> BTreeMap<(IpAddr, Whole), Option<BTreeSet<IpAddr>>> {
    let list = |record: &Record<'_>| Some((record.group, Whole::of(record.kind?)?));
    let (mut once, mut split) = (BTreeSet::new(), BTreeMap::new());
    for list in records.clone().filter_map(|record| list(&record)) {
        if !once.insert(list) {
            split.insert(list, Some(BTreeSet::new()));
        }
    }
    if !split.is_empty() {
        for record in records {
            if let Some(Some(whole)) = list(&record).and_then(|list| split.get_mut(&list)) {
                whole.extend(record.sources());
            }
        }
    }
    split
}

/// Returns the network of an address.
fn network(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        other => other,
    }
}
