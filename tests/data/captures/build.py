"""Builds packets and capture files octet by octet."""

import ipaddress
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "independent"))
from listeners import internet_checksum  # noqa: E402

IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = 1, 2, 3, 4, 5, 6
ETHERNET, RAW, COOKED, COOKED2 = 1, 101, 113, 276
ROUTER_ALERT = b"\x94\x04\0\0"
MLD_ALERT = b"\x05\x02\0\0\x01\0"  # Router Alert for MLD and PadN, the options of a hop-by-hop header


def address(text):
    return ipaddress.ip_address(text).packed


# ---- datagrams -------------------------------------------------------------------------------------------


def ipv4(source, destination, protocol, payload, ttl=16, options=b"", **wrong):
    """`wrong` overrides header fields: ihl, total, checksum, fragment."""
    ihl = wrong.get("ihl", 5 + len(options) // 4)
    total = wrong.get("total", 20 + len(options) + len(payload))
    header = struct.pack("!BBHHHBBH", 4 << 4 | ihl, 0, total, 7, wrong.get("fragment", 0), ttl, protocol, 0)
    header += address(source) + address(destination) + options
    checksum = wrong.get("checksum", internet_checksum(header))
    return header[:10] + struct.pack("!H", checksum) + header[12:] + payload


def ipv6(source, destination, protocol, payload, hop_limit=16, **wrong):
    """`wrong` overrides header fields: length."""
    length = wrong.get("length", len(payload))
    return struct.pack("!IHBB", 6 << 28, length, protocol, hop_limit) + address(source) + address(destination) + payload


def udp(source, destination, size=32, ttl=16, **wrong):
    """Builds a UDP datagram of either family."""
    payload = b"." * size
    packed = address(source) + address(destination)
    header = struct.pack("!4H", 4000, 5000, 8 + size, 0)
    pseudo = packed + struct.pack("!II", 8 + size, 17)
    checksum = internet_checksum(pseudo + header + payload) or 0xFFFF
    body = header[:6] + struct.pack("!H", checksum) + payload
    if ":" in source:
        return ipv6(source, destination, 17, body, ttl, **wrong)
    return ipv4(source, destination, 17, body, ttl, **wrong)


# ---- IGMP and MLD ----------------------------------------------------------------------------------------


def sealed(message, pseudo=b"", damage=0):
    """Writes the checksum, which all these messages have at octet 2; `damage` corrupts it."""
    checksum = internet_checksum(pseudo + message) ^ damage
    return message[:2] + struct.pack("!H", checksum) + message[4:]


def igmp(source, destination, message, ttl=1, damage=0, options=ROUTER_ALERT, **wrong):
    return ipv4(source, destination, 2, sealed(message, damage=damage), ttl, options, **wrong)


def v1_report(source, group):
    return igmp(source, group, b"\x12\0\0\0" + address(group), options=b"")


def v2_report(source, group, **options):
    return igmp(source, group, b"\x16\0\0\0" + address(group), **options)


def v2_leave(source, group):
    return igmp(source, "224.0.0.2", b"\x17\0\0\0" + address(group))


def record(kind, group, *sources, auxiliary=b""):
    head = struct.pack("!BBH", kind, len(auxiliary) // 4, len(sources))
    return head + address(group) + b"".join(map(address, sources)) + auxiliary


def v3_report(source, *records, count=None, **options):
    count = len(records) if count is None else count
    message = b"\x22\0\0\0\0\0" + struct.pack("!H", count) + b"".join(records)
    return igmp(source, "224.0.0.22", message, **options)


def mld(source, destination, message, hop_limit=1, damage=0, before=b"", **wrong):
    """Builds an ICMPv6 message behind a hop-by-hop header and the extension headers in `before`, which end in 58."""
    pseudo = address(source) + address(destination) + struct.pack("!II", len(message), 58)
    after = 60 if before else 58
    headers = bytes([after, 0]) + MLD_ALERT + before
    return ipv6(source, destination, 0, headers + sealed(message, pseudo, damage), hop_limit, **wrong)


def mld1(kind, source, group, destination=None, **options):
    """Builds an MLDv1 message: 130 query, 131 report, 132 done."""
    message = struct.pack("!BBHHH", kind, 0, 0, 1000 if kind == 130 else 0, 0) + address(group)
    return mld(source, destination or ("ff02::2" if kind == 132 else group), message, **options)


def mld2(source, *records, count=None, **options):
    count = len(records) if count is None else count
    return mld(source, "ff02::16", b"\x8f\0\0\0\0\0" + struct.pack("!H", count) + b"".join(records), **options)


# ---- links -----------------------------------------------------------------------------------------------


def ethertype(datagram):
    return struct.pack("!H", 0x0800 if datagram[0] >> 4 == 4 else 0x86DD)


def ethernet(datagram, kind=None, pad=True):
    if kind is None and datagram[0] >> 4 == 4 and len(datagram) >= 20:
        destination = b"\x01\0\x5e" + bytes([datagram[17] & 0x7F]) + datagram[18:20]
    elif kind is None and datagram[0] >> 4 == 6 and len(datagram) >= 40:
        destination = b"\x33\x33" + datagram[36:40]
    else:
        destination = b"\xff" * 6
    frame = destination + b"\x02\0\0\0\0\x09" + (kind or ethertype(datagram)) + datagram
    return frame.ljust(60, b"\0") if pad else frame


def tagged(datagram, *tags, types=b""):
    """Builds an Ethernet frame with a tag for each control field: outermost first, of type 802.1Q or of `types`."""
    kinds = [types[n : n + 2] or b"\x81\0" for n in range(0, 2 * len(tags), 2)]
    tail = b"".join(kind + struct.pack("!H", tag) for kind, tag in zip(kinds, tags))
    frame = ethernet(datagram, pad=False)
    return frame[:12] + tail + frame[12:]


def cooked(datagram, kind=2):
    """`kind` is the packet type: 0 to the host, 1 broadcast, 2 multicast, 4 outgoing."""
    return struct.pack("!HHH8s", kind, 1, 6, b"\x02\0\0\0\0\x09") + ethertype(datagram) + datagram


def cooked2(datagram, index=3, kind=2):
    header = struct.pack("!HIHBB8s", 0, index, 1, kind, 6, b"\x02\0\0\0\0\x09")
    return ethertype(datagram) + header + datagram


FRAME = {ETHERNET: ethernet, RAW: lambda datagram: datagram, COOKED: cooked, COOKED2: cooked2}

ARP = ethernet(
    struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + b"\x02\0\0\0\0\x09\xc0\0\x02\x09" + b"\0\0\0\0\0\0\xc0\0\x02\x01",
    kind=b"\x08\x06",
)


# ---- files -----------------------------------------------------------------------------------------------


def pcap(frames, link=ETHERNET, order="<", nano=False):
    """`frames`: (seconds, frame) or (seconds, frame, length on the wire); seconds a float."""
    data = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
    units = 1_000_000_000 if nano else 1_000_000
    for seconds, frame, *length in frames:
        whole, fraction = divmod(round(seconds * units), units)
        data += struct.pack(order + "4I", whole, fraction, len(frame), *(length or [len(frame)])) + frame
    return data


def block(kind, body, order="<"):
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def interface(name=None, link=ETHERNET, order="<", resolution=None, offset=None, snaplen=0, mac=None, fcs=None):
    options = b"" if name is None else option(2, name.encode(), order)
    if mac is not None:
        options += option(6, mac, order)
    if fcs is not None:
        options += option(13, bytes([fcs]), order)
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if offset is not None:
        options += option(14, struct.pack(order + "q", offset), order)
    if options:
        options += option(0, b"", order)
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def packet(index, ticks, frame, order="<", length=None, flags=None):
    """Builds an Enhanced Packet Block; `ticks` has the unit of its interface. `flags`: 1 inbound, 2 outbound."""
    length = len(frame) if length is None else length
    body = struct.pack(order + "5I", index, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length) + frame
    if flags is not None:
        body += b"\0" * (-len(body) % 4) + option(1, b"a comment", order)
        body += option(2, struct.pack(order + "I", flags), order) + option(0, b"", order)
    return block(6, body, order)


def simple_packet(frame, order="<"):
    return block(3, struct.pack(order + "I", len(frame)) + frame, order)


def pcapng(interfaces, frames):
    """`interfaces`: names, or (name, link); `frames`: (interface name, seconds, datagram or frame in `whole`)."""
    described = [(each, ETHERNET) if isinstance(each, str) else each for each in interfaces]
    index = {name: number for number, (name, _) in enumerate(described)}
    data = section() + b"".join(interface(name, link) for name, link in described)
    for name, seconds, content in frames:
        number = index[name]
        if isinstance(content, Whole):
            frame, length, flags = content.frame, content.length, content.flags
        else:
            frame, length, flags = FRAME[described[number][1]](content), None, None
        data += packet(number, round(seconds * 1_000_000), frame, length=length, flags=flags)
    return data


class Whole:
    """A frame with its link header; `captured` cuts it to that many octets."""

    def __init__(self, frame, captured=None, flags=None):
        self.flags = flags
        self.length = len(frame)
        self.frame = frame if captured is None else frame[:captured]
