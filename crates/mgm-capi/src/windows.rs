//! The structures, constants and types of the Windows SDK that `mgm.h` has: `mgm.h`, and what it needs of `ipmib.h`,
//! `routprot.h` and `winerror.h`.
//!
//! Names, values, sizes and offsets are those of the SDK. Addresses and masks are in network byte order: the octets of
//! 224.0.0.1 lie in memory as 224, 0, 0, 1.

use std::ffi::c_void;
use zerocopy::{Immutable, IntoBytes};

// The header defines the types below, and MGM_ENUM_TYPES, in C: see cbindgen.toml.

/// 32 bits without a sign.
///
/// cbindgen:ignore
pub type DWORD = u32;
/// 32 bits without a sign.
///
/// cbindgen:ignore
pub type ULONG = u32;
/// 8 bits.
///
/// cbindgen:ignore
pub type BYTE = u8;
/// FALSE is 0, everything else is true.
///
/// cbindgen:ignore
pub type BOOL = i32;
/// Where a DWORD is.
///
/// cbindgen:ignore
pub type PDWORD = *mut DWORD;
/// Where bytes are.
///
/// cbindgen:ignore
pub type PBYTE = *mut BYTE;
/// Names a registration or an enumeration. A number, not an address: it is never followed.
///
/// cbindgen:ignore
pub type HANDLE = *mut c_void;
/// Which groups an enumeration tells of: `ANY_SOURCE` or `ALL_SOURCES`.
///
/// cbindgen:ignore
pub type MGM_ENUM_TYPES = u32;
/// Each group that anybody has joined, whatever the source.
///
/// cbindgen:ignore
pub const ANY_SOURCE: MGM_ENUM_TYPES = 0;
/// Each (source, group) and (*, group) that anybody has joined.
///
/// cbindgen:ignore
pub const ALL_SOURCES: MGM_ENUM_TYPES = 1;

/// Success.
pub const NO_ERROR: DWORD = 0;
/// Success.
pub const ERROR_SUCCESS: DWORD = 0;
/// No function of this library returns it: a bad handle is ERROR_INVALID_PARAMETER.
pub const ERROR_INVALID_HANDLE: DWORD = 6;
/// A limit is reached: of clients, interfaces, memberships or enumerations.
pub const ERROR_NOT_ENOUGH_MEMORY: DWORD = 8;
/// No function of this library returns it.
pub const ERROR_NOT_SUPPORTED: DWORD = 50;
/// A handle that names nothing, a null pointer, or a value that the function does not take.
pub const ERROR_INVALID_PARAMETER: DWORD = 87;
/// The buffer cannot hold a single record; its size is now what one needs.
pub const ERROR_INSUFFICIENT_BUFFER: DWORD = 122;
/// Registered, or taken, already.
pub const ERROR_ALREADY_EXISTS: DWORD = 183;
/// Records were returned, and there are more.
pub const ERROR_MORE_DATA: DWORD = 234;
/// The end is reached; records may have been returned.
pub const ERROR_NO_MORE_ITEMS: DWORD = 259;
/// It cannot be done as things stand.
pub const ERROR_CAN_NOT_COMPLETE: DWORD = 1003;
/// There is no such entry, or no such interface.
pub const ERROR_NOT_FOUND: DWORD = 1168;

/// The membership itself changes, and every entry that it affects.
pub const MGM_JOIN_STATE_FLAG: DWORD = 1;
/// Only the entries that are there change.
pub const MGM_FORWARD_STATE_FLAG: DWORD = 2;
/// Statistics as MIB_IPMCAST_MFE_STATS.
pub const MGM_MFE_STATS_0: DWORD = 1;
/// Statistics as MIB_IPMCAST_MFE_STATS_EX.
pub const MGM_MFE_STATS_1: DWORD = 2;

