//! A report as one HTML file without external parts: no network, no script, plots drawn as SVG.

use super::{Chart, Provenance, Table};
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
code { font: .85rem/1.5 ui-monospace, Menlo, Consolas, 'Liberation Mono', monospace; background: #f4f6f8;
       padding: .1rem .3rem; border-radius: .25rem; }
.option { white-space: nowrap; }
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

/// A report under construction. Parts are added from top to bottom.
pub struct Page {
    title: String,
    parts: Vec<Markup>,
}

impl Page {
    /// Returns a page with a title.
    pub fn new(title: impl Into<String>) -> Page {
        Page { title: title.into(), parts: Vec::new() }
    }

    /// Adds the result of the run, in one sentence.
    pub fn verdict(&mut self, good: bool, sentence: &str) {
        let class = if good { "verdict good" } else { "verdict bad" };
        self.parts.push(html! { p class=(class) { (sentence) } });
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        self.parts.push(html! { h2 { (text) } });
    }

    /// Adds a paragraph of explanation.
    pub fn paragraph(&mut self, text: &str) {
        self.parts.push(html! { p class="soft" { (text) } });
    }

    /// Adds the command of the run and its provenance. A line of the command never breaks within an option.
    pub fn command(&mut self, command: &str, provenance: &Provenance) {
        let mut pieces: Vec<String> = Vec::new();
        for word in command.split_whitespace() {
            match pieces.last_mut() {
                // The value of an option stays beside it.
                Some(last) if last.starts_with('-') && !last.contains(' ') && !word.starts_with('-') => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => pieces.push(word.to_owned()),
            }
        }
        self.parts.push(html! {
            p { code { @for (at, piece) in pieces.iter().enumerate() {
                @if at > 0 { " " }
                span class="option" { (piece) }
            } } }
        });
        self.table(&provenance.table());
    }

    /// Adds preformatted lines.
    pub fn lines(&mut self, text: &str) {
        self.parts.push(html! { pre { (text) } });
    }

    /// Adds a table. It has no head if no column has a title.
    pub fn table(&mut self, table: &Table) {
        let class = |at: usize| table.is_number(at).then_some("number");
        let titled = table.titles().any(|title| !title.is_empty());
        self.parts.push(html! {
            div class="scroll" { table {
                @if titled { thead { tr {
                    @for (at, title) in table.titles().enumerate() { th class=[class(at)] { (title) } }
                } } }
                tbody { @for row in &table.rows { tr {
                    @for (at, cell) in row.iter().enumerate() { td class=[class(at)] { (cell) } }
                } } }
            } }
        });
    }

    /// Adds plots, side by side where there is room.
    ///
    /// # Errors
    /// If a plot cannot be drawn.
    pub fn charts(&mut self, charts: &[Chart<'_>]) -> anyhow::Result<()> {
        let drawn: Vec<_> =
            charts.iter().map(|chart| Ok((chart.title, chart.svg()?))).collect::<anyhow::Result<_>>()?;
        self.parts.push(html! {
            div class="charts" { @for (title, svg) in &drawn {
                figure { figcaption { (title) } (PreEscaped(svg)) }
            } }
        });
        Ok(())
    }

    /// Returns the page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
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

/// The file of a report. It is opened before a long run and stays unchanged until the run is over.
pub struct Destination {
    file: File,
    path: PathBuf,
}

impl Destination {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// If it cannot be opened for writing or is no regular file.
    pub fn open(path: &Path) -> anyhow::Result<Destination> {
        let context = || format!("--report {}: it cannot be written", path.display());
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(path).with_context(context)?;
        if !file.metadata().with_context(context)?.is_file() {
            bail!("--report {}: it is no regular file", path.display());
        }
        Ok(Destination { file, path: path.to_owned() })
    }

    /// Replaces the content of the file by the page.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(mut self, page: &Page) -> anyhow::Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all(page.render().as_bytes()))
            .with_context(|| format!("{}: it cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Series, short};
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut page = Page::new("a < b");
        page.table(&Table::new(&["name", "#count"], vec![vec!["<script>".to_owned(), "1".to_owned()]]));
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
    fn a_command_does_not_break_within_an_option() {
        let mut page = Page::new("command");
        page.command("mgm soak a.pcap --seconds 2 --json --churn 1", &Provenance::now("0.0.0"));
        let text = page.render();
        for piece in ["mgm", "a.pcap", "--seconds 2", "--json", "--churn 1"] {
            assert!(text.contains(&format!("<span class=\"option\">{piece}</span>")), "{piece}: {text}");
        }
        for fact in ["started", "version", "host", "processors", "UTC", "mgm 0.0.0"] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
    }

    #[test]
    fn a_page_has_no_external_parts() {
        let mut page = Page::new("plots");
        let points = (0..100).map(|at| (f64::from(at), f64::from(at * at))).collect();
        let chart = Chart {
            title: "a plot",
            x: Axis::seconds(),
            y: Axis::from_zero("squares", short),
            series: vec![Series { name: "one", points }],
        };
        page.charts(&[chart]).unwrap();
        let text = page.render();
        assert!(text.contains("<polyline") || text.contains("<polygon"), "{text}");
        assert!(
            text.contains("squares") && text.contains("time since the start"),
            "axes have titles: {text}"
        );
        let foreign = ["http://", "https://", "src=", "@import", "url("];
        let without_namespace = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(foreign.iter().all(|thing| !without_namespace.contains(thing)), "{text}");
    }
}
