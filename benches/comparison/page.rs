//! The table of figures, for the terminal and for BENCHMARKS.md. The hand-written part of the page is left as it is.

use super::results::{Measured, Reached, Report, number};
use anyhow::{Context, Result, bail};
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- figures: written by benches/report -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Formats the table: a line for each target, and one for each row without targets.
pub(crate) fn table(report: &Report, terminal: bool) -> String {
    let mut table = Table::new();
    if terminal {
        table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_preset(ASCII_MARKDOWN);
    }
    table.set_header(["work", "contestant", "figure", "beside", "figure", "ratio", "to reach", ""]);
    for column in [2, 4, 5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &report.rows {
        let mut title = row.title.as_str();
        for target in &row.targets {
            table.add_row(line(row, title, target));
            // The title is printed in the first line of the row only.
            title = "";
        }
        if let ([], Some(first)) = (row.targets.as_slice(), row.figures.first()) {
            let figure = with_unit(first.median, row.unit);
            table.add_row([title, first.name, &figure, "", "", "", "", ""]);
        }
    }
    table.to_string() + "\n"
}

fn line(row: &Measured, title: &str, target: &Reached) -> [String; 8] {
    let (beside, theirs, ratio, to_reach) = match target.than {
        Some(than) => (
            than,
            with_unit(row.figure(than), row.unit),
            format!("{} ×", number(target.value)),
            format!("≤ {} ×", number(target.most)),
        ),
        None => ("", String::new(), String::new(), format!("≤ {}", with_unit(target.most, row.unit))),
    };
    [
        title.into(),
        target.of.into(),
        with_unit(row.figure(target.of), row.unit),
        beside.into(),
        theirs,
        ratio,
        to_reach,
        if target.met { "met" } else { "missed" }.into(),
    ]
}

fn with_unit(value: f64, unit: &str) -> String {
    format!("{} {unit}", number(value))
}

/// Writes the figures between the marks of the page. `folder` contains the plots and `missed.toml`, the reasons for
/// missed targets.
pub(crate) fn write(report: &Report, page: &Path, folder: &Path) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let Some(((before, rest), begin)) = text.split_once(BEGIN).map(|parts| (parts, BEGIN)) else {
        bail!("{} has no line {BEGIN:?}: restore it; the figures are written below it", page.display());
    };
    let Some((_, after)) = rest.split_once(END) else {
        bail!("{} has no line {END:?}: restore it; the figures end above it", page.display());
    };
    let figures = figures(report, &explanations(&folder.join("missed.toml"))?);
    std::fs::write(page, format!("{before}{begin}{figures}{END}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))
}

/// Reads the reasons for missed targets, by the id of the row.
fn explanations(file: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

fn figures(report: &Report, explanations: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let versions = machine.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let _ = write!(
        text,
        "\nOn {}: {}, {} cores, load {} when it began; {}; commit {}. Peers: {}.\n\n{}.\n\n{}",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.load,
        machine.rustc,
        machine.commit,
        versions.collect::<Vec<_>>().join(", "),
        report.summary(),
        table(report, false),
    );
    text += "\n### Targets that were missed\n\n";
    let missed = |row: &&Measured| row.targets.iter().any(|target| !target.met);
    if !report.rows.iter().any(|row| missed(&row)) {
        text += "None.\n";
    }
    for row in report.rows.iter().filter(missed) {
        let why = explanations.get(&row.id).map_or("not explained yet.", |why| why.trim());
        let _ = writeln!(text, "- **{}** (`{}`): {why}", row.title, row.id);
    }
    text += "\n### All figures\n\nThe median of the rounds; in brackets, the first and the third quartile.\n";
    let mut line = "";
    for row in &report.rows {
        if row.line() != line {
            line = row.line();
            let _ = write!(text, "\n![{}](docs/benchmarks/{line}.svg)\n\n", row.title);
        }
        let _ = writeln!(text, "- {}: {}", row.title, all_figures(row));
    }
    text + "\n"
}

fn all_figures(row: &Measured) -> String {
    let mut all = Vec::new();
    for figure in &row.figures {
        let mut one = format!("{} {}", figure.name, with_unit(figure.median, row.unit));
        if figure.quarter < figure.three_quarters {
            let _ = write!(one, " ({} – {})", number(figure.quarter), number(figure.three_quarters));
        }
        all.push(one);
    }
    all.join("; ")
}
