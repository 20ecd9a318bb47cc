/*
 * The Multicast Group Manager API of the Windows SDK, as libmgm has it: the functions, structures and constants of mgm.h,
 * and what they need of ipmib.h, routprot.h, winerror.h and windef.h. Addresses and masks are in network byte order.
 *
 * Every function may be called from any thread and from inside any callback. docs/c-interface.md tells more of each.
 * What Windows has no function for, feeding the manager packets and routes above all, is in mgm_ext.h.
 *
 * Define MGM_NO_PARAMETER_MARKS before including this to keep IN, OUT and OPTIONAL from being defined, and
 * MGM_HAVE_WINDOWS_TYPES if the types of windef.h are there already.
 */

#ifndef MGM_H
#define MGM_H

/* Made from src/capi by cbindgen; to make it anew: MGM_HEADERS=write cargo test --test c_header */

#include <stddef.h>
#include <stdint.h>

#ifndef MGM_HAVE_WINDOWS_TYPES
typedef uint8_t BYTE, UCHAR, *PBYTE, *PUCHAR, *LPBYTE;
typedef uint16_t WORD, USHORT, *PWORD, *PUSHORT;
typedef uint32_t DWORD, ULONG, UINT, *PDWORD, *PULONG, *LPDWORD;
typedef int32_t INT, LONG, *PINT, *PLONG;
typedef int BOOL, *PBOOL;
typedef void *PVOID, *LPVOID, *HANDLE, **PHANDLE;
#ifndef VOID
#define VOID void
#endif
#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#ifndef WINAPI
#define WINAPI
#endif
#ifndef APIENTRY
#define APIENTRY WINAPI
#endif
#ifndef CALLBACK
#define CALLBACK
#endif
#ifndef INVALID_HANDLE_VALUE
#define INVALID_HANDLE_VALUE ((HANDLE)(intptr_t)-1)
#endif
#endif

#ifndef MGM_NO_PARAMETER_MARKS
#ifndef IN
#define IN
#endif
#ifndef OUT
#define OUT
#endif
#ifndef OPTIONAL
#define OPTIONAL
#endif
#endif

#ifndef ANY_SIZE
#define ANY_SIZE 1
#endif

/* Which groups an enumeration tells of. */
typedef enum _MGM_ENUM_TYPES {
  /* Each group that anybody has joined, whatever the source. */
  ANY_SOURCE = 0,
  /* Each (source, group) and (*, group) that anybody has joined. */
  ALL_SOURCES
} MGM_ENUM_TYPES;

/* The number of a routing protocol: for MgmRegisterMProtocol, and what dwInIfProtocol is. */
#define PROTOCOL_ID(Type, VendorId, ProtocolId) \
  (((DWORD)(Type) & 0x03u) << 30 | ((DWORD)(VendorId) & 0x3FFFu) << 16 | ((DWORD)(ProtocolId) & 0xFFFFu))
/* IGMP: the one protocol that can own an interface beside another. */
#define MS_IP_IGMP PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_IGMP)
#define MS_IP_BGMP PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_BGMP)
#define MS_IP_MSDP PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_MSDP)
#define MS_IP_MGM PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_MGM)

/* The reference pages call the flag so. */
#define MGM_FORWARD_STATE MGM_FORWARD_STATE_FLAG

/* The size of a record with X outgoing interfaces: how far it is to the next one in a buffer. */
#define SIZEOF_BASIC_MIB_MFE ((ULONG)offsetof(MIB_IPMCAST_MFE, rgmioOutInfo))
#define SIZEOF_MIB_MFE(X) (SIZEOF_BASIC_MIB_MFE + ((X) * (ULONG)sizeof(MIB_IPMCAST_OIF)))
#define SIZEOF_BASIC_MIB_MFE_STATS ((ULONG)offsetof(MIB_IPMCAST_MFE_STATS, rgmiosOutStats))
#define SIZEOF_MIB_MFE_STATS(X) (SIZEOF_BASIC_MIB_MFE_STATS + ((X) * (ULONG)sizeof(MIB_IPMCAST_OIF_STATS)))
#define SIZEOF_BASIC_MIB_MFE_STATS_EX ((ULONG)offsetof(MIB_IPMCAST_MFE_STATS_EX, rgmiosOutStats))
#define SIZEOF_MIB_MFE_STATS_EX(X) (SIZEOF_BASIC_MIB_MFE_STATS_EX + ((X) * (ULONG)sizeof(MIB_IPMCAST_OIF_STATS)))

