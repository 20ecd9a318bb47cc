use super::*;
use crate::forwarding::{Family, Flow, FlowTotals};
use crate::manager::{GroupManager, Interface, ManagerConfig, Membership, ReversePath};
use crate::plane::{Class, DropCounters, Link, MacAddress, Port, classify};
use crate::protocol::gmp::{GmpConfig, GroupMembership};
use crate::protocol::static_joins::StaticJoins;
use crate::wire::{decrement_ttl, ethernet_header};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 7);
/// The link headers of the ports' frames. Frames of the last port have none.
const LINKS: [Link; 4] = [Link::Ethernet, Link::Ethernet, Link::Ethernet, Link::Ip];

/// A router of four ports. Sources are behind the first, receivers behind the others.
struct Scene {
    manager: Arc<GroupManager>,
    statics: StaticJoins,
}

fn interface(port: usize, family: Family) -> Interface {
    Interface::of(family, port as u32 + 1)
}

fn port(n: usize) -> Port {
    Port {
        name: format!("p{n}"),
        index: n as u32 + 1,
        link: LINKS[n],
        mac: MacAddress::for_interface(n as u32),
    }
}

impl Scene {
    fn new() -> Scene {
        let routes = |source| Some(ReversePath::through(interface(0, Family::of(source))));
        let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
        let statics = StaticJoins::new(manager.clone()).unwrap();
        for (family, group) in [(Family::V4, IpAddr::V4(GROUP4)), (Family::V6, IpAddr::V6(GROUP6))] {
            (0..4).for_each(|at| statics.take(interface(at, family)).unwrap());
            for at in 1..4 {
                let membership = Membership::any_source(group).unwrap();
                statics.join(interface(at, family), membership).unwrap();
            }
        }
        Scene { manager, statics }
    }

    fn worker(&self, slots: usize) -> (RingWorker, Vec<FrameReceiver>) {
        let (ports, rings): (Vec<_>, Vec<_>) = (0..4)
            .map(|at| {
                let (sender, receiver) = frame_ring(slots).unwrap();
                ((port(at), sender), receiver)
            })
            .unzip();
        (RingWorker::new(self.manager.clone(), ports), rings)
    }

    fn totals(&self, flow: Flow) -> FlowTotals {
        self.manager.entries().iter().find(|entry| entry.flow == flow).unwrap().totals
    }
}

fn v4(source: u8, group: Ipv4Addr, ttl: u8, payload: usize) -> Vec<u8> {
    let [a, b, c, d] = group.octets();
    let [high, low] = (20 + payload as u16).to_be_bytes();
    let mut datagram = vec![0x45, 0, high, low, 0, 0, 0, 0, ttl, 17, 0, 0, 10, 0, 0, source, a, b, c, d];
    let sum: u32 = datagram.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    datagram[10..12].copy_from_slice(&sum.to_be_bytes());
    datagram.extend((0..payload).map(|n| n as u8));
    [&[1, 0, 0x5e, b & 0x7f, c, d, 2, 0, 0, 0, 0, 1, 8, 0][..], &datagram].concat()
}

fn v6(source: u16, hops: u8, payload: usize) -> Vec<u8> {
    let [high, low] = (payload as u16).to_be_bytes();
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, source).octets();
    let header = [0x60, 0, 0, 0, high, low, 17, hops];
    let payload: Vec<u8> = (0..payload).map(|n| n as u8).collect();
    [
        &[0x33, 0x33, 0, 0, 0, 7, 2, 0, 0, 0, 0, 1, 0x86, 0xdd][..],
        &header,
        &source,
        &GROUP6.octets(),
        &payload,
    ]
    .concat()
}

fn drain(rings: &mut [FrameReceiver]) -> Vec<Vec<Vec<u8>>> {
    let all = |ring: &mut FrameReceiver| {
        let mut frames = Vec::new();
        ring.receive(usize::MAX, |frame| frames.push(frame.to_vec()));
        frames
    };
    rings.iter_mut().map(all).collect()
}

