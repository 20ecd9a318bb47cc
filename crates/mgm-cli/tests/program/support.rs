//! Runs of the program, and what they print.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The capture of real programs.
pub(crate) const EXAMPLE: &str = "examples/capture/router.pcapng";

/// The directory of the small captures.
pub(crate) const CAPTURES: &str = "tests/data/captures";

/// The directory of captures that once led to faults.
pub(crate) const REGRESSIONS: &str = "tests/data/regressions";

/// The root of the workspace, in which the program runs.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A finished run.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Parses the output of `--json`.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// Returns the program with arguments. It runs at the root, without standard input and with an unlimited width.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mgm"));
    command.args(arguments).current_dir(ROOT).stdin(Stdio::null()).env_remove("COLUMNS");
    command
}

pub(crate) fn mgm(arguments: &[&str]) -> Ran {
    Ran::of(command(arguments).output().unwrap())
}

/// Runs `mgm forward --json`, which has to succeed.
pub(crate) fn forward(arguments: &[&str]) -> Value {
    let ran = mgm(&[&["forward", "--json"], arguments].concat());
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    ran.json()
}

/// Runs the program, which has to fail with this exit code and these parts of a message.
pub(crate) fn refused(arguments: &[&str], code: i32, message: &[&str]) -> Ran {
    let ran = mgm(arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
    for message in message {
        assert!(ran.stderr.contains(message), "{arguments:?}: no \"{message}\" in: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// Returns the path of a file of the workspace.
pub(crate) fn at_root(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

/// Returns an empty directory for a test.
pub(crate) fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        std::fs::remove_dir_all(&path).unwrap();
    }
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Writes a file for a test, in its directory.
pub(crate) fn file(test: &str, name: &str, content: &[u8]) -> String {
    let path = directory(test).join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Returns the keys that depend on nothing but the capture.
pub(crate) fn counts(report: &Value) -> Value {
    const KEYS: [&str; 8] = [
        "packets",
        "octets",
        "forwarded_packets",
        "copies",
        "not_forwarded",
        "interfaces",
        "entries",
        "memberships",
    ];
    KEYS.map(|key| (key.to_owned(), report[key].clone()))
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Returns the counts of this number of passes.
pub(crate) fn times(counts: &Value, passes: u64) -> Value {
    match counts {
        Value::Number(number) => json!(number.as_u64().unwrap() * passes),
        Value::Array(all) => all.iter().map(|value| times(value, passes)).collect(),
        Value::Object(all) => all.iter().map(|(key, value)| (key.clone(), times(value, passes))).collect(),
        other => other.clone(),
    }
}

/// Asserts that every packet was forwarded, or counted with the reason why not.
pub(crate) fn assert_nothing_is_lost(report: &Value) {
    let number = |value: &Value| value.as_u64().unwrap();
    let reasons: u64 = report["not_forwarded"].as_object().unwrap().values().map(number).sum();
    assert_eq!(number(&report["packets"]), number(&report["forwarded_packets"]) + reasons);
    let over =
        |key: &str| -> u64 { report["interfaces"].as_array().unwrap().iter().map(|i| number(&i[key])).sum() };
    assert_eq!(number(&report["packets"]), over("received") + over("own") + over("inactive"));
    assert_eq!(number(&report["not_forwarded"]["own"]), over("own"));
    assert_eq!(number(&report["not_forwarded"]["inactive_interface"]), over("inactive"));
    let sum = |map: &Value| map.as_object().unwrap().values().map(number).sum::<u64>();
    assert_eq!(number(&report["not_forwarded"]["malformed"]), sum(&report["malformed"]));
    assert!(number(&report["not_forwarded"]["control"]) >= sum(&report["ignored"]));
    let flows = report["flows"].as_array().unwrap();
    let of_flows = |key: &str| flows.iter().map(|flow| number(&flow[key])).sum::<u64>();
    assert_eq!(number(&report["forwarded_packets"]), of_flows("forwarded_packets"));
    for reason in ["wrong_interface", "no_receivers", "link_local", "ttl_expired"] {
        let of_flows = flows.iter().filter_map(|flow| flow["not_forwarded"][reason].as_u64());
        // A link-local packet from :: has no flow.
        let (all, listed) = (number(&report["not_forwarded"][reason]), of_flows.sum::<u64>());
        assert!(all == listed || (reason == "link_local" && all > listed), "{reason}: {all}, {listed}");
    }
    assert_eq!(number(&report["copies"]), over("transmitted"));
    assert_eq!(report["not_forwarded"]["queue_full"], 0);
}
