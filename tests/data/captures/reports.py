"""Reports of hosts: IGMP and MLD of all versions, well-formed, damaged and untrusted."""

import struct

from build import *
from scenes import *


@scene(
    "igmp-v1.pcapng",
    {"control": 2, "forwarded": 1},
    [f"{S} {G} in: a 1"],
    [f"a {G}"],
)
def igmp_v1():
    """A query and a report of version 1, which has no leave."""
    query = igmp(C, "224.0.0.1", b"\x11\0\0\0\0\0\0\0", options=b"")
    return pcapng(["in", "a"], [("a", 1, query), ("a", 2, v1_report(A, G)), ("in", 3, udp(S, G))])


@scene(
    "igmp-v2.pcapng",
    {"control": 8, "forwarded": 3, "no_receivers": 3},
    [f"{S} {G} in:  3"],
    ["in 224.0.0.251", f"in {G}"],
)
def igmp_v2():
    """Two hosts on one interface: the group stays until the second one leaves. The incoming interface gets no copy."""
    return pcapng(
        ["in", "a", "b"],
        [
            ("in", 0, udp(S, G)),
            ("in", 1, v2_report(C, G)),
            ("in", 1, v2_report(C, "224.0.0.251")),
            ("in", 1, igmp(C, "224.0.0.1", b"\x11\x64\0\0\0\0\0\0")),
            ("in", 2, udp(S, G)),
            ("a", 3, v2_report(A, G)),
            ("a", 3, v2_report(B, G)),
            ("in", 4, udp(S, G)),
            ("a", 5, v2_leave(A, G)),
            ("in", 6, udp(S, G)),
            # A host without state leaves: nothing changes.
            ("a", 7, v2_leave(C, G)),
            ("in", 8, udp(S, G)),
            # The last one leaves. Hosts that it kept from reporting would answer a query within two seconds.
            ("a", 9, v2_leave(B, G)),
            ("in", 12, udp(S, G)),
        ],
    )


@scene(
    "igmp-v3.pcapng",
    {"control": 16, "forwarded": 11, "no_receivers": 18},
    [f"{S} {G} in:  5", f"{T} {G} in: a 6"],
    [f"a {G}"],
)
def igmp_v3():
    """Every record type, from one host: after each, a packet of S and one of T. The comments name those that are forwarded."""
    records = [
        record(ALLOW, G, S),  # S
        record(ALLOW, G, T),  # S T
        record(BLOCK, G, S),  # T
        record(IS_IN, G, S),  # S T
        record(TO_IN, G, S),  # S
        record(TO_IN, G),  # neither
        record(BLOCK, G, S),  # neither: the list is empty
        record(TO_EX, G, S, T),  # neither, though there is a membership
        record(ALLOW, G, S),  # S
        record(BLOCK, G, S),  # neither
        record(IS_IN, G),  # neither: an INCLUDE mode without sources
        record(IS_EX, G, S),  # T
        record(7, G, T),  # T: an unknown record type
        record(IS_IN, "198.51.100.9", T),  # T: not a group address
    ]
    frames = [("in", 0, udp(S, G)), ("in", 1, igmp(C, "224.0.0.1", b"\x11\x64\0\0" + bytes(8)))]
    for number, each in enumerate(records):
        frames += [
            ("a", 2 + number, v3_report(A, each)),
            ("in", 2.1 + number, udp(S, G)),
            ("in", 2.2 + number, udp(T, G)),
        ]
    # Two records in one report, the first with auxiliary data, and additional data at the end.
    both = v3_report(A, record(IS_IN, H, T, auxiliary=b"abcd"), record(TO_IN, H), b"behind it", count=2)
    return pcapng(["in", "a"], [*frames, ("a", 20, both)])


