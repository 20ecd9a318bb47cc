/*
 * A forwarding plane with a copy of the entries, as a kernel or a switch would have it. It answers the route lookup, asks
 * for the fate of each packet, and updates its copy when an entry changes. A protocol in the same program adds receivers.
 *
 * The packets are made up. A real plane reads them from its interfaces and sends the copies.
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
enum { MAX = 16 };

/* Prints a call and its code, or a value, and ends the program if it is not the expected one. */
static void expect(const char *what, DWORD got, DWORD expected)
{
  printf("%-44s %u\n", what, (unsigned)got);
  if (got != expected) {
    fprintf(stderr, "%s: %u instead of %u\n", what, (unsigned)got, (unsigned)expected);
    exit(EXIT_FAILURE);
  }
}

/* The copy of the entries. */
struct copy {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct {
    MGM_EXT_FLOW flow;
    MGM_EXT_INTERFACE outgoing[MAX];
    DWORD count;
  } entries[MAX];
  int used;
  /* The interface towards every source. */
  DWORD upstream;
};

static struct copy copy = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .upstream = UPLINK};

static BOOL route_lookup(PVOID context, const MGM_EXT_ADDRESS *source, PMGM_EXT_PATH path)
{
  struct copy *table = context;
  pthread_mutex_lock(&table->lock);
  path->Interface.dwIfIndex = table->upstream;
  pthread_mutex_unlock(&table->lock);
  path->Interface.NextHop.dwFamily = source->dwFamily;
  return TRUE;
}

/* Updates the copy from the entry as it is now. Called on the manager's thread. */
static void entry_changed(PVOID context, const MGM_EXT_FLOW *flow)
{
  struct copy *table = context;
  MGM_EXT_INTERFACE incoming, outgoing[MAX];
  DWORD count = MAX;
  int i;

  if (flow == NULL) /* More changes than are reported one by one: impossible with so few flows. */
    abort();
  const DWORD code = MgmExtGetEntry(flow, &incoming, outgoing, &count);
  pthread_mutex_lock(&table->lock);
  for (i = 0; i < table->used; i++)
    if (memcmp(&table->entries[i].flow, flow, sizeof *flow) == 0)
      break;
  if (code == NO_ERROR && i < MAX) {
    table->entries[i].flow = *flow;
    table->entries[i].count = count;
    memcpy(table->entries[i].outgoing, outgoing, count * sizeof outgoing[0]);
    if (i == table->used)
      table->used++;
  } else if (i < table->used) {
    table->entries[i] = table->entries[--table->used];
  }
  pthread_cond_broadcast(&table->changed);
  pthread_mutex_unlock(&table->lock);
}

/* Waits until the copy has this number of outgoing interfaces for a flow; -1 is no entry. */
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
  expect(what, (DWORD)found, (DWORD)expected);
}

