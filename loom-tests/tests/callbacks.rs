//! The callbacks of clients: the rundown that a deregistration begins, and the outbox that one thread at a time delivers.

#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_tests::explore;
use mgm::handle::HandleTable;
use mgm::manager::parts::{Next, Outbox, Rundown};
use std::sync::Arc;

/// A value that callbacks read, and that the client invalidates once it is deregistered.
struct Callbacks(UnsafeCell<u32>);

// SAFETY: loom checks every access.
unsafe impl Sync for Callbacks {}

impl Callbacks {
    fn run(&self) {
        // SAFETY: loom reports an access that is not allowed.
        self.0.with(|value| assert_eq!(unsafe { *value }, 1, "a callback after the rundown"));
    }

    fn invalidate(&self) {
        // SAFETY: loom reports an access that is not allowed.
        self.0.with_mut(|value| unsafe { *value = 0 });
    }
}

struct Client {
    rundown: Rundown,
    callbacks: Callbacks,
    table: HandleTable<()>,
}

/// Two callbacks are about to start while the client is deregistered: none starts afterwards, and running ones are awaited.
#[test]
fn rundown() {
    explore("rundown", 64, || {
        let table = HandleTable::with_limit(1).unwrap();
        let handle = table.insert(()).ok().unwrap();
        let rundown = Rundown::default();
        let client = Arc::new(Client { rundown, callbacks: Callbacks(UnsafeCell::new(1)), table });
        let shared = client.clone();
        let caller = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(_guard) = shared.rundown.enter(|| shared.table.contains(handle)) {
                    shared.callbacks.run();
                }
            }
        });
        client.table.remove(handle).unwrap();
        client.rundown.close();
        client.rundown.wait();
        client.callbacks.invalidate();
        caller.join().unwrap();
    });
}

/// Two threads push a notice each. Both notices are delivered, in the order in which they were queued, one at a time; the outbox
/// is empty when both threads have returned.
#[test]
fn delivery() {
    explore("delivery", 64, || {
        let outbox = Arc::new(Outbox::default());
        let delivered = Arc::new((Mutex::new(Vec::new()), AtomicUsize::new(0)));
        let order = Arc::new(Mutex::new(Vec::new()));
        let notify = |n: u32| {
            let (outbox, delivered, order) = (outbox.clone(), delivered.clone(), order.clone());
            move || {
                {
                    // The manager pushes under the membership lock.
                    let mut order = order.lock().unwrap();
                    order.push(n);
                    outbox.push(n, 9);
                }
                outbox.deliver(|next| {
                    assert_eq!(delivered.1.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    let Next::Item(n) = next else { panic!("lost") };
                    delivered.0.lock().unwrap().push(n);
                    delivered.1.fetch_sub(1, Ordering::SeqCst);
                });
            }
        };
        let other = thread::spawn(notify(1));
        notify(2)();
        other.join().unwrap();
        assert_eq!(*delivered.0.lock().unwrap(), *order.lock().unwrap());
    });
}