/* The tags of the SDK's structures. */
#define _MGM_IF_ENTRY MGM_IF_ENTRY
#define _ROUTING_PROTOCOL_CONFIG ROUTING_PROTOCOL_CONFIG
#define _SOURCE_GROUP_ENTRY SOURCE_GROUP_ENTRY
#define _MIB_IPMCAST_OIF MIB_IPMCAST_OIF
#define _MIB_IPMCAST_MFE MIB_IPMCAST_MFE
#define _MIB_IPMCAST_OIF_STATS MIB_IPMCAST_OIF_STATS
#define _MIB_IPMCAST_MFE_STATS MIB_IPMCAST_MFE_STATS
#define _MIB_IPMCAST_MFE_STATS_EX MIB_IPMCAST_MFE_STATS_EX

// A flow gets an entry, and the client owns the interface towards its source: it may put another interface of its own,
// another neighbour and another route in the place of what the pointers lead to. pbRoute leads to an MGM_EXT_ROUTE
// (mgm_ext.h), all zero when no route is known. The packet is NULL when there was none.
typedef DWORD (*PMGM_RPF_CALLBACK)(DWORD dwSourceAddr,
                                   DWORD dwSourceMask,
                                   DWORD dwGroupAddr,
                                   DWORD dwGroupMask,
                                   PDWORD pdwInIfIndex,
                                   PDWORD pdwInIfNextHopAddr,
                                   PDWORD pdwUpStreamNbr,
                                   DWORD dwHdrSize,
                                   PBYTE pbPacketHdr,
                                   PBYTE pbRoute);

// One outgoing interface that a creation alert offers to its owner.
typedef struct MGM_IF_ENTRY {
  // The interface.
  DWORD dwIfIndex;
  // Which link of a point-to-multipoint interface; 0 otherwise.
  DWORD dwIfNextHopAddr;
  // Whether IGMP runs on it.
  BOOL bIGMP;
  // The answer: FALSE keeps the flow off this interface.
  BOOL bIsEnabled;
} MGM_IF_ENTRY;

// Where an MGM_IF_ENTRY is.
typedef struct MGM_IF_ENTRY *PMGM_IF_ENTRY;

// A flow gets its first entry, and these interfaces of the client's would be outgoing ones: bIsEnabled may be cleared.
typedef DWORD (*PMGM_CREATION_ALERT_CALLBACK)(DWORD dwSourceAddr,
                                              DWORD dwSourceMask,
                                              DWORD dwGroupAddr,
                                              DWORD dwGroupMask,
                                              DWORD dwInIfIndex,
                                              DWORD dwInIfNextHopAddr,
                                              DWORD dwIfCount,
                                              PMGM_IF_ENTRY pmieOutIfList);

// No receivers are left on interfaces of other clients: because memberships changed (TRUE), or an entry did (FALSE).
// With FALSE, how many seconds the entry is kept may be changed; 0 leaves it as it is.
typedef DWORD (*PMGM_PRUNE_ALERT_CALLBACK)(DWORD dwSourceAddr,
                                           DWORD dwSourceMask,
                                           DWORD dwGroupAddr,
                                           DWORD dwGroupMask,
                                           DWORD dwIfIndex,
                                           DWORD dwIfNextHopAddr,
                                           BOOL bMemberDelete,
                                           PDWORD pdwTimeout);

// Receivers appeared on interfaces of other clients: because memberships changed (TRUE), or an entry did (FALSE).
typedef DWORD (*PMGM_JOIN_ALERT_CALLBACK)(DWORD dwSourceAddr,
                                          DWORD dwSourceMask,
                                          DWORD dwGroupAddr,
                                          DWORD dwGroupMask,
                                          BOOL bMemberUpdate);

