"""Journals of both kinds, so that what is promised of journals is asked of each."""


import pytest

from streamsafe.journal import SQLiteJournal
from streamsafe.models import Call

CALL = Call(({"role": "user", "content": "Hi"},), "m", {"max_tokens": 5})


class Shelf:
    """One store, and as many journals on it as a test opens. ``quick``: settings by which it
    notices soon that a process is gone."""

    def __init__(self, make, **quick):
        self._make = make
        self.quick = quick
        self._opened = []

    def open(self, **settings):
        journal = self._make(**settings)
        self._opened.append(journal)
        return journal

    def close(self):
        for journal in self._opened:
            for info in journal.list("streaming"):
                journal.release(info.stream_id)
        for journal in self._opened:
            journal.close()


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service)])
def shelf(request, tmp_path):
    if request.param == "sqlite":
        shelf = Shelf(lambda **settings: SQLiteJournal(tmp_path / "j.db", **settings))
    else:
        url = request.getfixturevalue("redis").url
        from streamsafe.journal import RedisJournal

        shelf = Shelf(lambda **settings: RedisJournal(url, **settings), lease=0.6)
    yield shelf
    shelf.close()


@pytest.fixture
def journal(shelf):
    return shelf.open()


@pytest.fixture
def begin():
    """Begin a stream with what doesn't matter to the test."""

    def begin(journal, stream_id="s", **changes):
        given = {"call": CALL, "provider": "openai", "settings": {"resume": "auto"}, **changes}
        journal.begin(stream_id, **given)
        return stream_id

    return begin
