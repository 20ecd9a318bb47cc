//! The code of the claim step makes the accesses of its explicit-state model: both run under the same schedules, access by access.
//!
//! At each step the scheduler picks a thread. The model names the access that this thread makes; the real thread, stopped
//! before its next access, must be about to make exactly that one: same kind, same word, same operands. Then both make it,
//! and the word must hold the same bits before and after. Fences must stand where the model has them, and operations must
//! return at the same step with the same outcome. In small scenarios the schedules cover *every* transition of the model;
//! in all scenarios they reach the situations that the scenario is made for, and many schedules are random.
//!
//! That these tests can fail is shown in both directions: the model with any of its planted bugs is not the code, and the
//! code with a planted bug of the claim step (`MGM_PLANTED_BUG`, in an instrumented build) is not the model. In the latter
//! case the tests demand a divergence.

mod real;

use self::real::{Event, Move, Puppet, Reading, Real};
use super::handle::INDEX_MASK;
use crate::sync::{Ordering, stepping};
use mgm_claim_model::bugs::Bug;
use mgm_claim_model::long_models_wanted;
use mgm_claim_model::memory::{Access, Location, State, Value};
use mgm_claim_model::protocol::Protocol;
use mgm_claim_model::scenarios::QUICK;
use mgm_claim_model::schedules::{covering, to_witnesses, violation};
use mgm_claim_model::spec::{Outcome, THREADS};
use mgm_claim_model::stage::Stage;
use mgm_claim_model::system::{Scenario, System, SystemState};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::HashSet;

/// The first difference between model and code.
#[derive(Debug)]
struct Divergence(String);

/// Runs model and code side by side. `next` picks one of the threads that can move. Returns the number of steps.
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
            run.await_next(thread)?;
        }
        let mut steps = 0;
        loop {
            let can_move = run.system.movable(&run.state);
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
            Some(more) => Err(Divergence(format!("the model has ended, the code is about to {more:x?}"))),
        }
    })
}

struct Run<'a> {
    system: &'a System,
    reading: Reading<'a>,
    state: SystemState,
    /// The next move of each real thread; `None` when its script is over.
    about: [Option<Move>; THREADS],
    /// Whether the thread has passed a fence since its last access.
    fenced: [bool; THREADS],
    /// The words of descriptors that were written in this run. The others hold values of earlier runs.
    written: HashSet<Location>,
}

impl Run<'_> {
    /// Makes one access of one thread, in the model and in the code.
    fn step(&mut self, thread: usize) -> Result<(), Divergence> {
        let stage = self.state.threads[thread].stage;
        let has_fence = matches!(stage, Stage::StoreTarget(_) | Stage::CheckSequence(_));
        if has_fence != std::mem::take(&mut self.fenced[thread]) {
            return Err(Divergence(format!(
                "a fence before {stage:?}: {has_fence} in the model, not in the code"
            )));
        }
        let before = self.state.memory;
        let (access, outcome) = self.system.step(&mut self.state, thread).expect("the thread can move");
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
        let returned = self.await_next(thread)?;
        if returned != outcome {
            return Err(Divergence(format!(
                "after {access:?} the model returns {outcome:?}, the code {returned:?}"
            )));
        }
        at.map_or(Ok(()), |at| self.compare(at, self.state.memory.value(at), "after"))
    }

    /// Blocks until the thread is about to make its next access or has ended. Returns the outcome it returned on the way.
    fn await_next(&mut self, thread: usize) -> Result<Option<Outcome>, Divergence> {
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

    /// Translates the model's access into the code's.
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
            // The link of a dead slot is no part of the model.
            Value::State(State { live: false, .. }) => {
                bits & !INDEX_MASK == self.reading.bits(at, value) & !INDEX_MASK
            }
            _ => bits == self.reading.bits(at, value),
        };
        if same {
            Ok(())
        } else {
            Err(Divergence(format!("{when}, {at:?} is {value:?} in the model, and {bits:#x} in the code")))
        }
    }
}

/// Picks the threads of the schedule, and after its end the first that can move.
fn along(schedule: &[u8]) -> impl FnMut(&SystemState, &[usize]) -> usize {
    let mut schedule = schedule.iter();
    move |_, can_move| {
        let next = schedule.next().map(|thread| *thread as usize);
        next.filter(|thread| can_move.contains(thread)).unwrap_or(can_move[0])
    }
}

/// Picks threads at random, each for a burst of accesses: late helpers are threads that slept while others moved.
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

fn correct(scenario: &Scenario) -> System {
    System::new(scenario.clone(), Protocol::CORRECT)
}

/// The planted bug that is active, if it is one of the claim step.
fn active_bug() -> Option<&'static str> {
    #[cfg(mgm_instrumented)]
    return crate::planted::active_bug().filter(|bug| {
        [
            "act-without-confirm",
            "count-first",
            "still-owns-on-busy",
            "outcome-from-owner-word",
            "settle-without-ticket",
            "stale-without-flip",
        ]
        .contains(bug)
    });
    #[cfg(not(mgm_instrumented))]
    None
}

/// Demands conformance or, if a bug is planted in the claim step, a divergence. Returns the number of steps.
fn check(run: impl FnOnce() -> Result<usize, Divergence>) -> usize {
    match (run(), active_bug()) {
        (Ok(steps), None) => steps,
        (Err(Divergence(what)), None) => panic!("{what}"),
        (Err(Divergence(what)), Some(bug)) => {
            println!("{bug}: {what}");
            0
        }
        (Ok(_), Some(bug)) => panic!("{bug} is planted, and the code makes the model's accesses"),
    }
}

#[test]
fn the_code_makes_every_transition_of_small_scenarios() {
    let small = if long_models_wanted() { 40_000 } else { 2500 };
    check(|| {
        let mut steps = 0;
        for scenario in QUICK {
            let system = correct(scenario);
            let Some(covering) = covering(&system, small) else { continue };
            let mut made = 0;
            for schedule in &covering.schedules {
                made += conform(&system, &mut along(schedule))?;
            }
            println!(
                "{:58}{:6} transitions, all made in {:5} schedules of {made:7} accesses",
                scenario.name,
                covering.transitions,
                covering.schedules.len(),
            );
            steps += made;
        }
        Ok(steps)
    });
}

#[test]
fn the_code_reaches_the_situations_of_each_scenario() {
    check(|| {
        let mut steps = 0;
        for scenario in QUICK {
            for schedule in to_witnesses(scenario) {
                steps += conform(&correct(scenario), &mut along(&schedule))?;
            }
        }
        Ok(steps)
    });
}

#[test]
fn the_code_is_the_model_on_random_schedules() {
    let each = if long_models_wanted() { 20_000 } else { 50 };
    let steps = check(|| {
        let mut steps = 0;
        for scenario in QUICK {
            for seed in 0..each {
                steps += conform(&correct(scenario), &mut at_random(SmallRng::seed_from_u64(seed)))
                    .map_err(|Divergence(what)| Divergence(format!("seed {seed}: {what}")))?;
            }
        }
        Ok(steps)
    });
    println!("{} schedules of {} scenarios, {steps} accesses", each * QUICK.len() as u64, QUICK.len());
}

#[test]
fn the_code_has_no_planted_bug_of_the_model() {
    if active_bug().is_some() {
        return;
    }
    for (bug, scenario) in Bug::ALL {
        let violation = violation(bug, scenario).expect("a broken promise");
        match conform(&violation.system, &mut along(&violation.schedule)) {
            Err(Divergence(what)) => println!("{bug:?}: {what}"),
            Ok(_) => panic!("the code makes the accesses of the model with {bug:?}"),
        }
    }
}
