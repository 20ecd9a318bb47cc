#!/usr/bin/env python3
"""Writes the seeds that no other tool writes: gmp_querier/ from the steps below, headers/ from frames of the test captures, config/ from examples/forward.toml
and the texts below, c_buffers/ and claim_schedules/ from the calls below. Runs in any directory; overwrites the files."""

import pathlib
import struct

here = pathlib.Path(__file__).resolve().parent
captures = here.parent.parent / "tests" / "data" / "captures"


def put(target, name, octets):
    directory = here / target
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(octets)


def blocks(octets):
    """Yields the kinds and bodies of the complete blocks of a pcapng file, in either byte order."""
    at, order = 0, "<"
    while at + 12 <= len(octets):
        if octets[at : at + 4] == b"\n\r\r\n":
            order = "<" if octets[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(order + "II", octets, at)
        if length < 12 or at + length > len(octets):
            return
        yield order, kind, octets[at + 8 : at + length - 4]
        at += length


# The first octet selects the link, in the order of fuzz_targets/headers.rs.
LINKS = {1: 0, 101: 1, 12: 1, 228: 1, 229: 1, 113: 2, 276: 3, 0: 4, 108: 4}
for name in ["checksums", "fragments", "links", "local", "mld-v2", "igmp-v3", "ttl", "other", "vlan"]:
    seen, interfaces = set(), []
    for order, kind, body in blocks((captures / f"{name}.pcapng").read_bytes()):
        if kind == 1:
            interfaces.append(struct.unpack_from(order + "H", body)[0])
        if kind == 6 and len(seen) < 12:
            interface, _, _, captured = struct.unpack_from(order + "IIII", body)
            frame = body[20 : 20 + captured][:400]
            link = LINKS.get(interfaces[interface], 5)
            if (link, frame[:60]) not in seen:
                put("headers", f"{name}-{len(seen)}", bytes([0x80 | link]) + frame)
                seen.add((link, frame[:60]))

put("config", "example", (here.parent.parent / "examples" / "forward.toml").read_bytes())
EAST = '[[interface]]\nname = "east"\naddresses = ["10.0.0.1/24", "fd00::1/64"]\n'
put("config", "join", f'{EAST}[[join]]\ninterface = "east"\ngroup = "239.1.1.1"\nsource = "10.0.0.7"\n'.encode())
put("config", "route", f'{EAST}protocols = ["igmp"]\n[[route]]\nprefix = "::/0"\ninterface = "east"\n'.encode())
put("config", "mac", f'{EAST}mac = "02:00:5e:10:00:01"\nprotocols = ["mld", "static"]\n'.encode())
put("config", "bits", f'{EAST}[[route]]\nprefix = "10.1.0.0/8"\ninterface = "east"\n'.encode())
put("config", "inline", b'interface = [{ name = "a" }, { name = "a" }]\n')

# The octets of a call: crates/mgm-capi/tests/support/calls.rs. Flows of sources 0..3 and groups 0..3 are valid.
NEW_FLOW, GET, WALK, FORWARD, ENTRY = 43, 27, 30, 48, 58
put(
    "c_buffers",
    "flows",
    b"".join(
        bytes(call)
        for call in [
            [NEW_FLOW, 0, 3, 20, 0, 0, 0, 0],
            [NEW_FLOW, 1, 1, 20, 0, 0, 0, 0],
            [GET, 0, 3, 255, 0, 0, 0, 0],
            [GET, 0, 3, 70, 0, 1, 2, 0],
            [WALK, 0, 0, 200, 4, 0, 0, 0],
            [WALK, 0, 0, 90, 0, 1, 1, 1],
            [FORWARD, 0, 3, 1, 3, 0, 0, 0],
            [ENTRY, 4, 4, 5, 0, 0, 0, 0],
        ]
    ),
)
put(
    "c_buffers",
    "generations",
    b"".join(
        bytes(call)
        for call in [
            [0, 1, 1, 0, 0, 0, 0, 0],
            [9, 4, 3, 0, 0, 0, 0, 0],
            [18, 4, 3, 0, 0, 3, 0, 1],
            [36, 4, 1, 0, 0, 0, 0, 0],
            [38, 4, 0, 40, 0, 0, 0, 0],
            [41, 4, 0, 0, 0, 0, 0, 0],
            [6, 5, 0, 0, 0, 0, 0, 0],
            [14, 5, 3, 0, 0, 0, 0, 0],
            [6, 5, 0, 0, 0, 0, 0, 0],
            [63, 0, 0, 0, 0, 0, 0, 0],
        ]
    ),
)

# Settings of eight octets, then steps: tests/gmp/pair_octets.rs. IGMP and MLD, in both roles.
LEAVE, QUERY, PASS, EVENT = 3, 4, 6, 7
TO_EX, TO_IN, ALLOW, BLOCK = 3, 2, 4, 5
steps = [
    *(0, 0, 0, ALLOW, 0, 7, 0, 0, 0, BLOCK, 0, 2, EVENT, 0, EVENT, 0),
    *(1, 1, 0, TO_EX, 1, 12, PASS, 3, 232, 1, 1, 0, TO_IN, 1, 1, EVENT, 1, EVENT, 0),
    *(2, 0, 1, 0, LEAVE, 0, 0, QUERY, 1, 0, 2, 0, 0, 10, 0, 60, QUERY, 0, 3, 5, 0, 0, 100, 0, 30),
    *(PASS, 97, 168, EVENT, 0, EVENT, 0, EVENT, 0),
]
for name, flags in [("igmp-querier", 0x20), ("mld-querier", 0x21), ("igmp-listener", 0x22), ("mld-listener", 0x23), ("igmp-2", 0x10)]:
    put("gmp_querier", name, bytes([flags, 1, 2, 2, 1, 0, 1, 2] + steps))

# Threads, objects, words and spare slots; owned words and ending; pairs of operation and operand; turns.
CLAIM, RELEASE, RETIRE, INSERT, OWNER = 0, 4, 7, 10, 12
short = [thread | length << 2 for length in (0, 1) for thread in (0, 1, 2, 3)] * 8
put("claim_schedules", "two-claims", bytes([0, 0, CLAIM, 0, CLAIM, 1] + short))
put("claim_schedules", "claim-and-retire", bytes([0, 4, CLAIM, 0, RETIRE, 0] + short))
put("claim_schedules", "release-and-claim", bytes([1 | 1 << 2, 1 | 1 << 4, RELEASE, 0, CLAIM, 1, RETIRE, 0, OWNER, 0, CLAIM, 0, INSERT, 0] + short))
put("claim_schedules", "four", bytes([2 | 2 << 2 | 1 << 4 | 1 << 5, 0x31] + [CLAIM, 0, CLAIM, 0x11, RELEASE, 0, RETIRE, 1] * 4 + short * 2))
