//! `mgm stress`, run as users run it.

use mgm::manager::ManagerConfig;
use mgm_verify::spec::Spec;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};

fn stress(arguments: &[&str]) -> Output {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    Command::new(env!("CARGO_BIN_EXE_mgm"))
        .arg("stress")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn a_short_run_explains_everything_it_saw() {
    let output = stress(&["--seconds", "2", "--seed", "1", "--threads", "3", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["violations"], &report["seed"]), (&json!(0), &json!(1)));
    assert!(report["seconds"].as_f64().unwrap() >= 2.0);
    assert!(report["windows_checked"].as_u64().unwrap() >= 100, "{report}");
    assert!(report["garbage_pending"].is_u64());
    let operations = report["operations"].as_object().unwrap();
    assert_eq!(operations.len(), 11);
    for (name, operation) in operations {
        let number = |key: &str| operation[key].as_u64().unwrap();
        assert!(number("count") > 0, "{name}: the mix has every call");
        let [p50, p99, p999, max] = ["p50_ns", "p99_ns", "p999_ns", "max_ns"].map(number);
        assert!(p50 <= p99 && p99 <= p999 && p999 <= max, "{name}: {operation}");
    }
}

/// A window in which a client is registered and resolved, `resolved` being the answer, and told that nobody wants something
/// any more, if that is to be.
fn window(file: &str, resolved: Value, told: bool) -> Output {
    let event = |thread: u32, began: u64, call: Value, answer: Value| json!({"thread": thread, "call": call, "answer": answer, "began": began, "ended": began + 10});
    let gone =
        json!({"Told": {"Prune": [{"Everything": "V4"}, {"index": 1, "next_hop": "0.0.0.0"}, "Membership"]}});
    let heard = if told { json!({"77": [{"at": 25, "sound": gone}]}) } else { json!({}) };
    let kept = json!({
        "command": "mgm stress",
        "begins": [Spec::new(&ManagerConfig::default())],
        "window": {
            "events": [
                event(0, 0, json!({"Register": {"id": 1, "component": 0}}), json!({"Handle": 77})),
                event(1, 20, json!({"Resolve": 77}), json!({"Name": resolved})),
            ],
            "heard": heard,
        },
    });
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&path, kept.to_string()).unwrap();
    stress(&["--replay", path.to_str().unwrap()])
}

#[test]
fn a_window_that_was_kept_is_checked_again() {
    let name = json!({"id": 1, "component": 0});
    let good = window("good.json", name.clone(), false);
    assert!(good.status.success(), "{good:?}");
    let bad = window("bad.json", json!(null), false);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let shown = String::from_utf8(bad.stderr).unwrap();
    assert!(shown.contains("thread 1") && shown.contains("Resolve(77) -> Name(None)"), "{shown}");
    let told = window("told.json", name, true);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    let shown = String::from_utf8(told.stderr).unwrap();
    assert!(shown.contains("client 77: Told(Prune((*, *)"), "{shown}");
}

#[test]
fn what_cannot_be_run_is_refused_with_a_reason() {
    for (arguments, reason) in [
        (&["--mix", "nonsense"][..], "neither the name of a mix"),
        (&["--mix", "give=3"][..], "there is no call \"give\""),
        (&["--mix", "take=0"][..], "calls nothing"),
        (&["--threads", "1"][..], "2..=256"),
        (&["--replay", "absent.json"][..], "absent.json"),
        (&["--replay", env!("CARGO_MANIFEST_PATH")][..], "Cargo.toml"),
    ] {
        let output = stress(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(reason), "{arguments:?}: {told}");
    }
}
