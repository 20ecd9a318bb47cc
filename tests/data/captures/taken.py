"""Captures as people take them: not in order, of both directions, with VLANs, of all interfaces, cut off."""

import struct

from build import *
from scenes import *

U = "198.51.100.3"
OWN_MAC = b"\x02\0\0\0\0\xbb"
INBOUND, OUTBOUND = 1, 2


def own(frame):
    """Puts the router's address into an Ethernet frame."""
    return frame[:6] + OWN_MAC + frame[12:]


ORDERED = [
    ("right", 0.5, v3_report(A, record(TO_EX, G))),
    *(("left", 1 + n / 10, udp(S, G)) for n in range(5)),
    ("right", 1.45, v3_report(A, record(TO_IN, G))),
    *(("left", 1.5 + n / 10, udp(S, G)) for n in range(5)),
]

for file, frames in (("order.pcapng", sorted(ORDERED, key=lambda frame: frame[0])), ("order-sorted.pcapng", ORDERED)):
    scene(file, {"control": 2, "forwarded": 5, "no_receivers": 5}, [f"{S} {G} left:  5"])(
        lambda frames=frames: pcapng(["left", "right"], frames)
    )


@scene("order-sections.pcapng", {"control": 1, "forwarded": 2}, [f"{S} {G} left: right 2"], [f"right {G}"])
def order_sections():
    """Two captures in one file, the later one first. Frames of one time stay in the order of the file."""
    later = section() + interface("left") + packet(0, 2_000_000, ethernet(udp(S, G)))
    earlier = section(">") + interface("right", order=">") + interface("left", order=">")
    earlier += packet(0, 1_000_000, ethernet(v2_report(A, G)), ">") + packet(1, 1_000_000, ethernet(udp(S, G)), ">")
    return later + earlier


@scene(
    "time-outside.pcapng",
    {"control": 2, "forwarded": 4},
    [f"{S} {G} left: right 3", f"{S} {H} left: right 1"],
    [f"right {G}", f"right {H}"],
)
def time_outside():
    """A clock that was not set yet, and one that jumped: such frames have the time of the frame before them in the file."""
    now = 1_700_000_000
    return pcapng(
        ["left", "right"],
        [
            ("right", now, v2_report(A, G)),
            ("right", 3, v2_report(A, H)),
            ("left", now + 1, udp(S, G)),
            ("left", 2 * now, udp(S, G)),
            ("left", now + 2, udp(S, H)),
            ("left", now + 3, udp(S, G)),
        ],
    )


@scene(
    "both-ways.pcapng",
    {"control": 1, "forwarded": 3, "own": 5},
    [f"{S} {G} left: right 3"],
    [f"right {G}"],
)
def both_ways():
    """Each packet as the router received it and as it sent it. The flags of the packets tell, and the source address."""
    data = section() + interface("left") + interface("right", mac=OWN_MAC)
    # The router's own packets come first: neither is the right interface that of the source, nor do they join.
    data += packet(1, 1, ethernet(udp(S, G, ttl=15)), flags=OUTBOUND)
    data += packet(0, 2, own(ethernet(v2_report(B, H))))
    data += packet(1, 3, ethernet(v2_report(A, G)), flags=INBOUND)
    for n in range(3):
        data += packet(0, 10 + 2 * n, ethernet(udp(S, G)), flags=INBOUND | 3 << 2)
        data += packet(1, 11 + 2 * n, own(ethernet(udp(S, G, ttl=15))))
    return data


@scene(
    "both-ways-cooked.pcapng",
    {"control": 1, "forwarded": 2, "own": 3},
    [f"{S} {G} left: right 2"],
    [f"right {G}"],
)
def both_ways_cooked():
    """Packet type 4 of cooked headers is what the system sent."""
    frames = [("right", 1, Whole(cooked(v2_report(A, G)))), ("left", 1, Whole(cooked(v2_report(B, H), kind=4)))]
    for n in (2, 3):
        frames += [
            ("left", n, Whole(cooked(udp(S, G)))),
            ("right", n, Whole(cooked(udp(S, G, ttl=15), kind=4))),
        ]
    return pcapng([("left", COOKED), ("right", COOKED)], frames)


