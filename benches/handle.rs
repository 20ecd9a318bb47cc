//! The handle table beside its peers: the same keys, the same payload, the same process.
//!
//! What each peer promises differs, and that is the point of the comparison: `slotmap` is not concurrent at all and
//! stands behind a lock; `papaya`, `scc` and `dashmap` are maps, keyed by a counter that plays the handle's part; only
//! `sharded-slab` tags generations. A figure is one operation's; read ratios within one run, not figures across runs.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mgm::handle::{Handle, HandleTable};
use parking_lot::RwLock;
use slotmap::{DefaultKey, SlotMap};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SIZES: [usize; 2] = [16, 1024];
const BURST: usize = 64;

/// Looks up every key of `keys`, in an order that looks random to a prefetcher, 64 a measured iteration.
fn rounds<K: Copy>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    keys: &[K],
    mut look_up: impl FnMut(&mut dyn Iterator<Item = K>) -> u64,
) {
    let mut order: Vec<K> = keys.to_vec();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for i in (1..order.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        order.swap(i, (seed % (i as u64 + 1)) as usize);
    }
    let mut at = 0;
    group.bench_function(id, |b| {
        b.iter(|| {
            let mut left = BURST;
            look_up(&mut std::iter::from_fn(|| {
                left = left.checked_sub(1)?;
                at = if at + 1 == order.len() { 0 } else { at + 1 };
                Some(order[at])
            }))
        });
    });
}

fn validate(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle/validate");
    group.throughput(Throughput::Elements(BURST as u64));
    for size in SIZES {
        let table = HandleTable::new();
        let handles: Vec<Handle> = (0..size as u64).map(|i| table.insert(i).unwrap()).collect();
        rounds(&mut group, BenchmarkId::new("mgm", size), &handles, |keys| {
            keys.filter(|handle| table.validate(*handle)).count() as u64
        });
        // The floor: the same compare on a plain vector that nothing protects.
        let floor: Vec<(Handle, u64)> = handles.iter().map(|handle| (*handle, 7)).collect();
        rounds(&mut group, BenchmarkId::new("floor", size), &handles, |keys| {
            keys.filter(|handle| floor.get(handle.index() as usize).is_some_and(|slot| slot.0 == *handle))
                .count() as u64
        });
    }
    group.finish();
}

fn resolve(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle/resolve");
    group.throughput(Throughput::Elements(BURST as u64));
    for size in SIZES {
        let values = 0..size as u64;

        let table = HandleTable::new();
        let handles: Vec<Handle> = values.clone().map(|i| table.insert(i).unwrap()).collect();
        let mut reader = table.reader();
        rounds(&mut group, BenchmarkId::new("mgm reader", size), &handles, |keys| {
            keys.map(|handle| *reader.get(handle).unwrap()).sum()
        });
        rounds(&mut group, BenchmarkId::new("mgm burst", size), &handles, |keys| {
            let burst = reader.burst();
            keys.map(|handle| *burst.get(handle).unwrap()).sum()
        });
        rounds(&mut group, BenchmarkId::new("mgm guard", size), &handles, |keys| {
            keys.map(|handle| *table.get(handle).unwrap()).sum()
        });

        let floor: Vec<(Handle, u64)> = handles.iter().copied().zip(values.clone()).collect();
        rounds(&mut group, BenchmarkId::new("floor", size), &handles, |keys| {
            keys.map(|handle| {
                let slot = &floor[handle.index() as usize];
                if slot.0 == handle { slot.1 } else { 0 }
            })
            .sum()
        });

        let slab = sharded_slab::Slab::new();
        let keys: Vec<usize> = values.clone().map(|i| slab.insert(i).unwrap()).collect();
        rounds(&mut group, BenchmarkId::new("sharded-slab", size), &keys, |keys| {
            keys.map(|key| *slab.get(key).unwrap()).sum()
        });

        let map = RwLock::new(SlotMap::new());
        let keys: Vec<DefaultKey> = values.clone().map(|i| map.write().insert(i)).collect();
        rounds(&mut group, BenchmarkId::new("slotmap behind RwLock", size), &keys, |keys| {
            keys.map(|key| map.read()[key]).sum()
        });

        let keys: Vec<u64> = values.collect();
        let map = papaya::HashMap::new();
        for key in &keys {
            map.pin().insert(*key, *key);
        }
        rounds(&mut group, BenchmarkId::new("papaya", size), &keys, |keys| {
            keys.map(|key| *map.pin().get(&key).unwrap()).sum()
        });
        let map = scc::HashIndex::new();
        for key in &keys {
            map.insert_sync(*key, *key).unwrap();
        }
        rounds(&mut group, BenchmarkId::new("scc", size), &keys, |keys| {
            keys.map(|key| map.peek_with(&key, |_, value| *value).unwrap()).sum()
        });
        let map = dashmap::DashMap::new();
        for key in &keys {
            map.insert(*key, *key);
        }
        rounds(&mut group, BenchmarkId::new("dashmap", size), &keys, |keys| {
            keys.map(|key| *map.get(&key).unwrap()).sum()
        });
    }
    group.finish();
}

