#!/usr/bin/env python3
"""Computes independently what `mgm forward --json CAPTURE` has to count.

    count.py CAPTURE                        prints one JSON object
    count.py CAPTURE --against REPORT.json  prints where a report differs, in the keys that are known here

Exit status 1 when the capture could not be read to its end, or when there is a difference.

It shares nothing with the Rust code and parses captures, headers and IGMP/MLD messages as the RFCs define them. It is slow
and simple: a router in a loop without tables or timers, which computes everything again for every packet. The keys are those of
`--json` that a quiet run has to get exactly right.

Rules: every capture interface is a router interface with IGMP and MLD; a source is reached through the interface where
its first forwardable packet arrived; an entry lives 900 s; listeners.py has the rules of IGMP and MLD. What the
router sent itself is not received. A datagram that the capture cut off is forwarded if its header is whole.
"""

import argparse
import ipaddress
import json
import struct
import sys
from pathlib import Path

from capture_file import HEADERS, TAGS, Capture
from listeners import Listeners, Malformed, internet_checksum

ENTRY_LIFETIME = 900 * 1_000_000_000

REASONS = (
    "not_multicast",
    "control",
    "link_local",
    "ttl_expired",
    "wrong_interface",
    "no_receivers",
    "malformed",
    "truncated",
    "own",
    "inactive_interface",
    "queue_full",
)

# The link types that this can read, besides those of HEADERS.
READABLE = (0, 12, 14, 101, 108, 228, 229, *HEADERS)


class NotForwarded(Exception):
    """Carries the reason, one of REASONS."""


def network_layer(linktype, data):
    """Returns (4, 6 or None for anything else, the octets behind the link header)."""
    if linktype in (12, 14, 101, 228, 229):
        if not data or data[0] >> 4 not in (4, 6):
            raise NotForwarded("malformed")
        return data[0] >> 4, data
    if linktype not in HEADERS:
        return None, b""
    at, size = HEADERS[linktype]
    if len(data) < size:
        raise NotForwarded("malformed")
    (protocol,) = struct.unpack_from("!H", data, at)
    if protocol in TAGS and len(data) < size + 4:
        raise NotForwarded("malformed")
    return {0x0800: 4, 0x86DD: 6}.get(protocol), data[size:]


class Flow:
    """A (source, group) that had an entry at least once; its counts outlive the entry."""

    def __init__(self):
        self.incoming = None
        self.made = None
        self.packets = self.bytes = self.wrong_interface = 0


