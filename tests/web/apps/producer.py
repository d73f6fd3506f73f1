"""Reads one answer into a Redis, for whoever shows it: a worker of a task queue, on its own."""

import os
import sys

from streamsafe import StreamSession
from streamsafe.journal import RedisJournal

session = StreamSession("openai_compatible", base_url=os.environ["MODEL"], model="m")
with RedisJournal(os.environ["JOURNAL"], lease=1.0) as journal:
    session.complete("Hi", stream_id=sys.argv[1], journal=journal)
