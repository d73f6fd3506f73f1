"""Alerts: rules over the figures of a window, which ring once and clear with hysteresis.

Here live the rules and their state. When they are looked at is the monitor's business.
"""

from __future__ import annotations

import logging
import threading
from typing import Callable, NamedTuple, Optional

from streamsafe.errors import ConfigurationError
from streamsafe.observe.figures import MEASURED, Figures
from streamsafe.observe.windows import span

logger = logging.getLogger("streamsafe")


class Alert(NamedTuple):
    """What a callback is told: a rule began to ring (``firing``) or is clear again.

    ``value`` is what was measured, ``threshold`` the bound that it passed; ``at`` is seconds
    since the epoch.
    """

    name: str
    firing: bool
    value: float
    threshold: float
    window: str
    at: float


class AlertRule(NamedTuple):
    """A bound on a value measured over a window.

    ``measure`` gives the value, or None where too little happened to judge: a rule then stays
    as it is, for silence is no proof that anything was mended. ``above`` says on which side of
    ``threshold`` it rings; it clears when ``clear``, which lies on the good side, is reached.
    """

    name: str
    window: str
    measure: Callable[[Figures], Optional[float]]
    threshold: float
    clear: float
    above: bool

    def next(self, firing: bool, value: float) -> bool:
        """Whether it rings from now on; between ``clear`` and ``threshold`` nothing changes."""
        if self.above:
            return value > (self.clear if firing else self.threshold)
        return value < (self.clear if firing else self.threshold)


#: Called with each change of an alert, on the thread that noticed it.
OnAlert = Callable[[Alert], object]


def success_rate_below(
    threshold: float,
    *,
    window: str = "5m",
    clear: Optional[float] = None,
    min_streams: int = 10,
    name: Optional[str] = None,
) -> AlertRule:
    """Ring when the success rate (0.0 to 1.0) falls below ``threshold``.

    Clears at ``clear`` (default: halfway from the threshold to 1.0). Judged once
    ``min_streams`` streams of the window have succeeded or failed. ``window`` is "1m", "5m" or
    "1h". Raises ConfigurationError for a bound that can't be right.
    """
    if clear is None:
        clear = (threshold + 1.0) / 2
    if not 0.0 < threshold <= clear <= 1.0:
        raise ConfigurationError(
            f"success_rate_below({threshold!r}, clear={clear!r}): expected "
            "0.0 < threshold <= clear <= 1.0, as fractions"
        )

    def measure(figures: Figures) -> Optional[float]:
        judged = figures.successful + figures["failed"]
        return figures.success_rate if judged >= min_streams else None

    name = name or f"success rate below {threshold:g} in {window}"
    return AlertRule(name, span(window).name, measure, threshold, clear, above=False)


def percentile_above(
    what: str,
    part: float,
    seconds: float,
    *,
    window: str = "5m",
    clear: Optional[float] = None,
    min_samples: int = 10,
    name: Optional[str] = None,
) -> AlertRule:
    """Ring when a percentile of "ttft", "gap" or "duration" rises above ``seconds``.

    ``part`` is the percentile from 0.0 to 1.0 (0.99: p99). Clears at ``clear`` (default: 80 % of
    ``seconds``). Judged once the window holds ``min_samples`` values. Raises
    ConfigurationError for what can't be right.
    """
    if clear is None:
        clear = seconds * 0.8
    if what not in MEASURED or not 0.0 <= part <= 1.0 or not 0.0 < clear <= seconds:
        raise ConfigurationError(
            f"percentile_above({what!r}, {part!r}, {seconds!r}, clear={clear!r}): expected "
            f"one of {MEASURED}, a part from 0.0 to 1.0 (0.99 is p99) and 0 < clear <= seconds"
        )

    def measure(figures: Figures) -> Optional[float]:
        sketch = figures.sketches.get(what)
        return sketch.quantile(part) if sketch and sketch.count >= min_samples else None

    name = name or f"{what} p{part * 100:g} above {seconds:g} s in {window}"
    return AlertRule(name, span(window).name, measure, seconds, clear, above=True)


def stalls_above(
    threshold: int, *, window: str = "1m", clear: int = 0, name: Optional[str] = None
) -> AlertRule:
    """Ring when more than ``threshold`` stalls were told of within the window.

    A stall is a silence of ``Timeouts.warn_after`` seconds, before anything is cut. Clears when
    no more than ``clear`` are left. Raises ConfigurationError for what can't be right.
    """
    if not 0 <= clear <= threshold:
        raise ConfigurationError(
            f"stalls_above({threshold!r}, clear={clear!r}): expected 0 <= clear <= threshold"
        )

    def measure(figures: Figures) -> float:
        return figures["stalls"]

    name = name or f"more than {threshold} stalls in {window}"
    return AlertRule(name, span(window).name, measure, threshold, clear, above=True)


class Alerts:
    """The rules of one monitor and which of them ring. Any thread may call it."""

    #: Seconds between two looks at good news: buckets of a window are five seconds wide.
    LOOK_EVERY = 1.0

    def __init__(self) -> None:
        self._rules: list[tuple[AlertRule, OnAlert]] = []
        self._firing: dict[str, Alert] = {}
        self._due = 0.0
        # Guards _rules, _firing and _due. Reentrant, for streams that end as they are collected.
        self._lock = threading.RLock()

    def add(self, rule: AlertRule, callback: OnAlert) -> None:
        """Add a rule; ConfigurationError if its name is taken, or one of the two is none."""
        if not isinstance(rule, AlertRule) or not callable(callback):
            raise ConfigurationError(
                f"add_alert({rule!r}, {callback!r}): expected a rule, such as "
                "success_rate_below(0.95), and a function that takes an Alert"
            )
        with self._lock:
            if any(known.name == rule.name for known, _ in self._rules):
                raise ConfigurationError(
                    f"an alert named {rule.name!r} is there already: give one of them name=..."
                )
            self._rules.append((rule, callback))

    def firing(self) -> list[Alert]:
        """The alerts that ring, each as it began."""
        with self._lock:
            return list(self._firing.values())

    def due(self, now: float) -> bool:
        """True at most once every ``LOOK_EVERY`` seconds, and never without rules."""
        if not self._rules or now < self._due:
            return False
        with self._lock:
            if now < self._due:
                return False
            self._due = now + self.LOOK_EVERY
            return True

    def check(self, figures: Callable[[str], Figures], wall: float) -> None:
        """Measure all rules (``figures`` gives those of a window), tell what changed."""
        with self._lock:
            rules = list(self._rules)
        found: dict[str, Figures] = {}
        for rule, callback in rules:
            if rule.window not in found:
                found[rule.window] = figures(rule.window)
            value = rule.measure(found[rule.window])
            changed = None if value is None else self._change(rule, value, wall)
            if changed is not None:
                _tell(callback, changed)

    def _change(self, rule: AlertRule, value: float, wall: float) -> Optional[Alert]:
        with self._lock:
            before = rule.name in self._firing
            after = rule.next(before, value)
            if after == before:
                return None
            bound = rule.threshold if after else rule.clear
            alert = Alert(rule.name, after, value, bound, rule.window, wall)
            if after:
                self._firing[rule.name] = alert
            else:
                del self._firing[rule.name]
            return alert

    def forked(self) -> None:
        """In a forked child: the rules stay, what rang was the parent's."""
        self._lock = threading.RLock()
        self._firing, self._due = {}, 0.0


def _tell(callback: OnAlert, alert: Alert) -> None:
    try:
        callback(alert)
    except Exception:
        logger.exception("a callback for the alert %r raised", alert.name)
