//! Out of memory: a script of the manager's calls is repeated, with the first allocation that can be refused
//! failing, then the second, and so on, until a run has none to fail.
//!
//! After each failure the call reports that there is no memory and has changed nothing, or it continues in a
//! documented way. Repeated, it succeeds, and from there on the run equals the one without failures.
//!
//! A binary of its own: refusals are the process's, and a global allocator counts the allocations that live,
//! to find leaks.
//!
//! `verify/instrumented test --test no_memory -- --nocapture` prints which allocations failed.

#![cfg(mgm_instrumented)]

#[path = "support/counting_allocator.rs"]
mod counting_allocator;
#[path = "support/mod.rs"]
mod support;

use crate::support::callback_client::callback_client;
use crate::support::router::*;
use mgm::faults::{memory_refused_at, refuse_memory};
use mgm::forwarding::{Flow, FlowTotals};
use mgm::handle::{Handle, HandleTable};
use mgm::manager::{
    EnumerationError, EnumerationKind, GroupManager, Interface, LimitCounters, ManagerConfig, Membership,
    MembershipError, MembershipRecord, NewFlowError, Protocol, RegisterError, ReversePath, StateChange,
    TakeError, Upcall,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Answer(String),
    NoMemory,
}

fn outcome<T: Debug, E: Debug + PartialEq>(result: Result<T, E>, no_memory: &[E]) -> Outcome {
    match result {
        Err(error) if no_memory.contains(&error) => Outcome::NoMemory,
        result => Outcome::Answer(format!("{result:?}")),
    }
}

/// A table without memory for more slots reports that it is full.
const FULL: RegisterError = RegisterError::Full(30);

/// Room for exactly what the script needs: a refused call that kept room would make a later call fail.
fn config() -> ManagerConfig {
    ManagerConfig::default()
        .with_clients(30)
        .with_interfaces(84)
        .with_memberships(20)
        .with_entries(105)
        .with_enumerations(1)
}

/// A router and the state of its callers.
struct TestRouter {
    manager: GroupManager,
    callbacks: Arc<Mutex<Vec<String>>>,
    clients: BTreeMap<u32, Handle>,
    enumeration: Option<Handle>,
    given: Vec<Membership>,
}

/// The visible state.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Name, slot and interfaces. Generations differ, since each manager starts them at random.
    clients: Vec<(Protocol, u32, Vec<Interface>)>,
    memberships: Vec<MembershipRecord>,
    entries: BTreeMap<Flow, SeenEntry>,
    known: usize,
    given: Vec<Membership>,
    deadline: Option<Duration>,
}

/// The incoming interface, the outgoing interfaces of the manager with their counts and those of the packet
/// path, the end of the lifetime, and the totals.
#[derive(Debug, PartialEq)]
struct SeenEntry(Option<Interface>, Vec<(Interface, u64)>, Vec<Interface>, Duration, FlowTotals);

impl TestRouter {
    fn new() -> TestRouter {
        let routes = |_| Some(ReversePath::through(v4(1)));
        TestRouter {
            manager: GroupManager::new(config(), Arc::new(routes)).unwrap(),
            callbacks: Arc::default(),
            clients: BTreeMap::new(),
            enumeration: None,
            given: Vec::new(),
        }
    }

    fn seen(&self) -> Seen {
        let manager = &self.manager;
        let entries = manager.entries().into_iter().map(|entry| {
            let copied = entry.outgoing.iter().map(|out| (out.interface, out.packets)).collect();
            let live = outgoing(manager, &entry.flow).expect("a listed entry exists");
            let live = live.into_iter().collect();
            (entry.flow, SeenEntry(entry.incoming, copied, live, entry.expires, entry.totals))
        });
        Seen {
            entries: entries.collect(),
            clients: manager
                .clients()
                .into_iter()
                .map(|c| (c.protocol, c.handle.index(), c.interfaces))
                .collect(),
            memberships: manager.memberships(),
            known: (1..200).filter(|n| manager.vif_index(v4(*n)).is_some()).count(),
            given: self.given.clone(),
            deadline: manager.next_deadline(),
        }
    }

    fn client(&self, id: u32) -> Handle {
        self.clients[&id]
    }
}

/// One call of the script, which is repeated after it ran out of memory.
struct Step {
    name: String,
    call: Box<dyn Fn(&mut TestRouter) -> Outcome>,
}

fn step(name: impl Into<String>, call: impl Fn(&mut TestRouter) -> Outcome + 'static) -> Step {
    Step { name: name.into(), call: Box::new(call) }
}

