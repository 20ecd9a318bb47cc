/*
 * The functions that libmgm has in addition to the Multicast Group Manager API of Windows: a program gives the manager
 * packets and routes through them. Windows has no such functions, because its own router calls the manager.
 *
 * A forwarding plane sets hooks (MgmExtSetHooks) and asks for the fate of each packet (MgmExtForward). A plane that
 * keeps a copy of the entries, in a kernel or in hardware, has a hook called when an entry changes, reads the entry
 * (MgmExtGetEntry), and reports flows that have none (MgmExtNewFlow).
 *
 * Addresses are in network byte order, of IPv4 or IPv6. Hooks run while no lock of the library is held: they may call
 * every function. The header compiles as C89 and later, and as C++.
 */

#ifndef MGM_EXT_H
#define MGM_EXT_H

/* Made from src/ by cbindgen. To make it again: MGM_HEADERS=write cargo test -p mgm-capi --test c header */

#include "mgm.h"

/* The limits of the process-wide manager. 0 stands for the default. */
typedef struct MGM_EXT_LIMITS {
  /* Clients registered at the same time. */
  DWORD dwClients;
  /*
   * Interfaces at the same time that have an owner, or that a membership, an entry or a packet in a queue depends on.
   */
  DWORD dwInterfaces;
  /* Memberships at the same time. */
  DWORD dwMemberships;
  /* Entries at the same time, without negative ones. */
  DWORD dwEntries;
  /* Negative entries at the same time. The oldest makes room for a new one. */
  DWORD dwNegativeEntries;
  /* Enumerations open at the same time. */
  DWORD dwEnumerations;
  /* The lifetime of an entry, in seconds. */
  DWORD dwEntryLifetime;
} MGM_EXT_LIMITS;

/* A pointer to MGM_EXT_LIMITS. */
typedef struct MGM_EXT_LIMITS *PMGM_EXT_LIMITS;

/* An address of either family, in network byte order. */
typedef struct MGM_EXT_ADDRESS {
  /* MGM_EXT_NONE, MGM_EXT_IPV4 or MGM_EXT_IPV6. */
  DWORD dwFamily;
  /* The octets. */
  BYTE rgbAddress[16];
} MGM_EXT_ADDRESS;

/* An interface of IPv4 or of IPv6. A link that carries both is two interfaces. */
typedef struct MGM_EXT_INTERFACE {
  /* The interface. */
  DWORD dwIfIndex;
  /* The link of a point-to-multipoint interface; otherwise all octets are 0. Its family is that of the interface. */
  struct MGM_EXT_ADDRESS NextHop;
} MGM_EXT_INTERFACE;

/* The reverse path of a source: where a unicast packet to it would leave. */
typedef struct MGM_EXT_PATH {
  /* The interface towards the source. */
  struct MGM_EXT_INTERFACE Interface;
  /* The next router towards the source, or MGM_EXT_NONE. */
  struct MGM_EXT_ADDRESS Neighbour;
  /* The network of the route, or MGM_EXT_NONE. This and the next two are for information only. */
  struct MGM_EXT_ADDRESS RouteNetwork;
  /* The prefix length of the route. */
  DWORD dwRoutePrefix;
  /* The origin of the route (PROTO_IP_OSPF, ...). */
  DWORD dwRouteProtocol;
} MGM_EXT_PATH;

/* A pointer to an MGM_EXT_PATH. */
typedef struct MGM_EXT_PATH *PMGM_EXT_PATH;

/*
 * Returns the reverse path of a source: fills in *pPath, which is all zero before, and returns TRUE. FALSE says that
 * there is no route.
 *
 * Called on every thread that makes an entry.
 */
typedef BOOL (*PMGM_EXT_ROUTE_LOOKUP)(void *pvContext,
                                      const struct MGM_EXT_ADDRESS *pSource,
                                      PMGM_EXT_PATH pPath);

/* A flow: the packets of one source to one group. */
typedef struct MGM_EXT_FLOW {
  /* The source. */
  struct MGM_EXT_ADDRESS Source;
  /* The group. */
  struct MGM_EXT_ADDRESS Group;
} MGM_EXT_FLOW;

