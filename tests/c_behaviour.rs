//! What a C program sees beyond the codes: handles over restarts, callbacks that call everything, records, byte order.

#[macro_use]
mod c_stage;

use c_stage::*;
use mgm::capi::*;
use std::mem::{offset_of, size_of};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Every function that takes a handle, with one.
fn all_with(handle: HANDLE) -> Vec<DWORD> {
    let mut entry = key(SOURCE, GROUP);
    let mut enumeration = null_mut();
    let next =
        Reply::of(64, |size, buffer, count| c!(MgmGroupEnumerationGetNext(handle, size, buffer, count)));
    vec![
        MgmTakeInterfaceOwnership(handle, OTHER, 0),
        MgmReleaseInterfaceOwnership(handle, LAN, 0),
        MgmAddGroupMembershipEntry(handle, 0, 0, GROUP, ONES, LAN, 0, MGM_JOIN_STATE_FLAG),
        MgmDeleteGroupMembershipEntry(handle, 0, 0, GROUP, ONES, LAN, 0, MGM_JOIN_STATE_FLAG),
        c!(MgmGroupEnumerationStart(handle, ALL_SOURCES, &raw mut enumeration)),
        next.code,
        MgmGroupEnumerationEnd(handle),
        c!(MgmSetMfe(handle, &raw mut entry)),
        MgmDeRegisterMProtocol(handle),
    ]
}

fn enumerate(client: HANDLE) -> HANDLE {
    let mut handle = null_mut();
    assert_eq!(c!(MgmGroupEnumerationStart(client, ALL_SOURCES, &raw mut handle)), NO_ERROR);
    handle
}

#[test]
fn a_handle_of_an_earlier_life_is_stale_for_ever() {
    let mut stage = Stage::new();
    let mut old: Vec<HANDLE> = Vec::new();
    for life in 0..20 {
        if life > 0 {
            stage.start();
        }
        for handle in &old {
            assert!(all_with(*handle).iter().all(|code| *code == ERROR_INVALID_PARAMETER), "in life {life}");
        }
        assert!(!old.contains(&stage.client));
        old.extend([stage.client, register(PROTOCOL, 8, no_callbacks()), enumerate(stage.client)]);
        stage.stop();
    }
    // This life begins on its own, by a registration.
    old.push(register(PROTOCOL, 0, no_callbacks()));
    stage.stop();
    for handle in old {
        assert!(
            all_with(handle).iter().all(|code| *code == ERROR_INVALID_PARAMETER),
            "while it does not run"
        );
    }
}

#[test]
fn live_handles_of_the_other_kind_and_made_up_ones_are_refused() {
    let stage = Stage::new();
    let enumeration = enumerate(stage.client);
    let refused = |code: DWORD| assert_eq!(code, ERROR_INVALID_PARAMETER);
    refused(MgmTakeInterfaceOwnership(enumeration, OTHER, 0));
    refused(MgmDeRegisterMProtocol(enumeration));
    refused(MgmGroupEnumerationEnd(stage.client));
    refused(Reply::of(64, |s, b, n| c!(MgmGroupEnumerationGetNext(stage.client, s, b, n))).code);
    for made_up in [1_usize, 0xDEAD_BEEF, usize::MAX, stage.client.addr() ^ (1 << 32)] {
        all_with(std::ptr::without_provenance_mut(made_up)).into_iter().for_each(refused);
    }
    assert_eq!(MgmGroupEnumerationEnd(enumeration), NO_ERROR);
    assert_eq!(MgmGroupEnumerationEnd(enumeration), ERROR_INVALID_PARAMETER);
}

