//! [`Network`]: namespaces with unique names, which are removed even when a test panics.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The namespaces of one test.
#[derive(Default)]
pub(crate) struct Network {
    namespaces: Vec<String>,
}

/// One network namespace.
#[derive(Clone)]
pub(crate) struct Namespace {
    name: String,
}

fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output();
    let output = output.unwrap_or_else(|error| panic!("`{command}` cannot be started: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`{command}` failed: {err}");
    out.into_owned()
}

impl Network {
    /// Checks that namespaces can be made. A test never passes without them.
    pub(crate) fn new() -> Network {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make network namespaces: run them as root (sudo -E cargo test -p mgm-linux)"
        );
        let ip = Command::new("ip").arg("-V").output();
        assert!(ip.is_ok_and(|ip| ip.status.success()), "these tests need `ip`: install iproute2");
        Network::default()
    }

    /// Makes a namespace with the loopback interface up.
    pub(crate) fn namespace(&mut self, role: &str) -> Namespace {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mgmt{}-{number}-{role}", std::process::id());
        run(&format!("ip netns add {name}"));
        self.namespaces.push(name.clone());
        let namespace = Namespace { name };
        namespace.run("ip link set lo up");
        namespace
    }

    /// Connects two namespaces with a veth pair. The addresses are those of both ends; duplicate address detection is off.
    pub(crate) fn connect(&self, one: (&Namespace, &str, &[&str]), other: (&Namespace, &str, &[&str])) {
        let (a, b) = (&one.0.name, &other.0.name);
        run(&format!("ip link add {} netns {a} type veth peer name {} netns {b}", one.1, other.1));
        for (namespace, device, addresses) in [one, other] {
            // The link-local address can be used at once.
            namespace.run(&format!("sysctl -qw net.ipv6.conf.{device}.accept_dad=0"));
            namespace.run(&format!("ip link set dev {device} up"));
            for address in addresses {
                namespace.run(&format!("ip addr add {address} dev {device}"));
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.namespaces {
            // Nothing can be done about a namespace that does not go, and a panic here would hide the test's own.
            if !Command::new("ip").args(["netns", "del", name]).status().is_ok_and(|status| status.success())
            {
                eprintln!("the namespace {name} was not removed");
            }
        }
    }
}

impl Namespace {
    /// Runs a shell command in the namespace, and returns what it wrote.
    pub(crate) fn run(&self, command: &str) -> String {
        run(&format!("ip netns exec {} {command}", self.name))
    }

    /// Runs `f` on a thread in the namespace. Sockets and threads that it makes stay there.
    pub(crate) fn enter<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let file = File::open(format!("/var/run/netns/{}", self.name)).expect("the namespace exists");
        let inside = move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
            f()
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Returns the index of a device.
    pub(crate) fn ifindex(&self, device: &str) -> u32 {
        let index = self.run(&format!("cat /sys/class/net/{device}/ifindex"));
        index.trim().parse().expect("an index")
    }
}
