//! Who is called when memberships change: with what, in which order, and who is not. A table; what a row does not name was
//! not called.
//!
//! Sources: the pages of the callbacks in the Windows SDK (`PMGM_JOIN_ALERT_CALLBACK` and its neighbours), `Mgm...` the
//! functions' own pages, and RFC 2715 section 3, whose dispatcher counts the components that want a group.

mod words;

use words::walk;

/// `PMGM_JOIN_ALERT_CALLBACK`, (\*,g): "0 to 1: everybody else; 1 to 2: the one that was alone; more: nobody", counting
/// clients. RFC 2715 section 3.1.1.
#[test]
fn joining_any_source_of_a_group() {
    walk(&[
        ("", "p joins (*,G) on 2", "q: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE"),
        ("p joins (*,G) on 2", "q joins (*,G) on 3", "p: join (*,G) TRUE"),
        ("p joins (*,G) on 2; q joins (*,G) on 3", "r joins (*,G) on 5", ""),
        // Clients are counted, not interfaces.
        ("p joins (*,G) on 2", "p joins (*,G) on 1", ""),
        ("p joins (*,G) on 2; p joins (*,G) on 1", "q joins (*,G) on 3", "p: join (*,G) TRUE"),
        // What is there already is no news.
        ("p joins (*,G) on 2", "p joins (*,G) on 2", ""),
        ("p joins (*,G) on 2", "p joins and forwards (*,G) on 2", ""),
        // Each group is counted for itself, and so is each source of it.
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
        // FORWARD says nothing of receivers.
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
        // IGMP where it is alone is a client as all others.
        ("", "g joins (*,G) on 6", "p: join (*,G) TRUE \n q: join (*,G) TRUE \n r: join (*,G) TRUE"),
        ("g joins (*,G) on 6", "p joins (*,G) on 2", "g: join (*,G) TRUE"),
        ("p joins (*,G) on 2", "g joins (*,G) on 6", "p: join (*,G) TRUE"),
        // A group that never leaves its link has receivers all the same.
        (
            "",
            "p joins (*,224.0.0.251) on 2",
            "q: join (*,224.0.0.251) TRUE \n r: join (*,224.0.0.251) TRUE \n g: join (*,224.0.0.251) TRUE",
        ),
        // Every client is told of every family.
        ("", "p joins (*,G6) on 1'", "q: join (*,G6) TRUE \n r: join (*,G6) TRUE \n g: join (*,G6) TRUE"),
        // Who registers later was not told, and is one of the others from then on.
        ("p joins (*,G) on 2", "n registers; n takes 7", ""),
        (
            "p joins (*,G) on 2; n registers; n takes 7",
            "p joins (*,H) on 2",
            "q: join (*,H) TRUE \n r: join (*,H) TRUE \n n: join (*,H) TRUE \n g: join (*,H) TRUE",
        ),
        ("r releases 5; r deregisters", "p joins (*,G) on 2", "q: join (*,G) TRUE \n g: join (*,G) TRUE"),
    ]);
}

