//! Children of fork.

use crate::alone;
use crate::stage::*;
use mgm_capi::*;
use std::ptr::{null, null_mut};

/// Runs `child` in a child of this process, which has a deadline of its own.
fn in_child(child: impl FnOnce()) {
    // SAFETY: the child continues on this thread alone; what it uses of the C library is safe there.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: no pointers. The signal ends the child if it waits for ever.
            unsafe { libc::alarm(30) };
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).is_err();
            // SAFETY: ends the child without the destructors of the parent.
            unsafe { libc::_exit(failed.into()) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the pointer leads to a local.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert!(
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
                "the child ended with {status:x}"
            );
        }
    }
}

/// Calls every function that needs a running manager, and returns the codes.
fn codes(handle: HANDLE) -> Vec<DWORD> {
    let (mut config, mut returned, mut entry) = (no_callbacks(), null_mut(), key(SOURCE, GROUP));
    let (mut id, mut verdict, mut count) = (0, 0, 4);
    let (a_flow, mut interface) = (flow(SOURCE, GROUP), MGM_EXT_INTERFACE::default());
    let mut outgoing = [interface; 4];
    let hooks = no_hooks();
    let flags = MGM_JOIN_STATE_FLAG;
    let at = &raw const interface;
    vec![
        c!(MgmRegisterMProtocol(&raw mut config, PROTOCOL, 40, &raw mut returned)),
        c!(MgmExtRegisterMProtocol(&raw mut config, PROTOCOL, 41, 0, &raw mut returned)),
        MgmTakeInterfaceOwnership(handle, OTHER, 0),
        c!(MgmExtTakeInterfaceOwnership(handle, at)),
        MgmAddGroupMembershipEntry(handle, 0, 0, GROUP, ONES, LAN, 0, flags),
        c!(MgmExtAddGroupMembershipEntry(handle, &raw const a_flow, at, flags)),
        MgmDeleteGroupMembershipEntry(handle, 0, 0, GROUP, ONES, LAN, 0, flags),
        c!(MgmExtDeleteGroupMembershipEntry(handle, &raw const a_flow, at, flags)),
        MgmReleaseInterfaceOwnership(handle, LAN, 0),
        c!(MgmExtReleaseInterfaceOwnership(handle, at)),
        c!(MgmGetProtocolOnInterface(LAN, 0, &raw mut id, &raw mut verdict)),
        Reply::of(200, |s, b, _| c!(MgmGetMfe(&raw mut entry, s, b))).code,
        Reply::of(200, |s, b, n| c!(MgmGetFirstMfe(s, b, n))).code,
        Reply::of(200, |s, b, n| c!(MgmGetNextMfe(&raw mut entry, s, b, n))).code,
        Reply::of(200, |s, b, _| c!(MgmGetMfeStats(&raw mut entry, s, b, 1))).code,
        Reply::of(200, |s, b, n| c!(MgmGetFirstMfeStats(s, b, n, 1))).code,
        Reply::of(200, |s, b, n| c!(MgmGetNextMfeStats(&raw mut entry, s, b, n, 1))).code,
        c!(MgmGroupEnumerationStart(handle, ALL_SOURCES, &raw mut returned)),
        Reply::of(64, |s, b, n| c!(MgmGroupEnumerationGetNext(handle, s, b, n))).code,
        MgmGroupEnumerationEnd(handle),
        c!(MgmSetMfe(handle, &raw mut entry)),
        MgmDeRegisterMProtocol(handle),
        c!(MgmExtSetHooks(&raw const hooks)),
        c!(MgmExtSetHooks(null())),
        new_flow(SOURCE, GROUP),
        forward(&mut verdict),
        c!(MgmExtGetEntry(&raw const a_flow, &raw mut interface, outgoing.as_mut_ptr(), &raw mut count)),
        c!(MgmExtRoutesChanged(null(), 0)),
        MgmDeInitialize(),
    ]
}

