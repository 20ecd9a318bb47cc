//! The thread of the process-wide manager: it moves the clock.

use super::process::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The clock moves at least so often, and a wake-up that got lost is made up for.
const TICK: Duration = Duration::from_millis(250);

/// The running thread.
pub(super) struct Service {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Service {
    pub(super) fn start(world: &'static World) -> std::io::Result<Service> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let thread = Builder::new().name("mgm".into()).spawn(move || serve(world, &stopped))?;
        Ok(Service { thread, stop })
    }

    /// Ends the thread and waits for it, unless it is the caller: then it ends once it gets back from there.
    pub(super) fn stop(self) {
        // SeqCst, as the load in `serve`, for simplicity's sake: the wake-up that follows orders the two anyway.
        self.stop.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        if self.thread.thread().id() != std::thread::current().id() {
            // What panicked there was reported there.
            let _ = self.thread.join();
        }
    }
}

fn serve(world: &'static World, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        world.on_time();
        std::thread::park_timeout(TICK);
    }
}
