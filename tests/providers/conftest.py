"""Feeding recorded bodies through framer and decoder, as an attempt does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from streamsafe.engine.accumulator import Accumulator
from streamsafe.limits import Limits
from streamsafe.models import Call
from streamsafe.providers import presets
from streamsafe.wire import sniff
from streamsafe.wire.jsonarray import JSONArrayFramer
from streamsafe.wire.ndjson import NDJSONFramer
from streamsafe.wire.sse import SSEFramer

SAMPLES = Path(__file__).parent.parent / "samples"
FRAMERS = {"sse": SSEFramer, "ndjson": NDJSONFramer, "json": JSONArrayFramer}
CALL = Call([{"role": "user", "content": "Hi"}], "m")


class Decoded(NamedTuple):
    """What came of a body."""

    chunks: list
    decoder: object
    completion: object

    @property
    def failure(self):
        return self.decoder.failure

    @property
    def finished(self):
        return self.decoder.finished and self.decoder.failure is None


def decode(preset, pieces, call=CALL, content_type="", framing=None):
    """The chunks of a body that comes in these pieces, and the completion they make."""
    provider = presets.provider(preset)
    decoder = provider.decoder(call)
    wanted = framing or provider.framing
    pieces = [piece for piece in pieces if piece]
    kind = sniff.framing(content_type, b"".join(pieces)[:200], wanted) or wanted
    chunks = []
    if kind == "document":
        chunks += decoder.whole(json.loads(b"".join(pieces)))
    elif kind in FRAMERS:
        framer = FRAMERS[kind](Limits())
        for piece in pieces:
            chunks += decoder.feed(framer.feed(piece))
            if framer.strays:
                lines, framer.strays = framer.strays, []
                decoder.strays(lines)
            if decoder.failure is not None or decoder.closed:
                break
        else:
            chunks += decoder.end(framer.tail)
    made = Accumulator()
    for chunk in chunks:
        made.add(chunk)
    completion = made.completion(
        model=decoder.model, id=decoder.id, provider_state=decoder.state
    )
    message = decoder.message(completion)
    return Decoded(chunks, decoder, completion.replace(message=message))


@pytest.fixture(name="decode")
def _decode():
    return decode