/// Asks for the fate of a packet.
fn forward(verdict: &mut DWORD) -> DWORD {
    let (flow, mut arrival) = (flow(SOURCE, GROUP), MGM_EXT_INTERFACE::default());
    arrival.dwIfIndex = UPSTREAM;
    let (mut outgoing, mut count) = ([MGM_EXT_INTERFACE::default(); 4], 4);
    c!(MgmExtForward(
        &raw const flow,
        &raw const arrival,
        null(),
        0,
        verdict,
        outgoing.as_mut_ptr(),
        &raw mut count
    ))
}

#[test]
fn every_call_in_a_child_of_fork_is_refused() {
    alone("fork::every_call_in_a_child_of_fork_is_refused", || {
        let stage = Stage::new();
        assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
        let mut verdict = 0;
        assert_eq!((forward(&mut verdict), verdict), (NO_ERROR, MGM_EXT_FORWARD));
        in_child(|| {
            let codes = codes(stage.client);
            assert!(codes.iter().all(|code| *code == ERROR_CAN_NOT_COMPLETE), "{codes:?}");
            assert_eq!(MgmExtPanics(), 0);
            // A child of the child inherits that.
            in_child(|| assert_eq!(new_flow(SOURCE, GROUP), ERROR_CAN_NOT_COMPLETE));
        });
        // The parent is as before.
        assert_eq!((forward(&mut verdict), verdict), (NO_ERROR, MGM_EXT_FORWARD));
        assert_eq!(stage.add(SOURCE, GROUP, LAN), NO_ERROR);
    });
}

#[test]
fn a_child_of_fork_can_start_a_manager_of_its_own() {
    alone("fork::a_child_of_fork_can_start_a_manager_of_its_own", || {
        let mut stage = Stage::new();
        let old = [stage.client, enumerate(stage.client)];
        let mut verdict = 0;
        assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
        assert_eq!((forward(&mut verdict), verdict), (NO_ERROR, MGM_EXT_FORWARD));
        in_child(|| {
            // Other limits than in the parent.
            assert_eq!(c!(MgmExtInitialize(null_mut())), NO_ERROR);
            assert_eq!(MgmDeInitialize(), NO_ERROR);
            for _ in 0..3 {
                stage_in_child(&mut stage, &old);
            }
            // And so can a child of the child.
            let older = [old[0], old[1], stage.client];
            in_child(|| {
                assert_eq!(MgmInitialize(), NO_ERROR);
                assert_eq!(MgmDeInitialize(), NO_ERROR);
                stage_in_child(&mut stage, &older);
            });
            assert_eq!(MgmExtPanics(), 0);
        });
        assert_eq!((forward(&mut verdict), verdict), (NO_ERROR, MGM_EXT_FORWARD));
    });
}

/// Registers in a child's manager, forwards, and stops. No handle of the parent names anything.
fn stage_in_child(stage: &mut Stage, old: &[HANDLE]) {
    assert_eq!(MgmInitialize(), NO_ERROR);
    stage.begin();
    for handle in old {
        assert_eq!(MgmTakeInterfaceOwnership(*handle, OTHER, 0), ERROR_INVALID_PARAMETER);
        assert_eq!(MgmDeRegisterMProtocol(*handle), ERROR_INVALID_PARAMETER);
        assert_eq!(MgmGroupEnumerationEnd(*handle), ERROR_INVALID_PARAMETER);
    }
    // The entry of the parent is not there. The thread of the child makes another.
    let mut verdict = DWORD::MAX;
    assert_eq!((forward(&mut verdict), verdict), (NO_ERROR, MGM_EXT_NO_ENTRY));
    wait_until(|| {
        assert_eq!(forward(&mut verdict), NO_ERROR);
        verdict == MGM_EXT_FORWARD
    });
    assert_eq!(MgmDeInitialize(), NO_ERROR);
}

#[test]
fn a_child_of_a_process_without_manager_is_like_any() {
    alone("fork::a_child_of_a_process_without_manager_is_like_any", || {
        in_child(|| {
            register(PROTOCOL, 0, no_callbacks());
            assert_eq!(MgmDeInitialize(), NO_ERROR);
        });
    });
}
