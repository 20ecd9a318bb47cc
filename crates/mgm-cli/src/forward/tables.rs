//! The report of `mgm forward` as tables.

use super::report::{MembershipReport, Report, a_second};
use crate::terminal::plain::short;
use crate::terminal::table::render;
use mgm_verify::churn::ChurnCounts;
use mgm_verify::report::{Table, grouped};
use std::fmt::Write;
use std::net::IpAddr;

/// The number of entries or memberships that are listed. The others are only counted; `--json` lists all.
const LISTED: usize = 200;
/// The number of names that are listed in one cell.
const LISTED_IN_CELL: usize = 32;
/// A space at which no line of a cell breaks.
const NO_BREAK: &str = "\u{a0}";

/// What is shown besides the report.
pub(crate) struct Shown<'s> {
    pub(crate) churn: &'s ChurnCounts,
    /// Why nothing was forwarded.
    pub(crate) advice: Option<&'s str>,
    pub(crate) timeline: bool,
}

/// Returns all tables, for a terminal of this width.
pub(crate) fn all(report: &Report, capture: &str, shown: &Shown<'_>, width: Option<usize>) -> String {
    let mut text = format!(
        "{capture}: {} packets, {} forwarded as {} copies\n",
        grouped(report.packets),
        grouped(report.forwarded_packets),
        grouped(report.copies)
    );
    if let Some(advice) = shown.advice {
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
    section("Entries at the end", &entries(report), &["octets", "wrong interface", "packets"], more);
    let more = report.flows.len().saturating_sub(LISTED);
    let title = format!("Flows, in seconds from {}", utc(report.capture.first));
    section(&title, &flows(report), &["arrived", "packets"], more);
    let routable: Vec<_> = report.memberships.iter().filter(|m| !stays_on_link(m.group)).collect();
    let title = match report.memberships.len() - routable.len() {
        0 => "Memberships at the end".to_owned(),
        local => format!("Memberships at the end, without {} of link-local groups", grouped(local as u64)),
    };
    section(&title, &memberships(&routable), &[], routable.len().saturating_sub(LISTED));
    if shown.timeline {
        let events: Vec<_> = report.timeline.iter().filter(|event| !stays_on_link(event.group)).collect();
        let more = events.len().saturating_sub(LISTED);
        let local = report.timeline.len() - events.len();
        let local = match local {
            0 => String::new(),
            local => format!(", without {} events of link-local groups", grouped(local as u64)),
        };
        // Two lines, for narrow terminals.
        let title = format!("Timeline of memberships{local}\nin seconds from {}", utc(report.capture.first));
        section(&title, &timeline(report, &events), &[], more);
    }
    section("Packets not forwarded", &reasons(report), &[], 0);
    for (title, found) in
        [("Malformed", &report.malformed), ("IGMP and MLD messages without an effect", &report.ignored)]
    {
        if !found.is_empty() {
            let found: Vec<_> = found.iter().map(|(name, packets)| (*name, *packets)).collect();
            section(title, &counts(&["reason", "#packets"], found.iter()), &[], 0);
        }
    }
    if report.limits.iter().any(|(_, times)| *times > 0) {
        section("Limits that were reached", &limits(report), &[], 0);
    }
    section("Clients", &clients(report), &[], 0);
    if !report.churn.is_empty() {
        section("Churn", &churn_table(report, shown.churn), &[], 0);
    }
    section("Rates", &rates(report), &[], 0);
    text.truncate(text.trim_end().len());
    text.replace(NO_BREAK, " ")
}

fn interfaces(report: &Report) -> Table {
    let mut columns = vec!["interface", "#received", "#transmitted"];
    let has_own = report.interfaces.iter().any(|interface| interface.own > 0);
    let has_inactive = report.interfaces.iter().any(|interface| interface.inactive > 0);
    columns.extend(has_own.then_some("#own"));
    columns.extend(has_inactive.then_some("#takes no part"));
    let row = |interface: &super::report::InterfaceReport| {
        let mut row =
            vec![short(&interface.name), grouped(interface.received), grouped(interface.transmitted)];
        row.extend(has_own.then(|| grouped(interface.own)));
        row.extend(has_inactive.then(|| grouped(interface.inactive)));
        row
    };
    Table::new(&columns, report.interfaces.iter().map(row).collect())
}

fn entries(report: &Report) -> Table {
    let columns = ["source", "group", "incoming", "outgoing", "#packets", "#octets", "#wrong interface"];
    let row = |entry: &super::report::EntryReport| {
        vec![
            entry.source.to_string(),
            entry.group.to_string(),
            entry.incoming.as_deref().map_or_else(|| "no route".to_owned(), short),
            if entry.outgoing.is_empty() { "none".to_owned() } else { short_list(&entry.outgoing) },
            grouped(entry.packets),
            grouped(entry.octets),
            grouped(entry.wrong_interface),
        ]
    };
    Table::new(&columns, report.entries.iter().take(LISTED).map(row).collect())
}

fn flows(report: &Report) -> Table {
    let row = |flow: &super::report::FlowReport| {
        // No line breaks within an outcome.
        let forwarded = (flow.forwarded_packets > 0).then_some(("forwarded", flow.forwarded_packets));
        let outcomes = forwarded.into_iter().chain(flow.not_forwarded.iter().copied());
        let outcomes =
            outcomes.map(|(what, packets)| format!("{packets} {what}").replace(['_', ' '], NO_BREAK));
        vec![
            flow.source.to_string(),
            flow.group.to_string(),
            short(&flow.arrived),
            format!("{} to {}", since(report, flow.first), since(report, flow.last)),
            grouped(flow.packets),
            outcomes.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows = report.flows.iter().take(LISTED).map(row).collect();
    Table::new(&["source", "group", "arrived", "seconds", "#packets", "outcome"], rows)
}

fn timeline(report: &Report, events: &[&super::timeline::EventReport]) -> Table {
    let row = |event: &&super::timeline::EventReport| {
        let by = if event.event == "lapsed" { "last reported by" } else { "by" };
        let what = event.event;
        vec![
            since(report, event.time),
            short(&event.interface),
            event.group.to_string(),
            event.source.map_or_else(|| "any".to_owned(), |source| source.to_string()),
            event.host.map_or_else(|| what.to_owned(), |host| format!("{what} {by} {host}")),
        ]
    };
    let rows = events.iter().take(LISTED).map(row).collect();
    Table::new(&["#time", "interface", "group", "source", "event"], rows)
}

/// Returns the first names of a list, each [short], and the number of the others.
fn short_list(names: &[String]) -> String {
    let mut list: Vec<_> = names.iter().take(LISTED_IN_CELL).map(|name| short(name)).collect();
    let more = names.len().saturating_sub(LISTED_IN_CELL);
    if more > 0 {
        list.push(format!("and {} more", grouped(more as u64)));
    }
    list.join(", ")
}

/// Returns the seconds from the first packet of the capture to a time.
fn since(report: &Report, time: f64) -> String {
    format!("{:.3}", time - report.capture.first)
}

/// Returns a time as date and time of day.
fn utc(seconds: f64) -> String {
    // The days since 0000-03-01, and the year that begins in March (Howard Hinnant's civil_from_days).
    let whole = seconds as u64;
    let days = whole / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (whole / 3600 % 24, whole / 60 % 60, whole % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
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
            short(&membership.interface),
            membership.group.to_string(),
            match (membership.source, &*membership.blocked) {
                (Some(source), _) => source.to_string(),
                (None, []) => "any".to_owned(),
                (None, blocked) => {
                    let blocked: Vec<_> = blocked.iter().map(IpAddr::to_string).collect();
                    format!("any but {}", blocked.join(", "))
                }
            },
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
        vec![client.protocol.clone(), client.component.to_string(), short_list(&client.interfaces)]
    };
    Table::new(&["protocol", "#component", "interfaces"], report.clients.iter().map(row).collect())
}

fn churn_table(report: &Report, churn: &ChurnCounts) -> Table {
    let mut table = counts(&["operation", "#times"], report.churn.iter());
    let generation = grouped(churn.highest_generation().into());
    table.rows.push(vec!["highest generation of a slot".to_owned(), generation]);
    let rate = |times: u64| grouped(a_second(times, report.seconds) as u64);
    let rows = [
        ("takes and releases a second, with refused ones", churn.claims()),
        ("entries published, replaced or withdrawn a second", churn.publications()),
    ];
    table.rows.extend(rows.map(|(what, times)| vec![what.to_owned(), rate(times)]));
    table
}

fn rates(report: &Report) -> Table {
    let number = |rate: f64| grouped(rate as u64);
    let a_second = |times: u64| number(a_second(times, report.seconds));
    let traffic = &report.capture;
    let rows = vec![
        vec![
            "the capture's traffic was".to_owned(),
            number(traffic.packets_per_second),
            number(traffic.bits_per_second),
        ],
        vec![
            "mgm forwarded this at".to_owned(),
            a_second(report.packets),
            a_second(report.octets.saturating_mul(8)),
        ],
    ];
    Table::new(&["rate", "#packets a second", "#bits a second"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_lists_a_limited_number_of_names() {
        let names = |count: usize| -> Vec<_> { (0..count).map(|n| format!("v{n}")).collect() };
        assert_eq!(short_list(&names(2)), "v0, v1");
        assert!(short_list(&names(32)).ends_with(", v30, v31"));
        assert!(short_list(&names(2_000)).ends_with(", v31, and 1 968 more"));
        assert_eq!(short_list(&["x".repeat(65_000)]).chars().count(), 32);
    }

    #[test]
    fn seconds_become_dates() {
        assert_eq!(utc(0.0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399.9), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400.0), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_700_000_000.0), "2023-11-14 22:13:20 UTC");
        assert_eq!(utc(18_446_744_073.0), "2554-07-21 23:34:33 UTC");
    }
}
