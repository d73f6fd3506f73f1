"""A server on 127.0.0.1 that answers like each LLM API, and misbehaves as you like.

For any client in any language: point its base URL here. Every request streams the same text,
healthy or with a fault: by script for the first requests (--script rate_limit,reset,ok), then by
chance (--fault reset=0.1). The same --seed gives the same faults in the same order.

Faults: drop, reset, stall, truncated, error, malformed, heartbeats in the middle of the answer;
timeout, no_answer, rate_limit, unavailable, unauthorized, html in place of it; slow, buffered,
split, compressed all along, but whole. "ok" is none.

Exit codes: 0 after Ctrl-C, 2 wrong arguments or the port is taken.
"""

from __future__ import annotations

import argparse
import json
import sys

from streamsafe.cli import OK, serving
from streamsafe.cli.style import Style
from streamsafe.errors import ConfigurationError
from streamsafe.providers.presets import PRESETS
from streamsafe.testing import Chaos, FaultServer, answers, prose
from streamsafe.testing.endpoints import Endpoints
from streamsafe.testing.faults import FAULTS

TEXT = (
    "A streamed answer is a promise kept one word at a time, over a wire that has promised "
    "nothing. This one comes from your own machine, and its faults are of your own choosing. "
    "If you can read this to the end, each word once, your client is well made."
)

#: Where the vendors' own clients want the base URL to end.
_ENDS = {"openai_chat": "/v1", "openai_completions": "/v1", "responses": "/v1"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--port", type=int, default=8765, help="0: a free one (default: 8765)")
    parser.add_argument(
        "-f", "--fault", action="append", default=[], metavar="NAME=P", type=_fault,
        help="the chance of a fault, 0 to 1; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--chaos", type=float, default=0.0, metavar="P", help="this chance shared by all faults"
    )
    parser.add_argument(
        "--script", type=_names, default=[], metavar="NAMES",
        help="faults of the first requests, such as rate_limit,reset,ok",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="another seed, other faults")
    parser.add_argument(
        "--delay", type=float, default=0.03, help="seconds between two events (default: 0.03)"
    )
    parser.add_argument("--text", default=TEXT, help="what is answered")
    parser.add_argument("--length", type=int, help="answer so many characters of prose instead")
    parser.add_argument(
        "-p", "--provider", default="openai", choices=sorted(PRESETS), metavar="PRESET",
        help="whose API the example shows; all are served (default: openai)",
    )  # fmt: skip
    parser.add_argument("--tls", action="store_true", help="over TLS, with a certificate for tests")
    parser.add_argument("-q", "--quiet", action="store_true", help="no line for each request")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    with serving.served(_endpoints(args), args.port, args.tls) as server:
        _greet(server, args)
        serving.wait()
    return OK


def _endpoints(args: argparse.Namespace) -> Endpoints:
    if not 0 <= args.delay < float("inf") or not 0 <= args.chaos <= 1:
        raise ConfigurationError("--delay is seconds, 0 or more, and --chaos a chance, 0 to 1")
    chances = dict(args.fault) or {name: args.chaos / len(FAULTS) for name in FAULTS}
    log = None if args.quiet else serving.Log().tell
    try:
        chaos = Chaos(args.seed, pace=args.delay, **chances)
        text = args.text if args.length is None else prose(args.length)
        return Endpoints(text, chaos, script=args.script, log=log)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _greet(server: FaultServer, args: argparse.Namespace) -> None:
    style = Style(sys.stdout)
    answer = answers.for_preset(args.provider)
    base = server.url + _ENDS.get(answer.__name__, "")
    path, body = _example(args.provider)
    lines = [
        f"{style.paint('base_url', 'dim')}  {style.paint(base, 'bold')}",
        *([f"{style.paint('ca_file', 'dim')}   {server.ca_file}"] if server.ca_file else []),
        "",
        style.paint("curl", "cyan") + f" -N {server.url}{path} \\",
        *([f"  --cacert {server.ca_file} \\"] if server.ca_file else []),
        f"  -H 'Content-Type: application/json' -d '{json.dumps(body)}'",
        "",
    ]
    if args.provider == "openai":
        client = f'OpenAI(base_url="{base}", api_key="any")'
        lines += [style.paint("python", "cyan") + f"  client = {client}", ""]
    lines.append(style.paint("Ctrl-C ends it. Faults by chance: ", "dim") + _chances(args))
    print("\n".join(lines), flush=True)


def _chances(args: argparse.Namespace) -> str:
    if args.fault:
        return ", ".join(f"{name} {chance:g}" for name, chance in args.fault)
    return f"all, {args.chaos:g} together" if args.chaos else "none"


def _example(preset: str) -> tuple[str, dict[str, object]]:
    """A path and a small body, as the preset's own provider asks."""
    from streamsafe.models import Call
    from streamsafe.providers import presets

    provider = presets.provider(preset)
    call = Call(({"role": "user", "content": "Hi"},), "chaos-1", {})
    request = provider.request(call, presets.target(provider, "any", "http://host", environ={}))
    _, _, path = request.url.removeprefix("http://").partition("/")
    known = answers.for_preset(preset).__name__ in _ENDS
    body: dict[str, object] = dict(request.json or {})
    return ("/v1/" if known else "/") + path, body


def _fault(text: str) -> tuple[str, float]:
    name, equals, chance = text.partition("=")
    try:
        return name, float(chance)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=CHANCE, such as reset=0.1"
        ) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