@scene(
    "any.pcapng",
    {"control": 1, "forwarded": 3, "own": 3, "truncated": 1},
    [f"{S} {G} any:2: any:3 3"],
    [f"any:3 {G}"],
)
def any_interface():
    """`-i any` with cooked headers of version 2: the interface index names the interface."""
    frames = [("any", 1, Whole(cooked2(v2_report(A, G), index=3)))]
    for n in (2, 3, 4):
        frames += [
            ("any", n, Whole(cooked2(udp(S, G), index=2))),
            ("any", n, Whole(cooked2(udp(S, G, ttl=15), index=3, kind=4))),
        ]
    return pcapng([("any", COOKED2)], [*frames, ("any", 5, Whole(cooked2(udp(S, G)), captured=19))])


@scene(
    "any.pcap",
    {"control": 1, "forwarded": 1},
    [f"{S} {G} any:2: any:3 1"],
    [f"any:3 {G}"],
)
def any_pcap():
    return pcap([(1, cooked2(v2_report(A, G), index=3)), (2, cooked2(udp(S, G), index=2))], link=COOKED2)


@scene(
    "vlan.pcapng",
    {"control": 2, "forwarded": 5, "not_multicast": 1, "truncated": 1, "wrong_interface": 1},
    [f"{S} {H} in.5: b.5 1", f"{T} {G} in: a 3", f"{U} {G} in.5.6: a 1"],
    [f"a {G}", f"b.5 {H}"],
)
def vlan():
    """A tag names an interface of its own, except for VLAN 0. Three nested tags are more than a router has."""
    frames = [
        ("a", 0, v2_report(A, G)),
        ("b", 1, Whole(tagged(v2_report(B, H), 0xA005))),
        ("in", 2, Whole(tagged(udp(S, H), 0x2005))),
        ("in", 2, Whole(tagged(udp(T, G), 0xA000))),
        ("in", 2, Whole(tagged(udp(T, G), 0, 0xE000, types=b"\x88\xa8"))),
        ("in", 3, Whole(tagged(udp(U, G), 5, 6, types=b"\x88\xa8"))),
        ("in", 3, Whole(tagged(udp(T, G), 5, types=b"\x91\0"))),
        ("in", 4, udp(T, G)),
        ("in", 4, Whole(tagged(udp(T, G), 5, 6, 7))),
        ("in", 4, Whole(tagged(udp(T, G), 5), captured=16)),
    ]
    return pcapng(["in", "a", "b"], frames)


@scene(
    "vlan-trunk.pcapng",
    {"control": 1, "forwarded": 2},
    [f"{S} {G} trunk.10: trunk.20 2"],
    [f"trunk.20 {G}"],
)
def vlan_trunk():
    """A router on a stick: its only interface has all VLANs."""
    frames = [("trunk", 1, Whole(tagged(v2_report(A, G), 20)))]
    return pcapng(["trunk"], frames + [("trunk", n, Whole(tagged(udp(S, G), 10))) for n in (2, 3)])


@scene(
    "fcs.pcap",
    {"control": 1, "no_receivers": 1, "malformed": 1},
    [f"{S} {G} if0:  0"],
    [f"if0 {G}"],
)
def fcs():
    """The link type is the lower half of its field. The upper half tells of a frame check sequence of two words."""
    check = b"\x01\x02\x03\x04"
    frames = [ethernet(v2_report(A, G), pad=False), ethernet(udp(S, G), pad=False)]
    short = ethernet(udp(S, G), pad=False)[:-4]  # without its last octets the datagram is shorter than it says
    return pcap([(n, frame + check) for n, frame in enumerate([*frames, short], 1)], link=0x24000001)


@scene(
    "link-type-upper-half.pcap",
    {"control": 1, "no_receivers": 1},
    [f"{S} {G} if0:  0"],
    [f"if0 {G}"],
)
def link_type_upper_half():
    """Without the bit P nothing in the upper half has a meaning."""
    frames = [ethernet(v2_report(A, G)), ethernet(udp(S, G))]
    return pcap([(n, frame) for n, frame in enumerate(frames, 1)], link=0xF3FF0001)


@scene(
    "fcs.pcapng",
    {"control": 1, "forwarded": 1, "malformed": 2},
    [f"{S} {G} left: right 1"],
    [f"right {G}"],
)
def fcs_ng():
    """The length of the frame check sequence, of the interface and of the packet, which comes first."""
    short = ethernet(udp(S, G), pad=False)[:-4] + b"\x01\x02\x03\x04"
    whole = ethernet(udp(S, G), pad=False) + b"\x01\x02"
    data = section() + interface("left", fcs=4) + interface("right")
    data += packet(1, 1, ethernet(v2_report(A, G)))
    data += packet(0, 2, short) + packet(0, 3, whole, flags=2 << 5)
    return data + packet(1, 4, short, flags=4 << 5)


