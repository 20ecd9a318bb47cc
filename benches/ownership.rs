//! Taking, releasing and leaving, beside a lock around maps that do the same work.

use criterion::{Criterion, criterion_group, criterion_main};
use mgm::handle::{Claims, Handle, HandleTable};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

/// What anybody would write first: one lock, a map of owners, a map of counts.
#[derive(Default)]
struct Locked(Mutex<State>);

#[derive(Default)]
struct State {
    owner: HashMap<u32, u64, foldhash::fast::FixedState>,
    held: HashMap<u64, u32, foldhash::fast::FixedState>,
}

impl Locked {
    fn register(&self, client: u64) {
        self.0.lock().held.insert(client, 0);
    }

    fn take(&self, client: u64, interface: u32) -> bool {
        let mut state = self.0.lock();
        if state.owner.contains_key(&interface) {
            return false;
        }
        let Some(held) = state.held.get_mut(&client) else { return false };
        *held += 1;
        state.owner.insert(interface, client);
        true
    }

    fn release(&self, client: u64, interface: u32) -> bool {
        let mut state = self.0.lock();
        if state.owner.get(&interface) != Some(&client) {
            return false;
        }
        state.owner.remove(&interface);
        state.held.entry(client).and_modify(|held| *held -= 1);
        true
    }

    fn deregister(&self, client: u64) -> bool {
        let mut state = self.0.lock();
        if state.held.get(&client) != Some(&0) {
            return false;
        }
        state.held.remove(&client);
        true
    }

    fn owner_of(&self, interface: u32) -> Option<u64> {
        self.0.lock().owner.get(&interface).copied()
    }
}

fn ownership(c: &mut Criterion) {
    let table = HandleTable::<u64, Claims>::with_claims(1024).unwrap();
    let owners: Vec<_> = (0..64).map(|_| table.new_owner().unwrap()).collect();
    let me: Handle = table.insert(1).unwrap();
    let other = table.insert(2).unwrap();
    table.claim(other, owners[63]).unwrap();

    let locked = Locked::default();
    locked.register(1);
    locked.register(2);
    assert!(locked.take(2, 63));

    let mut group = c.benchmark_group("ownership/take+release");
    group.bench_function("mgm", |b| {
        b.iter(|| {
            table.claim(me, black_box(owners[5])).unwrap();
            table.release(me, owners[5]).unwrap();
        });
    });
    group.bench_function("locked maps", |b| {
        b.iter(|| assert!(locked.take(1, black_box(5)) && locked.release(1, 5)));
    });
    group.finish();

    let mut group = c.benchmark_group("ownership/take refused");
    group.bench_function("mgm", |b| b.iter(|| table.claim(me, black_box(owners[63])).unwrap_err()));
    group.bench_function("locked maps", |b| b.iter(|| assert!(!locked.take(1, black_box(63)))));
    group.finish();

    let mut group = c.benchmark_group("ownership/release refused");
    group.bench_function("mgm", |b| b.iter(|| table.release(me, black_box(owners[63])).unwrap_err()));
    group.bench_function("locked maps", |b| b.iter(|| assert!(!locked.release(1, black_box(63)))));
    group.finish();

    let mut group = c.benchmark_group("ownership/deregister refused");
    group.bench_function("mgm", |b| b.iter(|| table.retire_if_unheld(black_box(other)).unwrap_err()));
    group.bench_function("locked maps", |b| b.iter(|| assert!(!locked.deregister(black_box(2)))));
    group.finish();

    let mut group = c.benchmark_group("ownership/owner_of");
    group.bench_function("mgm", |b| b.iter(|| table.owner_of(black_box(owners[63]))));
    group.bench_function("locked maps", |b| b.iter(|| locked.owner_of(black_box(63))));
    group.finish();

    let mut group = c.benchmark_group("ownership/register, take, release, deregister");
    group.bench_function("mgm", |b| {
        b.iter(|| {
            let client = table.insert(9).unwrap();
            table.claim(client, owners[7]).unwrap();
            table.release(client, owners[7]).unwrap();
            table.retire_if_unheld(client).unwrap();
        });
    });
    let mut client = 100;
    group.bench_function("locked maps", |b| {
        b.iter(|| {
            client += 1;
            locked.register(client);
            assert!(locked.take(client, 7) && locked.release(client, 7) && locked.deregister(client));
        });
    });
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
}

criterion_group! {
    name = benches;
    config = quick();
    targets = ownership
}
criterion_main!(benches);