/// Type of a unicast routing protocol, for PROTOCOL_ID.
pub const PROTO_TYPE_UCAST: DWORD = 0;
/// Type of a multicast routing protocol.
pub const PROTO_TYPE_MCAST: DWORD = 1;
/// Type kept for Microsoft.
pub const PROTO_TYPE_MS0: DWORD = 2;
/// Type kept for Microsoft.
pub const PROTO_TYPE_MS1: DWORD = 3;
/// Vendor number kept for Microsoft.
pub const PROTO_VENDOR_MS0: DWORD = 0x0000;
/// Vendor number of Microsoft's own protocols.
pub const PROTO_VENDOR_MS1: DWORD = 0x0137;
/// Vendor number kept for Microsoft.
pub const PROTO_VENDOR_MS2: DWORD = 0x3FFF;
/// A route of no protocol named here, for dwRouteProtocol.
pub const PROTO_IP_OTHER: DWORD = 1;
/// A route to a network that the router is on.
pub const PROTO_IP_LOCAL: DWORD = 2;
/// A static route.
pub const PROTO_IP_NETMGMT: DWORD = 3;
/// A route from an ICMP redirect.
pub const PROTO_IP_ICMP: DWORD = 4;
/// A route from RIP.
pub const PROTO_IP_RIP: DWORD = 8;
/// A route from OSPF.
pub const PROTO_IP_OSPF: DWORD = 13;
/// A route from BGP.
pub const PROTO_IP_BGP: DWORD = 14;
/// The number of MSDP within PROTOCOL_ID.
pub const PROTO_IP_MSDP: DWORD = 9;
/// The number of IGMP within PROTOCOL_ID.
pub const PROTO_IP_IGMP: DWORD = 10;
/// The number of BGMP within PROTOCOL_ID.
pub const PROTO_IP_BGMP: DWORD = 11;
/// The number of this manager within PROTOCOL_ID.
pub const PROTO_IP_MGM: DWORD = 10009;

/// One outgoing interface that a creation alert offers to its owner.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MGM_IF_ENTRY {
    /// The interface.
    pub dwIfIndex: DWORD,
    /// Which link of a point-to-multipoint interface; 0 otherwise.
    pub dwIfNextHopAddr: DWORD,
    /// Whether IGMP runs on it.
    pub bIGMP: BOOL,
    /// The answer: FALSE keeps the flow off this interface.
    pub bIsEnabled: BOOL,
}
/// Where an MGM_IF_ENTRY is.
pub type PMGM_IF_ENTRY = *mut MGM_IF_ENTRY;

/// A flow gets an entry, and the client owns the interface towards its source: it may put another interface of its own,
/// another neighbour and another route in the place of what the pointers lead to. pbRoute leads to an MGM_EXT_ROUTE
/// (mgm_ext.h), all zero when no route is known. The packet is NULL when there was none.
pub type PMGM_RPF_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        pdwInIfIndex: PDWORD,
        pdwInIfNextHopAddr: PDWORD,
        pdwUpStreamNbr: PDWORD,
        dwHdrSize: DWORD,
        pbPacketHdr: PBYTE,
        pbRoute: PBYTE,
    ) -> DWORD,
>;
/// A flow gets its first entry, and these interfaces of the client's would be outgoing ones: bIsEnabled may be cleared.
pub type PMGM_CREATION_ALERT_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        dwInIfIndex: DWORD,
        dwInIfNextHopAddr: DWORD,
        dwIfCount: DWORD,
        pmieOutIfList: PMGM_IF_ENTRY,
    ) -> DWORD,
>;
/// No receivers are left on interfaces of other clients: because memberships changed (TRUE), or an entry did (FALSE).
/// With FALSE, how many seconds the entry is kept may be changed; 0 leaves it as it is.
pub type PMGM_PRUNE_ALERT_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        dwIfIndex: DWORD,
        dwIfNextHopAddr: DWORD,
        bMemberDelete: BOOL,
        pdwTimeout: PDWORD,
    ) -> DWORD,
>;
/// Receivers appeared on interfaces of other clients: because memberships changed (TRUE), or an entry did (FALSE).
pub type PMGM_JOIN_ALERT_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        bMemberUpdate: BOOL,
    ) -> DWORD,
