"""``python -m benchmarks.stages``: where streamsafe's CPU goes, stage by stage, µs an event.

One process and no socket: each stage is given what the one before it gave. The stages take turns
in short runs, of which the least counts, so that a busy machine does not matter much.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from benchmarks.bodies import Spec, render

EVENTS, ROUNDS = 3000, 40

#: As much as a read of a body that comes fast brings.
READ = 32768

_SPECS = {
    "one event a chunk": Spec(),
    "16 events a chunk": Spec(framing="16"),
    "Content-Length": Spec(framing="length"),
    "cut anywhere": Spec(framing="cut"),
    "CRLF": Spec(line_end="\r\n"),
    "Anthropic": Spec("anthropic"),
    "OpenAI's padding": Spec(framing="16", payload="padded"),
}


def main() -> None:
    """Print the table."""
    names = ["chunks", "events", "decoder", "the rest", "JSON alone"]
    print(f"{'':<20}" + "".join(f"{name:>12}" for name in names))
    for name, spec in _SPECS.items():
        took = _measured(_stages(spec._replace(events=EVENTS)))
        took["the rest"] = took.pop("stream") - took["events"] - took["decoder"]
        print(f"{name:<20}" + "".join(f"{took.get(part, 0):>12.2f}" for part in names), flush=True)


def _measured(stages: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(stages, float("inf"))
    for _ in range(ROUNDS):
        for name, stage in stages.items():
            gc.collect()
            began = time.process_time()
            stage()
            best[name] = min(best[name], time.process_time() - began)
    return {name: seconds / EVENTS * 1e6 for name, seconds in best.items()}


def _stages(spec: Spec) -> dict[str, Callable[[], object]]:
    """What is to be run. "stream": all but what reads the socket and takes HTTP chunks apart."""
    from streamsafe import StreamSession
    from streamsafe.models import Call
    from streamsafe.providers.presets import provider
    from streamsafe.wire.chunked import ChunkedDecoder
    from streamsafe.wire.sse import SSEFramer

    body = render(spec)
    sent = body.events[0] + body.tail
    reads = [sent[at : at + READ] for at in range(0, len(sent), READ)]
    chunked = b"chunked" in body.head

    def dechunk() -> list[bytes]:
        decoder = ChunkedDecoder()
        return [piece for piece in map(decoder.feed, reads) if piece]

    pieces = dechunk() if chunked else reads

    def frame() -> list[Any]:
        framer = SSEFramer()
        return [framer.feed(piece) for piece in pieces]

    events = frame()
    texts = [event.data for some in events for event in some if event.data[0] == "{"]
    preset = "anthropic" if spec.api == "anthropic" else "openai_compatible"
    api, call = provider(preset), Call(({"role": "user", "content": "x"},), "m")

    def decode() -> None:
        decoder = api.decoder(call)
        for some in events:
            decoder.feed(some)

    def scan() -> None:
        scanner = json.JSONDecoder().raw_decode
        for text in texts:
            scanner(text)

    session = StreamSession(
        preset, base_url="http://x", api_key="k", model="m", transport=Memory(pieces)
    )

    def stream() -> None:
        for _ in session.stream("x"):
            pass

    stages: dict[str, Callable[[], object]] = {}
    if chunked:
        stages["chunks"] = dechunk
    stages |= {"events": frame, "decoder": decode, "stream": stream, "JSON alone": scan}
    return stages


class Memory:
    """A transport, and its response: reads give the pieces of a list."""

    status, reused = 200, False
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._left: Iterator[bytes] = iter(())

    def open(self, request: Any, scope: Any, **how: Any) -> Any:
        """Begin with the first piece."""
        self._left = iter(self._pieces)
        return self

    def read(self) -> bytes:
        """The next piece."""
        return next(self._left, b"")

    def pending(self) -> bool:
        """Nothing is ever waited for."""
        return False

    def finish(self) -> None:
        """Nothing is left to do."""

    close = finish


if __name__ == "__main__":
    main()
