//! The records that functions write into buffers: `SOURCE_GROUP_ENTRY` of the SDK's `mgm.h`, and the structures of its
//! `ipmib.h`.
//!
//! The structures of a router's MIB (`iprtrmib.h`) follow; no function here takes or returns them.
//!
//! Names, sizes and offsets are those of the SDK. Addresses and masks are in network byte order: the octets of
//! 224.0.0.1 lie in memory as 224, 0, 0, 1.

use crate::windows::{DWORD, ULONG, WCHAR};
use zerocopy::{Immutable, IntoBytes};

/// A record of an enumeration. Address 0 with mask 0 is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct SOURCE_GROUP_ENTRY {
    /// The source.
    pub dwSourceAddr: DWORD,
    /// All ones if there is a source.
    pub dwSourceMask: DWORD,
    /// The group.
    pub dwGroupAddr: DWORD,
    /// All ones if there is a group.
    pub dwGroupMask: DWORD,
}
/// A pointer to SOURCE_GROUP_ENTRY records.
pub type PSOURCE_GROUP_ENTRY = *mut SOURCE_GROUP_ENTRY;

/// One outgoing interface of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_OIF {
    /// The interface.
    pub dwOutIfIndex: DWORD,
    /// The link of a point-to-multipoint interface; otherwise 0.
    pub dwNextHopAddr: DWORD,
    /// Always 0.
    pub dwReserved: DWORD,
    /// Always 0.
    pub dwReserved1: DWORD,
}
/// A pointer to MIB_IPMCAST_OIF records.
pub type PMIB_IPMCAST_OIF = *mut MIB_IPMCAST_OIF;
/// The name of the structure in newer SDKs.
pub type MIB_IPMCAST_OIF_XP = MIB_IPMCAST_OIF;
/// The name of the pointer in newer SDKs.
pub type PMIB_IPMCAST_OIF_XP = *mut MIB_IPMCAST_OIF;

/// An entry: where the packets of one source to one group are copied to. Takes SIZEOF_MIB_MFE(ulNumOutIf) octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_MFE {
    /// The group.
    pub dwGroup: DWORD,
    /// The source.
    pub dwSource: DWORD,
    /// Always all ones.
    pub dwSrcMask: DWORD,
    /// The upstream neighbour, which is the next router towards the source; 0 if there is none.
    pub dwUpStrmNgbr: DWORD,
    /// The incoming interface, on which the packets have to arrive; 0 if there is no route to the source.
    pub dwInIfIndex: DWORD,
    /// The protocol that owns the incoming interface; 0 if it has no owner.
    pub dwInIfProtocol: DWORD,
    /// The origin of the route to the source (PROTO_IP_OSPF, ...). This and the next two are 0 if no route is known.
    pub dwRouteProtocol: DWORD,
    /// The network of the route.
    pub dwRouteNetwork: DWORD,
    /// The mask of the route.
    pub dwRouteMask: DWORD,
    /// The age of the entry, in seconds.
    pub ulUpTime: ULONG,
    /// The seconds until the entry expires. This and ulUpTime add up to ulTimeOut.
    pub ulExpiryTime: ULONG,
    /// The lifetime of the entry, in seconds.
    pub ulTimeOut: ULONG,
    /// How many outgoing interfaces follow; 0 in a negative entry.
    pub ulNumOutIf: ULONG,
    /// Always 0.
    pub fFlags: DWORD,
    /// Always 0.
    pub dwReserved: DWORD,
    /// The outgoing interfaces, ulNumOutIf of them.
    pub rgmioOutInfo: [MIB_IPMCAST_OIF; 1],
}
/// A pointer to MIB_IPMCAST_MFE records.
pub type PMIB_IPMCAST_MFE = *mut MIB_IPMCAST_MFE;

/// The counters of one outgoing interface of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_OIF_STATS {
    /// The interface.
    pub dwOutIfIndex: DWORD,
    /// The link of a point-to-multipoint interface; otherwise 0.
    pub dwNextHopAddr: DWORD,
    /// Always 0.
    pub dwDialContext: DWORD,
    /// Packets not sent because their TTL was too low.
    pub ulTtlTooLow: ULONG,
    /// Packets not sent because they would have needed fragmentation.
    pub ulFragNeeded: ULONG,
    /// Packets sent.
    pub ulOutPackets: ULONG,
    /// Packets discarded.
    pub ulOutDiscards: ULONG,
}
/// A pointer to MIB_IPMCAST_OIF_STATS records.
pub type PMIB_IPMCAST_OIF_STATS = *mut MIB_IPMCAST_OIF_STATS;
/// The name of the structure in newer SDKs.
pub type MIB_IPMCAST_OIF_STATS_LH = MIB_IPMCAST_OIF_STATS;
/// The name of the pointer in newer SDKs.
pub type PMIB_IPMCAST_OIF_STATS_LH = *mut MIB_IPMCAST_OIF_STATS;

