//! `mgm forward --json` gives the counts of independent programs (tests/independent and the small captures), for every
//! number of workers and passes and under churn.

use crate::support::{
    CAPTURES, EXAMPLE, Ran, assert_nothing_is_lost, at_root, command, counts, forward, mgm, times,
};
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;

fn expected(path: &str) -> Value {
    counts(&serde_json::from_str(&fs::read_to_string(at_root(path)).unwrap()).unwrap())
}

/// Returns the small captures, each with its exit code.
fn small_captures() -> Vec<(PathBuf, i32)> {
    let mut captures: Vec<_> = fs::read_dir(at_root(CAPTURES))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let code = ["cut", "garbage", "empty"].iter().any(|cannot| name.starts_with(cannot)).into();
            (path, code)
        })
        .collect();
    captures.sort();
    assert!(captures.len() > 30 && captures.iter().any(|(_, code)| *code == 1));
    captures
}

#[test]
fn the_example_gives_the_independent_counts() {
    let report = forward(&[EXAMPLE]);
    assert_nothing_is_lost(&report);
    assert_eq!(counts(&report), expected("examples/capture/expected.json"));
    assert_eq!(report["churn"], serde_json::json!({}));
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["packets_per_second"].as_f64().unwrap() > 0.0);
    let clients = serde_json::json!([
        {"protocol": "static", "component": 0, "interfaces": ["studio", "office", "lab", "uplink"]},
        {"protocol": "igmp", "component": 4, "interfaces": ["studio", "office", "lab", "uplink"]},
        {"protocol": "mld", "component": 6, "interfaces": ["studio", "office", "lab", "uplink"]},
    ]);
    assert_eq!(report["clients"], clients);
    let keys = report.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert!(report["limits"].as_object().unwrap().values().all(|times| *times == 0), "{}", report["limits"]);
    assert_eq!(keys.len(), 18, "{keys:?}");
}

#[test]
fn every_small_capture_gives_its_counts() {
    for (path, code) in small_captures() {
        let path = path.to_str().unwrap();
        for threads in ["1", "3"] {
            let ran = mgm(&["forward", "--json", "--threads", threads, path]);
            assert_eq!(ran.code, code, "{path}: {}", ran.stderr);
            assert!(code == 0 || ran.stderr.contains(path), "{path}: {}", ran.stderr);
            assert_nothing_is_lost(&ran.json());
            assert_eq!(counts(&ran.json()), expected(&format!("{path}.json")), "{path}, {threads} threads");
        }
    }
}

#[test]
fn the_counts_do_not_depend_on_the_number_of_workers() {
    let expected = expected("examples/capture/expected.json");
    for threads in ["2", "3", "4", "16"] {
        assert_eq!(counts(&forward(&["--threads", threads, EXAMPLE])), expected, "{threads} threads");
    }
}

#[test]
fn many_passes_count_a_multiple_of_one_pass() {
    let once = expected("examples/capture/expected.json");
    for (passes, threads) in [(2, "1"), (5, "3")] {
        let report = forward(&["--repeat", &passes.to_string(), "--threads", threads, EXAMPLE]);
        assert_nothing_is_lost(&report);
        assert_eq!(counts(&report), times(&once, passes));
    }
}

/// The captures have entries that time out, memberships that lapse, and entries that are gone at the end.
#[test]
fn timers_expire_in_every_pass() {
    for name in ["entry-timeout", "entry-gone", "lapse", "no-renewal", "back-in-time"] {
        let path = format!("{CAPTURES}/{name}.pcapng");
        let report = forward(&["--repeat", "3", "--threads", "2", &path]);
        assert_eq!(counts(&report), times(&expected(&format!("{path}.json")), 3), "{name}");
    }
}

#[test]
fn churn_does_not_change_the_counts() {
    let once = expected("examples/capture/expected.json");
    for threads in ["1", "2"] {
        let report = forward(&["--churn", "2", "--repeat", "20", "--threads", threads, EXAMPLE]);
        assert_nothing_is_lost(&report);
        assert_eq!(counts(&report), times(&once, 20));
        // The clients of the churn have left and have made every kind of call.
        assert_eq!(report["clients"].as_array().unwrap().len(), 3);
        let churn = report["churn"].as_object().unwrap();
        // Whether slots ran out or were used again depends on time and chance.
        let chance = ["register_full", "register_reused_slot"];
        let idle = churn.iter().find(|(name, times)| **times == 0 && !chance.contains(&name.as_str()));
        assert!(churn.len() > 10 && idle.is_none(), "{churn:?}");
        let times = |operation: &str| churn[operation].as_u64().unwrap();
        assert_eq!(times("take"), times("release"));
        assert_eq!(times("register"), times("deregister"));
        assert_eq!(times("publish"), times("withdraw"));
    }
}

#[test]
fn a_capture_can_come_from_standard_input() {
    let input = File::open(at_root(EXAMPLE)).unwrap();
    let ran = Ran::of(command(&["forward", "--json", "-"]).stdin(input).output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(counts(&ran.json()), expected("examples/capture/expected.json"));
}