/*
 * Reports that the entry of a flow was made, changed or withdrawn: read it with MgmExtGetEntry.
 *
 * For planes that keep a copy of the entries, in a kernel or in hardware. Called on the manager's thread, once for
 * several changes in close succession. A null pFlow says that too many entries have changed to report each: read all
 * of them.
 */
typedef void (*PMGM_EXT_ENTRY_CHANGED)(void *pvContext, const struct MGM_EXT_FLOW *pFlow);

/* The hooks of a forwarding plane. A null pointer is not called. */
typedef struct MGM_EXT_HOOKS {
  /* Passed to each hook. */
  void *pvContext;
  /* See PMGM_EXT_ROUTE_LOOKUP. Without it no source has a route, and every entry is negative. */
  PMGM_EXT_ROUTE_LOOKUP pfnRouteLookup;
  /* See PMGM_EXT_ENTRY_CHANGED. */
  PMGM_EXT_ENTRY_CHANGED pfnEntryChanged;
} MGM_EXT_HOOKS;

/* A pointer to MGM_EXT_INTERFACE values. */
typedef struct MGM_EXT_INTERFACE *PMGM_EXT_INTERFACE;

/* The route to a source, which pbRoute of PMGM_RPF_CALLBACK points to. All zero when no route is known. */
typedef struct MGM_EXT_ROUTE {
  /* The origin of the route. */
  DWORD dwRouteProtocol;
  /* The network of the route. */
  DWORD dwRouteNetwork;
  /* The mask of the route. */
  DWORD dwRouteMask;
} MGM_EXT_ROUTE;

/* A pointer to an MGM_EXT_ROUTE. */
typedef struct MGM_EXT_ROUTE *PMGM_EXT_ROUTE;

/* A pointer to an MGM_EXT_FLOW. */
typedef struct MGM_EXT_FLOW *PMGM_EXT_FLOW;

/* A flag of MgmExtRegisterMProtocol: enables pfnWrongIfCallback. */
#define MGM_EXT_WANT_WRONG_IF 1

/* A flag of MgmExtRegisterMProtocol: pfnJoinAlertCallback is called for the memberships that exist. */
#define MGM_EXT_WANT_PRESENT_JOINS 2

/* The verdict that the packet has to be copied to the outgoing interfaces. */
#define MGM_EXT_FORWARD 0

/* The verdict that the packet has no receivers: discard it. */
#define MGM_EXT_NO_RECEIVERS 1

/*
 * The verdict that the packet arrived on another interface than the incoming one: discard it.
 *
 * The owner of the interface is called if it registered with MGM_EXT_WANT_WRONG_IF.
 */
#define MGM_EXT_WRONG_IF 2

/*
 * The verdict that the flow has no entry yet: discard the packet, or keep it until there is one.
 *
 * The flow is queued to get an entry from the manager's thread.
 */
#define MGM_EXT_NO_ENTRY 3

/* The verdict that the flow has no entry and the queue is full: discard the packet. */
#define MGM_EXT_QUEUE_FULL 4

/* No address. As the family of a next hop: a broadcast or point-to-point interface of IPv4. */
#define MGM_EXT_NONE 0

/* An IPv4 address: the first 4 octets count. */
#define MGM_EXT_IPV4 4

/* An IPv6 address: all 16 octets count. */
#define MGM_EXT_IPV6 6

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the version of the library: major << 16 | minor << 8 | patch. */
DWORD MgmExtVersion(void);

/*
 * Starts the process-wide manager as MgmInitialize does, with limits. A null pointer stands for the default limits.
 *
 * The first start of the process fixes the limits for its lifetime.
 *
 * - ERROR_ALREADY_EXISTS: the manager runs already.
 * - ERROR_INVALID_PARAMETER: a limit that the manager does not support.
 * - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, or was started with other limits before, or the system
 *   refused the thread.
 */
DWORD MgmExtInitialize(PMGM_EXT_LIMITS pLimits);

