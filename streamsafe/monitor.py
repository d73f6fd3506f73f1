"""The public door to the monitor; the rooms behind it may move, this path stays."""

from streamsafe.observe.alerts import (
    Alert,
    AlertRule,
    percentile_above,
    stalls_above,
    success_rate_below,
)
from streamsafe.observe.monitor import StreamMonitor
from streamsafe.observe.shared import SharedFigures

__all__ = [
    "Alert",
    "AlertRule",
    "SharedFigures",
    "StreamMonitor",
    "percentile_above",
    "stalls_above",
    "success_rate_below",
]
