//! The rows of the handle table: reading, inserting and removing.

use super::floors::{Slots, swaps};
use super::peers::{Guarded, LockedSlotMap, MGM, SHARDED_SLAB, SLOTMAP, SharedSlotMap, Table, WithClaims};
use super::threads::{beside, together};
use super::{Clock, Contestant, Row, Target, Walk};
use crossbeam_queue::ArrayQueue;
use mgm::handle::{Handle, HandleTable};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) type Mgm = HandleTable<u64>;
type Slab = sharded_slab::Slab<u64>;
type Idr = idr_ebr::Idr<u64>;
type ConcurrentSlotMap = concurrent_slotmap::SlotMap<concurrent_slotmap::SlotId, u64>;
type Papaya = papaya::HashMap<u64, u64>;
type Scc = scc::HashIndex<u64, u64>;
type DashMap = dashmap::DashMap<u64, u64>;

const FLOOR: &str = "floor";
/// The look-ups of a round: many, because each takes about a nanosecond, and at least one for each slot of a large
/// table.
const fn reads(n: usize) -> usize {
    if n > READS { n } else { READS }
}
const READS: usize = 1 << 17;
const BURST: usize = 64;
/// The pairs of insert and remove in a round.
const PAIRS: u64 = 1 << 13;

fn name(n: usize) -> &'static str {
    match n {
        0 => "empty",
        16 => "16",
        1_000 | 1_024 => "1k",
        100_000 => "100k",
        _ => "1M",
    }
}

/// Makes the same contestant for each of some tables.
macro_rules! each {
    ($make:ident $arguments:tt: $($table:ty),*) => {
        vec![$($make::<$table> $arguments),*]
    };
}

fn one_by_one<T: Table + 'static>(n: usize) -> Contestant {
    let (table, keys) = T::filled(n);
    let mut walk = Walk::over(&keys);
    Contestant::new(T::NAME, move || {
        let mut reader = table.reader();
        walk.sum(READS, |key| T::get(&mut reader, key).unwrap_or(u64::MAX))
    })
}

fn in_bursts<T: Table + 'static>(n: usize) -> Contestant {
    let (table, keys) = T::filled(n);
    let mut walk = Walk::over(&keys);
    Contestant::new(T::NAME, move || {
        let mut reader = table.reader();
        walk.bursts::<BURST>(reads(n), |keys| T::sum(&mut reader, keys))
    })
}

/// Returns the rows that read.
pub(crate) fn reading(threads: &[usize]) -> Vec<Row> {
    let reads = (READS as u64, Clock::Thread);
    let mut rows = vec![Row::rounds(
        "validate/1k",
        "validate, 1k handles",
        reads,
        vec![Target::ratio(MGM, FLOOR, 1.25)],
        || {
            let (table, keys) = Mgm::filled(1024);
            let floor = Slots::of(&keys);
            let mut walk = Walk::over(&keys);
            let mgm =
                Contestant::new(MGM, move || walk.sum(READS, |handle| u64::from(table.contains(handle))));
            let mut walk = Walk::over(&keys);
            vec![mgm, Contestant::new(FLOOR, move || walk.sum(READS, |handle| u64::from(floor.is(handle))))]
        },
    )];
    for n in [16, 1024] {
        rows.push(Row::rounds(
            format!("resolve/{}", name(n)),
            format!("resolve through a Reader, each call by itself, {}", name(n)),
            reads,
            vec![Target::ratio(MGM, FLOOR, 1.7), Target::ratio(MGM, SHARDED_SLAB, 1.0 / 13.0)],
            move || {
                let mut all = each!(one_by_one(n): Mgm, Guarded, Slab, SharedSlotMap, Idr, ConcurrentSlotMap, Papaya, Scc, DashMap);
                all.insert(1, floor(n));
                all
            },
        ));
    }
    for n in [16, 1024, 1 << 20] {
        let max = if n > 1024 { 1.3 } else { 1.2 };
        rows.push(Row::rounds(
            format!("burst/{}", name(n)),
            format!("resolve in bursts of {BURST}, {}", name(n)),
            (self::reads(n) as u64, Clock::Thread),
            vec![Target::ratio(MGM, FLOOR, max)],
            move || {
                let mut all = each!(in_bursts(n): Mgm, Slab, SharedSlotMap, Idr, ConcurrentSlotMap, Papaya, Scc, DashMap);
                all.insert(1, floor_in_bursts(n));
                all
            },
        ));
    }
    for &threads in threads {
        let targets = if threads == 2 { vec![Target::ratio(MGM, ALONE, 1.7)] } else { Vec::new() };
        rows.push(Row::rounds(
            format!("hot/{threads}"),
            format!("one hot handle, {threads} threads"),
            reads,
            targets,
            move || {
                let mut all =
                    each!(hot(threads): Mgm, Slab, SharedSlotMap, Idr, ConcurrentSlotMap, Papaya, Scc, DashMap);
                all.insert(1, Contestant { name: ALONE, ..hot::<Mgm>(1) }.apart());
                all
            },
        ));
    }
    rows.push(Row::rounds(
        "churn/1k",
        "resolve while another thread inserts and removes without pause, 1k",
        reads,
        vec![Target::ratio(MGM, QUIET, 1.6)],
        || {
            let mut all = each!(beside_churn(): Mgm, Slab, Idr, ConcurrentSlotMap, Papaya);
            all.insert(1, Contestant { name: QUIET, ..one_by_one::<Mgm>(1024) });
            all
        },
    ));
    rows.push(Row::rounds(
        "stale/1k",
        "stale handle refused, 1k",
        reads,
        vec![Target::ratio(STALE, HIT, 1.1)],
        || {
            let stale = refused::<Mgm>(STALE);
            vec![
                stale,
                Contestant { name: HIT, ..one_by_one::<Mgm>(1024) }.apart(),
                refused::<Slab>(SHARDED_SLAB),
            ]
        },
    ));
    rows
}