/* Processes a packet. Returns the verdict and, in *copies, the number of interfaces that it is copied to. */
static DWORD packet(const MGM_EXT_FLOW *flow, MGM_EXT_INTERFACE arrival, DWORD *copies)
{
  static const BYTE octets[100] = {0x45};
  MGM_EXT_INTERFACE outgoing[MAX];
  DWORD verdict;

  *copies = MAX;
  expect("MgmExtForward", MgmExtForward(flow, &arrival, octets, sizeof octets, &verdict, outgoing, copies), NO_ERROR);
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
  expect("MgmInitialize", MgmInitialize(), NO_ERROR);
  expect("MgmExtSetHooks", MgmExtSetHooks(&hooks), NO_ERROR);

  /* The protocol. */
  memset(&config, 0, sizeof config);
  config.pfnWrongIfCallback = wrong_interface;
  expect("MgmExtRegisterMProtocol",
         MgmExtRegisterMProtocol(&config, PROTOCOL_ID(PROTO_TYPE_MCAST, 0x0100, 1), 0, MGM_EXT_WANT_WRONG_IF, &protocol),
         NO_ERROR);
  for (DWORD i = UPLINK; i <= BACKUP; i++)
    expect("MgmTakeInterfaceOwnership", MgmTakeInterfaceOwnership(protocol, i, 0), NO_ERROR);
  for (DWORD i = OFFICE; i <= LAB; i++)
    expect("MgmAddGroupMembershipEntry",
         MgmAddGroupMembershipEntry(protocol, 0, 0, group, host, i, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);

  /* The first packet finds no entry. The manager makes one and calls the hook. */
  expect("  the first packet", packet(&flow, uplink, &copies), MGM_EXT_NO_ENTRY);
  await("  outgoing interfaces in the copy", &flow, 2);
  for (int i = 0; i < 9; i++) {
    expect("  a packet", packet(&flow, uplink, &copies), MGM_EXT_FORWARD);
    expect("  copies", copies, 2);
  }
  expect("  a packet from the office", packet(&flow, office, &copies), MGM_EXT_WRONG_IF);
  pthread_mutex_lock(&copy.lock);
  while (wrong_interfaces == 0)
    pthread_cond_wait(&copy.changed, &copy.lock);
  pthread_mutex_unlock(&copy.lock);

  /* The receivers in the lab leave. */
  expect("MgmDeleteGroupMembershipEntry",
         MgmDeleteGroupMembershipEntry(protocol, 0, 0, group, host, LAB, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  expect("  a packet", packet(&flow, uplink, &copies), MGM_EXT_FORWARD);
  expect("  copies", copies, 1);
  await("  outgoing interfaces in the copy", &flow, 1);

  /* The counters. */
  MIB_IPMCAST_MFE key;
  union {
    MIB_IPMCAST_MFE_STATS_EX record;
    BYTE octets[SIZEOF_MIB_MFE_STATS_EX(MAX)];
  } counts;
  DWORD size = sizeof counts;
  memset(&key, 0, sizeof key);
  key.dwSource = source;
  key.dwGroup = group;
  expect("MgmGetMfeStats", MgmGetMfeStats(&key, &size, counts.octets, MGM_MFE_STATS_1), NO_ERROR);
  expect("  packets", counts.record.ulInPkts, 10);
  expect("  octets", counts.record.ulInOctets, 1000);
  expect("  sent", counts.record.ulTotalOutPackets, 19);
  expect("  on the wrong interface", counts.record.ulPktsDifferentIf, 1);
  expect("  to the office", counts.record.rgmiosOutStats[0].ulOutPackets, 10);

  /* The route moves to the backup link: the entry is deleted, and the next packet makes a new one. */
  pthread_mutex_lock(&copy.lock);
  copy.upstream = BACKUP;
  pthread_mutex_unlock(&copy.lock);
  expect("MgmExtRoutesChanged", MgmExtRoutesChanged(&flow.Source, 24), NO_ERROR);
  await("  no entry in the copy", &flow, -1);
  expect("  a packet", packet(&flow, MgmExtInterfaceIPv4(BACKUP, 0), &copies), MGM_EXT_NO_ENTRY);
  await("  outgoing interfaces in the copy", &flow, 1);
  expect("  a packet", packet(&flow, MgmExtInterfaceIPv4(BACKUP, 0), &copies), MGM_EXT_FORWARD);

  /* IPv6 on the same links. */
  MGM_EXT_FLOW six = {{MGM_EXT_IPV6, {0x20, 0x01, 0x0D, 0xB8, [15] = 9}}, {MGM_EXT_IPV6, {0xFF, 0x3E, [15] = 1}}};
  MGM_EXT_INTERFACE backup6 = {BACKUP, {MGM_EXT_IPV6, {0}}}, lab6 = {LAB, {MGM_EXT_IPV6, {0}}};
  MGM_EXT_FLOW any_source = {{MGM_EXT_NONE, {0}}, six.Group};
  expect("MgmExtTakeInterfaceOwnership", MgmExtTakeInterfaceOwnership(protocol, &backup6), NO_ERROR);
  expect("MgmExtTakeInterfaceOwnership", MgmExtTakeInterfaceOwnership(protocol, &lab6), NO_ERROR);
  expect("MgmExtAddGroupMembershipEntry",
         MgmExtAddGroupMembershipEntry(protocol, &any_source, &lab6, MGM_JOIN_STATE_FLAG), NO_ERROR);
  expect("MgmExtNewFlow", MgmExtNewFlow(&six, NULL, 0), NO_ERROR);
  expect("  a packet", packet(&six, backup6, &copies), MGM_EXT_FORWARD);
  expect("  copies", copies, 1);
  expect("MgmExtDeleteGroupMembershipEntry",
         MgmExtDeleteGroupMembershipEntry(protocol, &any_source, &lab6, MGM_JOIN_STATE_FLAG), NO_ERROR);
  expect("  a packet", packet(&six, backup6, &copies), MGM_EXT_NO_RECEIVERS);
  expect("MgmExtReleaseInterfaceOwnership", MgmExtReleaseInterfaceOwnership(protocol, &lab6), NO_ERROR);

  /* The stop releases the interfaces and deregisters the protocol. */
  expect("MgmDeInitialize", MgmDeInitialize(), NO_ERROR);
  expect("MgmDeRegisterMProtocol", MgmDeRegisterMProtocol(protocol), ERROR_INVALID_PARAMETER);
  expect("MgmExtPanics", MgmExtPanics(), 0);
  return EXIT_SUCCESS;
}
