//! Rows of memory, counted by the report's allocator ([`Counting`]).

use super::handle::{Mgm, pop_wait};
use super::peers::{LockedSlotMap, MGM, SHARDED_SLAB, Table};
use super::{Row, Target, lookup};
use crossbeam_queue::ArrayQueue;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The system's allocator, which counts the allocated octets while [`allocated`] runs. Otherwise it costs a load of a
/// word that no thread writes, so that it can stay in place while allocating peers are timed.
pub(crate) struct Counting;

static ENABLED: AtomicBool = AtomicBool::new(false);
static OCTETS: AtomicI64 = AtomicI64::new(0);

fn count(octets: i64) {
    // Relaxed, here and below: the counts are read after the allocating threads have been joined.
    if ENABLED.load(Ordering::Relaxed) {
        OCTETS.fetch_add(octets, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of the same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of the same function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract of the same function.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller keeps the contract of the same function.
        unsafe { System.dealloc(memory, layout) };
    }
}

/// Returns the number of octets by which the allocated memory grows during `work`.
pub(crate) fn allocated(work: impl FnOnce()) -> i64 {
    ENABLED.store(true, Ordering::Relaxed);
    let before = OCTETS.load(Ordering::Relaxed);
    work();
    let taken = OCTETS.load(Ordering::Relaxed) - before;
    ENABLED.store(false, Ordering::Relaxed);
    taken
}

/// Returns the number of octets by which the resident memory of this process grows during `work`, which omits allocated
/// memory that was never touched. Where the system does not report it, returns what [`allocated`] returns.
pub(crate) fn resident(work: impl FnOnce()) -> i64 {
    let now = || {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
        line.split_whitespace().next()?.parse::<i64>().ok()
    };
    let before = now();
    let allocated = allocated(work);
    before.zip(now()).map_or(allocated, |(before, now)| (now - before) * 1024)
}

fn octets_per_handle<T: Table>() -> f64 {
    let n = 1_u64 << 20;
    let mut kept = None;
    let octets = allocated(|| {
        let table = T::new();
        (0..n).for_each(|value| _ = black_box(table.insert(value)));
        kept = Some(table);
    });
    drop(kept);
    octets as f64 / n as f64
}

fn empty<T: Table>() -> f64 {
    let mut kept = None;
    let octets = allocated(|| kept = Some(T::new()));
    drop(kept);
    octets as f64
}

const EARLY: &str = "most after the first hundredth";
const LATE: &str = "most after all";

/// Lets one thread insert and another remove, 100 million times. Returns the maximum of the allocated octets over all
/// parcels.
fn handed_over(quick: bool) -> Vec<(&'static str, f64)> {
    const PARCEL: usize = 256;
    let parcels = if quick { 10_000 } else { 100_000_000 / PARCEL };
    let table = Mgm::new();
    let (mut early, mut late) = (0, 0);
    let (full, empty) = (ArrayQueue::new(4), ArrayQueue::new(4));
    (0..4).for_each(|_| drop(empty.push(Vec::with_capacity(PARCEL))));
    allocated(|| {
        let begun = OCTETS.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                super::threads::pin(1);
                for _ in 0..parcels {
                    let mut parcel: Vec<_> = pop_wait(&full);
                    assert!(parcel.drain(..).all(|key| Table::remove(&table, key)));
                    drop(empty.push(parcel));
                }
            });
            for n in 0..parcels {
                let mut parcel = pop_wait(&empty);
                parcel.extend((0..PARCEL as u64).map(|value| Table::insert(&table, value)));
                drop(full.push(parcel));
                late = late.max(OCTETS.load(Ordering::Relaxed) - begun);
                if n < parcels / 100 {
                    early = late;
                }
            }
        });
    });
    vec![(EARLY, early as f64), (LATE, late as f64)]
}

pub(crate) fn handles() -> Vec<Row> {
    type Idr = idr_ebr::Idr<u64>;
    vec![
        Row::once(
            "handed-over/memory",
            "memory over 100M pairs, inserted by one thread, removed by another",
            "B",
            vec![Target::ratio(LATE, EARLY, 1.5)],
            handed_over,
        ),
        Row::once(
            "memory/1M",
            "memory of a handle at 1M u64, plain table",
            "B",
            vec![Target::figure(MGM, 20.0)],
            |_| {
                vec![
                    (MGM, octets_per_handle::<Mgm>()),
                    (SHARDED_SLAB, octets_per_handle::<sharded_slab::Slab<u64>>()),
                    ("slotmap", octets_per_handle::<LockedSlotMap>()),
                    ("idr-ebr", octets_per_handle::<Idr>()),
                ]
            },
        ),
        Row::once("memory/empty", "memory of an empty table", "B", vec![Target::figure(MGM, 4096.0)], |_| {
            vec![
                (MGM, empty::<Mgm>()),
                (SHARDED_SLAB, empty::<sharded_slab::Slab<u64>>()),
                ("slotmap", empty::<LockedSlotMap>()),
                ("idr-ebr", empty::<Idr>()),
            ]
        }),
    ]
}

const ENTRY: &str = "entry";
const COUNTERS: &str = "counters, a worker";

pub(crate) fn forwarding() -> Vec<Row> {
    vec![Row::once(
        "memory/entry",
        "memory of an entry with 4 outgoing interfaces (60 000 of them), and of its counters",
        "B",
        vec![Target::figure(ENTRY, 192.0), Target::figure(COUNTERS, 64.0 + 4.0 * 8.0)],
        |_| {
            let flows = 60_000;
            vec![(ENTRY, lookup::entry_memory(flows)), (COUNTERS, counters(flows))]
        },
    )]
}

/// Returns the memory of one worker's counters for this number of flows. It is measured in a process of its own,
/// because reused memory of earlier rows would not show.
fn counters(flows: usize) -> f64 {
    let program = std::env::current_exe().expect("this program's path");
    let output = std::process::Command::new(program).args(["--counters", &flows.to_string()]).output();
    let output = output.expect("this program starts again");
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().expect("it prints a number")
}