fn register(id: u32) -> Step {
    step(format!("register {id:#x}"), move |router| {
        let callbacks = router.callbacks.clone();
        let client =
            callback_client(move |call| callbacks.lock().unwrap().push(format!("{id:#x}: {call:?}")));
        let registered = router.manager.register(Protocol::new(id, 0), client);
        if let Ok(handle) = registered {
            router.clients.insert(id, handle);
        }
        outcome(registered.map(drop), &[RegisterError::NoMemory, FULL])
    })
}

fn take(id: u32, n: u32) -> Step {
    step(format!("{id:#x} takes {n}"), move |router| {
        outcome(router.manager.take(router.client(id), v4(n)), &[TakeError::NoMemory])
    })
}

fn release(id: u32, n: u32) -> Step {
    step(format!("{id:#x} releases {n}"), move |router| {
        Outcome::Answer(format!("{:?}", router.manager.release(router.client(id), v4(n))))
    })
}

fn leave(id: u32) -> Step {
    step(format!("{id:#x} leaves"), move |router| {
        Outcome::Answer(format!("{:?}", router.manager.deregister(router.client(id))))
    })
}

fn add(id: u32, n: u32, what: &str, effect: StateChange) -> Step {
    let added = membership(what);
    step(format!("{id:#x} adds {what} on {n}, {effect:?}"), move |router| {
        outcome(
            router.manager.add_membership(router.client(id), v4(n), added, effect),
            &[MembershipError::NoMemory],
        )
    })
}

fn delete(id: u32, n: u32, what: &str, effect: StateChange) -> Step {
    let added = membership(what);
    step(format!("{id:#x} deletes {what} on {n}, {effect:?}"), move |router| {
        let result = router.manager.delete_membership(router.client(id), v4(n), added, effect);
        assert!(
            effect != StateChange::Join || result != Err(MembershipError::NoMemory),
            "deleting a membership needs no memory"
        );
        outcome(result, &[MembershipError::NoMemory])
    })
}

fn new_flow(what: &str) -> Step {
    let flow = flow(what);
    step(format!("a packet {what}"), move |router| {
        outcome(router.manager.new_flow(flow), &[NewFlowError::NoMemory(flow), NewFlowError::Full(flow)])
    })
}

fn upcall(what: &str) -> Step {
    let flow = flow(what);
    step(format!("an upcall {what}"), move |router| match router.manager.upcall(flow, v4(2), b"a packet") {
        Upcall::Refused => Outcome::NoMemory,
        upcall => Outcome::Answer(format!("{upcall:?}")),
    })
}

fn process_upcalls() -> Step {
    step("process_upcalls", |router| {
        // The number may differ: packets on the wrong interface follow their entry.
        assert!(router.manager.process_upcalls(usize::MAX) > 0);
        Outcome::Answer(String::new())
    })
}

fn enumerate(kind: EnumerationKind) -> Vec<Step> {
    let start = step(format!("enumerate {kind:?}"), move |router| {
        let started = router.manager.enumerate_groups(router.client(1), kind);
        router.enumeration = started.ok();
        outcome(started.map(drop), &[EnumerationError::NoMemory])
    });
    let page = || {
        step("a page of groups", |router| {
            let page = router.manager.next_groups(router.enumeration.unwrap(), 4);
            router.given.extend(page.iter().flat_map(|page| page.groups.clone()));
            outcome(page, &[EnumerationError::NoMemory])
        })
    };
    let end = step("the end of it", |router| {
        Outcome::Answer(format!("{:?}", router.manager.end_enumeration(router.enumeration.take().unwrap())))
    });
    vec![start, page(), page(), page(), end]
}

const IGMP: u32 = Protocol::IGMP;

