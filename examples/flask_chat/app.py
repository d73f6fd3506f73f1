"""A chat whose answers survive a reload, a lost connection and the death of a worker.

    pip install "streamsafe[flask]"
    python app.py                               then open http://127.0.0.1:5000
    gunicorn --threads 16 app:app               the same for many people

With OPENAI_API_KEY (and perhaps MODEL) in the environment OpenAI answers. Without it, a made-up
model on this machine does, which thinks for a moment, writes slowly, and breaks off once.

A question begins a stream that runs on its own and is kept in a journal; the page reads it from
there by its id. So it does not matter how often the page comes back, nor to which process.
"""

import os
import tempfile
from pathlib import Path

from flask import Flask, jsonify, request

from streamsafe import StreamSession
from streamsafe.journal import SQLiteJournal
from streamsafe.web.flask import stream_response

HERE = Path(__file__).parent
JOURNAL = os.environ.get("JOURNAL", Path(tempfile.gettempdir(), "flask_chat.db"))
ANSWER = """\
Rivers do not hurry, and yet they arrive. They have no plan of the valley; they take the next \
lowest place, and the next, and what was in the way is a shore by now.

An answer comes to you in much the same way, a word at a time, over wires that have promised \
nothing. Reload this page while it is being written. The text is where it was, and goes on; none \
of it is lost and none of it is shown twice.

Behind it the connection to the model has already broken once, in the middle of a sentence. You \
could not tell which."""


def demo_session():
    """Asks a server on this machine that does what real ones do on a bad day."""
    from streamsafe.testing import FaultServer, openai_chat, pause, rst, stream

    events = openai_chat(ANSWER, model="made-up")
    slowly = [(event, pause(float(os.environ.get("PACE", "0.05")))) for event in events]
    third = len(events) // 3
    broken = stream(slowly[:third], first=pause(1), then=rst())
    whole = stream(events[:third], slowly[third:])
    asked = []

    def answer(request):
        asked.append(request)
        return broken if len(asked) % 2 else whole

    server = FaultServer().start()
    server.handle(answer)
    return StreamSession(
        "openai_compatible", base_url=f"{server.url}/v1", model="made-up", resume="restart",
        journal=SQLiteJournal(JOURNAL),
    )  # fmt: skip


def openai_session():
    return StreamSession(
        "openai", model=os.environ.get("MODEL", "gpt-4o-mini"), resume="continue",
        journal=SQLiteJournal(JOURNAL),
    )  # fmt: skip


app = Flask(__name__)
session = openai_session() if "OPENAI_API_KEY" in os.environ else demo_session()
running = {}  # what this process reads, so that it can be stopped


@app.get("/")
def page():
    return (HERE / "page.html").read_text(encoding="utf-8")


@app.post("/answers")
def ask():
    """Begin an answer to a conversation; the page is told its id."""
    for done in [id for id, handle in list(running.items()) if handle.done()]:
        running.pop(done, None)
    handle = session.submit(request.get_json()["messages"])
    running[handle.stream_id] = handle
    return jsonify(id=handle.stream_id), 201


@app.get("/answers/<id>")
def answer(id):
    """The answer, from its beginning or from where the browser was, as it comes."""
    return stream_response(id, session=session)


@app.delete("/answers/<id>")
def stop(id):
    if id in running:
        running[id].cancel("stopped by the reader")
    return "", 204


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")), threaded=True)
