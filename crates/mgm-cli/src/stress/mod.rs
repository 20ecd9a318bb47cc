//! `mgm stress`: threads that do their worst to a manager, and whether what they saw can be explained.

mod calls;
mod check;
mod listener;
mod mix;
mod report;
mod run;
mod violation;

use crate::Failure;
use crate::html::Destination;
use anyhow::anyhow;
use calls::Answer;
use check::{States, Window};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mgm::manager::{GroupManager, ManagerConfig};
use mgm_verify::spec::Spec;
use report::Report;
use run::{Arena, Weights};
use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use violation::Violation;

/// Runs threads on one manager and checks everything they saw for linearizability: that there is an order of all calls in
/// which each is answered as if the calls had come one after the other, and that agrees with real time.
///
/// What is recorded is cut into windows wherever all threads rest, and each window is checked against the sequential
/// specification, from every state in which the one before it can have ended. Exit code 1 and a file for --replay when a window
/// cannot be explained.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// How many threads. As many as there are processors, at most 4, run at a time; which ones, changes all the time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=256))]
    threads: u16,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// What the threads' dice begin with; taken at random and told if left out.
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, default_value = "everything", help = mix::help())]
    mix: String,
    /// How many interfaces; sources are behind the first.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    interfaces: u32,
    /// How many routing protocols, beside IGMP.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1024))]
    clients: u32,
    /// How many groups.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    groups: u32,
    /// How much is written down and checked.
    #[arg(long, value_enum, default_value_t = Check::All)]
    check: Check,
    /// Stop threads at random points inside operations, mostly for microseconds, at times for milliseconds. Only in a
    /// program built with `--cfg mgm_instrumented`.
    #[arg(long)]
    stops: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Write a report with plots to FILE, one page of HTML that needs nothing else.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Check a window that was kept by an earlier run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "json", "check", "report"])]
    replay: Option<PathBuf>,
}

/// How much is written down and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Check {
    /// Calls are only made and timed.
    None,
    /// What calls answered.
    Answers,
    /// And what clients were told, in which order.
    All,
}

const EXIT_CODES: &str = "Exit codes:
  0  every window was explained
  1  a window cannot be explained
  2  it was called in a way that cannot work";

/// What the threads have to do with.
pub(crate) struct Universe {
    threads: usize,
    seed: u64,
    interfaces: u32,
    clients: u32,
    groups: u32,
    weights: Weights,
    /// Whether clients write down what they are told.
    listen: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(file) = &arguments.replay {
        return replay(file);
    }
    let universe = Universe {
        threads: arguments.threads.into(),
        seed: arguments.seed.unwrap_or_else(rand::random),
        interfaces: arguments.interfaces,
        clients: arguments.clients,
        groups: arguments.groups,
        weights: mix::weights(&arguments.mix).map_err(Failure::usage)?,
        listen: arguments.check == Check::All,
    };
    let destination =
        arguments.report.as_deref().map(Destination::open).transpose().map_err(Failure::usage)?;
    if arguments.stops && !cfg!(mgm_instrumented) {
        return Err(Failure::usage(anyhow::anyhow!(
            "--stops needs fault points: build with RUSTFLAGS=\"--cfg mgm_instrumented\" cargo run --release -- stress --stops"
        )));
    }
    let config = ManagerConfig::default().with_clients((universe.clients + 1) * 64);
    let states = States::from_iter([Spec::new(&config)]);
    let manager = GroupManager::new(config, calls::world::routes()).map_err(Failure::usage)?;
    let arena = Arena::new(&universe, manager);
    let mut report = Report::new(universe.seed, Duration::from_secs(arguments.seconds));
    let found = thread::scope(|scope| {
        for number in 0..universe.threads {
            let arena = &arena;
            scope.spawn(move || {
                #[cfg(mgm_instrumented)]
                if arguments.stops {
                    mgm::faults::stop_at_random(arena.seed(number));
                }
                arena.work(number);
            });
        }
        let found = check_all(&arena, arguments, states, &mut report);
        arena.end();
        found
    });
    report.garbage_pending = arena.manager().garbage_pending();
    println!("{}", if arguments.json { report.json() } else { report.table() });
    let mut found = found;
    found.iter_mut().for_each(Violation::shorten);
    if let Some(destination) = destination {
        let timeline = found.as_ref().map(Violation::to_string);
        let page = report.page(&command(arguments, universe.seed), timeline.as_deref());
        page.and_then(|page| destination.write(&page)).map_err(Failure::violation)?;
    }
    match found {
        None => Ok(()),
        Some(mut violation) => {
            violation.command = command(arguments, universe.seed);
            let file = PathBuf::from(format!("mgm-stress-{}.json", universe.seed));
            eprintln!("{violation}\nagain: {}", violation.command);
            violation.save(&file).map_err(Failure::violation)?;
            eprintln!("kept: mgm stress --replay {}", file.display());
            Err(Failure::violation(anyhow!("a window that cannot be explained")))
        }
    }
}

