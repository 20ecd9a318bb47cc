/*
 * A multicast routing protocol. It registers, takes its interfaces, enumerates the memberships that exist, adds its own,
 * receives the alerts about those of another protocol, reads the entries, and deregisters.
 *
 * All of it runs on Windows too, except make_entries(), which does the work of a forwarding plane (see plane.c).
 */
#include <mgm.h>
#include <mgm_ext.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Protocols that are not Microsoft's have another vendor number. */
#define MY_PROTOCOL PROTOCOL_ID(PROTO_TYPE_MCAST, 0x0100, 1)
#define OTHER_PROTOCOL PROTOCOL_ID(PROTO_TYPE_MCAST, 0x0100, 2)

enum { UPLINK = 1, OFFICE = 2, LAB = 3 };

/* Prints a call and its code, and ends the program if the code is not the expected one. */
static void expect(const char *call, DWORD code, DWORD expected)
{
  printf("%-44s %u\n", call, (unsigned)code);
  if (code != expected) {
    fprintf(stderr, "%s: %u instead of %u\n", call, (unsigned)code, (unsigned)expected);
    exit(EXIT_FAILURE);
  }
}

/* Formats an address; 0 is any. */
static const char *format(DWORD address, char *buffer)
{
  struct in_addr in = {address};
  return address == 0 ? "*" : inet_ntop(AF_INET, &in, buffer, INET_ADDRSTRLEN);
}

static void print(const char *event, DWORD source, DWORD group)
{
  char s[INET_ADDRSTRLEN], g[INET_ADDRSTRLEN];
  printf("  %s (%s, %s)\n", event, format(source, s), format(group, g));
}

static int joins, prunes;

static DWORD WINAPI join_alert(DWORD source, DWORD source_mask, DWORD group, DWORD group_mask, BOOL member)
{
  (void)source_mask, (void)group_mask;
  print(member ? "first receivers of" : "an entry has receivers:", source, group);
  joins++;
  return NO_ERROR;
}

static DWORD WINAPI prune_alert(DWORD source, DWORD source_mask, DWORD group, DWORD group_mask, DWORD index,
                                DWORD next_hop, BOOL member, PDWORD timeout)
{
  (void)source_mask, (void)group_mask, (void)index, (void)next_hop;
  print(member ? "no more receivers of" : "an entry has no receivers:", source, group);
  if (!member)
    *timeout = 300; /* The seconds for which the entry discards packets. */
  prunes++;
  return NO_ERROR;
}

static DWORD WINAPI creation_alert(DWORD source, DWORD source_mask, DWORD group, DWORD group_mask, DWORD in,
                                   DWORD in_next_hop, DWORD count, PMGM_IF_ENTRY list)
{
  (void)source_mask, (void)group_mask, (void)in, (void)in_next_hop;
  print("a new flow:", source, group);
  for (DWORD i = 0; i < count; i++)
    if (list[i].dwIfIndex == LAB)
      list[i].bIsEnabled = FALSE; /* Keeps the flow off the lab. */
  return NO_ERROR;
}

/* A route lookup: every source is behind the uplink. */
static BOOL route_lookup(PVOID context, const MGM_EXT_ADDRESS *source, PMGM_EXT_PATH path)
{
  (void)context, (void)source;
  path->Interface = MgmExtInterfaceIPv4(UPLINK, 0);
  path->Neighbour = MgmExtIPv4(inet_addr("192.0.2.1"));
  return TRUE;
}

/* Makes the entries of five flows, as a forwarding plane does when packets of new flows arrive. */
static void make_entries(DWORD group)
{
  MGM_EXT_HOOKS hooks = {NULL, route_lookup, NULL};
  expect("MgmExtSetHooks", MgmExtSetHooks(&hooks), NO_ERROR);
  for (int i = 1; i <= 5; i++) {
    char source[32];
    snprintf(source, sizeof source, "198.51.100.%d", i);
    MGM_EXT_FLOW flow = MgmExtFlowIPv4(inet_addr(source), group);
    expect("MgmExtNewFlow", MgmExtNewFlow(&flow, NULL, 0), NO_ERROR);
  }
}

/* Reads all entries, with a buffer that is too small at first. Returns how many there are. */
static int read_entries(void)
{
  DWORD size = 16, count = 0, code;
  PBYTE buffer = malloc(size);
  MIB_IPMCAST_MFE last;
  int seen = 0;

  memset(&last, 0, sizeof last);
  do {
    code = seen == 0 ? MgmGetFirstMfe(&size, buffer, &count) : MgmGetNextMfe(&last, &size, buffer, &count);
    if (code == ERROR_INSUFFICIENT_BUFFER) {
      /* size now says how many octets one record needs. */
      free(buffer);
      buffer = malloc(size);
      continue;
    }
    const BYTE *at = buffer;
    for (DWORD i = 0; i < count; i++) {
      const MIB_IPMCAST_MFE *entry = (const MIB_IPMCAST_MFE *)at;
      print("entry", entry->dwSource, entry->dwGroup);
      printf("    incoming interface %u, outgoing", (unsigned)entry->dwInIfIndex);
      for (ULONG j = 0; j < entry->ulNumOutIf; j++)
        printf(" %u", (unsigned)entry->rgmioOutInfo[j].dwOutIfIndex);
      printf("%s, expires in %u s\n", entry->ulNumOutIf ? "" : " none", (unsigned)entry->ulExpiryTime);
      last.dwGroup = entry->dwGroup;
      last.dwSource = entry->dwSource;
      at += SIZEOF_MIB_MFE(entry->ulNumOutIf);
      seen++;
    }
  } while (code == ERROR_INSUFFICIENT_BUFFER || code == ERROR_MORE_DATA);
  free(buffer);
  expect("MgmGetFirstMfe, MgmGetNextMfe: the end", code, ERROR_NO_MORE_ITEMS);
  return seen;
}