#[test]
fn what_was_there_before_a_stop_is_gone_after_it() {
    let mut stage = Stage::new();
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    stage.stop();
    assert_eq!(MgmDeInitialize(), ERROR_CAN_NOT_COMPLETE);
    let nothing = |what: &str| {
        let walk = Reply::of(0, |size, buffer, count| c!(MgmGetFirstMfe(size, buffer, count)));
        assert_eq!((walk.code, walk.count), (ERROR_NO_MORE_ITEMS, 0), "{what}");
        let (mut id, mut component) = (5, 5);
        let owner = c!(MgmGetProtocolOnInterface(LAN, 0, &raw mut id, &raw mut component));
        assert_eq!((owner, id, component), (ERROR_NOT_FOUND, 5, 5), "{what}");
    };
    nothing("while it does not run");
    assert_eq!(new_flow(SOURCE, GROUP), ERROR_CAN_NOT_COMPLETE);
    stage.start();
    let walk = Reply::of(0, |size, buffer, count| c!(MgmGetFirstMfe(size, buffer, count)));
    assert_eq!((walk.code, walk.count), (ERROR_NO_MORE_ITEMS, 0));
    // Everything can be had again, under the same names.
    assert_eq!(stage.add(SOURCE, GROUP, LAN), NO_ERROR);
}

#[test]
fn limits_are_settled_by_the_first_start() {
    let stage = Stage::new();
    stage.stop();
    let mut others = MGM_EXT_LIMITS { dwClients: LIMITS.dwClients + 1, ..LIMITS };
    assert_eq!(c!(MgmExtInitialize(&raw mut others)), ERROR_CAN_NOT_COMPLETE);
    assert_eq!(c!(MgmExtInitialize(null_mut())), NO_ERROR);
}

#[test]
fn an_entry_record_says_everything_in_its_place() {
    let stage = Stage::new();
    assert_eq!(stage.add(0, ip(239, 1, 2, 4), LAN), NO_ERROR);
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    let mut key = key(SOURCE, GROUP);
    let reply = Reply::of(80, |size, buffer, _| c!(MgmGetMfe(&raw mut key, size, buffer)));
    assert_eq!(reply.code, NO_ERROR);
    // Byte for byte, addresses in network order.
    assert_eq!(reply.bytes[0..12], [239, 1, 2, 3, 192, 0, 2, 7, 255, 255, 255, 255]);
    assert_eq!(reply.bytes[12..16], [192, 0, 2, 1]);
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwInIfIndex)), UPSTREAM);
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwInIfProtocol)), PROTOCOL);
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwRouteProtocol)), PROTO_IP_OSPF);
    assert_eq!(reply.bytes[28..36], [192, 0, 2, 0, 255, 255, 255, 0]);
    let up = reply.dword(offset_of!(MIB_IPMCAST_MFE, ulUpTime));
    let expiry = reply.dword(offset_of!(MIB_IPMCAST_MFE, ulExpiryTime));
    assert_eq!((up + expiry, reply.dword(offset_of!(MIB_IPMCAST_MFE, ulTimeOut))), (900, 900));
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, ulNumOutIf)), 1);
    assert_eq!(reply.bytes[52..60], [0; 8]);
    assert_eq!((reply.dword(60), reply.bytes[64..76].to_vec()), (LAN, vec![0; 12]));

    // The key may be as short as what is read of it.
    let mut short = [GROUP, SOURCE];
    let at = short.as_mut_ptr().cast();
    assert_eq!(Reply::of(80, |size, buffer, _| c!(MgmGetMfe(at, size, buffer))).code, NO_ERROR);

    // The statistics begin alike, with times in hundredths of a second.
    for (flags, basic) in [(MGM_MFE_STATS_0, 64), (MGM_MFE_STATS_1, 84)] {
        let stats = Reply::of(150, |size, buffer, _| c!(MgmGetMfeStats(&raw mut key, size, buffer, flags)));
        assert_eq!(stats.bytes[..36], reply.bytes[..36]);
        assert!(stats.dword(40) <= 90_000 && stats.dword(40) > 80_000 && stats.dword(36) < 10_000);
        assert_eq!((stats.dword(44), stats.dword(basic)), (1, LAN));
    }

    // The upstream neighbour can be named, and unnamed.
    for neighbour in [ip(192, 0, 2, 200), 0] {
        let mut named = MIB_IPMCAST_MFE { dwUpStrmNgbr: neighbour, ..key };
        assert_eq!(c!(MgmSetMfe(stage.client, &raw mut named)), NO_ERROR);
        let reply = Reply::of(80, |size, buffer, _| c!(MgmGetMfe(&raw mut key, size, buffer)));
        assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwUpStrmNgbr)), neighbour);
    }
}

