//! Tables of the callbacks that entries cause when they are created and change, and that packets on the wrong
//! interface cause. `membership_alerts.rs` has the sources.

use crate::support::scenario::{Scenario, check_table};
use std::time::Duration;

/// `PMGM_JOIN_ALERT_CALLBACK` and `PMGM_PRUNE_ALERT_CALLBACK` with `bMemberUpdate` or `bMemberDelete` FALSE:
/// an entry gained its first outgoing interface, lost its last, or was created without one. The owner of the
/// incoming interface is alerted. RFC 2715 section 3.1.
#[test]
fn an_entry_starts_and_stops_forwarding() {
    const NO_RECEIVERS: &str = "p: prune (S,G) at 1 FALSE for 900 s";
    const NEW_NEGATIVE: &str = "p: path of (S,G) by 1 \n p: prune (S,G) at 1 FALSE for 900 s";
    check_table(&[
        // Entries created without receivers.
        ("", "packet (S,G)", NEW_NEGATIVE),
        ("g joins (*,H) on 4", "packet (S,G)", NEW_NEGATIVE),
        ("p joins (*,G) on 1", "packet (S,G)", NEW_NEGATIVE),
        ("route S 4", "packet (S,G)", "q: path of (S,G) by 4 \n q: prune (S,G) at 4 FALSE for 900 s"),
        ("route S 6", "packet (S,G)", "g: path of (S,G) by 6 \n g: prune (S,G) at 6 FALSE for 900 s"),
        ("route S -", "packet (S,G)", ""),
        ("route S 9", "packet (S,G)", ""),
        ("r takes 7; route S 7; r releases 7", "packet (S,G)", ""),
        ("packet (S,G)", "packet (S,G)", ""),
        // Entries created with receivers: each outgoing interface is offered to its owners.
        ("q joins (*,G) on 3", "packet (S,G)", "p: path of (S,G) by 1 \n q: creation of (S,G) from 1 to 3"),
        (
            "p joins (S,G) on 2; q joins (*,*) on 3; q joins (*,G) on 4; g joins (*,G) on 6",
            "packet (S,G)",
            "p: path of (S,G) by 1 \n p: creation of (S,G) from 1 to 2 \n q: creation of (S,G) from 1 to 3 4+igmp \n \
             g: creation of (S,G) from 1 to 4+igmp 6+igmp",
        ),
        // The owner may answer with another interface of its own.
        ("p prefers 2", "packet (S,G)", "p: path of (S,G) by 1 \n p: prune (S,G) at 2 FALSE for 900 s"),
        ("p prefers 3", "packet (S,G)", NEW_NEGATIVE),
        ("q prefers 3", "packet (S,G)", NEW_NEGATIVE),
        (
            "p prefers 2; p joins (*,G) on 1; p joins (*,G) on 2",
            "packet (S,G)",
            "p: path of (S,G) by 1 \n p: creation of (S,G) from 2 to 1",
        ),
        // Every outgoing interface is vetoed.
        (
            "q joins (*,G) on 3; q vetoes 3",
            "packet (S,G)",
            "p: path of (S,G) by 1 \n q: creation of (S,G) from 1 to 3 \n p: prune (S,G) at 1 FALSE for 900 s",
        ),
        // The first and the last receivers of an entry. These alerts follow those of the memberships.
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
        // Entries changed by FORWARD alone.
        ("packet (S,G)", "q forwards (S,G) on 3", "p: join (S,G) FALSE"),
        ("packet (S,G); q forwards (S,G) on 3", "q stops (S,G) on 3", NO_RECEIVERS),
        ("packet (S,G); packet (T,G)", "q forwards (*,G) on 3", "p: join (S,G) FALSE \n p: join (T,G) FALSE"),
        ("q joins (*,G) on 3; packet (S,G)", "q stops (S,G) on 3", NO_RECEIVERS),
        ("", "q forwards (S,G) on 3; q stops (S,G) on 3", ""),
        // The owner is not alerted about its own calls.
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
        // The end of an entry raises no alert: by its lifetime, a flush, or a release of its incoming
        // interface.
        ("q joins (*,G) on 3; packet (S,G)", "time 900", ""),
        ("q joins (*,G) on 3; packet (S,G)", "flush", ""),
        ("q joins (*,G) on 3; packet (S,G)", "p releases 1", ""),
        ("packet (S,G)", "time 900; q joins (S,G) on 3", "p: join (S,G) TRUE"),
        (
            "q joins (*,G) on 3; packet (S,G)",
            "time 900; packet (S,G)",
            "p: path of (S,G) by 1 \n q: creation of (S,G) from 1 to 3",
        ),
    ]);
}

