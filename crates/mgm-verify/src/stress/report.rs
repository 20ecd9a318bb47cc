//! The report of a stress run: JSON, tables, a page with plots.

use crate::history::{Call, Event};
use crate::report::{Axis, Chart, Page, Provenance, Sample, Samples, Series, Table, grouped, short};
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::time::Duration;

/// The report. Its fields are printed in this order.
#[derive(Serialize)]
pub struct StressReport {
    /// The length of the run.
    pub seconds: f64,
    #[serde(serialize_with = "by_name")]
    operations: Vec<Histogram<u64>>,
    /// The number of windows that were checked.
    pub windows_checked: u64,
    /// The number of windows that are not linearizable.
    pub violations: u64,
    /// The alerts that clients found wrong.
    pub faults: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The number of removed objects that waited for readers at the end.
    pub garbage_pending: usize,
    /// How many calls overlapped a call of another thread.
    overlapping: u64,
    #[serde(skip)]
    progress: Samples<Progress>,
}

/// The counts at one instant.
#[derive(Clone, Copy, Debug)]
struct Progress {
    seconds: f64,
    operations: u64,
    windows: u64,
}

impl Sample for Progress {
    // Counts only grow, so the later sample holds the earlier one.
    fn merge(&mut self, _: &Self) {}
}

#[derive(Serialize)]
struct Latencies {
    count: u64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    max_ns: u64,
}

impl Latencies {
    fn of(histogram: &Histogram<u64>) -> Latencies {
        Latencies {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        }
    }
}

fn by_name<S: Serializer>(operations: &[Histogram<u64>], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(operations.len()))?;
    for (name, histogram) in Call::KINDS.iter().zip(operations) {
        map.serialize_entry(name, &Latencies::of(histogram))?;
    }
    map.end()
}

const COLUMNS: [&str; 6] = ["call", "#count", "#p50 ns", "#p99 ns", "#p99.9 ns", "#max ns"];

impl StressReport {
    /// Returns an empty report for a run of this expected length.
    pub(super) fn new(seed: u64, length: Duration) -> StressReport {
        // Three significant digits, up to an hour.
        let histogram = || {
            Histogram::new_with_max(3_600_000_000_000, 3).expect("1 to 5 digits and a maximum of at least 2")
        };
        StressReport {
            seconds: 0.0,
            operations: Call::KINDS.iter().map(|_| histogram()).collect(),
            windows_checked: 0,
            violations: 0,
            faults: Vec::new(),
            seed,
            garbage_pending: 0,
            overlapping: 0,
            progress: Samples::for_run(length),
        }
    }

    /// Takes a sample if one is due.
    pub(super) fn sample(&mut self, elapsed: Duration) {
        if self.progress.wait(elapsed).is_zero() {
            let (operations, windows) = (self.total(), self.windows_checked);
            self.progress.push(elapsed, Progress { seconds: elapsed.as_secs_f64(), operations, windows });
        }
    }

    /// Counts the calls of a window.
    pub(super) fn count(&mut self, events: &[Event]) {
        for event in events {
            self.operations[event.call.kind()].saturating_record(event.ended - event.began);
            self.overlapping += u64::from(events.iter().any(|other| event.overlaps(other)));
        }
    }

