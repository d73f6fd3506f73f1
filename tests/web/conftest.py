"""What the tests of the web share: a model's server, sessions that ask it, and events read back."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import streamsafe
from streamsafe import RetryPolicy, StreamSession
from streamsafe.testing import FaultServer
from streamsafe.wire.sse import SSEFramer


@pytest.fixture
def model():
    """The server that answers."""
    with FaultServer() as running:
        yield running


@pytest.fixture
def session(model):
    """A session that asks it, once: what broke stays broken."""
    with StreamSession(
        "openai_compatible",
        base_url=f"{model.url}/v1",
        model="m",
        retry=RetryPolicy(max_retries=0),
        resume="never",
    ) as made:
        yield made


@pytest.fixture
def journal(tmp_path):
    from streamsafe.journal import SQLiteJournal

    made = SQLiteJournal(tmp_path / "streams.db")
    yield made
    made.close()


@pytest.fixture(scope="session")
def read_events():
    """Bytes, or an iterable of them -> the events that a reader of the standard sees."""

    def read(body):
        framer = SSEFramer()
        return framer.feed(body if isinstance(body, bytes) else b"".join(body))

    return read


@pytest.fixture
def reading():
    """Iterates something on a thread, as a server does: what came is in ``.got``."""
    started = []

    class Reading:
        def __init__(self, items):
            self.items, self.got, self.error = items, [], None
            self._changed = threading.Condition()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            started.append(self)

        def _run(self):
            try:
                for item in self.items:
                    with self._changed:
                        self.got.append(item)
                        self._changed.notify_all()
            except BaseException as error:
                self.error = error

        def wait_for(self, condition, timeout=10.0):
            with self._changed:
                assert self._changed.wait_for(lambda: condition(self.got), timeout), self.got

        def join(self, timeout=10.0):
            self._thread.join(timeout)
            assert not self._thread.is_alive()
            return self.got

    yield Reading
    for each in started:
        each.join()


# -- a browser -------------------------------------------------------------------------------------


#: Seconds that an answer may keep a browser waiting.
PATIENCE = 20.0


class Browser:
    """Asks for an answer and reads it as it comes."""

    def __init__(self, port, path, **headers):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip", **names})
        self.response = self._connection.getresponse()
        self.body = b""

    def read_until(self, words):
        while words not in self.body:
            piece = self.response.read1()
            assert piece, self.body
            self.body += piece
        return self.body

    def read(self):
        self.body += self.response.read()
        return self.body

    def leave(self):
        self.response.close()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.leave()


@pytest.fixture(scope="session")
def browser():
    """Asks for a path of a port: it reads the answer as it comes."""
    return Browser


# -- other processes -------------------------------------------------------------------------------

#: Seconds that a process may take to start, on a machine that has much else to do.
START = 30.0


@pytest.fixture(scope="session")
def serve(tmp_path_factory, free_port):
    """Runs Python with arguments in which {port} stands, until its ``with`` is left, when it dies
    as by the plug."""

    @contextlib.contextmanager
    def serving(arguments, directory, *, port=None, **environment):
        port = port or free_port()
        log = tmp_path_factory.mktemp("served") / "log.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *(argument.format(port=port) for argument in arguments)],
                cwd=directory,
                env={
                    **os.environ,
                    **{name: str(value) for name, value in environment.items()},
                    "PORT": str(port),
                    "PYTHONPATH": str(Path(streamsafe.__file__).parents[1]),
                    "PYTHONUNBUFFERED": "1",
                },
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            _wait_until_it_listens(port, process, log)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return serving


def _wait_until_it_listens(port, process, log):
    deadline = time.monotonic() + START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


# -- a browser -------------------------------------------------------------------------------------


class Page:
    """One page of a Chromium, by its DevTools protocol."""

    def __init__(self, address):
        import websocket

        self._socket = websocket.create_connection(address, timeout=START, suppress_origin=True)
        self._number = 0
        #: What it told of itself, in the domains that are enabled.
        self.events = []
        self("Page.enable")

    def __call__(self, method, **parameters):
        self._number += 1
        said = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(said))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]
            self.events.append(told)

    def run(self, script):
        """The value of a piece of JavaScript, awaited if it is a promise."""
        told = self(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def open(self, url):
        self("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def reload(self):
        self.run("window.old = true")
        self("Page.reload")
        self.wait_for("!window.old && document.readyState === 'complete'")

    def wait_for(self, condition):
        deadline = time.monotonic() + START
        while True:
            with contextlib.suppress(AssertionError):  # between two pages there is none
                value = self.run(condition)
                if value:
                    return value
            assert time.monotonic() < deadline, (condition, self.run("document.body.innerText"))
            time.sleep(0.02)

    def type(self, text):
        self("Input.insertText", text=text)

    def press(self, key, code):
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            told = {"type": kind, "key": key, "windowsVirtualKeyCode": code}
            self("Input.dispatchKeyEvent", **told, **(text if kind == "keyDown" else {}))

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of a headless Chromium."""
    pytest.importorskip("websocket")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium")
    home = tmp_path_factory.mktemp("chromium")
    process = subprocess.Popen(
        [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         f"--user-data-dir={home}", "--no-first-run", "--window-size=900,900", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        made = Page(_address_of_a_page(home, process))
        yield made
        made.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address_of_a_page(home, process):
    deadline = time.monotonic() + START
    told = home / "DevToolsActivePort"
    while not (told.exists() and told.read_text().count("\n")):
        assert process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.02)
    port = told.read_text().split()[0]
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            pages = [each for each in json.load(answer) if each["type"] == "page"]
        if pages:
            return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.02)
