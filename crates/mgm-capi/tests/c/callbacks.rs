//! The callbacks of C clients: their arguments, the functions that they may call, and the end of their calls.

use crate::stage::*;
use mgm_capi::*;
use std::mem::offset_of;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The name and the arguments of each callback, in order.
static RECORDED: Mutex<Vec<(&str, Vec<DWORD>)>> = Mutex::new(Vec::new());
/// The client that the callbacks below belong to.
static CLIENT: AtomicU64 = AtomicU64::new(0);
static IGMP_HANDLE: AtomicU64 = AtomicU64::new(0);
/// Calls from inside callbacks that returned an expected code.
static NESTED: AtomicU32 = AtomicU32::new(0);

/// Records a call and makes others from inside the callback.
fn record(callback: &'static str, arguments: &[DWORD]) -> DWORD {
    RECORDED.lock().unwrap().push((callback, arguments.to_vec()));
    call_every_function();
    // The library ignores the result.
    0xBAD
}

/// Calls every function from inside a callback, and counts the expected codes.
fn call_every_function() {
    let client = handle_from(CLIENT.load(Ordering::SeqCst));
    let (mut config, mut handle, mut enumeration) = (no_callbacks(), null_mut(), null_mut());
    let expect = |code: DWORD, expected: &[DWORD]| {
        assert!(expected.contains(&code), "{code} from inside a callback, instead of {expected:?}");
        NESTED.fetch_add(1, Ordering::SeqCst);
    };
    expect(c!(MgmRegisterMProtocol(&raw mut config, PROTOCOL, 500, &raw mut handle)), &[0]);
    expect(MgmTakeInterfaceOwnership(handle, 9, 0), &[0]);
    expect(MgmAddGroupMembershipEntry(handle, SOURCE, ONES, ip(239, 200, 0, 1), ONES, 9, 0, 2), &[0]);
    expect(MgmDeleteGroupMembershipEntry(handle, SOURCE, ONES, ip(239, 200, 0, 1), ONES, 9, 0, 3), &[0]);
    expect(MgmDeRegisterMProtocol(handle), &[1003]);
    expect(MgmReleaseInterfaceOwnership(handle, 9, 0), &[0]);
    expect(MgmDeRegisterMProtocol(handle), &[0]);
    expect(MgmDeRegisterMProtocol(client), &[1003]);
    expect(c!(MgmGroupEnumerationStart(client, ALL_SOURCES, &raw mut enumeration)), &[0]);
    let groups = Reply::of(160, |s, b, n| c!(MgmGroupEnumerationGetNext(enumeration, s, b, n)));
    expect(groups.code, &[259]);
    expect(MgmGroupEnumerationEnd(enumeration), &[0]);
    let mut key = key(SOURCE, GROUP);
    expect(Reply::of(200, |s, b, _| c!(MgmGetMfe(&raw mut key, s, b))).code, &[0, 1168]);
    expect(Reply::of(200, |s, b, _| c!(MgmGetMfeStats(&raw mut key, s, b, 2))).code, &[0, 1168]);
    expect(Reply::of(2000, |s, b, n| c!(MgmGetFirstMfe(s, b, n))).code, &[259]);
    expect(Reply::of(2000, |s, b, n| c!(MgmGetNextMfe(&raw mut key, s, b, n))).code, &[259]);
    expect(Reply::of(2000, |s, b, n| c!(MgmGetFirstMfeStats(s, b, n, 1))).code, &[259]);
    expect(Reply::of(2000, |s, b, n| c!(MgmGetNextMfeStats(&raw mut key, s, b, n, 2))).code, &[259]);
    expect(c!(MgmSetMfe(client, &raw mut key)), &[0, 87, 1168]);
    let (mut id, mut component) = (0, 0);
    expect(c!(MgmGetProtocolOnInterface(UPSTREAM, 0, &raw mut id, &raw mut component)), &[0]);
    expect(MgmInitialize(), &[183]);
}

