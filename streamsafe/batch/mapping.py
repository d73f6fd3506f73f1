"""Mapping: from the arguments of ``session.map`` to a run over the prompts.

Here lives the checking of what the program said, before anything is asked.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Optional, Protocol

from streamsafe.arguments import whole
from streamsafe.batch import retrying
from streamsafe.batch.driver import Driver
from streamsafe.batch.item import RESERVED
from streamsafe.batch.progress import Wanted, reporter
from streamsafe.batch.result import Result
from streamsafe.batch.task import Asks, Shared
from streamsafe.engine.resume import mode_of
from streamsafe.engine.retry import RetryPolicy
from streamsafe.errors import ConfigurationError
from streamsafe.journal.base import Journal
from streamsafe.providers.base import Provider

#: Arguments of ``session.stream`` that differ from prompt to prompt.
_OWN = ("prompt_or_messages", "body", "stream_id", "sink")


class Session(Asks, Protocol):
    """What is asked of a session here: its settings."""

    provider: Provider
    model: Optional[str]
    defaults: dict[str, Any]
    retry: RetryPolicy
    resume_mode: str
    journal: Optional[Any]


def mapped(
    session: Session,
    prompts: Iterable[Any],
    *,
    executor: Optional[Any],
    max_workers: int,
    journal: Optional[Journal],
    progress: Wanted,
    name: str,
    same: Mapping[str, Any],
) -> Generator[Result, None, None]:
    """See ``StreamSession.map``."""
    _check(prompts, executor, max_workers, name, same)
    arguments = dict(same)
    policy = RetryPolicy.of(arguments.pop("retry", session.retry))
    mode = mode_of(arguments.get("resume") or session.resume_mode)
    # Nobody has seen the beginning of an answer that broke off: it may as well be asked anew.
    arguments["resume"] = "auto_restart" if mode == "auto" else mode
    shared = Shared(
        os.urandom(8).hex(),
        session,
        journal if journal is not None else session.journal,
        # Where there is a fallback, it is better than to wait.
        retrying.policy_of(policy, max_workers, queueing=not arguments.get("fallbacks")),
        arguments,
    )
    parameters = {key: value for key, value in same.items() if key not in RESERVED}
    return Driver(
        shared,
        prompts,
        name=name,
        about=(session.provider.name, session.model, session.defaults, parameters),
        executor=executor,
        max_workers=max_workers,
        reporter=reporter(progress),
    ).results()


def _check(
    prompts: Any, executor: Any, max_workers: Any, name: Any, same: Mapping[str, Any]
) -> None:
    if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(prompts, Iterable):
        raise ConfigurationError(
            f"prompts is a {type(prompts).__name__}: expected an iterable of prompts"
        )
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ConfigurationError(
            f"executor={executor!r}: expected a concurrent.futures.Executor or None"
        )
    if not isinstance(max_workers, int) or isinstance(max_workers, bool) or max_workers < 1:
        raise ConfigurationError(f"max_workers={max_workers!r}: expected an int of at least 1")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name={name!r}: expected a str that is not empty")
    whole("name", name)
    for own in _OWN:
        if own in same:
            raise ConfigurationError(f"{own}= differs from prompt to prompt: give it with each")
