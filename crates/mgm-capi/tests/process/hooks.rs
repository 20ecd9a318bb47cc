//! Hooks that several threads set at once.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;
use std::ffi::c_void;
use std::ptr::null;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::scope;

static ASKED: AtomicBool = AtomicBool::new(false);
/// The source of the flow that the tests make an entry of.
static EXPECTED: AtomicU32 = AtomicU32::new(0);
static REPORTED: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn no_route(_: *mut c_void, _: *const MGM_EXT_ADDRESS, _: PMGM_EXT_PATH) -> BOOL {
    ASKED.store(true, Ordering::SeqCst);
    0
}

unsafe extern "C" fn changed(_: *mut c_void, reported: *const MGM_EXT_FLOW) {
    // SAFETY: the library passes null or a pointer to a local.
    let reported = unsafe { reported.as_ref() };
    if reported.is_none_or(|reported| *reported == flow(EXPECTED.load(Ordering::SeqCst), GROUP)) {
        REPORTED.store(true, Ordering::SeqCst);
    }
}

#[test]
fn hooks_that_are_asked_for_routes_are_told_of_entries() {
    alone("hooks::hooks_that_are_asked_for_routes_are_told_of_entries", || {
        // The default limits: more entries than rounds.
        assert_eq!(MgmInitialize(), NO_ERROR);
        let both = Barrier::new(2);
        let mut present = 0;
        for round in 0..2000_u32 {
            scope(|scope| {
                scope.spawn(|| {
                    let hooks = MGM_EXT_HOOKS {
                        pfnRouteLookup: Some(no_route),
                        pfnEntryChanged: Some(changed),
                        ..no_hooks()
                    };
                    both.wait();
                    assert_eq!(c!(MgmExtSetHooks(&raw const hooks)), NO_ERROR);
                });
                scope.spawn(|| {
                    both.wait();
                    assert_eq!(c!(MgmExtSetHooks(null())), NO_ERROR);
                });
            });
            let source = u32::to_be(0x0A00_0001 + round);
            EXPECTED.store(source, Ordering::SeqCst);
            ASKED.store(false, Ordering::SeqCst);
            REPORTED.store(false, Ordering::SeqCst);
            assert_eq!(new_flow(source, GROUP), NO_ERROR);
            if ASKED.load(Ordering::SeqCst) {
                present += 1;
                wait_until(|| REPORTED.load(Ordering::SeqCst));
            }
        }
        assert!(present > 100, "the hooks were there in {present} rounds only");
    });
}
