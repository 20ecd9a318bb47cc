//! The tables of `mgm forward`: the same counts as the JSON object, at every width.

use crate::support::{CAPTURES, EXAMPLE, Ran, at_root, command, directory, file, mgm};
use mgm::plane::capture::CaptureReader;
use serde_json::Value;
use std::fs::{self, File};

fn at_width(columns: u32, arguments: &[&str]) -> Ran {
    Ran::of(command(arguments).env("COLUMNS", columns.to_string()).output().unwrap())
}

fn expected() -> Value {
    let path = at_root("examples/capture/expected.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn tables_hold_the_same_counts_as_json() {
    let ran = mgm(&["forward", "--churn", "1", EXAMPLE]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let plain = ran.stdout.replace(' ', "");
    for entry in expected()["entries"].as_array().unwrap() {
        let row = ["source", "group", "incoming"].map(|key| entry[key].as_str().unwrap()).join("┆");
        assert!(plain.contains(&row), "{row} is not in {}", ran.stdout);
    }
    for title in [
        "Interfaces",
        "Entries",
        "Flows",
        "Memberships",
        "Packets not forwarded",
        "Clients",
        "Churn",
        "Rates",
    ] {
        assert!(ran.stdout.contains(&format!("\n{title}")), "{title}");
    }
    for rate in ["the capture's traffic was", "mgm forwarded this at"] {
        assert!(ran.stdout.contains(rate), "{rate}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains("octets") && !ran.stdout.contains("bytes"), "{}", ran.stdout);
}

#[test]
fn at_80_columns_no_address_is_broken() {
    let ran = at_width(80, &["forward", "--timeline", EXAMPLE]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("\nTimeline of memberships"), "{}", ran.stdout);
    for key in ["entries", "memberships"] {
        for row in expected()[key].as_array().unwrap() {
            for address in ["source", "group"].iter().filter_map(|name| row[name].as_str()) {
                let whole = |cell: &str| cell.trim_matches(['│', ' ']) == address;
                let stays_on_link = ["224.0.0.", "ff02:", "ff12:"].iter().any(|p| address.starts_with(p));
                let found = ran.stdout.lines().any(|line| line.split('┆').any(whole));
                assert!(found || stays_on_link, "{address}: {}", ran.stdout);
            }
        }
    }
    let longest = ran.stdout.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 80, "{longest}: {}", ran.stdout);
    assert!(ran.stdout.contains("Left out at 80 columns: octets"), "{}", ran.stdout);
    let wide = at_width(140, &["forward", "--timeline", EXAMPLE]);
    assert!(!wide.stdout.contains("Left out") && wide.stdout.contains("octets"), "{}", wide.stdout);
}

/// Copies the packets of one interface of the example into a capture of their own.
fn one_interface(test: &str) -> String {
    let out = directory(test);
    let ran = mgm(&["forward", "--json", "--out", out.to_str().unwrap(), EXAMPLE]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let path = out.join("office.pcapng");
    let mut reader = CaptureReader::new(File::open(&path).unwrap()).unwrap();
    assert!(reader.next_frame().unwrap().is_some());
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_capture_of_one_interface_is_explained() {
    let path = one_interface("a_capture_of_one_interface");
    let ran = mgm(&["forward", &path]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for part in ["0 forwarded", "This capture has one interface", "dumpcap -i eth0 -i eth1"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let json = mgm(&["forward", "--json", &path]);
    assert!(json.stderr.contains("This capture has one interface"), "{}", json.stderr);
    assert_eq!(json.json()["forwarded_packets"], 0);
}

#[test]
fn a_capture_of_any_is_explained() {
    // Cooked headers of version 1 do not tell the interface.
    let ran = mgm(&["forward", &format!("{CAPTURES}/cooked.pcap")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("-i any") && ran.stdout.contains("dumpcap -i eth0"), "{}", ran.stdout);
}

#[test]
fn a_capture_without_reports_is_explained() {
    // Without protocols on its interfaces the router hears no host.
    let text = "[[interface]]\nname = 'studio'\naddress = '10.77.1.1/24'\nprotocols = ['static']\n";
    let path = file("a_capture_without_reports", "none.toml", text.as_bytes());
    let ran = mgm(&["forward", "--config", &path, EXAMPLE]);
    assert!(
        ran.stdout.contains("No host joins a group") && ran.stdout.contains("--config"),
        "{}",
        ran.stdout
    );
    let forwarded = mgm(&["forward", EXAMPLE]);
    assert!(!forwarded.stdout.contains("Nothing was forwarded"), "{}", forwarded.stdout);
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let page = fs::read_to_string(at_root("README.md")).unwrap();
    let (_, sample) = page.split_once("```text\nexamples/capture/").unwrap();
    let (sample, _) = sample.split_once("\n...\n").unwrap();
    let ran = mgm(&["forward", EXAMPLE]);
    assert!(sample.lines().count() > 15, "{sample}");
    assert!(ran.stdout.starts_with(&format!("examples/capture/{sample}\n")), "{}", ran.stdout);
}
