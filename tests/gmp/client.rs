//! IGMP and MLD with a manager: from messages to memberships and outgoing interfaces.

use super::router::*;
use crate::support::igmp_messages::*;
use mgm::forwarding::Family;
use mgm::manager::{Client, CreationAlert, GroupManager, Interface, ManagerConfig, Membership, Protocol};
use mgm::protocol::gmp::{Datagram, GmpConfig, GmpTakeError, GroupMembership, Ignored, Received};
use mgm::protocol::gmp::{HostLimits, Wanted};
use mgm::protocol::static_joins::StaticJoins;
use mgm::wire::gmp::Malformed;
use std::net::Ipv6Addr;
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;

#[test]
fn reports_of_every_version_become_memberships() {
    let router = Router::v4();
    assert_eq!(router.receive_from(1, &v1_report("239.0.0.1"), 0), Received::Report);
    assert_eq!(router.receive_from(2, &v2_report("239.0.0.2"), 0), Received::Report);
    let report = v3_report(&[
        record(TO_EX, "239.0.0.3", &[]),
        record(ALLOW, "232.0.0.4", &[A, B]),
        record(IS_EX, "239.0.0.5", &[C]),
        record(TO_IN, "239.0.0.6", &[]),
    ]);
    assert_eq!(router.receive_from(3, &report, 0), Received::Report);
    assert_eq!(
        router.memberships(),
        [
            "2 (192.0.2.1, 232.0.0.4)",
            "2 (192.0.2.2, 232.0.0.4)",
            "2 (*, 239.0.0.1)",
            "2 (*, 239.0.0.2)",
            "2 (*, 239.0.0.3)",
            "2 (*, 239.0.0.5)",
        ]
    );
    assert_eq!(router.igmp.counters().reports, 3);
    let named = |r: &mgm::manager::MembershipRecord| mgm::protocol::name(r.protocol);
    assert!(router.manager.memberships().iter().all(|record| named(record) == Some("igmp")));
}

#[test]
fn each_interface_has_hosts_of_its_own() {
    let router = Router::v4();
    router.packet(A, G);
    assert_eq!(router.outgoing(A, G), Some(vec![]));
    router.receive_from(1, &v2_report(G), 0);
    let payload = v2_report(G);
    let same_host_elsewhere = Datagram {
        source: ip("10.0.0.1"),
        destination: ip(G),
        hop_limit: 1,
        router_alert: true,
        payload: &payload,
    };
    router.igmp.receive(router.on(OTHER), &same_host_elsewhere, at(0));
    assert_eq!(router.outgoing(A, G), Some(vec![LAN, OTHER]));
    router.receive_from(1, &leave(G), 1);
    router.igmp.advance(at(3));
    assert_eq!(router.outgoing(A, G), Some(vec![OTHER]));
}

#[test]
fn a_leave_takes_effect_with_the_last_reporter() {
    let router = Router::v4();
    router.receive_from(1, &v2_report(G), 0);
    router.receive_from(2, &v2_report(G), 1);
    router.packet(A, G);
    router.receive_from(1, &leave(G), 2);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    router.receive_from(3, &leave(G), 3);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]), "the third never reported");
    router.receive_from(2, &leave(G), 4);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]), "held: a host may have suppressed its report");
    router.igmp.advance(at(6));
    assert_eq!(router.outgoing(A, G), Some(vec![]));
    assert!(router.memberships().is_empty());
    assert_eq!((router.igmp.counters().leaves, router.igmp.counters().reports), (3, 2));
}

