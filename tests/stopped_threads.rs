//! Whoever is stopped, wherever, and for ever: the others go on, and need no memory to.
//!
//! `cargo test --features faults --test stopped_threads -- --nocapture` prints the table.

#![cfg(mgm_instrumented)]

mod common;
mod counting;
#[path = "stopped/others.rs"]
mod others;
#[path = "stopped/stage.rs"]
mod stage;

use mgm::fault_points;
use mgm::faults::{self, Point, Stop};
use mgm::forwarding::{NewEntry, PublishError};
use mgm::handle::{ClaimError, HandleTable, RetireError};
use mgm::manager::{GroupManager, Interface, MembershipError, NoOwner, StateChange};
use others::{Done, Other};
use stage::{HEIR, OTHERS, Stage, has_locked_names, has_the_membership_lock, ways};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// For failures only: nothing is measured against it.
const LONG: Duration = Duration::from_secs(120);

/// A pinned thread of one test would hold back what another waits for: the epoch is the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whatever happens to a test, no thread of it stays stopped: it would never end.
struct GoOn(Vec<Arc<Stop>>);

impl Drop for GoOn {
    fn drop(&mut self) {
        self.0.iter().for_each(|stop| stop.go_on());
    }
}

#[track_caller]
fn wait_until(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < until, "it never came about: {what}");
        thread::yield_now();
    }
}

#[test]
fn whoever_is_stopped_at_any_point_the_others_finish_without_memory() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{:22} {:>10} {:>11} {:>12}  of a thread stopped with",
        "point", "operations", "allocations", "longest wait"
    );
    let mut all = Done::default();
    for point in fault_points::all() {
        let done = stopped_at(point);
        println!(
            "{:22} {:>10} {:>11} {:>9.1} us  {} ({})",
            format!("{point:?}"),
            done.operations,
            done.allocations,
            done.longest.as_secs_f64() * 1e6,
            point.state(),
            done.longest_of,
        );
        assert_eq!(done.allocations, 0, "while a thread is stopped at {point:?}");
        all = all.and(done);
    }
    println!(
        "{} points, {} operations, {} allocations, longest wait {:.1} us ({})",
        fault_points::all().count(),
        all.operations,
        all.allocations,
        all.longest.as_secs_f64() * 1e6,
        all.longest_of
    );
}

/// Has a thread stop there for as long as others do everything many times.
fn stopped_at(point: Point) -> Done {
    let stage = Stage::new();
    let (ready, begin) = (Barrier::new(OTHERS + 1), Barrier::new(OTHERS + 1));
    let leave = !has_locked_names(point);
    let done = thread::scope(|scope| {
        let (report, reports) = channel();
        for own in &stage.own {
            let (stage, ready, begin, report) = (&stage, &ready, &begin, report.clone());
            scope.spawn(move || {
                let mut other = Other::new(stage, own);
                ready.wait();
                begin.wait();
                // Before its hands are given back, which may take a lock.
                _ = report.send(other.work(leave));
            });
        }
        drop(report);
        ready.wait();
        let mut stopped = GoOn(Vec::new());
        for (at, way) in ways(point) {
            let stop = Stop::at(at);
            stopped.0.push(stop.clone());
            let (stage, stopping) = (&stage, stop.clone());
            scope.spawn(move || {
                stopping.here();
                let until = Instant::now() + LONG;
                while !stopping.is_reached() && Instant::now() < until {
                    way(stage);
                }
                faults::clear();
            });
            if !stop.wait(LONG) {
                begin.wait();
                panic!("no thread came to {at:?}");
            }
        }
        begin.wait();
        let mut done = Done::default();
        for _ in 0..OTHERS {
            done =
                done.and(reports.recv_timeout(LONG).unwrap_or_else(|_| panic!("others wait for {point:?}")));
        }
        effects_are_seen_though_what_follows_may_wait(&stage, point, scope);
        done
    });
    what_was_held_back_is_free_again(&stage);
    done
}

