//! No memory: a run of the manager's calls is repeated, with the first allocation that can be refused failed, then the second,
//! and so on, until a run has none to fail.
//!
//! Whatever fails, the call answers that there is no memory and has changed nothing, or it goes on without in a way that is
//! documented; made again it succeeds, and from there on everything is as in the run in which nothing failed.
//!
//! `cargo test --features faults --test no_memory -- --nocapture` prints which allocations were failed.

#![cfg(mgm_instrumented)]

mod common;
mod counting;

use common::hearing::hearing;
use common::*;
use mgm::faults::{memory_refused_at, refuse_memory};
use mgm::forwarding::{Flow, FlowTotals};
use mgm::handle::{Handle, HandleTable};
use mgm::manager::{
    ClientRecord, EnumerationError, EnumerationKind, GroupManager, Interface, LimitCounters, ManagerConfig,
    Membership, MembershipError, MembershipRecord, NewFlowError, Protocol, RegisterError, ReversePath,
    StateChange, TakeError, Upcall,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a call ended.
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

/// A table without memory for more slots is a full one.
const FULL: RegisterError = RegisterError::Full(30);

/// Room for what the script needs and no more: if a call that is refused kept any, a later one would not find it.
fn config() -> ManagerConfig {
    ManagerConfig::default()
        .with_clients(30)
        .with_interfaces(84)
        .with_memberships(20)
        .with_entries(105)
        .with_enumerations(1)
}

/// A router, and what its callers remember.
struct World {
    manager: GroupManager,
    heard: Arc<Mutex<Vec<String>>>,
    clients: BTreeMap<u32, Handle>,
    enumeration: Option<Handle>,
    given: Vec<Membership>,
}

/// Everything there is to see.
#[derive(Debug, PartialEq)]
struct Seen {
    clients: Vec<ClientRecord>,
    memberships: Vec<MembershipRecord>,
    entries: BTreeMap<Flow, SeenEntry>,
    known: usize,
    given: Vec<Membership>,
    deadline: Option<Duration>,
}

/// Where packets arrive and go, as the manager has it and as the packet path does; when it ends; and what was counted.
#[derive(Debug, PartialEq)]
struct SeenEntry(Option<Interface>, Vec<(Interface, u64)>, Vec<Interface>, Duration, FlowTotals);

impl World {
    fn new() -> World {
        let routes = |_| Some(ReversePath::through(v4(1)));
        World {
            manager: GroupManager::new(config(), Arc::new(routes)).unwrap(),
            heard: Arc::default(),
            clients: BTreeMap::new(),
            enumeration: None,
            given: Vec::new(),
        }
    }

    fn seen(&self) -> Seen {
        let manager = &self.manager;
        let entries = manager.entries().into_iter().map(|entry| {
            let copied = entry.outgoing.iter().map(|out| (out.interface, out.packets)).collect();
            let live = outgoing(manager, &entry.flow).expect("what is shown is there");
            let live = live.into_iter().collect();
            (entry.flow, SeenEntry(entry.incoming, copied, live, entry.expires, entry.totals))
        });
        Seen {
            entries: entries.collect(),
            clients: manager.clients(),
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

/// One call of the script, which is made again when there is no memory for it.
struct Step {
    name: String,
    call: Box<dyn Fn(&mut World) -> Outcome>,
}

fn step(name: impl Into<String>, call: impl Fn(&mut World) -> Outcome + 'static) -> Step {
    Step { name: name.into(), call: Box::new(call) }
}

fn register(id: u32) -> Step {
    step(format!("register {id:#x}"), move |world| {
        let heard = world.heard.clone();
        let client = hearing(move |call| heard.lock().unwrap().push(format!("{id:#x}: {call:?}")));
        let registered = world.manager.register(Protocol::new(id, 0), client);
        if let Ok(handle) = registered {
            world.clients.insert(id, handle);
        }
        outcome(registered.map(drop), &[RegisterError::NoMemory, FULL])
    })
}

fn take(id: u32, n: u32) -> Step {
    step(format!("{id:#x} takes {n}"), move |world| {
        outcome(world.manager.take(world.client(id), v4(n)), &[TakeError::NoMemory])
    })
}

fn release(id: u32, n: u32) -> Step {
    step(format!("{id:#x} releases {n}"), move |world| {
        Outcome::Answer(format!("{:?}", world.manager.release(world.client(id), v4(n))))
    })
}

fn leave(id: u32) -> Step {
    step(format!("{id:#x} leaves"), move |world| {
        Outcome::Answer(format!("{:?}", world.manager.deregister(world.client(id))))
    })
}

fn add(id: u32, n: u32, what: &str, effect: StateChange) -> Step {
    let said = membership(what);
    step(format!("{id:#x} adds {what} on {n}, {effect:?}"), move |world| {
        outcome(
            world.manager.add_membership(world.client(id), v4(n), said, effect),
            &[MembershipError::NoMemory],
        )
    })
}

fn delete(id: u32, n: u32, what: &str, effect: StateChange) -> Step {
    let said = membership(what);
    step(format!("{id:#x} deletes {what} on {n}, {effect:?}"), move |world| {
        let result = world.manager.delete_membership(world.client(id), v4(n), said, effect);
        assert!(
            effect != StateChange::Join || result != Err(MembershipError::NoMemory),
            "a way out needs none"
        );
        outcome(result, &[MembershipError::NoMemory])
    })
}

fn new_flow(what: &str) -> Step {
    let flow = flow(what);
    step(format!("a packet {what}"), move |world| {
        outcome(world.manager.new_flow(flow), &[NewFlowError::NoMemory(flow), NewFlowError::Full(flow)])
    })
}

fn upcall(what: &str) -> Step {
    let flow = flow(what);
    step(format!("an upcall {what}"), move |world| match world.manager.upcall(flow, v4(2), b"a packet") {
        Upcall::Refused => Outcome::NoMemory,
        upcall => Outcome::Answer(format!("{upcall:?}")),
    })
}

fn process_upcalls() -> Step {
    step("process_upcalls", |world| {
        // How many there were may differ: packets on the wrong interface come after their entry.
        assert!(world.manager.process_upcalls(usize::MAX) > 0);
        Outcome::Answer(String::new())
    })
}

fn enumerate(kind: EnumerationKind) -> Vec<Step> {
    let start = step(format!("enumerate {kind:?}"), move |world| {
        let started = world.manager.enumerate_groups(world.client(1), kind);
        world.enumeration = started.ok();
        outcome(started.map(drop), &[EnumerationError::NoMemory])
    });
    let page = || {
        step("a page of groups", |world| {
            let page = world.manager.next_groups(world.enumeration.unwrap(), 4);
            world.given.extend(page.iter().flat_map(|page| page.groups.clone()));
            outcome(page, &[EnumerationError::NoMemory])
        })
    };
    let end = step("the end of it", |world| {
        Outcome::Answer(format!("{:?}", world.manager.end_enumeration(world.enumeration.take().unwrap())))
    });
    vec![start, page(), page(), page(), end]
}

const IGMP: u32 = Protocol::IGMP;

/// A bit of everything, and enough of it that whatever grows has to.
fn script() -> Vec<Step> {
    use StateChange::{Forward, Join, JoinAndForward};
    let mut script = vec![register(1), register(2), register(IGMP), take(1, 1), take(1, 2), take(2, 3)];
    script.extend([take(IGMP, 2), take(IGMP, 4), take(2, 4)]);
    // Over the first segments of records, owner words and the index.
    script.extend((10..90).map(|n| take(2, n)));
    script.extend((3..30).map(register));
    let groups = ["* 239.1.1.1", "* 239.1.1.2", "192.0.2.9 239.1.1.3", "* *", "192.0.2.1 239.1.1.1"];
    for (n, what) in groups.iter().enumerate() {
        script.extend([add(1, 2, what, Join), add(2, 10 + n as u32, what, JoinAndForward)]);
        script.extend([add(IGMP, 2, what, Join), add(IGMP, 4, what, Join)]);
    }
    script.extend(enumerate(EnumerationKind::AllSources));
    script.extend(enumerate(EnumerationKind::AnySource));
    // More than the first array of lanes has room for, and than the first segment of counters.
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
    script.push(step("time passes", |world| {
        world.manager.advance(Duration::from_secs(450));
        Outcome::Answer(String::new())
    }));
    script.extend((1..=3).map(|n| new_flow(&format!("198.51.100.{n} 239.1.1.1"))));
    script.push(step("the first are over", |world| {
        world.manager.advance(Duration::from_secs(901));
        Outcome::Answer(String::new())
    }));
    script.push(step("all are over", |world| {
        world.manager.flush_entries();
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

/// What became of one run.
struct Run {
    outcomes: Vec<Outcome>,
    seen: Vec<Seen>,
    heard: Vec<Vec<String>>,
}

/// The run in which nothing fails.
fn reference(script: &[Step]) -> Run {
    let mut world = World::new();
    let mut run = Run { outcomes: Vec::new(), seen: Vec::new(), heard: Vec::new() };
    for step in script {
        run.outcomes.push((step.call)(&mut world));
        run.seen.push(world.seen());
        run.heard.push(std::mem::take(&mut *world.heard.lock().unwrap()));
    }
    assert_eq!(world.manager.limit_counters(), LimitCounters::default());
    run
}

/// How a failure was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Refused,
    EntryWithdrawn,
    NoticeLost,
    UpcallParked,
    FlowParked,
    PacketNotTold,
    GoneOnWithout,
}

/// A run in which the `nth` allocation fails: where that was, and how it was met; `None` when there are not so many.
fn run(script: &[Step], reference: &Run, nth: u64) -> Option<(&'static Location<'static>, Met)> {
    let mut world = World::new();
    let mut met = None;
    refuse_memory(nth);
    for (at, step) in script.iter().enumerate() {
        let had_failed = memory_refused_at().is_some();
        let mut outcome = (step.call)(&mut world);
        let mut heard = std::mem::take(&mut *world.heard.lock().unwrap());
        if !had_failed && let Some(place) = memory_refused_at() {
            let name = format!("{nth}: {}, at {place}", step.name);
            let how = if outcome == Outcome::NoMemory {
                if at > 0 {
                    assert_eq!(
                        world.seen(),
                        reference.seen[at - 1],
                        "refused, and something has changed: {name}"
                    );
                }
                // OwnerWords may have been asked, and are asked again; nobody was told anything.
                let question = |call: &String| call.contains("ReversePath") || call.contains("Creation");
                assert!(heard.iter().all(question), "{name}: {heard:?}");
                outcome = (step.call)(&mut world);
                heard = std::mem::take(&mut *world.heard.lock().unwrap());
                if step.name.starts_with("an upcall") { Met::UpcallParked } else { Met::Refused }
            } else {
                went_on(&mut world, script, reference, at, &mut heard)
            };
            assert_eq!(world.seen(), reference.seen[at], "after {name}");
            met = Some((place, how));
            if how != Met::Refused && how != Met::UpcallParked {
                heard.clone_from(&reference.heard[at]);
            }
        }
        assert_eq!(outcome, reference.outcomes[at], "{}, with {nth} failed", step.name);
        assert_eq!(heard, reference.heard[at], "{}, with {nth} failed", step.name);
    }
    refuse_memory(0);
    assert_eq!(&world.seen(), reference.seen.last().unwrap(), "at the end, with {nth} failed");
    met
}

/// A call was not refused: it withdrew an entry that it could not publish anew, or could not queue a notice.
fn went_on(world: &mut World, script: &[Step], reference: &Run, at: usize, heard: &mut [String]) -> Met {
    let (expected, all) = (&reference.seen[at], &reference.heard[at]);
    let limit_counters = world.manager.limit_counters();
    if limit_counters.entries_withdrawn > 0 {
        assert_eq!(limit_counters.entries_withdrawn, 1);
        let gone = expected.entries.keys().find(|flow| world.manager.entry(**flow).is_none());
        if let Some(flow) = gone {
            // Its next packet has it made anew, but for what was said of it alone and lasts as long as an entry.
            world.manager.new_flow(*flow).unwrap();
            let was_there = |at: &usize| reference.seen[*at].entries.contains_key(flow);
            let made = (0..at).rev().take_while(was_there).last().unwrap_or(at);
            for step in script[made..=at].iter().filter(|step| step.name.contains("Forward")) {
                (step.call)(world);
            }
        }
        world.heard.lock().unwrap().clear();
        return Met::EntryWithdrawn;
    }
    // The flow that was served gets its entry by its next packet.
    let missing = expected.entries.keys().find(|flow| world.manager.entry(**flow).is_none());
    if let Some(flow) = missing {
        assert_eq!(world.manager.upcall(*flow, v4(2), b"a packet"), Upcall::Queued);
        // It came by another interface than its own, which its owner is told.
        assert_eq!(world.manager.process_upcalls(usize::MAX), 2);
        world.heard.lock().unwrap().clear();
        return Met::FlowParked;
    }
    if limit_counters.wrong_interface_refused > 0 {
        let told = |calls: &[String]| calls.iter().filter(|call| call.contains("WrongInterface")).count();
        assert_eq!((limit_counters.wrong_interface_refused, told(heard) + 1), (1, told(all)));
        return Met::PacketNotTold;
    }
    let lost = heard.iter().filter(|call| call.contains("Lost(1)")).count();
    if lost > 0 {
        assert_eq!(
            (lost, heard.len()),
            (1, all.len()),
            "one is lost, and that is told: {heard:?}, of {all:?}"
        );
        return Met::NoticeLost;
    }
    assert_eq!(heard, all);
    Met::GoneOnWithout
}

/// How many allocations live once what waits for the epoch is through.
fn live_at_rest(expected: Option<i64>) -> i64 {
    let scratch = HandleTable::new();
    for _ in 0..200 {
        for _ in 0..3 {
            let handle = scratch.insert(0_u64).unwrap();
            scratch.remove(handle).unwrap();
            while scratch.reclaim() > 0 {}
        }
        if expected.is_some_and(|expected| expected == counting::live()) {
            break;
        }
    }
    counting::live()
}

#[test]
fn every_allocation_that_can_be_refused_is_refused_once() {
    let script = script();
    let reference = reference(&script);
    // Made beforehand, so as not to be counted among what lives.
    let mut met = Vec::with_capacity(100_000);
    // Once to warm up what a process makes once.
    run(&script, &reference, 0);
    let live = live_at_rest(None);
    for nth in 1.. {
        let Some(how) = run(&script, &reference, nth) else { break };
        met.push(how);
        assert_eq!(live_at_rest(Some(live)), live, "allocations are lost when {nth} fails");
    }
    let mut times: BTreeMap<(&str, u32, Met), usize> = BTreeMap::new();
    met.iter().for_each(|(place, how)| *times.entry((place.file(), place.line(), *how)).or_default() += 1);
    for ((file, line, how), times) in &times {
        println!("{:40} {:14} {times:6}", format!("{file}:{line}"), format!("{how:?}"));
    }
    let places: BTreeSet<_> = times.keys().map(|(file, line, _)| (file, line)).collect();
    let (failed, places, calls) = (met.len(), places.len(), script.len());
    println!("{failed} allocations failed, one a run, at {places} places; {calls} calls in each run");
    assert!(failed > 500, "{failed} are too few: the script makes more");
}
