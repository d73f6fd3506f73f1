"""Check pages: each is valid reStructuredText, and what it links to in the project is there.

Arguments are files and directories. Nothing is fetched from the network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docutils.nodes
from docutils.core import publish_doctree
from docutils.utils import SystemMessage


def pages(names: list[str]) -> Iterator[Path]:
    """The pages that are meant by the arguments."""
    for name in names:
        path = Path(name)
        yield from sorted(path.rglob("*.rst")) if path.is_dir() else [path]


def faults(page: Path) -> Iterator[str]:
    """What is wrong with a page."""
    text = page.read_text(encoding="utf-8")
    # Warnings are errors; what they say goes to standard error.
    settings: dict[str, Any] = {"report_level": 2, "halt_level": 2, "input_encoding": "utf-8"}
    try:
        tree = publish_doctree(text, str(page), settings_overrides=settings)
    except SystemMessage as message:
        yield str(message)
        return
    for link in tree.findall(docutils.nodes.reference):
        target = link.get("refuri", "").partition("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            if not (page.parent / target).exists():
                yield f"a link to {target}, which is not there"


wrong = [(page, fault) for page in pages(sys.argv[1:]) for fault in faults(page)]
for page, fault in wrong:
    print(f"{page}: {fault}", file=sys.stderr)
sys.exit(1 if wrong else 0)
