//! Tables of the callbacks that changes of ownership cause, and of refused calls, which cause none.
//! `membership_alerts.rs` has the sources.

use crate::support::scenario::{Scenario, check_table, interface, membership};
use mgm::manager::{MembershipError, StateChange, TakeError};

/// `MgmReleaseInterfaceOwnership`: the memberships of the client there end as if it had deleted each of them,
/// in the order of walks.
#[test]
fn releasing_an_interface() {
    check_table(&[
        ("", "q releases 3", ""),
        (
            "q joins (*,G) on 3",
            "q releases 3",
            "p: prune (*,G) at 3 TRUE \n r: prune (*,G) at 3 TRUE \n g: prune (*,G) at 3 TRUE",
        ),
        ("q joins (*,G) on 3; r joins (*,G) on 5", "q releases 3", "r: prune (*,G) at 3 TRUE"),
        ("q joins (*,G) on 3; q joins (*,G) on 4", "q releases 3", ""),
        ("q joins (S,G) on 3", "q releases 3", "p: prune (S,G) at 1 TRUE"),
        (
            "q joins (S,H) on 3; q joins (*,H) on 3; q joins (T,G) on 3; q joins (S,G) on 3; q joins (*,G) on 3; \
             q joins (*,*) on 3; r joins (*,G) on 5; r joins (*,H) on 5; r joins (*,*) on 5",
            "q releases 3",
            "r: prune (*,*) at 3 TRUE \n r: prune (*,G) at 3 TRUE \n r: prune (*,H) at 3 TRUE \n \
             p: prune (S,G) at 1 TRUE \n p: prune (T,G) at 1 TRUE \n p: prune (S,H) at 1 TRUE",
        ),
        (
            "q joins (S,G) on 3; q joins (*,H) on 3; q joins (*,G) on 3; r joins (*,G) on 5; r joins (*,H) on 5",
            "q releases 3",
            "r: prune (*,G) at 3 TRUE \n r: prune (*,H) at 3 TRUE \n p: prune (S,G) at 1 TRUE",
        ),
        // Entries that had the interface among their outgoing ones are alerted afterwards.
        (
            "q joins (*,G) on 3; packet (S,G); packet (T,G); r joins (T,G) on 5",
            "q releases 3",
            "p: prune (*,G) at 3 TRUE \n \
             p: prune (S,G) at 1 FALSE for 900 s \n \
             r: prune (*,G) at 3 TRUE \n \
             g: prune (*,G) at 3 TRUE",
        ),
        // The owner of an entry is not alerted about its own calls. The owner of the interface towards the source gets the
        // prune that takes back its join when it releases that interface, and the next owner gets the join.
        (
            "p joins (*,G) on 2; packet (S,G)",
            "p releases 2",
            "q: prune (*,G) at 2 TRUE \n r: prune (*,G) at 2 TRUE \n g: prune (*,G) at 2 TRUE",
        ),
        ("r joins (S,G) on 5; p releases 1", "r leaves (S,G) on 5", ""),
        ("r joins (S,G) on 5", "p releases 1", "p: prune (S,G) at 1 TRUE"),
        ("p joins (S,G) on 2", "p releases 1", ""),
        ("p joins (S,G) on 2; p releases 1", "q takes 1", "q: join (S,G) TRUE"),
        ("r joins (S,G) on 5; p releases 1", "p takes 1", "p: join (S,G) TRUE"),
        ("r joins (S,G) on 5; p releases 1", "r takes 1", ""),
        ("r joins (S,G) on 5; p joins (S,G) on 2; p releases 1", "r takes 1", "r: join (S,G) TRUE"),
        ("route S 7; r joins (S,G) on 5", "q takes 7", "q: join (S,G) TRUE"),
        (
            "route S 6; r joins (S,G) on 5",
            "q takes 6",
            "g: prune (S,G) at 6 TRUE \n g: disable 6 \n g: enable 6 \n q: join (S,G) TRUE",
        ),
    ]);
}

