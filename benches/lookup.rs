//! The forwarding table's look-up beside concurrent maps: the rows of `rows/lookup.rs`. See BENCHMARKS.md.

mod front;
mod rows;

criterion::criterion_group! {
    name = lookup;
    config = front::quick();
    targets = lookups
}
criterion::criterion_main!(lookup);

fn lookups(c: &mut criterion::Criterion) {
    front::run(c, rows::lookup::rows());
}