/// (group, source) of each record, of whatever form.
fn keys(reply: &Reply, flags: DWORD) -> Vec<(u32, u32)> {
    let mut keys = Vec::new();
    let mut at = 0;
    for _ in 0..reply.count {
        let host = |offset| u32::from_be_bytes(reply.bytes[at + offset..at + offset + 4].try_into().unwrap());
        keys.push((host(0), host(4)));
        let (count_at, basic, each) = match flags {
            0 => (48, 60, size_of::<MIB_IPMCAST_OIF>()),
            MGM_MFE_STATS_0 => (44, 64, size_of::<MIB_IPMCAST_OIF_STATS>()),
            _ => (44, 84, size_of::<MIB_IPMCAST_OIF_STATS>()),
        };
        at += basic + each * reply.dword(at + count_at) as usize;
    }
    keys
}

#[test]
fn walks_are_ordered_complete_and_go_on_behind_any_key() {
    let _stage = Stage::new();
    let mut flows: Vec<(u32, u32)> = Vec::new();
    for (n, group) in
        [[239, 1, 2, 3], [224, 0, 1, 1], [239, 1, 2, 2], [239, 255, 255, 255]].into_iter().enumerate()
    {
        for source in
            [[10, 0, 0, 1], [1, 0, 0, 10], [223, 255, 255, 255], [240, 0, 0, 1]].into_iter().skip(n % 2)
        {
            assert_eq!(new_flow(u32::from_ne_bytes(source), u32::from_ne_bytes(group)), NO_ERROR);
            flows.push((u32::from_be_bytes(group), u32::from_be_bytes(source)));
        }
    }
    flows.sort_unstable();
    for flags in [0, MGM_MFE_STATS_0, MGM_MFE_STATS_1] {
        for size in (0..400).step_by(13) {
            let mut seen = Vec::<(u32, u32)>::new();
            let mut last = key(0, 0);
            loop {
                let first = seen.is_empty();
                let call = |size, buffer, count| match (flags, first) {
                    (0, true) => c!(MgmGetFirstMfe(size, buffer, count)),
                    (0, false) => c!(MgmGetNextMfe(&raw mut last, size, buffer, count)),
                    (flags, true) => c!(MgmGetFirstMfeStats(size, buffer, count, flags)),
                    (flags, false) => c!(MgmGetNextMfeStats(&raw mut last, size, buffer, count, flags)),
                };
                let mut call = call;
                let mut reply = Reply::of(size, &mut call);
                if reply.code == ERROR_INSUFFICIENT_BUFFER {
                    assert!(reply.size as usize > size && reply.count == 0);
                    reply = Reply::of(reply.size as usize, &mut call);
                    assert_ne!(reply.code, ERROR_INSUFFICIENT_BUFFER);
                }
                let keys = keys(&reply, flags);
                assert!(reply.code == ERROR_NO_MORE_ITEMS || !keys.is_empty());
                seen.extend(&keys);
                match (reply.code, keys.last()) {
                    (ERROR_NO_MORE_ITEMS, _) => break,
                    (ERROR_MORE_DATA, Some((group, source))) => last = key(source.to_be(), group.to_be()),
                    unexpected => panic!("{unexpected:?}"),
                }
            }
            assert_eq!(seen, flows, "flags {flags}, {size} bytes");
        }
    }
    // Keys that are no flows stand where their octets do.
    let hosts = [0, 1, 0x0A00_0001, 0xDFFF_FFFF, 0xE000_0001, 0xEF01_0203, 0xF000_0000, 0xFFFF_FFFF];
    for group in [
        0,
        0x0102_0304,
        0xE000_0000,
        0xE000_0101,
        0xEF01_0202,
        0xEF01_0203,
        0xEFFF_FFFF,
        0xF000_0000,
        u32::MAX,
    ] {
        for source in hosts {
            let mut start = key(u32::to_be(source), u32::to_be(group));
            let reply = Reply::of(4000, |s, b, n| c!(MgmGetNextMfe(&raw mut start, s, b, n)));
            let behind: Vec<_> = flows.iter().copied().filter(|flow| *flow > (group, source)).collect();
            assert_eq!(
                (reply.code, keys(&reply, 0)),
                (ERROR_NO_MORE_ITEMS, behind),
                "behind {group:x} {source:x}"
            );
        }
    }
}