#[test]
fn memberships_not_renewed_expire_after_260_seconds() {
    let router = Router::v4();
    router.receive_from(1, &v2_report(G), 10);
    router.reports(2, ALLOW, "232.1.1.1", &[A], 20);
    router.packet(A, G);
    assert_eq!(router.igmp.next_deadline(), Some(at(270)));
    router.igmp.advance(at(270) - Duration::from_nanos(1));
    assert_eq!(router.memberships().len(), 2);
    router.igmp.advance(at(270));
    assert_eq!(router.memberships(), ["2 (192.0.2.1, 232.1.1.1)"]);
    assert_eq!(router.outgoing(A, G), Some(vec![]));
    // Every message first expires what is due, and a report renews even then.
    router.reports(2, IS_IN, "232.1.1.1", &[A], 280);
    assert_eq!(router.memberships(), ["2 (192.0.2.1, 232.1.1.1)"]);
    router.igmp.advance(at(540));
    assert!(router.memberships().is_empty());
    assert_eq!(router.igmp.counters().lapsed, 3);
    assert_eq!(router.igmp.next_deadline(), None);
}

#[test]
fn ignored_messages_are_counted_and_change_nothing() {
    let router = Router::v4();
    let pim = seal(vec![0x14, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(router.receive_from(1, &pim, 0), Received::Ignored(Ignored::OtherType(0x14)));
    assert_eq!(router.receive_from(1, &v2_query(G), 0), Received::Query);
    let not_a_group = ip("10.9.9.9");
    assert_eq!(
        router.receive_from(1, &v2_report("10.9.9.9"), 0),
        Received::Ignored(Ignored::NotAGroup(not_a_group))
    );
    assert_eq!(
        router.receive_from(1, &leave("10.9.9.9"), 0),
        Received::Ignored(Ignored::NotAGroup(not_a_group))
    );
    assert_eq!(
        router.receive_from(1, &v2_report(G)[..7], 0),
        Received::Malformed(Malformed::Short { have: 7, min: 8 })
    );
    let mut damaged = v3_report(&[record(TO_EX, G, &[])]);
    damaged[9] ^= 1;
    assert_eq!(router.receive_from(1, &damaged, 0), Received::Malformed(Malformed::Checksum));
    router.reports(1, TO_EX, "10.9.9.9", &[], 0);
    router.reports(1, 99, G, &[], 0);
    router.reports(1, ALLOW, G, &["224.0.0.9", "0.0.0.0"], 0);
    let payload = v2_report(G);
    let datagram = Datagram {
        source: ip("10.0.0.1"),
        destination: ALL_ROUTERS,
        hop_limit: 1,
        router_alert: true,
        payload: &payload,
    };
    for interface in [Interface::v4(7), Interface::v6(LAN)] {
        let received = router.igmp.receive(interface, &datagram, at(0));
        assert_eq!(received, Received::Ignored(Ignored::NotTaken(interface)));
    }
    let of_other_family = Datagram { source: ip("fe80::1"), ..datagram };
    let received = router.igmp.receive(router.on(LAN), &of_other_family, at(0));
    assert_eq!(received, Received::Ignored(Ignored::OtherFamily));
    assert!(router.memberships().is_empty());

    let counters = router.igmp.counters();
    assert_eq!((counters.reports, counters.leaves, counters.queries), (3, 0, 1));
    assert_eq!((counters.malformed, counters.other_type, counters.other_family), (2, 1, 1));
    assert_eq!((counters.not_a_group, counters.not_taken, counters.unknown_records), (3, 2, 1));
    assert_eq!(counters.not_a_source, 2);
}

#[test]
fn mld_from_beyond_the_link_is_ignored() {
    let router = Router::v6();
    let host: Ipv6Addr = "fe80::5".parse().unwrap();
    let group: Ipv6Addr = "ff1e::3".parse().unwrap();
    let (lan, source) = (router.on(LAN), "2001:db8::1");
    let receive = |payload: &[u8], source: Ipv6Addr, destination: Ipv6Addr, hop_limit| {
        let datagram = Datagram {
            source: source.into(),
            destination: destination.into(),
            hop_limit,
            router_alert: true,
            payload,
        };
        router.igmp.receive(lan, &datagram, at(0))
    };
    let report = mld_v2(&[record(TO_EX, "ff1e::3", &[source])], host);
    assert_eq!(receive(&report, host, ALL_MLDV2_ROUTERS, 2), Received::Ignored(Ignored::HopLimit(2)));
    for outsider in ["2001:db8::5", "::", "fec0::1"].map(|text| text.parse::<Ipv6Addr>().unwrap()) {
        let report = mld_v2(&[record(TO_EX, "ff1e::3", &[])], outsider);
        assert_eq!(
            receive(&report, outsider, ALL_MLDV2_ROUTERS, 1),
            Received::Ignored(Ignored::NotLinkLocal(outsider.into()))
        );
    }
    assert!(router.memberships().is_empty());

    assert_eq!(receive(&report, host, ALL_MLDV2_ROUTERS, 1), Received::Report);
    assert_eq!(router.memberships(), ["2 (*, ff1e::3)"]);
    router.packet(source, "ff1e::3");
    assert_eq!(router.outgoing(source, "ff1e::3"), Some(vec![]));
    let second: Ipv6Addr = "fe80::6".parse().unwrap();
    let joins = mld_v1(131, "ff1e::3", second, group);
    assert_eq!(receive(&joins, second, group, 1), Received::Report);
    assert_eq!(router.outgoing(source, "ff1e::3"), Some(vec![LAN]));
    let routers: Ipv6Addr = "ff02::2".parse().unwrap();
    let done = mld_v1(132, "ff1e::3", second, routers);
    assert_eq!(receive(&done, second, routers, 1), Received::Report);
    assert_eq!(router.outgoing(source, "ff1e::3"), Some(vec![]));
    assert!(
        router.manager.memberships().iter().all(|r| mgm::protocol::name(r.protocol) == Some("mld")),
        "the memberships are MLD's"
    );
    let counters = router.igmp.counters();
    assert_eq!((counters.hop_limit, counters.not_link_local), (1, 3));
}

#[test]
fn igmp_and_mld_share_a_link_without_interfering() {
    let v4 = Router::v4();
    let v6 = Router::with(Family::V6, v4.manager.clone(), GmpConfig::default());
    v4.receive_from(1, &v2_report(G), 0);
    assert_eq!(v6.igmp.take(Interface::v4(9)), Err(GmpTakeError::OtherFamily(Interface::v4(9))));
    let host: Ipv6Addr = "fe80::5".parse().unwrap();
    let payload = mld_v2(&[record(TO_EX, "ff1e::3", &[])], host);
    let datagram = Datagram {
        source: host.into(),
        destination: ALL_MLDV2_ROUTERS.into(),
        hop_limit: 1,
        router_alert: true,
        payload: &payload,
    };
    assert_eq!(v6.igmp.receive(Interface::v6(LAN), &datagram, at(0)), Received::Report);
    assert_eq!(v4.memberships(), ["2 (*, 239.1.1.1)", "2 (*, ff1e::3)"]);
    drop(v6);
    assert_eq!(v4.memberships(), ["2 (*, 239.1.1.1)"]);
    assert_eq!(v4.manager.clients().len(), 1);
}

#[test]
fn a_release_and_a_drop_end_the_memberships() {
    let router = Router::v4();
    router.reports(1, TO_EX, G, &[A], 0);
    router.igmp.release(router.on(LAN)).unwrap();
    assert_eq!((router.memberships().len(), router.igmp.next_deadline()), (0, None));
    assert_eq!(
        router.receive_from(1, &v2_report(G), 1),
        Received::Ignored(Ignored::NotTaken(router.on(LAN))),
        "messages there are ignored"
    );
    router.igmp.take(router.on(LAN)).unwrap();
    assert_eq!(router.igmp.wanted(router.on(LAN), ip(G)), Some(Wanted::default()));
    router.receive_from(1, &v2_report(G), 2);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
    assert_eq!(router.igmp.interfaces(), [UP, LAN, OTHER].map(Interface::v4));
    let manager = router.manager.clone();
    drop(router);
    assert!(manager.clients().is_empty() && manager.memberships().is_empty());
    assert!(
        GroupMembership::new(manager, Family::V4, GmpConfig::default()).is_ok(),
        "its name is free again"
    );
}

#[test]
fn forgetting_everything_restarts_the_clock() {
    let router = Router::v4();
    router.packet(A, G);
    for _ in 0..2 {
        router.receive_from(1, &v2_report("239.0.0.9"), 500);
        router.reports(1, TO_EX, G, &[A], 600);
        router.reports(2, ALLOW, "232.1.1.1", &[A, B], 700);
        assert_eq!(router.memberships().len(), 4);
        router.igmp.forget_everything();
        assert!(router.memberships().is_empty());
        assert_eq!(router.igmp.next_deadline(), None);
        router.receive_from(1, &v2_report(G), 1);
        assert_eq!(router.igmp.next_deadline(), Some(at(261)));
        assert_eq!(router.outgoing(A, G), Some(vec![LAN]), "no source is blocked any more");
        router.receive_from(1, &leave(G), 2);
    }
    assert_eq!(router.igmp.counters().reports, 8);
}

#[test]
fn memberships_are_added_again_after_an_ownership_change() {
    let router = Router::v4();
    router.reports(1, TO_EX, G, &[A], 0);
    router.packet(A, G);
    router.packet(B, G);
    let joins = StaticJoins::new(router.manager.clone()).unwrap();
    joins.take(router.on(LAN)).unwrap();
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"], "ended by the change of owner, and added again");
    assert_eq!(router.outgoing(B, G), Some(vec![LAN]));
    assert_eq!(router.outgoing(A, G), Some(vec![]));

    // A blocked source removes the memberships of hosts, not those of the routing protocol.
    joins.join(router.on(LAN), Membership::any_source(ip(G)).unwrap()).unwrap();
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    joins.leave(router.on(LAN), Membership::any_source(ip(G)).unwrap()).unwrap();
    assert_eq!(router.outgoing(A, G), Some(vec![]));
    assert_eq!(router.outgoing(B, G), Some(vec![LAN]));

    drop(joins);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
    assert_eq!(router.outgoing(A, G), Some(vec![]));
}

#[test]
fn static_joins_last_until_they_are_left() {
    let manager = manager(ManagerConfig::default());
    let joins = StaticJoins::new(manager.clone()).unwrap();
    assert!(StaticJoins::new(manager.clone()).is_err(), "one at a time");
    let one = Membership::one_source(ip(A), ip("232.1.1.1")).unwrap();
    assert!(joins.join(Interface::v4(LAN), one).is_err(), "not taken");
    joins.take(Interface::v4(UP)).unwrap();
    joins.take(Interface::v4(LAN)).unwrap();
    joins.join(Interface::v4(LAN), one).unwrap();
    joins.join(Interface::v4(LAN), one).unwrap();
    let records = manager.memberships();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].membership, records[0].protocol), (one, StaticJoins::PROTOCOL));
    joins.leave(Interface::v4(LAN), one).unwrap();
    assert!(manager.memberships().is_empty());
    joins.join(Interface::v4(LAN), one).unwrap();
    joins.release(Interface::v4(LAN)).unwrap();
    assert!(manager.memberships().is_empty());
    drop(joins);
    assert!(manager.clients().is_empty());
}

