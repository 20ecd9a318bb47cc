//! What `mgm forward` cannot do, and how it says so.

mod program;

use program::{EXAMPLE, Ran, at_root, command, directory, file, mgm};
use std::fs;
use std::process::Stdio;

fn refused(arguments: &[&str], code: i32, message: &[&str]) -> Ran {
    let ran = mgm(arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
    for message in message {
        assert!(ran.stderr.contains(message), "{arguments:?}: no \"{message}\" in: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

#[test]
fn a_capture_that_was_cut_is_reported_up_to_the_cut() {
    let whole = fs::read(at_root(EXAMPLE)).unwrap();
    let path = file("a_capture_that_was_cut", "cut.pcapng", &whole[..whole.len() / 2]);
    let ran = refused(&["forward", "--json", &path], 1, &[&path, "cut short", "octet"]);
    let packets = ran.json()["packets"].as_u64().unwrap();
    assert!((500..2500).contains(&packets), "{packets}");
    let ran = refused(&["forward", &path], 1, &["cut short"]);
    assert!(ran.stdout.contains("Entries"));
}

#[test]
fn damage_in_the_middle_is_told_from_a_cut() {
    let mut damaged = fs::read(at_root(EXAMPLE)).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0xa5);
    let path = file("damage_in_the_middle", "damaged.pcapng", &damaged);
    let ran = refused(&["forward", "--json", &path], 1, &[&path, "damaged at octet"]);
    assert!(ran.json()["packets"].as_u64().unwrap() > 500);
}

#[test]
fn garbage_is_no_capture() {
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) / 7) as u8).collect();
    for (name, content) in
        [("garbage.pcap", &garbage[..]), ("empty.pcap", b""), ("text.pcap", b"GET / HTTP/1.1")]
    {
        let path = file("garbage_is_no_capture", name, content);
        let ran = refused(&["forward", &path], 1, &[&path, "no capture"]);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
        let ran = refused(&["forward", "--json", &path], 1, &["no capture"]);
        assert_eq!(ran.json()["packets"], 0);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let absent = directory("a_file_that_cannot_be_read").join("absent.pcapng");
    let absent = absent.to_str().unwrap();
    let ran = refused(&["forward", "--json", absent], 1, &[absent, "No such file"]);
    assert!(ran.stdout.is_empty());
    let a_directory = directory("a_file_that_cannot_be_read");
    refused(&["forward", a_directory.to_str().unwrap()], 1, &["directory"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let path = file("a_file_that_may_not_be_read", "secret.pcapng", &fs::read(at_root(EXAMPLE)).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is forbidden to root.
    if fs::File::open(&path).is_err() {
        refused(&["forward", &path], 1, &[&path, "Permission denied"]);
    }
}

#[test]
fn a_config_with_an_unknown_key_is_refused_with_its_place() {
    let path = file("an_unknown_key", "wrong.toml", b"[[interface]]\nname = 'studio'\nspeed = 3\n");
    let ran = refused(&["forward", "--config", &path, EXAMPLE], 2, &[&path, "line 3", "speed", "name"]);
    assert!(ran.stdout.is_empty());
    let path = file("an_unknown_key", "broken.toml", b"[[interface\n");
    refused(&["forward", "--config", &path, EXAMPLE], 2, &[&path, "line 1"]);
    let absent = format!("{path}.absent");
    refused(&["forward", "--config", &absent, EXAMPLE], 2, &[&absent, "No such file"]);
}

#[test]
fn an_interface_that_is_not_in_the_capture_is_refused() {
    let path = file("not_in_the_capture", "wrong.toml", b"\n[[interface]]\nname = 'eth7'\n");
    let names = ["eth7", "studio", "office", "lab", "uplink", ":3"];
    let ran = refused(&["forward", "--config", &path, EXAMPLE], 2, &names);
    assert!(ran.stdout.is_empty());
    // It may have been described behind the cut.
    refused(&["forward", "--config", &path, "tests/captures/cut.pcapng"], 2, &["eth7", "cut short"]);
}

#[test]
fn wrong_usage_is_told() {
    refused(&["forward"], 2, &["CAPTURE"]);
    refused(&[], 2, &["forward"]);
    refused(&["backward"], 2, &["backward"]);
    refused(&["forward", EXAMPLE, "--speed"], 2, &["--speed"]);
    for (option, value) in
        [("--repeat", "0"), ("--repeat", "x"), ("--threads", "0"), ("--threads", "257"), ("--churn", "x")]
    {
        refused(&["forward", EXAMPLE, option, value], 2, &[option]);
    }
    // A place for files that is none.
    let path = file("wrong_usage_is_told", "file", b"");
    refused(&["forward", EXAMPLE, "--out", &path], 2, &[&path]);
    // The capture itself is not overwritten, however its interfaces are called.
    let capture = fs::read(at_root(EXAMPLE)).unwrap();
    let path = file("wrong_usage_is_told", "lab.pcapng", &capture);
    let directory = path.strip_suffix("/lab.pcapng").unwrap();
    refused(&["forward", &path, "--out", directory], 2, &[&path, "the capture itself"]);
    assert!(fs::read(&path).unwrap() == capture);
}

#[test]
fn help_helps() {
    let ran = mgm(&["--help"]);
    assert!(ran.code == 0 && ran.stdout.contains("forward"), "{}", ran.stdout);
    let ran = mgm(&["forward", "--help"]);
    assert_eq!(ran.code, 0);
    for said in ["--config", "--out", "--json", "--repeat", "--threads", "--churn", "Exit codes"] {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    assert!(mgm(&["--version"]).stdout.starts_with("mgm 0."));
}

/// As with `mgm forward ... | head -1`.
#[test]
fn output_that_nobody_reads_is_no_failure() {
    let mut child =
        command(&["forward", EXAMPLE]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

/// A file can name times that are further off than a count of nanoseconds in 64 bits goes. Found by fuzzing: the clock of
/// the plane went on while that of the manager stood still, and the second pass waited for the end of entries for ever.
#[test]
fn times_beyond_the_clock_end() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/regressions/end-of-time.pcapng");
    let once = refused(&["forward", "--json", path], 1, &["damaged at octet"]).json();
    let twice = refused(&["forward", "--json", "--repeat", "2", path], 1, &["damaged at octet"]).json();
    assert_eq!(twice["packets"].as_u64().unwrap(), 2 * once["packets"].as_u64().unwrap());
    // A membership lapses in the second pass as it does in the first.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/regressions/ages-between.pcapng");
    let [once, twice] = ["1", "2"].map(|n| mgm(&["forward", "--json", "--repeat", n, path]).json());
    assert_eq!(twice["copies"].as_u64().unwrap(), 2 * once["copies"].as_u64().unwrap());
}
