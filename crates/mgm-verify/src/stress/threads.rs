//! The threads of a run, and the windows between which all of them rest.
//!
//! A batch is a number of windows that some of the threads run together. As many run as there are processors, so that their
//! calls overlap. The choice changes from batch to batch. Each thread records its calls in a list of its own: a shared log
//! would order the calls of different threads, and so hide faults.

use super::recorder::Recorder;
use super::world::{CALLS, World};
use super::{CheckLevel, StressConfig};
use crate::history::{Event, Window};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The windows of a batch.
const WINDOWS: usize = 64;

/// The state that the threads share.
pub(super) struct Arena<'c> {
    config: &'c StressConfig,
    world: Arc<World>,
    /// The clients that were registered at some time in this batch. Used between batches only.
    recorders: Mutex<Vec<Arc<Recorder>>>,
    /// The number of threads that run a batch together.
    together: usize,
    turn: Mutex<Turn>,
    changed: Condvar,
    /// How often a thread of the batch has reached the start of a window.
    arrived: AtomicUsize,
    /// Whether a thread has panicked. No thread waits for it.
    failed: AtomicBool,
}

/// Ends the run if the thread panics.
struct EndOnPanic<'a, 'c>(&'a Arena<'c>);

impl Drop for EndOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // SeqCst, with the load in `failed`.
            self.0.failed.store(true, Ordering::SeqCst);
            self.0.end();
        }
    }
}

#[derive(Default)]
struct Turn {
    batch: u64,
    /// The number of threads that have not finished the batch.
    running: usize,
    events: Vec<(usize, Event)>,
    registered: Vec<Arc<Recorder>>,
    over: bool,
}

impl<'c> Arena<'c> {
    pub(super) fn new(config: &'c StressConfig, world: Arc<World>) -> Arena<'c> {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        Arena {
            config,
            world,
            recorders: Mutex::default(),
            together: config.threads.min(processors.clamp(2, 4)),
            turn: Mutex::default(),
            changed: Condvar::new(),
            arrived: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock()
    }

    fn records_callbacks(&self) -> bool {
        self.config.check == CheckLevel::All
    }

    /// Lets the next threads run a batch. Returns its windows.
    pub(super) fn batch(&self) -> Vec<Window> {
        // Relaxed: the threads read it after they have locked `turn`.
        self.arrived.store(0, Ordering::Relaxed);
        let mut turn = self.turn();
        turn.batch += 1;
        turn.running = self.together;
        self.changed.notify_all();
        while turn.running > 0 && !self.failed() {
            self.changed.wait(&mut turn);
        }
        let deliveries = self.records_callbacks().then(BTreeMap::new);
        let empty =
            || Window { events: Vec::with_capacity(CALLS * self.together), deliveries: deliveries.clone() };
        let mut windows: Vec<Window> = (0..WINDOWS).map(|_| empty()).collect();
        for (window, event) in turn.events.drain(..) {
            windows[window].events.push(event);
        }
        if self.records_callbacks() {
            self.collect_deliveries(&mut turn.registered, &mut windows);
        }
        turn.registered.clear();
        windows
    }

    /// Moves the callbacks of the batch into its windows.
    fn collect_deliveries(&self, registered: &mut Vec<Arc<Recorder>>, windows: &mut [Window]) {
        let mut recorders = self.recorders.lock();
        recorders.append(registered);
        recorders.retain(|recorder| {
            let Some(handle) = recorder.handle() else { return false };
            for (window, delivery) in recorder.take() {
                let all = windows[window].deliveries.get_or_insert_default();
                all.entry(handle.to_bits()).or_default().push(delivery);
            }
            self.world.manager.protocol_of(handle).is_some()
        });
    }

    /// Returns whether a client has found an alert wrong.
    pub(super) fn found_faults(&self) -> bool {
        !self.world.faults().is_empty()
    }

    /// Returns whether a thread has panicked.
    pub(super) fn failed(&self) -> bool {
        // SeqCst, with the store in `EndOnPanic`.
        self.failed.load(Ordering::SeqCst)
    }

    /// Ends the threads.
    pub(super) fn end(&self) {
        self.turn().over = true;
        self.changed.notify_all();
    }

    /// Returns whether the thread runs in this batch.
    fn is_chosen(&self, thread: usize, batch: u64) -> bool {
        let threads = self.config.threads;
        let first = (batch as usize * self.together) % threads;
        (thread + threads - first) % threads < self.together
    }

    /// Returns the seed of a thread.
    pub(super) fn seed(&self, thread: usize) -> u64 {
        self.config.seed.wrapping_add((thread as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Runs a thread until the end of the run.
    pub(super) fn work(&self, thread: usize) {
        self.world.enter_thread(thread, self.seed(thread));
        let _end = EndOnPanic(self);
        // Pins each thread to a processor: the scheduler often puts two threads that it wakes together on one processor,
        // and a batch is too short for it to correct that. Without affinity the threads run where the scheduler puts them.
        let processors = core_affinity::get_core_ids().unwrap_or_default();
        if !processors.is_empty() {
            core_affinity::set_for_current(processors[thread % processors.len()]);
        }
        let mut done = 0;
        while let Some(batch) = self.wait_for_turn(thread, done) {
            done = batch;
            for window in 0..WINDOWS {
                // Planned before the window begins, so that the window holds nothing but calls.
                let Some(plan) = self.world.enter_window(window, self.together) else { return };
                self.meet(window);
                self.world.make(&plan);
            }
            let (mut events, mut registered) = self.world.take_recorded();
            let mut turn = self.turn();
            turn.events.append(&mut events);
            turn.registered.append(&mut registered);
            turn.running -= 1;
            if turn.running == 0 {
                self.changed.notify_all();
            }
        }
    }

    /// Blocks until the thread is chosen for a batch after `done`. Returns the batch, or nothing at the end of the run.
    fn wait_for_turn(&self, thread: usize, mut done: u64) -> Option<u64> {
        let mut turn = self.turn();
        while !turn.over && (turn.batch == done || !self.is_chosen(thread, turn.batch)) {
            done = turn.batch;
            self.changed.wait(&mut turn);
        }
        (!turn.over).then_some(turn.batch)
    }

    /// Blocks until every thread of the batch has finished the window before.
    fn meet(&self, window: usize) {
        // SeqCst, with the load below: all that a thread did before it arrived precedes all that the others do afterwards.
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let mut spins = 0_u32;
        // SeqCst, with the addition above.
        while self.arrived.load(Ordering::SeqCst) < (window + 1) * self.together && !self.failed() {
            spins = spins.wrapping_add(1);
            // Yields rarely: a thread that yields at once would start after the others.
            if spins.is_multiple_of(5_000) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
