//! Stops of the manager while other threads register, deregister and set hooks.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{scope, sleep, yield_now};
use std::time::Duration;

/// Threads inside the callback.
static INSIDE: AtomicU32 = AtomicU32::new(0);
static CALLED: AtomicU32 = AtomicU32::new(0);

/// Lasts as long as a thread switch.
unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    CALLED.fetch_add(1, Ordering::SeqCst);
    yield_now();
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    NO_ERROR
}

/// Stops the manager, and starts it again. Returns whether no registration has started it in between; then no callback
/// may have been running.
fn stop_and_start() -> bool {
    // Those that have begun go on, and meet the stop.
    MAY_REGISTER.store(false, Ordering::SeqCst);
    assert_eq!(MgmDeInitialize(), NO_ERROR);
    let running = INSIDE.load(Ordering::SeqCst);
    let called = CALLED.load(Ordering::SeqCst);
    sleep(Duration::from_micros(100));
    let late = CALLED.load(Ordering::SeqCst) - called;
    let stopped = MgmInitialize() == NO_ERROR;
    if stopped {
        assert_eq!((running, late), (0, 0), "callbacks were running, or began, after the stop had returned");
    }
    MAY_REGISTER.store(true, Ordering::SeqCst);
    stopped
}

/// Whether registrations may begin.
static MAY_REGISTER: AtomicBool = AtomicBool::new(true);

/// Sets a flag when dropped, during a panic too.
struct End<'e>(&'e AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs a client that joins and leaves a group for ever, and lets two threads do `each` meanwhile; the manager is stopped
/// and started.
fn with_stops(each: fn(DWORD)) {
    assert_eq!(MgmInitialize(), NO_ERROR);
    let mut checked = 0;
    let ends = &AtomicBool::new(false);
    let over = move || ends.load(Ordering::SeqCst);
    scope(|scope| {
        scope.spawn(move || {
            while !over() {
                let (mut config, mut client) = (no_callbacks(), null_mut());
                yield_now();
                if !MAY_REGISTER.load(Ordering::SeqCst) {
                    continue;
                }
                if c!(MgmRegisterMProtocol(&raw mut config, PROTOCOL, 0, &raw mut client)) != NO_ERROR {
                    continue;
                }
                MgmTakeInterfaceOwnership(client, LAN, 0);
                while !over() && MgmAddGroupMembershipEntry(client, 0, 0, GROUP, ONES, LAN, 0, 1) == NO_ERROR
                {
                    MgmDeleteGroupMembershipEntry(client, 0, 0, GROUP, ONES, LAN, 0, 1);
                }
            }
        });
        for component in 1..3 {
            scope.spawn(move || {
                while !over() {
                    if MAY_REGISTER.load(Ordering::SeqCst) {
                        each(component);
                    }
                    yield_now();
                }
            });
        }
        let _end = End(ends);
        // The deadline of the process ends this, too.
        while checked < 100 || CALLED.load(Ordering::SeqCst) < 100 {
            // As long as a few registrations take, so that stops meet some of them half-way.
            sleep(Duration::from_millis(1));
            checked += u32::from(stop_and_start());
        }
    });
    assert_eq!(MgmExtPanics(), 0);
    assert_eq!(MgmDeInitialize(), NO_ERROR);
}

fn register_with_callback(component: DWORD) -> HANDLE {
    let mut config = ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback: Some(joined), ..no_callbacks() };
    let mut client = null_mut();
    let code = c!(MgmRegisterMProtocol(&raw mut config, PROTOCOL, component, &raw mut client));
    assert!(
        [NO_ERROR, ERROR_ALREADY_EXISTS, ERROR_CAN_NOT_COMPLETE, ERROR_NOT_ENOUGH_MEMORY].contains(&code)
    );
    client
}

#[test]
fn no_callback_of_a_registration_outlives_a_stop() {
    alone("stops::no_callback_of_a_registration_outlives_a_stop", || {
        with_stops(|component| {
            register_with_callback(component);
        });
    });
}

#[test]
fn no_callback_of_a_deregistration_outlives_a_stop() {
    alone("stops::no_callback_of_a_deregistration_outlives_a_stop", || {
        with_stops(|component| {
            let client = register_with_callback(component);
            yield_now();
            MgmDeRegisterMProtocol(client);
        });
    });
}

/// A callback that lasts until [`RELEASED`].
unsafe extern "C" fn held(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
    INSIDE.store(1, Ordering::SeqCst);
    wait_until(|| RELEASED.load(Ordering::SeqCst));
    INSIDE.store(0, Ordering::SeqCst);
    NO_ERROR
}

static RELEASED: AtomicBool = AtomicBool::new(false);

fn is_stale(client: u64) -> bool {
    let mut enumeration = null_mut();
    let code = c!(MgmGroupEnumerationStart(handle_from(client), ALL_SOURCES, &raw mut enumeration));
    MgmGroupEnumerationEnd(enumeration);
    code == ERROR_INVALID_PARAMETER
}

