"""The listeners: IGMPv1, v2, v3 and MLDv1, v2, tracking every reporting host.

Written from RFC 1112 appendix I, RFC 2236, RFC 2710, RFC 3376 and RFC 3810. Addresses are four or sixteen octets; time is in nanoseconds.
"""

import struct

MEMBERSHIP_INTERVAL = 260 * 1_000_000_000  # RFC 3376 section 8.4: 2 * 125 s + 10 s

IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = 1, 2, 3, 4, 5, 6


class Malformed(Exception):
    pass


def internet_checksum(data):
    """Computes the checksum of RFC 1071. It is zero over data that contains its own correct checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def is_group(address):
    return address[0] == 0xFF if len(address) == 16 else 224 <= address[0] <= 239


class Host:
    """The state of one host for one group on one interface."""

    def __init__(self):
        self.exclude_until = None  # the end of EXCLUDE mode; None in INCLUDE mode
        self.excluded = set()
        self.included = {}  # source: its end

    def expire(self, now):
        if self.exclude_until is not None and self.exclude_until <= now:
            self.exclude_until, self.excluded = None, set()
        self.included = {source: until for source, until in self.included.items() if until > now}

    def empty(self):
        return self.exclude_until is None and not self.included

    def record(self, kind, sources, now):
        until = now + MEMBERSHIP_INTERVAL
        excluding = self.exclude_until is not None
        if kind in (IS_EX, TO_EX):
            self.exclude_until, self.excluded, self.included = until, set(sources), {}
        elif kind == TO_IN or (kind == IS_IN and excluding):
            # A host that reports IS_IN is in INCLUDE mode, so its change to that mode was lost.
            self.exclude_until, self.excluded = None, set()
            self.included = {source: until for source in sources}
        elif kind == IS_IN or (kind == ALLOW and not excluding):
            self.included.update({source: until for source in sources})
        elif kind == ALLOW:
            self.excluded -= set(sources)
        elif kind == BLOCK and excluding:
            self.excluded |= set(sources)
        elif kind == BLOCK:
            for source in sources:
                self.included.pop(source, None)


class Listeners:
    def __init__(self):
        self.hosts = {}  # (interface, group): {host address: Host}

    def expire(self, now):
        for key in list(self.hosts):
            for address in list(self.hosts[key]):
                self.hosts[key][address].expire(now)
            self._tidy(key)

    def _tidy(self, key):
        hosts = {address: host for address, host in self.hosts.get(key, {}).items() if not host.empty()}
        if hosts:
            self.hosts[key] = hosts
        else:
            self.hosts.pop(key, None)

    def _record(self, interface, address, group, kind, sources, now):
        if not is_group(group):
            return
        key = (interface, group)
        self.hosts.setdefault(key, {}).setdefault(address, Host()).record(kind, sources, now)
        self._tidy(key)

    def _leave(self, interface, address, group):
        self.hosts.get((interface, group), {}).pop(address, None)
        self._tidy((interface, group))

    def igmp(self, interface, address, message, now):
        """Processes an IGMP message of a host. A malformed one raises before anything has changed."""
        if len(message) < 8 or internet_checksum(message):
            raise Malformed
        kind, group = message[0], message[4:8]
        if kind == 0x11:
            self._query(message, short=8, long=12, address_size=4)
        elif kind in (0x12, 0x16):
            self._record(interface, address, group, IS_EX, [], now)
        elif kind == 0x17:
            self._leave(interface, address, group)
        elif kind == 0x22:
            for record in self._records(message, 4):
                self._record(interface, address, *record, now)

    def mld(self, interface, address, hop_limit, message, now):
        """Processes an MLD message with a verified ICMPv6 checksum. A malformed one raises before anything has changed."""
        kind = message[0]
        if len(message) < (8 if kind == 143 else 24):
            raise Malformed
        # RFC 2710 section 5, RFC 3810 sections 5.2.13 and 5.2.14.
        trusted = hop_limit == 1 and address[0] == 0xFE and address[1] & 0xC0 == 0x80
        if kind == 130:
            self._query(message, short=24, long=28, address_size=16)
        elif kind == 143:
            records = self._records(message, 16)
            for record in records if trusted else []:
                self._record(interface, address, *record, now)
        elif trusted and kind == 131:
            self._record(interface, address, message[8:24], IS_EX, [], now)
        elif trusted and kind == 132:
            self._leave(interface, address, message[8:24])

    @staticmethod
    def _query(message, short, long, address_size):
        # RFC 3376 section 7.1, RFC 3810 section 8.1: no version has a length between the two.
        if len(message) == short:
            return
        if len(message) < long:
            raise Malformed
        (count,) = struct.unpack_from("!H", message, long - 2)
        if len(message) < long + count * address_size:
            raise Malformed

    @staticmethod
    def _records(message, address_size):
        (count,) = struct.unpack_from("!H", message, 6)
        at, records = 8, []
        for _ in range(count):
            if at + 4 + address_size > len(message):
                raise Malformed
            kind, auxiliary, sources = struct.unpack_from("!BBH", message, at)
            at += 4
            group = message[at : at + address_size]
            at += address_size
            end = at + sources * address_size
            if end + auxiliary * 4 > len(message):
                raise Malformed
            records.append((group, kind, [message[i : i + address_size] for i in range(at, end, address_size)]))
            at = end + auxiliary * 4
        return records

    def wanted(self, interface, source, group):
        for host in self.hosts.get((interface, group), {}).values():
            if source in host.included or (host.exclude_until is not None and source not in host.excluded):
                return True
        return False

    def memberships(self):
        """Returns each (interface, group, source or None) once."""
        found = set()
        for (interface, group), hosts in self.hosts.items():
            for host in hosts.values():
                if host.exclude_until is not None:
                    found.add((interface, group, None))
                found.update((interface, group, source) for source in host.included)
        return found
