"""What happened to the streams of a cassette, and why: the debugger's report.

Without -o it is printed; with "-o page.html" the format goes by the name. The report is on the
last stream of the cassette, or on --stream N.

Exit codes: 0 no error was found, 1 one was, 2 wrong arguments or no cassette, 6 warnings alone.
"""

from __future__ import annotations

import argparse
import os
import sys

from streamsafe.cli import FAILED, OK, WARNED
from streamsafe.cli.style import put_utf8
from streamsafe.debug.debugger import FORMATS, StreamDebugger
from streamsafe.doctor.playback import Playback
from streamsafe.errors import ConfigurationError, StreamingError

#: How a file's name tells the format.
_ENDS = {".html": "html", ".htm": "html", ".json": "json"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("cassette", help="a file that a Recorder or streamsafe record wrote")
    parser.add_argument("--format", choices=FORMATS, help="text (the default), html or json")
    parser.add_argument("-o", "--output", help="the file to write")
    parser.add_argument("--stream", type=int, metavar="N", help="which stream, from 1")
    parser.add_argument(
        "--mask-bodies", action="store_true", help="leave out what was asked and answered"
    )


def run(args: argparse.Namespace) -> int:
    """Print the report, or write it."""
    debugger = StreamDebugger(mask_bodies=args.mask_bodies)
    playback = Playback(args.cassette, observers=(debugger,))
    number = len(playback) if args.stream is None else args.stream
    try:
        playback.stream(number).until_done()
    except ConfigurationError:
        raise
    except StreamingError:
        pass  # it is what the report is about
    if len(playback) > 1 and args.stream is None:
        print(
            f"stream {number} of {len(playback)}; --stream 1 to {number - 1} for the others",
            file=sys.stderr,
        )
    _put(debugger.report(format=_format(args)), args)
    worst = {finding.severity for finding in debugger.diagnose()}
    return FAILED if "error" in worst else WARNED if "warning" in worst else OK


def _format(args: argparse.Namespace) -> str:
    if args.format is not None:
        return str(args.format)
    name = (args.output or "").lower()
    return next((form for end, form in _ENDS.items() if name.endswith(end)), "text")


def _put(report: str, args: argparse.Namespace) -> None:
    if args.output is None:
        show = print if _format(args) == "text" else put_utf8
        show(report.rstrip("\n"))
        return
    if os.path.realpath(args.output) == os.path.realpath(args.cassette):
        raise ConfigurationError(f"-o {args.output} is the cassette")
    try:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(report)
    except OSError as error:
        raise ConfigurationError(f"-o {args.output}: {error.strerror or error}") from error
    print(args.output, file=sys.stderr)
