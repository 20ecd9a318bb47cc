#!/usr/bin/env python3
"""Makes the captures in this directory, and NAME.json with the expected counts of each.

    make.py             writes them
    make.py --check     exits with status 1 if the files differ from what this script makes

Each capture is one scene: a function in containers.py, times.py, taken.py, reports.py or packets.py, with its counts, worked
out by hand. tests/independent/count.py computes them again and writes the JSON; both have to agree.
"""

import json
import sys
from pathlib import Path

import build  # noqa: F401  finds tests/independent
import containers  # noqa: F401
import packets  # noqa: F401
import reports  # noqa: F401
import taken  # noqa: F401
import times  # noqa: F401
from capture_file import Capture
from count import Router
from scenes import SCENES

HERE = Path(__file__).parent


def counted(path):
    capture, router = Capture(path), Router()
    for frame in capture:
        router.take(frame, capture.names, capture.macs)
    router.interfaces = capture.names
    return router.report(), capture.error


def complaints(file, report, error, counts, entries, memberships):
    """Yields the differences between count.py and the counts written by hand."""
    broken = file.startswith(("cut", "garbage", "empty"))
    if bool(error) != broken:
        yield f"read to its end: {error or 'yes'}"
    found = {"forwarded": report["forwarded_packets"]} | report["not_forwarded"]
    found = {name: number for name, number in found.items() if number}
    if found != (counts or {}):
        yield f"counts {found}, by hand {counts}"
    found = sorted(
        f"{e['source']} {e['group']} {e['incoming']}: {' '.join(e['outgoing'])} {e['packets']}"
        for e in report["entries"]
    )
    if found != entries:
        yield f"entries {found}, by hand {entries}"
    found = sorted(" ".join(filter(None, (m["interface"], m["group"], m["source"]))) for m in report["memberships"])
    if found != memberships:
        yield f"memberships {found}, by hand {memberships}"


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    failed = False
    for file, (function, counts, entries, memberships) in SCENES.items():
        path, data = HERE / file, function()
        if not check:
            path.write_bytes(data)
        elif not path.exists() or path.read_bytes() != data:
            print(f"{file} differs from what make.py makes")
            failed = True
            continue
        report, error = counted(path)
        for complaint in complaints(file, report, error, counts, entries, memberships):
            print(f"{file}: {complaint}")
            failed = True
        text, expected = json.dumps(report, indent=2) + "\n", HERE / f"{file}.json"
        if not check:
            expected.write_text(text)
        elif not expected.exists() or expected.read_text() != text:
            print(f"{expected.name} differs from what count.py counts")
            failed = True
    known = (
        {name for file in SCENES for name in (file, f"{file}.json")}
        | {"README.md"}
        | {path.name for path in HERE.glob("*.py")}
    )
    for unknown in sorted(path.name for path in HERE.iterdir() if path.is_file() and path.name not in known):
        print(f"{unknown}: make.py does not make this file")
        failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
