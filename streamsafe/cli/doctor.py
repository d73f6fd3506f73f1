"""Make one small streaming call and say step by step what is right and wrong with it.

The argument is a preset (openai, anthropic, ollama ...) or a URL: a base URL such as
http://localhost:8000/v1, or the whole address that a client asks. With --no-call only the
connection is made, and no key is needed; with --events N the URL is read as a plain event source.

Exit codes: 0 all is well, 1 something is broken, 2 wrong arguments (no key, no model),
6 it works, with warnings.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import Any

from streamsafe.cli import FAILED, OK, WARNED
from streamsafe.cli.style import Style, put_utf8
from streamsafe.doctor.checks import Check
from streamsafe.doctor.checkup import (
    FIRST_TOKEN,
    MAX_TOKENS,
    PROMPT,
    Checkup,
    Options,
    Target,
    examine,
    target_of,
)
from streamsafe.errors import ConfigurationError
from streamsafe.observe.words import plain, pretty_json

_CODES = {"error": FAILED, "warning": WARNED}

#: Of each state: the mark, the same in ASCII, and its colour.
_MARKS = {
    "ok": ("✔", "+", "green"),
    "note": ("i", "i", "cyan"),
    "warning": ("!", "!", "yellow"),
    "error": ("✘", "x", "red"),
    "skipped": ("–", "-", "dim"),
}

_VERDICTS = {
    "ok": "All is well.",
    "note": "All is well, with a note.",
    "warning": "It works, but something is not as it should be.",
    "error": "Something is broken.",
}

#: Where the words behind a step's name begin.
_INDENT = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("where", help="a preset's name, or a URL")
    parser.add_argument("-m", "--model", help="the model's name, where the API wants one")
    parser.add_argument("-p", "--provider", help="the preset that speaks under the URL")
    parser.add_argument("--no-call", action="store_true", help="connect only: no key, no cost")
    parser.add_argument(
        "--events", type=int, default=0, metavar="N", help="read N events of a plain source"
    )
    parser.add_argument("--prompt", default=PROMPT, help="what to ask")
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS)
    parser.add_argument(
        "--timeout", type=float, default=FIRST_TOKEN, help="seconds without a sign (default: 60)"
    )
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="NAME: VALUE", type=_header,
        help="a header to send; may be repeated",
    )  # fmt: skip
    parser.add_argument("--report", metavar="FILE", help="write the debugger's report, as HTML")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Examine and print; the exit code is the worst that was found."""
    target = target_of(args.where, args.model, args.provider)
    if args.events < 0 or args.max_tokens < 1:
        raise ConfigurationError("--events wants a number of 0 or more, --max-tokens of 1 or more")
    if args.events and target.url is None:
        raise ConfigurationError("--events wants the URL of a plain source, not a preset")
    if args.events:
        target = Target(None, args.where)
    options = Options(
        call=not args.no_call, prompt=args.prompt, max_tokens=args.max_tokens,
        timeout=args.timeout, events=args.events, headers=dict(args.header),
    )  # fmt: skip
    checkup = examine(target, options)
    if args.report:
        _write(args.report, checkup.debugger.report(format="html"))
    if args.json:
        put_utf8(pretty_json(_facts(checkup)))
    else:
        _Page().show(checkup, options)
    return _CODES.get(checkup.worst, OK)


def _facts(checkup: Checkup) -> dict[str, Any]:
    return {
        "version": 1,
        "preset": checkup.target.preset,
        "model": checkup.target.model,
        "url": checkup.url,
        "worst": checkup.worst,
        "checks": [
            {**one._asdict(), "findings": [finding._asdict() for finding in one.findings]}
            for one in checkup.checks
        ],
        "answer": checkup.answer,
    }


def _write(path: str, report: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(report)
    except OSError as error:
        raise ConfigurationError(f"--report {path}: {error.strerror or error}") from error


class _Page:
    """The examination on a terminal, or in a pipe without colours."""

    def __init__(self) -> None:
        self._style = Style(sys.stdout)

    def show(self, checkup: Checkup, options: Options) -> None:
        """Print it all."""
        paint = self._style.paint
        who = " / ".join(filter(None, (checkup.target.preset, checkup.target.model)))
        print(f"\n {paint(plain(checkup.url), 'bold')}  {paint(who, 'dim')}\n")
        for one in checkup.checks:
            if one.state != "skipped":
                self._check(one)
        unseen = ", ".join(one.name for one in checkup.checks if one.state == "skipped")
        if unseen:
            self._check(Check("not seen", "skipped", unseen))
        answer = plain(checkup.answer.strip())
        if answer:
            shown = textwrap.shorten(answer, self._style.width - _INDENT, placeholder=" ...")
            print(f"   {'answer':<{_INDENT - 4}} {paint(shown, 'dim')}")
        mark, simple, colour = _MARKS[checkup.worst]
        verdict = f"{self._style.symbol(mark, simple)} {_VERDICTS[checkup.worst]}"
        if not options.call and checkup.worst in ("ok", "note"):
            verdict += " No call was made."
        print(f"\n {paint(verdict, colour, 'bold')}\n")

    def _check(self, one: Check) -> None:
        mark, simple, colour = _MARKS[one.state]
        paint = self._style.paint
        shown = paint(f"{self._style.symbol(mark, simple):<2}", colour)
        first = f" {shown}{one.name:<{_INDENT - 4}} "
        said = textwrap.wrap(plain(one.said), self._style.width - _INDENT)
        for line in said:
            print(first + (paint(line, "dim") if one.state == "skipped" else line))
            first = " " * _INDENT
        for finding in one.findings:
            print(first + paint(finding.title, _MARKS[finding.severity][2], "bold"))
            first = " " * _INDENT
            for line in finding.evidence:
                self._wrapped("seen", line)
            self._wrapped("why", finding.cause)
            self._wrapped("do", finding.remedy)

    def _wrapped(self, label: str, text: str) -> None:
        room = self._style.width - _INDENT - 6
        lines = textwrap.wrap(plain(text), room, break_on_hyphens=False)
        for number, line in enumerate(lines):
            lead = self._style.paint(f"{label:<5}", "dim") if number == 0 else " " * 5
            print(" " * _INDENT + f"{lead} {line}")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME: VALUE")
    return name.strip(), value.strip()
