//! What concerns the whole process: threads that wait for each other, stops, children of fork, signals, destructors.
//!
//! Each test runs in a process of its own with a deadline, so that one that waits for ever fails.

#[macro_use]
#[path = "../support/stage.rs"]
mod stage;

mod churn;
mod deadlocks;
mod fork;
mod hooks;
mod present_joins;
mod stops;
mod threads;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The time that a test may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The environment variable that makes a test run its body.
const ALONE: &str = "MGM_TEST_ALONE";

/// Runs the body of a test in a process of its own. `name` is the path of the test in this binary.
fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + DEADLINE;
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            None => {
                process.kill().unwrap();
                process.wait().unwrap();
                panic!("{name} did not end within {DEADLINE:?}");
            }
        }
    };
    let mut output = String::new();
    process.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert!(status.success(), "{name} ended with {status}:\n{output}");
    assert!(output.contains("1 passed"), "{name} is not the path of a test:\n{output}");
}
