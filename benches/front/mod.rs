//! Rows as criterion groups. A figure is the time of one round, and its throughput gives the time of an operation.

use crate::rows::{Row, Work};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::time::Duration;

/// Runs each row as a group, with its contestants one after the other. Rows that measure by themselves run only in the
/// report.
pub(crate) fn run(c: &mut Criterion, rows: Vec<Row>) {
    for row in rows {
        let Work::Rounds(contestants) = &row.work else { continue };
        let (line, case) = row.id.split_once('/').unwrap_or((&row.id, ""));
        let mut group = c.benchmark_group(line);
        if let Some(operations) = row.operations {
            group.throughput(Throughput::Elements(operations));
        }
        for mut contestant in contestants() {
            group.bench_function(BenchmarkId::new(contestant.name, case), |b| {
                b.iter_custom(|rounds| (0..rounds).map(|_| contestant.round(row.clock).1).sum());
            });
        }
        group.finish();
    }
}

/// Returns a configuration with which all rows together take minutes.
pub(crate) fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
}