// Packets of a flow arrive on the wrong one of the client's interfaces. Never called unless asked for: see
// MgmExtRegisterMProtocol in mgm_ext.h.
typedef DWORD (*PMGM_WRONG_IF_CALLBACK)(DWORD dwSourceAddr,
                                        DWORD dwGroupAddr,
                                        DWORD dwIfIndex,
                                        DWORD dwIfNextHopAddr,
                                        DWORD dwHdrSize,
                                        PBYTE pbPacketHdr);

// IGMP added a membership on an interface that it shares with the client.
typedef DWORD (*PMGM_LOCAL_JOIN_CALLBACK)(DWORD dwSourceAddr,
                                          DWORD dwSourceMask,
                                          DWORD dwGroupAddr,
                                          DWORD dwGroupMask,
                                          DWORD dwIfIndex,
                                          DWORD dwIfNextHopAddr);

// IGMP deleted a membership on an interface that it shares with the client.
typedef DWORD (*PMGM_LOCAL_LEAVE_CALLBACK)(DWORD dwSourceAddr,
                                           DWORD dwSourceMask,
                                           DWORD dwGroupAddr,
                                           DWORD dwGroupMask,
                                           DWORD dwIfIndex,
                                           DWORD dwIfNextHopAddr);

// To IGMP: a routing protocol took or released this interface, and IGMP's memberships there have ended.
typedef DWORD (*PMGM_DISABLE_IGMP_CALLBACK)(DWORD dwIfIndex, DWORD dwIfNextHopAddr);

// To IGMP, after each of the above: add all memberships there again. It may be done from inside this call.
typedef DWORD (*PMGM_ENABLE_IGMP_CALLBACK)(DWORD dwIfIndex, DWORD dwIfNextHopAddr);

// What a client registers with: how it is called. What callbacks return is ignored; a null pointer is never called.
typedef struct ROUTING_PROTOCOL_CONFIG {
  // Reserved; ignored.
  DWORD dwCallbackFlags;
  // See PMGM_RPF_CALLBACK.
  PMGM_RPF_CALLBACK pfnRpfCallback;
  // See PMGM_CREATION_ALERT_CALLBACK.
  PMGM_CREATION_ALERT_CALLBACK pfnCreationAlertCallback;
  // See PMGM_PRUNE_ALERT_CALLBACK.
  PMGM_PRUNE_ALERT_CALLBACK pfnPruneAlertCallback;
  // See PMGM_JOIN_ALERT_CALLBACK.
  PMGM_JOIN_ALERT_CALLBACK pfnJoinAlertCallback;
  // See PMGM_WRONG_IF_CALLBACK.
  PMGM_WRONG_IF_CALLBACK pfnWrongIfCallback;
  // See PMGM_LOCAL_JOIN_CALLBACK.
  PMGM_LOCAL_JOIN_CALLBACK pfnLocalJoinCallback;
  // See PMGM_LOCAL_LEAVE_CALLBACK.
  PMGM_LOCAL_LEAVE_CALLBACK pfnLocalLeaveCallback;
  // See PMGM_DISABLE_IGMP_CALLBACK; only to IGMP.
  PMGM_DISABLE_IGMP_CALLBACK pfnDisableIgmpCallback;
  // See PMGM_ENABLE_IGMP_CALLBACK; only to IGMP.
  PMGM_ENABLE_IGMP_CALLBACK pfnEnableIgmpCallback;
} ROUTING_PROTOCOL_CONFIG;

// Where a ROUTING_PROTOCOL_CONFIG is.
typedef struct ROUTING_PROTOCOL_CONFIG *PROUTING_PROTOCOL_CONFIG;

// One outgoing interface of an entry.
typedef struct MIB_IPMCAST_OIF {
  // The interface.
  DWORD dwOutIfIndex;
  // Which link of a point-to-multipoint interface; 0 otherwise.
  DWORD dwNextHopAddr;
  // 0.
  DWORD dwReserved;
  // 0.
  DWORD dwReserved1;
} MIB_IPMCAST_OIF;

