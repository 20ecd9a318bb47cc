//! The report of `mgm forward`: the object that `--json` prints and that the tables show.

use super::timeline::{EventReport, Timeline};
use crate::terminal::plain::plain_json;
use mgm::forwarding::Family;
use mgm::manager::{Interface, Protocol};
use mgm::plane::capture::{CaptureRouter, FlowAccount, Times, Totals};
use mgm::protocol;
use mgm::protocol::gmp::Refused;
use mgm::rpf::LearnedRoutes;
use mgm_verify::churn::ChurnCounts;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::collections::BTreeMap;
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
    /// What was malformed, and why messages of IGMP and MLD had no effect.
    pub(crate) malformed: BTreeMap<&'static str, u64>,
    pub(crate) ignored: BTreeMap<&'static str, u64>,
    /// How often each limit was reached.
    #[serde(serialize_with = "as_map")]
    pub(crate) limits: Vec<(&'static str, u64)>,
    pub(crate) capture: CaptureReport,
    pub(crate) interfaces: Vec<InterfaceReport>,
    pub(crate) entries: Vec<EntryReport>,
    pub(crate) flows: Vec<FlowReport>,
    pub(crate) memberships: Vec<MembershipReport>,
    pub(crate) timeline: Vec<EventReport>,
    pub(crate) clients: Vec<ClientReport>,
    #[serde(serialize_with = "as_map")]
    pub(crate) churn: Vec<(&'static str, u64)>,
    /// How long mgm took to forward all of this, and its rate. The capture's own are in `capture`.
    pub(crate) seconds: f64,
    pub(crate) packets_per_second: f64,
}

/// The traffic of the capture, in its own time.
#[derive(Serialize)]
pub(crate) struct CaptureReport {
    /// Seconds since 1970.
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) seconds: f64,
    pub(crate) packets_per_second: f64,
    pub(crate) bits_per_second: f64,
    /// Packets that stand in the file behind later ones.
    pub(crate) out_of_order: u64,
    /// Packets with a time far outside all others.
    pub(crate) times_outside: u64,
}

#[derive(Serialize)]
pub(crate) struct InterfaceReport {
    pub(crate) name: String,
    pub(crate) received: u64,
    pub(crate) transmitted: u64,
    /// Packets that the router itself sent there, and packets there while it takes no part.
    pub(crate) own: u64,
    pub(crate) inactive: u64,
}

/// A flow of the capture, with or without an entry at the end.
#[derive(Serialize)]
pub(crate) struct FlowReport {
    pub(crate) source: IpAddr,
    pub(crate) group: IpAddr,
    /// The interface on which its first packet arrived.
    pub(crate) arrived: String,
    /// Seconds since 1970.
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) packets: u64,
    pub(crate) forwarded_packets: u64,
    pub(crate) forwarded_octets: u64,
    /// Only reasons with packets.
    #[serde(serialize_with = "as_map")]
    pub(crate) not_forwarded: Vec<(&'static str, u64)>,
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
    /// The sources that hosts exclude, of a membership for every source.
    pub(crate) blocked: Vec<IpAddr>,
    pub(crate) protocol: String,
}

/// What a report is made of, besides the router.
pub(crate) struct RunResult<'r> {
    pub(crate) times: Times,
    pub(crate) totals: &'r Totals,
    pub(crate) churn: &'r ChurnCounts,
    pub(crate) elapsed: Duration,
    pub(crate) passes: u64,
    pub(crate) timeline: Option<&'r Timeline>,
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
    pub(crate) fn new(router: &CaptureRouter, run: &RunResult<'_>) -> Report {
        let RunResult { times, totals, churn, elapsed, passes, timeline } = *run;
        let manager = router.manager();
        let seconds = elapsed.as_secs_f64();
        let clients = manager.clients().into_iter().map(|client| ClientReport {
            protocol: protocol_name(client.protocol),
            component: client.protocol.component,
            interfaces: names(router, client.interfaces),
        });
        let of_port = |counts: &[u64], port: usize| counts.get(port).copied().unwrap_or(0);
        Report {
            packets: totals.packets,
            octets: totals.octets,
            forwarded_packets: totals.forwarded_packets,
            copies: totals.copies,
            not_forwarded: totals.not_forwarded.reasons().to_vec(),
            malformed: totals.malformed.clone(),
            ignored: totals.ignored.clone(),
            limits: limits(router, totals, timeline),
            capture: capture(times, totals, passes),
            interfaces: (router.ports().iter().enumerate())
                .map(|(port_index, port)| InterfaceReport {
                    name: port.name.clone(),
                    received: of_port(&totals.received, port_index),
                    transmitted: of_port(&totals.transmitted, port_index),
                    own: of_port(&totals.own, port_index),
                    inactive: of_port(&totals.inactive, port_index),
                })
                .collect(),
            entries: entries(router),
            flows: totals.flows.iter().map(|account| flow(router, account)).collect(),
            memberships: memberships(router),
            timeline: timeline.map(|timeline| timeline.report(router, times.first)).unwrap_or_default(),
            clients: clients.collect(),
            churn: churn.operations(),
            seconds,
            packets_per_second: a_second(totals.packets, seconds),
        }
    }

    /// Returns the report as JSON, with every character escaped that a terminal would obey.
    pub(crate) fn json(&self) -> String {
        plain_json(serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string()))
    }
}

