//! The account of a capture: flows that ended, the timeline of memberships, names that a terminal must not obey.

use crate::support::{CAPTURES, EXAMPLE, assert_nothing_is_lost, file, forward, mgm};
use serde_json::{Value, json};

fn flow<'r>(report: &'r Value, group: &str) -> &'r Value {
    let flows = report["flows"].as_array().unwrap();
    flows.iter().find(|flow| flow["group"] == group).unwrap()
}

#[test]
fn a_flow_that_ended_is_told_with_its_reasons() {
    let capture = format!("{CAPTURES}/flow-ended.pcapng");
    for passes in [1, 3] {
        let report = forward(&["--repeat", &passes.to_string(), "--threads", "2", &capture]);
        assert_nothing_is_lost(&report);
        assert_eq!(report["entries"], json!([]));
        assert_eq!(report["flows"].as_array().unwrap().len(), 3);
        let ended = flow(&report, "239.1.1.1");
        assert_eq!((&ended["first"], &ended["last"]), (&json!(1.0), &json!(5.0)));
        assert_eq!((&ended["arrived"], &ended["packets"]), (&json!("in"), &json!(3 * passes)));
        assert_eq!(ended["forwarded_packets"], 2 * passes);
        assert_eq!(ended["forwarded_octets"], 2 * passes * (20 + 8 + 32));
        assert_eq!(ended["not_forwarded"], json!({"ttl_expired": passes}));
        assert_eq!(flow(&report, "239.2.2.2")["not_forwarded"], json!({"no_receivers": passes}));
        assert_eq!(flow(&report, "224.0.0.5")["not_forwarded"], json!({"link_local": passes}));
    }
    let tables = mgm(&["forward", &capture]).stdout;
    assert!(tables.contains("\nFlows, in seconds from 1970-01-01 00:00:00 UTC\n"), "{tables}");
    assert!(tables.contains("1 ttl expired") && tables.contains("1 no receivers"), "{tables}");
}

#[test]
fn the_timeline_tells_who_joined_left_and_lapsed() {
    let report = forward(&["--repeat", "2", &format!("{CAPTURES}/lapse.pcapng")]);
    let events = report["timeline"].as_array().unwrap();
    let of = |event: &str| events.iter().filter(|e| e["event"] == event).count();
    assert!(of("joined") >= 5 && of("lapsed") >= 4, "{events:#?}");
    let lapsed = events.iter().find(|e| e["event"] == "lapsed" && e["group"] == "239.1.1.1").unwrap();
    assert_eq!((&lapsed["interface"], &lapsed["time"]), (&json!("a"), &json!(260.0)));
    assert_eq!(lapsed["host"], "192.0.2.2");
    let report = forward(&[&format!("{CAPTURES}/igmp-v2.pcapng")]);
    let joined = json!({
        "time": 3.0, "interface": "a", "group": "239.1.1.1", "source": null, "event": "joined", "host": "192.0.2.2",
    });
    assert!(report["timeline"].as_array().unwrap().contains(&joined), "{:#}", report["timeline"]);
    let plain = mgm(&["forward", EXAMPLE]).stdout;
    assert!(!plain.contains("Timeline"), "{plain}");
    assert!(mgm(&["forward", "--timeline", EXAMPLE]).stdout.contains("Timeline"));
}

#[test]
fn excluded_sources_are_shown_as_blocked() {
    let capture = format!("{CAPTURES}/igmp-excludes.pcapng");
    let report = forward(&[&capture]);
    let membership = &report["memberships"][0];
    assert_eq!((&membership["source"], &membership["blocked"]), (&Value::Null, &json!(["198.51.100.1"])));
    let tables = mgm(&["forward", &capture]).stdout;
    assert!(tables.contains("any but 198.51.100.1"), "{tables}");
}

/// A name in a capture may hold what a terminal obeys.
#[test]
fn no_name_reaches_a_terminal_raw() {
    let capture = format!("{CAPTURES}/names-odd.pcapng");
    let raw = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    let path = file("no_name_reaches", "other.toml", b"[[interface]]\nname = \"a\\u001b[2Jb\"\n");
    for arguments in [
        &["forward", &capture][..],
        &["forward", "--timeline", &capture],
        &["forward", "--config", &path, &capture],
    ] {
        let ran = mgm(arguments);
        assert!(!raw(&ran.stdout) && !raw(&ran.stderr), "{:?} {:?}", ran.stdout, ran.stderr);
        let shown = [ran.stdout, ran.stderr].concat();
        assert!(shown.contains("\\u{1b}[31mred\\u{a}\\u{202e}green"), "{shown}");
    }
    let json = mgm(&["forward", "--json", &capture]).stdout;
    assert!(!raw(&json) && json.contains("red\\n\\u202egreen"), "{json}");
    assert_eq!(forward(&[&capture])["interfaces"][1]["name"], "\u{1b}[31mred\n\u{202e}green");
    assert_eq!(forward(&[&capture])["interfaces"][0]["name"], "eth0");
}

#[test]
fn malformed_and_ignored_messages_are_told_by_reason() {
    let report = forward(&[&format!("{CAPTURES}/igmp-damaged.pcapng")]);
    assert_eq!(report["malformed"]["message_checksum"], 3);
    assert_eq!(report["malformed"]["fragmented_message"], 1);
    let report = forward(&[&format!("{CAPTURES}/mld-not-believed.pcapng")]);
    assert_eq!(report["ignored"], json!({"hop_limit": 2, "source_not_link_local": 3}));
    let tables = mgm(&["forward", &format!("{CAPTURES}/mld-not-believed.pcapng")]).stdout;
    assert!(tables.contains("without an effect") && tables.contains("source not link local"), "{tables}");
}

#[test]
fn times_outside_the_rest_are_reported() {
    let capture = format!("{CAPTURES}/time-outside.pcapng");
    let ran = mgm(&["forward", "--json", &capture]);
    assert!(ran.stderr.contains("2 packets have a time far outside"), "{}", ran.stderr);
    let times = &ran.json()["capture"];
    assert_eq!((&times["times_outside"], &times["out_of_order"]), (&json!(2), &json!(3)));
    assert_eq!((&times["first"], &times["seconds"]), (&json!(1_700_000_000.0), &json!(3.0)));
    // As the configuration wants it, the time that jumped is a time.
    let path = file("times_outside", "gap.toml", b"[capture]\nmax_time_gap = 1e10\n");
    let ran = mgm(&["forward", "--json", "--config", &path, &capture]);
    assert_eq!(ran.json()["capture"]["times_outside"], 0, "{}", ran.stderr);
}
