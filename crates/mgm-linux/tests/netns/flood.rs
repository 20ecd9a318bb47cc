//! Floods of packets that no receiver wants.

use crate::support::{Receiver, Router, Sender, eventually};
use mgm::forwarding::Family;
use mgm::manager::ManagerConfig;
use std::net::{IpAddr, Ipv4Addr};

#[test]
fn ten_thousand_unwanted_groups_leave_bounded_entries() {
    const MAX: usize = 512;
    let config = ManagerConfig::default()
        .with_negative_entries(2 * MAX as u32)
        .with_negative_entries_per_interface(MAX as u32);
    let router = Router::with(Family::V4, config);
    let sender = Sender::new(&router.source, "eth0", "239.0.0.1");
    for n in 0..10_000_u32 {
        let group = Ipv4Addr::from_bits(Ipv4Addr::new(239, 8, 0, 0).to_bits() + n);
        sender.send_to(IpAddr::V4(group), "unwanted");
    }
    // A wanted flow gets through behind the flood.
    let host = Receiver::join(&router.host, "eth0", "239.1.2.3");
    router.join("239.1.2.3");
    host.expect(&Sender::new(&router.source, "eth0", "239.1.2.3"), "wanted");
    eventually("every report is handled", || {
        let counters = router.plane().counters();
        let before = (counters.no_entry, counters.entries_set);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let counters = router.plane().counters();
        before == (counters.no_entry, counters.entries_set)
    });
    let entries = router.manager.entries().len();
    assert!(entries <= MAX + 1, "{entries} entries");
    let counters = router.plane().counters();
    assert!(counters.no_entry > MAX as u64 && counters.entries_failed == 0, "{counters:?}");
    // `ip mroute` shows flows that wait for their entry, too. They end after ten seconds.
    eventually("the kernel has the manager's entries", || {
        let resolved = router.mroute().iter().filter(|line| line.ends_with("State: resolved")).count();
        resolved == router.manager.entries().len() && router.plane().entries().len() == resolved
    });
}
