//! The hooks of a forwarding plane: when they run, and when they do not run any more.

use crate::stage::*;
use mgm_capi::*;
use std::ffi::c_void;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

unsafe extern "C" fn no_route(
    _context: *mut c_void,
    _source: *const MGM_EXT_ADDRESS,
    _path: PMGM_EXT_PATH,
) -> BOOL {
    0
}

fn set(changed: PMGM_EXT_ENTRY_CHANGED) -> DWORD {
    let hooks = MGM_EXT_HOOKS {
        pvContext: std::ptr::null_mut(),
        pfnRouteLookup: Some(no_route),
        pfnEntryChanged: changed,
    };
    c!(MgmExtSetHooks(&raw const hooks))
}

#[test]
fn replaced_hooks_have_ended_when_the_call_returns() {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    static LEFT: AtomicBool = AtomicBool::new(false);
    unsafe extern "C" fn slow(_context: *mut c_void, _flow: *const MGM_EXT_FLOW) {
        INSIDE.store(true, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(50));
        LEFT.store(true, Ordering::SeqCst);
    }
    let _stage = Stage::new();
    assert_eq!(set(Some(slow)), NO_ERROR);
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    wait_until(|| INSIDE.load(Ordering::SeqCst));
    assert_eq!(c!(MgmExtSetHooks(null())), NO_ERROR);
    assert!(LEFT.load(Ordering::SeqCst));
}

#[test]
fn a_hook_can_replace_the_hooks() {
    static CODE: AtomicU32 = AtomicU32::new(DWORD::MAX);
    unsafe extern "C" fn replace(_context: *mut c_void, flow: *const MGM_EXT_FLOW) {
        assert!(!flow.is_null());
        CODE.store(set(None), Ordering::SeqCst);
    }
    let _stage = Stage::new();
    assert_eq!(set(Some(replace)), NO_ERROR);
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    wait_until(|| CODE.load(Ordering::SeqCst) != DWORD::MAX);
    assert_eq!(CODE.load(Ordering::SeqCst), NO_ERROR);
}

#[test]
fn each_changed_entry_is_reported() {
    static REPORTED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn count(_context: *mut c_void, _flow: *const MGM_EXT_FLOW) {
        REPORTED.fetch_add(1, Ordering::SeqCst);
    }
    let _stage = Stage::new();
    assert_eq!(set(Some(count)), NO_ERROR);
    for n in 1..=9 {
        assert_eq!(new_flow(ip(10, 0, 0, n), GROUP), NO_ERROR);
    }
    wait_until(|| REPORTED.load(Ordering::SeqCst) >= 9);
}
