"""The body of `POST /v1/chat/completions`: what is taken from it, what is ignored and said to be, what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.service.errors import ApiError, bad_request

REFUSED = {
    "tools": "the agent has its own tools",
    "tool_choice": "the agent has its own tools",
    "functions": "the agent has its own tools",
    "function_call": "the agent has its own tools",
    "response_format": "the agent answers in text",
    "audio": "the agent answers in text",
    "modalities": "the agent answers in text",
    "n": "the agent gives one answer",
    "logprobs": "an answer may come from several model calls",
    "prediction": "the agent's own prompt is used",
    "web_search_options": "the agent has its own tools",
}
"""Parameters that change what an answer is, and why they can't be had."""

_HARMLESS: Mapping[str, tuple[object, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "n": (1,),
    "logprobs": (False,),
}
"""Values of them that ask for nothing else than what the agent does anyway."""

_SHOWN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_SHOWN = 32


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Part(_Shape):
    """A piece of a message. Text is what the agent reads."""

    type: str = Field(max_length=64)
    text: str | None = None
    refusal: str | None = None


class ClientMessage(_Shape):
    """One message of the client's. What is beside role and content is not used."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(fail_fast=True)] | None = None


class StreamOptions(_Shape):
    include_usage: bool | None = None


class Metadata(_Shape):
    """`conversation_id` says the same as the header `x-conversation-id`. The rest is not used."""

    conversation_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class ChatRequest(_Shape):
    """What is taken from a request. Lists are read up to what is first wrong: errors take much more time and memory
    than the body that they are of."""

    model: Annotated[str, Field(min_length=1, max_length=256, description="The name of an agent.")]
    messages: Annotated[list[ClientMessage], Field(min_length=1, max_length=10_000, fail_fast=True)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    metadata: Metadata | None = None

    def cap(self) -> int | None:
        """The smaller of the two names of the output cap."""
        given = [cap for cap in (self.max_tokens, self.max_completion_tokens) if cap is not None]
        return min(given) if given else None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request, and the names of what it says beyond what is taken."""

    request: ChatRequest
    ignored: tuple[str, ...]


def parse(body: bytes) -> Parsed:
    """Reads a body. Raises `ApiError` (400), naming the parameter."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The body is not JSON: {error.msg}.", code="invalid_json") from None
    if not isinstance(document, dict):
        raise bad_request("The body must be a JSON object.", code="invalid_json")
    _refuse(document)
    try:
        request = ChatRequest.model_validate(document)
    except ValidationError as error:
        raise _told(error) from None
    known = ChatRequest.model_fields.keys() | REFUSED.keys()
    names = [name for name, value in document.items() if name not in known and value is not None]
    return Parsed(request, tuple(sorted(name for name in names if _SHOWN.fullmatch(name))[:_MOST_SHOWN]))


def _refuse(document: dict[str, Any]) -> None:
    for name, why in REFUSED.items():
        value = document.get(name)
        if value is not None and not any(_same(value, harmless) for harmless in _HARMLESS.get(name, ())):
            raise bad_request(f"`{name}` is not supported: {why}.", name, "unsupported_parameter")


def _same(value: object, harmless: object) -> bool:
    return type(value) is type(harmless) and value == harmless


def _told(error: ValidationError) -> ApiError:
    """The deepest of the errors: of a union's branches, the one that the client meant."""
    deepest = max(error.errors(include_url=False, include_input=False), key=lambda each: len(each["loc"]))
    param = ".".join(str(part) for part in deepest["loc"] if part != "str" and not str(part).startswith("list["))
    return bad_request(f"`{param}`: {deepest['msg']}.", param, "invalid_parameter")
