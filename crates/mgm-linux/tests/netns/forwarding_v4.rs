//! IPv4: packets of a source reach a host that joined, and only then.

use crate::support::{Receiver, Router, Sender, eventually};
use mgm::forwarding::Family;
use std::time::Duration;

const GROUP: &str = "239.1.2.3";

#[test]
fn packets_reach_a_joined_host_and_mroute_shows_the_entry() {
    let router = Router::new(Family::V4);
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "first");
    let flow = router.flow(GROUP);
    let before = router.plane().entry_counters(flow).unwrap().expect("an entry");
    host.drain();
    (0..50).for_each(|n| sender.send(&n.to_string()));
    let received: Vec<_> = (0..50).map_while(|_| host.next(Duration::from_secs(2))).collect();
    assert_eq!(received, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    let after = router.plane().entry_counters(flow).unwrap().expect("an entry");
    assert_eq!((after.packets - before.packets, after.wrong_interface), (50, 0));
    let out = router.plane().interface_counters(router.lan).unwrap().expect("a vif");
    assert!(out.out_packets >= 51, "{out:?}");
    let shown = router.mroute();
    assert_eq!(shown, ["(10.1.0.2,239.1.2.3) Iif: wan Oifs: lan State: resolved"]);
    eventually("the plane's copy is the manager's", || {
        let entries = router.plane().entries();
        entries.len() == 1 && entries[0].incoming == Some(router.up) && entries[0].outgoing == [router.lan]
    });
}

#[test]
fn a_release_stops_packets_before_it_returns() {
    let router = Router::new(Family::V4);
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "first");
    router.manager.release(router.client, router.lan).unwrap();
    // What was under way when the release was called has arrived by now: a veth delivers at once.
    std::thread::sleep(Duration::from_millis(50));
    host.drain();
    (0..100).for_each(|_| sender.send("late"));
    assert_eq!(host.next(Duration::from_millis(200)), None);
    // The interface comes back with another number, and forwards again.
    router.manager.take(router.client, router.lan).unwrap();
    router.join(GROUP);
    host.expect(&sender, "again");
}