#[test]
fn memberships_refused_for_room_are_added_later() {
    let manager = manager(ManagerConfig::default().with_memberships(1));
    let router = Router::with(Family::V4, manager, GmpConfig::default());
    router.receive_from(1, &v2_report("239.0.0.1"), 0);
    router.receive_from(1, &v2_report("239.0.0.2"), 0);
    assert_eq!(router.igmp.counters().no_room, 1);
    router.receive_from(1, &leave("239.0.0.1"), 1);
    router.igmp.advance(at(3));
    assert!(router.memberships().is_empty());
    // The next report of the host changes nothing, but there is room now.
    router.receive_from(1, &v2_report("239.0.0.2"), 4);
    assert_eq!(router.memberships(), ["2 (*, 239.0.0.2)"]);
    router.receive_from(1, &v2_report("239.0.0.2"), 5);
    assert_eq!(router.igmp.counters().no_room, 1);
}

#[test]
fn an_interface_released_by_others_is_counted() {
    let router = Router::v4();
    router.receive_from(1, &v2_report(G), 0);
    router.manager.release(router.igmp.handle(), router.on(LAN)).unwrap();
    router.receive_from(1, &v2_report("239.0.0.2"), 1);
    router.receive_from(1, &leave(G), 2);
    router.igmp.advance(at(4));
    assert_eq!(router.igmp.counters().not_owned, 2);
    assert!(router.memberships().is_empty());
    // After the interface is taken again, the next report of the group adds the missing membership.
    router.manager.take(router.igmp.handle(), router.on(LAN)).unwrap();
    router.receive_from(1, &v2_report("239.0.0.2"), 5);
    assert_eq!(router.memberships(), ["2 (*, 239.0.0.2)"]);
}

