//! Who is called when, with what, in which order, and who is not: a table. What a row does not name was not called.
//!
//! Sources: the pages of the callbacks in the Windows SDK (`PMGM_JOIN_ALERT_CALLBACK` and its neighbours), `Mgm...` the
//! functions' own pages, and RFC 2715 section 3, whose dispatcher counts the components that want a group.

mod words;

use mgm::manager::{Effect, MembershipError, TakeError};
use std::time::Duration;
use words::{Words, interface, membership};

/// What was said before, what happens, who is told.
type Row = (&'static str, &'static str, &'static str);

/// Walks a table: one line of the last column is one call. Whoever is told first is told all that the change has for it,
/// in the order of what happened; then the next one.
fn walk(table: &[Row]) {
    for (before, happens, told) in table {
        let mut words = Words::new();
        words.say(before);
        words.heard();
        words.say(happens);
        let told: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(words.heard(), told, "before: {before:?}, then: {happens:?}");
        assert_eq!(words.manager.client_panics(), 0);
    }
}

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

/// The same two pages, `bMemberUpdate` and `bMemberDelete` FALSE: an entry got its first outgoing interface, or lost its
/// last, or was made without one. To the owner of the incoming interface. RFC 2715 section 3.1.
#[test]
fn an_entry_that_begins_and_ceases_to_forward() {
    const NOBODY: &str = "p: prune (S,G) at 1 FALSE for 900 s";
    const NEW: &str = "p: way of (S,G) by 1 \n p: prune (S,G) at 1 FALSE for 900 s";
    walk(&[
        // Made without receivers.
        ("", "packet (S,G)", NEW),
        ("g joins (*,H) on 4", "packet (S,G)", NEW),
        ("p joins (*,G) on 1", "packet (S,G)", NEW),
        ("route S 4", "packet (S,G)", "q: way of (S,G) by 4 \n q: prune (S,G) at 4 FALSE for 900 s"),
        ("route S 6", "packet (S,G)", "g: way of (S,G) by 6 \n g: prune (S,G) at 6 FALSE for 900 s"),
        ("route S -", "packet (S,G)", ""),
        ("route S 9", "packet (S,G)", ""),
        ("r takes 7; route S 7; r releases 7", "packet (S,G)", ""),
        ("packet (S,G)", "packet (S,G)", ""),
        // Made with some, each offered to its owner.
        ("q joins (*,G) on 3", "packet (S,G)", "p: way of (S,G) by 1 \n q: creation of (S,G) from 1 to 3"),
        (
            "p joins (S,G) on 2; q joins (*,*) on 3; q joins (*,G) on 4; g joins (*,G) on 6",
            "packet (S,G)",
            "p: way of (S,G) by 1 \n p: creation of (S,G) from 1 to 2 \n q: creation of (S,G) from 1 to 3 4+igmp \n \
             g: creation of (S,G) from 1 to 4+igmp 6+igmp",
        ),
        // Who answers another way in of its own is the owner of that.
        ("p prefers 2", "packet (S,G)", "p: way of (S,G) by 1 \n p: prune (S,G) at 2 FALSE for 900 s"),
        ("p prefers 3", "packet (S,G)", NEW),
        ("q prefers 3", "packet (S,G)", NEW),
        (
            "p prefers 2; p joins (*,G) on 1; p joins (*,G) on 2",
            "packet (S,G)",
            "p: way of (S,G) by 1 \n p: creation of (S,G) from 2 to 1",
        ),
        // All of them vetoed.
        (
            "q joins (*,G) on 3; q vetoes 3",
            "packet (S,G)",
            "p: way of (S,G) by 1 \n q: creation of (S,G) from 1 to 3 \n p: prune (S,G) at 1 FALSE for 900 s",
        ),
        // The first receivers of an entry, and the last ones: after the alerts of the memberships.
        (
            "packet (S,G)",
            "q joins (*,G) on 3",
            "p: join (*,G) TRUE \n p: join (S,G) FALSE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        (
            "q joins (*,G) on 3; packet (S,G)",
            "q leaves (*,G) on 3",
            "p: prune (*,G) at 3 TRUE \n \
             p: prune (S,G) at 1 FALSE for 900 s \n \
             r: prune (*,G) at 3 TRUE \n \
             g: prune (*,G) at 3 TRUE",
        ),
        ("packet (S,G)", "g joins (*,G) on 4", "q: local join (*,G) on 4 \n p: join (S,G) FALSE"),
        (
            "packet (S,G); g joins (*,G) on 4",
            "g leaves (*,G) on 4",
            "q: local leave (*,G) on 4 \n p: prune (S,G) at 1 FALSE for 900 s",
        ),
        (
            "packet (S,G); q joins (*,G) on 3",
            "r joins (*,G) on 5; r leaves (*,G) on 5",
            "\
            q: join (*,G) TRUE \n q: prune (*,G) at 5 TRUE",
        ),
        // By FORWARD alone.
        ("packet (S,G)", "q forwards (S,G) on 3", "p: join (S,G) FALSE"),
        ("packet (S,G); q forwards (S,G) on 3", "q stops (S,G) on 3", NOBODY),
        ("packet (S,G); packet (T,G)", "q forwards (*,G) on 3", "p: join (S,G) FALSE \n p: join (T,G) FALSE"),
        ("q joins (*,G) on 3; packet (S,G)", "q stops (S,G) on 3", NOBODY),
        ("", "q forwards (S,G) on 3; q stops (S,G) on 3", ""),
        // Its owner knows what it does itself.
        (
            "packet (S,G)",
            "p joins (*,G) on 2",
            "q: join (*,G) TRUE \n r: join (*,G) TRUE \n g: join (*,G) TRUE",
        ),
        ("packet (S,G); p forwards (S,G) on 2", "p stops (S,G) on 2", ""),
        // The incoming interface is never an outgoing one.
        ("packet (S,G)", "p forwards (S,G) on 1", ""),
        // Several entries, in the order of walks: by group, then source.
        (
            "packet (S,H); packet (T,G); packet (S,G)",
            "q joins (*,*) on 3",
            "p: join (*,*) TRUE \n \
             p: join (S,G) FALSE \n \
             p: join (T,G) FALSE \n \
             p: join (S,H) FALSE \n \
             r: join (*,*) TRUE \n \
             g: join (*,*) TRUE",
        ),
        // The end of an entry alerts nobody: its time, a flush, the end of its incoming interface.
        ("q joins (*,G) on 3; packet (S,G)", "time 900", ""),
        ("q joins (*,G) on 3; packet (S,G)", "flush", ""),
        ("q joins (*,G) on 3; packet (S,G)", "p releases 1", ""),
        ("packet (S,G)", "time 900; q joins (S,G) on 3", "p: join (S,G) TRUE"),
        (
            "q joins (*,G) on 3; packet (S,G)",
            "time 900; packet (S,G)",
            "p: way of (S,G) by 1 \n q: creation of (S,G) from 1 to 3",
        ),
    ]);
}

/// `PMGM_PRUNE_ALERT_CALLBACK`, `pdwTimeout`: 900 seconds unless touched; seconds.
#[test]
fn how_long_an_entry_without_receivers_stays() {
    let life = |before: &str, happens: &str| {
        let mut words = Words::new();
        words.say("time 100");
        words.say(before);
        words.say(happens);
        let deadlines: Vec<u64> = words.manager.entries().iter().map(|e| e.expires.as_secs()).collect();
        assert_eq!(words.manager.next_deadline(), deadlines.iter().min().map(|s| Duration::from_secs(*s)));
        deadlines
    };
    assert_eq!(life("", "packet (S,G)"), [1000]);
    assert_eq!(life("p answers 60", "packet (S,G)"), [160]);
    assert_eq!(life("p answers 1000", "packet (S,G)"), [1100]);
    assert_eq!(life("p answers 0", "packet (S,G)"), [1000], "nothing is no answer");
    assert_eq!(life("p answers 0.25", "packet (S,G)"), [101], "in whole seconds, rounded up");
    assert_eq!(life("p answers 2.000000001", "packet (S,G)"), [103]);
    assert_eq!(life("q answers 60", "packet (S,G)"), [1000], "it is the owner who is asked");
    assert_eq!(life("p answers 60; q joins (*,G) on 3", "packet (S,G)"), [1000], "it forwards");
    let negative = "q joins (*,G) on 3; packet (S,G); packet (T,G); time 300";
    assert_eq!(life(negative, "q leaves (*,G) on 3"), [1000, 1000], "without an answer it keeps its life");
    assert_eq!(life(negative, "p answers 60; q stops (S,G) on 3"), [360, 1000], "from the answer on");
    assert_eq!(life(negative, "p answers 2000; q leaves (*,G) on 3"), [2300, 2300]);
    assert_eq!(life(negative, "p answers 60; q stops (S,G) on 3; q forwards (S,G) on 3"), [360, 1000]);
    assert_eq!(
        life(negative, "p answers 60; p joins (*,G) on 2; p leaves (*,G) on 2; q leaves (*,H) on 3"),
        [1000, 1000]
    );
    assert_eq!(life("p answers 60", "packet (S,G); time 160"), []);
}

/// `MgmReleaseInterfaceOwnership`: what the client wanted there ends as by so many deletes, in the order of walks.
#[test]
fn releasing_an_interface() {
    walk(&[
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
        // Entries that went out there, after that.
        (
            "q joins (*,G) on 3; packet (S,G); packet (T,G); r joins (T,G) on 5",
            "q releases 3",
            "p: prune (*,G) at 3 TRUE \n \
             p: prune (S,G) at 1 FALSE for 900 s \n \
             r: prune (*,G) at 3 TRUE \n \
             g: prune (*,G) at 3 TRUE",
        ),
        // Its owner knows what it does itself, and hears nothing more of what it gave up.
        (
            "p joins (*,G) on 2; packet (S,G)",
            "p releases 2",
            "q: prune (*,G) at 2 TRUE \n r: prune (*,G) at 2 TRUE \n g: prune (*,G) at 2 TRUE",
        ),
        ("r joins (S,G) on 5; p releases 1", "r leaves (S,G) on 5", ""),
        ("r joins (S,G) on 5", "p releases 1", ""),
    ]);
}

/// `PMGM_DISABLE_IGMP_CALLBACK` and `PMGM_ENABLE_IGMP_CALLBACK`: "a routing protocol is taking or releasing an interface on
/// which IGMP is enabled". IGMP's own coming and going switches nothing.
#[test]
fn a_routing_protocol_comes_to_igmp_and_goes() {
    walk(&[
        ("", "r takes 6", "g: disable 6 \n g: enable 6"),
        ("", "q releases 4", "g: disable 4 \n g: enable 4"),
        ("r takes 6", "r releases 6", "g: disable 6 \n g: enable 6"),
        ("", "r takes 7; r releases 7", ""),
        // What IGMP wanted there has ended; where it was alone, others knew of it.
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
        // After it, IGMP's wishes go where they belong by then.
        ("g joins (*,G) on 6; r takes 6", "g joins (*,G) on 6", "r: local join (*,G) on 6"),
        (
            "g joins (*,G) on 4; q releases 4",
            "g joins (*,G) on 4",
            "p: join (*,G) TRUE \n q: join (*,G) TRUE \n r: join (*,G) TRUE",
        ),
        // IGMP comes and goes.
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
        // Who leaves has nothing that anybody has to hear of.
        ("r releases 5", "r deregisters", ""),
    ]);
}

/// A call that is refused calls nobody; a take that loses has not switched IGMP off.
#[test]
fn refused_calls() {
    let mut words = Words::new();
    words.say("q joins (*,G) on 4; packet (S,G); g joins (*,G) on 4; r joins (*,G) on 5");
    words.heard();
    let (manager, handle) = (words.manager.clone(), |name: &str| words.handle(name));
    let group = membership("(*,H)");
    for (client, at) in [("r", "4"), ("q", "4"), ("g", "4"), ("g", "6")] {
        let owned = Err(TakeError::Owned(interface(at)));
        assert_eq!(manager.take(handle(client), interface(at)), owned, "{client}");
    }
    for (client, at) in [("r", "4"), ("r", "6"), ("g", "3"), ("g", "9")] {
        manager.release(handle(client), interface(at)).unwrap_err();
        for effect in [Effect::Join, Effect::JoinAndForward, Effect::Forward] {
            manager.add_membership(handle(client), interface(at), group, effect).unwrap_err();
            manager
                .delete_membership(handle(client), interface(at), membership("(*,G)"), effect)
                .unwrap_err();
        }
    }
    let of_the_other_family = MembershipError::FamiliesDiffer(interface("1'"));
    assert_eq!(
        manager.add_membership(handle("p"), interface("1'"), group, Effect::Join),
        Err(of_the_other_family)
    );
    manager.deregister(handle("q")).unwrap_err();
    assert_eq!(words.heard(), [""; 0]);
}
