#!/usr/bin/env python3
"""A host that joins and leaves multicast groups on a timeline.

    host.py INTERFACE "SECONDS ACTION GROUP [SOURCE]" ...

Every action is one call of the protocol-independent socket interface of RFC 3678 (group_req,
group_source_req), so the kernel writes the reports. Actions:

    join GROUP              any source                 (MCAST_JOIN_GROUP)
    leave GROUP             ends that                  (MCAST_LEAVE_GROUP)
    join GROUP SOURCE       this source only           (MCAST_JOIN_SOURCE_GROUP)
    leave GROUP SOURCE      ends that                  (MCAST_LEAVE_SOURCE_GROUP)
    block GROUP SOURCE      all but this source        (MCAST_BLOCK_SOURCE)
    unblock GROUP SOURCE    this source again          (MCAST_UNBLOCK_SOURCE)

SECONDS count from the time in the environment variable START (seconds since 1970), which all hosts of a
recording share. After its last action the host stays joined until it is killed.
"""

import os
import signal
import socket
import struct
import sys
import time

# From <linux/in.h>; Python's socket module lacks them.
JOIN_GROUP, BLOCK_SOURCE, UNBLOCK_SOURCE = 42, 43, 44
LEAVE_GROUP, JOIN_SOURCE_GROUP, LEAVE_SOURCE_GROUP = 45, 46, 47

OPTIONS = {
    ("join", False): JOIN_GROUP,
    ("leave", False): LEAVE_GROUP,
    ("join", True): JOIN_SOURCE_GROUP,
    ("leave", True): LEAVE_SOURCE_GROUP,
    ("block", True): BLOCK_SOURCE,
    ("unblock", True): UNBLOCK_SOURCE,
}


def storage(address: str) -> bytes:
    """Returns a struct sockaddr_storage with the address and port 0."""
    if ":" in address:
        packed = struct.pack("@HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, address)
    else:
        packed = struct.pack("@HH", socket.AF_INET, 0) + socket.inet_pton(socket.AF_INET, address)
    return packed.ljust(128, b"\0")


def main() -> None:
    interface = socket.if_nametoindex(sys.argv[1])
    start = float(os.environ["START"])
    # One socket a group: a socket cannot hold a group for any source and for one source at once.
    sockets: dict[str, socket.socket] = {}
    for step in sys.argv[2:]:
        seconds, action, group, *source = step.split()
        time.sleep(max(0.0, start + float(seconds) - time.time()))
        family, level = (socket.AF_INET6, socket.IPPROTO_IPV6) if ":" in group else (socket.AF_INET, socket.IPPROTO_IP)
        if group not in sockets:
            sockets[group] = socket.socket(family, socket.SOCK_DGRAM)
        request = struct.pack("@I", interface).ljust(8, b"\0") + storage(group)
        if source:
            request += storage(source[0])
        sockets[group].setsockopt(level, OPTIONS[action, bool(source)], request)
    signal.pause()


if __name__ == "__main__":
    main()
