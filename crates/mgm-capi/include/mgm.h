/*
 * The Multicast Group Manager API of the Windows SDK, as libmgm implements it: the functions, structures and constants
 * of the SDK's mgm.h, those of ipmib.h, winerror.h and windef.h that they use, and what iprtrmib.h and routprot.h have
 * for multicast: the MIB structures and ids, and the numbers of protocols.
 *
 * Addresses and masks are in network byte order: the octets of 239.1.2.3 lie in memory as 239, 1, 2, 3. Every function
 * may be called from any thread and from inside any callback. mgm_ext.h has the functions that give the manager packets
 * and routes, for which Windows has none. The page of the C interface, share/doc/mgm/README.md, describes all of them.
 *
 * Define before including this header:
 *   MGM_NO_PARAMETER_MARKS   to leave IN, OUT and OPTIONAL undefined;
 *   MGM_HAVE_WINDOWS_TYPES   if the types of windef.h are defined already. Types of other sizes do not compile.
 *
 * In a child of fork every function returns ERROR_CAN_NOT_COMPLETE until the child calls MgmInitialize.
 *
 * The header compiles as C89 and later, and as C++.
 */

#ifndef MGM_H
#define MGM_H

/* Made from src/ by cbindgen. To make it again: MGM_HEADERS=write cargo test -p mgm-capi --test c header */

#include <stddef.h>
#include <stdint.h>

#ifndef MGM_HAVE_WINDOWS_TYPES
typedef uint8_t BYTE, UCHAR, *PBYTE, *PUCHAR, *LPBYTE;
typedef uint16_t WORD, USHORT, WCHAR, *PWORD, *PUSHORT, *PWCHAR;
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

/* The library was compiled with types of these sizes. If an array of size -1 is reported here, DWORD, ULONG, BOOL, WCHAR,
   BYTE or HANDLE was defined in another way before this header was included. */
typedef char MGM_DWORD_MUST_HAVE_32_BITS[sizeof(DWORD) == 4 && (DWORD)-1 > 0 ? 1 : -1];
typedef char MGM_ULONG_MUST_HAVE_32_BITS[sizeof(ULONG) == 4 && (ULONG)-1 > 0 ? 1 : -1];
typedef char MGM_BOOL_MUST_HAVE_32_BITS[sizeof(BOOL) == 4 ? 1 : -1];
typedef char MGM_WCHAR_MUST_HAVE_16_BITS[sizeof(WCHAR) == 2 ? 1 : -1];
typedef char MGM_BYTE_MUST_HAVE_8_BITS[sizeof(BYTE) == 1 && (BYTE)-1 > 0 ? 1 : -1];
typedef char MGM_HANDLE_MUST_BE_A_POINTER[sizeof(HANDLE) == sizeof(void *) ? 1 : -1];

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

/* The name of a scope, with a terminating 0. */
typedef WCHAR SN_CHAR;
typedef SN_CHAR SCOPE_NAME_BUFFER[256], *SCOPE_NAME;

/* The kind of an enumeration. */
typedef enum _MGM_ENUM_TYPES {
  /* Each group that has a member, without its sources. */
  ANY_SOURCE = 0,
  /* Each (source, group) and each (*, group) that has a member. */
  ALL_SOURCES
} MGM_ENUM_TYPES;

/* The number of a routing protocol, as MgmRegisterMProtocol takes it and dwInIfProtocol contains it. */
#define PROTOCOL_ID(Type, VendorId, ProtocolId) \
  (((DWORD)(Type) & 0x03u) << 30 | ((DWORD)(VendorId) & 0x3FFFu) << 16 | ((DWORD)(ProtocolId) & 0xFFFFu))
/* IGMP, which alone can own an interface together with another protocol. */
#define MS_IP_IGMP PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_IGMP)
#define MS_IP_BGMP PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_BGMP)
#define MS_IP_MSDP PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_MSDP)
#define MS_IP_MGM PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_MGM)
#define MS_IP_BOOTP PROTOCOL_ID(PROTO_TYPE_UCAST, PROTO_VENDOR_MS0, PROTO_IP_BOOTP)
#define MS_IP_RIP PROTOCOL_ID(PROTO_TYPE_UCAST, PROTO_VENDOR_MS0, PROTO_IP_RIP)
#define MS_IP_OSPF PROTOCOL_ID(PROTO_TYPE_UCAST, PROTO_VENDOR_MS0, PROTO_IP_OSPF)
#define MS_IP_BGP PROTOCOL_ID(PROTO_TYPE_UCAST, PROTO_VENDOR_MS1, PROTO_IP_BGP)
#define MS_IP_DNS_PROXY PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_DNS_PROXY)
#define MS_IP_DHCP_ALLOCATOR PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_DHCP_ALLOCATOR)
#define MS_IP_NAT PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_NAT)
#define MS_IP_DIFFSERV PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_DIFFSERV)
#define MS_IP_VRRP PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_VRRP)
#define MS_IP_DTP PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_DTP)
#define MS_IP_H323 PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_H323)
#define MS_IP_FTP PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_FTP)
#define MS_IP_ALG PROTOCOL_ID(PROTO_TYPE_MS0, PROTO_VENDOR_MS1, PROTO_IP_ALG)
/* The parts of such a number. */
#define TYPE_FROM_PROTO_ID(X) (((X) >> 30) & 0x03)
#define VENDOR_FROM_PROTO_ID(X) (((X) >> 16) & 0x3FFF)
#define PROTO_FROM_PROTO_ID(X) ((X) & 0xFFFF)

/* The name of the flag in the reference pages. */
#define MGM_FORWARD_STATE MGM_FORWARD_STATE_FLAG

