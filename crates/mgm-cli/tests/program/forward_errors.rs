//! Errors of `mgm forward`: exit codes and messages.

use crate::support::{CAPTURES, EXAMPLE, REGRESSIONS, Ran, at_root, command, directory, file, mgm, refused};
use std::fs;
use std::process::Stdio;

#[test]
fn a_cut_capture_is_reported_up_to_the_cut() {
    let whole = fs::read(at_root(EXAMPLE)).unwrap();
    let path = file("a_cut_capture", "cut.pcapng", &whole[..whole.len() / 2]);
    let ran = refused(&["forward", "--json", &path], 1, &[&path, "cut short", "octet"]);
    let packets = ran.json()["packets"].as_u64().unwrap();
    assert!((500..2500).contains(&packets), "{packets}");
    let ran = refused(&["forward", &path], 1, &["cut short"]);
    assert!(ran.stdout.contains("Entries"));
}

#[test]
fn damage_in_the_middle_differs_from_a_cut() {
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
        let ran = refused(&["forward", &path], 1, &[&path, "not a capture"]);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
        let ran = refused(&["forward", "--json", &path], 1, &["not a capture"]);
        assert_eq!(ran.json()["packets"], 0);
    }
}

#[test]
fn a_missing_capture_is_named() {
    let absent = directory("a_missing_capture").join("absent.pcapng");
    let absent = absent.to_str().unwrap();
    let ran = refused(&["forward", "--json", absent], 1, &[absent, "No such file"]);
    assert!(ran.stdout.is_empty());
    let a_directory = directory("a_missing_capture");
    refused(&["forward", a_directory.to_str().unwrap()], 1, &["directory"]);
}

#[cfg(unix)]
#[test]
fn a_forbidden_capture_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let path = file("a_forbidden_capture", "secret.pcapng", &fs::read(at_root(EXAMPLE)).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read every file.
    if fs::File::open(&path).is_err() {
        refused(&["forward", &path], 1, &[&path, "Permission denied"]);
    }
}

#[test]
fn a_configuration_error_names_its_place() {
    let path = file("an_unknown_key", "wrong.toml", b"[[interface]]\nname = 'studio'\nspeed = 3\n");
    let ran = refused(&["forward", "--config", &path, EXAMPLE], 2, &[&path, "line 3", "speed", "name"]);
    assert!(ran.stdout.is_empty());
    let path = file("an_unknown_key", "broken.toml", b"[[interface\n");
    refused(&["forward", "--config", &path, EXAMPLE], 2, &[&path, "line 1"]);
}

