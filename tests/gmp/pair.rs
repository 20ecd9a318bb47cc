//! [`Pair`]: the router and a plain model of it, which receive the same and are compared. The tests generate the steps at random,
//! and the fuzz target `gmp_querier` reads them from octets.

use super::model::{Family, Kind, Mode, Ms, Network, Query, Settings, Sources, Version, octets};
use crate::support::igmp_messages::*;
use mgm::forwarding::Family as AddressFamily;
use mgm::manager::{GroupManager, Interface, ManagerConfig};
use mgm::protocol::gmp::{
    Datagram, FilterMode, GmpConfig, GroupMembership, Ignored, Leave, LeaveActs, Querier, Received, Role,
};
use mgm::wire::gmp::GmpVersion;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// How the router is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) family: Family,
    pub(crate) mode: Mode,
    /// How many of the lowest addresses are lower than this router's.
    pub(crate) rank: usize,
    pub(crate) settings: Settings,
    /// Whether the policy of leaves is `query`, or `auto`.
    pub(crate) query: bool,
    pub(crate) track_hosts: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Records {
        host: usize,
        records: Vec<(Kind, usize, Vec<usize>)>,
    },
    Older {
        host: usize,
        version: Version,
        group: usize,
    },
    Leave {
        host: usize,
        group: usize,
    },
    Query {
        from: usize,
        query: WireQuery,
    },
    Pass(Ms),
    /// Time passes until something happens, or until just before.
    PassToEvent {
        before: Ms,
    },
}

/// A query with positions in the lists of addresses.
#[derive(Clone, Debug)]
pub(crate) struct WireQuery {
    pub(crate) version: Version,
    pub(crate) code: u16,
    pub(crate) group: Option<usize>,
    pub(crate) sources: Vec<usize>,
    pub(crate) suppress: bool,
    pub(crate) qrv: u8,
    pub(crate) qqic: u8,
}

pub(crate) const GROUPS: usize = 3;
pub(crate) const SOURCES: usize = 4;
pub(crate) const HOSTS: usize = 3;
pub(crate) const ROUTERS: usize = 4;

/// Returns a group. The last one is in the range of source-specific multicast.
fn group(family: Family, number: usize) -> IpAddr {
    ip(match family {
        Family::Igmp => ["239.1.1.1", "239.1.1.2", "232.1.1.1"][number],
        Family::Mld => ["ff1e::1", "ff05::2", "ff3e::8000:1"][number],
    })
}

fn is_source_specific(number: usize) -> bool {
    number == GROUPS - 1
}

fn source(family: Family, number: usize) -> IpAddr {
    ip(match family {
        Family::Igmp => ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"][number],
        Family::Mld => ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"][number],
    })
}

fn sources(family: Family, numbers: &[usize]) -> Sources {
    numbers.iter().map(|number| source(family, *number)).collect()
}

fn host(family: Family, number: usize) -> IpAddr {
    ip(match family {
        Family::Igmp => ["10.0.0.50", "10.0.0.51", "0.0.0.0"][number],
        Family::Mld => ["fe80::50", "fe80::51", "fe80::52"][number],
    })
}

/// Returns the address of a router. This router has one between them.
fn router(family: Family, number: usize) -> IpAddr {
    let octet = 2 * number as u8 + 2;
    match family {
        Family::Igmp => IpAddr::from([10, 0, 0, octet]),
        Family::Mld => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, octet.into()).into(),
    }
}

/// Returns this router's address: `rank` other routers have lower ones.
fn own(family: Family, rank: usize) -> IpAddr {
    let octet = 2 * rank as u8 + 1;
    match family {
        Family::Igmp => IpAddr::from([10, 0, 0, octet]),
        Family::Mld => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, octet.into()).into(),
    }
}

/// The router and its model, which receive the same.
pub(crate) struct Pair {
    setup: Setup,
    manager: Arc<GroupManager>,
    router: GroupMembership,
    interface: Interface,
    model: Network,
}