>;
/// Packets of a flow arrive on the wrong one of the client's interfaces. Never called unless asked for: see
/// MgmExtRegisterMProtocol in mgm_ext.h.
pub type PMGM_WRONG_IF_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwGroupAddr: DWORD,
        dwIfIndex: DWORD,
        dwIfNextHopAddr: DWORD,
        dwHdrSize: DWORD,
        pbPacketHdr: PBYTE,
    ) -> DWORD,
>;
/// IGMP added a membership on an interface that it shares with the client.
pub type PMGM_LOCAL_JOIN_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        dwIfIndex: DWORD,
        dwIfNextHopAddr: DWORD,
    ) -> DWORD,
>;
/// IGMP deleted a membership on an interface that it shares with the client.
pub type PMGM_LOCAL_LEAVE_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        dwIfIndex: DWORD,
        dwIfNextHopAddr: DWORD,
    ) -> DWORD,
>;
/// To IGMP: a routing protocol took or released this interface, and IGMP's memberships there have ended.
pub type PMGM_DISABLE_IGMP_CALLBACK =
    Option<unsafe extern "C" fn(dwIfIndex: DWORD, dwIfNextHopAddr: DWORD) -> DWORD>;
/// To IGMP, after each of the above: add all memberships there again. It may be done from inside this call.
pub type PMGM_ENABLE_IGMP_CALLBACK =
    Option<unsafe extern "C" fn(dwIfIndex: DWORD, dwIfNextHopAddr: DWORD) -> DWORD>;

/// What a client registers with: how it is called. What callbacks return is ignored; a null pointer is never called.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ROUTING_PROTOCOL_CONFIG {
    /// Reserved; ignored.
    pub dwCallbackFlags: DWORD,
    /// See PMGM_RPF_CALLBACK.
    pub pfnRpfCallback: PMGM_RPF_CALLBACK,
    /// See PMGM_CREATION_ALERT_CALLBACK.
    pub pfnCreationAlertCallback: PMGM_CREATION_ALERT_CALLBACK,
    /// See PMGM_PRUNE_ALERT_CALLBACK.
    pub pfnPruneAlertCallback: PMGM_PRUNE_ALERT_CALLBACK,
    /// See PMGM_JOIN_ALERT_CALLBACK.
    pub pfnJoinAlertCallback: PMGM_JOIN_ALERT_CALLBACK,
    /// See PMGM_WRONG_IF_CALLBACK.
    pub pfnWrongIfCallback: PMGM_WRONG_IF_CALLBACK,
    /// See PMGM_LOCAL_JOIN_CALLBACK.
    pub pfnLocalJoinCallback: PMGM_LOCAL_JOIN_CALLBACK,
    /// See PMGM_LOCAL_LEAVE_CALLBACK.
    pub pfnLocalLeaveCallback: PMGM_LOCAL_LEAVE_CALLBACK,
    /// See PMGM_DISABLE_IGMP_CALLBACK; only to IGMP.
    pub pfnDisableIgmpCallback: PMGM_DISABLE_IGMP_CALLBACK,
    /// See PMGM_ENABLE_IGMP_CALLBACK; only to IGMP.
    pub pfnEnableIgmpCallback: PMGM_ENABLE_IGMP_CALLBACK,
}
/// Where a ROUTING_PROTOCOL_CONFIG is.
pub type PROUTING_PROTOCOL_CONFIG = *mut ROUTING_PROTOCOL_CONFIG;

/// One record of an enumeration of groups. Address and mask 0 stand for any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct SOURCE_GROUP_ENTRY {
    /// The source.
    pub dwSourceAddr: DWORD,
    /// All ones with a source.
    pub dwSourceMask: DWORD,
    /// The group.
    pub dwGroupAddr: DWORD,
    /// All ones with a group.
    pub dwGroupMask: DWORD,
}
/// Where a SOURCE_GROUP_ENTRY is.
pub type PSOURCE_GROUP_ENTRY = *mut SOURCE_GROUP_ENTRY;

