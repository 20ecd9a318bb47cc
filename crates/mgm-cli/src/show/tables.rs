//! The lists of a router as tables, which stay readable at 80 columns.

use crate::control::protocol::{Answer, ClientRow, CounterRow, EntryRow, EventRow, GroupRow, InterfaceRow};
use crate::terminal::plain::plain;
use crate::terminal::table::render;
use mgm_verify::report::{Table, grouped};

/// What stands for a thing that there is none of.
const NONE: &str = "-";

/// Returns an answer as text.
pub(crate) fn all(answer: &Answer, width: Option<usize>) -> String {
    match answer {
        Answer::Clients(page) => clients(&page.rows, width),
        Answer::Interfaces(page) => interfaces(&page.rows, width),
        Answer::Groups(page) => groups(&page.rows, width),
        Answer::Entries(page) => entries(&page.rows, width),
        Answer::Counters(page) => counters(&page.rows, width),
        Answer::Events(_) => event_lines(answer),
        Answer::Changed(lines) => lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n"),
    }
}

fn titled(title: &str, count: usize, table: &Table, width: Option<usize>, spare: &[&str]) -> String {
    let count = grouped(count as u64);
    format!("{title}: {count}\n{}", render(table, width, spare))
}

fn clients(rows: &[ClientRow], width: Option<usize>) -> String {
    let cells = rows.iter().map(|row| {
        let number = |number: u64| grouped(number);
        vec![
            row.name.clone(),
            row.protocol.clone(),
            number(row.component.into()),
            or_none(&row.interfaces.join(", ")),
            number(row.memberships),
        ]
    });
    let columns = ["client", "protocol", "#component", "interfaces", "#memberships"];
    titled("Clients", rows.len(), &Table::new(&columns, cells.collect()), width, &["component"])
}

fn interfaces(rows: &[InterfaceRow], width: Option<usize>) -> String {
    let cells = rows.iter().map(|row| {
        let optional = |text: &Option<String>| or_none(text.as_deref().unwrap_or_default());
        vec![
            row.name.clone(),
            row.family.clone(),
            row.state.clone(),
            row.index.map_or_else(|| NONE.to_owned(), |index| index.to_string()),
            row.threshold.to_string(),
            optional(&row.routing),
            optional(&row.gmp),
            optional(&row.querier),
            grouped(row.received),
            grouped(row.transmitted),
        ]
    });
    let columns = [
        "interface",
        "family",
        "state",
        "#index",
        "#threshold",
        "routing",
        "IGMP or MLD",
        "querier",
        "#received",
        "#sent",
    ];
    let table = Table::new(&columns, cells.collect());
    let spare = ["index", "threshold", "querier"];
    let mut text = titled("Interfaces", rows.len(), &table, width, &spare);
    for row in rows {
        for refused in &row.refused {
            text += &format!("\n{} ({}): {}", plain(&row.name), plain(&row.family), plain(refused));
        }
    }
    text
}

fn groups(rows: &[GroupRow], width: Option<usize>) -> String {
    let address =
        |address: Option<std::net::IpAddr>| address.map_or_else(|| "*".to_owned(), |a| a.to_string());
    let cells = rows
        .iter()
        .map(|row| vec![address(row.group), address(row.source), row.interface.clone(), row.by.clone()]);
    let columns = ["group", "source", "interface", "by"];
    titled("Groups with receivers", rows.len(), &Table::new(&columns, cells.collect()), width, &["by"])
}

fn entries(rows: &[EntryRow], width: Option<usize>) -> String {
    let cells = rows.iter().map(|row| {
        vec![
            row.source.to_string(),
            row.group.to_string(),
            or_none(row.incoming.as_deref().unwrap_or_default()),
            or_none(&row.outgoing.join(", ")),
            grouped(row.packets),
            grouped(row.octets),
            grouped(row.wrong_interface),
        ]
    });
    let columns = ["source", "group", "incoming", "outgoing", "#packets", "#octets", "#wrong interface"];
    let table = Table::new(&columns, cells.collect());
    titled("Entries", rows.len(), &table, width, &["wrong interface", "octets"])
}

