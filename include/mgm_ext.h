/*
 * What libmgm has beside the Multicast Group Manager API of Windows: where packets and routes come from. Windows has no
 * such functions, because there its router calls the manager. Addresses are in network byte order.
 *
 * A forwarding plane sets hooks (MgmExtSetHooks), brings packets that have no entry (MgmExtNewFlow), and copies each packet
 * to the outgoing interfaces of its entry (MgmExtGetEntry).
 *
 * Hooks run with no lock of the library's held: they may call every function.
 */

#ifndef MGM_EXT_H
#define MGM_EXT_H

/* Made from src/capi by cbindgen; to make it anew: MGM_HEADERS=write cargo test --test c_header */

#include "mgm.h"

// How much the process-wide manager keeps at most; 0 for what it keeps otherwise.
typedef struct MGM_EXT_LIMITS {
  // Clients registered at once.
  DWORD dwClients;
  // Interfaces ever taken.
  DWORD dwInterfaces;
  // Memberships at once.
  DWORD dwMemberships;
  // Entries at once.
  DWORD dwEntries;
  // Negative entries at once; the oldest makes room.
  DWORD dwNegativeEntries;
  // Enumerations open at once.
  DWORD dwEnumerations;
  // How many seconds an entry lives.
  DWORD dwEntryLifetime;
} MGM_EXT_LIMITS;

// Where an MGM_EXT_LIMITS is.
typedef struct MGM_EXT_LIMITS *PMGM_EXT_LIMITS;

// An address of either family, in network byte order.
typedef struct MGM_EXT_ADDRESS {
  // MGM_EXT_NONE, MGM_EXT_IPV4 or MGM_EXT_IPV6.
  DWORD dwFamily;
  // The octets.
  BYTE rgbAddress[16];
} MGM_EXT_ADDRESS;

// An interface: of IPv4, or of IPv6. One wire that has both is two interfaces.
typedef struct MGM_EXT_INTERFACE {
  // The interface.
  DWORD dwIfIndex;
  // Which link of a point-to-multipoint interface; all octets 0 otherwise. Its family is the interface's.
  struct MGM_EXT_ADDRESS NextHop;
} MGM_EXT_INTERFACE;

// The way packets from a source arrive: where a unicast packet to it would leave.
typedef struct MGM_EXT_PATH {
  // The interface towards the source.
  struct MGM_EXT_INTERFACE Interface;
  // The next router towards the source, or MGM_EXT_NONE.
  struct MGM_EXT_ADDRESS Neighbour;
  // The network of the route that says so, or MGM_EXT_NONE. For information only, as the next two.
  struct MGM_EXT_ADDRESS RouteNetwork;
  // How many bits of it count.
  DWORD dwRoutePrefix;
  // Which protocol the route is from.
  DWORD dwRouteProtocol;
} MGM_EXT_PATH;

// Where an MGM_EXT_PATH is.
typedef struct MGM_EXT_PATH *PMGM_EXT_PATH;

// Says the way to a source by filling in the path, which is all zero before, and returning TRUE; FALSE if there is none.
// Called on whichever thread makes an entry.
typedef BOOL (*PMGM_EXT_ROUTE_LOOKUP)(void *pvContext,
                                      const struct MGM_EXT_ADDRESS *pSource,
                                      PMGM_EXT_PATH pPath);

// What a forwarding plane answers. A null pointer is never called.
typedef struct MGM_EXT_HOOKS {
  // Handed to each hook.
  void *pvContext;
  // See PMGM_EXT_ROUTE_LOOKUP. Without it there is no way to any source, and every entry is negative.
  PMGM_EXT_ROUTE_LOOKUP pfnRouteLookup;
} MGM_EXT_HOOKS;

// What one source sends to one group.
typedef struct MGM_EXT_FLOW {
  // The sender.
  struct MGM_EXT_ADDRESS Source;
  // The group it sends to.
  struct MGM_EXT_ADDRESS Group;
} MGM_EXT_FLOW;

// Where an MGM_EXT_INTERFACE is.
typedef struct MGM_EXT_INTERFACE *PMGM_EXT_INTERFACE;

// What pbRoute of PMGM_RPF_CALLBACK leads to: the route to the source, all zero when none is known.
typedef struct MGM_EXT_ROUTE {
  // Which protocol the route is from.
  DWORD dwRouteProtocol;
  // Its network.
  DWORD dwRouteNetwork;
  // Its mask.
  DWORD dwRouteMask;
} MGM_EXT_ROUTE;

// Where an MGM_EXT_ROUTE is.
typedef struct MGM_EXT_ROUTE *PMGM_EXT_ROUTE;

// Where an MGM_EXT_FLOW is.
typedef struct MGM_EXT_FLOW *PMGM_EXT_FLOW;

// A wish of MgmExtRegisterMProtocol: wrong interface alerts.
#define MGM_EXT_WANT_WRONG_IF 1