@scene(
    "names-odd.pcapng",
    {"control": 2, "forwarded": 2},
    [f"{S} {G} eth0: \x1b[31mred\n\u202egreen eth2 2"],
    [f"\x1b[31mred\n\u202egreen {G}", f"eth2 {G}"],
)
def names_odd():
    """A name ends at a zero octet. What a terminal would obey stays in the name."""
    data = section() + interface("eth0\0") + interface("\x1b[31mred\n\u202egreen") + interface("eth2\0junk")
    data += packet(1, 1, ethernet(v2_report(A, G))) + packet(2, 1, ethernet(v2_report(A, G)))
    # The same interface, described without the zero octet.
    data += section() + interface("eth0") + packet(0, 2, ethernet(udp(S, G)))
    return data + packet(0, 3, ethernet(udp(S, G)))


@scene(
    "snap.pcapng",
    {"control": 2, "forwarded": 4, "truncated": 8, "not_multicast": 1, "link_local": 1, "ttl_expired": 1},
    [f"{S} {G} in: a 2", f"{S6} {G6} in: a 2"],
    [f"a {G}", f"a {G6}"],
)
def snap():
    """Packets that the capture cut off are forwarded if their header is whole."""
    long, long6 = ethernet(udp(S, G, size=1316)), ethernet(udp(S6, G6, size=1316))
    frames = [
        Whole(long, captured=96),
        Whole(long, captured=34),
        Whole(long6, captured=96),
        Whole(long6, captured=54),
        # In the link header, in the IP header.
        Whole(long, captured=13),
        Whole(long, captured=33),
        Whole(long6, captured=53),
        # In the options of the header, in an extension header.
        Whole(ethernet(ipv4(S, G, 17, b"." * 99, options=b"\1" * 8)), captured=14 + 24),
        Whole(ethernet(ipv6(S6, G6, 60, b"\x11\x01" + bytes(14) + b"." * 99)), captured=14 + 40 + 8),
        # Messages of IGMP and MLD.
        Whole(ethernet(v3_report(B, record(TO_EX, H, S, T))), captured=50),
        Whole(ethernet(mld2(B6, record(TO_EX, H6, S6))), captured=80),
        # The type of an ICMPv6 message.
        Whole(ethernet(ipv6(S6, G6, 58, b"\x80" + bytes(99))), captured=54),
        # No datagram to forward, however much was captured.
        Whole(ethernet(udp(S, T, size=1316)), captured=96),
        Whole(ethernet(udp(S, "224.0.0.5", size=1316)), captured=96),
        Whole(ethernet(udp(S, G, size=1316, ttl=1)), captured=96),
    ]
    reports = [("a", 0, v2_report(A, G)), ("a", 0, mld1(131, A6, G6))]
    return pcapng(["in", "a"], reports + [("in", 1, frame) for frame in frames])


@scene("links-unknown.pcapng", {"control": 1, "forwarded": 1, "inactive_interface": 2}, [f"{S} {G} in: a 1"], [f"a {G}"])
def links_unknown():
    """An interface with frames that cannot be read takes no part."""
    frames = [("a", 0, v2_report(A, G)), ("usb", 1, Whole(bytes(80))), ("usb", 1, Whole(ethernet(udp(S, G))))]
    return pcapng(["in", "a", ("usb", 220)], [*frames, ("in", 2, udp(S, G))])


@scene("flow-ended.pcapng", {"control": 3, "forwarded": 2, "no_receivers": 1, "ttl_expired": 1, "link_local": 1})
def flow_ended():
    """A flow that ended more than 900 s before the capture has no entry any more."""
    frames = [("a", 0, v2_report(A, G))]
    frames += [("in", 1, udp(S, G)), ("in", 3, udp(S, G)), ("in", 4, udp(S, H))]
    frames += [("in", 5, udp(S, G, ttl=1)), ("in", 6, udp(S, "224.0.0.5"))]
    # Of the reports at the end, no entry and no membership is left: they are leaves.
    return pcapng(["in", "a"], [*frames, ("a", 1000, v2_leave(A, G)), ("a", 1001, v2_leave(A, G))])
