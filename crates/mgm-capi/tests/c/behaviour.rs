//! The behaviour of the C interface beyond its codes: handles over restarts, records, byte order, enumerations.

use crate::stage::*;
use mgm_capi::*;
use std::mem::{offset_of, size_of};
use std::ptr::{null, null_mut};

/// Calls every function that takes a handle, and returns their codes.
fn codes_with(handle: HANDLE) -> Vec<DWORD> {
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

#[test]
fn a_handle_of_an_earlier_incarnation_is_stale_for_ever() {
    let mut stage = Stage::new();
    let mut old: Vec<HANDLE> = Vec::new();
    for incarnation in 0..20 {
        if incarnation > 0 {
            stage.start();
        }
        for handle in &old {
            let codes = codes_with(*handle);
            assert!(
                codes.iter().all(|code| *code == ERROR_INVALID_PARAMETER),
                "in incarnation {incarnation}: {codes:?}"
            );
        }
        assert!(!old.contains(&stage.client));
        old.extend([stage.client, register(PROTOCOL, 8, no_callbacks()), enumerate(stage.client)]);
        stage.stop();
    }
    // A registration starts this incarnation.
    old.push(register(PROTOCOL, 0, no_callbacks()));
    stage.stop();
    for handle in old {
        assert!(
            codes_with(handle).iter().all(|code| *code == ERROR_INVALID_PARAMETER),
            "while the manager is stopped"
        );
    }
}

#[test]
fn handles_of_the_other_kind_and_random_ones_are_refused() {
    let stage = Stage::new();
    let enumeration = enumerate(stage.client);
    let refused = |code: DWORD| assert_eq!(code, ERROR_INVALID_PARAMETER);
    refused(MgmTakeInterfaceOwnership(enumeration, OTHER, 0));
    refused(MgmDeRegisterMProtocol(enumeration));
    refused(MgmGroupEnumerationEnd(stage.client));
    refused(Reply::of(64, |s, b, n| c!(MgmGroupEnumerationGetNext(stage.client, s, b, n))).code);
    for number in [1_usize, 0xDEAD_BEEF, usize::MAX, stage.client.addr() ^ (1 << 32)] {
        codes_with(handle_from(number as u64)).into_iter().for_each(refused);
    }
    assert_eq!(MgmGroupEnumerationEnd(enumeration), NO_ERROR);
    assert_eq!(MgmGroupEnumerationEnd(enumeration), ERROR_INVALID_PARAMETER);
}

#[test]
fn a_stop_removes_entries_owners_and_memberships() {
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
    nothing("while the manager is stopped");
    assert_eq!(new_flow(SOURCE, GROUP), ERROR_CAN_NOT_COMPLETE);
    stage.start();
    let walk = Reply::of(0, |size, buffer, count| c!(MgmGetFirstMfe(size, buffer, count)));
    assert_eq!((walk.code, walk.count), (ERROR_NO_MORE_ITEMS, 0));
    // The same protocol can register, take and add again.
    assert_eq!(stage.add(SOURCE, GROUP, LAN), NO_ERROR);
}

#[test]
fn the_first_start_fixes_the_limits() {
    let stage = Stage::new();
    stage.stop();
    let mut others = MGM_EXT_LIMITS { dwClients: LIMITS.dwClients + 1, ..LIMITS };
    assert_eq!(c!(MgmExtInitialize(&raw mut others)), ERROR_CAN_NOT_COMPLETE);
    assert_eq!(c!(MgmExtInitialize(null_mut())), NO_ERROR);
}

#[test]
fn each_field_of_an_entry_record_has_its_offset_and_value() {
    let stage = Stage::new();
    assert_eq!(stage.add(0, ip(239, 1, 2, 4), LAN), NO_ERROR);
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    let mut key = key(SOURCE, GROUP);
    let reply = Reply::of(80, |size, buffer, _| c!(MgmGetMfe(&raw mut key, size, buffer)));
    assert_eq!(reply.code, NO_ERROR);
    // Octet by octet: addresses are in network byte order.
    assert_eq!(reply.octets[0..12], [239, 1, 2, 3, 192, 0, 2, 7, 255, 255, 255, 255]);
    assert_eq!(reply.octets[12..16], [192, 0, 2, 1]);
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwInIfIndex)), UPSTREAM);
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwInIfProtocol)), PROTOCOL);
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwRouteProtocol)), PROTO_IP_OSPF);
    assert_eq!(reply.octets[28..36], [192, 0, 2, 0, 255, 255, 255, 0]);
    let up = reply.dword(offset_of!(MIB_IPMCAST_MFE, ulUpTime));
    let expiry = reply.dword(offset_of!(MIB_IPMCAST_MFE, ulExpiryTime));
    assert_eq!((up + expiry, reply.dword(offset_of!(MIB_IPMCAST_MFE, ulTimeOut))), (900, 900));
    assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, ulNumOutIf)), 1);
    assert_eq!(reply.octets[52..60], [0; 8]);
    assert_eq!((reply.dword(60), reply.octets[64..76].to_vec()), (LAN, vec![0; 12]));

    // The key may end after the two fields that are read.
    let mut short = [GROUP, SOURCE];
    let at = short.as_mut_ptr().cast();
    assert_eq!(Reply::of(80, |size, buffer, _| c!(MgmGetMfe(at, size, buffer))).code, NO_ERROR);

    // The statistics begin with the same fields, with times in hundredths of a second.
    for (flags, basic) in [(MGM_MFE_STATS_0, 64), (MGM_MFE_STATS_1, 84)] {
        let stats = Reply::of(150, |size, buffer, _| c!(MgmGetMfeStats(&raw mut key, size, buffer, flags)));
        assert_eq!(stats.octets[..36], reply.octets[..36]);
        assert!(stats.dword(40) <= 90_000 && stats.dword(40) > 80_000 && stats.dword(36) < 10_000);
        assert_eq!((stats.dword(44), stats.dword(basic)), (1, LAN));
    }

    // The upstream neighbour can be set and removed.
    for neighbour in [ip(192, 0, 2, 200), 0] {
        let mut changed = MIB_IPMCAST_MFE { dwUpStrmNgbr: neighbour, ..key };
        assert_eq!(c!(MgmSetMfe(stage.client, &raw mut changed)), NO_ERROR);
        let reply = Reply::of(80, |size, buffer, _| c!(MgmGetMfe(&raw mut key, size, buffer)));
        assert_eq!(reply.dword(offset_of!(MIB_IPMCAST_MFE, dwUpStrmNgbr)), neighbour);
    }
}