// An entry: what is done with the packets of one source to one group. SIZEOF_MIB_MFE(ulNumOutIf) bytes.
typedef struct MIB_IPMCAST_MFE {
  // The group.
  DWORD dwGroup;
  // The source.
  DWORD dwSource;
  // All ones.
  DWORD dwSrcMask;
  // The next router towards the source; 0 when there is none.
  DWORD dwUpStrmNgbr;
  // Where the packets have to arrive; 0 when there is no way to the source.
  DWORD dwInIfIndex;
  // The protocol that owns that interface; 0 when nobody does.
  DWORD dwInIfProtocol;
  // The protocol of the route to the source; 0, as the next two, when none is known.
  DWORD dwRouteProtocol;
  // The network of that route.
  DWORD dwRouteNetwork;
  // Its mask.
  DWORD dwRouteMask;
  // The age of the entry, in seconds.
  ULONG ulUpTime;
  // How many seconds it has left. This and ulUpTime add up to ulTimeOut.
  ULONG ulExpiryTime;
  // How many seconds it lives.
  ULONG ulTimeOut;
  // How many outgoing interfaces follow. None in a negative entry.
  ULONG ulNumOutIf;
  // 0.
  DWORD fFlags;
  // 0.
  DWORD dwReserved;
  // The outgoing interfaces, ulNumOutIf of them.
  struct MIB_IPMCAST_OIF rgmioOutInfo[1];
} MIB_IPMCAST_MFE;

// Where a MIB_IPMCAST_MFE is.
typedef struct MIB_IPMCAST_MFE *PMIB_IPMCAST_MFE;

// One record of an enumeration of groups. Address and mask 0 stand for any.
typedef struct SOURCE_GROUP_ENTRY {
  // The source.
  DWORD dwSourceAddr;
  // All ones with a source.
  DWORD dwSourceMask;
  // The group.
  DWORD dwGroupAddr;
  // All ones with a group.
  DWORD dwGroupMask;
} SOURCE_GROUP_ENTRY;

// Where a SOURCE_GROUP_ENTRY is.
typedef struct SOURCE_GROUP_ENTRY *PSOURCE_GROUP_ENTRY;

// Where a MIB_IPMCAST_OIF is.
typedef struct MIB_IPMCAST_OIF *PMIB_IPMCAST_OIF;

// Its name in newer SDKs.
typedef struct MIB_IPMCAST_OIF MIB_IPMCAST_OIF_XP;

// Where one is.
typedef struct MIB_IPMCAST_OIF *PMIB_IPMCAST_OIF_XP;

// What was counted of one outgoing interface of an entry.
typedef struct MIB_IPMCAST_OIF_STATS {
  // The interface.
  DWORD dwOutIfIndex;
  // Which link of a point-to-multipoint interface; 0 otherwise.
  DWORD dwNextHopAddr;
  // 0.
  DWORD dwDialContext;
  // Packets not sent because their TTL was too low.
  ULONG ulTtlTooLow;
  // Packets not sent because they would have had to be fragmented.
  ULONG ulFragNeeded;
  // Packets sent.
  ULONG ulOutPackets;
  // Packets discarded.
  ULONG ulOutDiscards;
} MIB_IPMCAST_OIF_STATS;

// Where a MIB_IPMCAST_OIF_STATS is.
typedef struct MIB_IPMCAST_OIF_STATS *PMIB_IPMCAST_OIF_STATS;

// Its name in newer SDKs.
typedef struct MIB_IPMCAST_OIF_STATS MIB_IPMCAST_OIF_STATS_LH;

// Where one is.
typedef struct MIB_IPMCAST_OIF_STATS *PMIB_IPMCAST_OIF_STATS_LH;