unsafe extern "C" fn rpf(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: PDWORD,
    next_hop: PDWORD,
    neighbour: PDWORD,
    size: DWORD,
    packet: PBYTE,
    route: PBYTE,
) -> DWORD {
    let route: PMGM_EXT_ROUTE = route.cast();
    let first = if size == 0 { 0 } else { c!(*packet) };
    let (mask, answers) = (c!((*route).dwRouteMask), (c!(*index), c!(*next_hop), c!(*neighbour)));
    let (index, next_hop, before) = answers;
    let answer = record("rpf", &[s, sm, g, gm, index, next_hop, before, size, first.into(), mask]);
    c!(*neighbour = ip(192, 0, 2, 77));
    let other = MGM_EXT_ROUTE {
        dwRouteProtocol: PROTO_IP_BGP,
        dwRouteNetwork: ip(192, 0, 0, 0),
        dwRouteMask: ip(255, 128, 0, 0),
    };
    c!(*route = other);
    answer
}

unsafe extern "C" fn creation(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: DWORD,
    next_hop: DWORD,
    count: DWORD,
    list: PMGM_IF_ENTRY,
) -> DWORD {
    // SAFETY: the library passes `count` records.
    let list = unsafe { std::slice::from_raw_parts_mut(list, count as usize) };
    let mut arguments = vec![s, sm, g, gm, index, next_hop, count];
    for entry in list {
        arguments.extend([
            entry.dwIfIndex,
            entry.dwIfNextHopAddr,
            entry.bIGMP as DWORD,
            entry.bIsEnabled as DWORD,
        ]);
        // The library reads back the answer alone.
        *entry = MGM_IF_ENTRY {
            dwIfIndex: 0,
            dwIfNextHopAddr: 0,
            bIGMP: 7,
            bIsEnabled: (entry.dwIfIndex == LAN).into(),
        };
    }
    record("creation", &arguments)
}

unsafe extern "C" fn prune(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: DWORD,
    next_hop: DWORD,
    member: BOOL,
    timeout: PDWORD,
) -> DWORD {
    // SAFETY: the library passes a pointer to a local.
    let timeout = unsafe { &mut *timeout };
    let answer = record("prune", &[s, sm, g, gm, index, next_hop, member as DWORD, *timeout]);
    *timeout = 60;
    answer
}

unsafe extern "C" fn join(s: DWORD, sm: DWORD, g: DWORD, gm: DWORD, member: BOOL) -> DWORD {
    record("join", &[s, sm, g, gm, member as DWORD])
}

unsafe extern "C" fn local_join(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: DWORD,
    next_hop: DWORD,
) -> DWORD {
    record("local join", &[s, sm, g, gm, index, next_hop])
}

unsafe extern "C" fn local_leave(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: DWORD,
    next_hop: DWORD,
) -> DWORD {
    record("local leave", &[s, sm, g, gm, index, next_hop])
}

unsafe extern "C" fn disable(index: DWORD, next_hop: DWORD) -> DWORD {
    RECORDED.lock().unwrap().push(("disable", vec![index, next_hop]));
    0xBAD
}

unsafe extern "C" fn enable(index: DWORD, next_hop: DWORD) -> DWORD {
    RECORDED.lock().unwrap().push(("enable", vec![index, next_hop]));
    // Adding memberships from inside this callback deadlocks on Windows.
    let igmp = handle_from(IGMP_HANDLE.load(Ordering::SeqCst));
    MgmAddGroupMembershipEntry(igmp, 0, 0, GROUP, ONES, index, next_hop, MGM_JOIN_STATE_FLAG)
}

fn take_recorded() -> Vec<(&'static str, Vec<DWORD>)> {
    std::mem::take(&mut *RECORDED.lock().unwrap())
}

