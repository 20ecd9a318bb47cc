//! What `mgm stress` tells at its end.

use super::calls::Call;
use super::check::Event;
use crate::html::{Axis, Chart, Line, Page, short};
use crate::samples::{Sample, Samples};
use crate::tables;
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::time::Duration;

/// In the order in which it is printed.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    #[serde(serialize_with = "by_name")]
    operations: Vec<Histogram<u64>>,
    pub(crate) windows_checked: u64,
    pub(crate) violations: u64,
    pub(crate) seed: u64,
    pub(crate) garbage_pending: usize,
    /// How many calls overlapped one of another thread.
    overlapping: u64,
    #[serde(skip)]
    progress: Samples<Progress>,
}

/// How far it had come by some time.
#[derive(Clone, Copy)]
struct Progress {
    seconds: f64,
    operations: u64,
    windows: u64,
}

impl Sample for Progress {
    // Both only grow: the later one says it all.
    fn join(&mut self, _: &Self) {}
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

impl Report {
    /// Of a run that shall last so long.
    pub(crate) fn new(seed: u64, length: Duration) -> Report {
        // Up to an hour; three digits are kept.
        let histogram = || {
            Histogram::new_with_max(3_600_000_000_000, 3).expect("1 to 3 digits and a maximum of 2 at least")
        };
        Report {
            seconds: 0.0,
            operations: Call::KINDS.iter().map(|_| histogram()).collect(),
            windows_checked: 0,
            violations: 0,
            seed,
            garbage_pending: 0,
            overlapping: 0,
            progress: Samples::of(length),
        }
    }

    /// Notes how far it has come, so long after the beginning; to be called often.
    pub(crate) fn tick(&mut self, elapsed: Duration) {
        if self.progress.wait(elapsed).is_zero() {
            let (operations, windows) = (self.total(), self.windows_checked);
            self.progress.push(elapsed, Progress { seconds: elapsed.as_secs_f64(), operations, windows });
        }
    }

    /// Counts a window's calls.
    pub(crate) fn take_in(&mut self, window: &[Event]) {
        for event in window {
            self.operations[event.call.kind()].saturating_record(event.ended - event.began);
            self.overlapping += u64::from(window.iter().any(|other| event.overlaps(other)));
        }
    }

    /// How many calls there were.
    pub(crate) fn total(&self) -> u64 {
        self.operations.iter().map(Histogram::len).sum()
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }

    /// The operations that were made: each with its name.
    fn made(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        Call::KINDS.iter().copied().zip(&self.operations).filter(|(_, histogram)| !histogram.is_empty())
    }

    const COLUMNS: [&str; 6] = ["call", "#count", "#p50 ns", "#p99 ns", "#p99.9 ns", "#max ns"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |(name, histogram): (&str, &Histogram<u64>)| {
            let Latencies { count, p50_ns, p99_ns, p999_ns, max_ns } = Latencies::of(histogram);
            let numbers = [count, p50_ns, p99_ns, p999_ns, max_ns].map(tables::grouped);
            std::iter::once(name.to_owned()).chain(numbers).collect()
        };
        self.made().map(row).collect()
    }

    fn sentence(&self) -> String {
        let total = self.total();
        format!(
            "{} operations in {:.1} s, {:.0} % of them overlapping; {} windows checked, {} violations; seed {}; {} removed \
             objects wait for readers",
            tables::grouped(total),
            self.seconds,
            self.overlapping as f64 * 100.0 / total.max(1) as f64,
            tables::grouped(self.windows_checked),
            self.violations,
            self.seed,
            self.garbage_pending,
        )
    }

    pub(crate) fn table(&self) -> String {
        let mut table = tables::table(&Self::COLUMNS);
        table.add_rows(self.rows());
        format!("{table}\n{}", self.sentence())
    }