// What was counted of an entry's flow, modulo 2^32 as MIB counters are. SIZEOF_MIB_MFE_STATS(ulNumOutIf) bytes.
typedef struct MIB_IPMCAST_MFE_STATS {
  // As in MIB_IPMCAST_MFE, and so the next eight.
  DWORD dwGroup;
  // The source.
  DWORD dwSource;
  // All ones.
  DWORD dwSrcMask;
  // The next router towards the source.
  DWORD dwUpStrmNgbr;
  // Where the packets have to arrive.
  DWORD dwInIfIndex;
  // The protocol that owns that interface.
  DWORD dwInIfProtocol;
  // The protocol of the route to the source.
  DWORD dwRouteProtocol;
  // The network of that route.
  DWORD dwRouteNetwork;
  // Its mask.
  DWORD dwRouteMask;
  // The age of the entry, in hundredths of a second.
  ULONG ulUpTime;
  // How many hundredths of a second it has left, never 0.
  ULONG ulExpiryTime;
  // How many outgoing interfaces follow.
  ULONG ulNumOutIf;
  // Packets forwarded.
  ULONG ulInPkts;
  // Octets of those packets.
  ULONG ulInOctets;
  // Packets that arrived on a wrong interface.
  ULONG ulPktsDifferentIf;
  // Packets discarded because a queue was full.
  ULONG ulQueueOverflow;
  // The outgoing interfaces, ulNumOutIf of them.
  struct MIB_IPMCAST_OIF_STATS rgmiosOutStats[1];
} MIB_IPMCAST_MFE_STATS;

// Where a MIB_IPMCAST_MFE_STATS is.
typedef struct MIB_IPMCAST_MFE_STATS *PMIB_IPMCAST_MFE_STATS;

// The same with more counters. SIZEOF_MIB_MFE_STATS_EX(ulNumOutIf) bytes.
typedef struct MIB_IPMCAST_MFE_STATS_EX {
  // As in MIB_IPMCAST_MFE_STATS, and so everything up to ulQueueOverflow.
  DWORD dwGroup;
  // The source.
  DWORD dwSource;
  // All ones.
  DWORD dwSrcMask;
  // The next router towards the source.
  DWORD dwUpStrmNgbr;
  // Where the packets have to arrive.
  DWORD dwInIfIndex;
  // The protocol that owns that interface.
  DWORD dwInIfProtocol;
  // The protocol of the route to the source.
  DWORD dwRouteProtocol;
  // The network of that route.
  DWORD dwRouteNetwork;
  // Its mask.
  DWORD dwRouteMask;
  // The age of the entry, in hundredths of a second.
  ULONG ulUpTime;
  // How many hundredths of a second it has left, never 0.
  ULONG ulExpiryTime;
  // How many outgoing interfaces follow.
  ULONG ulNumOutIf;
  // Packets forwarded.
  ULONG ulInPkts;
  // Octets of those packets.
  ULONG ulInOctets;
  // Packets that arrived on a wrong interface.
  ULONG ulPktsDifferentIf;
  // Packets discarded because a queue was full.
  ULONG ulQueueOverflow;
  // Packets that came before the entry was made.
  ULONG ulUninitMfe;
  // Packets that nobody wanted.
  ULONG ulNegativeMfe;
  // Packets discarded otherwise.
  ULONG ulInDiscards;
  // Packets discarded because of their header.
  ULONG ulInHdrErrors;
  // Packets sent, over all outgoing interfaces.
  ULONG ulTotalOutPackets;
  // The outgoing interfaces, ulNumOutIf of them.
  struct MIB_IPMCAST_OIF_STATS rgmiosOutStats[1];
} MIB_IPMCAST_MFE_STATS_EX;

// Where a MIB_IPMCAST_MFE_STATS_EX is.
typedef struct MIB_IPMCAST_MFE_STATS_EX *PMIB_IPMCAST_MFE_STATS_EX;

// Its name in newer SDKs.
typedef struct MIB_IPMCAST_MFE_STATS_EX MIB_IPMCAST_MFE_STATS_EX_XP;

// Where one is.
typedef struct MIB_IPMCAST_MFE_STATS_EX *PMIB_IPMCAST_MFE_STATS_EX_XP;

// Success.
#define NO_ERROR 0

// Success.
#define ERROR_SUCCESS 0

// No function of this library returns it: a bad handle is ERROR_INVALID_PARAMETER.
#define ERROR_INVALID_HANDLE 6

// A limit is reached: of clients, interfaces, memberships or enumerations.
#define ERROR_NOT_ENOUGH_MEMORY 8

