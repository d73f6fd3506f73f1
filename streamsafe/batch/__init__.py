"""Many prompts: asked side by side, answered in order, each of them once.

Here lives what is behind ``session.map`` and ``streamsafe batch``: an ``item`` is asked by a
``task`` on a thread or in another process; the ``driver`` hands tasks to an executor, as many at a
time as the ``limiter`` thinks right; ``prompts`` and ``answers`` are the files. The life of one
stream is told elsewhere: nothing here connects or reads.

A session is handed in; nothing here knows how it is made.
"""

from streamsafe.batch.progress import Progress
from streamsafe.batch.result import Result

__all__ = ["Progress", "Result"]
