//! Every code that a page of the Windows SDK documents for a function, provoked where that is possible, and the codes
//! that this library returns in addition, in cases that the pages leave undefined.
//!
//! `cargo test -p mgm-capi --test c codes -- --nocapture` prints the table.

use crate::stage::*;
use mgm_capi::*;
use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// How a code is provoked.
enum Case {
    /// Makes the call and returns its code.
    Call(fn() -> DWORD),
    /// The library never returns the code, for this reason.
    Never(&'static str),
}
use Case::{Call, Never};

const ONLY_A_PANIC: Case = Never("only a panic of the library, which is a defect");
const NO_SUCCESS: Case = Never("a complete reply returns 259, a partial one 234");

/// The function, the code, whether its page documents the code, and how it is provoked.
const TABLE: &[(&str, DWORD, bool, Case)] = &[
    ("RegisterMProtocol", 0, true, Call(|| staged(|_| registering(2)))),
    (
        "RegisterMProtocol",
        8,
        true,
        Call(|| staged(|_| (2..).map(registering).find(|code| *code != 0).unwrap())),
    ),
    (
        "RegisterMProtocol",
        87,
        false,
        Call(|| staged(|_| c!(MgmRegisterMProtocol(null_mut(), 1, 1, null_mut())))),
    ),
    ("RegisterMProtocol", 183, true, Call(|| staged(|_| registering(0)))),
    ("RegisterMProtocol", 1003, true, Call(registering_while_stopping)),
    (
        "DeRegisterMProtocol",
        0,
        true,
        Call(|| staged(|_| MgmDeRegisterMProtocol(register(PROTOCOL, 9, no_callbacks())))),
    ),
    ("DeRegisterMProtocol", 87, true, Call(|| staged(|_| MgmDeRegisterMProtocol(null_mut())))),
    ("DeRegisterMProtocol", 1003, true, Call(|| staged(|stage| MgmDeRegisterMProtocol(stage.client)))),
    (
        "TakeInterfaceOwnership",
        0,
        true,
        Call(|| staged(|stage| MgmTakeInterfaceOwnership(stage.client, OTHER, 0))),
    ),
    ("TakeInterfaceOwnership", 8, true, Call(taking_too_many)),
    (
        "TakeInterfaceOwnership",
        87,
        true,
        Call(|| staged(|_| MgmTakeInterfaceOwnership(null_mut(), OTHER, 0))),
    ),
    (
        "TakeInterfaceOwnership",
        183,
        true,
        Call(|| staged(|stage| MgmTakeInterfaceOwnership(stage.client, LAN, 0))),
    ),
    ("TakeInterfaceOwnership", 1003, true, ONLY_A_PANIC),
    (
        "ReleaseInterfaceOwnership",
        0,
        true,
        Call(|| staged(|stage| MgmReleaseInterfaceOwnership(stage.client, LAN, 0))),
    ),
    (
        "ReleaseInterfaceOwnership",
        87,
        true,
        Call(|| staged(|stage| MgmReleaseInterfaceOwnership(stage.client, OTHER, 0))),
    ),
    ("ReleaseInterfaceOwnership", 1003, true, ONLY_A_PANIC),
    ("GetProtocolOnInterface", 0, true, Call(|| staged(|_| owner(LAN)))),
    (
        "GetProtocolOnInterface",
        87,
        false,
        Call(|| c!(MgmGetProtocolOnInterface(LAN, 0, null_mut(), null_mut()))),
    ),
    ("GetProtocolOnInterface", 1003, true, ONLY_A_PANIC),
    ("GetProtocolOnInterface", 1168, true, Call(|| staged(|_| owner(OTHER)))),
    ("AddGroupMembershipEntry", 0, true, Call(|| staged(|stage| stage.add(SOURCE, GROUP, LAN)))),
    ("AddGroupMembershipEntry", 8, true, Call(|| staged(adding_too_many))),
    ("AddGroupMembershipEntry", 87, true, Call(|| staged(|stage| stage.add(SOURCE, 0, LAN)))),
    ("AddGroupMembershipEntry", 1003, true, Call(|| staged(|stage| stage.add(0, GROUP, OTHER)))),
    ("DeleteGroupMembershipEntry", 0, true, Call(|| staged(|stage| delete(stage.client, GROUP, LAN)))),
    ("DeleteGroupMembershipEntry", 87, true, Call(|| staged(deleting_on_a_foreign_interface))),
    ("DeleteGroupMembershipEntry", 1003, true, Call(deleting_while_disabled)),
    ("DeleteGroupMembershipEntry", 1168, true, Call(|| staged(|stage| delete(stage.client, GROUP, OTHER)))),
    ("GetMfe", 0, true, Call(|| with_entry(|| get(None, SOURCE, 200)))),
    ("GetMfe", 87, false, Call(|| with_entry(|| c!(MgmGetMfe(null_mut(), null_mut(), null_mut()))))),
    ("GetMfe", 122, true, Call(|| with_entry(|| get(None, SOURCE, 75)))),
    ("GetMfe", 1003, true, ONLY_A_PANIC),
    ("GetMfe", 1168, true, Call(|| with_entry(|| get(None, SOURCE + 1, 200)))),
    ("GetMfeStats", 0, true, Call(|| with_entry(|| get(Some(MGM_MFE_STATS_0), SOURCE, 200)))),
    ("GetMfeStats", 87, false, Call(|| with_entry(|| get(Some(3), SOURCE, 200)))),
    ("GetMfeStats", 122, true, Call(|| with_entry(|| get(Some(MGM_MFE_STATS_1), SOURCE, 111)))),
    ("GetMfeStats", 1003, true, ONLY_A_PANIC),
    ("GetMfeStats", 1168, true, Call(|| with_entry(|| get(Some(MGM_MFE_STATS_1), SOURCE + 1, 200)))),
    ("GetFirstMfe", 0, true, NO_SUCCESS),
    ("GetFirstMfe", 87, false, Call(|| c!(MgmGetFirstMfe(null_mut(), null_mut(), null_mut())))),
    ("GetFirstMfe", 122, true, Call(|| with_entry(|| first(None, 75)))),
    ("GetFirstMfe", 234, true, Call(|| with_entry(|| first(None, 76)))),
    ("GetFirstMfe", 259, true, Call(|| with_entry(|| first(None, 200)))),
    ("GetFirstMfe", 1003, true, ONLY_A_PANIC),
    ("GetNextMfe", 0, true, NO_SUCCESS),
    ("GetNextMfe", 87, false, Call(|| c!(MgmGetNextMfe(null_mut(), null_mut(), null_mut(), null_mut())))),
    ("GetNextMfe", 122, true, Call(|| with_entry(|| next(None, 0, 75)))),
    ("GetNextMfe", 234, true, Call(|| with_entry(|| next(None, 0, 76)))),
    ("GetNextMfe", 259, true, Call(|| with_entry(|| next(None, GROUP, 76)))),
    ("GetNextMfe", 1003, true, ONLY_A_PANIC),
    ("GetFirstMfeStats", 0, true, NO_SUCCESS),
    ("GetFirstMfeStats", 87, false, Call(|| with_entry(|| first(Some(0), 200)))),
    ("GetFirstMfeStats", 122, true, Call(|| with_entry(|| first(Some(MGM_MFE_STATS_0), 91)))),
    ("GetFirstMfeStats", 234, true, Call(|| with_entry(|| first(Some(MGM_MFE_STATS_0), 92)))),
    ("GetFirstMfeStats", 259, true, Call(|| with_entry(|| first(Some(MGM_MFE_STATS_0), 200)))),
    ("GetFirstMfeStats", 1003, true, ONLY_A_PANIC),
    ("GetNextMfeStats", 0, true, NO_SUCCESS),
    ("GetNextMfeStats", 87, false, Call(|| with_entry(|| next(Some(4), 0, 200)))),
    ("GetNextMfeStats", 122, true, Call(|| with_entry(|| next(Some(MGM_MFE_STATS_1), 0, 111)))),
    ("GetNextMfeStats", 234, true, Call(|| with_entry(|| next(Some(MGM_MFE_STATS_1), 0, 112)))),
    ("GetNextMfeStats", 259, true, Call(|| with_entry(|| next(Some(MGM_MFE_STATS_1), GROUP, 0)))),
    ("GetNextMfeStats", 1003, true, ONLY_A_PANIC),
    ("GroupEnumerationStart", 0, true, Call(|| staged(|stage| open(stage.client, ALL_SOURCES).0))),
    ("GroupEnumerationStart", 8, true, Call(|| staged(enumerating_too_often))),
    ("GroupEnumerationStart", 87, true, Call(|| staged(|_| open(null_mut(), ALL_SOURCES).0))),
    ("GroupEnumerationStart", 1003, true, ONLY_A_PANIC),
    ("GroupEnumerationGetNext", 0, true, NO_SUCCESS),
    ("GroupEnumerationGetNext", 8, true, Never("only when memory is refused: see tests/no_memory")),
    ("GroupEnumerationGetNext", 87, true, Call(|| staged(|stage| groups(stage.client, 16).code))),
    ("GroupEnumerationGetNext", 122, true, Call(|| staged(|stage| groups(open(stage.client, 1).1, 15).code))),
    ("GroupEnumerationGetNext", 234, true, Call(|| staged(part_of_the_groups))),
    ("GroupEnumerationGetNext", 259, true, Call(|| staged(|stage| groups(open(stage.client, 1).1, 16).code))),
    ("GroupEnumerationGetNext", 1003, true, ONLY_A_PANIC),
    (
        "GroupEnumerationEnd",
        0,
        true,
        Call(|| staged(|stage| MgmGroupEnumerationEnd(open(stage.client, 0).1))),
    ),
    ("GroupEnumerationEnd", 87, true, Call(|| staged(|stage| MgmGroupEnumerationEnd(stage.client)))),
    ("GroupEnumerationEnd", 1003, true, ONLY_A_PANIC),
    ("SetMfe", 0, true, Call(|| staged(|stage| set_neighbour(stage.client, SOURCE)))),
    ("SetMfe", 87, true, Call(|| staged(|_| set_neighbour(register(PROTOCOL, 5, no_callbacks()), SOURCE)))),
    ("SetMfe", 1003, true, ONLY_A_PANIC),
    ("SetMfe", 1168, true, Call(|| staged(|stage| set_neighbour(stage.client, SOURCE + 1)))),
    (
        "Initialize",
        0,
        false,
        Call(|| {
            // Alone: another test may be using the manager.
            let exclusive = crate::stage::exclusive();
            MgmDeInitialize();
            drop(exclusive);
            staged(|_| NO_ERROR)
        }),
    ),
    ("Initialize", 183, false, Call(|| staged(|_| MgmInitialize()))),
    ("DeInitialize", 0, false, Call(|| staged(|_| MgmDeInitialize()))),
    (
        "DeInitialize",
        1003,
        false,
        Call(|| {
            staged(|_| {
                MgmDeInitialize();
                MgmDeInitialize()
            })
        }),
    ),
];

/// Returns the codes of each function that the SDK's pages document.
fn documented() -> BTreeMap<&'static str, Vec<DWORD>> {
    BTreeMap::from([
        ("RegisterMProtocol", vec![0, 8, 183, 1003]),
        ("DeRegisterMProtocol", vec![0, 87, 1003]),
        ("TakeInterfaceOwnership", vec![0, 8, 87, 183, 1003]),
        ("ReleaseInterfaceOwnership", vec![0, 87, 1003]),
        ("GetProtocolOnInterface", vec![0, 1003, 1168]),
        ("AddGroupMembershipEntry", vec![0, 8, 87, 1003]),
        ("DeleteGroupMembershipEntry", vec![0, 87, 1003, 1168]),
        ("GetMfe", vec![0, 122, 1003, 1168]),
        ("GetMfeStats", vec![0, 122, 1003, 1168]),
        ("GetFirstMfe", vec![0, 122, 234, 259, 1003]),
        ("GetNextMfe", vec![0, 122, 234, 259, 1003]),
        ("GetFirstMfeStats", vec![0, 122, 234, 259, 1003]),
        ("GetNextMfeStats", vec![0, 122, 234, 259, 1003]),
        ("GroupEnumerationStart", vec![0, 8, 87, 1003]),
        ("GroupEnumerationGetNext", vec![0, 8, 87, 122, 234, 259, 1003]),
        ("GroupEnumerationEnd", vec![0, 87, 1003]),
        ("SetMfe", vec![0, 87, 1003, 1168]),
    ])
}

