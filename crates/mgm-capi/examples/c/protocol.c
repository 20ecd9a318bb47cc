/*
 * A multicast routing protocol: registers, takes its interfaces, learns what is joined already, says where its own
 * receivers are, is told of those of others, looks at the entries, and leaves.
 *
 * All of it but some_traffic() would run on Windows: that is the part of a forwarding plane (see plane.c).
 */
#include <mgm.h>
#include <mgm_ext.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Protocols of one's own have a vendor number other than Microsoft's. */
#define MY_PROTOCOL PROTOCOL_ID(PROTO_TYPE_MCAST, 0x0100, 1)
#define HIS_PROTOCOL PROTOCOL_ID(PROTO_TYPE_MCAST, 0x0100, 2)

enum { UPLINK = 1, OFFICE = 2, LAB = 3 };

static void must(const char *what, DWORD code, DWORD expected)
{
  printf("%-44s %u\n", what, (unsigned)code);
  if (code != expected) {
    fprintf(stderr, "%s: %u instead of %u\n", what, (unsigned)code, (unsigned)expected);
    exit(EXIT_FAILURE);
  }
}

static const char *text(DWORD address, char *into)
{
  struct in_addr in = {address};
  return address == 0 ? "*" : inet_ntop(AF_INET, &in, into, INET_ADDRSTRLEN);
}

static void tell(const char *what, DWORD source, DWORD group)
{
  char s[INET_ADDRSTRLEN], g[INET_ADDRSTRLEN];
  printf("  %s (%s, %s)\n", what, text(source, s), text(group, g));
}

static int joins, prunes;

static DWORD WINAPI join_alert(DWORD source, DWORD source_mask, DWORD group, DWORD group_mask, BOOL member)
{
  (void)source_mask, (void)group_mask;
  tell(member ? "others want" : "an entry has receivers now:", source, group);
  joins++;
  return NO_ERROR;
}

static DWORD WINAPI prune_alert(DWORD source, DWORD source_mask, DWORD group, DWORD group_mask, DWORD index,
                                DWORD next_hop, BOOL member, PDWORD timeout)
{
  (void)source_mask, (void)group_mask, (void)index, (void)next_hop;
  tell(member ? "others do not want any more" : "an entry has no receivers:", source, group);
  if (!member)
    *timeout = 300; /* How long to discard before asking again. */
  prunes++;
  return NO_ERROR;
}

static DWORD WINAPI creation_alert(DWORD source, DWORD source_mask, DWORD group, DWORD group_mask, DWORD in,
                                   DWORD in_next_hop, DWORD count, PMGM_IF_ENTRY list)
{
  (void)source_mask, (void)group_mask, (void)in, (void)in_next_hop;
  tell("a new flow:", source, group);
  for (DWORD i = 0; i < count; i++)
    if (list[i].dwIfIndex == LAB)
      list[i].bIsEnabled = FALSE; /* Not to the lab. */
  return NO_ERROR;
}

/* What a forwarding plane does when packets arrive that have no entry. */
static BOOL everything_is_uphill(PVOID context, const MGM_EXT_ADDRESS *source, PMGM_EXT_PATH path)
{
  (void)context, (void)source;
  path->Interface = MgmExtInterfaceIPv4(UPLINK, 0);
  path->Neighbour = MgmExtIPv4(inet_addr("192.0.2.1"));
  return TRUE;
}

static void some_traffic(DWORD group)
{
  MGM_EXT_HOOKS hooks = {NULL, everything_is_uphill, NULL};
  must("MgmExtSetHooks", MgmExtSetHooks(&hooks), NO_ERROR);
  for (int i = 1; i <= 5; i++) {
    char source[32];
    snprintf(source, sizeof source, "198.51.100.%d", i);
    MGM_EXT_FLOW flow = MgmExtFlowIPv4(inet_addr(source), group);
    must("MgmExtNewFlow", MgmExtNewFlow(&flow, NULL, 0), NO_ERROR);
  }
}

/* The first entries, and the next, and the next, in a buffer that is too small at first. */
static int walk_entries(void)
{
  DWORD size = 16, count = 0, code;
  PBYTE buffer = malloc(size);
  MIB_IPMCAST_MFE last;
  int seen = 0;

  memset(&last, 0, sizeof last);
  do {
    code = seen == 0 ? MgmGetFirstMfe(&size, buffer, &count) : MgmGetNextMfe(&last, &size, buffer, &count);
    if (code == ERROR_INSUFFICIENT_BUFFER) {
      /* size is what one record takes. */
      free(buffer);
      buffer = malloc(size);
      continue;
    }
    PBYTE at = buffer;
    for (DWORD i = 0; i < count; i++) {
      PMIB_IPMCAST_MFE entry = (PMIB_IPMCAST_MFE)at;
      tell("entry", entry->dwSource, entry->dwGroup);
      printf("    from interface %u, to", (unsigned)entry->dwInIfIndex);
      for (ULONG j = 0; j < entry->ulNumOutIf; j++)
        printf(" %u", (unsigned)entry->rgmioOutInfo[j].dwOutIfIndex);
      printf("%s, %u seconds left\n", entry->ulNumOutIf ? "" : " nobody", (unsigned)entry->ulExpiryTime);
      last.dwGroup = entry->dwGroup;
      last.dwSource = entry->dwSource;
      at += SIZEOF_MIB_MFE(entry->ulNumOutIf);
      seen++;
    }
  } while (code == ERROR_INSUFFICIENT_BUFFER || code == ERROR_MORE_DATA);
  free(buffer);
  must("MgmGetFirstMfe, MgmGetNextMfe: the end", code, ERROR_NO_MORE_ITEMS);
  return seen;
}