#[test]
fn each_callback_gets_its_arguments_and_may_call_any_function() {
    let stage = Stage::new();
    for interface in [UPSTREAM, LAN] {
        assert_eq!(MgmReleaseInterfaceOwnership(stage.client, interface, 0), NO_ERROR);
    }
    let config = ROUTING_PROTOCOL_CONFIG {
        dwCallbackFlags: ONES,
        pfnRpfCallback: Some(rpf),
        pfnCreationAlertCallback: Some(creation),
        pfnPruneAlertCallback: Some(prune),
        pfnJoinAlertCallback: Some(join),
        pfnLocalJoinCallback: Some(local_join),
        pfnLocalLeaveCallback: Some(local_leave),
        ..no_callbacks()
    };
    let client = register(PROTOCOL, 1, config);
    CLIENT.store(client.addr() as u64, Ordering::SeqCst);
    let other = stage.client;
    let join = |client, source, interface| {
        let mask = if source == 0 { 0 } else { ONES };
        assert_eq!(MgmAddGroupMembershipEntry(client, source, mask, GROUP, ONES, interface, 0, 1), NO_ERROR);
    };
    for interface in [UPSTREAM, LAN] {
        assert_eq!(MgmTakeInterfaceOwnership(client, interface, 0), NO_ERROR);
    }
    assert_eq!(MgmTakeInterfaceOwnership(other, OTHER, 0), NO_ERROR);
    assert!(take_recorded().is_empty());

    // The first membership of the group: the other clients get an alert.
    join(other, 0, OTHER);
    assert_eq!(take_recorded(), [("join", vec![0, 0, GROUP, ONES, 1])]);
    // IGMP takes the client's interface too, which disables nothing, and joins there: the client gets a local join.
    let igmp = register(
        IGMP,
        0,
        ROUTING_PROTOCOL_CONFIG {
            pfnDisableIgmpCallback: Some(disable),
            pfnEnableIgmpCallback: Some(enable),
            ..no_callbacks()
        },
    );
    IGMP_HANDLE.store(igmp.addr() as u64, Ordering::SeqCst);
    assert_eq!(MgmTakeInterfaceOwnership(igmp, LAN, 0), NO_ERROR);
    assert!(take_recorded().is_empty());
    join(igmp, 0, LAN);
    assert_eq!(take_recorded(), [("local join", vec![0, 0, GROUP, ONES, LAN, 0])]);

    // A new flow: the owner of the incoming interface is asked first, then the owners of the outgoing interfaces.
    let flow = flow(SOURCE, GROUP);
    let packet = [0x45, 1, 2, 3];
    assert_eq!(c!(MgmExtNewFlow(&raw const flow, packet.as_ptr(), 4)), NO_ERROR);
    let recorded = take_recorded();
    let neighbour = ip(192, 0, 2, 1);
    let mask = ip(255, 255, 255, 0);
    assert_eq!(
        recorded,
        [
            ("rpf", vec![SOURCE, ONES, GROUP, ONES, UPSTREAM, 0, neighbour, 4, 0x45, mask]),
            ("creation", vec![SOURCE, ONES, GROUP, ONES, UPSTREAM, 0, 1, LAN, 0, 1, 1]),
        ]
    );
    let mut key = key(SOURCE, GROUP);
    let entry = Reply::of(200, |s, b, _| c!(MgmGetMfe(&raw mut key, s, b)));
    assert_eq!(entry.octets[12..16], [192, 0, 2, 77]);
    assert_eq!(entry.dword(24), PROTO_IP_BGP);
    assert_eq!(entry.octets[28..36], [192, 0, 0, 0, 255, 128, 0, 0]);
    assert_eq!(entry.dword(48), 2);

    // The routing protocol releases the interface: IGMP is disabled, enabled, and joins again from inside the callback.
    assert_eq!(MgmReleaseInterfaceOwnership(client, LAN, 0), NO_ERROR);
    wait_until(|| RECORDED.lock().unwrap().len() >= 2);
    let recorded = take_recorded();
    assert_eq!(recorded[..2], [("disable", vec![LAN, 0]), ("enable", vec![LAN, 0])]);
    let enumeration = Reply::of(160, |s, b, n| {
        let enumeration = enumerate(other);
        let code = c!(MgmGroupEnumerationGetNext(enumeration, s, b, n));
        assert_eq!(MgmGroupEnumerationEnd(enumeration), NO_ERROR);
        code
    });
    assert_eq!((enumeration.code, enumeration.count), (ERROR_NO_MORE_ITEMS, 1));

    // The last memberships end: first those of the group, then the receivers of the entry.
    take_recorded();
    let leave = |client, interface| {
        assert_eq!(MgmDeleteGroupMembershipEntry(client, 0, 0, GROUP, ONES, interface, 0, 1), NO_ERROR);
    };
    leave(igmp, LAN);
    take_recorded();
    leave(other, OTHER);
    let recorded = take_recorded();
    assert!(recorded.contains(&("prune", vec![0, 0, GROUP, ONES, OTHER, 0, 1, 900])), "{recorded:?}");
    assert!(
        recorded.contains(&("prune", vec![SOURCE, ONES, GROUP, ONES, UPSTREAM, 0, 0, 900])),
        "{recorded:?}"
    );
    let entry = Reply::of(200, |s, b, _| c!(MgmGetMfe(&raw mut key, s, b)));
    assert!(entry.dword(offset_of!(MIB_IPMCAST_MFE, ulExpiryTime)) <= 60);
    // Twenty calls from inside each callback.
    assert!(NESTED.load(Ordering::SeqCst) >= 6 * 20);
    assert_eq!(MgmExtPanics(), 0);
}

