#!/usr/bin/env python3
"""A querier: one IGMPv3 and one MLDv2 general query (RFC 3376 section 4.1, RFC 3810 section 5.1).

    query.py SECONDS INTERFACE ...

Sends both out of every named interface at that time after START (see host.py). Hosts answer within a second
with current-state reports, which only a query causes.
"""

import os
import socket
import struct
import sys
import time

QUERY_INTERVAL = 125  # seconds, RFC 3376 section 8.2


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def igmp_query(index: int) -> None:
    # Type 0x11, Max Resp Code 10 (one second), no group, robustness 2, no sources.
    query = bytearray(struct.pack("!BBH4sBBH", 0x11, 10, 0, bytes(4), 2, QUERY_INTERVAL, 0))
    struct.pack_into("!H", query, 2, checksum(bytes(query)))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", bytes(4), bytes(4), index))
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([0x94, 4, 0, 0]))  # Router Alert, RFC 2113
    raw.sendto(bytes(query), ("224.0.0.1", 0))


def mld_query(index: int) -> None:
    # Type 130, Maximum Response Code 1000 ms, no group; the kernel fills in the ICMPv6 checksum.
    query = struct.pack("!BBHHH16sBBH", 130, 0, 0, 1000, 0, bytes(16), 2, QUERY_INTERVAL, 0)
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    # Hop-by-hop header with Router Alert for MLD and PadN, RFC 2711.
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 5, 2, 0, 0, 1, 0]))
    raw.sendto(query, ("ff02::1", 0, 0, index))


def main() -> None:
    time.sleep(max(0.0, float(os.environ["START"]) + float(sys.argv[1]) - time.time()))
    for name in sys.argv[2:]:
        index = socket.if_nametoindex(name)
        igmp_query(index)
        mld_query(index)


if __name__ == "__main__":
    main()
