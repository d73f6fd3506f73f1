"""Flask: an answer as a response, in one line.

::

    from streamsafe.web.flask import stream_response

    @app.get("/answer")
    def answer():
        return stream_response(session.stream(request.args["question"]))

Here lives what Flask alone knows: the request's context and headers. The rest is ``relay``'s.
"""

from __future__ import annotations

from typing import Any

from streamsafe.web.relay import Relay
from streamsafe.web.sources import Relayed

try:
    from flask import Response, request, stream_with_context
except ImportError as error:
    raise ImportError('Flask is not here: pip install "streamsafe[flask]"') from error


def stream_response(source: Relayed, **options: Any) -> Response:
    """The answer as it comes; the arguments are those of ``Relay``.

    What the browser has seen already is taken from the request: from its header Last-Event-ID, or
    from ``last_event_id`` in its query, which a page can set after a reload. The request's context
    stays until the response is over. Callbacks of the stream run on another thread, where
    ``with app.app_context():`` gives them one of their own.
    """
    if options.get("last_event_id") is None:
        seen = request.headers.get("Last-Event-ID") or request.args.get("last_event_id")
        options["last_event_id"] = seen
    relay = Relay(source, **options)
    response = Response(stream_with_context(relay), relay.status, relay.headers)
    # The generator with the context does not tell if the body is never begun, as for HEAD.
    response.call_on_close(relay.close)
    return response