/// One outgoing interface of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_OIF {
    /// The interface.
    pub dwOutIfIndex: DWORD,
    /// Which link of a point-to-multipoint interface; 0 otherwise.
    pub dwNextHopAddr: DWORD,
    /// 0.
    pub dwReserved: DWORD,
    /// 0.
    pub dwReserved1: DWORD,
}
/// Where a MIB_IPMCAST_OIF is.
pub type PMIB_IPMCAST_OIF = *mut MIB_IPMCAST_OIF;
/// Its name in newer SDKs.
pub type MIB_IPMCAST_OIF_XP = MIB_IPMCAST_OIF;
/// Where one is.
pub type PMIB_IPMCAST_OIF_XP = *mut MIB_IPMCAST_OIF;

/// An entry: what is done with the packets of one source to one group. SIZEOF_MIB_MFE(ulNumOutIf) bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_MFE {
    /// The group.
    pub dwGroup: DWORD,
    /// The source.
    pub dwSource: DWORD,
    /// All ones.
    pub dwSrcMask: DWORD,
    /// The next router towards the source; 0 when there is none.
    pub dwUpStrmNgbr: DWORD,
    /// Where the packets have to arrive; 0 when there is no way to the source.
    pub dwInIfIndex: DWORD,
    /// The protocol that owns that interface; 0 when nobody does.
    pub dwInIfProtocol: DWORD,
    /// The protocol of the route to the source; 0, as the next two, when none is known.
    pub dwRouteProtocol: DWORD,
    /// The network of that route.
    pub dwRouteNetwork: DWORD,
    /// Its mask.
    pub dwRouteMask: DWORD,
    /// The age of the entry, in seconds.
    pub ulUpTime: ULONG,
    /// How many seconds it has left. This and ulUpTime add up to ulTimeOut.
    pub ulExpiryTime: ULONG,
    /// How many seconds it lives.
    pub ulTimeOut: ULONG,
    /// How many outgoing interfaces follow. None in a negative entry.
    pub ulNumOutIf: ULONG,
    /// 0.
    pub fFlags: DWORD,
    /// 0.
    pub dwReserved: DWORD,
    /// The outgoing interfaces, ulNumOutIf of them.
    pub rgmioOutInfo: [MIB_IPMCAST_OIF; 1],
}
/// Where a MIB_IPMCAST_MFE is.
pub type PMIB_IPMCAST_MFE = *mut MIB_IPMCAST_MFE;

/// What was counted of one outgoing interface of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_OIF_STATS {
    /// The interface.
    pub dwOutIfIndex: DWORD,
    /// Which link of a point-to-multipoint interface; 0 otherwise.
    pub dwNextHopAddr: DWORD,
    /// 0.
    pub dwDialContext: DWORD,
    /// Packets not sent because their TTL was too low.
    pub ulTtlTooLow: ULONG,
    /// Packets not sent because they would have had to be fragmented.
    pub ulFragNeeded: ULONG,
    /// Packets sent.
    pub ulOutPackets: ULONG,
    /// Packets discarded.
    pub ulOutDiscards: ULONG,
}
/// Where a MIB_IPMCAST_OIF_STATS is.
pub type PMIB_IPMCAST_OIF_STATS = *mut MIB_IPMCAST_OIF_STATS;
/// Its name in newer SDKs.
pub type MIB_IPMCAST_OIF_STATS_LH = MIB_IPMCAST_OIF_STATS;
/// Where one is.
pub type PMIB_IPMCAST_OIF_STATS_LH = *mut MIB_IPMCAST_OIF_STATS;

