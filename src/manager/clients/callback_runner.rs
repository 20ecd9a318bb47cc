//! [`CallbackRunner`]: runs code of clients: callbacks, destructors and the routes.
//!
//! Such code may panic, take long, and call every function of the manager.

use crate::manager::Client;
use parking_lot::Mutex;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

thread_local! {
    /// The number of nested calls of client code on this thread, over all managers. It has no destructor, so that it can be
    /// used until the thread ends.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The number of nested calls of client code above which a further call waits until some have returned.
const MAX_DEPTH: u32 = 32;

/// Returns whether this thread is inside client code. Such a thread must not wait for another callback to return.
pub(in crate::manager) fn in_callback() -> bool {
    DEPTH.get() > 0
}

/// Returns whether this thread's stack has room for another call of client code.
pub(in crate::manager) fn has_stack_room() -> bool {
    DEPTH.get() < MAX_DEPTH
}

/// Runs client code, counts its panics, and keeps departed clients until their destructors can run.
#[derive(Default)]
pub(in crate::manager) struct CallbackRunner {
    /// Clients with destructors that are still to run.
    departed: Mutex<Vec<Arc<dyn Client>>>,
    /// Whether `departed` may hold a client.
    has_departed: AtomicBool,
    panics: AtomicU64,
}

impl CallbackRunner {
    /// Runs client code and returns its answer; `None` when it panicked. Counts and logs the panic. Must be called with no
    /// lock held.
    pub(in crate::manager) fn run<R>(&self, what: &str, f: impl FnOnce() -> R) -> Option<R> {
        DEPTH.set(DEPTH.get() + 1);
        let result = catch_unwind(AssertUnwindSafe(f));
        DEPTH.set(DEPTH.get() - 1);
        match result {
            Ok(answer) => Some(answer),
            Err(payload) => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                let message = payload.downcast_ref::<&str>().copied();
                let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
                tracing::error!("{what} panicked: {}", message.unwrap_or("(no message)"));
                // The payload is client code as well: its destructor may panic.
                std::mem::forget(payload);
                None
            }
        }
    }

    /// Returns the number of panics of client code.
    pub(in crate::manager) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Takes the last reference to a client. The caller may hold a lock, and a client's destructor may do anything, so the
    /// destructor runs later, in [`run_destructors`](Self::run_destructors).
    pub(in crate::manager) fn defer_destructor(&self, client: Arc<dyn Client>) {
        let mut departed = self.departed.lock();
        departed.push(client);
        // Relaxed: a hint, written under the lock of what it announces. A thread that misses it leaves the client to the
        // next thread.
        self.has_departed.store(true, Ordering::Relaxed);
    }

    /// Runs the deferred destructors. Must be called with no lock held.
    pub(in crate::manager) fn run_destructors(&self) {
        while self.has_departed.load(Ordering::Relaxed) {
            let departed = {
                let mut departed = self.departed.lock();
                self.has_departed.store(false, Ordering::Relaxed);
                std::mem::take(&mut *departed)
            };
            for client in departed {
                self.run("a client's destructor", || drop(client));
            }
        }
    }
}

impl Drop for CallbackRunner {
    fn drop(&mut self) {
        self.run_destructors();
    }
}
