//! The rows of `rows/` under criterion: the handle table, ownership, look-up and forwarding compared with peers and
//! floors. See BENCHMARKS.md.
//!
//! cargo bench --bench peers -- lookup

mod front;
mod rows;

criterion::criterion_group! {
    name = peers;
    config = front::quick();
    targets = handles, owning, lookups, forwarding
}
criterion::criterion_main!(peers);

fn handles(c: &mut criterion::Criterion) {
    front::run(c, rows::handle::reading(&[2]));
    front::run(c, rows::handle::writing(&[2]));
}

fn owning(c: &mut criterion::Criterion) {
    front::run(c, rows::ownership::rows(&[2]));
}

fn lookups(c: &mut criterion::Criterion) {
    front::run(c, rows::lookup::rows());
}

fn forwarding(c: &mut criterion::Criterion) {
    front::run(c, rows::forward::rows());
}
