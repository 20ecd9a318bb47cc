//! How clients are called: the gate that a deregistration closes, and the outbox that one thread at a time empties.

#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_tests::explore;
use mgm::handle::HandleTable;
use mgm::manager::parts::{Gate, Next, Outbox};
use std::sync::Arc;

/// What a callback touches, and its owner takes away once the client has left.
struct Callbacks(UnsafeCell<u32>);

// SAFETY: loom checks every access, which is what the models are about.
unsafe impl Sync for Callbacks {}

impl Callbacks {
    fn run(&self) {
        // SAFETY: as above: an access that is not allowed is a report.
        self.0.with(|value| assert_eq!(unsafe { *value }, 1, "a callback after goodbye"));
    }

    fn take_away(&self) {
        // SAFETY: as above.
        self.0.with_mut(|value| unsafe { *value = 0 });
    }
}

struct Client {
    gate: Gate,
    callbacks: Callbacks,
    table: HandleTable<()>,
}

/// Two callbacks are about to start while the client leaves: none starts after that, and those that run are waited for.
#[test]
fn goodbye() {
    explore("goodbye", 64, || {
        let table = HandleTable::with_capacity(1).unwrap();
        let handle = table.insert(()).ok().unwrap();
        let gate = Gate::default();
        let client = Arc::new(Client { gate, callbacks: Callbacks(UnsafeCell::new(1)), table });
        let theirs = client.clone();
        let caller = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(_inside) = theirs.gate.enter(|| theirs.table.validate(handle)) {
                    theirs.callbacks.run();
                }
            }
        });
        client.table.remove(handle).unwrap();
        client.gate.close();
        client.gate.wait();
        client.callbacks.take_away();
        caller.join().unwrap();
    });
}

/// Two threads have something to tell. Each thing is told, in the order in which they were queued, one at a time, and when
/// both have returned nothing is left.
#[test]
fn delivery() {
    explore("delivery", 64, || {
        let outbox = Arc::new(Outbox::default());
        let told = Arc::new((Mutex::new(Vec::new()), AtomicUsize::new(0)));
        let order = Arc::new(Mutex::new(Vec::new()));
        let speak = |n: u32| {
            let (outbox, told, order) = (outbox.clone(), told.clone(), order.clone());
            move || {
                {
                    // As under the membership lock.
                    let mut order = order.lock().unwrap();
                    order.push(n);
                    outbox.push(n, 9);
                }
                outbox.deliver(|next| {
                    assert_eq!(told.1.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    let Next::Item(n) = next else { panic!("lost") };
                    told.0.lock().unwrap().push(n);
                    told.1.fetch_sub(1, Ordering::SeqCst);
                });
            }
        };
        let other = thread::spawn(speak(1));
        speak(2)();
        other.join().unwrap();
        assert_eq!(*told.0.lock().unwrap(), *order.lock().unwrap());
    });
}
