#!/usr/bin/env python3
"""Announcements of a desktop: one SSDP search and one mDNS question, over IPv4 and IPv6.

    discover.py INTERFACE SECONDS ...

SSDP (239.255.255.250, TTL 2) may cross a router; mDNS (224.0.0.251 and ff02::fb, RFC 6762) never does.
SECONDS count from the time in the environment variable START, as for host.py.
"""

import os
import socket
import struct
import sys
import time

SEARCH = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n'
)


def question(*labels: str) -> bytes:
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + name + struct.pack("!2H", 12, 1)  # PTR, IN


def main() -> None:
    index = socket.if_nametoindex(sys.argv[1])
    request = struct.pack("@4s4si", bytes(4), bytes(4), index)
    search = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    search.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    search.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
    mdns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mdns.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    mdns.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    mdns.bind(("", 5353))
    mdns6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    mdns6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    mdns6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    mdns6.bind(("::", 5353))

    for seconds in sys.argv[2:]:
        time.sleep(max(0.0, float(os.environ["START"]) + float(seconds) - time.time()))
        search.sendto(SEARCH, ("239.255.255.250", 1900))
        mdns.sendto(question("_ipp", "_tcp", "local"), ("224.0.0.251", 5353))
        mdns6.sendto(question("_ipp", "_tcp", "local"), ("ff02::fb", 5353, 0, index))


if __name__ == "__main__":
    main()
