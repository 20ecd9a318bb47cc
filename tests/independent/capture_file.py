"""Reads frames from pcap and pcapng files with the standard library only, and orders them by time.

VLANs and the interface indices of cooked headers (version 2) are interfaces of their own; frames come without tags and without
frame check sequences.

`error` is the reason why the file
could not be read to its end, or None. Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

# A longer record counts as garbage: no capture tool writes larger packets (libpcap's MAXIMUM_SNAPLEN).
LONGEST_FRAME = 262144


@dataclass
class Interface:
    name: str
    linktype: int
    snaplen: int = 0
    units: int = 1_000_000  # timestamp units in a second
    offset: int = 0  # seconds to add
    fcs: int = 0  # octets of the frame check sequence
    mac: bytes = b""


@dataclass
class Frame:
    interface: str
    linktype: int
    time: int | None  # nanoseconds since 1970; None in a Simple Packet Block
    length: int  # on the wire
    data: bytes  # as captured
    cut: int = 0  # octets that the capture cut off
    sent: bool = False  # by the system that made the capture
    refused: bool = False  # of an interface for which there is no room


class Broken(Exception):
    pass


# The offset of the protocol and the length of the header: LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2.
HEADERS = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
TAGS = (0x8100, 0x88A8, 0x9100)
MOST_FROM_FRAMES = 4096
DAY = 24 * 60 * 60 * 1_000_000_000


def without_tags(linktype, data):
    """Returns the names of the VLANs, at most two, and the frame without their tags."""
    vlans = []
    if linktype not in HEADERS or len(data) < HEADERS[linktype][1]:
        return vlans, data
    at, size = HEADERS[linktype]
    while len(data) >= size + 4 and struct.unpack_from("!H", data, at)[0] in TAGS:
        vlan, kind = struct.unpack_from("!HH", data, size)
        vlan &= 0xFFF
        if vlan and len(vlans) == 2:
            break
        vlans += [str(vlan)] if vlan else []
        header = data[:at] + struct.pack("!H", kind) + data[at + 2 : size]
        data = header + data[size + 4 :]
    return vlans, data


def in_order(frames):
    """Orders frames by time. The few with a time more than a day from all others get the time of the frame before them."""
    last = 0
    for frame in frames:
        last = frame.time = last if frame.time is None else frame.time
    groups = []
    for time in sorted(frame.time for frame in frames):
        if groups and time - groups[-1][-1] <= DAY:
            groups[-1].append(time)
        else:
            groups.append([time])
    most = max(map(len, groups), default=0)
    odd = {
        time
        for group in groups
        if (len(group) == 1 and most > 1) or (1 < len(group) <= 100 and 4 * len(group) <= most)
        for time in group
    }
    before = min((frame.time for frame in frames if frame.time not in odd), default=0)
    for frame in frames:
        if frame.time in odd:
            frame.time = before
        before = frame.time
    return sorted(frames, key=lambda frame: frame.time)


class Capture:
    def __init__(self, path):
        self.data = Path(path).read_bytes()
        self.names: list[str] = []  # router interfaces, in order of appearance
        self.macs: set[bytes] = set()  # the router's addresses
        self.from_frames: set[str] = set()
        self.error: str | None = None

    def __iter__(self):
        frames = []
        try:
            if len(self.data) < 4:
                raise Broken("no capture file: too short")
            (magic,) = struct.unpack_from("<I", self.data)
            for frame in self._pcapng() if magic == 0x0A0D0D0A else self._pcap():
                frames.append(frame)
        except Broken as broken:
            self.error = str(broken)
        yield from in_order(frames)

    def _frame(self, interface, time, length, data, flags=0):
        fcs = min(flags >> 5 & 15 or interface.fcs, 4)
        whole = length - fcs if length >= fcs else length
        data = data[:whole] if fcs else data
        cut = max(whole - len(data), 0)
        kind, name = interface.linktype, interface.name
        sent = flags & 3 == 2 or (kind == 113 and data[:2] == b"\0\4") or (kind == 276 and data[10:11] == b"\4")
        if kind == 276 and len(data) >= 20:
            name += f":{struct.unpack_from('!I', data, 4)[0]}"
        vlans, data = without_tags(kind, data)
        name = ".".join([name, *vlans])
        refused = False
        if name != interface.name and name not in self.from_frames:
            refused = len(self.from_frames) == MOST_FROM_FRAMES
            if refused:
                name = interface.name
            else:
                self.from_frames.add(name)
        return Frame(self._name(name), kind, time, length, data, cut, sent, refused)

    def _name(self, name):
        if name not in self.names:
            self.names.append(name)
        return name

    def _pcap(self):
        formats = {
            b"\xd4\xc3\xb2\xa1": ("<", 1_000),
            b"\xa1\xb2\xc3\xd4": (">", 1_000),
            b"\x4d\x3c\xb2\xa1": ("<", 1),
            b"\xa1\xb2\x3c\x4d": (">", 1),
        }
        if self.data[:4] not in formats:
            raise Broken("neither pcap nor pcapng")
        order, nanoseconds = formats[self.data[:4]]
        if len(self.data) < 24:
            raise Broken("the file header is cut")
        (link,) = struct.unpack_from(order + "I", self.data, 20)
        kind = link & 0xFFFF
        interface = Interface("any" if kind == 276 else self._name("if0"), kind)
        if link & 1 << 26:
            interface.fcs = 2 * (link >> 28)
        at = 24
        while at < len(self.data):
            if at + 16 > len(self.data):
                raise Broken("a record header is cut")
            seconds, fraction, captured, length = struct.unpack_from(order + "4I", self.data, at)
            at += 16
            if captured > LONGEST_FRAME:
                raise Broken("a record cannot be that long")
            if at + captured > len(self.data):
                raise Broken("a record is cut")
            time = seconds * 1_000_000_000 + fraction * nanoseconds
            yield self._frame(interface, time, length, self.data[at : at + captured])
            at += captured

    def _pcapng(self):
        at, order = 0, None
        interfaces: list[Interface] = []
        while at < len(self.data):
            if at + 12 > len(self.data):
                raise Broken("a block header is cut")
            if self.data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
                order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(self.data[at + 8 : at + 12])
                if order is None:
                    raise Broken("a section header without a byte order")
                interfaces = []
            kind, size = struct.unpack_from(order + "2I", self.data, at)
            if size < 12 or size % 4:
                raise Broken("a block cannot have that length")
            if at + size > len(self.data):
                raise Broken("a block is cut")
            if struct.unpack_from(order + "I", self.data, at + size - 4)[0] != size:
                raise Broken("a block's two lengths differ")
            body = self.data[at + 8 : at + size - 4]
            at += size
            if kind == 1:
                interfaces.append(self._description(body, order, len(interfaces)))
            elif kind in (2, 3, 6):
                yield self._packet(kind, body, order, interfaces)

    def _description(self, body, order, index):
        if len(body) < 8:
            raise Broken("an interface description is cut")
        linktype, _, snaplen = struct.unpack_from(order + "2HI", body)
        interface = Interface("any" if linktype == 276 else f"if{index}", linktype, snaplen)
        at = 8
        while at + 4 <= len(body):
            code, length = struct.unpack_from(order + "2H", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0:
                break
            if code == 2 and value.split(b"\0")[0]:
                interface.name = value.split(b"\0")[0].decode("utf-8", "replace")
            elif code == 6 and any(value) and not value[0] & 1:
                self.macs.add(value)
            elif code == 13:
                interface.fcs = value[0]
            elif code == 9:
                exponent = value[0] & 0x7F
                interface.units = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == 14:
                (interface.offset,) = struct.unpack(order + "q", value)
            at += 4 + (length + 3) // 4 * 4
        if linktype != 276:
            self._name(interface.name)
        return interface

    def _packet(self, kind, body, order, interfaces):
        if kind == 3:
            if len(body) < 4 or not interfaces:
                raise Broken("a simple packet without an interface")
            interface, time, start = interfaces[0], None, 4
            (length,) = struct.unpack_from(order + "I", body)
            captured = min(length, interface.snaplen or length)
        else:
            if len(body) < 20:
                raise Broken("a packet block is cut")
            # The obsolete Packet Block differs in one thing: half of its interface field counts drops.
            fields = "2H4I" if kind == 2 else "5I"
            index, *_, high, low, captured, length = struct.unpack_from(order + fields, body)
            if index >= len(interfaces):
                raise Broken("a packet of an interface that was never described")
            interface, start = interfaces[index], 20
            time = (high << 32 | low) * 1_000_000_000 // interface.units + interface.offset * 1_000_000_000
        if start + captured > len(body):
            raise Broken("a packet is longer than its block")
        options = body[start + (captured + 3) // 4 * 4 :] if kind != 3 else b""
        return self._frame(interface, time, length, body[start : start + captured], self._flags(options, order))

    @staticmethod
    def _flags(options, order):
        while len(options) >= 4:
            code, length = struct.unpack_from(order + "2H", options)
            if code == 0:
                break
            if code == 2 and length == 4 and len(options) >= 8:
                return struct.unpack_from(order + "I", options, 4)[0]
            options = options[4 + (length + 3) // 4 * 4 :]
        return 0
