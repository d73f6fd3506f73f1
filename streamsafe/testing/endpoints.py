"""Endpoints: every API at once on one server, with faults by script and by chance.

Here lives what ``streamsafe serve`` answers to a request. Which fault comes is ``chaos``'s, what it
does ``faults``', and the words of each API stand in ``answers``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional, Union

from streamsafe.testing import answers
from streamsafe.testing.chaos import Chaos
from streamsafe.testing.faults import FAULTS, fault
from streamsafe.testing.request import RecordedRequest
from streamsafe.testing.script import Exchange, reply

#: APIs whose answers are only streamed where the request says so; Ollama streams if not told
#: otherwise, Gemini by its path.
_MUST_ASK = (
    answers.openai_chat, answers.openai_completions, answers.responses, answers.anthropic,
    answers.cohere,
)  # fmt: skip

#: Told of each request, on its connection's thread: its number, itself, and what it got.
Log = Callable[[int, RecordedRequest, str], None]


class Endpoints:
    """A handler: ``FaultServer().handle(Endpoints("The answer.", Chaos(7, drop=0.2)))``.

    Every API streams ``text``, with the request's model. The first requests get the faults of
    ``script`` ("ok" and the names of ``faults.fault``), all others what ``chaos`` draws. What asks
    for no stream is told so with status 400, an unknown path with 404; ``GET …/models`` lists
    one model. None of these counts as a request to an API. Raises ValueError for an unknown name.
    """

    def __init__(
        self,
        text: str,
        chaos: Optional[Chaos] = None,
        *,
        script: Iterable[str] = (),
        log: Optional[Log] = None,
    ) -> None:
        self._text = text
        self._chaos = chaos or Chaos()
        self._script = tuple(script)
        for name in self._script:
            if name not in ("ok", *FAULTS):
                raise ValueError(f"no fault {name!r}; there are ok, {', '.join(FAULTS)}")
        self._log = log
        self._lock = threading.Lock()  # guards _count
        self._count = 0

    def __call__(self, request: RecordedRequest) -> Exchange:
        """The exchange for one request."""
        wrong = self._wrong(request)
        if isinstance(wrong, Exchange):
            self._tell(0, request, str(wrong.status))
            return wrong
        with self._lock:
            self._count += 1
            number = self._count
        events = self._events(request, wrong)
        if number <= len(self._script):
            name = self._script[number - 1]
            exchange = fault(name, events, pace=self._chaos.pace)
        else:
            name = self._chaos.fault(number) or "ok"
            exchange = self._chaos.exchange(number, events)
        self._tell(number, request, name)
        return exchange

    def _tell(self, number: int, request: RecordedRequest, what: str) -> None:
        if self._log is not None:
            self._log(number, request, what)

    def _wrong(self, request: RecordedRequest) -> Union[Exchange, dict[str, Any]]:
        """The answer to what no API is asked, or the body of a request that one is."""
        path = request.path.partition("?")[0].rstrip("/")
        if request.method == "GET" and path.endswith("/models"):
            return reply(200, json={"object": "list", "data": [
                {"id": "chaos-1", "object": "model", "created": 1, "owned_by": "streamsafe"}
            ]})  # fmt: skip
        if request.method != "POST" or not answers.known_path(path):
            known = ", ".join(end for end, _ in answers.BY_PATH)
            return _refused(404, f"POST to a path that ends in one of {known}")
        try:
            body = request.json
        except ValueError as error:
            return _refused(400, f"the body is no JSON: {error}")
        if not isinstance(body, dict):
            return _refused(400, "the body is no JSON object")
        asked = body.get("stream", answers.for_path(path) not in _MUST_ASK)
        if not asked:
            return _refused(400, 'this server only streams: say "stream": true')
        return body

    def _events(self, request: RecordedRequest, body: Mapping[str, Any]) -> list[bytes]:
        answer = answers.for_path(request.path)
        asked: dict[str, Any] = {}
        if isinstance(body.get("model"), str):
            asked["model"] = body["model"]
        options = body.get("stream_options")
        if isinstance(options, Mapping) and options.get("include_usage"):
            words = len(answers.tokens(json.dumps(body)))
            asked["usage"] = (words, len(answers.tokens(self._text)))
        return answer(self._text, **asked)


def _refused(status: int, message: str) -> Exchange:
    return reply(status, json={"error": {"message": message, "type": "invalid_request_error"}})
