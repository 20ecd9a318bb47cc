//! A release is instant: what is sent after it has returned does not leave by the interface.

use crate::support::{Receiver, Router, Sender, eventually};
use mgm::forwarding::Family;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The last of the groups in order, so that the sweep comes to it last.
const GROUP: &str = "239.255.1.1";
/// So many entries that the sweep after the release takes far longer than a packet.
const OTHER_FLOWS: u32 = 2000;

#[test]
fn no_packet_sent_after_a_release_leaves_by_the_interface() {
    let router = Router::new(Family::V4);
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "first");
    for n in 0..OTHER_FLOWS {
        let group = format!("239.9.{}.{}", n / 250, n % 250 + 1);
        router.join(&group);
        router.manager.new_flow(router.flow(&group)).expect("an entry");
    }
    eventually("every entry is in the kernel", || router.plane().entries().len() > OTHER_FLOWS as usize);
    host.drain();

    let (number, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let last_before = thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            // Not for ever, so that a failed assertion ends the test.
            while !stop.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(30) {
                // The number is taken before the packet is sent: a greater one is sent later.
                sender.send(&(number.fetch_add(1, Ordering::SeqCst) + 1).to_string());
            }
        });
        eventually("traffic flows", || number.load(Ordering::SeqCst) > 500);
        router.manager.release(router.client, router.lan).expect("released");
        let last_before = number.load(Ordering::SeqCst);
        // The follower may be fast enough to hide a vif that was not deleted in the release itself.
        assert_eq!(router.plane().counters().interfaces_cut, 1, "the release deleted the vif");
        eventually("traffic goes on", || number.load(Ordering::SeqCst) > last_before + 500);
        stop.store(true, Ordering::SeqCst);
        last_before
    });
    let received: Vec<u64> = std::iter::from_fn(|| host.next(Duration::from_millis(100)))
        .map(|text| text.parse().expect("a number"))
        .collect();
    let last = received.last().copied().expect("packets before the release");
    assert!(
        last <= last_before,
        "packet {last} left, but {last_before} was the last before the release returned"
    );
}

/// What the routing protocol has on a shared interface goes on after IGMP released it.
#[test]
fn another_owner_of_the_interface_keeps_its_packets() {
    let router = Router::new(Family::V4);
    let service = router.start_gmp(crate::support::fast_querier());
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "both");
    let before = router.plane().interfaces();
    drop(service);
    host.expect(&sender, "the routing protocol alone");
    let after = router.plane().interfaces();
    let vif = |interfaces: &[mgm_linux::plane::PlaneInterface]| {
        interfaces.iter().find(|plane| plane.interface == router.lan).and_then(|plane| plane.vif)
    };
    assert_ne!(vif(&before), vif(&after), "the interface has another number");
    router.assert_same_entries();
}