#[test]
fn every_documented_code_is_returned_or_explained() {
    let mut listed: BTreeMap<&str, Vec<DWORD>> = BTreeMap::new();
    for (function, code, documented, case) in TABLE {
        if *documented {
            listed.entry(function).or_default().push(*code);
        }
        let origin = if *documented { "documented" } else { "added" };
        match case {
            Call(provoke) => {
                assert_eq!(provoke(), *code, "Mgm{function}, expecting {code}");
                println!("Mgm{function:28}{code:5}  {origin:10}  provoked");
            }
            Never(why) => println!("Mgm{function:28}{code:5}  {origin:10}  never: {why}"),
        }
    }
    assert_eq!(listed, documented());
    assert_eq!(MgmExtPanics(), 0);
}

/// Makes a call with a stage.
fn staged(call: impl FnOnce(&Stage) -> DWORD) -> DWORD {
    call(&Stage::new())
}

/// Makes a call with two entries present: (SOURCE, GROUP) with an outgoing interface, then a negative one.
fn with_entry(call: impl FnOnce() -> DWORD) -> DWORD {
    staged(|_| {
        assert_eq!((new_flow(SOURCE, GROUP), new_flow(SOURCE, ip(239, 9, 9, 9))), (NO_ERROR, NO_ERROR));
        call()
    })
}

