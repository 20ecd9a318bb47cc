//! [`Network`]: the namespaces of the demo, which go when it is dropped.
//!
//! ```text
//! source 10.77.1.2 ---- up     router  office ---- 10.77.2.2 office
//!        fd77:1::2             studio ----------- 10.77.3.2, fd77:3::2 studio
//!                              lab -------------- 10.77.4.2 lab
//! ```

use super::requirements;
use anyhow::{Context, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;

/// The hosts, and the router's interface towards each.
const HOSTS: [(&str, &str); 4] =
    [("source", "up"), ("office", "office"), ("studio", "studio"), ("lab", "lab")];

/// The name of each host's interface.
pub(super) const HOST_INTERFACE: &str = "eth0";

/// Namespaces that are connected by pairs of virtual Ethernet interfaces. Dropping it removes them.
pub(super) struct Network {
    prefix: String,
    made: Vec<String>,
}

impl Network {
    pub(super) fn new() -> anyhow::Result<Network> {
        requirements()?;
        let mut network = Network { prefix: format!("mgm-demo-{}", std::process::id()), made: Vec::new() };
        network.add("router")?;
        for (number, (host, interface)) in (1..).zip(HOSTS) {
            network.add(host)?;
            let (router, host) = (network.name("router"), network.name(host));
            let [near, far] =
                [["name", interface, "netns", &router], ["name", HOST_INTERFACE, "netns", &host]];
            ip(&[&["link", "add"], &near[..], &["type", "veth", "peer"], &far].concat())?;
            for (namespace, device, last) in [(&router, interface, 1), (&host, HOST_INTERFACE, 2)] {
                // Addresses can be used at once.
                let setting = format!("net.ipv6.conf.{device}.accept_dad=0");
                ip(&["netns", "exec", namespace, "sysctl", "-qw", &setting])?;
                let (v4, v6) = (format!("10.77.{number}.{last}/24"), format!("fd77:{number}::{last}/64"));
                ip(&["-n", namespace, "addr", "add", &v4, "dev", device])?;
                ip(&["-n", namespace, "addr", "add", &v6, "dev", device, "nodad"])?;
                ip(&["-n", namespace, "link", "set", "dev", device, "up"])?;
            }
        }
        Ok(network)
    }

    /// Returns the name of a namespace.
    pub(super) fn name(&self, role: &str) -> String {
        format!("{}-{role}", self.prefix)
    }

    /// Runs a function on a thread in a namespace. Sockets that it makes stay there.
    pub(super) fn enter<R: Send>(
        &self,
        role: &str,
        f: impl FnOnce() -> anyhow::Result<R> + Send,
    ) -> anyhow::Result<R> {
        let path = format!("/run/netns/{}", self.name(role));
        let namespace = File::open(&path).with_context(|| path.clone())?;
        let inside = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).context(path)?;
            f()
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Returns the IPv4 address of a host.
    pub(super) fn address(&self, host: &str) -> anyhow::Result<Ipv4Addr> {
        let number = HOSTS.iter().position(|(name, _)| *name == host).context("a host of the demo")?;
        Ok(Ipv4Addr::new(10, 77, u8::try_from(number + 1)?, 2))
    }

    fn add(&mut self, role: &str) -> anyhow::Result<()> {
        let name = self.name(role);
        ip(&["netns", "add", &name])?;
        self.made.push(name.clone());
        ip(&["-n", &name, "link", "set", "lo", "up"])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.made {
            if let Err(error) = ip(&["netns", "delete", name]) {
                tracing::error!(
                    "the namespace {name} stays: {error:#}; remove it with: ip netns delete {name}"
                );
            }
        }
    }
}

/// Runs `ip` of iproute2.
fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.context("the demo needs the program ip: install iproute2")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), error.trim());
    }
    Ok(())
}
