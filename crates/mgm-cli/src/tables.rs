//! The report for people.

use crate::churn::Counts;
use crate::report::{MembershipReport, Report};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use std::fmt::Write;
use std::net::IpAddr;

/// More entries or memberships than these are only counted: `--json` has them all.
const SHOWN: usize = 200;

pub(crate) fn all(report: &Report, churned: &Counts, capture: &str) -> String {
    let mut text = format!(
        "{capture}: {} packets, {} forwarded as {} copies\n",
        grouped(report.packets),
        grouped(report.forwarded_packets),
        grouped(report.copies)
    );
    let mut section = |title: &str, table: Table, left_out: usize| {
        let _ = write!(text, "\n{title}\n{table}\n");
        if left_out > 0 {
            let _ = writeln!(text, "and {} more: --json tells them all", grouped(left_out as u64));
        }
    };
    section("Interfaces", interfaces(report), 0);
    section("Entries", entries(report), report.entries.len().saturating_sub(SHOWN));
    let shown: Vec<_> = report.memberships.iter().filter(|m| !stays_on_link(m.group)).collect();
    let title = match report.memberships.len() - shown.len() {
        0 => "Memberships".to_owned(),
        local => format!("Memberships, and {} of groups that never leave their link", grouped(local as u64)),
    };
    section(&title, memberships(&shown), shown.len().saturating_sub(SHOWN));
    section("Packets not forwarded", reasons(report), 0);
    if report.limits.iter().any(|(_, times)| *times > 0) {
        section("Limits that were reached", limits(report), 0);
    }
    section("Clients", clients(report), 0);
    if !report.churn.is_empty() {
        section("Churn", churn(report, churned), 0);
    }
    section("Rates", rates(report, churned), 0);
    text.truncate(text.trim_end().len());
    text
}

/// A table whose columns are named; those whose name begins with `#` hold numbers.
pub(crate) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    let name = |column: &&str| Cell::new(column.trim_start_matches('#')).add_attribute(Attribute::Bold);
    table.set_header(columns.iter().map(name));
    for (at, column) in columns.iter().enumerate() {
        if column.starts_with('#')
            && let Some(column) = table.column_mut(at)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn interfaces(report: &Report) -> Table {
    let mut table = table(&["interface", "#received", "#transmitted"]);
    for interface in &report.interfaces {
        let (received, transmitted) = (grouped(interface.received), grouped(interface.transmitted));
        table.add_row([interface.name.clone(), received, transmitted]);
    }
    table
}

fn entries(report: &Report) -> Table {
    let mut table =
        table(&["source", "group", "incoming", "outgoing", "#packets", "#bytes", "#wrong interface"]);
    for entry in report.entries.iter().take(SHOWN) {
        table.add_row([
            entry.source.to_string(),
            entry.group.to_string(),
            entry.incoming.clone().unwrap_or_else(|| "no route".to_owned()),
            if entry.outgoing.is_empty() { "nobody".to_owned() } else { entry.outgoing.join(", ") },
            grouped(entry.packets),
            grouped(entry.bytes),
            grouped(entry.wrong_interface),
        ]);
    }
    table
}

/// Every IPv6 host reports a few of these for each of its addresses (RFC 4291 section 2.7.1).
fn stays_on_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[..3] == [224, 0, 0],
        IpAddr::V6(group) => group.octets()[1] & 0x0f <= 2,
    }
}

fn memberships(memberships: &[&MembershipReport]) -> Table {
    let mut table = table(&["interface", "group", "source", "protocol"]);
    for membership in memberships.iter().take(SHOWN) {
        table.add_row([
            membership.interface.clone(),
            membership.group.to_string(),
            membership.source.map_or_else(|| "any".to_owned(), |source| source.to_string()),
            membership.protocol.clone(),
        ]);
    }
    table
}

fn reasons(report: &Report) -> Table {
    let mut table = table(&["why", "#packets"]);
    for (reason, packets) in &report.not_forwarded {
        table.add_row([reason.replace('_', " "), grouped(*packets)]);
    }
    table
}

fn limits(report: &Report) -> Table {
    let mut table = table(&["what", "#times"]);
    for (what, times) in report.limits.iter().filter(|(_, times)| *times > 0) {
        table.add_row([what.replace('_', " "), grouped(*times)]);
    }
    table
}

fn clients(report: &Report) -> Table {
    let mut table = table(&["protocol", "#component", "interfaces"]);
    for client in &report.clients {
        table.add_row([client.protocol.clone(), client.component.to_string(), client.interfaces.join(", ")]);
    }
    table
}

fn churn(report: &Report, churned: &Counts) -> Table {
    let mut table = table(&["operation", "#times"]);
    for (operation, times) in &report.churn {
        table.add_row([operation.replace('_', " "), grouped(*times)]);
    }
    table.add_row(["highest generation of a slot".to_owned(), grouped(churned.highest_generation().into())]);
    table
}

fn rates(report: &Report, churned: &Counts) -> Table {
    let mut table = table(&["rate", "#a second"]);
    let mut rate = |what: &str, times: u64| {
        let a_second = if report.seconds > 0.0 { times as f64 / report.seconds } else { 0.0 };
        table.add_row([what.to_owned(), grouped(a_second as u64)]);
    };
    rate("packets", report.packets);
    rate("bits", report.bytes.saturating_mul(8));
    rate("copies", report.copies);
    if !report.churn.is_empty() {
        rate("takes and releases, refused ones included", churned.claims());
        rate("entries published, replaced or withdrawn", churned.publications());
    }
    table
}

/// A number that people can read: 1 234 567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let numbers = [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")];
        for (number, text) in numbers {
            assert_eq!(grouped(number), text);
        }
    }
}
