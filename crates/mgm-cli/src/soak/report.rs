//! What `mgm soak` tells at its end: one JSON object, tables, a page with plots.

use super::judge::{self, Verdict};
use super::{Arguments, Sample, Soaked};
use crate::html::{Axis, Chart, Line, Page, short};
use crate::tables::{self, grouped};
use serde::Serialize;

/// In the order in which it is printed.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Whether everything holds.
    holds: bool,
    verdicts: Vec<Verdict>,
    command: String,
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
    /// Octets that memory may differ by.
    memory_bound: u64,
    cut_short: bool,
    samples: Vec<Sample>,
}

impl Report {
    pub(crate) fn new(
        arguments: &Arguments,
        soaked: Soaked,
        passes: u64,
        threads: u64,
        verdicts: Vec<Verdict>,
    ) -> Report {
        let Soaked { forwarded, samples, churned, busy, seconds, cut_short } = soaked;
        let Arguments { capture, config, seconds: wanted, churn, threads: workers, .. } = arguments;
        let config = config.as_ref().map_or_else(String::new, |file| format!(" --config {}", file.display()));
        Report {
            holds: verdicts.iter().all(|verdict| verdict.holds),
            verdicts,
            command: format!(
                "mgm soak {}{config} --seconds {wanted} --churn {churn} --threads {workers}",
                capture.display()
            ),
            seconds,
            passes,
            packets: forwarded.packets,
            forwarded_packets: forwarded.forwarded_packets,
            copies: forwarded.copies,
            churn_operations: churned.total(),
            control_calls: busy.calls,
            alerts: busy.alerts,
            highest_generation: churned.highest_generation(),
            threads,
            memory_bound: judge::memory_bound(threads),
            cut_short,
            samples,
        }
    }

    /// The first thing that does not hold.
    pub(crate) fn broken(&self) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| !verdict.holds)
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }

    /// How it ended, in a sentence.
    fn sentence(&self) -> String {
        let length = format!("{:.0} s", self.seconds);
        match self.broken() {
            None => format!("Everything holds after {length}: nothing grew, and every count is right."),
            Some(verdict) => format!("After {length} it does not hold that {}.", verdict.what),
        }
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let a_second = |number: u64| grouped((number as f64 / self.seconds.max(f64::MIN_POSITIVE)) as u64);
        let fact = |what: &str, number: u64| vec![what.to_owned(), grouped(number), a_second(number)];
        vec![
            fact("passes over the capture", self.passes),
            fact("packets", self.packets),
            fact("packets forwarded", self.forwarded_packets),
            fact("copies", self.copies),
            fact("operations of the churn", self.churn_operations),
            fact("calls of the busy control plane", self.control_calls),
            fact("alerts told to its clients", self.alerts),
            vec![
                "highest generation of a slot".to_owned(),
                grouped(self.highest_generation.into()),
                String::new(),
            ],
        ]
    }

    fn judged(&self) -> Vec<Vec<String>> {
        let row = |verdict: &Verdict| {
            let holds = if verdict.holds { "holds" } else { "BROKEN" };
            vec![verdict.what.to_owned(), holds.to_owned(), verdict.found.clone()]
        };
        self.verdicts.iter().map(row).collect()
    }

    fn notes(&self) -> Option<&'static str> {
        self.cut_short.then_some(
            "It ended before its time: the capture's time, passed again and again, came to the end of the manager's clock. \
             Take a capture of a shorter time, or a longer one of more packets.",
        )
    }

    pub(crate) fn table(&self) -> String {
        let mut facts = tables::table(&["what", "#in all", "#a second"]);
        facts.add_rows(self.facts());
        let mut judged = tables::table(&["what", "", "found"]);
        judged.add_rows(self.judged());
        let notes = self.notes().map_or_else(String::new, |note| format!("\n{note}"));
        format!("{}\n\n{facts}\n\n{judged}{notes}", self.sentence())
    }

    pub(crate) fn page(&self) -> anyhow::Result<Page> {
        let mut page = Page::new("mgm soak");
        page.verdict(self.holds, &self.sentence());
        page.command(&self.command);
        page.table(&["what", "", "found"], &self.judged());
        if let Some(note) = self.notes() {
            page.paragraph(note);
        }
        page.heading("Over time");
        let over_time = |title, value: fn(&Sample) -> f64, label| Chart {
            title,
            x: Axis::seconds(),
            y: Axis::from_zero(label),
            lines: vec![Line {
                name: "",
                points: self.samples.iter().map(|sample| (sample.seconds, value(sample))).collect(),
            }],
        };
        let rate = |title, value: fn(&Sample) -> u64| Chart {
            title,
            x: Axis::seconds(),
            y: Axis::from_zero(short),
            lines: vec![Line { name: "", points: self.rates(value) }],
        };
        page.charts(&[
            over_time("Resident memory, MiB", |sample| sample.resident as f64 / f64::from(1 << 20), short),
            over_time("Removed objects that wait for readers", |sample| sample.garbage as f64, short),
            over_time("Open descriptors", |sample| sample.descriptors as f64, short),
            rate("Packets a second", |sample| sample.packets),
            rate("Operations of the control plane a second", |sample| sample.operations),
        ])?;
        page.heading("In all");
        page.table(&["what", "#in all", "#a second"], &self.facts());
        page.paragraph(&format!(
            "{} samples. Compared are the median of the last tenth of the samples and that of the second tenth: memory may \
             differ by {} octets (128 pages for each of {} threads: what the kernel has not added up, and what the allocator \
             keeps of pages in use), garbage may be twice what it was and 2 048 objects.",
            self.samples.len(),
            grouped(self.memory_bound),
            self.threads
        ));
        Ok(page)
    }

    /// How much a second, between each sample and the next.
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