/* The size of a record with X outgoing interfaces: the distance to the next record in a buffer. */
#define SIZEOF_BASIC_MIB_MFE ((ULONG)offsetof(MIB_IPMCAST_MFE, rgmioOutInfo))
#define SIZEOF_MIB_MFE(X) (SIZEOF_BASIC_MIB_MFE + ((X) * (ULONG)sizeof(MIB_IPMCAST_OIF)))
#define SIZEOF_BASIC_MIB_MFE_STATS ((ULONG)offsetof(MIB_IPMCAST_MFE_STATS, rgmiosOutStats))
#define SIZEOF_MIB_MFE_STATS(X) (SIZEOF_BASIC_MIB_MFE_STATS + ((X) * (ULONG)sizeof(MIB_IPMCAST_OIF_STATS)))
#define SIZEOF_BASIC_MIB_MFE_STATS_EX ((ULONG)offsetof(MIB_IPMCAST_MFE_STATS_EX, rgmiosOutStats))
#define SIZEOF_MIB_MFE_STATS_EX(X) (SIZEOF_BASIC_MIB_MFE_STATS_EX + ((X) * (ULONG)sizeof(MIB_IPMCAST_OIF_STATS)))

/* The size of a table of the MIB with X records, and room to align what follows. */
#ifndef ALIGN_SIZE
#define ALIGN_SIZE 8
#endif
#define SIZEOF_MCAST_IF_TABLE(X) \
  (offsetof(MIB_IPMCAST_IF_TABLE, table) + ((X) * sizeof(MIB_IPMCAST_IF_ENTRY)) + ALIGN_SIZE)
#define SIZEOF_BOUNDARY_TABLE(X) \
  (offsetof(MIB_IPMCAST_BOUNDARY_TABLE, table) + ((X) * sizeof(MIB_IPMCAST_BOUNDARY)) + ALIGN_SIZE)

/* The structure tags of the SDK. */
#define _MGM_IF_ENTRY MGM_IF_ENTRY
#define _ROUTING_PROTOCOL_CONFIG ROUTING_PROTOCOL_CONFIG
#define _SOURCE_GROUP_ENTRY SOURCE_GROUP_ENTRY
#define _MIB_IPMCAST_OIF MIB_IPMCAST_OIF
#define _MIB_IPMCAST_MFE MIB_IPMCAST_MFE
#define _MIB_IPMCAST_OIF_STATS MIB_IPMCAST_OIF_STATS
#define _MIB_IPMCAST_MFE_STATS MIB_IPMCAST_MFE_STATS
#define _MIB_IPMCAST_MFE_STATS_EX MIB_IPMCAST_MFE_STATS_EX
#define _MIB_MFE_TABLE MIB_MFE_TABLE
#define _MIB_MFE_STATS_TABLE MIB_MFE_STATS_TABLE
#define _MIB_MFE_STATS_TABLE_EX MIB_MFE_STATS_TABLE_EX
#define _MIB_IPMCAST_GLOBAL MIB_IPMCAST_GLOBAL
#define _MIB_IPMCAST_IF_ENTRY MIB_IPMCAST_IF_ENTRY
#define _MIB_IPMCAST_IF_TABLE MIB_IPMCAST_IF_TABLE
#define _MIB_IPMCAST_BOUNDARY MIB_IPMCAST_BOUNDARY
#define _MIB_IPMCAST_BOUNDARY_TABLE MIB_IPMCAST_BOUNDARY_TABLE
#define _MIB_IPMCAST_SCOPE MIB_IPMCAST_SCOPE

/*
 * Asks the owner of the interface towards the source for the reverse path of a flow that gets an entry.
 *
 * The callback may change what the pointers lead to: to another interface of its own, another neighbour, another
 * route. pbRoute points to an MGM_EXT_ROUTE (mgm_ext.h), which is all zero when no route is known. pbPacketHdr is NULL
 * when the entry is made without a packet.
 */
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

/* One outgoing interface that a creation alert offers to the interface's owner. */
typedef struct MGM_IF_ENTRY {
  /* The interface. */
  DWORD dwIfIndex;
  /* The link of a point-to-multipoint interface; otherwise 0. */
  DWORD dwIfNextHopAddr;
  /* Whether IGMP owns the interface as well. */
  BOOL bIGMP;
  /* The answer: FALSE keeps the flow off this interface. */
  BOOL bIsEnabled;
} MGM_IF_ENTRY;

/* A pointer to MGM_IF_ENTRY records. */
typedef struct MGM_IF_ENTRY *PMGM_IF_ENTRY;

/* Offers the client's interfaces as outgoing interfaces of a flow's first entry. The callback may clear bIsEnabled. */
typedef DWORD (*PMGM_CREATION_ALERT_CALLBACK)(DWORD dwSourceAddr,
                                              DWORD dwSourceMask,
                                              DWORD dwGroupAddr,
                                              DWORD dwGroupMask,
                                              DWORD dwInIfIndex,
                                              DWORD dwInIfNextHopAddr,
                                              DWORD dwIfCount,
                                              PMGM_IF_ENTRY pmieOutIfList);

/*
 * Reports that no receivers are left on interfaces of other clients.
 *
 * bMemberDelete is TRUE when memberships changed, FALSE when an entry changed. With FALSE the callback may change how
 * many seconds the entry is kept; 0 leaves the time-out as it is.
 */
typedef DWORD (*PMGM_PRUNE_ALERT_CALLBACK)(DWORD dwSourceAddr,
                                           DWORD dwSourceMask,
                                           DWORD dwGroupAddr,
                                           DWORD dwGroupMask,
                                           DWORD dwIfIndex,
                                           DWORD dwIfNextHopAddr,
                                           BOOL bMemberDelete,
                                           PDWORD pdwTimeout);

/*
 * Reports the first receivers on interfaces of other clients.
 *
 * bMemberUpdate is TRUE when memberships changed, FALSE when an entry changed. With TRUE, joins and prunes of a key
 * alternate for each client; a key is a source and a group, or a group, or all groups (all four values 0, sent once).
 * Memberships that existed before the registration are reported only with MGM_EXT_WANT_PRESENT_JOINS (mgm_ext.h).
 */
typedef DWORD (*PMGM_JOIN_ALERT_CALLBACK)(DWORD dwSourceAddr,
                                          DWORD dwSourceMask,
                                          DWORD dwGroupAddr,
                                          DWORD dwGroupMask,
                                          BOOL bMemberUpdate);

