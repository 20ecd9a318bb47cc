//! Taking, releasing and leaving beside a lock around maps: the rows of `rows/ownership.rs`. See BENCHMARKS.md.

mod front;
mod rows;

criterion::criterion_group! {
    name = ownership;
    config = front::quick();
    targets = owning
}
criterion::criterion_main!(ownership);

fn owning(c: &mut criterion::Criterion) {
    front::run(c, rows::ownership::rows(&[2]));
}
