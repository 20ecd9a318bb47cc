"""The listeners: IGMPv1, v2, v3 and MLDv1, v2, as a router that listens beside the querier sees them.

Written from RFC 1112 appendix I, RFC 2236, RFC 2710, RFC 3376 and RFC 3810. Addresses are four or sixteen octets; time is in
nanoseconds.

Where a querier is heard, the tables of RFC 3376 section 6 decide, and its specific queries end what was left. Where none is
heard, the state of every reporting host is tracked, and a leave acts at once. In a group with hosts of older versions,
neighbours may have suppressed their reports: such a leave takes two seconds, unless the first report came less than one ago.
"""

import struct

SECOND = 1_000_000_000

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


def is_source_specific(group):
    return (group[0] == 0xFF and group[1] >> 4 == 3 and not any(group[2:4])) if len(group) == 16 else group[0] == 232


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

    def record(self, kind, sources, until):
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


def floating(code, point):
    """RFC 3376 section 4.1.1, RFC 3810 section 5.1.3: a code of `point` bits of value, or a mantissa with an exponent."""
    if code < 1 << point:
        return code
    bits = 4 if point == 7 else 12
    return ((code & (1 << bits) - 1) | 1 << bits) << ((code >> bits & 7) + 3)


class Link:
    """What is known of the querier of an interface."""

    def __init__(self):
        self.querier, self.querier_until = None, 0
        self.robustness, self.interval, self.response = 2, 125 * SECOND, 10 * SECOND

    def expire(self, now):
        if self.querier_until <= now:
            self.__init__()

    def heard(self):
        return self.querier_until > 0

    def membership_interval(self):  # RFC 3376 section 8.4
        return self.robustness * self.interval + self.response

    def hear(self, address, response, robustness, interval, now):
        """The querier with the lowest address is elected; one without an address loses (RFC 3376 section 6.6.2)."""
        rank = (not any(address), address)
        if self.querier is not None and rank > self.querier:
            return
        self.querier = rank
        self.robustness = robustness or 2
        self.interval = interval * SECOND or 125 * SECOND
        if response is not None:
            self.response = response
        self.querier_until = now + self.robustness * self.interval + self.response // 2


