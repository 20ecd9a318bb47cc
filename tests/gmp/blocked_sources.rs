//! Sources that hosts exclude: blocked in existing and in later entries.

use super::router::*;
use crate::support::igmp_messages::*;

#[test]
fn an_excluded_source_is_blocked_in_old_and_new_entries() {
    let router = Router::v4();
    router.reports(1, TO_EX, G, &[], 0);
    router.packet(A, G);
    router.packet(B, G);
    // Host 1 changes to EXCLUDE {A, C}: existing entries lose the interface, and later entries never have it.
    router.reports(1, TO_EX, G, &[A, C], 1);
    assert_eq!(router.outgoing(A, G), Some(vec![]));
    assert_eq!(router.outgoing(B, G), Some(vec![LAN]));
    router.packet(C, G);
    assert_eq!(router.outgoing(C, G), Some(vec![]), "vetoed by the creation alert");
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);

    // The host allows the sources again: this clears both the FORWARD edit and the veto.
    router.reports(1, ALLOW, G, &[A, C], 2);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    assert_eq!(router.outgoing(C, G), Some(vec![LAN]));

    // The host blocks one source.
    router.reports(1, BLOCK, G, &[B], 3);
    assert_eq!(router.outgoing(B, G), Some(vec![]));
    // A blocked source stays blocked when entries end and are created again.
    router.manager.flush_entries();
    router.packet(B, G);
    assert_eq!(router.outgoing(B, G), Some(vec![]));

    router.reports(1, TO_IN, G, &[], 4);
    assert!(router.memberships().is_empty());
    assert_eq!(router.outgoing(B, G), Some(vec![]));
    router.receive_from(1, &v2_report(G), 5);
    assert_eq!(router.outgoing(B, G), Some(vec![LAN]));
}

#[test]
fn an_exclusion_closes_entries_created_before_it() {
    let router = Router::v4();
    router.packet(A, G);
    router.packet(B, G);
    router.reports(1, IS_EX, G, &[A], 0);
    assert_eq!(router.outgoing(A, G), Some(vec![]), "the JOIN add opened it, the FORWARD delete closed it");
    assert_eq!(router.outgoing(B, G), Some(vec![LAN]));
}

#[test]
fn a_network_gets_what_any_of_its_hosts_wants() {
    let router = Router::v4();
    for source in [A, B, C] {
        router.packet(source, G);
    }
    let outgoing_on_lan = || [A, B, C].map(|source| router.outgoing(source, G) == Some(vec![LAN]));
    router.reports(1, TO_EX, G, &[A, B], 0);
    assert_eq!(outgoing_on_lan(), [false, false, true]);
    router.reports(2, TO_EX, G, &[B, C], 0);
    assert_eq!(outgoing_on_lan(), [true, false, true]);
    router.reports(3, ALLOW, G, &[B], 0);
    assert_eq!(outgoing_on_lan(), [true, true, true]);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)", "2 (192.0.2.2, 239.1.1.1)"]);
    router.reports(2, TO_IN, G, &[], 0);
    assert_eq!(outgoing_on_lan(), [false, true, true]);
    router.reports(1, TO_IN, G, &[], 0);
    assert_eq!(outgoing_on_lan(), [false, true, false]);
    router.reports(3, BLOCK, G, &[B], 0);
    assert_eq!(outgoing_on_lan(), [false, false, false]);
    assert!(router.memberships().is_empty());
}

#[test]
fn a_host_of_version_2_opens_what_hosts_of_version_3_close() {
    let router = Router::v4();
    router.reports(1, TO_EX, G, &[A], 0);
    router.packet(A, G);
    assert_eq!(router.outgoing(A, G), Some(vec![]));
    router.receive_from(2, &v2_report(G), 1);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    // In the compatibility mode of version 1 a leave has no effect, and an exclusion none before the timers end.
    router.receive_from(1, &v1_report(G), 2);
    router.receive_from(2, &leave(G), 3);
    router.reports(1, IS_EX, G, &[A], 4);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    router.igmp.advance(at(261));
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    router.igmp.advance(at(262));
    assert_eq!(router.outgoing(A, G), Some(vec![]), "the hosts of older versions are taken to be gone");
}

#[test]
fn changing_from_any_source_to_one_loses_no_packets() {
    let router = Router::v4();
    router.reports(1, TO_EX, G, &[], 0);
    router.packet(A, G);
    router.reports(1, TO_IN, G, &[A], 1);
    assert_eq!(router.memberships(), ["2 (192.0.2.1, 239.1.1.1)"]);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
    router.reports(1, TO_EX, G, &[], 2);
    assert_eq!(router.memberships(), ["2 (*, 239.1.1.1)"]);
    assert_eq!(router.outgoing(A, G), Some(vec![LAN]));
}
