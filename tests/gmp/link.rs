//! [`Link`]: a router on one network, for the tests that go by the sections of the RFCs. States and queries are compared as text.

use super::model::{Family, Kind, Ms, Query, Sources, Version, octets};
use crate::support::igmp_messages::*;
use mgm::forwarding::Family as AddressFamily;
use mgm::manager::{GroupManager, Interface, ManagerConfig};
use mgm::protocol::gmp::{
    Datagram, FilterMode, GmpConfig, GmpInterfaceState, GroupMembership, Leave, Received, Role,
};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BOTH: [Family; 2] = [Family::Igmp, Family::Mld];

/// The number of this router's address.
pub(super) const OWN: u8 = 5;

pub(super) struct Link {
    pub(super) family: Family,
    pub(super) manager: Arc<GroupManager>,
    pub(super) router: GroupMembership,
    pub(super) interface: Interface,
    pub(super) now: Ms,
}

/// Returns the settings of a router in querier mode, and of one that listens and waits for the querier's queries.
pub(super) fn as_querier() -> GmpConfig {
    GmpConfig::default().with_role(Role::Querier)
}

pub(super) fn as_listener() -> GmpConfig {
    GmpConfig::default().with_leave(Leave::Query)
}

/// Returns a version 3 general query of a router with the default settings.
pub(super) fn general(family: Family) -> Query {
    Query {
        version: Version::V3,
        code: if family == Family::Igmp { 100 } else { 10_000 },
        group: None,
        sources: Sources::new(),
        suppress: false,
        qrv: 2,
        qqic: 125,
    }
}

/// Returns a version 3 query of one group, and of some of its sources.
pub(super) fn specific(family: Family, sources: &str) -> Query {
    Query {
        code: if family == Family::Igmp { 10 } else { 1000 },
        group: Some(group(family)),
        sources: letters(family, sources),
        ..general(family)
    }
}

/// Returns the group of the tests.
pub(super) fn group(family: Family) -> IpAddr {
    ip(if family == Family::Igmp { "239.1.1.1" } else { "ff1e::1" })
}

/// Returns a group of the range of source-specific multicast.
pub(super) fn specific_group(family: Family) -> IpAddr {
    ip(if family == Family::Igmp { "232.1.1.1" } else { "ff3e::8000:1" })
}

/// Returns the sources that letters stand for: a, b, c.
pub(super) fn letters(family: Family, text: &str) -> Sources {
    let source = |letter: u8| match family {
        Family::Igmp => IpAddr::from([192, 0, 2, letter]),
        Family::Mld => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, letter.into()).into(),
    };
    text.bytes().filter(u8::is_ascii_lowercase).map(source).collect()
}

/// Returns the letter of a source.
pub(super) fn letter(source: IpAddr) -> char {
    match source {
        IpAddr::V4(v4) => v4.octets()[3].into(),
        IpAddr::V6(v6) => v6.octets()[15].into(),
    }
}

