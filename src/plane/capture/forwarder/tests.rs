use super::*;
use crate::forwarding::{Family, FlowTotals};
use crate::manager::{Interface, ManagerConfig, Membership, ReversePath};
use crate::plane::capture::Frame;
use crate::plane::{Link, MacAddress};
use crate::protocol::static_joins::StaticJoins;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// A router of three ports. Sources are behind the first, receivers behind the others.
struct Scene {
    manager: Arc<GroupManager>,
    statics: StaticJoins,
    ports: Vec<Port>,
    map: PortMap,
    batch: Batch,
}

fn interface(port: u32) -> Interface {
    Interface::v4(port + 1)
}

impl Scene {
    fn new(config: ManagerConfig) -> Scene {
        let routes = |_| Some(ReversePath::through(interface(0)));
        let manager = Arc::new(GroupManager::new(config, Arc::new(routes)).unwrap());
        let statics = StaticJoins::new(manager.clone()).unwrap();
        (0..3).for_each(|port| statics.take(interface(port)).unwrap());
        for port in [1, 2] {
            statics.join(interface(port), Membership::any_source(GROUP.into()).unwrap()).unwrap();
        }
        let port = |n| Port {
            name: format!("p{n}"),
            index: n + 1,
            link: Link::Ethernet,
            mac: MacAddress::for_interface(n),
        };
        let ports: Vec<_> = (0..3).map(port).collect();
        let map = PortMap::new(&manager, &ports);
        // The header of a datagram of 20 octets with TTL 9. No code on this path verifies its checksum.
        let mut octets = [0x45, 0, 0, 20, 0, 0, 0, 0, 9, 17, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3];
        octets[10..12].copy_from_slice(&[0xaa, 0xbb]);
        let mut batch = Batch::default();
        let (time, link) = (Duration::ZERO, Link::Ip);
        let (cut, outgoing, no_room) = (0, false, false);
        let frame = Frame { interface: 0, time, length: 20, link, octets: &octets, cut, outgoing, no_room };
        // The packets of the tests stand at different positions.
        for _ in 0..200 {
            batch.push(&frame);
        }
        Scene { manager, statics, ports, map, batch }
    }

    fn forwarder(&self) -> Forwarder<'_> {
        Forwarder::new(Context { manager: &self.manager, ports: &self.ports, map: &self.map })
    }

    fn packet(&self, source: u8, port: usize) -> Packet {
        let arrival = self.map.arrival(port, Family::V4);
        let number = FlowNumber::OTHER;
        Packet { flow: flow(source), arrival, frame: 0, at: 0, length: 20, whole: 20, number }
    }

    fn totals(&self, source: u8) -> FlowTotals {
        let entries = self.manager.entries();
        entries.iter().find(|entry| entry.flow == flow(source)).unwrap().totals
    }
}

fn flow(source: u8) -> Flow {
    Flow::new(Ipv4Addr::new(10, 0, 0, source).into(), GROUP.into()).unwrap()
}

#[test]
fn the_packet_that_misses_is_forwarded_in_order() {
    let scene = Scene::new(ManagerConfig::default());
    let mut forwarder = scene.forwarder();
    let mut packets: Vec<_> = (0..200).map(|n| Packet { frame: n, ..scene.packet(n as u8 % 3, 0) }).collect();
    packets[100].arrival = scene.map.arrival(2, Family::V4);
    let mut sent = SentCopies::default();
    forwarder.forward(&scene.batch, &packets, Some(&mut sent));
    let (totals, _) = forwarder.finish();
    assert_eq!((totals.forwarded_packets, totals.copies), (199, 398));
    assert_eq!(totals.transmitted, [0, 199, 199]);
    assert_eq!(totals.not_forwarded.wrong_interface, 1);
    for source in 0..3 {
        let of_flow = |copy: &&SentCopy| copy.frame as u8 % 3 == source && copy.port == 1;
        let frames: Vec<_> = sent.copies.iter().filter(of_flow).collect();
        assert!(frames.is_sorted_by_key(|sent| sent.frame));
        let FlowTotals { packets, octets, wrong_interface, copies, .. } = scene.totals(source);
        let wrong = u64::from(source == 100 % 3);
        let all = if source < 2 { 67 } else { 66 };
        assert_eq!((packets, octets, wrong_interface), (all - wrong, 20 * (all - wrong), wrong));
        assert_eq!(copies, 2 * packets);
    }
}