static int enumerate_groups(HANDLE protocol)
{
  HANDLE enumeration;
  SOURCE_GROUP_ENTRY groups[2];
  DWORD code;
  int seen = 0;

  must("MgmGroupEnumerationStart", MgmGroupEnumerationStart(protocol, ALL_SOURCES, &enumeration), NO_ERROR);
  do {
    DWORD size = sizeof groups, count = 0;
    code = MgmGroupEnumerationGetNext(enumeration, &size, (PBYTE)groups, &count);
    for (DWORD i = 0; i < count; i++, seen++)
      tell("joined", groups[i].dwSourceAddr, groups[i].dwGroupAddr);
  } while (code == ERROR_MORE_DATA);
  must("MgmGroupEnumerationGetNext: the end", code, ERROR_NO_MORE_ITEMS);
  must("MgmGroupEnumerationEnd", MgmGroupEnumerationEnd(enumeration), NO_ERROR);
  return seen;
}

int main(void)
{
  const DWORD any = 0, no_mask = 0, host = 0xFFFFFFFF;
  const DWORD group = inet_addr("239.1.2.3"), other_group = inet_addr("239.4.5.6");
  ROUTING_PROTOCOL_CONFIG mine, his;
  HANDLE me, him;

  memset(&mine, 0, sizeof mine);
  memset(&his, 0, sizeof his);
  mine.pfnCreationAlertCallback = creation_alert;
  mine.pfnJoinAlertCallback = join_alert;
  mine.pfnPruneAlertCallback = prune_alert;

  must("MgmRegisterMProtocol", MgmRegisterMProtocol(&mine, MY_PROTOCOL, 0, &me), NO_ERROR);
  must("MgmRegisterMProtocol, again", MgmRegisterMProtocol(&mine, MY_PROTOCOL, 0, &him), ERROR_ALREADY_EXISTS);
  must("MgmRegisterMProtocol, another", MgmRegisterMProtocol(&his, HIS_PROTOCOL, 0, &him), NO_ERROR);
  must("MgmTakeInterfaceOwnership: uplink", MgmTakeInterfaceOwnership(me, UPLINK, 0), NO_ERROR);
  must("MgmTakeInterfaceOwnership: lab", MgmTakeInterfaceOwnership(me, LAB, 0), NO_ERROR);
  must("MgmTakeInterfaceOwnership: office", MgmTakeInterfaceOwnership(him, OFFICE, 0), NO_ERROR);

  DWORD protocol, component;
  must("MgmGetProtocolOnInterface", MgmGetProtocolOnInterface(OFFICE, 0, &protocol, &component), NO_ERROR);
  must("  is his", protocol, HIS_PROTOCOL);

  /* He has receivers in the office, of one group first, and of mine after me: of both I am told. */
  must("MgmAddGroupMembershipEntry",
       MgmAddGroupMembershipEntry(him, any, no_mask, group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  must("MgmAddGroupMembershipEntry: his interface",
       MgmAddGroupMembershipEntry(me, any, no_mask, group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG),
       ERROR_INVALID_PARAMETER);
  must("MgmAddGroupMembershipEntry",
       MgmAddGroupMembershipEntry(me, any, no_mask, other_group, host, LAB, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  must("MgmAddGroupMembershipEntry",
       MgmAddGroupMembershipEntry(him, any, no_mask, other_group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  must("  join alerts", (DWORD)joins, 2);
  must("  groups", (DWORD)enumerate_groups(me), 2);

  some_traffic(group);
  some_traffic(other_group);
  must("  entries", (DWORD)walk_entries(), 10);

  must("MgmDeleteGroupMembershipEntry",
       MgmDeleteGroupMembershipEntry(him, any, no_mask, group, host, OFFICE, 0, MGM_JOIN_STATE_FLAG), NO_ERROR);
  /* One for the group, and one for each of its entries, which have lost their last receiver. */
  must("  prune alerts", (DWORD)prunes, 6);

  must("MgmDeRegisterMProtocol: something is owned", MgmDeRegisterMProtocol(me), ERROR_CAN_NOT_COMPLETE);
  must("MgmReleaseInterfaceOwnership", MgmReleaseInterfaceOwnership(me, UPLINK, 0), NO_ERROR);
  must("MgmReleaseInterfaceOwnership", MgmReleaseInterfaceOwnership(me, LAB, 0), NO_ERROR);
  must("  entries", (DWORD)walk_entries(), 0);
  must("MgmDeRegisterMProtocol", MgmDeRegisterMProtocol(me), NO_ERROR);
  must("MgmDeRegisterMProtocol, again", MgmDeRegisterMProtocol(me), ERROR_INVALID_PARAMETER);
  must("MgmReleaseInterfaceOwnership", MgmReleaseInterfaceOwnership(him, OFFICE, 0), NO_ERROR);
  must("MgmDeRegisterMProtocol", MgmDeRegisterMProtocol(him), NO_ERROR);
  must("MgmDeInitialize", MgmDeInitialize(), NO_ERROR);
  return EXIT_SUCCESS;
}
