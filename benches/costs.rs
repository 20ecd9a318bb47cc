//! The processor time of the most expensive packets and reports that a router can receive: the figures of SECURITY.md.
//!
//! ```sh
//! cargo bench --bench costs
//! ```
//!
//! Each figure is the mean processor time of one run, on one thread, at the default limits. The number of runs makes
//! the error of the clock, a few milliseconds, insignificant. Linux only: the time is read from
//! /proc/thread-self/schedstat, so that other processes do not count.

use mgm::forwarding::{Family, Flow};
use mgm::handle::Handle;
use mgm::manager::{
    FlowRequest, GroupManager, Interface, ManagerConfig, Membership, Protocol, ReversePath, StateChange,
};
use mgm::protocol::gmp::{Datagram, GmpConfig, GroupMembership};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

fn address(first: u8, n: u32) -> IpAddr {
    let [_, a, b, c] = n.to_be_bytes();
    [first, a, b, c].into()
}

fn flow(source: u32, group: u32) -> Flow {
    Flow::new(address(10, 1 + source), address(239, group)).unwrap()
}

/// Makes a router with 20 interfaces. Sources with an even last octet are behind interface 1, the others behind
/// interface 2.
fn router() -> (Arc<GroupManager>, Handle) {
    let routes = |source: IpAddr| match source {
        IpAddr::V4(source) => {
            Some(ReversePath::through(Interface::v4(1 + u32::from(source.octets()[3] & 1))))
        }
        IpAddr::V6(_) => None,
    };
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap());
    let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    for n in 1..=20 {
        manager.take(client, Interface::v4(n)).unwrap();
    }
    (manager, client)
}

/// Returns the processor time of this thread so far.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux provides it");
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number"))
}

fn time(what: &str, runs: u32, run: impl FnMut(u32)) {
    let begun = processor_time();
    (0..runs).for_each(run);
    println!("{what}: {:.1?}", (processor_time() - begun) / runs);
}

/// Makes an IGMPv3 report of one record of this type (RFC 3376 section 4.2.12).
fn record(kind: u8, group: [u8; 4], sources: impl ExactSizeIterator<Item = IpAddr>) -> Vec<u8> {
    let mut octets = vec![0x22, 0, 0, 0, 0, 0, 0, 1, kind, 0];
    octets.extend((sources.len() as u16).to_be_bytes());
    octets.extend(group);
    for source in sources {
        if let IpAddr::V4(source) = source {
            octets.extend(source.octets());
        }
    }
    let sum: u32 = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    octets[2..4].copy_from_slice(&checksum.to_be_bytes());
    octets
}

fn report(igmp: &GroupMembership, host: u32, octets: &[u8]) {
    let datagram = Datagram {
        source: address(10, host),
        destination: address(224, 22),
        hop_limit: 1,
        router_alert: true,
        payload: octets,
    };
    igmp.receive(Interface::v4(3), &datagram, Duration::from_secs(1));
}

fn igmp_on_3(manager: &Arc<GroupManager>) -> GroupMembership {
    let igmp = GroupMembership::new(manager.clone(), Family::V4, GmpConfig::default()).unwrap();
    igmp.take(Interface::v4(3)).unwrap();
    igmp
}

fn main() {
    let any = |group: u32| Membership::any_source(address(239, group)).unwrap();

    let (manager, client) = router();
    let on_4 = |n| manager.add_membership(client, Interface::v4(4), any(n), StateChange::Join).unwrap();
    on_4(1);
    time("a new flow with receivers on one interface", 20_000, |n| _ = manager.new_flow(flow(n, 1)).unwrap());
    let (manager, _) = router();
    time("a new flow without receivers, which replaces the oldest", 60_000, |n| {
        let _ = manager.new_flow(flow(n, 1)).unwrap();
    });
    let (manager, _) = router();
    time("a refused upcall", 1_000_000, |n| {
        let _ = manager.upcall(flow(n, 1), Interface::v4(1), &[0; 256]);
    });

    let (manager, client) = router();
    manager.add_membership(client, Interface::v4(4), any(1), StateChange::Join).unwrap();
    let full = (0..).take_while(|n| manager.new_flow(flow(*n, 1)).is_ok()).count();
    time("a new flow that is refused because its interface has reached its limit", 20_000, |n| {
        let even = 2 * n + 70_001;
        assert!(manager.new_flow(FlowRequest::new(flow(even, 1)).with_arrival(Interface::v4(1))).is_err());
    });
    let igmp = igmp_on_3(&manager);
    let [join, leave] = [5, 6].map(|kind| record(kind, [239, 0, 0, 1], [address(10, 1)].into_iter()));
    let (exclude, include) =
        (record(4, [239, 0, 0, 1], [].into_iter()), record(3, [239, 0, 0, 1], [].into_iter()));
    time(&format!("a report that joins or leaves a group of {full} flows"), 20, |n| {
        report(&igmp, 5, if n % 2 == 0 { &exclude } else { &include });
    });
    time("a report that joins or leaves one of these flows", 50_000, |n| {
        report(&igmp, 5, if n % 2 == 0 { &join } else { &leave });
    });

    let (manager, _) = router();
    let igmp = igmp_on_3(&manager);
    time("a report of a group without members", 4000, |n| {
        let [_, a, b, c] = (7 + n).to_be_bytes();
        report(&igmp, 5, &record(4, [239, a, b, c], [].into_iter()));
    });
    for host in 0..2048 / 256 {
        let named = (0..256).map(|n| address(11, 1 + host * 256 + n));
        report(&igmp, 10 + host, &record(5, [239, 9, 9, 9], named));
    }
    let kinds = [6, 5].map(|kind| record(kind, [239, 9, 9, 9], [address(11, 1)].into_iter()));
    time("a report that changes one source of a group with the maximum number of sources", 500, |n| {
        report(&igmp, 10, &kinds[n as usize % 2]);
    });

    let (manager, client) = router();
    let here = ManagerConfig::default().memberships_per_interface;
    let join = |n| {
        let on = Interface::v4(1 + n / here);
        manager.add_membership(client, on, any(n), StateChange::Join)
    };
    (0..ManagerConfig::default().memberships).for_each(|n| join(n).unwrap());
    time("the first membership that is refused because the limit is reached", 1, |_| {
        join(ManagerConfig::default().memberships).unwrap_err();
    });
    time("a further refused membership", 400_000, |n| {
        join(1 + n + ManagerConfig::default().memberships).unwrap_err();
    });
}