    /// Returns the number of calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.operations.iter().map(Histogram::len).sum()
    }

    /// Returns the report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }

    /// Returns the kinds of calls that were made.
    fn made(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        Call::KINDS.iter().copied().zip(&self.operations).filter(|(_, histogram)| !histogram.is_empty())
    }

    /// Returns the latencies of each kind of call.
    #[must_use]
    pub fn latencies(&self) -> Table {
        let row = |(name, histogram): (&str, &Histogram<u64>)| {
            let Latencies { count, p50_ns, p99_ns, p999_ns, max_ns } = Latencies::of(histogram);
            let numbers = [count, p50_ns, p99_ns, p999_ns, max_ns].map(grouped);
            std::iter::once(name.to_owned()).chain(numbers).collect()
        };
        Table::new(&COLUMNS, self.made().map(row).collect())
    }

    /// Returns the counts in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let total = self.total();
        format!(
            "{} operations in {:.1} s, {:.0} % of them overlapping; {} windows checked, {} violations; seed {}; {} removed \
             objects wait for readers",
            grouped(total),
            self.seconds,
            self.overlapping as f64 * 100.0 / total.max(1) as f64,
            grouped(self.windows_checked),
            self.violations,
            self.seed,
            self.garbage_pending,
        )
    }

    /// Returns a page with plots. `violation` is the timeline of a window that is not linearizable.
    ///
    /// # Errors
    /// If a plot cannot be drawn.
    pub fn page(
        &self,
        command: &str,
        provenance: &Provenance,
        violation: Option<&str>,
    ) -> anyhow::Result<Page> {
        let mut page = Page::new("mgm stress");
        let (good, verdict) = match (violation, self.windows_checked) {
            (Some(_), _) => (false, "A window is not linearizable.".to_owned()),
            (None, 0) => (true, "Nothing was checked: calls were only timed.".to_owned()),
            (None, windows) => (true, format!("All {} windows are linearizable.", grouped(windows))),
        };
        page.verdict(good, &verdict);
        page.command(command, provenance);
        page.paragraph(&format!("{}.", self.summary()));
        page.paragraph(
            "A window is a short piece of the run, a few calls of each thread, between two moments at which no call was under \
             way. It is linearizable if some order of its calls explains every answer and every callback, one call after the \
             other, and no call comes before one that had returned before it began.",
        );
        if let Some(violation) = violation {
            page.heading("The window");
            page.lines(violation);
        }
        page.heading("Over time");
        let over_time = |title, axis, value: fn(&Progress) -> u64| Chart {
            title,
            x: Axis::seconds(),
            y: Axis::from_zero(axis, short),
            series: vec![Series { name: "", points: self.rates(value) }],
        };
        page.charts(&[
            over_time("Operations a second", "operations a second", |progress| progress.operations),
            over_time("Windows checked a second", "windows a second", |progress| progress.windows),
        ])?;
        page.heading("Latencies");
        page.table(&self.latencies());
        page.paragraph(
            "Each plot below shows, for one kind of call, the share of calls that took longer than the time on the horizontal \
             axis. The line crosses 1 % at the 99th percentile. Both axes are logarithmic and the same in all plots.",
        );
        page.charts(&self.distributions())?;
        Ok(page)
    }

    /// Returns the increase a second between neighbouring samples.
    fn rates(&self, value: fn(&Progress) -> u64) -> Vec<(f64, f64)> {
        let pairs = self.progress.all().windows(2).filter(|pair| pair[1].seconds > pair[0].seconds);
        let rate = |pair: &[Progress]| {
            let done = value(&pair[1]).saturating_sub(value(&pair[0])) as f64;
            (pair[1].seconds, done / (pair[1].seconds - pair[0].seconds))
        };
        pairs.map(rate).collect()
    }

    /// Returns one plot for each kind of call: the share of longer calls over the time, both as decimal logarithms.
    fn distributions(&self) -> Vec<Chart<'static>> {
        let over_all = |value: fn(&Histogram<u64>) -> u64, pick: fn(f64, f64) -> f64| {
            self.made()
                .map(|(_, histogram)| (value(histogram).max(1) as f64).log10())
                .reduce(pick)
                .unwrap_or(1.0)
        };
        let x = Axis::between(
            "duration of a call",
            over_all(Histogram::min, f64::min).floor(),
            over_all(Histogram::max, f64::max).ceil(),
            |power| nanoseconds(10_f64.powf(power)),
        );
        let least = -over_all(Histogram::len, f64::max).ceil();
        let y = Axis::between("share of calls", least, 0.0, |power| percent(10_f64.powf(power)));
        let chart = |(title, histogram)| Chart {
            title,
            x,
            y,
            series: vec![Series { name: "", points: longer(histogram) }],
        };
        self.made().map(chart).collect()
    }
}

/// Returns the share of values above each value, with a fixed number of points in each decade.
fn longer(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    const POINTS_IN_DECADE: f64 = 40.0;
    let all = histogram.len() as f64;
    let (mut seen, mut points) = (0, Vec::new());
    let mut before = f64::NEG_INFINITY;
    for step in histogram.iter_recorded() {
        let value = (step.value_iterated_to().max(1) as f64).log10();
        let (share, last) = (1.0 - seen as f64 / all, seen + step.count_at_value() == histogram.len());
        seen += step.count_at_value();
        // Counts values that are not shorter, so that the longest value is a point as well.
        if last || value - before >= 1.0 / POINTS_IN_DECADE {
            points.push((value, share.max(1.0 / all).log10()));
            before = value;
        }
    }
    points
}

fn nanoseconds(number: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (unit, name) = units.iter().find(|(unit, _)| number >= unit * 0.999).unwrap_or(&(1.0, "ns"));
    format!("{} {name}", short(number / unit))
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let places = (-percent.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{percent:.places$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_longer_calls_falls_from_all_to_one() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        (1..=10_000).for_each(|value| histogram.record(value).unwrap());
        let points = longer(&histogram);
        assert!(points.is_sorted_by_key(|(value, _)| *value) && points.is_sorted_by(|a, b| a.1 >= b.1));
        assert_eq!(points[0], (0.0, 0.0));
        assert!((points.last().unwrap().1 + 4.0).abs() < 0.8, "{points:?}");
        // Nine tenths take longer than 1000 ns.
        let (_, share) = points.iter().find(|(value, _)| *value >= 3.0).unwrap();
        assert!((10_f64.powf(*share) - 0.9).abs() < 0.01, "{share}");
    }

    #[test]
    fn labels_have_units() {
        let times = [30.0, 1000.0, 1e5, 1e7, 1e9].map(nanoseconds);
        assert_eq!(times, ["30 ns", "1 µs", "100 µs", "10 ms", "1 s"]);
        assert_eq!([1.0, 0.1, 0.01, 0.001, 1e-6].map(percent), ["100 %", "10 %", "1 %", "0.1 %", "0.0001 %"]);
    }
}
