//! The thread of the process-wide manager: it moves the clock, works off what packets have brought, and tells whoever keeps
//! a copy of the entries which of them have changed.

use super::changes;
use super::process::World;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, Thread};
use std::time::Duration;

/// The clock moves at least so often, and a wake-up that got lost is made up for.
const TICK: Duration = Duration::from_millis(250);

/// So much is done at once before the clock is looked at again.
const BATCH: usize = 64;

/// Whom to wake when there is something to do.
static THREAD: RwLock<Option<Thread>> = RwLock::new(None);

/// The running thread.
pub(super) struct Service {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Service {
    pub(super) fn start(world: &'static World) -> std::io::Result<Service> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let thread = Builder::new().name("mgm".into()).spawn(move || process_upcalls(world, &stopped))?;
        *THREAD.write() = Some(thread.thread().clone());
        Ok(Service { thread, stop })
    }

    /// Ends the thread and waits for it, unless it is the caller: then it ends once it gets back from there.
    pub(super) fn stop(self) {
        // SeqCst, as the load in `process_upcalls`, for simplicity's sake: the wake-up that follows orders the two anyway.
        self.stop.store(true, Ordering::SeqCst);
        *THREAD.write() = None;
        self.thread.thread().unpark();
        if self.thread.thread().id() != std::thread::current().id() {
            // What panicked there was reported there.
            let _ = self.thread.join();
        }
    }
}

/// Wakes the thread. Never waits: while the manager is being started or stopped, the next tick has to do.
pub(super) fn wake() {
    if let Some(thread) = THREAD.try_read()
        && let Some(thread) = &*thread
    {
        thread.unpark();
    }
}

fn process_upcalls(world: &'static World, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let (manager, _) = world.on_time();
        // What is brought while it works leaves a wake-up behind, so the wait ends at once.
        if manager.process_upcalls(BATCH) + changes::tell(BATCH) == 0 {
            std::thread::park_timeout(TICK);
        }
    }
}
