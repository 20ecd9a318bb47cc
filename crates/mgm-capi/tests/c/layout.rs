//! The structures of the C interface compared with the declarations of the `windows-sys` crate, which are made from the
//! metadata of the Windows SDK; and a client that is written with those declarations alone.

use crate::stage;
// Links the functions that windows-sys declares.
use mgm_capi as capi;
use std::mem::{offset_of, size_of};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation as foundation;
use windows_sys::Win32::NetworkManagement::{IpHelper as theirs_mib, Rras as theirs};

/// Asserts that every field has the offset of the other declaration, and that no octet follows the last field.
macro_rules! same {
    ($ours:ty, $theirs:ty: $($field:ident),+) => {{
        assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), stringify!($ours));
        assert_eq!(align_of::<$ours>(), align_of::<$theirs>(), stringify!($ours));
        $(assert_eq!(
            offset_of!($ours, $field),
            offset_of!($theirs, $field),
            concat!(stringify!($ours), ".", stringify!($field))
        );)+
        // The other declaration has no further field.
        type Theirs = $theirs;
        let _ = |Theirs { $($field: _),+ }: Theirs| ();
    }};
}

/// Asserts the same, and that each field has the same type.
macro_rules! same_types {
    ($ours:ty, $theirs:ty: $($field:ident),+) => {
        same!($ours, $theirs: $($field),+);
        let _ = |mut ours: $ours, theirs: $theirs| { $(ours.$field = theirs.$field;)+ ours };
    };
}

#[test]
fn structures_have_the_layout_of_the_windows_sdk() {
    use theirs_mib::{
        MIB_IPMCAST_MFE, MIB_IPMCAST_MFE_STATS, MIB_IPMCAST_MFE_STATS_EX_XP, MIB_IPMCAST_OIF_STATS_LH,
        MIB_IPMCAST_OIF_XP,
    };
    same_types!(theirs_if::Ours, theirs_if::Theirs: dwIfIndex, dwIfNextHopAddr, bIGMP, bIsEnabled);
    same_types!(
        capi::SOURCE_GROUP_ENTRY, theirs::SOURCE_GROUP_ENTRY:
        dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask
    );
    same!(
        capi::ROUTING_PROTOCOL_CONFIG, theirs::ROUTING_PROTOCOL_CONFIG:
        dwCallbackFlags, pfnRpfCallback, pfnCreationAlertCallback, pfnPruneAlertCallback, pfnJoinAlertCallback,
        pfnWrongIfCallback, pfnLocalJoinCallback, pfnLocalLeaveCallback, pfnDisableIgmpCallback, pfnEnableIgmpCallback
    );
    same_types!(
        capi::MIB_IPMCAST_OIF, MIB_IPMCAST_OIF_XP:
        dwOutIfIndex, dwNextHopAddr, dwReserved, dwReserved1
    );
    same_types!(
        capi::MIB_IPMCAST_OIF_STATS, MIB_IPMCAST_OIF_STATS_LH:
        dwOutIfIndex, dwNextHopAddr, dwDialContext, ulTtlTooLow, ulFragNeeded, ulOutPackets, ulOutDiscards
    );
    same!(
        capi::MIB_IPMCAST_MFE, MIB_IPMCAST_MFE:
        dwGroup, dwSource, dwSrcMask, dwUpStrmNgbr, dwInIfIndex, dwInIfProtocol, dwRouteProtocol, dwRouteNetwork,
        dwRouteMask, ulUpTime, ulExpiryTime, ulTimeOut, ulNumOutIf, fFlags, dwReserved, rgmioOutInfo
    );
    same!(
        capi::MIB_IPMCAST_MFE_STATS, MIB_IPMCAST_MFE_STATS:
        dwGroup, dwSource, dwSrcMask, dwUpStrmNgbr, dwInIfIndex, dwInIfProtocol, dwRouteProtocol, dwRouteNetwork,
        dwRouteMask, ulUpTime, ulExpiryTime, ulNumOutIf, ulInPkts, ulInOctets, ulPktsDifferentIf, ulQueueOverflow,
        rgmiosOutStats
    );
    same!(
        capi::MIB_IPMCAST_MFE_STATS_EX, MIB_IPMCAST_MFE_STATS_EX_XP:
        dwGroup, dwSource, dwSrcMask, dwUpStrmNgbr, dwInIfIndex, dwInIfProtocol, dwRouteProtocol, dwRouteNetwork,
        dwRouteMask, ulUpTime, ulExpiryTime, ulNumOutIf, ulInPkts, ulInOctets, ulPktsDifferentIf, ulQueueOverflow,
        ulUninitMfe, ulNegativeMfe, ulInDiscards, ulInHdrErrors, ulTotalOutPackets, rgmiosOutStats
    );
}

