"""The command ``streamsafe``: arguments become calls, results become print.

Here lives the list of commands; each is a file of its own with ``add_arguments(parser)`` and
``run(args) -> exit code``, imported only when it is asked for.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Optional

from streamsafe import __version__
from streamsafe.errors import ConfigurationError, StreamingError

#: Command, what it does in a few words. The module has the command's name.
COMMANDS = {
    "demo": "watch an answer survive a 429, a reset, a stall and a broken event (no key needed)",
    "chat": "stream one answer to standard output",
    "batch": "ask many prompts, some at a time, and write their answers in order",
    "doctor": "make one small call and say step by step what is right and wrong with it",
    "record": "stream one answer and record all that comes over the wire",
    "replay": "play a recording: print its answers, or serve them to any client",
    "report": "say what happened to a recorded stream, and why",
    "serve": "run a server on this machine that answers like each LLM API, and misbehaves",
    "dashboard": "watch the streams of running programs in a browser",
    "top": "watch the streams of running programs in the terminal",
}

#: Exit codes, the same for all commands.
OK, FAILED, USAGE, TRUNCATED, FILTERED, INTERRUPTED, WARNED = 0, 1, 2, 3, 4, 5, 6
#: As shells have it for a program that Ctrl-C ended: 128 + SIGINT.
CTRL_C = 130


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; returns its exit code. ``argv``: None = the program's own arguments."""
    _ready_output()
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((name for name in arguments if not name.startswith("-")), None)
    parser = _parser(command)
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return USAGE
    try:
        return int(importlib.import_module(f"streamsafe.cli.{args.command}").run(args))
    except ConfigurationError as error:
        print(f"streamsafe {args.command}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return CTRL_C
    except BrokenPipeError:
        # The reader of our output has gone (streamsafe … | head). Python would complain once
        # more when it flushes standard output at exit.
        sys.stdout = None
        return OK
    except OSError as error:
        if isinstance(error, StreamingError):
            raise
        sys.stdout = None  # if it was that which failed
        print(f"streamsafe {args.command}: {error}", file=sys.stderr)
        return FAILED


def _ready_output() -> None:
    """A cron job or a service may have started us without an output (``>&-``): it is None then.
    And what an output has no character for (cp1252, ASCII) is a "?", no reason to stop."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _parser(command: Optional[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamsafe", description="LLM token streams that never hang and never lie."
    )
    parser.add_argument("--version", action="version", version=f"streamsafe {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, what in COMMANDS.items():
        # Only the command that runs is imported: the others' modules may want extras.
        if name == command:
            module = importlib.import_module(f"streamsafe.cli.{name}")
            one = commands.add_parser(
                name,
                help=what,
                description=module.__doc__,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            module.add_arguments(one)
        else:
            commands.add_parser(name, help=what)
    return parser
