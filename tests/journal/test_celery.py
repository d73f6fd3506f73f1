"""The page's recipe: a Celery worker streams into Redis, another process follows, either dies."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import streamsafe
from streamsafe.journal import RedisJournal
from streamsafe.testing import FaultServer, rst, stream, wait
from streamsafe.testing.answers import openai_chat

pytest.importorskip("celery")
pytestmark = [pytest.mark.service, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "journal.rst"
TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT)

ASK = """
import sys
from web import ask, follow
stream_id = ask("What do rivers do?")
print(stream_id, flush=True)
text = ""
for number, chunk in follow(stream_id):
    text = "" if chunk.kind == "restart" else text + chunk.text
    if text:
        print(number, repr(text), flush=True)
"""


@pytest.fixture
def recipe(tmp_path):
    """The files that the page shows, in a directory of their own."""
    shown = re.findall(
        r"^\.\. file: (\S+)\n\n\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)",
        PAGE.read_text("utf-8"),
        re.M,
    )
    for name, code in shown:
        (tmp_path / name).write_text(textwrap.dedent(code))
    (tmp_path / "ask.py").write_text(ASK)
    assert [name for name, _ in shown] == ["tasks.py", "web.py"]
    return tmp_path


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture
def environment(server, redis):
    return {
        **os.environ,
        "PYTHONPATH": str(Path(streamsafe.__file__).parents[1]),
        "REDIS_URL": redis.url,
        "OPENAI_API_KEY": "sk-local",
        "OPENAI_BASE_URL": f"{server.url}/v1",
    }


@pytest.fixture
def worker(recipe, environment):
    command = ["-m", "celery", "-A", "tasks", "worker", "--concurrency", "1"]
    quick = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with open(recipe / "worker.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, *quick],
            cwd=recipe, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    yield process
    os.killpg(process.pid, signal.SIGKILL)  # the children that do the work, too
    process.wait()


@pytest.fixture
def asked(recipe, environment):
    process = subprocess.Popen(
        [sys.executable, "ask.py"], cwd=recipe, env=environment, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_follows_what_a_worker_streams(server, worker, asked):
    server.expect(stream(EVENTS[:4], wait("seen"), EVENTS[4:]))
    asked.stdout.readline()
    first = asked.stdout.readline()
    assert "'Rivers" in first and "arrive" not in first  # while the answer is still being made
    server.gate("seen").open()
    assert asked.stdout.read().splitlines()[-1].endswith(repr(TEXT))
    assert asked.wait(20) == 0


def test_the_answer_of_a_worker_that_is_killed_is_gone_on_with(server, worker, asked, redis):
    server.expect(stream(EVENTS[:4], wait("never")), stream(EVENTS[:3], then=rst()), stream(EVENTS))
    stream_id = asked.stdout.readline().strip()
    asked.stdout.readline()
    with RedisJournal(redis.url) as journal:
        os.kill(int(journal.info(stream_id).owner.partition("@")[0]), signal.SIGKILL)
        server.gate("never").open()
        assert asked.stdout.read().splitlines()[-1].endswith(repr(TEXT))
        assert journal.info(stream_id).status == "complete"
        assert journal.load(stream_id).completion.text == TEXT
    assert len(server.requests) == 3