/// An interface that memberships and entries hang on is released, and another client takes it; clients leave.
fn effects_are_seen_though_what_follows_may_wait<'s>(
    stage: &'s Stage,
    point: Point,
    scope: &'s thread::Scope<'s, '_>,
) {
    let manager = &stage.manager;
    let releasing = scope.spawn(|| manager.release(stage.owner, stage.mentioned).unwrap());
    wait_until("a release", || manager.owner_of(stage.mentioned) == Err(NoOwner(stage.mentioned)));
    assert_eq!(forwarded(stage), 0, "swept or not");
    let taking = scope.spawn(|| manager.take(stage.heir, stage.mentioned).unwrap());
    wait_until("a take", || manager.owner_of(stage.mentioned) == Ok(HEIR));
    if has_the_membership_lock(point) {
        assert!(!releasing.is_finished(), "its sweep needs the lock that {point:?} has");
    } else {
        wait_until("the sweep of a release", || releasing.is_finished() || has_a_lock_of_the_tables(point));
        wait_until("the sweep of a take", || taking.is_finished() || has_a_lock_of_the_tables(point));
    }
    if has_locked_names(point) {
        for client in stage.own.iter().flat_map(|own| &own.leaving) {
            scope.spawn(|| manager.deregister(*client).unwrap());
            wait_until("a deregistration", || manager.protocol_of(*client).is_none());
        }
    }
}

/// To how many interfaces packets of a flow go that the released one alone has receivers of.
fn forwarded(stage: &Stage) -> usize {
    let forwarding = stage.manager.forwarding_table();
    let mut reader = forwarding.reader();
    reader.lookup(&stage.flows[0]).map_or(0, |entry| entry.live_outgoing().count())
}

/// Entries are withdrawn, and numbers opened, under locks of the forwarding table's.
fn has_a_lock_of_the_tables(point: Point) -> bool {
    fault_points::forwarding::ALL.contains(&point) && point != fault_points::forwarding::COUNTS_HALF_CLEARED
}

/// Once nobody is stopped any more, nothing is lost: all objects that are gone are forgotten.
fn what_was_held_back_is_free_again(stage: &Stage) {
    wait_until("an empty limbo", || stage.table.reclaim() == 0);
    for own in &stage.own {
        assert_eq!(stage.table.check_and_retire(own.object), Ok(()));
    }
    let manager = &stage.manager;
    assert_eq!(manager.owner_of(stage.mentioned), Ok(HEIR));
    let leaving = stage.own.iter().flat_map(|own| &own.leaving);
    assert!(leaving.into_iter().all(|client| manager.protocol_of(*client).is_none()));
    assert_eq!(manager.memberships(), []);
}

/// A reader that does not move holds back slots, at most as many as the table has. Then it is full, and all else goes on.
#[test]
fn a_stalled_reader_costs_slots_and_nothing_else() {
    const CAPACITY: u32 = 300;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let table = HandleTable::with_claims(CAPACITY).unwrap();
    let (kept, owner) = (table.insert(0).unwrap(), table.new_resource().unwrap());
    let mut stalled = table.reader();
    let seen = stalled.get(kept).unwrap();
    let mut held_back = 0;
    while let Ok(handle) = table.insert(1) {
        assert_eq!(table.check_and_retire(handle), Ok(()));
        held_back += 1;
    }
    assert_eq!(held_back, CAPACITY - 1, "all but the one that is live");
    assert_eq!(table.reclaim() as u32, held_back);
    let mut reader = table.reader();
    for _ in 0..1000 {
        assert!(table.insert(2).is_err());
        assert!(table.claim(kept, owner).is_ok());
        assert_eq!(table.claim(kept, owner), Err(ClaimError::Owned(kept)));
        assert_eq!((table.owner_of(owner), table.validate(kept)), (Some(kept), true));
        assert_eq!(table.check_and_retire(kept), Err(RetireError::StillOwns(1)));
        assert!(table.release(kept, owner).is_ok());
        assert_eq!(reader.get(kept), Some(&0));
    }
    assert_eq!(table.check_and_retire(kept), Ok(()));
    assert_eq!(
        (*seen, reader.get(kept)),
        (0, None),
        "what it has found it keeps, and nobody finds it any more"
    );
    stalled.park();
    drop(reader);
    wait_until("room", || table.insert(3).is_ok());
    wait_until("an empty limbo", || table.reclaim() == 0);
}

