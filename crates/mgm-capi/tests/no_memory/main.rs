//! Refused memory: each function that may return 8 does, whichever of its allocations is refused, and has changed
//! nothing. Functions without an 8 on their pages return 1003.

#![cfg(mgm_instrumented)]

#[macro_use]
#[path = "../support/stage.rs"]
mod stage;

use mgm::faults::{memory_refused_at, refuse_memory};
use mgm_capi::*;
use stage::*;
use std::ptr::null_mut;

/// Makes a call with its first allocation refused, then its second, and so on, until none is refused any more.
///
/// Asserts that the call returns `refused` each time and `done` at last. Returns how often it was refused. What the
/// call allocated before a refusal stays for the next attempt.
fn sweep(name: &str, refused: DWORD, done: DWORD, call: impl Fn() -> DWORD) -> u64 {
    for nth in 1.. {
        refuse_memory(nth);
        let code = call();
        let failed = memory_refused_at();
        refuse_memory(0);
        if failed.is_none() || code != refused {
            // A start of an enumeration retries after a refusal, and may succeed then.
            assert!(code == done, "{name}: {code}, after {failed:?}");
            println!("{name:30} {refused:5} {} times, then {code}", nth - 1);
            return nth - 1;
        }
    }
    unreachable!("a call makes a bounded number of allocations")
}

#[test]
fn a_call_without_memory_fails_and_can_be_repeated() {
    // Comes first: the manager allocates for an interface once in the life of the process.
    initialize();
    let client = register(PROTOCOL, 0, no_callbacks());
    let taking =
        sweep("MgmTakeInterfaceOwnership", 8, NO_ERROR, || MgmTakeInterfaceOwnership(client, UPSTREAM, 0));
    assert_eq!(MgmDeInitialize(), NO_ERROR);

    let stage = Stage::new();
    assert_eq!(MgmTakeInterfaceOwnership(stage.client, OTHER, 0), NO_ERROR);
    let refusals = [
        taking,
        sweep("MgmRegisterMProtocol", 8, NO_ERROR, || {
            let (mut config, mut handle) = (no_callbacks(), null_mut());
            c!(MgmRegisterMProtocol(&raw mut config, PROTOCOL, 1, &raw mut handle))
        }),
        sweep("MgmAddGroupMembershipEntry", 8, NO_ERROR, || stage.add(SOURCE, GROUP, OTHER)),
        sweep("MgmDeleteGroupMembershipEntry", 1003, NO_ERROR, || {
            let flags = MGM_FORWARD_STATE_FLAG;
            MgmDeleteGroupMembershipEntry(stage.client, 0, 0, GROUP, ONES, OTHER, 0, flags)
        }),
        sweep("MgmExtNewFlow", 8, NO_ERROR, || new_flow(SOURCE, GROUP)),
        sweep("MgmGroupEnumerationStart", 8, NO_ERROR, || {
            let mut handle = null_mut();
            c!(MgmGroupEnumerationStart(stage.client, ALL_SOURCES, &raw mut handle))
        }),
    ];
    assert!(refusals.iter().all(|refusals| *refusals > 0), "a call that allocates nothing: {refusals:?}");
    let mut enumeration = null_mut();
    assert_eq!(c!(MgmGroupEnumerationStart(stage.client, ALL_SOURCES, &raw mut enumeration)), NO_ERROR);
    let page = |size| {
        Reply::of(size, |size, buffer, count| {
            c!(MgmGroupEnumerationGetNext(enumeration, size, buffer, count))
        })
    };
    // One record fits and another follows: neither is lost.
    let pages = sweep("MgmGroupEnumerationGetNext", 8, ERROR_MORE_DATA, || {
        let mut size = 16;
        let (mut buffer, mut count) = ([0_u8; 16], 0);
        let code =
            c!(MgmGroupEnumerationGetNext(enumeration, &raw mut size, buffer.as_mut_ptr(), &raw mut count));
        assert_eq!((size, count), (16, DWORD::from(code == ERROR_MORE_DATA)));
        code
    });
    assert!(pages > 0);
    let rest = page(64);
    assert_eq!((rest.code, rest.count), (ERROR_NO_MORE_ITEMS, 1));
    assert_eq!(MgmReleaseInterfaceOwnership(stage.client, OTHER, 0), NO_ERROR);
    assert_eq!(MgmExtPanics(), 0);
}