/// `PMGM_PRUNE_ALERT_CALLBACK`, `pdwTimeout`: 900 seconds unless the client changes it, in whole seconds.
#[test]
fn how_long_an_entry_without_receivers_stays() {
    let life = |before: &str, happens: &str| {
        let mut scenario = Scenario::new();
        scenario.run("time 100");
        scenario.run(before);
        scenario.run(happens);
        let deadlines: Vec<u64> = scenario.manager.entries().iter().map(|e| e.expires.as_secs()).collect();
        assert_eq!(scenario.manager.next_deadline(), deadlines.iter().min().map(|s| Duration::from_secs(*s)));
        deadlines
    };
    assert_eq!(life("", "packet (S,G)"), [1000]);
    assert_eq!(life("p answers 60", "packet (S,G)"), [160]);
    assert_eq!(life("p answers 1000", "packet (S,G)"), [1100]);
    assert_eq!(life("p answers 0", "packet (S,G)"), [1000], "zero leaves the lifetime unchanged");
    assert_eq!(life("p answers 0.25", "packet (S,G)"), [101], "in whole seconds, rounded up");
    assert_eq!(life("p answers 2.000000001", "packet (S,G)"), [103]);
    assert_eq!(life("q answers 60", "packet (S,G)"), [1000], "only the owner is asked");
    assert_eq!(life("p answers 60; q joins (*,G) on 3", "packet (S,G)"), [1000], "it forwards");
    let negative = "q joins (*,G) on 3; packet (S,G); packet (T,G); time 300";
    assert_eq!(life(negative, "q leaves (*,G) on 3"), [1000, 1000], "without an answer the lifetime stays");
    assert_eq!(life(negative, "p answers 60; q stops (S,G) on 3"), [360, 1000], "counted from the answer");
    assert_eq!(life(negative, "p answers 2000; q leaves (*,G) on 3"), [2300, 2300]);
    assert_eq!(life(negative, "p answers 60; q stops (S,G) on 3; q forwards (S,G) on 3"), [360, 1000]);
    assert_eq!(
        life(negative, "p answers 60; p joins (*,G) on 2; p leaves (*,G) on 2; q leaves (*,H) on 3"),
        [1000, 1000]
    );
    assert_eq!(life("p answers 60", "packet (S,G); time 160"), [0; 0]);
}

/// `PMGM_WRONG_IF_CALLBACK`, which Windows documents as never called: the owner of the arrival interface is
/// alerted if it asked for these alerts. RFC 2715 section 3 has a rate limit for each flow.
#[test]
fn packets_on_the_wrong_interface() {
    const WATCHED: &str = "n watches; n takes 7; n takes 4'; packet (S,G)";
    check_table(&[
        (WATCHED, "wrong (S,G) on 7", "n: wrong interface: (S,G) on 7"),
        (WATCHED, "wrong (S,G) on 7; wrong (S,G) on 7", "n: wrong interface: (S,G) on 7"),
        (
            WATCHED,
            "wrong (S,G) on 7; packet (T,G); wrong (T,G) on 7",
            "n: wrong interface: (S,G) on 7 \n p: path of (T,G) by 1 \n p: prune (T,G) at 1 FALSE for 900 s \n \
             n: wrong interface: (T,G) on 7",
        ),
        (
            WATCHED,
            "wrong (S,G) on 7; time 3; wrong (S,G) on 7",
            "\
            n: wrong interface: (S,G) on 7 \n n: wrong interface: (S,G) on 7",
        ),
        // The owner did not ask for these alerts.
        (WATCHED, "wrong (S,G) on 3", ""),
        ("packet (S,G)", "wrong (S,G) on 3", ""),
        // The arrival interface has no owner.
        (WATCHED, "n releases 7; wrong (S,G) on 7", ""),
        (WATCHED, "wrong (S,G) on 99", ""),
    ]);
}
