"""An API that streamsafe does not know, taught to it in one class for asking and one for reading.

The API here is made up: ``POST /say`` is answered by events with a word each, then by one that
says why there are no more. Runs against a fault server of its own: no key, no network. A
distribution announces such a provider in the entry point group ``streamsafe.providers``.
"""

# prints: Polly wants a cracker. (stop, 2 attempts)

from streamsafe import StreamSession
from streamsafe.models import Chunk, Usage
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.presets import Preset
from streamsafe.providers.service import Service
from streamsafe.testing import FaultServer, rst, stream

PARROT = Preset(
    "parrot", base_url="https://api.parrot.example/v1", keys=("PARROT_API_KEY",), path="/say"
)


class Parrot(Service):
    """How to ask. Key, address, errors and ``body=`` are the base's."""

    def __init__(self) -> None:
        super().__init__(PARROT)

    def asked(self, call):
        return {"question": call.messages[-1]["content"], **call.parameters}

    def decoder(self, call):
        return ParrotDecoder()


class ParrotDecoder(JSONDecoder):
    """What an event means. Broken JSON and objects with an ``error`` are the base's."""

    def payload(self, payload, event):
        if "word" in payload:
            return [Chunk("text", payload["word"], raw=payload)]
        if "end" not in payload:
            return [Chunk("other", raw=payload)]
        self.finished = self.closed = True  # the terminal rule
        usage = Usage(output_tokens=payload["words"], raw=payload)
        end = Chunk("finish", finish_reason="stop", raw=payload, raw_finish_reason=payload["end"])
        return [Chunk("usage", usage=usage, raw=payload), end]


if __name__ == "__main__":
    words = [f'data: {{"word": "{word}"}}\n\n' for word in ("Polly ", "wants ", "a ", "cracker.")]
    with FaultServer() as server:
        server.expect(stream(words[:2], then=rst()))
        server.always(stream(words, 'data: {"end": "silence", "words": 4}\n\n'))
        with StreamSession(Parrot(), api_key="k", base_url=server.url, model="grey") as session:
            answer = session.complete("What does Polly want?", resume="restart")
    print(f"{answer} ({answer.finish_reason}, {len(answer.attempts)} attempts)")