#[test]
fn kept_copies_leave_in_the_order_of_frames_and_ports() {
    let scene = Scene::new(ManagerConfig::default());
    let mut forwarder = scene.forwarder();
    let packets = [3, 1, 2].map(|frame| Packet { frame, ..scene.packet(1, 0) });
    let (mut all, mut some) = (SentCopies::default(), SentCopies::default());
    forwarder.forward(&scene.batch, &packets[..1], Some(&mut all));
    forwarder.forward(&scene.batch, &packets[1..], Some(&mut some));
    all.append(&some);
    let left: Vec<_> = all.in_order().map(|(frame, port, octets)| (frame, port, octets.to_vec())).collect();
    let keys: Vec<_> = left.iter().map(|(frame, port, _)| (*frame, *port)).collect();
    assert_eq!(keys, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]);
    for (_, port, octets) in &left {
        let mut copy = CopyBuffer::default();
        copy.load(scene.batch.octets(0, 20)).unwrap();
        assert_eq!(octets, copy.leaving(&scene.ports[*port], GROUP.into()));
    }
    all.clear();
    assert_eq!(all.in_order().count(), 0);
}

#[test]
fn packets_without_room_for_an_entry_are_counted() {
    let scene = Scene::new(ManagerConfig::default().with_entries(1));
    let mut forwarder = scene.forwarder();
    let packets = [scene.packet(1, 0), scene.packet(2, 0), scene.packet(1, 0), scene.packet(2, 0)];
    forwarder.forward(&scene.batch, &packets, None);
    let (totals, _) = forwarder.finish();
    assert_eq!((totals.forwarded_packets, totals.not_forwarded.queue_full), (2, 2));
}

#[test]
fn a_release_stops_copies_at_once_and_entries_are_renewed() {
    let scene = Scene::new(ManagerConfig::default());
    let mut forwarder = scene.forwarder();
    let mut pass = |expected: [u64; 3]| {
        forwarder.forward(&scene.batch, &[scene.packet(1, 0)], None);
        let seen = forwarder.state.transmitted.clone();
        assert_eq!(seen, expected);
    };
    pass([0, 1, 1]);
    scene.statics.release(interface(2)).unwrap();
    pass([0, 2, 1]);
    // The incoming interface is released and taken again: the packet that finds the entry stale renews it.
    scene.statics.release(interface(0)).unwrap();
    pass([0, 2, 1]);
    scene.statics.take(interface(0)).unwrap();
    pass([0, 3, 1]);
    scene.statics.release(interface(1)).unwrap();
    pass([0, 3, 1]);
    let (totals, _) = forwarder.finish();
    assert_eq!((totals.forwarded_packets, totals.not_forwarded.no_receivers), (3, 2));
}

#[test]
fn copies_have_the_ttl_decremented() {
    let mut copy = CopyBuffer::default();
    let scene = Scene::new(ManagerConfig::default());
    let datagram = scene.batch.octets(0, 20);
    copy.load(datagram).unwrap();
    for _ in 0..2 {
        let packet = copy.leaving(&scene.ports[1], GROUP.into());
        assert_eq!(packet[..14], [1, 0, 0x5e, 1, 2, 3, 2, 0x6d, 0, 0, 0, 1, 8, 0]);
        assert_eq!((packet.len(), packet[14 + 8]), (34, 8));
        // RFC 1624: 0x0100 less in the header is 0x0100 more in its checksum.
        assert_eq!(packet[14 + 10..14 + 12], [0xab, 0xbb]);
    }
    let raw = Port { link: Link::Ip, ..scene.ports[1].clone() };
    assert_eq!(copy.leaving(&raw, GROUP.into()).len(), 20);
    assert!(copy.load(&[0x45; 4]).is_err());
}

#[test]
fn an_absurd_number_of_workers_is_refused() {
    let scene = Scene::new(ManagerConfig::default());
    let context = Context { manager: &scene.manager, ports: &scene.ports, map: &scene.map };
    std::thread::scope(|scope| {
        let pool = crate::plane::capture::worker_pool::WorkerPool::start(scope, context, usize::MAX);
        assert_eq!(pool.err().unwrap().kind(), std::io::ErrorKind::InvalidInput);
    });
}
