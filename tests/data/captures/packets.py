"""Packets with headers of every kind, and the outcome of each."""

import struct

from build import *
from scenes import *

EVERYBODY = [("a", 0, v2_report(A, G)), ("a", 0, mld1(131, A6, G6))]
WANTED = [f"a {G}", f"a {G6}"]


@scene(
    "ttl.pcapng",
    {"control": 2, "forwarded": 4, "ttl_expired": 4},
    [f"{S} {G} in: a 2", f"{S6} {G6} in: a 2"],
    WANTED,
)
def ttl():
    """TTL 0, 1, 2 and 255."""
    frames = [
        ("in", 1, udp(source, group, ttl=hops)) for source, group in ((S, G), (S6, G6)) for hops in (0, 1, 2, 255)
    ]
    return pcapng(["in", "a"], EVERYBODY + frames)


@scene(
    "checksums.pcapng",
    {"control": 2, "forwarded": 512},
    [f"{S} {G} in: a 512"],
    WANTED,
)
def checksums():
    """Header checksums around 0x0000, 0x0100 and 0xffff, where incremental updates go wrong first (RFC 1624)."""
    frames, want = [], {*range(0x0000, 0x0100), *range(0xFEFF, 0xFFFF)}
    base = udp(S, G, size=0)
    for number in range(0x10000):
        header = base[:4] + struct.pack("!H", number) + base[6:10] + b"\0\0" + base[12:20]
        checksum = internet_checksum(header)
        if checksum in want:
            want.remove(checksum)
            frames.append(("in", 1, header[:10] + struct.pack("!H", checksum) + base[12:]))
    return pcapng(["in", "a"], EVERYBODY + frames)


@scene(
    "wrong-interface.pcapng",
    {
        "control": 2,
        "forwarded": 3,
        "wrong_interface": 4,
        "no_receivers": 1,
        "link_local": 1,
        "ttl_expired": 1,
    },
    [f"{S} {G} in: a 1", f"{S} {H} in:  0", f"{S6} {G6} in: a 1", f"{T} {G} b: a 1"],
    WANTED,
)
def wrong_interface():
    """A source belongs to its first interface, for all groups. Packets that may not be forwarded do not count for this."""
    return pcapng(
        ["in", "a", "b"],
        [
            *EVERYBODY,
            ("a", 1, udp(T, G, ttl=1)),
            ("a", 1, udp(T, "224.0.0.5")),
            ("b", 2, udp(T, G)),
            ("in", 3, udp(S, G)),
            ("b", 4, udp(S, G)),
            ("a", 5, udp(S, G)),
            ("b", 6, udp(S, H)),
            ("in", 7, udp(S, H)),
            ("in", 8, udp(S6, G6)),
            ("b", 9, udp(S6, G6)),
        ],
    )


@scene(
    "local.pcapng",
    {"control": 2, "link_local": 11, "forwarded": 4},
    [
        f"{S} {G} in: a 1",
        f"{S6} {G6} in: a 1",
        f"{S} {SSM} in: a 1",
        f"{S6} ff18::5 in: a 1",
    ],
    [f"a {G}", f"a {G6}", f"a {SSM} {S}", f"a ff18::5 {S6}", "a 224.0.0.5", "a ff02::5"],
)
def local():
    """Groups and sources of link-local scope, joined or not."""
    joins = [
        ("a", 0, v3_report(A, record(TO_EX, G), record(ALLOW, SSM, S), record(TO_EX, "224.0.0.5"))),
        ("a", 0, mld2(A6, record(TO_EX, G6), record(ALLOW, "ff18::5", S6), record(TO_EX, "ff02::5"))),
    ]
    groups = [
        (S, "224.0.0.5"),
        (S, "224.0.0.255"),
        ("169.254.3.4", G),
        (S6, "ff00::5"),
        (S6, "ff01::5"),
        (S6, "ff02::5"),
        (S6, "ff12::5"),
        (S6, "ff31::5"),
        (A6, G6),
        ("febf::1", G6),
    ]
    frames = [("in", 1, udp(source, group)) for source, group in groups]
    # A neighbour solicitation from a host without an address.
    solicit = ipv6("::", "ff02::1:ff00:1", 58, sealed(b"\x87" + bytes(7) + address("fe80::1"), b""), 255)
    frames += [("in", 1, solicit)]
    frames += [
        ("in", 2, udp(S, G)),
        ("in", 2, udp(S6, G6)),
        ("in", 2, udp(S, SSM)),
        ("in", 2, udp(S6, "ff18::5")),
    ]
    return pcapng(["in", "a"], joins + frames)


