"""What the tests of the commands share: a way to visit a command that is a server."""

from __future__ import annotations

import re

import pytest

from streamsafe.cli import main, serving


@pytest.fixture
def visited(monkeypatch, capsys):
    """Runs a command that serves, has ``visit(url)`` called meanwhile, and then Ctrl-C pressed;
    returns its exit code, its output and its errors."""

    def command(*arguments, visit=lambda url: None):
        shown = []

        def wait():
            shown.append(capsys.readouterr().out)
            visit(re.search(r"https?://127.0.0.1:\d+", shown[0])[0])
            raise KeyboardInterrupt

        monkeypatch.setattr(serving, "wait", wait)
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, "".join(shown) + captured.out, captured.err

    return command