class Router:
    def __init__(self):
        self.listeners = Listeners()
        self.now = 0
        self.reached_through = {}  # source: interface
        self.flows = {}  # (source, group): Flow
        self.packets = self.bytes = self.forwarded = self.copies = 0
        self.not_forwarded = dict.fromkeys(REASONS, 0)
        self.received = {}  # interface: frames
        self.own = {}
        self.inactive = {}
        self.sent = {}  # interface: [(source, group, datagram as it came in)]
        self.interfaces = []

    def take(self, frame, interfaces, macs=()):
        self.interfaces = interfaces
        # The timestamps of a capture may go back a little; the clock of a router does not.
        self.now = max(self.now, frame.time or 0)
        self.listeners.expire(self.now)
        self.packets += 1
        self.bytes += frame.length
        try:
            if frame.linktype not in READABLE or frame.refused:
                self.inactive[frame.interface] = self.inactive.get(frame.interface, 0) + 1
                raise NotForwarded("inactive_interface")
            if frame.sent or self.sender(frame) in macs:
                self.own[frame.interface] = self.own.get(frame.interface, 0) + 1
                raise NotForwarded("own")
            self.received[frame.interface] = self.received.get(frame.interface, 0) + 1
            self.receive(frame)
            self.forwarded += 1
        except NotForwarded as reason:
            self.not_forwarded[str(reason)] += 1

    @staticmethod
    def sender(frame):
        """Returns the link-layer address of the sender, if there is one."""
        at = 6
        if frame.linktype == 113 and frame.data[4:6] != b"\0\6":
            return None
        if frame.linktype == 276:
            if frame.data[11:12] != b"\6":
                return None
            at = 12
        return frame.data[at : at + 6] if frame.linktype in HEADERS else None

    def receive(self, frame):
        self.cut = frame.cut
        try:
            version, datagram = network_layer(frame.linktype, frame.data)
        except NotForwarded:
            # All that is wrong with a link header is that it ends early. A bare datagram can have a wrong version.
            short = frame.linktype in HEADERS or not frame.data
            raise NotForwarded("truncated" if frame.cut and short else "malformed") from None
        if version == 4:
            self.ipv4(frame.interface, datagram)
        elif version == 6:
            self.ipv6(frame.interface, datagram)
        else:
            raise NotForwarded("not_multicast")

    def ipv4(self, interface, data):
        self.header(data, 4, 20)
        source, group = data[12:16], data[16:20]
        if not 224 <= group[0] <= 239:
            raise NotForwarded("not_multicast")
        header = (data[0] & 15) * 4
        (total,) = struct.unpack_from("!H", data, 2)
        if header < 20 or header > len(data) + self.cut:
            raise NotForwarded("malformed")
        if header > len(data):
            raise NotForwarded("truncated")
        if total < header or total > len(data) + self.cut:
            raise NotForwarded("malformed")
        if internet_checksum(data[:header]):
            raise NotForwarded("malformed")
        ttl, protocol = data[8], data[9]
        if 224 <= source[0] <= 239 or source == b"\xff\xff\xff\xff" or source[0] == 127:
            raise NotForwarded("malformed")
        if source == bytes(4) and protocol != 2:
            raise NotForwarded("malformed")
        if protocol == 2:
            (fragment,) = struct.unpack_from("!H", data, 6)
            try:
                if fragment & 0x3FFF:  # more fragments, or an offset: only a part of a message
                    raise Malformed
                if total > len(data):
                    raise NotForwarded("truncated")
                self.listeners.igmp(interface, source, ttl, data[header:total], self.now)
            except Malformed:
                raise NotForwarded("malformed") from None
            raise NotForwarded("control")
        if group[:3] == b"\xe0\0\0" or source[:2] == b"\xa9\xfe":
            raise NotForwarded("link_local")
        self.route(interface, source, group, ttl, data[:total], total)

    def ipv6(self, interface, data):
        self.header(data, 6, 40)
        source, group = data[8:24], data[24:40]
        if group[0] != 0xFF:
            raise NotForwarded("not_multicast")
        (payload,) = struct.unpack_from("!H", data, 4)
        if 40 + payload > len(data) + self.cut or source[0] == 0xFF or source == bytes(15) + b"\1":
            raise NotForwarded("malformed")
        hop_limit, is_cut = data[7], 40 + payload > len(data)
        alert = data[6] == 0 and self.router_alert(data[41:])
        try:
            protocol, message, whole = self.upper_layer(data[6], data[40 : 40 + payload])
            if protocol == 58 and not message and whole:
                raise NotForwarded("malformed")
        except NotForwarded:
            raise NotForwarded("truncated" if is_cut else "malformed") from None
        if protocol == 58 and message and message[0] in (130, 131, 132, 143):
            pseudo_header = source + group + struct.pack("!II", len(message), 58)
            try:
                if not whole:
                    raise Malformed
                if is_cut:
                    raise NotForwarded("truncated")
                if internet_checksum(pseudo_header + message):
                    raise Malformed
                self.listeners.mld(interface, source, hop_limit, alert, message, self.now)
            except Malformed:
                raise NotForwarded("malformed") from None
            raise NotForwarded("control")
        local = group[1] & 15 <= 2
        # RFC 4291 section 2.5.2: only a host without an address sends from ::, and only on its link.
        if source == bytes(16) and not (protocol == 58 and local):
            raise NotForwarded("malformed")
        if local or (source[0] == 0xFE and source[1] & 0xC0 == 0x80):
            raise NotForwarded("link_local")
        self.route(interface, source, group, hop_limit, data[: 40 + payload], 40 + payload)

    def header(self, data, version, size):
        """Checks the version, and that the fixed part of the header is there."""
        if data and data[0] >> 4 != version:
            raise NotForwarded("malformed")
        if len(data) < size:
            raise NotForwarded("truncated" if self.cut and len(data) + self.cut >= size else "malformed")

    @staticmethod
    def router_alert(header):
        """Searches the options of a hop-by-hop header, from its length on, for Router Alert with the value of MLD (RFC 2711)."""
        options = header[1 : 7 + 8 * header[0]] if header else b""
        while len(options) >= 2 or options[:1] == b"\0":
            if options[:4] == b"\5\2\0\0":
                return True
            options = options[1 if options[0] == 0 else 2 + options[1] :]
        return False

    @staticmethod
    def upper_layer(protocol, data):
        """Returns (upper-layer protocol, its octets, whether they are complete) behind the extension headers (RFC 8200)."""
        whole = True
        while protocol in (0, 43, 44, 51, 60, 135, 139, 140):
            if len(data) < 8:
                raise NotForwarded("malformed")
            if protocol == 44:
                (offset,) = struct.unpack_from("!H", data, 2)
                size, whole = 8, whole and not offset & 0xFFF9
                if offset & 0xFFF8:  # not the first fragment: the headers came earlier
                    return data[0], b"", False
            else:
                size = (data[1] + 2) * 4 if protocol == 51 else (data[1] + 1) * 8
            if size > len(data):
                raise NotForwarded("malformed")
            protocol, data = data[0], data[size:]
        return protocol, data, whole

    def route(self, interface, source, group, ttl, datagram, length):
        if ttl <= 1:
            raise NotForwarded("ttl_expired")
        self.reached_through.setdefault(source, interface)
        flow = self.flows.setdefault((source, group), Flow())
        if flow.made is None or flow.made + ENTRY_LIFETIME <= self.now:
            flow.made, flow.incoming = self.now, self.reached_through[source]
        if flow.incoming != interface:
            flow.wrong_interface += 1
            raise NotForwarded("wrong_interface")
        outgoing = self.outgoing(source, group, flow)
        if not outgoing:
            raise NotForwarded("no_receivers")
        flow.packets += 1
        flow.bytes += length
        self.copies += len(outgoing)
        for name in outgoing:
            self.sent.setdefault(name, []).append((source, group, datagram))

    def outgoing(self, source, group, flow):
        return [
            name for name in self.interfaces if name != flow.incoming and self.listeners.wanted(name, source, group)
        ]

    def report(self):
        def text(address):
            return None if address is None else str(ipaddress.ip_address(address))

        entries = [
            {
                "source": text(source),
                "group": text(group),
                "incoming": flow.incoming,
                "outgoing": self.outgoing(source, group, flow),
                "packets": flow.packets,
                "octets": flow.bytes,
                "wrong_interface": flow.wrong_interface,
            }
            for (source, group), flow in sorted(self.flows.items(), key=lambda item: (len(item[0][1]), item[0][::-1]))
            if flow.made + ENTRY_LIFETIME > self.now
        ]
        order = {name: index for index, name in enumerate(self.interfaces)}
        memberships = [
            {
                "interface": interface,
                "group": text(group),
                "source": text(source),
                "blocked": [text(each) for each in blocked],
                "protocol": "igmp" if len(group) == 4 else "mld",
            }
            for (interface, group, source), blocked in sorted(
                self.listeners.memberships().items(),
                key=lambda m: (order[m[0][0]], len(m[0][1]), m[0][1], m[0][2] or b""),
            )
        ]
        assert self.packets == self.forwarded + sum(self.not_forwarded.values())
        return {
            "packets": self.packets,
            "octets": self.bytes,
            "forwarded_packets": self.forwarded,
            "copies": self.copies,
            "not_forwarded": self.not_forwarded,
            "interfaces": [
                {
                    "name": name,
                    "received": self.received.get(name, 0),
                    "transmitted": len(self.sent.get(name, [])),
                    "own": self.own.get(name, 0),
                    "inactive": self.inactive.get(name, 0),
                }
                for name in self.interfaces
            ],
            "entries": entries,
            "memberships": memberships,
        }


