/*
 * The layout of the Multicast Group Manager API, as static assertions on sizes, offsets, values and parameters.
 *
 * The file is compiled against this project's mgm.h and, with THEIRS defined, against the headers of mingw-w64: the table
 * has to hold for both. Nothing is run.
 */
#ifdef THEIRS
#define MPR50 1
#include <winsock2.h>
#include <windows.h>
#include <iprtrmib.h>
#include <routprot.h>
#include <mgm.h>
#else
#include <mgm.h>
#endif
#include <stddef.h>

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type)
#define AT(type, field, offset, size)                                            \
  _Static_assert(offsetof(type, field) == (offset), "offset of " #type "." #field); \
  _Static_assert(sizeof(((type *)0)->field) == (size), "size of " #type "." #field)
#define IS(name, value) _Static_assert((name) == (value), #name)

SIZE(DWORD, 4);
SIZE(ULONG, 4);
SIZE(BOOL, 4);
SIZE(BYTE, 1);
SIZE(HANDLE, sizeof(void *));
SIZE(MGM_ENUM_TYPES, 4);

#define P sizeof(void *)
SIZE(ROUTING_PROTOCOL_CONFIG, 10 * P);
AT(ROUTING_PROTOCOL_CONFIG, dwCallbackFlags, 0, 4);
AT(ROUTING_PROTOCOL_CONFIG, pfnRpfCallback, 1 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnCreationAlertCallback, 2 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnPruneAlertCallback, 3 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnJoinAlertCallback, 4 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnWrongIfCallback, 5 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnLocalJoinCallback, 6 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnLocalLeaveCallback, 7 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnDisableIgmpCallback, 8 * P, P);
AT(ROUTING_PROTOCOL_CONFIG, pfnEnableIgmpCallback, 9 * P, P);

SIZE(MGM_IF_ENTRY, 16);
AT(MGM_IF_ENTRY, dwIfIndex, 0, 4);
AT(MGM_IF_ENTRY, dwIfNextHopAddr, 4, 4);
AT(MGM_IF_ENTRY, bIGMP, 8, 4);
AT(MGM_IF_ENTRY, bIsEnabled, 12, 4);

SIZE(SOURCE_GROUP_ENTRY, 16);
AT(SOURCE_GROUP_ENTRY, dwSourceAddr, 0, 4);
AT(SOURCE_GROUP_ENTRY, dwSourceMask, 4, 4);
AT(SOURCE_GROUP_ENTRY, dwGroupAddr, 8, 4);
AT(SOURCE_GROUP_ENTRY, dwGroupMask, 12, 4);

SIZE(MIB_IPMCAST_OIF, 16);
AT(MIB_IPMCAST_OIF, dwOutIfIndex, 0, 4);
AT(MIB_IPMCAST_OIF, dwNextHopAddr, 4, 4);
AT(MIB_IPMCAST_OIF, dwReserved, 8, 4);
AT(MIB_IPMCAST_OIF, dwReserved1, 12, 4);

SIZE(MIB_IPMCAST_OIF_STATS, 28);
AT(MIB_IPMCAST_OIF_STATS, dwOutIfIndex, 0, 4);
AT(MIB_IPMCAST_OIF_STATS, dwNextHopAddr, 4, 4);
AT(MIB_IPMCAST_OIF_STATS, dwDialContext, 8, 4);
AT(MIB_IPMCAST_OIF_STATS, ulTtlTooLow, 12, 4);
AT(MIB_IPMCAST_OIF_STATS, ulFragNeeded, 16, 4);
AT(MIB_IPMCAST_OIF_STATS, ulOutPackets, 20, 4);
AT(MIB_IPMCAST_OIF_STATS, ulOutDiscards, 24, 4);

/* The fields that all three kinds of records begin with. */
#define COMMON(type)                \
  AT(type, dwGroup, 0, 4);          \
  AT(type, dwSource, 4, 4);         \
  AT(type, dwSrcMask, 8, 4);        \
  AT(type, dwUpStrmNgbr, 12, 4);    \
  AT(type, dwInIfIndex, 16, 4);     \
  AT(type, dwInIfProtocol, 20, 4);  \
  AT(type, dwRouteProtocol, 24, 4); \
  AT(type, dwRouteNetwork, 28, 4);  \
  AT(type, dwRouteMask, 32, 4);     \
  AT(type, ulUpTime, 36, 4);        \
  AT(type, ulExpiryTime, 40, 4)

SIZE(MIB_IPMCAST_MFE, 76);
COMMON(MIB_IPMCAST_MFE);
AT(MIB_IPMCAST_MFE, ulTimeOut, 44, 4);
AT(MIB_IPMCAST_MFE, ulNumOutIf, 48, 4);
AT(MIB_IPMCAST_MFE, fFlags, 52, 4);
AT(MIB_IPMCAST_MFE, dwReserved, 56, 4);
AT(MIB_IPMCAST_MFE, rgmioOutInfo, 60, 16);

#define STATS(type)                  \
  COMMON(type);                      \
  AT(type, ulNumOutIf, 44, 4);       \
  AT(type, ulInPkts, 48, 4);         \
  AT(type, ulInOctets, 52, 4);       \
  AT(type, ulPktsDifferentIf, 56, 4); \
  AT(type, ulQueueOverflow, 60, 4)

SIZE(MIB_IPMCAST_MFE_STATS, 92);
STATS(MIB_IPMCAST_MFE_STATS);
AT(MIB_IPMCAST_MFE_STATS, rgmiosOutStats, 64, 28);

SIZE(MIB_IPMCAST_MFE_STATS_EX, 112);
STATS(MIB_IPMCAST_MFE_STATS_EX);
AT(MIB_IPMCAST_MFE_STATS_EX, ulUninitMfe, 64, 4);
AT(MIB_IPMCAST_MFE_STATS_EX, ulNegativeMfe, 68, 4);
AT(MIB_IPMCAST_MFE_STATS_EX, ulInDiscards, 72, 4);
AT(MIB_IPMCAST_MFE_STATS_EX, ulInHdrErrors, 76, 4);
AT(MIB_IPMCAST_MFE_STATS_EX, ulTotalOutPackets, 80, 4);
AT(MIB_IPMCAST_MFE_STATS_EX, rgmiosOutStats, 84, 28);

IS(SIZEOF_BASIC_MIB_MFE, 60);
IS(SIZEOF_MIB_MFE(0), 60);
IS(SIZEOF_MIB_MFE(3), 60 + 3 * 16);
IS(SIZEOF_BASIC_MIB_MFE_STATS, 64);
IS(SIZEOF_MIB_MFE_STATS(3), 64 + 3 * 28);
IS(SIZEOF_BASIC_MIB_MFE_STATS_EX, 84);
IS(SIZEOF_MIB_MFE_STATS_EX(3), 84 + 3 * 28);

SIZE(MIB_MFE_TABLE, 80);
AT(MIB_MFE_TABLE, dwNumEntries, 0, 4);
AT(MIB_MFE_TABLE, table, 4, 76);
SIZE(MIB_MFE_STATS_TABLE, 96);
AT(MIB_MFE_STATS_TABLE, dwNumEntries, 0, 4);
AT(MIB_MFE_STATS_TABLE, table, 4, 92);
SIZE(MIB_MFE_STATS_TABLE_EX, 116);
AT(MIB_MFE_STATS_TABLE_EX, dwNumEntries, 0, 4);
AT(MIB_MFE_STATS_TABLE_EX, table, 4, 112);
SIZE(MIB_IPMCAST_GLOBAL, 4);
AT(MIB_IPMCAST_GLOBAL, dwEnable, 0, 4);
SIZE(MIB_IPMCAST_IF_ENTRY, 24);
AT(MIB_IPMCAST_IF_ENTRY, dwIfIndex, 0, 4);
AT(MIB_IPMCAST_IF_ENTRY, dwTtl, 4, 4);
AT(MIB_IPMCAST_IF_ENTRY, dwProtocol, 8, 4);
AT(MIB_IPMCAST_IF_ENTRY, dwRateLimit, 12, 4);
AT(MIB_IPMCAST_IF_ENTRY, ulInMcastOctets, 16, 4);
AT(MIB_IPMCAST_IF_ENTRY, ulOutMcastOctets, 20, 4);
SIZE(MIB_IPMCAST_IF_TABLE, 28);
AT(MIB_IPMCAST_IF_TABLE, dwNumEntries, 0, 4);
AT(MIB_IPMCAST_IF_TABLE, table, 4, 24);
SIZE(MIB_IPMCAST_BOUNDARY, 16);
AT(MIB_IPMCAST_BOUNDARY, dwIfIndex, 0, 4);
AT(MIB_IPMCAST_BOUNDARY, dwGroupAddress, 4, 4);
AT(MIB_IPMCAST_BOUNDARY, dwGroupMask, 8, 4);
AT(MIB_IPMCAST_BOUNDARY, dwStatus, 12, 4);
SIZE(MIB_IPMCAST_BOUNDARY_TABLE, 20);
AT(MIB_IPMCAST_BOUNDARY_TABLE, dwNumEntries, 0, 4);
AT(MIB_IPMCAST_BOUNDARY_TABLE, table, 4, 16);
SIZE(MIB_IPMCAST_SCOPE, 524);
AT(MIB_IPMCAST_SCOPE, dwGroupAddress, 0, 4);
AT(MIB_IPMCAST_SCOPE, dwGroupMask, 4, 4);
AT(MIB_IPMCAST_SCOPE, snNameBuffer, 8, 512);
AT(MIB_IPMCAST_SCOPE, dwStatus, 520, 4);
SIZE(SN_CHAR, 2);
SIZE(SCOPE_NAME_BUFFER, 512);
SIZE(SCOPE_NAME, sizeof(void *));

/* The SDK's headers have ALIGN_SIZE elsewhere. */
#ifdef THEIRS
#ifndef ALIGN_SIZE
#define ALIGN_SIZE 8
#endif
#endif
IS(SIZEOF_MCAST_IF_TABLE(3), 4 + 3 * 24 + 8);
IS(SIZEOF_BOUNDARY_TABLE(3), 4 + 3 * 16 + 8);

IS(MCAST_MFE, 18);
IS(MCAST_MFE_STATS, 19);
IS(MCAST_IF_ENTRY, 23);
IS(MCAST_GLOBAL, 24);
IS(MCAST_BOUNDARY, 26);
IS(MCAST_SCOPE, 27);
IS(MCAST_MFE_STATS_EX, 35);
IS(MAX_SCOPE_NAME_LEN, 255);

IS(MGM_JOIN_STATE_FLAG, 1);
IS(MGM_FORWARD_STATE_FLAG, 2);
IS(MGM_MFE_STATS_0, 1);
IS(MGM_MFE_STATS_1, 2);
IS(ANY_SOURCE, 0);
IS(ALL_SOURCES, 1);
IS(NO_ERROR, 0);
IS(ERROR_SUCCESS, 0);
IS(ERROR_INVALID_HANDLE, 6);
IS(ERROR_NOT_ENOUGH_MEMORY, 8);
IS(ERROR_NOT_SUPPORTED, 50);
IS(ERROR_INVALID_PARAMETER, 87);
IS(ERROR_INSUFFICIENT_BUFFER, 122);
IS(ERROR_ALREADY_EXISTS, 183);
IS(ERROR_MORE_DATA, 234);
IS(ERROR_NO_MORE_ITEMS, 259);
IS(ERROR_CAN_NOT_COMPLETE, 1003);
IS(ERROR_NOT_FOUND, 1168);
IS(PROTOCOL_ID(PROTO_TYPE_MCAST, PROTO_VENDOR_MS1, PROTO_IP_IGMP), 0x4137000A);
IS(MS_IP_IGMP, 0x4137000A);
IS(MS_IP_BGMP, 0x4137000B);
IS(MS_IP_MSDP, 0x41370009);
IS(PROTO_VENDOR_MS0, 0);
IS(PROTO_VENDOR_MS2, 0x3FFF);
IS(PROTO_IP_OTHER, 1);
IS(PROTO_IP_LOCAL, 2);
IS(PROTO_IP_NETMGMT, 3);
IS(PROTO_IP_ICMP, 4);
IS(PROTO_IP_EGP, 5);
IS(PROTO_IP_GGP, 6);
IS(PROTO_IP_HELLO, 7);
IS(PROTO_IP_RIP, 8);
IS(PROTO_IP_IS_IS, 9);
IS(PROTO_IP_ES_IS, 10);
IS(PROTO_IP_CISCO, 11);
IS(PROTO_IP_BBN, 12);
IS(PROTO_IP_OSPF, 13);
IS(PROTO_IP_BGP, 14);
IS(PROTO_IP_MSDP, 9);
IS(PROTO_IP_IGMP, 10);
IS(PROTO_IP_BGMP, 11);
IS(PROTO_IP_VRRP, 112);
IS(PROTO_IP_BOOTP, 9999);
IS(PROTO_IP_NT_AUTOSTATIC, 10002);
IS(PROTO_IP_DNS_PROXY, 10003);
IS(PROTO_IP_DHCP_ALLOCATOR, 10004);
IS(PROTO_IP_NAT, 10005);
IS(PROTO_IP_NT_STATIC, 10006);
IS(PROTO_IP_NT_STATIC_NON_DOD, 10007);
IS(PROTO_IP_DIFFSERV, 10008);
IS(PROTO_IP_MGM, 10009);
IS(PROTO_IP_ALG, 10010);
IS(PROTO_IP_H323, 10011);
IS(PROTO_IP_FTP, 10012);
IS(PROTO_IP_DTP, 10013);
IS((DWORD)MS_IP_BOOTP, 0x0000270F);
IS((DWORD)MS_IP_RIP, 0x00000008);
IS((DWORD)MS_IP_OSPF, 0x0000000D);
IS((DWORD)MS_IP_BGP, 0x0137000E);
IS((DWORD)MS_IP_DNS_PROXY, 0x81372713);
IS((DWORD)MS_IP_DHCP_ALLOCATOR, 0x81372714);
IS((DWORD)MS_IP_NAT, 0x81372715);
IS((DWORD)MS_IP_DIFFSERV, 0x81372718);
IS((DWORD)MS_IP_MGM, 0x81372719);
IS((DWORD)MS_IP_VRRP, 0x81370070);
IS((DWORD)MS_IP_DTP, 0x8137271D);
IS((DWORD)MS_IP_H323, 0x8137271B);
IS((DWORD)MS_IP_FTP, 0x8137271C);
IS((DWORD)MS_IP_ALG, 0x8137271A);
IS(TYPE_FROM_PROTO_ID(0x4137000A), 1);
IS(TYPE_FROM_PROTO_ID(0x81372719), 2);
IS(VENDOR_FROM_PROTO_ID(0x4137000A), 0x137);
IS(PROTO_FROM_PROTO_ID(0x81372719), 10009);

/* Parameters and their order: another type is a compile error. */
typedef DWORD address;
extern DWORD rpf(address source, DWORD source_mask, address group, DWORD group_mask, PDWORD in, PDWORD in_next_hop,
                 PDWORD neighbour, DWORD size, PBYTE packet, PBYTE route);
extern DWORD creation(address source, DWORD source_mask, address group, DWORD group_mask, DWORD in, DWORD in_next_hop,
                      DWORD count, PMGM_IF_ENTRY list);
extern DWORD prune(address source, DWORD source_mask, address group, DWORD group_mask, DWORD where, DWORD next_hop,
                   BOOL member, PDWORD timeout);
extern DWORD join(address source, DWORD source_mask, address group, DWORD group_mask, BOOL member);
extern DWORD wrong(address source, address group, DWORD where, DWORD next_hop, DWORD size, PBYTE packet);
extern DWORD local(address source, DWORD source_mask, address group, DWORD group_mask, DWORD where, DWORD next_hop);
extern DWORD igmp(DWORD where, DWORD next_hop);

extern ROUTING_PROTOCOL_CONFIG config;
ROUTING_PROTOCOL_CONFIG config = {0, rpf, creation, prune, join, wrong, local, local, igmp, igmp};

#define TAKES(name, ...) \
  extern DWORD (*takes_##name)(__VA_ARGS__); \
  DWORD (*takes_##name)(__VA_ARGS__) = name

TAKES(MgmRegisterMProtocol, PROUTING_PROTOCOL_CONFIG, DWORD, DWORD, HANDLE *);
TAKES(MgmDeRegisterMProtocol, HANDLE);
TAKES(MgmTakeInterfaceOwnership, HANDLE, DWORD, DWORD);
TAKES(MgmReleaseInterfaceOwnership, HANDLE, DWORD, DWORD);
TAKES(MgmGetProtocolOnInterface, DWORD, DWORD, PDWORD, PDWORD);
TAKES(MgmAddGroupMembershipEntry, HANDLE, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD);
TAKES(MgmDeleteGroupMembershipEntry, HANDLE, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD);
TAKES(MgmGetMfe, PMIB_IPMCAST_MFE, PDWORD, PBYTE);
TAKES(MgmGetFirstMfe, PDWORD, PBYTE, PDWORD);
TAKES(MgmGetNextMfe, PMIB_IPMCAST_MFE, PDWORD, PBYTE, PDWORD);
TAKES(MgmGetMfeStats, PMIB_IPMCAST_MFE, PDWORD, PBYTE, DWORD);
TAKES(MgmGetFirstMfeStats, PDWORD, PBYTE, PDWORD, DWORD);
TAKES(MgmGetNextMfeStats, PMIB_IPMCAST_MFE, PDWORD, PBYTE, PDWORD, DWORD);
TAKES(MgmGroupEnumerationStart, HANDLE, MGM_ENUM_TYPES, HANDLE *);
TAKES(MgmGroupEnumerationGetNext, HANDLE, PDWORD, PBYTE, PDWORD);
TAKES(MgmGroupEnumerationEnd, HANDLE);
TAKES(MgmSetMfe, HANDLE, PMIB_IPMCAST_MFE);
