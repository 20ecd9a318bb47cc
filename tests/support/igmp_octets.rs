//! Interprets octets as messages to an IGMP or MLD router, with time and packets between them. The fuzz
//! target `igmp` and the ordinary tests run this.
//!
//! The first octet configures the router. Steps follow, each of two octets (a kind and a number); a message
//! step has that number of octets of message. Types and checksums are corrected, or no input would get past
//! them.

use super::igmp_messages::{ALL_MLDV2_ROUTERS, ALL_ROUTERS, seal, seal6};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership, ReversePath};
use mgm::protocol::gmp::{Datagram, GmpConfig, GroupMembership, Received};
use mgm::protocol::gmp::{HostLimits, Wanted};
use mgm::protocol::static_joins::StaticJoins;
use mgm::wire::gmp::{Message, parse_igmp, parse_mld};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// More steps reach nothing new and take long to check.
const STEPS: usize = 60;

const SMALL: HostLimits = HostLimits { groups: 3, hosts: 2, sources: 3, group_sources: 4, total: 10 };

struct Session {
    manager: Arc<GroupManager>,
    igmp: GroupMembership,
    family: Family,
    lan: Interface,
    limits: HostLimits,
    /// Whether the manager has room for every membership.
    all_fit: bool,
    now: Duration,
    /// Every group and source that a message named.
    groups: BTreeSet<IpAddr>,
    sources: BTreeSet<IpAddr>,
}

/// Runs the steps, and checks after each that the manager has the memberships that the hosts want.
pub(crate) fn check(octets: &[u8]) {
    let Some((&setup, mut rest)) = octets.split_first() else { return };
    let mut session = Session::new(setup);
    for _ in 0..STEPS {
        let [what, number, behind @ ..] = rest else { break };
        rest = behind;
        match what % 8 {
            0..5 => {
                let (message, behind) = rest.split_at_checked((*number).into()).unwrap_or((rest, &[]));
                rest = behind;
                session.message(*what, message.to_vec());
            }
            5 => {
                session.now += Duration::from_secs(2 * u64::from(*number));
                session.igmp.advance(session.now);
            }
            6 => session.packet((*number).into()),
            _ => match number % 4 {
                0 => session.manager.flush_entries(),
                1 => {
                    // A routing protocol takes the LAN, and releases it again.
                    let joins = StaticJoins::new(session.manager.clone()).unwrap();
                    joins.take(session.lan).unwrap();
                    session.check();
                }
                2 => session.igmp.forget_everything(),
                _ => {
                    session.igmp.release(session.lan).unwrap();
                    session.igmp.take(session.lan).unwrap();
                }
            },
        }
        session.check();
    }
    let manager = session.manager.clone();
    drop(session);
    assert!(manager.memberships().is_empty() && manager.clients().is_empty());
}

impl Session {
    fn new(setup: u8) -> Session {
        let family = if setup & 1 == 0 { Family::V4 } else { Family::V6 };
        let limits = if setup & 2 == 0 { HostLimits::default() } else { SMALL };
        let all_fit = setup & 4 == 0;
        let memberships = if all_fit { 1 << 20 } else { 2 };
        let routes = |source| Some(ReversePath::through(Interface::of(Family::of(source), 1)));
        let config = ManagerConfig::default()
            .with_memberships(memberships)
            .with_clients(4)
            .with_interfaces(4)
            .with_entries(64)
            .with_negative_entries(32)
            .with_remembered_flows(32);
        let manager = Arc::new(GroupManager::new(config, Arc::new(routes)).unwrap());
        let igmp =
            GroupMembership::new(manager.clone(), family, GmpConfig::default().with_limits(limits)).unwrap();
        let lan = Interface::of(family, 2);
        igmp.take(Interface::of(family, 1)).unwrap();
        igmp.take(lan).unwrap();
        let (groups, sources) = Default::default();
        Session { manager, igmp, family, lan, limits, all_fit, now: Duration::ZERO, groups, sources }
    }

    fn message(&mut self, what: u8, mut octets: Vec<u8>) {
        let host = what >> 3 & 3;
        let unchanged = what & 0x80 != 0;
        let hop_limit = if what & 0x60 == 0x60 { 2 } else { 1 };
        let v6_host = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into());
        let (source, destination) = match self.family {
            Family::V4 => (IpAddr::from([10, 0, 0, host]), ALL_ROUTERS),
            Family::V6 => (v6_host.into(), ALL_MLDV2_ROUTERS.into()),
        };
        if !unchanged && octets.len() >= 4 {
            let types: &[u8] = match self.family {
                Family::V4 => &[0x22, 0x16, 0x17, 0x12, 0x11],
                Family::V6 => &[143, 131, 132, 130],
            };
            octets[0] = types[usize::from(octets[0]) % types.len()];
            octets = match self.family {
                Family::V4 => seal(octets),
                Family::V6 => seal6(octets, v6_host, ALL_MLDV2_ROUTERS),
            };
        }
        let parsed = match self.family {
            Family::V4 => parse_igmp(&octets),
            Family::V6 => parse_mld(&octets, v6_host, ALL_MLDV2_ROUTERS),
        };
        let datagram = Datagram { source, destination, hop_limit, router_alert: true, payload: &octets };
        let received = self.igmp.receive(self.lan, &datagram, self.now);
        assert_eq!(parsed.is_err(), matches!(received, Received::Malformed(_)));
        match parsed {
            Ok(Message::Report { group, .. } | Message::Leave { group }) => _ = self.groups.insert(group),
            Ok(Message::Records(records)) => {
                for record in records {
                    self.groups.insert(record.group);
                    self.sources.extend(record.sources().take(8));
                }
            }
            _ => {}
        }
    }

    /// Brings a packet of one of the flows that messages named.
    fn packet(&self, number: usize) {
        let flows = self.groups.iter().flat_map(|group| self.sources.iter().map(|source| (*source, *group)));
        let possible: Vec<_> = flows.filter_map(|(source, group)| Flow::new(source, group).ok()).collect();
        if !possible.is_empty() {
            // Link-local groups are refused, and new flows when the table is full.
            _ = self.manager.new_flow(possible[number % possible.len()]);
        }
    }

    fn wanted(&self, group: IpAddr) -> Wanted {
        self.igmp.wanted(self.lan, group).unwrap()
    }

    fn check(&self) {
        let mut expected = BTreeSet::new();
        let mut groups = 0;
        for &group in &self.groups {
            let wanted = self.wanted(group);
            groups += usize::from(wanted != Wanted::default());
            if wanted.any_source {
                expected.insert(Membership::any_source(group).unwrap());
            }
            expected.extend(wanted.sources.iter().map(|s| Membership::one_source(*s, group).unwrap()));
            assert!(wanted.sources.is_disjoint(&wanted.blocked));
            assert!(wanted.any_source || wanted.blocked.is_empty());
        }
        assert!(groups <= self.limits.groups);
        let actual: BTreeSet<_> = self.manager.memberships().iter().map(|record| record.membership).collect();
        if self.all_fit {
            assert_eq!(actual, expected);
        } else {
            assert!(actual.is_subset(&expected), "{actual:?} beyond {expected:?}");
        }
        for entry in self.manager.entries().iter().filter(|_| self.all_fit) {
            let (source, group) = (entry.flow.source(), entry.flow.group());
            let wanted = self.wanted(group);
            let wants =
                wanted.sources.contains(&source) || wanted.any_source && !wanted.blocked.contains(&source);
            assert_eq!(
                entry.outgoing.iter().any(|outgoing| outgoing.interface == self.lan),
                wants,
                "{:?}",
                entry.flow
            );
        }
    }
}
