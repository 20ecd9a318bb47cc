//! The setup for the packet path: a manager with entries for many flows, a worker of the ring plane with a ring for
//! each port, and a frame of each flow.

use mgm::forwarding::{Family, Flow};
use mgm::manager::{
    FlowState, GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange,
};
use mgm::plane::ring::{FrameReceiver, RingWorker, frame_ring};
use mgm::plane::{Link, MacAddress, Port};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The number of egress ports. They follow the first port, where every packet arrives.
pub(crate) const OUT: usize = 16;
/// The number of slots of a ring.
pub(crate) const SLOTS: usize = 64;
/// The length of a frame, and the distance between frames that keeps each in a cache line of its own.
const FRAME: usize = 60;
const STRIDE: usize = 64;

/// Returns source and group of flow `n`.
pub(crate) fn flow(n: usize) -> (Ipv4Addr, Ipv4Addr) {
    (Ipv4Addr::from_bits(0x0A00_0000 + n as u32 / 16), Ipv4Addr::from_bits(0xE800_0100 + n as u32 % 16))
}

/// Returns whether packets of a group are copied to a port. The ports of a group are consecutive, and begin elsewhere
/// for each group.
pub(crate) fn leaves(copies: usize, group: usize, port: usize) -> bool {
    port > 0 && (port - 1 + OUT - group % OUT) % OUT < copies
}

pub(crate) fn mac(port: usize) -> MacAddress {
    MacAddress::for_interface(port as u32 + 1)
}

/// A frame of each flow, in random order.
pub(crate) struct Frames {
    octets: Vec<u8>,
}

impl Frames {
    pub(crate) fn new(flows: usize) -> Frames {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) as usize % below
        };
        let mut order: Vec<usize> = (0..flows).collect();
        (1..flows).rev().for_each(|n| order.swap(n, random(n + 1)));
        let mut octets = vec![0; flows * STRIDE];
        for (frame, n) in octets.chunks_exact_mut(STRIDE).zip(order) {
            let (source, group) = flow(n);
            let MacAddress(to) = MacAddress::of_group(group.into());
            frame[..6].copy_from_slice(&to);
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
            frame[12..14].copy_from_slice(&[8, 0]);
            let datagram = &mut frame[14..FRAME];
            datagram[..10].copy_from_slice(&[
                0x45,
                0,
                0,
                46,
                n as u8,
                (n >> 8) as u8,
                0,
                0,
                2 + n as u8 % 60,
                17,
            ]);
            datagram[12..16].copy_from_slice(&source.octets());
            datagram[16..20].copy_from_slice(&group.octets());
            let sum: u32 =
                datagram[..20].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            datagram[10..12].copy_from_slice(&sum.to_be_bytes());
            datagram[20..].iter_mut().for_each(|octet| *octet = random(256) as u8);
        }
        Frames { octets }
    }

    pub(crate) fn range(&self, which: std::ops::Range<usize>) -> impl Iterator<Item = &[u8]> {
        self.octets[which.start * STRIDE..which.end * STRIDE]
            .chunks_exact(STRIDE)
            .map(|frame| &frame[..FRAME])
    }
}

/// The role that announced the receivers: it decides whether a stamp has one owner word or two.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Receivers {
    Routing,
    Igmp,
}

/// A worker of the ring plane, with the entries of a whole manager.
pub(crate) struct Mgm {
    pub(crate) worker: RingWorker,
    pub(crate) rings: Vec<FrameReceiver>,
}

impl Mgm {
    pub(crate) fn new(flows: usize, copies: usize, receivers: Receivers) -> Mgm {
        let max = 2 * flows as u32;
        let config = ManagerConfig::default().with_entries(max).with_entries_per_interface(max);
        let interface = |port: usize| Interface::of(Family::V4, port as u32 + 1);
        let routes = move |_| Some(ReversePath::through(interface(0)));
        let manager = GroupManager::new(config, Arc::new(routes)).expect("a valid configuration");
        let manager = Arc::new(manager);
        let routing = manager.register(Protocol::new(1, 0), Arc::new(())).expect("room for a client");
        let igmp =
            manager.register(Protocol::new(Protocol::IGMP, 0), Arc::new(())).expect("room for another");
        let client = if receivers == Receivers::Igmp { igmp } else { routing };
        for port in 0..=OUT {
            manager.take(routing, interface(port)).expect("unowned");
            if receivers == Receivers::Igmp {
                manager.take(igmp, interface(port)).expect("shared with IGMP");
            }
            for group in (0..16).filter(|group| leaves(copies, *group, port)) {
                let membership = Membership::any_source(flow(group).1.into()).expect("a group");
                manager
                    .add_membership(client, interface(port), membership, StateChange::Join)
                    .expect("made by the owner");
            }
        }
        for n in 0..flows {
            let (source, group) = flow(n);
            let flow = Flow::new(source.into(), group.into()).expect("a flow");
            assert_eq!(manager.new_flow(flow), Ok(FlowState::Active));
        }
        let (ports, rings): (Vec<_>, Vec<_>) = (0..=OUT)
            .map(|port| {
                let (sender, receiver) = frame_ring(SLOTS).expect("memory for a ring");
                let port = Port {
                    name: format!("p{port}"),
                    index: port as u32 + 1,
                    link: Link::Ethernet,
                    mac: mac(port),
                };
                ((port, sender), receiver)
            })
            .unzip();
        Mgm { worker: RingWorker::new(manager, ports), rings }
    }
}
