"""Watch the streams of running programs in the terminal.

The programs share their figures, the table shows the whole:

  StreamSession(..., observers=[StreamMonitor(share="monitor.db")])
  streamsafe top monitor.db

It only reads. --once prints the table and ends, for scripts and logs; else Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from streamsafe.cli import OK
from streamsafe.errors import ConfigurationError
from streamsafe.monitor import SharedFigures
from streamsafe.observe.words import or_dash, plain, rate, seconds, size, success

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

#: Rows of the tables; more would push the next one off the screen.
MAX_ACTIVE, MAX_FAILURES, MAX_MODELS = 15, 5, 8

#: Columns of a terminal from which on all of a table is shown.
WIDE = 110
#: Seconds without a byte after which a stream is called silent.
SILENT = 5.0

_COLOURS = {"streaming": "green", "retrying": "yellow", "pending": "dim"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "where", metavar="STORE",
        help="what the programs have in StreamMonitor(share=...): a path, or a redis:// URL",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="print it once and end")
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="SECONDS", help="look so often (default: 1)"
    )
    parser.add_argument(
        "--window", choices=("1m", "5m", "1h"), default="5m", help="figures of (default: 5m)"
    )


def run(args: argparse.Namespace) -> int:
    """Show the table until Ctrl-C, or once."""
    if not args.every > 0:
        raise ConfigurationError(f"--every {args.every}: expected seconds > 0")
    try:
        from rich.console import Console
    except ImportError as error:
        raise ConfigurationError(
            "streamsafe top needs the rich library", hint="pip install 'streamsafe[rich]'"
        ) from error
    console = Console(highlight=False)
    figures = SharedFigures(args.where)
    try:
        if args.once:
            console.print(screen(figures, args.window, console.width))
        else:
            _live(console, figures, args)
    finally:
        figures.close()
    return OK


def _live(console: Console, figures: SharedFigures, args: argparse.Namespace) -> None:
    from rich.live import Live

    def now() -> Group:
        return screen(figures, args.window, console.width)

    with Live(now(), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            time.sleep(args.every)
            live.update(now(), refresh=True)


def screen(figures: SharedFigures, window: str, width: int) -> Group:
    """What is shown of this moment in so many columns, as something that rich prints."""
    from rich.console import Group

    narrow = width < WIDE
    health = figures.get_health_report()
    parts = [*_head(health, window), _active(figures.streams("active"), narrow)]
    failed = figures.failures(MAX_FAILURES)
    if failed:
        parts.append(_failures(failed, narrow))
    if health["by_model"]:
        parts.append(_models(health["by_model"], narrow))
    return Group(*parts)


def _head(health: dict[str, Any], window: str) -> list[Any]:
    from rich.columns import Columns
    from rich.text import Text

    now = health["windows"][window]
    facts = (
        ("active", str(health["active_streams"])),
        ("success", success(now)),
        ("first token", _pair(now["ttft"])),
        ("gap", _pair(now["gaps"])),
        ("speed", or_dash(now["tokens_per_second"], rate)),
        ("received", size(now["bytes_per_second"]) + "/s"),
        ("retries", str(now["retries"])),
        ("stalls", str(now["stalls"])),
    )
    texts = [Text(f"{name} ", "dim").append(value, "bold not dim") for name, value in facts]
    processes = health["processes"]
    of = "1 process" if processes == 1 else f"{processes} processes"
    about = f"{window} of {of}, p50/p99, {time.strftime('%H:%M:%S')}"
    head = [Columns(texts, padding=(0, 2)), Text(about, "dim")]
    if health["store_failure"]:
        said = f"the store fails, figures may be old: {health['store_failure']}"
        head.append(Text(plain(said), "red"))
    return head


def _active(views: list[dict[str, Any]], narrow: bool) -> Table:
    sheet = Sheet(
        f"{len(views)} active", narrow,
        "stream", "?model", "status", ">running", ">first", ">tokens", "?>tok/s", "?>received",
        ">retries",
    )  # fmt: skip
    for view in views[:MAX_ACTIVE]:
        about = "≈" if view["tokens"]["estimated"] else ""
        status, colour = _status(view)
        sheet.row(
            view["stream_id"], _model(view), status, seconds(view["duration"]),
            or_dash(view["ttft"], seconds), f"{about}{view['tokens']['total']}",
            or_dash(view["tokens_per_second"], "{:.0f}".format), size(view["bytes"]),
            str(view["retries"]),
            style=colour,
        )  # fmt: skip
    if len(views) > MAX_ACTIVE:
        sheet.row(f"and {len(views) - MAX_ACTIVE} more", style="dim")
    return sheet.table


def _status(view: dict[str, Any]) -> tuple[str, str]:
    if view["status"] == "streaming" and view["silent_for"] > SILENT:
        return f"silent {seconds(view['silent_for'])}", "red"
    return view["status"], _COLOURS.get(view["status"], "")


def _failures(views: list[dict[str, Any]], narrow: bool) -> Table:
    sheet = Sheet("last failures", narrow, "at", "?model", "error", "*message")
    for view in views:
        last = view["errors"][-1] if view["errors"] else {"type": "", "message": "", "hint": ""}
        at = time.strftime("%H:%M:%S", time.localtime(view["ended"]))
        sheet.row(at, _model(view), last["type"], last["message"])
        if last["hint"]:
            sheet.row("", "", "", last["hint"], style="dim")
    return sheet.table


def _models(by_model: dict[str, dict[str, Any]], narrow: bool) -> Table:
    sheet = Sheet(
        "since the start", narrow,
        "model", ">streams", ">success", ">failed", ">retries", ">first", "?>gap p99", ">tok/s",
        "?>tokens", "?>received",
    )  # fmt: skip
    busiest = sorted(by_model.items(), key=lambda pair: -pair[1]["total_streams"])
    for name, one in busiest[:MAX_MODELS]:
        sheet.row(
            name, str(one["total_streams"]), success(one), str(one["failed_streams"]),
            str(one["retries"]), or_dash(one["ttft"]["p50"], seconds),
            or_dash(one["gaps"]["p99"], seconds),
            or_dash(one["tokens_per_second"], "{:.0f}".format), str(one["tokens"]),
            size(one["bytes"]),
        )  # fmt: skip
    return sheet.table


class Sheet:
    """A table of rich's. Before a column's name ">" stands for numbers, "*" for the column that
    takes the room that is left, "?" for one that a narrow terminal does without."""

    def __init__(self, title: str, narrow: bool, *names: str) -> None:
        from rich import box
        from rich.table import Table

        self._kept = [not (narrow and name.startswith("?")) for name in names]
        self.table = Table(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
            pad_edge=False, expand=True, header_style="dim",
        )  # fmt: skip
        for name, kept in zip(names, self._kept):
            if kept:
                self.table.add_column(
                    name.lstrip("?>*"),
                    justify="right" if ">" in name else "left",
                    no_wrap="*" not in name,
                    ratio=1 if "*" in name else None,
                    # A long name must not push the figures out.
                    max_width=None if "*" in name else 26 if narrow else 44,
                )

    def row(self, *texts: str, style: str = "") -> None:
        """Add a row of what came from a server, too."""
        from rich.text import Text

        # As Text, and plain: such words are neither rich's markup nor the terminal's orders.
        cells = (Text(plain(text)) for text, kept in zip(texts, self._kept) if kept)
        self.table.add_row(*cells, style=style)


def _model(view: dict[str, Any]) -> str:
    return str(view["model"] or view["provider"] or "–")


def _pair(figures: dict[str, Any]) -> str:
    return f"{or_dash(figures['p50'], seconds)} / {or_dash(figures['p99'], seconds)}"