/// An entry with its counters, which are modulo 2^32. Takes SIZEOF_MIB_MFE_STATS(ulNumOutIf) octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_MFE_STATS {
    /// The group.
    pub dwGroup: DWORD,
    /// The source.
    pub dwSource: DWORD,
    /// Always all ones.
    pub dwSrcMask: DWORD,
    /// The upstream neighbour.
    pub dwUpStrmNgbr: DWORD,
    /// The incoming interface.
    pub dwInIfIndex: DWORD,
    /// The protocol that owns the incoming interface.
    pub dwInIfProtocol: DWORD,
    /// The origin of the route to the source.
    pub dwRouteProtocol: DWORD,
    /// The network of the route.
    pub dwRouteNetwork: DWORD,
    /// The mask of the route.
    pub dwRouteMask: DWORD,
    /// The age of the entry, in hundredths of a second.
    pub ulUpTime: ULONG,
    /// The time until the entry expires, in hundredths of a second; never 0.
    pub ulExpiryTime: ULONG,
    /// How many outgoing interfaces follow.
    pub ulNumOutIf: ULONG,
    /// Packets forwarded.
    pub ulInPkts: ULONG,
    /// Octets of those packets.
    pub ulInOctets: ULONG,
    /// Packets that arrived on another interface than the incoming one.
    pub ulPktsDifferentIf: ULONG,
    /// Packets discarded because a queue was full.
    pub ulQueueOverflow: ULONG,
    /// The outgoing interfaces, ulNumOutIf of them.
    pub rgmiosOutStats: [MIB_IPMCAST_OIF_STATS; 1],
}
/// A pointer to MIB_IPMCAST_MFE_STATS records.
pub type PMIB_IPMCAST_MFE_STATS = *mut MIB_IPMCAST_MFE_STATS;

/// An entry with more counters. Takes SIZEOF_MIB_MFE_STATS_EX(ulNumOutIf) octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct MIB_IPMCAST_MFE_STATS_EX {
    /// The group.
    pub dwGroup: DWORD,
    /// The source.
    pub dwSource: DWORD,
    /// Always all ones.
    pub dwSrcMask: DWORD,
    /// The upstream neighbour.
    pub dwUpStrmNgbr: DWORD,
    /// The incoming interface.
    pub dwInIfIndex: DWORD,
    /// The protocol that owns the incoming interface.
    pub dwInIfProtocol: DWORD,
    /// The origin of the route to the source.
    pub dwRouteProtocol: DWORD,
    /// The network of the route.
    pub dwRouteNetwork: DWORD,
    /// The mask of the route.
    pub dwRouteMask: DWORD,
    /// The age of the entry, in hundredths of a second.
    pub ulUpTime: ULONG,
    /// The time until the entry expires, in hundredths of a second; never 0.
    pub ulExpiryTime: ULONG,
    /// How many outgoing interfaces follow.
    pub ulNumOutIf: ULONG,
    /// Packets forwarded.
    pub ulInPkts: ULONG,
    /// Octets of those packets.
    pub ulInOctets: ULONG,
    /// Packets that arrived on another interface than the incoming one.
    pub ulPktsDifferentIf: ULONG,
    /// Packets discarded because a queue was full.
    pub ulQueueOverflow: ULONG,
    /// Packets that arrived before the entry was made.
    pub ulUninitMfe: ULONG,
    /// Packets that had no receivers.
    pub ulNegativeMfe: ULONG,
    /// Packets discarded for another reason.
    pub ulInDiscards: ULONG,
    /// Packets discarded because of their header.
    pub ulInHdrErrors: ULONG,
    /// Packets sent, over all outgoing interfaces.
    pub ulTotalOutPackets: ULONG,
    /// The outgoing interfaces, ulNumOutIf of them.
    pub rgmiosOutStats: [MIB_IPMCAST_OIF_STATS; 1],
}
/// A pointer to MIB_IPMCAST_MFE_STATS_EX records.
pub type PMIB_IPMCAST_MFE_STATS_EX = *mut MIB_IPMCAST_MFE_STATS_EX;
/// The name of the structure in newer SDKs.
pub type MIB_IPMCAST_MFE_STATS_EX_XP = MIB_IPMCAST_MFE_STATS_EX;
/// The name of the pointer in newer SDKs.
pub type PMIB_IPMCAST_MFE_STATS_EX_XP = *mut MIB_IPMCAST_MFE_STATS_EX;