fn insert_remove(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle/insert+remove");
    for live in [0_u64, 1024] {
        let table = HandleTable::new();
        for i in 0..live {
            table.insert(i).unwrap();
        }
        group.bench_function(BenchmarkId::new("mgm", live), |b| {
            b.iter(|| table.remove(table.insert(black_box(7)).unwrap()).unwrap());
        });

        let slab = sharded_slab::Slab::new();
        for i in 0..live {
            slab.insert(i).unwrap();
        }
        group.bench_function(BenchmarkId::new("sharded-slab", live), |b| {
            b.iter(|| slab.remove(slab.insert(black_box(7)).unwrap()));
        });

        let map = RwLock::new(SlotMap::new());
        for i in 0..live {
            map.write().insert(i);
        }
        group.bench_function(BenchmarkId::new("slotmap behind RwLock", live), |b| {
            b.iter(|| {
                let key = map.write().insert(black_box(7));
                map.write().remove(key)
            });
        });

        let mut key = live;
        let map = papaya::HashMap::new();
        for i in 0..live {
            map.pin().insert(i, i);
        }
        group.bench_function(BenchmarkId::new("papaya", live), |b| {
            b.iter(|| {
                key += 1;
                let map = map.pin();
                map.insert(key, black_box(7));
                map.remove(&key).copied()
            });
        });
        let map = scc::HashIndex::new();
        for i in 0..live {
            map.insert_sync(i, i).unwrap();
        }
        group.bench_function(BenchmarkId::new("scc", live), |b| {
            b.iter(|| {
                key += 1;
                map.insert_sync(key, black_box(7)).unwrap();
                map.remove_sync(&key)
            });
        });
        let map = dashmap::DashMap::new();
        for i in 0..live {
            map.insert(i, i);
        }
        group.bench_function(BenchmarkId::new("dashmap", live), |b| {
            b.iter(|| {
                key += 1;
                map.insert(key, black_box(7));
                map.remove(&key)
            });
        });
    }
    group.finish();
}

/// Runs `measure` while another thread does `work` without pause.
fn beside(work: impl Fn() + Send + Sync, measure: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                work();
            }
        });
        measure();
        stop.store(true, Ordering::Relaxed);
    });
}

fn resolve_beside_a_writer(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle/resolve beside a writer");
    group.throughput(Throughput::Elements(BURST as u64));

    let table = HandleTable::new();
    let handles: Vec<Handle> = (0..1024_u64).map(|i| table.insert(i).unwrap()).collect();
    beside(
        || table.remove(table.insert(7).unwrap()).unwrap(),
        || {
            let mut reader = table.reader();
            rounds(&mut group, BenchmarkId::new("mgm reader", 1024), &handles, |keys| {
                keys.map(|handle| *reader.get(handle).unwrap()).sum()
            });
        },
    );

    let slab = sharded_slab::Slab::new();
    let keys: Vec<usize> = (0..1024_u64).map(|i| slab.insert(i).unwrap()).collect();
    beside(
        || assert!(slab.remove(slab.insert(7).unwrap())),
        || {
            rounds(&mut group, BenchmarkId::new("sharded-slab", 1024), &keys, |keys| {
                keys.map(|key| *slab.get(key).unwrap()).sum()
            });
        },
    );
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
}

criterion_group! {
    name = handle;
    config = quick();
    targets = validate, resolve, insert_remove, resolve_beside_a_writer
}
criterion_main!(handle);