/// Returns the copy of a datagram that leaves through a port, made the simple way.
fn copy(flow: Flow, datagram: &[u8], at: usize) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    decrement_ttl(&mut datagram).unwrap();
    let port = port(at);
    if port.link.has_ethernet_header() {
        datagram.splice(0..0, ethernet_header(flow.group(), port.mac));
    }
    datagram
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..64_usize, 1000..2090_usize];
    prop_oneof![
        4 => (0..4_u8, 1..9_u8, length.clone()).prop_map(|(source, ttl, length)| v4(source, GROUP4, ttl, length)),
        2 => (0..4_u16, 1..9_u8, length).prop_map(|(source, hops, length)| v6(source, hops, length)),
        // A group without receivers.
        1 => (0..4_u8).prop_map(|source| v4(source, Ipv4Addr::new(239, 9, 9, 9), 9, 26)),
        1 => (0..4_u8).prop_map(|source| v4(source, Ipv4Addr::new(224, 0, 0, 9), 9, 26)),
        1 => prop::collection::vec(any::<u8>(), 0..70),
    ]
}

fn sum(totals: &RingTotals) -> u64 {
    let RingTotals { forwarded_packets, not_forwarded, no_entry, no_room, pending, .. } = totals;
    forwarded_packets + not_forwarded.total() + no_entry + no_room + pending
}

proptest! {
    #[test]
    fn copies_are_right_and_every_packet_counts_once(
        bursts in prop::collection::vec((prop::collection::vec(frame(), 0..100), 0..2_usize), 1..6),
        slots in 1..200_usize,
    ) {
        let scene = Scene::new();
        let (mut worker, mut rings) = scene.worker(slots);
        let slots = slots.next_power_of_two();
        let (mut received, mut sent, mut dropped, mut missed) = (0, [0; 4], [0; 4], 0);
        let mut of_flows: BTreeMap<Flow, u64> = BTreeMap::new();
        for (frames, arrival) in &bursts {
            let before: Vec<Flow> = scene.manager.entries().iter().map(|entry| entry.flow).collect();
            let mut expected: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
            for frame in frames {
                received += 1;
                let Class::Data(data) = classify(Link::Ethernet, frame) else { continue };
                if !before.contains(&data.flow) {
                    missed += 1;
                } else if *arrival == 0 && [GROUP4.into(), GROUP6.into()].contains(&data.flow.group()) {
                    for at in 1..4 {
                        // An Ethernet header, if the port has one, can make a frame too long for a slot.
                        let header = if port(at).link.has_ethernet_header() { 14 } else { 0 };
                        let long = header + data.datagram.len() > MAX_FRAME;
                        if expected[at].len() == slots || long {
                            dropped[at] += 1;
                        } else {
                            expected[at].push(copy(data.flow, data.datagram, at));
                            sent[at] += 1;
                            *of_flows.entry(data.flow).or_default() += 1;
                        }
                    }
                }
            }
            worker.forward(*arrival, frames.iter().map(Vec::as_slice), |_| ());
            prop_assert!(drain(&mut rings) == expected);
            while scene.manager.process_upcalls(usize::MAX) > 0 {}
        }
        let totals = worker.totals();
        prop_assert_eq!(totals.packets, received);
        prop_assert_eq!(sum(&totals), received);
        prop_assert_eq!(totals.no_entry + totals.not_forwarded.queue_full, missed);
        prop_assert_eq!(totals.copies, sent.iter().sum::<u64>());
        prop_assert_eq!(totals.octets, bursts.iter().flat_map(|(frames, _)| frames).map(|f| f.len() as u64).sum::<u64>());
        for (at, port) in totals.ports.iter().enumerate() {
            prop_assert_eq!((port.sent, port.dropped), (sent[at], dropped[at]));
        }
        for (flow, copies) in of_flows {
            prop_assert_eq!(scene.totals(flow).copies, copies);
        }
    }

    #[test]
    fn frames_are_received_in_order(sizes in prop::collection::vec(0..2200_usize, 1..60), slots in 0..9_usize) {
        let (mut sender, mut receiver) = frame_ring(slots).unwrap();
        let capacity = slots.max(1).next_power_of_two();
        let (mut inside, mut seen) = (std::collections::VecDeque::new(), 0);
        for (n, size) in sizes.into_iter().enumerate() {
            let frame = vec![n as u8; size];
            prop_assert_eq!(sender.room(), capacity - inside.len());
            let expected = match size {
                MAX_FRAME.. if size > MAX_FRAME => Err(SendError::TooLong),
                _ if inside.len() == capacity => Err(SendError::Full),
                _ => Ok(()),
            };
            prop_assert_eq!(sender.send(&frame), expected);
            if expected.is_ok() {
                inside.push_back(frame);
            }
            prop_assert_eq!(receiver.waiting(), inside.len());
            if n % 3 == 2 {
                let count = receiver.receive(2, |frame| {
                    assert_eq!(Some(frame.to_vec()), inside.pop_front());
                    seen += 1;
                });
                prop_assert!(count <= 2);
            }
        }
        prop_assert_eq!(receiver.discard(), inside.len());
        prop_assert_eq!((receiver.waiting(), receiver.discard()), (0, 0));
    }
}

