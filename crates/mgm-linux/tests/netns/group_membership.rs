//! IGMP and MLD: real hosts join and leave through their kernel.

use crate::support::{Receiver, Router, Sender, eventually, fast_querier};
use mgm::forwarding::Family;
use mgm::manager::FlowState;
use mgm::protocol::gmp::{GmpVersion, Querier};
use mgm_linux::plane::KernelPlaneConfig;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A host joins, gets the packets, leaves, and gets none any more.
fn join_and_leave(family: Family, group: &str, version: GmpVersion) {
    let router = Router::new(family);
    if version != GmpVersion::V3 {
        let setting = match family {
            Family::V4 => "net.ipv4.conf.eth0.force_igmp_version=2",
            Family::V6 => "net.ipv6.conf.eth0.force_mld_version=1",
        };
        router.host.run(&format!("sysctl -qw {setting}"));
    }
    let service = router.start_gmp(fast_querier());
    let sender = Sender::new(&router.source, "eth0", group);
    sender.send("before the join");
    let host = Receiver::join(&router.host, "eth0", group);
    host.expect(&sender, "joined");
    let groups = service.membership().groups(router.lan);
    let state = groups.iter().find(|state| state.group.to_string() == group).expect("the group");
    assert_eq!(state.compatibility, version);
    router.assert_same_entries();
    host.leave();
    eventually("the entry is negative after the leave", || {
        router.manager.entry(router.flow(group)).is_none_or(|entry| entry.state == FlowState::Negative)
    });
    router.assert_same_entries();
    host.drain();
    (0..20).for_each(|_| sender.send("after the leave"));
    assert_eq!(host.next(Duration::from_millis(200)), None);
    let (io, messages) = (service.counters(), service.membership().counters());
    assert_eq!((io.unreadable, io.receive_errors, io.send_errors), (0, 0, 0), "{io:?} {messages:?}");
}

#[test]
fn igmpv3_join_brings_packets_and_leave_stops_them() {
    join_and_leave(Family::V4, "239.1.2.3", GmpVersion::V3);
}

#[test]
fn igmpv2_join_brings_packets_and_leave_stops_them() {
    join_and_leave(Family::V4, "239.1.2.4", GmpVersion::V2);
}

#[test]
fn mldv2_join_brings_packets_and_leave_stops_them() {
    join_and_leave(Family::V6, "ff05::1:2:3", GmpVersion::V3);
}

#[test]
fn mldv1_join_brings_packets_and_leave_stops_them() {
    join_and_leave(Family::V6, "ff05::1:2:4", GmpVersion::V2);
}

/// The kernel passes such a report to the multicast routing socket alone, and the plane hands it on.
#[test]
fn a_report_without_router_alert_is_handed_on() {
    let mut router = Router::new(Family::V4);
    let service = router.start_gmp(fast_querier());
    router.plane = None;
    router.start(KernelPlaneConfig::default().with_igmp(service.igmp_handler()));
    let host = router.host.enter(|| {
        let igmp = Some(Protocol::from(libc::IPPROTO_IGMP));
        let socket = Socket::new(Domain::IPV4, Type::RAW, igmp).expect("a socket");
        socket.set_multicast_ttl_v4(1).expect("a TTL");
        socket
    });
    let group: IpAddr = "239.1.2.9".parse().unwrap();
    let report = [0x16, 0, 0xf8, 0xf4, 239, 1, 2, 9];
    host.send_to(&report, &SockAddr::from(SocketAddr::new(group, 0))).expect("sent");
    eventually("the report has its effect", || {
        service.membership().groups(router.lan).iter().any(|state| state.group == group)
    });
    assert_eq!(router.plane().counters().igmp, 1);
}

/// Each kernel answers general queries, so a membership stays far beyond its lifetime without queries.
#[test]
fn queries_keep_memberships_alive() {
    for (family, group) in [(Family::V4, "239.1.2.5"), (Family::V6, "ff05::1:2:5")] {
        let router = Router::new(family);
        let config = fast_querier();
        let lifetime = config.group_membership_interval();
        let service = router.start_gmp(config);
        let state = service.membership().interface_state(router.lan).expect("taken");
        assert!(matches!(state.querier, Some(Querier::This { .. })), "{state:?}");
        let host = Receiver::join(&router.host, "eth0", group);
        let sender = Sender::new(&router.source, "eth0", group);
        host.expect(&sender, "early");
        std::thread::sleep(lifetime + Duration::from_secs(2));
        host.drain();
        sender.send("late");
        assert_eq!(host.next(Duration::from_secs(2)).as_deref(), Some("late"));
        assert!(service.counters().sent >= 3, "{:?}", service.counters());
    }
}
