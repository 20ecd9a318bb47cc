//! Advice for a capture of which nothing was forwarded.

use super::report::Report;
use mgm::plane::Port;
use mgm::wire::Link;

const RECORD: &str = "Record every interface of the router: tcpdump -i any -y LINUX_SLL2 -Q in -w router.pcap, or by name: dumpcap -i eth0 \
                      -i eth1 -w router.pcapng";

/// Returns why nothing was forwarded and how to record a better capture.
pub(crate) fn advice(report: &Report, ports: &[Port]) -> Option<String> {
    if report.forwarded_packets > 0 || report.packets == 0 {
        return None;
    }
    let reason = |name: &str| {
        let found = report.not_forwarded.iter().find(|(reason, _)| *reason == name);
        found.map_or(0, |(_, packets)| *packets)
    };
    let all = |reasons: &[&str]| reasons.iter().map(|name| reason(name)).sum::<u64>() == report.packets;
    let why = match ports {
        [port] if port.name == "any" || port.link == Link::LinuxCooked => format!(
            "This capture mixes the packets of all interfaces in one (-i any with headers of version 1), and a router copies \
             packets from one interface to others. {RECORD}"
        ),
        [_] => format!(
            "This capture has one interface, and a router copies packets from one interface to others. {RECORD}"
        ),
        _ if all(&["own", "inactive_interface"]) => {
            "The router received no packet of this capture: it sent them, or the configuration does not name the interface."
                .to_owned()
        }
        _ if all(&["not_multicast", "control", "link_local", "own", "inactive_interface"]) => {
            "This capture has no multicast packet that may leave its link. Record while a source sends, without a capture \
             filter."
                .to_owned()
        }
        _ if report.memberships.is_empty() && reason("no_receivers") > 0 => {
            "No host joins a group in this capture. Hosts report their groups when they join and after a query, which \
             routers send every 125 seconds: record for longer, without a filter that leaves IGMP and MLD out, or name the \
             receivers as joins in a file for --config (examples/forward.toml)."
                .to_owned()
        }
        _ => return None,
    };
    Some(format!("Nothing was forwarded. {why}"))
}
