//! `mgm check`, and configurations that `mgm run` refuses. These tests need no root.

use crate::support::{Files, mgm};

const MISTAKES: &str = "[[interface]]\nname = 'east'\ntreshold = 1\nprotocols = ['static.a', 'static.b']\n[static.a]\n[static.b]\n";

#[test]
fn the_sample_configuration_has_no_mistakes() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mgm.toml");
    let ran = mgm(&["check", sample]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("no mistakes"), "{}", ran.stdout);
}

#[test]
fn every_mistake_has_its_line_and_column() {
    let files = Files::new("check");
    let path = files.write("wrong.toml", MISTAKES);
    let ran = mgm(&["check", &path]);
    assert_eq!(ran.code, 1);
    let lines: Vec<_> = ran.stdout.lines().map(|line| line.trim_start_matches(&path)).collect();
    assert_eq!(
        lines,
        [
            ":3:1: [[interface]] has no key treshold: did you mean threshold?",
            ":4:26: protocols: static.a already owns \"east\" for IPv4, and an interface has one owner of a role: take \
             static.b out",
        ]
    );
    assert!(ran.stderr.contains("has 2 mistakes"), "{}", ran.stderr);
    let json = mgm(&["check", "--json", &path]).json();
    assert_eq!(
        (json["mistakes"][1]["line"].as_u64(), json["mistakes"][1]["column"].as_u64()),
        (Some(4), Some(26))
    );
}

#[test]
fn a_router_does_not_start_with_mistakes() {
    let files = Files::new("run-mistakes");
    let path = files.write("wrong.toml", MISTAKES);
    let ran = mgm(&["run", "--config", &path]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("static.a already owns \"east\""), "{}", ran.stderr);
    let ran = mgm(&["check", "/nowhere/mgm.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot be read"), "{}", ran.stderr);
}

#[test]
fn without_a_router_the_clients_say_how_to_start_one() {
    for arguments in [&["show", "clients"][..], &["reload"], &["join", "239.1.1.1", "--interface", "a"]] {
        let ran = mgm(&[arguments, &["--socket", "/nowhere/mgm.sock"]].concat());
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stderr.contains("start one with mgm run"), "{}", ran.stderr);
    }
}
