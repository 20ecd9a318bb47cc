//! Tables for the terminal. A line breaks between words only, so an address is never broken.
//!
//! A table that is too wide first wraps its texts and titles. It then leaves out columns that its caller can spare. If it
//! is still too wide, its lines are longer than the terminal's.

use super::plain::plain;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width};
use mgm_verify::report::Table;
use std::io::{IsTerminal, stdout};

/// The width of a cell's border and padding.
const BORDER: usize = 3;

/// Returns the width that tables have to fit: COLUMNS if it is set, or else the width of the terminal on standard output.
pub(crate) fn terminal_width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let width = columns.or_else(|| {
        let size = || comfy_table::Table::new().width().map(usize::from);
        stdout().is_terminal().then(size).flatten()
    });
    // A pseudo-terminal without a size reports 0.
    width.filter(|width| *width > 0)
}

/// Renders a table, with all cells [plain]. `spare` names columns to leave out if the table is too wide, the first one first.
pub(crate) fn render(table: &Table, width: Option<usize>, spare: &[&str]) -> String {
    let rows = table.rows.iter().map(|row| row.iter().map(|cell| plain(cell).into_owned()).collect());
    let table = &Table { columns: table.columns.clone(), rows: rows.collect() };
    let mut columns: Vec<usize> = (0..table.columns.len()).collect();
    let mut left_out = Vec::new();
    let mut spare = spare.iter();
    let widths = loop {
        let room = width.map(|width| width.saturating_sub(BORDER * columns.len() + 1));
        if let Some(widths) = fit(table, &columns, room) {
            break widths;
        }
        match spare.next() {
            Some(name) => {
                columns.retain(|column| title(table, *column) != *name);
                left_out.push(*name);
            }
            None => break columns.iter().map(|column| min_width(table, *column)).collect(),
        }
    };
    let mut text = draw(table, &columns, &widths);
    if !left_out.is_empty() {
        let width = width.unwrap_or_default();
        text += &format!("\nLeft out at {width} columns: {}; --json has all.", left_out.join(", "));
    }
    text
}

/// Returns the widths of columns that fit into the room, or nothing if not even their words do.
fn fit(table: &Table, columns: &[usize], room: Option<usize>) -> Option<Vec<usize>> {
    let full: Vec<usize> = columns.iter().map(|column| full_width(table, *column)).collect();
    let Some(room) = room else { return Some(full) };
    if full.iter().sum::<usize>() <= room {
        return Some(full);
    }
    let mut widths: Vec<usize> = columns.iter().map(|column| min_width(table, *column)).collect();
    let mut rest = room.checked_sub(widths.iter().sum())?;
    for (width, full) in widths.iter_mut().zip(full) {
        let more = rest.min(full - *width);
        *width += more;
        rest -= more;
    }
    Some(widths)
}

fn title(table: &Table, column: usize) -> &'static str {
    table.columns[column].trim_start_matches('#')
}

fn cells(table: &Table, column: usize) -> impl Iterator<Item = &str> {
    table.rows.iter().filter_map(move |row| row.get(column)).map(String::as_str)
}

fn full_width(table: &Table, column: usize) -> usize {
    cells(table, column).chain([title(table, column)]).map(length).max().unwrap_or(0)
}

/// Returns the width of the longest word. A number is one word, although its digits are in groups.
fn min_width(table: &Table, column: usize) -> usize {
    let longest_word = |text: &str| text.split(' ').map(length).max().unwrap_or(0);
    let cell = |text: &str| if table.is_number(column) { length(text) } else { longest_word(text) };
    cells(table, column).map(cell).chain([longest_word(title(table, column))]).max().unwrap_or(0)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn draw(table: &Table, columns: &[usize], widths: &[usize]) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    drawn.set_width(
        u16::try_from(widths.iter().sum::<usize>() + BORDER * widths.len() + 1).unwrap_or(u16::MAX),
    );
    let head = columns.iter().map(|column| Cell::new(title(table, *column)).add_attribute(Attribute::Bold));
    drawn.set_header(head);
    for row in &table.rows {
        drawn.add_row(columns.iter().map(|column| row.get(*column).map_or("", String::as_str)));
    }
    for ((at, column), width) in columns.iter().enumerate().zip(widths) {
        let Some(drawn) = drawn.column_mut(at) else { continue };
        if table.is_number(*column) {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
        // The padding counts.
        let width = u16::try_from(width + 2).unwrap_or(u16::MAX);
        drawn.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    drawn.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [&str; 2] = ["fd77:1234:5678:9abc:def0:1234:5678:9abc", "ff3e:30:fd77:1234::8077:3"];

    fn entries() -> Table {
        let row = [ADDRESSES[0], ADDRESSES[1], "studio", "office, lab, uplink", "1 234 567", "12 345 678"];
        let columns = ["source", "group", "incoming", "outgoing", "#packets", "#octets"];
        Table::new(&columns, vec![row.map(str::to_owned).to_vec()])
    }

    #[test]
    fn no_width_breaks_an_address_or_a_number() {
        for width in 1..200 {
            let text = render(&entries(), Some(width), &["octets"]);
            assert!(ADDRESSES.iter().all(|address| text.contains(address)), "{width}:\n{text}");
            assert!(text.contains("1 234 567"), "{width}:\n{text}");
            assert!(["office,", "lab,", "uplink"].iter().all(|name| text.contains(name)), "{width}:\n{text}");
            let longest = text.lines().map(length).max().unwrap();
            assert!(longest <= width.max(110), "{width}: {longest}\n{text}");
        }
    }

    #[test]
    fn a_narrow_table_leaves_out_columns_and_names_them() {
        let wide = render(&entries(), Some(150), &["octets"]);
        assert!(wide.contains("12 345 678") && !wide.contains("Left out"), "{wide}");
        let narrow = render(&entries(), Some(80), &["octets"]);
        assert!(!narrow.contains("12 345 678"), "{narrow}");
        assert!(narrow.ends_with("Left out at 80 columns: octets; --json has all."), "{narrow}");
    }

    #[test]
    fn without_a_terminal_nothing_wraps() {
        let text = render(&entries(), None, &["octets"]);
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("office, lab, uplink") && text.contains("12 345 678"), "{text}");
    }
}
