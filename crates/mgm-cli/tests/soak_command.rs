//! `mgm soak`, run as users run it.

mod program;

use program::{EXAMPLE, directory, mgm};
use serde_json::json;
use std::fs;

/// What two seconds can hold a run to: memory is not among it, because that warms up for longer.
#[test]
fn a_short_soak_measures_everything_and_counts_right() {
    let report = directory("a_short_soak").join("soak.html");
    let ran = mgm(&["soak", EXAMPLE, "--seconds", "2", "--json", "--report", report.to_str().unwrap()]);
    let told = ran.json();
    let verdicts = told["verdicts"].as_array().unwrap();
    let holds = |what: &str| {
        let verdict = verdicts.iter().find(|verdict| verdict["what"].as_str().unwrap().contains(what));
        verdict.unwrap_or_else(|| panic!("{what} is judged: {told}"))["holds"].as_bool().unwrap()
    };
    assert!(holds("descriptor") && holds("count") && holds("garbage"), "{verdicts:?}");
    assert_eq!(ran.code, if holds("memory") { 0 } else { 3 }, "{}", ran.stderr);
    assert_eq!(told["holds"], json!(ran.code == 0));
    let number = |key: &str| told[key].as_u64().unwrap();
    assert!(told["seconds"].as_f64().unwrap() >= 2.0);
    assert!(number("passes") > 1);
    assert_eq!((number("packets"), number("copies")), (3035 * number("passes"), 3755 * number("passes")));
    for key in ["churn_operations", "control_calls", "alerts"] {
        assert!(number(key) > 0, "{key}");
    }
    let samples = told["samples"].as_array().unwrap();
    assert!((20..=2000).contains(&samples.len()), "{}", samples.len());
    let last = samples.last().unwrap();
    for key in ["resident", "descriptors", "packets", "operations"] {
        assert!(last[key].as_u64().unwrap() > 0, "{key}");
    }
    let page = fs::read_to_string(&report).unwrap();
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(
        page.contains("mgm soak examples/capture/router.pcapng --seconds 2") && page.ends_with("</html>")
    );
}

#[test]
fn tables_say_the_same() {
    let ran = mgm(&["soak", EXAMPLE, "--seconds", "1", "--churn", "0", "--threads", "2"]);
    for what in ["packets forwarded", "resident memory stays flat", "garbage stays bounded", "no descriptor"]
    {
        assert!(ran.stdout.contains(what), "{what}: {}{}", ran.stdout, ran.stderr);
    }
}

/// Before anything runs: an hour later it would be too late.
#[test]
fn what_cannot_be_run_is_refused_with_a_reason() {
    let nowhere = directory("what_cannot_be_run").join("absent/soak.html");
    let nowhere = nowhere.to_str().unwrap();
    for (arguments, code, reason) in [
        (&["absent.pcap"][..], 1, "absent.pcap"),
        (&[EXAMPLE, "--report", nowhere][..], 2, nowhere),
        (&[EXAMPLE, "--report", "/dev/null"][..], 2, "no regular file"),
        (&[EXAMPLE, "--seconds", "0"][..], 2, "1..="),
        (&["tests/captures/cut.pcap"][..], 1, "cut short"),
    ] {
        let ran = mgm(&[&["soak"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{arguments:?}: {}", ran.stderr);
    }
}

/// A report that is there already stays as it is when the run does not begin.
#[test]
fn an_old_report_is_not_lost_to_a_run_that_cannot_begin() {
    let report = program::file("an_old_report", "soak.html", b"old");
    let ran = mgm(&["soak", "absent.pcap", "--report", &report]);
    assert_eq!((ran.code, fs::read_to_string(&report).unwrap().as_str()), (1, "old"));
}

#[test]
fn the_object_has_these_keys() {
    let told = mgm(&["soak", EXAMPLE, "--seconds", "1", "--churn", "1", "--json"]).json();
    let keys: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    let sample: Vec<_> = told["samples"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sample.len(), 6, "{sample:?}");
    assert_eq!(keys.len(), 16, "{keys:?}");
}