// No function of this library returns it.
#define ERROR_NOT_SUPPORTED 50

// A handle that names nothing, a null pointer, or a value that the function does not take.
#define ERROR_INVALID_PARAMETER 87

// The buffer cannot hold a single record; its size is now what one needs.
#define ERROR_INSUFFICIENT_BUFFER 122

// Registered, or taken, already.
#define ERROR_ALREADY_EXISTS 183

// Records were returned, and there are more.
#define ERROR_MORE_DATA 234

// The end is reached; records may have been returned.
#define ERROR_NO_MORE_ITEMS 259

// It cannot be done as things stand.
#define ERROR_CAN_NOT_COMPLETE 1003

// There is no such entry, or no such interface.
#define ERROR_NOT_FOUND 1168

// The membership itself changes, and every entry that it affects.
#define MGM_JOIN_STATE_FLAG 1

// Only the entries that are there change.
#define MGM_FORWARD_STATE_FLAG 2

// Statistics as MIB_IPMCAST_MFE_STATS.
#define MGM_MFE_STATS_0 1

// Statistics as MIB_IPMCAST_MFE_STATS_EX.
#define MGM_MFE_STATS_1 2

// Type of a unicast routing protocol, for PROTOCOL_ID.
#define PROTO_TYPE_UCAST 0

// Type of a multicast routing protocol.
#define PROTO_TYPE_MCAST 1

// Type kept for Microsoft.
#define PROTO_TYPE_MS0 2

// Type kept for Microsoft.
#define PROTO_TYPE_MS1 3

// Vendor number kept for Microsoft.
#define PROTO_VENDOR_MS0 0

// Vendor number of Microsoft's own protocols.
#define PROTO_VENDOR_MS1 311

// Vendor number kept for Microsoft.
#define PROTO_VENDOR_MS2 16383

// A route of no protocol named here, for dwRouteProtocol.
#define PROTO_IP_OTHER 1

// A route to a network that the router is on.
#define PROTO_IP_LOCAL 2

// A static route.
#define PROTO_IP_NETMGMT 3

// A route from an ICMP redirect.
#define PROTO_IP_ICMP 4

// A route from RIP.
#define PROTO_IP_RIP 8

// A route from OSPF.
#define PROTO_IP_OSPF 13

// A route from BGP.
#define PROTO_IP_BGP 14

// The number of MSDP within PROTOCOL_ID.
#define PROTO_IP_MSDP 9

// The number of IGMP within PROTOCOL_ID.
#define PROTO_IP_IGMP 10

// The number of BGMP within PROTOCOL_ID.
#define PROTO_IP_BGMP 11

// The number of this manager within PROTOCOL_ID.
#define PROTO_IP_MGM 10009

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Starts the process-wide manager, and a thread that moves its clock and works off new flows. Not needed: the first
// registration does the same.
//
// ERROR_ALREADY_EXISTS: it runs already. ERROR_CAN_NOT_COMPLETE: it is being stopped, or the thread cannot be had.
DWORD MgmInitialize(void);

// Stops the process-wide manager: clients that are still registered are made to release and to leave, callbacks and hooks
// that are running come to their end (except those that this is called from), entries and hooks go. No handle of this
// life is ever valid again. It can be started anew.
//
// ERROR_CAN_NOT_COMPLETE: it does not run, or is being stopped by somebody else.
DWORD MgmDeInitialize(void);

// Registers a protocol instance, and starts the process-wide manager if need be. To be called before everything that
// needs a handle. The callbacks are copied; they may be called at once, from any thread, and until
// MgmDeRegisterMProtocol has returned.
//
// ERROR_ALREADY_EXISTS: that instance is registered. ERROR_INVALID_PARAMETER: a null pointer.
// ERROR_NOT_ENOUGH_MEMORY: there are too many clients, or there is no memory. ERROR_CAN_NOT_COMPLETE: the manager is being stopped.
DWORD MgmRegisterMProtocol(PROUTING_PROTOCOL_CONFIG prpiInfo,
                           DWORD dwProtocolId,
                           DWORD dwComponentId,
                           HANDLE *phProtocol);