/// Some calls of every kind, enough that every growing structure grows.
fn script() -> Vec<Step> {
    use StateChange::{Forward, Join, JoinAndForward};
    let mut script = vec![register(1), register(2), register(IGMP), take(1, 1), take(1, 2), take(2, 3)];
    script.extend([take(IGMP, 2), take(IGMP, 4), take(2, 4)]);
    // Beyond the first segments of interface records, owner words and the index.
    script.extend((10..90).map(|n| take(2, n)));
    script.extend((3..30).map(register));
    let groups = ["* 239.1.1.1", "* 239.1.1.2", "192.0.2.9 239.1.1.3", "* *", "192.0.2.1 239.1.1.1"];
    for (n, what) in groups.iter().enumerate() {
        script.extend([add(1, 2, what, Join), add(2, 10 + n as u32, what, JoinAndForward)]);
        script.extend([add(IGMP, 2, what, Join), add(IGMP, 4, what, Join)]);
    }
    script.extend(enumerate(EnumerationKind::AllSources));
    script.extend(enumerate(EnumerationKind::AnySource));
    // Beyond the first bucket array and the first segment of counters.
    script.extend((1..=20).map(|n| new_flow(&format!("192.0.2.{n} 239.1.1.1"))));
    script.extend((1..=80).map(|n| new_flow(&format!("192.0.2.{n} 239.4.4.4"))));
    script.push(new_flow("192.0.2.1 224.0.0.5"));
    script.extend([
        upcall("192.0.2.7 239.3.3.3"),
        upcall("192.0.2.7 239.3.3.3"),
        upcall("192.0.2.8 239.3.3.3"),
    ]);
    script.push(process_upcalls());
    for what in ["* 239.1.1.1", "192.0.2.1 239.1.1.1"] {
        script.extend([add(2, 30, what, Forward), delete(2, 10, what, Forward), add(1, 2, what, Forward)]);
    }
    script.push(delete(2, 10, "* 239.1.1.1", Join));
    script.push(delete(1, 2, "* *", JoinAndForward));
    script.push(step("time passes", |router| {
        router.manager.advance(Duration::from_secs(450));
        Outcome::Answer(String::new())
    }));
    script.extend((1..=3).map(|n| new_flow(&format!("198.51.100.{n} 239.1.1.1"))));
    script.push(step("the first are over", |router| {
        router.manager.advance(Duration::from_secs(901));
        Outcome::Answer(String::new())
    }));
    script.push(step("all are over", |router| {
        router.manager.flush_entries();
        Outcome::Answer(String::new())
    }));
    script.extend((1..=5).map(|n| new_flow(&format!("192.0.2.{n} 239.1.1.1"))));
    script.extend([release(2, 4), take(2, 4), release(1, 1), take(2, 1)]);
    script.extend((1..=5).map(|n| new_flow(&format!("192.0.2.{n} 239.1.1.1"))));
    script.push(add(2, 11, "* 239.1.1.1", Join));
    script.extend([release(1, 2), release(IGMP, 2), release(IGMP, 4)]);
    script.extend([1, 3, 4].into_iter().chain(10..90).map(|n| release(2, n)));
    script.extend((3..30).chain([1, 2, IGMP]).map(leave));
    script
}

/// The results of one run.
struct Run {
    outcomes: Vec<Outcome>,
    seen: Vec<Seen>,
    callbacks: Vec<Vec<String>>,
}

/// Runs the script without failures.
fn reference(script: &[Step]) -> Run {
    let mut router = TestRouter::new();
    let mut run = Run { outcomes: Vec::new(), seen: Vec::new(), callbacks: Vec::new() };
    for step in script {
        run.outcomes.push((step.call)(&mut router));
        run.seen.push(router.seen());
        run.callbacks.push(std::mem::take(&mut *router.callbacks.lock().unwrap()));
    }
    assert_eq!(router.manager.limit_counters(), LimitCounters::default());
    run
}

/// The reaction to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reaction {
    Refused,
    EntryWithdrawn,
    NoticeLost,
    UpcallParked,
    FlowParked,
    AlertDropped,
    Continued,
}

/// Runs the script with the `nth` allocation failing. Returns its place and the reaction; `None` if there are
/// fewer.
fn run(script: &[Step], reference: &Run, nth: u64) -> Option<(&'static Location<'static>, Reaction)> {
    let mut router = TestRouter::new();
    let mut reactions = None;
    refuse_memory(nth);
    for (at, step) in script.iter().enumerate() {
        let had_failed = memory_refused_at().is_some();
        let mut outcome = (step.call)(&mut router);
        let mut callbacks = std::mem::take(&mut *router.callbacks.lock().unwrap());
        if !had_failed && let Some(place) = memory_refused_at() {
            let name = format!("{nth}: {}, at {place}", step.name);
            let how = if outcome == Outcome::NoMemory {
                if at > 0 {
                    assert_eq!(
                        router.seen(),
                        reference.seen[at - 1],
                        "refused, and something has changed: {name}"
                    );
                }
                // Owners may have been asked, and are asked again; no client was notified.
                let question = |call: &String| call.contains("ReversePath") || call.contains("Creation");
                assert!(callbacks.iter().all(question), "{name}: {callbacks:?}");
                outcome = (step.call)(&mut router);
                callbacks = std::mem::take(&mut *router.callbacks.lock().unwrap());
                if step.name.starts_with("an upcall") { Reaction::UpcallParked } else { Reaction::Refused }
            } else {
                continued(&mut router, script, reference, at, &mut callbacks)
            };
            assert_eq!(router.seen(), reference.seen[at], "after {name}");
            reactions = Some((place, how));
            if how != Reaction::Refused && how != Reaction::UpcallParked {
                callbacks.clone_from(&reference.callbacks[at]);
            }
        }
        assert_eq!(outcome, reference.outcomes[at], "{}, with {nth} failed", step.name);
        assert_eq!(callbacks, reference.callbacks[at], "{}, with {nth} failed", step.name);
    }
    refuse_memory(0);
    assert_eq!(&router.seen(), reference.seen.last().unwrap(), "at the end, with {nth} failed");
    reactions
}