/*
 * Registers a protocol instance as MgmRegisterMProtocol does, with flags.
 *
 * MGM_EXT_WANT_WRONG_IF enables pfnWrongIfCallback, which is not called otherwise: for packets that arrive on an
 * interface of the client which is not the flow's incoming interface. Each flow is reported at most once in a while.
 *
 * MGM_EXT_WANT_PRESENT_JOINS has the client told of the memberships that exist: before this function returns,
 * pfnJoinAlertCallback is called for each (*, *) and each (*, group) that has a membership of another client. From then on
 * joins and prunes of a key alternate, beginning with a join. Without the flag the client is told of changes only, and the
 * first alert of a key may be the prune of a membership that was there before.
 *
 * - ERROR_INVALID_PARAMETER: other flags as well.
 */
DWORD MgmExtRegisterMProtocol(PROUTING_PROTOCOL_CONFIG prpiInfo,
                              DWORD dwProtocolId,
                              DWORD dwComponentId,
                              DWORD dwFlags,
                              HANDLE *phProtocol);

/*
 * Returns how many panics of the library were caught since the process began. Every panic is a defect of the library.
 */
DWORD MgmExtPanics(void);

/*
 * Sets the hooks of the forwarding plane, which replace the previous ones. A null pointer removes them.
 *
 * Starts the manager if it does not run. When this returns, none of the previous hooks is running; called from inside
 * a hook or a callback it does not wait for that. MgmDeInitialize removes the hooks.
 *
 * - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, or the system refused its thread; the hooks are as before.
 */
DWORD MgmExtSetHooks(const struct MGM_EXT_HOOKS *pHooks);

/*
 * Makes the entry of a flow, on the calling thread. After NO_ERROR the flow has an entry, which may be negative.
 *
 * Asks the route lookup and the owners of the interfaces. The packet, from its IP header on, is shown to the owner of
 * the incoming interface; pbPacket may be null with dwSize 0.
 *
 * - ERROR_INVALID_PARAMETER: a null pointer, or addresses that form no flow.
 * - ERROR_CAN_NOT_COMPLETE: the manager does not run, another thread is making the entry, or the group is never
 *   forwarded.
 * - ERROR_NOT_ENOUGH_MEMORY: too many entries, or no memory.
 */
DWORD MgmExtNewFlow(const struct MGM_EXT_FLOW *pFlow,
                    const uint8_t *pbPacket,
                    DWORD dwSize);

/*
 * Returns the incoming interface and the outgoing interfaces of a flow's entry.
 *
 * pIncoming has index 0 and MGM_EXT_NONE if there is no route to the source. *pdwOutgoing says how many interfaces
 * rgOutgoing has room for, and on return how many the entry has. rgOutgoing may be null if *pdwOutgoing is 0.
 *
 * - ERROR_NOT_FOUND: the flow has no entry.
 * - ERROR_INSUFFICIENT_BUFFER: rgOutgoing is too small and was not written.
 * - ERROR_INVALID_PARAMETER: a null pointer, or addresses that form no flow.
 */
DWORD MgmExtGetEntry(const struct MGM_EXT_FLOW *pFlow,
                     PMGM_EXT_INTERFACE pIncoming,
                     PMGM_EXT_INTERFACE rgOutgoing,
                     PDWORD pdwOutgoing);

/*
 * Reports that the routes to the sources of a network have changed. A null pointer stands for all sources; dwPrefix is
 * not read then.
 *
 * Asks the route lookup, on the calling thread, about each source that has entries. Deletes an entry if its incoming
 * interface has changed; the next packet of the flow makes a new one.
 *
 * - ERROR_INVALID_PARAMETER: *pNetwork is no address, or dwPrefix is more than 32 for IPv4 or 128 for IPv6.
 * - ERROR_CAN_NOT_COMPLETE: the manager does not run.
 */
DWORD MgmExtRoutesChanged(const struct MGM_EXT_ADDRESS *pNetwork,
                          DWORD dwPrefix);