#[test]
fn a_worker_receives_from_a_ring() {
    let scene = Scene::new();
    let (mut worker, mut rings) = scene.worker(64);
    let (mut sender, mut receiver) = frame_ring(64).unwrap();
    let mut pass = || {
        (0..40).for_each(|_| sender.send(&v4(1, GROUP4, 9, 26)).unwrap());
        let first = worker.receive(0, &mut receiver, |_| ());
        (first, worker.receive(0, &mut receiver, |_| ()))
    };
    assert_eq!(pass(), (BURST, 40 - BURST));
    assert_eq!(scene.manager.process_upcalls(usize::MAX), 1, "one upcall for a flow");
    pass();
    assert_eq!(drain(&mut rings).iter().map(Vec::len).collect::<Vec<_>>(), [0, 40, 40, 40]);
    let totals = worker.totals();
    assert_eq!((totals.no_entry, totals.forwarded_packets, totals.copies), (40, 40, 120));
}

#[test]
fn frames_longer_than_a_slot_are_dropped() {
    let scene = Scene::new();
    let (mut worker, mut rings) = scene.worker(8);
    let longest = MAX_FRAME - 20;
    worker.forward(0, [&v4(1, GROUP4, 9, 0)[..]], |_| ());
    assert_eq!(scene.manager.process_upcalls(usize::MAX), 1);
    // Frames of the last port have no Ethernet header of 14 octets.
    let mut left = |payload| {
        worker.forward(0, [&v4(1, GROUP4, 9, payload)[..]], |_| ());
        drain(&mut rings).iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(left(longest - 14), [0, 1, 1, 1]);
    assert_eq!(left(longest - 13), [0, 0, 0, 1]);
    assert_eq!(left(longest), [0, 0, 0, 1]);
    assert_eq!(left(longest + 1), [0, 0, 0, 0]);
}

#[test]
fn other_frames_are_counted_and_control_is_passed_on() {
    let scene = Scene::new();
    let (mut worker, _rings) = scene.worker(64);
    let mut report = v4(1, GROUP4, 1, 8);
    report[14 + 9] = 2;
    let wrong = report.clone();
    // The protocol is covered by the checksum: 17 - 2 less.
    let sum = u16::from_be_bytes([report[24], report[25]]) + 15;
    report[24..26].copy_from_slice(&sum.to_be_bytes());
    let frames = [report, wrong, v4(1, GROUP4, 1, 8), v4(1, Ipv4Addr::new(10, 9, 9, 9), 9, 8), vec![1; 9]];
    let mut seen = 0;
    worker.forward(0, frames.iter().map(Vec::as_slice), |_| seen += 1);
    worker.forward(7, frames[2..3].iter().map(Vec::as_slice), |_| seen += 1);
    assert_eq!(seen, 1);
    let expected = DropCounters {
        control: 1,
        malformed: 2,
        ttl_expired: 1,
        not_multicast: 2,
        ..DropCounters::default()
    };
    assert_eq!(worker.totals().not_forwarded, expected);
}

#[test]
fn copies_that_full_rings_drop_count_for_the_flow() {
    let scene = Scene::new();
    let (mut worker, mut rings) = scene.worker(2);
    let frame = v4(1, GROUP4, 9, 26);
    let mut pass = |times| worker.forward(0, std::iter::repeat_n(&frame[..], times), |_| ());
    pass(1);
    scene.manager.process_upcalls(usize::MAX);
    pass(5);
    drain(&mut rings[..1]);
    let flow = Flow::new(Ipv4Addr::new(10, 0, 0, 1).into(), GROUP4.into()).unwrap();
    let counted = scene.totals(flow);
    assert_eq!((counted.packets, counted.copies, counted.discards), (2, 6, 3));
    let totals = worker.totals();
    assert_eq!((totals.forwarded_packets, totals.no_room, totals.copies), (2, 3, 6));
    assert_eq!(totals.ports[2], PortTotals { sent: 2, dropped: 3 });
}

#[test]
fn an_interface_taken_later_is_found() {
    let routes = |source| Some(ReversePath::through(interface(0, Family::of(source))));
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
    let (sender, mut ring) = frame_ring(8).unwrap();
    let mut worker =
        RingWorker::new(manager.clone(), [(port(0), frame_ring(1).unwrap().0), (port(1), sender)]);
    let statics = StaticJoins::new(manager.clone()).unwrap();
    // So that the interface numbers are larger than the map of the worker.
    (2..20).for_each(|at| statics.take(interface(at, Family::V4)).unwrap());
    for at in [0, 1, 30] {
        statics.take(interface(at, Family::V4)).unwrap();
        if at > 0 {
            statics.join(interface(at, Family::V4), Membership::any_source(GROUP4.into()).unwrap()).unwrap();
        }
    }
    let frame = v4(1, GROUP4, 9, 26);
    for _ in 0..3 {
        worker.forward(0, [&frame[..]], |_| ());
        manager.process_upcalls(usize::MAX);
    }
    assert_eq!(ring.discard(), 2);
    let totals = worker.totals();
    assert_eq!(
        (totals.copies, totals.forwarded_packets),
        (2, 2),
        "the third interface is not a port of the worker"
    );
}

#[test]
fn a_release_stops_copies_at_once() {
    let scene = Scene::new();
    let (mut worker, mut rings) = scene.worker(8);
    let frame = v4(1, GROUP4, 9, 26);
    let mut pass = |worker: &mut RingWorker| {
        worker.forward(0, [&frame[..]], |_| ());
        drain(&mut rings).iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(pass(&mut worker), [0; 4]);
    scene.manager.process_upcalls(1);
    assert_eq!(pass(&mut worker), [0, 1, 1, 1]);
    scene.statics.release(interface(2, Family::V4)).unwrap();
    assert_eq!(pass(&mut worker), [0, 1, 0, 1]);
    scene.statics.release(interface(0, Family::V4)).unwrap();
    assert_eq!(pass(&mut worker), [0; 4]);
    worker.park();
}

/// Uses more ports than a word has bits. Every fifth port has no room for the second packet.
#[test]
fn copies_to_many_ports_count_for_their_port() {
    const OUT: usize = 150;
    let routes = |_| Some(ReversePath::through(interface(0, Family::V4)));
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
    let statics = StaticJoins::new(manager.clone()).unwrap();
    (0..=OUT).for_each(|at| statics.take(interface(at, Family::V4)).unwrap());
    let membership = Membership::any_source(GROUP4.into()).unwrap();
    (1..=OUT).for_each(|at| statics.join(interface(at, Family::V4), membership).unwrap());
    let has_no_room = |at: usize| at.is_multiple_of(5);
    let (ports, mut rings): (Vec<_>, Vec<_>) = (0..=OUT)
        .map(|at| {
            let (mut sender, receiver) = frame_ring(2).unwrap();
            if has_no_room(at) {
                sender.send(b"sent before").unwrap();
            }
            ((Port { name: format!("p{at}"), index: at as u32 + 1, ..port(0) }, sender), receiver)
        })
        .unzip();
    let mut worker = RingWorker::new(manager.clone(), ports);
    for _ in 0..3 {
        worker.forward(0, [&v4(1, GROUP4, 9, 26)[..]], |_| ());
        manager.process_upcalls(1);
    }
    let left: Vec<usize> = drain(&mut rings).iter().map(Vec::len).collect();
    assert_eq!((left[0], &left[1..]), (1, &[2; OUT][..]));
    let entry = manager.entries().remove(0);
    assert_eq!(entry.outgoing.len(), OUT);
    for out in &entry.outgoing {
        let at = out.interface.index() as usize - 1;
        let counted = if has_no_room(at) { (1, 1) } else { (2, 0) };
        assert_eq!((out.packets, out.discards), counted, "{at}");
        let PortTotals { sent, dropped } = worker.totals().ports[at];
        assert_eq!((sent, dropped), counted, "{at}");
    }
    let copies = (2 * OUT - OUT / 5) as u64;
    assert_eq!((worker.totals().copies, entry.totals.copies, entry.totals.packets), (copies, copies, 2));
}

#[test]
fn packets_before_the_entry_wait_for_it() {
    let scene = Scene::new();
    let (worker, mut rings) = scene.worker(64);
    let mut worker = worker.with_pending_limit(3);
    let frames: Vec<_> = (1..6).map(|payload| v4(1, GROUP4, 9, payload)).collect();
    worker.forward(0, frames.iter().map(Vec::as_slice), |_| ());
    let totals = worker.totals();
    assert_eq!((totals.pending, totals.no_entry, sum(&totals)), (3, 2, 5));
    scene.manager.process_upcalls(usize::MAX);
    assert_eq!((worker.forward_pending(), worker.forward_pending()), (3, 0));
    let flow = Flow::new(Ipv4Addr::new(10, 0, 0, 1).into(), GROUP4.into()).unwrap();
    let expected: Vec<_> = frames[..3].iter().map(|frame| copy(flow, &frame[14..], 2)).collect();
    assert_eq!(drain(&mut rings)[2], expected);
    let totals = worker.totals();
    assert_eq!((totals.pending, totals.forwarded_packets, sum(&totals)), (0, 3, 5));
    assert_eq!(totals.octets, frames.iter().map(|frame| frame.len() as u64).sum::<u64>());
}

#[test]
fn a_pending_packet_without_an_entry_is_dropped() {
    let scene = Scene::new();
    let (worker, mut rings) = scene.worker(64);
    let mut worker = worker.with_pending_limit(3);
    worker.forward(0, [&v4(1, GROUP4, 9, 0)[..]], |_| ());
    assert_eq!(worker.forward_pending(), 1, "no thread has processed the upcall");
    assert_eq!((worker.totals().no_entry, worker.totals().pending), (1, 0));
    assert_eq!(drain(&mut rings).concat(), Vec::<Vec<u8>>::new());
}

/// Sends a report and the first packet of a flow to a router, which forwards that packet.
#[test]
fn a_ring_router_forwards_the_first_packet_of_a_flow() {
    let routes = |source| Some(ReversePath::through(interface(0, Family::of(source))));
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
    let statics = StaticJoins::new(manager.clone()).unwrap();
    let igmp = Arc::new(GroupMembership::new(manager.clone(), Family::V4, GmpConfig::default()).unwrap());
    let (mut inside, mut outside, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..2 {
        statics.take(interface(n, Family::V4)).unwrap();
        igmp.take(interface(n, Family::V4)).unwrap();
        let ((to_router, receive), (transmit, from_router)) =
            (frame_ring(8).unwrap(), frame_ring(8).unwrap());
        inside.push(to_router);
        outside.push(from_router);
        ports.push(RingPort { port: port(n), receive, transmit });
    }
    let mut router = RingRouter::new(manager.clone(), ports, [igmp.clone()]);
    let mut report = v4(9, GROUP4, 1, 8);
    report[14 + 9] = 2;
    let sum = u16::from_be_bytes([report[24], report[25]]) + 15;
    report[24..26].copy_from_slice(&sum.to_be_bytes());
    report[34..].copy_from_slice(&[0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3]);
    inside[1].send(&report).unwrap();
    assert_eq!(router.poll(Duration::ZERO), 1);
    assert_eq!(manager.memberships().len(), 1, "{:?}", igmp.counters());
    let frame = v4(1, GROUP4, 9, 26);
    inside[0].send(&frame).unwrap();
    assert_eq!(router.poll(Duration::from_secs(1)), 1);
    let flow = Flow::new(Ipv4Addr::new(10, 0, 0, 1).into(), GROUP4.into()).unwrap();
    assert_eq!(drain(&mut outside)[1], [copy(flow, &frame[14..], 1)]);
    router.poll(Duration::from_secs(261));
    assert!(manager.memberships().is_empty(), "the report has lapsed");
    assert_eq!(router.totals().forwarded_packets, 1);
}

#[test]
fn a_ring_that_no_memory_holds_is_refused() {
    for slots in [usize::MAX, 1 << 62, usize::MAX / MAX_FRAME, 1 << 48] {
        assert!(frame_ring(slots).is_err(), "{slots}");
    }
}

/// The frames of a burst are received once, whatever becomes of the closure that reads them.
#[test]
fn a_receiver_that_unwinds_receives_no_frame_twice() {
    let (mut sender, mut receiver) = frame_ring(4).unwrap();
    for frame in [b"one", b"two"] {
        sender.send(frame).unwrap();
    }
    let unwinding = std::panic::AssertUnwindSafe(|| receiver.receive(4, |_| panic!("on purpose")));
    assert!(std::panic::catch_unwind(unwinding).is_err());
    assert_eq!((receiver.waiting(), sender.room()), (0, 4));
    sender.send(b"three").unwrap();
    let mut seen = Vec::new();
    receiver.receive(4, |frame| seen.push(frame.to_vec()));
    assert_eq!(seen, [b"three"]);
}