fn registering(component: DWORD) -> DWORD {
    let (mut config, mut handle) = (no_callbacks(), null_mut());
    c!(MgmRegisterMProtocol(&raw mut config, PROTOCOL, component, &raw mut handle))
}

/// Registers from inside a callback, while another thread stops the manager and waits for this callback.
fn registering_while_stopping() -> DWORD {
    static CODE: AtomicU32 = AtomicU32::new(DWORD::MAX);
    static STOPPING: Mutex<Option<JoinHandle<DWORD>>> = Mutex::new(None);
    unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
        // The thread waits for this callback, so it is joined later.
        *STOPPING.lock().unwrap() = Some(std::thread::spawn(|| MgmDeInitialize()));
        // While the manager is being stopped, no interface has an owner.
        wait_until(|| owner(LAN) == ERROR_NOT_FOUND);
        CODE.store(registering(77), Ordering::SeqCst);
        NO_ERROR
    }
    let stage = Stage::new();
    let config = ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback: Some(joined), ..no_callbacks() };
    register(PROTOCOL, 1, config);
    assert_eq!(stage.add(0, ip(239, 4, 4, 4), LAN), NO_ERROR);
    wait_until(|| CODE.load(Ordering::SeqCst) != DWORD::MAX);
    // Waits until the other thread has stopped the manager.
    wait_until(|| MgmDeInitialize() == NO_ERROR || MgmInitialize() == NO_ERROR);
    // An ending thread pins once more. Joining it keeps that pin from holding back slots, of which these limits leave
    // few.
    let stopping = STOPPING.lock().unwrap().take().expect("the callback has stored it");
    assert_eq!(stopping.join().expect("the thread does not panic"), NO_ERROR);
    CODE.load(Ordering::SeqCst)
}

