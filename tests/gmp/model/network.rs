//! [`Network`]: what the router keeps of one interface: groups, the election and the queries that it sends.

use super::group::Send;
use super::{Family, Group, Kind, Mode, Ms, Query, Settings, Sources, Version, from_code, to_code};
use std::net::IpAddr;

/// The router's state for the network behind one interface.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    family: Family,
    mode: Mode,
    settings: Settings,
    own: IpAddr,
    pub(crate) now: Ms,
    pub(crate) groups: Vec<Group>,
    /// The other querier and when it counts as gone: the other-querier-present timer.
    pub(crate) other: Option<(IpAddr, Ms)>,
    /// The version of the other querier's last query.
    pub(crate) other_version: Version,
    /// The values that the elected querier's queries told.
    learned: Learned,
    /// The general queries of the start that are still to be sent.
    startup_left: u64,
    /// When the next general query is due.
    pub(crate) general_at: Option<Ms>,
    /// The last record of each group and host, if it had a list to exclude: with its list and its time.
    excluded: Vec<(IpAddr, IpAddr, Sources, Ms)>,
    /// A report is being received: its queries are sent once, at its end.
    pub(crate) receiving: bool,
    /// What was sent, with its time.
    pub(crate) sent: Vec<(Ms, Query)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    robustness: Option<u64>,
    query_interval: Option<Ms>,
    response_interval: Option<Ms>,
}

impl Network {
    /// Makes a network without members at time 0. A router in querier mode starts as the querier (RFC 2236 section 3).
    pub(crate) fn new(family: Family, mode: Mode, settings: Settings, own: IpAddr) -> Network {
        Network {
            family,
            mode,
            settings,
            own,
            now: 0,
            groups: Vec::new(),
            other: None,
            other_version: Version::V3,
            learned: Learned::default(),
            startup_left: settings.startup_count,
            general_at: (mode == Mode::Querier).then_some(0),
            excluded: Vec::new(),
            receiving: false,
            sent: Vec::new(),
        }
    }

    // Section 8: the values in use.

    pub(crate) fn robustness(&self) -> u64 {
        self.learned.robustness.unwrap_or(self.settings.robustness)
    }

    pub(crate) fn query_interval(&self) -> Ms {
        self.learned.query_interval.unwrap_or(self.settings.query_interval)
    }

    pub(crate) fn response_interval(&self) -> Ms {
        self.learned.response_interval.unwrap_or(self.settings.response_interval)
    }

    /// Section 8.9: the robustness, unless it is configured.
    fn last_member_count(&self) -> u64 {
        self.settings.last_member_count.unwrap_or(self.robustness())
    }

    /// Section 8.4: GMI.
    pub(crate) fn membership_interval(&self) -> Ms {
        self.robustness() * self.query_interval() + self.response_interval()
    }

    /// Section 8.5.
    fn other_querier_interval(&self) -> Ms {
        self.robustness() * self.query_interval() + self.response_interval() / 2
    }

    /// Section 8.10: LMQT.
    pub(crate) fn last_member_time(&self) -> Ms {
        self.settings.last_member_interval * self.last_member_count()
    }

    /// Section 8.13.
    fn older_host_interval(&self) -> Ms {
        self.robustness() * self.query_interval() + self.response_interval()
    }

    /// Returns whether this router is the querier (section 6.6.2).
    pub(crate) fn is_querier(&self) -> bool {
        self.mode == Mode::Querier && self.other.is_none()
    }

    // Reports.

    /// Applies a group record (sections 6.4.1 and 6.4.2).
    pub(crate) fn record(&mut self, group: IpAddr, host: IpAddr, kind: Kind, sources: &Sources) {
        let (now, gmi) = (self.now, self.now + self.membership_interval());
        let compatibility = self.group(group).compatibility(now);
        // Section 7.3.2: what an older host makes of newer records.
        let sources = match kind {
            Kind::Block if compatibility <= Version::V2 => return self.remove_empty(),
            Kind::ToIn if compatibility == Version::V1 => return self.remove_empty(),
            Kind::ToEx if compatibility <= Version::V2 => Sources::new(),
            _ => sources.clone(),
        };
        let sources = self.unite(group, host, kind, sources);
        let sends = self.group(group).record(kind, &sources, now, gmi);
        if self.is_querier() {
            for send in sends {
                // Older versions have no queries of sources, and the oldest none of groups (sections 4.1.11 and 7.3.1).
                match (send, self.settings.version) {
                    (Send::Group, Version::V2 | Version::V3) => self.send_group(group),
                    (Send::Sources(sources), Version::V3) => self.send_sources(group, &sources),
                    _ => {}
                }
            }
        }
        self.remove_empty();
    }

