"""Capture files of every kind, whole and broken, and links of every kind."""

import struct

from build import *
from scenes import *

# Fractions of a second: a reader that mistakes nanoseconds for microseconds turns them into a quarter of an
# hour.
ONE_LAN = [
    (100.9, v2_report(A, G)),
    (100.95, udp(S, G)),
    (101.0, udp(S, "224.0.0.251")),
    (101.5, udp(S, G, ttl=1)),
]
ONE_LAN_COUNTS = {"control": 1, "no_receivers": 1, "link_local": 1, "ttl_expired": 1}
ONE_LAN_END = ([f"{S} {G} if0:  0"], [f"if0 {G}"])

for file, order, nano in (
    ("micro-le.pcap", "<", False),
    ("micro-be.pcap", ">", False),
    ("nano-le.pcap", "<", True),
    ("nano-be.pcap", ">", True),
):
    scene(file, ONE_LAN_COUNTS | {"not_multicast": 1}, *ONE_LAN_END)(
        lambda order=order, nano=nano: pcap(
            [(time, ethernet(datagram)) for time, datagram in ONE_LAN] + [(102, ARP)], order=order, nano=nano
        )
    )

for file, link, name in (
    ("raw.pcap", RAW, "if0"),
    ("cooked.pcap", COOKED, "if0"),
    ("cooked2.pcap", COOKED2, "any:3"),
):
    scene(
        file,
        {"control": 2, "no_receivers": 2, "link_local": 1, "ttl_expired": 1},
        [f"{S} {G} {name}:  0", f"{S6} {G6} {name}:  0"],
        [f"{name} {G}", f"{name} {G6}"],
    )(
        lambda link=link: pcap(
            [(time, FRAME[link](datagram)) for time, datagram in ONE_LAN]
            + [(102, FRAME[link](mld1(131, A6, G6))), (103, FRAME[link](udp(S6, G6)))],
            link=link,
        )
    )


@scene("no-packets.pcap", {})
def no_packets():
    return pcap([])


@scene("no-packets.pcapng", {})
def no_packets_ng():
    return section() + interface("left") + interface("right")


@scene("empty.pcap", None)
def empty():
    return b""


@scene("garbage.pcap", None)
def garbage():
    return bytes(37 * number & 255 for number in range(500))


TWO_LANS = [
    ("right", 1, v2_report(A, G)),
    ("left", 2, udp(S, G)),
    ("left", 3, udp(S, G)),
]


@scene("cut.pcap", {"control": 1, "no_receivers": 1}, [f"{S} {G} if0:  0"], [f"if0 {G}"])
def cut():
    return pcap([(time, ethernet(datagram)) for _, time, datagram in TWO_LANS])[:-10]


@scene("cut.pcapng", {"control": 1, "forwarded": 1}, [f"{S} {G} left: right 1"], [f"right {G}"])
def cut_ng():
    return pcapng(["left", "right"], TWO_LANS)[:-10]


@scene("garbage-behind.pcapng", {"control": 1, "forwarded": 2}, [f"{S} {G} left: right 2"], [f"right {G}"])
def garbage_behind():
    return pcapng(["left", "right"], TWO_LANS) + garbage()


@scene("unnamed.pcapng", {"control": 1, "forwarded": 1}, [f"{S} {G} if0: if1 1"], [f"if1 {G}"])
def unnamed():
    data = section() + interface() + interface()
    return data + packet(1, 1, ethernet(v2_report(A, G))) + packet(0, 2, ethernet(udp(S, G)))


@scene(
    "names.pcapng",
    {"control": 4, "forwarded": 1},
    [f"{S} {G} in: ../up /root a b a/b 1"],
    [f"../up {G}", f"/root {G}", f"a b {G}", f"a/b {G}"],
)
def names():
    """Interface names that cannot be file names unchanged."""
    lans = ["../up", "/root", "a b", "a/b"]
    return pcapng(["in", *lans], [*((lan, 1, v2_report(A, G)) for lan in lans), ("in", 2, udp(S, G))])