/*
 * Returns in *pdwVerdict what to do with a packet (from its IP header on) that arrived on an interface, and counts it.
 *
 * The verdict is MGM_EXT_FORWARD, and then rgOutgoing has the interfaces to copy the packet to; or
 * MGM_EXT_NO_RECEIVERS, MGM_EXT_WRONG_IF, MGM_EXT_NO_ENTRY or MGM_EXT_QUEUE_FULL. *pdwOutgoing says how many
 * interfaces rgOutgoing has room for, and on return how many there are. rgOutgoing may be null if *pdwOutgoing is 0.
 *
 * The call takes no lock, except in a thread's first call and in the destructors of a thread (pthread_key_create), and
 * runs no callback or hook. The manager's thread makes
 * the entry of a flow that has none, and calls the owner of an interface on which packets arrived wrongly.
 *
 * - ERROR_INSUFFICIENT_BUFFER: rgOutgoing is too small. The packet was not counted: call again with more room.
 * - ERROR_INVALID_PARAMETER: a null pointer, addresses that form no flow, or no interface.
 * - ERROR_CAN_NOT_COMPLETE: the manager does not run.
 */
DWORD MgmExtForward(const struct MGM_EXT_FLOW *pFlow,
                    const struct MGM_EXT_INTERFACE *pArrival,
                    const uint8_t *pbPacket,
                    DWORD dwSize,
                    PDWORD pdwVerdict,
                    PMGM_EXT_INTERFACE rgOutgoing,
                    PDWORD pdwOutgoing);

/* Makes the client the owner of an interface of either family. Returns the codes of MgmTakeInterfaceOwnership. */
DWORD MgmExtTakeInterfaceOwnership(HANDLE hProtocol,
                                   const struct MGM_EXT_INTERFACE *pInterface);

/* Releases an interface of either family. Returns the codes of MgmReleaseInterfaceOwnership. */
DWORD MgmExtReleaseInterfaceOwnership(HANDLE hProtocol, const struct MGM_EXT_INTERFACE *pInterface);

/*
 * Adds a membership of either family. Returns the codes of MgmAddGroupMembershipEntry.
 *
 * In *pMembership, MGM_EXT_NONE is any source, and any group of the interface's family. The callbacks of mgm.h carry
 * IPv4 addresses only: events of IPv6 are not reported to the client.
 */
DWORD MgmExtAddGroupMembershipEntry(HANDLE hProtocol,
                                    const struct MGM_EXT_FLOW *pMembership,
                                    const struct MGM_EXT_INTERFACE *pInterface,
                                    DWORD dwFlags);

/*
 * Deletes a membership of either family. Takes the parameters of MgmExtAddGroupMembershipEntry and returns the codes
 * of MgmDeleteGroupMembershipEntry.
 */
DWORD MgmExtDeleteGroupMembershipEntry(HANDLE hProtocol,
                                       const struct MGM_EXT_FLOW *pMembership,
                                       const struct MGM_EXT_INTERFACE *pInterface,
                                       DWORD dwFlags);

#ifdef __cplusplus
}
#endif 

#endif  /* MGM_EXT_H */

#ifndef MGM_EXT_H_SHORTHANDS
#define MGM_EXT_H_SHORTHANDS

#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)
#define MGM_EXT_INLINE static inline
#elif defined(__GNUC__)
#define MGM_EXT_INLINE static __inline__
#else
#define MGM_EXT_INLINE static
#endif

/* Returns an IPv4 address of mgm.h as an address of this header. */
MGM_EXT_INLINE MGM_EXT_ADDRESS MgmExtIPv4(DWORD dwAddress)
{
  MGM_EXT_ADDRESS address = {MGM_EXT_IPV4, {0}};
  const BYTE *octets = (const BYTE *)&dwAddress;
  int i;

  for (i = 0; i < 4; i++)
    address.rgbAddress[i] = octets[i];
  return address;
}

/* Returns the flow from an IPv4 source to an IPv4 group. */
MGM_EXT_INLINE MGM_EXT_FLOW MgmExtFlowIPv4(DWORD dwSourceAddr, DWORD dwGroupAddr)
{
  MGM_EXT_FLOW flow;

  flow.Source = MgmExtIPv4(dwSourceAddr);
  flow.Group = MgmExtIPv4(dwGroupAddr);
  return flow;
}

/* Returns an IPv4 interface of mgm.h as an interface of this header. */
MGM_EXT_INLINE MGM_EXT_INTERFACE MgmExtInterfaceIPv4(DWORD dwIfIndex, DWORD dwIfNextHopAddr)
{
  MGM_EXT_INTERFACE result;

  result.dwIfIndex = dwIfIndex;
  result.NextHop = MgmExtIPv4(dwIfNextHopAddr);
  return result;
}
#endif
