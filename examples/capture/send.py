#!/usr/bin/env python3
"""A small sender: numbered UDP datagrams to one address at a steady rate.

    send.py DESTINATION --from SECONDS --to SECONDS [--port N] [--ttl N] [--rate N] [--size N]
            [--source ADDRESS] [--interface NAME]

SECONDS count from the time in the environment variable START, as for host.py. The payload begins with
"DESTINATION NUMBER", so a reader can follow a packet from the capture to a forwarded copy.
"""

import argparse
import os
import socket
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("destination")
    parser.add_argument("--from", dest="first", type=float, required=True)
    parser.add_argument("--to", dest="last", type=float, required=True)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--ttl", type=int, default=16)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--size", type=int, default=120)
    parser.add_argument("--source")
    parser.add_argument("--interface", default="eth0")
    options = parser.parse_args()

    index = socket.if_nametoindex(options.interface)
    if ":" in options.destination:
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, options.ttl)
        # The bind of a link-local source needs the interface as its scope.
        scope = index if options.source and options.source.startswith("fe80") else 0
        source, destination = (options.source, 0, 0, scope), (options.destination, options.port, 0, index)
    else:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, options.ttl)
        source, destination = (options.source, 0), (options.destination, options.port)
    if options.source:
        sender.bind(source)

    start = float(os.environ["START"])
    count = int((options.last - options.first) * options.rate)
    for number in range(count):
        time.sleep(max(0.0, start + options.first + number / options.rate - time.time()))
        text = f"{options.destination} {number} ".encode()
        sender.sendto(text.ljust(options.size, b"."), destination)


if __name__ == "__main__":
    main()
