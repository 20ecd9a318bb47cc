//! `mgm demo` from the beginning to the end, and interrupted.

use crate::support::{Ran, command, mgm, namespaces, require_root};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn the_demo_delivers_every_packet_and_leaves_nothing() {
    require_root();
    let ran = mgm(&["demo", "--packets", "50"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for expected in ["joined by IGMPv3", "joined by MLDv2", "static entry", "The router has ended"] {
        assert!(ran.stdout.contains(expected), "no {expected:?} in {}", ran.stdout);
    }
    assert_eq!(ran.stderr, "", "warnings");
}

#[test]
fn an_interrupted_demo_takes_everything_away() {
    require_root();
    let child = command(&["demo", "--packets", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let prefix = format!("mgm-demo-{}", child.id());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !namespaces().contains(&format!("{prefix}-lab")) {
        assert!(Instant::now() < deadline, "the demo makes no namespace");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(1));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("a signal ended the demo"), "{}", ran.stderr);
    assert!(!namespaces().contains(&prefix), "{}", namespaces());
}