/*
 * Reports packets that arrived on an interface of the client which is not the flow's incoming interface.
 *
 * Called only for clients registered by MgmExtRegisterMProtocol (mgm_ext.h) with MGM_EXT_WANT_WRONG_IF.
 */
typedef DWORD (*PMGM_WRONG_IF_CALLBACK)(DWORD dwSourceAddr,
                                        DWORD dwGroupAddr,
                                        DWORD dwIfIndex,
                                        DWORD dwIfNextHopAddr,
                                        DWORD dwHdrSize,
                                        PBYTE pbPacketHdr);

/* Reports that IGMP added a membership on an interface that it shares with the client. */
typedef DWORD (*PMGM_LOCAL_JOIN_CALLBACK)(DWORD dwSourceAddr,
                                          DWORD dwSourceMask,
                                          DWORD dwGroupAddr,
                                          DWORD dwGroupMask,
                                          DWORD dwIfIndex,
                                          DWORD dwIfNextHopAddr);

/* Reports that IGMP deleted a membership on an interface that it shares with the client. */
typedef DWORD (*PMGM_LOCAL_LEAVE_CALLBACK)(DWORD dwSourceAddr,
                                           DWORD dwSourceMask,
                                           DWORD dwGroupAddr,
                                           DWORD dwGroupMask,
                                           DWORD dwIfIndex,
                                           DWORD dwIfNextHopAddr);

/* Reports to IGMP that a routing protocol took or released this interface. IGMP's memberships on it have ended. */
typedef DWORD (*PMGM_DISABLE_IGMP_CALLBACK)(DWORD dwIfIndex, DWORD dwIfNextHopAddr);

/*
 * Asks IGMP to add its memberships on this interface again. Follows each PMGM_DISABLE_IGMP_CALLBACK.
 *
 * The callback may add them itself.
 */
typedef DWORD (*PMGM_ENABLE_IGMP_CALLBACK)(DWORD dwIfIndex, DWORD dwIfNextHopAddr);

/* The callbacks of a client. What a callback returns is ignored. A null pointer is not called. */
typedef struct ROUTING_PROTOCOL_CONFIG {
  /* Reserved; ignored. */
  DWORD dwCallbackFlags;
  /* See PMGM_RPF_CALLBACK. */
  PMGM_RPF_CALLBACK pfnRpfCallback;
  /* See PMGM_CREATION_ALERT_CALLBACK. */
  PMGM_CREATION_ALERT_CALLBACK pfnCreationAlertCallback;
  /* See PMGM_PRUNE_ALERT_CALLBACK. */
  PMGM_PRUNE_ALERT_CALLBACK pfnPruneAlertCallback;
  /* See PMGM_JOIN_ALERT_CALLBACK. */
  PMGM_JOIN_ALERT_CALLBACK pfnJoinAlertCallback;
  /* See PMGM_WRONG_IF_CALLBACK. */
  PMGM_WRONG_IF_CALLBACK pfnWrongIfCallback;
  /* See PMGM_LOCAL_JOIN_CALLBACK. */
  PMGM_LOCAL_JOIN_CALLBACK pfnLocalJoinCallback;
  /* See PMGM_LOCAL_LEAVE_CALLBACK. */
  PMGM_LOCAL_LEAVE_CALLBACK pfnLocalLeaveCallback;
  /* See PMGM_DISABLE_IGMP_CALLBACK. Called for IGMP alone. */
  PMGM_DISABLE_IGMP_CALLBACK pfnDisableIgmpCallback;
  /* See PMGM_ENABLE_IGMP_CALLBACK. Called for IGMP alone. */
  PMGM_ENABLE_IGMP_CALLBACK pfnEnableIgmpCallback;
} ROUTING_PROTOCOL_CONFIG;

/* A pointer to a ROUTING_PROTOCOL_CONFIG. */
typedef struct ROUTING_PROTOCOL_CONFIG *PROUTING_PROTOCOL_CONFIG;

/* One outgoing interface of an entry. */
typedef struct MIB_IPMCAST_OIF {
  /* The interface. */
  DWORD dwOutIfIndex;
  /* The link of a point-to-multipoint interface; otherwise 0. */
  DWORD dwNextHopAddr;
  /* Always 0. */
  DWORD dwReserved;
  /* Always 0. */
  DWORD dwReserved1;
} MIB_IPMCAST_OIF;

/* An entry: where the packets of one source to one group are copied to. Takes SIZEOF_MIB_MFE(ulNumOutIf) octets. */
typedef struct MIB_IPMCAST_MFE {
  /* The group. */
  DWORD dwGroup;
  /* The source. */
  DWORD dwSource;
  /* Always all ones. */
  DWORD dwSrcMask;
  /* The upstream neighbour, which is the next router towards the source; 0 if there is none. */
  DWORD dwUpStrmNgbr;
  /* The incoming interface, on which the packets have to arrive; 0 if there is no route to the source. */
  DWORD dwInIfIndex;
  /* The protocol that owns the incoming interface; 0 if it has no owner. */
  DWORD dwInIfProtocol;
  /* The origin of the route to the source (PROTO_IP_OSPF, ...). This and the next two are 0 if no route is known. */
  DWORD dwRouteProtocol;
  /* The network of the route. */
  DWORD dwRouteNetwork;
  /* The mask of the route. */
  DWORD dwRouteMask;
  /* The age of the entry, in seconds. */
  ULONG ulUpTime;
  /* The seconds until the entry expires. This and ulUpTime add up to ulTimeOut. */
  ULONG ulExpiryTime;
  /* The lifetime of the entry, in seconds. */
  ULONG ulTimeOut;
  /* How many outgoing interfaces follow; 0 in a negative entry. */
  ULONG ulNumOutIf;
  /* Always 0. */
  DWORD fFlags;
  /* Always 0. */
  DWORD dwReserved;
  /* The outgoing interfaces, ulNumOutIf of them. */
  struct MIB_IPMCAST_OIF rgmioOutInfo[1];
} MIB_IPMCAST_MFE;

