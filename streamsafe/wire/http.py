"""HttpTransport: the Transport over requests and urllib3.

Here lives the way of a request through a requests.Session: prepared, sent by the adapter that
serves its URL, redirected, or sent again because a pooled connection was stale. What connections
do is in ``connections``, what their errors mean in ``faults``.

requests is imported when the first transport is made, not with streamsafe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from streamsafe.errors import ConfigurationError, ConnectError, ConnectionDroppedError
from streamsafe.limits import Limits
from streamsafe.models import Request
from streamsafe.wire import aside
from streamsafe.wire.opening import CURRENT, Opening
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep

if TYPE_CHECKING:
    from concurrent.futures import Future

    import requests

    from streamsafe.wire.prepare import Terms
    from streamsafe.wire.reply import HttpResponse
    from streamsafe.wire.routes import Route


class HttpTransport:
    """Sends requests through a ``requests.Session``; one transport serves many threads.

    Without ``http`` it has a session of its own. Yours is read, never changed: its headers,
    params, auth, cookies, hooks, proxies, verify, cert and trust_env hold. How far a stream can
    be cut depends on its adapters:

    - A plain HTTPAdapter, which a new Session has, is stood in for by one of ours with the same
      pool options: every phase can be cut at once.
    - For an adapter class of your own, SOCKS, ``pool_block=True``, or a Session whose ``send``
      is overridden, the request is sent on a helper thread. A cancelled caller leaves at once,
      and the late response is closed when it comes. While the body is read the socket is cut as
      ever if the response tells its descriptor; otherwise ``read_timeout`` bounds the silence.

    An adapter's ``max_retries`` is never used, since a repeated POST bills twice. A Session's
    ``request`` is not called; override ``prepare_request`` or ``send`` instead.

    ``pool_maxsize`` idle connections are kept per host, any number may be in use. ``keepalive``
    is the silence in seconds before TCP asks whether the peer is there, None = never.
    ``trust_env=False``: a session of its own takes no proxies, certificates and .netrc from the
    environment. Raises ConfigurationError for values that are not such.
    """

    def __init__(
        self,
        http: Optional[requests.Session] = None,
        *,
        limits: Optional[Limits] = None,
        pool_maxsize: int = 1000,
        keepalive: Optional[float] = 30.0,
        trust_env: bool = True,
    ) -> None:
        _check(pool_maxsize, keepalive)
        self._given = http
        self._limits = limits or Limits()
        self._pool_maxsize = pool_maxsize
        self._keepalive = keepalive
        self._trust_env = trust_env
        self._set_up()

    def open(
        self,
        request: Request,
        scope: Scope,
        *,
        connect_timeout: Optional[float],
        read_timeout: Optional[float],
        on_step: OnStep,
    ) -> HttpResponse:
        """Send ``request`` and return once status and headers are here, whatever the status.

        On the reading thread, which ``on_step`` is called on too. A GET follows all redirects,
        others follow 307 and 308, at most five; what is not followed is returned. Raises
        ConfigurationError (nothing was sent), ConnectError, ConnectionDroppedError,
        MalformedStreamError, LimitExceededError, StreamTimeoutError, and any of these once
        ``scope`` is aborted.
        """
        from streamsafe.wire import redirects

        opening = Opening(
            scope, on_step, connect_timeout, read_timeout, self._limits.max_header_bytes
        )
        prepared = self._prepare(request, opening)
        for _ in range(redirects.MOST + 1):
            response = self._exchange(prepared, opening)
            location = response.headers.get("location", "")
            target = redirects.follow(self._session, prepared, response.status, location)
            if target is None:
                return response
            response.finish()
            prepared, opening = target, opening.again()
        raise ConnectError(
            f"more than {redirects.MOST} redirects", retryable=False, hint="check base_url"
        )

    def close(self) -> None:
        """Close all idle connections of ours. A session that was given stays open."""
        if self._given is None:
            self._session.close()
        self._routes.close()

    def _set_up(self) -> None:
        import requests

        from streamsafe.wire.connections import ScopedAdapter
        from streamsafe.wire.prepare import Preparer
        from streamsafe.wire.routes import Routes

        session = self._given
        if session is None:
            session = requests.Session()
            session.trust_env = self._trust_env
            adapter = ScopedAdapter(pool_maxsize=self._pool_maxsize, keepalive=self._keepalive)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        self._session = session
        self._preparer = Preparer(session)
        self._routes = Routes(session, self._pool_maxsize, self._keepalive)

    def __getstate__(self) -> dict[str, Any]:
        names = ("_given", "_limits", "_pool_maxsize", "_keepalive", "_trust_env")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()

    # -- one exchange ----------------------------------------------------------------------

    def _prepare(self, request: Request, opening: Opening) -> requests.PreparedRequest:
        from streamsafe.wire import faults

        try:
            return self._preparer.request(request)
        except ConfigurationError:
            raise
        except (*faults.FAULTS, ValueError) as error:
            raise faults.before_answer(error, opening, request.url) from error

    def _exchange(self, prepared: requests.PreparedRequest, opening: Opening) -> HttpResponse:
        from streamsafe.wire import faults

        url = prepared.url or ""
        try:
            terms = self._preparer.terms(url)
            route = self._routes.find(url, terms)
            if not route.scoped:
                return self._aside(route, prepared, terms, opening)
            return self._scoped(route, prepared, terms, opening)
        except faults.FAULTS as error:
            fault = faults.before_answer(error, opening, url)
            opening.scope.detach()
            if not (opening.stale and isinstance(fault, ConnectionDroppedError)):
                raise fault from error
        # The server closed the pooled connection before it can have read the request (it cannot
        # be proven: RFC 9112, 9.3.1). A fresh one is never stale, so this happens once.
        opening.step("stale", error=fault.message)
        return self._exchange(prepared, opening.again(fresh=True))

    def _scoped(
        self, route: Route, prepared: requests.PreparedRequest, terms: Terms, opening: Opening
    ) -> HttpResponse:
        from streamsafe.wire.reply import HttpResponse

        token = CURRENT.set(opening)
        try:
            # No read timeout: the scope reaches the socket.
            reply = self._send(route, prepared, terms, (opening.connect_timeout, None))
        finally:
            CURRENT.reset(token)
        return HttpResponse(reply, opening.scope, scoped=True, reused=opening.reused)

    def _aside(
        self, route: Route, prepared: requests.PreparedRequest, terms: Terms, opening: Opening
    ) -> HttpResponse:
        """Through an adapter that is not ours: on a thread that can be left behind."""
        from streamsafe.wire.reply import HttpResponse

        timeout = (opening.connect_timeout, opening.read_timeout)
        sending = aside.start(
            "streamsafe-send", lambda: self._send(route, prepared, terms, timeout)
        )
        try:
            over = aside.wait(sending, opening.scope, None)
        except BaseException:
            sending.add_done_callback(_discard)
            raise
        if not over:
            sending.add_done_callback(_discard)
            raise ConnectionAbortedError("left before the answer came")
        reply = sending.result()
        return HttpResponse(
            reply, opening.scope, scoped=False, reused=False, read_timeout=opening.read_timeout
        )

    def _send(
        self, route: Route, prepared: requests.PreparedRequest, terms: Terms, timeout: Any
    ) -> requests.Response:
        """What ``Session.send`` does, but for redirects and reading ahead."""
        settings: dict[str, Any] = {"stream": True, "timeout": timeout, **terms._asdict()}
        if route.whole:
            return route.send(prepared, allow_redirects=False, **settings)
        reply = route.send(prepared, **settings)
        if prepared.hooks.get("response"):
            reply = _hooked(prepared, reply, settings)
        for one in (*reply.history, reply):
            if "set-cookie" in one.headers:
                _keep_cookies(self._session, one)
        return reply


def _hooked(
    prepared: requests.PreparedRequest, reply: requests.Response, settings: Mapping[str, Any]
) -> requests.Response:
    """The response that the program's hooks make of this one."""
    from requests import HTTPError, hooks

    try:
        return hooks.dispatch_hook(  # type: ignore[no-any-return,no-untyped-call]
            "response", prepared.hooks, reply, **settings
        )
    except HTTPError:
        return reply  # a hook that calls raise_for_status: the status speaks for itself
    except BaseException:
        reply.close()
        raise


def _keep_cookies(session: requests.Session, reply: requests.Response) -> None:
    from requests import cookies

    cookies.extract_cookies_to_jar(  # type: ignore[no-untyped-call]
        session.cookies, reply.request, reply.raw
    )


def _discard(sending: Future[requests.Response]) -> None:
    if sending.exception() is None:
        sending.result().close()


def _check(pool_maxsize: int, keepalive: Optional[float]) -> None:
    if isinstance(pool_maxsize, bool) or not isinstance(pool_maxsize, int) or pool_maxsize < 1:
        raise ConfigurationError(f"pool_maxsize={pool_maxsize!r}: expected an int of at least 1")
    number = isinstance(keepalive, (int, float)) and not isinstance(keepalive, bool)
    if keepalive is not None and not (number and 1 <= keepalive <= 32_767):
        raise ConfigurationError(
            f"keepalive={keepalive!r}: expected seconds from 1 to 32767, or None for no probes"
        )
