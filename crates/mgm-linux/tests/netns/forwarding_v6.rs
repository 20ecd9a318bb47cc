//! IPv6: packets of a source reach a host that joined, and only then.

use crate::support::{Receiver, Router, Sender};
use mgm::forwarding::Family;
use std::time::Duration;

const GROUP: &str = "ff05::1:2:3";

#[test]
fn packets_reach_a_joined_host_until_the_release() {
    let router = Router::new(Family::V6);
    let host = Receiver::join(&router.host, "eth0", GROUP);
    let sender = Sender::new(&router.source, "eth0", GROUP);
    router.join(GROUP);
    host.expect(&sender, "first");
    let flow = router.flow(GROUP);
    let before = router.plane().entry_counters(flow).unwrap().expect("an entry");
    host.drain();
    (0..50).for_each(|_| sender.send("more"));
    assert_eq!((0..50).map_while(|_| host.next(Duration::from_secs(2))).count(), 50);
    let after = router.plane().entry_counters(flow).unwrap().expect("an entry");
    assert_eq!(after.packets - before.packets, 50);
    router.assert_same_entries();
    router.manager.release(router.client, router.lan).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    host.drain();
    (0..100).for_each(|_| sender.send("late"));
    assert_eq!(host.next(Duration::from_millis(200)), None);
}
