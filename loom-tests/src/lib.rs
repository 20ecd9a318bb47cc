//! Runs the models: within a bound on preemptions, with a minimum of executions.
//!
//! `LOOM_EXTRA` is added to every bound, for a longer run. With `LOOM_LOADS_AS_RMW` the crate under test makes its loads as
//! `fetch_add(0)`: loom keeps the last access of each object only, so a model may explore too little, or a single execution if
//! one of its threads only reads. Such loads always read the newest value, though. So each model runs both ways, and the
//! second run has to explore the minimum.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Explores every interleaving of `model` with at most `preemptions` preemptions, and prints their number.
///
/// # Panics
/// If an interleaving fails, and if there were too few: accesses that loom does not see make one execution.
pub fn explore(name: &str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let extra: usize = std::env::var("LOOM_EXTRA").ok().and_then(|extra| extra.parse().ok()).unwrap_or(0);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions + extra);
    builder.max_branches = 100_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = executions.clone();
    let start = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    println!(
        "MODEL {name}: {executions} executions, {} preemptions at most, {:.1} s",
        preemptions + extra,
        start.elapsed().as_secs_f32()
    );
    let enough = if std::env::var_os("LOOM_LOADS_AS_RMW").is_some() { 5 } else { 1 };
    assert!(executions >= enough, "{name}: {executions} executions are too few to have explored anything");
}

/// A value. Loom checks its reads against its drop.
pub struct Watched(loom::cell::UnsafeCell<u64>);

impl Watched {
    /// Creates a value that reads as `value`.
    pub fn new(value: u64) -> Self {
        Watched(loom::cell::UnsafeCell::new(value))
    }

    /// Returns the value that it was created with.
    pub fn read(&self) -> u64 {
        // SAFETY: only `drop` writes. Loom reports a drop while this runs.
        self.0.with(|value| unsafe { *value })
    }
}

// SAFETY: loom's cell reports every race.
unsafe impl Sync for Watched {}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: no other thread accesses it any more, or loom reports the access.
        self.0.with_mut(|value| unsafe { *value = u64::MAX });
    }
}
