//! `mgm stress`: checks that concurrent calls on one manager are linearizable.

use crate::Failure;
use crate::arguments::whole;
use crate::terminal::progress::spinner;
use crate::terminal::{print, table};
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use mgm_verify::linearizability::Violation;
use mgm_verify::report::{Destination, Provenance};
use mgm_verify::stress::{self, CheckLevel, StressConfig, StressReport};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Run threads on one manager and check that their calls are linearizable
///
/// A history is linearizable if some order of its calls, one after the other, explains every answer, and no call comes
/// before one that had returned before it began.
///
/// The recorded history is cut into windows, wherever no call is under way. Each window is checked against the sequential
/// specification, from every state in which the window before can have ended. A window that is not linearizable is shown
/// and kept in a file for --replay.
#[derive(Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The number of threads
    ///
    /// As many as there are processors, at most 4, run at the same time. The choice changes continually.
    #[arg(long, value_name = "N", default_value = "4", value_parser = whole::<u16>(2, 256))]
    threads: u16,

    /// The length of the run in seconds
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole::<u64>(1, 31_536_000))]
    seconds: u64,

    /// The seed of the threads' random numbers, random by default
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[arg(long, default_value = "everything", help = stress::mix_help())]
    mix: String,

    /// The number of interfaces; all sources are behind the first
    #[arg(long, value_name = "N", default_value = "4", value_parser = whole::<u32>(1, 1024))]
    interfaces: u32,

    /// The number of routing protocols, besides IGMP
    #[arg(long, value_name = "N", default_value = "3", value_parser = whole::<u32>(1, 1024))]
    clients: u32,

    /// The number of clients that can be registered at a time, by default one less than there are protocols
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, 1024))]
    limit: Option<u32>,

    /// The number of groups
    #[arg(long, value_name = "N", default_value = "2", value_parser = whole::<u32>(1, 1024))]
    groups: u32,

    /// How much is recorded and checked
    #[arg(long, value_enum, default_value_t = Check::All)]
    check: Check,

    /// Stop threads at random points inside operations
    ///
    /// Most stops last microseconds, some milliseconds. It needs a program that was built with fault points.
    #[arg(long)]
    stops: bool,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Write a report with plots to FILE, one HTML page without external parts
    ///
    /// The file is opened before the run. An existing file is overwritten after it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Check a window again that an earlier run has kept in FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "json", "check", "report"])]
    replay: Option<PathBuf>,
}

/// How much is recorded and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Check {
    /// Calls are only made and timed
    None,
    /// The answers of calls
    Answers,
    /// The answers, and the callbacks of clients in their order
    All,
}

const EXIT_CODES: &str = "Exit codes:
  0  every window is linearizable
  1  a window is not linearizable, the alerts of a client do not alternate, or a file could not be written
  2  wrong usage, including a file that cannot be replayed";

const FAULT_POINTS: &str = "--stops needs a program that was built with fault points: \
    verify/instrumented run --release -- stress --stops";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(file) = &arguments.replay {
        return replay(file);
    }
    if arguments.stops && !stress::HAS_FAULT_POINTS {
        return Err(Failure::usage(anyhow!(FAULT_POINTS)));
    }
    let config = config(arguments)?;
    let destination =
        arguments.report.as_deref().map(Destination::open).transpose().map_err(Failure::usage)?;
    let provenance = Provenance::now(env!("CARGO_PKG_VERSION"));
    let command = command(arguments, config.seed);
    let line = spinner();
    let mut progress = |report: &StressReport| {
        if let Some(line) = &line {
            let (operations, windows) = (report.total(), report.windows_checked);
            let violations = report.violations;
            line.set_message(format!(
                "{operations} operations, {windows} windows checked, {violations} violations"
            ));
            line.tick();
        }
    };
    let (report, mut violation) = stress::run(&config, &mut progress).map_err(Failure::usage)?;
    if let Some(line) = line {
        line.finish_and_clear();
    }
    let text = if arguments.json {
        report.json()
    } else {
        format!("{}\n{}", table::render(&report.latencies(), table::terminal_width(), &[]), report.summary())
    };
    print(&text).map_err(Failure::violation)?;
    violation.iter_mut().for_each(Violation::shorten);
    if let Some(destination) = destination {
        let timeline = violation.as_ref().map(Violation::to_string);
        let page = report.page(&command, &provenance, timeline.as_deref());
        page.and_then(|page| destination.write(&page)).map_err(Failure::violation)?;
    }
    for fault in &report.faults {
        eprintln!("{fault}");
    }
    match violation {
        Some(violation) => Err(keep(violation, command, config.seed)),
        None if !report.faults.is_empty() => {
            eprintln!("run it again: {command}");
            Err(Failure::violation(anyhow!("the alerts of a client do not alternate")))
        }
        None if config.check != CheckLevel::None && report.windows_checked == 0 => {
            Err(Failure::violation(anyhow!("no window was checked: give a longer --seconds")))
        }
        None => Ok(()),
    }
}

fn config(arguments: &Arguments) -> Result<StressConfig, Failure> {
    Ok(StressConfig {
        threads: arguments.threads.into(),
        length: Duration::from_secs(arguments.seconds),
        seed: arguments.seed.unwrap_or_else(rand::random),
        interfaces: arguments.interfaces,
        clients: arguments.clients,
        limit: arguments.limit.unwrap_or(arguments.clients),
        groups: arguments.groups,
        weights: stress::weights(&arguments.mix).map_err(|error| Failure::usage(error.context("--mix")))?,
        check: match arguments.check {
            Check::None => CheckLevel::None,
            Check::Answers => CheckLevel::Answers,
            Check::All => CheckLevel::All,
        },
        stops: arguments.stops,
    })
}

/// Shows a violation and writes it to a file.
fn keep(mut violation: Violation, command: String, seed: u64) -> Failure {
    violation.command = command;
    let file = PathBuf::from(format!("mgm-stress-{seed}.json"));
    eprintln!("{violation}\nrun it again: {}", violation.command);
    if let Err(error) = violation.save(&file) {
        return Failure::violation(error);
    }
    eprintln!("check this window again: mgm stress --replay {}", file.display());
    Failure::violation(anyhow!("a window is not linearizable"))
}

fn replay(file: &Path) -> Result<(), Failure> {
    let violation = Violation::load(file).map_err(|error| Failure::usage(error.context("--replay")))?;
    if violation.holds() {
        eprintln!("{violation}\nfound by: {}", violation.command);
        return Err(Failure::violation(anyhow!("{}: the window is not linearizable", file.display())));
    }
    let calls = violation.window.events.len();
    print(&format!("{}: the window of {calls} calls is linearizable", file.display()))
        .map_err(Failure::violation)
}

fn command(arguments: &Arguments, seed: u64) -> String {
    let Arguments { threads, seconds, mix, interfaces, clients, groups, .. } = arguments;
    let limit = arguments.limit.unwrap_or(*clients);
    let stops = if arguments.stops { " --stops" } else { "" };
    format!(
        "mgm stress --threads {threads} --seconds {seconds} --seed {seed} --mix {mix} --interfaces {interfaces} --clients {clients} --limit {limit} --groups {groups}{stops}"
    )
}
