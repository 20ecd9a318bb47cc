//! [`CallbackRunner`]: runs code of clients: callbacks, destructors and the routes. All of it is foreign code
//! (`foreign_code.rs`).

use crate::foreign_code::{self, PutOff};
use crate::manager::Client;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    /// Runs client code and returns its answer; `None` when it panicked. Counts and logs the panic. Afterwards does what was
    /// put off on this thread. Must be called with no lock held.
    pub(in crate::manager) fn run<R>(&self, what: &str, code: impl FnOnce() -> R) -> Option<R> {
        let answer = self.contain(what, code);
        foreign_code::run_put_off();
        answer
    }

    /// As [`run`](Self::run), for a caller that other threads wait for. It has to call [`foreign_code::run_put_off`] when they
    /// need not wait any more.
    pub(in crate::manager) fn contain<R>(&self, what: &str, code: impl FnOnce() -> R) -> Option<R> {
        foreign_code::contain(code)
            .map_err(|panicked| {
                // Relaxed: a count.
                self.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!("{what} panicked: {panicked}");
            })
            .ok()
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

    /// Runs the deferred destructors, then what was put off on this thread. Must be called with no lock held.
    ///
    /// A destructor may deregister other clients, which have destructors themselves. Without room on the stack they wait for
    /// a call further out.
    pub(in crate::manager) fn run_destructors(self: &Arc<Self>) {
        // Relaxed: see `defer_destructor`.
        if self.has_departed.load(Ordering::Relaxed) {
            foreign_code::put_off_without_room(self.clone());
        }
        foreign_code::run_put_off();
    }

    fn run_departed(&self) {
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

impl PutOff for CallbackRunner {
    fn run(&self) {
        self.run_departed();
    }
}

impl Drop for CallbackRunner {
    fn drop(&mut self) {
        self.run_departed();
    }
}
