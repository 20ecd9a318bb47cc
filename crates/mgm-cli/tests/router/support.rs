//! The program, its files, and a router in network namespaces of its own.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

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

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// Returns the program with arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mgm"));
    command.args(arguments).stdin(Stdio::null()).env_remove("COLUMNS");
    command
}

pub(crate) fn mgm(arguments: &[&str]) -> Ran {
    Ran::of(command(arguments).output().unwrap())
}

/// Checks that namespaces can be made. A test never passes without them.
pub(crate) fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes network namespaces: run it as root (sudo -E cargo test -p mgm-cli --test router)"
    );
    let ip = Command::new("ip").arg("-V").output();
    assert!(ip.is_ok_and(|ip| ip.status.success()), "this test needs the program ip: install iproute2");
}

/// Returns the names of all namespaces.
pub(crate) fn namespaces() -> String {
    ip(&["netns", "list"]).stdout
}

/// Runs `ip`, which has to succeed.
pub(crate) fn ip(arguments: &[&str]) -> Ran {
    let ran = Ran::of(Command::new("ip").args(arguments).output().unwrap());
    assert_eq!(ran.code, 0, "ip {arguments:?}: {}", ran.stderr);
    ran
}

/// Waits until something holds, at most a minute.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "within a minute: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The files of a test. Dropping it removes them.
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(crate) fn new(test: &str) -> Files {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        // The path of a socket is short, so the directory is not that of the build.
        let name = format!("mgm-{test}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Files { directory }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // The test's own failure says more.
        _ = fs::remove_dir_all(&self.directory);
    }
}

/// Namespaces of a test. Dropping it removes them.
struct Namespaces(Vec<String>);

impl Namespaces {
    fn add(&mut self, name: &str) {
        ip(&["netns", "add", name]);
        self.0.push(name.to_owned());
        ip(&["-n", name, "link", "set", "lo", "up"]);
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.0 {
            // A panic here would hide that of the test.
            if !Command::new("ip")
                .args(["netns", "delete", name])
                .status()
                .is_ok_and(|status| status.success())
            {
                eprintln!("the namespace {name} was not removed");
            }
        }
    }
}

/// A running router between a source and a host.
///
/// ```text
/// source eth0 ------- up router lan ------- eth0 host
///   10.5.1.2/24   10.5.1.1   10.5.2.1   10.5.2.2/24
///   fd05:1::2/64                        fd05:2::2/64
/// ```
pub(crate) struct Router {
    child: RefCell<Option<Child>>,
    namespaces: Namespaces,
    files: Files,
    config: String,
    socket: String,
}

impl Router {
    /// Starts a router. `more` follows the configuration.
    pub(crate) fn start(test: &str, more: &str) -> Router {
        require_root();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("mgmr{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let mut namespaces = Namespaces(Vec::new());
        let [source, router, host] = ["source", "router", "host"].map(|role| format!("{prefix}-{role}"));
        [&source, &router, &host].into_iter().for_each(|name| namespaces.add(name));
        for (number, device, far) in [(1, "up", &source), (2, "lan", &host)] {
            let near = ["link", "add", "name", device, "netns", &router];
            let far_end = ["type", "veth", "peer", "name", "eth0", "netns", far];
            ip(&[&near[..], &far_end].concat());
            for (namespace, device, last) in [(&router, device, 1), (far, "eth0", 2)] {
                let (v4, v6) = (format!("10.5.{number}.{last}/24"), format!("fd05:{number}::{last}/64"));
                let setting = format!("net.ipv6.conf.{device}.accept_dad=0");
                ip(&["netns", "exec", namespace, "sysctl", "-qw", &setting]);
                ip(&["-n", namespace, "addr", "add", &v4, "dev", device]);
                ip(&["-n", namespace, "addr", "add", &v6, "dev", device, "nodad"]);
                ip(&["-n", namespace, "link", "set", "dev", device, "up"]);
            }
        }
        let files = Files::new(test);
        let (config, socket) = (files.path("mgm.toml"), files.path("sock"));
        let started = Router { child: RefCell::new(None), namespaces, files, config, socket };
        started.write_config(more);
        started.spawn();
        started
    }

    /// Starts the program, and waits until it answers.
    fn spawn(&self) {
        let mut command = self.namespace_command(&["run", "--config", &self.config]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        *self.child.borrow_mut() = Some(child);
        eventually("the router answers", || {
            let mut child = self.child.borrow_mut();
            if child.as_mut().unwrap().try_wait().unwrap().is_some() {
                let ran = Ran::of(child.take().unwrap().wait_with_output().unwrap());
                panic!("the router has ended with {}: {}", ran.code, ran.stderr);
            }
            self.mgm(&["show", "clients"]).code == 0
        });
    }

    /// Kills the router, so that it cleans up nothing, and starts it again.
    pub(crate) fn kill_and_restart(&self) {
        let mut child = self.child.borrow_mut().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.spawn();
    }

    /// Writes the configuration that every test has, and what follows it.
    pub(crate) fn write_config(&self, more: &str) {
        let text = format!(
            "[router]\ncontrol = '{}'\n[gmp.lan]\n[static.up]\n\
             [[interface]]\nname = 'up'\nprotocols = ['static.up']\n\
             [[interface]]\nname = 'lan'\nprotocols = ['gmp.lan']\n\
             [[interface]]\nname = 'absent'\nprotocols = ['static.up']\n{more}",
            self.socket
        );
        fs::write(&self.config, text).unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        self.files.write(name, text)
    }

    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.borrow().as_ref().unwrap().id()
    }

    /// Returns the name of the namespace of a role: source, router, host.
    pub(crate) fn namespace(&self, role: &str) -> &str {
        self.namespaces.0.iter().find(|name| name.ends_with(role)).unwrap()
    }

    /// Asks the router by a command.
    pub(crate) fn mgm(&self, arguments: &[&str]) -> Ran {
        mgm(&[arguments, &["--socket", &self.socket]].concat())
    }

    /// Returns the rows of a list.
    pub(crate) fn show(&self, what: &str) -> Vec<Value> {
        let ran = self.mgm(&["show", what, "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.json()[what]["rows"].as_array().unwrap().clone()
    }

    /// Returns the groups that the static instance joined. Hosts and the router itself have others.
    pub(crate) fn static_groups(&self) -> Vec<String> {
        let rows = self.show("groups").into_iter().filter(|row| row["by"] == "static.up");
        rows.map(|row| row["group"].as_str().unwrap().to_owned()).collect()
    }

    fn namespace_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace("router"), env!("CARGO_BIN_EXE_mgm")]).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Runs `mgm` in the router's namespace.
    pub(crate) fn mgm_in_namespace(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.namespace_command(arguments).output().unwrap())
    }

    /// Runs a program in the router's namespace.
    pub(crate) fn in_namespace(&self, program: &str, arguments: &[&str]) -> Ran {
        ip(&[&["netns", "exec", self.namespace("router"), program], arguments].concat())
    }

    /// Runs `ip` in the router's namespace.
    pub(crate) fn ip(&self, arguments: &[&str]) -> Ran {
        ip(&[&["-n", self.namespace("router")], arguments].concat())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.borrow();
        kill_process(Pid::from_child(child.as_ref().unwrap()), signal).unwrap();
    }

    /// Ends the router by SIGTERM.
    pub(crate) fn end(&mut self) -> Ran {
        self.signal(Signal::TERM);
        let child = self.child.borrow_mut().take().unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.borrow_mut().take() {
            // Both only fail if it has ended.
            _ = child.kill();
            _ = child.wait();
        }
    }
}