#[test]
fn a_stalled_burst_holds_entries_back_and_look_ups_and_withdrawals_go_on() {
    const CAPACITY: u32 = 64;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let config = mgm::manager::ManagerConfig::default().with_entries(CAPACITY);
    let manager = GroupManager::new(config, Arc::new(|_| None)).unwrap();
    let forwarding = manager.forwarding_table();
    let (kept, other) = (common::flow("192.0.2.1 239.1.1.1"), common::flow("192.0.2.2 239.1.1.1"));
    let number = forwarding.alloc_counter().unwrap();
    let entry = |flow| NewEntry::new(flow, number, None, &[]);
    forwarding.publish(entry(kept)).unwrap();
    let mut stalled = forwarding.reader();
    let found = stalled.lookup(&kept).unwrap();
    let mut replaced = 0;
    while forwarding.replace(entry(kept)).is_ok() {
        replaced += 1;
    }
    assert!(replaced >= CAPACITY / 4, "{replaced} were held back");
    assert_eq!(forwarding.publish(entry(other)), Err(PublishError::Full(CAPACITY)));
    let mut reader = forwarding.reader();
    assert!(reader.lookup(&kept).is_some() && reader.lookup(&other).is_none());
    assert!(forwarding.withdraw(&kept) && reader.lookup(&kept).is_none());
    // Where entries find no room, memberships and ownership go on.
    let client = manager.register(mgm::manager::Protocol::new(1, 0), Arc::new(())).unwrap();
    manager.take(client, Interface::v4(1)).unwrap();
    manager.release(client, Interface::v4(1)).unwrap();
    manager.deregister(client).unwrap();
    assert_eq!(found.flow(), kept);
    stalled.park();
    reader.park();
    wait_until("room", || forwarding.publish(entry(other)).is_ok());
}

/// A thread that makes a flow's entry tells the owner of its way in, and so may be the one who is at IGMP's outbox when a
/// routing protocol takes an interface of IGMP's. The taking does not wait; IGMP cannot add there until it is told.
#[test]
fn igmp_has_to_wait_for_whoever_is_stopped_with_a_notice_of_its_and_nobody_else_has_to() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let router = common::Router::new();
    let (igmp, p) = (router.igmp(&[1, 2]), router.client(1, &[3]));
    let stop = Stop::at(fault_points::manager::NOTICE_DEQUEUED);
    thread::scope(|scope| {
        let _stopped = GoOn(vec![stop.clone()]);
        let making = scope.spawn(|| {
            stop.here();
            let made = router.new_flow("192.0.2.7 239.1.1.1");
            faults::clear();
            made
        });
        assert!(stop.wait(LONG), "a negative entry is told to the owner of its way in");
        router.manager.take(p, common::v4(1)).unwrap();
        router.manager.take(p, common::v4(2)).unwrap();
        for n in [1, 2] {
            let refused = router.add(igmp, n, "* 239.1.1.1", StateChange::Join);
            assert_eq!(refused, Err(MembershipError::ChangingHands(common::v4(n))));
        }
        router.join(p, 2, "* 239.1.1.1");
        assert!(!making.is_finished());
        stop.go_on();
        assert!(making.join().unwrap().is_ok());
    });
    [1, 2].into_iter().for_each(|n| router.join(igmp, n, "* 239.1.1.1"));
}

/// The same seed stops a thread at the same of its points.
#[test]
fn random_stops_follow_their_seed() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::new();
    thread::scope(|scope| {
        for seed in 0..3 {
            let stage = &stage;
            scope.spawn(move || {
                faults::stop_at_random(seed);
                for _ in 0..300 {
                    _ = stage.table.claim(stage.own[0].object, stage.contested);
                    _ = stage.table.release(stage.own[0].object, stage.contested);
                }
                faults::clear();
            });
        }
    });
    assert_eq!(stage.table.owner_of(stage.contested), None);
    assert_eq!(stage.table.check_and_retire(stage.own[0].object), Ok(()));
}