#[test]
fn refusals_stay_counted_after_the_release() {
    let limits = HostLimits { groups: 1, ..HostLimits::default() };
    let config = GmpConfig::default().with_limits(limits);
    let router = Router::with(Family::V4, manager(ManagerConfig::default()), config);
    router.receive_from(1, &v2_report(G), 0);
    router.receive_from(1, &v2_report("239.0.0.2"), 0);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
    assert_eq!(router.igmp.counters().refused.groups, 1);
    router.igmp.release(router.on(LAN)).unwrap();
    assert_eq!(router.igmp.counters().refused.groups, 1);
}

/// A routing protocol that delivers a report of the same group to IGMP inside a creation alert.
struct Echo(Arc<OnceLock<Router>>);

impl Client for Echo {
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let router = self.0.get().unwrap();
        let Received::Report = router.receive_from(1, &v3_report(&[record(BLOCK, G, &[B])]), 0) else {
            panic!("not a report")
        };
        assert!(alert.outgoing().iter().all(|offered| offered.interface() == router.on(OTHER)));
    }
}

#[test]
fn messages_may_come_inside_a_callback() {
    let shared = Arc::new(OnceLock::new());
    let router = shared.get_or_init(Router::v4);
    let echo =
        router.manager.register(Protocol::new(0x4000_0001, 0), Arc::new(Echo(shared.clone()))).unwrap();
    router.manager.take(echo, router.on(OTHER)).unwrap();
    let membership = Membership::any_source(ip(G)).unwrap();
    router
        .manager
        .add_membership(echo, router.on(OTHER), membership, mgm::manager::StateChange::Join)
        .unwrap();
    router.reports(1, TO_EX, G, &[], 0);
    router.packet(B, G);
    assert_eq!(router.outgoing(B, G), Some(vec![OTHER]), "the block that came meanwhile takes effect");
    assert_eq!(router.manager.client_panics(), 0);
}

