//! The report of a soak run: JSON, tables, a page with plots.

use super::trend::{self, Finding};
use super::{Measured, Sample};
use crate::report::{Axis, Chart, Page, Provenance, Series, Table, grouped, short};
use serde::Serialize;

/// The report. Its fields are printed in this order.
#[derive(Serialize)]
pub struct SoakReport {
    /// Whether every property holds.
    pub holds: bool,
    verdicts: Vec<Finding>,
    /// The command of the run.
    pub command: String,
    seconds: f64,
    passes: u64,
    packets: u64,
    forwarded_packets: u64,
    copies: u64,
    churn_operations: u64,
    control_calls: u64,
    alerts: u64,
    highest_generation: u32,
    threads: u64,
    /// The octets that memory may grow by.
    memory_bound: u64,
    cut_short: bool,
    samples: Vec<Sample>,
}

impl SoakReport {
    pub(super) fn new(measured: Measured, passes: u64, threads: u64, findings: Vec<Finding>) -> SoakReport {
        let Measured { totals, samples, churn, load, seconds, cut_short } = measured;
        SoakReport {
            holds: findings.iter().all(|finding| finding.holds),
            verdicts: findings,
            command: String::new(),
            seconds,
            passes,
            packets: totals.packets,
            forwarded_packets: totals.forwarded_packets,
            copies: totals.copies,
            churn_operations: churn.total(),
            control_calls: load.calls,
            alerts: load.alerts,
            highest_generation: churn.highest_generation(),
            threads,
            memory_bound: trend::memory_bound(threads),
            cut_short,
            samples,
        }
    }

    /// Returns the first property that does not hold.
    #[must_use]
    pub fn broken(&self) -> Option<&Finding> {
        self.verdicts.iter().find(|finding| !finding.holds)
    }

    /// Returns the report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }

    /// Returns the result in one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let length = format!("{:.0} s", self.seconds);
        match self.broken() {
            None => format!("After {length} every property holds: nothing grew, and every count is right."),
            Some(finding) => format!("After {length} a property does not hold: {}.", finding.what),
        }
    }

    /// Returns the totals and their rates.
    #[must_use]
    pub fn totals(&self) -> Table {
        let a_second = |number: u64| grouped((number as f64 / self.seconds.max(f64::MIN_POSITIVE)) as u64);
        let row = |what: &str, number: u64| vec![what.to_owned(), grouped(number), a_second(number)];
        let generation = grouped(self.highest_generation.into());
        let rows = vec![
            row("passes over the capture", self.passes),
            row("packets", self.packets),
            row("packets forwarded", self.forwarded_packets),
            row("copies", self.copies),
            row("operations of the churn", self.churn_operations),
            row("calls of the control load", self.control_calls),
            row("alerts of its clients", self.alerts),
            vec!["highest generation of a slot".to_owned(), generation, String::new()],
        ];
        Table::new(&["what", "#total", "#a second"], rows)
    }

    /// Returns the checked properties.
    #[must_use]
    pub fn findings(&self) -> Table {
        let row = |finding: &Finding| {
            let holds = if finding.holds { "holds" } else { "BROKEN" };
            vec![finding.what.to_owned(), holds.to_owned(), finding.found.clone()]
        };
        Table::new(&["property", "result", "found"], self.verdicts.iter().map(row).collect())
    }

    /// Returns why the run ended early, if it did.
    #[must_use]
    pub fn note(&self) -> Option<&'static str> {
        self.cut_short.then_some(
            "The run ended early: many passes over the capture's time have reached the end of the manager's clock. Use a \
             capture of a shorter time or of more packets.",
        )
    }

    /// Returns a page with plots.
    ///
    /// # Errors
    /// If a plot cannot be drawn.
    pub fn page(&self, provenance: &Provenance) -> anyhow::Result<Page> {
        let mut page = Page::new("mgm soak");
        page.verdict(self.holds, &self.summary());
        page.command(&self.command, provenance);
        page.table(&self.findings());
        if let Some(note) = self.note() {
            page.paragraph(note);
        }
        page.heading("Over time");
        let over_time = |title, axis, value: fn(&Sample) -> f64| Chart {
            title,
            x: Axis::seconds(),
            y: Axis::from_zero(axis, short),
            series: vec![Series {
                name: "",
                points: self.samples.iter().map(|sample| (sample.seconds, value(sample))).collect(),
            }],
        };
        let rate = |title, axis, value: fn(&Sample) -> u64| Chart {
            title,
            x: Axis::seconds(),
            y: Axis::from_zero(axis, short),
            series: vec![Series { name: "", points: self.rates(value) }],
        };
        page.charts(&[
            over_time("Resident memory", "MiB", |sample| sample.resident as f64 / f64::from(1 << 20)),
            over_time("Removed objects that wait for readers", "objects", |sample| sample.garbage as f64),
            over_time("Open descriptors", "descriptors", |sample| sample.descriptors as f64),
            rate("Packets a second", "packets a second", |sample| sample.packets),
            rate("Operations of the control plane a second", "operations a second", |sample| {
                sample.operations
            }),
        ])?;
        page.heading("Totals");
        page.table(&self.totals());
        page.paragraph(&format!(
            "{} samples. The medians of the second and of the last tenth of the samples are compared. Memory may grow by {} \
             octets: 128 pages for each of {} threads, for what the kernel has not added up and for pages that the allocator \
             keeps. Garbage may double and grow by 2 048 objects.",
            self.samples.len(),
            grouped(self.memory_bound),
            self.threads
        ));
        Ok(page)
    }

    /// Returns the increase a second between neighbouring samples.
    fn rates(&self, value: fn(&Sample) -> u64) -> Vec<(f64, f64)> {
        self.samples
            .windows(2)
            .filter(|pair| pair[1].seconds > pair[0].seconds)
            .map(|pair| {
                let done = value(&pair[1]).saturating_sub(value(&pair[0])) as f64;
                (pair[1].seconds, done / (pair[1].seconds - pair[0].seconds))
            })
            .collect()
    }
}
