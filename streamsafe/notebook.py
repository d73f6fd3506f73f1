"""Notebook: a stream shown live in Jupyter: its text as Markdown while it grows, and its state.

::

    from streamsafe.notebook import live, show

    stream = session.stream("Tell me a story")
    show(stream)
    stream.completion          # what came, also after the stop button was pressed
    live(monitor)              # all streams, painted anew while other cells run

Here lives the showing alone. How a completion, a monitor and a debugger look at the end of a cell
is told by themselves (``_repr_html_``).
"""

from __future__ import annotations

import contextvars
import html
import sys
import threading
import time
from typing import Any, Optional, Protocol

from streamsafe.errors import ConfigurationError
from streamsafe.models import Chunk
from streamsafe.stream import Stream

#: The browser is sent the whole text each time: of a long one, less often.
_CHARS_PER_PAINT = 20_000


def show(stream: Stream, *, markdown: bool = True, every: float = 0.1) -> None:
    """Read a stream to its end and show it meanwhile, in the cell that runs.

    The text stands as Markdown, or as it is with ``markdown=False``; it is painted anew ``every``
    so many seconds (> 0), of a long text less often. Below it a line says what goes on: waiting,
    thinking, retrying, the verdict. Outside of Jupyter the text is printed as it comes.

    The stop button ends the stream and raises KeyboardInterrupt; what had come is on
    ``stream.completion``. Raises what iterating raises.
    """
    if not isinstance(stream, Stream):
        raise ConfigurationError(
            f"show({type(stream).__name__}): expected a Stream, as session.stream() gives it"
        )
    if not every > 0:
        raise ConfigurationError(f"every={every!r}: expected seconds > 0")
    if not _in_kernel():
        _print(stream)
        return
    view = _View(stream, markdown, every)
    view.begin()
    try:
        for chunk in stream:
            view.take(chunk)
    except BaseException:
        stream.close()
        raise
    finally:
        view.end()


def live(monitor: Shown, *, every: float = 1.0) -> Live:
    """Show a ``StreamMonitor`` (or ``SharedFigures``) below this cell, painted anew ``every`` so
    many seconds (> 0) while later cells run, until ``stop()`` or the kernel's end.

    In Jupyter alone: elsewhere a ConfigurationError that names ``streamsafe top``.
    """
    if not every > 0:
        raise ConfigurationError(f"every={every!r}: expected seconds > 0")
    if not _in_kernel():
        raise ConfigurationError(
            "live() shows its figures in Jupyter, and this is no kernel",
            hint="streamsafe top shows them in a terminal, streamsafe dashboard in a browser",
        )
    return Live(monitor, every)


class Shown(Protocol):
    """What can be shown live."""

    def _repr_html_(self) -> str: ...


class Live:
    """A picture that is painted anew by a thread of its own."""

    def __init__(self, monitor: Shown, every: float) -> None:
        from IPython.display import display

        self._monitor = monitor
        self._every = every
        self._handle = display(self._picture(), raw=True, display_id=True)
        self._over = threading.Event()
        context = contextvars.copy_context()  # by which the kernel knows the cell
        # A daemon: a kernel that ends does not wait for it.
        self._thread = threading.Thread(
            target=context.run, args=(self._paint_on,), name="streamsafe-live", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """The last picture stays."""
        self._over.set()
        self._thread.join()

    def __repr__(self) -> str:
        return "painted anew until stop()" if self._thread.is_alive() else "stopped"

    def _paint_on(self) -> None:
        while not self._over.wait(self._every):
            self._handle.update(self._picture(), raw=True)
        self._handle.update(self._picture(), raw=True)

    def _picture(self) -> dict[str, Any]:
        return {"text/plain": repr(self._monitor), "text/html": self._monitor._repr_html_()}


def _print(stream: Stream) -> None:
    try:
        for chunk in stream:
            if chunk.kind == "restart":  # what is printed stays: a line for the new answer
                print("\n")
            elif not chunk.index:
                print(chunk.text, end="", flush=True)
    finally:
        print()


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")  # which a kernel has imported, a plain shell has not
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _View:
    """What is shown of one stream.

    The thread that reads only takes notes; one of its own paints, so that a slow browser holds
    nothing up, and the seconds are counted while nothing comes.
    """

    def __init__(self, stream: Stream, markdown: bool, every: float) -> None:
        self._stream = stream
        self._markdown = markdown
        self._every = every
        self._began = time.monotonic()
        #: Only grows; a restart puts another in its place.
        self._pieces: list[str] = []
        self._thought = 0
        self._shown = ("", "")
        self._over = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def begin(self) -> None:
        """Show the first state, and go on by a thread."""
        from IPython.display import display

        self._text = display(self._body(""), raw=True, display_id=True)
        self._line = display(_status("waiting"), raw=True, display_id=True)
        # The kernel knows by the context which cell an output belongs to. A daemon: a cell that is
        # torn down is not waited for.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._paint_on,), name="streamsafe-notebook", daemon=True
        )
        self._thread.start()

    def take(self, chunk: Chunk) -> None:
        """Note what a chunk brings; on the thread that reads."""
        if chunk.kind == "restart":
            self._pieces, self._thought = [], 0
        elif chunk.text and not chunk.index:
            self._pieces.append(chunk.text)
        else:
            self._thought += len(chunk.reasoning)

    def end(self) -> None:
        """Show the last state."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._paint("".join(self._pieces), self._verdict())

    def _paint_on(self) -> None:
        known, text, count = self._pieces, "", 0
        while not self._over.wait(self._every * (1 + len(text) / _CHARS_PER_PAINT)):
            if self._pieces is not known:
                known, text, count = self._pieces, "", 0
            fresh = known[count:]
            count += len(fresh)
            text += "".join(fresh)
            self._paint(text, self._state(text))

    def _paint(self, text: str, line: str) -> None:
        before, self._shown = self._shown, (text, line)
        if text != before[0]:
            self._text.update(self._body(text), raw=True)
        if line != before[1]:
            self._line.update(_status(line), raw=True)

    def _body(self, text: str) -> dict[str, Any]:
        if self._markdown:
            return {"text/plain": text, "text/markdown": text}
        shown = f'<div style="white-space:pre-wrap">{html.escape(text)}</div>'
        return {"text/plain": text, "text/html": shown}

    def _state(self, text: str) -> str:
        seconds = f"{time.monotonic() - self._began:.0f} s"
        attempts = self._stream.attempts
        facts = [seconds]
        if text:
            facts.insert(0, f"{len(text):,} characters")
        elif self._thought:
            facts.insert(0, f"thinking, {self._thought:,} characters")
        else:
            facts.insert(0, "waiting")
        if attempts:
            facts.append(f"attempt {len(attempts) + 1}, after {type(attempts[-1].error).__name__}")
        return " · ".join(facts)

    def _verdict(self) -> str:
        completion = self._stream.completion
        facts = [completion.outcome.value, completion.finish_reason, completion.model]
        if completion.usage is not None:
            about = "about " if completion.usage.estimated else ""
            facts.append(f"{about}{completion.usage.output_tokens:,} tokens")
        facts.append(f"{completion.timings.duration:.1f} s")
        if len(completion.attempts) > 1:
            facts.append(f"{len(completion.attempts)} attempts")
        return " · ".join(fact for fact in facts if fact)


def _status(line: str) -> dict[str, Any]:
    shown = f'<div style="opacity:.65;font-size:85%">{html.escape(line)}</div>'
    return {"text/plain": line, "text/html": shown}