/// The structures of a router's MIB. The `windows-sys` crate has pointers in MIB_MFE_STATS_TABLE_EX; there mingw-w64 is the
/// only other source (layout.c).
#[test]
fn structures_of_the_mib_have_the_layout_of_the_sdk() {
    same!(capi::MIB_MFE_TABLE, theirs_mib::MIB_MFE_TABLE: dwNumEntries, table);
    same!(capi::MIB_MFE_STATS_TABLE, theirs_mib::MIB_MFE_STATS_TABLE: dwNumEntries, table);
    same_types!(capi::MIB_IPMCAST_GLOBAL, theirs_mib::MIB_IPMCAST_GLOBAL: dwEnable);
    same_types!(
        capi::MIB_IPMCAST_IF_ENTRY, theirs_mib::MIB_IPMCAST_IF_ENTRY:
        dwIfIndex, dwTtl, dwProtocol, dwRateLimit, ulInMcastOctets, ulOutMcastOctets
    );
    same!(capi::MIB_IPMCAST_IF_TABLE, theirs_mib::MIB_IPMCAST_IF_TABLE: dwNumEntries, table);
    same_types!(
        capi::MIB_IPMCAST_BOUNDARY, theirs_mib::MIB_IPMCAST_BOUNDARY:
        dwIfIndex, dwGroupAddress, dwGroupMask, dwStatus
    );
    same!(capi::MIB_IPMCAST_BOUNDARY_TABLE, theirs_mib::MIB_IPMCAST_BOUNDARY_TABLE: dwNumEntries, table);
    same_types!(
        capi::MIB_IPMCAST_SCOPE, theirs_mib::MIB_IPMCAST_SCOPE:
        dwGroupAddress, dwGroupMask, snNameBuffer, dwStatus
    );
}

/// Names two structures that have the same name.
mod theirs_if {
    pub(crate) use super::capi::MGM_IF_ENTRY as Ours;
    pub(crate) use super::theirs::MGM_IF_ENTRY as Theirs;
}

#[test]
fn constants_have_the_values_of_the_windows_sdk() {
    let pairs = [
        (capi::NO_ERROR, foundation::NO_ERROR),
        (capi::ERROR_SUCCESS, foundation::ERROR_SUCCESS),
        (capi::ERROR_INVALID_HANDLE, foundation::ERROR_INVALID_HANDLE),
        (capi::ERROR_NOT_ENOUGH_MEMORY, foundation::ERROR_NOT_ENOUGH_MEMORY),
        (capi::ERROR_NOT_SUPPORTED, foundation::ERROR_NOT_SUPPORTED),
        (capi::ERROR_INVALID_PARAMETER, foundation::ERROR_INVALID_PARAMETER),
        (capi::ERROR_INSUFFICIENT_BUFFER, foundation::ERROR_INSUFFICIENT_BUFFER),
        (capi::ERROR_ALREADY_EXISTS, foundation::ERROR_ALREADY_EXISTS),
        (capi::ERROR_MORE_DATA, foundation::ERROR_MORE_DATA),
        (capi::ERROR_NO_MORE_ITEMS, foundation::ERROR_NO_MORE_ITEMS),
        (capi::ERROR_CAN_NOT_COMPLETE, foundation::ERROR_CAN_NOT_COMPLETE),
        (capi::ERROR_NOT_FOUND, foundation::ERROR_NOT_FOUND),
        (capi::MGM_JOIN_STATE_FLAG, theirs::MGM_JOIN_STATE_FLAG),
        (capi::MGM_FORWARD_STATE_FLAG, theirs::MGM_FORWARD_STATE_FLAG),
        (capi::MGM_MFE_STATS_0, theirs::MGM_MFE_STATS_0),
        (capi::MGM_MFE_STATS_1, theirs::MGM_MFE_STATS_1),
        (capi::ANY_SOURCE, theirs::ANY_SOURCE as u32),
        (capi::ALL_SOURCES, theirs::ALL_SOURCES as u32),
        (capi::MCAST_MFE, theirs_mib::MCAST_MFE),
        (capi::MCAST_MFE_STATS, theirs_mib::MCAST_MFE_STATS),
        (capi::MCAST_IF_ENTRY, theirs_mib::MCAST_IF_ENTRY),
        (capi::MCAST_GLOBAL, theirs_mib::MCAST_GLOBAL),
        (capi::MCAST_BOUNDARY, theirs_mib::MCAST_BOUNDARY),
        (capi::MCAST_SCOPE, theirs_mib::MCAST_SCOPE),
        (capi::MCAST_MFE_STATS_EX, theirs_mib::MCAST_MFE_STATS_EX),
        (capi::MAX_SCOPE_NAME_LEN, theirs_mib::MAX_SCOPE_NAME_LEN),
    ];
    pairs.into_iter().for_each(|(ours, theirs)| assert_eq!(ours, theirs));
}