/* Enumerates the memberships of all clients. Returns how many there are. */
static int enumerate_groups(HANDLE protocol)
{
  HANDLE enumeration;
  SOURCE_GROUP_ENTRY groups[2];
  DWORD code;
  int seen = 0;

  expect("MgmGroupEnumerationStart", MgmGroupEnumerationStart(protocol, ALL_SOURCES, &enumeration), NO_ERROR);
  do {
    DWORD size = sizeof groups, count = 0;
    code = MgmGroupEnumerationGetNext(enumeration, &size, (PBYTE)groups, &count);
    for (DWORD i = 0; i < count; i++, seen++)
      print("member of", groups[i].dwSourceAddr, groups[i].dwGroupAddr);
  } while (code == ERROR_MORE_DATA);
  expect("MgmGroupEnumerationGetNext: the end", code, ERROR_NO_MORE_ITEMS);
  expect("MgmGroupEnumerationEnd", MgmGroupEnumerationEnd(enumeration), NO_ERROR);
  return seen;
}

int main(void)
{
  const DWORD any = 0, no_mask = 0, host = 0xFFFFFFFF;
  const DWORD group = inet_addr("239.1.2.3"), other_group = inet_addr("239.4.5.6");
  ROUTING_PROTOCOL_CONFIG my_config, other_config;
  HANDLE me, other;

  memset(&my_config, 0, sizeof my_config);
  memset(&other_config, 0, sizeof other_config);
  my_config.pfnCreationAlertCallback = creation_alert;
  my_config.pfnJoinAlertCallback = join_alert;
  my_config.pfnPruneAlertCallback = prune_alert;

  expect("MgmRegisterMProtocol", MgmRegisterMProtocol(&my_config, MY_PROTOCOL, 0, &me), NO_ERROR);
  expect("MgmRegisterMProtocol, again", MgmRegisterMProtocol(&my_config, MY_PROTOCOL, 0, &other), ERROR_ALREADY_EXISTS);
  expect("MgmRegisterMProtocol, another", MgmRegisterMProtocol(&other_config, OTHER_PROTOCOL, 0, &other), NO_ERROR);
  expect("MgmTakeInterfaceOwnership: uplink", MgmTakeInterfaceOwnership(me, UPLINK, 0), NO_ERROR);
  expect("MgmTakeInterfaceOwnership: lab", MgmTakeInterfaceOwnership(me, LAB, 0), NO_ERROR);
  expect("MgmTakeInterfaceOwnership: office", MgmTakeInterfaceOwnership(other, OFFICE, 0), NO_ERROR);

  DWORD protocol, component;
  expect("MgmGetProtocolOnInterface", MgmGetProtocolOnInterface(OFFICE, 0, &protocol, &component), NO_ERROR);
  expect("  the owner of the office", protocol, OTHER_PROTOCOL);

  /* The other protocol adds the first membership of one group, and a further one of another: two join alerts. */
  expect("MgmAddGroupMembershipEntry",
         MgmAddGroupMembershipEntry(other, any, no_mask, group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  expect("MgmAddGroupMembershipEntry: a foreign interface",
         MgmAddGroupMembershipEntry(me, any, no_mask, group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG),
         ERROR_INVALID_PARAMETER);
  expect("MgmAddGroupMembershipEntry",
         MgmAddGroupMembershipEntry(me, any, no_mask, other_group, host, LAB, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  expect("MgmAddGroupMembershipEntry",
         MgmAddGroupMembershipEntry(other, any, no_mask, other_group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  expect("  join alerts", (DWORD)joins, 2);
  expect("  groups", (DWORD)enumerate_groups(me), 2);

  make_entries(group);
  make_entries(other_group);
  expect("  entries", (DWORD)read_entries(), 10);

  expect("MgmDeleteGroupMembershipEntry",
         MgmDeleteGroupMembershipEntry(other, any, no_mask, group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  /* One alert for the group, and one for each of its entries, which have lost their last receivers. */
  expect("  prune alerts", (DWORD)prunes, 6);

  expect("MgmDeRegisterMProtocol: owns interfaces", MgmDeRegisterMProtocol(me), ERROR_CAN_NOT_COMPLETE);
  expect("MgmReleaseInterfaceOwnership", MgmReleaseInterfaceOwnership(me, UPLINK, 0), NO_ERROR);
  expect("MgmReleaseInterfaceOwnership", MgmReleaseInterfaceOwnership(me, LAB, 0), NO_ERROR);
  expect("  entries", (DWORD)read_entries(), 0);
  expect("MgmDeRegisterMProtocol", MgmDeRegisterMProtocol(me), NO_ERROR);
  expect("MgmDeRegisterMProtocol, again", MgmDeRegisterMProtocol(me), ERROR_INVALID_PARAMETER);
  expect("MgmReleaseInterfaceOwnership", MgmReleaseInterfaceOwnership(other, OFFICE, 0), NO_ERROR);
  expect("MgmDeRegisterMProtocol", MgmDeRegisterMProtocol(other), NO_ERROR);
  expect("MgmDeInitialize", MgmDeInitialize(), NO_ERROR);
  return EXIT_SUCCESS;
}
