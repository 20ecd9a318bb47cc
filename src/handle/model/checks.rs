//! The tests: the protocol is right in every scenario, and the checker finds every planted bug.

use super::bugs::Bug;
use super::models::QUICK;
use super::step::Protocol;
use super::system::{PROMISES, SOLO_BOUND, Scenario, System};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::thread::available_parallelism;
use std::time::Instant;

/// Visits every state of the scenario. The most accesses that a thread alone needed.
fn explore(scenario: &Scenario) -> u32 {
    let system = System::new(scenario.clone(), Protocol::RIGHT);
    let longest = system.longest.clone();
    let start = Instant::now();
    let threads = available_parallelism().map_or(1, usize::from);
    let checker = system.checker().threads(threads).spawn_dfs().join();
    let longest = longest.load(Ordering::Relaxed);
    println!(
        "{:56}{:10} states{:10} transitions, {:3} deep, alone at most {longest:2}, {:.2?}",
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
    longest
}

#[test]
fn the_protocol_keeps_its_promises_in_every_state() {
    let longest = QUICK.iter().map(explore).max();
    assert_eq!(longest, Some(SOLO_BOUND), "no state needs as many accesses: the bound is not tight");
}

#[cfg(feature = "long-models")]
#[test]
fn the_protocol_keeps_its_promises_in_every_state_of_the_long_models() {
    super::models::LONG.iter().for_each(|scenario| {
        explore(scenario);
    });
}

#[test]
fn every_planted_bug_breaks_a_promise() {
    for (bug, scenario) in Bug::ALL {
        let scenario = QUICK.iter().find(|one| one.name == scenario).expect("named as in the list");
        let system = System::new(scenario.clone(), Protocol { bug: Some(bug) });
        let checker = system
            .checker()
            .finish_when(HasDiscoveries::AnyOf(BTreeSet::from(PROMISES)))
            // Breadth first: the shortest way to the violation.
            .spawn_bfs()
            .join();
        let broken = PROMISES.iter().find_map(|promise| Some((promise, checker.discovery(promise)?)));
        let (promise, path) = broken.unwrap_or_else(|| panic!("{bug:?} passes {:?}", scenario.name));
        let accesses = path.into_actions();
        println!(
            "{bug:?}: not {promise:?} in {:?}, {} accesses: {accesses:?}",
            scenario.name,
            accesses.len()
        );
    }
}
