//! The report of `mgm forward`: the object that `--json` prints and that the tables show.

use mgm::manager::{Interface, Protocol};
use mgm::plane::capture::{CaptureRouter, Totals};
use mgm::protocol;
use mgm::protocol::gmp::Refused;
use mgm::rpf::LearnedRoutes;
use mgm_verify::churn::ChurnCounts;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::net::IpAddr;
use std::time::Duration;

/// The report. Its fields are printed in this order.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) forwarded_packets: u64,
    pub(crate) copies: u64,
    #[serde(serialize_with = "as_map")]
    pub(crate) not_forwarded: Vec<(&'static str, u64)>,
    /// How often each limit was reached.
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
    pub(crate) octets: u64,
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
    /// An interface that the client owns in both families is listed once.
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
    /// Returns the report of a router's run.
    pub(crate) fn new(
        router: &CaptureRouter,
        totals: &Totals,
        churn: &ChurnCounts,
        elapsed: Duration,
    ) -> Report {
        let manager = router.manager();
        let seconds = elapsed.as_secs_f64();
        let clients = manager.clients().into_iter().map(|client| ClientReport {
            protocol: protocol_name(client.protocol),
            component: client.protocol.component,
            interfaces: names(router, client.interfaces),
        });
        Report {
            packets: totals.packets,
            octets: totals.octets,
            forwarded_packets: totals.forwarded_packets,
            copies: totals.copies,
            not_forwarded: totals.not_forwarded.reasons().to_vec(),
            limits: limits(router),
            interfaces: (router.ports().iter().enumerate())
                .map(|(port_index, port)| InterfaceReport {
                    name: port.name.clone(),
                    received: totals.received.get(port_index).copied().unwrap_or(0),
                    transmitted: totals.transmitted.get(port_index).copied().unwrap_or(0),
                })
                .collect(),
            entries: entries(router),
            memberships: memberships(router),
            clients: clients.collect(),
            churn: churn.operations(),
            seconds,
            packets_per_second: if seconds > 0.0 { totals.packets as f64 / seconds } else { 0.0 },
        }
    }

    /// Returns the report as JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }
}

/// Returns the name that the capture gives an interface.
fn name(router: &CaptureRouter, interface: Interface) -> String {
    match router.port_of(interface) {
        Some(port) => port.name.clone(),
        None => interface.to_string(),
    }
}

/// Returns the names of interfaces in the order of the capture, whatever their families.
fn names(router: &CaptureRouter, mut interfaces: Vec<Interface>) -> Vec<String> {
    interfaces.sort_by_key(|interface| (interface.index(), interface.family()));
    let mut names: Vec<_> = interfaces.into_iter().map(|interface| name(router, interface)).collect();
    names.dedup();
    names
}

fn entries(router: &CaptureRouter) -> Vec<EntryReport> {
    let entries = router.manager().entries().into_iter().map(|entry| EntryReport {
        source: entry.flow.source(),
        group: entry.flow.group(),
        incoming: entry.incoming.map(|interface| name(router, interface)),
        outgoing: names(router, entry.outgoing.iter().map(|outgoing| outgoing.interface).collect()),
        packets: entry.totals.packets,
        octets: entry.totals.octets,
        wrong_interface: entry.totals.wrong_interface,
    });
    entries.collect()
}

fn memberships(router: &CaptureRouter) -> Vec<MembershipReport> {
    let mut memberships = router.manager().memberships();
    memberships.sort_by_key(|record| record.interface.index());
    let memberships = memberships.into_iter().filter_map(|record| {
        Some(MembershipReport {
            interface: name(router, record.interface),
            // No client of this program joins (*, *).
            group: record.membership.group()?,
            source: record.membership.source(),
            protocol: protocol_name(record.protocol),
        })
    });
    memberships.collect()
}

/// Returns how often each limit of the router was reached.
fn limits(router: &CaptureRouter) -> Vec<(&'static str, u64)> {
    let mut refused = Refused::default();
    for listener in router.listeners() {
        refused += listener.counters().refused;
    }
    let counters = router.manager().limit_counters();
    vec![
        ("groups_refused", refused.groups),
        ("hosts_refused", refused.hosts),
        ("sources_refused", refused.sources),
        ("memberships_refused", counters.memberships_refused),
        ("entries_refused", counters.entries_refused),
        ("entries_refused_of_interface", counters.entries_refused_of_interface),
        ("entries_withdrawn", counters.entries_withdrawn),
        ("negative_entries_evicted", counters.negative_evicted),
        ("flows_forgotten", counters.flows_forgotten),
        ("sources_not_learned", router.learned().map_or(0, LearnedRoutes::refused)),
    ]
}

fn protocol_name(protocol: Protocol) -> String {
    protocol::name(protocol).map_or_else(|| format!("{:#010x}", protocol.id), str::to_owned)
}