/// Takes interfaces that were never taken, because the manager remembers each for the life of the process.
fn taking_too_many() -> DWORD {
    staged(|stage| {
        let codes = (100..).map(|index| MgmTakeInterfaceOwnership(stage.client, index, 0));
        codes.take(LIMITS.dwInterfaces as usize).find(|code| *code != NO_ERROR).unwrap()
    })
}

fn owner(interface: DWORD) -> DWORD {
    let (mut id, mut component) = (0, 0);
    c!(MgmGetProtocolOnInterface(interface, 0, &raw mut id, &raw mut component))
}

fn adding_too_many(stage: &Stage) -> DWORD {
    let codes = (0..u8::MAX).map(|n| stage.add(0, ip(239, 7, 7, n), LAN));
    codes.take(LIMITS.dwMemberships as usize).find(|code| *code != NO_ERROR).unwrap()
}

fn delete(client: HANDLE, group: DWORD, interface: DWORD) -> DWORD {
    MgmDeleteGroupMembershipEntry(client, 0, 0, group, ONES, interface, 0, MGM_JOIN_STATE_FLAG)
}

fn deleting_on_a_foreign_interface(_stage: &Stage) -> DWORD {
    delete(register(PROTOCOL, 3, no_callbacks()), GROUP, LAN)
}