/// Handles a call that was not refused: it withdrew an entry that it could not publish again, or lost a
/// notice.
fn continued(
    router: &mut TestRouter,
    script: &[Step],
    reference: &Run,
    at: usize,
    callbacks: &mut [String],
) -> Reaction {
    let (expected, all) = (&reference.seen[at], &reference.callbacks[at]);
    let limit_counters = router.manager.limit_counters();
    if limit_counters.entries_withdrawn > 0 {
        assert_eq!(limit_counters.entries_withdrawn, 1);
        let gone = expected.entries.keys().find(|flow| router.manager.entry(**flow).is_none());
        if let Some(flow) = gone {
            // Its next packet creates it again, without the edits that last as long as an entry.
            router.manager.new_flow(*flow).unwrap();
            let was_there = |at: &usize| reference.seen[*at].entries.contains_key(flow);
            let made = (0..at).rev().take_while(was_there).last().unwrap_or(at);
            for step in script[made..=at].iter().filter(|step| step.name.contains("Forward")) {
                (step.call)(router);
            }
        }
        router.callbacks.lock().unwrap().clear();
        return Reaction::EntryWithdrawn;
    }
    // The flow that was served gets its entry by its next packet.
    let missing = expected.entries.keys().find(|flow| router.manager.entry(**flow).is_none());
    if let Some(flow) = missing {
        assert_eq!(router.manager.upcall(*flow, v4(2), b"a packet"), Upcall::Queued);
        // It arrived on the wrong interface, which raises an alert.
        assert_eq!(router.manager.process_upcalls(usize::MAX), 2);
        router.callbacks.lock().unwrap().clear();
        return Reaction::FlowParked;
    }
    if limit_counters.wrong_interface_refused > 0 {
        let alerts = |calls: &[String]| calls.iter().filter(|call| call.contains("WrongInterface")).count();
        assert_eq!((limit_counters.wrong_interface_refused, alerts(callbacks) + 1), (1, alerts(all)));
        return Reaction::AlertDropped;
    }
    let lost = callbacks.iter().filter(|call| call.contains("Lost(1)")).count();
    if lost > 0 {
        assert_eq!(
            (lost, callbacks.len()),
            (1, all.len()),
            "one notice is lost and reported: {callbacks:?}, of {all:?}"
        );
        return Reaction::NoticeLost;
    }
    assert_eq!(callbacks, all);
    Reaction::Continued
}

/// Returns how many allocations live after everything that waits for the epoch was reclaimed.
fn live_at_rest(expected: Option<i64>) -> i64 {
    let scratch = HandleTable::new();
    for _ in 0..200 {
        for _ in 0..3 {
            let handle = scratch.insert(0_u64).unwrap();
            scratch.remove(handle).unwrap();
            while scratch.reclaim() > 0 {}
        }
        if expected.is_some_and(|expected| expected == counting_allocator::live()) {
            break;
        }
    }
    counting_allocator::live()
}

#[test]
fn every_refusable_allocation_is_refused_once() {
    let script = script();
    let reference = reference(&script);
    // Allocated before the count.
    let mut reactions = Vec::with_capacity(100_000);
    // One run makes the allocations that a process makes once.
    run(&script, &reference, 0);
    let live = live_at_rest(None);
    for nth in 1.. {
        let Some(how) = run(&script, &reference, nth) else { break };
        reactions.push(how);
        assert_eq!(live_at_rest(Some(live)), live, "allocations are lost when {nth} fails");
    }
    let mut times: BTreeMap<(&str, u32, Reaction), usize> = BTreeMap::new();
    reactions
        .iter()
        .for_each(|(place, how)| *times.entry((place.file(), place.line(), *how)).or_default() += 1);
    for ((file, line, how), times) in &times {
        println!("{:40} {:14} {times:6}", format!("{file}:{line}"), format!("{how:?}"));
    }
    let places: BTreeSet<_> = times.keys().map(|(file, line, _)| (file, line)).collect();
    let (failed, places, calls) = (reactions.len(), places.len(), script.len());
    println!("{failed} allocations failed, one a run, at {places} places; {calls} calls in each run");
    assert!(failed > 500, "{failed} are too few for this script");
}
