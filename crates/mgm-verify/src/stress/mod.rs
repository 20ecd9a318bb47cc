//! `mgm stress`: threads call one manager at the same time, and the checker checks the recorded history.

mod mix;
mod recorder;
mod report;
mod threads;
mod world;

pub use mix::{Weights, help as mix_help, weights};
pub use report::StressReport;

use crate::history::{Answer, Window, scenario};
use crate::linearizability::{States, Violation, end_states};
use crate::spec::Spec;
use mgm::manager::{GroupManager, ManagerConfig};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};
use threads::Arena;
use world::{Ranges, World};

/// How much of a run is recorded and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckLevel {
    /// Calls are made and timed only.
    None,
    /// Answers are checked.
    Answers,
    /// Answers, callbacks and their order are checked.
    All,
}

/// The configuration of a stress run.
#[derive(Debug)]
pub struct StressConfig {
    /// The number of threads.
    pub threads: usize,
    /// The length of the run.
    pub length: Duration,
    /// The seed of the threads' random numbers.
    pub seed: u64,
    /// The number of interfaces. All sources are behind the first.
    pub interfaces: u32,
    /// The number of routing protocols, besides IGMP.
    pub clients: u32,
    /// The number of clients that can be registered at a time. Below the number of protocols, registrations are refused.
    pub limit: u32,
    /// The number of groups.
    pub groups: u32,
    /// How often each kind of call is made.
    pub weights: Weights,
    /// How much is checked.
    pub check: CheckLevel,
    /// Whether threads are stopped at random fault points. It needs a build that has them.
    pub stops: bool,
}

/// Runs the threads until the time is up or a window is not linearizable. Returns the report and the first violation, which
/// is not shortened and has no command yet. `progress` is called after each batch of windows.
///
/// # Errors
/// If no manager with these limits can be made.
pub fn run(
    config: &StressConfig,
    progress: &mut dyn FnMut(&StressReport),
) -> anyhow::Result<(StressReport, Option<Violation>)> {
    let limits = ManagerConfig::default().with_clients(config.limit);
    let starts = States::from_iter([Spec::new(&limits)]);
    let manager = || GroupManager::new(limits.clone(), scenario::routes());
    let ranges = Ranges {
        interfaces: config.interfaces,
        clients: config.clients,
        groups: config.groups,
        weights: config.weights.clone(),
    };
    let world = World::new(ranges, manager()?, manager()?);
    let arena = Arena::new(config, world.clone());
    let mut report = StressReport::new(config.seed, config.length);
    let violation = thread::scope(|scope| {
        for number in 0..config.threads {
            let arena = &arena;
            scope.spawn(move || {
                if config.stops {
                    stop_at_random(arena.seed(number));
                }
                arena.work(number);
            });
        }
        let violation = check_batches(&arena, config, starts, &mut report, progress);
        arena.end();
        violation
    });
    report.garbage_pending = world.manager.garbage_pending();
    if violation.is_none() && !arena.failed() {
        world.check_neighbour();
    }
    report.faults = world.faults();
    Ok((report, violation))
}

/// Whether this build has fault points, which [`StressConfig::stops`] needs.
pub const HAS_FAULT_POINTS: bool = cfg!(mgm_instrumented);

#[cfg(mgm_instrumented)]
fn stop_at_random(seed: u64) {
    mgm::faults::stop_at_random(seed);
}

#[cfg(not(mgm_instrumented))]
fn stop_at_random(_: u64) {}

/// Runs batch after batch and checks their windows. Returns the first violation.
fn check_batches(
    arena: &Arena<'_>,
    config: &StressConfig,
    mut states: States,
    report: &mut StressReport,
    progress: &mut dyn FnMut(&StressReport),
) -> Option<Violation> {
    let began = Instant::now();
    let mut issued = IssuedHandles::default();
    let mut found = None;
    while began.elapsed() < config.length && found.is_none() && !arena.failed() && !arena.found_faults() {
        for window in arena.batch() {
            report.count(&window.events);
            if config.check == CheckLevel::None {
                continue;
            }
            let ends = if issued.are_new(&window) { end_states(&window, &states) } else { States::default() };
            report.windows_checked += 1;
            if ends.is_empty() {
                report.violations += 1;
                let starts = states.iter().cloned().collect();
                found = Some(Violation { command: String::new(), starts, window });
                break;
            }
            states = ends;
        }
        report.sample(began.elapsed());
        progress(report);
    }
    report.seconds = began.elapsed().as_secs_f64();
    found
}

/// The last generation of each slot. A later handle of the slot must have a higher generation.
#[derive(Default)]
struct IssuedHandles(HashMap<u32, u32>);

impl IssuedHandles {
    fn are_new(&mut self, window: &Window) -> bool {
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
