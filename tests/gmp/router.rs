//! A router with IGMP or MLD for the tests of this binary.

use crate::support::igmp_messages::*;
use mgm::forwarding::{Family, Flow};
use mgm::manager::{GroupManager, Interface, ManagerConfig, ReversePath};
use mgm::protocol::gmp::{Datagram, GmpConfig, GroupMembership, Received, Role, Transmission};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The interface towards the sources, and two networks with hosts.
pub(super) const UP: u32 = 1;
pub(super) const LAN: u32 = 2;
pub(super) const OTHER: u32 = 3;

pub(super) struct Router {
    pub(super) manager: Arc<GroupManager>,
    pub(super) igmp: GroupMembership,
    pub(super) family: Family,
}

pub(super) fn manager(config: ManagerConfig) -> Arc<GroupManager> {
    let routes = |source| Some(ReversePath::through(Interface::of(Family::of(source), UP)));
    Arc::new(GroupManager::new(config, Arc::new(routes)).unwrap())
}

pub(super) fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Router {
    pub(super) fn with(family: Family, manager: Arc<GroupManager>, config: GmpConfig) -> Router {
        let igmp = GroupMembership::new(manager.clone(), family, config).unwrap();
        for index in [UP, LAN, OTHER] {
            igmp.take(Interface::of(family, index)).unwrap();
        }
        Router { manager, igmp, family }
    }

    pub(super) fn v4() -> Router {
        Router::with(Family::V4, manager(ManagerConfig::default()), GmpConfig::default())
    }

    /// Returns a router of IPv4 with these settings.
    pub(super) fn configured(config: GmpConfig) -> Router {
        Router::with(Family::V4, manager(ManagerConfig::default()), config)
    }

    /// Returns a router of IPv4 that takes part in the election as 10.0.0.100.
    pub(super) fn querier(config: GmpConfig) -> Router {
        let router = Router::configured(config.with_role(Role::Querier));
        router.igmp.set_addresses(router.on(LAN), vec![(ip("10.0.0.100"), 24)]);
        router
    }

    /// Returns the state of a group on the LAN as text: the mode, the sources with their ends, the blocked sources, in
    /// seconds.
    pub(super) fn state(&self, group: &str) -> String {
        let groups = self.igmp.groups(self.on(LAN));
        let Some(state) = groups.into_iter().find(|state| state.group == ip(group)) else {
            return "none".into();
        };
        let last = |address: &IpAddr| address.to_string().rsplit('.').next().unwrap().to_string();
        let seconds = |time: &Duration| time.as_secs_f64();
        let sources: Vec<_> = state
            .sources
            .iter()
            .map(|(source, until)| format!("{}@{}", last(source), seconds(until)))
            .collect();
        let blocked: Vec<_> = state.blocked.iter().map(last).collect();
        match state.until {
            None => format!("INCLUDE {}", sources.join(" ")),
            Some(until) => {
                format!("EXCLUDE@{} x {} y {}", seconds(&until), sources.join(" "), blocked.join(" "))
            }
        }
    }

    /// Takes every query that waits: the group, its sources and the S flag, as text with its time in seconds.
    pub(super) fn sent(&self) -> Vec<String> {
        let text = |sent: Transmission| {
            let sources: Vec<_> = sent.query.sources.iter().map(ToString::to_string).collect();
            let flag = if sent.query.suppress { " S" } else { "" };
            format!("{} {} [{}]{flag}", sent.at.as_secs_f64(), sent.query.group, sources.join(" "))
        };
        std::iter::from_fn(|| self.igmp.poll_transmit()).map(text).collect()
    }

    pub(super) fn v6() -> Router {
        Router::with(Family::V6, manager(ManagerConfig::default()), GmpConfig::default())
    }

    pub(super) fn on(&self, index: u32) -> Interface {
        Interface::of(self.family, index)
    }

    /// Receives an IGMP message from host 10.0.0.n on the LAN.
    pub(super) fn receive_from(&self, n: u8, payload: &[u8], seconds: u64) -> Received {
        let datagram = Datagram {
            source: IpAddr::from([10, 0, 0, n]),
            destination: ALL_ROUTERS,
            hop_limit: 1,
            router_alert: true,
            payload,
        };
        self.igmp.receive(self.on(LAN), &datagram, at(seconds))
    }

    /// Receives a version 3 report with one record.
    pub(super) fn reports(&self, n: u8, kind: u8, group: &str, sources: &[&str], seconds: u64) {
        let report = v3_report(&[record(kind, group, sources)]);
        assert_eq!(self.receive_from(n, &report, seconds), Received::Report);
    }

    /// Brings a packet of a flow, which creates its entry.
    pub(super) fn packet(&self, source: &str, group: &str) {
        self.manager.new_flow(Flow::new(ip(source), ip(group)).unwrap()).unwrap();
    }

    /// Returns the memberships as text.
    pub(super) fn memberships(&self) -> Vec<String> {
        let record = |r: mgm::manager::MembershipRecord| format!("{} {}", r.interface.index(), r.membership);
        self.manager.memberships().into_iter().map(record).collect()
    }

    /// Returns the outgoing interfaces of an entry; `None` if it does not exist.
    pub(super) fn outgoing(&self, source: &str, group: &str) -> Option<Vec<u32>> {
        let flow = Flow::new(ip(source), ip(group)).unwrap();
        let entry = self.manager.entries().into_iter().find(|entry| entry.flow == flow)?;
        Some(entry.outgoing.iter().map(|outgoing| outgoing.interface.index()).collect())
    }
}

pub(super) const G: &str = "239.1.1.1";
pub(super) const A: &str = "192.0.2.1";
pub(super) const B: &str = "192.0.2.2";
pub(super) const C: &str = "192.0.2.3";
