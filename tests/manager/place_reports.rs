//! Reports of packets on a former interface do not keep its place.

use mgm::forwarding::Flow;
use mgm::manager::{GroupManager, Interface, ManagerConfig, Protocol};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn upcalls_that_are_refused_keep_no_place() {
    let config = ManagerConfig::default().with_interfaces(1).with_upcalls(1);
    let manager = GroupManager::new(config, Arc::new(|_| None)).unwrap();
    let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    let flow = |n| Flow::new([192, 0, 2, n].into(), [239, 1, 1, 1].into()).unwrap();
    // The queue is full with a flow of an interface that was never taken.
    manager.upcall(flow(1), Interface::v4(99), &[]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for n in 2..4 {
            let (manager, done) = (&manager, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    for interface in 0..8 {
                        manager.upcall(flow(n), Interface::v4(interface), &[]);
                    }
                }
            });
        }
        for round in 0..2_000 {
            let interface = Interface::v4(round % 8);
            assert_eq!(manager.take(client, interface), Ok(()), "round {round}");
            manager.release(client, interface).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}
