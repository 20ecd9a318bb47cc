//! `mgm run`: a router in the foreground, until a signal ends it.

mod logging;
mod privileges;

use crate::Failure;
use crate::check;
use crate::control::server::{ControlServer, ControlSocket};
use crate::router::config::{DEFAULT_PATH, LogTarget, RouterConfig};
use crate::router::daemon::{ReloadError, Router, RouterHandler};
use anyhow::{Context, anyhow};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Run a multicast router that several protocols share, until SIGTERM or SIGINT
///
/// The router owns the kernel's multicast routing of each family, makes the protocols of the configuration, and follows the
/// interfaces and routes of the kernel. It stays in the foreground. It needs root, or CAP_NET_ADMIN and CAP_NET_RAW, and keeps only
/// these two.
///
/// SIGHUP applies a changed configuration, as mgm reload does. Under systemd it tells when it is ready, and feeds the watchdog.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The configuration; examples/mgm.toml shows every setting
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

const EXIT_CODES: &str = "Exit codes:
  0  a signal ended the router
  1  the router could not start; the message says what to do
  2  wrong usage, including a configuration with mistakes";

/// The time between two sweeps and looks at what was refused.
const TICK: Duration = Duration::from_secs(10);

/// The time in which interfaces that change together are followed together.
const SETTLE: Duration = Duration::from_millis(20);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = check::read(&arguments.config).map_err(Failure::input)?;
    let config = RouterConfig::parse(&text).map_err(|mistakes| {
        let lines = check::lines(&arguments.config, &mistakes);
        Failure::usage(anyhow!("the configuration has mistakes:\n{lines}"))
    })?;
    logging::start(config.router.log, config.router.log_level).map_err(Failure::input)?;
    let log = config.router.log;
    let result = serve(arguments, config);
    // The journal has the reason too, where standard error is not read.
    if let (Err(error), LogTarget::Journald) = (&result, log) {
        tracing::error!("{error:#}");
    }
    result.map_err(Failure::input)
}

/// What wakes the main thread.
struct Signals {
    end: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    links: Arc<AtomicBool>,
    wakes: UnixStream,
}

fn serve(arguments: &Arguments, config: RouterConfig) -> anyhow::Result<()> {
    let (wakes, waker) = UnixStream::pair().context("the wake-up socket")?;
    wakes.set_nonblocking(true).context("the wake-up socket")?;
    waker.set_nonblocking(true).context("the wake-up socket")?;
    let signals = Signals { end: Arc::default(), reload: Arc::default(), links: Arc::default(), wakes };
    for (signal, flag) in [(SIGTERM, &signals.end), (SIGINT, &signals.end), (SIGHUP, &signals.reload)] {
        // The flag first: a wake without it would be for nothing.
        signal_hook::flag::register(signal, flag.clone()).context("the signals")?;
        let waker = waker.try_clone().context("the wake-up socket")?;
        signal_hook::low_level::pipe::register(signal, waker).context("the signals")?;
    }
    let group = config.router.control_group.as_deref().map(privileges::group_id).transpose()?;
    let socket = ControlSocket::bind(&config.router.control, group)?;
    // Before the first thread is made: each thread has capabilities of its own.
    privileges::drop_all_but_network()?;
    let wake = {
        let links = signals.links.clone();
        move || {
            links.store(true, SeqCst);
            // A full socket wakes as well.
            _ = (&waker).write(&[0]);
        }
    };
    let router = Router::start(arguments.config.clone(), config, wake)?;
    let router = Arc::new(Mutex::new(router));
    let counters = Arc::new(OnceLock::new());
    let handler = RouterHandler { router: router.clone(), counters: counters.clone() };
    let server = ControlServer::start(socket, handler)?;
    // It is set once, here.
    _ = counters.set(server.counters());
    notify(&[NotifyState::Ready]);
    tracing::info!("ready");
    follow(&router, &signals);
    notify(&[NotifyState::Stopping]);
    tracing::info!("ending");
    drop(server);
    Ok(())
}

/// Follows signals and interfaces until a signal ends the router.
fn follow(router: &Mutex<Router>, signals: &Signals) {
    // Half the time in which systemd wants to hear (sd_watchdog_enabled(3)).
    let watchdog = sd_notify::watchdog_enabled().map(|interval| interval / 2);
    let mut tick = Instant::now() + TICK;
    loop {
        wait(&signals.wakes, watchdog.map_or(TICK, |interval| interval.min(TICK)));
        if signals.end.load(SeqCst) {
            return;
        }
        if signals.reload.swap(false, SeqCst) {
            notify(&[NotifyState::Reloading, monotonic()]);
            reload(&mut router.lock());
            notify(&[NotifyState::Ready]);
        }
        if signals.links.swap(false, SeqCst) {
            std::thread::sleep(SETTLE);
            router.lock().follow();
        }
        if Instant::now() >= tick {
            let mut router = router.lock();
            router.sweep();
            router.follow();
            tick = Instant::now() + TICK;
        }
        if watchdog.is_some() {
            // The lock shows that no request holds the router for ever.
            drop(router.lock());
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn reload(router: &mut Router) {
    match router.reload() {
        Ok(changes) => changes.iter().for_each(|change| tracing::info!("reload: {change}")),
        Err(ReloadError::Failed(error)) => tracing::error!("reload: {error:#}"),
        Err(ReloadError::Mistakes(mistakes)) => {
            tracing::error!("reload: the configuration has mistakes, and the old one stays in force");
            mistakes.iter().for_each(|mistake| tracing::error!("reload: {mistake}"));
        }
    }
}

/// Waits for a wake, at most for a time.
fn wait(mut wakes: &UnixStream, most: Duration) {
    let timeout = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    let mut fds = [PollFd::new(&wakes, PollFlags::IN)];
    if let Err(error) = poll(&mut fds, Some(&timeout))
        && error != rustix::io::Errno::INTR
    {
        tracing::error!(%error, "signals cannot be waited for");
        std::thread::sleep(Duration::from_secs(1));
    }
    let mut octets = [0; 64];
    while let Ok(length) = wakes.read(&mut octets) {
        if length == 0 {
            return;
        }
    }
}

/// The state that systemd wants with a reload.
fn monotonic() -> NotifyState<'static> {
    NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Status("reloading"))
}

/// Tells systemd. Without systemd nothing is told.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, "systemd was not notified");
    }
}
