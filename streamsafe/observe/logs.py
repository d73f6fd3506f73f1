"""Logs: a stream's life as log records with structured fields.

Here lives an observer for the standard ``logging``. It never logs what was asked or answered,
unless it is told to.
"""

from __future__ import annotations

import logging
from typing import Any, Optional

from streamsafe.errors import MalformedStreamError
from streamsafe.lifecycle import (
    Cancelled,
    Chunks,
    Completed,
    Failed,
    Malformed,
    Record,
    Resumed,
    Retrying,
    Stalled,
    Started,
)
from streamsafe.observe.tallies import Tallies, Ticks
from streamsafe.observe.tally import Tally, describe


class LogExporter:
    """An observer that logs: start, seam, cancellation and completion at INFO; retry, stall, a
    skipped event and an answer cut off or filtered at WARNING; failure at ERROR.

    ``logger`` is a Logger or a name. Each log record carries, for formatters that print
    ``extra`` (JSON ones do), flat fields that begin with ``stream_``: ``stream_event``
    ("started", "stalled", "retrying", "resumed", "skipped", "complete", "failed", "cancelled"),
    ``stream_id``, ``stream_provider``, ``stream_model``, and what belongs to the event: of an
    error ``stream_error_type``, ``stream_error_message`` and what else is known of it; at the
    end the figures of ``StreamMonitor.get_stream``.

    ``content`` adds ``stream_text``, the answer as far as it came, at the end, and the messages
    of errors that quote what was received.
    """

    def __init__(
        self,
        logger: Any = "streamsafe.streams",
        *,
        content: bool = False,
        clock: Optional[Ticks] = None,
    ) -> None:
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._content = content
        self._tallies = Tallies(clock)

    def observe(self, record: Record) -> None:
        """Log what a record is worth. Called by the streams, on their reading threads."""
        tally = self._tallies.fold(record)
        if tally is None or isinstance(record, Chunks):
            return
        if isinstance(record, Started):
            self._log(logging.INFO, "started", tally)
        elif isinstance(record, Stalled):
            self._log(logging.WARNING, "stalled", tally, silent_for=record.silent_for)
        elif isinstance(record, Resumed):
            seam = record.seam
            facts = {"how": seam.how, "confidence": seam.confidence, "at": seam.at}
            self._log(logging.INFO, "resumed", tally, **facts)
        elif isinstance(record, Malformed):
            self._log(logging.WARNING, "skipped", tally, **self._error(record.error))
        elif isinstance(record, Retrying):
            facts = {"number": record.number, "delay": record.delay, "reason": record.reason}
            self._log(logging.WARNING, "retrying", tally, **facts, **self._error(record.error))
        elif isinstance(record, (Completed, Failed, Cancelled)):
            self._end(record, tally)

    def _end(self, record: Any, tally: Tally) -> None:
        facts = _figures(tally)
        level = logging.INFO
        if isinstance(record, Failed):
            level = logging.ERROR
            facts.update(self._error(record.error))
        elif tally.outcome in ("truncated", "filtered"):
            level = logging.WARNING
        if self._content:
            facts["text"] = record.completion.text
        self._log(level, tally.status, tally, **facts)

    def _error(self, error: BaseException) -> dict[str, Any]:
        said = describe(error)
        if isinstance(error, MalformedStreamError) and not self._content:
            del said["message"]  # it quotes what was received
        return {f"error_{name}": value for name, value in said.items() if value not in (None, "")}

    def _log(self, level: int, event: str, tally: Tally, **facts: Any) -> None:
        if not self._logger.isEnabledFor(level):
            return
        known = {"event": event, "provider": tally.provider, "model": tally.model, **facts}
        extra = {f"stream_{name}": value for name, value in known.items()}
        extra["stream_id"] = tally.stream_id
        error = f": {facts['error_type']}" if "error_type" in facts else ""
        self._logger.log(level, "stream %s %s%s", tally.stream_id, event, error, extra=extra)


def _figures(tally: Tally) -> dict[str, Any]:
    """What a stream came to, flat, so that every field can be searched for."""
    view = tally.view(tally.last)
    facts = {
        name: view[name]
        for name in (
            "outcome", "finish_reason", "duration", "ttft", "bytes", "events", "chunks",
            "heartbeats", "attempts", "retries", "stalls", "tokens_per_second", "http_status",
            "request_id",
        )
    }  # fmt: skip
    facts.update({f"tokens_{name}": value for name, value in view["tokens"].items()})
    facts.update({f"gap_{name}": view["gaps"][name] for name in ("p50", "p90", "p99")})
    return facts
