"""A Flask application to be served by real servers; the environment names model and journal."""

import os

from flask import Flask, request

from streamsafe import StreamSession
from streamsafe.journal import RedisJournal, SQLiteJournal
from streamsafe.web.flask import stream_response

app = Flask(__name__)
where = os.environ["JOURNAL"]
journal = RedisJournal(where, lease=1.0) if "://" in where else SQLiteJournal(where)
session = StreamSession(
    "openai_compatible", base_url=os.environ["MODEL"], model="m", retry=0, resume="restart"
)
HEARTBEAT = float(os.environ["HEARTBEAT"])


@app.get("/ask")
def ask():
    name = request.args.get("id")
    stream = session.stream("Hi", stream_id=name, journal=journal if name else None)
    format = request.args.get("format", "streamsafe")
    return stream_response(
        stream, format=format, keep_running="keep" in request.args, heartbeat=HEARTBEAT
    )


@app.get("/read/<name>")
def read(name):
    return stream_response(name, session=session, journal=journal, heartbeat=HEARTBEAT)


@app.get("/pid")
def pid():
    return str(os.getpid())
