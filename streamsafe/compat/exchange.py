"""Exchange: the request and the response behind an answer, as far as the SDKs show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.lifecycle import AttemptStarted, Opened, Record


class Headers(dict[str, str]):
    """Headers by name, in any case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or the default."""
        return super().get(name.lower(), default)


class Request(NamedTuple):
    """What was asked for, without its headers: they hold the key."""

    method: str
    url: str


class Response(NamedTuple):
    """The last response: status, headers, and the ``body`` of an error; else the answer is it."""

    status_code: int
    headers: Headers
    request: Optional[Request] = None
    request_id: Optional[str] = None
    body: Any = None

    @property
    def text(self) -> str:
        """The body of an error."""
        if isinstance(self.body, str):
            return self.body
        return "" if self.body is None else json.dumps(self.body, ensure_ascii=False)

    def json(self) -> Any:
        """The same as a value; ValueError where it is no JSON."""
        return json.loads(self.text)


class Exchange:
    """Sees, as an observer of one stream, its last request and response."""

    def __init__(self) -> None:
        self.request: Optional[Request] = None
        self.response: Optional[Response] = None

    def observe(self, record: Record) -> None:
        """Keep the facts of a request that is made, and of its response."""
        if isinstance(record, AttemptStarted):
            self.request = Request(record.request.method, record.request.url)
            self.response = None
        elif isinstance(record, Opened):
            headers = Headers(record.headers)
            self.response = Response(record.status, headers, self.request, record.request_id)
