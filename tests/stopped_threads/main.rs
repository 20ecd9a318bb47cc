//! A thread is stopped at each fault point, for ever: all other threads continue, and need no memory for it.
//!
//! A binary of its own: a stopped thread stays pinned and so holds back reclamation in the whole process, the
//! fault points are the process's, and a global allocator counts allocations.
//!
//! `verify/instrumented test --test stopped_threads -- --nocapture` prints the table.

#![cfg(mgm_instrumented)]

#[path = "../support/counting_allocator.rs"]
mod counting_allocator;
mod fixture;
mod peers;
mod places;
#[path = "../support/mod.rs"]
mod support;

use fixture::{
    Fixture, NEXT_OWNER, OTHERS, delays_deregistrations, holds_the_membership_lock, holds_the_turn_to_insert,
    steps_to,
};
use mgm::fault_points;
use mgm::fault_points::manager::INTERFACE_LEAVING;
use mgm::faults::{self, Point, Stop};
use mgm::manager::{MembershipError, NoOwner, StateChange};
use peers::{Done, Peer};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Limits the waiting of tests that fail; no test measures time against it.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Runs one test at a time: the epoch is the process's, so a thread pinned by one test would hold back
/// another test.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Lets stopped threads continue when a test ends, by a panic too.
struct Resume(Vec<Arc<Stop>>);

impl Drop for Resume {
    fn drop(&mut self) {
        self.0.iter().for_each(|stop| stop.go_on());
    }
}

#[track_caller]
fn wait_until(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + TIMEOUT;
    while !is() {
        assert!(Instant::now() < until, "timed out: {what}");
        thread::yield_now();
    }
}

#[test]
fn the_others_finish_without_memory_wherever_one_is_stopped() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{:22} {:>10} {:>11} {:>12}  of a thread stopped with",
        "point", "operations", "allocations", "longest wait"
    );
    let mut all = Done::default();
    // A take of the interface that is losing its place waits for the stopped thread: `places.rs` has that point.
    for point in fault_points::all().filter(|point| *point != INTERFACE_LEAVING) {
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

/// Stops a thread at a point while the others run every operation many times.
fn stopped_at(point: Point) -> Done {
    let fixture = Fixture::new();
    let (ready, begin) = (Barrier::new(OTHERS + 1), Barrier::new(OTHERS + 1));
    let (insert, leave) = (!holds_the_turn_to_insert(point), !delays_deregistrations(point));
    let done = thread::scope(|scope| {
        let (report, reports) = channel();
        for own in &fixture.own {
            let (fixture, ready, begin, report) = (&fixture, &ready, &begin, report.clone());
            scope.spawn(move || {
                let mut peer = Peer::new(fixture, own);
                ready.wait();
                begin.wait();
                // Reports before its readers are dropped, which may take a lock.
                _ = report.send(peer.work(insert, leave));
            });
        }
        drop(report);
        ready.wait();
        let mut stopped = Resume(Vec::new());
        for (at, step) in steps_to(point) {
            let stop = Stop::at(at);
            stopped.0.push(stop.clone());
            let (fixture, stopping) = (&fixture, stop.clone());
            scope.spawn(move || {
                stopping.here();
                let until = Instant::now() + TIMEOUT;
                while !stopping.is_reached() && Instant::now() < until {
                    step(fixture);
                }
                faults::clear();
            });
            if !stop.wait(TIMEOUT) {
                begin.wait();
                panic!("no thread came to {at:?}");
            }
        }
        begin.wait();
        let mut done = Done::default();
        for _ in 0..OTHERS {
            done = done.and(
                reports
                    .recv_timeout(TIMEOUT)
                    .unwrap_or_else(|_| panic!("others wait for the thread stopped at {point:?}")),
            );
        }
        check_that_effects_are_immediate(&fixture, point, scope);
        done
    });
    check_that_everything_is_reclaimed(&fixture);
    done
}

/// Releases an interface that memberships and entries depend on, takes it for another client, and deregisters
/// clients. The effects must be visible at once, though the sweeps may wait.
fn check_that_effects_are_immediate<'s>(
    fixture: &'s Fixture,
    point: Point,
    scope: &'s thread::Scope<'s, '_>,
) {
    let manager = &fixture.manager;
    let releasing = scope.spawn(|| manager.release(fixture.owner, fixture.referenced).unwrap());
    wait_until("a release", || manager.owner_of(fixture.referenced) == Err(NoOwner(fixture.referenced)));
    assert_eq!(forwarded(fixture), 0, "before or after the sweep");
    let taking = scope.spawn(|| manager.take(fixture.next_owner, fixture.referenced).unwrap());
    wait_until("a take", || manager.owner_of(fixture.referenced) == Ok(NEXT_OWNER));
    if holds_the_membership_lock(point) {
        assert!(!releasing.is_finished(), "its sweep needs the lock that {point:?} has");
    } else {
        wait_until("the sweep of a release", || {
            releasing.is_finished() || holds_a_lock_of_the_forwarding_table(point)
        });
        wait_until("the sweep of a take", || {
            taking.is_finished() || holds_a_lock_of_the_forwarding_table(point)
        });
    }
    if delays_deregistrations(point) {
        for client in fixture.own.iter().flat_map(|own| &own.leaving) {
            scope.spawn(|| manager.deregister(*client).unwrap());
            wait_until("a deregistration", || manager.protocol_of(*client).is_none());
        }
    }
}

