"""Reads frames from pcap and pcapng files with the standard library only.

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


@dataclass
class Frame:
    interface: str
    linktype: int
    time: int | None  # nanoseconds since 1970; None in a Simple Packet Block
    length: int  # on the wire
    data: bytes  # as captured


class Broken(Exception):
    pass


class Capture:
    def __init__(self, path):
        self.data = Path(path).read_bytes()
        self.names: list[str] = []  # router interfaces, in order of appearance
        self.error: str | None = None

    def __iter__(self):
        try:
            if len(self.data) < 4:
                raise Broken("no capture file: too short")
            (magic,) = struct.unpack_from("<I", self.data)
            if magic == 0x0A0D0D0A:
                yield from self._pcapng()
            else:
                yield from self._pcap()
        except Broken as broken:
            self.error = str(broken)

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
        interface = Interface(self._name("if0"), link & 0xFFFF)
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
            yield Frame(interface.name, interface.linktype, time, length, self.data[at : at + captured])
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
        interface = Interface(f"if{index}", linktype, snaplen)
        at = 8
        while at + 4 <= len(body):
            code, length = struct.unpack_from(order + "2H", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0:
                break
            if code == 2 and value.rstrip(b"\0"):
                interface.name = value.rstrip(b"\0").decode("utf-8", "replace")
            elif code == 9:
                exponent = value[0] & 0x7F
                interface.units = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == 14:
                (interface.offset,) = struct.unpack(order + "q", value)
            at += 4 + (length + 3) // 4 * 4
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
        return Frame(interface.name, interface.linktype, time, length, body[start : start + captured])
