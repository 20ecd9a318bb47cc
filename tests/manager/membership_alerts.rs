//! Tables of the callbacks that changes of memberships cause: the clients, the arguments and the order. A
//! callback that a row does not list must not happen.
//!
//! Sources: the pages of the callbacks in the Windows SDK (`PMGM_JOIN_ALERT_CALLBACK` and its neighbours);
//! the pages of the `Mgm...` functions; RFC 2715 section 3, whose dispatcher counts the components that want
//! a group.

use crate::support::scenario::check_table;

/// `PMGM_JOIN_ALERT_CALLBACK` for (\*,g) counts clients. The first client to join alerts all others; the
/// second alerts the first; later ones alert no client. RFC 2715 section 3.1.1.
#[test]
fn joining_any_source_of_a_group() {
    check_table(&[
        ("", "p joins (*,G) on 2", "q: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE"),
        ("p joins (*,G) on 2", "q joins (*,G) on 3", "p: join (*,G) TRUE"),
        ("p joins (*,G) on 2; q joins (*,G) on 3", "r joins (*,G) on 5", ""),
        // Clients are counted, not interfaces.
        ("p joins (*,G) on 2", "p joins (*,G) on 1", ""),
        ("p joins (*,G) on 2; p joins (*,G) on 1", "q joins (*,G) on 3", "p: join (*,G) TRUE"),
        // Adding a membership that exists alerts no client.
        ("p joins (*,G) on 2", "p joins (*,G) on 2", ""),
        ("p joins (*,G) on 2", "p joins and forwards (*,G) on 2", ""),
        // Each group is counted separately, and so is each source of a group.
        (
            "p joins (*,G) on 2",
            "p joins (*,H) on 2",
            "q: join (*,H) TRUE \n r: join (*,H) TRUE \n g: join (*,H) TRUE",
        ),
        (
            "q joins (S,G) on 3",
            "r joins (*,G) on 5",
            "p: join (*,G) TRUE \n q: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        // FORWARD does not change which clients have receivers.
        ("", "p forwards (*,G) on 2", ""),
        (
            "",
            "p joins and forwards (*,G) on 2",
            "q: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        (
            "p forwards (*,G) on 2",
            "q joins (*,G) on 3",
            "p: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        // IGMP counts like any other client on an interface that it does not share.
        ("", "g joins (*,G) on 6", "p: join (*,G) TRUE \n q: join (*,G) TRUE \n r: join (*,G) TRUE"),
        ("g joins (*,G) on 6", "p joins (*,G) on 2", "g: join (*,G) TRUE"),
        ("p joins (*,G) on 2", "g joins (*,G) on 6", "p: join (*,G) TRUE"),
        // Memberships of link-local groups are counted too.
        (
            "",
            "p joins (*,224.0.0.251) on 2",
            "q: join (*,224.0.0.251) TRUE \n r: join (*,224.0.0.251) TRUE \n g: join (*,224.0.0.251) TRUE",
        ),
        // Every client is alerted about both address families.
        ("", "p joins (*,G6) on 1'", "q: join (*,G6) TRUE \n r: join (*,G6) TRUE \n g: join (*,G6) TRUE"),
        // A client that registers later is told of what is there, once, and of later changes.
        ("p joins (*,G) on 2", "n registers; n takes 7", "n: join (*,G) TRUE"),
        (
            "p joins (*,H) on 2; q joins (*,G) on 3; r joins (*,*) on 5; p joins (*,G) on 2; q joins (S,G) on 3; \
             p joins (*,G6) on 1'",
            "n registers",
            "n: join (*,*) TRUE \n n: join (*,G) TRUE \n n: join (*,H) TRUE \n n: join (*,G6) TRUE",
        ),
        (
            "p joins (*,G) on 2; n registers; n takes 7",
            "p leaves (*,G) on 2",
            "q: prune (*,G) at 2 TRUE \n r: prune (*,G) at 2 TRUE \n n: prune (*,G) at 2 TRUE \n g: prune (*,G) at 2 TRUE",
        ),
        (
            "p joins (*,G) on 2; n registers; n takes 7",
            "p joins (*,H) on 2",
            "q: join (*,H) TRUE \n r: join (*,H) TRUE \n n: join (*,H) TRUE \n g: join (*,H) TRUE",
        ),
        ("r releases 5; r deregisters", "p joins (*,G) on 2", "q: join (*,G) TRUE \n g: join (*,G) TRUE"),
    ]);
}

/// `PMGM_PRUNE_ALERT_CALLBACK` for (\*,g): when two clients become one, the remaining client is alerted; when
/// the last client leaves, all others are. RFC 2715 section 3.1.1.
#[test]
fn leaving_any_source_of_a_group() {
    check_table(&[
        (
            "p joins (*,G) on 2",
            "p leaves (*,G) on 2",
            "q: prune (*,G) at 2 TRUE \n r: prune (*,G) at 2 TRUE \n g: prune (*,G) at 2 TRUE",
        ),
        ("p joins (*,G) on 2; q joins (*,G) on 3", "p leaves (*,G) on 2", "q: prune (*,G) at 2 TRUE"),
        ("p joins (*,G) on 2; q joins (*,G) on 3", "q leaves (*,G) on 3", "p: prune (*,G) at 3 TRUE"),
        ("p joins (*,G) on 2; q joins (*,G) on 3; r joins (*,G) on 5", "p leaves (*,G) on 2", ""),
        // A client leaves the count with its last interface.
        ("p joins (*,G) on 2; p joins (*,G) on 1", "p leaves (*,G) on 2", ""),
        (
            "p joins (*,G) on 2; p joins (*,G) on 1; p leaves (*,G) on 2",
            "p leaves (*,G) on 1",
            "q: prune (*,G) at 1 TRUE \n r: prune (*,G) at 1 TRUE \n g: prune (*,G) at 1 TRUE",
        ),
        // Deleting a membership that does not exist alerts no client.
        ("", "p leaves (*,G) on 2", ""),
        ("p joins (*,G) on 2", "p leaves (*,G) on 1; p leaves (*,H) on 2; p leaves (S,G) on 2", ""),
        // FORWARD does not change which clients have receivers.
        ("p joins (*,G) on 2", "p stops (*,G) on 2", ""),
        (
            "p joins (*,G) on 2",
            "p leaves and stops (*,G) on 2",
            "q: prune (*,G) at 2 TRUE \n r: prune (*,G) at 2 TRUE \n g: prune (*,G) at 2 TRUE",
        ),
        (
            "g joins (*,G) on 6",
            "g leaves (*,G) on 6",
            "p: prune (*,G) at 6 TRUE \n q: prune (*,G) at 6 TRUE \n r: prune (*,G) at 6 TRUE",
        ),
        ("g joins (*,G) on 6; r joins (*,G) on 5", "r leaves (*,G) on 5", "g: prune (*,G) at 5 TRUE"),
    ]);
}

/// `PMGM_JOIN_ALERT_CALLBACK` and `PMGM_PRUNE_ALERT_CALLBACK` for (s,g): only the owner of the interface
/// towards the source is alerted, when the first other client joins and when the last other client has left.
#[test]
fn one_source_of_a_group() {
    check_table(&[
        ("", "q joins (S,G) on 3", "p: join (S,G) TRUE"),
        ("q joins (S,G) on 3", "r joins (S,G) on 5", ""),
        ("q joins (S,G) on 3", "q joins (T,G) on 3", "p: join (T,G) TRUE"),
        ("q joins (S,G) on 3", "q joins (S,G) on 4", ""),
        ("q joins (S,G) on 3", "q leaves (S,G) on 3", "p: prune (S,G) at 1 TRUE"),
        ("q joins (S,G) on 3; r joins (S,G) on 5", "q leaves (S,G) on 3", ""),
        (
            "q joins (S,G) on 3; r joins (S,G) on 5; q leaves (S,G) on 3",
            "r leaves (S,G) on 5",
            "p: prune (S,G) at 1 TRUE",
        ),
        // The owner is not alerted about its own calls. It is about those of others, also when it joined itself.
        ("", "p joins (S,G) on 2", ""),
        ("p joins (S,G) on 2", "q joins (S,G) on 3", "p: join (S,G) TRUE"),
        ("q joins (S,G) on 3", "p joins (S,G) on 2; p leaves (S,G) on 2", ""),
        ("p joins (S,G) on 2; q joins (S,G) on 3", "q leaves (S,G) on 3", "p: prune (S,G) at 1 TRUE"),
        ("p joins (S,G) on 2", "p leaves (S,G) on 2", ""),
        (
            "p joins (S,G) on 2; q joins (S,G) on 3; p leaves (S,G) on 2",
            "q leaves (S,G) on 3",
            "p: prune (S,G) at 1 TRUE",
        ),
        // There is no route, or the interface towards the source has no owner.
        ("route S -", "q joins (S,G) on 3; q leaves (S,G) on 3", ""),
        ("route S 9", "q joins (S,G) on 3; q leaves (S,G) on 3", ""),
        ("r takes 7; route S 7; r releases 7", "q joins (S,G) on 3; q leaves (S,G) on 3", ""),
        // IGMP is alerted where it is the only owner. On a shared interface the routing protocol is, as
        // `MgmGetProtocolOnInterface` names it.
        ("route S 6", "q joins (S,G) on 3", "g: join (S,G) TRUE"),
        ("route S 6; q joins (S,G) on 3", "q leaves (S,G) on 3", "g: prune (S,G) at 6 TRUE"),
        ("route S 4", "r joins (S,G) on 5", "q: join (S,G) TRUE"),
        ("route S 4; r joins (S,G) on 5", "r leaves (S,G) on 5", "q: prune (S,G) at 4 TRUE"),
        ("", "g joins (S,G) on 6", "p: join (S,G) TRUE"),
        ("q takes 2'", "q joins (S6,G6) on 2'", "p: join (S6,G6) TRUE"),
    ]);
}

/// Route changes: RFC 2715 lets both the old and the new owner of the incoming interface know.
#[test]
fn one_source_of_a_group_after_its_route_changed() {
    check_table(&[
        ("q joins (S,G) on 3", "route S 5", ""),
        ("q joins (S,G) on 3", "rerouted", ""),
        ("q joins (S,G) on 3", "route S 5; rerouted", "p: prune (S,G) at 1 TRUE \n r: join (S,G) TRUE"),
        ("q joins (S,G) on 3; route S 5; rerouted", "q leaves (S,G) on 3", "r: prune (S,G) at 5 TRUE"),
        ("q joins (S,G) on 3; route S 5", "q leaves (S,G) on 3", "p: prune (S,G) at 1 TRUE"),
        // To another interface of the same owner.
        ("q joins (S,G) on 3", "route S 2; rerouted", ""),
        ("q joins (S,G) on 3; route S 2; rerouted", "q leaves (S,G) on 3", "p: prune (S,G) at 2 TRUE"),
        // To nowhere, and from there.
        ("q joins (S,G) on 3", "route S -; rerouted", "p: prune (S,G) at 1 TRUE"),
        ("q joins (S,G) on 3; route S -; rerouted", "q leaves (S,G) on 3", ""),
        ("route S -; q joins (S,G) on 3", "route S 1; rerouted", "p: join (S,G) TRUE"),
        // The new owner is the only client that joined, then one of several.
        ("q joins (S,G) on 3", "route S 4; rerouted", "p: prune (S,G) at 1 TRUE"),
        (
            "q joins (S,G) on 3; r joins (S,G) on 5",
            "route S 4; rerouted",
            "p: prune (S,G) at 1 TRUE \n q: join (S,G) TRUE",
        ),
        // The source has no (s,g) membership, or only IGMP's on a shared interface.
        ("q joins (*,G) on 3; g joins (S,G) on 4", "route S 5; rerouted", ""),
        ("q joins (*,G) on 3; packet (S,G)", "route S 5; rerouted", ""),
        (
            "q joins (S,G) on 3; q joins (S,H) on 3; q joins (T,G) on 3",
            "route S 5; rerouted",
            "p: prune (S,G) at 1 TRUE \n p: prune (S,H) at 1 TRUE \n r: join (S,G) TRUE \n r: join (S,H) TRUE",
        ),
    ]);
}

/// (\*,\*): the alert pages give no rule. The same rule is applied to the clients that joined (\*,\*). In RFC
/// 2715 section 2.2 such components count for every group; here the kinds of keys count independently, so that the alerts of
/// each key alternate.
#[test]
fn every_source_of_every_group() {
    check_table(&[
        ("", "p joins (*,*) on 2", "q: join (*,*) TRUE \n r: join (*,*) TRUE \n g: join (*,*) TRUE"),
        ("p joins (*,*) on 2", "q joins (*,*) on 3", "p: join (*,*) TRUE"),
        ("p joins (*,*) on 2; q joins (*,*) on 3", "r joins (*,*) on 5", ""),
        ("p joins (*,*) on 2; q joins (*,*) on 3", "q leaves (*,*) on 3", "p: prune (*,*) at 3 TRUE"),
        (
            "p joins (*,*) on 2",
            "p leaves (*,*) on 2",
            "q: prune (*,*) at 2 TRUE \n r: prune (*,*) at 2 TRUE \n g: prune (*,*) at 2 TRUE",
        ),
        // A (*,G) membership does not count for (*,*).
        (
            "p joins (*,G) on 2",
            "q joins (*,*) on 3",
            "p: join (*,*) TRUE \n r: join (*,*) TRUE \n g: join (*,*) TRUE",
        ),
        // Nor does a (*,*) membership count for (*,G).
        (
            "p joins (*,*) on 2",
            "p joins (*,G) on 2",
            "q: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        (
            "p joins (*,*) on 2; q joins (*,*) on 3",
            "r joins (*,G) on 5",
            "p: join (*,G) TRUE \n q: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        (
            "p joins (*,*) on 2; q joins (*,G) on 3",
            "q leaves (*,G) on 3",
            "p: prune (*,G) at 3 TRUE \n r: prune (*,G) at 3 TRUE \n g: prune (*,G) at 3 TRUE",
        ),
        (
            "p joins (*,*) on 2; p joins (*,G) on 1; q joins (*,G) on 3",
            "p leaves (*,G) on 1",
            "q: prune (*,G) at 1 TRUE",
        ),
        // Changes of (*,*) raise one alert for (*,*), none for single groups.
        (
            "p joins (*,*) on 2; q joins (*,G) on 3",
            "p leaves (*,*) on 2",
            "q: prune (*,*) at 2 TRUE \n r: prune (*,*) at 2 TRUE \n g: prune (*,*) at 2 TRUE",
        ),
        (
            "p joins (*,*) on 2; q joins (*,G) on 3; p leaves (*,*) on 2",
            "q leaves (*,G) on 3",
            "p: prune (*,G) at 3 TRUE \n r: prune (*,G) at 3 TRUE \n g: prune (*,G) at 3 TRUE",
        ),
        // (*,*) covers one address family.
        (
            "p joins (*,*') on 1'",
            "q joins (*,G) on 3",
            "p: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        (
            "p joins (*,*') on 1'",
            "q joins (*,*) on 3",
            "p: join (*,*) TRUE \n r: join (*,*) TRUE \n g: join (*,*) TRUE",
        ),
    ]);
}

/// `PMGM_LOCAL_JOIN_CALLBACK` and `PMGM_LOCAL_LEAVE_CALLBACK` go to the routing protocol that shares the
/// interface with IGMP. That protocol decides whether it joins the group itself, so IGMP's membership there
/// counts for no other alert.
#[test]
fn igmp_on_a_shared_interface() {
    check_table(&[
        ("", "g joins (*,G) on 4", "q: local join (*,G) on 4"),
        ("", "g joins (S,G) on 4", "q: local join (S,G) on 4"),
        ("", "g joins (*,*) on 4", "q: local join (*,*) on 4"),
        ("g joins (*,G) on 4", "g joins (*,G) on 4", ""),
        ("g joins (*,G) on 4", "g leaves (*,G) on 4", "q: local leave (*,G) on 4"),
        ("g joins (*,*) on 4", "g leaves (*,*) on 4", "q: local leave (*,*) on 4"),
        ("", "g leaves (*,G) on 4", ""),
        ("", "g forwards (*,G) on 4; g stops (*,G) on 4", ""),
        // The owner joins the group itself.
        (
            "g joins (*,G) on 4",
            "q joins (*,G) on 4",
            "p: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        (
            "g joins (*,G) on 4",
            "p joins (*,G) on 2",
            "q: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        ("g joins (*,G) on 4; p joins (*,G) on 2", "q joins (*,G) on 3", "p: join (*,G) TRUE"),
        ("g joins (S,G) on 4", "q joins (S,G) on 3", "p: join (S,G) TRUE"),
        ("g joins (*,*) on 4; p joins (*,G) on 2", "r joins (*,G) on 5", "p: join (*,G) TRUE"),
        // A membership of the routing protocol raises no local join for IGMP.
        (
            "",
            "q joins (*,G) on 4; q leaves (*,G) on 4",
            "p: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE \n \
             p: prune (*,G) at 4 TRUE \n r: prune (*,G) at 4 TRUE \n g: prune (*,G) at 4 TRUE",
        ),
    ]);
}
