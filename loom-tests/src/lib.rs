//! How the models are run: within a bound on preemptions, counted, and with a count demanded.
//!
//! `LOOM_EXTRA` is added to every bound, for a longer run. `LOOM_LOADS_AS_RMW` has the crate under test make its loads
//! as `fetch_add(0)`: loom keeps one last access an object, so a model may explore too little, or a single execution if
//! a thread of it only reads. Such loads always read the newest value, though, so each model runs both ways, and it is
//! the second that has to explore much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Explores every interleaving of `model` with at most `preemptions` preemptions, and prints how many there were.
///
/// # Panics
/// When an interleaving fails, and when there were suspiciously few: loom takes what it does not see for one execution.
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

/// A value whose reads loom checks against its destruction.
pub struct Watched(loom::cell::UnsafeCell<u64>);

impl Watched {
    /// A value that reads as this.
    pub fn new(value: u64) -> Self {
        Watched(loom::cell::UnsafeCell::new(value))
    }

    /// What it was made with.
    pub fn read(&self) -> u64 {
        // SAFETY: only `drop` writes; that it never does so while this runs is what loom checks.
        self.0.with(|value| unsafe { *value })
    }
}

// SAFETY: loom's cell reports every race.
unsafe impl Sync for Watched {}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: nobody else has it any more, or loom reports it.
        self.0.with_mut(|value| unsafe { *value = u64::MAX });
    }
}
