//! Running code that is a client's: its callbacks, its destructor, the routes. It may panic, take long, and call anything.

use super::Client;
use super::outlet::Outlet;
use parking_lot::Mutex;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

thread_local! {
    /// How many calls of clients' code this thread is inside of, of whichever manager's. Has no destructor, so that it can
    /// be used to the thread's very end.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// How many calls of clients' code may lie inside each other on a thread's stack before the next one has to wait until
/// some have returned.
const DEEPEST: u32 = 32;

/// Whether this thread is inside a call of client's code: then it must not wait for another such call to end.
pub(super) fn inside() -> bool {
    DEPTH.get() > 0
}

/// Whether this thread's stack may take another call of client's code.
pub(super) fn has_room() -> bool {
    DEPTH.get() < DEEPEST
}

/// How a manager runs client's code.
#[derive(Default)]
pub(super) struct ClientCode {
    /// Clients that have left, and whose destructors are still to run.
    leaving: Mutex<Vec<Arc<dyn Client>>>,
    some: AtomicBool,
    panics: AtomicU64,
    /// Clients to be told something by whoever has room on his stack.
    put_off: Mutex<Vec<Arc<Outlet>>>,
}

impl ClientCode {
    /// Leaves it to a call further out on this thread's stack to deliver to a client.
    pub(super) fn put_off(&self, outlet: Arc<Outlet>) {
        self.put_off.lock().push(outlet);
    }

    /// A client to deliver to.
    pub(super) fn take_up(&self) -> Option<Arc<Outlet>> {
        self.put_off.lock().pop()
    }

    /// Runs client's code; a panic in it is counted and goes no further. To be called with no lock held.
    pub(super) fn run<R>(&self, what: &str, f: impl FnOnce() -> R) -> Option<R> {
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
                // What a panic carries is client's code, too, and may panic when it is dropped.
                std::mem::forget(payload);
                None
            }
        }
    }

    /// How often client's code has panicked.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Lets go of a client. Whoever does may hold a lock, and what a client does in its destructor is its own business: the
    /// destructor is put off until nothing is held.
    pub(super) fn let_go(&self, client: Arc<dyn Client>) {
        let mut leaving = self.leaving.lock();
        leaving.push(client);
        // Only a hint, under the same lock as what it tells of: one who misses it leaves the work to the next.
        self.some.store(true, Ordering::Relaxed);
    }

    /// Runs the destructors that are due. To be called with no lock held.
    pub(super) fn run_destructors(&self) {
        while self.some.load(Ordering::Relaxed) {
            let left = {
                let mut leaving = self.leaving.lock();
                self.some.store(false, Ordering::Relaxed);
                std::mem::take(&mut *leaving)
            };
            for client in left {
                self.run("a client's destructor", || drop(client));
            }
        }
    }
}

impl Drop for ClientCode {
    fn drop(&mut self) {
        self.run_destructors();
    }
}
