"""Ten answers at once from one session, and what the monitor says of them.

Runs against a fault server of its own: no key, no network.
"""

from streamsafe import StreamSession
from streamsafe.monitor import StreamMonitor
from streamsafe.testing import FaultServer, stream
from streamsafe.testing.answers import openai_chat


def main() -> None:
    """Submit, wait, print."""
    monitor = StreamMonitor()
    with FaultServer() as server:
        server.always(stream(openai_chat("An answer, whole.")))
        session = StreamSession(
            "openai_compatible", base_url=f"{server.url}/v1", model="m", observers=[monitor]
        )
        handles = [session.submit(f"Question {number}") for number in range(10)]
        texts = [handle.result(30).text for handle in handles]
        session.close()
    assert texts == ["An answer, whole."] * 10
    stats = monitor.get_stats()
    print(f"{stats['successful_streams']} of {stats['total_streams']} streams are complete")


if __name__ == "__main__":
    main()