/// `PMGM_PRUNE_ALERT_CALLBACK`, (\*,g): "2 to 1: the one that remains; 1 to 0: everybody else". RFC 2715 section 3.1.1.
#[test]
fn leaving_any_source_of_a_group() {
    walk(&[
        (
            "p joins (*,G) on 2",
            "p leaves (*,G) on 2",
            "q: prune (*,G) at 2 TRUE \n r: prune (*,G) at 2 TRUE \n g: prune (*,G) at 2 TRUE",
        ),
        ("p joins (*,G) on 2; q joins (*,G) on 3", "p leaves (*,G) on 2", "q: prune (*,G) at 2 TRUE"),
        ("p joins (*,G) on 2; q joins (*,G) on 3", "q leaves (*,G) on 3", "p: prune (*,G) at 3 TRUE"),
        ("p joins (*,G) on 2; q joins (*,G) on 3; r joins (*,G) on 5", "p leaves (*,G) on 2", ""),
        // The last interface of the client is what counts.
        ("p joins (*,G) on 2; p joins (*,G) on 1", "p leaves (*,G) on 2", ""),
        (
            "p joins (*,G) on 2; p joins (*,G) on 1; p leaves (*,G) on 2",
            "p leaves (*,G) on 1",
            "q: prune (*,G) at 1 TRUE \n r: prune (*,G) at 1 TRUE \n g: prune (*,G) at 1 TRUE",
        ),
        // What is not there is no loss.
        ("", "p leaves (*,G) on 2", ""),
        ("p joins (*,G) on 2", "p leaves (*,G) on 1; p leaves (*,H) on 2; p leaves (S,G) on 2", ""),
        // FORWARD says nothing of receivers.
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

/// `PMGM_JOIN_ALERT_CALLBACK` and `PMGM_PRUNE_ALERT_CALLBACK`, (s,g): "only the client owning the incoming interface
/// towards the source", when the first client joins and when the last one has left.
#[test]
fn one_source_of_a_group() {
    walk(&[
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
        // Its owner knows what it does itself.
        ("", "p joins (S,G) on 2", ""),
        ("p joins (S,G) on 2", "p leaves (S,G) on 2", ""),
        (
            "p joins (S,G) on 2; q joins (S,G) on 3; p leaves (S,G) on 2",
            "q leaves (S,G) on 3",
            "p: prune (S,G) at 1 TRUE",
        ),
        // Nowhere to ask for it.
        ("route S -", "q joins (S,G) on 3; q leaves (S,G) on 3", ""),
        ("route S 9", "q joins (S,G) on 3; q leaves (S,G) on 3", ""),
        ("r takes 7; route S 7; r releases 7", "q joins (S,G) on 3; q leaves (S,G) on 3", ""),
        // IGMP where it is alone; on a shared interface the routing protocol, as `MgmGetProtocolOnInterface` names it.
        ("route S 6", "q joins (S,G) on 3", "g: join (S,G) TRUE"),
        ("route S 6; q joins (S,G) on 3", "q leaves (S,G) on 3", "g: prune (S,G) at 6 TRUE"),
        ("route S 4", "r joins (S,G) on 5", "q: join (S,G) TRUE"),
        ("route S 4; r joins (S,G) on 5", "r leaves (S,G) on 5", "q: prune (S,G) at 4 TRUE"),
        ("", "g joins (S,G) on 6", "p: join (S,G) TRUE"),
        ("q takes 2'", "q joins (S6,G6) on 2'", "p: join (S6,G6) TRUE"),
    ]);
}

/// Routes that change: RFC 2715 has both the old and the new owner of the incoming interface notice.
#[test]
fn one_source_of_a_group_whose_way_is_another_now() {
    walk(&[
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
        // To the only one who has joined, and to one of several.
        ("q joins (S,G) on 3", "route S 4; rerouted", "p: prune (S,G) at 1 TRUE"),
        (
            "q joins (S,G) on 3; r joins (S,G) on 5",
            "route S 4; rerouted",
            "p: prune (S,G) at 1 TRUE \n q: join (S,G) TRUE",
        ),
        // What is not joined by name, or by nobody who counts.
        ("q joins (*,G) on 3; g joins (S,G) on 4", "route S 5; rerouted", ""),
        ("q joins (*,G) on 3; packet (S,G)", "route S 5; rerouted", ""),
        (
            "q joins (S,G) on 3; q joins (S,H) on 3; q joins (T,G) on 3",
            "route S 5; rerouted",
            "p: prune (S,G) at 1 TRUE \n p: prune (S,H) at 1 TRUE \n r: join (S,G) TRUE \n r: join (S,H) TRUE",
        ),
    ]);
}

/// (\*,\*): the alert pages give no rule; the same one, over those that want everything. RFC 2715 section 2.2 has such
/// components count for every group.
#[test]
fn everything() {
    walk(&[
        ("", "p joins (*,*) on 2", "q: join (*,*) TRUE \n r: join (*,*) TRUE \n g: join (*,*) TRUE"),
        ("p joins (*,*) on 2", "q joins (*,*) on 3", "p: join (*,*) TRUE"),
        ("p joins (*,*) on 2; q joins (*,*) on 3", "r joins (*,*) on 5", ""),
        ("p joins (*,*) on 2; q joins (*,*) on 3", "q leaves (*,*) on 3", "p: prune (*,*) at 3 TRUE"),
        (
            "p joins (*,*) on 2",
            "p leaves (*,*) on 2",
            "q: prune (*,*) at 2 TRUE \n r: prune (*,*) at 2 TRUE \n g: prune (*,*) at 2 TRUE",
        ),
        // Who wants a group does not want everything.
        (
            "p joins (*,G) on 2",
            "q joins (*,*) on 3",
            "p: join (*,*) TRUE \n r: join (*,*) TRUE \n g: join (*,*) TRUE",
        ),
        // Who wants everything wants each group.
        ("p joins (*,*) on 2", "p joins (*,G) on 2; p leaves (*,G) on 2", ""),
        ("p joins (*,*) on 2", "q joins (*,G) on 3", "p: join (*,G) TRUE"),
        ("p joins (*,*) on 2; q joins (*,*) on 3", "r joins (*,G) on 5", ""),
        ("p joins (*,*) on 2; q joins (*,G) on 3", "q leaves (*,G) on 3", "p: prune (*,G) at 3 TRUE"),
        ("p joins (*,*) on 2; p joins (*,G) on 1; q joins (*,G) on 3", "p leaves (*,G) on 1", ""),
        // And is told of as such, never group for group.
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
        // Of one family.
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

/// `PMGM_LOCAL_JOIN_CALLBACK` and `PMGM_LOCAL_LEAVE_CALLBACK`: to the routing protocol that IGMP shares the interface with,
/// which decides whether others hear of it. So what IGMP wants there does not count otherwise.
#[test]
fn igmp_on_a_shared_interface() {
    walk(&[
        ("", "g joins (*,G) on 4", "q: local join (*,G) on 4"),
        ("", "g joins (S,G) on 4", "q: local join (S,G) on 4"),
        ("", "g joins (*,*) on 4", "q: local join (*,*) on 4"),
        ("g joins (*,G) on 4", "g joins (*,G) on 4", ""),
        ("g joins (*,G) on 4", "g leaves (*,G) on 4", "q: local leave (*,G) on 4"),
        ("g joins (*,*) on 4", "g leaves (*,*) on 4", "q: local leave (*,*) on 4"),
        ("", "g leaves (*,G) on 4", ""),
        ("", "g forwards (*,G) on 4; g stops (*,G) on 4", ""),
        // The owner decides that it wants the group itself.
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
        // The other way round nobody is told of anything.
        (
            "",
            "q joins (*,G) on 4; q leaves (*,G) on 4",
            "p: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE \n \
             p: prune (*,G) at 4 TRUE \n r: prune (*,G) at 4 TRUE \n g: prune (*,G) at 4 TRUE",
        ),
    ]);
}
