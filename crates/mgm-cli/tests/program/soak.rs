//! `mgm soak`.

use crate::support::{CAPTURES, EXAMPLE, directory, file, mgm, refused};
use serde_json::json;
use std::fs;

/// Two seconds cannot show that memory stays flat, because it warms up for longer.
#[test]
fn a_short_soak_measures_everything_and_counts_right() {
    let report = directory("a_short_soak").join("soak.html");
    let ran = mgm(&["soak", EXAMPLE, "--seconds", "2", "--json", "--report", report.to_str().unwrap()]);
    let object = ran.json();
    let verdicts = object["verdicts"].as_array().unwrap();
    let holds = |what: &str| {
        let verdict = verdicts.iter().find(|verdict| verdict["what"].as_str().unwrap().contains(what));
        verdict.unwrap_or_else(|| panic!("no {what}: {object}"))["holds"].as_bool().unwrap()
    };
    assert!(holds("descriptor") && holds("count") && holds("garbage"), "{verdicts:?}");
    assert_eq!(ran.code, if holds("memory") { 0 } else { 3 }, "{}", ran.stderr);
    assert_eq!(object["holds"], json!(ran.code == 0));
    let number = |key: &str| object[key].as_u64().unwrap();
    assert!(object["seconds"].as_f64().unwrap() >= 2.0);
    assert!(number("passes") > 1);
    assert_eq!((number("packets"), number("copies")), (3035 * number("passes"), 3881 * number("passes")));
    for key in ["churn_operations", "control_calls", "alerts"] {
        assert!(number(key) > 0, "{key}");
    }
    let samples = object["samples"].as_array().unwrap();
    assert!((20..=2000).contains(&samples.len()), "{}", samples.len());
    let last = samples.last().unwrap();
    for key in ["resident", "descriptors", "packets", "operations"] {
        assert!(last[key].as_u64().unwrap() > 0, "{key}");
    }
    assert_eq!(object["command"], format!("mgm soak {EXAMPLE} --seconds 2 --churn 2 --threads 1"));
    let page = fs::read_to_string(&report).unwrap();
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(page.ends_with("</html>"));
    crate::reports::assert_has_provenance(&page);
    for part in ["--seconds 2</span>", "time since the start", "MiB", "packets a second"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn tables_show_the_findings() {
    let ran = mgm(&["soak", EXAMPLE, "--seconds", "1", "--churn", "0", "--threads", "2"]);
    for what in ["packets forwarded", "resident memory stays flat", "garbage stays bounded", "no descriptor"]
    {
        assert!(ran.stdout.contains(what), "{what}: {}{}", ran.stdout, ran.stderr);
    }
}

/// The run does not begin: after an hour it would be too late.
#[test]
fn a_soak_that_cannot_run_is_refused_before_it_begins() {
    let nowhere = directory("a_soak_that_cannot_run").join("absent/soak.html");
    let nowhere = nowhere.to_str().unwrap();
    let cut = format!("{CAPTURES}/cut.pcap");
    for (arguments, code, reasons) in [
        (&["absent.pcap"][..], 1, &["absent.pcap"][..]),
        (&[EXAMPLE, "--report", nowhere], 2, &["--report", nowhere]),
        (&[EXAMPLE, "--report", "/dev/null"], 2, &["--report", "no regular file"]),
        (&[EXAMPLE, "--seconds", "0"], 2, &["--seconds", "a whole number from 1 to"]),
        (&[&cut], 1, &["cut short"]),
    ] {
        refused(&[&["soak"], arguments].concat(), code, reasons);
    }
}

#[test]
fn an_old_report_survives_a_run_that_cannot_begin() {
    let report = file("an_old_report", "soak.html", b"old");
    let ran = mgm(&["soak", "absent.pcap", "--report", &report]);
    assert_eq!((ran.code, fs::read_to_string(&report).unwrap().as_str()), (1, "old"));
}

#[test]
fn the_number_of_keys_is_fixed() {
    let object = mgm(&["soak", EXAMPLE, "--seconds", "1", "--churn", "1", "--json"]).json();
    let keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    let sample: Vec<_> = object["samples"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sample.len(), 6, "{sample:?}");
    assert_eq!(keys.len(), 16, "{keys:?}");
}