/* A pointer to MIB_IPMCAST_MFE records. */
typedef struct MIB_IPMCAST_MFE *PMIB_IPMCAST_MFE;

/* A record of an enumeration. Address 0 with mask 0 is any. */
typedef struct SOURCE_GROUP_ENTRY {
  /* The source. */
  DWORD dwSourceAddr;
  /* All ones if there is a source. */
  DWORD dwSourceMask;
  /* The group. */
  DWORD dwGroupAddr;
  /* All ones if there is a group. */
  DWORD dwGroupMask;
} SOURCE_GROUP_ENTRY;

/* A pointer to SOURCE_GROUP_ENTRY records. */
typedef struct SOURCE_GROUP_ENTRY *PSOURCE_GROUP_ENTRY;

/* A pointer to MIB_IPMCAST_OIF records. */
typedef struct MIB_IPMCAST_OIF *PMIB_IPMCAST_OIF;

/* The name of the structure in newer SDKs. */
typedef struct MIB_IPMCAST_OIF MIB_IPMCAST_OIF_XP;

/* The name of the pointer in newer SDKs. */
typedef struct MIB_IPMCAST_OIF *PMIB_IPMCAST_OIF_XP;

/* The counters of one outgoing interface of an entry. */
typedef struct MIB_IPMCAST_OIF_STATS {
  /* The interface. */
  DWORD dwOutIfIndex;
  /* The link of a point-to-multipoint interface; otherwise 0. */
  DWORD dwNextHopAddr;
  /* Always 0. */
  DWORD dwDialContext;
  /* Packets not sent because their TTL was too low. */
  ULONG ulTtlTooLow;
  /* Packets not sent because they would have needed fragmentation. */
  ULONG ulFragNeeded;
  /* Packets sent. */
  ULONG ulOutPackets;
  /* Packets discarded. */
  ULONG ulOutDiscards;
} MIB_IPMCAST_OIF_STATS;

/* A pointer to MIB_IPMCAST_OIF_STATS records. */
typedef struct MIB_IPMCAST_OIF_STATS *PMIB_IPMCAST_OIF_STATS;

/* The name of the structure in newer SDKs. */
typedef struct MIB_IPMCAST_OIF_STATS MIB_IPMCAST_OIF_STATS_LH;

/* The name of the pointer in newer SDKs. */
typedef struct MIB_IPMCAST_OIF_STATS *PMIB_IPMCAST_OIF_STATS_LH;

/* An entry with its counters, which are modulo 2^32. Takes SIZEOF_MIB_MFE_STATS(ulNumOutIf) octets. */
typedef struct MIB_IPMCAST_MFE_STATS {
  /* The group. */
  DWORD dwGroup;
  /* The source. */
  DWORD dwSource;
  /* Always all ones. */
  DWORD dwSrcMask;
  /* The upstream neighbour. */
  DWORD dwUpStrmNgbr;
  /* The incoming interface. */
  DWORD dwInIfIndex;
  /* The protocol that owns the incoming interface. */
  DWORD dwInIfProtocol;
  /* The origin of the route to the source. */
  DWORD dwRouteProtocol;
  /* The network of the route. */
  DWORD dwRouteNetwork;
  /* The mask of the route. */
  DWORD dwRouteMask;
  /* The age of the entry, in hundredths of a second. */
  ULONG ulUpTime;
  /* The time until the entry expires, in hundredths of a second; never 0. */
  ULONG ulExpiryTime;
  /* How many outgoing interfaces follow. */
  ULONG ulNumOutIf;
  /* Packets forwarded. */
  ULONG ulInPkts;
  /* Octets of those packets. */
  ULONG ulInOctets;
  /* Packets that arrived on another interface than the incoming one. */
  ULONG ulPktsDifferentIf;
  /* Packets discarded because a queue was full. */
  ULONG ulQueueOverflow;
  /* The outgoing interfaces, ulNumOutIf of them. */
  struct MIB_IPMCAST_OIF_STATS rgmiosOutStats[1];
} MIB_IPMCAST_MFE_STATS;

/* A pointer to MIB_IPMCAST_MFE_STATS records. */
typedef struct MIB_IPMCAST_MFE_STATS *PMIB_IPMCAST_MFE_STATS;

/* An entry with more counters. Takes SIZEOF_MIB_MFE_STATS_EX(ulNumOutIf) octets. */
typedef struct MIB_IPMCAST_MFE_STATS_EX {
  /* The group. */
  DWORD dwGroup;
  /* The source. */
  DWORD dwSource;
  /* Always all ones. */
  DWORD dwSrcMask;
  /* The upstream neighbour. */
  DWORD dwUpStrmNgbr;
  /* The incoming interface. */
  DWORD dwInIfIndex;
  /* The protocol that owns the incoming interface. */
  DWORD dwInIfProtocol;
  /* The origin of the route to the source. */
  DWORD dwRouteProtocol;
  /* The network of the route. */
  DWORD dwRouteNetwork;
  /* The mask of the route. */
  DWORD dwRouteMask;
  /* The age of the entry, in hundredths of a second. */
  ULONG ulUpTime;
  /* The time until the entry expires, in hundredths of a second; never 0. */
  ULONG ulExpiryTime;
  /* How many outgoing interfaces follow. */
  ULONG ulNumOutIf;
  /* Packets forwarded. */
  ULONG ulInPkts;
  /* Octets of those packets. */
  ULONG ulInOctets;
  /* Packets that arrived on another interface than the incoming one. */
  ULONG ulPktsDifferentIf;
  /* Packets discarded because a queue was full. */
  ULONG ulQueueOverflow;
  /* Packets that arrived before the entry was made. */
  ULONG ulUninitMfe;
  /* Packets that had no receivers. */
  ULONG ulNegativeMfe;
  /* Packets discarded for another reason. */
  ULONG ulInDiscards;
  /* Packets discarded because of their header. */
  ULONG ulInHdrErrors;
  /* Packets sent, over all outgoing interfaces. */
  ULONG ulTotalOutPackets;
  /* The outgoing interfaces, ulNumOutIf of them. */
  struct MIB_IPMCAST_OIF_STATS rgmiosOutStats[1];
} MIB_IPMCAST_MFE_STATS_EX;

