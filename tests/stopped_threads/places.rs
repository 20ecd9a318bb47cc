//! The places of interfaces, while a take is stopped.

use crate::support::router::{Router, v4};
use crate::{ONE_AT_A_TIME, Resume, TIMEOUT};
use mgm::fault_points::manager::{INTERFACE_LEAVING, INTERFACE_UNLISTED, TAKE_READ};
use mgm::faults::{self, Point, Stop};
use mgm::handle::Handle;
use mgm::manager::{GroupManager, ManagerConfig, NoOwner, Protocol, TakeError};
use std::sync::PoisonError;
use std::thread;

/// A manager with one place for an interface, and two clients.
fn scene() -> (Router, Handle, Handle) {
    let router = Router::with(ManagerConfig::default().with_interfaces(1));
    let (one, other) = (router.client(1, &[]), router.client(2, &[]));
    (router, one, other)
}

/// Stops a take of interface 1 at a point, runs `meanwhile`, and returns the take's answer.
fn take_around(
    manager: &GroupManager,
    client: Handle,
    at: Point,
    meanwhile: impl FnOnce(),
) -> Result<(), TakeError> {
    let stop = Stop::at(at);
    thread::scope(|scope| {
        let _stopped = Resume(vec![stop.clone()]);
        let taking = scope.spawn(|| {
            stop.here();
            let taken = manager.take(client, v4(1));
            faults::clear();
            taken
        });
        assert!(stop.wait(TIMEOUT), "the take comes to {at:?}");
        meanwhile();
        stop.go_on();
        taking.join().unwrap()
    })
}

#[test]
fn a_take_that_fails_costs_no_other_take_its_place() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (router, one, other) = scene();
    let manager = &router.manager;
    let taken = take_around(manager, one, INTERFACE_UNLISTED, || manager.deregister(one).unwrap());
    assert_eq!(taken, Err(TakeError::Stale));
    assert_eq!(manager.owner_of(v4(1)), Err(NoOwner(v4(1))));
    assert_eq!(manager.take(other, v4(2)), Ok(()));
}

/// The place of interface 1 is interface 2's when the take goes on, and without an owner.
#[test]
fn a_take_claims_no_place_that_has_another_name_by_now() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for owned in [false, true] {
        let (router, one, other) = scene();
        let manager = &router.manager;
        manager.take(one, v4(1)).unwrap();
        manager.release(one, v4(1)).unwrap();
        let taken = take_around(manager, one, TAKE_READ, || {
            manager.take(other, v4(2)).unwrap();
            if !owned {
                manager.release(other, v4(2)).unwrap();
            }
        });
        if owned {
            assert_eq!(taken, Err(TakeError::TooManyInterfaces(1)));
            assert_eq!(
                manager.owner_of(v4(2)),
                Ok(Protocol::new(2, 0)),
                "the take claimed another interface"
            );
            assert_eq!(manager.owner_of(v4(1)), Err(NoOwner(v4(1))));
        } else {
            assert_eq!(manager.owner_of(v4(2)), Err(NoOwner(v4(2))), "the take claimed another interface");
            assert_eq!(taken, Ok(()));
            assert_eq!(manager.owner_of(v4(1)), Ok(Protocol::new(1, 0)));
        }
    }
}

/// The interface that is about to lose its place is taken first: the other take finds no place.
#[test]
fn an_interface_that_is_taken_meanwhile_keeps_its_place() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (router, one, other) = scene();
    let manager = &router.manager;
    manager.take(other, v4(2)).unwrap();
    manager.release(other, v4(2)).unwrap();
    let stop = Stop::at(TAKE_READ);
    thread::scope(|scope| {
        let _stopped = Resume(vec![stop.clone()]);
        // Has read the owner word before the place is marked, and claims it afterwards.
        let taking = scope.spawn(|| {
            stop.here();
            let taken = manager.take(other, v4(2));
            faults::clear();
            taken
        });
        assert!(stop.wait(TIMEOUT));
        let taken = take_around(manager, one, INTERFACE_LEAVING, || {
            stop.go_on();
            crate::wait_until("a take", || manager.owner_of(v4(2)).is_ok());
        });
        assert_eq!(taken, Err(TakeError::TooManyInterfaces(1)));
        assert_eq!(taking.join().unwrap(), Ok(()));
    });
    assert_eq!(manager.owner_of(v4(2)), Ok(Protocol::new(2, 0)));
}