/// What was counted of an entry's flow, modulo 2^32 as MIB counters are. SIZEOF_MIB_MFE_STATS(ulNumOutIf) bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_MFE_STATS {
    /// As in MIB_IPMCAST_MFE, and so the next eight.
    pub dwGroup: DWORD,
    /// The source.
    pub dwSource: DWORD,
    /// All ones.
    pub dwSrcMask: DWORD,
    /// The next router towards the source.
    pub dwUpStrmNgbr: DWORD,
    /// Where the packets have to arrive.
    pub dwInIfIndex: DWORD,
    /// The protocol that owns that interface.
    pub dwInIfProtocol: DWORD,
    /// The protocol of the route to the source.
    pub dwRouteProtocol: DWORD,
    /// The network of that route.
    pub dwRouteNetwork: DWORD,
    /// Its mask.
    pub dwRouteMask: DWORD,
    /// The age of the entry, in hundredths of a second.
    pub ulUpTime: ULONG,
    /// How many hundredths of a second it has left, never 0.
    pub ulExpiryTime: ULONG,
    /// How many outgoing interfaces follow.
    pub ulNumOutIf: ULONG,
    /// Packets forwarded.
    pub ulInPkts: ULONG,
    /// Octets of those packets.
    pub ulInOctets: ULONG,
    /// Packets that arrived on a wrong interface.
    pub ulPktsDifferentIf: ULONG,
    /// Packets discarded because a queue was full.
    pub ulQueueOverflow: ULONG,
    /// The outgoing interfaces, ulNumOutIf of them.
    pub rgmiosOutStats: [MIB_IPMCAST_OIF_STATS; 1],
}
/// Where a MIB_IPMCAST_MFE_STATS is.
pub type PMIB_IPMCAST_MFE_STATS = *mut MIB_IPMCAST_MFE_STATS;

/// The same with more counters. SIZEOF_MIB_MFE_STATS_EX(ulNumOutIf) bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_MFE_STATS_EX {
    /// As in MIB_IPMCAST_MFE_STATS, and so everything up to ulQueueOverflow.
    pub dwGroup: DWORD,
    /// The source.
    pub dwSource: DWORD,
    /// All ones.
    pub dwSrcMask: DWORD,
    /// The next router towards the source.
    pub dwUpStrmNgbr: DWORD,
    /// Where the packets have to arrive.
    pub dwInIfIndex: DWORD,
    /// The protocol that owns that interface.
    pub dwInIfProtocol: DWORD,
    /// The protocol of the route to the source.
    pub dwRouteProtocol: DWORD,
    /// The network of that route.
    pub dwRouteNetwork: DWORD,
    /// Its mask.
    pub dwRouteMask: DWORD,
    /// The age of the entry, in hundredths of a second.
    pub ulUpTime: ULONG,
    /// How many hundredths of a second it has left, never 0.
    pub ulExpiryTime: ULONG,
    /// How many outgoing interfaces follow.
    pub ulNumOutIf: ULONG,
    /// Packets forwarded.
    pub ulInPkts: ULONG,
    /// Octets of those packets.
    pub ulInOctets: ULONG,
    /// Packets that arrived on a wrong interface.
    pub ulPktsDifferentIf: ULONG,
    /// Packets discarded because a queue was full.
    pub ulQueueOverflow: ULONG,
    /// Packets that came before the entry was made.
    pub ulUninitMfe: ULONG,
    /// Packets that nobody wanted.
    pub ulNegativeMfe: ULONG,
    /// Packets discarded otherwise.
    pub ulInDiscards: ULONG,
    /// Packets discarded because of their header.
    pub ulInHdrErrors: ULONG,
    /// Packets sent, over all outgoing interfaces.
    pub ulTotalOutPackets: ULONG,
    /// The outgoing interfaces, ulNumOutIf of them.
    pub rgmiosOutStats: [MIB_IPMCAST_OIF_STATS; 1],
}
/// Where a MIB_IPMCAST_MFE_STATS_EX is.
pub type PMIB_IPMCAST_MFE_STATS_EX = *mut MIB_IPMCAST_MFE_STATS_EX;
/// Its name in newer SDKs.
pub type MIB_IPMCAST_MFE_STATS_EX_XP = MIB_IPMCAST_MFE_STATS_EX;
/// Where one is.
pub type PMIB_IPMCAST_MFE_STATS_EX_XP = *mut MIB_IPMCAST_MFE_STATS_EX;
