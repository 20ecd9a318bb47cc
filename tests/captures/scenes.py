"""What all scenes share: their register, and who is in them."""

A, B, C = "192.0.2.2", "192.0.2.3", "192.0.2.4"  # hosts
S, T = "198.51.100.1", "198.51.100.2"  # sources
G, H = "239.1.1.1", "239.2.2.2"
SSM = "232.1.1.1"
A6, B6 = "fe80::a", "fe80::b"
S6, T6 = "2001:db8::1", "2001:db8::2"
G6, H6 = "ff15::1", "ff15::2"

SCENES = {}


def scene(file, counts, entries=(), memberships=()):
    """A decorator: the function's bytes are the file, and these are its counts, worked out by hand.

    counts         what becomes of the packets, `outcome: number`; None: no frame can be read
    entries        those at the end, as "source group incoming: outgoing packets"
    memberships    those at the end, as "interface group" or "interface group source"
    """

    def keep(function):
        SCENES[file] = (function, counts, sorted(entries), sorted(memberships))
        return function

    return keep
