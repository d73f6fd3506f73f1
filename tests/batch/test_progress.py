"""How far a batch is: told to a function, drawn on a terminal, and to nobody in a pipe."""

import io
import sys

import pytest

from streamsafe import ConfigurationError
from streamsafe.batch import Progress
from streamsafe.batch.progress import Bar, Count, reporter
from streamsafe.testing import reply


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_a_terminal(monkeypatch):
    # Not a fixture: pytest puts its own standard error in place when the test begins.
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


def test_a_function_is_told_of_each_result(server, session):
    server.expect(reply(400))
    told = []
    list(session.map(list("abcd"), progress=told.append, max_workers=1))
    assert [progress.done for progress in told] == [1, 2, 3, 4]
    assert told[-1] == Progress(4, 1, 0, 0, 1, 4)


def test_prompts_without_a_length_have_no_total(server, session):
    told = []
    list(session.map(iter("ab"), progress=told.append))
    assert told[-1].done == 2 and told[-1].total is None


def test_what_the_function_raises_ends_the_batch(server, session):
    def full(progress):
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        list(session.map(list("abc"), progress=full, max_workers=1))


def test_a_pipe_hears_nothing(server, session, capsys):
    list(session.map(list("ab")))
    list(session.map(list("ab"), progress=False))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(server, session, monkeypatch):
    pytest.importorskip("tqdm")
    terminal = on_a_terminal(monkeypatch)
    list(session.map(list("ab")))
    assert "2/2" in terminal.getvalue()


def test_a_terminal_without_tqdm_gets_a_count(server, session, monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    server.expect(reply(400))
    list(session.map(list("ab"), max_workers=1))
    assert terminal.getvalue().endswith("\r2 of 2 answers, 1 failed\n")


def test_true_wants_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ConfigurationError, match=r'pip install "streamsafe\[tqdm\]"'):
        reporter(True)


def test_nothing_is_drawn_before_there_is_something(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    for one in (Count(), Bar(None)):
        one.close()
    assert terminal.getvalue() == ""
