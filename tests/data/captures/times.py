"""Expiry: memberships after 260 s, entries after 900 s."""

from build import *
from scenes import *


@scene(
    "lapse.pcapng",
    {"control": 8, "forwarded": 6, "no_receivers": 5},
    [f"{S} {G} in:  2", f"{S} {H} in: b 2", f"{S} {SSM} in:  2"],
    [f"b {H}"],
)
def lapse():
    """State that is not renewed within 260 s expires: an EXCLUDE state, an INCLUDE source, one of two hosts."""
    return pcapng(
        ["in", "a", "b"],
        [
            ("a", 0, v2_report(A, G)),
            ("a", 0, v3_report(B, record(ALLOW, SSM, S))),
            ("b", 0, v3_report(C, record(TO_EX, H))),
            ("a", 0, v2_report(A, H)),
            ("in", 259, udp(S, G)),
            ("in", 259, udp(S, SSM)),
            ("in", 259, udp(S, H)),
            ("in", 261, udp(S, G)),
            ("in", 261, udp(S, SSM)),
            ("b", 262, v3_report(C, record(IS_EX, H, T))),
            ("a", 263, v2_report(A, G)),
            ("a", 263, v3_report(B, record(IS_IN, SSM, S))),
            ("in", 264, udp(S, H)),
            ("b", 400, v3_report(C, record(IS_EX, H))),
            ("in", 522, udp(S, G)),
            ("in", 522, udp(S, SSM)),
            ("in", 524, udp(S, G)),
            ("in", 524, udp(S, SSM)),
            ("in", 650, udp(S, G)),
        ],
    )


@scene(
    "no-renewal.pcapng",
    {"control": 3, "forwarded": 1, "no_receivers": 1},
    [f"{S} {G} in:  1"],
)
def no_renewal():
    """ALLOW and BLOCK change the list of an EXCLUDE state and do not renew it."""
    return pcapng(
        ["in", "a"],
        [
            ("a", 0, v3_report(A, record(TO_EX, G, T))),
            ("a", 200, v3_report(A, record(ALLOW, G, T))),
            ("a", 201, v3_report(A, record(BLOCK, G, T))),
            ("in", 259, udp(S, G)),
            ("in", 261, udp(S, G)),
        ],
    )


@scene(
    "entry-timeout.pcapng",
    {"control": 5, "forwarded": 5, "no_receivers": 1, "wrong_interface": 2},
    [f"{S} {G} in: a 5"],
    [f"a {G}"],
)
def entry_timeout():
    """An entry lives 900 s, used or not. The counts of its flow stay, and its source keeps its first interface."""
    reports = [("a", 10 + 200 * n, v2_report(A, G)) for n in range(5)]
    packets = [("in", time, udp(S, G)) for time in (20, 500, 919, 921, 1000)]
    stray = [("a", time, udp(S, G)) for time in (600, 920.5)]
    return pcapng(["in", "a"], sorted(reports + packets + stray + [("in", 30, udp(T, H))], key=lambda frame: frame[1]))


@scene("entry-gone.pcapng", {"control": 1, "forwarded": 1, "not_multicast": 1})
def entry_gone():
    """Nothing is left at the end: an unrelated frame moves the clock past every lifetime."""
    return pcapng(["in", "a"], [("a", 0, v2_report(A, G)), ("in", 1, udp(S, G)), ("in", 902, Whole(ARP))])


@scene(
    "back-in-time.pcapng",
    {"control": 2, "forwarded": 1, "no_receivers": 1},
    [f"{S} {G} in:  1"],
)
def back_in_time():
    """A file may hold an earlier frame behind a later one. The report at 259 s counts before the packet at 261 s."""
    return pcapng(
        ["in", "a"],
        [
            ("a", 0, v2_report(A, G)),
            ("in", 261, udp(S, G)),
            ("a", 259, v2_report(A, G)),
            ("in", 520, udp(S, G)),
        ],
    )
