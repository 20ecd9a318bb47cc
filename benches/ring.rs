//! Forwarding in memory, from frames to rings, beside a floor: the rows of `rows/forward.rs`. See BENCHMARKS.md.

mod front;
mod rows;

criterion::criterion_group! {
    name = ring;
    config = front::quick();
    targets = forwarding
}
criterion::criterion_main!(ring);

fn forwarding(c: &mut criterion::Criterion) {
    front::run(c, rows::forward::rows());
}