@scene(
    "other.pcapng",
    {"control": 2, "not_multicast": 8, "forwarded": 1},
    [f"{S} {G} in: a 1"],
    WANTED,
)
def other():
    """Frames that do not concern a multicast router, even if they are damaged behind their destination."""
    frames = [
        Whole(ARP),
        Whole(ARP, captured=20),
        Whole(ethernet(b"\x02\x07\x04" + bytes(40), kind=b"\x88\xcc")),  # LLDP
        Whole(b"\x01\x80\xc2\0\0\0\x02\0\0\0\0\x09\0\x26\x42\x42\x03" + bytes(43)),  # spanning tree: a length, no type
        udp(S, T, checksum=1),
        udp(S, "255.255.255.255"),
        Whole(ethernet(udp(S, T, size=500)), captured=34),
        Whole(ethernet(udp(S6, T6, size=500)), captured=54),
    ]
    return pcapng(["in", "a"], EVERYBODY + [("in", 1, each) for each in frames] + [("in", 2, udp(S, G))])


@scene(
    "damaged.pcapng",
    {"control": 2, "malformed": 25, "forwarded": 2},
    [f"{S} {G} in: a 1", f"{S6} {G6} in: a 1"],
    WANTED,
)
def damaged():
    """Malformed packets. Each would be forwarded if it were well-formed."""
    good, good6 = udp(S, G), udp(S6, G6)
    frames = [
        # Sent too short: ended within the link header, within the IP header, within the datagram.
        Whole(ethernet(good)[:13]),
        Whole(ethernet(good)[:14]),
        Whole(ethernet(good)[: 14 + 19]),
        Whole(ethernet(good)[: 14 + len(good) - 1]),
        Whole(ethernet(good6)[: 14 + 39]),
        Whole(ethernet(good6)[: 14 + len(good6) - 1]),
        # The wrong version for its ethertype.
        Whole(ethernet(good6, kind=b"\x08\0")),
        Whole(ethernet(good, kind=b"\x86\xdd")),
        # Lengths and checksum of the IPv4 header.
        udp(S, G, ihl=4),
        udp(S, G, ihl=15),
        udp(S, G, total=19),
        udp(S, G, total=2000),
        udp(S, G, checksum=internet_checksum(good[:10] + b"\0\0" + good[12:20]) ^ 1),
        # Addresses that cannot be a source.
        udp(H, G),
        udp("255.255.255.255", G),
        udp("0.0.0.0", G),
        udp("127.0.0.1", G),
        udp("ff15::9", G6),
        udp("::", G6),
        udp("::1", G6),
        # IPv6: the payload, and the extension headers at its begin.
        udp(S6, G6, length=2000),
        ipv6(S6, G6, 0, b"\x11\x09" + good6[40:]),
        ipv6(S6, G6, 60, b"\x11"),
        ipv6(S6, G6, 43, b"\x3c\0" + bytes(6) + b"\x11\x20" + bytes(6)),
        ipv6(S6, G6, 51, b"\x11\x30" + bytes(10)),
    ]
    frames = [("in", 1, each) for each in frames]
    return pcapng(["in", "a"], EVERYBODY + frames + [("in", 2, good), ("in", 2, good6)])


@scene(
    "fragments.pcapng",
    {"control": 2, "forwarded": 8},
    [f"{S} {G} in: a 3", f"{S6} {G6} in: a 5"],
    WANTED,
)
def fragments():
    """Packets with fragments, options and extension headers are forwarded like any others."""
    later = ipv4(S, G, 17, b"," * 24, fragment=0x0003)
    later6 = ipv6(S6, G6, 44, b"\x11\0\0\x18\0\0\0\x01" + b"," * 24)
    # A later fragment that looks like an MLD report, and ICMPv6 that is not MLD.
    middle = ipv6(S6, G6, 44, b"\x3a\0\0\x18\0\0\0\x02" + b"\x83" + bytes(23))
    echo = ipv6(S6, G6, 58, b"\x80" + bytes(7))
    frames = [
        udp(S, G, fragment=0x2000),
        later,
        ipv4(S, G, 17, udp(S, G)[20:], options=b"\x94\x04\0\0"),
        ipv6(S6, G6, 44, b"\x11\0\0\x01\0\0\0\x01" + udp(S6, G6)[40:]),
        later6,
        middle,
        echo,
        ipv6(S6, G6, 0, b"\x2b\0\x01\x04" + bytes(4) + b"\x11\0\0\0" + bytes(4) + udp(S6, G6)[40:]),
    ]
    return pcapng(["in", "a"], EVERYBODY + [("in", 1, each) for each in frames])
