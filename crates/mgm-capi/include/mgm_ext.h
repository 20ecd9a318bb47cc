/*
 * What libmgm has beside the Multicast Group Manager API of Windows: where packets and routes come from. Windows has no
 * such functions, because there its router calls the manager. Addresses are in network byte order.
 *
 * A forwarding plane sets hooks (MgmExtSetHooks) and asks of each packet what to do with it (MgmExtForward). One that keeps a
 * copy of the entries elsewhere is told when they change, reads them (MgmExtGetEntry) and brings what it has no entry for
 * (MgmExtNewFlow).
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

// What one source sends to one group.
typedef struct MGM_EXT_FLOW {
  // The sender.
  struct MGM_EXT_ADDRESS Source;
  // The group it sends to.
  struct MGM_EXT_ADDRESS Group;
} MGM_EXT_FLOW;

// The entry of a flow was made, changed or withdrawn: look at it now (MgmExtGetEntry). Called on the manager's thread, once
// for several changes that follow one another closely. Without a flow (null), more have changed than are told one by
// one: look at them all. For planes that keep a copy of the entries, in a kernel or in hardware.
typedef void (*PMGM_EXT_ENTRY_CHANGED)(void *pvContext, const struct MGM_EXT_FLOW *pFlow);

// What a forwarding plane answers, and wants to be told. A null pointer is never called.
typedef struct MGM_EXT_HOOKS {
  // Handed to each hook.
  void *pvContext;
  // See PMGM_EXT_ROUTE_LOOKUP. Without it there is no way to any source, and every entry is negative.
  PMGM_EXT_ROUTE_LOOKUP pfnRouteLookup;
  // See PMGM_EXT_ENTRY_CHANGED.
  PMGM_EXT_ENTRY_CHANGED pfnEntryChanged;
} MGM_EXT_HOOKS;

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

// Copy the packet to the outgoing interfaces.
#define MGM_EXT_FORWARD 0

// Discard it: nobody wants it.
#define MGM_EXT_NO_RECEIVERS 1

// Discard it: it did not arrive where it should. The owner of the interface is told, if it wants to be.
#define MGM_EXT_WRONG_IF 2

// There is no entry: discard it, or keep it until there is one. The flow is queued to get one.
#define MGM_EXT_NO_ENTRY 3

// There is no entry, and too many flows wait for one: discard it.
#define MGM_EXT_QUEUE_FULL 4

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
// making the entry, or the group is never forwarded. ERROR_NOT_ENOUGH_MEMORY: there are too many
// entries, or there is no memory.
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

// The routes to the sources of a network are others now; null for all. The route lookup is asked about each of them that
// has entries, on this thread, and entries whose packets have to arrive elsewhere go: their flows' next packets have
// them made anew.
//
// ERROR_INVALID_PARAMETER: no network. ERROR_CAN_NOT_COMPLETE: the manager does not run.
DWORD MgmExtRoutesChanged(const struct MGM_EXT_ADDRESS *pNetwork,
                          DWORD dwPrefix);

// How many panics of the library were stopped at the border to C since the process began. It should be 0.
DWORD MgmExtPanics(void);

// What to do with a packet (from its IP header on) that arrived on an interface: *pdwVerdict is MGM_EXT_FORWARD, and then
// rgOutgoing says where to; or MGM_EXT_NO_RECEIVERS, MGM_EXT_WRONG_IF, MGM_EXT_NO_ENTRY or MGM_EXT_QUEUE_FULL.
// *pdwOutgoing says how many interfaces have room in rgOutgoing, and on return how many there are. The packet is counted
// accordingly. Takes no lock (but in a thread's first call) and calls nobody: a flow without an entry, and the owner of a wrong interface, are seen to
// on the manager's thread.
//
// ERROR_INSUFFICIENT_BUFFER: rgOutgoing, which may be null without room, is too small; the packet is not counted: call
// again. ERROR_INVALID_PARAMETER: a null pointer, no flow, or no interface. ERROR_CAN_NOT_COMPLETE: the manager does not
// run.
DWORD MgmExtForward(const struct MGM_EXT_FLOW *pFlow,
                    const struct MGM_EXT_INTERFACE *pArrival,
                    const uint8_t *pbPacket,
                    DWORD dwSize,
                    PDWORD pdwVerdict,
                    PMGM_EXT_INTERFACE rgOutgoing,
                    PDWORD pdwOutgoing);

// MgmTakeInterfaceOwnership for an interface of either family.
DWORD MgmExtTakeInterfaceOwnership(HANDLE hProtocol, const struct MGM_EXT_INTERFACE *pInterface);

// MgmReleaseInterfaceOwnership for an interface of either family.
DWORD MgmExtReleaseInterfaceOwnership(HANDLE hProtocol, const struct MGM_EXT_INTERFACE *pInterface);

// MgmAddGroupMembershipEntry for either family: of *pMembership, MGM_EXT_NONE stands for any source, and for any group of
// the interface's family. What the manager has to tell of IPv6 it does not tell clients whose callbacks know IPv4 alone.
DWORD MgmExtAddGroupMembershipEntry(HANDLE hProtocol,
                                    const struct MGM_EXT_FLOW *pMembership,
                                    const struct MGM_EXT_INTERFACE *pInterface,
                                    DWORD dwFlags);

// MgmDeleteGroupMembershipEntry for either family; parameters as above.
DWORD MgmExtDeleteGroupMembershipEntry(HANDLE hProtocol,
                                       const struct MGM_EXT_FLOW *pMembership,
                                       const struct MGM_EXT_INTERFACE *pInterface,
                                       DWORD dwFlags);

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