/// Has batch after batch run, and checks what it did; the first window that cannot be explained.
fn check_all(
    arena: &Arena<'_>,
    arguments: &Arguments,
    mut states: States,
    report: &mut Report,
) -> Option<Violation> {
    let began = Instant::now();
    let until = Duration::from_secs(arguments.seconds);
    let line = progress();
    let mut issued = Issued::default();
    let mut found = None;
    while began.elapsed() < until && found.is_none() && !arena.failed() {
        for window in arena.batch() {
            report.take_in(&window.events);
            if arguments.check == Check::None {
                continue;
            }
            let ends =
                if issued.all_new(&window) { check::ends(&window, &states) } else { States::default() };
            report.windows_checked += 1;
            if ends.is_empty() {
                report.violations += 1;
                let begins = states.iter().cloned().collect();
                found = Some(Violation { command: String::new(), begins, window });
                break;
            }
            states = ends;
        }
        report.tick(began.elapsed());
        if let Some(line) = &line {
            let (operations, windows) = (report.total(), report.windows_checked);
            line.set_message(format!(
                "{operations} operations, {windows} windows checked, {} violations",
                report.violations
            ));
            line.tick();
        }
    }
    if let Some(line) = line {
        line.finish_and_clear();
    }
    report.seconds = began.elapsed().as_secs_f64();
    found
}

/// The handles issued so far, by what of them is not the generation: a later one has to have a higher generation.
#[derive(Default)]
struct Issued(HashMap<u32, u32>);

impl Issued {
    fn all_new(&mut self, window: &Window) -> bool {
        let mut issued: Vec<u64> = window
            .events
            .iter()
            .filter_map(|event| match event.answer {
                Answer::Handle(bits) => Some(bits),
                _ => None,
            })
            .collect();
        issued.sort_unstable();
        issued.into_iter().all(|bits| {
            let (generation, rest) = ((bits >> 32) as u32, bits as u32);
            self.0.insert(rest, generation).is_none_or(|last| last < generation)
        })
    }
}

fn replay(file: &std::path::Path) -> Result<(), Failure> {
    let violation = Violation::load(file).map_err(Failure::usage)?;
    if violation.holds() {
        eprintln!("{violation}\nmade by: {}", violation.command);
        return Err(Failure::violation(anyhow!("{} cannot be explained", file.display())));
    }
    println!("{} can be explained: {} calls", file.display(), violation.window.events.len());
    Ok(())
}

fn command(arguments: &Arguments, seed: u64) -> String {
    let Arguments { threads, seconds, mix, interfaces, clients, groups, .. } = arguments;
    let stops = if arguments.stops { " --stops" } else { "" };
    format!(
        "mgm stress --threads {threads} --seconds {seconds} --seed {seed} --mix {mix} --interfaces {interfaces} --clients {clients} --groups {groups}{stops}"
    )
}

fn progress() -> Option<ProgressBar> {
    // The template is a constant that is known to be one.
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    stderr().is_terminal().then(|| ProgressBar::new_spinner().with_style(style))
}
