"""Colours and symbols for what a terminal can show."""

from __future__ import annotations

import io

import pytest

from streamsafe.cli.style import Style, put_utf8


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_gets_colours_and_a_pipe_none():
    assert Style(Terminal()).paint("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"
    assert Style(io.StringIO()).paint("x", "red") == "x"


@pytest.mark.parametrize(
    "name, value, colours",
    [("TERM", "dumb", False), ("NO_COLOR", "1", False), ("NO_COLOR", "", True)],
)
def test_who_wants_no_colours_gets_none(monkeypatch, name, value, colours):
    monkeypatch.setenv(name, value)
    assert ("\x1b" in Style(Terminal()).paint("x", "red")) is colours


def test_symbols_are_ascii_where_the_encoding_has_no_others():
    narrow = Terminal()
    narrow.encoding = "cp1252"
    assert Style(Terminal()).symbol("✔", "ok") == "✔"
    assert Style(narrow).symbol("✔", "ok") == "ok"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_is_for_programs_is_utf8_whatever_the_terminal_says(monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", out)
    out.write("first\n")
    put_utf8('{"text": "河 ü"}')
    assert out.buffer.getvalue().decode("utf-8") == 'first\n{"text": "河 ü"}\n'