LINKS = (("ether", ETHERNET), ("raw", RAW), ("cooked", COOKED), ("cooked2", COOKED2))
# Version 2 of the cooked header has the index of the interface.
PORTS = ["ether", "raw", "cooked", "cooked2:3"]


@scene(
    "links.pcapng",
    {"control": 8, "forwarded": 8},
    [
        f"192.0.2.{20 + n} {G} {name}: {' '.join(other for other in PORTS if other != name)} 1"
        for n, name in enumerate(PORTS)
    ]
    + [
        f"2001:db8::{20 + n} {G6} {name}: {' '.join(other for other in PORTS if other != name)} 1"
        for n, name in enumerate(PORTS)
    ],
    [f"{name} {group}" for name in PORTS for group in (G, G6)],
)
def links():
    """Every kind of link forwards to every other kind."""
    frames = [(name, 1, v2_report(A, G)) for name, _ in LINKS]
    frames += [(name, 2, mld1(131, A6, G6)) for name, _ in LINKS]
    frames += [(name, 3, udp(f"192.0.2.{20 + n}", G, size=1)) for n, (name, _) in enumerate(LINKS)]
    frames += [(name, 4, udp(f"2001:db8::{20 + n}", G6, size=1)) for n, (name, _) in enumerate(LINKS)]
    return pcapng(LINKS, frames)


@scene("big-endian.pcapng", {"control": 1, "forwarded": 1}, [f"{S} {G} left: right 1"], [f"right {G}"])
def big_endian():
    data = section(">") + interface("left", order=">") + interface("right", order=">")
    data += packet(1, 1, ethernet(v2_report(A, G)), ">")
    return data + packet(0, 2, ethernet(udp(S, G)), ">")


@scene(
    "sections.pcapng",
    {"control": 1, "forwarded": 2, "no_receivers": 1},
    [f"{S} {G} left: right 2"],
    [f"right {G}"],
)
def sections():
    """A second section with the other octet order numbers the same interfaces in reverse and adds one."""
    data = section() + interface("left") + interface("right")
    data += packet(0, 1_000_000, ethernet(udp(S, G)))
    data += packet(1, 2_000_000, ethernet(v2_report(A, G)))
    data += packet(0, 3_000_000, ethernet(udp(S, G)))
    data += section(">") + interface("right", order=">") + interface("left", order=">") + interface("more", order=">")
    return data + packet(1, 4_000_000, ethernet(udp(S, G)), ">")


@scene("blocks.pcapng", {"control": 1, "forwarded": 3}, [f"{S} {G} left: right 3"], [f"right {G}"])
def blocks():
    """Blocks without packets, Simple Packet Blocks, which have no time, and the obsolete Packet Block."""
    data = section() + interface("left") + interface("right")
    data += block(0x0BAD, b"a block type no reader knows")
    data += packet(1, 1_000_000_000, ethernet(v2_report(A, G)))
    data += block(4, option(0, b""))  # name resolution
    data += simple_packet(ethernet(udp(S, G))) + simple_packet(ethernet(udp(S, G)))
    frame = ethernet(udp(S, G))
    data += block(2, struct.pack("<2H4I", 0, 9, 0, 1_000_000_001, len(frame), len(frame)) + frame)
    return data + block(5, struct.pack("<3I", 0, 0, 0))  # interface statistics


@scene(
    "resolutions.pcapng",
    {"control": 4, "forwarded": 4, "no_receivers": 1},
    [f"{S} {G} micro:  4"],
)
def resolutions():
    """The same clock in four units: a report on each interface at 100 s, packets at 359 s and, too late, at 361 s."""
    lans = [("nano", 9, 10**9), ("binary", 0x80 | 20, 2**20), ("second", 0, 1), ("later", None, 10**6)]
    data = section() + interface("micro")
    for name, resolution, _ in lans:
        data += interface(name, resolution=resolution, offset=50 if name == "later" else None)
    for index, (name, _, units) in enumerate(lans, 1):
        data += packet(index, (100 - (50 if name == "later" else 0)) * units, ethernet(v2_report(A, G)))
    for seconds in (101, 200, 358, 359, 361):
        data += packet(0, seconds * 10**6, ethernet(udp(S, G)))
    return data