/// Returns (group, source) of each record, of any format.
fn keys(reply: &Reply, flags: DWORD) -> Vec<(u32, u32)> {
    let mut keys = Vec::new();
    let mut at = 0;
    for _ in 0..reply.count {
        let host =
            |offset| u32::from_be_bytes(reply.octets[at + offset..at + offset + 4].try_into().unwrap());
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
fn walks_are_ordered_and_complete_from_any_key() {
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
            assert_eq!(seen, flows, "flags {flags}, {size} octets");
        }
    }
    // A key that is no flow has its place in the order of the octets.
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
            let following: Vec<_> = flows.iter().copied().filter(|flow| *flow > (group, source)).collect();
            assert_eq!(
                (reply.code, keys(&reply, 0)),
                (ERROR_NO_MORE_ITEMS, following),
                "after {group:x} {source:x}"
            );
        }
    }
}

#[test]
fn an_enumeration_is_a_snapshot_of_all_memberships() {
    let stage = Stage::new();
    assert_eq!(stage.add(SOURCE, GROUP, LAN), NO_ERROR);
    assert_eq!(stage.add(0, 0, LAN), NO_ERROR);
    let all = |kind: MGM_ENUM_TYPES, size: usize| {
        let mut handle = null_mut();
        assert_eq!(c!(MgmGroupEnumerationStart(stage.client, kind, &raw mut handle)), NO_ERROR);
        let mut seen = Vec::new();
        loop {
            let reply = Reply::of(size, |s, b, n| c!(MgmGroupEnumerationGetNext(handle, s, b, n)));
            for record in reply.octets.chunks_exact(16).take(reply.count as usize) {
                seen.push(<[u8; 16]>::try_from(record).unwrap());
            }
            match reply.code {
                ERROR_MORE_DATA => assert!(reply.count > 0),
                ERROR_NO_MORE_ITEMS => break,
                code => panic!("{code}"),
            }
        }
        // After the end every call reports the end, with any buffer.
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
    // An enumeration ends with the registration.
    let enumeration = enumerate(stage.client);
    for interface in [UPSTREAM, LAN] {
        assert_eq!(MgmReleaseInterfaceOwnership(stage.client, interface, 0), NO_ERROR);
    }
    assert_eq!(MgmDeRegisterMProtocol(stage.client), NO_ERROR);
    assert_eq!(MgmGroupEnumerationEnd(enumeration), ERROR_INVALID_PARAMETER);
}

#[test]
fn invalid_masks_groups_and_flags_are_refused() {
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
        // In memory this is 3.2.1.239, which is no group.
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

#[test]
fn a_prefix_longer_than_an_address_is_refused() {
    let _stage = Stage::new();
    let mut v6 = MGM_EXT_ADDRESS { dwFamily: MGM_EXT_IPV6, rgbAddress: [0; 16] };
    v6.rgbAddress[0] = 0x20;
    let changed = |network: MGM_EXT_ADDRESS, prefix| c!(MgmExtRoutesChanged(&raw const network, prefix));
    let v4 = flow(SOURCE, GROUP).Source;
    let codes = [0, 32, 33, 200, ONES].map(|prefix| changed(v4, prefix));
    assert_eq!(codes, [0, 0, 87, 87, 87]);
    let codes = [0, 33, 128, 129, ONES].map(|prefix| changed(v6, prefix));
    assert_eq!(codes, [0, 0, 0, 87, 87]);
    // All sources: the length is not read.
    assert_eq!(c!(MgmExtRoutesChanged(null(), 200)), NO_ERROR);
}

#[test]
fn every_function_refuses_null_pointers() {
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
    refused(c!(MgmExtRegisterMProtocol(config, 1, 1, 4, handle)));
    assert_eq!(sixteen, 16);

    // A buffer may be null if its size is 0: the call asks for the size.
    assert_eq!(new_flow(SOURCE, GROUP), NO_ERROR);
    let (mut size, mut count) = (0, 7);
    assert_eq!(c!(MgmGetFirstMfe(&raw mut size, null_mut(), &raw mut count)), ERROR_INSUFFICIENT_BUFFER);
    assert_eq!((size, count), (76, 0));
}