def differences(mine, other, where=""):
    """Yields where two reports differ, in the keys of `mine`. The order of entries and memberships is not compared."""
    if isinstance(mine, dict) and isinstance(other, dict):
        for key in mine:
            yield from differences(mine[key], other.get(key), f"{where}.{key}" if where else key)
    elif isinstance(mine, list) and isinstance(other, list) and where in ("entries", "memberships"):
        mine, other = ([json.dumps(each, sort_keys=True) for each in side] for side in (mine, other))
        yield from (f"{where}: only counted {each}" for each in mine if each not in other)
        yield from (f"{where}: only reported {each}" for each in other if each not in mine)
        if len(other) != len(set(other)):
            yield f"{where}: an element is reported twice"
    elif mine != other:
        yield f"{where}: counted {mine}, reported {other}"


def main():
    parser = argparse.ArgumentParser(description="Counts what a multicast router has to do with a capture.")
    parser.add_argument("capture")
    parser.add_argument("--against", metavar="REPORT.json", type=Path)
    options = parser.parse_args()
    capture, router = Capture(options.capture), Router()
    for frame in capture:
        router.take(frame, capture.names, capture.macs)
    router.interfaces = capture.names
    if options.against:
        found = list(differences(router.report(), json.loads(options.against.read_text())))
        print("\n".join(found) or "no difference")
    else:
        found = []
        print(json.dumps(router.report(), indent=2))
    if capture.error:
        sys.exit(f"{options.capture}: {capture.error}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
