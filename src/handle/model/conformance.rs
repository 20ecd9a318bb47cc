//! That the model is the code: both are run under the same schedules, and must make the same accesses one for one.
//!
//! At each step the scheduler picks a thread. The model says which access that thread makes; the real thread, stopped
//! before its next access, must be about to make exactly that one: same kind, same word, same operands. Then both make
//! it, and the word must hold the same bits before and after. Fences must stand where the model's essay has them, and
//! operations must return at the same step with the same outcome. In the small scenarios the schedules cover *every*
//! transition of the model; in all of them they reach what the scenario is for, and many are drawn at random.
//!
//! That this can fail is shown both ways: the model with each of its planted bugs is not the code, and the code with a
//! `bug-...` feature that changes the claim step is not the model (then the tests here demand the divergence).

use super::bugs::Bug;
use super::memory::{Access, Location, State, Value};
use super::models::QUICK;
use super::spec::THREADS;
use super::stage::Stage;
use super::step::Protocol;
use super::stepped::{Event, Move, Puppet, Reading, Real};
use super::system::{PROMISES, Scenario, System, SystemState};
use crate::handle::handle::INDEX_MASK;
use crate::sync::{Ordering, stepping};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Where model and code part.
#[derive(Debug)]
struct Divergence(String);

/// Runs model and code side by side. `next` picks among the threads that can move; the steps made.
fn conform(
    system: &System,
    next: &mut dyn FnMut(&SystemState, &[usize]) -> usize,
) -> Result<usize, Divergence> {
    let real = Real::new(&system.scenario);
    let threads = system.scenario.scripts.len();
    std::thread::scope(|scope| {
        // Dropped at a divergence, which lets the threads run to their ends.
        let puppets: Vec<Puppet> = (0..threads).map(|thread| real.start(scope, system, thread)).collect();
        let mut run = Run {
            system,
            reading: Reading { real: &real, puppets: &puppets },
            state: system.initial(),
            about: [None; THREADS],
            fenced: [false; THREADS],
            written: HashSet::new(),
        };
        for thread in 0..threads {
            run.listen(thread)?;
        }
        let mut steps = 0;
        loop {
            let mut can_move = Vec::new();
            run.system.actions(&run.state, &mut can_move);
            let can_move: Vec<usize> = can_move.into_iter().map(usize::from).collect();
            if can_move.is_empty() {
                break;
            }
            let thread = next(&run.state, &can_move);
            run.step(thread).map_err(|Divergence(what)| {
                Divergence(format!("{:?}, step {steps}, thread {thread}: {what}", system.scenario.name))
            })?;
            steps += 1;
        }
        match run.about.iter().flatten().next() {
            None => Ok(steps),
            Some(more) => Err(Divergence(format!("the model is at its end, the code about to {more:x?}"))),
        }
    })
}

struct Run<'a> {
    system: &'a System,
    reading: Reading<'a>,
    state: SystemState,
    /// What each real thread is about to do; none when its script is over.
    about: [Option<Move>; THREADS],
    /// Whether it has come past a fence since its last access.
    fenced: [bool; THREADS],
    /// The words of descriptors that were written in this run. The others hold what earlier runs left.
    written: HashSet<Location>,
}

