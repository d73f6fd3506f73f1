"""Answers that can be shared while they are being written: each has an address of its own.

    pip install "streamsafe[django]"
    python app.py runserver                     then open http://127.0.0.1:8000
    gunicorn --threads 16 app:application       the same for many people
    uvicorn app:asgi                            the same on an event loop

With OPENAI_API_KEY (and perhaps MODEL) in the environment OpenAI answers. Without it, a made-up
model on this machine does, which thinks for a moment, writes slowly, and breaks off once.

A question begins a stream that runs on its own and is kept in a journal; a page reads it from
there by the id behind the # in its address. So it does not matter how many pages read it, how often
they come back, nor to which process.
"""

import os
import sys
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from streamsafe import ResumeError, StreamSession
from streamsafe.journal import SQLiteJournal
from streamsafe.web.django import stream_response

HERE = Path(__file__).parent
JOURNAL = os.environ.get("JOURNAL", Path(tempfile.gettempdir(), "django_chat.db"))
ANSWER = """\
A lighthouse says one thing, over and over, to whoever is there to see it. It does not know who \
that is. It does not begin anew for a ship that comes late.

This page is built like that. The answer is written once, and kept as it is written; open its \
address in a second window now, and both will show the same words at the same moment. Close them \
all, and it is written to its end all the same.

Even the line to the model has broken in the meantime, once, and been mended. What you see is each \
word, in its place, one time."""


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


settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for-this-machine-only"),
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE]}],
)
session = openai_session() if "OPENAI_API_KEY" in os.environ else demo_session()
running = {}  # what this process reads, so that it can be stopped


@require_GET
def page(request):
    return render(request, "page.html")


@require_POST
def ask(request):
    """Begin an answer; the page is told its id."""
    for done in [id for id, handle in list(running.items()) if handle.done()]:
        running.pop(done, None)
    handle = session.submit(request.POST["question"])
    running[handle.stream_id] = handle
    return JsonResponse({"id": handle.stream_id}, status=201)


@require_GET
def question(request, id):
    """What was asked."""
    try:
        call = session.journal.load(id).call
    except ResumeError:
        raise Http404 from None
    return JsonResponse({"question": call.messages[-1]["content"]})


@require_GET
def answer(request, id):
    """The answer, from its beginning or from where the browser was, as it comes."""
    return stream_response(id, request, session=session)


@require_http_methods(["POST"])
def stop(request, id):
    if id in running:
        running[id].cancel("stopped by the reader")
    return HttpResponse(status=204)


urlpatterns = [
    path("", page),
    path("answers", ask),
    path("answers/<id>", answer),
    path("answers/<id>/question", question),
    path("answers/<id>/stop", stop),
]
application = get_wsgi_application()
asgi = get_asgi_application()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