/// A terminal would obey what the message quotes.
#[test]
fn a_quoted_configuration_is_escaped() {
    for wrong in [
        r#""\u001b]0;x" = 1"#,
        r#"protocols = ["\u001b]0;x"]"#,
        r#"mac = "\u001b]0;x""#,
        r#"address = "\u001b]0;x""#,
        "capture = \"\u{9b}\"\u{1b}]0;x",
    ] {
        let text = format!("[[interface]]\nname = 'studio'\n{wrong}\n");
        let path = file("a_quoted_configuration", "wrong.toml", text.as_bytes());
        let ran = refused(&["forward", "--config", &path, EXAMPLE], 2, &["line 3"]);
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{9b}');
        assert!(!ran.stderr.contains(obeyed), "{wrong}: {:?}", ran.stderr);
    }
    let text = "[igmp]\nleave = \"\\u001b]0;x\"\n";
    let path = file("a_quoted_configuration", "wrong.toml", text.as_bytes());
    let ran = refused(&["forward", "--config", &path, EXAMPLE], 2, &["line 2", "\\u{1b}]0;x"]);
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

#[test]
fn an_unreadable_configuration_names_its_option() {
    let absent = directory("an_unreadable_configuration").join("absent.toml");
    let absent = absent.to_str().unwrap();
    let option = format!("--config {absent}: it cannot be read");
    refused(&["forward", "--config", absent, EXAMPLE], 2, &[&option, "No such file"]);
    refused(&["soak", "--config", absent, EXAMPLE], 2, &[&option]);
}

#[test]
fn an_address_needs_a_prefix_length() {
    let text = b"[[interface]]\nname = 'studio'\naddress = '10.77.1.1'\n";
    let path = file("an_address_needs", "plain.toml", text);
    let message = ["10.77.1.1 has no prefix length", "write 10.77.1.1/24", "line 3"];
    refused(&["forward", "--config", &path, EXAMPLE], 2, &message);
}

#[test]
fn an_interface_that_the_capture_lacks_is_refused() {
    let path = file("not_in_the_capture", "wrong.toml", b"\n[[interface]]\nname = 'eth7'\n");
    let names = ["eth7", "studio", "office", "lab", "uplink", ":3"];
    let ran = refused(&["forward", "--config", &path, EXAMPLE], 2, &names);
    assert!(ran.stdout.is_empty());
    // The interface may be described after the cut.
    let cut = format!("{CAPTURES}/cut.pcapng");
    refused(&["forward", "--config", &path, &cut], 2, &["eth7", "cut short"]);
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    refused(&["forward"], 2, &["CAPTURE"]);
    refused(&[], 2, &["forward"]);
    refused(&["backward"], 2, &["backward"]);
    refused(&["forward", EXAMPLE, "--speed"], 2, &["--speed"]);
    for (option, value, right) in [
        ("--repeat", "0", "a whole number of at least 1"),
        ("--repeat", "x", "a whole number of at least 1"),
        ("--threads", "0", "a whole number from 1 to 256"),
        ("--threads", "257", "a whole number from 1 to 256"),
        ("--churn", "x", "a whole number from 0 to 256"),
    ] {
        refused(&["forward", EXAMPLE, option, value], 2, &[option, right]);
    }
}

#[test]
fn out_takes_a_directory_without_the_capture() {
    let path = file("out_takes_a_directory", "file", b"");
    refused(&["forward", EXAMPLE, "--out", &path], 2, &["--out", &path]);
    // The capture is not overwritten, whatever the names of its interfaces.
    let capture = fs::read(at_root(EXAMPLE)).unwrap();
    let path = file("out_takes_a_directory", "lab.pcapng", &capture);
    let directory = path.strip_suffix("/lab.pcapng").unwrap();
    refused(&["forward", &path, "--out", directory], 2, &[&path, "the capture itself"]);
    assert!(fs::read(&path).unwrap() == capture);
}

#[test]
fn help_and_version_are_printed() {
    let ran = mgm(&["--help"]);
    for command in ["forward", "soak", "stress"] {
        assert!(ran.code == 0 && ran.stdout.contains(command), "{}", ran.stdout);
    }
    let ran = mgm(&["forward", "--help"]);
    assert_eq!(ran.code, 0);
    for part in [
        "--config",
        "--out",
        "--json",
        "--timeline",
        "--repeat",
        "--threads",
        "--churn",
        "Exit codes",
        "dumpcap",
        "tcpdump -i any -y LINUX_SLL2 -Q in",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let version = mgm(&["--version"]);
    assert_eq!((version.code, version.stdout), (0, format!("mgm {}\n", env!("CARGO_PKG_VERSION"))));
}

/// As in `mgm forward ... | head -1`.
#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child =
        command(&["forward", EXAMPLE]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

/// A file can name times beyond a 64-bit count of nanoseconds. Fuzzing found that the plane's clock went on while the
/// manager's stood still, so that the second pass waited for the end of its entries for ever.
#[test]
fn times_beyond_the_clock_end() {
    let path = at_root(REGRESSIONS).join("end-of-time.pcapng");
    let path = path.to_str().unwrap();
    let once = refused(&["forward", "--json", path], 1, &["damaged at octet"]).json();
    let twice = refused(&["forward", "--json", "--repeat", "2", path], 1, &["damaged at octet"]).json();
    assert_eq!(twice["packets"].as_u64().unwrap(), 2 * once["packets"].as_u64().unwrap());
    // A membership lapses in the second pass as it does in the first.
    let path = at_root(REGRESSIONS).join("ages-between.pcapng");
    let path = path.to_str().unwrap();
    let [once, twice] = ["1", "2"].map(|n| mgm(&["forward", "--json", "--repeat", n, path]).json());
    assert_eq!(twice["copies"].as_u64().unwrap(), 2 * once["copies"].as_u64().unwrap());
}
