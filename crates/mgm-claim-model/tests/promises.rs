//! The protocol keeps its promises in every state, and the checker finds every planted bug.

use mgm_claim_model::bugs::Bug;
use mgm_claim_model::long_models_wanted;
use mgm_claim_model::protocol::Protocol;
use mgm_claim_model::scenarios::{LONG, QUICK};
use mgm_claim_model::schedules::violation;
use mgm_claim_model::system::{SOLO_BOUND, Scenario, System};
use stateright::{Checker, Expectation, Model};
use std::sync::atomic::Ordering;
use std::thread::available_parallelism;
use std::time::Instant;

/// Visits every state of the scenario. Returns their number, and the most accesses that a thread alone needed.
fn explore(scenario: &Scenario) -> (usize, u32) {
    let system = System::new(scenario.clone(), Protocol::CORRECT);
    let longest = system.longest.clone();
    let start = Instant::now();
    let threads = available_parallelism().map_or(1, usize::from);
    let checker = system.checker().threads(threads).spawn_dfs().join();
    let longest = longest.load(Ordering::Relaxed);
    println!(
        "{:58}{:10} states{:10} transitions, {:3} deep, alone at most {longest:2}, {:.2?}",
        scenario.name,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed(),
    );
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Always, Some(path)) => panic!(
                "{:?}: not {:?} after the threads' accesses {:?}: {:#?}",
                scenario.name,
                property.name,
                path.clone().into_actions(),
                path.last_state(),
            ),
            (Expectation::Sometimes, None) => panic!("{:?} never reaches: {}", scenario.name, property.name),
            _ => {}
        }
    }
    (checker.unique_state_count(), longest)
}

#[test]
fn every_promise_holds_in_every_state() {
    let (states, longest): (Vec<_>, Vec<_>) = QUICK.iter().map(explore).unzip();
    assert_eq!(
        longest.into_iter().max(),
        Some(SOLO_BOUND),
        "no state needs as many accesses: the bound is not tight"
    );
    let states = states.into_iter().sum::<usize>();
    assert!(states > 2_800_000, "only {states} states: the scenarios have lost some");
}

#[test]
fn every_promise_holds_in_the_long_scenarios() {
    if long_models_wanted() {
        LONG.iter().for_each(|scenario| _ = explore(scenario));
    }
}

#[test]
fn every_planted_bug_breaks_a_promise() {
    for (bug, scenario) in Bug::ALL {
        let found = violation(bug, scenario).unwrap_or_else(|| panic!("{bug:?} passes {scenario:?}"));
        println!(
            "{bug:?}: not {:?} in {scenario:?}, {} accesses: {:?}",
            found.promise,
            found.schedule.len(),
            found.schedule
        );
    }
}
