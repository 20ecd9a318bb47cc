//! What `mgm forward` tells: the object that `--json` prints, and the tables are made of.

use crate::churn::Counts;
use mgm::manager::{Interface, Protocol};
use mgm::plane::capture::{CaptureRouter, Totals};
use mgm::protocol;
use mgm::protocol::gmp::Refused;
use mgm::rpf::LearnedRoutes;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::net::IpAddr;
use std::time::Duration;

/// In the order in which it is printed.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) forwarded_packets: u64,
    pub(crate) copies: u64,
    #[serde(serialize_with = "as_map")]
    pub(crate) not_forwarded: Vec<(&'static str, u64)>,
    /// What the limits refused or gave up.
    #[serde(serialize_with = "as_map")]
    pub(crate) limits: Vec<(&'static str, u64)>,
    pub(crate) interfaces: Vec<InterfaceReport>,
    pub(crate) entries: Vec<EntryReport>,
    pub(crate) memberships: Vec<MembershipReport>,
    pub(crate) clients: Vec<ClientReport>,
    #[serde(serialize_with = "as_map")]
    pub(crate) churn: Vec<(&'static str, u64)>,
    pub(crate) seconds: f64,
    pub(crate) packets_per_second: f64,
}

#[derive(Serialize)]
pub(crate) struct InterfaceReport {
    pub(crate) name: String,
    pub(crate) received: u64,
    pub(crate) transmitted: u64,
}

#[derive(Serialize)]
pub(crate) struct EntryReport {
    pub(crate) source: IpAddr,
    pub(crate) group: IpAddr,
    pub(crate) incoming: Option<String>,
    pub(crate) outgoing: Vec<String>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) wrong_interface: u64,
}

#[derive(Serialize)]
pub(crate) struct MembershipReport {
    pub(crate) interface: String,
    pub(crate) group: IpAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) protocol: String,
}

#[derive(Serialize)]
pub(crate) struct ClientReport {
    pub(crate) protocol: String,
    pub(crate) component: u32,
    /// An interface it has for both families is there once.
    pub(crate) interfaces: Vec<String>,
}

fn as_map<S: Serializer>(pairs: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

impl Report {
    pub(crate) fn new(
        router: &CaptureRouter,
        totals: &Totals,
        churned: &Counts,
        elapsed: Duration,
    ) -> Report {
        let manager = router.manager();
        let name = |interface: Interface| match router.port_of(interface) {
            Some(port) => port.name.clone(),
            None => interface.to_string(),
        };
        let names = |mut places: Vec<Interface>| {
            // The order of the capture, whatever the family.
            places.sort_by_key(|interface| (interface.index(), interface.family()));
            let mut names: Vec<_> = places.into_iter().map(name).collect();
            names.dedup();
            names
        };
        let entries = manager.entries().into_iter().map(|entry| EntryReport {
            source: entry.flow.source(),
            group: entry.flow.group(),
            incoming: entry.incoming.map(name),
            outgoing: names(entry.outgoing.iter().map(|outgoing| outgoing.interface).collect()),
            packets: entry.totals.packets,
            bytes: entry.totals.octets,
            wrong_interface: entry.totals.wrong_interface,
        });
        let mut memberships = manager.memberships();
        memberships.sort_by_key(|record| record.interface.index());
        let memberships = memberships.into_iter().filter_map(|record| {
            Some(MembershipReport {
                interface: name(record.interface),
                // (*, *) is nothing that a client of this program says.
                group: record.membership.group()?,
                source: record.membership.source(),
                protocol: protocol_name(record.protocol),
            })
        });
        let clients = manager.clients().into_iter().map(|client| ClientReport {
            protocol: protocol_name(client.protocol),
            component: client.protocol.component,
            interfaces: names(client.interfaces),
        });
        let seconds = elapsed.as_secs_f64();
        Report {
            packets: totals.packets,
            bytes: totals.octets,
            forwarded_packets: totals.forwarded_packets,
            copies: totals.copies,
            not_forwarded: totals.not_forwarded.reasons().to_vec(),
            limits: limits(router),
            interfaces: (router.ports().iter().enumerate())
                .map(|(place, port)| InterfaceReport {
                    name: port.name.clone(),
                    received: totals.received.get(place).copied().unwrap_or(0),
                    transmitted: totals.transmitted.get(place).copied().unwrap_or(0),
                })
                .collect(),
            entries: entries.collect(),
            memberships: memberships.collect(),
            clients: clients.collect(),
            churn: churned.operations(),
            seconds,
            packets_per_second: if seconds > 0.0 { totals.packets as f64 / seconds } else { 0.0 },
        }
    }
}

/// What was refused or given up for want of room, all over the router.
fn limits(router: &CaptureRouter) -> Vec<(&'static str, u64)> {
    let mut refused = Refused::default();
    for listener in router.listeners() {
        refused += listener.counters().refused;
    }
    let limit_counters = router.manager().limit_counters();
    vec![
        ("groups_refused", refused.groups),
        ("hosts_refused", refused.hosts),
        ("sources_refused", refused.sources),
        ("memberships_refused", limit_counters.memberships_refused),
        ("entries_refused", limit_counters.entries_refused),
        ("entries_refused_of_interface", limit_counters.entries_refused_of_interface),
        ("entries_withdrawn", limit_counters.entries_withdrawn),
        ("negative_entries_evicted", limit_counters.negative_evicted),
        ("flows_forgotten", limit_counters.flows_forgotten),
        ("sources_not_learned", router.learned().map_or(0, LearnedRoutes::refused)),
    ]
}

fn protocol_name(protocol: Protocol) -> String {
    protocol::name(protocol).map_or_else(|| format!("{:#010x}", protocol.id), str::to_owned)
}
