//! [`RouterProcess`]: `mgm run` in the router's namespace.

use super::network::Network;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The time in which the router has to end.
const END: Duration = Duration::from_secs(10);

/// The router of the demo. Dropping it ends the process and removes its files.
pub(super) struct RouterProcess {
    child: RefCell<Child>,
    directory: PathBuf,
    socket: PathBuf,
}

impl RouterProcess {
    pub(super) fn start(network: &Network) -> anyhow::Result<RouterProcess> {
        let directory = std::env::temp_dir().join(network.name("files"));
        fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        let started = RouterProcess::start_in(network, &directory);
        if started.is_err() {
            // Nothing but the file of this function is in it.
            _ = fs::remove_dir_all(&directory);
        }
        started
    }

    fn start_in(network: &Network, directory: &Path) -> anyhow::Result<RouterProcess> {
        let (socket, config) = (directory.join("mgm.sock"), directory.join("mgm.toml"));
        let text =
            format!("[router]\ncontrol = {:?}\nlog_level = \"warn\"\n{CONFIG}", socket.display().to_string());
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let program = std::env::current_exe().context("the path of this program")?;
        let child = Command::new("ip")
            .args(["netns", "exec", &network.name("router")])
            .arg(program)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .context("the router cannot be started")?;
        Ok(RouterProcess { child: RefCell::new(child), directory: directory.to_owned(), socket })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Checks that the router runs.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self.child.borrow_mut().try_wait().context("the router")? {
            Some(status) => bail!("the router has ended ({status}); its message is above"),
            None => Ok(()),
        }
    }

    /// Ends the router, and checks that it ended cleanly.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        match self.end().context("the router")? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the router has ended wrongly: {status}"),
            None => bail!("the router did not end within {} seconds of SIGTERM", END.as_secs()),
        }
    }

    /// Sends SIGTERM, and returns how the process ended. `ip netns exec` becomes the program that it runs.
    fn end(&self) -> std::io::Result<Option<std::process::ExitStatus>> {
        let mut child = self.child.borrow_mut();
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        Ok(None)
    }
}

impl Drop for RouterProcess {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("the router of the demo may still run: {error}");
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::error!("{}: {error}", self.directory.display());
        }
    }
}

/// The configuration, but its section of the router.
const CONFIG: &str = r#"
[gmp.hosts]

[static.lab]

[[interface]]
name = "up"
protocols = ["static.lab"]

[[interface]]
name = "office"
protocols = ["gmp.hosts"]

[[interface]]
name = "studio"
protocols = ["gmp.hosts"]

[[interface]]
name = "lab"
protocols = ["static.lab"]

[[entry]]
source = "10.77.1.0/24"
group = "239.99.0.0/16"
incoming = "up"
outgoing = ["lab"]
"#;