#[test]
fn an_enumeration_is_a_snapshot_of_the_router() {
    let stage = Stage::new();
    assert_eq!(stage.add(SOURCE, GROUP, LAN), NO_ERROR);
    assert_eq!(stage.add(0, 0, LAN), NO_ERROR);
    let all = |kind: MGM_ENUM_TYPES, size: usize| {
        let mut handle = null_mut();
        assert_eq!(c!(MgmGroupEnumerationStart(stage.client, kind, &raw mut handle)), NO_ERROR);
        let mut seen = Vec::new();
        loop {
            let reply = Reply::of(size, |s, b, n| c!(MgmGroupEnumerationGetNext(handle, s, b, n)));
            for record in reply.bytes.chunks_exact(16).take(reply.count as usize) {
                seen.push(<[u8; 16]>::try_from(record).unwrap());
            }
            match reply.code {
                ERROR_MORE_DATA => assert!(reply.count > 0),
                ERROR_NO_MORE_ITEMS => break,
                code => panic!("{code}"),
            }
        }
        // Behind the end is the end, with whatever buffer.
        let reply = Reply::of(0, |s, b, n| c!(MgmGroupEnumerationGetNext(handle, s, b, n)));
        assert_eq!((reply.code, reply.count), (ERROR_NO_MORE_ITEMS, 0));
        assert_eq!(MgmGroupEnumerationEnd(handle), NO_ERROR);
        seen.sort_unstable();
        seen
    };
    let everything = [0; 16];
    let any_source = [0, 0, 0, 0, 0, 0, 0, 0, 239, 1, 2, 3, 255, 255, 255, 255];
    let one_source = [192, 0, 2, 7, 255, 255, 255, 255, 239, 1, 2, 3, 255, 255, 255, 255];
    for size in [16, 31, 32, 100] {
        assert_eq!(all(ALL_SOURCES, size), [everything, any_source, one_source]);
        assert_eq!(all(ANY_SOURCE, size), [everything, any_source]);
    }
    // It ends with the registration.
    let enumeration = enumerate(stage.client);
    for interface in [UPSTREAM, LAN] {
        assert_eq!(MgmReleaseInterfaceOwnership(stage.client, interface, 0), NO_ERROR);
    }
    assert_eq!(MgmDeRegisterMProtocol(stage.client), NO_ERROR);
    assert_eq!(MgmGroupEnumerationEnd(enumeration), ERROR_INVALID_PARAMETER);
}

#[test]
fn masks_groups_and_flags_that_mean_nothing_are_refused() {
    let stage = Stage::new();
    let add = |source, source_mask, group, group_mask, flags| {
        let added =
            MgmAddGroupMembershipEntry(stage.client, source, source_mask, group, group_mask, LAN, 0, flags);
        let deleted = MgmDeleteGroupMembershipEntry(
            stage.client,
            source,
            source_mask,
            group,
            group_mask,
            LAN,
            0,
            flags,
        );
        assert_eq!(added, deleted);
        added
    };
    for flags in [1, 2, 3] {
        assert_eq!(add(0, 0, 0, 0, flags), NO_ERROR);
        assert_eq!(add(0, 0, GROUP, ONES, flags), NO_ERROR);
        assert_eq!(add(SOURCE, ONES, GROUP, ONES, flags), NO_ERROR);
    }
    let refused = [
        (0, 0, GROUP, ONES, 0),
        (0, 0, GROUP, ONES, 4),
        (0, 0, GROUP, ONES, 5),
        (0, 0, GROUP, ONES, ONES),
        (0, ONES, GROUP, ONES, 1),
        (0, 0, GROUP, 0, 1),
        (0, 0, 0, ONES, 1),
        (0, 0, GROUP, ip(255, 255, 255, 0), 1),
        (SOURCE, 0, GROUP, ONES, 1),
        (SOURCE, ip(255, 255, 0, 0), GROUP, ONES, 1),
        (SOURCE, ONES, 0, 0, 1),
        (0, 0, SOURCE, ONES, 1),
        (GROUP, ONES, GROUP, ONES, 1),
        (0, 0, ip(240, 0, 0, 1), ONES, 1),
        // As octets in memory this is 3.2.1.239: not a group.
        (0, 0, GROUP.swap_bytes(), ONES, 1),
    ];
    for (source, source_mask, group, group_mask, flags) in refused {
        let code = add(source, source_mask, group, group_mask, flags);
        assert_eq!(
            code, ERROR_INVALID_PARAMETER,
            "{source:x} {source_mask:x} {group:x} {group_mask:x} {flags}"
        );
    }
}

