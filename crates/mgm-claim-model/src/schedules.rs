//! Schedules of a scenario: which thread makes the next access, one access after the other.

use crate::bugs::Bug;
use crate::protocol::Protocol;
use crate::scenarios::QUICK;
use crate::system::{PROMISES, Scenario, System, SystemState};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::{BTreeSet, HashMap};

/// The threads that make the accesses, in order.
pub type Schedule = Vec<u8>;

/// The states of a scenario and its transitions.
struct Graph {
    states: Vec<SystemState>,
    /// For each state: the state and the thread by which it was reached first.
    from: Vec<Option<(usize, u8)>>,
    to: Vec<Vec<(u8, usize)>>,
}

impl Graph {
    /// Returns `None` if there are more than `max` states.
    fn of(system: &System, max: usize) -> Option<Graph> {
        let mut graph = Graph { states: vec![system.initial()], from: vec![None], to: Vec::new() };
        let mut known = HashMap::from([(system.initial(), 0)]);
        while let Some(state) = graph.states.get(graph.to.len()).cloned() {
            if graph.states.len() > max {
                return None;
            }
            let source = graph.to.len();
            let mut edges = Vec::new();
            for (thread, next) in system.next_steps(&state) {
                let target = *known.entry(next).or_insert_with_key(|next| {
                    graph.states.push(next.clone());
                    graph.from.push(Some((source, thread)));
                    graph.states.len() - 1
                });
                edges.push((thread, target));
            }
            graph.to.push(edges);
        }
        Some(graph)
    }
}

/// Schedules that together make every transition of a scenario.
pub struct Covering {
    /// The number of transitions.
    pub transitions: usize,
    /// The schedules.
    pub schedules: Vec<Schedule>,
}

/// Returns schedules that cover every transition; `None` if the scenario has more than `max` states.
pub fn covering(system: &System, max: usize) -> Option<Covering> {
    let graph = Graph::of(system, max)?;
    let mut open: Vec<Vec<(u8, usize)>> = graph.to.clone();
    let mut schedules = Vec::new();
    // The deepest state first: the path to it covers many other transitions.
    for source in (0..graph.to.len()).rev() {
        while !open[source].is_empty() {
            let mut schedule = Vec::new();
            let mut state = source;
            while let Some((from, thread)) = graph.from[state] {
                open[from].retain(|(one, _)| *one != thread);
                schedule.push(thread);
                state = from;
            }
            schedule.reverse();
            state = source;
            while let Some((thread, next)) = open[state].pop().or(graph.to[state].first().copied()) {
                schedule.push(thread);
                state = next;
            }
            schedules.push(schedule);
        }
    }
    Some(Covering { transitions: graph.to.iter().map(Vec::len).sum(), schedules })
}

/// Returns a schedule to each situation that the scenario must reach.
pub fn to_witnesses(scenario: &Scenario) -> Vec<Schedule> {
    let names: BTreeSet<_> = scenario.reaches.iter().map(|witness| witness.property().name).collect();
    let system = System::new(scenario.clone(), Protocol::CORRECT);
    let checker = system.checker().finish_when(HasDiscoveries::AllOf(names)).spawn_dfs().join();
    checker.discoveries().into_values().map(|path| path.into_actions()).collect()
}

/// A planted bug, and how it breaks a promise.
pub struct Violation {
    /// The scenario, with the bug planted.
    pub system: System,
    /// The broken promise.
    pub promise: &'static str,
    /// A shortest schedule that breaks it.
    pub schedule: Schedule,
}

/// Finds a broken promise of the bug in its scenario; `None` if every promise holds.
///
/// # Panics
/// If there is no scenario of that name.
pub fn violation(bug: Bug, scenario: &str) -> Option<Violation> {
    let scenario = QUICK.iter().find(|one| one.name == scenario).expect("a name of the list");
    let system = System::new(scenario.clone(), Protocol { bug: Some(bug) });
    let checker = system
        .clone()
        .checker()
        .finish_when(HasDiscoveries::AnyOf(BTreeSet::from(PROMISES)))
        // Breadth first, for a shortest schedule.
        .spawn_bfs()
        .join();
    let (promise, path) =
        PROMISES.iter().find_map(|promise| Some((*promise, checker.discovery(promise)?)))?;
    Some(Violation { system, promise, schedule: path.into_actions() })
}