/// Deletes from inside the callback that disables IGMP: IGMP has to wait until it is enabled again.
fn deleting_while_disabled() -> DWORD {
    static IGMP_HANDLE: AtomicU64 = AtomicU64::new(0);
    static CODE: AtomicU32 = AtomicU32::new(DWORD::MAX);
    unsafe extern "C" fn disabled(interface: DWORD, _next_hop: DWORD) -> DWORD {
        let igmp = handle_from(IGMP_HANDLE.load(Ordering::SeqCst));
        CODE.store(delete(igmp, GROUP, interface), Ordering::SeqCst);
        NO_ERROR
    }
    let stage = Stage::new();
    let igmp = register(
        IGMP,
        0,
        ROUTING_PROTOCOL_CONFIG { pfnDisableIgmpCallback: Some(disabled), ..no_callbacks() },
    );
    IGMP_HANDLE.store(igmp.addr() as u64, Ordering::SeqCst);
    assert_eq!(MgmTakeInterfaceOwnership(igmp, OTHER, 0), NO_ERROR);
    assert_eq!(MgmTakeInterfaceOwnership(stage.client, OTHER, 0), NO_ERROR);
    wait_until(|| CODE.load(Ordering::SeqCst) != DWORD::MAX);
    CODE.load(Ordering::SeqCst)
}

fn get(flags: Option<DWORD>, source: DWORD, size: usize) -> DWORD {
    let mut key = key(source, GROUP);
    Reply::of(size, |size, buffer, _| match flags {
        None => c!(MgmGetMfe(&raw mut key, size, buffer)),
        Some(flags) => c!(MgmGetMfeStats(&raw mut key, size, buffer, flags)),
    })
    .code
}

fn first(flags: Option<DWORD>, size: usize) -> DWORD {
    Reply::of(size, |size, buffer, count| match flags {
        None => c!(MgmGetFirstMfe(size, buffer, count)),
        Some(flags) => c!(MgmGetFirstMfeStats(size, buffer, count, flags)),
    })
    .code
}

/// Reads the entries after the last source of the previous group, or after all entries.
fn next(flags: Option<DWORD>, group: DWORD, size: usize) -> DWORD {
    let mut start = if group == 0 { key(0, 0) } else { key(ONES, ONES) };
    Reply::of(size, |size, buffer, count| match flags {
        None => c!(MgmGetNextMfe(&raw mut start, size, buffer, count)),
        Some(flags) => c!(MgmGetNextMfeStats(&raw mut start, size, buffer, count, flags)),
    })
    .code
}

fn open(client: HANDLE, kind: MGM_ENUM_TYPES) -> (DWORD, HANDLE) {
    let mut handle = null_mut();
    let code = c!(MgmGroupEnumerationStart(client, kind, &raw mut handle));
    (code, handle)
}

fn enumerating_too_often(stage: &Stage) -> DWORD {
    let codes: Vec<_> = (0..=LIMITS.dwEnumerations).map(|_| open(stage.client, ANY_SOURCE).0).collect();
    codes[LIMITS.dwEnumerations as usize]
}

fn groups(enumeration: HANDLE, size: usize) -> Reply {
    Reply::of(size, |size, buffer, count| c!(MgmGroupEnumerationGetNext(enumeration, size, buffer, count)))
}

fn part_of_the_groups(stage: &Stage) -> DWORD {
    assert_eq!(stage.add(SOURCE, GROUP, LAN), NO_ERROR);
    groups(open(stage.client, ALL_SOURCES).1, 31).code
}

fn set_neighbour(client: HANDLE, source: DWORD) -> DWORD {
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    let mut entry = MIB_IPMCAST_MFE { dwUpStrmNgbr: ip(192, 0, 2, 99), ..key(source, GROUP) };
    c!(MgmSetMfe(client, &raw mut entry))
}