/// What each callback was given, in order.
static TOLD: Mutex<Vec<(&str, Vec<DWORD>)>> = Mutex::new(Vec::new());
/// The client that the callbacks below belong to, and IGMP.
static ME: AtomicU64 = AtomicU64::new(0);
/// How many calls from inside callbacks were refused or succeeded as they should.
static NESTED: AtomicU32 = AtomicU32::new(0);

fn told(callback: &'static str, arguments: &[DWORD]) -> DWORD {
    TOLD.lock().unwrap().push((callback, arguments.to_vec()));
    everything_from_inside();
    // Nobody looks at it.
    0xBAD
}

/// Calls every function from inside a callback; right answers are counted.
fn everything_from_inside() {
    let me = std::ptr::without_provenance_mut(ME.load(Ordering::SeqCst) as usize);
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
    expect(MgmDeRegisterMProtocol(me), &[1003]);
    expect(c!(MgmGroupEnumerationStart(me, ALL_SOURCES, &raw mut enumeration)), &[0]);
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
    expect(c!(MgmSetMfe(me, &raw mut key)), &[0, 87, 1168]);
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
    let answer = told("rpf", &[s, sm, g, gm, index, next_hop, before, size, first.into(), mask]);
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
    // SAFETY: the library hands over so many records.
    let list = unsafe { std::slice::from_raw_parts_mut(list, count as usize) };
    let mut arguments = vec![s, sm, g, gm, index, next_hop, count];
    for entry in list {
        arguments.extend([
            entry.dwIfIndex,
            entry.dwIfNextHopAddr,
            entry.bIGMP as DWORD,
            entry.bIsEnabled as DWORD,
        ]);
        // Only the answer is looked at.
        *entry = MGM_IF_ENTRY {
            dwIfIndex: 0,
            dwIfNextHopAddr: 0,
            bIGMP: 7,
            bIsEnabled: (entry.dwIfIndex == LAN).into(),
        };
    }
    told("creation", &arguments)
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
    // SAFETY: the library hands over a pointer to a local.
    let timeout = unsafe { &mut *timeout };
    let answer = told("prune", &[s, sm, g, gm, index, next_hop, member as DWORD, *timeout]);
    *timeout = 60;
    answer
}

unsafe extern "C" fn join(s: DWORD, sm: DWORD, g: DWORD, gm: DWORD, member: BOOL) -> DWORD {
    told("join", &[s, sm, g, gm, member as DWORD])
}

unsafe extern "C" fn local_join(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: DWORD,
    next_hop: DWORD,
) -> DWORD {
    told("local join", &[s, sm, g, gm, index, next_hop])
}

unsafe extern "C" fn local_leave(
    s: DWORD,
    sm: DWORD,
    g: DWORD,
    gm: DWORD,
    index: DWORD,
    next_hop: DWORD,
) -> DWORD {
    told("local leave", &[s, sm, g, gm, index, next_hop])
}

unsafe extern "C" fn disable(index: DWORD, next_hop: DWORD) -> DWORD {
    TOLD.lock().unwrap().push(("disable", vec![index, next_hop]));
    0xBAD
}

unsafe extern "C" fn enable(index: DWORD, next_hop: DWORD) -> DWORD {
    TOLD.lock().unwrap().push(("enable", vec![index, next_hop]));
    // What deadlocks on Windows: adding everything again from inside this very callback.
    let igmp = std::ptr::without_provenance_mut(IGMP_HANDLE.load(Ordering::SeqCst) as usize);
    MgmAddGroupMembershipEntry(igmp, 0, 0, GROUP, ONES, index, next_hop, MGM_JOIN_STATE_FLAG)
}

static IGMP_HANDLE: AtomicU64 = AtomicU64::new(0);