// Ends a registration; its handle is stale from then on, and so are its enumerations. Waits for callbacks of this client
// that are running, except when it is called from one.
//
// ERROR_INVALID_PARAMETER: a stale handle. ERROR_CAN_NOT_COMPLETE: the client still owns interfaces, and nothing changed.
DWORD MgmDeRegisterMProtocol(HANDLE hProtocol);

// Makes the client the owner of an interface. dwIfNextHopAddr is 0 but for one link of a point-to-multipoint interface.
//
// ERROR_ALREADY_EXISTS: somebody owns it, perhaps the caller; only IGMP can be there beside one other.
// ERROR_INVALID_PARAMETER: a stale handle. ERROR_NOT_ENOUGH_MEMORY: there are too many interfaces,
// or there is no memory.
DWORD MgmTakeInterfaceOwnership(HANDLE hProtocol,
                                DWORD dwIfIndex,
                                DWORD dwIfNextHopAddr);

// Gives an interface up, and with it the client's memberships there, its place in entries, and the entries whose packets
// arrive there.
//
// ERROR_INVALID_PARAMETER: a stale handle, or the interface is not the client's.
DWORD MgmReleaseInterfaceOwnership(HANDLE hProtocol,
                                   DWORD dwIfIndex,
                                   DWORD dwIfNextHopAddr);

// Which protocol owns an interface: the routing protocol, else IGMP. Anybody may ask.
//
// ERROR_NOT_FOUND: nobody does. ERROR_INVALID_PARAMETER: a null pointer.
DWORD MgmGetProtocolOnInterface(DWORD dwIfIndex,
                                DWORD dwIfNextHopAddr,
                                PDWORD pdwIfProtocolId,
                                PDWORD pdwIfComponentId);

// There are receivers on an interface of the client's: of one source's packets to a group (both masks all ones), of a
// group (source and mask 0), or of everything (all 0). dwFlags is MGM_JOIN_STATE_FLAG, MGM_FORWARD_STATE_FLAG or both.
//
// ERROR_INVALID_PARAMETER: a stale handle, an address or mask that is none of the above, other flags, or the interface
// is another client's. ERROR_CAN_NOT_COMPLETE: the interface is not taken, or IGMP has to wait until it is enabled there.
// ERROR_NOT_ENOUGH_MEMORY: there are too many memberships, or there is no memory.
DWORD MgmAddGroupMembershipEntry(HANDLE hProtocol,
                                 DWORD dwSourceAddr,
                                 DWORD dwSourceMask,
                                 DWORD dwGroupAddr,
                                 DWORD dwGroupMask,
                                 DWORD dwIfIndex,
                                 DWORD dwIfNextHopIPAddr,
                                 DWORD dwFlags);

// There are no such receivers any more; parameters as above. A membership that is not there is no error.
//
// ERROR_INVALID_PARAMETER: as above. ERROR_NOT_FOUND: the interface is not taken. ERROR_CAN_NOT_COMPLETE: IGMP has to
// wait until it is enabled there, or there is no memory for a FORWARD change.
DWORD MgmDeleteGroupMembershipEntry(HANDLE hProtocol,
                                    DWORD dwSourceAddr,
                                    DWORD dwSourceMask,
                                    DWORD dwGroupAddr,
                                    DWORD dwGroupMask,
                                    DWORD dwIfIndex,
                                    DWORD dwIfNextHopIPAddr,
                                    DWORD dwFlags);

// The entry of one flow: dwSource and dwGroup of *pimm say which. Nothing else of it is read.
//
// ERROR_INSUFFICIENT_BUFFER: *pdwBufferSize, which is not changed otherwise, now says how many bytes it takes.
// ERROR_NOT_FOUND: there is no such entry. ERROR_INVALID_PARAMETER: a null pointer; but pbBuffer may be null when its
// size is 0.
DWORD MgmGetMfe(PMIB_IPMCAST_MFE pimm,
                PDWORD pdwBufferSize,
                PBYTE pbBuffer);

