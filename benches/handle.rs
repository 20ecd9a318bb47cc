//! The handle table beside its peers: the rows of `rows/handle.rs`. See BENCHMARKS.md.

mod front;
mod rows;

criterion::criterion_group! {
    name = handle;
    config = front::quick();
    targets = reading, writing
}
criterion::criterion_main!(handle);

fn reading(c: &mut criterion::Criterion) {
    front::run(c, rows::handle::reading(&[2]));
}

fn writing(c: &mut criterion::Criterion) {
    front::run(c, rows::handle::writing(&[2]));
}