#[test]
fn a_stop_waits_for_a_callback_of_a_departing_client() {
    alone("stops::a_stop_waits_for_a_callback_of_a_departing_client", || {
        let stage = Stage::new();
        let config = ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback: Some(held), ..no_callbacks() };
        let (client, other) = (register(PROTOCOL, 1, config).addr() as u64, stage.client.addr() as u64);
        scope(|scope| {
            let add = move || {
                MgmAddGroupMembershipEntry(handle_from(other), 0, 0, ip(239, 9, 9, 9), ONES, LAN, 0, 1)
            };
            scope.spawn(add);
            wait_until(|| INSIDE.load(Ordering::SeqCst) == 1);
            // The client is gone from the manager; this call waits for its callback.
            scope.spawn(move || MgmDeRegisterMProtocol(handle_from(client)));
            wait_until(|| is_stale(client));
            let stopping = scope.spawn(|| {
                assert_eq!(MgmDeInitialize(), NO_ERROR);
                assert_eq!(INSIDE.load(Ordering::SeqCst), 0, "the callback still runs");
            });
            sleep(Duration::from_millis(100));
            assert!(!stopping.is_finished());
            RELEASED.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn a_stop_calls_nobody() {
    static ALERTS: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
        ALERTS.fetch_add(1, Ordering::SeqCst);
        NO_ERROR
    }
    unsafe extern "C" fn pruned(
        _: DWORD,
        _: DWORD,
        _: DWORD,
        _: DWORD,
        _: DWORD,
        _: DWORD,
        _: BOOL,
        _: PDWORD,
    ) -> DWORD {
        ALERTS.fetch_add(100, Ordering::SeqCst);
        NO_ERROR
    }
    unsafe extern "C" fn changing(_: DWORD, _: DWORD) -> DWORD {
        ALERTS.fetch_add(100, Ordering::SeqCst);
        NO_ERROR
    }
    unsafe extern "C" fn changed(_: *mut c_void, _: *const MGM_EXT_FLOW) {
        ALERTS.fetch_add(100, Ordering::SeqCst);
    }
    alone("stops::a_stop_calls_nobody", || {
        let stage = Stage::new();
        let config = ROUTING_PROTOCOL_CONFIG {
            pfnJoinAlertCallback: Some(joined),
            pfnPruneAlertCallback: Some(pruned),
            pfnDisableIgmpCallback: Some(changing),
            pfnEnableIgmpCallback: Some(changing),
            ..no_callbacks()
        };
        for component in 1..4 {
            register(PROTOCOL, component, config);
        }
        let igmp = register(IGMP, 0, config);
        assert_eq!(MgmTakeInterfaceOwnership(igmp, LAN, 0), NO_ERROR);
        assert_eq!(stage.add(0, ip(239, 9, 9, 9), LAN), NO_ERROR);
        assert_eq!(stage.add(0, 0, LAN), NO_ERROR);
        assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
        let hooks = MGM_EXT_HOOKS { pfnEntryChanged: Some(changed), ..no_hooks() };
        assert_eq!(c!(MgmExtSetHooks(&raw const hooks)), NO_ERROR);
        let before = ALERTS.load(Ordering::SeqCst);
        assert!(before > 0);
        assert_eq!(MgmDeInitialize(), NO_ERROR);
        sleep(Duration::from_millis(50));
        assert_eq!(ALERTS.load(Ordering::SeqCst), before);
    });
}

#[test]
fn hooks_do_not_outlive_the_stop_that_they_met() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn asked(_: *mut c_void, _: *const MGM_EXT_ADDRESS, _: PMGM_EXT_PATH) -> BOOL {
        ASKED.fetch_add(1, Ordering::SeqCst);
        0
    }
    alone("stops::hooks_do_not_outlive_the_stop_that_they_met", || {
        for round in 0..100_u32 {
            initialize();
            let code = scope(|scope| {
                let setting = scope.spawn(|| {
                    let hooks = MGM_EXT_HOOKS { pfnRouteLookup: Some(asked), ..no_hooks() };
                    c!(MgmExtSetHooks(&raw const hooks))
                });
                for _ in 0..round % 40 {
                    yield_now();
                }
                assert_eq!(MgmDeInitialize(), NO_ERROR);
                setting.join().unwrap()
            });
            assert!([NO_ERROR, ERROR_CAN_NOT_COMPLETE].contains(&code));
            // Setting them may have started the manager again. Otherwise this start has no hooks.
            let running = MgmInitialize() == ERROR_ALREADY_EXISTS;
            ASKED.store(0, Ordering::SeqCst);
            assert_eq!(c!(MgmExtRoutesChanged(null(), 0)), NO_ERROR);
            assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
            assert!(running || ASKED.load(Ordering::SeqCst) == 0, "round {round}: {code}");
            assert_eq!(MgmDeInitialize(), NO_ERROR);
        }
    });
}