fn take_told() -> Vec<(&'static str, Vec<DWORD>)> {
    std::mem::take(&mut *TOLD.lock().unwrap())
}

/// Notices may be delivered by whichever thread raised another one.
fn wait_until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn every_callback_gets_its_arguments_and_may_call_everything() {
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
    let me = register(PROTOCOL, 1, config);
    ME.store(me.addr() as u64, Ordering::SeqCst);
    let he = stage.client;
    let join = |client, source, interface| {
        let mask = if source == 0 { 0 } else { ONES };
        assert_eq!(MgmAddGroupMembershipEntry(client, source, mask, GROUP, ONES, interface, 0, 1), NO_ERROR);
    };
    for interface in [UPSTREAM, LAN] {
        assert_eq!(MgmTakeInterfaceOwnership(me, interface, 0), NO_ERROR);
    }
    assert_eq!(MgmTakeInterfaceOwnership(he, OTHER, 0), NO_ERROR);
    assert!(take_told().is_empty());

    // He is the first who wants the group: everybody else is told.
    join(he, 0, OTHER);
    assert_eq!(take_told(), [("join", vec![0, 0, GROUP, ONES, 1])]);
    // IGMP comes to my interface, which switches nothing, and joins there: I am told.
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
    assert!(take_told().is_empty());
    join(igmp, 0, LAN);
    assert_eq!(take_told(), [("local join", vec![0, 0, GROUP, ONES, LAN, 0])]);

    // A packet: the owner of the way in is asked, then those who have outgoing interfaces.
    let flow = flow(SOURCE, GROUP);
    let packet = [0x45, 1, 2, 3];
    assert_eq!(c!(MgmExtNewFlow(&raw const flow, packet.as_ptr(), 4)), NO_ERROR);
    let told = take_told();
    let neighbour = ip(192, 0, 2, 1);
    let mask = ip(255, 255, 255, 0);
    assert_eq!(
        told,
        [
            ("rpf", vec![SOURCE, ONES, GROUP, ONES, UPSTREAM, 0, neighbour, 4, 0x45, mask]),
            ("creation", vec![SOURCE, ONES, GROUP, ONES, UPSTREAM, 0, 1, LAN, 0, 1, 1]),
        ]
    );
    let mut key = key(SOURCE, GROUP);
    let entry = Reply::of(200, |s, b, _| c!(MgmGetMfe(&raw mut key, s, b)));
    assert_eq!(entry.bytes[12..16], [192, 0, 2, 77]);
    assert_eq!(entry.dword(24), PROTO_IP_BGP);
    assert_eq!(entry.bytes[28..36], [192, 0, 0, 0, 255, 128, 0, 0]);
    assert_eq!(entry.dword(48), 2);

    // A routing protocol gives the interface up: IGMP is switched off and on, and joins again from inside.
    assert_eq!(MgmReleaseInterfaceOwnership(me, LAN, 0), NO_ERROR);
    wait_until(|| TOLD.lock().unwrap().len() >= 2);
    let told = take_told();
    assert_eq!(told[..2], [("disable", vec![LAN, 0]), ("enable", vec![LAN, 0])]);
    let enumeration = Reply::of(160, |s, b, n| {
        let enumeration = enumerate(he);
        let code = c!(MgmGroupEnumerationGetNext(enumeration, s, b, n));
        assert_eq!(MgmGroupEnumerationEnd(enumeration), NO_ERROR);
        code
    });
    assert_eq!((enumeration.code, enumeration.count), (ERROR_NO_MORE_ITEMS, 1));

    // The last receivers go: (*, g) of the two that are left, then the entry.
    take_told();
    let leave = |client, interface| {
        assert_eq!(MgmDeleteGroupMembershipEntry(client, 0, 0, GROUP, ONES, interface, 0, 1), NO_ERROR);
    };
    leave(igmp, LAN);
    take_told();
    leave(he, OTHER);
    let told = take_told();
    assert!(told.contains(&("prune", vec![0, 0, GROUP, ONES, OTHER, 0, 1, 900])), "{told:?}");
    assert!(told.contains(&("prune", vec![SOURCE, ONES, GROUP, ONES, UPSTREAM, 0, 0, 900])), "{told:?}");
    let entry = Reply::of(200, |s, b, _| c!(MgmGetMfe(&raw mut key, s, b)));
    assert!(entry.dword(offset_of!(MIB_IPMCAST_MFE, ulExpiryTime)) <= 60);
    // Twenty calls from inside each of the callbacks.
    assert!(NESTED.load(Ordering::SeqCst) >= 6 * 20);
    assert_eq!(MgmExtPanics(), 0);
}