    /// A page with plots, of the run that this command makes, and, where there is one, of a window that cannot be explained.
    pub(crate) fn page(&self, command: &str, violation: Option<&str>) -> anyhow::Result<Page> {
        let mut page = Page::new("mgm stress");
        let (good, verdict) = match (violation, self.windows_checked) {
            (Some(_), _) => (false, "A window cannot be explained.".to_owned()),
            (None, 0) => (true, "Nothing was checked, only timed.".to_owned()),
            (None, windows) => (true, format!("All of {} windows are explained.", tables::grouped(windows))),
        };
        page.verdict(good, &verdict);
        page.command(command);
        page.paragraph(&format!("{}.", self.sentence()));
        if let Some(violation) = violation {
            page.heading("The window");
            page.lines(violation);
        }
        page.heading("Over time");
        let over_time = |title, value: fn(&Progress) -> u64| Chart {
            title,
            x: Axis::seconds(),
            y: Axis::from_zero(short),
            lines: vec![Line { name: "", points: self.rates(value) }],
        };
        page.charts(&[
            over_time("Operations a second", |progress| progress.operations),
            over_time("Windows checked a second", |progress| progress.windows),
        ])?;
        page.heading("How long calls took");
        page.table(&Self::COLUMNS, &self.rows());
        page.paragraph(
            "Below, for each call, which share of its calls took longer than the time on the axis: where the line crosses \
             1 % is the 99th percentile. Both axes are logarithmic, and the same for all.",
        );
        page.charts(&self.distributions())?;
        Ok(page)
    }

    /// How much a second, between each sample and the next.
    fn rates(&self, value: fn(&Progress) -> u64) -> Vec<(f64, f64)> {
        let pairs = self.progress.all().windows(2).filter(|pair| pair[1].seconds > pair[0].seconds);
        let rate = |pair: &[Progress]| {
            let done = value(&pair[1]).saturating_sub(value(&pair[0])) as f64;
            (pair[1].seconds, done / (pair[1].seconds - pair[0].seconds))
        };
        pairs.map(rate).collect()
    }

    /// For each call, the share of calls that took longer, over the time; both by their decimal logarithms.
    fn distributions(&self) -> Vec<Chart<'static>> {
        let over_all = |value: fn(&Histogram<u64>) -> u64, pick: fn(f64, f64) -> f64| {
            self.made()
                .map(|(_, histogram)| (value(histogram).max(1) as f64).log10())
                .reduce(pick)
                .unwrap_or(1.0)
        };
        let x = Axis::between(
            over_all(Histogram::min, f64::min).floor(),
            over_all(Histogram::max, f64::max).ceil(),
            |power| nanoseconds(10_f64.powf(power)),
        );
        let y = Axis::between(-over_all(Histogram::len, f64::max).ceil(), 0.0, |power| {
            percent(10_f64.powf(power))
        });
        let chart = |(title, histogram)| Chart {
            title,
            x,
            y,
            lines: vec![Line { name: "", points: longer(histogram) }],
        };
        self.made().map(chart).collect()
    }
}

/// The share of what is longer than a value, at so many values a decade.
fn longer(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    const A_DECADE: f64 = 40.0;
    let all = histogram.len() as f64;
    let (mut seen, mut points) = (0, Vec::new());
    let mut before = f64::NEG_INFINITY;
    for step in histogram.iter_recorded() {
        let value = (step.value_iterated_to().max(1) as f64).log10();
        let (share, last) = (1.0 - seen as f64 / all, seen + step.count_at_value() == histogram.len());
        seen += step.count_at_value();
        // Those that are not shorter: so the longest one is a point as well.
        if last || value - before >= 1.0 / A_DECADE {
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
    fn the_share_of_what_takes_longer_falls_from_all_to_one() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        (1..=10_000).for_each(|value| histogram.record(value).unwrap());
        let points = longer(&histogram);
        assert!(points.is_sorted_by_key(|(value, _)| *value) && points.is_sorted_by(|a, b| a.1 >= b.1));
        assert_eq!(points[0], (0.0, 0.0));
        assert!((points.last().unwrap().1 + 4.0).abs() < 0.8, "{points:?}");
        // At 1000 ns, nine tenths take longer.
        let (_, share) = points.iter().find(|(value, _)| *value >= 3.0).unwrap();
        assert!((10_f64.powf(*share) - 0.9).abs() < 0.01, "{share}");
    }

    #[test]
    fn labels_are_in_units() {
        let times = [30.0, 1000.0, 1e5, 1e7, 1e9].map(nanoseconds);
        assert_eq!(times, ["30 ns", "1 µs", "100 µs", "10 ms", "1 s"]);
        assert_eq!([1.0, 0.1, 0.01, 0.001, 1e-6].map(percent), ["100 %", "10 %", "1 %", "0.1 %", "0.0001 %"]);
    }
}
