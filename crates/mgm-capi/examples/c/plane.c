/*
 * A forwarding plane in C: answers for routes, asks of each packet what to do with it, and keeps a copy of the entries as a
 * kernel's or a switch's table would be kept. A protocol beside it says where receivers are.
 *
 * Packets are made up here. A real plane gets them from its interfaces and sends copies out.
 */
#include <mgm.h>
#include <mgm_ext.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { UPLINK = 1, OFFICE = 2, LAB = 3, BACKUP = 4 };
enum { MOST = 16 };

static void must(const char *what, DWORD got, DWORD expected)
{
  printf("%-44s %u\n", what, (unsigned)got);
  if (got != expected) {
    fprintf(stderr, "%s: %u instead of %u\n", what, (unsigned)got, (unsigned)expected);
    exit(EXIT_FAILURE);
  }
}

/* The copy of the entries: what a kernel would be told. */
struct copy {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct {
    MGM_EXT_FLOW flow;
    MGM_EXT_INTERFACE outgoing[MOST];
    DWORD count;
  } entries[MOST];
  int used;
  /* Where sources are. */
  DWORD way_in;
};

static struct copy copy = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .way_in = UPLINK};

static BOOL route_lookup(PVOID context, const MGM_EXT_ADDRESS *source, PMGM_EXT_PATH path)
{
  struct copy *of = context;
  pthread_mutex_lock(&of->lock);
  path->Interface.dwIfIndex = of->way_in;
  pthread_mutex_unlock(&of->lock);
  path->Interface.NextHop.dwFamily = source->dwFamily;
  return TRUE;
}

/* Called on the manager's thread: look at the entry as it is now. */
static void entry_changed(PVOID context, const MGM_EXT_FLOW *flow)
{
  struct copy *of = context;
  MGM_EXT_INTERFACE incoming, outgoing[MOST];
  DWORD count = MOST;
  int i;

  if (flow == NULL) /* Too many changes to tell of: with so few flows that cannot be. */
    abort();
  const DWORD code = MgmExtGetEntry(flow, &incoming, outgoing, &count);
  pthread_mutex_lock(&of->lock);
  for (i = 0; i < of->used; i++)
    if (memcmp(&of->entries[i].flow, flow, sizeof *flow) == 0)
      break;
  if (code == NO_ERROR && i < MOST) {
    of->entries[i].flow = *flow;
    of->entries[i].count = count;
    memcpy(of->entries[i].outgoing, outgoing, count * sizeof outgoing[0]);
    if (i == of->used)
      of->used++;
  } else if (i < of->used) {
    of->entries[i] = of->entries[--of->used];
  }
  pthread_cond_broadcast(&of->changed);
  pthread_mutex_unlock(&of->lock);
}

/* Until the copy has so many outgoing interfaces for a flow; -1 for no entry. */
static void await(const char *what, const MGM_EXT_FLOW *flow, int expected)
{
  struct timespec until;
  int found;

  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 60;
  pthread_mutex_lock(&copy.lock);
  for (;;) {
    found = -1;
    for (int i = 0; i < copy.used; i++)
      if (memcmp(&copy.entries[i].flow, flow, sizeof *flow) == 0)
        found = (int)copy.entries[i].count;
    if (found == expected || pthread_cond_timedwait(&copy.changed, &copy.lock, &until) != 0)
      break;
  }
  pthread_mutex_unlock(&copy.lock);
  must(what, (DWORD)found, (DWORD)expected);
}

/* A packet arrives: what becomes of it, and to how many interfaces it is copied. */
static DWORD packet(const MGM_EXT_FLOW *flow, MGM_EXT_INTERFACE arrival, DWORD *copies)
{
  static const BYTE bytes[100] = {0x45};
  MGM_EXT_INTERFACE outgoing[MOST];
  DWORD verdict;

  *copies = MOST;
  must("MgmExtForward", MgmExtForward(flow, &arrival, bytes, sizeof bytes, &verdict, outgoing, copies), NO_ERROR);
  return verdict;
}

static int wrong_interfaces;

static DWORD WINAPI wrong_interface(DWORD source, DWORD group, DWORD index, DWORD next_hop, DWORD size, PBYTE header)
{
  (void)source, (void)group, (void)next_hop;
  pthread_mutex_lock(&copy.lock);
  wrong_interfaces += index == OFFICE && size == 100 && header[0] == 0x45;
  pthread_cond_broadcast(&copy.changed);
  pthread_mutex_unlock(&copy.lock);
  return NO_ERROR;
}