impl Run<'_> {
    /// Lets one thread make one access, in the model and for real.
    fn step(&mut self, thread: usize) -> Result<(), Divergence> {
        let stage = self.state.threads[thread].stage;
        let wants_fence = matches!(stage, Stage::StoreTarget(_) | Stage::CheckSequence(_));
        if wants_fence != std::mem::take(&mut self.fenced[thread]) {
            return Err(Divergence(format!(
                "a fence before {stage:?}: {wants_fence} in the model, not in the code"
            )));
        }
        let before = self.state.memory;
        let (access, outcome) = self.system.step(&mut self.state, thread).expect("it can move");
        let about = self.about[thread];
        if about != Some(self.expected(access)) {
            return Err(Divergence(format!("the model makes {access:x?}, the code is about to {about:x?}")));
        }
        let at = match access {
            Access::Load(at) | Access::Store(at, _) | Access::CompareExchange { at, .. } => Some(at),
            Access::FreeList => None,
        };
        if let Some(at) = at
            && !(matches!(access, Access::Store(..)) && self.written.insert(at))
        {
            self.compare(at, before.value(at), "before")?;
        }
        let _ = self.reading.puppets[thread].leave.send(());
        let returned = self.listen(thread)?;
        if returned != outcome {
            return Err(Divergence(format!(
                "after {access:?} the model returns {outcome:?}, the code {returned:?}"
            )));
        }
        at.map_or(Ok(()), |at| self.compare(at, self.state.memory.value(at), "after"))
    }

    /// Waits until the thread is about to make its next access, or is over. What it returned on the way there.
    fn listen(&mut self, thread: usize) -> Result<Option<super::spec::Outcome>, Divergence> {
        let puppet = &self.reading.puppets[thread];
        let mut returned = None;
        loop {
            match puppet.events.recv().map_err(|_| Divergence(String::from("the thread has panicked")))? {
                Event::About(Move::Access(stepping::Access::Fence, _)) => {
                    self.fenced[thread] = true;
                    let _ = puppet.leave.send(());
                }
                Event::About(about) => {
                    self.about[thread] = Some(about);
                    return Ok(returned);
                }
                Event::Returned(outcome) => returned = Some(outcome),
                Event::Over => {
                    self.about[thread] = None;
                    return Ok(returned);
                }
            }
        }
    }

    /// The model's access as the code makes it.
    fn expected(&self, access: Access) -> Move {
        let address = |at| self.reading.word(at).address();
        let bits = |at, value| self.reading.bits(at, value);
        match access {
            Access::Load(at) => Move::Access(stepping::Access::Load, address(at)),
            Access::Store(at, value) => {
                Move::Access(stepping::Access::Store { value: bits(at, value) }, address(at))
            }
            Access::CompareExchange { at, current, new } => Move::Access(
                stepping::Access::CompareExchange { current: bits(at, current), new: bits(at, new) },
                address(at),
            ),
            Access::FreeList => Move::FreeList,
        }
    }

    fn compare(&self, at: Location, value: Value, when: &str) -> Result<(), Divergence> {
        let bits = self.reading.word(at).unstepped().load(Ordering::SeqCst);
        let same = match value {
            // What a dead slot links to is no part of the model.
            Value::State(State { live: false, .. }) => {
                bits & !INDEX_MASK == self.reading.bits(at, value) & !INDEX_MASK
            }
            _ => bits == self.reading.bits(at, value),
        };
        if same {
            Ok(())
        } else {
            Err(Divergence(format!("{when}, {at:?} is {value:?} in the model, and {bits:#x}")))
        }
    }
}

/// The threads in this order, as long as there is one; then whoever can move.
fn along(schedule: &[u8]) -> impl FnMut(&SystemState, &[usize]) -> usize {
    let mut schedule = schedule.iter();
    move |_, can_move| {
        let next = schedule.next().map(|thread| *thread as usize);
        next.filter(|thread| can_move.contains(thread)).unwrap_or(can_move[0])
    }
}

/// Bursts of one thread at random: late helpers are threads that slept while others went on.
fn at_random(mut random: SmallRng) -> impl FnMut(&SystemState, &[usize]) -> usize {
    let (mut thread, mut left) = (0, 0);
    move |_, can_move| {
        if left == 0 || !can_move.contains(&thread) {
            thread = can_move[random.random_range(0..can_move.len())];
            left = 1 << random.random_range(0..5);
        }
        left -= 1;
        thread
    }
}

/// All states of a scenario and where each thread leads from each.
struct Graph {
    states: Vec<SystemState>,
    /// For each state: from which, by which thread it was reached first.
    from: Vec<Option<(usize, u8)>>,
    to: Vec<Vec<(u8, usize)>>,
}