    /// Unites the lists that one host excludes back to back, within 100 ms. By section 4.2.16 a host does not split such a
    /// list; some do.
    fn unite(&mut self, group: IpAddr, host: IpAddr, kind: Kind, mut sources: Sources) -> Sources {
        let at = self.excluded.iter().position(|(of, from, ..)| (*of, *from) == (group, host));
        let last = at.map(|at| self.excluded.remove(at));
        if !matches!(kind, Kind::IsEx | Kind::ToEx) || host.is_unspecified() || sources.is_empty() {
            return sources;
        }
        if let Some((.., list, at)) = last
            && self.now - at <= 100
        {
            sources.extend(list);
        }
        self.excluded.push((group, host, sources.clone(), self.now));
        sources
    }

    /// Applies a report of an older version: IS_EX ({}) (section 7.3.2).
    pub(crate) fn older_report(&mut self, group: IpAddr, host: IpAddr, version: Version) {
        let until = self.now + self.older_host_interval();
        let record = self.group(group);
        match version {
            Version::V1 => record.v1_until = until,
            _ => record.v2_until = until,
        }
        self.record(group, host, Kind::IsEx, &Sources::new());
    }

    /// Applies a leave or done: TO_IN ({}), ignored while an IGMPv1 host is present (section 7.3.2).
    pub(crate) fn leave(&mut self, group: IpAddr, host: IpAddr) {
        self.record(group, host, Kind::ToIn, &Sources::new());
    }

    /// Returns the compatibility mode of a group.
    pub(crate) fn compatibility(&self, group: IpAddr) -> Version {
        let record = self.groups.iter().find(|record| record.address == group);
        record.map_or(Version::V3, |record| record.compatibility(self.now))
    }

