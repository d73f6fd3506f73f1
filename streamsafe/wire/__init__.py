"""Bytes: how they come over HTTP, and how events are cut out of them.

Here live the only doors to ``requests``/``urllib3`` (``transport`` and its connections)
and to ``sseclient`` (``sse``). Nothing here knows an API, an answer or a retry.
"""