/// `PMGM_DISABLE_IGMP_CALLBACK` and `PMGM_ENABLE_IGMP_CALLBACK`: a routing protocol takes or releases an
/// interface on which IGMP is enabled. IGMP's own takes and releases cause neither.
#[test]
fn a_routing_protocol_joins_igmp_and_leaves_it() {
    check_table(&[
        ("", "r takes 6", "g: disable 6 \n g: enable 6"),
        ("", "q releases 4", "g: disable 4 \n g: enable 4"),
        ("r takes 6", "r releases 6", "g: disable 6 \n g: enable 6"),
        ("", "r takes 7; r releases 7", ""),
        // IGMP's memberships there have ended. The other clients had been alerted about them where IGMP was
        // alone.
        (
            "g joins (*,G) on 6",
            "r takes 6",
            "p: prune (*,G) at 6 TRUE \n q: prune (*,G) at 6 TRUE \n r: prune (*,G) at 6 TRUE \n \
             g: disable 6 \n g: enable 6",
        ),
        (
            "g joins (*,G) on 6; packet (S,G)",
            "r takes 6",
            "p: prune (*,G) at 6 TRUE \n \
             p: prune (S,G) at 1 FALSE for 900 s \n \
             q: prune (*,G) at 6 TRUE \n \
             r: prune (*,G) at 6 TRUE \n \
             g: disable 6 \n \
             g: enable 6",
        ),
        ("g joins (S,G) on 6", "r takes 6", "p: prune (S,G) at 1 TRUE \n g: disable 6 \n g: enable 6"),
        ("g joins (*,G) on 4", "q releases 4", "g: disable 4 \n g: enable 4"),
        (
            "g joins (*,G) on 4; packet (S,G)",
            "q releases 4",
            "p: prune (S,G) at 1 FALSE for 900 s \n g: disable 4 \n g: enable 4",
        ),
        (
            "q joins (*,G) on 4",
            "q releases 4",
            "p: prune (*,G) at 4 TRUE \n r: prune (*,G) at 4 TRUE \n g: prune (*,G) at 4 TRUE \n \
             g: disable 4 \n g: enable 4",
        ),
        // Later memberships of IGMP are announced according to the new ownership.
        ("g joins (*,G) on 6; r takes 6", "g joins (*,G) on 6", "r: local join (*,G) on 6"),
        (
            "g joins (*,G) on 4; q releases 4",
            "g joins (*,G) on 4",
            "p: join (*,G) TRUE \n q: join (*,G) TRUE \n r: join (*,G) TRUE",
        ),
        // IGMP takes and releases the interface.
        ("", "g takes 3", ""),
        ("", "g releases 4", ""),
        ("", "g releases 6", ""),
        (
            "g joins (*,G) on 6",
            "g releases 6",
            "p: prune (*,G) at 6 TRUE \n q: prune (*,G) at 6 TRUE \n r: prune (*,G) at 6 TRUE",
        ),
        (
            "g joins (S,H) on 4; g joins (*,H) on 4; g joins (S,G) on 4; g joins (*,G) on 4; g joins (*,*) on 4",
            "g releases 4",
            "q: local leave (*,*) on 4 \n q: local leave (*,G) on 4 \n q: local leave (S,G) on 4 \n \
             q: local leave (*,H) on 4 \n q: local leave (S,H) on 4",
        ),
        (
            "g joins (*,G) on 4; packet (S,G)",
            "g releases 4",
            "q: local leave (*,G) on 4 \n p: prune (S,G) at 1 FALSE for 900 s",
        ),
        // Deregistering raises no alert.
        ("r releases 5", "r deregisters", ""),
    ]);
}

/// A refused call causes no callback. A take that is refused has not disabled IGMP.
#[test]
fn refused_calls_cause_no_callbacks() {
    let mut scenario = Scenario::new();
    scenario.run("q joins (*,G) on 4; packet (S,G); g joins (*,G) on 4; r joins (*,G) on 5");
    scenario.take_calls();
    let (manager, handle) = (scenario.manager.clone(), |name: &str| scenario.handle(name));
    let group = membership("(*,H)");
    for (client, at) in [("r", "4"), ("q", "4"), ("g", "4"), ("g", "6")] {
        let owned = Err(TakeError::Owned(interface(at)));
        assert_eq!(manager.take(handle(client), interface(at)), owned, "{client}");
    }
    for (client, at) in [("r", "4"), ("r", "6"), ("g", "3"), ("g", "9")] {
        manager.release(handle(client), interface(at)).unwrap_err();
        for effect in [StateChange::Join, StateChange::JoinAndForward, StateChange::Forward] {
            manager.add_membership(handle(client), interface(at), group, effect).unwrap_err();
            manager
                .delete_membership(handle(client), interface(at), membership("(*,G)"), effect)
                .unwrap_err();
        }
    }
    let families_differ = MembershipError::FamiliesDiffer(interface("1'"));
    assert_eq!(
        manager.add_membership(handle("p"), interface("1'"), group, StateChange::Join),
        Err(families_differ)
    );
    manager.deregister(handle("q")).unwrap_err();
    assert_eq!(scenario.take_calls(), [""; 0]);
}
