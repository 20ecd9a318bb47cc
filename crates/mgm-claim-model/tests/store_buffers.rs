//! With store buffers: the pairs of a store and a load, and the claim step. Without them: registration and deregistration.

use mgm_claim_model::buffered::Buffered;
use mgm_claim_model::explore::explore;
use mgm_claim_model::protocol::Protocol;
use mgm_claim_model::registration::{Bug, Registration};
use mgm_claim_model::scenarios::{BUFFERED, QUICK, QUICK_BUFFERED};
use mgm_claim_model::store_buffers::{PAIRS, PairMachine};
use mgm_claim_model::system::System;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::thread::available_parallelism;

#[test]
fn each_pair_keeps_its_promise_and_no_access_is_too_strong() {
    for pair in PAIRS {
        let states = explore(&PairMachine::new(pair))
            .unwrap_or_else(|broken| panic!("{}: not {:?}: {:?}", pair.name, broken.promise, broken.steps));
        println!("{:40} {states} states with store buffers", pair.name);
        let weakened = PairMachine::weakened(pair);
        assert!(!weakened.is_empty(), "{}: nothing is strong", pair.name);
        for (access, machine) in weakened {
            let broken = explore(&machine).expect_err(&format!("{}: {access:?} may be weak", pair.name));
            println!("  weak {access:?}: {:?}", broken.steps);
        }
    }
}

/// The pairs name files that are there.
#[test]
fn each_pair_names_its_files() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for file in PAIRS.iter().flat_map(|pair| pair.files) {
        assert!(std::path::Path::new(root).join(file).exists(), "{file}");
    }
}

#[test]
fn no_callback_runs_once_deregister_has_returned() {
    let states = explore(&Registration { bug: None }).expect("no broken promise");
    println!("registration and deregistration: {states} states");
    for bug in Bug::ALL {
        let broken =
            explore(&Registration { bug: Some(bug) }).expect_err(&format!("{bug:?} breaks no promise"));
        println!("{bug:?}: not {:?}: {:?}", broken.promise, broken.steps);
    }
}

#[test]
fn the_claim_step_keeps_its_promises_with_store_buffers() {
    let quick = QUICK.iter().filter(|scenario| QUICK_BUFFERED.contains(&scenario.name));
    let threads = available_parallelism().map_or(1, usize::from);
    let mut explored = 0;
    for scenario in BUFFERED.iter().chain(quick) {
        explored += 1;
        let model = Buffered::new(System::new(scenario.clone(), Protocol::CORRECT), false);
        let checker = model.checker().threads(threads).spawn_dfs().join();
        println!("{:58}{:10} states with store buffers", scenario.name, checker.unique_state_count());
        for property in checker.model().properties() {
            match (property.expectation, checker.discovery(property.name)) {
                (Expectation::Always, Some(path)) => {
                    panic!("{:?}: not {:?} after {:?}", scenario.name, property.name, path.into_actions())
                }
                // Without a plain store in two threads there is no such state.
                (Expectation::Sometimes, None) if property.name == "every thread has ended" => {
                    panic!("{:?} never reaches: {}", scenario.name, property.name)
                }
                _ => {}
            }
        }
    }
    assert_eq!(explored, BUFFERED.len() + QUICK_BUFFERED.len(), "a scenario is missing");
}

/// Of two threads that insert and then validate the other's handle, neither finds it.
#[test]
fn a_publication_that_waits_is_found() {
    let model = Buffered::new(System::new(BUFFERED[0].clone(), Protocol::CORRECT), true);
    let checker = model.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let path = checker.discovery("linearizable").expect("the history has no explanation");
    println!("weak publication: {:?}", path.into_actions());
}