/// The entries of a router, in its MIB. The records lie one after the other, SIZEOF_MIB_MFE(ulNumOutIf) octets each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_MFE_TABLE {
    /// The number of records.
    pub dwNumEntries: DWORD,
    /// The records.
    pub table: [MIB_IPMCAST_MFE; 1],
}
/// A pointer to a MIB_MFE_TABLE.
pub type PMIB_MFE_TABLE = *mut MIB_MFE_TABLE;

/// The entries of a router with their counters, in its MIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_MFE_STATS_TABLE {
    /// The number of records.
    pub dwNumEntries: DWORD,
    /// The records.
    pub table: [MIB_IPMCAST_MFE_STATS; 1],
}
/// A pointer to a MIB_MFE_STATS_TABLE.
pub type PMIB_MFE_STATS_TABLE = *mut MIB_MFE_STATS_TABLE;

/// The entries of a router with more counters, in its MIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_MFE_STATS_TABLE_EX {
    /// The number of records.
    pub dwNumEntries: DWORD,
    /// The records.
    pub table: [MIB_IPMCAST_MFE_STATS_EX; 1],
}
/// A pointer to a MIB_MFE_STATS_TABLE_EX.
pub type PMIB_MFE_STATS_TABLE_EX = *mut MIB_MFE_STATS_TABLE_EX;

/// Whether a router forwards multicast, in its MIB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_IPMCAST_GLOBAL {
    /// 1 if it does, otherwise 2.
    pub dwEnable: DWORD,
}
/// A pointer to a MIB_IPMCAST_GLOBAL.
pub type PMIB_IPMCAST_GLOBAL = *mut MIB_IPMCAST_GLOBAL;

/// A multicast interface of a router, in its MIB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_IPMCAST_IF_ENTRY {
    /// The interface.
    pub dwIfIndex: DWORD,
    /// The TTL that a packet needs at least to be sent.
    pub dwTtl: DWORD,
    /// The protocol that owns the interface.
    pub dwProtocol: DWORD,
    /// The limit of its rate, in kilobits a second; 0 if there is none.
    pub dwRateLimit: DWORD,
    /// Octets of multicast received.
    pub ulInMcastOctets: ULONG,
    /// Octets of multicast sent.
    pub ulOutMcastOctets: ULONG,
}
/// A pointer to MIB_IPMCAST_IF_ENTRY records.
pub type PMIB_IPMCAST_IF_ENTRY = *mut MIB_IPMCAST_IF_ENTRY;

/// The multicast interfaces of a router, in its MIB. Takes SIZEOF_MCAST_IF_TABLE(dwNumEntries) octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_IPMCAST_IF_TABLE {
    /// The number of records.
    pub dwNumEntries: DWORD,
    /// The records.
    pub table: [MIB_IPMCAST_IF_ENTRY; 1],
}
/// A pointer to a MIB_IPMCAST_IF_TABLE.
pub type PMIB_IPMCAST_IF_TABLE = *mut MIB_IPMCAST_IF_TABLE;

/// A boundary of a range of groups at an interface, in the MIB of a router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_IPMCAST_BOUNDARY {
    /// The interface, on which packets of the range are not forwarded.
    pub dwIfIndex: DWORD,
    /// The range, with its mask.
    pub dwGroupAddress: DWORD,
    /// The mask of the range.
    pub dwGroupMask: DWORD,
    /// The status of the row: 1 for an active one.
    pub dwStatus: DWORD,
}
/// A pointer to MIB_IPMCAST_BOUNDARY records.
pub type PMIB_IPMCAST_BOUNDARY = *mut MIB_IPMCAST_BOUNDARY;

/// The boundaries of a router, in its MIB. Takes SIZEOF_BOUNDARY_TABLE(dwNumEntries) octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_IPMCAST_BOUNDARY_TABLE {
    /// The number of records.
    pub dwNumEntries: DWORD,
    /// The records.
    pub table: [MIB_IPMCAST_BOUNDARY; 1],
}
/// A pointer to a MIB_IPMCAST_BOUNDARY_TABLE.
pub type PMIB_IPMCAST_BOUNDARY_TABLE = *mut MIB_IPMCAST_BOUNDARY_TABLE;

/// A named range of groups, in the MIB of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MIB_IPMCAST_SCOPE {
    /// The range, with its mask.
    pub dwGroupAddress: DWORD,
    /// The mask of the range.
    pub dwGroupMask: DWORD,
    /// The name, of at most MAX_SCOPE_NAME_LEN characters, with a 0 after the last.
    pub snNameBuffer: [WCHAR; 256],
    /// The status of the row: 1 for an active one.
    pub dwStatus: DWORD,
}
/// A pointer to a MIB_IPMCAST_SCOPE.
pub type PMIB_IPMCAST_SCOPE = *mut MIB_IPMCAST_SCOPE;
