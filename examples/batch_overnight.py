"""Eighty prompts, a server with too little room and a shaky line, and every answer whole.

Runs against a fault server of its own: no key, no network.
"""

# prints: 80 of 80 answers
# prints: a second run asked the server 0 times

import tempfile
from pathlib import Path

from streamsafe import RetryPolicy, StreamSession
from streamsafe.journal import SQLiteJournal
from streamsafe.testing import FaultServer
from streamsafe.testing.answers import openai_chat
from streamsafe.testing.chaos import Chaos


def main() -> None:
    """Ask, look, and ask again."""
    prompts = [{"id": f"q-{n}", "prompt": f"Question {n}"} for n in range(80)]
    storm = Chaos(7, drop=0.02, reset=0.02, unavailable=0.02, error=0.02)
    with FaultServer() as server, tempfile.TemporaryDirectory() as directory:
        server.handle(storm.handler(lambda request: openai_chat("An answer, whole.")))
        session = StreamSession(
            "openai_compatible",
            base_url=f"{server.url}/v1",
            model="m",
            retry=RetryPolicy(base=0.05),
        )
        with session, SQLiteJournal(Path(directory) / "batch.journal") as journal:
            whole = 0
            for result in session.map(prompts, journal=journal, max_workers=8):
                if result.ok:
                    whole += result.completion.text == "An answer, whole."
                else:
                    print(result.id, result.error)
            print(f"{whole} of {len(prompts)} answers, {len(server.requests)} requests")
            before = len(server.requests)
            again = list(session.map(prompts, journal=journal))
            assert all(result.reused for result in again)
            print(f"a second run asked the server {len(server.requests) - before} times")


if __name__ == "__main__":
    main()