/// Returns the address of a host or router on the link.
pub(super) fn address(family: Family, number: u8) -> IpAddr {
    match family {
        Family::Igmp => IpAddr::from([10, 0, 0, number]),
        Family::Mld => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

impl Link {
    pub(super) fn new(family: Family, config: GmpConfig) -> Link {
        let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap());
        let (of, length) = match family {
            Family::Igmp => (AddressFamily::V4, 24),
            Family::Mld => (AddressFamily::V6, 64),
        };
        let router = GroupMembership::new(manager.clone(), of, config).unwrap();
        let interface = Interface::of(of, 2);
        router.set_addresses(interface, vec![(address(family, OWN), length)]);
        router.take(interface).unwrap();
        router.advance(Duration::ZERO);
        Link { family, manager, router, interface, now: 0 }
    }

    /// Lets time pass until `seconds`, from deadline to deadline.
    pub(super) fn at(&mut self, seconds: f64) {
        self.now = (seconds * 1000.0).round() as Ms;
        let to = Duration::from_millis(self.now);
        while let Some(deadline) = self.router.next_deadline().filter(|deadline| *deadline < to) {
            self.router.advance(deadline);
        }
        self.router.advance(to);
    }

    /// Has the router receive a datagram.
    pub(super) fn receive(&self, datagram: &Datagram<'_>) -> Received {
        self.router.receive(self.interface, datagram, Duration::from_millis(self.now))
    }

    /// Writes the checksum of a message and has the router receive it.
    pub(super) fn message(&self, from: IpAddr, to: IpAddr, octets: Vec<u8>) -> Received {
        let octets = match (from, to) {
            (IpAddr::V6(from), IpAddr::V6(to)) => seal6(octets, from, to),
            _ => seal(octets),
        };
        let datagram =
            Datagram { source: from, destination: to, hop_limit: 1, router_alert: true, payload: &octets };
        self.receive(&datagram)
    }

    /// Returns the octets of a version 3 report, without checksum.
    pub(super) fn report_octets(&self, records: &[(Kind, IpAddr, &str)]) -> Vec<u8> {
        let kind = if self.family == Family::Igmp { 0x22 } else { 143 };
        let mut octets = vec![kind, 0, 0, 0, 0, 0, 0, records.len() as u8];
        for (kind, group, sources) in records {
            let texts: Vec<String> = letters(self.family, sources).iter().map(IpAddr::to_string).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            octets.extend(record(*kind as u8 + 1, &group.to_string(), &texts));
        }
        octets
    }

    /// Has a host report with records of version 3.
    pub(super) fn reports(&self, host: u8, records: &[(Kind, IpAddr, &str)]) -> Received {
        let to = if self.family == Family::Igmp { ALL_ROUTERS } else { ALL_MLDV2_ROUTERS.into() };
        self.message(address(self.family, host), to, self.report_octets(records))
    }

    /// Has a host report one record for the group of the tests.
    pub(super) fn record(&self, kind: Kind, sources: &str) {
        assert_eq!(self.reports(50, &[(kind, group(self.family), sources)]), Received::Report);
    }

    /// Has a host send a message of an older version: of this type of IGMP, or of this type of MLD.
    pub(super) fn older(&self, host: u8, igmp: u8, mld: u8, group: IpAddr) -> Received {
        let octets = match group {
            IpAddr::V4(v4) => [&[igmp, 0, 0, 0][..], &v4.octets()].concat(),
            IpAddr::V6(v6) => [&[mld, 0, 0, 0, 0, 0, 0, 0][..], &v6.octets()].concat(),
        };
        self.message(address(self.family, host), group, octets)
    }

    /// Has a host report the group of the tests with IGMPv2 or MLDv1.
    pub(super) fn older_report(&self, host: u8) -> Received {
        self.older(host, 0x16, 131, group(self.family))
    }

    /// Has a host leave the group of the tests with IGMPv2 or MLDv1.
    pub(super) fn leave(&self, host: u8) -> Received {
        self.older(host, 0x17, 132, group(self.family))
    }

    /// Has another router send a query.
    pub(super) fn query(&self, router: u8, query: &Query) -> Received {
        let (from, to) = (address(self.family, router), octets::destination(self.family, query));
        let octets = octets::write(self.family, query, from);
        self.receive(&Datagram {
            source: from,
            destination: to,
            hop_limit: 1,
            router_alert: true,
            payload: &octets,
        })
    }

    /// Returns the state of the group of the tests: `INCLUDE a=260 b=270`, or `EXCLUDE=270 a=260 | b c` with the sources that
    /// are blocked behind the bar. Numbers are seconds at which timers end. Empty without state.
    pub(super) fn state(&self) -> String {
        self.state_of(group(self.family))
    }

    pub(super) fn state_of(&self, group: IpAddr) -> String {
        let seconds = |time: Duration| time.as_millis() as f64 / 1000.0;
        let Some(state) = self.router.groups(self.interface).into_iter().find(|state| state.group == group)
        else {
            return String::new();
        };
        let mut text = match (state.mode, state.until) {
            (FilterMode::Exclude, Some(until)) => format!("EXCLUDE={}", seconds(until)),
            _ => "INCLUDE".to_string(),
        };
        for (source, until) in &state.sources {
            text.push_str(&format!(" {}={}", letter(*source), seconds(*until)));
        }
        if !state.blocked.is_empty() {
            text.push_str(" |");
            state.blocked.iter().for_each(|source| text.push_str(&format!(" {}", letter(*source))));
        }
        text
    }

    /// Takes the queries that the router has sent, each with the second at which it was due: `10 Q(g, a b) S`.
    pub(super) fn sent(&self) -> Vec<String> {
        let mut sent = Vec::new();
        for (at, query) in self.queries() {
            let sources: String =
                query.sources.iter().map(|source| format!(" {}", letter(*source))).collect();
            let text = match query.group {
                None => "Q()".to_string(),
                Some(_) if sources.is_empty() => "Q(g)".to_string(),
                Some(_) => format!("Q(g,{sources})"),
            };
            sent.push(format!("{} {text}{}", at as f64 / 1000.0, if query.suppress { " S" } else { "" }));
        }
        sent
    }

    /// Takes the queries that the router has sent, each with the time at which it was due.
    pub(super) fn queries(&self) -> Vec<(Ms, Query)> {
        let mut queries = Vec::new();
        while let Some(transmission) = self.router.poll_transmit() {
            let query = octets::read(self.family, &transmission.octets());
            assert_eq!(transmission.destination(), octets::destination(self.family, &query));
            queries.push((transmission.at.as_millis() as Ms, query));
        }
        queries
    }

    /// Returns the state of the interface.
    pub(super) fn interface_state(&self) -> GmpInterfaceState {
        self.router.interface_state(self.interface).unwrap()
    }

    /// Returns the memberships as text, with sources as letters: `(*, g)`, `(a, g)`.
    pub(super) fn memberships(&self) -> Vec<String> {
        self.manager.memberships().into_iter().map(|record| record.membership.to_string()).collect()
    }
}
