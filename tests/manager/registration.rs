//! A registration becomes visible in one step: a client that a walk has shown is complete, for its name, for calls with its
//! handle, and for its deregistration.

use mgm::handle::Handle;
use mgm::manager::{Client, GroupManager, Interface, ManagerConfig, Protocol, RegisterError};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

fn manager() -> GroupManager {
    GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap()
}

/// Stays in its first callback until it is told to go on.
struct SlowToStart {
    entered: Sender<()>,
    go_on: Mutex<Receiver<()>>,
    inside: Arc<AtomicBool>,
}

impl Client for SlowToStart {
    fn registered(&self, _: Handle) {
        self.inside.store(true, Ordering::SeqCst);
        self.entered.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        self.inside.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_client_shown_by_a_walk_is_complete() {
    let manager = manager();
    let ((entered, has_entered), (go_on, told)) = (channel(), channel());
    let inside = Arc::<AtomicBool>::default();
    let client = Arc::new(SlowToStart { entered, go_on: Mutex::new(told), inside: inside.clone() });
    thread::scope(|scope| {
        let registering = scope.spawn(|| manager.register(Protocol::new(1, 0), client).unwrap());
        has_entered.recv().unwrap();
        let shown = manager.clients()[0].handle;
        assert_eq!(manager.protocol_of(shown), Some(Protocol::new(1, 0)));
        manager.take(shown, Interface::v4(1)).unwrap();
        manager.release(shown, Interface::v4(1)).unwrap();
        let again = manager.register(Protocol::new(1, 0), Arc::new(()));
        assert_eq!(again, Err(RegisterError::AlreadyRegistered(Protocol::new(1, 0))));
        let (manager, inside) = (&manager, &inside);
        let deregistering = scope.spawn(move || {
            manager.deregister(shown).unwrap();
            assert!(!inside.load(Ordering::SeqCst), "deregister returned while a callback was running");
        });
        while manager.protocol_of(shown).is_some() {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        go_on.send(()).unwrap();
        deregistering.join().unwrap();
        assert_eq!(registering.join().unwrap(), shown);
    });
    assert!(manager.clients().is_empty());
}

#[test]
fn a_name_is_registered_once_at_a_time() {
    let (manager, alive, registered) = (manager(), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let Ok(client) = manager.register(Protocol::new(1, 0), Arc::new(())) else { continue };
                    registered.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(alive.fetch_add(1, Ordering::SeqCst), 0, "one name, two clients");
                    alive.fetch_sub(1, Ordering::SeqCst);
                    manager.deregister(client).unwrap();
                }
            });
        }
    });
    assert!(registered.load(Ordering::Relaxed) > 20_000 / 2);
}
