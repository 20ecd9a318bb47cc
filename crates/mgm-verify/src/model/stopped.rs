//! Sequences of calls while other threads are stopped right after a take or a release took effect, before its sweep.
//!
//! Between the two, memberships and entries are dead and not removed yet. The calls of other threads meet them, and the
//! specification has a step for each half of a change of owner. The module needs an instrumented build, whose threads can be
//! stopped.

use super::calls::{Bytes, Call, interfaces};
use super::manager_side::ManagerSide;
use super::spec_side::SpecSide;
use super::{Outcome, compare, config};
use crate::spec::OwnershipChange;
use mgm::fault_points::manager::{RELEASE_EFFECTIVE, TAKE_EFFECTIVE};
use mgm::faults::{self, Stop};
use mgm::manager::Interface;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The time after which a thread that neither stops nor ends counts as hung.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum number of threads that are stopped at a time.
const MAX_STOPPED: usize = 3;

enum Step {
    Call(Call),
    /// Makes a take or a release on a thread of its own, which is stopped when the call has taken effect.
    Stop(Call, Interface),
    /// Lets one of the stopped threads continue, and waits for its end.
    GoOn(usize),
}

impl Step {
    /// Decodes six bytes into a step. Every value is valid.
    fn decode(bytes: Bytes) -> Step {
        let [what, client, interface, ..] = bytes;
        let (client, interface) = (usize::from(client % 4), interfaces()[usize::from(interface % 3)]);
        match what {
            0..=199 => Step::Call(Call::decode(bytes)),
            200..=219 => Step::Stop(Call::Release(client, interface), interface),
            220..=229 => Step::Stop(Call::Take(client, interface), interface),
            230..=255 => Step::GoOn(usize::from(what)),
        }
    }
}

/// A thread that is stopped inside a call, with the change of owner that took effect.
struct Stopped {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<Outcome>>,
    interface: Interface,
    change: OwnershipChange,
}

impl Stopped {
    /// Lets the thread continue, and waits for its end. Returns the outcome of its call.
    fn go_on(&mut self) -> Option<Outcome> {
        self.stop.go_on();
        self.thread.take()?.join().ok()
    }
}

impl Drop for Stopped {
    /// No thread stays stopped when a comparison fails.
    fn drop(&mut self) {
        self.go_on();
    }
}

/// Starts a call on a thread of its own. Returns the thread stopped after the effect, or the outcome of a call without one.
fn start(manager: &ManagerSide, call: &Call) -> Result<(Arc<Stop>, JoinHandle<Outcome>), Outcome> {
    let at = if matches!(call, Call::Take(..)) { TAKE_EFFECTIVE } else { RELEASE_EFFECTIVE };
    let stop = Stop::at(at);
    let thread = {
        let (manager, call, stop) = (manager.clone(), call.clone(), stop.clone());
        thread::spawn(move || {
            stop.here();
            let outcome = manager.call(&call);
            faults::clear();
            outcome
        })
    };
    let until = Instant::now() + TIMEOUT;
    while !stop.is_reached() && !thread.is_finished() {
        assert!(Instant::now() < until, "{call:?} neither stops nor ends");
        thread::yield_now();
    }
    if stop.is_reached() { Ok((stop, thread)) } else { Err(thread.join().unwrap()) }
}

/// Makes the steps on both sides and compares them after each.
///
/// # Panics
/// If the manager differs from the specification.
pub fn check(steps: impl IntoIterator<Item = Bytes>) {
    let manager = ManagerSide::new(config());
    let mut spec = SpecSide::new(config());
    let mut history = String::new();
    let mut stopped: Vec<Stopped> = Vec::new();
    let prologue = super::calls::prologue().into_iter().map(Step::Call);
    // At the end every thread continues.
    let last = (0..MAX_STOPPED).map(Step::GoOn);
    for step in prologue.chain(steps.into_iter().map(Step::decode)).chain(last) {
        match step {
            Step::Call(call) => {
                let (outcome, expected) = (manager.call(&call), spec.call(&call));
                history += &format!("\n  {call:?}: {outcome}");
                assert_eq!(outcome, expected, "after{history}");
            }
            Step::Stop(..) if stopped.len() == MAX_STOPPED => continue,
            Step::Stop(call, interface) => match (start(&manager, &call), spec.take_effect(&call)) {
                (Ok((stop, thread)), Ok(change)) => {
                    stopped.push(Stopped { stop, thread: Some(thread), interface, change });
                    history += &format!("\n  {call:?}: took effect, and its thread is stopped");
                }
                (Err(outcome), Err(expected)) => assert_eq!(outcome, expected, "{call:?} after{history}"),
                (started, _) => {
                    panic!("{call:?} has taken effect on one side only ({}), after{history}", started.is_ok())
                }
            },
            Step::GoOn(_) if stopped.is_empty() => continue,
            Step::GoOn(n) => {
                let mut stopped = stopped.remove(n % stopped.len());
                assert_eq!(stopped.go_on().as_deref(), Some("Ok"), "after{history}");
                // IGMP that took the interface after the change may be notified of it.
                let notified = manager.has_disabled_igmp(stopped.interface);
                spec.follow_up(&stopped.change, notified);
                history += &format!("\n  {:?} is followed up", stopped.change);
            }
        }
        compare(&manager, &mut spec, &history, stopped.is_empty());
    }
}