#[test]
fn a_manager_can_be_stopped_from_inside_a_callback() {
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

#[test]
fn no_callback_runs_once_the_manager_is_stopped() {
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
                let client = std::ptr::without_provenance_mut(client);
                let change = |call: extern "C" fn(
                    HANDLE,
                    DWORD,
                    DWORD,
                    DWORD,
                    DWORD,
                    DWORD,
                    DWORD,
                    DWORD,
                ) -> DWORD| {
                    call(client, 0, 0, ip(239, 5, 5, 5), ONES, LAN, 0, 1) == NO_ERROR
                };
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

#[test]
fn null_pointers_are_refused_everywhere() {
    let stage = Stage::new();
    let refused = |code: DWORD| assert_eq!(code, ERROR_INVALID_PARAMETER);
    let (mut config, mut handle, mut dword, mut entry) = (no_callbacks(), null_mut(), 0, key(SOURCE, GROUP));
    let (config, handle, dword, entry) = (&raw mut config, &raw mut handle, &raw mut dword, &raw mut entry);
    let mut sixteen = 16;
    let size = &raw mut sixteen;
    refused(c!(MgmRegisterMProtocol(null_mut(), 1, 1, handle)));
    refused(c!(MgmRegisterMProtocol(config, 1, 1, null_mut())));
    refused(c!(MgmGetProtocolOnInterface(LAN, 0, null_mut(), dword)));
    refused(c!(MgmGetProtocolOnInterface(LAN, 0, dword, null_mut())));
    refused(c!(MgmGetMfe(null_mut(), dword, null_mut())));
    refused(c!(MgmGetMfe(entry, null_mut(), null_mut())));
    refused(c!(MgmGetMfe(entry, size, null_mut())));
    refused(c!(MgmGetFirstMfe(null_mut(), null_mut(), dword)));
    refused(c!(MgmGetFirstMfe(size, null_mut(), dword)));
    refused(c!(MgmGetFirstMfe(dword, null_mut(), null_mut())));
    refused(c!(MgmGetNextMfe(null_mut(), dword, null_mut(), dword)));
    refused(c!(MgmGetNextMfe(entry, null_mut(), null_mut(), dword)));
    refused(c!(MgmGetNextMfe(entry, dword, null_mut(), null_mut())));
    refused(c!(MgmGetMfeStats(null_mut(), dword, null_mut(), 1)));
    refused(c!(MgmGetFirstMfeStats(size, null_mut(), dword, 1)));
    refused(c!(MgmGetNextMfeStats(null_mut(), dword, null_mut(), dword, 1)));
    refused(c!(MgmGroupEnumerationStart(stage.client, ALL_SOURCES, null_mut())));
    refused(c!(MgmGroupEnumerationStart(stage.client, 2, handle)));
    let enumeration = enumerate(stage.client);
    refused(c!(MgmGroupEnumerationGetNext(enumeration, null_mut(), null_mut(), dword)));
    refused(c!(MgmGroupEnumerationGetNext(enumeration, size, null_mut(), dword)));
    refused(c!(MgmGroupEnumerationGetNext(enumeration, dword, null_mut(), null_mut())));
    refused(c!(MgmSetMfe(stage.client, null_mut())));
    refused(c!(MgmExtNewFlow(null(), null(), 0)));
    refused(c!(MgmExtRegisterMProtocol(null_mut(), 1, 1, 0, handle)));
    refused(c!(MgmExtRegisterMProtocol(config, 1, 1, 2, handle)));
    assert_eq!(sixteen, 16);

    // A buffer may be null when its size is 0: that asks for the size.
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    let (mut size, mut count) = (0, 7);
    assert_eq!(c!(MgmGetFirstMfe(&raw mut size, null_mut(), &raw mut count)), ERROR_INSUFFICIENT_BUFFER);
    assert_eq!((size, count), (76, 0));
}
