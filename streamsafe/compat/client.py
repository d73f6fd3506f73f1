"""Client: what the vendors' clients have in common: their options, and the asking.

Here lives the way from the SDKs' options to a StreamSession's. Which APIs a client has, and where
they are, is told by each vendor's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional, TypeVar, Union
from urllib.parse import urlencode

from streamsafe.compat.answer import Answer, Weave
from streamsafe.compat.arguments import NOT_GIVEN, body_of, given, plain
from streamsafe.compat.exchange import Exchange
from streamsafe.compat.missing import Covering, not_covered
from streamsafe.compat.timeout import timeouts_of
from streamsafe.compat.unstreamed import Unstreamed
from streamsafe.compat.whole import Builder, Gathering, refuses_to_stream
from streamsafe.engine.retry import RetryPolicy
from streamsafe.errors import BadRequestError, ConfigurationError, StreamingError
from streamsafe.models import Attempt
from streamsafe.providers import presets
from streamsafe.providers.base import Provider
from streamsafe.session import StreamSession
from streamsafe.stream import Stream
from streamsafe.wire.http import HttpTransport

#: A key, or a function that gives one for each request.
Key = Union[str, Callable[[], str], None]

C = TypeVar("C", bound="Client")

#: What a client takes beside the SDK's options; as for StreamSession.
_OPTIONS = ("resume", "observers", "journal", "http", "transport", "limits")

#: How long a document is waited for where the server does not stream: as long as the SDKs do.
_DOCUMENT = 600.0


class Client(Covering):
    """The base of the vendors' clients. One client serves many threads.

    ``timeout`` is that of the SDKs, seconds of silence: a number, an object with ``connect`` and
    ``read``, or None for no limit; or a ``streamsafe.Timeouts``. ``max_retries`` is a number or a
    ``streamsafe.RetryPolicy``. Where one is not given streamsafe's own holds.
    """

    #: The API that shows whether the client's options will do.
    API = ""
    #: What ``with_options`` changes beside what all vendors' clients have.
    ALSO: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        api_key: Key,
        base_url: str,
        timeout: Any,
        max_retries: Any,
        default_headers: Optional[Mapping[str, str]],
        default_query: Optional[Mapping[str, Any]],
        http_client: Any,
        options: Mapping[str, Any],
    ) -> None:
        self.api_key = api_key
        self.base_url = base_url
        self.timeout = timeout
        self.max_retries = max_retries
        self.default_headers = dict(default_headers or {})
        self.default_query = dict(default_query or {})
        self._options = self._checked(options, http_client)
        http, limits = self._options.get("http"), self._options.get("limits")
        self._options.setdefault("transport", HttpTransport(http, limits=limits))
        if not callable(api_key):
            try:
                provider = self._provider(self.API)
                presets.target(provider, api_key, base_url, keyless=http is not None)
            except ConfigurationError as error:
                raise self.translated(error, Exchange()) from error

    def _checked(self, options: Mapping[str, Any], http_client: Any) -> dict[str, Any]:
        for name in options:
            if name not in _OPTIONS:
                not_covered(f"{type(self).__name__}({name}=...)", self.SDK, self.COVERED)
        made = {name: value for name, value in options.items() if value is not None}
        http = made.get("http", http_client)
        if http is None:
            return made
        if not hasattr(http, "get_adapter"):
            raise ConfigurationError(
                f"http_client={http!r}: streamsafe speaks through requests: pass a "
                "requests.Session with your proxies and certificates"
            )
        return {**made, "http": http}

    # -- as in the SDKs ------------------------------------------------------------------------

    def with_options(
        self: C,
        *,
        timeout: Any = NOT_GIVEN,
        max_retries: Any = NOT_GIVEN,
        api_key: Key = None,
        base_url: Optional[str] = None,
        default_headers: Optional[Mapping[str, str]] = None,
        default_query: Optional[Mapping[str, Any]] = None,
        **more: Any,
    ) -> C:
        """A client with some options changed, over the same connections.

        ``more`` are the vendor's own, such as OpenAI's ``organization``.
        """
        for name, value in more.items():
            if value is not None and name not in self.ALSO:
                not_covered(f"client.with_options({name}=...)", self.SDK, self.COVERED)
        other = type(self).__new__(type(self))
        for name, value in self.__dict__.items():
            if not isinstance(value, Covering):  # a part belongs to its client
                other.__dict__[name] = value
        for name, value in (("timeout", timeout), ("max_retries", max_retries)):
            if given(value):
                setattr(other, name, value)
        other.__dict__.update({name: value for name, value in more.items() if value is not None})
        other.api_key = api_key or self.api_key
        other.base_url = base_url or self.base_url
        other.default_headers = {**self.default_headers, **(default_headers or {})}
        other.default_query = {**self.default_query, **(default_query or {})}
        return other

    copy = with_options

    def close(self) -> None:
        """Close the idle connections."""
        self._options["transport"].close()

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> Any:
        raise TypeError(f"{type(self).__name__} holds a key and connections: it is not pickled")

    # -- asking --------------------------------------------------------------------------------

    def ask(self, api: str, arguments: Mapping[str, Any], weave: Weave) -> Answer[Any]:
        """The answer as a stream in the vendor's shape; its request has been made."""
        exchange = Exchange()
        try:
            stream = self._stream(api, self._provider(api), arguments, exchange, weave.again)
        except StreamingError as error:
            raise self.translated(error, exchange) from error
        return Answer(stream, weave, self.translated, exchange)

    def ask_whole(
        self,
        api: str,
        arguments: Mapping[str, Any],
        weave: Callable[[], Weave],
        builder: Callable[[], Builder],
    ) -> Any:
        """The answer in one piece, in the vendor's shape."""
        exchange, provider = Exchange(), self._provider(api)
        try:
            try:
                gathering = Gathering(weave, builder)
                return self._gathered(api, provider, arguments, gathering, exchange)
            except BadRequestError as error:
                if not refuses_to_stream(error):
                    raise
            provider, arguments = Unstreamed(provider), {"timeout": _DOCUMENT, **arguments}
            gathering = Gathering(weave, builder)
            return self._gathered(api, provider, arguments, gathering, exchange)
        except StreamingError as error:
            raise self.translated(error, exchange) from error

    def _gathered(
        self,
        api: str,
        provider: Provider,
        arguments: Mapping[str, Any],
        gathering: Gathering,
        exchange: Exchange,
    ) -> Any:
        # An answer that nobody has seen yet may begin anew.
        stream = self._stream(api, provider, arguments, exchange, gathering.again, "auto_restart")
        with stream:
            made = gathering.read(stream)
        made._request_id = exchange.response and exchange.response.request_id
        return made

    def _stream(
        self,
        api: str,
        provider: Provider,
        arguments: Mapping[str, Any],
        exchange: Exchange,
        again: Callable[[Attempt], None],
        resume: Optional[str] = None,
    ) -> Stream:
        asked = {name: value for name, value in arguments.items() if given(value)}
        headers = asked.pop("extra_headers", None) or {}
        query = asked.pop("extra_query", None) or {}
        extra = asked.pop("extra_body", None) or {}
        timeout = asked.pop("timeout", self.timeout)
        body = {**body_of(asked), **plain(extra, "extra_body")}
        return self._session(provider, self._address(api, body), headers, query).stream(
            body=body,
            timeouts=timeouts_of(timeout),
            retry=RetryPolicy.of(self.max_retries) if given(self.max_retries) else None,
            resume=self._options.get("resume", resume),
            observers=(exchange,),
            on_retry=again,
        )

    def _session(
        self,
        provider: Provider,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, Any],
    ) -> StreamSession:
        """A session for one request, as the client is now: options change, and keys expire."""
        asked = {**self.default_query, **query}
        if asked:
            url += ("&" if "?" in url else "?") + urlencode(asked, doseq=True)
        return StreamSession(
            provider,
            api_key=self.api_key() if callable(self.api_key) else self.api_key,
            base_url=url,
            headers={**self._own_headers(), **self.default_headers, **headers},
            **self._options,
        )

    @staticmethod
    def translated(error: StreamingError, exchange: Exchange) -> StreamingError:
        """The vendor's error for one of streamsafe's."""
        raise NotImplementedError

    def _provider(self, api: str) -> Provider:
        """The provider of one of the vendor's APIs."""
        raise NotImplementedError

    def _address(self, api: str, body: Mapping[str, Any]) -> str:
        """What stands before the provider's path."""
        return self.base_url

    def _own_headers(self) -> dict[str, str]:
        """Headers beside those of the provider."""
        return {}