/* A pointer to MIB_IPMCAST_MFE_STATS_EX records. */
typedef struct MIB_IPMCAST_MFE_STATS_EX *PMIB_IPMCAST_MFE_STATS_EX;

/* The name of the structure in newer SDKs. */
typedef struct MIB_IPMCAST_MFE_STATS_EX MIB_IPMCAST_MFE_STATS_EX_XP;

/* The name of the pointer in newer SDKs. */
typedef struct MIB_IPMCAST_MFE_STATS_EX *PMIB_IPMCAST_MFE_STATS_EX_XP;

/* The entries of a router, in its MIB. The records lie one after the other, SIZEOF_MIB_MFE(ulNumOutIf) octets each. */
typedef struct MIB_MFE_TABLE {
  /* The number of records. */
  DWORD dwNumEntries;
  /* The records. */
  struct MIB_IPMCAST_MFE table[1];
} MIB_MFE_TABLE;

/* A pointer to a MIB_MFE_TABLE. */
typedef struct MIB_MFE_TABLE *PMIB_MFE_TABLE;

/* The entries of a router with their counters, in its MIB. */
typedef struct MIB_MFE_STATS_TABLE {
  /* The number of records. */
  DWORD dwNumEntries;
  /* The records. */
  struct MIB_IPMCAST_MFE_STATS table[1];
} MIB_MFE_STATS_TABLE;

/* A pointer to a MIB_MFE_STATS_TABLE. */
typedef struct MIB_MFE_STATS_TABLE *PMIB_MFE_STATS_TABLE;

/* The entries of a router with more counters, in its MIB. */
typedef struct MIB_MFE_STATS_TABLE_EX {
  /* The number of records. */
  DWORD dwNumEntries;
  /* The records. */
  struct MIB_IPMCAST_MFE_STATS_EX table[1];
} MIB_MFE_STATS_TABLE_EX;

/* A pointer to a MIB_MFE_STATS_TABLE_EX. */
typedef struct MIB_MFE_STATS_TABLE_EX *PMIB_MFE_STATS_TABLE_EX;

/* Whether a router forwards multicast, in its MIB. */
typedef struct MIB_IPMCAST_GLOBAL {
  /* 1 if it does, otherwise 2. */
  DWORD dwEnable;
} MIB_IPMCAST_GLOBAL;

/* A pointer to a MIB_IPMCAST_GLOBAL. */
typedef struct MIB_IPMCAST_GLOBAL *PMIB_IPMCAST_GLOBAL;

/* A multicast interface of a router, in its MIB. */
typedef struct MIB_IPMCAST_IF_ENTRY {
  /* The interface. */
  DWORD dwIfIndex;
  /* The TTL that a packet needs at least to be sent. */
  DWORD dwTtl;
  /* The protocol that owns the interface. */
  DWORD dwProtocol;
  /* The limit of its rate, in kilobits a second; 0 if there is none. */
  DWORD dwRateLimit;
  /* Octets of multicast received. */
  ULONG ulInMcastOctets;
  /* Octets of multicast sent. */
  ULONG ulOutMcastOctets;
} MIB_IPMCAST_IF_ENTRY;

/* A pointer to MIB_IPMCAST_IF_ENTRY records. */
typedef struct MIB_IPMCAST_IF_ENTRY *PMIB_IPMCAST_IF_ENTRY;

/* The multicast interfaces of a router, in its MIB. Takes SIZEOF_MCAST_IF_TABLE(dwNumEntries) octets. */
typedef struct MIB_IPMCAST_IF_TABLE {
  /* The number of records. */
  DWORD dwNumEntries;
  /* The records. */
  struct MIB_IPMCAST_IF_ENTRY table[1];
} MIB_IPMCAST_IF_TABLE;

/* A pointer to a MIB_IPMCAST_IF_TABLE. */
typedef struct MIB_IPMCAST_IF_TABLE *PMIB_IPMCAST_IF_TABLE;

/* A boundary of a range of groups at an interface, in the MIB of a router. */
typedef struct MIB_IPMCAST_BOUNDARY {
  /* The interface, on which packets of the range are not forwarded. */
  DWORD dwIfIndex;
  /* The range, with its mask. */
  DWORD dwGroupAddress;
  /* The mask of the range. */
  DWORD dwGroupMask;
  /* The status of the row: 1 for an active one. */
  DWORD dwStatus;
} MIB_IPMCAST_BOUNDARY;

/* A pointer to MIB_IPMCAST_BOUNDARY records. */
typedef struct MIB_IPMCAST_BOUNDARY *PMIB_IPMCAST_BOUNDARY;

/* The boundaries of a router, in its MIB. Takes SIZEOF_BOUNDARY_TABLE(dwNumEntries) octets. */
typedef struct MIB_IPMCAST_BOUNDARY_TABLE {
  /* The number of records. */
  DWORD dwNumEntries;
  /* The records. */
  struct MIB_IPMCAST_BOUNDARY table[1];
} MIB_IPMCAST_BOUNDARY_TABLE;

/* A pointer to a MIB_IPMCAST_BOUNDARY_TABLE. */
typedef struct MIB_IPMCAST_BOUNDARY_TABLE *PMIB_IPMCAST_BOUNDARY_TABLE;

/* A named range of groups, in the MIB of a router. */
typedef struct MIB_IPMCAST_SCOPE {
  /* The range, with its mask. */
  DWORD dwGroupAddress;
  /* The mask of the range. */
  DWORD dwGroupMask;
  /* The name, of at most MAX_SCOPE_NAME_LEN characters, with a 0 after the last. */
  WCHAR snNameBuffer[256];
  /* The status of the row: 1 for an active one. */
  DWORD dwStatus;
} MIB_IPMCAST_SCOPE;

