"""The register of scenes, and the addresses that they share."""

A, B, C = "192.0.2.2", "192.0.2.3", "192.0.2.4"  # hosts
S, T = "198.51.100.1", "198.51.100.2"  # sources
G, H = "239.1.1.1", "239.2.2.2"
SSM = "232.1.1.1"
A6, B6 = "fe80::a", "fe80::b"
S6, T6 = "2001:db8::1", "2001:db8::2"
G6, H6 = "ff15::1", "ff15::2"

SCENES = {}


def scene(file, counts, entries=(), memberships=()):
    """Registers the decorated function, which returns the octets of `file`, with its counts, worked out by hand.

    counts         the outcomes of the packets, `outcome: number`; None if no frame can be read
    entries        those at the end, as "source group incoming: outgoing packets"
    memberships    those at the end, as "interface group" or "interface group source"
    """

    def keep(function):
        SCENES[file] = (function, counts, sorted(entries), sorted(memberships))
        return function

    return keep