impl Pair {
    pub(crate) fn new(setup: Setup) -> Pair {
        let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap());
        let milliseconds = Duration::from_millis;
        let settings = setup.settings;
        let config = GmpConfig::default()
            .with_role(if setup.mode == Mode::Querier { Role::Querier } else { Role::Listen })
            .with_robustness(settings.robustness as u8)
            .with_query_interval(milliseconds(settings.query_interval))
            .with_query_response_interval(milliseconds(settings.response_interval))
            .with_last_member_query_interval(milliseconds(settings.last_member_interval))
            .with_last_member_query_count(settings.last_member_count.map(|count| count as u8))
            .with_startup_query_interval(Some(milliseconds(settings.startup_interval)))
            .with_startup_query_count(Some(settings.startup_count as u8))
            .with_version(version(settings.version))
            .with_leave(if setup.query || setup.mode == Mode::Listening { Leave::Query } else { Leave::Auto })
            .with_track_hosts(setup.track_hosts);
        let family = match setup.family {
            Family::Igmp => AddressFamily::V4,
            Family::Mld => AddressFamily::V6,
        };
        let router = GroupMembership::new(manager.clone(), family, config).unwrap();
        let interface = Interface::of(family, 2);
        let own = own(setup.family, setup.rank);
        router.set_addresses(interface, vec![(own, if setup.family == Family::Igmp { 24 } else { 64 })]);
        router.take(interface).unwrap();
        let mut model = Network::new(setup.family, setup.mode, setup.settings, own);
        model.advance(0);
        router.advance(Duration::ZERO);
        Pair { setup, manager, router, interface, model }
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.model.now)
    }

    /// Has the router receive octets.
    fn receive(&self, from: IpAddr, to: IpAddr, payload: &[u8]) -> Received {
        let datagram = Datagram { source: from, destination: to, hop_limit: 1, router_alert: true, payload };
        self.router.receive(self.interface, &datagram, self.now())
    }

    /// Seals a report and has the router receive it.
    fn report(&self, from: IpAddr, to: IpAddr, octets: Vec<u8>) -> Received {
        let octets = match (from, to) {
            (IpAddr::V6(from), IpAddr::V6(to)) => seal6(octets, from, to),
            _ => seal(octets),
        };
        self.receive(from, to, &octets)
    }

    pub(crate) fn step(&mut self, step: &Step) {
        let family = self.setup.family;
        match step {
            Step::Records { host: from, records } => {
                let mut octets = match family {
                    Family::Igmp => vec![0x22, 0, 0, 0, 0, 0, 0, records.len() as u8],
                    Family::Mld => vec![143, 0, 0, 0, 0, 0, 0, records.len() as u8],
                };
                for (kind, to, listed) in records {
                    let texts: Vec<String> = listed.iter().map(|n| source(family, *n).to_string()).collect();
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    octets.extend(record(*kind as u8 + 1, &group(family, *to).to_string(), &texts));
                }
                self.model_records(host(family, *from), records);
                let to = if family == Family::Igmp { ALL_ROUTERS } else { ALL_MLDV2_ROUTERS.into() };
                assert_eq!(self.report(host(family, *from), to, octets), Received::Report);
            }
            Step::Older { host: from, version, group: to } => {
                let (group, specific) = (group(family, *to), is_source_specific(*to));
                let version = if family == Family::Mld { Version::V2 } else { *version };
                if !specific {
                    self.model.older_report(group, host(family, *from), version);
                }
                let kind = if version == Version::V1 { 0x12 } else { 0x16 };
                let received = self.older(host(family, *from), group, group, kind, 131);
                let refused = Received::Ignored(Ignored::SourceSpecificRange(group));
                assert_eq!(received, if specific { refused } else { Received::Report });
            }
            Step::Leave { host: from, group: to } => {
                let (group, specific) = (group(family, *to), is_source_specific(*to));
                // Sections 7.3.1 and 7.3.2: a router of version 1 ignores leaves, and so does one with a host of version 1.
                let old = self.setup.settings.version == Version::V1
                    || self.model.compatibility(group) == Version::V1;
                if !specific && !old {
                    self.model.leave(group, host(family, *from));
                }
                let routers = if family == Family::Igmp { ip("224.0.0.2") } else { ip("ff02::2") };
                let received = self.older(host(family, *from), routers, group, 0x17, 132);
                let expected = match (specific, old) {
                    (true, _) => Received::Ignored(Ignored::SourceSpecificRange(group)),
                    (false, true) => Received::Ignored(Ignored::OlderHost(group)),
                    (false, false) => Received::Report,
                };
                assert_eq!(received, expected);
            }
            Step::Query { from, query } => {
                let query = self.query(query);
                let from = router(family, *from);
                self.model.query(from, &query);
                let octets = octets::write(family, &query, from);
                let to = octets::destination(family, &query);
                assert_eq!(self.receive(from, to, &octets), Received::Query);
            }
            Step::Pass(time) => self.pass(self.model.now + time),
            Step::PassToEvent { before } => {
                if let Some(event) = self.model.next_event() {
                    self.pass(event.saturating_sub(*before).max(self.model.now));
                }
            }
        }
    }

    /// Has the model receive the records of a report.
    fn model_records(&mut self, host: IpAddr, records: &[(Kind, usize, Vec<usize>)]) {
        let family = self.setup.family;
        self.model.receiving = true;
        for (at, (kind, to, listed)) in records.iter().enumerate() {
            let excludes = |kind: Kind| matches!(kind, Kind::IsEx | Kind::ToEx);
            let whole = |kind: Kind| excludes(kind) || kind == Kind::ToIn;
            let mut list = sources(family, listed);
            // RFC 4604 section 2.2.1.
            if excludes(*kind) && is_source_specific(*to) {
                continue;
            }
            if whole(*kind) {
                // Several lists of one report that each are to be all that the host excludes, or includes, are one list.
                let same = |(other, of, _): &&(Kind, usize, Vec<usize>)| {
                    whole(*other) && excludes(*other) == excludes(*kind) && of == to
                };
                if records[..at].iter().any(|record| same(&record)) {
                    continue;
                }
                records[at..].iter().filter(same).for_each(|(.., more)| list.extend(sources(family, more)));
            }
            self.model.record(group(family, *to), host, *kind, &list);
        }
        self.model.receiving = false;
        self.model.send_due();
    }

    /// Sends a message of an older version.
    fn older(&self, from: IpAddr, to: IpAddr, group: IpAddr, igmp: u8, mld: u8) -> Received {
        let octets = match group {
            IpAddr::V4(v4) => [&[igmp, 0, 0, 0][..], &v4.octets()].concat(),
            IpAddr::V6(v6) => [&[mld, 0, 0, 0, 0, 0, 0, 0][..], &v6.octets()].concat(),
        };
        self.report(from, to, octets)
    }

    /// Returns the query that a step means, as its version can express it.
    fn query(&self, wire: &WireQuery) -> Query {
        let family = self.setup.family;
        let version = if family == Family::Mld { wire.version.max(Version::V2) } else { wire.version };
        let newest = version == Version::V3;
        Query {
            version,
            code: match (family, version) {
                (_, Version::V1) => 0,
                // Even, since half of it is in the other querier present interval, and rather seconds than milliseconds.
                (Family::Mld, _) => wire.code.saturating_mul(100).min(0xfffe),
                // A code of 0 is that of IGMPv1.
                (Family::Igmp, _) => (wire.code % 256).max(1),
            },
            group: wire.group.map(|number| group(family, number)),
            sources: if newest && wire.group.is_some() {
                sources(family, &wire.sources)
            } else {
                Sources::new()
            },
            suppress: newest && wire.suppress,
            qrv: if newest { wire.qrv } else { 0 },
            qqic: if newest { wire.qqic } else { 0 },
        }
    }

    /// Lets time pass, one event after the other while the router is the querier: it does not make up for general queries that
    /// its caller let pass by.
    fn pass(&mut self, to: Ms) {
        while let Some(event) = self.model.next_event()
            && event < to
            && self.setup.mode == Mode::Querier
        {
            self.model.advance(event);
            self.router.advance(self.now());
        }
        self.model.advance(to);
        self.router.advance(self.now());
    }

    /// Compares everything that both show.
    pub(crate) fn compare(&mut self) {
        self.compare_groups();
        self.compare_interface();
        self.compare_queries();
        if let Some(event) = self.model.next_event() {
            let deadline = self.router.next_deadline().expect("a deadline");
            assert!(deadline <= Duration::from_millis(event), "{deadline:?} is behind the event at {event}");
            assert!(deadline > self.now(), "{deadline:?} has passed");
        }
    }

    fn compare_groups(&self) {
        let now = self.model.now;
        let mut expected = BTreeMap::new();
        let mut memberships = Vec::new();
        for record in &self.model.groups {
            let running = record.sources.iter().filter(|source| source.until > now);
            let running: BTreeMap<IpAddr, Ms> =
                running.map(|source| (source.address, source.until)).collect();
            let timer = record.exclude.then_some(record.timer);
            let group = record.address;
            if record.exclude {
                memberships.push(format!("(*, {group})"));
            }
            memberships.extend(record.wanted(now).iter().map(|source| format!("({source}, {group})")));
            let wanted = self.router.wanted(self.interface, group).unwrap();
            assert_eq!(wanted.any_source, record.exclude, "{group}");
            assert_eq!(wanted.sources, record.wanted(now), "{group}");
            assert_eq!(wanted.blocked, record.zero(now), "{group}");
            expected.insert(group, (timer, running, record.zero(now), version(record.compatibility(now))));
        }
        let milliseconds = |time: Duration| time.as_millis() as Ms;
        let shown = self.router.groups(self.interface).into_iter().map(|state| {
            assert_eq!(state.mode == FilterMode::Exclude, state.until.is_some());
            let sources: BTreeMap<IpAddr, Ms> =
                state.sources.iter().map(|(source, until)| (*source, milliseconds(*until))).collect();
            (state.group, (state.until.map(milliseconds), sources, state.blocked, state.compatibility))
        });
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), expected, "at {now}");
        let shown = self.manager.memberships().into_iter().map(|record| record.membership.to_string());
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        memberships.sort();
        assert_eq!(shown, memberships, "at {now}");
    }

    fn compare_interface(&self) {
        let state = self.router.interface_state(self.interface).unwrap();
        let model = &self.model;
        let milliseconds = Duration::from_millis;
        let querier = match model.other {
            Some((address, until)) => Some(Querier::Other { address, until: milliseconds(until) }),
            None if self.setup.mode == Mode::Querier => {
                Some(Querier::This { address: own(self.setup.family, self.setup.rank) })
            }
            None => None,
        };
        assert_eq!(state.querier, querier, "at {}", model.now);
        let of_querier = querier.map(|querier| match querier {
            Querier::This { .. } => self.setup.settings.version,
            Querier::Other { .. } => model.other_version,
        });
        assert_eq!(state.version, of_querier.map(version), "at {}", model.now);
        assert_eq!(u64::from(state.robustness), model.robustness());
        assert_eq!(state.query_interval, milliseconds(model.query_interval()));
        assert_eq!(state.query_response_interval, milliseconds(model.response_interval()));
        assert_eq!(state.group_membership_interval, milliseconds(model.membership_interval()));
        assert_eq!(state.leave, LeaveActs::AfterQuery);
        assert_eq!(state.groups, model.groups.len());
    }

    /// Compares the queries since the last comparison. Those of one instant may come in any order.
    fn compare_queries(&mut self) {
        let own = own(self.setup.family, self.setup.rank);
        let mut sent = Vec::new();
        while let Some(transmission) = self.router.poll_transmit() {
            assert_eq!((transmission.interface, transmission.source), (self.interface, own));
            let query = octets::read(self.setup.family, &transmission.octets());
            assert_eq!(transmission.destination(), octets::destination(self.setup.family, &query));
            sent.push((transmission.at.as_millis() as Ms, query));
        }
        let mut expected = std::mem::take(&mut self.model.sent);
        for list in [&mut sent, &mut expected] {
            list.sort_by_key(|(at, query)| (*at, query.group, query.suppress, query.sources.clone()));
        }
        assert_eq!(sent, expected, "at {}", self.model.now);
    }
}

fn version(version: Version) -> GmpVersion {
    match version {
        Version::V1 => GmpVersion::V1,
        Version::V2 => GmpVersion::V2,
        Version::V3 => GmpVersion::V3,
    }
}
