"""Stream one answer: the text to standard output as it comes, all else to standard error.

The prompt is the argument, or standard input where it is "-" or missing. With --json, standard
output gets one JSON object a line instead: the chunks, and at last the completion with the error
that it ended in, or null.

Exit codes: 0 complete, 1 refused or failed, 2 wrong arguments, 3 cut off by its length,
4 filtered or refused by the model, 5 broken off (what had come was printed), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Optional

from streamsafe import (
    Chunk,
    Completion,
    ConfigurationError,
    Outcome,
    Stream,
    StreamingError,
    StreamInterruptedError,
    StreamSession,
)
from streamsafe.cli import FAILED, FILTERED, INTERRUPTED, OK, TRUNCATED
from streamsafe.cli.style import Style
from streamsafe.wire.transport import Transport

_CODES = {Outcome.COMPLETE: OK, Outcome.TRUNCATED: TRUNCATED, Outcome.FILTERED: FILTERED}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("prompt", nargs="?", default="-", help='the prompt; "-": standard input')
    parser.add_argument("-p", "--provider", default="openai", help="a preset (default: openai)")
    parser.add_argument("-m", "--model", help="the model's name")
    parser.add_argument("-s", "--system", help="a system message")
    parser.add_argument("--base-url", help="another address of the API")
    parser.add_argument("--max-tokens", type=int, help="the longest answer, in tokens")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--timeout", type=float, help="seconds for the whole answer")
    parser.add_argument("--retries", type=int, help="retries without progress (default: 3)")
    parser.add_argument(
        "--resume", default="auto", choices=["auto", "continue", "restart", "never"]
    )
    parser.add_argument("--json", action="store_true", help="JSON lines instead of text")
    parser.add_argument("-q", "--quiet", action="store_true", help="nothing but errors on stderr")


def run(args: argparse.Namespace, transport: Optional[Transport] = None) -> int:
    """Stream the answer; the exit code is the verdict. ``transport``: None = HTTP."""
    with StreamSession(
        args.provider, base_url=args.base_url, resume=args.resume, transport=transport
    ) as session:
        return show(session.stream(_messages(args), **_arguments(args)), args)


def show(stream: Stream, args: argparse.Namespace) -> int:
    """Read a stream and print it, as ``args.json`` and ``args.quiet`` say; its exit code."""
    try:
        with stream:
            for chunk in stream:
                _show(chunk, args.json)
    except ConfigurationError:
        raise  # found late, before anything was sent: still wrong arguments
    except StreamingError as error:
        _end(stream, args, error)
        _say(f"{type(error).__name__}: {error}", "red")
        return INTERRUPTED if isinstance(error, StreamInterruptedError) else FAILED
    _end(stream, args)
    return _CODES.get(stream.completion.outcome, FAILED)


def _messages(args: argparse.Namespace) -> list[dict[str, str]]:
    if args.prompt == "-" and sys.stdin.isatty():
        raise ConfigurationError('no prompt: give it as an argument or on standard input')
    prompt = _standard_input() if args.prompt == "-" else args.prompt
    if not prompt.strip():
        raise ConfigurationError("the prompt is empty")
    system = [{"role": "system", "content": args.system}] if args.system else []
    return [*system, {"role": "user", "content": prompt}]


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"standard input is no text in {error.encoding}: {error.reason} at byte {error.start}"
        ) from error


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    wanted = {
        "model": args.model,
        "max_tokens": args.max_tokens,
        "temperature": args.temperature,
        "timeouts": args.timeout,
        "retry": args.retries,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    if not args.quiet:
        given["on_error"] = _retried
        given["on_stall"] = lambda seconds: _say(f"silent for {seconds:.0f} s", "dim")
    return given


def _retried(error: StreamingError) -> None:
    if error.will_retry:
        _say(f"{type(error).__name__}: {error.message}; trying again", "yellow")


def _show(chunk: Chunk, as_json: bool) -> None:
    if as_json:
        fields = {
            name: value
            for name, value in chunk._asdict().items()
            if name != "raw" and value not in (None, "") and (name != "index" or value)
        }
        for name in ("usage", "tool_call"):
            if name in fields:
                fields[name] = fields[name]._asdict()
        _write_json(fields)
    elif chunk.text:
        _write(chunk.text)
    elif chunk.kind == "restart":
        print(flush=True)
        _say("the model answers differently now: what is above is void", "yellow")


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _write_json(value: Any) -> None:
    # Escaped where the output is not UTF-8, which JSON has to be, and for half a character.
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8" if "utf" in (sys.stdout.encoding or "utf-8").lower() else "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value)
    print(text, flush=True)


def _end(
    stream: Stream, args: argparse.Namespace, error: Optional[StreamingError] = None
) -> None:
    completion = stream.completion
    if args.json:
        failure = error and {"type": type(error).__name__, "message": error.message}
        _write_json({"completion": _summary(completion), "error": failure})
    elif completion.text and not completion.text.endswith("\n"):
        print(flush=True)
    if not args.quiet:
        _say(" · ".join(_facts(completion)), "dim")


def _summary(completion: Completion) -> dict[str, Any]:
    return {
        "text": completion.text,
        "outcome": completion.outcome.value,
        "finish_reason": completion.finish_reason,
        "model": completion.model,
        "id": completion.id,
        "stream_id": completion.stream_id,
        "usage": completion.usage and completion.usage._asdict(),
        "tool_calls": [call._asdict() for call in completion.tool_calls],
        "attempts": len(completion.attempts),
        "timings": completion.timings._asdict(),
    }


def _facts(completion: Completion) -> list[str]:
    facts = [completion.outcome.value, completion.model or "", completion.refusal]
    if completion.usage is not None:
        about = "about " if completion.usage.estimated else ""
        facts.append(f"{about}{completion.usage.output_tokens} tokens")
    facts.append(f"{completion.timings.duration:.1f} s")
    if len(completion.attempts) > 1:
        facts.append(f"{len(completion.attempts)} attempts")
    return [fact for fact in facts if fact]


def _say(text: str, colour: Optional[str] = None) -> None:
    style = Style(sys.stderr)
    print(style.paint(text, colour) if colour else text, file=sys.stderr, flush=True)
