//! Rows as criterion groups: a figure is one round's time, its throughput says how long an operation takes.

use crate::rows::{Row, Work};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::time::Duration;

/// Runs each row as a group, with its contestants one after the other. What measures by itself is left to the report.
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

/// Minutes for all of them together.
pub(crate) fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
}