/// Returns the number of interfaces to which packets of a flow go; the released one alone has receivers of
/// it.
fn forwarded(fixture: &Fixture) -> usize {
    let forwarding = fixture.manager.forwarding_table();
    let mut reader = forwarding.reader();
    reader.lookup(&fixture.flows[0]).map_or(0, |entry| entry.live_outgoing().count())
}

/// Entries are withdrawn, and counters allocated, under locks of the forwarding table.
fn holds_a_lock_of_the_forwarding_table(point: Point) -> bool {
    fault_points::forwarding::ALL.contains(&point) && point != fault_points::forwarding::COUNTS_HALF_CLEARED
}

/// Once no thread is stopped, nothing is lost: all retired slots are reclaimed.
fn check_that_everything_is_reclaimed(fixture: &Fixture) {
    wait_until("an empty limbo", || fixture.table.reclaim() == 0);
    for own in &fixture.own {
        assert!(fixture.table.check_and_retire(own.object).is_ok());
    }
    let manager = &fixture.manager;
    assert_eq!(manager.owner_of(fixture.referenced), Ok(NEXT_OWNER));
    let leaving = fixture.own.iter().flat_map(|own| &own.leaving);
    assert!(leaving.into_iter().all(|client| manager.protocol_of(*client).is_none()));
    assert_eq!(manager.memberships(), []);
}

/// A thread that creates an entry notifies the owner of its incoming interface, so it may be delivering
/// IGMP's outbox when a routing protocol takes an interface of IGMP. The take does not wait; IGMP cannot add
/// memberships there until it is notified.
#[test]
fn only_igmp_waits_for_a_thread_stopped_with_its_notice() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let router = crate::support::router::Router::new();
    let (igmp, p) = (router.igmp(&[1, 2]), router.client(1, &[3]));
    let stop = Stop::at(fault_points::manager::NOTICE_DEQUEUED);
    thread::scope(|scope| {
        let _stopped = Resume(vec![stop.clone()]);
        let creating = scope.spawn(|| {
            stop.here();
            let made = router.new_flow("192.0.2.7 239.1.1.1");
            faults::clear();
            made
        });
        assert!(stop.wait(TIMEOUT), "the owner of the incoming interface is notified");
        router.manager.take(p, crate::support::router::v4(1)).unwrap();
        router.manager.take(p, crate::support::router::v4(2)).unwrap();
        for n in [1, 2] {
            let refused = router.add(igmp, n, "* 239.1.1.1", StateChange::Join);
            assert_eq!(refused, Err(MembershipError::ChangingHands(crate::support::router::v4(n))));
        }
        router.join(p, 2, "* 239.1.1.1");
        assert!(!creating.is_finished());
        stop.go_on();
        assert!(creating.join().unwrap().is_ok());
    });
    [1, 2].into_iter().for_each(|n| router.join(igmp, n, "* 239.1.1.1"));
}

/// The same seed stops a thread at the same of its fault points.
#[test]
fn random_stops_follow_their_seed() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::new();
    thread::scope(|scope| {
        for seed in 0..3 {
            let fixture = &fixture;
            scope.spawn(move || {
                faults::stop_at_random(seed);
                for _ in 0..300 {
                    _ = fixture.table.claim(fixture.own[0].object, fixture.contested);
                    _ = fixture.table.release(fixture.own[0].object, fixture.contested);
                }
                faults::clear();
            });
        }
    });
    assert_eq!(fixture.table.owner_of(fixture.contested), None);
    assert!(fixture.table.check_and_retire(fixture.own[0].object).is_ok());
}