@scene(
    "igmp-hosts.pcapng",
    {"control": 10, "forwarded": 6, "no_receivers": 3},
    [f"{S} {G} in: b 6"],
    [f"b {G}", f"b {G} {S}"],
)
def igmp_hosts():
    """A source is blocked only if every excluding host excludes it and no host includes it."""
    return pcapng(
        ["in", "a", "b"],
        [
            ("a", 1, v3_report(A, record(TO_EX, G, S))),
            ("in", 2, udp(S, G)),
            ("a", 3, v3_report(B, record(TO_EX, G, S, T))),
            ("in", 4, udp(S, G)),
            ("a", 5, v3_report(C, record(ALLOW, G, S))),
            ("in", 6, udp(S, G)),
            ("a", 7, v3_report(C, record(BLOCK, G, S))),
            ("in", 8, udp(S, G)),
            # A host of version 2 excludes nothing.
            ("a", 9, v2_report(C, G)),
            ("in", 10, udp(S, G)),
            ("a", 11, v3_report(A, record(TO_IN, G))),
            ("in", 12, udp(S, G)),
            ("b", 13, v3_report(A, record(TO_EX, G, S))),
            ("b", 13, v3_report(B, record(IS_IN, G, S))),
            ("in", 14, udp(S, G)),
            # A leave of version 2 ends any state of the host, and so does TO_IN {}.
            ("a", 15, v2_leave(C, G)),
            ("a", 15, v2_leave(B, G)),
            ("in", 16, udp(S, G)),
            ("in", 17, udp(S, G)),
        ],
    )


@scene("igmp-excludes.pcapng", {"control": 1, "forwarded": 1, "no_receivers": 1}, [f"{S} {G} in:  0", f"{T} {G} in: a 1"], [f"a {G}"])
def igmp_excludes():
    """A host that wants every source but one."""
    return pcapng(["in", "a"], [("a", 1, v3_report(A, record(TO_EX, G, S))), ("in", 2, udp(S, G)), ("in", 2, udp(T, G))])


@scene("igmp-no-address.pcapng", {"control": 3, "forwarded": 1}, [f"{S} {G} in:  1"], [f"a {SSM} {S}"])
def igmp_no_address():
    """A host without an address reports from 0.0.0.0 (RFC 3376 section 4.2.13)."""
    return pcapng(
        ["in", "a"],
        [
            ("a", 1, v3_report("0.0.0.0", record(TO_EX, G), record(ALLOW, SSM, S))),
            ("in", 2, udp(S, G)),
            ("a", 3, v3_report("0.0.0.0", record(TO_IN, G))),
            ("a", 4, igmp(A, "224.0.0.1", b"\x99\0\0\0" + bytes(4))),  # an unknown type
        ],
    )


@scene("igmp-damaged.pcapng", {"malformed": 14, "control": 1, "forwarded": 1}, [f"{S} {G} in: a 1"], [f"a {G}"])
def igmp_damaged():
    """One good report; all others are damaged and change nothing, not even in part."""
    good = record(ALLOW, SSM, S)
    fine = v2_report(A, G)
    query = b"\x11\x64\0\0" + bytes(4)
    damaged = [
        v2_report(A, H, damage=1),
        v3_report(A, good, damage=0x8000),
        igmp(A, H, b"\x16\0\0\0" + address(H)[:3]),
        igmp(A, H, b"\x16\0\0\0"),
        ipv4(A, "224.0.0.22", 2, b"", 1),
        v3_report(A, good, count=2),
        v3_report(A, good, record(ALLOW, SSM, S, T)[:-1]),
        v3_report(A, good, record(ALLOW, SSM)[:-2]),
        v3_report(A, good, struct.pack("!BBH", ALLOW, 1, 1) + address(SSM) + address(T)),
        v3_report(A, good, struct.pack("!BBH", ALLOW, 0, 0xFFFF) + address(SSM) + address(T)),
        igmp(A, "224.0.0.1", query + b"\0\0"),
        igmp(A, "224.0.0.1", query + b"\x02\x7d\0\x01"),
        v2_report(A, H, fragment=0x2000),
        v2_leave(A, G)[:-1] + b"\xff",
    ]
    frames = [("a", 1, fine), *(("a", 2, each) for each in damaged), ("in", 3, udp(S, G))]
    return pcapng(["in", "a"], frames)


@scene(
    "mld-v1.pcapng",
    {"control": 5, "forwarded": 2, "no_receivers": 1},
    [f"{S6} {G6} in:  2"],
    ["a ff02::1:ff00:a"],
)
def mld_v1():
    return pcapng(
        ["in", "a"],
        [
            ("in", 0, mld1(130, B6, "::", "ff02::1")),
            ("a", 1, mld1(131, A6, G6)),
            ("a", 1, mld1(131, A6, "ff02::1:ff00:a")),
            ("in", 2, udp(S6, G6)),
            ("a", 3, mld1(132, B6, G6)),
            ("in", 4, udp(S6, G6)),
            ("a", 5, mld1(132, A6, G6)),
            ("in", 8, udp(S6, G6)),
        ],
    )


