"""Traffic: streams of all kinds, through faults of all kinds, for the dashboard's demo.

Here live the workers that ask and the server that they ask, both in this process, on 127.0.0.1.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any

from streamsafe import RetryPolicy, StreamingError, StreamSession, Timeouts
from streamsafe.debug import StreamDebugger
from streamsafe.monitor import StreamMonitor
from streamsafe.testing import FaultServer, RecordedRequest, answers, fault, prose

#: Presets, and where each of them wants its base URL to end.
MODELS = (
    ("openai", "/v1", "gpt-4o-mini"),
    ("openai", "/v1", "gpt-4o"),
    ("anthropic", "", "claude-sonnet-4-5"),
    ("mistral", "/v1", "mistral-small"),
)
#: Of a hundred answers; the rest are healthy.
FAULTS = {
    "rate_limit": 6, "unavailable": 4, "drop": 6, "reset": 4, "stall": 3, "malformed": 2,
    "heartbeats": 4, "error": 3, "slow": 3, "truncated": 2, "unauthorized": 3, "html": 1,
}  # fmt: skip
WORKERS = 6
#: Seconds that a worker rests between two streams, and that pass between two events, at most.
REST, PACE = 3.0, 0.09


class Traffic:
    """Streams until it is left; a context manager. ``monitor`` and ``debugger`` see all of it."""

    def __init__(self, *, workers: int = WORKERS, seed: int = 0) -> None:
        self.monitor = StreamMonitor()
        self.debugger = StreamDebugger()
        self._dice = random.Random(seed)  # its methods are single steps: threads may share it
        self._server = FaultServer(keep=1)
        self._left = threading.Event()
        # Daemonic because Ctrl-C must end the command even if one of them should hang.
        self._workers = [
            threading.Thread(
                target=self._work, args=MODELS[number % len(MODELS)],
                name=f"streamsafe-demo-{number}", daemon=True,
            )
            for number in range(workers)
        ]  # fmt: skip

    def __enter__(self) -> Traffic:
        self._server.handle(self._answer)
        self._server.start()
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._left.set()
        for worker in self._workers:
            worker.join()
        self._server.stop()

    def _work(self, preset: str, end: str, model: str) -> None:
        with StreamSession(
            preset,
            base_url=self._server.url + end,
            api_key="demo",
            model=model,
            timeouts=Timeouts(first_token=5, inactivity=3, stall=6, warn_after=1.5),
            retry=RetryPolicy(max_retries=2, base=0.5, cap=2.0),
            resume="restart",
            observers=(self.monitor, self.debugger),
        ) as session:
            rest = 0.1  # the first ones begin at once
            while not self._left.wait(self._dice.uniform(0.0, rest)):
                rest = REST
                # Two that were alike would look like a program that retries by itself.
                prompt = f"What is new in room {self._dice.randrange(10**6)}?"
                try:
                    for _ in session.stream(prompt, max_tokens=500, cancel=self._left):
                        pass
                except StreamingError:
                    pass  # this is what the dashboard is to show

    def _answer(self, request: RecordedRequest) -> Any:
        # The same answer to the same question, so that what is asked again goes on where it was.
        question = random.Random(request.body)
        text = prose(question.randint(200, 2500), seed=question.randrange(1000))
        events: Sequence[bytes] = answers.for_path(request.path)(text)
        dice = self._dice
        names = (*FAULTS, "ok")
        weights = (*FAULTS.values(), 100 - sum(FAULTS.values()))
        name = dice.choices(names, weights)[0]
        at = dice.randrange(1, len(events))
        return fault(name, events, at, pace=dice.uniform(0.01, PACE))