int main(void)
{
  const DWORD host = 0xFFFFFFFF, group = inet_addr("239.1.2.3"), source = inet_addr("198.51.100.9");
  const MGM_EXT_FLOW flow = MgmExtFlowIPv4(source, group);
  const MGM_EXT_INTERFACE uplink = MgmExtInterfaceIPv4(UPLINK, 0), office = MgmExtInterfaceIPv4(OFFICE, 0);
  const MGM_EXT_HOOKS hooks = {&copy, route_lookup, entry_changed};
  ROUTING_PROTOCOL_CONFIG config;
  HANDLE protocol;
  DWORD copies;

  printf("libmgm %u.%u.%u\n", (unsigned)(MgmExtVersion() >> 16), (unsigned)(MgmExtVersion() >> 8 & 0xFF),
         (unsigned)(MgmExtVersion() & 0xFF));
  must("MgmInitialize", MgmInitialize(), NO_ERROR);
  must("MgmExtSetHooks", MgmExtSetHooks(&hooks), NO_ERROR);

  /* The protocol. */
  memset(&config, 0, sizeof config);
  config.pfnWrongIfCallback = wrong_interface;
  must("MgmExtRegisterMProtocol",
       MgmExtRegisterMProtocol(&config, PROTOCOL_ID(PROTO_TYPE_MCAST, 0x0100, 1), 0, MGM_EXT_WANT_WRONG_IF, &protocol),
       NO_ERROR);
  for (DWORD i = UPLINK; i <= BACKUP; i++)
    must("MgmTakeInterfaceOwnership", MgmTakeInterfaceOwnership(protocol, i, 0), NO_ERROR);
  for (DWORD i = OFFICE; i <= LAB; i++)
    must("MgmAddGroupMembershipEntry",
         MgmAddGroupMembershipEntry(protocol, 0, 0, group, host, i, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);

  /* The first packet finds no entry. The manager makes one, and the plane is told. */
  must("  the first packet", packet(&flow, uplink, &copies), MGM_EXT_NO_ENTRY);
  await("  copied to", &flow, 2);
  for (int i = 0; i < 9; i++) {
    must("  a packet", packet(&flow, uplink, &copies), MGM_EXT_FORWARD);
    must("  copies", copies, 2);
  }
  must("  a packet from the office", packet(&flow, office, &copies), MGM_EXT_WRONG_IF);
  pthread_mutex_lock(&copy.lock);
  while (wrong_interfaces == 0)
    pthread_cond_wait(&copy.changed, &copy.lock);
  pthread_mutex_unlock(&copy.lock);

  /* The lab has had enough. */
  must("MgmDeleteGroupMembershipEntry",
       MgmDeleteGroupMembershipEntry(protocol, 0, 0, group, host, LAB, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  must("  a packet", packet(&flow, uplink, &copies), MGM_EXT_FORWARD);
  must("  copies", copies, 1);
  await("  copied to", &flow, 1);

  /* What was counted. */
  MIB_IPMCAST_MFE key;
  union {
    MIB_IPMCAST_MFE_STATS_EX of;
    BYTE bytes[SIZEOF_MIB_MFE_STATS_EX(MOST)];
  } counts;
  DWORD size = sizeof counts;
  memset(&key, 0, sizeof key);
  key.dwSource = source;
  key.dwGroup = group;
  must("MgmGetMfeStats", MgmGetMfeStats(&key, &size, counts.bytes, MGM_MFE_STATS_1), NO_ERROR);
  must("  packets", counts.of.ulInPkts, 10);
  must("  octets", counts.of.ulInOctets, 1000);
  must("  sent", counts.of.ulTotalOutPackets, 19);
  must("  on the wrong interface", counts.of.ulPktsDifferentIf, 1);
  must("  to the office", counts.of.rgmiosOutStats[0].ulOutPackets, 10);

  /* Sources are behind the backup link now: the entry goes, and the next packet has it made anew. */
  pthread_mutex_lock(&copy.lock);
  copy.way_in = BACKUP;
  pthread_mutex_unlock(&copy.lock);
  must("MgmExtRoutesChanged", MgmExtRoutesChanged(&flow.Source, 24), NO_ERROR);
  await("  no entry", &flow, -1);
  must("  a packet", packet(&flow, MgmExtInterfaceIPv4(BACKUP, 0), &copies), MGM_EXT_NO_ENTRY);
  await("  copied to", &flow, 1);
  must("  a packet", packet(&flow, MgmExtInterfaceIPv4(BACKUP, 0), &copies), MGM_EXT_FORWARD);

  /* IPv6 on the same wires. */
  MGM_EXT_FLOW six = {{MGM_EXT_IPV6, {0x20, 0x01, 0x0D, 0xB8, [15] = 9}}, {MGM_EXT_IPV6, {0xFF, 0x3E, [15] = 1}}};
  MGM_EXT_INTERFACE backup6 = {BACKUP, {MGM_EXT_IPV6, {0}}}, lab6 = {LAB, {MGM_EXT_IPV6, {0}}};
  MGM_EXT_FLOW any_source = {{MGM_EXT_NONE, {0}}, six.Group};
  must("MgmExtTakeInterfaceOwnership", MgmExtTakeInterfaceOwnership(protocol, &backup6), NO_ERROR);
  must("MgmExtTakeInterfaceOwnership", MgmExtTakeInterfaceOwnership(protocol, &lab6), NO_ERROR);
  must("MgmExtAddGroupMembershipEntry",
       MgmExtAddGroupMembershipEntry(protocol, &any_source, &lab6, MGM_JOIN_STATE_FLAG), NO_ERROR);
  must("MgmExtNewFlow", MgmExtNewFlow(&six, NULL, 0), NO_ERROR);
  must("  a packet", packet(&six, backup6, &copies), MGM_EXT_FORWARD);
  must("  copies", copies, 1);
  must("MgmExtDeleteGroupMembershipEntry",
       MgmExtDeleteGroupMembershipEntry(protocol, &any_source, &lab6, MGM_JOIN_STATE_FLAG), NO_ERROR);
  must("  a packet", packet(&six, backup6, &copies), MGM_EXT_NO_RECEIVERS);
  must("MgmExtReleaseInterfaceOwnership", MgmExtReleaseInterfaceOwnership(protocol, &lab6), NO_ERROR);

  /* The rest the stop does. */
  must("MgmDeInitialize", MgmDeInitialize(), NO_ERROR);
  must("MgmDeRegisterMProtocol", MgmDeRegisterMProtocol(protocol), ERROR_INVALID_PARAMETER);
  must("MgmExtPanics", MgmExtPanics(), 0);
  return EXIT_SUCCESS;
}