class Group:
    """The state of a group on an interface: RFC 3376 section 6.2. In EXCLUDE, `sources` are those requested."""

    def __init__(self):
        self.exclude_until = None
        self.sources, self.named, self.blocked = {}, set(), set()
        self.older = {1: 0, 2: 0}  # until when hosts of these versions are present
        self.older_since = None
        self.hosts = {}
        self.pieces = {}  # host: (whether it excludes, sources, time) of its last list

    def version(self, now):
        return next((version for version in (1, 2) if self.older[version] > now), 3)

    def expire(self, now):
        gone = [source for source, until in self.sources.items() if until <= now]
        for source in gone:
            del self.sources[source]
        if self.exclude_until is not None:
            self.blocked.update(gone)
            if self.exclude_until <= now:
                self.exclude_until, self.blocked = None, set()
        self.named &= set(self.sources)
        for address in list(self.hosts):
            self.hosts[address].expire(now)
            if self.hosts[address].empty():
                del self.hosts[address]

    def empty(self):
        return self.exclude_until is None and not self.sources

    def row(self, kind, listed, until):
        """Applies a row of the tables of section 6.4. Returns the sources to ask about, and whether to ask about the group."""
        listed, mine, ask, ask_group = set(listed), set(self.sources), set(), False
        if kind in (IS_EX, TO_EX):
            if self.exclude_until is None:
                keep, new, self.blocked = mine & listed, {}, listed - mine
                ask = keep
            else:
                before = self.exclude_until
                keep = mine & listed
                fresh = listed - mine - self.blocked
                new = dict.fromkeys(fresh, until if kind == IS_EX else before)
                self.blocked &= listed
                ask = listed - self.blocked
            self.sources = {source: self.sources[source] for source in keep} | new
            self.exclude_until = until
            return (ask if kind == TO_EX else set()), False
        if kind in (IS_IN, ALLOW, TO_IN):
            if kind == TO_IN:
                ask, ask_group = mine - listed, self.exclude_until is not None
            self.sources |= dict.fromkeys(listed, until)
            self.named |= listed
            self.blocked -= listed
        elif kind == BLOCK and self.exclude_until is None:
            ask = mine & listed
        elif kind == BLOCK:
            fresh = listed - mine - self.blocked
            self.sources |= dict.fromkeys(fresh, self.exclude_until)
            ask = listed - self.blocked
        return ask, ask_group

    def united(self, address, kind, sources, now):
        """A list that comes in pieces: include lists within a second, exclude lists within a tenth of one."""
        sources, last = set(sources), self.pieces.pop(address, None)
        excludes = kind in (IS_EX, TO_EX)
        if not sources or not (kind == TO_IN or (excludes and any(address))):
            return sources
        if last and last[0] == excludes and now - last[2] <= (SECOND // 10 if excludes else SECOND):
            sources |= last[1]
        self.pieces[address] = (excludes, sources, now)
        return sources

    def cut_to_hosts(self):
        """Makes the state what the tracked hosts want."""
        excluding = [host for host in self.hosts.values() if host.exclude_until is not None]
        self.sources = {}
        for host in self.hosts.values():
            for source, until in host.included.items():
                self.sources[source] = max(until, self.sources.get(source, 0))
        self.named = set(self.sources)
        self.exclude_until = max((host.exclude_until for host in excluding), default=None)
        self.blocked = set.intersection(*(host.excluded for host in excluding)) if excluding else set()
        self.blocked -= self.named

    def lower(self, ask, ask_group, until):
        if ask_group and self.exclude_until is not None:
            self.exclude_until = min(self.exclude_until, until)
        for source in ask & set(self.sources):
            self.sources[source] = min(self.sources[source], until)


class Listeners:
    def __init__(self):
        self.groups = {}  # (interface, group): Group
        self.links = {}  # (interface, address size): Link

    def expire(self, now):
        for link in self.links.values():
            link.expire(now)
        for key in list(self.groups):
            self.groups[key].expire(now)
            self._tidy(key)

    def _tidy(self, key):
        if key in self.groups and self.groups[key].empty():
            del self.groups[key]

    def _link(self, interface, group):
        return self.links.setdefault((interface, len(group)), Link())

    def _older(self, interface, address, group, version, now):
        """A report of IGMPv1, IGMPv2 or MLDv1 is IS_EX {} (RFC 3376 section 7.3.2)."""
        if is_group(group) and not is_source_specific(group):
            until = now + self._link(interface, group).membership_interval()
            state = self.groups.setdefault((interface, group), Group())
            if state.version(now) == 3:
                state.older_since = now
            state.older[version] = until
            self._apply(interface, address, group, IS_EX, [], now)

    def _leave(self, interface, address, group, now):
        if is_group(group) and not is_source_specific(group):
            self._record(interface, address, group, TO_IN, [], now)

    def _record(self, interface, address, group, kind, sources, now):
        if not is_group(group) or kind not in (IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK):
            return
        if kind in (IS_EX, TO_EX) and is_source_specific(group):
            return
        state = self.groups.get((interface, group))
        version = state.version(now) if state else 3
        if (version < 3 and kind == BLOCK) or (version == 1 and kind == TO_IN):
            return
        if version < 3 and kind == TO_EX:
            sources = []
        self._apply(interface, address, group, kind, sources, now)

    def _apply(self, interface, address, group, kind, sources, now):
        key, link = (interface, group), self._link(interface, group)
        if key not in self.groups and not (kind in (IS_EX, TO_EX) or (kind != BLOCK and sources)):
            return
        state = self.groups.setdefault(key, Group())
        until = now + link.membership_interval()
        united = state.united(address, kind, sources, now)
        # The tables unite include lists by themselves.
        ask, ask_group = state.row(kind, sources if kind == TO_IN else united, until)
        state.hosts.setdefault(address, Host()).record(kind, united, until)
        if state.hosts[address].empty():
            del state.hosts[address]
        if not link.heard():
            # Within a second of its first report, a host of an older version has suppressed no other's.
            fresh = state.older_since is not None and now - state.older_since < SECOND
            if state.version(now) == 3 or fresh:
                state.cut_to_hosts()
            elif kind in (TO_IN, BLOCK, TO_EX):
                excluded = any(host.exclude_until is not None for host in state.hosts.values())
                included = {source for host in state.hosts.values() for source in host.included}
                state.lower(ask - included, not excluded, now + 2 * SECOND)
        self._tidy(key)

    def _query(self, interface, address, group, code, now, short, extra):
        """`extra` is what a query of version 3 has behind the group: flags, query interval code and sources."""
        point, unit = (7, SECOND // 10) if len(group) == 4 else (15, SECOND // 1000)
        if extra is None:
            response = code * unit or 10 * SECOND
            flags, interval, sources = 0, 0, []
        else:
            response = floating(code, point) * unit
            flags, interval, sources = extra
        link = self._link(interface, group)
        general = not any(group)
        link.hear(address, response if general else None, flags & 7, floating(interval, 7), now)
        state = self.groups.get((interface, group))
        if not general and state and not flags & 8:
            until = now + response * link.robustness
            state.lower(set(sources), not sources, until)

    def igmp(self, interface, address, ttl, message, now):
        """Processes an IGMP message of a host. A malformed one raises before anything has changed."""
        if len(message) < 8 or internet_checksum(message):
            raise Malformed
        kind, group = message[0], message[4:8]
        records = self._records(message, 4) if kind == 0x22 else []
        extra = self._version_3(message, short=8, long=12, address_size=4) if kind == 0x11 else None
        if ttl != 1:  # RFC 3376 section 4
            return
        if kind == 0x11:
            self._query(interface, address, group, message[1], now, 8, extra)
        elif kind in (0x12, 0x16):
            self._older(interface, address, group, 1 if kind == 0x12 else 2, now)
        elif kind == 0x17:
            self._leave(interface, address, group, now)
        for record in records:
            self._record(interface, address, *record, now)

    def mld(self, interface, address, hop_limit, alert, message, now):
        """Processes an MLD message with a verified ICMPv6 checksum. A malformed one raises before anything has changed."""
        kind = message[0]
        if len(message) < (8 if kind == 143 else 24):
            raise Malformed
        records = self._records(message, 16) if kind == 143 else []
        extra = self._version_3(message, short=24, long=28, address_size=16) if kind == 130 else None
        # RFC 2710 section 5, RFC 3810 sections 5.2.13, 5.2.14 and 7.4.
        if hop_limit != 1 or not alert or address[0] != 0xFE or address[1] & 0xC0 != 0x80:
            return
        group = message[8:24]
        if kind == 130:
            (code,) = struct.unpack_from("!H", message, 4)
            self._query(interface, address, group, code, now, 24, extra)
        elif kind == 131:
            self._older(interface, address, group, 2, now)
        elif kind == 132:
            self._leave(interface, address, group, now)
        for record in records:
            self._record(interface, address, *record, now)

    @staticmethod
    def _version_3(message, short, long, address_size):
        # RFC 3376 section 7.1, RFC 3810 section 8.1: no version has a length between the two.
        if len(message) == short:
            return None
        if len(message) < long:
            raise Malformed
        flags, interval, count = struct.unpack_from("!BBH", message, long - 4)
        end = long + count * address_size
        if len(message) < end:
            raise Malformed
        return flags, interval, [message[at : at + address_size] for at in range(long, end, address_size)]

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
        state = self.groups.get((interface, group))
        if state is None:
            return False
        return source in state.sources if state.exclude_until is None else source not in state.blocked

    def memberships(self):
        """Returns each (interface, group, source or None) once, with the blocked sources."""
        found = {}
        for (interface, group), state in self.groups.items():
            if state.exclude_until is not None:
                found[interface, group, None] = sorted(state.blocked)
            sources = state.sources if state.exclude_until is None else state.named
            found.update({(interface, group, source): [] for source in sources})
        return found