/// Returns a rate; 0 where no time passed.
pub(crate) fn a_second(times: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { times as f64 / seconds } else { 0.0 }
}

fn capture(times: Times, totals: &Totals, passes: u64) -> CaptureReport {
    let seconds = times.last.saturating_sub(times.first).as_secs_f64();
    // Each pass forwards the capture once.
    let passes = passes.max(1);
    CaptureReport {
        first: times.first.as_secs_f64(),
        last: times.last.as_secs_f64(),
        seconds,
        packets_per_second: a_second(totals.packets / passes, seconds),
        bits_per_second: a_second(totals.octets.saturating_mul(8) / passes, seconds),
        out_of_order: times.out_of_order,
        times_outside: times.outside,
    }
}

fn flow(router: &CaptureRouter, account: &FlowAccount) -> FlowReport {
    let port = router.ports().get(account.port);
    FlowReport {
        source: account.flow.source(),
        group: account.flow.group(),
        arrived: port.map_or_else(String::new, |port| port.name.clone()),
        first: account.first.as_secs_f64(),
        last: account.last.as_secs_f64(),
        packets: account.packets(),
        forwarded_packets: account.forwarded_packets,
        forwarded_octets: account.forwarded_octets,
        not_forwarded: account
            .not_forwarded
            .reasons()
            .into_iter()
            .filter(|(_, packets)| *packets > 0)
            .collect(),
    }
}

/// Returns the name that the capture or the configuration gives an interface.
pub(crate) fn name(router: &CaptureRouter, interface: Interface) -> String {
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
    let mut blocked = Blocked::default();
    let memberships = memberships.into_iter().filter_map(|record| {
        // No client of this program joins (*, *).
        let (group, source) = (record.membership.group()?, record.membership.source());
        let of_hosts = source.is_none() && record.protocol.id == Protocol::IGMP;
        Some(MembershipReport {
            interface: name(router, record.interface),
            group,
            source,
            blocked: if of_hosts { blocked.of(router, record.interface, group) } else { Vec::new() },
            protocol: protocol_name(record.protocol),
        })
    });
    memberships.collect()
}

/// The sources that the hosts of one interface exclude, by group. The memberships of an interface come together.
#[derive(Default)]
struct Blocked {
    interface: Option<Interface>,
    groups: BTreeMap<IpAddr, Vec<IpAddr>>,
}

impl Blocked {
    fn of(&mut self, router: &CaptureRouter, interface: Interface, group: IpAddr) -> Vec<IpAddr> {
        if self.interface != Some(interface) {
            let [igmp, mld] = router.listeners();
            let listener = if interface.family() == Family::V4 { igmp } else { mld };
            let groups = listener.groups(interface).into_iter();
            self.groups = groups.map(|state| (state.group, state.blocked.into_iter().collect())).collect();
            self.interface = Some(interface);
        }
        self.groups.get(&group).cloned().unwrap_or_default()
    }
}

/// Returns how often each limit of the router was reached.
fn limits(router: &CaptureRouter, totals: &Totals, timeline: Option<&Timeline>) -> Vec<(&'static str, u64)> {
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
        ("frames_of_interfaces_refused", totals.interfaces_refused),
        ("packets_of_flows_not_listed", totals.packets_of_other_flows),
        ("timeline_events_left_out", timeline.map_or(0, Timeline::left_out)),
    ]
}

fn protocol_name(protocol: Protocol) -> String {
    protocol::name(protocol).map_or_else(|| format!("{:#010x}", protocol.id), str::to_owned)
}