// No address; for a next hop: a broadcast or point-to-point interface, for IPv4.
#define MGM_EXT_NONE 0

// The address is of IPv4: the first 4 octets count.
#define MGM_EXT_IPV4 4

// The address is of IPv6: all 16 octets count.
#define MGM_EXT_IPV6 6

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library: major << 16 | minor << 8 | patch.
DWORD MgmExtVersion(void);

// MgmInitialize, with limits; null for the usual ones. They are settled by the first start of the process.
//
// ERROR_ALREADY_EXISTS: it runs already. ERROR_INVALID_PARAMETER: a limit that cannot be.
// ERROR_CAN_NOT_COMPLETE: it is being stopped, or was started with other limits before, or has no thread.
DWORD MgmExtInitialize(PMGM_EXT_LIMITS pLimits);

// MgmRegisterMProtocol, with wishes in dwFlags: MGM_EXT_WANT_WRONG_IF has pfnWrongIfCallback called, which is not called
// otherwise: for packets that arrive on an interface of the client's which is not their flow's incoming one, at most once
// in a while for each flow.
//
// ERROR_INVALID_PARAMETER: other flags, too.
DWORD MgmExtRegisterMProtocol(PROUTING_PROTOCOL_CONFIG prpiInfo,
                              DWORD dwProtocolId,
                              DWORD dwComponentId,
                              DWORD dwFlags,
                              HANDLE *phProtocol);

// Sets the hooks of the forwarding plane, in the place of those that were set before; null for none. Starts the manager if
// need be. When it returns, none of the hooks before is running, except when it is called from inside a hook: then it
// does not wait. MgmDeInitialize takes the hooks away.
DWORD MgmExtSetHooks(const struct MGM_EXT_HOOKS *pHooks);

// A packet met no entry: makes one, on this thread, asking the route lookup and the owners of interfaces. Of the packet,
// as much is shown to the owner of the incoming interface as is given here: from its IP header on; it may be null with
// size 0. After NO_ERROR the flow has an entry, perhaps a negative one.
//
// ERROR_INVALID_PARAMETER: a null pointer, or no flow. ERROR_CAN_NOT_COMPLETE: the manager does not run, another thread is
// making the entry, or the group is never forwarded. ERROR_NOT_ENOUGH_MEMORY: there are too many entries.
DWORD MgmExtNewFlow(const struct MGM_EXT_FLOW *pFlow,
                    const uint8_t *pbPacket,
                    DWORD dwSize);

// The entry of a flow: where its packets have to arrive (*pIncoming; MGM_EXT_NONE and index 0 if nowhere), and where they
// are copied to (rgOutgoing). *pdwOutgoing says how many interfaces have room there, and on return how many there are.
//
// ERROR_NOT_FOUND: there is no such entry. ERROR_INSUFFICIENT_BUFFER: rgOutgoing is too small; it is not written, and may
// be null if there is no room. ERROR_INVALID_PARAMETER: a null pointer, or no flow.
DWORD MgmExtGetEntry(const struct MGM_EXT_FLOW *pFlow,
                     PMGM_EXT_INTERFACE pIncoming,
                     PMGM_EXT_INTERFACE rgOutgoing,
                     PDWORD pdwOutgoing);

// The routes are others now: every entry goes, and its flow's next packet has it made anew.
//
// ERROR_CAN_NOT_COMPLETE: the manager does not run.
DWORD MgmExtFlushEntries(void);

// How many panics of the library were stopped at the border to C since the process began. It should be 0.
DWORD MgmExtPanics(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MGM_EXT_H */

#ifndef MGM_EXT_H_SHORTHANDS
#define MGM_EXT_H_SHORTHANDS
/* An IPv4 address as mgm.h has it, as one of this header. */
static inline MGM_EXT_ADDRESS MgmExtIPv4(DWORD dwAddress)
{
  MGM_EXT_ADDRESS address = {MGM_EXT_IPV4, {0}};
  const BYTE *octets = (const BYTE *)&dwAddress;
  for (int i = 0; i < 4; i++)
    address.rgbAddress[i] = octets[i];
  return address;
}

/* What an IPv4 source sends to an IPv4 group. */
static inline MGM_EXT_FLOW MgmExtFlowIPv4(DWORD dwSourceAddr, DWORD dwGroupAddr)
{
  MGM_EXT_FLOW flow = {MgmExtIPv4(dwSourceAddr), MgmExtIPv4(dwGroupAddr)};
  return flow;
}

/* An interface as mgm.h has it. */
static inline MGM_EXT_INTERFACE MgmExtInterfaceIPv4(DWORD dwIfIndex, DWORD dwIfNextHopAddr)
{
  MGM_EXT_INTERFACE interface = {dwIfIndex, MgmExtIPv4(dwIfNextHopAddr)};
  return interface;
}
#endif
