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
    numbering: Numbering,
    batch: Batch,
}

fn port(place: usize) -> Interface {
    Port::interface(place, Family::V4)
}

impl Scene {
    fn new(config: ManagerConfig) -> Scene {
        let routes = |_| Some(ReversePath::through(port(0)));
        let manager = Arc::new(GroupManager::new(config, Arc::new(routes)).unwrap());
        let statics = StaticJoins::new(manager.clone()).unwrap();
        (0..3).for_each(|place| statics.take(port(place)).unwrap());
        for place in [1, 2] {
            statics.join(port(place), Membership::any_source(GROUP.into()).unwrap()).unwrap();
        }
        let ports = (0..3)
            .map(|n| Port { name: format!("p{n}"), link: Link::Ethernet, mac: MacAddress::for_interface(n) })
            .collect();
        let numbering = Numbering::new(&manager, [Link::Ethernet; 3].into_iter());
        // The header of a datagram of 20 octets with TTL 9; nothing on this path verifies its checksum.
        let mut octets = [0x45, 0, 0, 20, 0, 0, 0, 0, 9, 17, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3];
        octets[10..12].copy_from_slice(&[0xaa, 0xbb]);
        let mut batch = Batch::default();
        let (time, link) = (Duration::ZERO, Link::Ip);
        batch.push(&Frame { interface: 0, time, length: 20, link, octets: &octets });
        Scene { manager, statics, ports, numbering, batch }
    }

    fn forwarder(&self) -> Forwarder<'_> {
        Forwarder::new(Shared { manager: &self.manager, ports: &self.ports, numbering: &self.numbering })
    }

    fn packet(&self, source: u8, arrival: usize) -> Item {
        Item {
            flow: flow(source),
            arrival: self.numbering.arrival(arrival, Family::V4),
            frame: 0,
            at: 0,
            length: 20,
        }
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
fn the_packet_that_misses_is_forwarded_itself_and_in_its_place() {
    let scene = Scene::new(ManagerConfig::default());
    let mut forwarder = scene.forwarder();
    let mut items: Vec<_> = (0..200).map(|n| Item { frame: n, ..scene.packet(n as u8 % 3, 0) }).collect();
    items[100].arrival = scene.numbering.arrival(2, Family::V4);
    let mut sent = Vec::new();
    forwarder.forward(&scene.batch, &items, Some(&mut sent));
    let totals = forwarder.finish();
    assert_eq!((totals.forwarded_packets, totals.copies), (199, 398));
    assert_eq!(totals.transmitted, [0, 199, 199]);
    assert_eq!(totals.not_forwarded.wrong_interface, 1);
    for source in 0..3 {
        let frames: Vec<_> = sent.iter().filter(|s| s.item.flow == flow(source) && s.port == 1).collect();
        assert!(frames.is_sorted_by_key(|sent| sent.item.frame));
        let FlowTotals { packets, octets, wrong_interface, copies, .. } = scene.totals(source);
        let wrong = u64::from(source == 100 % 3);
        let all = if source < 2 { 67 } else { 66 };
        assert_eq!((packets, octets, wrong_interface), (all - wrong, 20 * (all - wrong), wrong));
        assert_eq!(copies, 2 * packets);
    }
}

#[test]
fn want_of_room_is_counted_and_nothing_else() {
    let scene = Scene::new(ManagerConfig { entries: 1, ..ManagerConfig::default() });
    let mut forwarder = scene.forwarder();
    let items = [scene.packet(1, 0), scene.packet(2, 0), scene.packet(1, 0), scene.packet(2, 0)];
    forwarder.forward(&scene.batch, &items, None);
    let totals = forwarder.finish();
    assert_eq!((totals.forwarded_packets, totals.not_forwarded.queue_full), (2, 2));
}

#[test]
fn what_changes_hands_stops_at_once_and_is_asked_for_again() {
    let scene = Scene::new(ManagerConfig::default());
    let mut forwarder = scene.forwarder();
    let mut pass = |expected: [u64; 3]| {
        forwarder.forward(&scene.batch, &[scene.packet(1, 0)], None);
        let seen = forwarder.bench.transmitted.clone();
        assert_eq!(seen, expected);
    };
    pass([0, 1, 1]);
    scene.statics.release(port(2)).unwrap();
    pass([0, 2, 1]);
    // The way in goes and comes back: the entry is made anew, by the packet that finds it dead.
    scene.statics.release(port(0)).unwrap();
    pass([0, 2, 1]);
    scene.statics.take(port(0)).unwrap();
    pass([0, 3, 1]);
    scene.statics.release(port(1)).unwrap();
    pass([0, 3, 1]);
    let totals = forwarder.finish();
    assert_eq!((totals.forwarded_packets, totals.not_forwarded.no_receivers), (3, 2));
}

#[test]
fn copies_of_a_packet_are_one_hop_older() {
    let mut copy = Copy::default();
    let scene = Scene::new(ManagerConfig::default());
    let datagram = scene.batch.octets(0, 20);
    copy.load(datagram).unwrap();
    for _ in 0..2 {
        let packet = copy.through(&scene.ports[1], GROUP.into());
        assert_eq!(packet[..14], [1, 0, 0x5e, 1, 2, 3, 2, 0x6d, 0, 0, 0, 1, 8, 0]);
        assert_eq!((packet.len(), packet[14 + 8]), (34, 8));
        // RFC 1624: 0x0100 less in the header is 0x0100 more in its checksum.
        assert_eq!(packet[14 + 10..14 + 12], [0xab, 0xbb]);
    }
    let raw = Port { link: Link::Ip, ..scene.ports[1].clone() };
    assert_eq!(copy.through(&raw, GROUP.into()).len(), 20);
    assert!(copy.load(&[0x45; 4]).is_err());
}
