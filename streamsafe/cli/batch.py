"""Ask many prompts, some at a time, and write their answers in order.

One prompt a line. JSON lines: a text, a list of messages, or an object with "prompt", "messages" or
"body" and perhaps an "id" and parameters of its own; lines of OpenAI's batch files are such
objects. Or plain text (.txt), or CSV with a column "prompt" (.csv). "-" is standard input.

Answers are JSON lines in the prompts' order, errors among them. The file is called .part until it
is whole. Whatever ends the run, Ctrl-C or kill -9, --resume goes on from its journal: it asks only
what has no answer there. The journal stays until you delete it.

Exit codes: 0 all answered, 1 some failed or an error stopped it, 2 wrong arguments, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Optional

from streamsafe import ConfigurationError, RetryPolicy, StreamingError, StreamSession
from streamsafe.batch import Result
from streamsafe.batch.answers import AnswerFile
from streamsafe.batch.bill import Bill
from streamsafe.batch.prompts import FORMS, PromptFile, standard_input
from streamsafe.cli import CTRL_C, FAILED, OK
from streamsafe.cli.style import Style
from streamsafe.journal import SQLiteJournal

#: For how long a server may have the batch wait, in seconds: nobody sits in front of it.
MAX_RETRY_AFTER = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("prompts", help='a file with a prompt a line; "-": standard input')
    parser.add_argument(
        "-o", "--output", default="-", help="the file for the answers (default: standard output)"
    )
    parser.add_argument("-p", "--provider", default="openai", help="a preset (default: openai)")
    parser.add_argument("-m", "--model", help="the model for prompts that name none")
    parser.add_argument("--base-url", help="another address of the API")
    parser.add_argument("--format", choices=FORMS, help="of the prompts (default: by their name)")
    parser.add_argument(
        "-c", "--concurrency", type=int, default=8, help="asked at a time, at most (default: 8)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an earlier run")
    parser.add_argument("--journal", help="its file (default: the output's name with .journal)")
    parser.add_argument("--max-tokens", type=int, help="the longest answer, in tokens")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--timeout", type=float, help="seconds for each answer")
    parser.add_argument("--retries", type=int, default=3, help="without progress (default: 3)")
    parser.add_argument("--price-in", type=float, help="of a million tokens of the prompts")
    parser.add_argument("--price-out", type=float, help="of a million tokens of the answers")
    parser.add_argument("-q", "--quiet", action="store_true", help="nothing but errors on stderr")


def run(args: argparse.Namespace) -> int:
    """Ask them all; the exit code says whether all were answered."""
    _check(args)
    path = _journal_path(args)
    bill, began = Bill(args.price_in, args.price_out), time.monotonic()
    stopped, code = _asked(args, path, bill)
    if bill.errors and not stopped:
        have = "prompt has" if bill.errors == 1 else "prompts have"
        stopped, code = f"{bill.errors:,} {have} no answer", FAILED
    if stopped:
        hint = "" if path is None else "; --resume asks what is left"
        print(Style(sys.stderr).paint(stopped + hint, "yellow"), file=sys.stderr)
    if not args.quiet:
        facts = " · ".join(bill.facts(time.monotonic() - began))
        print(Style(sys.stderr).paint(facts, "dim"), file=sys.stderr)
    return code


def _check(args: argparse.Namespace) -> None:
    """What the answers are written to must be nothing that is read."""
    for name, path in (("--output", args.output), ("--journal", args.journal)):
        if path not in (None, "-") and os.path.realpath(path) == os.path.realpath(args.prompts):
            raise ConfigurationError(f"{name} {path} is the file with the prompts")
    for name, price in (("--price-in", args.price_in), ("--price-out", args.price_out)):
        if price is not None and not 0 <= price < float("inf"):
            raise ConfigurationError(f"{name} {price:g}: expected a price of 0 or more")


def _asked(args: argparse.Namespace, path: Optional[str], bill: Bill) -> tuple[str, int]:
    """Ask and write; by what it was stopped, if it was, and the exit code."""
    answers = AnswerFile(args.output)
    try:
        with closing(answers), _session(args) as session, _journal(path, args.resume) as journal:
            with closing(_results(session, args, journal)) as results:
                for result in results:
                    bill.add(result)
                    answers.write(result)
            answers.finish()
    except KeyboardInterrupt:
        return "stopped", CTRL_C
    except ConfigurationError:
        raise
    except StreamingError as error:
        return f"stopped by {type(error).__name__}: {error}", FAILED
    return "", OK


def _session(args: argparse.Namespace) -> StreamSession:
    wanted = {
        "max_tokens": args.max_tokens,
        "temperature": args.temperature,
        "timeouts": args.timeout,
    }
    return StreamSession(
        args.provider,
        base_url=args.base_url,
        model=args.model,
        retry=RetryPolicy(max_retries=args.retries, max_retry_after=MAX_RETRY_AFTER),
        **{name: value for name, value in wanted.items() if value is not None},
    )


def _results(
    session: StreamSession, args: argparse.Namespace, journal: Optional[SQLiteJournal]
) -> Generator[Result, None, None]:
    prompts = (
        standard_input(args.format)
        if args.prompts == "-"
        else PromptFile(args.prompts, args.format)
    )
    return session.map(
        prompts,
        max_workers=args.concurrency,
        journal=journal,
        progress=False if args.quiet else None,
    )


def _journal_path(args: argparse.Namespace) -> Optional[str]:
    """Where the journal is; None for none."""
    path: Optional[str] = args.journal
    if path is None and args.output != "-":
        path = f"{args.output}.journal"
    if path is None and args.resume:
        raise ConfigurationError("--resume wants the --output or the --journal of the earlier run")
    return path


@contextmanager
def _journal(path: Optional[str], resume: bool) -> Iterator[Optional[SQLiteJournal]]:
    """The journal, if there is to be one. What it has already must be meant: one that was left by
    a run with wrong arguments has nothing."""
    if path is None:
        yield None
        return
    with SQLiteJournal(path) as journal:
        if not resume and journal.list():
            raise ConfigurationError(
                f"{path} is there, from an earlier run",
                hint="--resume goes on with it; delete it to ask everything again",
            )
        running = journal.list("streaming")
        if running:
            raise ConfigurationError(
                f"another process is at work on {path}: {running[0].owner}",
                hint="wait for it, or stop it",
            )
        yield journal
