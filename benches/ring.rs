//! Forwarding in memory, from frames to rings, beside a floor: see rows/forward.rs. A figure is a batch of packets; the
//! throughput is that of copies. Read ratios within one run, not figures across runs.

#[path = "rows/forward.rs"]
mod forward;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

fn ring(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring");
    for copies in forward::COPIES {
        group.throughput(Throughput::Elements((forward::BATCH * copies) as u64));
        for (name, mut batch) in forward::contestants(copies) {
            group.bench_function(BenchmarkId::new(name, copies), |b| b.iter(|| black_box(batch())));
        }
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
}

criterion_group! {
    name = rings;
    config = quick();
    targets = ring
}
criterion_main!(rings);
