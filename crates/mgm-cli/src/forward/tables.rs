//! The report of `mgm forward` as tables.

use super::report::{MembershipReport, Report};
use crate::terminal::table::render;
use mgm_verify::churn::ChurnCounts;
use mgm_verify::report::{Table, grouped};
use std::fmt::Write;
use std::net::IpAddr;

/// The number of entries or memberships that are listed. The others are only counted; `--json` lists all.
const LISTED: usize = 200;

/// Returns all tables, for a terminal of this width. `advice` explains why nothing was forwarded.
pub(crate) fn all(
    report: &Report,
    churn: &ChurnCounts,
    capture: &str,
    advice: Option<&str>,
    width: Option<usize>,
) -> String {
    let mut text = format!(
        "{capture}: {} packets, {} forwarded as {} copies\n",
        grouped(report.packets),
        grouped(report.forwarded_packets),
        grouped(report.copies)
    );
    if let Some(advice) = advice {
        let _ = writeln!(text, "\n{advice}");
    }
    let mut section = |title: &str, table: &Table, spare: &[&str], not_listed: usize| {
        let _ = write!(text, "\n{title}\n{}\n", render(table, width, spare));
        if not_listed > 0 {
            let _ = writeln!(text, "and {} more; --json lists all", grouped(not_listed as u64));
        }
    };
    section("Interfaces", &interfaces(report), &[], 0);
    let more = report.entries.len().saturating_sub(LISTED);
    section("Entries", &entries(report), &["octets", "wrong interface", "packets"], more);
    let routable: Vec<_> = report.memberships.iter().filter(|m| !stays_on_link(m.group)).collect();
    let title = match report.memberships.len() - routable.len() {
        0 => "Memberships".to_owned(),
        local => format!("Memberships, without {} of link-local groups", grouped(local as u64)),
    };
    section(&title, &memberships(&routable), &[], routable.len().saturating_sub(LISTED));
    section("Packets not forwarded", &reasons(report), &[], 0);
    if report.limits.iter().any(|(_, times)| *times > 0) {
        section("Limits that were reached", &limits(report), &[], 0);
    }
    section("Clients", &clients(report), &[], 0);
    if !report.churn.is_empty() {
        section("Churn", &churn_table(report, churn), &[], 0);
    }
    section("Rates", &rates(report, churn), &[], 0);
    text.truncate(text.trim_end().len());
    text
}

fn interfaces(report: &Report) -> Table {
    let row = |interface: &super::report::InterfaceReport| {
        vec![interface.name.clone(), grouped(interface.received), grouped(interface.transmitted)]
    };
    let rows = report.interfaces.iter().map(row).collect();
    Table::new(&["interface", "#received", "#transmitted"], rows)
}

fn entries(report: &Report) -> Table {
    let columns = ["source", "group", "incoming", "outgoing", "#packets", "#octets", "#wrong interface"];
    let row = |entry: &super::report::EntryReport| {
        vec![
            entry.source.to_string(),
            entry.group.to_string(),
            entry.incoming.clone().unwrap_or_else(|| "no route".to_owned()),
            if entry.outgoing.is_empty() { "none".to_owned() } else { entry.outgoing.join(", ") },
            grouped(entry.packets),
            grouped(entry.octets),
            grouped(entry.wrong_interface),
        ]
    };
    Table::new(&columns, report.entries.iter().take(LISTED).map(row).collect())
}

/// Returns whether the packets of a group never leave their link. Every IPv6 host reports a few such groups for each of its
/// addresses (RFC 4291 section 2.7.1).
fn stays_on_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[..3] == [224, 0, 0],
        IpAddr::V6(group) => group.octets()[1] & 0x0f <= 2,
    }
}

fn memberships(memberships: &[&MembershipReport]) -> Table {
    let row = |membership: &&MembershipReport| {
        vec![
            membership.interface.clone(),
            membership.group.to_string(),
            membership.source.map_or_else(|| "any".to_owned(), |source| source.to_string()),
            membership.protocol.clone(),
        ]
    };
    let rows = memberships.iter().take(LISTED).map(row).collect();
    Table::new(&["interface", "group", "source", "protocol"], rows)
}

/// Returns a table of counts, with spaces in the names.
fn counts<'a>(columns: &[&'static str], counts: impl Iterator<Item = &'a (&'static str, u64)>) -> Table {
    let row = |(name, count): &(&str, u64)| vec![name.replace('_', " "), grouped(*count)];
    Table::new(columns, counts.map(row).collect())
}

fn reasons(report: &Report) -> Table {
    counts(&["reason", "#packets"], report.not_forwarded.iter())
}

fn limits(report: &Report) -> Table {
    counts(&["limit", "#times"], report.limits.iter().filter(|(_, times)| *times > 0))
}

fn clients(report: &Report) -> Table {
    let row = |client: &super::report::ClientReport| {
        vec![client.protocol.clone(), client.component.to_string(), client.interfaces.join(", ")]
    };
    Table::new(&["protocol", "#component", "interfaces"], report.clients.iter().map(row).collect())
}

fn churn_table(report: &Report, churn: &ChurnCounts) -> Table {
    let mut table = counts(&["operation", "#times"], report.churn.iter());
    let generation = grouped(churn.highest_generation().into());
    table.rows.push(vec!["highest generation of a slot".to_owned(), generation]);
    table
}

fn rates(report: &Report, churn: &ChurnCounts) -> Table {
    let rate = |what: &str, times: u64| {
        let a_second = if report.seconds > 0.0 { times as f64 / report.seconds } else { 0.0 };
        vec![what.to_owned(), grouped(a_second as u64)]
    };
    let mut rows = vec![
        rate("packets", report.packets),
        rate("bits", report.octets.saturating_mul(8)),
        rate("copies", report.copies),
    ];
    if !report.churn.is_empty() {
        rows.push(rate("takes and releases, with refused ones", churn.claims()));
        rows.push(rate("entries published, replaced or withdrawn", churn.publications()));
    }
    Table::new(&["rate", "#a second"], rows)
}