/* A pointer to a MIB_IPMCAST_SCOPE. */
typedef struct MIB_IPMCAST_SCOPE *PMIB_IPMCAST_SCOPE;

/* Success. */
#define NO_ERROR 0

/* Success. */
#define ERROR_SUCCESS 0

/* Not returned by any function of this library: a bad handle is ERROR_INVALID_PARAMETER. */
#define ERROR_INVALID_HANDLE 6

/* A limit is reached, or there is no memory. */
#define ERROR_NOT_ENOUGH_MEMORY 8

/* Not returned by any function of this library. */
#define ERROR_NOT_SUPPORTED 50

/* A stale handle, a null pointer, or a value that the function does not accept. */
#define ERROR_INVALID_PARAMETER 87

/* No record fits into the buffer; the size now says how many octets one needs. */
#define ERROR_INSUFFICIENT_BUFFER 122

/* The protocol is registered already, or the interface has an owner. */
#define ERROR_ALREADY_EXISTS 183

/* Records were returned, and there are more. */
#define ERROR_MORE_DATA 234

/* No more records follow; records may have been returned. */
#define ERROR_NO_MORE_ITEMS 259

/* The present state does not allow the operation. */
#define ERROR_CAN_NOT_COMPLETE 1003

/* The entry does not exist, or the interface has no owner. */
#define ERROR_NOT_FOUND 1168

/* Changes the membership itself, and every entry that it affects. */
#define MGM_JOIN_STATE_FLAG 1

/* Changes only the entries that exist. */
#define MGM_FORWARD_STATE_FLAG 2

/* Asks for MIB_IPMCAST_MFE_STATS records. */
#define MGM_MFE_STATS_0 1

/* Asks for MIB_IPMCAST_MFE_STATS_EX records. */
#define MGM_MFE_STATS_1 2

/* The type of a unicast routing protocol, for PROTOCOL_ID. */
#define PROTO_TYPE_UCAST 0

/* The type of a multicast routing protocol. */
#define PROTO_TYPE_MCAST 1

/* A type reserved for Microsoft. */
#define PROTO_TYPE_MS0 2

/* A type reserved for Microsoft. */
#define PROTO_TYPE_MS1 3

/* A vendor number reserved for Microsoft. */
#define PROTO_VENDOR_MS0 0

/* The vendor number of Microsoft's own protocols. */
#define PROTO_VENDOR_MS1 311

/* A vendor number reserved for Microsoft. */
#define PROTO_VENDOR_MS2 16383

/* The origin of a route, for dwRouteProtocol: a protocol that is not listed here. */
#define PROTO_IP_OTHER 1

/* The origin of a route: a directly attached network. */
#define PROTO_IP_LOCAL 2

/* The origin of a route: static configuration. */
#define PROTO_IP_NETMGMT 3

/* The origin of a route: an ICMP redirect. */
#define PROTO_IP_ICMP 4

/* The origin of a route: EGP. */
#define PROTO_IP_EGP 5

/* The origin of a route: GGP. */
#define PROTO_IP_GGP 6

/* The origin of a route: HELLO. */
#define PROTO_IP_HELLO 7

/* The origin of a route: RIP. */
#define PROTO_IP_RIP 8

/* The origin of a route: IS-IS. */
#define PROTO_IP_IS_IS 9

/* The origin of a route: ES-IS. */
#define PROTO_IP_ES_IS 10

/* The origin of a route: IGRP of Cisco. */
#define PROTO_IP_CISCO 11

/* The origin of a route: the SPF protocol of BBN. */
#define PROTO_IP_BBN 12

/* The origin of a route: OSPF. */
#define PROTO_IP_OSPF 13

/* The origin of a route: BGP. */
#define PROTO_IP_BGP 14

/* The origin of a route: a static route that a routing protocol has added. */
#define PROTO_IP_NT_AUTOSTATIC 10002

/* The origin of a route: a static route of the router's user interface. */
#define PROTO_IP_NT_STATIC 10006

/* The origin of a route: a static route that causes no dialling on demand. */
#define PROTO_IP_NT_STATIC_NON_DOD 10007

/* The number of MSDP within PROTOCOL_ID. */
#define PROTO_IP_MSDP 9

/* The number of IGMP within PROTOCOL_ID. */
#define PROTO_IP_IGMP 10

/* The number of BGMP within PROTOCOL_ID. */
#define PROTO_IP_BGMP 11

/* The number of VRRP within PROTOCOL_ID. */
#define PROTO_IP_VRRP 112

/* The number of BOOTP within PROTOCOL_ID. */
#define PROTO_IP_BOOTP 9999

/* The number of the DNS proxy within PROTOCOL_ID. */
#define PROTO_IP_DNS_PROXY 10003

/* The number of the DHCP allocator within PROTOCOL_ID. */
#define PROTO_IP_DHCP_ALLOCATOR 10004

/* The number of NAT within PROTOCOL_ID. */
#define PROTO_IP_NAT 10005

/* The number of differentiated services within PROTOCOL_ID. */
#define PROTO_IP_DIFFSERV 10008

/* The number of this manager within PROTOCOL_ID. */
#define PROTO_IP_MGM 10009

/* The number of the application layer gateway within PROTOCOL_ID. */
#define PROTO_IP_ALG 10010

/* The number of the H.323 proxy within PROTOCOL_ID. */
#define PROTO_IP_H323 10011

/* The number of the FTP proxy within PROTOCOL_ID. */
#define PROTO_IP_FTP 10012

/* The number of DTP within PROTOCOL_ID. */
#define PROTO_IP_DTP 10013

/* The number in a MIB of: MIB_IPMCAST_MFE records. */
#define MCAST_MFE 18

/* The number in a MIB of: MIB_IPMCAST_MFE_STATS records. */
#define MCAST_MFE_STATS 19

/* The number in a MIB of: MIB_IPMCAST_IF_ENTRY records. */
#define MCAST_IF_ENTRY 23

/* The number in a MIB of: The MIB_IPMCAST_GLOBAL. */
#define MCAST_GLOBAL 24