#[test]
fn a_callback_can_stop_the_manager() {
    static CODES: Mutex<Vec<DWORD>> = Mutex::new(Vec::new());
    unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
        let codes = [MgmDeInitialize(), MgmDeInitialize()];
        CODES.lock().unwrap().extend(codes);
        NO_ERROR
    }
    let stage = Stage::new();
    let config = ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback: Some(joined), ..no_callbacks() };
    register(PROTOCOL, 1, config);
    assert_eq!(stage.add(0, ip(239, 4, 4, 4), LAN), NO_ERROR);
    wait_until(|| CODES.lock().unwrap().len() == 2);
    assert_eq!(*CODES.lock().unwrap(), [NO_ERROR, ERROR_CAN_NOT_COMPLETE]);
    assert_eq!(stage.add(0, GROUP, LAN), ERROR_INVALID_PARAMETER);
}

/// MgmAddGroupMembershipEntry or MgmDeleteGroupMembershipEntry.
type MembershipCall = extern "C" fn(HANDLE, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD) -> DWORD;

#[test]
fn no_callback_runs_after_a_stop_has_returned() {
    static INSIDE: AtomicU32 = AtomicU32::new(0);
    static STOPPED: AtomicU32 = AtomicU32::new(0);
    static LATE: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        std::thread::yield_now();
        LATE.fetch_add(STOPPED.load(Ordering::SeqCst), Ordering::SeqCst);
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        NO_ERROR
    }
    for _ in 0..50 {
        STOPPED.store(0, Ordering::SeqCst);
        let stage = Stage::new();
        let config = ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback: Some(joined), ..no_callbacks() };
        register(PROTOCOL, 1, config);
        let client = stage.client.addr();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let client = handle_from(client as u64);
                let change =
                    |call: MembershipCall| call(client, 0, 0, ip(239, 5, 5, 5), ONES, LAN, 0, 1) == NO_ERROR;
                while change(MgmAddGroupMembershipEntry) && change(MgmDeleteGroupMembershipEntry) {}
            });
            scope.spawn(|| {
                for _ in 0..20 {
                    std::thread::yield_now();
                }
                assert_eq!(MgmDeInitialize(), NO_ERROR);
                STOPPED.store(1, Ordering::SeqCst);
                assert_eq!(INSIDE.load(Ordering::SeqCst), 0);
            });
        });
    }
    assert_eq!(LATE.load(Ordering::SeqCst), 0);
}
