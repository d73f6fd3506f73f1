"""The resolver: a host name to addresses, in the time that the caller has.

getaddrinfo can be neither interrupted nor given a time, so it runs aside and is left when its
time is over. An address that stands in the URL as it is costs no thread.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Optional

from streamsafe.wire import aside
from streamsafe.wire.scope import Scope

if TYPE_CHECKING:
    from concurrent.futures import Future

#: As getaddrinfo gives it: family, type, protocol, canonical name, socket address.
AddressInfo = tuple[Any, Any, int, str, Any]

# Look-ups under way, shared by all who ask for the same name meanwhile: a dead name server
# then holds one thread a name, not one a request. No lock: dict operations are atomic, and two
# look-ups of one name at worst do the work twice.
_under_way: dict[tuple[str, int, int], Future[list[AddressInfo]]] = {}

# The threads do not exist in a forked child; nobody would ever finish these.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_under_way.clear)


def literal(host: str, port: int, family: int) -> Optional[list[AddressInfo]]:
    """The address that ``host`` is, as a list of one, or None if it is a name."""
    try:
        return socket.getaddrinfo(
            host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST
        )
    except (socket.gaierror, UnicodeError):
        return None


def resolve(
    host: str, port: int, family: int, scope: Scope, seconds: Optional[float]
) -> list[AddressInfo]:
    """All addresses of ``host``, on the reading thread.

    Raises socket.gaierror, socket.timeout when ``seconds`` are over (None = no limit), and
    ConnectionAbortedError as soon as ``scope`` is aborted.
    """
    key = (host, port, int(family))
    look_up = _under_way.get(key)
    if look_up is None:
        look_up = aside.start("streamsafe-resolver", lambda: _look_up(key))
        _under_way[key] = look_up
        look_up.add_done_callback(lambda _: _under_way.pop(key, None))
    if aside.wait(look_up, scope, seconds):
        error = look_up.exception()
        if isinstance(error, OSError):
            # A copy: many threads may raise it, and each adds its own traceback.
            raise type(error)(*error.args) from error
        return look_up.result()
    if scope.cause is not None:
        raise ConnectionAbortedError(f"left while looking up {host}")
    raise socket.timeout(f"no answer from the name server for {host}")


def _look_up(key: tuple[str, int, int]) -> list[AddressInfo]:
    host, port, family = key
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
