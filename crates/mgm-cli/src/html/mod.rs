//! A report as one HTML file that needs nothing else: no network, no script, plots drawn in it as SVG.

mod chart;

pub(crate) use chart::{Axis, Chart, Line, short};

use anyhow::{Context, bail};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const STYLE: &str = "
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #dde3e9; --good: #1a7f4b; --bad: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 72rem; color: var(--ink); background: #fff;
       font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
.verdict { padding: .6rem .9rem; border-left: .35rem solid; border-radius: .25rem; font-weight: 600; }
.good { color: var(--good); } .verdict.good { background: #eef8f2; }
.bad { color: var(--bad); } .verdict.bad { background: #fdf0ef; }
.soft { color: var(--soft); font-size: .9rem; }
code { font: .85rem/1.5 ui-monospace, Menlo, Consolas, 'Liberation Mono', monospace; overflow-wrap: anywhere; background: #f4f6f8;
       padding: .1rem .3rem; border-radius: .25rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.charts { display: grid; gap: 1rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; } figcaption { font-weight: 600; font-size: .95rem; }
svg { display: block; width: 100%; height: auto; }
pre { overflow-x: auto; font-size: .8rem; background: #f4f6f8; padding: .75rem; border-radius: .25rem; }
";

/// A report in the making: what is added comes one below the other.
pub(crate) struct Page {
    title: String,
    parts: Vec<Markup>,
}

impl Page {
    pub(crate) fn new(title: impl Into<String>) -> Page {
        Page { title: title.into(), parts: Vec::new() }
    }

    /// How it ended, in a sentence.
    pub(crate) fn verdict(&mut self, good: bool, sentence: &str) {
        let class = if good { "verdict good" } else { "verdict bad" };
        self.parts.push(html! { p class=(class) { (sentence) } });
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.parts.push(html! { h2 { (text) } });
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        self.parts.push(html! { p class="soft" { (text) } });
    }

    /// The command that made it.
    pub(crate) fn command(&mut self, command: &str) {
        self.parts.push(html! { p { code { (command) } } });
    }

    /// Text as it stands, line by line.
    pub(crate) fn lines(&mut self, text: &str) {
        self.parts.push(html! { pre { (text) } });
    }

    /// A table whose columns are named; those whose name begins with `#` hold numbers. Without names, no head.
    pub(crate) fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        let class = |at: usize| columns.get(at).is_some_and(|c| c.starts_with('#')).then_some("number");
        let named = columns.iter().any(|column| !column.trim_start_matches('#').is_empty());
        self.parts.push(html! {
            div class="scroll" { table {
                @if named { thead { tr {
                    @for (at, column) in columns.iter().enumerate() {
                        th class=[class(at)] { (column.trim_start_matches('#')) }
                    }
                } } }
                tbody { @for row in rows { tr {
                    @for (at, cell) in row.iter().enumerate() { td class=[class(at)] { (cell) } }
                } } }
            } }
        });
    }

    /// Plots, beside each other where there is room.
    pub(crate) fn charts(&mut self, charts: &[Chart<'_>]) -> anyhow::Result<()> {
        let drawn: Vec<_> =
            charts.iter().map(|chart| Ok((chart.title, chart.svg()?))).collect::<anyhow::Result<_>>()?;
        self.parts.push(html! {
            div class="charts" { @for (title, svg) in &drawn {
                figure { figcaption { (title) } (PreEscaped(svg)) }
            } }
        });
        Ok(())
    }

    pub(crate) fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    @for part in &self.parts { (part) }
                }
            }
        };
        page.into_string()
    }
}

/// The file a report goes to. It is opened before a long run begins, and left as it is until the run is over.
pub(crate) struct Destination {
    file: File,
    path: PathBuf,
}

impl Destination {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Destination> {
        let name = || format!("the report {} cannot be written", path.display());
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(path).with_context(name)?;
        if !file.metadata().with_context(name)?.is_file() {
            bail!("{}: it is no regular file", name());
        }
        Ok(Destination { file, path: path.to_owned() })
    }

    pub(crate) fn write(mut self, page: &Page) -> anyhow::Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all(page.render().as_bytes()))
            .with_context(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_not_taken_for_markup() {
        let mut page = Page::new("a < b");
        page.table(&["name", "#count"], &[vec!["<script>".to_owned(), "1".to_owned()]]);
        page.lines("x & y");
        let text = page.render();
        assert!(
            text.contains("<h1>a &lt; b</h1>")
                && text.contains("&lt;script&gt;")
                && text.contains("x &amp; y")
        );
        assert!(!text.contains("<script"));
    }

    #[test]
    fn a_report_needs_nothing_else() {
        let mut page = Page::new("plots");
        let line =
            Line { name: "one", points: (0..100).map(|at| (f64::from(at), f64::from(at * at))).collect() };
        let chart =
            Chart { title: "a plot", x: Axis::seconds(), y: Axis::from_zero(short), lines: vec![line] };
        page.charts(&[chart]).unwrap();
        let text = page.render();
        assert!(text.contains("<polyline") || text.contains("<polygon"), "{text}");
        let foreign = ["http://", "https://", "src=", "@import", "url("];
        let without_namespace = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(foreign.iter().all(|thing| !without_namespace.contains(thing)), "{text}");
    }
}
