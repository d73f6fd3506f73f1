"""Progress: how far a batch is, told to a bar, to a function, or to nobody."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable, NamedTuple, Optional, Union

from streamsafe.errors import ConfigurationError


class Progress(NamedTuple):
    """How far a batch is.

    ``done`` prompts have a result, ``failed`` of them an error, ``reused`` of them stood in the
    journal. ``running`` are asked at this moment, ``limit`` is how many may be. ``total`` is
    None where the prompts have no length.
    """

    done: int
    failed: int
    reused: int
    running: int
    limit: int
    total: Optional[int]


#: What ``map(progress=...)`` takes: a function, True or False, or None.
Wanted = Union[Callable[[Progress], object], bool, None]


class Reporter:
    """Tells of each step. Called by the thread that iterates the results."""

    def __init__(self, tell: Optional[Callable[[Progress], object]] = None) -> None:
        self._tell = tell

    def show(self, progress: Progress) -> None:
        """A prompt has got its result. What a function raises ends the batch."""
        if self._tell is not None:
            self._tell(progress)

    def close(self) -> None:
        """There is no more to come."""


class Bar(Reporter):
    """A bar of tqdm's, on standard error."""

    def __init__(self, tqdm: Any) -> None:
        super().__init__()
        self._tqdm = tqdm
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        """Move the bar on."""
        if self._bar is None:
            self._bar = self._tqdm.tqdm(
                total=progress.total, unit=" answers", file=sys.stderr, dynamic_ncols=True
            )
        facts = {"failed": progress.failed or None, "at once": progress.limit}
        self._bar.set_postfix({name: fact for name, fact in facts.items() if fact}, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


class Count(Reporter):
    """One line on a terminal, where there is no tqdm."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = False

    def show(self, progress: Progress) -> None:
        """Write over what it said before."""
        of = "" if progress.total is None else f" of {progress.total:,}"
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        sys.stderr.write(f"\r{progress.done:,}{of} answers{failed}")
        sys.stderr.flush()
        self._shown = True

    def close(self) -> None:
        """Leave the line as it stands."""
        if self._shown:
            sys.stderr.write("\n")


def reporter(wanted: Wanted) -> Reporter:
    """None: a bar if standard error is a terminal, or a count without tqdm. True: a bar in any
    case, or ConfigurationError without tqdm. False: nothing. A function: that."""
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        return Reporter()
    if wanted is None or wanted is True:
        try:
            return Bar(importlib.import_module("tqdm"))
        except ImportError as error:
            if wanted is None:
                return Count()
            raise ConfigurationError(
                'progress=True wants tqdm: pip install "streamsafe[tqdm]"'
            ) from error
    if not callable(wanted):
        raise ConfigurationError(f"progress={wanted!r}: expected a function, True, False or None")
    return Reporter(wanted)
