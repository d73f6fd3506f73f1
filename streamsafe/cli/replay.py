"""Play a cassette: print its answers with the times of the recording, or serve them.

With --serve a server on 127.0.0.1 gives any client what was recorded: requests get the exchanges
of their path, in the order of the recording, and then from its start again.

Exit codes: 0 complete, 1 refused or failed, 2 wrong arguments or no cassette, 3 cut off by its
length, 4 filtered, 5 broken off; of several streams the first that is not 0. 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
from itertools import count
from typing import Optional

from streamsafe.cli import OK, chat, serving
from streamsafe.doctor.playback import Playback
from streamsafe.errors import ConfigurationError
from streamsafe.testing import Exchange, RecordedRequest, recorded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("cassette", help="a file that a Recorder or streamsafe record wrote")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="1: as recorded (the default), 2: twice as fast"
    )
    parser.add_argument("--fast", action="store_true", help="without waits")
    parser.add_argument("--serve", action="store_true", help="be the server instead")
    parser.add_argument("--port", type=int, default=8765, help="with --serve; 0: a free one")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of text")
    parser.add_argument("-q", "--quiet", action="store_true", help="nothing but errors on stderr")


def run(args: argparse.Namespace) -> int:
    """Print or serve."""
    if not args.speed > 0:
        raise ConfigurationError(f"--speed {args.speed:g}: expected a number > 0, or --fast")
    speed = None if args.fast else args.speed
    if args.serve:
        return _serve(args, speed)
    codes = [chat.show(stream, args) for stream in Playback(args.cassette, speed)]
    return next((code for code in codes if code != OK), OK)


def _serve(args: argparse.Namespace, speed: Optional[float]) -> int:
    answer, log, numbers = recorded(args.cassette, speed), serving.Log(), count(1)

    def logged(request: RecordedRequest) -> Exchange:
        exchange = answer(request)
        if not args.quiet:
            log.tell(next(numbers), request, str(exchange.status))
        return exchange

    with serving.served(logged, args.port) as server:
        print(f"{args.cassette} at {server.url}; Ctrl-C ends it", flush=True)
        serving.wait()
    return OK