const ALONE: &str = "mgm, one thread";
const QUIET: &str = "mgm, quiet";
const STALE: &str = "mgm, stale";
const HIT: &str = "mgm, hit";

/// Makes the floor: the same check and read on a plain vector.
fn floor(n: usize) -> Contestant {
    let (_, keys) = Mgm::filled(n);
    let floor = Slots::of(&keys);
    let mut walk = Walk::over(&keys);
    Contestant::new(FLOOR, move || walk.sum(READS, |handle: Handle| floor.get(handle).unwrap_or(u64::MAX)))
}

fn floor_in_bursts(n: usize) -> Contestant {
    let (_, keys) = Mgm::filled(n);
    let floor = Slots::of(&keys);
    let mut walk = Walk::over(&keys);
    Contestant::new(FLOOR, move || {
        walk.bursts::<BURST>(reads(n), |keys| {
            keys.iter().map(|key| floor.get(*key).unwrap_or(0)).fold(0, u64::wrapping_add)
        })
    })
}

fn hot<T: Table + 'static>(threads: usize) -> Contestant {
    let (table, keys) = T::filled(64);
    Contestant::timed(T::NAME, move || {
        together(threads, Clock::Thread, |_, gate| {
            let mut reader = table.reader();
            gate.time(|| {
                (0..READS).map(|_| T::get(&mut reader, black_box(keys[7])).unwrap_or(u64::MAX)).sum()
            })
        })
    })
}

fn beside_churn<T: Table + 'static>() -> Contestant {
    let (table, keys) = T::filled(1024);
    let mut walk = Walk::over(&keys);
    let value = AtomicU64::new(1 << 32);
    Contestant::timed(T::NAME, move || {
        let churn = || assert!(table.remove(table.insert(value.fetch_add(1, Ordering::Relaxed))));
        beside(churn, || {
            Clock::Thread.time(|| {
                let mut reader = table.reader();
                walk.sum(READS, |key| T::get(&mut reader, key).unwrap_or(u64::MAX))
            })
        })
    })
}

/// Makes a contestant that looks up stale keys of slots that have been reused.
fn refused<T: Table + 'static>(name: &'static str) -> Contestant {
    let (table, stale) = T::filled(1024);
    assert!(stale.iter().all(|key| table.remove(*key)));
    let live = Vec::from_iter((0..1024).map(|value| table.insert(value)));
    let mut walk = Walk::over(&stale);
    Contestant::new(name, move || {
        black_box(&live);
        let mut reader = table.reader();
        walk.sum(READS, |key| u64::from(T::get(&mut reader, black_box(key)).is_none()))
    })
}

fn pairs<T: Table + 'static>(live: usize) -> Contestant {
    let (table, _) = T::filled(live);
    let mut value = live as u64;
    Contestant::new(T::NAME, move || {
        (0..PAIRS)
            .map(|_| {
                value += 1;
                u64::from(table.remove(black_box(table.insert(value))))
            })
            .sum()
    })
}

fn pairs_of_threads<T: Table + 'static>(threads: usize) -> Contestant {
    let table = T::new();
    Contestant::timed(T::NAME, move || {
        together(threads, Clock::Wall, |_, gate| {
            gate.time(|| {
                (0..PAIRS).map(|value| u64::from(table.remove(black_box(table.insert(value))))).sum()
            })
        })
    })
}

