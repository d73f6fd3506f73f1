"""Stream one answer as ``streamsafe chat`` does, and record all that comes over the wire.

The cassette is a file of JSON lines: the requests (keys masked), the answers' headers, every read
with its time. Look at it with ``streamsafe report``, play it with ``streamsafe replay``, make it a
test with ``streamsafe.debug.Replay``.

Exit codes: those of ``streamsafe chat``; 1 also where the recording could not be written.
"""

from __future__ import annotations

import argparse
import sys

from streamsafe.cli import FAILED, OK, chat
from streamsafe.debug import Recorder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "-o", "--output", dest="cassette", metavar="FILE", required=True,
        help="the cassette to write; one that is there is replaced",
    )  # fmt: skip
    chat.add_arguments(parser)
    parser.add_argument(
        "--mask-bodies", action="store_true", help="leave the texts of the requests out"
    )


def run(args: argparse.Namespace) -> int:
    """Record; the exit code is the verdict of the stream."""
    with Recorder(args.cassette, bodies=args.mask_bodies) as recorder:
        code = chat.run(args, recorder)
    if recorder.error is not None:
        print(f"streamsafe record: not all is written: {recorder.error}", file=sys.stderr)
        return code if code != OK else FAILED
    return code
