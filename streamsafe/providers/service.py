"""Service: what the providers of all presets do alike.

Here live the parts that are the same whatever the API: the frame of a request, errors and ids by
the preset's data, and what is put behind a call's messages to go on from an answer that broke
off. What an API wants in its body, what its events mean and when an answer is finished is told by
each API's own file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call, Completion, Request
from streamsafe.providers.base import Profile, Target
from streamsafe.providers.classify import http_error
from streamsafe.providers.presets import Preset

#: What asks the model to go on, in the user's next message.
GO_ON = (
    "Your previous response was interrupted. Continue it exactly where it left off: do not repeat "
    "anything, do not comment, do not start over."
)


#: What ends an address: another version's path stands in its place.
_VERSION = re.compile(r"/(?:v1|beta)$")


class Service:
    """The base of providers: one preset of one API."""

    #: Where messages stand in a body of the API's own.
    key = "messages"

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name
        self.framing = preset.framing

    # -- asking --------------------------------------------------------------------------------

    def request(self, call: Call, target: Target) -> Request:
        """POST to the preset's path. Raises ConfigurationError for what the API cannot take."""
        try:
            body = self.body(call)
        except ConfigurationError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ConfigurationError(
                f"messages, parameters or body=: something is of no kind that {self.name} takes: "
                f"{error}"
            ) from error
        return Request("POST", self.url(call, target, body), target.headers, body)

    def url(self, call: Call, target: Target, body: Mapping[str, Any]) -> str:
        """The address; a query of the base's own stays at the end."""
        base, _, query = target.base_url.partition("?")
        base = base.rstrip("/")
        if "prefill_path" in call.extra:
            base = _VERSION.sub("", base) + call.extra["prefill_path"]
        return with_query(base + self.preset.path, query)

    def body(self, call: Call) -> dict[str, Any]:
        """The request's body; one of the API's own is passed on as it is, as a stream."""
        model = self.model_of(call)
        body: dict[str, Any] = {"model": model} if model else {}
        if call.body is not None:
            body.update(call.body)
            body.update(call.parameters)
        else:
            body.update(self.asked(call))
        if call.parameters.get("stream_options", {}) is None:
            body.pop("stream_options", None)
        body["stream"] = True
        return body

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters in the API's words."""
        raise NotImplementedError

    def model_of(self, call: Call) -> str:
        """The model that is asked; ConfigurationError if there is none and the API wants one."""
        model = _named(call)
        if not model and self.preset.needs_model:
            raise ConfigurationError(f"{self.name} wants a model: pass model=..., or -m in a shell")
        return model

    # -- answers -------------------------------------------------------------------------------

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error of an HTTP error response."""
        return http_error(status, headers, body, request_id=self.request_id(headers))

    @staticmethod
    def renamed(error: APIError, kind: type[APIError]) -> APIError:
        """The same error as another kind, for an API that means something else by its status."""
        return kind(
            error.message,
            status=error.status,
            code=error.code,
            type=error.type,
            body=error.body,
            headers=error.headers,
            request_id=error.request_id,
        )

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """By the preset's headers, the first that is there."""
        return next((headers[n] for n in self.preset.request_ids if headers.get(n)), None)

    # -- going on ------------------------------------------------------------------------------

    def profile(self, model: Optional[str]) -> Profile:
        """By the preset's table."""
        return self.preset.profile_of(model)

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """The call that goes on from the partial text, in the ways that the profile knows."""
        profile = self.profile(_named(call))
        ways = {"prefill": profile.prefill != "no", "user_message": profile.user_message}
        if not ways.get(how):
            raise ConfigurationError(f"{self.name} has no {how} to go on from")
        text = sendable(partial.text)
        if not text.strip():
            raise ConfigurationError("there is no text yet to go on from")
        if how == "prefill":
            return self.prefilled(call, text, partial)
        return appended(call, self.key, self.turn("assistant", text), self.turn("user", GO_ON))

    def turn(self, role: str, text: str) -> dict[str, Any]:
        """A message in the API's form."""
        return {"role": role, "content": text}

    def prefilled(self, call: Call, text: str, partial: Completion) -> Call:
        """The call with the text as the assistant's, last, and what the preset adds to that."""
        preset = self.preset
        said = {**self.turn("assistant", text), **preset.prefill_message}
        if preset.reasoning and partial.reasoning:
            said[preset.reasoning] = sendable(partial.reasoning)
        onward = appended(call, self.key, said, echoes=self.profile(_named(call)).echoes)
        extra = {"prefill_path": preset.prefill_path} if preset.prefill_path else {}
        return onward.replace(
            parameters={**call.parameters, **preset.prefill_body}, extra={**call.extra, **extra}
        )


def with_query(url: str, *queries: str) -> str:
    """The address with these queries, those that are not empty."""
    query = "&".join(filter(None, queries))
    return f"{url}?{query}" if query else url


def _named(call: Call) -> str:
    return str((call.body or {}).get("model") or call.model or "")


def appended(call: Call, key: str, *added: Mapping[str, Any], echoes: bool = False) -> Call:
    """The call with messages behind its own, which stand under ``key`` in a body of the API's.

    Where the call's own end with the assistant's, the program began the answer itself: then that
    and the text are one message, since two in a row are refused. A server that ``echoes`` has
    given the beginning back with the text.
    """
    said: Any = call.messages if call.body is None else call.body.get(key)
    if isinstance(said, str):
        said = [{"role": "user", "content": said}]
    if not isinstance(said, Sequence):
        raise ConfigurationError(f"a body= without a list of {key!r} can't be continued")
    messages = [*said, *added]
    begun = said[-1].get("content") if said and said[-1].get("role") == "assistant" else None
    text = added[0].get("content")
    if isinstance(begun, str) and isinstance(text, str):
        whole = text if echoes and text.startswith(begun) else begun + text
        messages[len(said) - 1 : len(said) + 1] = [{**added[0], "content": whole}]
    if call.body is None:
        return call.replace(messages=messages)
    return call.replace(body={**call.body, key: messages})


def behind_prompt(service: Service, call: Call, text: str) -> Call:
    """The call whose prompt, one text, has the partial text behind it: an exact continuation."""
    onward = call.replace(extra={**call.extra, "partial": text})
    service.body(onward)  # raises where there is no such prompt, while that can still be told
    return onward


def extended(body: dict[str, Any], call: Call) -> dict[str, Any]:
    """The body with the partial text of the call behind its prompt."""
    partial = call.extra.get("partial")
    if not partial:
        return body
    if not isinstance(body.get("prompt"), str):
        raise ConfigurationError("only a prompt that is one text can be continued")
    return {**body, "prompt": body["prompt"] + partial}


def sendable(text: str) -> str:
    """Text that can go back to a server: half a character at its end is left out."""
    return text.rstrip("\ufffd").encode("utf-8", "ignore").decode()
