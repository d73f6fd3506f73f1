"""A program for the OpenAI SDK, with its one import changed: its server is busy, then hangs up.

Runs against a fault server of its own: no key, no network.
"""

# prints: Rivers do not hurry, and yet they arrive.
# prints: 3 requests

from streamsafe.compat.openai import OpenAI  # was: from openai import OpenAI
from streamsafe.testing import FaultServer, openai_chat, reply, rst, stream


def tell(client: OpenAI) -> None:
    """The program as it was."""
    answer = client.chat.completions.create(
        model="a-model",
        messages=[{"role": "user", "content": "What do rivers teach?"}],
        stream=True,
    )
    for chunk in answer:
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
    print()


def main() -> None:
    """The first request is refused, the second one breaks off, the third goes on with it."""
    events = openai_chat("Rivers do not hurry, and yet they arrive.")
    rest = openai_chat(" and yet they arrive.")
    with FaultServer() as server:
        server.expect(
            reply(429, json={"error": {"message": "Slow down"}}),
            stream(events[:5], then=rst()),
            stream(rest),
        )
        # A server of vLLM's goes on from a partial answer; "openai" is the default.
        url = f"{server.url}/v1"
        with OpenAI(base_url=url, api_key="sk-local", preset="vllm") as client:
            tell(client)
        print(len(server.requests), "requests")


if __name__ == "__main__":
    main()
