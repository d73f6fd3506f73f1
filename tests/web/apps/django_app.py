"""A Django application to be served by real servers; the environment names model and journal."""

import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from streamsafe import StreamSession
from streamsafe.journal import SQLiteJournal
from streamsafe.web.django import stream_response

settings.configure(
    SECRET_KEY="tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=True,
    MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"],
)  # fmt: skip

journal = SQLiteJournal(os.environ["JOURNAL"])
session = StreamSession(
    "openai_compatible", base_url=os.environ["MODEL"], model="m", retry=0, resume="restart"
)
HEARTBEAT = float(os.environ["HEARTBEAT"])


def ask(request):
    name = request.GET.get("id")
    stream = session.stream("Hi", stream_id=name, journal=journal if name else None)
    format = request.GET.get("format", "streamsafe")
    return stream_response(
        stream, request, format=format, keep_running="keep" in request.GET, heartbeat=HEARTBEAT
    )


def read(request, name):
    return stream_response(name, request, session=session, journal=journal, heartbeat=HEARTBEAT)


def pid(request):
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("ask", ask), path("read/<name>", read), path("pid", pid)]
app = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
