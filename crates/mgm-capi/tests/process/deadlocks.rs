//! A callback and a hook that run at the same time, each of which calls a function that may wait for the other.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;
use std::ffi::c_void;
use std::ptr::null;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The client that has the callback.
static CLIENT: AtomicU64 = AtomicU64::new(0);
static IN_CALLBACK: AtomicU32 = AtomicU32::new(0);
static IN_HOOK: AtomicU32 = AtomicU32::new(0);
/// The codes that the calls from inside the callback and the hook have returned.
static CODES: Mutex<Vec<DWORD>> = Mutex::new(Vec::new());

/// What the callback, and what the hook, calls once both are running.
struct Calls {
    callback: fn() -> DWORD,
    hook: fn() -> DWORD,
}

static CALLS: Mutex<Option<Calls>> = Mutex::new(None);

fn call(which: fn(&Calls) -> fn() -> DWORD) {
    let call = which(CALLS.lock().unwrap().as_ref().unwrap());
    let code = call();
    CODES.lock().unwrap().push(code);
}

unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
    IN_CALLBACK.store(1, Ordering::SeqCst);
    wait_until(|| IN_HOOK.load(Ordering::SeqCst) == 1);
    call(|calls| calls.callback);
    NO_ERROR
}

unsafe extern "C" fn changed(_: *mut c_void, _: *const MGM_EXT_FLOW) {
    if IN_HOOK.swap(1, Ordering::SeqCst) == 0 {
        wait_until(|| IN_CALLBACK.load(Ordering::SeqCst) == 1);
        call(|calls| calls.hook);
    }
}

/// Waits until the other of the two has returned from its call.
fn wait_for_the_other() -> DWORD {
    wait_until(|| !CODES.lock().unwrap().is_empty());
    NO_ERROR
}

fn without_hooks() -> DWORD {
    c!(MgmExtSetHooks(null()))
}

fn deregister_client() -> DWORD {
    MgmDeRegisterMProtocol(handle_from(CLIENT.load(Ordering::SeqCst)))
}

fn stop() -> DWORD {
    MgmDeInitialize()
}

/// Lets the callback and the hook run at the same time, and returns the codes of their calls.
fn codes_of(calls: Calls) -> Vec<DWORD> {
    *CALLS.lock().unwrap() = Some(calls);
    let stage = Stage::new();
    let config = ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback: Some(joined), ..no_callbacks() };
    CLIENT.store(register(PROTOCOL, 1, config).addr() as u64, Ordering::SeqCst);
    let hooks = MGM_EXT_HOOKS { pfnEntryChanged: Some(changed), ..no_hooks() };
    assert_eq!(c!(MgmExtSetHooks(&raw const hooks)), NO_ERROR);
    let other = stage.client.addr() as u64;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            MgmAddGroupMembershipEntry(handle_from(other), 0, 0, ip(239, 9, 9, 9), ONES, LAN, 0, 1)
        });
        scope.spawn(|| {
            wait_until(|| IN_CALLBACK.load(Ordering::SeqCst) == 1);
            // An error if the hook has stopped the manager by then.
            new_flow(SOURCE, GROUP);
        });
    });
    wait_until(|| CODES.lock().unwrap().len() == 2);
    std::mem::take(&mut *CODES.lock().unwrap())
}

#[test]
fn setting_hooks_and_deregistering_do_not_wait_inside() {
    alone("deadlocks::setting_hooks_and_deregistering_do_not_wait_inside", || {
        let calls = Calls { callback: without_hooks, hook: deregister_client };
        assert_eq!(codes_of(calls), [NO_ERROR; 2]);
    });
}

#[test]
fn a_stop_from_a_callback_does_not_wait_for_a_hook() {
    alone("deadlocks::a_stop_from_a_callback_does_not_wait_for_a_hook", || {
        assert_eq!(codes_of(Calls { callback: stop, hook: wait_for_the_other }), [NO_ERROR; 2]);
    });
}

#[test]
fn a_stop_from_a_hook_does_not_wait_for_a_callback() {
    alone("deadlocks::a_stop_from_a_hook_does_not_wait_for_a_callback", || {
        assert_eq!(codes_of(Calls { callback: wait_for_the_other, hook: stop }), [NO_ERROR; 2]);
    });
}

#[test]
fn setting_hooks_in_a_hook_does_not_wait_for_the_service() {
    alone("deadlocks::setting_hooks_in_a_hook_does_not_wait_for_the_service", || {
        assert_eq!(codes_of(Calls { callback: deregister_client, hook: without_hooks }), [NO_ERROR; 2]);
    });
}
