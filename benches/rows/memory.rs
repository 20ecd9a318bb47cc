//! What things take in memory: counted by the report's allocator, see [`Counting`].

use super::handle::{Mgm, taken as next};
use super::peers::{LockedSlotMap, MGM, SHARDED_SLAB, Table};
use super::{Row, Target, lookup};
use crossbeam_queue::ArrayQueue;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The system's allocator, which counts how many bytes are out while somebody asks for it. Otherwise it costs a load of
/// a word that nobody writes, so that it may stay in place while peers are timed that allocate.
pub(crate) struct Counting;

static ASKED: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicI64 = AtomicI64::new(0);

fn count(bytes: i64) {
    // Relaxed, here and below: a count that is read when those who allocate have been joined.
    if ASKED.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's word.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller's word.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's word.
        unsafe { System.dealloc(memory, layout) };
    }
}

/// By how many bytes `work` leaves more allocated than it found.
pub(crate) fn taken(work: impl FnOnce()) -> i64 {
    ASKED.store(true, Ordering::Relaxed);
    let before = BYTES.load(Ordering::Relaxed);
    work();
    let taken = BYTES.load(Ordering::Relaxed) - before;
    ASKED.store(false, Ordering::Relaxed);
    taken
}

/// By how many bytes `work` leaves more of this process in memory than it found: what was asked for and never touched is not.
/// What was asked for where the system does not tell.
pub(crate) fn resident(work: impl FnOnce()) -> i64 {
    let now = || {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
        line.split_whitespace().next()?.parse::<i64>().ok()
    };
    let before = now();
    let taken = taken(work);
    before.zip(now()).map_or(taken, |(before, now)| (now - before) * 1024)
}

fn bytes_a_handle<T: Table>() -> f64 {
    let n = 1_u64 << 20;
    let mut kept = None;
    let bytes = taken(|| {
        let table = T::new();
        (0..n).for_each(|value| _ = black_box(table.insert(value)));
        kept = Some(table);
    });
    drop(kept);
    bytes as f64 / n as f64
}

fn empty<T: Table>() -> f64 {
    let mut kept = None;
    let bytes = taken(|| kept = Some(T::new()));
    drop(kept);
    bytes as f64
}

const EARLY: &str = "most after the first hundredth";
const LATE: &str = "most after all";

/// One thread inserts, another removes, 100 million times; the most bytes that were out at any handful.
fn handed_over(quick: bool) -> Vec<(&'static str, f64)> {
    const HANDFUL: usize = 256;
    let handfuls = if quick { 10_000 } else { 100_000_000 / HANDFUL };
    let table = Mgm::new();
    let (mut early, mut late) = (0, 0);
    let (full, empty) = (ArrayQueue::new(4), ArrayQueue::new(4));
    (0..4).for_each(|_| drop(empty.push(Vec::with_capacity(HANDFUL))));
    taken(|| {
        let begun = BYTES.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                super::threads::pin(1);
                for _ in 0..handfuls {
                    let mut handful: Vec<_> = next(&full);
                    assert!(handful.drain(..).all(|key| Table::remove(&table, key)));
                    drop(empty.push(handful));
                }
            });
            for n in 0..handfuls {
                let mut handful = next(&empty);
                handful.extend((0..HANDFUL as u64).map(|value| Table::insert(&table, value)));
                drop(full.push(handful));
                late = late.max(BYTES.load(Ordering::Relaxed) - begun);
                if n < handfuls / 100 {
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
                    (MGM, bytes_a_handle::<Mgm>()),
                    (SHARDED_SLAB, bytes_a_handle::<sharded_slab::Slab<u64>>()),
                    ("slotmap", bytes_a_handle::<LockedSlotMap>()),
                    ("idr-ebr", bytes_a_handle::<Idr>()),
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

/// What the counters of so many flows take, for one worker: of a process of their own, as what others have given back may
/// be used again, and does not show then.
fn counters(flows: usize) -> f64 {
    let program = std::env::current_exe().expect("this program's path");
    let output = std::process::Command::new(program).args(["--counters", &flows.to_string()]).output();
    let output = output.expect("this program starts once more");
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().expect("it prints a number")
}
