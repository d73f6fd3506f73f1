"""``python -m benchmarks``: arguments in, one table and perhaps a file of JSON out."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from typing import Any, Optional

from benchmarks import clients, table
from benchmarks.case import DEFAULT, FULL, QUICK
from benchmarks.runner import Runner
from benchmarks.workloads import NAMES


def main(arguments: Optional[list[str]] = None) -> int:
    """Measure, print, write; 1 if streamsafe failed at something."""
    asked = _parser().parse_args(arguments)
    size = QUICK if asked.quick else FULL if asked.full else DEFAULT
    peers = _installed(asked.peers)
    runner = Runner(peers, asked.rounds or size.rounds)
    about = _about(peers)
    print(f"{about['machine']}; Python {about['python']}; {_named(about['versions'])}\n")
    found: list[table.Row] = []
    for name in asked.only:
        workload = importlib.import_module(f"benchmarks.workloads.{name}")
        for case in workload.cases(size):
            rows = table.rows(name, workload.UNIT, case, runner.rounds(name, case))
            found += rows
            print(table.text(rows), end="\n\n" if rows else "", flush=True)
    if asked.json:
        measured = [{**row._asdict(), "met": row.met} for row in found]
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump({**about, "size": size._asdict(), "rows": measured}, file, indent=1)
    return int(any(row.failed for row in found if row.peer.startswith("streamsafe")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_workloads, default=NAMES, metavar="W1,W4")
    parser.add_argument(
        "--peers", type=_peers, default=clients.PEERS, metavar="A,B",
        help=f"of {', '.join(clients.PEERS)}; one that is not installed is left out",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, metavar="N", help="instead of the size's own")
    parser.add_argument("--json", metavar="FILE", help="write all that was measured")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="does it run at all? (40 s)")
    size.add_argument("--full", action="store_true", help="in full length (half an hour)")
    return parser


def _workloads(text: str) -> list[str]:
    names = text.lower().split(",")
    for name in names:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"{name!r}: expected some of {', '.join(NAMES)}")
    return names


def _peers(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in clients.PEERS:
            message = f"{name!r}: expected some of {', '.join(clients.PEERS)}"
            raise argparse.ArgumentTypeError(message)
    return names


def _installed(peers: list[str]) -> list[str]:
    present = []
    for peer in peers:
        if clients.versions(peer) is None:
            print(f"{peer} is left out: it is not installed", file=sys.stderr)
        else:
            present.append(peer)
    return present


def _about(peers: list[str]) -> dict[str, Any]:
    versions: dict[str, str] = {}
    for peer in (*peers, "limit"):
        versions.update(clients.versions(peer) or {})
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": versions,
    }


def _named(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


if __name__ == "__main__":
    sys.exit(main())
