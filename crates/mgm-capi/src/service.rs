//! The manager's thread: it advances the clock, processes upcalls, and reports changed entries to the plane's hook.
//!
//! All signals are blocked on it: the signals of the program belong to the program's threads.

use crate::boundary::count_panic;
use crate::hooks;
use crate::instance::Instance;
use mgm::foreign_code;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    instance: &'static Instance,
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Service {
    pub(crate) fn start(instance: &'static Instance) -> io::Result<Service> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let thread = {
            let _blocked = BlockedSignals::block()?;
            Builder::new().name("mgm".into()).spawn(move || serve(instance, &stopped))?
        };
        instance.process.waker.set(Some(thread.thread().clone()));
        Ok(Service { instance, thread, stop })
    }

    /// Ends the thread and waits for it. Inside foreign code, and on the thread itself, it does not wait: the thread ends
    /// after the hook or callback that it is in has returned.
    pub(crate) fn stop(self) {
        // Release, paired with the load in `serve`: the thread needs nothing else of this one.
        self.stop.store(true, Ordering::Release);
        self.instance.process.waker.set(None);
        self.thread.thread().unpark();
        let is_own = self.thread.thread().id() == std::thread::current().id();
        if !foreign_code::is_inside() && !is_own {
            // `serve` catches the panics of its steps.
            let _ = self.thread.join();
        }
    }
}

/// All signals are blocked on the calling thread, and on the threads that it starts, until this is dropped.
struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    fn block() -> io::Result<BlockedSignals> {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: writes a set of signals to a local, which is initialized from then on.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: reads a set that was initialized above, and writes one to another local.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) } {
            // SAFETY: the call has succeeded, and has written the set.
            0 => Ok(BlockedSignals { before: unsafe { before.assume_init() } }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: reads a set that an earlier call has written. The call cannot fail with these arguments.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

fn serve(instance: &'static Instance, stop: &AtomicBool) {
    // Acquire, paired with the store in `Service::stop`.
    let stopped = || stop.load(Ordering::Acquire);
    let step = || {
        let (manager, _) = instance.advanced();
        let upcalls = manager.process_upcalls(BATCH);
        // Asks before each report: a stop from inside the hook does not wait, and another thread may serve by then.
        let reported =
            (0..BATCH).take_while(|_| !stopped() && hooks::report_change(instance.process)).count();
        upcalls + reported
    };
    while !stopped() {
        // A panic of the library must not end the service.
        let done = catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
            std::mem::forget(panic);
            count_panic("the manager's thread", &"see the message of the panic");
            0
        });
        // Work that arrives meanwhile leaves an unpark token, which ends the wait at once.
        if done == 0 {
            std::thread::park_timeout(TICK);
        }
    }
}