// The first entries, as many as fit, one behind the other, each SIZEOF_MIB_MFE(ulNumOutIf) bytes, ordered by group, then
// source, in network byte order. *pdwNumEntries says how many.
//
// ERROR_MORE_DATA: there are more: go on with MgmGetNextMfe. ERROR_NO_MORE_ITEMS: that was all, which may be none.
// ERROR_INSUFFICIENT_BUFFER: not even one fits; *pdwBufferSize, which is not changed otherwise, says how many bytes it
// takes. ERROR_INVALID_PARAMETER: a null pointer; but pbBuffer may be null when its size is 0.
DWORD MgmGetFirstMfe(PDWORD pdwBufferSize,
                     PBYTE pbBuffer,
                     PDWORD pdwNumEntries);

// The entries strictly behind the group and source of *pimmStart, whether or not that has an entry: pass the last record of
// the reply before. Codes as of MgmGetFirstMfe.
DWORD MgmGetNextMfe(PMIB_IPMCAST_MFE pimmStart,
                    PDWORD pdwBufferSize,
                    PBYTE pbBuffer,
                    PDWORD pdwNumEntries);

// As MgmGetMfe, with what was counted: dwFlags is MGM_MFE_STATS_0 for MIB_IPMCAST_MFE_STATS, MGM_MFE_STATS_1 for
// MIB_IPMCAST_MFE_STATS_EX. ERROR_INVALID_PARAMETER: other flags, too.
DWORD MgmGetMfeStats(PMIB_IPMCAST_MFE pimm,
                     PDWORD pdwBufferSize,
                     PBYTE pbBuffer,
                     DWORD dwFlags);

// As MgmGetFirstMfe, with what was counted; dwFlags as of MgmGetMfeStats.
DWORD MgmGetFirstMfeStats(PDWORD pdwBufferSize,
                          PBYTE pbBuffer,
                          PDWORD pdwNumEntries,
                          DWORD dwFlags);

// As MgmGetNextMfe, with what was counted; dwFlags as of MgmGetMfeStats.
DWORD MgmGetNextMfeStats(PMIB_IPMCAST_MFE pimmStart,
                         PDWORD pdwBufferSize,
                         PBYTE pbBuffer,
                         PDWORD pdwNumEntries,
                         DWORD dwFlags);

// Names the next router towards the source of an entry whose incoming interface is the client's: dwUpStrmNgbr, 0 for
// none. dwSource and dwGroup say which entry; nothing else is read.
//
// ERROR_INVALID_PARAMETER: a stale handle, a null pointer, or the incoming interface is not the client's.
// ERROR_NOT_FOUND: there is no such entry.
DWORD MgmSetMfe(HANDLE hProtocol,
                PMIB_IPMCAST_MFE pmimm);

// Starts to enumerate what is joined on the router, by anybody, as it is now. The enumeration lasts until
// MgmGroupEnumerationEnd, but no longer than the registration.
//
// ERROR_INVALID_PARAMETER: a stale handle, another type, or a null pointer. ERROR_NOT_ENOUGH_MEMORY: too many are open, or
// there is no memory.
DWORD MgmGroupEnumerationStart(HANDLE hProtocol,
                               MGM_ENUM_TYPES metEnumType,
                               HANDLE *phEnumHandle);

// The next records, as many as fit, in no particular order; *pdwNumEntries says how many.
//
// ERROR_MORE_DATA: there are more. ERROR_NO_MORE_ITEMS: that was all, which may be none. ERROR_INSUFFICIENT_BUFFER: not
// even one fits; *pdwBufferSize, which is not changed otherwise, says how many bytes it takes.
// ERROR_INVALID_PARAMETER: a stale handle, or a null pointer; but pbBuffer may be null when its size is 0.
// ERROR_NOT_ENOUGH_MEMORY: no record was given out, for want of memory.
DWORD MgmGroupEnumerationGetNext(HANDLE hEnum,
                                 PDWORD pdwBufferSize,
                                 PBYTE pbBuffer,
                                 PDWORD pdwNumEntries);

// Ends an enumeration; its handle is stale from then on.
//
// ERROR_INVALID_PARAMETER: a stale handle.
DWORD MgmGroupEnumerationEnd(HANDLE hEnum);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MGM_H */