    fn group(&mut self, address: IpAddr) -> &mut Group {
        let at = self.groups.iter().position(|group| group.address == address).unwrap_or_else(|| {
            self.groups.push(Group::new(address));
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }

    fn remove_empty(&mut self) {
        self.groups.retain(|group| !group.is_over());
        // The lists that a host excludes end with their group.
        let groups = &self.groups;
        self.excluded.retain(|(of, ..)| groups.iter().any(|group| group.address == *of));
    }

    // Queries of this router.

    /// The action "Send Q(G)" (section 6.6.3.1).
    fn send_group(&mut self, group: IpAddr) {
        let (now, lmqt, count) = (self.now, self.now + self.last_member_time(), self.last_member_count());
        let record = self.group(group);
        record.lower(lmqt);
        record.retransmissions = count;
        record.group_query_at = Some(now);
        self.send_due();
    }

    /// The action "Send Q(G,X)" (section 6.6.3.2).
    fn send_sources(&mut self, group: IpAddr, sources: &Sources) {
        let (now, lmqt, count) = (self.now, self.now + self.last_member_time(), self.last_member_count());
        let record = self.group(group);
        let mut any = false;
        for source in &mut record.sources {
            if sources.contains(&source.address) && source.until > lmqt {
                source.retransmissions = count;
                source.until = lmqt;
                any = true;
            }
        }
        if any {
            record.source_query_at = Some(now);
        }
        self.send_due();
    }

    /// Sends the queries that are due now.
    pub(crate) fn send_due(&mut self) {
        if self.receiving {
            return;
        }
        let (now, lmqt, interval) =
            (self.now, self.now + self.last_member_time(), self.settings.last_member_interval);
        if self.general_at == Some(now) {
            self.send(None, Sources::new(), false);
            self.startup_left = self.startup_left.saturating_sub(1);
            let wait =
                if self.startup_left > 0 { self.settings.startup_interval } else { self.query_interval() };
            self.general_at = Some(now + wait);
        }
        for at in 0..self.groups.len() {
            let group = self.groups[at].address;
            if self.groups[at].group_query_at == Some(now) {
                let record = &mut self.groups[at];
                record.retransmissions -= 1;
                record.group_query_at = (record.retransmissions > 0).then_some(now + interval);
                let suppress = record.timer > lmqt;
                self.send(Some(group), Sources::new(), suppress);
            }
            if self.groups[at].source_query_at == Some(now) {
                let record = &mut self.groups[at];
                let (mut above, mut below) = (Sources::new(), Sources::new());
                for source in record.sources.iter_mut().filter(|source| source.retransmissions > 0) {
                    source.retransmissions -= 1;
                    if source.until > lmqt { &mut above } else { &mut below }.insert(source.address);
                }
                let more = record.sources.iter().any(|source| source.retransmissions > 0);
                record.source_query_at = more.then_some(now + interval);
                for (sources, suppress) in [(above, true), (below, false)] {
                    if !sources.is_empty() {
                        self.send(Some(group), sources, suppress);
                    }
                }
            }
        }
    }

    fn send(&mut self, group: Option<IpAddr>, sources: Sources, suppress: bool) {
        let robustness = self.robustness();
        let response =
            if group.is_none() { self.response_interval() } else { self.settings.last_member_interval };
        let version = self.settings.version;
        let newest = version == Version::V3;
        let query = Query {
            version,
            code: match (self.family, version) {
                (_, Version::V1) => 0,
                // Sections 7.3.1: without the exponent.
                (Family::Igmp, Version::V2) => (response / 100).min(255) as u16,
                (Family::Mld, Version::V2) => response.min(65_535) as u16,
                (Family::Igmp, Version::V3) => to_code(response / 100, 4),
                (Family::Mld, Version::V3) => to_code(response, 12),
            },
            group,
            sources,
            suppress: newest && suppress,
            // Section 4.1.6: a robustness that the field cannot express is sent as 0.
            qrv: if newest && robustness <= 7 { robustness as u8 } else { 0 },
            qqic: if newest { to_code(self.query_interval() / 1000, 4) as u8 } else { 0 },
        };
        self.sent.push((self.now, query));
    }

    // Queries of other routers.

    /// Receives a query of another router (sections 6.6.1 and 6.6.2).
    pub(crate) fn query(&mut self, from: IpAddr, query: &Query) {
        let elected = match self.other {
            Some((other, _)) => from <= other,
            None => self.mode == Mode::Listening || from < self.own,
        };
        let response = self.response_time(query);
        if elected {
            self.learn(query, response);
            if self.is_querier() {
                self.groups.iter_mut().for_each(Group::stop_asking);
            }
            self.other = Some((from, self.now + self.other_querier_interval()));
            self.other_version = query.version;
            self.general_at = None;
            self.startup_left = 0;
        }
        if query.suppress {
            return;
        }
        // RFC 2236 section 3: the interval is that of the query. No RFC says what a time of zero means here: no host could answer.
        let interval = if response > 0 { response } else { self.settings.last_member_interval };
        let lmqt = self.now + interval * self.last_member_count();
        let Some(group) = query.group else { return };
        if let Some(record) = self.groups.iter_mut().find(|record| record.address == group) {
            if query.sources.is_empty() {
                record.lower(lmqt);
            } else {
                record.lower_sources(&query.sources, lmqt);
            }
        }
    }

    /// Returns the time that a query's code stands for (section 4.1.1). In older versions the code is the time (section 7.2.1).
    fn response_time(&self, query: &Query) -> Ms {
        match (self.family, query.version) {
            (_, Version::V1) => 10_000,
            (Family::Igmp, Version::V2) => u64::from(query.code) * 100,
            (Family::Igmp, Version::V3) => from_code(query.code, 4) * 100,
            (Family::Mld, Version::V2) => query.code.into(),
            (Family::Mld, Version::V3) => from_code(query.code, 12),
        }
    }

    /// Adopts the values of the elected querier (sections 4.1.6 and 4.1.7). A value of zero, as in an older version, leaves the
    /// configured one.
    fn learn(&mut self, query: &Query, response: Ms) {
        if query.group.is_none() {
            self.learned.response_interval = Some(response);
        }
        self.learned.robustness = (query.qrv > 0).then_some(query.qrv.into());
        self.learned.query_interval = (query.qqic > 0).then_some(from_code(query.qqic.into(), 4) * 1000);
    }

    // Time.

    /// Lets time pass until `to`, one event after the other.
    pub(crate) fn advance(&mut self, to: Ms) {
        while let Some(next) = self.next_event()
            && next <= to
        {
            self.now = next;
            for group in &mut self.groups {
                group.expire(next);
            }
            self.remove_empty();
            if self.other.is_some_and(|(_, until)| until <= next) {
                self.other = None;
                self.learned = Learned::default();
                if self.mode == Mode::Querier {
                    self.general_at = Some(next);
                }
            }
            self.send_due();
        }
        self.now = self.now.max(to);
    }

    /// Returns the time of the first event after which something is different.
    pub(crate) fn next_event(&self) -> Option<Ms> {
        let mut times: Vec<Ms> = self.general_at.into_iter().collect();
        times.extend(self.other.map(|(_, until)| until));
        for group in &self.groups {
            times.extend(group.group_query_at);
            times.extend(group.source_query_at);
            times.extend(group.exclude.then_some(group.timer));
            times.extend(group.sources.iter().map(|source| source.until).filter(|until| *until > self.now));
        }
        times.into_iter().min()
    }
}
