"""Faults: the one map from what requests, urllib3, http.client, ssl and sockets raise to our tree.

A fault is judged by its root cause and by how far the exchange had got, since the libraries'
own classes mislead: a handshake's end comes as SSLError like a bad certificate does, a stalled
handshake as ReadTimeout, an origin that drops a tunnel as ProxyError.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Optional, Union
from urllib.parse import urlsplit

import requests.exceptions
import urllib3.exceptions

from streamsafe.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionDroppedError,
    MalformedStreamError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.wire.interrupts import interrupt
from streamsafe.wire.opening import Opening

#: What the transport takes for a fault of the exchange; anything else is a bug or the caller's.
FAULTS = (
    OSError,  # all of requests' and of ssl's are
    http.client.HTTPException,
    urllib3.exceptions.HTTPError,
    UnicodeError,  # a header that is not latin-1, a host that is no name
)

_Kinds = Union[type, tuple[type, ...]]

# Not urllib3's TimeoutError: a refused connection is one, too (NewConnectionError).
_TIMEOUTS = (
    socket.timeout,
    TimeoutError,
    urllib3.exceptions.ReadTimeoutError,
    requests.exceptions.Timeout,
)
_REFUSED_AS_WRITTEN = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
    http.client.InvalidURL,
    UnicodeError,
)
_NOT_HTTP = (
    http.client.BadStatusLine,
    http.client.UnknownProtocol,
    http.client.LineTooLong,
    urllib3.exceptions.InvalidHeader,
)
#: OpenSSL's words for an answer that is no TLS record.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")

_USERINFO = re.compile(r"(?<=//)[^/@\s]+@")

_CA_HINT = (
    "behind a proxy that re-signs TLS, point REQUESTS_CA_BUNDLE or your session's verify at its "
    "certificate; check the host's name and the machine's date"
)


def before_answer(error: BaseException, opening: Opening, url: str) -> StreamingError:
    """What it means that the request to ``url`` ended in ``error`` before its answer came.

    Raises what a signal's handler of the program's own raised.
    """
    chain = _faults(error)
    where = _place(url)
    for judge in (_own, _configuration, _certificate, _proxy, _clock, _garbled):
        fault = judge(chain, opening, where)
        if fault is not None:
            return fault
    return _broken(chain, opening, where)


def in_body(error: BaseException, read_timeout: Optional[float], waited: float) -> StreamingError:
    """What it means that reading the body ended in ``error``.

    Undecodable bytes are a drop too: somebody on the way garbled them, and like a cut body they
    void nothing that came before. ``waited`` is how long the read took, in seconds. Raises what a
    signal's handler of the program's own raised.
    """
    chain = _faults(error)
    own = _first(chain, StreamingError)
    if isinstance(own, StreamingError):
        return own
    if read_timeout is not None and _timed_out(chain):
        return StreamTimeoutError("inactivity", read_timeout, waited)
    if _first(chain, urllib3.exceptions.DecodeError):
        return ConnectionDroppedError(
            f"the body can't be decoded: {_text(chain[-1])}",
            hint="a proxy damages compressed answers, or the server says a wrong encoding",
        )
    if _first(chain, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
        return ConnectionDroppedError("the connection ended inside the body")
    return ConnectionDroppedError(f"the connection broke inside the body: {_text(chain[-1])}")


# -- the judges, in their order; each gives None for what is not its affair ----------------


def _own(
    chain: list[BaseException], opening: Opening, where: str
) -> Optional[StreamingError]:
    found = _first(chain, StreamingError)
    return found if isinstance(found, StreamingError) else None


def _configuration(
    chain: list[BaseException], opening: Opening, where: str
) -> Optional[StreamingError]:
    top = chain[0]
    if _first(chain, urllib3.exceptions.InvalidHeader):
        return None  # of the answer
    if isinstance(top, requests.exceptions.SSLError) or _first(chain, ssl.SSLError):
        return None
    if isinstance(top, OSError) and "Could not find" in str(top):
        return ConfigurationError(str(top), hint="check verify, cert and REQUESTS_CA_BUNDLE")
    if _first(chain, UnicodeEncodeError):
        return ConfigurationError(
            "a header's value or the host's name has characters that HTTP cannot send",
            hint="look for a dash or a quote that an editor has replaced in the API key",
        )
    if _first(chain, _REFUSED_AS_WRITTEN) or isinstance(top, ValueError):
        return ConfigurationError(_text(top), hint="check base_url, the headers and the proxies")
    return None


def _certificate(
    chain: list[BaseException], opening: Opening, where: str
) -> Optional[StreamingError]:
    """TLS that will fail the same way again. A handshake that is cut is left to ``_broken``."""
    found = _first(chain, ssl.SSLError)
    if found is None:
        # urllib3's own checks, of fingerprints and of other host names than the URL's.
        if isinstance(chain[-1], OSError) or not _first(chain, urllib3.exceptions.SSLError):
            return None
        return _no_tls(f"the certificate of {where} is refused: {_text(chain[-1])}")
    if isinstance(found, ssl.SSLCertVerificationError):
        reason = getattr(found, "verify_message", "") or _text(found)
        return _no_tls(f"the certificate of {where} can't be verified: {reason}")
    reason = getattr(found, "reason", None) or ""
    if _cut_short(found) or (opening.phase == "answer" and "CERTIFICATE" not in reason):
        return None
    if reason in _NO_TLS:
        return _no_tls(
            f"{where} does not speak TLS", "an http:// server or port under an https:// URL?"
        )
    # An internal error alert is the server's bad moment; other alerts are its settings.
    return ConnectError(
        f"no TLS with {where}: {_text(found)}", retryable="INTERNAL_ERROR" in reason, hint=_CA_HINT
    )


def _proxy(
    chain: list[BaseException], opening: Opening, where: str
) -> Optional[StreamingError]:
    found = _first(chain, urllib3.exceptions.ProxyError)
    # Beyond the proxy urllib3's label is wrong: it has forgotten that it was connected.
    if found is None or opening.phase in ("tls", "send", "answer"):
        return None
    hint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or your session's proxies"
    refusal = re.search(r"Tunnel connection failed: (\d+)", " ".join(map(str, chain)))
    if refusal is None:
        if _timed_out(chain):
            return None
        return ConnectError(f"no connection to the proxy: {_text(chain[-1])}", hint=hint)
    status = int(refusal.group(1))
    if status == 407:
        hint = "the proxy wants a name and a password: http://name:password@proxy:port"
    return ConnectError(
        f"the proxy refused the way to {where} with status {status}",
        hint=hint,
        retryable=status >= 500 or status == 429,
    )


def _clock(
    chain: list[BaseException], opening: Opening, where: str
) -> Optional[StreamingError]:
    if not _timed_out(chain):
        return None
    reading = (urllib3.exceptions.ReadTimeoutError, requests.exceptions.ReadTimeout)
    answering = opening.phase == "answer" or (
        opening.phase == "start" and _first(chain, reading)
    )
    clock = "first_token" if answering else "connect"
    limit = opening.read_timeout if answering else opening.connect_timeout
    if limit is None:
        return None
    return StreamTimeoutError(clock, limit, opening.elapsed())


def _garbled(
    chain: list[BaseException], opening: Opening, where: str
) -> Optional[StreamingError]:
    if _first(chain, http.client.RemoteDisconnected):
        return None
    found = _first(chain, _NOT_HTTP)
    if found is None and type(chain[-1]) is not http.client.HTTPException:
        return None
    return MalformedStreamError(
        f"what {where} answers is not HTTP: {_text(chain[-1]).strip()}",
        hint="check the port and that http:// or https:// is right",
    )


def _broken(chain: list[BaseException], opening: Opening, where: str) -> StreamingError:
    root = chain[-1]
    if isinstance(root, socket.gaierror):
        return ConnectError(
            f"no address for the host of {where}: {root.strerror}",
            hint="check the spelling of base_url, the network and the name server",
        )
    if opening.phase in ("send", "answer"):
        return ConnectionDroppedError(f"the connection to {where} broke: {_text(root)}")
    if opening.phase == "tls":
        return ConnectError(f"{where} broke off the TLS handshake: {_text(root)}")
    if opening.phase == "tunnel":
        return ConnectError(f"the proxy broke off on the way to {where}: {_text(root)}")
    dropped = (http.client.HTTPException, ConnectionResetError, BrokenPipeError)
    if opening.phase == "start" and _first(chain, dropped):
        # Somebody else's adapter does not say how far it got.
        return ConnectionDroppedError(f"the connection to {where} broke: {_text(root)}")
    return ConnectError(f"no connection to {where}: {_text(root)}")


def _faults(error: BaseException) -> list[BaseException]:
    chain = list(_chain(error))
    raised = interrupt(chain)
    if raised is not None:
        raise raised from None
    return chain


# -- helpers -------------------------------------------------------------------------------


def _no_tls(message: str, hint: str = _CA_HINT) -> ConnectError:
    return ConnectError(message, hint=hint, retryable=False)


def _timed_out(chain: list[BaseException]) -> bool:
    # With a number (ETIMEDOUT) it is the system's own patience with a dead peer, no clock of ours.
    numbered = any(getattr(error, "errno", None) for error in chain)
    return not numbered and _first(chain, _TIMEOUTS) is not None


def _cut_short(error: BaseException) -> bool:
    return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all that it came of, the root last: by cause, context, reason, arguments."""
    seen: set[int] = set()
    current: Optional[BaseException] = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = _origin(current)


def _origin(error: BaseException) -> Optional[BaseException]:
    candidates = [getattr(error, "reason", None), *error.args, error.__cause__]
    if not error.__suppress_context__:
        candidates.append(error.__context__)
    return next((one for one in candidates if isinstance(one, BaseException)), None)


def _first(chain: list[BaseException], kinds: _Kinds) -> Optional[BaseException]:
    return next((error for error in chain if isinstance(error, kinds)), None)


def _text(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _USERINFO.sub("***@", text)  # a URL that can't be parsed is quoted whole


def _place(url: str) -> str:
    """Host and port: a URL's path and query may hold a key."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the server"
    except ValueError:
        return "the server"