/// One thread takes an interface while another releases it, so that their calls return in any order.
#[test]
fn the_client_tracks_what_the_manager_has_it_own() {
    const ROUNDS: u32 = 3000;
    let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None)).unwrap());
    let igmp = GroupMembership::new(manager.clone(), Family::V4, GmpConfig::default()).unwrap();
    let lan = Interface::v4(1);
    let (begin, end) = (Barrier::new(3), Barrier::new(3));
    let rounds = |step: fn(&GroupMembership, Interface)| {
        for _ in 0..ROUNDS {
            begin.wait();
            step(&igmp, lan);
            end.wait();
        }
    };
    std::thread::scope(|scope| {
        let rounds = &rounds;
        scope.spawn(move || rounds(|igmp, lan| _ = igmp.take(lan)));
        scope.spawn(move || {
            rounds(|igmp, lan| {
                _ = igmp.release(lan);
                _ = igmp.take(lan);
                _ = igmp.release(lan);
            });
        });
        let mut wrong = 0;
        for _ in 0..ROUNDS {
            begin.wait();
            end.wait();
            // The threads wait for the next round.
            wrong += u32::from(igmp.interfaces().contains(&lan) != manager.owner_of(lan).is_ok());
        }
        assert_eq!(wrong, 0, "rounds of {ROUNDS} after which the client and the manager differ");
    });
}
