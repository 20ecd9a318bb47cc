//! A whole router on rings: hosts join by IGMP, a sender sends, and the router forwards from the first packet on.
//!
//! ```sh
//! cargo run --example ring_plane
//! ```
//!
//! The router has two ports, each a pair of rings in memory. A plane for real network cards has queues of a driver in their
//! place. One thread runs the router; the main thread plays a sender on `lan0` and a host on `lan1`.
//!
//! [`RingRouter`] runs the loop: it makes upcalls, processes them, and advances the clock. `own_plane.rs` shows such a loop
//! by hand.

use mgm::forwarding::Family;
use mgm::manager::{GroupManager, Interface, ManagerConfig};
use mgm::plane::ring::{FrameReceiver, FrameSender, RingPort, RingRouter, RingTotals, frame_ring};
use mgm::plane::{Link, MacAddress, Port};
use mgm::protocol::gmp::{GmpConfig, GroupMembership};
use mgm::protocol::static_joins::StaticJoins;
use mgm::rpf::RouteTable;
use mgm::wire::ethernet_header;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const PACKETS: usize = 5;
const SLOTS: usize = 64;

/// The far ends of a port's rings.
struct Wire {
    to_router: FrameSender,
    from_router: FrameReceiver,
}

/// Makes a port with its rings, and the far ends of these.
fn port(name: &str, index: u32) -> (RingPort, Wire) {
    let (to_router, receive) = frame_ring(SLOTS).expect("memory for a ring");
    let (transmit, from_router) = frame_ring(SLOTS).expect("memory for a ring");
    let mac = MacAddress::for_interface(index);
    let port = Port { name: name.to_owned(), index, link: Link::Ethernet, mac };
    (RingPort { port, receive, transmit }, Wire { to_router, from_router })
}

/// Runs the router on its own thread until `stop` is set. Returns its counters.
fn run_router(
    manager: Arc<GroupManager>,
    ports: Vec<RingPort>,
    igmp: Arc<GroupMembership>,
    stop: &AtomicBool,
) -> RingTotals {
    // The router stays on the thread that made it.
    let mut router = RingRouter::new(manager, ports, [igmp]);
    router.run_until(|| stop.load(Ordering::Relaxed));
    router.totals()
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // The sender's network is behind interface 1.
    let routes = RouteTable::new([("192.0.2.0/24".parse()?, Interface::v4(1))]);
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes))?);

    // A routing protocol owns both interfaces, and IGMP listens for hosts on them.
    let routing = StaticJoins::new(manager.clone())?;
    let igmp = Arc::new(GroupMembership::new(manager.clone(), Family::V4, GmpConfig::default())?);
    for interface in [Interface::v4(1), Interface::v4(2)] {
        routing.take(interface)?;
        igmp.take(interface)?;
    }

    let (lan0, mut sender) = port("lan0", 1);
    let (lan1, mut host) = port("lan1", 2);
    let stop = AtomicBool::new(false);
    let totals = thread::scope(|scope| {
        let router = scope.spawn(|| run_router(manager.clone(), vec![lan0, lan1], igmp.clone(), &stop));
        let received = exchange(&manager, &mut sender, &mut host);
        stop.store(true, Ordering::Relaxed);
        let totals = router.join().map_err(|_| "the router's thread panicked")?;
        received.map(|()| totals)
    })?;

    let entry = manager.entries().remove(0);
    let outgoing: Vec<_> = entry.outgoing.iter().map(|outgoing| outgoing.interface.to_string()).collect();
    println!("entry {}: {} packets, copied to {}", entry.flow, entry.totals.packets, outgoing.join(", "));
    println!(
        "router: {} frames, {} forwarded, {} lost",
        totals.packets, totals.forwarded_packets, totals.no_entry
    );
    Ok(())
}

/// Lets the host join, and sends packets of a flow that the router does not know yet.
fn exchange(manager: &GroupManager, sender: &mut Wire, host: &mut Wire) -> Result<(), Box<dyn Error>> {
    // An IGMPv2 report: type 0x16, and the group.
    let [a, b, c, d] = GROUP.octets();
    let mut report = [0x16, 0, 0, 0, a, b, c, d];
    let checksum = checksum(&report);
    report[2..4].copy_from_slice(&checksum.to_be_bytes());
    host.to_router.send(&frame(HOST, 2, 1, &report))?;
    wait_until("the report becomes a membership", || !manager.memberships().is_empty())?;
    println!("host {HOST} joined {GROUP}: {} membership", manager.memberships().len());

    for n in 0..PACKETS {
        sender.to_router.send(&frame(SENDER, 17, 16, &[n as u8; 26]))?;
    }
    let mut received = Vec::new();
    wait_until("the copies arrive", || {
        host.from_router.receive(SLOTS, |copy| received.push(copy.to_vec()));
        received.len() == PACKETS
    })?;
    for copy in &received {
        let (ttl, payload) = (copy[14 + 8], &copy[14 + 20..]);
        println!("host received packet {} with TTL {ttl}, {} octets", payload[0], payload.len());
    }
    Ok(())
}

/// Returns the Ethernet frame of an IPv4 datagram to the group.
fn frame(source: Ipv4Addr, protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let mut header = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, ttl, protocol, 0, 0];
    header.extend(source.octets());
    header.extend(GROUP.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let mac = MacAddress::for_interface(99);
    [&ethernet_header(GROUP.into(), mac)[..], &header, payload].concat()
}

/// Returns the Internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Waits until a condition holds, at most ten seconds.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > Duration::from_secs(10) {
            return Err(format!("waited in vain until {what}"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
