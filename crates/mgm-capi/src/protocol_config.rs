//! `ROUTING_PROTOCOL_CONFIG`: the callbacks that a client registers with.
//!
//! Names, sizes and offsets are those of the SDK's `mgm.h`.

use crate::windows::{BOOL, DWORD, PBYTE, PDWORD};

/// One outgoing interface that a creation alert offers to the interface's owner.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MGM_IF_ENTRY {
    /// The interface.
    pub dwIfIndex: DWORD,
    /// The link of a point-to-multipoint interface; otherwise 0.
    pub dwIfNextHopAddr: DWORD,
    /// Whether IGMP owns the interface as well.
    pub bIGMP: BOOL,
    /// The answer: FALSE keeps the flow off this interface.
    pub bIsEnabled: BOOL,
}
/// A pointer to MGM_IF_ENTRY records.
pub type PMGM_IF_ENTRY = *mut MGM_IF_ENTRY;

/// Asks the owner of the interface towards the source for the reverse path of a flow that gets an entry.
///
/// The callback may change what the pointers lead to: to another interface of its own, another neighbour, another
/// route. pbRoute points to an MGM_EXT_ROUTE (mgm_ext.h), which is all zero when no route is known. pbPacketHdr is NULL
/// when the entry is made without a packet.
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
/// Offers the client's interfaces as outgoing interfaces of a flow's first entry. The callback may clear bIsEnabled.
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
/// Reports that no receivers are left on interfaces of other clients.
///
/// bMemberDelete is TRUE when memberships changed, FALSE when an entry changed. With FALSE the callback may change how
/// many seconds the entry is kept; 0 leaves the time-out as it is.
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
/// Reports the first receivers on interfaces of other clients.
///
/// bMemberUpdate is TRUE when memberships changed, FALSE when an entry changed. With TRUE, joins and prunes of a key
/// alternate for each client; a key is a source and a group, or a group, or all groups (all four values 0, sent once).
/// Memberships that existed before the registration are reported only with MGM_EXT_WANT_PRESENT_JOINS (mgm_ext.h).
pub type PMGM_JOIN_ALERT_CALLBACK = Option<
    unsafe extern "C" fn(
        dwSourceAddr: DWORD,
        dwSourceMask: DWORD,
        dwGroupAddr: DWORD,
        dwGroupMask: DWORD,
        bMemberUpdate: BOOL,
    ) -> DWORD,
>;
/// Reports packets that arrived on an interface of the client which is not the flow's incoming interface.
///
/// Called only for clients registered by MgmExtRegisterMProtocol (mgm_ext.h) with MGM_EXT_WANT_WRONG_IF.
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
/// Reports that IGMP added a membership on an interface that it shares with the client.
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
/// Reports that IGMP deleted a membership on an interface that it shares with the client.
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
/// Reports to IGMP that a routing protocol took or released this interface. IGMP's memberships on it have ended.
pub type PMGM_DISABLE_IGMP_CALLBACK =
    Option<unsafe extern "C" fn(dwIfIndex: DWORD, dwIfNextHopAddr: DWORD) -> DWORD>;
/// Asks IGMP to add its memberships on this interface again. Follows each PMGM_DISABLE_IGMP_CALLBACK.
///
/// The callback may add them itself.
pub type PMGM_ENABLE_IGMP_CALLBACK =
    Option<unsafe extern "C" fn(dwIfIndex: DWORD, dwIfNextHopAddr: DWORD) -> DWORD>;

/// The callbacks of a client. What a callback returns is ignored. A null pointer is not called.
#[derive(Clone, Copy, Debug, Default)]
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
    /// See PMGM_DISABLE_IGMP_CALLBACK. Called for IGMP alone.
    pub pfnDisableIgmpCallback: PMGM_DISABLE_IGMP_CALLBACK,
    /// See PMGM_ENABLE_IGMP_CALLBACK. Called for IGMP alone.
    pub pfnEnableIgmpCallback: PMGM_ENABLE_IGMP_CALLBACK,
}
/// A pointer to a ROUTING_PROTOCOL_CONFIG.
pub type PROUTING_PROTOCOL_CONFIG = *mut ROUTING_PROTOCOL_CONFIG;
