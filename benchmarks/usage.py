"""What this process has used: CPU and memory, as the kernel counts them."""

from __future__ import annotations

import os
import resource
import sys


def cpu() -> float:
    """Seconds of CPU, user and system, of all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory() -> int:
    """Bytes resident now; 0 where the kernel does not say."""
    return _status("VmRSS:")


def peak() -> int:
    """Bytes resident at most, since ``reset_peak`` where that is possible."""
    if sys.platform == "linux":
        return _status("VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def reset_peak() -> None:
    """Let ``peak`` begin anew. (ru_maxrss of a child begins at its parent's figure.)"""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def threads() -> int:
    """Threads of this process, Python's and others."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _status(field: str) -> int:
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