/* The number in a MIB of: MIB_IPMCAST_BOUNDARY records. */
#define MCAST_BOUNDARY 26

/* The number in a MIB of: MIB_IPMCAST_SCOPE records. */
#define MCAST_SCOPE 27

/* The number in a MIB of: MIB_IPMCAST_MFE_STATS_EX records. */
#define MCAST_MFE_STATS_EX 35

/* The characters of a scope's name, without the terminating 0. */
#define MAX_SCOPE_NAME_LEN 255

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Starts the process-wide manager, and a thread that advances its clock and makes the entries of new flows.
 *
 * A program need not call this: the first registration starts the manager as well. Only a child of fork must: the
 * manager of its parent does not run there, and every other function returns ERROR_CAN_NOT_COMPLETE until the child
 * has called this function or MgmExtInitialize. Handles of the parent stay stale.
 *
 * - ERROR_ALREADY_EXISTS: the manager runs already.
 * - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, the system refused the thread, or the process descends from
 *   63 others that have started the manager and forked.
 */
DWORD MgmInitialize(void);

/*
 * Stops the process-wide manager.
 *
 * Releases the interfaces of every registered client, deregisters it, and deletes all entries and hooks. Every handle of
 * this incarnation is stale for ever. The manager can be started again.
 *
 * Starts no callback: from the beginning of the stop on no callback and no hook starts, and memberships that end by the stop
 * are reported to no client. Waits for the callbacks and hooks that are running, and for calls that began before it.
 * Called from inside a callback or a hook it waits for none of them: those that are running return later.
 *
 * - ERROR_CAN_NOT_COMPLETE: the manager does not run, or another thread is stopping it.
 */
DWORD MgmDeInitialize(void);

/*
 * Registers a protocol instance, and starts the process-wide manager if it does not run.
 *
 * Returns in *phProtocol the handle that the functions below take. The callbacks are copied. They may be called from
 * any thread, from before this function returns until MgmDeRegisterMProtocol has returned.
 *
 * - ERROR_ALREADY_EXISTS: this instance is registered.
 * - ERROR_INVALID_PARAMETER: a null pointer.
 * - ERROR_NOT_ENOUGH_MEMORY: too many clients, or no memory.
 * - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, this is a child of fork without a manager of its own, or the
 *   places of departed clients cannot be used yet, because a reader of the manager's tables does not go on.
 */
DWORD MgmRegisterMProtocol(PROUTING_PROTOCOL_CONFIG prpiInfo,
                           DWORD dwProtocolId,
                           DWORD dwComponentId,
                           HANDLE *phProtocol);

/*
 * Deregisters a client. Its handle and its enumerations are stale from then on.
 *
 * Waits for callbacks of this client that are running, except when it is called from inside a callback.
 *
 * - ERROR_INVALID_PARAMETER: a stale handle.
 * - ERROR_CAN_NOT_COMPLETE: the client still owns interfaces; nothing has changed.
 */
DWORD MgmDeRegisterMProtocol(HANDLE hProtocol);

/*
 * Makes the client the owner of an interface.
 *
 * If IGMP alone had the interface, the entries that have it as their incoming interface are deleted, and IGMP is disabled
 * and enabled on it, which ends its memberships there.
 *
 * dwIfNextHopAddr is 0, or names one link of a point-to-multipoint interface. An interface has at most one owner, and
 * IGMP beside it.
 *
 * - ERROR_ALREADY_EXISTS: the interface has an owner, which may be the caller.
 * - ERROR_INVALID_PARAMETER: a stale handle.
 * - ERROR_NOT_ENOUGH_MEMORY: too many interfaces, or no memory.
 */
DWORD MgmTakeInterfaceOwnership(HANDLE hProtocol,
                                DWORD dwIfIndex,
                                DWORD dwIfNextHopAddr);

/*
 * Releases an interface.
 *
 * Ends the client's memberships on the interface, removes the interface from entries, and deletes the entries that have
 * it as their incoming interface.
 *
 * - ERROR_INVALID_PARAMETER: a stale handle, or the client does not own the interface.
 */
DWORD MgmReleaseInterfaceOwnership(HANDLE hProtocol,
                                   DWORD dwIfIndex,
                                   DWORD dwIfNextHopAddr);

/*
 * Returns which protocol owns an interface: the routing protocol if there is one, otherwise IGMP. Needs no handle.
 *
 * - ERROR_NOT_FOUND: the interface has no owner.
 * - ERROR_INVALID_PARAMETER: a null pointer.
 */
DWORD MgmGetProtocolOnInterface(DWORD dwIfIndex,
                                DWORD dwIfNextHopAddr,
                                PDWORD pdwIfProtocolId,
                                PDWORD pdwIfComponentId);

/*
 * Adds a membership: receivers on an interface of the client.
 *
 * The receivers want the packets of one source to one group (both masks all ones), of every source to one group
 * (source and its mask 0), or of every source to every group (all four 0). dwFlags is MGM_JOIN_STATE_FLAG,
 * MGM_FORWARD_STATE_FLAG, or both.
 *
 * - ERROR_INVALID_PARAMETER: a stale handle, other addresses or masks, other flags, or another client owns the
 *   interface.
 * - ERROR_CAN_NOT_COMPLETE: the interface has no owner, or IGMP was disabled on it and has not been enabled since.
 * - ERROR_NOT_ENOUGH_MEMORY: too many memberships, or no memory.
 */
DWORD MgmAddGroupMembershipEntry(HANDLE hProtocol,
                                 DWORD dwSourceAddr,
                                 DWORD dwSourceMask,
                                 DWORD dwGroupAddr,
                                 DWORD dwGroupMask,
                                 DWORD dwIfIndex,
                                 DWORD dwIfNextHopIPAddr,
                                 DWORD dwFlags);

/*
 * Deletes a membership. Takes the parameters of MgmAddGroupMembershipEntry. A membership that does not exist is no
 * error.
 *
 * - ERROR_INVALID_PARAMETER: as of MgmAddGroupMembershipEntry.
 * - ERROR_NOT_FOUND: the interface has no owner.
 * - ERROR_CAN_NOT_COMPLETE: IGMP was disabled on the interface and has not been enabled since, or there is no memory
 *   for a FORWARD change.
 */
