//! Threads of rows: each is pinned to a core of its own while there are cores.

use super::Clock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Pins the calling thread to the `n`th core, modulo the number of cores. Does nothing where pinning is impossible.
pub(crate) fn pin(n: usize) {
    use std::sync::OnceLock;
    // Read once, because a pinned thread sees only its own core.
    static CORES: OnceLock<Vec<core_affinity::CoreId>> = OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if let Some(core) = cores.get(n % cores.len().max(1)) {
        core_affinity::set_for_current(*core);
    }
}

/// A barrier at which threads meet before they are timed.
pub(crate) struct StartGate {
    clock: Clock,
    missing: AtomicUsize,
}

impl StartGate {
    /// Makes the barrier of this number of threads.
    pub(crate) fn new(clock: Clock, threads: usize) -> StartGate {
        StartGate { clock, missing: AtomicUsize::new(threads) }
    }

    /// Does the work once to warm up, waits for the other threads, and times the work.
    pub(crate) fn time(&self, mut work: impl FnMut() -> u64) -> (u64, Duration) {
        work();
        // Relaxed, here and below: only the timing depends on it.
        self.missing.fetch_sub(1, Ordering::Relaxed);
        let mut turns = 0_u32;
        while self.missing.load(Ordering::Relaxed) > 0 {
            turns += 1;
            if turns > 1000 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        self.clock.time(work)
    }
}

/// Runs `each` in this number of threads at once. It is called with the thread's number, and calls [`StartGate::time`]
/// once. Returns the sum of the checksums and the mean of the times.
pub(crate) fn together(
    threads: usize,
    clock: Clock,
    each: impl Fn(usize, &StartGate) -> (u64, Duration) + Sync,
) -> (u64, Duration) {
    let gate = StartGate::new(clock, threads);
    let results: Vec<(u64, Duration)> = std::thread::scope(|scope| {
        let (gate, each) = (&gate, &each);
        let started = Vec::from_iter((0..threads).map(|n| {
            scope.spawn(move || {
                pin(n);
                each(n, gate)
            })
        }));
        started.into_iter().map(|thread| thread.join().expect("a thread of the contestant")).collect()
    });
    let sum = results.iter().fold(0_u64, |sum, result| sum.wrapping_add(result.0));
    (sum, results.iter().map(|result| result.1).sum::<Duration>() / threads as u32)
}

/// Runs `measure` on the calling thread while a thread on the next core repeats `work` without pause.
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
