//! The whole packet path over the example capture, from memory, and the cost of the forwarding decision in it.
//!
//! No peer does the same work: the figures compare versions of this project.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mgm::forwarding::{Family, Flow, ForwardingReader, Verdict, VifIndex};
use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange};
use mgm::plane::capture::{CaptureRouter, Recording, Run};
use mgm::protocol::gmp::{GmpConfig, GroupMembership};
use mgm::rpf::LearnedRoutes;
use std::fs::File;
use std::net::Ipv4Addr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

/// Makes a router with the capture's interfaces, and IGMP and MLD on each.
fn router(recording: &Recording) -> CaptureRouter {
    let learned = Arc::new(LearnedRoutes::new());
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), learned.clone()).unwrap());
    let listeners = [Family::V4, Family::V6]
        .map(|family| (family, GroupMembership::new(manager.clone(), family, GmpConfig::default()).unwrap()));
    let ports = recording.ports();
    for (family, igmp) in &listeners {
        for port in &ports {
            igmp.take(port.interface(*family)).unwrap();
        }
    }
    CaptureRouter::new(manager, listeners.map(|(_, igmp)| igmp), ports, Some(learned))
}

fn capture(c: &mut Criterion) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/capture/router.pcapng");
    let recording = Recording::read(File::open(path).unwrap());
    recording.end().unwrap();
    let mut group = c.benchmark_group("forward/example capture, a pass");
    group.throughput(Throughput::Elements(recording.frames()));
    for threads in [1, 2] {
        group.bench_function(format!("{threads} threads"), |b| {
            b.iter_custom(|passes| {
                // A new router each time: a run leaves the memberships of its last pass behind.
                let router = router(&recording);
                let started = std::time::Instant::now();
                let run = Run {
                    passes: NonZeroU64::new(passes).unwrap(),
                    threads: NonZeroUsize::new(threads).unwrap(),
                    transmit: None,
                    progress: &mut |_| {},
                };
                assert_eq!(router.run(&recording, run).unwrap().forwarded_packets, 2224 * passes);
                started.elapsed()
            });
        });
    }
    group.finish();
}

/// Looks a packet's flow up, and returns the number of copies that leave.
fn copies(reader: &mut ForwardingReader<'_>, arrival: VifIndex, flow: &Flow) -> usize {
    match reader.lookup(flow) {
        Some(entry) if entry.check(arrival) == Verdict::Accept => entry.live_outgoing().count(),
        _ => 0,
    }
}

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("forward/look up, check, compare stamps");
    for outgoing in [1_u32, 4, 16] {
        let routes = |_| Some(ReversePath::through(Interface::v4(0)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let client = manager.register(Protocol::new(0x4000_0001, 0), Arc::new(())).unwrap();
        let receivers = Membership::any_source(Ipv4Addr::new(239, 1, 1, 1).into()).unwrap();
        manager.take(client, Interface::v4(0)).unwrap();
        for index in 1..=outgoing {
            manager.take(client, Interface::v4(index)).unwrap();
            manager.add_membership(client, Interface::v4(index), receivers, StateChange::Join).unwrap();
        }
        let flows: Vec<Flow> = (0..1024_u32)
            .map(|n| {
                let source = Ipv4Addr::from_bits(0x0A00_0001 + n);
                Flow::new(source.into(), Ipv4Addr::new(239, 1, 1, 1).into()).unwrap()
            })
            .collect();
        for flow in &flows {
            manager.new_flow(*flow).unwrap();
        }
        let arrival = manager.vif_index(Interface::v4(0)).unwrap();
        let mut reader = manager.forwarding().reader();
        let mut packets = flows.iter().cycle();
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{outgoing} outgoing interfaces"), |b| {
            b.iter(|| {
                let flow = packets.next().unwrap();
                assert_eq!(copies(&mut reader, arrival, flow), outgoing as usize);
            });
        });
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
}

criterion_group! {
    name = benches;
    config = quick();
    targets = capture, decide
}
criterion_main!(benches);