fn counters(rows: &[CounterRow], width: Option<usize>) -> String {
    // Zeros only hide what has happened; --json has them.
    let counted = rows.iter().filter(|row| row.count > 0);
    let cells: Vec<_> =
        counted.map(|row| vec![row.of.clone(), row.name.clone(), grouped(row.count)]).collect();
    let zeros = rows.len() - cells.len();
    let table = Table::new(&["of", "counter", "#count"], cells);
    format!(
        "{}\n{} more are zero.",
        titled("Counters", table.rows.len(), &table, width, &[]),
        grouped(zeros as u64)
    )
}

/// Returns events as lines: the time of the day in UTC, the subject, what happened.
pub(crate) fn event_lines(answer: &Answer) -> String {
    let Answer::Events(page) = answer else { return String::new() };
    let line = |row: &EventRow| {
        let seconds = row.time % 86_400;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let text = format!("{hours:02}:{minutes:02}:{seconds:02}Z {}: {}", row.subject, row.event);
        plain(&text).into_owned()
    };
    page.rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn or_none(text: &str) -> String {
    if text.is_empty() { NONE.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::Page;

    fn page<T>(rows: Vec<T>) -> Page<T> {
        Page { rows, next: None }
    }

    fn longest_line(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
    }

    #[test]
    fn every_list_fits_80_columns_with_ipv4() {
        let interface = InterfaceRow {
            name: "enp0s31f6".to_owned(),
            family: "IPv4".to_owned(),
            index: Some(12),
            state: "up".to_owned(),
            threshold: 1,
            routing: Some("static.cameras".to_owned()),
            gmp: Some("gmp.lan".to_owned()),
            querier: Some("this router".to_owned()),
            received: 123_456,
            transmitted: 99,
            refused: Vec::new(),
        };
        let entry = EntryRow {
            source: "203.113.113.250".parse().unwrap(),
            group: "239.255.255.250".parse().unwrap(),
            incoming: Some("enp0s31f6".to_owned()),
            outgoing: vec!["enp0s31f7".to_owned(), "enp0s31f8".to_owned()],
            packets: 1_234_567,
            octets: 1_234_567_890,
            wrong_interface: 3,
        };
        for answer in [Answer::Interfaces(page(vec![interface])), Answer::Entries(page(vec![entry]))] {
            let text = all(&answer, Some(80));
            assert!(longest_line(&text) <= 80, "{text}");
        }
    }

    #[test]
    fn a_refused_protocol_is_shown_with_the_owner() {
        let row = InterfaceRow {
            name: "eth0".to_owned(),
            family: "IPv4".to_owned(),
            refused: vec!["static.b: static.a owns it".to_owned()],
            ..InterfaceRow::default()
        };
        let text = all(&Answer::Interfaces(page(vec![row])), Some(80));
        assert!(text.ends_with("eth0 (IPv4): static.b: static.a owns it"), "{text}");
    }

    #[test]
    fn counters_leave_zeros_out_and_events_are_lines() {
        let counter =
            |name: &str, count| CounterRow { of: "manager".to_owned(), name: name.to_owned(), count };
        let text = all(&Answer::Counters(page(vec![counter("seen", 5), counter("unseen", 0)])), None);
        assert!(
            text.contains("seen") && !text.contains("unseen") && text.ends_with("1 more are zero."),
            "{text}"
        );
        let event = EventRow {
            number: 1,
            time: 86_400 + 3_723,
            subject: "eth0".to_owned(),
            event: "up\x1b".to_owned(),
        };
        assert_eq!(all(&Answer::Events(page(vec![event])), None), "01:02:03Z eth0: up\\u{1b}");
    }
}
