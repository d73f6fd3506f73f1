"""Owner: which process writes a stream, and whether it still lives.

Here lives the name of a process that outlasts the reuse of its number.
"""

from __future__ import annotations

import os
import socket
from typing import Optional


def this() -> str:
    """Host, number and start of this process."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid()) or ''}"


def lives(owner: str) -> Optional[bool]:
    """True or False for a process of this host; None where that can't be known from here."""
    host, _, rest = owner.partition("/")
    number, _, started = rest.partition("/")
    if host != socket.gethostname() or not number.isdigit():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, as somebody else's
    return not started or _started(int(number)) in (started, None)


def _started(number: int) -> Optional[str]:
    """When the process began, in the kernel's ticks since boot; None where /proc is missing."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as stat:
            # The name, in brackets, may hold blanks; the start is the 20th field behind it.
            return stat.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
