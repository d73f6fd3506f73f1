"""Hold the coverage of each room at its mark.

Arguments: what ``coverage json`` wrote, and the marks: an ini file, for each room the files that
belong to it (below the package, as patterns) and the percentage of lines and branches together
that the tests must reach. A file of no room counts for "the rest".
"""

from __future__ import annotations

import configparser
import json
import sys
from fnmatch import fnmatch


def main(report: str, marks: str) -> int:
    """0 if every room is at its mark."""
    with open(report, encoding="utf-8") as file:
        files = json.load(file)["files"]
    rooms = configparser.ConfigParser()
    rooms.read(marks, encoding="utf-8")
    counts = {room: [0, 0] for room in rooms.sections()}
    for path, found in files.items():
        summary = found["summary"]
        count = counts[_room(path.rpartition("/streamsafe/")[2], rooms)]
        count[0] += summary["covered_lines"] + summary["covered_branches"]
        count[1] += summary["num_statements"] + summary["num_branches"]
    status = 0
    for room, (covered, there) in counts.items():
        reached, mark = 100 * covered / max(there, 1), rooms[room].getfloat("mark")
        verdict = "" if reached >= mark else "  BELOW"
        status = status or int(reached < mark)
        print(f"{room:12} {reached:6.2f} % of {there:5} (mark {mark:g}){verdict}")
    return status


def _room(path: str, rooms: configparser.ConfigParser) -> str:
    for room in rooms.sections():
        if any(fnmatch(path, pattern) for pattern in rooms[room]["files"].split()):
            return room
    raise SystemExit(f"{path} belongs to no room")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