impl Graph {
    /// None if there are more states than `most`.
    fn of(system: &System, most: usize) -> Option<Graph> {
        let mut graph = Graph { states: vec![system.initial()], from: vec![None], to: Vec::new() };
        let mut known = HashMap::from([(system.initial(), 0)]);
        while let Some(state) = graph.states.get(graph.to.len()).cloned() {
            if graph.states.len() > most {
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

    /// Schedules that together make every transition.
    fn covering(&self) -> Vec<Vec<u8>> {
        let mut open: Vec<Vec<(u8, usize)>> = self.to.clone();
        let mut schedules = Vec::new();
        // The deepest first: the way there covers much of the rest.
        for source in (0..self.to.len()).rev() {
            while !open[source].is_empty() {
                let mut schedule = Vec::new();
                let mut state = source;
                while let Some((from, thread)) = self.from[state] {
                    open[from].retain(|(one, _)| *one != thread);
                    schedule.push(thread);
                    state = from;
                }
                schedule.reverse();
                state = source;
                while let Some((thread, next)) = open[state].pop().or(self.to[state].first().copied()) {
                    schedule.push(thread);
                    state = next;
                }
                schedules.push(schedule);
            }
        }
        schedules
    }
}

/// Schedules that reach each situation the scenario is for.
fn to_witnesses(scenario: &Scenario) -> Vec<Vec<u8>> {
    let names: BTreeSet<_> = scenario.reaches.iter().map(|witness| witness.property().name).collect();
    let system = System::new(scenario.clone(), Protocol::RIGHT);
    let checker = system.checker().finish_when(HasDiscoveries::AllOf(names)).spawn_dfs().join();
    checker.discoveries().into_values().map(|path| path.into_actions()).collect()
}

// With a feature that plants a bug into the claim step, each of these must find the divergence.
macro_rules! must_conform {
    ($(#[$meta:meta])* fn $name:ident() $body:block) => {
        $(#[$meta])*
        #[test]
        #[cfg_attr(
            any(
                feature = "bug-act-without-confirm",
                feature = "bug-count-first",
                feature = "bug-held-on-busy",
                feature = "bug-outcome-from-owner-word",
                feature = "bug-settle-without-ticket",
                feature = "bug-stale-without-flip",
            ),
            should_panic(expected = "Divergence")
        )]
        fn $name() $body
    };
}

/// The scenarios up to this many states are covered transition by transition.
const SMALL: usize = if cfg!(feature = "long-models") { 40_000 } else { 2500 };
/// How many schedules are drawn for each scenario.
const DRAWN: u64 = if cfg!(feature = "long-models") { 20_000 } else { 50 };

must_conform! {
    fn the_code_makes_every_transition_of_the_small_scenarios() {
        for scenario in QUICK {
            let system = System::new(scenario.clone(), Protocol::RIGHT);
            let Some(graph) = Graph::of(&system, SMALL) else { continue };
            let schedules = graph.covering();
            let steps: usize = schedules.iter().map(|one| conform(&system, &mut along(one)).unwrap()).sum();
            println!(
                "{:56}{:6} transitions, all made in {:5} schedules of {:7} accesses",
                scenario.name,
                graph.to.iter().map(Vec::len).sum::<usize>(),
                schedules.len(),
                steps,
            );
        }
    }
}

must_conform! {
    fn the_code_gets_where_each_scenario_is_to_get() {
        for scenario in QUICK {
            let system = System::new(scenario.clone(), Protocol::RIGHT);
            for schedule in to_witnesses(scenario) {
                conform(&system, &mut along(&schedule)).unwrap();
            }
        }
    }
}

must_conform! {
    fn the_code_is_the_model_on_schedules_drawn_at_random() {
        let mut steps = 0;
        for scenario in QUICK {
            let system = System::new(scenario.clone(), Protocol::RIGHT);
            for seed in 0..DRAWN {
                let random = SmallRng::seed_from_u64(seed);
                steps += conform(&system, &mut at_random(random))
                    .map_err(|Divergence(what)| Divergence(format!("seed {seed}: {what}")))
                    .unwrap();
            }
        }
        println!("{} schedules of {} scenarios, {steps} accesses", DRAWN * QUICK.len() as u64, QUICK.len());
    }
}

#[cfg(not(any(
    feature = "bug-act-without-confirm",
    feature = "bug-count-first",
    feature = "bug-held-on-busy",
    feature = "bug-outcome-from-owner-word",
    feature = "bug-settle-without-ticket",
    feature = "bug-stale-without-flip",
)))]
#[test]
fn no_planted_bug_is_the_code() {
    for (bug, scenario) in Bug::ALL {
        let scenario = QUICK.iter().find(|one| one.name == scenario).expect("named as in the list");
        let system = System::new(scenario.clone(), Protocol { bug: Some(bug) });
        let checker = system
            .clone()
            .checker()
            .finish_when(HasDiscoveries::AnyOf(BTreeSet::from(PROMISES)))
            .spawn_bfs()
            .join();
        let path = PROMISES.iter().find_map(|promise| checker.discovery(promise)).expect("a broken promise");
        let divergence = conform(&system, &mut along(&path.into_actions()));
        match divergence {
            Err(Divergence(what)) => println!("{bug:?}: {what}"),
            Ok(_) => panic!("the code does what the model does with {bug:?} planted"),
        }
    }
}
