//! What `mgm stress` tells at its end.

use super::calls::Call;
use super::check::Event;
use crate::tables;
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer, ser::SerializeMap};

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
    pub(crate) fn new(seed: u64) -> Report {
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

    pub(crate) fn table(&self) -> String {
        let mut table = tables::table(&["call", "#count", "#p50 ns", "#p99 ns", "#p99.9 ns", "#max ns"]);
        for (name, histogram) in Call::KINDS.iter().zip(&self.operations).filter(|(_, h)| !h.is_empty()) {
            let Latencies { count, p50_ns, p99_ns, p999_ns, max_ns } = Latencies::of(histogram);
            let numbers = [count, p50_ns, p99_ns, p999_ns, max_ns].map(tables::grouped);
            table.add_row(std::iter::once((*name).to_owned()).chain(numbers));
        }
        let total = self.total();
        format!(
            "{table}\n{} operations in {:.1} s, {:.0} % of them overlapping; {} windows checked, {} violations; seed {}; {} \
             removed objects wait for readers",
            tables::grouped(total),
            self.seconds,
            self.overlapping as f64 * 100.0 / total.max(1) as f64,
            tables::grouped(self.windows_checked),
            self.violations,
            self.seed,
            self.garbage_pending,
        )
    }
}