@scene(
    "mld-v2.pcapng",
    {"control": 9, "forwarded": 6, "no_receivers": 8},
    [f"{S6} {G6} in: a 4", f"{T6} {G6} in:  2"],
    [f"a {G6}"],
)
def mld_v2():
    """Record types, as in igmp-v3.pcapng; one report behind a second extension header."""
    records = [
        record(ALLOW, G6, S6),  # S6
        record(TO_IN, G6, T6),  # T6
        record(TO_EX, G6, T6),  # S6
        record(BLOCK, G6, S6),  # neither
        record(ALLOW, G6, S6, T6),  # both
        record(TO_IN, G6),  # neither
        record(IS_EX, G6, T6),  # S6; a second host excludes T6 as well
    ]
    frames = [("in", 0, mld(B6, "ff02::1", b"\x82" + bytes(27)))]
    for number, each in enumerate(records):
        before = bytes([58, 0, 1, 4, 0, 0, 0, 0]) if number == 2 else b""  # destination options: PadN
        frames += [
            ("a", 1 + number, mld2(A6, each, before=before)),
            ("in", 1.1 + number, udp(S6, G6)),
            ("in", 1.2 + number, udp(T6, G6)),
        ]
    return pcapng(["in", "a"], [*frames, ("a", 9, mld2(B6, record(TO_EX, G6, T6)))])


@scene("mld-not-believed.pcapng", {"control": 5, "no_receivers": 1}, [f"{S6} {G6} in:  0"])
def mld_not_believed():
    """Well-formed but ignored: from beyond the link, or from no link-local address (RFC 3810 sections 5.2.13, 5.2.14)."""
    join = record(TO_EX, G6)
    return pcapng(
        ["in", "a"],
        [
            ("a", 1, mld2(A6, join, hop_limit=2)),
            ("a", 1, mld2("::", join)),
            ("a", 1, mld2(S6, join)),
            ("a", 1, mld1(131, A6, G6, hop_limit=255)),
            ("a", 1, mld1(131, S6, G6)),
            ("in", 2, udp(S6, G6)),
        ],
    )


@scene(
    "mld-damaged.pcapng",
    {"malformed": 11, "control": 1, "forwarded": 1},
    [f"{S6} {G6} in: a 1"],
    [f"a {G6}"],
)
def mld_damaged():
    good = record(ALLOW, H6, S6)
    report = b"\x83" + bytes(7) + address(H6)
    damaged = [
        mld1(131, A6, H6, damage=1),
        mld2(A6, good, damage=0x100),
        mld(A6, H6, report[:-1]),
        mld(A6, H6, b"\x83\0\0\0"),
        mld(A6, "ff02::2", b"\x84" + bytes(7) + address(G6)[:8]),
        mld(A6, "ff02::16", b"\x8f" + bytes(5)),
        mld2(A6, good, count=2),
        mld2(A6, good, record(ALLOW, H6, S6, T6)[:-4]),
        mld(A6, "ff02::1", b"\x82" + bytes(25)),
        mld(A6, "ff02::1", b"\x82" + bytes(26) + b"\x01"),
        # A fragment of a report: its checksum cannot be verified.
        ipv6(A6, "ff02::16", 44, b"\x3a\0\0\x01\0\0\0\x01" + report, 1),
    ]
    frames = [("a", 1, mld1(131, A6, G6)), *(("a", 2, each) for each in damaged), ("in", 3, udp(S6, G6))]
    return pcapng(["in", "a"], frames)


def v2_query(source, group=None, tenths=100):
    destination = group or "224.0.0.1"
    return igmp(source, destination, bytes([0x11, tenths, 0, 0]) + address(group or "0.0.0.0"))


def v3_query(source, group=None, robustness=2, interval=125, code=100, suppress=False, sources=()):
    """`interval` and `code` are the octets of the message."""
    message = bytes([0x11, code, 0, 0]) + address(group or "0.0.0.0")
    message += struct.pack("!BBH", suppress << 3 | robustness, interval, len(sources))
    return igmp(source, group or "224.0.0.1", message + b"".join(map(address, sources)))