/// The number of handles that are passed between threads at once, so that the queue costs next to nothing.
const PARCEL: usize = 256;

/// Makes a contestant with one thread that inserts and another that removes, with at most four parcels between them.
fn handed_over<T: Table + 'static>() -> Contestant {
    let table = T::new();
    Contestant::timed(T::NAME, move || {
        let (full, empty) = (ArrayQueue::new(4), ArrayQueue::new(4));
        (0..4).for_each(|_| drop(empty.push(Vec::with_capacity(PARCEL))));
        together(2, Clock::Wall, |thread, gate| {
            gate.time(|| {
                let mut done = 0;
                for _ in 0..4 * PAIRS as usize / PARCEL {
                    if thread == 0 {
                        let mut parcel: Vec<T::Key> = pop_wait(&empty);
                        parcel.extend((0..PARCEL as u64).map(|value| table.insert(value)));
                        drop(full.push(parcel));
                    } else {
                        let mut parcel = pop_wait(&full);
                        done += parcel.drain(..).map(|key| u64::from(table.remove(key))).sum::<u64>();
                        drop(empty.push(parcel));
                    }
                }
                done
            })
        })
    })
}

/// Pops an item, and waits until there is one.
pub(crate) fn pop_wait<T>(queue: &ArrayQueue<T>) -> T {
    let mut turns = 0_u32;
    loop {
        if let Some(item) = queue.pop() {
            return item;
        }
        turns += 1;
        if turns > 1000 { std::thread::yield_now() } else { std::hint::spin_loop() }
    }
}

const EMPTY: &str = "mgm, empty";

/// Returns the rows that insert and remove.
pub(crate) fn writing(threads: &[usize]) -> Vec<Row> {
    let mut rows = Vec::new();
    for live in [0, 1_000, 100_000] {
        let flat = (live > 0).then(|| Target::ratio(MGM, EMPTY, 1.2));
        rows.push(Row::rounds(
            format!("pairs/{}", name(live)),
            format!("insert + remove on a plain table, one thread, {}", filled(live)),
            (PAIRS, Clock::Thread),
            [Target::figure(MGM, 30.0), Target::ratio(MGM, SHARDED_SLAB, 0.7)]
                .into_iter()
                .chain(flat.clone())
                .collect(),
            move || {
                let mut all = each!(pairs(live): Mgm, Slab, LockedSlotMap, Idr, ConcurrentSlotMap, Papaya, Scc, DashMap);
                if live > 0 {
                    all.insert(1, Contestant { name: EMPTY, ..pairs::<Mgm>(0) });
                }
                all.push(swaps::<3>("3 compare-and-swaps", PAIRS, 3));
                all
            },
        ));
    }
    for live in [0, 1_000, 100_000] {
        let flat = (live > 0).then(|| Target::ratio(MGM, EMPTY, 1.2));
        rows.push(Row::rounds(
            format!("claims/{}", name(live)),
            format!("the same on a table with claims, {}", filled(live)),
            (PAIRS, Clock::Thread),
            std::iter::once(Target::figure(MGM, 65.0)).chain(flat).collect(),
            move || {
                let mut all = vec![pairs::<WithClaims>(live)];
                if live > 0 {
                    all.push(Contestant { name: EMPTY, ..pairs::<WithClaims>(0) });
                }
                all
            },
        ));
    }
    for &threads in threads {
        let targets = [
            Target::figure(MGM, 60.0),
            Target::ratio(MGM, SHARDED_SLAB, 1.6),
            Target::ratio(MGM, SLOTMAP, 0.3),
        ];
        rows.push(Row::rounds(
            format!("pairs-threads/{threads}"),
            format!("insert + remove on a plain table, {threads} threads"),
            (PAIRS, Clock::Wall),
            if threads == 2 { targets.to_vec() } else { Vec::new() },
            move || each!(pairs_of_threads(threads): Mgm, Slab, LockedSlotMap, Idr, ConcurrentSlotMap),
        ));
    }
    rows.push(Row::rounds(
        "handed-over/2",
        "inserted by one thread, removed by another",
        (4 * PAIRS, Clock::Wall),
        vec![Target::figure(MGM, 70.0)],
        || each!(handed_over(): Mgm, Slab, LockedSlotMap, Idr, ConcurrentSlotMap),
    ));
    rows
}

fn filled(live: usize) -> String {
    if live == 0 { name(live).into() } else { format!("{} live", name(live)) }
}
