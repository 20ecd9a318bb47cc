//! `mgm stress`.

use crate::support::{Ran, command, directory, file, refused};
use mgm::manager::ManagerConfig;
use mgm_verify::spec::Spec;
use serde_json::{Value, json};
use std::fs;

/// Runs `mgm stress` in the directory of a test, where it keeps violations.
fn stress(test: &str, arguments: &[&str]) -> Ran {
    let mut command = command(&[&["stress"], arguments].concat());
    Ran::of(command.current_dir(directory(test)).output().unwrap())
}

#[test]
fn a_short_run_is_linearizable() {
    let ran = stress("a_short_run", &["--seconds", "2", "--seed", "1", "--threads", "3", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = ran.json();
    assert_eq!((&report["violations"], &report["seed"]), (&json!(0), &json!(1)));
    assert!(report["seconds"].as_f64().unwrap() >= 2.0);
    assert!(report["windows_checked"].as_u64().unwrap() >= 100, "{report}");
    assert!(report["garbage_pending"].is_u64());
    let operations = report["operations"].as_object().unwrap();
    assert_eq!(operations.len(), 12);
    for (name, operation) in operations {
        let number = |key: &str| operation[key].as_u64().unwrap();
        assert!(number("count") > 0, "{name}: the mix has every call");
        let [p50, p99, p999, max] = ["p50_ns", "p99_ns", "p999_ns", "max_ns"].map(number);
        assert!(p50 <= p99 && p99 <= p999 && p999 <= max, "{name}: {operation}");
    }
}

#[test]
fn the_report_explains_itself() {
    let ran = stress("the_report", &["--seconds", "1", "--seed", "7", "--report", "stress.html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let page = directory_content("the_report", "stress.html");
    crate::reports::assert_has_provenance(&page);
    for part in ["A window is", "--seed 7</span>", "duration of a call", "share of calls", "windows a second"]
    {
        assert!(page.contains(part), "{part}");
    }
}

fn directory_content(test: &str, name: &str) -> String {
    fs::read_to_string(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(test).join(name)).unwrap()
}

/// Replays a window in which a client is registered and resolved. `resolved` is the answer of the second call. The client
/// may receive a prune alert besides.
fn replay(test: &str, resolved: &Value, with_prune: bool) -> Ran {
    let event = |thread: u32, began: u64, call: Value, answer: Value| json!({"thread": thread, "call": call, "answer": answer, "began": began, "ended": began + 10});
    let prune = json!({"Notice": {"Prune": [{"Everything": "V4"}, {"index": 1, "next_hop": "0.0.0.0"}, "Membership"]}});
    let deliveries = if with_prune { json!({"77": [{"at": 25, "callback": prune}]}) } else { json!({}) };
    let violation = json!({
        "command": "mgm stress",
        "starts": [Spec::new(&ManagerConfig::default())],
        "window": {
            "events": [
                event(0, 0, json!({"Register": {"id": 1, "component": 0}}), json!({"Handle": 77})),
                event(1, 20, json!({"Resolve": 77}), json!({"Protocol": resolved})),
            ],
            "deliveries": deliveries,
        },
    });
    let path = file(test, "violation.json", violation.to_string().as_bytes());
    Ran::of(command(&["stress", "--replay", &path]).output().unwrap())
}

#[test]
fn a_kept_window_can_be_checked_again() {
    let name = json!({"id": 1, "component": 0});
    let good = replay("a_good_window", &name, false);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(good.stdout.contains("2 calls is linearizable"), "{}", good.stdout);
    let bad = replay("a_bad_window", &json!(null), false);
    assert_eq!(bad.code, 1, "{}", bad.stderr);
    for part in ["thread 1", "Resolve(77) -> Protocol(None)"] {
        assert!(bad.stderr.contains(part), "{part}: {}", bad.stderr);
    }
    let extra = replay("a_window_with_an_extra_callback", &name, true);
    assert_eq!(extra.code, 1, "{}", extra.stderr);
    assert!(extra.stderr.contains("client 77: Notice(Prune((*, *)"), "{}", extra.stderr);
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    for (arguments, reasons) in [
        (&["--mix", "nonsense"][..], &["--mix", "neither the name of a mix", "take=5"][..]),
        (&["--mix", "give=3"], &["there is no call \"give\"", "owner_of"]),
        (&["--mix", "take=0"], &["makes no call"]),
        (&["--threads", "1"], &["--threads", "a whole number from 2 to 256"]),
        (&["--seconds", "0"], &["--seconds", "a whole number from 1 to"]),
        (&["--replay", "absent.json"], &["--replay", "absent.json"]),
        (&["--replay", "README.md"], &["--replay", "README.md is no violation file", "mgm-stress-SEED.json"]),
    ] {
        refused(&[&["stress"], arguments].concat(), 2, reasons);
    }
}

#[test]
fn stops_need_a_build_with_fault_points() {
    if !mgm_verify::stress::HAS_FAULT_POINTS {
        refused(
            &["stress", "--stops"],
            2,
            &["--stops needs a program", "fault points", "verify/instrumented run"],
        );
    }
}
