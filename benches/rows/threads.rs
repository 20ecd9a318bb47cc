//! Rows with several threads: each pinned to a core of its own, as far as there are cores.

use super::Clock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Pins the calling thread to the `n`th core, modulo their number. Where that cannot be done, nothing is pinned.
pub(crate) fn pin(n: usize) {
    use std::sync::OnceLock;
    // Asked once: a pinned thread is told only of its own core.
    static CORES: OnceLock<Vec<core_affinity::CoreId>> = OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if let Some(core) = cores.get(n % cores.len().max(1)) {
        core_affinity::set_for_current(*core);
    }
}

/// Where threads meet before they are timed.
pub(crate) struct Gate {
    clock: Clock,
    missing: AtomicUsize,
}

impl Gate {
    /// Does the work once to warm up, waits for the others, and times it.
    pub(crate) fn time(&self, mut work: impl FnMut() -> u64) -> (u64, Duration) {
        work();
        // Relaxed, here and below: nothing but the time hangs on it.
        self.missing.fetch_sub(1, Ordering::Relaxed);
        let mut turns = 0_u32;
        while self.missing.load(Ordering::Relaxed) > 0 {
            turns += 1;
            if turns > 1000 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        self.clock.time(work)
    }
}

/// So many threads do `each` at once; each is given its number, and calls [`Gate::time`] once. The sum of their checksums,
/// and what one of them took on average.
pub(crate) fn together(
    threads: usize,
    clock: Clock,
    each: impl Fn(usize, &Gate) -> (u64, Duration) + Sync,
) -> (u64, Duration) {
    let gate = Gate { clock, missing: AtomicUsize::new(threads) };
    let results: Vec<(u64, Duration)> = std::thread::scope(|scope| {
        let (gate, each) = (&gate, &each);
        let started = Vec::from_iter((0..threads).map(|n| {
            scope.spawn(move || {
                pin(n);
                each(n, gate)
            })
        }));
        started.into_iter().map(|thread| thread.join().expect("a contestant's thread")).collect()
    });
    let sum = results.iter().fold(0_u64, |sum, result| sum.wrapping_add(result.0));
    (sum, results.iter().map(|result| result.1).sum::<Duration>() / threads as u32)
}

/// Runs `measure` on the calling thread while another, on the next core, does `work` without pause.
pub(crate) fn beside<R>(work: impl FnMut() + Send, measure: impl FnOnce() -> R) -> R {
    let (begun, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut work = work;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            while !stop.load(Ordering::Relaxed) {
                work();
                begun.store(true, Ordering::Relaxed);
            }
        });
        while !begun.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        let result = measure();
        stop.store(true, Ordering::Relaxed);
        result
    })
}
