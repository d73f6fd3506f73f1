"""Django: an answer as a response, in one line.

::

    from streamsafe.web.django import stream_response

    def answer(request):
        return stream_response(session.stream(request.GET["question"]), request)

Here lives what Django alone knows: the request's headers, and that under ASGI it wants an iterator
of another kind. The rest is ``relay``'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Optional

from streamsafe.web.relay import Relay
from streamsafe.web.sources import Relayed

try:
    from django.http import HttpRequest, StreamingHttpResponse
except ImportError as error:
    raise ImportError('Django is not here: pip install "streamsafe[django]"') from error


def stream_response(
    source: Relayed, request: Optional[HttpRequest] = None, **options: Any
) -> StreamingHttpResponse:
    """The answer as it comes; the other arguments are those of ``Relay``.

    With the ``request``, what the browser has seen already is taken from its header Last-Event-ID,
    or from ``last_event_id`` in its query, which a page can set after a reload. Under ASGI it is
    needed also because Django would else wait for the whole answer; a thread then reads for the
    event loop.
    """
    if options.get("last_event_id") is None and request is not None:
        seen = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id")
        options["last_event_id"] = seen
    relay = Relay(source, **options)
    body: Any = Awaited(relay) if hasattr(request, "scope") else relay
    return StreamingHttpResponse(body, status=relay.status, headers=relay.headers)


class Awaited:
    """A relay for an event loop. It waits in a thread of its own: those that Django and asyncio
    share are few, and each answer would hold one for as long as its model thinks."""

    def __init__(self, relay: Relay) -> None:
        #: For Django, which calls it when the response is over.
        self.close = relay.close
        self._relay = relay

    async def __aiter__(self) -> AsyncIterator[bytes]:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        thread = ThreadPoolExecutor(1, thread_name_prefix="streamsafe-relay")
        loop = asyncio.get_running_loop()
        try:
            while True:
                data = await loop.run_in_executor(thread, next, self._relay, None)
                if data is None:
                    return
                yield data
        finally:
            self.close()
            thread.shutdown(wait=False)