DWORD MgmDeleteGroupMembershipEntry(HANDLE hProtocol,
                                    DWORD dwSourceAddr,
                                    DWORD dwSourceMask,
                                    DWORD dwGroupAddr,
                                    DWORD dwGroupMask,
                                    DWORD dwIfIndex,
                                    DWORD dwIfNextHopIPAddr,
                                    DWORD dwFlags);

/*
 * Returns the entry of one flow, as a MIB_IPMCAST_MFE record.
 *
 * dwSource and dwGroup of *pimm name the flow; no other field is read. pbBuffer may be null when its size is 0.
 *
 * - ERROR_INSUFFICIENT_BUFFER: *pdwBufferSize says how many octets the record needs. No other code changes it.
 * - ERROR_NOT_FOUND: the flow has no entry.
 * - ERROR_INVALID_PARAMETER: a null pointer.
 */
DWORD MgmGetMfe(PMIB_IPMCAST_MFE pimm,
                PDWORD pdwBufferSize,
                PBYTE pbBuffer);

/*
 * Returns the first entries, as many as fit. *pdwNumEntries says how many.
 *
 * The records lie one after the other, each SIZEOF_MIB_MFE(ulNumOutIf) octets. They are ordered by group, then by
 * source, in network byte order. pbBuffer may be null when its size is 0.
 *
 * - ERROR_MORE_DATA: there are more entries: go on with MgmGetNextMfe.
 * - ERROR_NO_MORE_ITEMS: these entries, perhaps none, were the last.
 * - ERROR_INSUFFICIENT_BUFFER: no record fits; *pdwBufferSize says how many octets the first needs. No other code
 *   changes it.
 * - ERROR_INVALID_PARAMETER: a null pointer.
 */
DWORD MgmGetFirstMfe(PDWORD pdwBufferSize,
                     PBYTE pbBuffer,
                     PDWORD pdwNumEntries);

/*
 * Returns the entries that follow the group and source of *pimmStart, as many as fit.
 *
 * Pass the last record of the previous call. A flow without an entry is allowed as well. Returns the codes of
 * MgmGetFirstMfe.
 */
DWORD MgmGetNextMfe(PMIB_IPMCAST_MFE pimmStart,
                    PDWORD pdwBufferSize,
                    PBYTE pbBuffer,
                    PDWORD pdwNumEntries);

/*
 * Returns the entry of one flow with its counters, as MgmGetMfe does.
 *
 * dwFlags is MGM_MFE_STATS_0 for a MIB_IPMCAST_MFE_STATS record, or MGM_MFE_STATS_1 for MIB_IPMCAST_MFE_STATS_EX.
 *
 * - ERROR_INVALID_PARAMETER: other flags as well.
 */
DWORD MgmGetMfeStats(PMIB_IPMCAST_MFE pimm,
                     PDWORD pdwBufferSize,
                     PBYTE pbBuffer,
                     DWORD dwFlags);

/* Returns the first entries with their counters, as MgmGetFirstMfe does. dwFlags is as of MgmGetMfeStats. */
DWORD MgmGetFirstMfeStats(PDWORD pdwBufferSize,
                          PBYTE pbBuffer,
                          PDWORD pdwNumEntries,
                          DWORD dwFlags);

/* Returns the following entries with their counters, as MgmGetNextMfe does. dwFlags is as of MgmGetMfeStats. */
DWORD MgmGetNextMfeStats(PMIB_IPMCAST_MFE pimmStart,
                         PDWORD pdwBufferSize,
                         PBYTE pbBuffer,
                         PDWORD pdwNumEntries,
                         DWORD dwFlags);

/*
 * Sets the upstream neighbour of an entry: the next router towards the source, dwUpStrmNgbr, or 0 for none.
 *
 * The client must own the incoming interface of the entry. dwSource and dwGroup name the entry; no other field is
 * read.
 *
 * - ERROR_INVALID_PARAMETER: a stale handle, a null pointer, or the client does not own the incoming interface.
 * - ERROR_NOT_FOUND: the flow has no entry.
 */
DWORD MgmSetMfe(HANDLE hProtocol,
                PMIB_IPMCAST_MFE pmimm);

/*
 * Starts an enumeration of the memberships of all clients, as they are now.
 *
 * The enumeration lasts until MgmGroupEnumerationEnd, but no longer than the client's registration.
 *
 * - ERROR_INVALID_PARAMETER: a stale handle, an unknown type, or a null pointer.
 * - ERROR_NOT_ENOUGH_MEMORY: too many open enumerations, or no memory.
 */
DWORD MgmGroupEnumerationStart(HANDLE hProtocol, MGM_ENUM_TYPES metEnumType, HANDLE *phEnumHandle);

/*
 * Returns the next SOURCE_GROUP_ENTRY records, as many as fit, in no particular order. *pdwNumEntries says how many.
 *
 * pbBuffer may be null when its size is 0.
 *
 * - ERROR_MORE_DATA: there are more records.
 * - ERROR_NO_MORE_ITEMS: these records, perhaps none, were the last.
 * - ERROR_INSUFFICIENT_BUFFER: no record fits; *pdwBufferSize says how many octets one needs. No other code changes
 *   it.
 * - ERROR_INVALID_PARAMETER: a stale handle, or a null pointer.
 * - ERROR_NOT_ENOUGH_MEMORY: no memory; no record was returned.
 */
DWORD MgmGroupEnumerationGetNext(HANDLE hEnum,
                                 PDWORD pdwBufferSize,
                                 PBYTE pbBuffer,
                                 PDWORD pdwNumEntries);

/*
 * Ends an enumeration. Its handle is stale from then on.
 *
 * - ERROR_INVALID_PARAMETER: a stale handle.
 */
DWORD MgmGroupEnumerationEnd(HANDLE hEnum);

#ifdef __cplusplus
}
#endif 

#endif  /* MGM_H */