@scene("querier-intervals.pcapng", {"control": 3, "forwarded": 3, "no_receivers": 1}, [f"{S} {G} in:  3"])
def querier_intervals():
    """A querier with 400 s between its queries, in the floating-point form: state lapses after 810 s."""
    frames = [("a", 0, v3_query(C, interval=0x99)), ("a", 1, v3_report(A, record(TO_EX, G)))]
    packets = [("in", time, udp(S, G)) for time in (2, 400, 810)]
    return pcapng(["in", "a"], [*frames, *packets, ("a", 811, v3_query(C, interval=0x99)), ("in", 903, udp(S, G))])


@scene(
    "querier-leave.pcapng",
    {"control": 6, "forwarded": 2, "no_receivers": 1},
    [f"{S} {G} in:  2"],
)
def querier_leave():
    """Where a querier is heard, a leave waits for its specific queries, for all hosts alike."""
    return pcapng(
        ["in", "a"],
        [
            ("a", 0, v2_query(C)),
            ("a", 1, v2_report(A, G)),
            ("a", 1, v2_report(B, G)),
            ("a", 2, v2_leave(A, G)),
            ("in", 5, udp(S, G)),
            ("a", 6, v2_query(C, G, tenths=10)),
            ("in", 7.5, udp(S, G)),
            # A query of one second, twice: no host has answered.
            ("a", 7, v2_query(C, G, tenths=10)),
            ("in", 8.5, udp(S, G)),
        ],
    )


@scene("leave-suppressed.pcapng", {"control": 3, "forwarded": 4}, [f"{S} {G} in: a 4"], [f"a {G}"])
def leave_suppressed():
    """A host of version 2 had kept its neighbour from reporting. The neighbour answers after the leave."""
    reports = [("a", 0, v2_report(A, G)), ("a", 2, v2_leave(A, G)), ("a", 3.65, v2_report(B, G))]
    packets = [("in", time, udp(S, G)) for time in (1, 3, 4, 9)]
    return pcapng(["in", "a"], sorted(reports + packets, key=lambda frame: frame[1]))


@scene(
    "report-pieces.pcapng",
    {"control": 2, "forwarded": 2},
    [f"{S} {G} in: a 1", f"{T} {G} in: a 1"],
    [f"a {G} {S}", f"a {G} {T}"],
)
def report_pieces():
    """A list that did not fit one report (RFC 3376 section 4.2.16)."""
    pieces = [("a", 1, v3_report(A, record(TO_IN, G, S))), ("a", 1.001, v3_report(A, record(TO_IN, G, T)))]
    return pcapng(["in", "a"], pieces + [("in", 2, udp(source, G)) for source in (S, T)])


@scene(
    "igmp-not-believed.pcapng",
    {"control": 5, "no_receivers": 2, "forwarded": 1},
    [f"{S} {G} in:  0", f"{S} {SSM} in: a 1"],
    [f"a {SSM} {S}"],
)
def igmp_not_believed():
    """From beyond the link; and of a source-specific group, without a source (RFC 4604 section 2.2.1)."""
    return pcapng(
        ["in", "a"],
        [
            ("a", 1, v2_report(A, G, ttl=64)),
            ("a", 1, v3_report(A, record(TO_EX, G), ttl=2)),
            ("in", 2, udp(S, G)),
            ("a", 3, v2_report(A, SSM)),
            ("a", 3, v3_report(A, record(TO_EX, SSM))),
            ("in", 4, udp(S, SSM)),
            ("a", 5, v3_report(A, record(ALLOW, SSM, S))),
            ("in", 6, udp(S, SSM)),
        ],
    )


@scene("mld-no-alert.pcapng", {"control": 3, "no_receivers": 2}, [f"{S6} {G6} in:  0"])
def mld_no_alert():
    """MLD without Router Alert is ignored (RFC 3810 section 7.4): without a hop-by-hop header, or with another option there."""
    message = b"\x83" + bytes(7) + address(G6)
    pseudo = address(A6) + address(G6) + struct.pack("!II", len(message), 58)
    plain = ipv6(A6, G6, 58, sealed(message, pseudo), 1)
    padded = ipv6(A6, G6, 0, b"\x3a\0\1\4\0\0\0\0" + sealed(message, pseudo), 1)
    other = ipv6(A6, G6, 0, b"\x3a\0\5\2\0\1\1\0" + sealed(message, pseudo), 1)
    frames = [("a", 1, plain), ("in", 2, udp(S6, G6)), ("a", 3, padded), ("a", 3, other), ("in", 4, udp(S6, G6))]
    return pcapng(["in", "a"], frames)
