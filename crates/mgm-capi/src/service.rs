//! The manager's thread: it advances the clock, processes upcalls, and reports changed entries to the plane's hook.

use crate::instance::Instance;
use crate::{hooks, waker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The clock advances at least this often. A wake-up that was skipped waits no longer than this.
const TICK: Duration = Duration::from_millis(250);

/// Upcalls, and changed entries, that are processed between two advances of the clock.
const BATCH: usize = 64;

/// The running thread.
pub(crate) struct Service {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Service {
    pub(crate) fn start(instance: &'static Instance) -> std::io::Result<Service> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let thread = Builder::new().name("mgm".into()).spawn(move || serve(instance, &stopped))?;
        waker::set(Some(thread.thread().clone()));
        Ok(Service { thread, stop })
    }

    /// Ends the thread and waits for it. On the thread itself, which calls hooks and callbacks, it does not wait: the
    /// thread ends after the hook or callback has returned.
    pub(crate) fn stop(self) {
        // SeqCst, as the load in `serve`, for simplicity: the unpark below orders the two anyway.
        self.stop.store(true, Ordering::SeqCst);
        waker::set(None);
        self.thread.thread().unpark();
        if self.thread.thread().id() != std::thread::current().id() {
            // A panic of the thread was reported there.
            let _ = self.thread.join();
        }
    }
}

fn serve(instance: &'static Instance, stop: &AtomicBool) {
    // SeqCst: as the store in `Service::stop`.
    while !stop.load(Ordering::SeqCst) {
        let (manager, _) = instance.advanced();
        // Work that arrives meanwhile leaves an unpark token, which ends the wait at once.
        if manager.process_upcalls(BATCH) + hooks::report_changes(BATCH) == 0 {
            std::thread::park_timeout(TICK);
        }
    }
}