/// Makes a call and returns its code.
macro_rules! code {
    ($call:expr) => {
        // SAFETY: every pointer below is null or points to a local of the type that its parameter has.
        unsafe { $call }
    };
}

#[test]
fn a_client_written_for_windows_sys_works() {
    unsafe extern "system" fn ignored(_index: u32, _next_hop: u32) -> u32 {
        u32::MAX
    }
    let _exclusive = stage::exclusive();
    stage::initialize();
    let group = u32::from_ne_bytes([239, 1, 2, 3]);
    let mut config = theirs::ROUTING_PROTOCOL_CONFIG {
        pfnEnableIgmpCallback: Some(ignored),
        pfnDisableIgmpCallback: Some(ignored),
        ..Default::default()
    };
    let mut client: foundation::HANDLE = null_mut();
    let (mut id, mut component) = (0, 0);
    assert_eq!(code!(theirs::MgmRegisterMProtocol(&raw mut config, 0x4000_0001, 7, &raw mut client)), 0);
    assert_eq!(code!(theirs::MgmTakeInterfaceOwnership(client, 1, 0)), 0);
    assert_eq!(code!(theirs::MgmGetProtocolOnInterface(1, 0, &raw mut id, &raw mut component)), 0);
    assert_eq!((id, component), (0x4000_0001, 7));
    let add = |flags| code!(theirs::MgmAddGroupMembershipEntry(client, 0, 0, group, u32::MAX, 1, 0, flags));
    assert_eq!(add(theirs::MGM_JOIN_STATE_FLAG), 0);

    let mut enumeration: foundation::HANDLE = null_mut();
    let start = code!(theirs::MgmGroupEnumerationStart(client, theirs::ALL_SOURCES, &raw mut enumeration));
    assert_eq!(start, 0);
    let mut groups = [theirs::SOURCE_GROUP_ENTRY::default(); 4];
    let (mut size, mut count) = (size_of_val(&groups) as u32, 0);
    let at = groups.as_mut_ptr().cast::<u8>();
    let next = code!(theirs::MgmGroupEnumerationGetNext(enumeration, &raw mut size, at, &raw mut count));
    assert_eq!((next, count, size), (foundation::ERROR_NO_MORE_ITEMS, 1, 64));
    assert_eq!((groups[0].dwSourceAddr, groups[0].dwSourceMask), (0, 0));
    assert_eq!((groups[0].dwGroupAddr, groups[0].dwGroupMask), (group, u32::MAX));
    assert_eq!(code!(theirs::MgmGroupEnumerationEnd(enumeration)), 0);

    let mut key = theirs_mib::MIB_IPMCAST_MFE { dwGroup: group, dwSource: group, ..Default::default() };
    let mut buffer = [0; 128];
    let (mut size, at) = (buffer.len() as u32, buffer.as_mut_ptr());
    let (key, size, count) = (&raw mut key, &raw mut size, &raw mut count);
    assert_eq!(code!(theirs::MgmGetMfe(key, size, at)), foundation::ERROR_NOT_FOUND);
    assert_eq!(code!(theirs::MgmGetMfeStats(key, size, at, 1)), foundation::ERROR_NOT_FOUND);
    assert_eq!(code!(theirs::MgmGetFirstMfe(size, at, count)), foundation::ERROR_NO_MORE_ITEMS);
    assert_eq!(code!(theirs::MgmGetNextMfe(key, size, at, count)), foundation::ERROR_NO_MORE_ITEMS);
    assert_eq!(code!(theirs::MgmGetFirstMfeStats(size, at, count, 2)), foundation::ERROR_NO_MORE_ITEMS);
    assert_eq!(code!(theirs::MgmGetNextMfeStats(key, size, at, count, 2)), foundation::ERROR_NO_MORE_ITEMS);

    let delete = code!(theirs::MgmDeleteGroupMembershipEntry(client, 0, 0, group, u32::MAX, 1, 0, 1));
    assert_eq!(delete, 0);
    assert_eq!(code!(theirs::MgmDeRegisterMProtocol(client)), foundation::ERROR_CAN_NOT_COMPLETE);
    assert_eq!(code!(theirs::MgmReleaseInterfaceOwnership(client, 1, 0)), 0);
    assert_eq!(code!(theirs::MgmDeRegisterMProtocol(client)), 0);
    assert_eq!(code!(theirs::MgmDeRegisterMProtocol(client)), foundation::ERROR_INVALID_PARAMETER);
    assert_eq!(capi::MgmDeInitialize(), 0);
}
